// Package oauthtest has providers for tests: a Slack and a GitHub that check what the real ones check, and remember what was said.
package oauthtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The credentials of the app that the providers know.
const (
	ClientID     = "client-1"
	ClientSecret = "5eC4e7-of.the~client"
	HookSecret   = "5eC4e7-of.the~webhooks"
)

// Said is a message that somebody posted.
type Said struct {
	Token, Channel, Thread, Text, Name, Avatar, ID string
	Metadata                                       string // Slack only: as it was sent
}

// Trouble is how a provider answers instead of doing what it is asked.
type Trouble string

// The troubles.
const (
	TooMany   Trouble = "too many"      // 429 with a Retry-After of one second; nothing is done
	Lost      Trouble = "lost"          // what is asked is done, and the connection breaks before the answer
	Broken    Trouble = "broken"        // 500; nothing is done
	Forbidden Trouble = "forbidden"     // refused for good
	Revoked   Trouble = "revoked"       // the token is not good any more
	Down      Trouble = "unreachable"   // the connection breaks before anything is done
	NoAccess  Trouble = "access_denied" // at authorization: the person does not agree
)

// grant is a code that was given out.
type grant struct {
	redirectURI, challenge, workspace string
}

// provider is what both have in common.
type provider struct {
	*httptest.Server

	mu      sync.Mutex
	grants  map[string]grant  // by code
	tokens  map[string]string // live ones, to their workspace
	refresh map[string]string // refresh tokens, likewise
	said    []Said
	trouble map[string][]Trouble // by what is asked
	calls   map[string]int
}

func newProvider(tb testing.TB) *provider {
	p := &provider{
		grants: map[string]grant{}, tokens: map[string]string{}, refresh: map[string]string{}, trouble: map[string][]Trouble{}, calls: map[string]int{},
	}
	p.Server = httptest.NewUnstartedServer(nil)
	tb.Cleanup(p.Close)
	return p
}

// Make has the next calls of what is asked ("post", "revoke", "token", "find", "authorize") meet these troubles.
func (p *provider) Make(what string, troubles ...Trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble[what] = append(p.trouble[what], troubles...)
}

// Calls tells how often something was asked.
func (p *provider) Calls(what string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[what]
}

// Said returns what was said, in order.
func (p *provider) Said() []Said {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.said)
}

// Tokens returns the workspaces of the tokens that are good.
func (p *provider) Tokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, w := range p.tokens {
		out = append(out, w)
	}
	slices.Sort(out)
	return out
}

// next counts a call and returns its trouble; "" is none. The lock is held.
func (p *provider) next(what string) Trouble {
	p.calls[what]++
	if len(p.trouble[what]) == 0 {
		return ""
	}
	t := p.trouble[what][0]
	p.trouble[what] = p.trouble[what][1:]
	return t
}

// hangUp breaks the connection without an answer.
func hangUp() { panic(http.ErrAbortHandler) }

func random(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

// authorize answers for a person who agrees: it sends the browser back with a code.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != ClientID:
		http.Error(w, "unknown client", http.StatusBadRequest)
		return
	case err != nil || back.Host == "" || !strings.HasSuffix(back.Path, "/callback"):
		http.Error(w, "the redirect URI is not registered", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code" || q.Get("state") == "" || q.Get("scope") == "":
		http.Error(w, "response_type, state and scope are required", http.StatusBadRequest)
		return
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		http.Error(w, "the challenge is not one of S256", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := url.Values{"state": {q.Get("state")}}
	if p.next("authorize") == NoAccess {
		answer.Set("error", "access_denied")
	} else {
		code := random("code-")
		workspace := q.Get("team") // Slack's own parameter; here for GitHub too
		if workspace == "" {
			workspace = "1001"
		}
		p.grants[code] = grant{q.Get("redirect_uri"), q.Get("code_challenge"), workspace}
		answer.Set("code", code)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// redeem checks a code and its verifier and uses the code up. The lock is held.
func (p *provider) redeem(r *http.Request) (workspace, problem string) {
	code := r.PostForm.Get("code")
	g, ok := p.grants[code]
	delete(p.grants, code)
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case !ok:
		return "", "invalid_code"
	case g.redirectURI != r.PostForm.Get("redirect_uri"):
		return "", "bad_redirect_uri"
	case base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge:
		return "", "invalid_code_verifier"
	}
	return g.workspace, ""
}

// Authorize is a person with a browser who follows redirectURL and agrees, on behalf of a workspace: it returns the address that the
// provider sends the browser back to.
func Authorize(tb testing.TB, redirectURL, workspace string) string {
	tb.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(redirectURL + "&team=" + url.QueryEscape(workspace))
	if err != nil {
		tb.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusFound {
		tb.Fatalf("the provider answers %d to %s", res.StatusCode, redirectURL)
	}
	return res.Header.Get("Location")
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}
