package clients

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// painterOf starts an agent on one of the official libraries, and returns where it is and what it prints afterwards.
func painterOf(t *testing.T, name, version string) (base string, printed <-chan string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../../scripts/a2a-clients.sh").Output()
	if err != nil {
		t.Fatalf("the A2A libraries are not there: %v", err)
	}
	dir := strings.TrimSpace(string(out))
	command := []string{"node", "a2a/serve.mjs", version}
	if name == "Python" {
		command = []string{filepath.Join(dir, map[string]string{"1.0": "python", "0.3": "python-0.3"}[version], "bin", "python"), "a2a/serve.py", version}
	}
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "BUREAU_CLIENTS="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // it ends when this does
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 16)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			lines <- s.Text()
		}
		_, _ = io.Copy(io.Discard, stdout)
	})
	t.Cleanup(func() {
		_ = in.Close()
		reading.Wait()
		_ = cmd.Wait()
	})
	base, ok := <-lines
	if !ok {
		t.Fatal("the agent did not start")
	}
	return base, lines
}

// TestA2AServers calls agents on the official libraries, of both generations and over both bindings, from sessions: their answers come in pieces,
// they ask back, and they hear when a turn is stopped.
func TestA2AServers(t *testing.T) {
	t.Parallel()
	for _, library := range []struct{ name, version string }{{"JavaScript", "1.0"}, {"JavaScript", "0.3"}, {"Python", "1.0"}, {"Python", "0.3"}} {
		t.Run(library.name+" "+library.version, func(t *testing.T) {
			t.Parallel()
			base, printed := painterOf(t, library.name, library.version)
			s := apptest.Start(t, apptest.Config{Change: func(c *app.Config) { c.EgressAllow = append(c.EgressAllow, strings.TrimPrefix(base, "http://")) }})
			api := s.Admin.In(t)
			for path, name := range map[string]string{"/rpc": "over_JSON-RPC", "/rest": "over_HTTP"} {
				var r struct {
					AgentID string `json:"agent_id"`
					Card    struct{ Valid bool }
				}
				api.Call("POST", "/v1/remote_agents", map[string]any{"url": base + path, "name": name}, &r)
				var sess struct{ ID string }
				api.Call("POST", "/v1/sessions", map[string]any{"agent": r.AgentID}, &sess)
				say := func(text, want string, pieces int) {
					t.Helper()
					said, n := "", 0
					for _, e := range api.Stream("POST", "/v1/sessions/"+sess.ID+"/messages", map[string]any{"content": text}).Rest() {
						var d struct {
							Type, Delta string
							Content     []struct{ Text string }
						}
						if json.Unmarshal(e.Data, &d) != nil {
							continue
						}
						if d.Delta != "" {
							n++
						}
						if d.Type == "agent.message" && len(d.Content) > 0 {
							said = d.Content[0].Text
						}
					}
					if said != want || n < pieces {
						t.Errorf("%s: %q is answered with %q in %d pieces; want %q in %d", name, text, said, n, want, pieces)
					}
				}
				say("the barn", "Which colour for the barn?", 1)
				say("red", "Painted red", 2)
				say("the gate", "Which colour for the gate?", 1)

				say("green", "Painted green", 2)
				slow := api.Stream("POST", "/v1/sessions/"+sess.ID+"/messages", map[string]any{"content": "be slow"})
				for began := false; !began; {
					e, ok := slow.Next()
					if !ok {
						t.Fatalf("%s: the answer ended before it began", name)
					}
					began = strings.Contains(string(e.Data), "begun")
				}
				api.Call("POST", "/v1/sessions/"+sess.ID+"/cancel", nil, nil)
				slow.Rest()
				if line := <-printed; line != "canceled" {
					t.Errorf("%s: the agent printed %q", name, line)
				}
			}
		})
	}
}
