package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/rule"
)

// history does acts for a backtest: one before the time that it returns, then six that are done, one that fails and one that is denied.
func history(t *testing.T, l *Lab) (a, b id.Agent, from time.Time) {
	t.Helper()
	a, b = l.Agent(t, 1000), l.Agent(t, 0)
	_, err := l.Wallets.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: b, Amount: money.Of(100, "EUR")})
	must(t, err)
	l.Policy(t, a, policy.Limits{MaxPerTransaction: ptr(USDC(100))})
	l.Policy(t, b, policy.Limits{})
	one, two := id.New[id.SessionKind](l.IDs), id.New[id.SessionKind](l.IDs)
	do := func(s gate.State, act gate.Act, to string, run id.Session) {
		t.Helper()
		act.Payee, act.Run = to, run
		if rec := perform(t, l, act); rec.State != s {
			t.Fatalf("%s: %s", rec.State, rec.Error)
		}
		l.Clock.Advance(time.Minute)
	}
	do(gate.Done, Payment(a, "", 40), "x.example", id.Session{})
	l.Clock.Advance(29 * time.Minute)
	from = l.now()
	do(gate.Done, Payment(a, "", 40), "x.example", one)
	do(gate.Denied, Payment(a, "", 101), "x.example", one)
	do(gate.Done, Payment(a, "", 40), "X.Example", one)
	do(gate.Done, Payment(a, "", 10), "y.example", two)
	do(gate.Done, transferAct(a, b, "", 5), b.String(), id.Session{})
	for _, end := range []gate.State{gate.Done, gate.Failed} {
		act := Payment(a, "", 20)
		act.Rail, act.Payee = "rail", "z.example"
		rec, _ := begin(t, l, act)
		_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: end}, nil)
		must(t, err)
		l.Clock.Advance(time.Minute)
	}
	euros := Payment(b, "", 0)
	euros.Amount = ptr(money.Of(10, "EUR"))
	do(gate.Done, euros, "y.example", id.Session{})
	return a, b, from
}

func testBacktest(t *testing.T, l *Lab) {
	a, b, from := history(t, l)
	notes := len(l.Trail.All())
	all := policy.Scope{Tenant: true}
	of := policy.Scope{Agent: a}
	type result struct{ acts, denied, parked int }
	for name, c := range map[string]struct {
		scope  policy.Scope
		limits policy.Limits
		mode   policy.Mode
		want   result
		rules  []string
	}{
		"nothing": {scope: all, want: result{6, 0, 0}},
		// 40 count from before: 80, 80, 50, 55, 75; what is denied does not count.
		"rolling": {
			scope: of, limits: policy.Limits{Windows: []policy.WindowLimit{{
				Measure: policy.MeasureAmount, Window: rule.WindowHour, Rolling: true, Max: 60, Currency: "USDC",
			}}}, want: result{5, 3, 0}, rules: []string{"rolling_hourly_limit"},
		},
		"calendar":          {scope: of, limits: policy.Limits{DailyLimit: ptr(USDC(90))}, want: result{5, 3, 0}, rules: []string{"daily_limit"}}, // 80, 120, 90, 95, 110
		"all time":          {scope: of, limits: policy.Limits{AllTimeLimit: ptr(USDC(90))}, want: result{5, 3, 0}, rules: []string{"all_time_limit"}},
		"per run":           {scope: of, limits: policy.Limits{PerRunLimit: ptr(USDC(60))}, want: result{5, 1, 0}, rules: []string{"per_run_limit"}},
		"new payee":         {scope: of, limits: policy.Limits{NewPayee: policy.RequireApproval}, want: result{5, 0, 3}, rules: []string{"new_payee"}},
		"new payee, denied": {scope: of, limits: policy.Limits{NewPayee: policy.Deny}, want: result{5, 3, 0}, rules: []string{"new_payee"}},
		"structuring":       {scope: of, limits: policy.Limits{MaxPerTransaction: ptr(USDC(50)), Structuring: &policy.Structuring{}}, want: result{5, 1, 0}, rules: []string{"structuring"}},
		"currencies":        {scope: all, limits: policy.Limits{MaxPerTransaction: ptr(USDC(30))}, want: result{6, 3, 0}, rules: []string{"max_per_transaction"}},
		"observing":         {scope: of, limits: policy.Limits{MaxPerTransaction: ptr(USDC(30))}, mode: policy.Observe, want: result{5, 2, 0}, rules: []string{"max_per_transaction"}},
		// 80 waits, 120 is denied, 90, 95, 115 is denied.
		"parked acts count":   {scope: of, limits: policy.Limits{RequireApprovalAbove: ptr(USDC(40)), DailyLimit: ptr(USDC(100))}, want: result{5, 2, 1}, rules: []string{"daily_limit", "require_approval_above"}},
		"of the other agent":  {scope: policy.Scope{Agent: b}, limits: policy.Limits{BlockedPayees: []string{"y.example"}}, want: result{1, 1, 0}, rules: []string{"blocked_payees"}},
		"of an agent unknown": {scope: policy.Scope{Agent: id.New[id.AgentKind](l.IDs)}, limits: policy.Limits{DailyLimit: ptr(USDC(0))}},
	} {
		p, err := l.Policies.Draft(bg, l.Scope, policy.CreateRequest{Scope: c.scope, Limits: c.limits, Mode: c.mode}, id.Policy{})
		must(t, err)
		got, err := l.Backtest(bg, l.Scope, gate.BacktestRequest{Policy: p, From: from})
		must(t, err)
		if d := cmp.Diff(c.want, result{got.Acts, got.Denied, got.Parked}, cmp.AllowUnexported(result{})); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		var rules []string
		for _, r := range got.Rules {
			rules = append(rules, r.Rule)
		}
		if !slices.Equal(rules, c.rules) || got.Truncated || got.Acts != got.Allowed+got.Denied+got.Parked || len(got.Changed.Items) != got.Denied+got.Parked {
			t.Errorf("%s: %+v; want the rules %v", name, got, c.rules)
		}
	}
	if n := len(l.Trail.All()); n != notes {
		t.Errorf("%d entries were noted", n-notes)
	}

	p, err := l.Policies.Draft(bg, l.Scope, policy.CreateRequest{Scope: all, Limits: policy.Limits{DailyLimit: ptr(USDC(0))}}, id.Policy{})
	must(t, err)
	ask := func(r page.Request) (page.Page[gate.ChangedAct], error) {
		got, err := l.Backtest(bg, l.Scope, gate.BacktestRequest{Policy: p, From: from, Page: r})
		return got.Changed, err
	}
	amounts := pagetest.Walk(t, 2, func(x gate.ChangedAct) int64 { return x.Amount.Micros }, ask)
	if d := cmp.Diff([]int64{40, 40, 10, 5, 20, 10}, amounts); d != "" {
		t.Errorf("changed (-want +got):\n%s", d)
	}
	mine, err := l.Backtest(bg, l.Scope, gate.BacktestRequest{Policy: p, From: from, Agent: b})
	must(t, err)
	if mine.Acts != 1 || len(mine.Amounts) != 1 || mine.Amounts[0] != (gate.BacktestAmount{Currency: "EUR", Total: 10, Denied: 10}) {
		t.Errorf("of one agent: %+v", mine)
	}
	stranger := l.Scope
	stranger.Tenant = id.New[id.TenantKind](l.IDs)
	for _, s := range []policy.Scope{all, of} {
		p.Scope = s
		if got, err := l.Backtest(bg, stranger, gate.BacktestRequest{Policy: p, From: from}); err != nil || got.Acts != 0 {
			t.Errorf("another tenant sees %d acts, %v", got.Acts, err)
		}
	}
	for name, r := range map[string]gate.BacktestRequest{
		"no time": {Policy: p, From: from, To: from}, "no cursor": {Policy: p, From: from, Page: page.Request{Cursor: "x"}},
	} {
		if _, err := l.Backtest(bg, l.Scope, r); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testBacktestTruncated(t *testing.T, l *Lab) {
	_, _, from := history(t, l)
	for want, limits := range map[int]policy.Limits{
		3: {MaxPerTransaction: ptr(USDC(1))}, // looks at nothing before
		2: {DailyLimit: ptr(USDC(1))},
	} {
		p, err := l.Policies.Draft(bg, l.Scope, policy.CreateRequest{Scope: policy.Scope{Tenant: true}, Limits: limits}, id.Policy{})
		must(t, err)
		got, err := l.Backtest(bg, l.Scope, gate.BacktestRequest{Policy: p, From: from})
		must(t, err)
		if !got.Truncated || got.Acts != want || !got.To.After(from) || got.To.After(from.Add(4*time.Minute)) {
			t.Errorf("%+v; want %d acts", got, want)
		}
		none, err := l.Backtest(bg, l.Scope, gate.BacktestRequest{Policy: p, From: from, To: from.Add(time.Minute)})
		must(t, err)
		if none.Truncated || none.Acts != 1 || !none.To.Equal(from.Add(time.Minute)) {
			t.Errorf("%+v", none)
		}
	}
	p, err := l.Policies.Draft(bg, l.Scope, policy.CreateRequest{Scope: policy.Scope{Tenant: true}, Limits: policy.Limits{NewPayee: policy.Deny}}, id.Policy{})
	must(t, err)
	late := l.now()
	got, err := l.Backtest(bg, l.Scope, gate.BacktestRequest{Policy: p, From: late})
	must(t, err)
	if !got.Truncated || got.Acts != 0 || !got.To.Equal(late) {
		t.Errorf("more before than can be walked: %+v", got)
	}
}

// testSessionPolicies checks that the policies of sessions come with their first version, and leave it behind.
func testSessionPolicies(t *testing.T, l *Lab) {
	ctx := context.Background()
	of := id.New[id.SessionKind](l.IDs)
	p, err := l.Policies.Attach(ctx, l.Scope, of, policy.Limits{MaxPerTransaction: ptr(USDC(10))})
	must(t, err)
	a := l.Agent(t, 100)
	pay := func(n int64) gate.Record {
		act := Payment(a, "", n)
		act.Run = of
		return perform(t, l, act)
	}
	want(t, pay(10), gate.Done, "")
	want(t, pay(11), gate.Denied, "max_per_transaction")
	must(t, l.Policies.ForgetSession(ctx, l.Scope, of))
	if _, err := l.Policies.Get(ctx, l.Scope, p.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("after its session: %v", err)
	}
	if n := len(l.Trail.Of("policy_deleted")); n != 1 {
		t.Errorf("%d deletions are noted", n)
	}
	want(t, pay(10), gate.Denied, policy.RuleNoPolicy)
	v, err := l.Policies.Version(ctx, l.Scope, p.ID, 1)
	if err != nil || v.Scope.Session != of || v.By != l.Scope.Actor() {
		t.Errorf("%+v, %v", v, err)
	}
	l.replays(t, "transaction_completed", "transaction_blocked")
	must(t, l.Policies.ForgetSession(ctx, l.Scope, of)) // again: nothing is there
}

// replays decides everything once more that was noted as one of the actions, and fails the test where it comes out otherwise, or is not there.
func (l *Lab) replays(t *testing.T, actions ...string) {
	t.Helper()
	version := func(p id.Policy, version int) (policy.Policy, error) {
		v, err := l.Store.Archive.Version(bg, l.Scope, p, version)
		return v.Policy, err
	}
	for _, action := range actions {
		notes := l.Trail.Of(action)
		if len(notes) == 0 {
			t.Errorf("nothing was noted as %s", action)
		}
		for _, n := range notes {
			text, err := json.Marshal(n.Metadata)
			must(t, err)
			r, err := gate.Replay(n.Agent, text, version)
			if err != nil && !errors.Is(err, gate.ErrNoDecision) || len(r.Differences) > 0 {
				t.Errorf("%s: %v %+v", action, err, r.Differences)
			}
		}
	}
}
