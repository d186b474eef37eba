package policytest

import (
	"context"
	"math"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

// testCharge: a charge changes every counter or none, says which, and returns what was there before. A store may leave the adding to Add.
func testCharge(t *testing.T, e *env) {
	charger, ok := e.Counters.(policy.Charger)
	if !ok {
		return
	}
	ks := keys(id.New[id.PolicyKind](ids))
	demand := func(k policy.Key, amount, most int64) policy.Demand {
		return policy.Demand{Key: k, Rule: k.Name, Amount: amount, Max: most}
	}
	charge := func(settled bool, want []policy.Counter, demands ...policy.Demand) {
		t.Helper()
		must(t, e.TX.Do(bg, func(ctx context.Context) error {
			cs, charged, err := charger.Charge(ctx, e.sc, demands, settled)
			if err != nil {
				return err
			}
			if _, _, over := policy.Exceeded(demands, cs); charged && over {
				t.Error("charged over the cap")
			} else if !charged && !over {
				for i, d := range demands {
					c := policy.Counter{Key: d.Key, Spent: d.Amount}
					if !settled {
						c.Spent, c.Reserved = 0, d.Amount
					}
					must(t, e.Counters.Add(ctx, e.sc, []policy.Counter{c}))
					cs[i].Fresh = false
				}
			}
			if d := cmp.Diff(want, cs, equal); d != "" {
				t.Errorf("counters before (-want +got):\n%s", d)
			}
			return nil
		}))
	}
	charge(true, []policy.Counter{{Key: ks[0]}, {Key: ks[1]}}, demand(ks[0], 3, 10), demand(ks[1], 5, 10))
	charge(false, []policy.Counter{{Key: ks[0], Spent: 3}, {Key: ks[1], Spent: 5}}, demand(ks[0], 7, 10), demand(ks[1], 5, 10))
	full := []policy.Counter{{Key: ks[0], Spent: 3, Reserved: 7}, {Key: ks[1], Spent: 5, Reserved: 5}}
	charge(true, full, demand(ks[0], 0, 10), demand(ks[1], 1, 10))
	charge(true, full, demand(ks[0], math.MaxInt64, math.MaxInt64), demand(ks[1], 0, 10))
	charge(true, full, demand(ks[0], 0, 10), demand(ks[1], 0, 10))
}

// testChargeWriters: of charges that come at once exactly as many fit as fit one after the other.
func testChargeWriters(t *testing.T, e *env) {
	charger, ok := e.Counters.(policy.Charger)
	if !ok {
		return
	}
	ks := keys(id.New[id.PolicyKind](ids))[:2]
	demands := []policy.Demand{{Key: ks[0], Rule: ks[0].Name, Amount: 1, Max: 1000}, {Key: ks[1], Rule: ks[1].Name, Amount: 1, Max: 30}}
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			for range 5 {
				err := e.TX.Do(bg, func(ctx context.Context) error {
					cs, charged, err := charger.Charge(ctx, e.sc, demands, true)
					if err != nil || charged {
						return err
					}
					if _, _, over := policy.Exceeded(demands, cs); over {
						return nil
					}
					return e.Counters.Add(ctx, e.sc, []policy.Counter{{Key: ks[0], Spent: 1}, {Key: ks[1], Spent: 1}})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := e.Counters.Read(bg, e.sc, ks)
	must(t, err)
	if d := cmp.Diff([]policy.Counter{{Key: ks[0], Spent: 30}, {Key: ks[1], Spent: 30}}, got, equal); d != "" {
		t.Errorf("counters (-want +got):\n%s", d)
	}
}
