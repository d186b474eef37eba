package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/store/pgtest"
	"github.com/bureau-agents/bureau/app/internal/process"
)

// overPostgres is the environment of replicas that share a database.
func overPostgres(t *testing.T) []string {
	t.Helper()
	return []string{"BUREAU_DATABASE_URL=" + pgtest.URL(t), "BUREAU_ROOT_SECRET=" + strings.Repeat("5a", 32)}
}

// TestReplicaTakesOver kills the process that holds a turn, in the middle of a model call, and expects the other one to end the turn
// within ten seconds. A subscriber of the other one sees the whole turn, whoever runs it.
func TestReplicaTakesOver(t *testing.T) {
	model := newStuckModel(t)
	env := append(overPostgres(t), "BUREAU_LLM_PROVIDER=openai", "BUREAU_LLM_BASE_URL="+model.URL, "BUREAU_LLM_MODEL=stuck", "BUREAU_LLM_API_KEY=none")
	fleet := start(t, env)
	other, err := fleet[0].StartReplica(t.Context(), t.TempDir())
	must(t, err)
	t.Cleanup(other.Kill)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var agent, session struct {
		ID string `json:"id"`
	}
	must(t, fleet[0].Call(ctx, "POST", "/v1/agents", "", map[string]any{"name": "talker", "model": "stuck"}, &agent))
	must(t, fleet[0].Call(ctx, "POST", "/v1/sessions", "", map[string]any{"agent": agent.ID}, &session))
	seen := follow(ctx, t, other, session.ID)
	event := map[string]any{"type": "user.message", "content": "How are you?"}
	must(t, fleet[0].Call(ctx, "POST", "/v1/sessions/"+session.ID+"/events", "", map[string]any{"events": []any{event}}, nil))
	select {
	case <-model.asked:
	case <-ctx.Done():
		t.Fatal("the model was never asked")
	}
	fleet[0].Kill()
	killed := time.Now()

	streamed := seen()
	took := time.Since(killed)
	l := &load{fleet: []*process.Server{other}, promised: map[string]bool{}, sessions: map[string][]string{session.ID: nil}}
	var kept []string
	for _, e := range all[logged](ctx, t, l, "/v1/sessions/"+session.ID+"/events?order=asc") {
		kept = append(kept, e.ID)
	}
	if diff := cmp.Diff(kept, streamed); diff != "" {
		t.Errorf("the log and what the subscriber saw (-log +seen):\n%s", diff)
	}
	t.Logf("the other replica ended the turn %s after the kill", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("it took %s, want at most 10 s", took)
	}
	l.checkLog(ctx, t, session.ID)
}

// follow subscribes to a session. What it returns waits for the end of the turn and gives the ids of all events in between.
func follow(ctx context.Context, t *testing.T, s *process.Server, session string) func() []string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/sessions/"+session+"/events/stream", nil)
	must(t, err)
	req.Header.Set("X-Api-Key", s.Key)
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	return func() (ids []string) {
		t.Helper()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var e logged
			must(t, json.Unmarshal([]byte(data), &e))
			ids = append(ids, e.ID)
			if e.Type == "session.status_idle" {
				return ids
			}
		}
		t.Fatalf("the stream ended before the turn: %v", ctx.Err())
		return nil
	}
}

// stuckModel is an OpenAI-compatible server whose first answer never comes.
type stuckModel struct {
	*httptest.Server

	asked chan struct{}
	ended chan struct{}
}

func newStuckModel(t *testing.T) *stuckModel {
	t.Helper()
	m := &stuckModel{asked: make(chan struct{}), ended: make(chan struct{})}
	var once sync.Once
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		first := false
		once.Do(func() { first = true })
		if first {
			close(m.asked)
			<-m.ended
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, chunk := range []string{
			`{"id":"c","object":"chat.completion.chunk","model":"stuck","choices":[{"index":0,"delta":{"role":"assistant","content":"Fine."}}]}`,
			`{"id":"c","object":"chat.completion.chunk","model":"stuck","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
			`{"id":"c","object":"chat.completion.chunk","model":"stuck","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}`,
			`[DONE]`,
		} {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", chunk)
		}
	}))
	t.Cleanup(func() {
		close(m.ended)
		m.Close()
	})
	return m
}
