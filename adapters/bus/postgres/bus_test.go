package postgres_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/bus/postgres"
	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/adapters/store/pgtest"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/bus/bustest"
)

func handle(t *testing.T, url string) *sqltx.Handle {
	t.Helper()
	db, err := sqltx.OpenPostgres(context.Background(), url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &sqltx.Handle{Dialect: sqltx.Postgres, DB: db, URL: url}
}

func open(t *testing.T, h *sqltx.Handle) *postgres.Bus {
	t.Helper()
	b, err := postgres.New(context.Background(), postgres.Config{Store: h, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestBus(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	h := handle(t, url)
	t.Run("suite", func(t *testing.T) {
		bustest.Run(t, bustest.Config{New: func(t *testing.T) []bus.Bus {
			return []bus.Bus{open(t, h), open(t, h)}
		}})
	})
}

// TestReconnect: a bus whose connection was cut hears again after a while.
func TestReconnect(t *testing.T) {
	t.Parallel()
	h := handle(t, pgtest.URL(t))
	from, to := open(t, h), open(t, h)
	ctx := context.Background()
	got := make(chan string, 1024)
	if _, err := to.Subscribe(ctx, "topic", func(p []byte) { got <- string(p) }); err != nil {
		t.Fatal(err)
	}
	hear := func(what string) {
		t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		deadline := time.After(20 * time.Second)
		for {
			if err := from.Publish(ctx, "topic", []byte(what)); err != nil {
				t.Fatal(err)
			}
			select {
			case g := <-got:
				if g == what {
					return
				}
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%q did not come", what)
			}
		}
	}
	hear("before")
	var n int
	if err := h.DB.QueryRowContext(ctx, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'bureau bus' AND datname = current_database()`).Scan(&n); err != nil || n != 2 {
		t.Fatalf("%d connections cut, %v; want 2", n, err)
	}
	hear("after")
}
