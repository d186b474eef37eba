package crash

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

var killsEvents = flag.Int("crash.events", 2, "how often a server that takes events is killed, on each database")

// TestEventsSurviveKills kills the server while agents report events one by one and in batches: whatever was answered is there afterwards, a batch
// is there whole or not at all, and the numbers that lists say agree with what they list.
func TestEventsSurviveKills(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { eventStorm(t, start(t, nil)) })
	t.Run("postgres", func(t *testing.T) { eventStorm(t, start(t, overPostgres(t))) })
}

const (
	batchers  = 3
	batchSize = 20
	singles   = 4
)

// reporters are the callers, and what they know.
type reporters struct {
	server *process.Server
	agent  string

	mu       sync.Mutex
	sent     map[string]int  // trace -> how many events were sent under it
	answered map[string]bool // trace -> the server said that they are stored
}

func eventStorm(t *testing.T, fleet []*process.Server) {
	t.Helper()
	r := &reporters{server: fleet[0], sent: map[string]int{}, answered: map[string]bool{}}
	var made struct {
		ID string `json:"id"`
	}
	must(t, r.server.Call(t.Context(), "POST", "/v1/agents", "", map[string]any{"name": "reporter", "model": "offline"}, &made))
	r.agent = made.ID

	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for i := range batchers + singles {
		size := batchSize
		if i >= batchers {
			size = 1
		}
		callers.Go(func() { r.report(ctx, i, size) })
	}
	random := rand.New(rand.NewPCG(*seed, uint64(*killsEvents)))
	for i := range *killsEvents {
		r.wait(t, (i+1)*(batchers+singles))
		pause(ctx, time.Duration(random.IntN(250))*time.Millisecond)
		r.server.Kill()
		if err := r.server.Restart(ctx); err != nil {
			t.Fatalf("restart %d: %v", i, err)
		}
	}
	r.wait(t, (*killsEvents+1)*(batchers+singles))
	stop()
	callers.Wait()
	r.check(t)
}

// wait waits until so many requests were acknowledged.
func (r *reporters) wait(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(settleTime); ; pause(t.Context(), time.Millisecond) {
		r.mu.Lock()
		there := len(r.answered)
		r.mu.Unlock()
		if there >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d requests were acknowledged", there)
		}
	}
}

// report sends so many events at a time under a trace of their own, again and again, and never repeats one.
func (r *reporters) report(ctx context.Context, who, size int) {
	for n := 0; ctx.Err() == nil; n++ {
		trace := fmt.Sprintf("%d-%d", who, n)
		events := make([]any, size)
		for i := range events {
			events[i] = map[string]any{
				"agent_id": r.agent, "event_type": "step_" + strconv.Itoa(i%3), "trace_id": trace, "payload": map[string]any{"n": i},
			}
		}
		r.mu.Lock()
		r.sent[trace] = size
		r.mu.Unlock()
		var err error
		if size == 1 {
			err = r.server.Call(ctx, "POST", "/v1/events", "", events[0], nil)
		} else {
			err = r.server.Call(ctx, "POST", "/compat/valar/events/batch", "", map[string]any{"events": events}, nil)
		}
		if err == nil {
			r.mu.Lock()
			r.answered[trace] = true
			r.mu.Unlock()
			continue
		}
		pause(ctx, time.Millisecond)
	}
}

func (r *reporters) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	// What callers who hung up had asked for may still be on its way: the list is read until nothing more comes.
	there, listed, total := map[string]int{}, 0, -1
	for before := -2; before != total; {
		var err error
		before, err = totalCount(ctx, r.server)
		must(t, err)
		clear(there)
		listed = 0
		must(t, exported(ctx, r.server, func(trace string) {
			there[trace]++
			listed++
		}))
		total, err = totalCount(ctx, r.server)
		must(t, err)
	}
	lost := 0
	for trace, size := range r.sent {
		switch n := there[trace]; {
		case r.answered[trace] && n != size:
			t.Errorf("of %d events under %s, all acknowledged, %d are there", size, trace, n)
		case n != 0 && n != size:
			t.Errorf("of %d events under %s %d are there", size, trace, n)
		case n == 0:
			lost++
		}
	}
	if total != listed {
		t.Errorf("the list says that it has %d events, and has %d", total, listed)
	}
	t.Logf("%d kills: %d requests acknowledged, %d more stored, %d lost", *killsEvents, len(r.answered), len(r.sent)-len(r.answered)-lost, lost)
}

// exported calls each with the trace of every event that there is.
func exported(ctx context.Context, s *process.Server, each func(trace string)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/events/export", nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Api-Key", s.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for lines := json.NewDecoder(res.Body); ; {
		var e struct {
			TraceID string `json:"trace_id"`
		}
		if err := lines.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		each(e.TraceID)
	}
}

// totalCount returns how many events the valar face says that there are.
func totalCount(ctx context.Context, s *process.Server) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/compat/valar/events?limit=1", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-Api-Key", s.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, errors.New(res.Status)
	}
	return strconv.Atoi(res.Header.Get("X-Total-Count"))
}
