package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// A server, and what an agent of it reports.
func TestEventsCommands(t *testing.T) {
	c := newTerminal(t)
	a, err := app.New(t.Context(), app.Config{DataDir: apptest.DataDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a.Handler())
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = a.Stop(context.WithoutCancel(t.Context()))
	})
	key := a.BootstrapKey()
	config := filepath.Join(t.TempDir(), "bureau.yaml") // not a variable, which each command takes out of the environment
	if err := os.WriteFile(config, []byte("api_key: "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BUREAU_URL", server.URL)
	c.args = []string{"--config", config}

	var agent struct{ ID string }
	if err := json.Unmarshal([]byte(c.must("agent", "create", "buyer")), &agent); err != nil {
		t.Fatal(err)
	}
	api := &client{base: server.URL, key: key, http: server.Client()}
	report := func(body map[string]any) (id string) {
		body["agent_id"] = agent.ID
		var made struct{ ID string }
		if err := api.call(t.Context(), http.MethodPost, "/v1/events", body, &made); err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	first := report(map[string]any{"event_type": "task_started", "source": "scheduler"})
	second := report(map[string]any{"event_type": "call_failed", "level": "error", "payload": map[string]any{"user": map[string]any{"id": 42}, "why": "a\ntimeout"}})

	c.wants([]string{first, second, "task_started", "(scheduler)", agent.ID}, "events", "list", "--agent", "buyer", "--since", "1h")
	c.wants([]string{`{"user":{"id":42},"why":"a\ntimeout"}`}, "events", "list", "--search", "TIMEOUT")
	for _, args := range [][]string{
		{"--min-level", "warning"}, {"--field", "user.id=42"}, {"--type", "call_failed"}, {"--limit", "1"}, {"--level", "error", "--limit", "0"},
	} {
		out := c.must(append([]string{"events", "list", "--json"}, args...)...)
		if strings.Count(out, "\n") != 1 || !strings.Contains(out, second) {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out := c.must("events", "list", "--until", "2026-01-01"); strings.Contains(out, first) {
		t.Errorf("%s", out)
	}
	if out := c.must("events", "export"); strings.Count(out, "\n") != 2 || !strings.HasPrefix(out, `{"type":"event","id":"`+second) {
		t.Errorf("%s", out)
	}
	c.wants([]string{second}, "events", "export", "--level", "error")
	for args, want := range map[string]string{
		"list --agent nobody": `no agent "nobody"`, "list --field x": "--field must be PATH=VALUE", "list --limit -1": "--limit",
		"export --since noon": "query.since", "tail --level loud": "query.level", "tail --after nope": `no event "nope"`,
	} {
		if out, err := c.run(append([]string{"events"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q\n%s", args, err, want, out)
		}
	}

	until := &untilText{text: "call_failed"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	until.found = cancel
	cmd := root()
	cmd.SetOut(until)
	cmd.SetErr(until)
	cmd.SetArgs([]string{"events", "tail", "--after", first, "--agent", "buyer", "--config", config})
	if err := cmd.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}
	if out := until.String(); strings.Contains(out, "task_started") || !strings.Contains(out, "error     "+agent.ID+"  call_failed") {
		t.Errorf("%s", out)
	}
}

// untilText is a terminal at which somebody presses Ctrl-C when a text appears.
type untilText struct {
	bytes.Buffer

	text  string
	found func()
}

func (u *untilText) Write(b []byte) (int, error) {
	n, err := u.Buffer.Write(b)
	if strings.Contains(u.String(), u.text) {
		u.found()
	}
	return n, err
}

// A tail goes on behind what it has seen, and what comes late does not set it back.
func TestTailGoesOn(t *testing.T) {
	newTerminal(t)
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("after"))
		if len(asked) == 3 {
			http.Error(w, `{"error":{"message":"enough"}}`, http.StatusForbidden)
			return
		}
		if len(asked) == 2 {
			w.Header().Set("Content-Length", "1000") // more than comes: the connection breaks
		}
		_, _ = w.Write([]byte("id: rep_2\nevent: a\ndata: {\"event_type\":\"a\"}\n\nevent: late\ndata: {\"event_type\":\"late\"}\n\nretry: 500\n\n"))
	}))
	defer server.Close()
	t.Setenv("BUREAU_API_KEY", "bur_x")
	cmd := root()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs([]string{"events", "tail", "--after", "rep_1", "--json", "--url", server.URL})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Fatal(err)
	}
	if got := strings.Join(asked, " "); got != "rep_1 rep_2 rep_2" {
		t.Errorf("asked for what comes after %s", got)
	}
	if n := strings.Count(out.String(), "\n"); n != 4 {
		t.Errorf("%d lines: %s", n, out.String())
	}
}

func TestMoment(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"": "", "2h": "2026-11-22T08:00:00Z", "2026-11-01": "2026-11-01T00:00:00Z", "2026-11-01T08:00:00+01:00": "2026-11-01T08:00:00+01:00", "noon": "noon",
	} {
		if got := moment(text, now); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}
