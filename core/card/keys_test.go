package card

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestParseKeys(t *testing.T) {
	keys := signers(t)
	public, _ := keys["ES256"].Public()
	private, _ := keys["ES256"].Private()
	other, _ := keys["EdDSA"].Public()
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	large, _ := (&jose.JSONWebKey{Key: &p521.PublicKey, KeyID: "p521"}).MarshalJSON()
	with := func(members string) string { return strings.TrimSuffix(string(public), "}") + "," + members + "}" }
	without := func(member string) string {
		var all map[string]any
		if err := json.Unmarshal(public, &all); err != nil {
			t.Fatal(err)
		}
		delete(all, member)
		text, _ := json.Marshal(all)
		return string(text)
	}
	for _, c := range []struct {
		name, text string
		size       int
		fault      string // part of the error; "" is none
	}{
		{"a set", fmt.Sprintf(`{"keys":[%s,%s]}`, public, other), 2, ""},
		{"an empty set", `{"keys":[]}`, 0, ""},
		{"a single key", string(public), 1, ""},
		{"no alg, no use", strings.ReplaceAll(without("alg"), `,"use":"sig"`, ""), 1, ""},
		{"no JSON", `x`, 0, "no JWK Set"},
		{"no set", `{}`, 0, `no "keys"`},
		{"an array", `[]`, 0, "no JWK Set"},
		{"a text among the keys", `{"keys":["x"]}`, 0, "keys[0]: no JWK"},
		{"no kty", `{"keys":[` + without("kty") + `]}`, 0, `no "kty"`},
		{"no kid", `{"keys":[` + without("kid") + `]}`, 0, `no "kid"`},
		{"twice", fmt.Sprintf(`{"keys":[%s,%s]}`, public, public), 0, "keys[1]: the key \"key-ES256\" is there twice"},
		{"private", fmt.Sprintf(`{"keys":[%s]}`, private), 0, "is private"},
		{"shared", `{"keys":[{"kty":"oct","kid":"s","k":"AAAA"}]}`, 0, "shared secret"},
		{"another curve", fmt.Sprintf(`{"keys":[%s]}`, large), 0, "fits no algorithm"},
		{"short RSA", `{"keys":[{"kty":"RSA","kid":"r","e":"AQAB","n":"` + strings.Repeat("z", 170) + `w"}]}`, 0, "fits no algorithm"},
		{"no point of the curve", `{"keys":[{"kty":"EC","kid":"e","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}]}`, 0, "cannot be read"},
		{"for encryption", `{"keys":[` + strings.Replace(string(public), `"use":"sig"`, `"use":"enc"`, 1) + `]}`, 0, "not for verifying"},
		{"for signing only", `{"keys":[` + with(`"key_ops":["sign"]`) + `]}`, 0, "not for verifying"},
		{"for verifying", `{"keys":[` + with(`"key_ops":["verify"]`) + `]}`, 1, ""},
		{"another alg", `{"keys":[` + strings.Replace(string(public), `"ES256"`, `"ES384"`, 1) + `]}`, 0, "cannot"},
		{"never valid", `{"keys":[` + with(`"nbf":2,"exp":2`) + `]}`, 0, "never valid"},
		{"nbf is a text", `{"keys":[` + with(`"nbf":"2"`) + `]}`, 0, "nbf"},
		{"revoked is a text", `{"keys":[` + with(`"revoked":"no"`) + `]}`, 0, "revoked"},
	} {
		got, err := ParseKeys([]byte(c.text))
		if c.fault == "" && (err != nil || got.Len() != c.size) {
			t.Errorf("%s: %v, %d keys", c.name, err, got.Len())
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%s: %v, not %q", c.name, err, c.fault)
		}
	}
	if (*Keys)(nil).Len() != 0 {
		t.Error("no keys are some")
	}
}

func TestSigningKeys(t *testing.T) {
	withRSA := rsaPrivate(t)
	for name, key := range signers(t) {
		private, err := key.Private()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseSigningKey(private)
		if err != nil || again.ID() != key.ID() || again.Algorithm() != name || mustSign(t, signable10, again) != mustSign(t, signable10, key) {
			t.Errorf("%s: a key that was written is read as another: %v", name, err)
		}
		public, _ := key.Public()
		if bytes.Contains(public, []byte(`"d"`)) {
			t.Errorf("%s: the public half has the private one", name)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, key); got != "key "+key.ID() {
				t.Errorf("%s shows %s", verb, got)
			}
		}
		named, err := NewSigningKey(key.signer, "")
		if err != nil || len(named.ID()) != 43 {
			t.Errorf("%s: %v, named %q", name, err, named.ID())
		}
		for fault, text := range map[string][]byte{
			"is public":            public,
			"no \"kid\"":           bytes.Replace(private, []byte(`"kid"`), []byte(`"kif"`), 1),
			"cannot":               bytes.Replace(private, []byte(`"alg":"`), []byte(`"alg":"X`), 1),
			"not for signing":      bytes.Replace(private, []byte(`"use":"sig"`), []byte(`"use":"enc"`), 1),
			"never valid":          append(bytes.TrimSuffix(private, []byte("}")), `,"nbf":3,"exp":2}`...),
			"no JWK":               []byte(`x`),
			"a shared secret":      []byte(`{"kty":"oct","kid":"a","k":"AAAA"}`),
			"key \"a\" cannot be":  []byte(`{"kty":"EC","kid":"a","crv":"P-256","x":"A","y":"A","d":"A"}`),
			"Ed25519, P-256 or P-": []byte(withRSA),
		} {
			if _, err := ParseSigningKey(text); err == nil || !strings.Contains(err.Error(), fault) {
				t.Errorf("%s: %v, not %q", name, err, fault)
			}
		}
	}
}

func rsaPrivate(t *testing.T) string {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := (&jose.JSONWebKey{Key: private, KeyID: "r"}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUsableSigningKeys(t *testing.T) {
	key := signers(t)["EdDSA"]
	private, _ := key.Private()
	private = append(bytes.TrimSuffix(private, []byte("}")), `,"nbf":100,"exp":200}`...)
	limited, err := ParseSigningKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for second, usable := range map[int64]bool{99: false, 100: true, 199: true, 200: false} {
		if err := limited.Usable(time.Unix(second, 0)); (err == nil) != usable {
			t.Errorf("at %d: %v", second, err)
		}
	}
	if within := key.Within(time.Unix(100, 5), time.Unix(200, 5)); within.Usable(time.Unix(99, 0)) == nil || within.Usable(time.Unix(200, 0)) == nil {
		t.Error("Within does not bound the validity")
	}
	written, _ := limited.Public()
	for _, member := range []string{`"nbf":100`, `"exp":200`} {
		if !bytes.Contains(written, []byte(member)) {
			t.Errorf("the public half does not say %s: %s", member, written)
		}
	}
}
