// Package txtest is the conformance suite of ports/tx: every Runner runs it.
package txtest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/tx"
)

// Rows is a table in the store of the Runner under test.
type Rows interface {
	// Put adds a row; it joins the transaction in ctx.
	Put(ctx context.Context, key string) error
	// Has reports whether the row is visible with ctx.
	Has(ctx context.Context, key string) (bool, error)
	// Increment reads the counter of a row that exists, locking it, adds one and returns the result; it joins the transaction in
	// ctx.
	Increment(ctx context.Context, key string) (int, error)
}

// Config says what is tested.
type Config struct {
	// New returns a Runner over an empty store. It is called once per subtest.
	New func(t *testing.T) (tx.Runner, Rows)
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, tx.Runner, Rows){
		"Commit": testCommit, "Rollback": testRollback, "Panic": testPanic, "Goexit": testGoexit, "Nested": testNested,
		"NestedFailure": testNestedFailure, "HooksCommit": testHooksCommit, "HooksRollback": testHooksRollback,
		"HooksOutside": testHooksOutside, "AfterCommitSees": testAfterCommitSees, "Isolation": testIsolation,
		"CancelledBefore": testCancelledBefore, "CancelledInside": testCancelledInside, "Concurrent": testConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, rows := cfg.New(t)
			test(t, r, rows)
		})
	}
}

var errBoom = errors.New("boom")

func want(t *testing.T, rows Rows, key string, want bool) {
	t.Helper()
	got, err := rows.Has(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("row %q is there: %t; want %t", key, got, want)
	}
}

func testCommit(t *testing.T, r tx.Runner, rows Rows) {
	err := r.Do(context.Background(), func(ctx context.Context) error {
		if err := rows.Put(ctx, "a"); err != nil {
			return err
		}
		if ok, err := rows.Has(ctx, "a"); err != nil || !ok {
			t.Errorf("a transaction does not see what it wrote: %t, %v", ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want(t, rows, "a", true)
}

func testRollback(t *testing.T, r tx.Runner, rows Rows) {
	err := r.Do(context.Background(), func(ctx context.Context) error {
		if err := rows.Put(ctx, "a"); err != nil {
			return err
		}
		return errBoom
	})
	if err != errBoom { //nolint:errorlint // unchanged is what is asked for
		t.Errorf("Do: %v; want the closure's error unchanged", err)
	}
	want(t, rows, "a", false)
}

func testPanic(t *testing.T, r tx.Runner, rows Rows) {
	undone := false
	func() {
		defer func() {
			if p := recover(); p != "bang" {
				t.Errorf("recovered %v; want the closure's panic", p)
			}
		}()
		_ = r.Do(context.Background(), func(ctx context.Context) error {
			r.OnRollback(ctx, func() { undone = true })
			if err := rows.Put(ctx, "a"); err != nil {
				return err
			}
			panic("bang")
		})
		t.Error("Do returned after a panic")
	}()
	if !undone {
		t.Error("OnRollback's function did not run")
	}
	want(t, rows, "a", false)
	if err := r.Do(context.Background(), func(ctx context.Context) error { return rows.Put(ctx, "b") }); err != nil {
		t.Errorf("Do after a panic: %v", err)
	}
}

func testGoexit(t *testing.T, r tx.Runner, rows Rows) {
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = r.Do(context.Background(), func(ctx context.Context) error {
			if err := rows.Put(ctx, "a"); err != nil {
				return err
			}
			runtime.Goexit() // what t.FailNow does
			return nil
		})
	})
	wg.Wait()
	want(t, rows, "a", false)
	if err := r.Do(context.Background(), func(ctx context.Context) error { return rows.Put(ctx, "b") }); err != nil {
		t.Errorf("Do after runtime.Goexit: %v", err)
	}
}

func testNested(t *testing.T, r tx.Runner, rows Rows) {
	var order []string
	err := r.Do(context.Background(), func(ctx context.Context) error {
		err := r.Do(ctx, func(ctx context.Context) error {
			r.AfterCommit(ctx, func() { order = append(order, "inner") })
			return rows.Put(ctx, "inner")
		})
		order = append(order, "inner Do returned")
		if err != nil {
			return err
		}
		return rows.Put(ctx, "outer")
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"inner Do returned", "inner"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	want(t, rows, "inner", true)
	want(t, rows, "outer", true)
}

func testNestedFailure(t *testing.T, r tx.Runner, rows Rows) {
	err := r.Do(context.Background(), func(ctx context.Context) error {
		if err := r.Do(ctx, func(ctx context.Context) error { return rows.Put(ctx, "inner") }); err != nil {
			return err
		}
		return errBoom
	})
	if !errors.Is(err, errBoom) {
		t.Fatalf("Do: %v; want %v", err, errBoom)
	}
	want(t, rows, "inner", false)
}

func testHooksCommit(t *testing.T, r tx.Runner, rows Rows) {
	var got []string
	err := r.Do(context.Background(), func(ctx context.Context) error {
		r.AfterCommit(ctx, func() { got = append(got, "1") })
		r.OnRollback(ctx, func() { got = append(got, "rollback") })
		r.AfterCommit(ctx, func() { got = append(got, "2") })
		got = append(got, "0")
		return rows.Put(ctx, "a")
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0", "1", "2"}, got); diff != "" {
		t.Errorf("hooks (-want +got):\n%s", diff)
	}
}

func testHooksRollback(t *testing.T, r tx.Runner, _ Rows) {
	var got []string
	_ = r.Do(context.Background(), func(ctx context.Context) error {
		r.AfterCommit(ctx, func() { got = append(got, "commit") })
		r.OnRollback(ctx, func() { got = append(got, "rollback") })
		return errBoom
	})
	if diff := cmp.Diff([]string{"rollback"}, got); diff != "" {
		t.Errorf("hooks (-want +got):\n%s", diff)
	}
}

func testHooksOutside(t *testing.T, r tx.Runner, _ Rows) {
	var got []string
	r.OnRollback(context.Background(), func() { got = append(got, "rollback") })
	r.AfterCommit(context.Background(), func() { got = append(got, "commit") })
	if diff := cmp.Diff([]string{"commit"}, got); diff != "" {
		t.Errorf("hooks outside a transaction (-want +got):\n%s", diff)
	}
}

// testAfterCommitSees: a hook finds its transaction's rows with any context, and may open another transaction.
func testAfterCommitSees(t *testing.T, r tx.Runner, rows Rows) {
	ran := false
	err := r.Do(context.Background(), func(ctx context.Context) error {
		r.AfterCommit(ctx, func() {
			want(t, rows, "a", true)
			if err := r.Do(context.Background(), func(ctx context.Context) error { return rows.Put(ctx, "b") }); err != nil {
				t.Errorf("Do in a hook: %v", err)
			}
			ran = true
		})
		return rows.Put(ctx, "a")
	})
	if err != nil || !ran {
		t.Fatalf("hook ran: %t, %v", ran, err)
	}
	want(t, rows, "b", true)
}

func testIsolation(t *testing.T, r tx.Runner, rows Rows) {
	err := r.Do(context.Background(), func(ctx context.Context) error {
		if err := rows.Put(ctx, "a"); err != nil {
			return err
		}
		want(t, rows, "a", false) // with a context outside
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testCancelledBefore(t *testing.T, r tx.Runner, _ Rows) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := r.Do(ctx, func(context.Context) error {
		t.Error("the closure ran")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Do: %v; want context.Canceled", err)
	}
}

func testCancelledInside(t *testing.T, r tx.Runner, rows Rows) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	err := r.Do(ctx, func(ctx context.Context) error {
		if err := rows.Put(ctx, "a"); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Do: %v; want context.Canceled", err)
	}
	want(t, rows, "a", false)
}

// testConcurrent: many callers, one row that they lock: no increment is lost, and a failing neighbour costs nobody anything.
func testConcurrent(t *testing.T, r tx.Runner, rows Rows) {
	ctx := context.Background()
	if err := r.Do(ctx, func(ctx context.Context) error { return rows.Put(ctx, "n") }); err != nil {
		t.Fatal(err)
	}
	const callers, times = 16, 10
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range times {
				err := r.Do(ctx, func(ctx context.Context) error {
					_, err := rows.Increment(ctx, "n")
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					_ = r.Do(ctx, func(ctx context.Context) error {
						_, err := rows.Increment(ctx, "n")
						return errors.Join(err, errBoom)
					})
				}
			}
		})
	}
	wg.Wait()
	var got int
	if err := r.Do(ctx, func(ctx context.Context) (err error) {
		got, err = rows.Increment(ctx, "n")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if got != callers*times+1 {
		t.Errorf("counter %d; want %d", got, callers*times+1)
	}
}
