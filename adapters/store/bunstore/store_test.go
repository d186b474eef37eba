package bunstore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// eachStore runs fn on a fresh, migrated store of every database.
func eachStore(t *testing.T, fn func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		fn(t, openSQLiteStore(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		fn(t, openStore(t, Config{URL: postgresURL(t), PoolSize: 8}))
	})
}

func openSQLiteStore(tb testing.TB) *Store {
	tb.Helper()
	return openStore(tb, Config{Path: sqlitePath(tb)})
}

func openStore(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// itemRow is a table of this test's own.
type itemRow struct {
	bun.BaseModel `bun:"table:test_items"`

	ID   id.Agent `bun:"id,pk"`
	Name string   `bun:"name"`
	At   stamp    `bun:"at"`
	Doc  rawJSON  `bun:"doc"`
	Yes  bool     `bun:"yes"`
	Nums int64    `bun:"nums"`
	Raw  []byte   `bun:"raw"`
}

func createItems(tb testing.TB, s *Store) {
	tb.Helper()
	ddl := `CREATE TABLE test_items (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, at TEXT, doc TEXT, yes BOOLEAN, nums INTEGER, raw BLOB)`
	if s.postgres() {
		ddl = `CREATE TABLE test_items (id uuid PRIMARY KEY, name text NOT NULL UNIQUE, at timestamptz, doc jsonb, yes boolean, nums bigint, raw bytea)`
	}
	err := s.write(context.Background(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, ddl)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
}

var ids = id.NewGenerator(time.Now)

func newItem(name string) *itemRow {
	return &itemRow{ID: id.New[id.AgentKind](ids), Name: name, At: at(clock.Stored(time.Now()))}
}

func (s *Store) insertItem(ctx context.Context, r *itemRow) error {
	return s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.NewInsert().Model(r).Exec(ctx)
		return mapErr(err)
	})
}

func (s *Store) countItems(ctx context.Context, t *testing.T) int {
	t.Helper()
	n, err := s.read(ctx).NewSelect().Model((*itemRow)(nil)).Count(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

func TestColumns(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		createItems(t, s)
		ctx := context.Background()
		want := newItem("it's \"quoted\" ? \\ \u00e9")
		want.Doc = rawJSON(`{"a": "it's ? \\"}`)
		want.Yes, want.Nums, want.Raw = true, 1<<62, []byte{0, 1, 0xff}
		if err := s.insertItem(ctx, want); err != nil {
			t.Fatal(err)
		}
		empty := newItem("empty")
		empty.At = stamp{}
		if err := s.insertItem(ctx, empty); err != nil {
			t.Fatal(err)
		}
		for _, w := range []*itemRow{want, empty} {
			var got itemRow
			if err := s.read(ctx).NewSelect().Model(&got).Where("id = ?", w.ID).Scan(ctx); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*w, got, cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
				cmp.Comparer(func(a, b stamp) bool { return a.t.Equal(b.t) })); diff != "" {
				t.Errorf("row (-want +got):\n%s", diff)
			}
		}
		var before int
		err := s.read(ctx).NewRaw("SELECT count(*) FROM test_items WHERE at <= ?", want.At).Scan(ctx, &before)
		if err != nil || before != 1 {
			t.Errorf("%d rows up to %s, %v; want 1", before, want.At, err)
		}
	})
}

func TestMapErr(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		createItems(t, s)
		ctx := context.Background()
		if err := s.insertItem(ctx, newItem("one")); err != nil {
			t.Fatal(err)
		}
		err := s.insertItem(ctx, newItem("one"))
		if !errors.Is(err, errUnique) || !isUnique(err) || fault.KindOf(err) != fault.Conflict {
			t.Errorf("a second row of one name: %v; want errUnique", err)
		}
	})
}

func TestOpenTwice(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/bureau.db"
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s, err := Open(context.Background(), Config{Path: path, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := s.Do(context.Background(), func(context.Context) error { return nil }); !errors.Is(err, ErrClosed) {
				t.Errorf("Do after Close: %v; want ErrClosed", err)
			}
		})
	}
	wg.Wait()
}

func TestMemoryIsRemoved(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: ":memory:"})
	createItems(t, s)
	if err := s.insertItem(context.Background(), newItem("a")); err != nil {
		t.Fatal(err)
	}
	if n := s.countItems(context.Background(), t); n != 1 {
		t.Errorf("%d rows; want 1", n)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	createItems(t, s)
	if _, err := s.read(context.Background()).NewInsert().Model(newItem("x")).Exec(context.Background()); err == nil {
		t.Error("a reader wrote")
	}
}

func TestGroupKeepsTheInnocent(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		createItems(t, s)
		ctx := context.Background()
		boom := errors.New("boom")
		var wg sync.WaitGroup
		var kept atomic.Int64
		for i := range 200 {
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil && p != "bang" {
						t.Errorf("panic %v", p)
					}
				}()
				err := s.Do(ctx, func(ctx context.Context) error {
					if err := s.insertItem(ctx, newItem(id.New[id.AgentKind](ids).String())); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return boom
					case 2:
						panic("bang")
					}
					return nil
				})
				switch {
				case err == nil:
					kept.Add(1)
				case !errors.Is(err, boom):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := s.countItems(ctx, t); n != 100 || kept.Load() != 100 {
			t.Errorf("%d rows, %d reported; want 100", n, kept.Load())
		}
	})
}

func TestWriterWaitNamesCallers(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: ":memory:", WriterWait: 20 * time.Millisecond})
	ctx := context.Background()
	err := s.Do(ctx, func(context.Context) error {
		return s.Do(ctx, func(context.Context) error { return nil }) // not the transaction's context: waits for itself
	})
	if !errors.Is(err, errBusy) {
		t.Fatalf("Do in Do with another context: %v; want errBusy", err)
	}
	if n := strings.Count(err.Error(), "TestWriterWaitNamesCallers"); n != 2 {
		t.Errorf("%v: want both callers named", err)
	}
}

func TestCancelledWhileQueued(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: ":memory:"})
	ctx, cancel := context.WithCancel(context.Background())
	err := s.Do(context.Background(), func(context.Context) error {
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Do(ctx, func(context.Context) error { t.Error("ran"); return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("Do: %v; want context.Canceled", err)
			}
		})
		cancel()
		wg.Wait()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEndedContextIsOutside(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		var kept context.Context
		if err := s.Do(context.Background(), func(ctx context.Context) error {
			if _, ok := s.SQL().From(ctx); !ok {
				t.Error("no transaction in Do's context")
			}
			kept = ctx
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.SQL().From(kept); ok || s.current(kept) != nil {
			t.Error("the transaction is still in the context after it ended")
		}
	})
}

func TestCursor(t *testing.T) {
	t.Parallel()
	want := []string{"2026-01-02T03:04:05.000006Z", "a\x00b\"é"}
	got, err := decodeCursor(encodeCursor(want...), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"!", "", "bnVsbA", encodeCursor("one"), encodeCursor("1", "2", "3")} {
		if _, err := decodeCursor(bad, 2); fault.KindOf(err) != fault.Invalid {
			t.Errorf("decodeCursor(%q): %v; want fault.Invalid", bad, err)
		}
	}
	if _, _, err := decodeTimeIDCursor[id.AgentKind](encodeCursor("yesterday", "x")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("decodeTimeIDCursor: %v; want fault.Invalid", err)
	}
	if _, err := decodeIDCursor[id.AgentKind](encodeCursor("x")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("decodeIDCursor: %v; want fault.Invalid", err)
	}
}

// BenchmarkDo is one row per transaction: one caller at a time, and 32 that share commits.
func BenchmarkDo(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(map[int]string{1: "callers=1", 32: "callers=32"}[callers], func(b *testing.B) {
			s := openSQLiteStore(b)
			createItems(b, s)
			ctx := context.Background()
			work := make(chan struct{})
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for range work {
						it := newItem(id.New[id.AgentKind](ids).String())
						it.Doc = rawJSON(`{"text":"` + strings.Repeat("x", 200) + `"}`)
						if err := s.insertItem(ctx, it); err != nil {
							b.Error(err)
						}
					}
				})
			}
			b.ResetTimer()
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
