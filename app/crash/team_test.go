package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

// TestTeamsSQLite kills the server while teams delegate, spend budgets and run programs.
func TestTeamsSQLite(t *testing.T) {
	teamStorm(t, start(t, newTeamModel(t).env()))
}

// TestTeamsPostgres does so with one of two servers over one database.
func TestTeamsPostgres(t *testing.T) {
	fleet := start(t, append(overPostgres(t), newTeamModel(t).env()...))
	replica, err := fleet[0].StartReplica(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(replica.Kill)
	teamStorm(t, append(fleet, replica))
}

// teamModel is an OpenAI-compatible server that plays a leader, who delegates twice, and workers, who run a program once. How long the
// program takes is said in the message.
type teamModel struct{ *httptest.Server }

func newTeamModel(t *testing.T) teamModel {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(playTeam))
	t.Cleanup(s.Close)
	return teamModel{s}
}

func (m teamModel) env() []string {
	return []string{"BUREAU_LLM_PROVIDER=openai", "BUREAU_LLM_BASE_URL=" + m.URL, "BUREAU_LLM_MODEL=gpt-5.6", "BUREAU_LLM_API_KEY=none"}
}

func playTeam(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Messages []struct {
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		} `json:"messages"`
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	leads, said, results := false, "", 0
	for _, m := range req.Messages {
		switch m.Role {
		case "user":
			said, results = string(m.Content), 0
		case "tool":
			results++
		case "system", "developer":
			leads = leads || strings.Contains(string(m.Content), "LEADER")
		}
	}
	type call map[string]any
	use := func(i int, name string, input any) call {
		args, _ := json.Marshal(input)
		return call{"index": i, "id": fmt.Sprintf("call_%d", i), "type": "function", "function": call{"name": name, "arguments": string(args)}}
	}
	_, seconds, _ := strings.Cut(said, "sleep ")
	seconds, _, _ = strings.Cut(seconds, "!")
	delta, finish := call{"role": "assistant", "content": "Done."}, "stop"
	switch {
	case results > 0:
	case leads:
		order := call{"agent": "worker", "message": "sleep " + seconds + "!"}
		delta, finish = call{"role": "assistant", "tool_calls": []call{use(0, "delegate", order), use(1, "delegate", order)}}, "tool_calls"
	default:
		delta, finish = call{"role": "assistant", "tool_calls": []call{use(0, "bash", call{"command": "sleep " + seconds + "; echo ran"})}}, "tool_calls"
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, chunk := range []any{
		call{"id": "c", "object": "chat.completion.chunk", "model": "gpt-5.6", "choices": []call{{"index": 0, "delta": delta}}},
		call{"id": "c", "object": "chat.completion.chunk", "model": "gpt-5.6", "choices": []call{{"index": 0, "delta": call{}, "finish_reason": finish}}},
		call{
			"id": "c", "object": "chat.completion.chunk", "model": "gpt-5.6", "choices": []call{},
			"usage": call{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
		},
	} {
		b, _ := json.Marshal(chunk)
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
	}
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}

// makeTeam makes a leader with a worker that has a sandbox.
func makeTeam(ctx context.Context, t *testing.T, s *process.Server) (leader, worker string) {
	t.Helper()
	var made struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/agents", "", map[string]any{
		"name": "worker", "model": "gpt-5.6", "system": "You are a WORKER.",
		"tools": []any{map[string]any{"type": "agent_toolset_20260401", "default_config": map[string]any{
			"enabled": true, "permission_policy": map[string]any{"type": "always_allow"},
		}}},
	}, &made))
	worker = made.ID
	must(t, s.Call(ctx, "POST", "/v1/agents", "", map[string]any{
		"name": "leader", "model": "gpt-5.6", "system": "You are the LEADER.",
		"multiagent": map[string]any{"type": "coordinator", "agents": []any{map[string]any{"type": "agent", "id": worker}}},
	}, &made))
	return made.ID, worker
}

func tell(ctx context.Context, s *process.Server, session, text string) error {
	event := map[string]any{"type": "user.message", "content": text}
	return s.Call(ctx, "POST", "/v1/sessions/"+session+"/events", "", map[string]any{"events": []any{event}}, nil)
}

const teamBudget = 20 // dollars

func teamStorm(t *testing.T, fleet []*process.Server) {
	t.Helper()
	const teams, kills = 3, 3
	ctx, cancel := context.WithTimeout(t.Context(), 2*settleTime)
	defer cancel()
	leader, _ := makeTeam(ctx, t, fleet[0])
	l := &load{fleet: fleet}
	var sessions []string
	for range teams {
		var made struct {
			ID string `json:"id"`
		}
		must(t, fleet[0].Call(ctx, "POST", "/v1/sessions", "", map[string]any{
			"agent":  leader,
			"budget": map[string]any{"type": "limit", "max_list_cost": map[string]any{"amount": fmt.Sprintf("%d.00", teamBudget), "currency": "USD"}},
		}, &made))
		sessions = append(sessions, made.ID)
	}
	busy, stop := context.WithCancel(ctx)
	var callers sync.WaitGroup
	for _, session := range sessions {
		callers.Go(func() {
			for n := 0; n < 10 && busy.Err() == nil; n++ {
				_ = tell(busy, l.any(), session, "sleep 0.2!") // an answer that got lost is no promise
				pause(busy, 400*time.Millisecond)
			}
		})
	}
	random := rand.New(rand.NewPCG(*seed, uint64(len(fleet))))
	for i := range kills {
		pause(ctx, time.Duration(200+random.IntN(900))*time.Millisecond)
		victim := fleet[random.IntN(len(fleet))]
		victim.Kill()
		if err := victim.Restart(ctx); err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
	}
	stop()
	callers.Wait()
	ran, unknown := 0, 0
	for _, session := range sessions {
		l.waitEnded(ctx, t, session)
		var shown struct {
			Usage struct {
				Cost amount `json:"list_cost"`
			} `json:"usage"`
		}
		must(t, l.any().Call(ctx, "GET", "/v1/sessions/"+session, "", nil, &shown))
		var dollars float64
		if _, err := fmt.Sscan(shown.Usage.Cost.Amount, &dollars); err != nil || dollars <= 0 || dollars > teamBudget {
			t.Errorf("session %s has cost %q, its budget was %d", session, shown.Usage.Cost.Amount, teamBudget)
		}
		path := "/v1/sessions/" + session + "/threads"
		for _, thread := range all[struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		}](ctx, t, l, path) {
			if thread.Status != "idle" {
				t.Errorf("thread %s is %s", thread.ID, thread.Status)
			}
			r, u := checkThread(t, all[told](ctx, t, l, path+"/"+thread.ID+"/events?order=asc"))
			ran, unknown = ran+r, unknown+u
		}
	}
	if ran == 0 {
		t.Error("no program ran to its end")
	}
	t.Logf("%d programs ran to their end, %d were cut off", ran, unknown)
}

// told is an event of a thread, as far as it matters.
type told struct {
	Seq       int64           `json:"seq"`
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Name      string          `json:"name"`
	ToolUseID string          `json:"tool_use_id"`
	Thread    *string         `json:"session_thread_id"`
	Content   json.RawMessage `json:"content"`
}

// waitEnded waits until a session and all of its threads are idle.
func (l *load) waitEnded(ctx context.Context, t *testing.T, session string) {
	t.Helper()
	for {
		var s struct {
			Status string `json:"status"`
		}
		err := l.any().Call(ctx, "GET", "/v1/sessions/"+session, "", nil, &s)
		if err == nil && s.Status == "idle" {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("session %s is stuck: %q, %v", session, s.Status, err)
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// checkThread proves that a log is gapless and that every tool use has exactly one result, and counts the programs that ran to their end
// and those that were cut off.
func checkThread(t *testing.T, events []told) (ran, unknown int) {
	t.Helper()
	results := map[string][]string{}
	for i, e := range events {
		if e.Seq != int64(i+1) {
			t.Errorf("entry %d has the number %d", i+1, e.Seq)
		}
		if e.Type == "agent.tool_result" {
			results[e.ToolUseID] = append(results[e.ToolUseID], string(e.Content))
		}
	}
	for _, e := range events {
		if e.Type != "agent.tool_use" || e.Thread != nil {
			continue
		}
		got := results[e.ID]
		switch {
		case len(got) != 1:
			t.Errorf("%s of %s has the results %q", e.ID, e.Name, got)
		case e.Name != "bash":
		case strings.Contains(got[0], "outcome is unknown"), strings.Contains(got[0], "the session was archived"):
			unknown++
		case strings.Contains(got[0], "ran"):
			ran++
		default:
			t.Errorf("a program has the result %s", got[0])
		}
	}
	return ran, unknown
}

// TestKilledDuringBash kills the server while a program runs in a sandbox: the program ends with it, and its use has one result, which
// says that nobody knows.
func TestKilledDuringBash(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	fleet := start(t, newTeamModel(t).env())
	s := fleet[0]
	_, worker := makeTeam(ctx, t, s)
	var session struct {
		ID string `json:"id"`
	}
	must(t, s.Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": worker}, &session))
	seconds := fmt.Sprintf("%d.%06d", 50, os.Getpid()) // found again by it
	must(t, tell(ctx, s, session.ID, "sleep "+seconds+"!"))
	sleeping := func(want bool) {
		t.Helper()
		for running(seconds) != want {
			if ctx.Err() != nil {
				t.Fatalf("a program that sleeps %s runs: %v", seconds, !want)
			}
			pause(ctx, 20*time.Millisecond)
		}
	}
	sleeping(true)
	s.Kill()
	killed := time.Now()
	sleeping(false)
	t.Logf("the program ended %s after the kill", time.Since(killed).Round(time.Millisecond))
	must(t, s.Restart(ctx))
	l := &load{fleet: fleet}
	l.waitEnded(ctx, t, session.ID)
	events := all[told](ctx, t, l, "/v1/sessions/"+session.ID+"/events?order=asc")
	if ran, unknown := checkThread(t, events); ran != 0 || unknown != 1 {
		t.Errorf("%d programs ran, the outcome of %d is unknown", ran, unknown)
	}
	if running(seconds) {
		t.Error("the program was run again")
	}
}

// running reports whether a program of this machine has an argument.
func running(arg string) bool {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err == nil && bytes.Contains(line, []byte("\x00"+arg+"\x00")) {
			return true
		}
	}
	return false
}
