package card

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// setOf returns a JWK Set.
func setOf(keys ...string) []byte {
	return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// private returns a private JWK of another name and with further members.
func private(t testing.TB, algorithm, id, members string) string {
	t.Helper()
	key, err := NewSigningKey(signers(t)[algorithm].signer, id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := key.Private()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(text), "}") + members + "}"
}

func TestWhichKeySigns(t *testing.T) {
	for _, c := range []struct {
		name string
		keys []string // their further members; they are called a, b and so on
		when map[int64]string
	}{
		{"one without bounds", []string{``}, map[int64]string{0: "a", 1000: "a"}},
		{"the first of several", []string{``, ``}, map[int64]string{50: "a"}},
		{"the one that began last", []string{``, `,"nbf":100`, `,"nbf":50`}, map[int64]string{49: "a", 50: "c", 99: "c", 100: "b", 1000: "b"}},
		{"the last that began then", []string{`,"nbf":10`, `,"nbf":10`}, map[int64]string{10: "b"}},
		{"the next takes over", []string{`,"exp":100`, `,"exp":200`}, map[int64]string{99: "a", 100: "b", 199: "b", 200: ""}},
		{"the one before takes over again", []string{`,"exp":300`, `,"nbf":100,"exp":200`}, map[int64]string{99: "a", 150: "b", 200: "a", 300: ""}},
		{"nobody yet", []string{`,"nbf":100`}, map[int64]string{99: "", 100: "a"}},
		{"revoked", []string{``, `,"nbf":10,"revoked":true`}, map[int64]string{50: "a"}},
		{"only revoked", []string{`,"revoked":true`}, map[int64]string{50: ""}},
	} {
		var texts []string
		for i, members := range c.keys {
			texts = append(texts, private(t, "EdDSA", string(rune('a'+i)), members))
		}
		keys, err := ParseSigningKeys(setOf(texts...))
		if err != nil || keys.Len() != len(c.keys) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for second, want := range c.when {
			key, err := keys.At(time.Unix(second, 0))
			if key.ID() != want || (err == nil) != (want != "") {
				t.Errorf("%s: at %d it is %q, not %q (%v)", c.name, second, key.ID(), want, err)
			}
		}
	}
	keys, err := ParseSigningKeys(setOf(private(t, "EdDSA", "old", `,"exp":100`), private(t, "ES256", "gone", `,"revoked":true`)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = keys.At(time.Unix(100, 0)); err == nil || err.Error() !=
		`card: the signing key "old" has expired at 1970-01-01T00:01:40Z; the signing key "gone" is revoked` {
		t.Errorf("no key may sign, and the reason is %v", err)
	}
	revoked, err := ParseSigningKey([]byte(private(t, "EdDSA", "gone", `,"revoked":true`)))
	if err != nil {
		t.Fatal(err)
	}
	written, _ := revoked.Private()
	if again, err := ParseSigningKey(written); err != nil || again.Usable(time.Time{}) == nil {
		t.Errorf("a revoked key is written as one that is not: %v, %s", err, again)
	}
	if _, err := (SigningKeys{}).At(time.Unix(1, 0)); err == nil {
		t.Error("without keys there is one that signs")
	}
}

// What any of the keys has signed can be verified by what is published, but for a revoked one.
func TestPublicHalvesOfSigningKeys(t *testing.T) {
	keys, err := ParseSigningKeys(setOf(private(t, "ES256", "old", `,"exp":100`), private(t, "EdDSA", "new", `,"nbf":90`),
		private(t, "ES384", "leaked", `,"revoked":true`)))
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Public()
	if err != nil || strings.Contains(string(text), `"d"`) || strings.Contains(string(text), "leaked") {
		t.Fatalf("%v: %s", err, text)
	}
	public, err := ParseKeys(text)
	if err != nil || public.Len() != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	for second, name := range map[int64]string{50: "old", 95: "new"} {
		key, err := keys.At(time.Unix(second, 0))
		if err != nil || key.ID() != name {
			t.Fatalf("%v, %v", key, err)
		}
		signed := []byte(mustSign(t, signable10, key))
		if r := Validate(signed, Options{Keys: public, Now: time.Unix(95, 0)}); r.Signatures[0].State != SignatureTrusted {
			t.Errorf("what %s has signed: %+v", name, r.Signatures)
		}
	}
	one, err := ParseSigningKeys([]byte(private(t, "EdDSA", "one", "")))
	if err != nil || one.Len() != 1 {
		t.Errorf("a JWK by itself: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, shown := range []any{keys, *keys} {
			if got := fmt.Sprintf(verb, shown); got != "key old, key new, key leaked" {
				t.Errorf("%s shows %s", verb, got)
			}
		}
	}
}

func TestAddSigningKey(t *testing.T) {
	next := signers(t)["EdDSA"]
	for _, c := range []struct{ name, text, ids string }{
		{"a JWK by itself", private(t, "ES256", "old", `,"x-note":"ours"`), "key old, key key-EdDSA"},
		{"a set", `{"x-owner":"us","keys":[` + private(t, "ES256", "old", `,"x-note":"ours"`) + `,` + private(t, "ES256", "older", ``) + `]}`,
			"key old, key older, key key-EdDSA"},
	} {
		text, err := AddSigningKey([]byte(c.text), next)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		keys, err := ParseSigningKeys(text)
		if err != nil || keys.String() != c.ids || !strings.Contains(string(text), `"x-note":"ours"`) ||
			strings.Contains(c.text, "x-owner") != strings.Contains(string(text), `"x-owner":"us"`) {
			t.Errorf("%s: %v %v", c.name, keys, err)
		}
	}
	for fault, text := range map[string]string{
		"no JWK Set":     `[]`,
		"another key is": private(t, "ES256", "key-EdDSA", ""),
		"keys[0]: no":    `{"keys":[7]}`,
		"keys[0]: a sha": `{"kty":"oct","kid":"a","k":"AAAA"}`,
	} {
		if _, err := AddSigningKey([]byte(text), next); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%v, not %q", err, fault)
		}
	}
	if _, err := AddSigningKey(setOf(), SigningKey{}); err == nil {
		t.Error("no key is added")
	}
}

func TestSigningKeysThatAreNone(t *testing.T) {
	public, err := signers(t)["EdDSA"].Public()
	if err != nil {
		t.Fatal(err)
	}
	good := private(t, "EdDSA", "good", "")
	for fault, text := range map[string]string{
		"no JWK Set":                             `x`,
		`it has no "keys"`:                       `{}`,
		"there is no key to sign with":           `{"keys":[]}`,
		`keys[1]: another key is called "good"`:  string(setOf(good, private(t, "ES256", "good", ""))),
		`keys[1]: the key "key-EdDSA" is public`: string(setOf(good, string(public))),
		"keys[0]: no JWK":                        `{"keys":["x"]}`,
		`keys[0]: the key "bad" is never valid`:  string(setOf(private(t, "EdDSA", "bad", `,"nbf":2,"exp":2`))),
		`card: the key "key-EdDSA" is public`:    string(public),
	} {
		if _, err := ParseSigningKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), fault) || strings.Contains(err.Error(), `"d"`) {
			t.Errorf("%v, not %q", err, fault)
		}
	}
	if _, err := NewSigningKeys(SigningKey{}); err == nil {
		t.Error("no key is one")
	}
}

// FuzzParseSigningKeys publishes whatever is read.
func FuzzParseSigningKeys(f *testing.F) {
	one := private(f, "ES256", "a", `,"nbf":1,"exp":2`)
	f.Add([]byte(one))
	f.Add(setOf(one, private(f, "EdDSA", "b", `,"revoked":true`)))
	f.Fuzz(func(t *testing.T, jwks []byte) {
		keys, err := ParseSigningKeys(jwks)
		if err != nil {
			return
		}
		public, err := keys.Public()
		if err != nil {
			t.Fatal(err)
		}
		if read, err := ParseKeys(public); err != nil || read.Len() > keys.Len() {
			t.Errorf("%v: %s", err, public)
		}
		_, _ = keys.At(time.Unix(1, 0))
	})
}
