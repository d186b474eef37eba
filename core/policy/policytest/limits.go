package policytest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// hourly returns the keys of one counter that rolls, in the buckets of these minutes after noon.
func hourly(p id.Policy, minutes ...int) []policy.Key {
	out := make([]policy.Key, len(minutes))
	for i, m := range minutes {
		out[i] = policy.Key{Policy: p, Name: "rolling_hourly_limit", Window: "rolling_hour", Unit: "USDC"}
		out[i].Start, _ = policy.WindowStart(out[i].Window, now.Truncate(time.Hour).Add(time.Duration(m)*time.Minute))
	}
	return out
}

func testRolling(t *testing.T, e *env) {
	p := id.New[id.PolicyKind](ids)
	ks := hourly(p, 0, 30, 60, 61, 90, 91)
	day := keys(p)[1]
	read := func(want ...int64) {
		t.Helper()
		for i, k := range ks {
			cs, err := e.Counters.Read(bg, e.sc, []policy.Key{k})
			must(t, err)
			if got := cs[0].Spent + cs[0].Reserved; got != want[i] || cs[0].Key != k {
				t.Errorf("in the bucket of %s: %+v; want %d", k.Start, cs[0], want[i])
			}
		}
	}
	// A change may concern several buckets and windows of the calendar at once.
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: day, Spent: 9}, {Key: ks[0], Spent: 1}, {Key: ks[1], Reserved: 20}}))
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: ks[2], Spent: 300}}))
	read(321, 321, 321, 320, 320, 300)
	must(t, e.TX.Do(bg, func(ctx context.Context) error {
		locked, err := e.Counters.Lock(ctx, e.sc, []policy.Key{day, ks[4]})
		if err != nil {
			return err
		}
		if locked[0].Spent != 9 || locked[1].Spent != 300 || locked[1].Reserved != 20 || locked[1].Fresh {
			t.Errorf("locked: %+v", locked)
		}
		return e.Counters.Add(ctx, e.sc, []policy.Counter{{Key: day, Spent: 1}, {Key: ks[1], Reserved: -20, Spent: 15}})
	}))
	read(316, 316, 316, 315, 315, 300)
	if err := e.Counters.Add(bg, e.sc, []policy.Counter{{Key: ks[1], Reserved: -1}}); err == nil {
		t.Error("more was given back than was set aside")
	}
	late := hourly(p, 600)[0]
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: late, Spent: 7}}))
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: ks[2], Spent: -300}})) // its bucket has left: that is given back to nothing
	cs, err := e.Counters.Read(bg, e.sc, []policy.Key{late, day})
	if err != nil || cs[0].Spent != 7 || cs[1].Spent != 10 {
		t.Errorf("at last: %+v, %v", cs, err)
	}
	gone := hourly(id.New[id.PolicyKind](ids), 0)
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: gone[0], Reserved: -5, Spent: 5}}))
	if cs, err = e.Counters.Read(bg, e.sc, gone); err != nil || !cs[0].Fresh {
		t.Errorf("giving back made a counter: %+v, %v", cs, err)
	}
}

// testRollingWriters: writers in different buckets of one counter exclude each other.
func testRollingWriters(t *testing.T, e *env) {
	p := id.New[id.PolicyKind](ids)
	const most = 30
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for j := range 5 {
				k := hourly(p, (i+j)%7)[0]
				err := e.TX.Do(bg, func(ctx context.Context) error {
					cs, err := e.Counters.Lock(ctx, e.sc, []policy.Key{k})
					if err != nil || cs[0].Spent+cs[0].Reserved == most {
						return err
					}
					return e.Counters.Add(ctx, e.sc, []policy.Counter{{Key: k, Spent: 1}})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cs, err := e.Counters.Read(bg, e.sc, hourly(p, 6))
	if err != nil || cs[0].Spent != most {
		t.Errorf("%+v, %v; want exactly %d", cs, err, most)
	}
}

func testRunCounters(t *testing.T, e *env) {
	p := id.New[id.PolicyKind](ids)
	key := func() policy.Key {
		return policy.Key{
			Policy: p, Name: "per_run_limit", Window: policy.WindowRun, Start: time.Unix(0, 0).UTC(), Unit: "USDC", Run: id.New[id.SessionKind](ids),
		}
	}
	a, b := key(), key()
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: a, Spent: 5}}))
	must(t, e.TX.Do(bg, func(ctx context.Context) error {
		cs, err := e.Counters.Lock(ctx, e.sc, []policy.Key{a, b})
		if err == nil && (cs[0].Spent != 5 || cs[0].Fresh || cs[1].Spent != 0 || !cs[1].Fresh || cs[1].Key != b) {
			t.Errorf("two runs: %+v", cs)
		}
		return err
	}))
}

// testLasting: a change of a policy keeps the budgets that stay, and begins all others anew.
func testLasting(t *testing.T, e *env) {
	p := e.insert(t, policy.Scope{Tenant: true})
	key := func(name string, w rule.Window, unit string) policy.Key {
		k := policy.Key{Policy: p.ID, Name: name, Window: w, Unit: unit}
		k.Start, _ = policy.WindowStart(w, now)
		return k
	}
	ks := []policy.Key{
		key("daily_cost_limit", rule.WindowDay, "USD"), key("monthly_token_limit", rule.WindowMonth, policy.UnitTokens),
		key("rolling_hourly_count_limit", "rolling_hour", policy.UnitCount), key("rolling_weekly_token_limit", "rolling_week", policy.UnitTokens),
		key(policy.StructuringCounter+"max_per_transaction:00", "rolling_60m", policy.UnitCount), key("weekly_cost_limit", rule.WindowWeek, "USD"),
	}
	changes := make([]policy.Counter, len(ks))
	for i, k := range ks {
		changes[i] = policy.Counter{Key: k, Spent: 1, Reserved: 1}
	}
	must(t, e.Counters.Add(bg, e.sc, changes))
	kept := func(limits policy.Limits, want ...bool) {
		t.Helper()
		p.Version++
		p.Limits = limits
		must(t, e.Policies.Update(bg, e.sc, p))
		cs, err := e.Counters.Read(bg, e.sc, ks)
		must(t, err)
		got := make([]bool, len(cs))
		for i, c := range cs {
			got[i] = !c.Fresh
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("kept (-want +got):\n%s", d)
		}
	}
	stays := p.Limits
	stays.DailyCostLimit = ptr(*p.Limits.MonthlyCostLimit)
	stays.Windows = []policy.WindowLimit{{Measure: policy.MeasureTokens, Window: rule.WindowWeek, Rolling: true, Max: 1}}
	stays.Structuring = &policy.Structuring{}
	kept(stays, true, true, false, true, true, false)
	kept(policy.Limits{}, false, false, false, false, false, false)
}
