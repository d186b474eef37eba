package bunstore

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// TestSkewedClocks: processes whose clocks are days apart share their windows, since the database tells the time.
func TestSkewedClocks(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{URL: postgresURL(t), PoolSize: 8})
	l := gatetest.NewLab(t, gateStore(s), gatetest.Options{Time: s.Time()})
	a := l.Agent(t, 1000)
	p := l.Policy(t, id.Agent{}, policy.Limits{AllTimeLimit: new(gatetest.USDC(500)), Windows: []policy.WindowLimit{
		{Measure: policy.MeasureAmount, Window: rule.WindowWeek, Rolling: true, Max: 90, Currency: money.USDC},
		{Measure: policy.MeasureCount, Window: rule.WindowMonth, Rolling: true, Max: 50},
	}})
	gates := []*gate.Gate{l.Peer(t, -40*24*time.Hour), l.Peer(t, 0), l.Peer(t, 90*24*time.Hour)}
	var done atomic.Int64
	var wg sync.WaitGroup
	for i := range 9 {
		wg.Go(func() {
			for range 3 {
				rec, err := gates[i%3].Perform(context.Background(), l.Scope, gatetest.Payment(a, "", 9))
				if err != nil {
					t.Error(err)
				}
				if rec.State == gate.Done {
					done.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if done.Load() != 10 {
		t.Errorf("%d payments of 9 were done; want 10 within 90", done.Load())
	}
	key := policy.Key{Policy: p.ID, Name: "rolling_weekly_limit", Window: "rolling_week", Unit: "USDC"}
	now, err := s.Time().Now(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	key.Start, _ = policy.WindowStart(key.Window, now)
	cs, err := s.Counters().Read(context.Background(), l.Scope, []policy.Key{key})
	if err != nil || cs[0].Spent != 90 {
		t.Errorf("the week by the database's clock: %+v, %v; want 90", cs, err)
	}
}

// TestBudgetsRemember: a budget that is set later holds for what the server's own calls consumed before; what clients report does not count.
func TestBudgetsRemember(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		bg := context.Background()
		l := gatetest.NewLab(t, gateStore(s), gatetest.Options{})
		a, b := l.Agent(t, 0), l.Agent(t, 0)
		session, other := id.New[id.SessionKind](l.IDs), id.New[id.SessionKind](l.IDs)
		used := func(agent id.Agent, session id.Session, ago time.Duration, cost money.Pico, tokens int64) {
			t.Helper()
			_, err := s.Usage().Insert(bg, l.Scope, usage.Row{
				ID: id.New[id.UsageKind](l.IDs), Tenant: l.Scope.Tenant, Agent: agent, Session: session, Model: "m", Calls: 1, Cost: &cost,
				Usage: llm.Usage{Input: tokens - 1, Output: 1}, CreatedAt: l.Clock.Now().Add(-ago),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		l.Clock.Set(time.Date(2026, 7, 15, 12, 30, 0, 0, time.UTC))
		used(a, session, time.Minute, 40*money.PicosPerMicro+1, 100)
		used(a, other, 2*time.Hour, 20*money.PicosPerMicro, 50)
		used(a, session, 20*time.Hour, 7*money.PicosPerMicro, 10) // the day before, and within 24 hours
		used(a, id.Session{}, time.Minute, 1000*money.PicosPerMicro, 1000)
		used(b, session, time.Minute, 500*money.PicosPerMicro, 500)
		call := func(micros, tokens int64, in id.Session) gate.Record {
			t.Helper()
			amount := money.Of(micros, money.USD)
			rec, err := l.Begin(bg, l.Scope, gate.Act{Action: rule.ActionModelCall, Agent: a, Session: in, Amount: &amount, Tokens: tokens}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return rec
		}
		for _, c := range []struct {
			limit policy.WindowLimit
			fits  int64 // beside what there was
		}{
			{policy.WindowLimit{Measure: policy.MeasureCost, Window: rule.WindowHour, Max: 100, Currency: money.USD}, 59},
			{policy.WindowLimit{Measure: policy.MeasureCost, Window: rule.WindowDay, Max: 100, Currency: money.USD}, 39},
			{policy.WindowLimit{Measure: policy.MeasureCost, Window: rule.WindowDay, Rolling: true, Max: 100, Currency: money.USD}, 32},
			{policy.WindowLimit{Measure: policy.MeasureTokens, Window: rule.WindowDay, Max: 200}, 50},
			{policy.WindowLimit{Measure: policy.MeasureTokens, Window: rule.WindowHour, Rolling: true, Max: 200}, 100},
		} {
			p := l.Policy(t, a, policy.Limits{Windows: []policy.WindowLimit{c.limit}})
			amount := func(n int64) (micros, tokens int64) {
				if c.limit.Measure == policy.MeasureCost {
					return n, 0
				}
				return 0, n
			}
			micros, tokens := amount(c.fits + 1)
			if rec := call(micros, tokens, id.Session{}); rec.State != gate.Denied || rec.Decision.Rule != c.limit.Name() {
				t.Errorf("%s: %d more are %s by %q", c.limit.Name(), c.fits+1, rec.State, rec.Decision.Rule)
			}
			micros, tokens = amount(c.fits)
			if rec := call(micros, tokens, id.Session{}); rec.State != gate.Started {
				t.Errorf("%s: %d more are %s: %s", c.limit.Name(), c.fits, rec.State, rec.Error)
			}
			if err := l.Policies.Delete(bg, l.Scope, p.ID); err != nil {
				t.Fatal(err)
			}
		}
	})
}
