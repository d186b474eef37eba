package refresh_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/oauth/refresh"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/egress"
)

// newClient returns a client that reaches the given servers and nothing else that is private.
func newClient(t *testing.T, servers ...*httptest.Server) *refresh.Client {
	t.Helper()
	var allow []string
	for _, s := range servers {
		allow = append(allow, strings.TrimPrefix(s.URL, "http://"))
	}
	var clients []*http.Client
	for _, redirects := range []int{-1, 0} {
		c, err := egress.New(egress.Config{Allow: allow, MaxRedirects: redirects, Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.CloseIdle)
		clients = append(clients, c.HTTPClient())
	}
	c, err := refresh.New(refresh.Config{Endpoints: clients[0], Servers: clients[1], Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, cfg := range []refresh.Config{{}, {Endpoints: http.DefaultClient}, {Servers: http.DefaultClient}} {
		if _, err := refresh.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}

func TestExchange(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		req   secret.ExchangeRequest
		form  url.Values
		basic string
	}{
		"none": {
			secret.ExchangeRequest{Refresh: secret.Refresh{ClientID: "me", TokenAuth: secret.TokenAuthNone}},
			url.Values{"client_id": {"me"}}, "",
		},
		"post": {
			secret.ExchangeRequest{
				Refresh:      secret.Refresh{ClientID: "me", TokenAuth: secret.TokenAuthPost, Scope: "a b", Resource: "https://mcp.example.com"},
				ClientSecret: secret.NewValue("s3cret"),
			},
			url.Values{"client_id": {"me"}, "client_secret": {"s3cret"}, "scope": {"a b"}, "resource": {"https://mcp.example.com"}}, "",
		},
		"basic": {
			secret.ExchangeRequest{
				Refresh: secret.Refresh{ClientID: "m:e", TokenAuth: secret.TokenAuthBasic}, ClientSecret: secret.NewValue("s &cret"),
			},
			url.Values{}, "m%3Ae:s+%26cret",
		},
	} {
		var form url.Values
		var basic string
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_ = r.ParseForm()
			form = r.PostForm
			if user, pass, ok := r.BasicAuth(); ok {
				basic = user + ":" + pass
			}
			_, _ = io.WriteString(w, `{"access_token":"new","refresh_token":"next","expires_in":3600,"token_type":"bearer"}`)
		})
		tt.req.TokenEndpoint, tt.req.RefreshToken = s.URL+"/token", secret.NewValue("old")
		g, err := newClient(t, s).Exchange(t.Context(), tt.req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tt.form.Set("grant_type", "refresh_token")
		tt.form.Set("refresh_token", "old")
		if diff := cmp.Diff(tt.form, form); diff != "" || basic != tt.basic {
			t.Errorf("%s: basic %q, form -want +got\n%s", name, basic, diff)
		}
		if g.AccessToken.Reveal() != "new" || g.RefreshToken.Reveal() != "next" || g.ExpiresIn != time.Hour {
			t.Errorf("%s: %q %q %v", name, g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.ExpiresIn)
		}
	}
}

func TestExchangeAnswers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status  int
		body    string
		expires time.Duration
		answer  *secret.Answer // nil: a grant
	}{
		"short":             {200, `{"access_token":"new"}`, 0, nil},
		"number as text":    {200, `{"access_token":"new","expires_in":"60"}`, time.Minute, nil},
		"for ever":          {200, `{"access_token":"new","expires_in":1e300}`, 10 * 365 * 24 * time.Hour, nil},
		"in the past":       {200, `{"access_token":"new","expires_in":-5}`, 0, nil},
		"refused":           {400, `{"error":"invalid_grant"}`, 0, &secret.Answer{Status: 400, Body: `{"error":"invalid_grant"}`}},
		"refused with 200":  {200, `{"error":"bad_refresh_token"}`, 0, &secret.Answer{Status: 200, Body: `{"error":"bad_refresh_token"}`}},
		"no token":          {200, `{}`, 0, &secret.Answer{Status: 200, Body: `{}`}},
		"no JSON":           {200, `access_token=new`, 0, &secret.Answer{Status: 200, Body: `access_token=new`}},
		"a header in it":    {200, `{"access_token":"a\r\nb: c"}`, 0, &secret.Answer{Status: 200, Body: `{"access_token":"a\r\nb: c"}`}},
		"a redirect":        {307, ``, 0, &secret.Answer{Status: 307}},
		"no UTF-8":          {500, "\xff\x00", 0, &secret.Answer{Status: 500, Body: "\uFFFD\uFFFD"}},
		"a token with 4xx":  {401, `{"access_token":"new"}`, 0, &secret.Answer{Status: 401, Body: `{"access_token":"new"}`}},
		"much":              {500, strings.Repeat("x", 5000), 0, &secret.Answer{Status: 500, Body: strings.Repeat("x", 4096), Truncated: true}},
		"a number as token": {200, `{"access_token":5}`, 0, &secret.Answer{Status: 200, Body: `{"access_token":5}`}},
	} {
		elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Errorf("%s: followed a redirect", name) })
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/x")
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		req := secret.ExchangeRequest{RefreshToken: secret.NewValue("old")}
		req.TokenEndpoint = s.URL
		g, err := newClient(t, s, elsewhere).Exchange(t.Context(), req)
		if tt.answer == nil {
			if err != nil || g.AccessToken.Reveal() != "new" || g.ExpiresIn != tt.expires || !g.RefreshToken.IsZero() {
				t.Errorf("%s: %v %v", name, g.ExpiresIn, err)
			}
			continue
		}
		tt.answer.ContentType = "text/x"
		rejected, ok := errors.AsType[*secret.RejectedError](err)
		if !ok {
			t.Errorf("%s: error %v", name, err)
		} else if diff := cmp.Diff(*tt.answer, rejected.Answer); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a private address was reached") })
	c := newClient(t)
	req := secret.ExchangeRequest{RefreshToken: secret.NewValue("old")}
	req.TokenEndpoint = s.URL
	_, err := c.Exchange(t.Context(), req)
	if _, ok := errors.AsType[*secret.RejectedError](err); ok || !errors.Is(err, egress.ErrBlocked) {
		t.Errorf("error %v", err)
	}
	if _, err := c.Probe(t.Context(), s.URL, secret.NewValue("token")); !errors.Is(err, egress.ErrBlocked) {
		t.Errorf("error %v", err)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		status int
		body   string
		calls  []string
	}{
		"json": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}, 200, "", []string{"POST"}},
		"a session is ended": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.Header().Set("Mcp-Session-Id", "s1")
			}
		}, 200, "", []string{"POST", "DELETE s1"}},
		"a stream that stays open": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 200, "", []string{"POST"}},
		"refused":   {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you", http.StatusUnauthorized) }, 401, "who are you\n", []string{"POST"}},
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, 403, "no\n", []string{"POST"}},
		"older transport": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				http.Error(w, "", http.StatusMethodNotAllowed)
				return
			}
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, 200, "", []string{"POST", "GET"}},
		"older transport, refused": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				http.Error(w, "", http.StatusNotFound)
				return
			}
			http.Error(w, "expired", http.StatusUnauthorized)
		}, 401, "expired\n", []string{"POST", "GET"}},
		"some page": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				http.Error(w, "nothing here", http.StatusNotFound)
				return
			}
			_, _ = io.WriteString(w, "<html>")
		}, 404, "nothing here\n", []string{"POST", "GET"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls []string
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				calls = append(calls, strings.TrimSpace(r.Method+" "+r.Header.Get("Mcp-Session-Id")))
				if got := r.Header.Get("Authorization"); got != "Bearer the-token" {
					t.Errorf("authorization %q", got)
				}
				if r.Method == http.MethodPost {
					var m struct {
						Method string
						Params struct{ ProtocolVersion string }
					}
					if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Method != "initialize" || m.Params.ProtocolVersion == "" {
						t.Errorf("%+v %v", m, err)
					}
					if got := r.Header.Get("Accept"); got != "application/json, text/event-stream" {
						t.Errorf("accept %q", got)
					}
				}
				tt.answer(w, r)
			})
			got, err := newClient(t, s).Probe(t.Context(), s.URL+"/mcp", secret.NewValue("the-token"))
			if err != nil || got.Status != tt.status || got.Body != tt.body {
				t.Fatalf("%+v %v", got, err)
			}
			s.Close() // waits for the last call
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// FuzzGrant feeds the endpoint's answer to the parser: whatever it says, a token that is taken fits into a header.
func FuzzGrant(f *testing.F) {
	for _, s := range []string{`{"access_token":"a","expires_in":1}`, `{"access_token":"a\n"}`, `{"error":"x"}`, `[]`, `{"expires_in":"1e400","access_token":"b"}`} {
		f.Add(s)
	}
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
	f.Cleanup(s.Close)
	c, err := refresh.New(refresh.Config{Endpoints: s.Client(), Servers: s.Client()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		body = text
		req := secret.ExchangeRequest{RefreshToken: secret.NewValue("old")}
		req.TokenEndpoint = s.URL
		g, err := c.Exchange(t.Context(), req)
		if err != nil {
			return
		}
		if g.AccessToken.IsZero() || strings.ContainsAny(g.AccessToken.Reveal()+g.RefreshToken.Reveal(), "\r\n\x00") || g.ExpiresIn < 0 {
			t.Fatalf("%q: %q %q %v", text, g.AccessToken.Reveal(), g.RefreshToken.Reveal(), g.ExpiresIn)
		}
	})
}
