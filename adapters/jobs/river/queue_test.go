package river_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/store/pgtest"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/jobs/jobstest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func open(t *testing.T, cfg bunstore.Config) *bunstore.Store {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := bunstore.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func queue(t *testing.T, s *bunstore.Store) *river.Queue {
	t.Helper()
	q, err := river.New(context.Background(), river.Config{
		Store: s.SQL(), TX: s, Logger: slog.New(slog.DiscardHandler), PollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
	return q
}

func TestQueue(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(*testing.T) bunstore.Config{
		"sqlite":   func(t *testing.T) bunstore.Config { return bunstore.Config{Path: t.TempDir() + "/bureau.db"} },
		"postgres": func(t *testing.T) bunstore.Config { return bunstore.Config{URL: pgtest.URL(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobstest.Run(t, jobstest.Config{New: func(t *testing.T) (tx.Runner, func(*testing.T) jobstest.Process) {
				s := open(t, cfg(t))
				return s, func(t *testing.T) jobstest.Process { return queue(t, s) }
			}})
		})
	}
}

// TestTakesUpWhatWasCutOff: on SQLite, a job that a killed process was at runs again at the next start.
func TestTakesUpWhatWasCutOff(t *testing.T) {
	t.Parallel()
	s := open(t, bunstore.Config{Path: t.TempDir() + "/bureau.db"})
	killed := queue(t, s)
	begun := make(chan struct{})
	if err := killed.Handle("work", func(ctx context.Context, _ json.RawMessage) error {
		close(begun)
		<-ctx.Done()
		<-t.Context().Done() // never reports back
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := killed.Enqueue(context.Background(), jobs.Job{Kind: "work"}); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := killed.Close(); err != nil { // takes its connection away, as a kill does
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = killed.Stop(ctx) // ends its goroutines; it cannot end well
	})
	next := queue(t, s)
	again := make(chan struct{})
	if err := next.Handle("work", func(context.Context, json.RawMessage) error { close(again); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := next.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-again:
	case <-time.After(20 * time.Second):
		t.Error("the job did not run again")
	}
	if err := next.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}
