package lanes

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// lane is one of a tenant's.
type lane struct {
	tenant id.Tenant
	number int
}

func lanesOf(tenants, each int) []lane {
	var out []lane
	for range tenants {
		tenant := id.New[id.TenantKind](id.NewGenerator(time.Now))
		for n := range each {
			out = append(out, lane{tenant, n})
		}
	}
	return out
}

func TestRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ concurrency, perTenant, want int }{
		"of each tenant":  {10, 2, 4},
		"of the process":  {3, 2, 3},
		"for all of them": {10, 5, 6},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all, open := lanesOf(2, 3), make(chan struct{})
				r := New(Config[lane]{
					Concurrency: c.concurrency, PerTenant: c.perTenant, PollEvery: time.Hour,
					Due:    func(context.Context) ([]lane, error) { return all, nil },
					Drain:  func(context.Context, lane) bool { <-open; return false },
					Tenant: func(l lane) id.Tenant { return l.tenant },
				})
				n := 0
				go func() { n, _ = r.Sweep(t.Context()) }()
				synctest.Wait()
				if again, err := r.Sweep(t.Context()); again != 0 || err != nil {
					t.Errorf("%d lanes found room beside others, %v", again, err)
				}
				close(open)
				synctest.Wait()
				if n != c.want {
					t.Errorf("%d lanes were worked on at once, not %d", n, c.want)
				}
			})
		})
	}
}

// TestRun goes on with lanes that stopped before their end, and with those that found no room, without waiting for the next poll; and it looks
// again after trouble.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := lanesOf(1, 3)
		var mu sync.Mutex
		left := map[lane]int{all[0]: 2, all[1]: 1, all[2]: 3}
		asked, troubles := 0, 0
		r := New(Config[lane]{
			Concurrency: 1, PerTenant: 1, PollEvery: time.Hour,
			Due: func(context.Context) ([]lane, error) {
				mu.Lock()
				defer mu.Unlock()
				if asked++; asked == 1 {
					return nil, errors.New("the store is away")
				}
				return slices.DeleteFunc(slices.Clone(all), func(l lane) bool { return left[l] == 0 }), nil
			},
			Drain: func(_ context.Context, l lane) bool {
				mu.Lock()
				defer mu.Unlock()
				left[l]--
				return left[l] > 0
			},
			Tenant:  func(l lane) id.Tenant { return l.tenant },
			Trouble: func(context.Context, error) { troubles++ },
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		began := time.Now()
		r.Nudge()
		<-time.After(time.Minute) // of the bubble's clock
		mu.Lock()
		if left[all[0]]+left[all[1]]+left[all[2]] != 0 || troubles != 1 {
			t.Errorf("left %v, troubles %d", left, troubles)
		}
		mu.Unlock()
		stop()
		<-ended
		if time.Since(began) > time.Hour {
			t.Error("it waited for a poll")
		}
	})
}
