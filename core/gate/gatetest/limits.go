package gatetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// limitTests are the tests of limits, which Run runs.
var limitTests = map[string]func(*testing.T, *Lab){
	"RollingWindow":           testRolling,
	"RollingWindowSetLater":   testRollingLater,
	"RollingBudget":           testRollingBudget,
	"RollingCapHoldsExactly":  testRollingConcurrent,
	"PerRunLimit":             testPerRun,
	"RunBudget":               testRunBudget,
	"Velocity":                testVelocity,
	"CurrenciesSideBySide":    testCurrencies,
	"Structuring":             testStructuring,
	"StructuringAsks":         testStructuringAsks,
	"StructuringHoldsExactly": testStructuringConcurrent,
	"NewPayee":                testNewPayee,
	"NewPayeeOfScopes":        testNewPayeeScopes,
	"AllowedTimes":            testAllowedTimes,
	"EveryScopeApplies":       testScopes,
	"CountersExpire":          testCountersExpire,
	"BudgetSetMeanwhile":      testBudgetSetMeanwhile,
	"CapSetMeanwhile":         testCapSetMeanwhile,
}

func usdcWindow(w rule.Window, rolling bool, most int64) policy.WindowLimit {
	return policy.WindowLimit{Measure: policy.MeasureAmount, Window: w, Rolling: rolling, Max: most, Currency: money.USDC}
}

func (l *Lab) at(tb testing.TB, when string) {
	tb.Helper()
	at, err := time.Parse(time.RFC3339Nano, when)
	must(tb, err)
	l.Clock.Set(at)
}

// steps performs payments at given times and wants each decided by the given rule; "" is allowed.
func (l *Lab) steps(t *testing.T, a id.Agent, micros int64, steps ...[2]string) {
	t.Helper()
	for _, s := range steps {
		l.at(t, s[0])
		state := gate.Done
		if s[1] != "" {
			state = gate.Denied
		}
		want(t, perform(t, l, Payment(a, "", micros)), state, s[1])
	}
}

func testRolling(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{Windows: []policy.WindowLimit{usdcWindow(rule.WindowHour, true, 30), usdcWindow(rule.WindowDay, true, 50)}})
	l.steps(t, a, 10,
		[2]string{"2026-07-12T23:30:59Z", ""},
		[2]string{"2026-07-12T23:40:00Z", ""},
		[2]string{"2026-07-13T00:20:00Z", ""},                     // a new day and a new hour by the calendar, and the third of the hour
		[2]string{"2026-07-13T00:30:58Z", "rolling_hourly_limit"}, // the first is not an hour old
		[2]string{"2026-07-13T00:30:59Z", "rolling_hourly_limit"}, // it is, but its bucket has not left
		[2]string{"2026-07-13T00:31:00Z", ""},
		[2]string{"2026-07-13T12:00:00Z", ""},
		[2]string{"2026-07-13T23:30:00Z", "rolling_daily_limit"}, // five in the last 24 hours
		[2]string{"2026-07-13T23:36:00Z", ""},                    // the bucket of 24 minutes with the first has left
		[2]string{"2026-07-13T23:37:00Z", "rolling_daily_limit"},
	)
}

// testRollingLater: a rolling limit that is set later holds for what was spent before, bucket by bucket.
func testRollingLater(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	p := l.Policy(t, a, policy.Limits{})
	l.steps(t, a, 10, [2]string{"2026-07-13T10:00:30Z", ""}, [2]string{"2026-07-13T10:30:30Z", ""})
	set := func(limits policy.Limits) {
		t.Helper()
		_, err := l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
			p.Limits = limits
			return nil
		}})
		must(t, err)
	}
	hourly := policy.Limits{Windows: []policy.WindowLimit{usdcWindow(rule.WindowHour, true, 20)}}
	set(hourly)
	l.at(t, "2026-07-13T10:59:00Z")
	if d, err := l.Simulate(bg, l.Scope, Payment(a, "", 1)); err != nil || d.Rule != "rolling_hourly_limit" {
		t.Errorf("simulated: %+v, %v", d, err)
	}
	l.steps(t, a, 10, [2]string{"2026-07-13T10:59:00Z", "rolling_hourly_limit"}, [2]string{"2026-07-13T11:01:00Z", ""})
	set(policy.Limits{})
	l.steps(t, a, 10, [2]string{"2026-07-13T11:31:00Z", ""}) // nobody counts it
	set(hourly)
	l.steps(t, a, 10, [2]string{"2026-07-13T11:32:00Z", "rolling_hourly_limit"}, [2]string{"2026-07-13T12:02:00Z", ""})
}

func (l *Lab) spent(tb testing.TB, k policy.Key, at string) policy.Counter {
	tb.Helper()
	when, err := time.Parse(time.RFC3339, at)
	must(tb, err)
	k.Start, _ = policy.WindowStart(k.Window, when)
	cs, err := l.Store.Counters.Read(bg, l.Scope, []policy.Key{k})
	must(tb, err)
	return cs[0]
}

func testRollingBudget(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	limits := policy.Limits{Windows: []policy.WindowLimit{
		{Measure: policy.MeasureCost, Window: rule.WindowHour, Rolling: true, Max: 100, Currency: money.USD},
		{Measure: policy.MeasureTokens, Window: rule.WindowDay, Rolling: true, Max: 1000},
	}}
	p := l.Policy(t, a, limits)
	l.at(t, "2026-07-13T10:00:00Z")
	first, _ := begin(t, l, modelCall(a, "1", 60, 500))
	want(t, first, gate.Started, "")
	l.at(t, "2026-07-13T10:59:59Z")
	denied, _ := begin(t, l, modelCall(a, "2", 41, 1))
	want(t, denied, gate.Denied, "rolling_hourly_cost_limit")
	denied, _ = begin(t, l, modelCall(a, "3", 1, 501))
	want(t, denied, gate.Denied, "rolling_daily_token_limit")
	second, _ := begin(t, l, modelCall(a, "4", 40, 500))
	want(t, second, gate.Started, "")
	l.at(t, "2026-07-13T11:05:00Z") // the first has left the hour
	cost := money.Pico(90 * money.PicosPerMicro)
	_, err := l.End(bg, l.Scope, first, gate.Settlement{State: gate.Done, Cost: &cost, Tokens: 300}, nil)
	must(t, err)
	key := policy.Key{Policy: p.ID, Name: "rolling_hourly_cost_limit", Window: "rolling_hour", Unit: "USD"}
	for at, c := range map[string][2]int64{"2026-07-13T10:59:59Z": {90, 40}, "2026-07-13T11:05:00Z": {0, 40}, "2026-07-13T12:30:00Z": {0, 0}} {
		if got := l.spent(t, key, at); got.Spent != c[0] || got.Reserved != c[1] {
			t.Errorf("at %s: %+v; want %v", at, got, c)
		}
	}
	// A change of the policy leaves budgets that stay as they are.
	_, err = l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
		p.Limits.DailyLimit = ptr(USDC(1))
		return nil
	}})
	must(t, err)
	if got := l.spent(t, key, "2026-07-13T11:05:00Z"); got.Reserved != 40 {
		t.Errorf("after a change: %+v; want 40 set aside", got)
	}
	_, err = l.End(bg, l.Scope, second, gate.Settlement{State: gate.Failed, Error: "no answer"}, nil)
	must(t, err)
	if got := l.spent(t, key, "2026-07-13T11:05:00Z"); got.Spent != 0 || got.Reserved != 0 {
		t.Errorf("after a failure: %+v; want nothing", got)
	}
}

// race performs payments of an agent at once and returns how many were done.
func race(t *testing.T, l *Lab, callers, each int, act func(caller, n int) gate.Act) int64 {
	t.Helper()
	var done atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				rec, err := l.Perform(bg, l.Scope, act(i, j))
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
	return done.Load()
}

func testRollingConcurrent(t *testing.T, l *Lab) {
	agents := []id.Agent{l.Agent(t, 1000), l.Agent(t, 1000)}
	p := l.Policy(t, id.Agent{}, policy.Limits{Windows: []policy.WindowLimit{
		usdcWindow(rule.WindowDay, true, 90), {Measure: policy.MeasureCount, Window: rule.WindowHour, Rolling: true, Max: 100},
	}})
	done := race(t, l, 8, 4, func(i, j int) gate.Act {
		l.Clock.Advance(7 * time.Second) // into the next buckets now and then
		return Payment(agents[(i+j)%2], "", 9)
	})
	if done != 10 {
		t.Errorf("%d payments of 9 were done; want 10 within 90", done)
	}
	for _, c := range []struct {
		name, unit string
		window     rule.Window
		want       int64
	}{{"rolling_daily_limit", "USDC", "rolling_day", 90}, {"rolling_hourly_count_limit", policy.UnitCount, "rolling_hour", 10}} {
		if got := l.Counter(t, p, c.name, c.window, c.unit); got.Spent != c.want || got.Reserved != 0 {
			t.Errorf("%s: %+v; want %d", c.name, got, c.want)
		}
	}
	l.Sound(t)
}

// inRun makes an act one of a thread of a session.
func inRun(act gate.Act, thread, root id.Session) gate.Act {
	act.Session, act.Run = thread, root
	return act
}

func newSession(l *Lab) id.Session { return id.New[id.SessionKind](l.IDs) }

func testPerRun(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	p := l.Policy(t, a, policy.Limits{PerRunLimit: ptr(USDC(50)), Windows: []policy.WindowLimit{
		{Measure: policy.MeasureCount, Window: policy.WindowRun, Max: 3},
	}})
	run, thread, other := newSession(l), newSession(l), newSession(l)
	want(t, perform(t, l, inRun(Payment(a, "", 30), run, id.Session{})), gate.Done, "")
	want(t, perform(t, l, inRun(Payment(a, "", 21), thread, run)), gate.Denied, "per_run_limit")
	want(t, perform(t, l, inRun(Payment(a, "", 15), thread, run)), gate.Done, "")
	want(t, perform(t, l, inRun(Payment(a, "", 50), other, id.Session{})), gate.Done, "") // a run of its own
	for range 2 {
		want(t, perform(t, l, Payment(a, "", 50)), gate.Done, "") // likewise each act by API
	}
	want(t, perform(t, l, Payment(a, "", 51)), gate.Denied, "per_run_limit")
	l.Clock.Advance(1000 * time.Hour)
	want(t, perform(t, l, inRun(Payment(a, "", 6), run, id.Session{})), gate.Denied, "per_run_limit")
	want(t, perform(t, l, inRun(Payment(a, "", 1), thread, run)), gate.Done, "")
	want(t, perform(t, l, inRun(Payment(a, "", 1), thread, run)), gate.Denied, "per_run_count_limit")
	// Set anew, it holds for what the run has spent before.
	must(t, l.Policies.Delete(bg, l.Scope, p.ID))
	l.Policy(t, a, policy.Limits{PerRunLimit: ptr(USDC(47))})
	want(t, perform(t, l, inRun(Payment(a, "", 2), thread, run)), gate.Denied, "per_run_limit")
	want(t, perform(t, l, inRun(Payment(a, "", 1), thread, run)), gate.Done, "")
}

func testRunBudget(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{Windows: []policy.WindowLimit{
		{Measure: policy.MeasureCost, Window: policy.WindowRun, Max: 100, Currency: money.USD},
		{Measure: policy.MeasureTokens, Window: policy.WindowRun, Max: 1000},
	}})
	run, thread := newSession(l), newSession(l)
	rec, _ := begin(t, l, inRun(modelCall(a, "1", 60, 600), thread, run))
	want(t, rec, gate.Started, "")
	denied, _ := begin(t, l, inRun(modelCall(a, "2", 41, 1), run, id.Session{}))
	want(t, denied, gate.Denied, "per_run_cost_limit")
	denied, _ = begin(t, l, inRun(modelCall(a, "3", 1, 401), run, id.Session{}))
	want(t, denied, gate.Denied, "per_run_token_limit")
	cost := money.Pico(10 * money.PicosPerMicro)
	_, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Cost: &cost, Tokens: 100}, nil)
	must(t, err)
	key := policy.Key{Policy: p.ID, Name: "per_run_cost_limit", Window: policy.WindowRun, Unit: "USD", Run: run}
	if c := l.spent(t, key, "2026-07-13T10:00:00Z"); c.Spent != 10 || c.Reserved != 0 {
		t.Errorf("the run's cost: %+v; want 10", c)
	}
	rec, _ = begin(t, l, inRun(modelCall(a, "4", 90, 900), run, id.Session{}))
	want(t, rec, gate.Started, "")
}

func testVelocity(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 1000), l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50)), Windows: []policy.WindowLimit{
		{Measure: policy.MeasureCount, Window: rule.WindowHour, Max: 2},
	}})
	l.at(t, "2026-07-13T10:59:00Z")
	want(t, perform(t, l, Payment(a, "", 1)), gate.Done, "")
	want(t, perform(t, l, transferAct(a, b, "", 1)), gate.Done, "")
	denied := perform(t, l, Payment(a, "", 1))
	want(t, denied, gate.Denied, "hourly_count_limit")
	want(t, perform(t, l, Payment(a, "", 60)), gate.Denied, "hourly_count_limit") // no person can lift it
	l.at(t, "2026-07-13T11:00:00Z")
	waits := perform(t, l, Payment(a, "", 60))
	want(t, waits, gate.Parked, "require_approval_above")
	want(t, perform(t, l, Payment(a, "", 1)), gate.Done, "") // what waits takes no place
	want(t, perform(t, l, Payment(a, "", 1)), gate.Done, "")
	_, rec, err := l.Approve(bg, l.Scope, waits.Approval)
	must(t, err)
	want(t, rec, gate.Denied, "hourly_count_limit")
	if c := l.Counter(t, p, "hourly_count_limit", rule.WindowHour, policy.UnitCount); c.Spent != 2 {
		t.Errorf("counter %+v; want 2", c)
	}
}

func testCurrencies(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	_, err := l.Wallets.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: money.Of(1000, "EUR")})
	must(t, err)
	l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(20)), Windows: []policy.WindowLimit{
		{Measure: policy.MeasureAmount, Window: rule.WindowDay, Max: 10, Currency: "EUR"},
	}})
	pay := func(micros int64, c money.Currency) gate.Act {
		act := Payment(a, "", micros)
		act.Amount.Currency = c
		return act
	}
	want(t, perform(t, l, pay(20, money.USDC)), gate.Done, "")
	want(t, perform(t, l, pay(10, "EUR")), gate.Done, "")
	want(t, perform(t, l, pay(1, "EUR")), gate.Denied, "daily_limit")
	want(t, perform(t, l, pay(1, money.USDC)), gate.Denied, "daily_limit")
	want(t, perform(t, l, pay(1, "GBP")), gate.Denied, "daily_limit")
	// A second policy knows one currency only: nothing is converted, and the strictest wins.
	l.Clock.Advance(24 * time.Hour)
	l.Policy(t, id.Agent{}, policy.Limits{AllTimeLimit: ptr(USDC(21))})
	want(t, perform(t, l, pay(1, "EUR")), gate.Denied, "all_time_limit")
	want(t, perform(t, l, pay(2, money.USDC)), gate.Denied, "all_time_limit")
	want(t, perform(t, l, pay(1, money.USDC)), gate.Done, "")
}

func payTo(a id.Agent, payee string, micros int64) gate.Act {
	act := Payment(a, "", micros)
	act.Payee = payee
	return act
}

func testStructuring(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 10000), l.Agent(t, 10000)
	l.Policy(t, id.Agent{}, policy.Limits{
		MaxPerTransaction: ptr(USDC(100)), Structuring: &policy.Structuring{Window: 10 * time.Minute, NearPercent: 80},
	})
	l.at(t, "2026-07-13T10:00:05Z")
	want(t, perform(t, l, payTo(a, "vendor.example", 80)), gate.Done, "")
	want(t, perform(t, l, payTo(a, "vendor.example", 79)), gate.Done, "") // not near
	want(t, perform(t, l, payTo(b, "https://VENDOR.example/pay", 100)), gate.Done, "")
	want(t, perform(t, l, payTo(a, "other.example", 100)), gate.Done, "")
	want(t, perform(t, l, payTo(b, "vendor.example", 80)), gate.Denied, "structuring")
	want(t, perform(t, l, payTo(a, "vendor.example", 101)), gate.Denied, "max_per_transaction")
	want(t, perform(t, l, payTo(a, "vendor.example", 79)), gate.Done, "")
	l.at(t, "2026-07-13T10:10:05Z")
	want(t, perform(t, l, payTo(a, "vendor.example", 90)), gate.Denied, "structuring") // the bucket of ten seconds has not left
	l.at(t, "2026-07-13T10:10:10Z")
	want(t, perform(t, l, payTo(a, "vendor.example", 90)), gate.Done, "")
}

func testStructuringAsks(t *testing.T, l *Lab) {
	a := l.Agent(t, 10000)
	l.Policy(t, a, policy.Limits{
		RequireApprovalAbove: ptr(USDC(100)), ApprovalTTL: time.Minute,
		Structuring: &policy.Structuring{MinPayments: 2, NearPercent: 51, Action: policy.RequireApproval},
	})
	want(t, perform(t, l, Payment(a, "", 99)), gate.Done, "")
	waits := perform(t, l, Payment(a, "", 51))
	want(t, waits, gate.Parked, "structuring")
	if d, err := l.Simulate(bg, l.Scope, Payment(a, "", 51)); err != nil || d.Outcome != policy.Parked {
		t.Errorf("simulated: %+v, %v", d, err)
	}
	approval, rec, err := l.Approve(bg, l.Scope, waits.Approval)
	must(t, err)
	want(t, rec, gate.Done, "")
	if got := approval.ExpiresAt.Sub(approval.CreatedAt); got != time.Minute {
		t.Errorf("the approval may take %s; want a minute", got)
	}
	want(t, perform(t, l, Payment(a, "", 50)), gate.Done, "")
	want(t, perform(t, l, Payment(a, "", 100)), gate.Parked, "require_approval_above")
	l.Clock.Advance(2 * time.Hour)
	want(t, perform(t, l, Payment(a, "", 99)), gate.Done, "")
}

func testStructuringConcurrent(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 10000), l.Agent(t, 10000)
	l.Policy(t, id.Agent{}, policy.Limits{
		MaxPerTransaction: ptr(USDC(100)), Structuring: &policy.Structuring{MinPayments: 4, NearPercent: 60},
	})
	done := race(t, l, 6, 3, func(i, j int) gate.Act { return payTo([]id.Agent{a, b}[(i+j)%2], "vendor.example", 60+int64(i)) })
	if done != 3 {
		t.Errorf("%d payments just below the most were done; want 3", done)
	}
}

func testNewPayee(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 1000), l.Agent(t, 1000)
	before := l.Policy(t, a, policy.Limits{})
	want(t, perform(t, l, payTo(a, "https://known.example/a", 1)), gate.Done, "")
	must(t, l.Policies.Delete(bg, l.Scope, before.ID))
	p := l.Policy(t, a, policy.Limits{NewPayee: policy.RequireApproval})
	l.Policy(t, b, policy.Limits{})
	want(t, perform(t, l, payTo(a, "KNOWN.example", 1)), gate.Done, "") // paid before there was such a policy
	first, second := perform(t, l, payTo(a, "Blue Bottle", 1)), perform(t, l, payTo(a, "blue  bottle", 1))
	want(t, first, gate.Parked, "new_payee")
	want(t, second, gate.Parked, "new_payee")
	want(t, perform(t, l, payTo(b, "Blue Bottle", 1)), gate.Done, "") // another agent's payee is none of the scope
	want(t, perform(t, l, payTo(a, "Blue Bottle", 1)), gate.Parked, "new_payee")
	_, err := l.Deny(bg, l.Scope, first.Approval, "")
	must(t, err)
	want(t, perform(t, l, payTo(a, "Blue Bottle", 1)), gate.Parked, "new_payee") // a refusal makes nobody known
	_, rec, err := l.Approve(bg, l.Scope, second.Approval)
	must(t, err)
	want(t, rec, gate.Done, "")
	want(t, perform(t, l, payTo(a, "BLUE BOTTLE", 1)), gate.Done, "")
	want(t, perform(t, l, payTo(a, "bills@known.example", 1)), gate.Parked, "new_payee") // somebody at a host is not the host
	want(t, perform(t, l, transferAct(a, b, "", 1)), gate.Parked, "new_payee")
	want(t, perform(t, l, payTo(a, "dear.example", 5000)), gate.Denied, policy.RuleFunds)
	want(t, perform(t, l, payTo(a, "dear.example", 1)), gate.Parked, "new_payee") // what failed makes nobody known
	_, err = l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
		p.Limits.NewPayee = policy.Deny
		return nil
	}})
	must(t, err)
	want(t, perform(t, l, payTo(a, "third.example", 1)), gate.Denied, "new_payee")
	want(t, perform(t, l, payTo(a, "known.example.", 1)), gate.Done, "")
	if done := race(t, l, 4, 2, func(int, int) gate.Act { return payTo(a, "fourth.example", 1) }); done != 0 {
		t.Errorf("%d first payments at once were done; want none", done)
	}
}

func testNewPayeeScopes(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 1000), l.Agent(t, 1000)
	l.Policy(t, id.Agent{}, policy.Limits{})
	want(t, perform(t, l, payTo(b, "vendor.example", 1)), gate.Done, "")
	want(t, perform(t, l, inRun(payTo(a, "run.example", 1), newSession(l), id.Session{})), gate.Done, "")
	l.Policy(t, id.Agent{}, policy.Limits{NewPayee: policy.Deny})
	want(t, perform(t, l, payTo(a, "vendor.example", 1)), gate.Done, "") // the other agent of the tenant has paid it
	want(t, perform(t, l, payTo(a, "nobody.example", 1)), gate.Denied, "new_payee")
	other := NewLab(t, l.Store, Options{})
	c := other.Agent(t, 10)
	other.Policy(t, id.Agent{}, policy.Limits{NewPayee: policy.Deny})
	want(t, perform(t, other, payTo(c, "vendor.example", 1)), gate.Denied, "new_payee")
}

func testAllowedTimes(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{AllowedTimes: []policy.TimeRange{
		{Days: []policy.Weekday{"mon", "tue", "wed", "thu", "fri"}, From: "09:00", To: "17:00", Zone: "Europe/Berlin"},
		{Days: []policy.Weekday{"sat"}, From: "22:00", To: "02:00"},
	}})
	l.steps(t, a, 1,
		[2]string{"2026-07-13T06:59:59Z", "allowed_times"}, // a Monday, 08:59 in Berlin
		[2]string{"2026-07-13T07:00:00Z", ""},
		[2]string{"2026-07-13T14:59:59Z", ""},
		[2]string{"2026-07-13T15:00:00Z", "allowed_times"},
		[2]string{"2026-07-18T21:59:59Z", "allowed_times"}, // Saturday
		[2]string{"2026-07-18T22:00:00Z", ""},
		[2]string{"2026-07-19T01:59:59Z", ""}, // Sunday, and still Saturday's range
		[2]string{"2026-07-19T02:00:00Z", "allowed_times"},
		[2]string{"2026-07-19T22:00:00Z", "allowed_times"},
		[2]string{"2026-12-14T07:59:59Z", "allowed_times"}, // in winter Berlin is an hour ahead of UTC
		[2]string{"2026-12-14T08:00:00Z", ""},
	)
	rec, _ := begin(t, l, modelCall(a, "m", 1, 1)) // not a payment
	want(t, rec, gate.Started, "")
}

// testScopes: what a tenant, an agent and a run may, all hold, and the strictest wins. Swarms are tested where there are any.
func testScopes(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 1000), l.Agent(t, 1000)
	run := newSession(l)
	l.Policy(t, id.Agent{}, policy.Limits{DailyLimit: ptr(USDC(100)), BlockedCategories: []string{"gambling"}})
	l.Policy(t, a, policy.Limits{MonthlyLimit: ptr(USDC(60))})
	must(t, l.Store.Policies.Insert(bg, l.Scope, policy.Policy{
		ID: id.New[id.PolicyKind](l.IDs), Tenant: l.Scope.Tenant, Scope: policy.Scope{Session: run}, Version: 1, CreatedAt: l.now(), UpdatedAt: l.now(),
		Mode: policy.Enforce, Limits: policy.Limits{AllTimeLimit: ptr(USDC(30)), RequireApprovalAbove: ptr(USDC(25))},
	}))
	want(t, perform(t, l, inRun(Payment(a, "", 20), run, id.Session{})), gate.Done, "")
	want(t, perform(t, l, inRun(Payment(b, "", 11), newSession(l), run)), gate.Denied, "all_time_limit") // a thread of another agent
	want(t, perform(t, l, inRun(Payment(b, "", 10), newSession(l), run)), gate.Done, "")
	want(t, perform(t, l, Payment(a, "", 41)), gate.Denied, "monthly_limit")
	want(t, perform(t, l, Payment(a, "", 40)), gate.Done, "")
	want(t, perform(t, l, Payment(b, "", 31)), gate.Denied, "daily_limit")
	gambling := inRun(Payment(b, "", 25), run, id.Session{})
	gambling.Category = "Gambling"
	want(t, perform(t, l, gambling), gate.Denied, "blocked_categories") // a denial beats an approval
	l.Clock.Advance(24 * time.Hour)
	want(t, perform(t, l, inRun(Payment(b, "", 25), run, id.Session{})), gate.Denied, "all_time_limit")
	want(t, perform(t, l, Payment(b, "", 100)), gate.Done, "")
}

func testCountersExpire(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	p := l.Policy(t, a, policy.Limits{
		HourlyLimit: ptr(USDC(100)), AllTimeLimit: ptr(USDC(500)), DailyCostLimit: ptr(money.Of(100, money.USD)),
		Windows: []policy.WindowLimit{usdcWindow(rule.WindowDay, true, 100)},
	})
	perform(t, l, Payment(a, "", 10))
	rec, _ := begin(t, l, modelCall(a, "1", 60, 0))
	expire := func(after time.Duration) int {
		t.Helper()
		// Counters are touched by the clock of the process, and found by that of the job.
		n, err := l.Store.Counters.Expire(bg, l.Scope.Tenant, time.Now().Add(after), 100)
		must(t, err)
		return n
	}
	if n := expire(25 * time.Hour); n != 0 {
		t.Errorf("%d counters were removed within a day of their window", n)
	}
	if n := expire(400 * 24 * time.Hour); n != 2 {
		t.Errorf("%d counters were removed; want the hour's and the one that rolls", n)
	}
	if c := l.Counter(t, p, "all_time_limit", rule.WindowAll, "USDC"); c.Spent != 10 {
		t.Errorf("for ever: %+v; want 10", c)
	}
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Reserved != 60 {
		t.Errorf("of an act under way: %+v; want 60 set aside", c)
	}
	want(t, perform(t, l, Payment(a, "", 91)), gate.Denied, "hourly_limit") // begun anew with what was spent
	want(t, perform(t, l, Payment(a, "", 90)), gate.Done, "")
	_, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done}, nil)
	must(t, err)
	if n := expire(400 * 24 * time.Hour); n != 3 {
		t.Errorf("%d counters were removed; want the day's as well", n)
	}
}

// testBudgetSetMeanwhile: a budget that is set while calls are under way counts what they consume when they end, each once.
func testBudgetSetMeanwhile(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{})
	free, _ := begin(t, l, modelCall(a, "1", 60, 10)) // nothing limits it: it has no row
	if !free.ID.IsZero() {
		t.Fatalf("begun: %+v", free)
	}
	set := func(limits policy.Limits) {
		t.Helper()
		_, err := l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
			p.Limits = limits
			return nil
		}})
		must(t, err)
	}
	end := func(rec gate.Record, micros, tokens int64) {
		t.Helper()
		cost := money.Pico(micros * money.PicosPerMicro)
		_, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Cost: &cost, Tokens: tokens}, nil)
		must(t, err)
	}
	daily := policy.Limits{DailyCostLimit: ptr(money.Of(100, money.USD))}
	set(daily)
	limited, _ := begin(t, l, modelCall(a, "2", 50, 20))
	want(t, limited, gate.Started, "")
	both := daily
	both.Windows = []policy.WindowLimit{{Measure: policy.MeasureTokens, Window: rule.WindowDay, Rolling: true, Max: 100}}
	set(both)
	end(free, 40, 10)
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Spent != 40 || c.Reserved != 50 {
		t.Errorf("the day's cost: %+v; want 40 spent and 50 set aside", c)
	}
	denied, _ := begin(t, l, modelCall(a, "3", 11, 1))
	want(t, denied, gate.Denied, "daily_cost_limit")
	end(limited, 30, 20)
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Spent != 70 || c.Reserved != 0 {
		t.Errorf("the day's cost: %+v; want 70 spent", c)
	}
	if c := l.Counter(t, p, "rolling_daily_token_limit", "rolling_day", policy.UnitTokens); c.Spent != 30 || c.Reserved != 0 {
		t.Errorf("tokens: %+v; want 30", c)
	}
	// Taken away and set again while a call is under way: what it has set aside is there again, and settles once.
	third, _ := begin(t, l, modelCall(a, "4", 20, 0))
	set(policy.Limits{})
	set(daily)
	fourth, _ := begin(t, l, modelCall(a, "5", 80, 0))
	want(t, fourth, gate.Started, "") // without usage rows nothing else is known of the past
	denied, _ = begin(t, l, modelCall(a, "6", 1, 0))
	want(t, denied, gate.Denied, "daily_cost_limit")
	end(third, 20, 0)
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Spent != 20 || c.Reserved != 80 {
		t.Errorf("the day's cost: %+v; want 20 spent and 80 set aside", c)
	}
}

// testCapSetMeanwhile: caps that are set while a payment over a rail is under way count it, whichever way it ends, and count it once.
func testCapSetMeanwhile(t *testing.T, l *Lab) {
	for _, end := range []gate.State{gate.Done, gate.Failed} {
		a := l.Agent(t, 1000)
		run := newSession(l)
		outside := func(key string, micros int64) gate.Act {
			act := inRun(Payment(a, "vendor.example", micros), run, id.Session{})
			act.Key, act.Rail = key, "fake"
			return act
		}
		l.Policy(t, a, policy.Limits{})
		rec, _ := begin(t, l, outside("under way, "+string(end), 60))
		want(t, rec, gate.Started, "")
		p := l.Policy(t, a, policy.Limits{
			DailyLimit: ptr(USDC(100)), AllTimeLimit: ptr(USDC(120)),
			Windows: []policy.WindowLimit{
				usdcWindow(rule.WindowDay, true, 110), usdcWindow(policy.WindowRun, false, 90),
				{Measure: policy.MeasureCount, Window: rule.WindowHour, Rolling: true, Max: 2},
			},
		})
		if d, err := l.Simulate(bg, l.Scope, outside("", 41)); err != nil || d.Outcome != policy.Denied {
			t.Errorf("simulated: %+v, %v", d, err)
		}
		want(t, perform(t, l, Payment(a, "", 41)), gate.Denied, "daily_limit")
		over, _ := begin(t, l, outside("", 31))
		want(t, over, gate.Denied, "per_run_limit")
		within, _ := begin(t, l, outside("", 30))
		want(t, within, gate.Started, "")
		third, _ := begin(t, l, outside("", 1))
		if third.State != gate.Denied {
			t.Errorf("the third within the hour is %s", third.State)
		}
		for _, r := range []gate.Record{rec, within} {
			amount := *r.Act.Amount
			_, err := l.End(bg, l.Scope, r, gate.Settlement{State: end, Amount: &amount}, nil)
			must(t, err)
		}
		// Nobody can tell the counter of one that it began with: it stays counted, as one of an unknown outcome would.
		spent := int64(60)
		if end == gate.Done {
			spent = 90
		}
		for _, name := range []string{"daily_limit", "all_time_limit"} {
			w := rule.WindowDay
			if name != "daily_limit" {
				w = rule.WindowAll
			}
			if c := l.Counter(t, p, name, w, "USDC"); c.Spent != spent || c.Reserved != 0 {
				t.Errorf("%s after both are %s: %+v; want %d spent", name, end, c, spent)
			}
		}
	}
}
