// Package jobstest is the conformance suite of ports/jobs: every Queue runs it.
package jobstest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Process is what one process of a server has: a queue and the worker of its jobs.
type Process interface {
	jobs.Queue
	// Handle registers the handler of a kind, before Start.
	Handle(kind string, h jobs.Handler) error
	// Schedule registers a schedule, before Start.
	Schedule(s jobs.Schedule) error
	// Start begins to work jobs.
	Start(ctx context.Context) error
	// Stop takes no more jobs and waits for those that run, at most until ctx ends.
	Stop(ctx context.Context) error
}

// Config says what is tested.
type Config struct {
	// New returns the transaction runner of an empty store and a function that makes the queue of another process over it.
	New func(t *testing.T) (tx.Runner, func(t *testing.T) Process)
}

// patience is how long the suite waits for what should come.
const patience = 20 * time.Second

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, tx.Runner, func(*testing.T) Process){
		"Works": testWorks, "JoinsTransaction": testJoinsTransaction, "Retries": testRetries, "RunAt": testRunAt,
		"MaxAttempts": testMaxAttempts, "Unique": testUnique, "BadJobs": testBadJobs, "OnceAmongProcesses": testOnce,
		"Schedule": testSchedule, "StopWaits": testStopWaits, "Registration": testRegistration,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, process := cfg.New(t)
			test(t, r, process)
		})
	}
}

func start(t *testing.T, p Process) {
	t.Helper()
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, p) })
}

func stop(t *testing.T, p Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func handle(t *testing.T, p Process, kind string, h jobs.Handler) {
	t.Helper()
	if err := p.Handle(kind, h); err != nil {
		t.Fatal(err)
	}
}

func enqueue(t *testing.T, p Process, j jobs.Job) {
	t.Helper()
	if err := p.Enqueue(context.Background(), j); err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

// canonical writes a document without the white space that a database may have added.
func canonical(a json.RawMessage) string {
	var v any
	if err := json.Unmarshal(a, &v); err != nil {
		return "not JSON: " + string(a)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func number(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"n":%d}`, n)) }

func testWorks(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	got := make(chan string, 8)
	handle(t, p, "first", func(_ context.Context, a json.RawMessage) error { got <- "first " + canonical(a); return nil })
	handle(t, p, "second", func(_ context.Context, a json.RawMessage) error { got <- "second " + canonical(a); return nil })
	enqueue(t, p, jobs.Job{Kind: "first", Args: json.RawMessage(`{"text":"it's ? \\ \u00e9"}`)}) // before Start
	start(t, p)
	if diff := cmp.Diff(`first {"text":"it's ? \\ é"}`, receive(t, got)); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	enqueue(t, p, jobs.Job{Kind: "second"})
	if diff := cmp.Diff(`second {}`, receive(t, got)); diff != "" {
		t.Errorf("job without arguments (-want +got):\n%s", diff)
	}
}

func testJoinsTransaction(t *testing.T, r tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	got := make(chan string, 8)
	handle(t, p, "work", func(_ context.Context, a json.RawMessage) error { got <- canonical(a); return nil })
	start(t, p)
	boom := errors.New("boom")
	err := r.Do(context.Background(), func(ctx context.Context) error {
		if err := p.Enqueue(ctx, jobs.Job{Kind: "work", Args: number(1)}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatalf("Do: %v; want %v", err, boom)
	}
	err = r.Do(context.Background(), func(ctx context.Context) error {
		for n := 2; n <= 3; n++ {
			if err := p.Enqueue(ctx, jobs.Job{Kind: "work", Args: number(n)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{receive(t, got): true, receive(t, got): true}
	if diff := cmp.Diff(map[string]bool{`{"n":2}`: true, `{"n":3}`: true}, seen); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

func testRetries(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	got := make(chan int64, 8)
	var tries atomic.Int64
	handle(t, p, "flaky", func(context.Context, json.RawMessage) error {
		n := tries.Add(1)
		got <- n
		switch n {
		case 1:
			return errors.New("not yet")
		case 2:
			panic("nor now")
		}
		return nil
	})
	start(t, p)
	enqueue(t, p, jobs.Job{Kind: "flaky"})
	for want := int64(1); want <= 2; want++ {
		if n := receive(t, got); n != want {
			t.Errorf("attempt %d; want %d", n, want)
		}
	}
}

func testMaxAttempts(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	got := make(chan string, 8)
	handle(t, p, "hopeless", func(context.Context, json.RawMessage) error { got <- "hopeless"; return errors.New("no") })
	handle(t, p, "later", func(context.Context, json.RawMessage) error { got <- "later"; return nil })
	start(t, p)
	enqueue(t, p, jobs.Job{Kind: "hopeless", MaxAttempts: 1, UniqueKey: "k"})
	if g := receive(t, got); g != "hopeless" {
		t.Fatal(g)
	}
	// Once it is given up, its key is free. Adding is silent while it is not.
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		enqueue(t, p, jobs.Job{Kind: "hopeless", MaxAttempts: 1, UniqueKey: "k"})
		select {
		case <-got:
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("a job with one attempt is still in the way of another")
		}
	}
}

func testRunAt(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	got := make(chan string, 8)
	handle(t, p, "timed", func(_ context.Context, a json.RawMessage) error { got <- canonical(a); return nil })
	start(t, p)
	enqueue(t, p, jobs.Job{Kind: "timed", Args: number(1), RunAt: time.Now().Add(time.Hour)})
	enqueue(t, p, jobs.Job{Kind: "timed", Args: number(2), RunAt: time.Now().Add(-time.Hour)})
	soon := time.Now().Add(time.Second)
	enqueue(t, p, jobs.Job{Kind: "timed", Args: number(3), RunAt: soon})
	seen := map[string]time.Time{}
	for range 2 {
		seen[receive(t, got)] = time.Now()
	}
	if _, ok := seen[`{"n":2}`]; !ok {
		t.Error("the job of the past did not run")
	}
	// Databases that keep milliseconds may round down.
	if at, ok := seen[`{"n":3}`]; !ok || at.Before(soon.Add(-time.Millisecond)) {
		t.Errorf("the job of %s ran at %s", soon, at)
	}
}

func testUnique(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	got, release := make(chan string, 8), make(chan struct{})
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	handle(t, p, "one", func(_ context.Context, a json.RawMessage) error { got <- canonical(a); <-release; return nil })
	handle(t, p, "other", func(_ context.Context, a json.RawMessage) error { got <- canonical(a); return nil })
	start(t, p)
	enqueue(t, p, jobs.Job{Kind: "one", Args: number(1), UniqueKey: "k"})
	enqueue(t, p, jobs.Job{Kind: "one", Args: number(2), UniqueKey: "k"})
	if g := receive(t, got); g != `{"n":1}` {
		t.Fatalf("job %s; want the first", g)
	}
	enqueue(t, p, jobs.Job{Kind: "one", Args: number(3), UniqueKey: "k"}) // while it runs
	enqueue(t, p, jobs.Job{Kind: "other", Args: number(4), UniqueKey: "k"})
	if g := receive(t, got); g != `{"n":4}` {
		t.Errorf("job %s; want the one of another kind", g)
	}
	once.Do(func() { close(release) })
	// Done, it lets another one in.
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
		enqueue(t, p, jobs.Job{Kind: "one", Args: number(5), UniqueKey: "k"})
		select {
		case g := <-got:
			if g != `{"n":5}` {
				t.Errorf("job %s; want the fifth: the second and third had a key that was taken", g)
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("a finished job is still in the way of another")
		}
	}
}

func testBadJobs(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	for name, j := range map[string]jobs.Job{
		"no kind":       {Args: number(1)},
		"bad kind":      {Kind: "Work Hard", Args: number(1)},
		"not an object": {Kind: "work", Args: json.RawMessage(`[1]`)},
		"not JSON":      {Kind: "work", Args: json.RawMessage(`{"a":`)},
		"too long":      {Kind: "work", Args: json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10) + `"}`)},
	} {
		if err := p.Enqueue(context.Background(), j); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	handle(t, p, "work", func(context.Context, json.RawMessage) error { return nil })
	start(t, p)
	if err := p.Enqueue(context.Background(), jobs.Job{Kind: "unknown"}); err == nil {
		t.Error("a kind that nobody handles: no error")
	}
}

func testOnce(t *testing.T, r tx.Runner, process func(*testing.T) Process) {
	const total = 60
	var mu sync.Mutex
	counts := map[string]int{}
	done := make(chan struct{}, 2*total)
	var first Process
	for range 2 {
		p := process(t)
		if first == nil {
			first = p
		}
		handle(t, p, "work", func(_ context.Context, a json.RawMessage) error {
			mu.Lock()
			counts[canonical(a)]++
			mu.Unlock()
			done <- struct{}{}
			return nil
		})
		start(t, p)
	}
	err := r.Do(context.Background(), func(ctx context.Context) error {
		for n := range total {
			if err := first.Enqueue(ctx, jobs.Job{Kind: "work", Args: number(n)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range total {
		receive(t, done)
	}
	mu.Lock()
	defer mu.Unlock()
	for a, n := range counts {
		if n != 1 {
			t.Errorf("job %s ran %d times in undisturbed processes", a, n)
		}
	}
	if len(counts) != total {
		t.Errorf("%d jobs ran; want %d", len(counts), total)
	}
}

func testSchedule(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	ticks := make(chan time.Time, 64)
	for range 2 {
		p := process(t)
		handle(t, p, "tick", func(context.Context, json.RawMessage) error { ticks <- time.Now(); return nil })
		if err := p.Schedule(jobs.Schedule{Kind: "tick", Every: time.Second}); err != nil {
			t.Fatal(err)
		}
		start(t, p)
	}
	begun := receive(t, ticks)
	n := 1
	for range 2 {
		receive(t, ticks)
		n++
	}
	// Two processes, one tick a second: in the time that passed there can be at most one per period that it touches.
	if most := int(time.Since(begun)/time.Second) + 2; n+len(ticks) > most {
		t.Errorf("%d ticks; want at most %d", n+len(ticks), most)
	}
}

func testStopWaits(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	handle(t, p, "slow", func(context.Context, json.RawMessage) error {
		close(begun)
		<-release
		ended.Store(true)
		return nil
	})
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	enqueue(t, p, jobs.Job{Kind: "slow"})
	receive(t, begun)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(t, p)
	}()
	close(release)
	receive(t, stopped)
	if !ended.Load() {
		t.Error("Stop returned before the job")
	}
}

func testRegistration(t *testing.T, _ tx.Runner, process func(*testing.T) Process) {
	p := process(t)
	h := func(context.Context, json.RawMessage) error { return nil }
	handle(t, p, "work", h)
	for name, err := range map[string]error{
		"second handler": p.Handle("work", h), "bad kind": p.Handle("No!", h), "nil handler": p.Handle("nothing", nil),
		"too often": p.Schedule(jobs.Schedule{Kind: "work", Every: time.Millisecond}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	start(t, p)
	if p.Handle("late", h) == nil || p.Schedule(jobs.Schedule{Kind: "work", Every: time.Minute}) == nil {
		t.Error("registered after Start")
	}
}
