package slack

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
	verifier    = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
	callbackURL = "https://here.example/v1/integrations/slack/callback"
)

func newProvider(t *testing.T, s *oauthtest.Slack, change func(*Config)) *Provider {
	t.Helper()
	cfg := Config{
		ClientID: oauthtest.ClientID, ClientSecret: oauthtest.ClientSecret, SigningSecret: oauthtest.HookSecret, BaseURL: s.URL + "/", HTTP: s.Client(),
	}
	if change != nil {
		change(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// code has somebody agree, and returns the code.
func code(t *testing.T, p *Provider) string {
	t.Helper()
	back, err := url.Parse(oauthtest.Authorize(t, p.AuthURL("state", verifier, callbackURL), "T1"))
	if err != nil || back.Query().Get("state") != "state" {
		t.Fatalf("%s, %v", back, err)
	}
	return back.Query().Get("code")
}

func TestExchange(t *testing.T) {
	t.Parallel()
	s := oauthtest.NewSlack(t)
	p := newProvider(t, s, nil)
	g, err := p.Exchange(bg, code(t, p), verifier, callbackURL)
	if err != nil || g.Token.Access == "" {
		t.Fatalf("%+v, %v", g, err)
	}
	token := g.Token
	g.Token = integration.Token{}
	want := integration.Grant{
		WorkspaceID: "T1", WorkspaceName: "Team T1", Kind: "team", BotUserID: "UT1", AuthorizedBy: "UADMIN",
		Scopes: []string{"app_mentions:read", "chat:write"}, Accounts: []string{"T1"},
	}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for what, try := range map[string]func() error{
		"a code twice": func() error {
			c := code(t, p)
			if _, err := p.Exchange(bg, c, verifier, callbackURL); err != nil {
				t.Fatal(err)
			}
			_, err := p.Exchange(bg, c, verifier, callbackURL)
			return err
		},
		"another verifier": func() error {
			_, err := p.Exchange(bg, code(t, p), strings.Repeat("w", 43), callbackURL)
			return err
		},
		"another callback": func() error {
			_, err := p.Exchange(bg, code(t, p), verifier, callbackURL+"?x")
			return err
		},
		"another secret": func() error {
			_, err := newProvider(t, s, func(c *Config) { c.ClientSecret = "x" }).Exchange(bg, code(t, p), verifier, callbackURL)
			return err
		},
	} {
		if err := try(); !errors.Is(err, integration.ErrExchange) {
			t.Errorf("%s: %v", what, err)
		} else if f, _ := fault.As(err); strings.Contains(f.Error(), oauthtest.ClientSecret) {
			t.Errorf("%s tells the secret: %v", what, err)
		}
	}
	for _, trouble := range []oauthtest.Trouble{oauthtest.Down, oauthtest.Broken} {
		s.Make("token", trouble)
		if _, err := p.Exchange(bg, code(t, p), verifier, callbackURL); !errors.Is(err, integration.ErrUnreachable) {
			t.Errorf("%s: %v", trouble, err)
		}
	}
	if err := p.Revoke(bg, token); err != nil || len(s.Tokens()) != 0 {
		t.Errorf("revoking: %v, and %v are left", err, s.Tokens())
	}
	if err := p.Revoke(bg, token); err != nil {
		t.Errorf("revoking again: %v", err)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := oauthtest.NewSlack(t)
	s.Rotate = 43200
	p := newProvider(t, s, nil)
	g, err := p.Exchange(bg, code(t, p), verifier, callbackURL)
	if err != nil || g.Token.Refresh == "" || time.Until(g.Token.Expiry) < 11*time.Hour {
		t.Fatalf("%+v, %v", g.Token, err)
	}
	next, err := p.Refresh(bg, g.Token)
	if err != nil || next.Access == g.Token.Access || next.Refresh == g.Token.Refresh || next.Expiry.IsZero() {
		t.Errorf("%+v, %v", next, err)
	}
	if _, err := p.Refresh(bg, g.Token); !errors.Is(err, integration.ErrRevoked) {
		t.Errorf("an old refresh token: %v", err)
	}
}

func TestPost(t *testing.T) {
	t.Parallel()
	s := oauthtest.NewSlack(t)
	p := newProvider(t, s, nil)
	g, err := p.Exchange(bg, code(t, p), verifier, callbackURL)
	if err != nil {
		t.Fatal(err)
	}
	speech := integration.Speech{Key: "post_1", Channel: "C1", Thread: "1.2", Text: "<!channel> & <@U1> ``` a > b", Since: time.Now()}
	if _, said, err := p.Posted(bg, g.Token, speech); said || err != nil {
		t.Errorf("it was said before: %t, %v", said, err)
	}
	external, err := p.Post(bg, g.Token, speech)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Said()[0].Text; got != "&lt;!channel&gt; &amp; &lt;@U1&gt; ``` a &gt; b" {
		t.Errorf("said %q: whom a model names is not called", got)
	}
	if found, said, err := p.Posted(bg, g.Token, speech); !said || err != nil || found != external {
		t.Errorf("%q, %t, %v", found, said, err)
	}
	for trouble, want := range map[oauthtest.Trouble]error{
		oauthtest.TooMany: integration.ErrRateLimited, oauthtest.Lost: integration.ErrUnreachable, oauthtest.Broken: integration.ErrUnreachable,
		oauthtest.Forbidden: integration.ErrRefused, oauthtest.Revoked: integration.ErrRevoked, oauthtest.Down: integration.ErrUnreachable,
	} {
		s.Make("post", trouble)
		_, err := p.Post(bg, g.Token, speech)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", trouble, err)
		}
		if f, _ := fault.As(err); trouble == oauthtest.TooMany && f.RetryAfter != time.Second {
			t.Errorf("patience of %s", f.RetryAfter)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<@U1> hello":                    "hello",
		"  <@U1|bot>   hello <@U1> ":     "hello <@U1>",
		"<@U2> hello":                    "<@U2> hello",
		"hello <@U1>":                    "hello <@U1>",
		"<@U1>":                          "",
		"<@U1":                           "<@U1",
		"a &lt; b &amp;&amp; c &gt; d":   "a < b && c > d",
		"<@U1> &amp;lt; stays an escape": "&lt; stays an escape",
	} {
		if got := plain(in, "U1"); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzRead: whatever is signed, reading it does not fail in another way than by an error, and what it yields is whole.
func FuzzRead(f *testing.F) {
	f.Add(oauthtest.Mention("Ev1", "T1", "C1", "1.2", "", "hello"))
	f.Add(oauthtest.Direct("Ev1", "T1", "D1", "1.2", "hello"))
	f.Add(`{"type":"url_verification","challenge":"x"}`)
	f.Add(`{"type":"event_callback","event_id":"e","event":{"type":"tokens_revoked","tokens":{"bot":["U"]}}}`)
	p, err := New(Config{ClientID: "c", ClientSecret: "s", SigningSecret: oauthtest.HookSecret, HTTP: http.DefaultClient})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		now := time.Now()
		header := func(name string) string {
			for _, line := range oauthtest.SlackHeaders(body, now) {
				if n, v, _ := strings.Cut(line, ": "); n == name {
					return v
				}
			}
			return ""
		}
		in, err := p.Read(header, []byte(body), now)
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Fatal(err)
		}
		if m := in.Message; m != nil && (m.Key == "" || m.Channel == "" || m.Text == "" || m.Author == "" || in.ID == "") {
			t.Errorf("%+v", in)
		}
	})
}
