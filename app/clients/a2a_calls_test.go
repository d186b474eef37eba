package clients

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// clerk is the agent that is called: the tool of its own is one that callers have to answer, so that a task waits for them.
const clerk = `{"name":"Clerk","description":"Does sums, and orders books at the shop.","model":"offline","tools":[{"type":"custom","name":"order",
	"description":"Orders a book.","input_schema":{"type":"object","properties":{"title":{"type":"string"}}}}]}`

// TestA2ACalls has the official client libraries of both generations call an agent, over both bindings.
func TestA2ACalls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs what the set-up installs")
	}
	dir := a2aLibraries(t)
	s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.EgressAllow = append(c.EgressAllow, "127.0.0.1") }})
	var agent struct{ ID string }
	s.Admin.Call("POST", "/v1/agents", json.RawMessage(clerk), &agent)
	for _, c := range []struct {
		name    string
		command []string
		sdk     string
	}{
		{"JavaScript 1.x", []string{"node", "a2a/call.mjs"}, "a2a"},
		{"JavaScript 0.3", []string{"node", "a2a/call.mjs"}, "a2a-older"},
		{"Python 1.x", []string{filepath.Join(dir, "python", "bin", "python"), "a2a/call.py"}, ""},
		{"Python 0.3", []string{filepath.Join(dir, "python-0.3", "bin", "python"), "a2a/call.py"}, ""},
	} {
		for _, binding := range []string{"JSONRPC", "HTTP+JSON"} {
			t.Run(c.name+" "+binding, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
				cmd.Env = append(os.Environ(), "BUREAU_URL="+s.URL, "BUREAU_KEY="+s.BootstrapKey(), "BUREAU_AGENT="+agent.ID, "BUREAU_CLIENTS="+dir,
					"BUREAU_SDK="+c.sdk, "BUREAU_BINDING="+binding, "NO_PROXY=*")
				report(t, cmd)
			})
		}
	}
}

// a2aLibraries returns the folder of the official A2A libraries that the set-up installs.
func a2aLibraries(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../../scripts/a2a-clients.sh").Output()
	if err != nil {
		t.Fatalf("the A2A libraries are not there: %v\n%s", err, stderrOf(err))
	}
	return strings.TrimSpace(string(out))
}
