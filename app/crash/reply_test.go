package crash

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/oauth/oauthtest"
	"github.com/bureau-agents/bureau/app/internal/process"
)

// TestRepliesSurvive kills the server on SQLite at each step of a message's way from a workspace and back: it is answered once.
func TestRepliesSurvive(t *testing.T) {
	slack := oauthtest.NewSlack(t)
	s := start(t, []string{
		"BUREAU_OAUTH_SLACK_CLIENT_ID=" + oauthtest.ClientID, "BUREAU_OAUTH_SLACK_CLIENT_SECRET=" + oauthtest.ClientSecret,
		"BUREAU_OAUTH_SLACK_SIGNING_SECRET=" + oauthtest.HookSecret, "BUREAU_OAUTH_SLACK_BASE_URL=" + slack.URL,
	})[0]
	publish(t, s)
	send := func(event string, n int) {
		t.Helper()
		body := oauthtest.Mention(event, "T1", "C1", oauthtest.TS(time.Now(), n), "", "Hello")
		req, err := http.NewRequest(http.MethodPost, s.URL+"/v1/integrations/slack/events", strings.NewReader(body))
		must(t, err)
		for _, h := range oauthtest.SlackHeaders(body, time.Now()) {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("the event is answered with %d", res.StatusCode)
		}
	}
	crash := func() {
		t.Helper()
		s.Kill()
		must(t, s.Restart(t.Context()))
	}
	await := func(what string, reached func() bool) {
		t.Helper()
		deadline := time.After(settleTime)
		for tick := time.NewTicker(5 * time.Millisecond); !reached(); {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%s has not happened after %s; said: %+v", what, settleTime, slack.Said())
			}
		}
	}

	send("Ev1", 1)
	crash() // as soon as the event was acknowledged
	await("the first reply", func() bool { return len(slack.Said()) == 1 })

	slack.Make("post", oauthtest.Down)
	send("Ev2", 2)
	await("the attempt", func() bool { return slack.Calls("post") == 2 })
	crash() // after the turn, before anything was said
	await("the second reply", func() bool { return len(slack.Said()) == 2 })

	slack.Make("post", oauthtest.Lost)
	send("Ev3", 3)
	await("the third reply", func() bool { return len(slack.Said()) == 3 })
	found := slack.Calls("find")
	crash() // after it was said, before that was noted
	await("the question", func() bool { return slack.Calls("find") > found })

	send("Ev4", 4)
	await("the fourth reply", func() bool { return len(slack.Said()) >= 4 })
	threads := map[string]int{}
	for _, m := range slack.Said() {
		threads[m.Thread]++
	}
	if len(threads) != 4 || len(slack.Said()) != 4 {
		t.Errorf("four messages were answered by %+v", slack.Said())
	}
}

// publish lets an agent answer in the workspace T1.
func publish(t *testing.T, s *process.Server) {
	t.Helper()
	var agent struct{ ID string }
	must(t, s.Call(t.Context(), "POST", "/v1/agents", "", map[string]any{"name": "Assistant", "model": "offline"}, &agent))
	var flow struct {
		RedirectURL string `json:"redirect_url"`
	}
	must(t, s.Call(t.Context(), "GET", "/v1/integrations/slack/install", "", nil, &flow))
	back := oauthtest.Authorize(t, flow.RedirectURL, "T1")
	var installation struct{ ID string }
	must(t, s.Call(t.Context(), "GET", strings.TrimPrefix(back, s.URL), "", nil, &installation))
	must(t, s.Call(t.Context(), "POST", "/v1/integrations/slack/publications", "", map[string]any{
		"agent_id": agent.ID, "installation_id": installation.ID,
	}, nil))
}
