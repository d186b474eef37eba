package crash

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

// hostedAgents is how many agents run when the server is killed.
const hostedAgents = 20

// TestHostedAgentsOutliveTheServer kills a server with hosted agents. Their programs go on, the next server adopts every one and starts none
// twice, logs go on; what was killed together with the server is started again. A server that stops in order leaves nothing.
func TestHostedAgentsOutliveTheServer(t *testing.T) {
	s := start(t, nil)[0]
	t.Cleanup(func() { end(programs(t, s)) })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	agents := make([]string, hostedAgents)
	var work sync.WaitGroup
	for i := range agents {
		work.Go(func() {
			var made struct {
				ID      string `json:"id"`
				Hosting struct {
					Status string `json:"status"`
				} `json:"hosting"`
			}
			err := s.Call(ctx, "POST", "/v1/agents", "", map[string]any{
				"name": fmt.Sprint("hosted ", i), "model": "offline", "hosting": map[string]any{"soul": "You are hosted."},
			}, &made)
			if err != nil || made.Hosting.Status != "running" {
				t.Errorf("agent %d: %+v, %v", i, made, err)
			}
			agents[i] = made.ID
		})
	}
	work.Wait()
	before := programs(t, s)
	if t.Failed() || len(before) < hostedAgents {
		t.Fatalf("%d programs run for %d agents", len(before), hostedAgents)
	}
	note(ctx, t, s, agents[0])
	lines := logOf(ctx, t, s, agents[0])

	s.Kill()
	if got := programs(t, s); !slices.Equal(before, got) {
		t.Fatalf("programs %v outlive the server, of %v", got, before)
	}
	must(t, s.Restart(ctx))
	for _, a := range agents {
		if h := settled(ctx, t, s, a); h.Status != "running" || h.Generation != 1 {
			t.Errorf("agent %s after the kill: %+v", a, h)
		}
	}
	if got := programs(t, s); !slices.Equal(before, got) {
		t.Errorf("programs %v were adopted, of %v", got, before)
	}
	note(ctx, t, s, agents[0])
	if got := logOf(ctx, t, s, agents[0]); len(got) <= len(lines) || !slices.Equal(got[:len(lines)], lines) {
		t.Errorf("the log had %d lines and has %d:\n%s", len(lines), len(got), strings.Join(got, "\n"))
	}

	s.Kill()
	end(before[:len(before)/2])
	must(t, s.Restart(ctx))
	for _, a := range agents {
		if h := settled(ctx, t, s, a); h.Status != "running" || h.Generation != 1 {
			t.Errorf("agent %s after the kill of half the programs: %+v", a, h)
		}
	}
	if got := programs(t, s); len(got) != len(before) {
		t.Errorf("%d programs run, and %d did before", len(got), len(before))
	}

	s.Stop()
	if got := programs(t, s); len(got) > 0 {
		t.Errorf("programs %v outlive a server that was stopped", got)
	}
	must(t, s.Restart(ctx))
	if h := settled(ctx, t, s, agents[0]); h.Status != "running" || h.LastError != "" && h.Generation != 1 {
		t.Errorf("after a stop in order: %+v", h)
	}
	s.Stop()
}

type hosted struct {
	Status     string `json:"status"`
	Generation int    `json:"generation"`
	LastError  string `json:"last_error"`
}

// settled returns how an agent is hosted once its program is seen to run.
func settled(ctx context.Context, t *testing.T, s *process.Server, agent string) (h hosted) {
	t.Helper()
	for {
		var status struct {
			Live bool `json:"live"`
		}
		must(t, s.Call(ctx, "GET", "/v1/agents/"+agent+"/status", "", nil, &status))
		if status.Live {
			must(t, s.Call(ctx, "GET", "/v1/agents/"+agent+"/hosting", "", nil, &h))
			return h
		}
		pause(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatalf("agent %s does not run again", agent)
		}
	}
}

// note has an agent take a turn, of which its log tells.
func note(ctx context.Context, t *testing.T, s *process.Server, agent string) {
	t.Helper()
	was := len(logOf(ctx, t, s, agent))
	var session struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": agent}, &session))
	event := map[string]any{"type": "user.message", "content": "Hello!"}
	must(t, s.Call(ctx, "POST", "/v1/sessions/"+session.ID+"/events", "", map[string]any{"events": []any{event}}, nil))
	for len(logOf(ctx, t, s, agent)) == was {
		pause(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatal("the log does not tell of a turn")
		}
	}
}

func logOf(ctx context.Context, t *testing.T, s *process.Server, agent string) (lines []string) {
	t.Helper()
	var log struct {
		Data []struct{ Time, Text string }
	}
	must(t, s.Call(ctx, "GET", "/v1/agents/"+agent+"/logs?tail=1000", "", nil, &log))
	for _, l := range log.Data {
		lines = append(lines, l.Time+" "+l.Text)
	}
	return lines
}

// programs returns the processes that run this test's binary and are not the server, sorted: those of hosted agents. What the server is about
// to start, a plugin for instance, is for a moment a process that looks like it.
func programs(t *testing.T, s *process.Server) []int {
	t.Helper()
	bin, err := binary()
	must(t, err)
	server, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID())) // nothing when it was killed
	all := map[int]bool{}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, l := range links {
		if target, err := os.Readlink(l); err != nil || target != bin {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(l)))
		must(t, err)
		line, err := os.ReadFile(filepath.Join(filepath.Dir(l), "cmdline"))
		if err == nil && !bytes.Equal(line, server) {
			all[pid] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// end kills processes that this test has started.
func end(pids []int) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}
