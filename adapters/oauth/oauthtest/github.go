package oauthtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// GitHub is a GitHub Enterprise Server with an OAuth app that anybody may authorize: the account 1001 is called "bot-1001" and owns the
// organization 2001.
type GitHub struct{ *provider }

// NewGitHub starts one, for the duration of the test.
func NewGitHub(tb testing.TB) *GitHub {
	g := &GitHub{newProvider(tb)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", g.authorize)
	mux.HandleFunc("POST /login/oauth/access_token", g.access)
	mux.HandleFunc("GET /api/v3/user", g.call("user", func(w http.ResponseWriter, _ *http.Request, account string) {
		n, _ := strconv.ParseInt(account, 10, 64)
		write(w, http.StatusOK, map[string]any{"id": n, "login": "bot-" + account, "type": "User"})
	}))
	mux.HandleFunc("GET /api/v3/user/memberships/orgs", g.call("orgs", func(w http.ResponseWriter, _ *http.Request, account string) {
		n, _ := strconv.ParseInt(account, 10, 64)
		write(w, http.StatusOK, []any{
			map[string]any{"role": "admin", "state": "active", "organization": map[string]any{"id": n + 1000, "login": "org-" + account}},
			map[string]any{"role": "member", "state": "active", "organization": map[string]any{"id": 9999, "login": "everybody"}},
		})
	}))
	mux.HandleFunc("POST /api/v3/repos/{owner}/{repo}/issues/{number}/comments", g.call("post", g.comment))
	mux.HandleFunc("GET /api/v3/repos/{owner}/{repo}/issues/{number}/comments", g.call("find", g.comments))
	mux.HandleFunc("DELETE /api/v3/applications/{client}/grant", g.revoke)
	g.Config.Handler = mux
	g.Start()
	return g
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func (g *GitHub) access(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	g.mu.Lock()
	defer g.mu.Unlock()
	var account, problem string
	if r.PostForm.Get("client_id") != ClientID || r.PostForm.Get("client_secret") != ClientSecret {
		problem = "incorrect_client_credentials"
	} else if account, problem = g.redeem(r); problem != "" {
		problem = "bad_verification_code"
	}
	if problem != "" { // with status 200, like the real one
		write(w, http.StatusOK, map[string]any{"error": problem, "error_description": "it is wrong"})
		return
	}
	token := random("gho_")
	g.tokens[token] = account
	write(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "bearer", "scope": "read:org,repo"})
}

func (g *GitHub) call(what string, do func(w http.ResponseWriter, r *http.Request, account string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		trouble := g.next(what)
		account, good := g.tokens[bearer(r)]
		switch {
		case trouble == Down:
			hangUp()
		case trouble == TooMany: // the secondary limit, as GitHub spells it
			w.Header().Set("Retry-After", "1")
			write(w, http.StatusForbidden, map[string]any{"message": "You have exceeded a secondary rate limit."})
		case trouble == Broken:
			write(w, http.StatusBadGateway, nil)
		case trouble == Forbidden:
			write(w, http.StatusForbidden, map[string]any{"message": "Resource not accessible"})
		case !good || trouble == Revoked:
			write(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
		case trouble == Lost:
			do(&discard{http.Header{}}, r, account)
			hangUp()
		default:
			do(w, r, account)
		}
	}
}

// discard is an answer that nobody gets.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func (g *GitHub) comment(w http.ResponseWriter, r *http.Request, _ string) {
	var body struct{ Body string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Body == "" {
		write(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed"})
		return
	}
	id := strconv.Itoa(len(g.said) + 1)
	g.said = append(g.said, Said{
		Token: bearer(r), Channel: r.PathValue("owner") + "/" + r.PathValue("repo"), Thread: r.PathValue("number"), Text: body.Body, ID: id,
	})
	write(w, http.StatusCreated, map[string]any{"id": len(g.said)})
}

func (g *GitHub) comments(w http.ResponseWriter, r *http.Request, _ string) {
	found := []any{}
	for i, m := range g.said {
		if m.Channel == r.PathValue("owner")+"/"+r.PathValue("repo") && m.Thread == r.PathValue("number") {
			found = append(found, map[string]any{"id": i + 1, "body": m.Text})
		}
	}
	write(w, http.StatusOK, found)
}

func (g *GitHub) revoke(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next("revoke") == Down {
		hangUp()
	}
	id, secret, _ := r.BasicAuth()
	if id != ClientID || secret != ClientSecret || r.PathValue("client") != ClientID {
		write(w, http.StatusUnauthorized, map[string]any{"message": "Bad credentials"})
		return
	}
	var body struct {
		Token string `json:"access_token"`
	}
	_ = json.NewDecoder(r.Body).Decode(&body)
	account, ok := g.tokens[body.Token]
	if !ok {
		write(w, http.StatusNotFound, map[string]any{"message": "Not Found"})
		return
	}
	for token, a := range g.tokens {
		if a == account {
			delete(g.tokens, token)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// Comment is the body of an issue_comment event: somebody comments on an issue of a repository that belongs to an account.
func Comment(account, repo string, issue, comment int64, text string) string {
	n, _ := strconv.ParseInt(account, 10, 64)
	name, _, _ := strings.Cut(repo, "/")
	b, err := json.Marshal(map[string]any{
		"action": "created", "sender": map[string]any{"id": 77, "login": "human", "type": "User"},
		"repository": map[string]any{"full_name": repo, "owner": map[string]any{"id": n, "login": name, "type": "User"}},
		"issue": map[string]any{
			"id": 500 + issue, "number": issue, "title": "Something is broken", "body": "It is.", "user": map[string]any{"id": 77, "login": "human"},
		},
		"comment": map[string]any{
			"id": comment, "body": text, "user": map[string]any{"id": 77, "login": "human", "type": "User"},
			"created_at": time.Now().UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// GitHubHeaders sign a body, as "Name: value" lines.
func GitHubHeaders(event, delivery, body string) []string {
	mac := hmac.New(sha256.New, []byte(HookSecret))
	mac.Write([]byte(body))
	return []string{
		"X-GitHub-Event: " + event, "X-GitHub-Delivery: " + delivery, "X-Hub-Signature-256: sha256=" + hex.EncodeToString(mac.Sum(nil)),
	}
}
