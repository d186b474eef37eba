package bunstore

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/ports/tx"
	"github.com/bureau-agents/bureau/ports/tx/txtest"
)

func TestTx(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		createItems(t, s)
		shared := s
		txtest.Run(t, txtest.Config{New: func(t *testing.T) (tx.Runner, txtest.Rows) {
			return shared, items{s: shared, prefix: t.Name()}
		}})
	})
}

// items is txtest.Rows over test_items; each subtest has its own rows.
type items struct {
	s      *Store
	prefix string
}

func (i items) Put(ctx context.Context, key string) error {
	return i.s.insertItem(ctx, newItem(i.prefix+key))
}

func (i items) Has(ctx context.Context, key string) (bool, error) {
	return i.s.read(ctx).NewSelect().Model((*itemRow)(nil)).Where("name = ?", i.prefix+key).Exists(ctx)
}

func (i items) Increment(ctx context.Context, key string) (n int, err error) {
	err = i.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		q := "SELECT coalesce(nums, 0) FROM test_items WHERE name = ?" + i.s.forUpdate()
		if err := db.NewRaw(q, i.prefix+key).Scan(ctx, &n); err != nil {
			return mapErr(err)
		}
		n++
		_, err := db.NewUpdate().Table("test_items").Set("nums = ?", n).Where("name = ?", i.prefix+key).Exec(ctx)
		return mapErr(err)
	})
	return n, err
}

// TestDeadlockIsRepeated: two transactions that lock two rows in opposite orders both end well.
func TestDeadlockIsRepeated(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		createItems(t, s)
		rows := items{s: s}
		ctx := context.Background()
		for _, k := range []string{"a", "b"} {
			if err := rows.Put(ctx, k); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var runs atomic.Int64
		first := make(chan struct{}, 2)
		both := make(chan struct{})
		if s.postgres() { // on SQLite one closure at a time runs, and none may wait for another
			go func() {
				<-first
				<-first
				close(both)
			}()
		} else {
			close(both)
		}
		for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
			wg.Go(func() {
				var once sync.Once
				err := s.Do(ctx, func(ctx context.Context) error {
					runs.Add(1)
					if _, err := rows.Increment(ctx, order[0]); err != nil {
						return err
					}
					once.Do(func() { first <- struct{}{} })
					<-both
					_, err := rows.Increment(ctx, order[1])
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, k := range []string{"a", "b"} {
			if n, err := rows.Increment(ctx, k); err != nil || n != 3 {
				t.Errorf("row %s counts %d, %v; want 3", k, n, err)
			}
		}
		if s.postgres() && runs.Load() < 3 {
			t.Errorf("%d runs; want a deadlock and a repetition", runs.Load())
		}
	})
}
