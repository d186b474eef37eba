package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/id"
)

// hostedAgent is how an agent is hosted.
type hostedAgent struct {
	Status       string
	NeedsRestart bool   `json:"needs_restart"`
	LastError    string `json:"last_error"`
}

// logText returns an agent's log.
func logText(api *apptest.Client, agent string) string {
	var log struct {
		Data []struct{ Level, Text string }
	}
	api.Call("GET", "/v1/agents/"+agent+"/logs?tail=1000", nil, &log)
	var b strings.Builder
	for _, l := range log.Data {
		b.WriteString("[" + l.Level + "] " + l.Text + "\n")
	}
	return b.String()
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

// TestHostedAgent hosts an agent as a process: it is measured, its log tells of its turns, it reads its rules from its work directory, and
// nothing is left of it once it is destroyed.
func TestHostedAgent(t *testing.T) {
	t.Parallel()
	var data string
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { data = c.DataDir }})
	var made struct {
		ID      string
		Hosting hostedAgent
	}
	s.Admin.Call("POST", "/v1/agents", m{"name": "hosted", "model": "offline", "hosting": m{"soul": "You are hosted.", "region": "us"}}, &made)
	if made.Hosting.Status != "running" {
		t.Fatalf("a new agent: %+v", made)
	}
	of := "/v1/agents/" + made.ID
	var status struct {
		Live      bool
		Source    string
		Resources struct {
			Memory int64
			Limit  int64 `json:"memory_limit"`
		}
	}
	s.Admin.Call("GET", of+"/status", nil, &status)
	if !status.Live || status.Source != "runtime" || status.Resources.Memory <= 0 || status.Resources.Limit < status.Resources.Memory {
		t.Errorf("status: %+v", status)
	}
	var written struct {
		NeedsRestart bool `json:"needs_restart"`
	}
	s.Admin.Call("PUT", of+"/rules/greeting", m{"content": "Say hello."}, &written)
	var h hostedAgent
	if s.Admin.Call("GET", of+"/hosting", nil, &h); !written.NeedsRestart || !h.NeedsRestart {
		t.Errorf("after a change: %+v, %+v", written, h)
	}
	if s.Admin.Call("POST", of+"/restart", nil, &h); h.NeedsRestart || h.Status != "running" {
		t.Errorf("after a restart: %+v", h)
	}
	agent, err := id.Parse[id.AgentKind](made.ID)
	if err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(data, "agents", hosting.InstanceID(agent))
	if _, err := os.Stat(files); err != nil {
		t.Fatal(err)
	}
	var session struct{ ID string }
	s.Admin.Call("POST", "/v1/sessions", m{"agent": made.ID}, &session)
	s.Admin.Stream("POST", "/v1/sessions/"+session.ID+"/messages", m{"content": "Hello!"}).Rest()
	eventually(t, "the log tells of the turn", func() bool { return strings.Contains(logText(s.Admin, made.ID), "ended: end_turn") })
	var agents struct {
		Data []struct{ Hosting *hostedAgent }
	}
	if s.Admin.Call("GET", "/v1/agents", nil, &agents); len(agents.Data) != 1 || agents.Data[0].Hosting == nil || agents.Data[0].Hosting.Status != "running" {
		t.Errorf("the list: %+v", agents)
	}
	var account struct {
		Usage struct {
			Running int `json:"running_agents"`
		}
	}
	if s.Admin.Call("GET", "/v1/account", nil, &account); account.Usage.Running != 1 {
		t.Errorf("the account: %+v", account)
	}
	s.Admin.Call("POST", of+"/destroy", nil, nil)
	eventually(t, "its files are gone", func() bool { _, err := os.Stat(files); return os.IsNotExist(err) })
}

// TestOwnProgramTellsNoSecrets runs a program that shows its secrets and ends: the log has neither, and a stop ends the trying.
func TestOwnProgramTellsNoSecrets(t *testing.T) {
	t.Parallel()
	s := apptest.Start(t, apptest.Config{})
	var made struct{ ID string }
	s.Admin.Call("POST", "/v1/agents", m{"name": "own", "model": "offline"}, &made)
	of := "/v1/agents/" + made.ID
	s.Admin.Call("PUT", of+"/secrets", m{"secrets": m{"SHOP_TOKEN": "the-token-of-the-shop"}}, nil)
	s.Admin.Call("PATCH", of+"/hosting", m{"program": m{
		"command": []string{"/bin/sh", "-c", `echo "token $SHOP_TOKEN"; echo "[error] $SHOP_TOKEN" >&2; exit 3`}, "port": 8080,
	}}, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		agent, _ := id.Parse[id.AgentKind](made.ID)
		_, _ = s.Hosting.Start(t.Context(), s.Scope(), agent)
	}()
	var log string
	eventually(t, "it says something", func() bool { log = logText(s.Admin, made.ID); return strings.Contains(log, "token ") })
	if strings.Contains(log, "the-token-of-the-shop") || !strings.Contains(log, "[info] token [redacted:") {
		t.Errorf("the log:\n%s", log)
	}
	s.Admin.Call("PUT", of+"/secrets", m{"delete_secrets": []string{"SHOP_TOKEN"}}, nil)
	if log = logText(s.Admin, made.ID); strings.Contains(log, "the-token-of-the-shop") || !strings.Contains(log, "[redacted:SHOP_TOKEN]") {
		t.Errorf("the log once the secret was deleted:\n%s", log)
	}
	var h hostedAgent
	eventually(t, "its end is noted", func() bool { s.Admin.Call("GET", of+"/hosting", nil, &h); return h.LastError != "" })
	if s.Admin.Call("POST", of+"/stop", nil, &h); h.Status != "stopped" {
		t.Errorf("after a stop: %+v", h)
	}
	<-done
}
