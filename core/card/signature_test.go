package card

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const signable10 = `{"name":"Router","description":"","version":"1","supportedInterfaces":[{"url":"https://a.example/a2a","protocolBinding":"JSONRPC",` +
	`"protocolVersion":"1.0"}],"capabilities":{"streaming":false,"pushNotifications":false,"extensions":[]},"defaultInputModes":["text/plain"],` +
	`"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A","description":"Does A","tags":["a"]}]}`

const signable03 = `{"protocolVersion":"0.3.0","preferredTransport":"JSONRPC","name":"Router","description":"d","url":"https://a.example/a2a","version":"1",` +
	`"capabilities":{"streaming":false},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],"skills":[{"id":"a","name":"A",` +
	`"description":"Does A","tags":["a"]}],"securitySchemes":{"k":{"type":"apiKey","in":"header","name":"X-Key"}},"security":[{"k":[]}]}`

// signers is a key of each algorithm that Sign knows.
func signers(t testing.TB) map[string]SigningKey {
	t.Helper()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	keys := map[string]SigningKey{}
	for name, private := range map[string]crypto.Signer{"ES256": p256, "ES384": p384, "EdDSA": ed} {
		key, err := NewSigningKey(private, "key-"+name)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = key
	}
	return keys
}

// trust returns the public halves as trusted keys.
func trust(t testing.TB, keys ...SigningKey) *Keys {
	t.Helper()
	jwks, err := PublicKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := ParseKeys(jwks)
	if err != nil {
		t.Fatal(err)
	}
	return trusted
}

func mustSign(t testing.TB, text string, key SigningKey) string {
	t.Helper()
	signed, err := Sign([]byte(text), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// states are the states of a card's signatures.
func states(r Result) string {
	var all []string
	for _, v := range r.Signatures {
		all = append(all, string(v.State))
	}
	return strings.Join(all, " ")
}

// signatureCodes are the codes of the warnings about signatures.
func signatureCodes(r Result) string {
	var all []string
	for _, w := range r.Warnings {
		if strings.HasPrefix(w.Code, "signature_") {
			all = append(all, w.Code)
		}
	}
	return strings.Join(all, " ")
}

func TestSignedCardsVerify(t *testing.T) {
	for name, key := range signers(t) {
		for _, text := range []string{signable10, signable03, strings.Replace(signable10, "{", "{\"x-extra\":{\"b\":\"\",\"\U0001F600\":1.50},", 1)} {
			signed := mustSign(t, text, key)
			r := Validate([]byte(signed), Options{Keys: trust(t, key)})
			if !strings.HasPrefix(states(r), "trusted trusted") || signatureCodes(r) != "" {
				t.Errorf("%s: %s, warnings %q of\n%s", name, states(r), signatureCodes(r), signed)
			}
			if r.Signatures[0].Uncovered != nil || r.Signatures[0].KeyID != key.ID() || r.Signatures[0].Algorithm != name {
				t.Errorf("%s: the first signature is %+v", name, r.Signatures[0])
			}
			if again := mustSign(t, text, key); again != signed {
				t.Errorf("%s: signing again gives another text", name)
			}
			if again := mustSign(t, signed, key); again != signed {
				t.Errorf("%s: signing a signed card gives another text:\n%s\n%s", name, signed, again)
			}
			if parsed, _, ok := parse([]byte(signed)); !ok || parsed.get("name").str != "Router" {
				t.Errorf("%s: what was signed is no card", name)
			}
		}
	}
}

// Whatever part of a signed card is changed, no signature over the whole card holds.
func TestChangedCardsDoNotVerify(t *testing.T) {
	key := signers(t)["EdDSA"]
	keys := trust(t, key)
	for _, text := range []string{signable10, signable03} {
		signed := mustSign(t, text, key)
		for _, change := range [][2]string{
			{"https://a.example", "https://b.example"}, {`"Does A"`, `"Does B"`}, {`"streaming":false`, `"streaming":true`},
			{`"tags":["a"]`, `"tags":["a","b"]`}, {`"name":"Router"`, `"name":"Router","iconUrl":"https://c.example"`},
		} {
			changed := strings.Replace(signed, change[0], change[1], 1)
			r := Validate([]byte(changed), Options{Keys: keys})
			if changed == signed || strings.Contains(states(r), "trusted") || signatureCodes(r) != "signature_wrong signature_wrong" {
				t.Errorf("%v: %s, %q", change, states(r), signatureCodes(r))
			}
			if !r.Valid {
				t.Errorf("%v: a wrong signature makes the card invalid", change)
			}
		}
		// Of a field that no version knows, signatures of readers that leave such fields out say nothing, which is told.
		changed := strings.Replace(signed, "{", `{"x-added":"by somebody",`, 1)
		r := Validate([]byte(changed), Options{Keys: keys})
		if !strings.HasSuffix(states(r), "trusted") || !strings.HasSuffix(signatureCodes(r), "signature_partial") {
			t.Errorf("an added field: %s, %q", states(r), signatureCodes(r))
		}
		for _, v := range r.Signatures {
			if v.State == SignatureTrusted && !slices.Contains(v.Uncovered, "x-added") {
				t.Errorf("the added field is not among the uncovered: %q", v.Uncovered)
			}
		}
	}
}

// A signature over the fields of one version says nothing of those of another.
func TestFormsOfOtherVersions(t *testing.T) {
	key := signers(t)["ES256"]
	for _, c := range []struct {
		text, other string
		form        form
		held        Version
	}{
		{signable10, `{"protocolVersion":"0.3.0","url":"https://evil.example",`, formSDK, V030},
		{signable10, `{"protocolVersion":"0.3.0","url":"https://evil.example",`, formSchema, V030},
		{signable03, `{"supportedInterfaces":[{"url":"https://evil.example","protocolBinding":"JSONRPC","protocolVersion":"1.0"}],`, formSDK03, V10},
	} {
		signed := strings.Replace(signForm(t, c.text, key, c.form), "{", c.other, 1)
		r := Validate([]byte(signed), Options{Keys: trust(t, key), Version: c.held})
		if states(r) != "unknown" || signatureCodes(r) != "signature_wrong" || !strings.Contains(r.Signatures[0].Reason, "anybody could have changed") {
			t.Errorf("%s of a card read as %s: %s, %q", c.form.name, c.held, states(r), r.Signatures[0].Reason)
		}
	}
}

// signForm signs a card in one form.
func signForm(t testing.TB, text string, key SigningKey, f form) string {
	t.Helper()
	c, err := readSignable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	payload, _, err := c.payload(f)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := key.sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(c.withSignatures([]string{entry}))
}

func TestEveryFormIsVerified(t *testing.T) {
	key := signers(t)["ES384"]
	extra := strings.Replace(signable10, `"capabilities":{`, `"unknown":[""],"securityRequirements":[{"schemes":{"k":{"list":[]}}}],"capabilities":{`, 1)
	for _, c := range []struct {
		text      string
		form      form
		uncovered string
	}{
		{extra, formSpecification, ""},
		{extra, formVerbatim, ""},
		{extra, formSchema, "unknown"},
		{extra, formSDK, "securityRequirements unknown"},
		{signable03, formVerbatim, ""},
		{signable03, formSpecification, ""},
		{signable03, formSDK03, "security"},
	} {
		r := Validate([]byte(signForm(t, c.text, key, c.form)), Options{Keys: trust(t, key)})
		if states(r) != "trusted" || strings.Join(r.Signatures[0].Uncovered, " ") != c.uncovered {
			t.Errorf("%s: %+v", c.form.name, r.Signatures)
		}
		if got := signatureCodes(r); (got == "signature_partial") != (c.uncovered != "") {
			t.Errorf("%s: %q", c.form.name, got)
		}
	}
	typed := strings.Replace(signable10, `"capabilities":{`, `"securitySchemes":{"k":{"mtlsSecurityScheme":{"description":"d"}}},"capabilities":{`, 1)
	r := Validate([]byte(signForm(t, typed, key, formTyped)), Options{Keys: trust(t, key)})
	if states(r) != "wrong" || !strings.Contains(r.Signatures[0].Reason, "securitySchemes") {
		t.Errorf("a signature over a card without its securitySchemes: %+v", r.Signatures)
	}
}

// entry is an entry of signatures with a header and a signature as they are.
func entry(header, signature string) string {
	return fmt.Sprintf(`{"protected":%q,"signature":%q}`, base64.RawURLEncoding.EncodeToString([]byte(header)), signature)
}

func withEntries(text string, entries ...string) string {
	return strings.TrimSuffix(text, "}") + `,"signatures":[` + strings.Join(entries, ",") + `]}`
}

func TestSignaturesThatAreNone(t *testing.T) {
	key := signers(t)["ES256"]
	const right = `{"alg":"ES256","kid":"key-ES256","typ":"JOSE"}`
	many := strings.Repeat("x", maxHeader)
	for _, c := range []struct{ name, entry, codes string }{
		{"no base64url", `{"protected":"e30=","signature":"QQ"}`, "signature_malformed"},
		{"trailing bits", `{"protected":"e31","signature":"QQ"}`, "signature_malformed"},
		{"no JSON", entry(`{`, "QQ"), "signature_malformed"},
		{"no object", entry(`[]`, "QQ"), "signature_malformed"},
		{"a key twice", entry(`{"alg":"ES256","alg":"none","kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_malformed"},
		{"long", entry(`{"alg":"`+many+`"}`, "QQ"), "signature_malformed"},
		{"no alg", entry(`{"kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_algorithm"},
		{"none", entry(`{"alg":"none","kid":"key-ES256","typ":"JOSE"}`, ""), "signature_algorithm"},
		{"None", entry(`{"alg":"None","kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_algorithm"},
		{"HMAC", entry(`{"alg":"HS256","kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_algorithm"},
		{"alg of another kind", entry(`{"alg":["ES256"],"kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_algorithm"},
		{"no kid", entry(`{"alg":"ES256","typ":"JOSE"}`, "QQ"), "signature_malformed"},
		{"kid outside", strings.Replace(entry(`{"alg":"ES256","typ":"JOSE"}`, "QQ"), "{", `{"header":{"kid":"key-ES256"},`, 1), "signature_malformed"},
		{"no typ", entry(`{"alg":"ES256","kid":"other"}`, "QQ"), "signature_unknown_key signature_type"},
		{"crit", entry(`{"alg":"ES256","kid":"key-ES256","typ":"JOSE","crit":["b64"],"b64":false}`, "QQ"), "signature_malformed"},
		{"b64", entry(`{"alg":"ES256","kid":"key-ES256","typ":"JOSE","b64":false}`, "QQ"), "signature_malformed"},
		{"one parameter in both", strings.Replace(entry(right, "QQ"), "{", `{"header":{"kid":"x"},`, 1), "signature_malformed"},
		{"alg outside", strings.Replace(entry(`{"kid":"key-ES256","typ":"JOSE"}`, "QQ"), "{", `{"header":{"alg":"ES256"},`, 1), "signature_malformed"},
		{"empty", entry(right, ""), "signature_malformed"},
		{"padded", entry(right, "QQ=="), "signature_malformed"},
		{"short", entry(right, "QQ"), "signature_wrong"},
		{"zeros", entry(right, strings.Repeat("A", 86)), "signature_wrong"},
		{"an algorithm of another key", entry(`{"alg":"ES384","kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_wrong"},
		{"RSA by a key of a curve", entry(`{"alg":"RS256","kid":"key-ES256","typ":"JOSE"}`, "QQ"), "signature_wrong"},
		{"an unknown key", entry(`{"alg":"ES256","kid":"other","typ":"JOSE"}`, "QQ"), "signature_unknown_key"},
	} {
		r := Validate([]byte(withEntries(signable10, c.entry)), Options{Keys: trust(t, key)})
		if got := signatureCodes(r); got != c.codes || strings.Contains(states(r), "trusted") || !r.Valid {
			t.Errorf("%s: %q, %s, valid %v", c.name, got, states(r), r.Valid)
		}
		if r.Signatures[0].Reason == "" {
			t.Errorf("%s: there is no reason", c.name)
		}
	}
}

// A key that the card brings or points to is never taken, and named.
func TestKeysOfHeadersAreNotUsed(t *testing.T) {
	key := signers(t)["ES256"]
	public, err := key.Public()
	if err != nil {
		t.Fatal(err)
	}
	private := key.signer.(*ecdsa.PrivateKey)
	for _, name := range []string{"jwk", "jku"} {
		value := any("https://evil.example/jwks.json")
		if name == "jwk" {
			value = json.RawMessage(public)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private},
			(&jose.SignerOptions{ExtraHeaders: map[jose.HeaderKey]any{jose.HeaderKey(name): value, "kid": "theirs"}}).WithType("JOSE"))
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := Canonical([]byte(signable10))
		jws, err := signer.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		compact, _ := jws.DetachedCompactSerialize()
		parts := strings.Split(compact, ".")
		card := withEntries(signable10, fmt.Sprintf(`{"protected":%q,"signature":%q}`, parts[0], parts[2]))
		for _, keys := range []*Keys{nil, trust(t), trust(t, key)} {
			r := Validate([]byte(card), Options{Keys: keys})
			want := "signature_unknown_key signature_header_key"
			if keys == nil {
				want = "signature_header_key"
			}
			if got := signatureCodes(r); states(r) != "unknown" || got != want {
				t.Errorf("%s: %s, %q", name, states(r), got)
			}
		}
	}
}

func TestSeveralSignatures(t *testing.T) {
	keys := signers(t)
	signed := mustSign(t, mustSign(t, signable10, keys["ES256"]), keys["EdDSA"])
	r := Validate([]byte(signed), Options{Keys: trust(t, keys["EdDSA"])})
	if states(r) != "unknown unknown trusted trusted" || signatureCodes(r) != "" {
		t.Errorf("one trusted of two: %s, %q", states(r), signatureCodes(r))
	}
	r = Validate([]byte(signed), Options{Keys: trust(t, keys["ES384"])})
	if states(r) != "unknown unknown unknown unknown" || signatureCodes(r) != "signature_unknown_key" {
		t.Errorf("none trusted: %s, %q", states(r), signatureCodes(r))
	}
	r = Validate([]byte(signed), Options{})
	if states(r) != "unknown unknown unknown unknown" || signatureCodes(r) != "" {
		t.Errorf("without keys: %s, %q", states(r), signatureCodes(r))
	}
	// A wrong one stays visible beside a right one.
	wrong := entry(`{"alg":"ES256","kid":"key-ES256","typ":"JOSE"}`, strings.Repeat("A", 86))
	r = Validate([]byte(withEntries(signable10, wrong, signatureOf(t, mustSign(t, signable10, keys["EdDSA"])))), Options{Keys: trust(t, keys["ES256"], keys["EdDSA"])})
	if states(r) != "wrong trusted" || signatureCodes(r) != "signature_wrong" {
		t.Errorf("a wrong one and a right one: %s, %q", states(r), signatureCodes(r))
	}
	// No more are verified than MaxSignatures.
	many := slices.Repeat([]string{wrong}, MaxSignatures)
	many = append(many, signatureOf(t, mustSign(t, signable10, keys["EdDSA"])))
	r = Validate([]byte(withEntries(signable10, many...)), Options{Keys: trust(t, keys["ES256"], keys["EdDSA"])})
	if !strings.HasSuffix(states(r), " unknown") || !strings.Contains(signatureCodes(r), "signature_many") {
		t.Errorf("many: %s, %q", states(r), signatureCodes(r))
	}
}

// signatureOf is the text of the first signature of a card.
func signatureOf(t testing.TB, text string) string {
	t.Helper()
	root, _, ok := parse([]byte(text))
	if !ok {
		t.Fatal(text)
	}
	n := root.get("signatures").items[0]
	return text[n.start:n.end]
}

// Two publishers may have given their keys one name.
func TestKeysOfOneName(t *testing.T) {
	keys := signers(t)
	first, _ := NewSigningKey(keys["ES256"].signer, "key-1")
	second, _ := NewSigningKey(keys["EdDSA"].signer, "key-1")
	third, _ := NewSigningKey(signers(t)["EdDSA"].signer, "key-1")
	r := Validate([]byte(mustSign(t, signable10, third)), Options{Keys: trust(t, first, second, third)})
	if !strings.HasPrefix(states(r), "trusted") {
		t.Errorf("%s: %+v", states(r), r.Signatures)
	}
}

func TestAmbiguousCardsAreRefused(t *testing.T) {
	key := signers(t)["EdDSA"]
	for _, c := range []struct{ name, from, to string }{
		{"a key twice", `{"name":`, `{"name":"Other","name":`},
		{"a key twice, inside", `"streaming":false`, `"streaming":true,"streaming":false`},
		{"half a character", `"Does A"`, `"Does \ud800"`},
		{"no UTF-8", `"Does A"`, "\"Does \xff\""},
		{"a rounded integer", `"streaming":false`, `"streaming":false,"n":9007199254740993`},
		{"a number that is no double", `"streaming":false`, `"streaming":false,"n":1e999`},
	} {
		text := strings.Replace(signable10, c.from, c.to, 1)
		if _, err := Sign([]byte(text), key); err == nil {
			t.Errorf("%s: is signed", c.name)
		}
		if _, err := Canonical([]byte(text)); err == nil {
			t.Errorf("%s: has a canonical form", c.name)
		}
		signed := strings.Replace(mustSign(t, signable10, key), c.from, c.to, 1)
		r := Validate([]byte(signed), Options{Keys: trust(t, key)})
		if strings.Contains(states(r), "trusted") {
			t.Errorf("%s: %s", c.name, states(r))
		}
	}
	// The values that are read are those that were signed, and still it is not to be trusted.
	r := Validate([]byte(strings.Replace(mustSign(t, signable10, key), `{"name":`, `{"name":"Other","name":`, 1)), Options{Keys: trust(t, key)})
	if signatureCodes(r) != "signature_ambiguous signature_ambiguous" {
		t.Errorf("a key twice: %q", signatureCodes(r))
	}
}

func TestValidityOfKeys(t *testing.T) {
	key := signers(t)["EdDSA"]
	public, _ := key.Public()
	signed := []byte(mustSign(t, signable10, key))
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		members string
		now     time.Time
		state   string
	}{
		{``, now, "trusted"},
		{fmt.Sprintf(`,"nbf":%d`, now.Unix()), now, "trusted"},
		{fmt.Sprintf(`,"nbf":%d`, now.Unix()+1), now, "wrong"},
		{fmt.Sprintf(`,"exp":%d`, now.Unix()+1), now, "trusted"},
		{fmt.Sprintf(`,"exp":%d`, now.Unix()), now, "wrong"},
		{fmt.Sprintf(`,"exp":%d`, now.Unix()), time.Time{}, "trusted"},
		{`,"revoked":false`, now, "trusted"},
		{`,"revoked":true`, now, "wrong"},
		{`,"revoked":true`, time.Time{}, "wrong"},
	} {
		keys, err := ParseKeys([]byte(`{"keys":[` + strings.TrimSuffix(string(public), "}") + c.members + `}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r := Validate(signed, Options{Keys: keys, Now: c.now})
		want := ""
		if c.state == "wrong" {
			want = "signature_key_invalid signature_key_invalid"
		}
		if r.Signatures[0].State != SignatureState(c.state) || signatureCodes(r) != want {
			t.Errorf("%s: %s, %q", c.members, states(r), signatureCodes(r))
		}
	}
}

// Before 1.0 nothing asks for a kid in the protected header, and one in the other header says which trusted key to try.
func TestKeyIDOutsideBefore10(t *testing.T) {
	key := signers(t)["EdDSA"]
	payload, _ := Canonical([]byte(signable03))
	protected := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA"}`))
	signature, err := key.signature([]byte(protected + "." + base64.RawURLEncoding.EncodeToString(payload)))
	if err != nil {
		t.Fatal(err)
	}
	for header, state := range map[string]string{`,"header":{"kid":"key-EdDSA"}`: "trusted", `,"header":{"kid":"other"}`: "unknown", ``: "unknown"} {
		card := withEntries(signable03, fmt.Sprintf(`{"protected":%q,"signature":%q%s}`, protected, base64.RawURLEncoding.EncodeToString(signature), header))
		if r := Validate([]byte(card), Options{Keys: trust(t, key)}); states(r) != state {
			t.Errorf("%q: %s", header, states(r))
		}
	}
}

func TestRSA(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	jwk, _ := (&jose.JSONWebKey{Key: private.Public(), KeyID: "r"}).MarshalJSON()
	keys, err := ParseKeys(jwk)
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := Canonical([]byte(signable10))
	for alg, state := range map[jose.SignatureAlgorithm]string{jose.RS256: "trusted", jose.PS256: "trusted", jose.RS512: "malformed"} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: private, KeyID: "r"}}, (&jose.SignerOptions{}).WithType("JOSE"))
		if err != nil {
			t.Fatal(err)
		}
		jws, _ := signer.Sign(payload)
		compact, _ := jws.DetachedCompactSerialize()
		parts := strings.Split(compact, ".")
		r := Validate([]byte(withEntries(signable10, fmt.Sprintf(`{"protected":%q,"signature":%q}`, parts[0], parts[2]))), Options{Keys: keys})
		if states(r) != state {
			t.Errorf("%s: %s %q", alg, states(r), r.Signatures[0].Reason)
		}
	}
	if _, err := NewSigningKey(private, "r"); err == nil {
		t.Error("RSA signs")
	}
}
