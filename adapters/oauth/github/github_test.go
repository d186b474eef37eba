package github

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/oauth/oauthtest"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
)

var bg = context.Background()

const (
	verifier = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
	callback = "https://here.example/v1/integrations/github/callback"
)

func install(t *testing.T, g *oauthtest.GitHub) (*Provider, integration.Grant) {
	t.Helper()
	p, err := New(Config{
		ClientID: oauthtest.ClientID, ClientSecret: oauthtest.ClientSecret, WebhookSecret: oauthtest.HookSecret, BaseURL: g.URL, HTTP: g.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	back, err := url.Parse(oauthtest.Authorize(t, p.AuthURL("state", verifier, callback), "1001"))
	if err != nil {
		t.Fatal(err)
	}
	grant, err := p.Exchange(bg, back.Query().Get("code"), verifier, callback)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Exchange(bg, back.Query().Get("code"), verifier, callback); !errors.Is(err, integration.ErrExchange) {
		t.Errorf("a code twice: %v", err)
	}
	return p, grant
}

func TestInstall(t *testing.T) {
	t.Parallel()
	g := oauthtest.NewGitHub(t)
	p, got := install(t, g)
	token := got.Token
	got.Token = integration.Token{}
	want := integration.Grant{
		WorkspaceID: "1001", WorkspaceName: "bot-1001", Kind: "user", BotUserID: "1001", BotLogin: "bot-1001", AuthorizedBy: "1001",
		Scopes: []string{"read:org", "repo"}, Accounts: []string{"1001", "2001"}, // not the organization that it is a mere member of
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for range 2 {
		if err := p.Revoke(bg, token); err != nil || len(g.Tokens()) != 0 {
			t.Errorf("revoking: %v, and %v are left", err, g.Tokens())
		}
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	g := oauthtest.NewGitHub(t)
	p, grant := install(t, g)
	speech := integration.Speech{Key: "post_1", Channel: "bot-1001/site", Thread: "3", Text: strings.Repeat("ä", 70_000), Since: time.Now()}
	if _, said, err := p.Posted(bg, grant.Token, speech); said || err != nil {
		t.Errorf("it was said before: %t, %v", said, err)
	}
	external, err := p.Post(bg, grant.Token, speech)
	if err != nil {
		t.Fatal(err)
	}
	if text := g.Said()[0].Text; len([]rune(text)) > 65_536 || !strings.HasSuffix(text, marker("post_1")) {
		t.Errorf("a comment of %d characters ends with %q", len([]rune(text)), text[len(text)-30:])
	}
	if found, said, err := p.Posted(bg, grant.Token, speech); !said || err != nil || found != external {
		t.Errorf("%q, %t, %v", found, said, err)
	}
	for trouble, want := range map[oauthtest.Trouble]error{
		oauthtest.TooMany: integration.ErrRateLimited, oauthtest.Lost: integration.ErrUnreachable, oauthtest.Broken: integration.ErrUnreachable,
		oauthtest.Forbidden: integration.ErrRefused, oauthtest.Revoked: integration.ErrRevoked, oauthtest.Down: integration.ErrUnreachable,
	} {
		g.Make("post", trouble)
		if _, err := p.Post(bg, grant.Token, speech); !errors.Is(err, want) {
			t.Errorf("%s: %v", trouble, err)
		}
	}
	for _, bad := range []integration.Speech{{Channel: "site", Thread: "3"}, {Channel: "a/b", Thread: "x"}, {Channel: "a/b", Thread: "-1"}} {
		if _, err := p.Post(bg, grant.Token, bad); !errors.Is(err, integration.ErrRefused) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestPatience(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for want, h := range map[time.Duration]http.Header{
		7 * time.Second:  {"Retry-After": {"7"}, "X-Ratelimit-Reset": {"2000"}},
		90 * time.Second: {"X-Ratelimit-Reset": {"1090"}},
		time.Second:      {"X-Ratelimit-Reset": {"10"}},
		time.Minute:      {},
		time.Hour:        {"Retry-After": {"99999999"}},
	} {
		if got := patience(h, now); got != want {
			t.Errorf("%v: %s, want %s", h, got, want)
		}
	}
}

func TestMentions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"@bot hello":                     {"bot"},
		"hello (@Bot-1), and @other.":    {"bot-1", "other"},
		"@bot @BOT":                      {"bot"},
		"me@bot.example, a/@bot, `@bot`": nil,
		"@-bot and @":                    nil,
		"line\n@bot":                     {"bot"},
	} {
		if diff := cmp.Diff(want, mentions(text)); diff != "" {
			t.Errorf("%q, -want +got:\n%s", text, diff)
		}
	}
}

// FuzzRead: whatever is signed, reading it does not fail in another way than by an error, and what it yields is whole.
func FuzzRead(f *testing.F) {
	f.Add("issue_comment", oauthtest.Comment("1001", "a/b", 1, 2, "@bot hello"))
	f.Add("issues", `{"action":"opened","issue":{"id":1,"number":2,"body":"@bot","user":{"id":3}},"repository":{"full_name":"a/b"}}`)
	f.Add("pull_request", `{"action":"opened","pull_request":{"id":1,"number":2,"body":"@bot"},"repository":{"full_name":"a/b"}}`)
	f.Add("github_app_authorization", `{"action":"revoked","sender":{"id":1}}`)
	p, err := New(Config{ClientID: "c", ClientSecret: "s", WebhookSecret: oauthtest.HookSecret, HTTP: http.DefaultClient})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, event, body string) {
		header := func(name string) string {
			for _, line := range oauthtest.GitHubHeaders(event, "d1", body) {
				if n, v, _ := strings.Cut(line, ": "); n == name {
					return v
				}
			}
			return ""
		}
		in, err := p.Read(header, []byte(body), time.Now())
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatal(err)
		}
		if m := in.Message; m != nil && (m.Key == "" || m.Channel == "" || m.Thread == "" || len(m.Mentions) == 0 || in.ID == "") {
			t.Errorf("%+v", in)
		}
	})
}
