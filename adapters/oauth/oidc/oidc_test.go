package oidc

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
)

// issuer is an OpenID provider whose ID tokens a test writes.
type issuer struct {
	*httptest.Server

	t     *testing.T
	key   *rsa.PrivateKey
	token func() string // the ID token
	asked int
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key}
	mux := http.NewServeMux()
	answer := func(v any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		}
	}
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	mux.HandleFunc("/.well-known/openid-configuration", answer(map[string]any{
		"issuer": i.URL, "authorization_endpoint": i.URL + "/authorize", "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}))
	mux.HandleFunc("/keys", answer(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}}))
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		i.asked++
		_ = r.ParseForm()
		id, secret, _ := r.BasicAuth() // what an issuer supports that does not say what it supports
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if id != "client" || secret != "secret" || r.PostForm.Get("code") != "code" || r.PostForm.Get("redirect_uri") != "https://here.example/callback" ||
			base64.RawURLEncoding.EncodeToString(sum[:]) != challenge() {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_grant"}`))
			return
		}
		answer(map[string]any{"access_token": "at", "token_type": "Bearer", "id_token": i.token()})(w, r)
	})
	return i
}

func challenge() string {
	sum := sha256.Sum256([]byte(request.Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

var request = account.AuthRequest{
	State: "state", Nonce: "nonce-1", Verifier: strings.Repeat("v", 43), RedirectURI: "https://here.example/callback",
}

func (i *issuer) client() *Provider {
	i.t.Helper()
	p, err := New(Config{Issuer: i.URL, ClientID: "client", ClientSecret: "secret", HTTP: i.Client()})
	if err != nil {
		i.t.Fatal(err)
	}
	return p
}

func (i *issuer) claims() map[string]any {
	return map[string]any{
		"iss": i.URL, "aud": "client", "sub": "person", "nonce": request.Nonce, "exp": time.Now().Add(time.Minute).Unix(),
		"iat": time.Now().Unix(), "email": "ada@example.com", "email_verified": true, "name": "Ada",
	}
}

// sign makes a token of claims.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := i.client()
	to, err := p.AuthURL(context.Background(), request)
	if err != nil || !strings.HasPrefix(to, i.URL+"/authorize?") || !strings.Contains(to, "code_challenge="+challenge()) || !strings.Contains(to, "nonce=nonce-1") {
		t.Fatalf("%s, %v", to, err)
	}
	for _, verified := range []any{true, "true", false, "false", nil, 1} {
		i.token = func() string {
			c := i.claims()
			c["email_verified"] = verified
			return sign(t, jose.RS256, i.key, c)
		}
		got, err := p.Identify(context.Background(), request, "code")
		want := account.Identity{Issuer: i.URL, Subject: "person", Email: "ada@example.com", EmailVerified: verified == true || verified == "true", Name: "Ada"}
		if err != nil || got != want {
			t.Errorf("%v: %+v, %v; want %+v", verified, got, err, want)
		}
	}
}

// TestForged: a token that is not exactly what was asked for says nothing about anybody.
func TestForged(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := i.client()
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	with := func(name string, v any) func() string {
		return func() string {
			c := i.claims()
			c[name] = v
			return sign(t, jose.RS256, i.key, c)
		}
	}
	none := func() string {
		body, _ := json.Marshal(i.claims())
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(body) + "."
	}
	for what, token := range map[string]func() string{
		"another key":           func() string { return sign(t, jose.RS256, other, i.claims()) },
		"no signature":          none,
		"a shared secret":       func() string { return sign(t, jose.HS256, i.key.N.Bytes(), i.claims()) },
		"another issuer":        with("iss", "https://evil.example"),
		"another audience":      with("aud", "somebody else"),
		"expired":               with("exp", time.Now().Add(-time.Minute).Unix()),
		"another nonce":         with("nonce", "nonce-2"),
		"no nonce":              with("nonce", nil),
		"no subject":            with("sub", ""),
		"another party":         with("azp", "somebody else"),
		"another access token":  with("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"not a token":           func() string { return "x" },
		"no token":              func() string { return "" },
		"a token that was cut":  func() string { s := sign(t, jose.RS256, i.key, i.claims()); return s[:len(s)-8] },
		"claims that are other": func() string { return swap(sign(t, jose.RS256, i.key, i.claims())) },
	} {
		i.token = token
		if who, err := p.Identify(context.Background(), request, "code"); !errors.Is(err, account.ErrIdentity) {
			t.Errorf("%s: %+v, %v", what, who, err)
		}
	}
	i.token = func() string { return sign(t, jose.RS256, i.key, i.claims()) }
	if _, err := p.Identify(context.Background(), request, "another code"); !errors.Is(err, account.ErrIdentity) {
		t.Errorf("another code: %v", err)
	}
	verifier := request
	verifier.Verifier = strings.Repeat("w", 43)
	asked := i.asked
	if _, err := p.Identify(context.Background(), verifier, "code"); !errors.Is(err, account.ErrIdentity) || i.asked != asked+1 {
		t.Errorf("another verifier: %v after %d requests: a code is asked for once only", err, i.asked-asked)
	}
}

// swap gives a token another subject and leaves the signature.
func swap(token string) string {
	parts := strings.Split(token, ".")
	body, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(body), `"person"`, `"admin!"`, 1)))
	return strings.Join(parts, ".")
}

// TestIssuerAway: an issuer that does not answer is asked again the next time.
func TestIssuerAway(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	p := i.client()
	p.cfg.Issuer = i.URL + "/nowhere"
	if _, err := p.AuthURL(context.Background(), request); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	p.cfg.Issuer = i.URL + "/" // not what the document says: OpenID Connect Discovery 1.0, 4.3
	if _, err := p.AuthURL(context.Background(), request); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("another issuer's document: %v", err)
	}
	p.cfg.Issuer = i.URL
	if _, err := p.AuthURL(context.Background(), request); err != nil {
		t.Error(err)
	}
}
