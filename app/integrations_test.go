package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/oauth/oauthtest"
	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// patience is how long a reply may take to arrive in its workspace.
const patience = time.Minute

// published makes an agent that answers in a workspace and returns the publication.
func published(t *testing.T, api *apptest.Client, integration, workspace string, more m) (agent, installation, publication string) {
	t.Helper()
	var made struct{ ID string }
	api.Call("POST", "/v1/agents", m{"name": "Assistant", "model": "offline"}, &made)
	agent = made.ID
	installation = api.Install(integration, workspace)
	body := m{"agent_id": agent, "installation_id": installation}
	for k, v := range more {
		body[k] = v
	}
	api.Call("POST", "/v1/integrations/"+integration+"/publications", body, &made)
	return agent, installation, made.ID
}

// webhook sends one and fails the test unless it is accepted.
func webhook(t *testing.T, s *apptest.Server, path, body string, headers []string) {
	t.Helper()
	if a := s.As("").In(t).Do("POST", path, body, headers...); a.Status != 200 {
		t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
}

func slackEvent(t *testing.T, s *apptest.Server, body string) {
	t.Helper()
	webhook(t, s, "/v1/integrations/slack/events", body, oauthtest.SlackHeaders(body, time.Now()))
}

// awaitSaid waits until n messages were said.
func awaitSaid(t *testing.T, said func() []oauthtest.Said, n int) []oauthtest.Said {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if all := said(); len(all) >= n {
			return all
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after %s only this was said, and %d messages are awaited: %+v", patience, n, said())
		}
	}
}

// TestSlack plays a workspace: an agent is installed, mentioned, answers in the thread, once, and remembers what was said there.
func TestSlack(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		agent, installation, publication := published(t, s.Admin, "slack", "T1", m{"persona": m{"name": "Ada", "avatarUrl": "https://example.com/a.png"}})

		var list struct {
			Data []struct {
				ID, Status    string
				Installations []map[string]any
			}
		}
		a := s.Admin.Do("GET", "/v1/integrations", nil)
		if err := json.Unmarshal(a.Body, &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Data) != 2 || list.Data[0].ID != "slack" || list.Data[0].Status != "active" || list.Data[1].Status != "available" {
			t.Errorf("the integrations are %s", a.Body)
		}
		got := list.Data[0].Installations[0]
		if got["id"] != installation || got["workspace_id"] != "T1" || got["workspace_name"] != "Team T1" || got["status"] != "live" || got["bot_user_id"] != "UT1" {
			t.Errorf("the installation is %v", got)
		}
		if strings.Contains(string(a.Body), "xoxb") {
			t.Errorf("the list shows a token: %s", a.Body)
		}

		first := oauthtest.TS(time.Now(), 1)
		body := oauthtest.Mention("Ev1", "T1", "C1", first, "", "What is 17 * 3?")
		for range 3 { // Slack repeats what it thinks was not heard
			slackEvent(t, s, body)
		}
		slackEvent(t, s, oauthtest.Mention("Ev1b", "T1", "C1", first, "", "What is 17 * 3?")) // another event about the same message
		said := awaitSaid(t, s.Slack.Said, 1)
		if m := said[0]; m.Channel != "C1" || m.Thread != first || m.Name != "Ada" || m.Avatar != "https://example.com/a.png" || m.Text == "" {
			t.Errorf("said %+v", m)
		}
		slackEvent(t, s, oauthtest.Mention("Ev2", "T1", "C1", oauthtest.TS(time.Now(), 2), first, "And in the same thread?"))
		slackEvent(t, s, oauthtest.Mention("Ev3", "T1", "C1", oauthtest.TS(time.Now(), 3), "", "A new thread?"))
		slackEvent(t, s, oauthtest.Direct("Ev4", "T1", "D1", oauthtest.TS(time.Now(), 4), "Hello"))
		slackEvent(t, s, oauthtest.Direct("Ev5", "T1", "D1", oauthtest.TS(time.Now(), 5), "Hello again"))
		said = awaitSaid(t, s.Slack.Said, 5)
		if len(said) != 5 {
			t.Errorf("%d messages were said: %+v", len(said), said)
		}
		sessions := apptest.All[struct {
			AgentID  string            `json:"agent_id"`
			Metadata map[string]string `json:"metadata"`
		}](s.Admin, "/v1/sessions")
		threads := map[string]int{}
		for _, v := range sessions {
			threads[v.Metadata["channel"]]++
			if v.Metadata["publication_id"] != publication {
				t.Errorf("a session has the metadata %v", v.Metadata)
			}
		}
		same(t, map[string]int{"C1": 2, "D1": 1}, threads)

		// Nothing that a bot says, and nothing that was changed or deleted, is answered.
		for i, inner := range []map[string]any{
			{"type": "message", "channel_type": "im", "bot_id": "B1", "user": "U2", "text": "x", "channel": "D1"},
			{"type": "message", "channel_type": "im", "subtype": "message_changed", "user": "U2", "text": "x", "channel": "D1"},
			{"type": "message", "channel_type": "channel", "user": "U2", "text": "not for the bot", "channel": "C1"},
			{"type": "app_mention", "user": "UT1", "text": "<@UT1> myself", "channel": "C1"},
			{"type": "reaction_added", "user": "U2"},
		} {
			inner["ts"] = oauthtest.TS(time.Now(), 100+i)
			slackEvent(t, s, oauthtest.SlackEvent(fmt.Sprintf("EvN%d", i), "T1", inner))
		}
		slackEvent(t, s, oauthtest.Mention("EvOther", "T999", "C1", oauthtest.TS(time.Now(), 200), "", "Nobody is installed here"))

		// What is removed stays quiet, and says what it has ended.
		var gone struct {
			Revoked      bool
			Problem      *string
			Installation struct{ Status string }
		}
		s.Admin.Call("POST", "/v1/integrations/slack/uninstall", nil, &gone)
		if !gone.Revoked || gone.Problem != nil || gone.Installation.Status != "uninstalled" || len(s.Slack.Tokens()) != 0 {
			t.Errorf("uninstalling said %+v and left the tokens %v", gone, s.Slack.Tokens())
		}
		var pub struct{ Status, AgentID string }
		s.Admin.Call("GET", "/v1/integrations/slack/publications/"+publication, nil, &pub)
		if pub.Status != "unpublished" {
			t.Errorf("the publication is %s", pub.Status)
		}
		slackEvent(t, s, oauthtest.Mention("Ev9", "T1", "C1", oauthtest.TS(time.Now(), 9), "", "Still there?"))
		again := s.Admin.Install("slack", "T1")
		same(t, installation, again)
		s.Admin.Call("POST", "/v1/integrations/slack/publications", m{"agent_id": agent, "workspace_id": "T1"}, nil)
		slackEvent(t, s, oauthtest.Mention("Ev10", "T1", "C1", oauthtest.TS(time.Now(), 10), "", "And now?"))
		awaitSaid(t, s.Slack.Said, 6)
		if n := len(s.Slack.Said()); n != 6 {
			t.Errorf("%d messages were said", n)
		}
		actions := []string{}
		for _, e := range apptest.All[struct{ Action string }](s.Admin, "/v1/audit") {
			if strings.Contains(e.Action, "integration_") || strings.Contains(e.Action, "published") {
				actions = append(actions, e.Action)
			}
		}
		slices.Reverse(actions)
		same(t, []string{
			"integration_installed", "agent_published", "agent_unpublished", "integration_uninstalled", "integration_installed", "agent_published",
		}, actions)
	})
}

// TestSlackTrouble: whatever the provider does, a reply is said once.
func TestSlackTrouble(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	published(t, s.Admin, "slack", "T1", nil)
	s.Slack.Make("post", oauthtest.TooMany, oauthtest.Lost)
	slackEvent(t, s, oauthtest.Mention("Ev1", "T1", "C1", oauthtest.TS(time.Now(), 1), "", "Hello"))
	awaitSaid(t, s.Slack.Said, 1)
	// The answer was lost: the next attempt finds what was said.
	deadline := time.After(patience)
	for tick := time.NewTicker(20 * time.Millisecond); s.Slack.Calls("find") == 0; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("nobody asked whether it was said")
		}
	}
	slackEvent(t, s, oauthtest.Mention("Ev2", "T1", "C1", oauthtest.TS(time.Now(), 2), "", "Hello again"))
	if said := awaitSaid(t, s.Slack.Said, 2); len(said) != 2 {
		t.Errorf("said %+v", said)
	}

	s.Slack.Make("post", oauthtest.Revoked)
	slackEvent(t, s, oauthtest.Mention("Ev3", "T1", "C1", oauthtest.TS(time.Now(), 3), "", "And again"))
	var i struct {
		Installations []struct{ Status string }
	}
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		s.Admin.Call("GET", "/v1/integrations/slack", nil, &i)
		if i.Installations[0].Status == "needs_reauth" {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the installation is %+v", i)
		}
	}
	pubs := apptest.All[struct{ Status string }](s.Admin, "/v1/integrations/slack/publications?status=live")
	if len(pubs) != 1 || pubs[0].Status != "needs_reauth" {
		t.Errorf("the publications are %+v", pubs)
	}
}

// TestSlackApproval: a turn that waits for somebody says so in the thread, and what it was allowed to do afterwards.
func TestSlackApproval(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	agent, _, _ := published(t, s.Admin, "slack", "T1", nil)
	s.Admin.Call("POST", "/v1/agents/"+agent+"/wallet/deposits", m{"amount": usdc("100")}, nil)
	s.Admin.Call("POST", "/v1/policies", m{"scope": m{"agent_id": agent}, "limits": m{"require_approval_above": usdc("30")}}, nil)
	slackEvent(t, s, oauthtest.Mention("Ev1", "T1", "C1", oauthtest.TS(time.Now(), 1), "", "Pay 35 USDC to printer.example for paper"))
	said := awaitSaid(t, s.Slack.Said, 1)
	if !strings.Contains(said[0].Text, "approval") {
		t.Errorf("said %q", said[0].Text)
	}
	waiting := apptest.All[struct{ ID string }](s.Admin, "/v1/approvals?status=pending")
	s.Admin.Call("POST", "/v1/approvals/"+waiting[0].ID+"/approve", nil, nil)
	said = awaitSaid(t, s.Slack.Said, 2)
	if len(said) != 2 || !strings.Contains(said[1].Text, "35") {
		t.Errorf("said %+v", said)
	}
}

// TestSlackSignatures: only what Slack has signed, just now, is believed.
func TestSlackSignatures(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	hello := `{"type":"url_verification","challenge":"abc"}`
	api := s.As("")
	var got struct{ Challenge string }
	api.Call("POST", "/v1/integrations/slack/events", hello, &got, oauthtest.SlackHeaders(hello, time.Now())...)
	same(t, "abc", got.Challenge)
	good := oauthtest.SlackHeaders(hello, time.Now())
	for name, headers := range map[string][]string{
		"none":                nil,
		"no timestamp":        good[1:],
		"no signature":        good[:1],
		"another body's":      oauthtest.SlackHeaders(hello+" ", time.Now()),
		"too old":             oauthtest.SlackHeaders(hello, time.Now().Add(-6*time.Minute)),
		"from the future":     oauthtest.SlackHeaders(hello, time.Now().Add(6*time.Minute)),
		"another timestamp":   {"X-Slack-Request-Timestamp: 1", good[1]},
		"half of it":          {good[0], good[1][:len(good[1])-2]},
		"without its version": {good[0], strings.Replace(good[1], "v0=", "", 1)},
	} {
		if code, _ := api.In(t).Refuse(401, "POST", "/v1/integrations/slack/events", hello, headers...); code != "webhook_signature_invalid" {
			t.Errorf("%s: %s", name, code)
		}
	}
	for _, bad := range []string{"", "{", "[]", `{"type":"url_verification"}`, `{"type":"event_callback"}`} {
		api.Refuse(400, "POST", "/v1/integrations/slack/events", bad, oauthtest.SlackHeaders(bad, time.Now())...)
	}
	comment := oauthtest.Comment("1001", "bot-1001/site", 3, 1, "@bot-1001 hello")
	for _, headers := range [][]string{nil, oauthtest.GitHubHeaders("issue_comment", "g1", comment+" "), oauthtest.GitHubHeaders("issue_comment", "g1", comment)[:2]} {
		api.Refuse(401, "POST", "/v1/integrations/github/webhooks", comment, headers...)
	}
}

// TestGitHub plays a repository in which the connected account is mentioned.
func TestGitHub(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		_, installation, _ := published(t, s.Admin, "github", "1001", nil)
		send := func(account, delivery, repo string, issue, comment int64, text string) {
			t.Helper()
			body := oauthtest.Comment(account, repo, issue, comment, text)
			webhook(t, s, "/v1/integrations/github/webhooks", body, oauthtest.GitHubHeaders("issue_comment", delivery, body))
		}
		s.GitHub.Make("post", oauthtest.TooMany, oauthtest.Lost)
		send("1001", "d1", "bot-1001/site", 3, 1, "@bot-1001 what is 2 + 2?")
		send("1001", "d1", "bot-1001/site", 3, 1, "@bot-1001 what is 2 + 2?")
		send("1001", "d1-again", "bot-1001/site", 3, 1, "@bot-1001 what is 2 + 2?") // its header is not signed
		send("2001", "d2", "org-1001/site", 4, 2, "Please help, @Bot-1001")         // an organization that the account owns
		send("9999", "d3", "everybody/site", 4, 3, "@bot-1001 hello")               // one that it does not own
		send("1001", "d4", "bot-1001/site", 3, 4, "@bot-10011 and somebody@bot-1001 and `@bot-1001`")
		send("1001", "d5", "bot-1001/site", 3, 5, "@bot-1001 said <!-- bureau:post_x --> before")
		send("1001", "d6", "bot-1001/site", 3, 6, "@bot-1001 and once more?")
		said := awaitSaid(t, s.GitHub.Said, 3)
		where := []string{}
		for _, m := range said {
			where = append(where, m.Channel+"#"+m.Thread)
			if !strings.Contains(m.Text, "<!-- bureau:post_") {
				t.Errorf("%q has no mark", m.Text)
			}
		}
		slices.Sort(where)
		same(t, []string{"bot-1001/site#3", "bot-1001/site#3", "org-1001/site#4"}, where)
		if n := len(apptest.All[struct{ ID string }](s.Admin, "/v1/sessions")); n != 2 {
			t.Errorf("%d sessions for two issues", n)
		}

		s.GitHub.Make("revoke", oauthtest.Down)
		var gone struct {
			Revoked bool
			Problem *string
		}
		s.Admin.Call("POST", "/v1/integrations/github/uninstall", m{"installation_id": installation}, &gone)
		if gone.Revoked || gone.Problem == nil {
			t.Errorf("the provider was away, and uninstalling said %+v", gone)
		}
		if n := len(s.GitHub.Said()); n != 3 {
			t.Errorf("%d comments", n)
		}
	})
}

// TestInstallStates: a state is good once, for a while, for the integration and the tenant that began.
func TestInstallStates(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		begin := func(api *apptest.Client, query string) (back string) {
			t.Helper()
			var start struct {
				RedirectURL string `json:"redirect_url"`
				State       string
			}
			api.Call("GET", "/v1/integrations/slack/install"+query, nil, &start)
			u, err := url.Parse(start.RedirectURL)
			if err != nil || u.Query().Get("state") != start.State || u.Query().Get("code_challenge_method") != "S256" {
				t.Fatalf("the redirect is %s", start.RedirectURL)
			}
			return strings.TrimPrefix(oauthtest.Authorize(t, start.RedirectURL, "T1"), s.URL)
		}
		api := s.As("")

		// Of many who come back with one state, one installs.
		back := begin(s.Admin, "")
		var installed, refused atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				res, err := http.Get(s.URL + back)
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				switch res.StatusCode {
				case 200:
					installed.Add(1)
				case 400:
					refused.Add(1)
				default:
					t.Errorf("%d", res.StatusCode)
				}
			})
		}
		wg.Wait()
		if installed.Load() != 1 || refused.Load() != 7 {
			t.Errorf("%d installed and %d were refused", installed.Load(), refused.Load())
		}

		// Another integration's callback does not take it, and it stays good for its own.
		back = begin(s.Admin, "?redirect=/console?a=1")
		if code, _ := api.Refuse(400, "GET", strings.Replace(back, "/slack/", "/github/", 1), nil); code != "oauth_state_invalid" {
			t.Errorf("the other integration says %s", code)
		}
		a := api.Do("GET", back, nil, "Accept: text/html,*/*")
		if a.Status != 302 || !strings.HasPrefix(a.Header.Get("Location"), "/console?a=1&installation_id=inst_") {
			t.Errorf("the browser is sent with %d to %q", a.Status, a.Header.Get("Location"))
		}
		for _, bad := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "console", "javascript:alert(1)"} {
			s.Admin.Refuse(400, "GET", "/v1/integrations/slack/install?redirect="+url.QueryEscape(bad), nil)
		}

		// A person who does not agree, a code that is wrong, and no state.
		s.Slack.Make("authorize", oauthtest.NoAccess)
		if code, _ := api.Refuse(400, "GET", begin(s.Admin, ""), nil); code != "integration_denied" {
			t.Errorf("a denial is %s", code)
		}
		back = begin(s.Admin, "")
		state := back[strings.Index(back, "state="):]
		state, _, _ = strings.Cut(state, "&")
		if code, _ := api.Refuse(400, "GET", "/v1/integrations/slack/callback?code=wrong&"+state, nil); code != "integration_code_refused" {
			t.Errorf("a wrong code is %s", code)
		}
		api.Refuse(400, "GET", back, nil) // the state is used up
		a = api.Do("GET", back, nil, "Accept: text/html")
		if a.Status != 400 || !strings.Contains(a.Header.Get("Content-Type"), "text/html") || strings.Contains(string(a.Body), "<script") {
			t.Errorf("a browser sees %d %s", a.Status, a.Body)
		}
		api.Refuse(400, "GET", "/v1/integrations/slack/callback?code=x&state=%3Cscript%3E", nil)

		// The workspace belongs to one tenant at a time.
		var tenant struct {
			APIKey string `json:"api_key"`
		}
		s.Admin.Call("POST", "/v1/tenants", m{"name": "other"}, &tenant)
		other := s.As(tenant.APIKey)
		if code, _ := api.Refuse(409, "GET", begin(other, ""), nil); code != "workspace_taken" {
			t.Errorf("the other tenant's installation is %s", code)
		}
		if len(s.Slack.Tokens()) == 0 {
			t.Error("the owner's tokens were revoked")
		}
		s.Admin.Call("POST", "/v1/integrations/slack/uninstall", nil, nil)
		api.Call("GET", begin(other, ""), nil, nil)
		other.Call("POST", "/v1/integrations/slack/uninstall", nil, nil)
	})
}

// TestNotConfigured: without an app the integration is listed, and says what it needs.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{Change: noOAuth})
	code, message := s.Admin.Refuse(503, "GET", "/v1/integrations/slack/install", nil)
	if code != "integration_not_configured" || !strings.Contains(message, "BUREAU_OAUTH_SLACK_CLIENT_ID") {
		t.Errorf("%s: %s", code, message)
	}
	s.As("").Refuse(503, "POST", "/v1/integrations/github/webhooks", "{}")
	code, message = s.As("").Refuse(400, "GET", "/v1/oauth/google/authorize", nil)
	if code != "sign_in_not_configured" || !strings.Contains(message, "BUREAU_OAUTH_GOOGLE_CLIENT_ID") {
		t.Errorf("%s: %s", code, message)
	}
	s.As("").Refuse(404, "GET", "/v1/oauth/myspace/authorize", nil)
}

// TestNoWebhookSecret: an app without a secret for its webhooks can be installed, and nothing that claims to be from it is believed.
func TestNoWebhookSecret(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.OAuth.Slack.SigningSecret, c.OAuth.GitHub.WebhookSecret = "", "" }})
	s.Admin.Install("slack", "T1")
	s.Admin.Install("github", "1001")
	body := oauthtest.Mention("Ev1", "T1", "C1", oauthtest.TS(time.Now(), 1), "", "Hello")
	s.As("").Refuse(503, "POST", "/v1/integrations/slack/events", body, oauthtest.SlackHeaders(body, time.Now())...)
	s.As("").Refuse(503, "POST", "/v1/integrations/github/webhooks", body, oauthtest.GitHubHeaders("issue_comment", "d1", body)...)
}

// TestSlackRotation: a token that is about to expire is replaced before it is used, and the new one is kept.
func TestSlackRotation(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	s.Slack.Rotate = 60
	published(t, s.Admin, "slack", "T1", nil)
	s.Slack.Make("post", oauthtest.TooMany)
	tokens := map[string]bool{}
	for n := 1; n <= 3; n++ {
		slackEvent(t, s, oauthtest.Mention(fmt.Sprintf("Ev%d", n), "T1", "C1", oauthtest.TS(time.Now(), n), "", "Hello"))
		tokens[awaitSaid(t, s.Slack.Said, n)[n-1].Token] = true
	}
	if len(tokens) != 3 {
		t.Errorf("%d tokens for three replies", len(tokens))
	}
}

// TestPublications: who may be published, where, and how often.
func TestPublications(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	agent, installation, publication := published(t, s.Admin, "slack", "T1", nil)
	const path = "/v1/integrations/slack/publications"
	if code, _ := s.Admin.Refuse(409, "POST", path, m{"agent_id": agent, "workspace_id": "T1"}); code != "publication_exists" {
		t.Errorf("a second publication is %s", code)
	}
	var made struct{ ID, Status string }
	s.Admin.Call("POST", "/v1/agents", m{"name": "Old", "model": "offline"}, &made)
	s.Admin.Call("DELETE", "/v1/agents/"+made.ID, nil, nil)
	if code, _ := s.Admin.Refuse(409, "POST", path, m{"agent_id": made.ID, "workspace_id": "T1"}); code != "agent_archived" {
		t.Errorf("an archived agent is %s", code)
	}
	for _, bad := range []m{
		{"agent_id": agent}, {"agent_id": agent, "installation_id": installation, "workspace_id": "T1"}, {"installation_id": installation},
		{"agent_id": agent, "installation_id": installation, "session_granularity": "per_day"},
		{"agent_id": agent, "installation_id": installation, "persona": m{"avatar_url": "http://example.com/a.png"}},
		{"agent_id": agent, "installation_id": installation, "channels": []string{" C1"}},
	} {
		s.Admin.Refuse(400, "POST", path, bad)
	}
	s.Admin.Refuse(404, "POST", path, m{"agent_id": agent, "workspace_id": "T2"})
	s.Admin.Refuse(404, "POST", "/v1/integrations/github/publications", m{"agent_id": agent, "installation_id": installation})
	s.Admin.Refuse(404, "GET", "/v1/integrations/github/publications/"+publication, nil)
	s.Admin.Refuse(404, "POST", "/v1/integrations/linear/publications", m{"agent_id": agent, "installation_id": installation})

	var changed struct {
		SessionGranularity string `json:"session_granularity"`
		Channels           []string
		Persona            struct {
			Name      *string
			AvatarURL *string `json:"avatar_url"`
		}
	}
	s.Admin.Call("PATCH", path+"/"+publication, m{"session_granularity": "per_channel", "channels": []string{"C7"}, "persona": m{"name": "Ada"}}, &changed)
	if changed.SessionGranularity != "per_channel" || len(changed.Channels) != 1 || *changed.Persona.Name != "Ada" {
		t.Errorf("%+v", changed)
	}
	for range 2 { // ending it again changes nothing
		s.Admin.Call("DELETE", path+"/"+publication, nil, &made)
		same(t, publication+" unpublished", made.ID+" "+made.Status)
	}
	if code, _ := s.Admin.Refuse(409, "PATCH", path+"/"+publication, m{"channels": []string{}}); code != "publication_unpublished" {
		t.Errorf("changing it is %s", code)
	}
	s.Admin.Call("POST", path, m{"agent_id": agent, "installation_id": installation}, nil)
	if n := len(apptest.All[struct{}](s.Admin, path)); n != 2 {
		t.Errorf("%d publications", n)
	}

	// Which of several answers: the one that names the channel, else the oldest that names none.
	s.Admin.Call("POST", "/v1/agents", m{"name": "Named", "model": "offline"}, &made)
	s.Admin.Call("POST", path, m{"agent_id": made.ID, "installation_id": installation, "channels": []string{"C7"}, "persona": m{"name": "Seven"}}, nil)
	slackEvent(t, s, oauthtest.Mention("Ev1", "T1", "C7", oauthtest.TS(time.Now(), 1), "", "Hello"))
	slackEvent(t, s, oauthtest.Mention("Ev2", "T1", "C8", oauthtest.TS(time.Now(), 2), "", "Hello"))
	names := []string{}
	for _, m := range awaitSaid(t, s.Slack.Said, 2) {
		names = append(names, m.Channel+m.Name)
	}
	slices.Sort(names)
	same(t, []string{"C7Seven", "C8"}, names)

	// An agent that cannot answer says so.
	s.Admin.Call("DELETE", "/v1/agents/"+made.ID, nil, nil)
	slackEvent(t, s, oauthtest.Mention("Ev3", "T1", "C7", oauthtest.TS(time.Now(), 3), "", "Hello"))
	if said := awaitSaid(t, s.Slack.Said, 3); !strings.Contains(said[2].Text, "archived") {
		t.Errorf("said %q", said[2].Text)
	}
}
