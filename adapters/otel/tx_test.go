package otel_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/ports/tx"
	"github.com/bureau-agents/bureau/ports/tx/txtest"
)

// plain is a runner without a database.
type plain struct{}

func (plain) Do(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }
func (plain) AfterCommit(_ context.Context, fn func())                     { fn() }
func (plain) OnRollback(context.Context, func())                           {}

func openStore(t *testing.T) *bunstore.Store {
	t.Helper()
	s, err := bunstore.Open(t.Context(), bunstore.Config{Path: filepath.Join(t.TempDir(), "bureau.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// rows is txtest.Rows over a table of its own.
type rows struct {
	s      *bunstore.Store
	prefix string
}

func (r rows) in(ctx context.Context, fn func(*sql.Tx) error) error {
	return r.s.Do(ctx, func(ctx context.Context) error {
		t, ok := r.s.SQL().From(ctx)
		if !ok {
			return errors.New("no transaction")
		}
		return fn(t)
	})
}

func (r rows) Put(ctx context.Context, key string) error {
	return r.in(ctx, func(t *sql.Tx) error {
		_, err := t.ExecContext(ctx, "INSERT INTO test_rows (name, n) VALUES (?, 0)", r.prefix+key)
		return err
	})
}

func (r rows) Has(ctx context.Context, key string) (has bool, err error) {
	const q = "SELECT EXISTS (SELECT 1 FROM test_rows WHERE name = ?)"
	if t, ok := r.s.SQL().From(ctx); ok {
		err = t.QueryRowContext(ctx, q, r.prefix+key).Scan(&has)
		return has, err
	}
	err = r.s.SQL().DB.QueryRowContext(ctx, q, r.prefix+key).Scan(&has)
	return has, err
}

func (r rows) Increment(ctx context.Context, key string) (n int, err error) {
	err = r.in(ctx, func(t *sql.Tx) error {
		return t.QueryRowContext(ctx, "UPDATE test_rows SET n = n + 1 WHERE name = ? RETURNING n", r.prefix+key).Scan(&n)
	})
	return n, err
}

func TestTxSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := openStore(t)
	err := rows{s: s}.in(t.Context(), func(q *sql.Tx) error {
		_, err := q.ExecContext(t.Context(), "CREATE TABLE test_rows (name TEXT PRIMARY KEY, n INTEGER)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	txtest.Run(t, txtest.Config{New: func(t *testing.T) (tx.Runner, txtest.Rows) {
		return otel.WrapTx(s, l.Telemetry), rows{s, t.Name()}
	}})
}

func TestTx(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := otel.WrapTx(openStore(t), l.Telemetry)
	ctx := t.Context()
	if err := r.Do(ctx, func(ctx context.Context) error {
		return r.Do(ctx, func(context.Context) error { return nil }) // joins: it is measured once
	}); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("refused")
	if err := r.Do(ctx, func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not pass")
			}
		}()
		_ = r.Do(ctx, func(context.Context) error { panic("in the closure") })
	}()
	wantCounts(t, l, "bureau_tx",
		`bureau_tx_seconds_count{outcome="commit"} 1`,
		`bureau_tx_seconds_count{outcome="rollback"} 2`,
	)
	if n := len(l.ended(t)); n != 0 {
		t.Errorf("%d spans", n)
	}
}

func TestTxAllocatesNothing(t *testing.T) {
	tel, err := otel.New(otel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r, ctx, fn := otel.WrapTx(plain{}, tel), t.Context(), func(context.Context) error { return nil }
	if n := testing.AllocsPerRun(100, func() { _ = r.Do(ctx, fn) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTx(b *testing.B) {
	tel, err := otel.New(otel.Config{})
	if err != nil {
		b.Fatal(err)
	}
	r, ctx, fn := otel.WrapTx(plain{}, tel), b.Context(), func(context.Context) error { return nil }
	b.ReportAllocs()
	for b.Loop() {
		_ = r.Do(ctx, fn)
	}
}
