package app_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

func noOAuth(c *app.Config) { c.OAuth = app.OAuthConfig{} }

// identities starts an identity provider and a server that lets people in by it.
func identities(t *testing.T, change func(*app.Config)) (*mockoidc.MockOIDC, *apptest.Server) {
	t.Helper()
	idp, err := mockoidc.Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := idp.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return idp, apptest.Start(t, apptest.Config{Change: func(c *app.Config) {
		c.OAuth.Google = app.IdentityConfig{ClientID: idp.ClientID, ClientSecret: idp.ClientSecret, Issuer: idp.Issuer()}
		c.OAuth.AllowedDomains = []string{"example.com"}
		if change != nil {
			change(c)
		}
	}})
}

// browser keeps cookies and follows no redirect by itself.
func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
}

// visit opens an address as a browser does and returns the status and where it is sent.
func visit(t *testing.T, b *http.Client, method, address string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("Location")
}

// signIn goes to the identity provider and returns the address that it sends the browser back to.
func signIn(t *testing.T, b *http.Client, s *apptest.Server, query string) string {
	t.Helper()
	status, to := visit(t, b, "GET", s.URL+"/v1/oauth/google/authorize"+query)
	if status != 302 || !strings.Contains(to, "code_challenge_method=S256") || !strings.Contains(to, "nonce=") {
		t.Fatalf("authorize answers %d %s", status, to)
	}
	status, back := visit(t, b, "GET", to)
	if status != 302 || !strings.HasPrefix(back, s.URL+"/v1/oauth/google/callback?") {
		t.Fatalf("the identity provider answers %d %s", status, back)
	}
	return back
}

func user(email string, verified bool) *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: "person-" + email, Email: email, EmailVerified: verified, PreferredUsername: "p"}
}

// TestSignIn lets a person in, who may then do what the cookie's key may, from the server's own pages, until he leaves.
func TestSignIn(t *testing.T) {
	t.Parallel()
	idp, s := identities(t, nil)
	b := browser(t)
	idp.QueueUser(user("Ada@Example.com", true))
	status, to := visit(t, b, "GET", signIn(t, b, s, "?redirect_to=/console/agents"))
	if status != 302 || to != "/console/agents" {
		t.Fatalf("the callback answers %d %s", status, to)
	}
	at, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if c := b.Jar.Cookies(at); len(c) != 1 || c[0].Name != "bureau_console" {
		t.Errorf("the cookies are %v", c)
	}
	for _, c := range []struct {
		what    string
		method  string
		path    string
		headers []string
		want    int
	}{
		{"reading", "GET", "/v1/agents", nil, 200},
		{"reading from a page of the server", "GET", "/v1/agents", []string{"Sec-Fetch-Site: same-origin"}, 200},
		{"reading from another site", "GET", "/v1/agents", []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"}, 401},
		{"changing without saying where from", "DELETE", "/v1/agents/agent_x", nil, 401},
		{"changing from another site", "DELETE", "/v1/agents/agent_x", []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 401},
		{"changing from a sibling site", "DELETE", "/v1/agents/agent_x", []string{"Sec-Fetch-Site: same-site"}, 401},
		{"changing with another origin", "DELETE", "/v1/agents/agent_x", []string{"Origin: https://evil.example"}, 401},
		{"changing from a page of the server", "DELETE", "/v1/agents/agent_x", []string{"Sec-Fetch-Site: same-origin"}, 404},
		{"changing with the server's origin", "DELETE", "/v1/agents/agent_x", []string{"Origin: " + s.URL}, 404},
		{"making keys", "POST", "/v1/api_keys", []string{"Sec-Fetch-Site: same-origin"}, 403},
		{"the operator's business", "GET", "/metrics", nil, 403},
	} {
		if status, _ := visit(t, b, c.method, s.URL+c.path, c.headers...); status != c.want {
			t.Errorf("%s: %d, want %d", c.what, status, c.want)
		}
	}
	if status, _ := visit(t, b, "POST", s.URL+"/v1/oauth/logout", "Sec-Fetch-Site: same-origin"); status != 200 {
		t.Errorf("leaving answers %d", status)
	}
	if c := b.Jar.Cookies(at); len(c) != 0 {
		t.Errorf("cookies are left: %v", c)
	}
	keys := apptest.All[struct{ Name string }](s.Admin, "/v1/api_keys")
	if len(keys) != 1 {
		t.Errorf("the keys are %v", keys)
	}
	found := map[string]bool{}
	for _, e := range apptest.All[struct{ Action string }](s.Admin, "/v1/audit") {
		found[e.Action] = true
	}
	if !found["user_signed_in"] || !found["user_signed_out"] {
		t.Errorf("the trail has %v", found)
	}
}

// TestSignInRefused: who is not let in, and why not.
func TestSignInRefused(t *testing.T) {
	t.Parallel()
	idp, s := identities(t, nil)
	jsonOf := func(b *http.Client, address string) (int, string) {
		t.Helper()
		req, err := http.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		code, _, _ := apptest.Answer{Status: res.StatusCode, Header: res.Header, Body: body}.Error()
		return res.StatusCode, code
	}
	for what, u := range map[string]*mockoidc.MockUser{
		"a stranger":               user("eve@evil.example", true),
		"an address not verified":  user("ada@example.com", false),
		"a subdomain":              user("ada@sub.example.com", true),
		"a domain that ends alike": user("ada@evilexample.com", true),
		"two signs":                user("ada@evil.example@example.com", true),
		"no address":               user("", true),
	} {
		b := browser(t)
		idp.QueueUser(u)
		if status, code := jsonOf(b, signIn(t, b, s, "")); status != 403 || code != "sign_in_not_allowed" {
			t.Errorf("%s: %d %s", what, status, code)
		}
	}
	b := browser(t)
	idp.QueueUser(user("ada@example.com", true))
	back := signIn(t, b, s, "")
	if status, code := jsonOf(browser(t), back); status != 400 || code != "oauth_state_invalid" {
		t.Errorf("another browser: %d %s", status, code)
	}
	if status, code := jsonOf(b, back); status != 400 || code != "oauth_state_invalid" { // the attempt has used the state up
		t.Errorf("the same state again: %d %s", status, code)
	}
	idp.QueueUser(user("ada@example.com", true))
	back = signIn(t, b, s, "")
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("code", "wrong")
	u.RawQuery = q.Encode()
	if status, code := jsonOf(b, u.String()); status != 400 || code != "sign_in_failed" {
		t.Errorf("a wrong code: %d %s", status, code)
	}
	for _, bad := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "console"} {
		if status, _ := visit(t, b, "GET", s.URL+"/v1/oauth/google/authorize?redirect_to="+url.QueryEscape(bad)); status != 400 {
			t.Errorf("%s: %d", bad, status)
		}
	}
	if keys := apptest.All[struct{ Name string }](s.Admin, "/v1/api_keys"); len(keys) != 1 {
		t.Errorf("keys were made: %v", keys)
	}
}

// TestSignInNobody: with nobody named, nobody is let in.
func TestSignInNobody(t *testing.T) {
	t.Parallel()
	idp, s := identities(t, func(c *app.Config) { c.OAuth.AllowedDomains = nil })
	b := browser(t)
	idp.QueueUser(user("ada@example.com", true))
	if status, _ := visit(t, b, "GET", signIn(t, b, s, "")); status != 403 {
		t.Errorf("somebody got in: %d", status)
	}
}
