package gatetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Config says how to test a store.
type Config struct {
	// New returns the store; the subtests may share what it returns, since each has a tenant of its own.
	New func(t *testing.T) Store
}

var (
	bg        = context.Background()
	errFenced = fault.New(fault.Conflict, "fenced", "the turn is somebody else's")
)

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *Lab){
		"BudgetAlerts":            testAlerts,
		"BudgetAlertOnce":         testAlertOnce,
		"Notices":                 testNotices,
		"NoticesOfApprovals":      testNoticesOfApprovals,
		"NoticesRolledBack":       testNoticesRolledBack,
		"NoPolicyDenies":          testNoPolicy,
		"PaymentPays":             testPayment,
		"PaymentOverCapDenied":    testCap,
		"WindowsRollOver":         testWindows,
		"CapSetLater":             testCapLater,
		"PoorWalletDenies":        testPoor,
		"SameKeySameRecord":       testSameKey,
		"DuplicatesAtOnce":        testDuplicates,
		"CapHoldsExactly":         testCapConcurrent,
		"CapsOfManyAgents":        testSharedCap,
		"Transfer":                testTransfer,
		"TransfersBothWays":       testTransfersBothWays,
		"RuleVerdicts":            testRules,
		"RuleLimitsHeld":          testRuleLimits,
		"RuleLimitsOutliveRules":  testRuleLimitsLater,
		"RuleInputs":              testRuleInputs,
		"RuleSlow":                testRuleSlow,
		"PolicyChangesWhileAsked": testPolicyChange,
		"PolicyKeepsChanging":     testPolicyRace,
		"RulesForeseen":           testForeseen,
		"ApproveExecutes":         testApprove,
		"ApproveAtOnce":           testApproveRace,
		"ApproveOverCap":          testApproveOverCap,
		"ApproveFrozen":           testApproveFrozen,
		"DenyEnds":                testDeny,
		"ApprovalExpires":         testExpiry,
		"ApprovalExpiresLazily":   testLazyExpiry,
		"OutsideActEndsOnce":      testBeginEnd,
		"OutsideActParked":        testBeginParked,
		"OutsideActFound":         testBeginFound,
		"OutsideAlsoFails":        testAlsoFails,
		"ModelBudget":             testBudget,
		"ModelTokens":             testTokens,
		"ModelWithoutLimits":      testFree,
		"BudgetHoldsExactly":      testBudgetConcurrent,
		"FreezeStops":             testFreeze,
		"FreezeRacesPayments":     testFreezeRace,
		"FreezeTenant":            testFreezeTenant,
		"VoidSession":             testVoidSession,
		"Fence":                   testFence,
		"ObserverFails":           testObserverFails,
		"Simulate":                testSimulate,
		"PoliciesAreBounded":      testManyPolicies,
		"ForeignTenant":           testForeign,
		"BadActs":                 testBadActs,
		"TrailReplays":            testTrail,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, NewLab(t, cfg.New(t), Options{}))
		})
	}
	for name, test := range map[string]func(*testing.T, *Lab){
		"Votes": testVotes, "VotesRaised": testVotesRaised, "VoteAtOnce": testVoteRace, "PolicyObserves": testObserve, "DecisionsReplay": testReplay,
		"Backtest": testBacktest, "PoliciesOfSessions": testSessionPolicies,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, NewLab(t, cfg.New(t), Options{}))
		})
	}
	for name, test := range limitTests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, NewLab(t, cfg.New(t), Options{}))
		})
	}
	t.Run("BacktestTruncated", func(t *testing.T) {
		t.Parallel()
		testBacktestTruncated(t, NewLab(t, cfg.New(t), Options{Config: gate.Config{PastActs: 3}}))
	})
	t.Run("DefaultAllow", func(t *testing.T) {
		t.Parallel()
		l := NewLab(t, cfg.New(t), Options{Config: gate.Config{DefaultAllow: true}})
		a := l.Agent(t, 10)
		want(t, perform(t, l, Payment(a, "", 10)), gate.Done, "")
	})
	t.Run("RandomOperations", func(t *testing.T) {
		t.Parallel()
		st := cfg.New(t)
		for seed := range uint64(4) {
			Exercise(t, st, randomOps(seed, 120))
		}
	})
}

func perform(tb testing.TB, l *Lab, act gate.Act) gate.Record {
	tb.Helper()
	rec, err := l.Perform(bg, l.Scope, act)
	must(tb, err)
	return rec
}

// want fails the test unless a record has this state and, when it is denied or parked, this rule.
func want(tb testing.TB, rec gate.Record, s gate.State, ruleName string) {
	tb.Helper()
	if rec.State != s || rec.Decision.Rule != ruleName {
		tb.Errorf("the act is %s by %q (%s); want %s by %q", rec.State, rec.Decision.Rule, rec.Error, s, ruleName)
	}
}

func wantErr(tb testing.TB, err, target error) {
	tb.Helper()
	if !errors.Is(err, target) {
		tb.Errorf("error %v; want %v", err, target)
	}
}

func testNoPolicy(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	want(t, perform(t, l, Payment(a, "k", 1)), gate.Denied, policy.RuleNoPolicy)
	if got := l.Balance(t, a); got != 100 {
		t.Errorf("%d are left; want 100", got)
	}
	if n := len(l.Trail.Of("transaction_blocked")); n != 1 {
		t.Errorf("%d entries of the blocked payment; want 1", n)
	}
}

func testPayment(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(60))})
	rec := perform(t, l, Payment(a, "k", 40))
	want(t, rec, gate.Done, "")
	if !strings.Contains(string(rec.Output), `"balance_after":"0.00006"`) {
		t.Errorf("output %s", rec.Output)
	}
	if diff := cmp.Diff([]policy.PinnedVersion{{Policy: p.ID, Version: 1}}, rec.Decision.Policies, cmp.AllowUnexported(id.Policy{})); diff != "" {
		t.Errorf("policies of the decision (-want +got):\n%s", diff)
	}
	stored, ok, err := l.Lookup(bg, l.Scope, "k")
	if err != nil || !ok || stored.ID != rec.ID || stored.State != gate.Done || string(stored.Output) != string(rec.Output) {
		t.Errorf("stored %+v, %v, %v", stored, ok, err)
	}
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 40 || c.Reserved != 0 {
		t.Errorf("counter %+v; want 40 spent", c)
	}
	if diff := cmp.Diff([]gate.State{gate.Done}, l.Observer.States(rec.ID)); diff != "" {
		t.Error(diff)
	}
	paid, err := l.Wallets.Paid(bg, l.Scope, rec.ID)
	if err != nil || len(paid) != 1 || paid[0].Payee != "vendor.example" {
		t.Errorf("paid %+v, %v", paid, err)
	}
	l.Sound(t)
}

func testCap(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, id.Agent{}, policy.Limits{MonthlyLimit: ptr(USDC(90))})
	p := l.Policy(t, a, policy.Limits{MaxPerTransaction: ptr(USDC(50)), DailyLimit: ptr(USDC(80)), AllTimeLimit: ptr(USDC(1000))})
	want(t, perform(t, l, Payment(a, "", 51)), gate.Denied, "max_per_transaction")
	want(t, perform(t, l, Payment(a, "", 50)), gate.Done, "")
	rec := perform(t, l, Payment(a, "", 31))
	want(t, rec, gate.Denied, "daily_limit")
	if !strings.Contains(rec.Decision.Reason, "0.00005 USDC are spent") {
		t.Errorf("reason %q does not say what is spent", rec.Decision.Reason)
	}
	want(t, perform(t, l, Payment(a, "", 30)), gate.Done, "")
	want(t, perform(t, l, Payment(a, "", 1)), gate.Denied, "daily_limit")
	l.Clock.Set(l.Clock.Now().Add(24 * time.Hour))
	want(t, perform(t, l, Payment(a, "", 11)), gate.Denied, "monthly_limit")
	want(t, perform(t, l, Payment(a, "", 10)), gate.Done, "")
	if c := l.Counter(t, p, "all_time_limit", rule.WindowAll, "USDC"); c.Spent != 90 {
		t.Errorf("all-time counter %+v; want 90: what is denied must not count", c)
	}
	rec, err := l.Perform(bg, l.Scope, gate.Act{Action: rule.ActionPayment, Agent: a, Amount: ptr(money.Of(1, "EUR")), Payee: "x"})
	must(t, err)
	if rec.State != gate.Denied {
		t.Errorf("a payment in a currency that no limit can be compared with is %s", rec.State)
	}
	l.Sound(t)
}

func testWindows(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{HourlyLimit: ptr(USDC(10)), WeeklyLimit: ptr(USDC(25))})
	for _, step := range []struct {
		at   string
		rule string
	}{
		{"2026-07-12T23:59:59.999999Z", ""},           // a Sunday
		{"2026-07-12T23:30:00Z", "hourly_limit"},      // the hour is full
		{"2026-07-13T00:00:00Z", ""},                  // Monday: a new hour and a new week
		{"2026-07-13T01:00:00+01:00", "hourly_limit"}, // the same hour by another zone
		{"2026-07-13T01:00:00Z", ""},                  //
		{"2026-07-19T23:00:00Z", "weekly_limit"},      // 20 of 25 are spent
		{"2026-07-20T00:00:00Z", ""},                  //
	} {
		at, err := time.Parse(time.RFC3339Nano, step.at)
		must(t, err)
		l.Clock.Set(at)
		state := gate.Done
		if step.rule != "" {
			state = gate.Denied
		}
		want(t, perform(t, l, Payment(a, "", 10)), state, step.rule)
	}
}

// testCapLater: a cap holds for what was spent in its window before it was set, and no detour resets it.
func testCapLater(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 1000), l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{})
	l.Policy(t, b, policy.Limits{})
	want(t, perform(t, l, Payment(a, "", 500)), gate.Done, "")
	l.Clock.Set(l.Clock.Now().Add(24 * time.Hour))
	want(t, perform(t, l, Payment(a, "", 30)), gate.Done, "")
	want(t, perform(t, l, Payment(b, "", 15)), gate.Done, "")
	act := Payment(a, "", 10)
	act.Amount.Currency = "EUR"
	perform(t, l, act)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(50))})
	if d, err := l.Simulate(bg, l.Scope, Payment(a, "", 21)); err != nil || d.Rule != "daily_limit" {
		t.Errorf("simulated: %+v, %v", d, err)
	}
	want(t, perform(t, l, Payment(a, "", 21)), gate.Denied, "daily_limit")
	want(t, perform(t, l, Payment(a, "", 15)), gate.Done, "")
	must(t, l.Policies.Delete(bg, l.Scope, p.ID))
	p = l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(50)), AllTimeLimit: ptr(USDC(549))})
	want(t, perform(t, l, Payment(a, "", 5)), gate.Denied, "all_time_limit")
	want(t, perform(t, l, Payment(a, "", 4)), gate.Done, "")
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 49 {
		t.Errorf("counter %+v; want 49", c)
	}
	set := func(limit *money.Amount) {
		t.Helper()
		_, err := l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
			p.Limits = policy.Limits{DailyLimit: limit}
			return nil
		}})
		must(t, err)
	}
	set(nil)
	want(t, perform(t, l, Payment(a, "", 10)), gate.Done, "") // nobody counts it
	set(ptr(USDC(60)))
	want(t, perform(t, l, Payment(a, "", 2)), gate.Denied, "daily_limit")
	want(t, perform(t, l, Payment(a, "", 1)), gate.Done, "")
	l.Policy(t, id.Agent{}, policy.Limits{DailyLimit: ptr(USDC(76))})
	want(t, perform(t, l, Payment(b, "", 2)), gate.Denied, "daily_limit")
	want(t, perform(t, l, Payment(b, "", 1)), gate.Done, "")
}

func testPoor(t *testing.T, l *Lab) {
	a := l.Agent(t, 10)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(1000))})
	want(t, perform(t, l, Payment(a, "", 11)), gate.Denied, policy.RuleFunds)
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 0 {
		t.Errorf("counter %+v; want nothing spent", c)
	}
	want(t, perform(t, l, Payment(a, "", 10)), gate.Done, "")
	l.Sound(t)
}

func testSameKey(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	l.Policy(t, a, policy.Limits{})
	first := perform(t, l, Payment(a, "k", 40))
	again := perform(t, l, Payment(a, "k", 40))
	if again.ID != first.ID || !again.Found || first.Found {
		t.Errorf("repeated: %+v; want the record of %s", again, first.ID)
	}
	_, err := l.Perform(bg, l.Scope, Payment(a, "k", 41))
	wantErr(t, err, gate.ErrKeyReused)
	if got := l.Balance(t, a); got != 60 {
		t.Errorf("%d are left; want 60", got)
	}
	// A denial is final under its key, too.
	denied := perform(t, l, Payment(a, "d", 61))
	_, err = l.Wallets.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(100)})
	must(t, err)
	if rec := perform(t, l, Payment(a, "d", 61)); rec.ID != denied.ID || rec.State != gate.Denied {
		t.Errorf("a denied key, repeated: %+v", rec)
	}
}

func testDuplicates(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(1000))})
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[id.Act]int{}
	fresh := 0
	for range 16 {
		wg.Go(func() {
			rec, err := l.Perform(bg, l.Scope, Payment(a, "once", 7))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			got[rec.ID]++
			if !rec.Found {
				fresh++
			}
			if rec.State != gate.Done {
				t.Errorf("state %s", rec.State)
			}
		})
	}
	wg.Wait()
	if len(got) != 1 || fresh != 1 {
		t.Errorf("%d records, %d fresh; want one payment", len(got), fresh)
	}
	if b := l.Balance(t, a); b != 993 {
		t.Errorf("%d are left; want 993", b)
	}
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 7 {
		t.Errorf("counter %+v; want 7", c)
	}
	if n := len(l.Trail.Of("transaction_completed")); n != 2 { // the deposit and the payment
		t.Errorf("%d completed transactions in the trail; want 2", n)
	}
	l.Sound(t)
}

// testCapConcurrent is the promise of the product: 64 callers, one wallet, one cap, and not a micro-unit past it.
func testCapConcurrent(t *testing.T, l *Lab) {
	const callers, each, limit = 64, 4, 997
	a := l.Agent(t, 1<<40)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(limit)), MonthlyLimit: ptr(USDC(10 * limit))})
	var paid, denied atomic.Int64
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				amount := int64(1 + (i*each+j)%13)
				rec, err := l.Perform(bg, l.Scope, Payment(a, fmt.Sprintf("%d/%d", i, j), amount))
				switch {
				case err != nil:
					t.Error(err)
				case rec.State == gate.Done:
					paid.Add(amount)
				case rec.State == gate.Denied && rec.Decision.Rule == "daily_limit":
					denied.Add(1)
				default:
					t.Errorf("the act is %s: %s", rec.State, rec.Error)
				}
			}
		})
	}
	wg.Wait()
	ledger, _ := l.Paid(t, a)
	if ledger != paid.Load() || ledger > limit || denied.Load() == 0 {
		t.Errorf("ledger %d, callers saw %d, cap %d, %d denied", ledger, paid.Load(), limit, denied.Load())
	}
	if ledger <= limit-13 { // any single amount still fits: somebody was refused without need
		t.Errorf("only %d of %d were spent", ledger, limit)
	}
	for name, w := range map[string]rule.Window{"daily_limit": rule.WindowDay, "monthly_limit": rule.WindowMonth} {
		if c := l.Counter(t, p, name, w, "USDC"); c.Spent != ledger || c.Reserved != 0 {
			t.Errorf("%s: %+v; want %d spent", name, c, ledger)
		}
	}
	l.Sound(t)
}

func testSharedCap(t *testing.T, l *Lab) {
	const agents, limit = 8, 100
	p := l.Policy(t, id.Agent{}, policy.Limits{DailyLimit: ptr(USDC(limit))})
	var all []id.Agent
	for range agents {
		a := l.Agent(t, 1000)
		l.Policy(t, a, policy.Limits{HourlyLimit: ptr(USDC(50))})
		all = append(all, a)
	}
	var wg sync.WaitGroup
	for _, a := range all {
		for range 4 {
			wg.Go(func() {
				for range 3 {
					if _, err := l.Perform(bg, l.Scope, Payment(a, "", 7)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	var sum int64
	for _, a := range all {
		paid, _ := l.Paid(t, a)
		if paid > 50 {
			t.Errorf("an agent paid %d; its cap is 50", paid)
		}
		sum += paid
	}
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); sum != 98 || c.Spent != sum {
		t.Errorf("together %d, counter %+v; want 98, as much as fits under %d", sum, c, limit)
	}
	l.Sound(t)
}

func transferAct(from, to id.Agent, key string, micros int64) gate.Act {
	return gate.Act{Key: key, Action: rule.ActionTransfer, Agent: from, Amount: ptr(USDC(micros)), Payee: to.UUID().String()}
}

func testTransfer(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 100), l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(50)), AllowedDomains: []string{"vendor.example"}})
	rec := perform(t, l, transferAct(a, b, "t", 30))
	want(t, rec, gate.Done, "")
	if rec.Act.Payee != b.String() {
		t.Errorf("receiver %q; want %s", rec.Act.Payee, b)
	}
	want(t, perform(t, l, transferAct(a, b, "", 21)), gate.Denied, "daily_limit")
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 30 {
		t.Errorf("counter %+v; want 30", c)
	}
	if l.Balance(t, a) != 70 || l.Balance(t, b) != 30 {
		t.Errorf("%d and %d; want 70 and 30", l.Balance(t, a), l.Balance(t, b))
	}
	_, err := l.Freeze(bg, l.Scope, b)
	must(t, err)
	want(t, perform(t, l, transferAct(a, b, "", 1)), gate.Denied, policy.RuleFrozen)
	_, err = l.Perform(bg, l.Scope, transferAct(a, id.New[id.AgentKind](l.IDs), "", 1))
	if fault.KindOf(err) != fault.NotFound {
		t.Errorf("a transfer to nobody: %v", err)
	}
	_, err = l.Perform(bg, l.Scope, transferAct(a, a, "", 1))
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a transfer to oneself: %v", err)
	}
	l.Sound(t)
}

func testTransfersBothWays(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 100), l.Agent(t, 100)
	l.Policy(t, id.Agent{}, policy.Limits{AllTimeLimit: ptr(USDC(1 << 40))})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			from, to := a, b
			if i%2 == 0 {
				from, to = b, a
			}
			for range 8 {
				if _, err := l.Perform(bg, l.Scope, transferAct(from, to, "", 3)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if sum := l.Balance(t, a) + l.Balance(t, b); sum != 200 {
		t.Errorf("together they have %d; want 200", sum)
	}
	l.Sound(t)
}

func testRules(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Rules.Set("r", Rule{})
	l.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "r"})
	for _, c := range []struct {
		name  string
		fn    func(context.Context, rule.Input) (rule.Verdict, error)
		state gate.State
		rule  string
		says  string
	}{
		{"allow", verdict(rule.Allow, ""), gate.Done, "", ""},
		{"deny", verdict(rule.Deny, "not today"), gate.Denied, "r", "not today"},
		{"approve", verdict(rule.Approve, "ask first"), gate.Parked, "r", "ask first"},
		{"no text", verdict(rule.Deny, "not\x00 \xff"), gate.Denied, "r", "not\uFFFD \uFFFD"},
		{"long text", verdict(rule.Deny, strings.Repeat("no ", 1<<20)), gate.Denied, "r", "no no"},
		{"unknown outcome", verdict("maybe", ""), gate.Denied, "r", "unknown outcome"},
		{"empty outcome", verdict("", ""), gate.Denied, "r", "unknown outcome"},
		{"error", func(context.Context, rule.Input) (rule.Verdict, error) {
			return rule.Verdict{}, errors.New("secret detail")
		}, gate.Denied, "r", "the rule failed"},
		{"starting", func(context.Context, rule.Input) (rule.Verdict, error) {
			return rule.Verdict{}, rule.ErrStarting
		}, gate.Denied, "r", "rule_starting"},
		{"panic", func(context.Context, rule.Input) (rule.Verdict, error) { panic("boom") }, gate.Denied, "r", "the rule failed"},
	} {
		l.Rules.Set("r", Rule{Fn: c.fn})
		rec := perform(t, l, Payment(a, "", 1))
		want(t, rec, c.state, c.rule)
		if !strings.Contains(rec.Decision.Reason, c.says) || strings.Contains(rec.Decision.Reason, "secret") {
			t.Errorf("%s: reason %q; want it to say %q", c.name, rec.Decision.Reason, c.says)
		}
	}
	l.Rules.Remove("r")
	want(t, perform(t, l, Payment(a, "", 1)), gate.Denied, "r")
	rec, err := l.Begin(bg, l.Scope, gate.Act{Action: rule.ActionToolCall, Agent: a, Tool: "t"}, nil)
	must(t, err)
	want(t, rec, gate.Denied, "r")
	if rec, err = l.Begin(bg, l.Scope, gate.Act{Action: rule.ActionModelCall, Agent: a}, nil); err != nil || rec.State != gate.Started {
		t.Errorf("a model call, which rules do not judge: %+v, %v", rec, err)
	}
}

func verdict(o rule.Outcome, reason string, limits ...rule.Limit) func(context.Context, rule.Input) (rule.Verdict, error) {
	return func(context.Context, rule.Input) (rule.Verdict, error) {
		return rule.Verdict{Outcome: o, Reason: reason, Limits: limits}, nil
	}
}

func testRuleLimits(t *testing.T, l *Lab) {
	const limit = 50
	a := l.Agent(t, 1000)
	l.Rules.Set("spend_limit", Rule{Fn: verdict(rule.Allow, "", rule.Limit{Window: rule.WindowDay, Max: USDC(limit)})})
	p := l.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "spend_limit"})
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			if _, err := l.Perform(bg, l.Scope, Payment(a, "", 4)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if paid, n := l.Paid(t, a); paid != 48 || n != 12 {
		t.Errorf("%d paid in %d payments; want 48, the most that fits under %d", paid, n, limit)
	}
	if c := l.Counter(t, p, "rule:spend_limit", rule.WindowDay, "USDC"); c.Spent != 48 {
		t.Errorf("counter %+v", c)
	}
	want(t, perform(t, l, Payment(a, "", 4)), gate.Denied, "spend_limit")
	l.Rules.Set("spend_limit", Rule{Fn: verdict(rule.Allow, "", rule.Limit{Window: "fortnight", Max: USDC(limit)})})
	want(t, perform(t, l, Payment(a, "", 1)), gate.Denied, "spend_limit")
	l.Rules.Set("spend_limit", Rule{Fn: verdict(rule.Allow, "", rule.Limit{Window: rule.WindowDay, Max: money.Of(1, "EUR")})})
	want(t, perform(t, l, Payment(a, "", 1)), gate.Denied, "spend_limit")
}

// testRuleLimitsLater takes a rule with a cap out of its policy, spends, and puts it back: what was spent meanwhile counts.
func testRuleLimitsLater(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Rules.Set("spend_limit", Rule{Fn: verdict(rule.Allow, "", rule.Limit{Window: rule.WindowDay, Max: USDC(10)})})
	with := []policy.RuleRef{{Plugin: "spend_limit"}}
	p := l.Policy(t, a, policy.Limits{}, with...)
	for _, rules := range [][]policy.RuleRef{nil, with} {
		want(t, perform(t, l, Payment(a, "", 4)), gate.Done, "")
		_, err := l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
			p.Rules = rules
			return nil
		}})
		must(t, err)
	}
	want(t, perform(t, l, Payment(a, "", 4)), gate.Denied, "spend_limit")
	want(t, perform(t, l, Payment(a, "", 2)), gate.Done, "")
}

func testRuleInputs(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	var got rule.Input
	see := func(inputs ...string) Rule {
		return Rule{Inputs: inputs, Fn: func(_ context.Context, in rule.Input) (rule.Verdict, error) {
			got = in
			return rule.Verdict{Outcome: rule.Allow}, nil
		}}
	}
	l.Rules.Set("r", see())
	l.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "r", Config: []byte(`{"x":1}`)})
	act := Payment(a, "", 5)
	act.Description = "d"
	perform(t, l, act)
	base := rule.Input{Action: rule.ActionPayment, Config: []byte(`{"x":1}`)}
	if diff := cmp.Diff(base, got); diff != "" {
		t.Errorf("a rule that wants nothing (-want +got):\n%s", diff)
	}
	l.Rules.Set("r", see(rule.InputAmount, rule.InputPayee, rule.InputCategory, rule.InputDescription, rule.InputAgent, rule.InputTime))
	perform(t, l, act)
	all := base
	all.Amount, all.Payee, all.Category, all.Description = ptr(USDC(5)), "vendor.example", "software", "d"
	all.AgentID, all.AgentName, all.Labels, all.At = a.String(), "lab agent", map[string]string{"team": "lab"}, l.now()
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("a rule that wants all (-want +got):\n%s", diff)
	}
}

func testRuleSlow(t *testing.T, l *Lab) {
	fast := NewLab(t, l.Store, Options{Config: gate.Config{RuleTimeout: 20 * time.Millisecond}})
	a := fast.Agent(t, 10)
	release := make(chan struct{})
	defer close(release)
	fast.Rules.Set("slow", Rule{Fn: func(context.Context, rule.Input) (rule.Verdict, error) {
		<-release // does not even look at its deadline
		return rule.Verdict{Outcome: rule.Allow}, nil
	}})
	fast.Rules.Set("quick", Rule{Fn: verdict(rule.Allow, "")})
	fast.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "quick"}, policy.RuleRef{Plugin: "slow"})
	rec := perform(t, fast, Payment(a, "", 1))
	want(t, rec, gate.Denied, "slow")
	if !strings.Contains(rec.Decision.Reason, "did not answer") {
		t.Errorf("reason %q", rec.Decision.Reason)
	}
}

func testPolicyChange(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	var p policy.Policy
	var once sync.Once
	asked := 0
	l.Rules.Set("r", Rule{Fn: func(ctx context.Context, _ rule.Input) (rule.Verdict, error) {
		asked++
		once.Do(func() {
			_, err := l.Policies.Update(ctx, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
				p.Limits.MaxPerTransaction = ptr(USDC(5))
				return nil
			}})
			if err != nil {
				t.Error(err)
			}
		})
		return rule.Verdict{Outcome: rule.Allow}, nil
	}})
	p = l.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "r"})
	rec := perform(t, l, Payment(a, "", 6))
	want(t, rec, gate.Denied, "max_per_transaction")
	if rec.Decision.Policies[0].Version != 2 || asked != 2 {
		t.Errorf("decided by version %d after %d questions; want version 2 after 2", rec.Decision.Policies[0].Version, asked)
	}
}

func testPolicyRace(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	var p policy.Policy
	asked := 0
	l.Rules.Set("r", Rule{Fn: func(ctx context.Context, _ rule.Input) (rule.Verdict, error) {
		asked++
		_, err := l.Policies.Update(ctx, l.Scope, p.ID, policy.UpdateRequest{Change: func(*policy.Policy) error { return nil }})
		return rule.Verdict{Outcome: rule.Allow}, err
	}})
	p = l.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "r"})
	want(t, perform(t, l, Payment(a, "", 6)), gate.Denied, policy.RulePolicyChanged)
	if asked != 4 {
		t.Errorf("asked %d times; want once and 3 times more", asked)
	}
}

// testForeseen counts how often a rule is asked when what it was asked about last time has changed since.
func testForeseen(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	var asked []string
	l.Rules.Set("r", Rule{Inputs: []string{rule.InputAgent}, Fn: func(_ context.Context, in rule.Input) (rule.Verdict, error) {
		asked = append(asked, string(in.Config)+" "+in.AgentName)
		return rule.Verdict{Outcome: rule.Allow}, nil
	}})
	with := func(config string) []policy.RuleRef { return []policy.RuleRef{{Plugin: "r", Config: []byte(config)}} }
	p := l.Policy(t, a, policy.Limits{}, with("1")...)
	pay := func(want ...string) {
		t.Helper()
		asked = nil
		rec := perform(t, l, Payment(a, "", 1))
		if diff := cmp.Diff(want, asked); diff != "" || rec.State != gate.Done {
			t.Errorf("the payment is %s, and the rule was asked (-want +got):\n%s", rec.State, diff)
		}
	}
	setRules := func(rules []policy.RuleRef) {
		t.Helper()
		_, err := l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
			p.Rules = rules
			return nil
		}})
		must(t, err)
	}
	pay("1 lab agent")
	pay("1 lab agent")
	setRules(with("2"))
	pay("1 lab agent", "2 lab agent")
	pay("2 lab agent")
	_, err := l.Store.Agents.Update(bg, l.Scope, a, func(a *agent.Agent) error {
		a.Version, a.Config.Name = a.Version+1, "renamed"
		return nil
	})
	must(t, err)
	pay("2 lab agent", "2 renamed")
	pay("2 renamed")
	setRules(nil)
	pay("2 renamed")
	pay()
	setRules(with("3"))
	pay("3 renamed")
}

// testManyPolicies: what every act has to read does not grow without end.
func testManyPolicies(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	create := func(r policy.CreateRequest) error {
		_, err := l.Policies.Create(bg, l.Scope, r)
		return err
	}
	var wg sync.WaitGroup
	var made atomic.Int32
	for range policy.MaxPerScope + 8 {
		wg.Go(func() {
			switch err := create(policy.CreateRequest{Scope: policy.Scope{Agent: a}}); {
			case err == nil:
				made.Add(1)
			case !errors.Is(err, policy.ErrTooMany):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != policy.MaxPerScope {
		t.Errorf("%d policies of one agent were made, want %d", made.Load(), policy.MaxPerScope)
	}
	must(t, create(policy.CreateRequest{Scope: policy.Scope{Agent: l.Agent(t, 0)}}))
	l.Rules.Set("r", Rule{Fn: verdict(rule.Allow, "")})
	long := policy.RuleRef{Plugin: "r", Config: []byte(`{"x":"` + strings.Repeat("x", 16<<10) + `"}`)}
	if err := create(policy.CreateRequest{Scope: policy.Scope{Tenant: true}, Rules: []policy.RuleRef{long}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a configuration of %d bytes: %v", len(long.Config), err)
	}
}

func parked(tb testing.TB, l *Lab, a id.Agent, key string, micros int64) gate.Record {
	tb.Helper()
	rec := perform(tb, l, Payment(a, key, micros))
	want(tb, rec, gate.Parked, "require_approval_above")
	return rec
}

func testApprove(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50)), DailyLimit: ptr(USDC(90))})
	want(t, perform(t, l, Payment(a, "", 49)), gate.Done, "")
	want(t, perform(t, l, Payment(a, "", 51)), gate.Denied, "daily_limit") // denied rather than asked for
	l.Clock.Set(l.Clock.Now().Add(24 * time.Hour))
	rec := parked(t, l, a, "k", 50)
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 0 || c.Reserved != 0 || l.Balance(t, a) != 51 {
		t.Errorf("a parked act holds something: %+v, balance %d", c, l.Balance(t, a))
	}
	list, err := l.Approvals(bg, l.Scope, policy.ApprovalFilter{Status: []policy.ApprovalStatus{policy.ApprovalPending}}, page.Request{})
	if err != nil || len(list.Items) != 1 || list.Items[0].ID != rec.Approval || *list.Items[0].Amount != USDC(50) {
		t.Fatalf("pending: %+v, %v", list, err)
	}
	if want := l.now().Add(policy.DefaultApprovalTTL); !list.Items[0].ExpiresAt.Equal(want) {
		t.Errorf("expires at %s; want %s", list.Items[0].ExpiresAt, want)
	}
	ap, done, err := l.Approve(bg, l.Scope, rec.Approval)
	must(t, err)
	want(t, done, gate.Done, "")
	if ap.Status != policy.ApprovalApproved || ap.DecidedBy != "system" || ap.DecidedAt == nil || done.ID != rec.ID {
		t.Errorf("approval %+v, act %+v", ap, done)
	}
	if l.Balance(t, a) != 1 {
		t.Errorf("%d are left; want 1", l.Balance(t, a))
	}
	_, _, err = l.Approve(bg, l.Scope, rec.Approval)
	wantErr(t, err, policy.ErrDecided)
	_, err = l.Deny(bg, l.Scope, rec.Approval, "")
	wantErr(t, err, policy.ErrDecided)
	again := perform(t, l, Payment(a, "k", 50))
	if again.State != gate.Done || again.ID != rec.ID {
		t.Errorf("the key after the approval: %+v", again)
	}
	if diff := cmp.Diff([]gate.State{gate.Done}, l.Observer.States(rec.ID)); diff != "" {
		t.Error(diff)
	}
	for _, action := range []string{"approval_requested", "approval_approved"} {
		if n := len(l.Trail.Of(action)); n != 1 {
			t.Errorf("%d entries %s; want 1", n, action)
		}
	}
	l.Sound(t)
}

func testApproveRace(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(1))})
	rec := parked(t, l, a, "k", 10)
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			var err error
			if i%3 == 2 {
				_, err = l.Deny(bg, l.Scope, rec.Approval, "no")
			} else {
				_, _, err = l.Approve(bg, l.Scope, rec.Approval)
			}
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, policy.ErrDecided):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 11 {
		t.Errorf("%d decided, %d were too late; want one", won.Load(), lost.Load())
	}
	end, _, err := l.Lookup(bg, l.Scope, "k")
	must(t, err)
	paid, n := l.Paid(t, a)
	if (end.State == gate.Done) != (n == 1 && paid == 10) || (end.State == gate.Denied) != (n == 0) {
		t.Errorf("the act is %s and %d was paid in %d payments", end.State, paid, n)
	}
	l.Sound(t)
}

func testApproveOverCap(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50)), DailyLimit: ptr(USDC(100))})
	first, second := parked(t, l, a, "1", 60), parked(t, l, a, "2", 60)
	_, rec, err := l.Approve(bg, l.Scope, first.Approval)
	must(t, err)
	want(t, rec, gate.Done, "")
	ap, rec, err := l.Approve(bg, l.Scope, second.Approval)
	must(t, err)
	want(t, rec, gate.Denied, "daily_limit")
	if ap.Status != policy.ApprovalDenied || ap.Rule != "daily_limit" {
		t.Errorf("approval %+v; want it denied by daily_limit", ap)
	}
	if paid, _ := l.Paid(t, a); paid != 60 {
		t.Errorf("%d were paid; want 60", paid)
	}
}

func testApproveFrozen(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50))})
	rec := parked(t, l, a, "1", 60)
	_, err := l.FreezeTenant(bg, account.System(l.Scope.Tenant))
	must(t, err)
	_, _, err = l.Approve(bg, l.Scope, rec.Approval)
	wantErr(t, err, policy.ErrDecided)
	// Standing may also change by other ways than a freeze of the gate.
	must(t, l.UnfreezeTenant(bg, l.Scope))
	rec = parked(t, l, a, "2", 60)
	must(t, l.Store.TX.Do(bg, func(ctx context.Context) error {
		_, err := l.Store.Agents.SetStanding(ctx, l.Scope, a, agent.Frozen)
		return err
	}))
	ap, done, err := l.Approve(bg, l.Scope, rec.Approval)
	must(t, err)
	want(t, done, gate.Denied, policy.RuleFrozen)
	if ap.Status != policy.ApprovalDenied || l.Balance(t, a) != 1000 {
		t.Errorf("approval %s, balance %d", ap.Status, l.Balance(t, a))
	}
}

func testDeny(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50))})
	rec := parked(t, l, a, "1", 60)
	ap, err := l.Deny(bg, l.Scope, rec.Approval, "too dear")
	must(t, err)
	if ap.Status != policy.ApprovalDenied || ap.Note != "too dear" {
		t.Errorf("approval %+v", ap)
	}
	end, _, err := l.Lookup(bg, l.Scope, "1")
	must(t, err)
	want(t, end, gate.Denied, policy.RuleApproval)
	if !strings.Contains(end.Error, "too dear") {
		t.Errorf("error %q does not give the reason", end.Error)
	}
	if diff := cmp.Diff([]gate.State{gate.Denied}, l.Observer.States(rec.ID)); diff != "" {
		t.Error(diff)
	}
	_, _, err = l.Approve(bg, l.Scope, rec.Approval)
	wantErr(t, err, policy.ErrDecided)
}

func testExpiry(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50)), ApprovalTTL: time.Minute})
	rec := parked(t, l, a, "1", 60)
	l.Clock.Set(l.Clock.Now().Add(time.Minute))
	var wg sync.WaitGroup
	for range 4 { // as many processes
		wg.Go(func() {
			if _, err := l.ExpireDue(bg); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ap, err := l.Store.Approvals.Get(bg, l.Scope, rec.Approval)
	must(t, err)
	end, _, err := l.Lookup(bg, l.Scope, "1")
	must(t, err)
	want(t, end, gate.Denied, policy.RuleExpired)
	if ap.Status != policy.ApprovalExpired {
		t.Errorf("approval %+v", ap)
	}
	if diff := cmp.Diff([]gate.State{gate.Denied}, l.Observer.States(rec.ID)); diff != "" {
		t.Error(diff)
	}
}

func testLazyExpiry(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50)), ApprovalTTL: time.Minute})
	one := parked(t, l, a, "1", 60)
	parked(t, l, a, "2", 60)
	parked(t, l, a, "3", 60)
	l.Clock.Set(l.Clock.Now().Add(2 * time.Minute))
	_, _, err := l.Approve(bg, l.Scope, one.Approval)
	wantErr(t, err, policy.ErrDecided)
	want(t, perform(t, l, Payment(a, "2", 60)), gate.Denied, policy.RuleExpired)
	list, err := l.Approvals(bg, l.Scope, policy.ApprovalFilter{Status: []policy.ApprovalStatus{policy.ApprovalExpired}}, page.Request{})
	if err != nil || len(list.Items) != 3 {
		t.Errorf("%d expired, %v; want 3", len(list.Items), err)
	}
	if l.Balance(t, a) != 1000 {
		t.Errorf("balance %d", l.Balance(t, a))
	}
}

func toolCall(a id.Agent, key string) gate.Act {
	return gate.Act{Key: key, Action: rule.ActionToolCall, Agent: a, Tool: "calculator", Arguments: []byte(`{"b":1,"a":2}`)}
}

func begin(tb testing.TB, l *Lab, act gate.Act) (gate.Record, int) {
	tb.Helper()
	called := 0
	rec, err := l.Begin(bg, l.Scope, act, func(context.Context, gate.Record) error {
		called++
		return nil
	})
	must(tb, err)
	return rec, called
}

func testBeginEnd(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	rec, also := begin(t, l, toolCall(a, "k"))
	if rec.State != gate.Started || also != 1 || rec.Found {
		t.Fatalf("begun: %+v, also %d times", rec, also)
	}
	ends := 0
	end := func() (gate.Record, error) {
		return l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Output: []byte(`{"text":"3"}`)}, func(context.Context) error {
			ends++
			return nil
		})
	}
	done, err := end()
	must(t, err)
	if done.State != gate.Done || string(done.Output) != `{"text":"3"}` || done.EndedAt == nil {
		t.Errorf("ended: %+v", done)
	}
	again, err := end()
	must(t, err)
	if !again.Found || ends != 1 {
		t.Errorf("ended twice: %+v, also %d times", again, ends)
	}
	_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Failed, Error: "x"}, nil)
	wantErr(t, err, gate.ErrNotBegun)
	if rec, also := begin(t, l, toolCall(a, "k")); rec.State != gate.Done || also != 0 || !rec.Found {
		t.Errorf("begun after its end: %+v, also %d times", rec, also)
	}
	if n := len(l.Trail.Of("tool_called")); n != 1 {
		t.Errorf("%d entries of the call; want 1", n)
	}
	if diff := cmp.Diff([]gate.State{gate.Done}, l.Observer.States(rec.ID)); diff != "" {
		t.Error(diff)
	}
	other := toolCall(a, "k")
	other.Arguments = []byte(`{"a":2,"b":2}`)
	_, err = l.Begin(bg, l.Scope, other, nil)
	wantErr(t, err, gate.ErrKeyReused)
	same := toolCall(a, "k")
	same.Arguments = []byte(`{ "a": 2, "b": 1 }`)
	if _, err = l.Begin(bg, l.Scope, same, nil); err != nil {
		t.Errorf("the same arguments in another order: %v", err)
	}
}

func testBeginParked(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	l.Rules.Set("ask", Rule{Fn: verdict(rule.Approve, "sure?")})
	l.Policy(t, a, policy.Limits{}, policy.RuleRef{Plugin: "ask"})
	rec, also := begin(t, l, toolCall(a, "k"))
	want(t, rec, gate.Parked, "ask")
	if again, n := begin(t, l, toolCall(a, "k")); again.State != gate.Parked || again.ID != rec.ID || also+n != 0 {
		t.Errorf("parked twice: %+v", again)
	}
	_, ready, err := l.Approve(bg, l.Scope, rec.Approval)
	must(t, err)
	if ready.State != gate.Ready {
		t.Fatalf("approved: %+v", ready)
	}
	if diff := cmp.Diff([]gate.State{gate.Ready}, l.Observer.States(rec.ID)); diff != "" {
		t.Error(diff)
	}
	var wg sync.WaitGroup
	var starts atomic.Int64
	for range 8 {
		wg.Go(func() {
			rec, err := l.Begin(bg, l.Scope, toolCall(a, "k"), func(context.Context, gate.Record) error { return nil })
			if err != nil || rec.State != gate.Started {
				t.Errorf("begun after the approval: %+v, %v", rec, err)
			}
			if !rec.Found {
				starts.Add(1)
			}
		})
	}
	wg.Wait()
	if starts.Load() != 1 {
		t.Errorf("started %d times; want once", starts.Load())
	}
	// What a person approved is still judged by what nobody can approve away.
	rec, _ = begin(t, l, toolCall(a, "k2"))
	_, _, err = l.Approve(bg, l.Scope, rec.Approval)
	must(t, err)
	l.Rules.Set("ask", Rule{Fn: verdict(rule.Deny, "never")})
	denied, _ := begin(t, l, toolCall(a, "k2"))
	want(t, denied, gate.Denied, "ask")
}

func testBeginFound(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	begin(t, l, toolCall(a, "k"))
	if rec, also := begin(t, l, toolCall(a, "k")); rec.State != gate.Started || !rec.Found || also != 0 {
		t.Errorf("an act without an end: %+v, also %d times", rec, also)
	}
	idem := toolCall(a, "i")
	idem.Idempotent = true
	first, _ := begin(t, l, idem)
	if rec, also := begin(t, l, idem); rec.State != gate.Started || !rec.Found || rec.ID != first.ID || also != 0 {
		t.Errorf("an idempotent act without an end: %+v", rec)
	}
	must(t, l.Store.TX.Do(bg, func(ctx context.Context) error {
		_, err := l.Store.Agents.SetStanding(ctx, l.Scope, a, agent.Frozen)
		return err
	}))
	rec, _ := begin(t, l, idem)
	want(t, rec, gate.Denied, policy.RuleFrozen)
}

func testAlsoFails(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{DailyCostLimit: ptr(money.Of(100, money.USD))})
	boom := errors.New("boom")
	_, err := l.Begin(bg, l.Scope, modelCall(a, "k", 10, 0), func(context.Context, gate.Record) error { return boom })
	wantErr(t, err, boom)
	if _, ok, err := l.Lookup(bg, l.Scope, "k"); ok || err != nil {
		t.Errorf("an act that did not begin is there: %v, %v", ok, err)
	}
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Reserved != 0 {
		t.Errorf("counter %+v", c)
	}
	rec, _ := begin(t, l, modelCall(a, "k", 10, 0))
	_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done}, func(context.Context) error { return boom })
	wantErr(t, err, boom)
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Reserved != 10 || c.Spent != 0 {
		t.Errorf("counter %+v after an end that failed", c)
	}
}

func modelCall(a id.Agent, key string, micros, tokens int64) gate.Act {
	return gate.Act{Key: key, Action: rule.ActionModelCall, Agent: a, Amount: ptr(money.Of(micros, money.USD)), Tokens: tokens}
}

func testBudget(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{DailyCostLimit: ptr(money.Of(100, money.USD)), MonthlyCostLimit: ptr(money.Of(1000, money.USD))})
	rec, _ := begin(t, l, modelCall(a, "1", 60, 0))
	if rec.State != gate.Started {
		t.Fatalf("begun: %+v", rec)
	}
	denied, also := begin(t, l, modelCall(a, "2", 41, 0))
	want(t, denied, gate.Denied, "daily_cost_limit")
	if also != 0 || !strings.Contains(denied.Decision.Reason, "set aside") {
		t.Errorf("also %d times, reason %q", also, denied.Decision.Reason)
	}
	cost := money.Pico(20*money.PicosPerMicro - 1)
	_, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Cost: &cost, Tokens: 5}, nil)
	must(t, err)
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Spent != 20 || c.Reserved != 0 {
		t.Errorf("counter %+v; want 20 spent: rounded against the spender", c)
	}
	unknown := gate.Act{Key: "3", Action: rule.ActionModelCall, Agent: a}
	rec, _ = begin(t, l, unknown)
	want(t, rec, gate.Denied, policy.RulePriceUnknown)
	rec, _ = begin(t, l, modelCall(a, "4", 30, 0))
	_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Failed, Error: "no answer"}, nil)
	must(t, err)
	rec, _ = begin(t, l, modelCall(a, "5", 30, 0))
	// The window turns between the authorization and the end: the cost belongs to the day before.
	l.Clock.Set(l.Clock.Now().Add(24 * time.Hour))
	_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done}, nil)
	must(t, err)
	if c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD"); c.Spent != 0 || c.Reserved != 0 {
		t.Errorf("counter of the new day %+v; want it empty", c)
	}
	if c := l.Counter(t, p, "monthly_cost_limit", rule.WindowMonth, "USD"); c.Spent != 50 || c.Reserved != 0 {
		t.Errorf("counter %+v; want 20, nothing for the failure, and 30 whose cost is unknown", c)
	}
	if n := len(l.Trail.Of("policy_violation")); n != 2 {
		t.Errorf("%d violations in the trail; want 2", n)
	}
}

func testTokens(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{DailyTokenLimit: ptr(int64(1000))})
	act := modelCall(a, "1", 0, 800)
	act.Amount = nil // tokens are limited, money is not: the price does not matter
	rec, _ := begin(t, l, act)
	want(t, rec, gate.Started, "")
	act.Key, act.Tokens = "2", 201
	denied, _ := begin(t, l, act)
	want(t, denied, gate.Denied, "daily_token_limit")
	cost := money.Pico(7)
	_, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Cost: &cost, Tokens: 300}, nil)
	must(t, err)
	if c := l.Counter(t, p, "daily_token_limit", rule.WindowDay, policy.UnitTokens); c.Spent != 300 || c.Reserved != 0 {
		t.Errorf("counter %+v; want 300", c)
	}
}

func testFree(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(1))}) // payments only
	act := gate.Act{Key: "m", Action: rule.ActionModelCall, Agent: a}
	rec, also := begin(t, l, act)
	if rec.State != gate.Started || !rec.ID.IsZero() || also != 1 {
		t.Errorf("begun: %+v, also %d times", rec, also)
	}
	if _, ok, err := l.Lookup(bg, l.Scope, "m"); ok || err != nil {
		t.Errorf("there is a row: %v, %v", ok, err)
	}
	ended := 0
	rec, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done}, func(context.Context) error {
		ended++
		return nil
	})
	if err != nil || rec.State != gate.Done || ended != 1 {
		t.Errorf("ended: %+v, %v, also %d times", rec, err, ended)
	}
	_, err = l.Freeze(bg, l.Scope, a)
	must(t, err)
	rec, also = begin(t, l, gate.Act{Key: "n", Action: rule.ActionModelCall, Agent: a})
	want(t, rec, gate.Denied, policy.RuleFrozen)
	if also != 0 {
		t.Error("also was called for a denied act")
	}
}

func testBudgetConcurrent(t *testing.T, l *Lab) {
	const limit = 100
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{DailyCostLimit: ptr(money.Of(limit, money.USD))})
	var wg sync.WaitGroup
	var open, worst, spent atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			for j := range 4 {
				rec, err := l.Begin(bg, l.Scope, modelCall(a, fmt.Sprintf("%d/%d", i, j), 9, 0), nil)
				if err != nil {
					t.Error(err)
					continue
				}
				if rec.State != gate.Started {
					continue
				}
				if now := open.Add(9) + spent.Load(); now > worst.Load() {
					worst.Store(now)
				}
				cost := money.Pico(int64(i%10) * money.PicosPerMicro)
				spent.Add(cost.CeilMicros())
				open.Add(-9)
				if _, err := l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Cost: &cost}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c := l.Counter(t, p, "daily_cost_limit", rule.WindowDay, "USD")
	if c.Spent != spent.Load() || c.Spent > limit || c.Reserved != 0 {
		t.Errorf("counter %+v; %d were spent of %d", c, spent.Load(), limit)
	}
}

func testFreeze(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 100), l.Agent(t, 100)
	l.Policy(t, id.Agent{}, policy.Limits{RequireApprovalAbove: ptr(USDC(50))})
	byAPI := parked(t, l, a, "1", 60)
	inSession := Payment(a, "2", 60)
	inSession.Session, inSession.ToolUse = id.New[id.SessionKind](l.IDs), id.New[id.EventKind](l.IDs)
	rec := perform(t, l, inSession)
	others := parked(t, l, b, "3", 60)
	running, _ := begin(t, l, toolCall(a, "t"))
	l.Stopper.Turns = 1
	r, err := l.Freeze(bg, l.Scope, a)
	must(t, err)
	if diff := cmp.Diff(gate.FreezeReport{Stopped: 2, InFlight: 1, Voided: 2, Turns: 1}, r); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	for _, act := range []id.Act{byAPI.ID, rec.ID} {
		got, err := l.Act(bg, l.Scope, act)
		must(t, err)
		want(t, got, gate.Denied, policy.RuleFrozen)
		if diff := cmp.Diff([]gate.State{gate.Denied}, l.Observer.States(act)); diff != "" {
			t.Error(diff)
		}
	}
	ap, err := l.Approval(bg, l.Scope, byAPI.Approval)
	if err != nil || ap.Status != policy.ApprovalVoid {
		t.Errorf("approval %+v, %v; want it void", ap, err)
	}
	_, _, err = l.Approve(bg, l.Scope, byAPI.Approval)
	wantErr(t, err, policy.ErrDecided)
	want(t, perform(t, l, Payment(a, "", 1)), gate.Denied, policy.RuleFrozen)
	if rec, _ := begin(t, l, toolCall(a, "u")); rec.State != gate.Denied {
		t.Errorf("a tool call of a frozen agent: %+v", rec)
	}
	if _, err := l.End(bg, l.Scope, running, gate.Settlement{State: gate.Done}, nil); err != nil {
		t.Errorf("an act in flight does not settle: %v", err)
	}
	if _, done, err := l.Approve(bg, l.Scope, others.Approval); err != nil || done.State != gate.Done {
		t.Errorf("another agent's approval: %+v, %v", done, err)
	}
	must(t, l.Unfreeze(bg, l.Scope, a))
	want(t, perform(t, l, Payment(a, "", 1)), gate.Done, "")
	if got, _ := l.Act(bg, l.Scope, byAPI.ID); got.State != gate.Denied {
		t.Errorf("unfreezing brought back %+v", got)
	}
	for action, n := range map[string]int{"agent_frozen": 1, "agent_unfrozen": 1} {
		if got := len(l.Trail.Of(action)); got != n {
			t.Errorf("%d entries %s; want %d", got, action, n)
		}
	}
	if _, err := l.Freeze(bg, l.Scope, id.New[id.AgentKind](l.IDs)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("freezing nobody: %v", err)
	}
}

// testFreezeRace: what is paid when Freeze returns is all that is ever paid.
func testFreezeRace(t *testing.T, l *Lab) {
	a := l.Agent(t, 1<<40)
	l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(1 << 40))})
	var wg sync.WaitGroup
	var stop atomic.Bool
	started := make(chan struct{}, 1)
	for range 16 {
		wg.Go(func() {
			for !stop.Load() {
				rec, err := l.Perform(bg, l.Scope, Payment(a, "", 1))
				if err != nil {
					t.Error(err)
					return
				}
				if rec.State == gate.Denied {
					return
				}
				select {
				case started <- struct{}{}:
				default:
				}
			}
		})
	}
	<-started
	ctx, cancel := context.WithTimeout(bg, 20*time.Second)
	defer cancel()
	_, err := l.Freeze(ctx, l.Scope, a)
	stop.Store(true)
	must(t, err)
	atFreeze, _ := l.Paid(t, a)
	wg.Wait()
	if after, _ := l.Paid(t, a); after != atFreeze {
		t.Errorf("%d were paid after the freeze", after-atFreeze)
	}
	l.Sound(t)
}

func testFreezeTenant(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 100), l.Agent(t, 100)
	l.Policy(t, id.Agent{}, policy.Limits{RequireApprovalAbove: ptr(USDC(50))})
	rec := parked(t, l, a, "1", 60)
	r, err := l.FreezeTenant(bg, l.Scope)
	must(t, err)
	if r.Stopped != 1 {
		t.Errorf("report %+v", r)
	}
	want(t, perform(t, l, Payment(b, "", 1)), gate.Denied, policy.RuleFrozen)
	got, err := l.Act(bg, l.Scope, rec.ID)
	must(t, err)
	want(t, got, gate.Denied, policy.RuleFrozen)
	must(t, l.UnfreezeTenant(bg, l.Scope))
	want(t, perform(t, l, Payment(b, "", 1)), gate.Done, "")
}

func testVoidSession(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50))})
	s := id.New[id.SessionKind](l.IDs)
	act := Payment(a, "1", 60)
	act.Session = s
	rec := perform(t, l, act)
	other := parked(t, l, a, "2", 60)
	n, err := l.VoidSession(bg, l.Scope, s, "the user interrupted")
	if err != nil || n != 1 {
		t.Errorf("%d voided, %v; want 1", n, err)
	}
	got, err := l.Act(bg, l.Scope, rec.ID)
	must(t, err)
	want(t, got, gate.Denied, policy.RuleInterrupted)
	if got, _ = l.Act(bg, l.Scope, other.ID); got.State != gate.Parked {
		t.Errorf("an act outside the session: %+v", got)
	}
	if n, err = l.VoidAgent(bg, l.Scope, a, "archived"); err != nil || n != 1 {
		t.Errorf("%d voided, %v; want 1", n, err)
	}
}

func testFence(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	l.Policy(t, a, policy.Limits{})
	held, lost := id.New[id.TurnKind](l.IDs), id.New[id.TurnKind](l.IDs)
	l.Fences.Lose(lost)
	act := Payment(a, "k", 10)
	act.Fence = &gate.Fence{Turn: lost, Epoch: 1}
	_, err := l.Perform(bg, l.Scope, act)
	wantErr(t, err, errFenced)
	if _, ok, _ := l.Lookup(bg, l.Scope, "k"); ok || l.Balance(t, a) != 100 {
		t.Error("a lost turn left something behind")
	}
	call := toolCall(a, "t")
	call.Fence = &gate.Fence{Turn: held, Epoch: 1}
	rec, _ := begin(t, l, call)
	_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Fence: act.Fence}, nil)
	wantErr(t, err, errFenced)
	if _, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Fence: call.Fence}, nil); err != nil {
		t.Error(err)
	}
}

func testObserverFails(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(100))})
	l.Observer.Err = errors.New("the log is full")
	_, err := l.Perform(bg, l.Scope, Payment(a, "k", 10))
	wantErr(t, err, l.Observer.Err)
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 0 || l.Balance(t, a) != 100 {
		t.Errorf("a payment that nobody heard of: %+v, balance %d", c, l.Balance(t, a))
	}
	l.Observer.Err = nil
	want(t, perform(t, l, Payment(a, "k", 10)), gate.Done, "")
	l.Sound(t)
}

func testSimulate(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(50)), RequireApprovalAbove: ptr(USDC(40)), BlockedCategories: []string{"gambling"}})
	want(t, perform(t, l, Payment(a, "", 20)), gate.Done, "")
	for _, c := range []struct {
		micros   int64
		category string
		outcome  policy.Outcome
		rule     string
	}{
		{30, "", policy.Allowed, ""},
		{31, "", policy.Denied, "daily_limit"},
		{10, "Gambling", policy.Denied, "blocked_categories"},
		{101, "", policy.Denied, policy.RuleFunds},
	} {
		act := Payment(a, "", c.micros)
		act.Category = c.category
		d, err := l.Simulate(bg, l.Scope, act)
		must(t, err)
		if d.Outcome != c.outcome || d.Rule != c.rule || len(d.Policies) != 1 {
			t.Errorf("%d %s: %+v; want %s by %q", c.micros, c.category, d, c.outcome, c.rule)
		}
	}
	if c := l.Counter(t, p, "daily_limit", rule.WindowDay, "USDC"); c.Spent != 20 || c.Reserved != 0 {
		t.Errorf("counter %+v after simulating", c)
	}
	if n := len(l.Trail.Of("transaction_blocked")) + len(l.Trail.Of("approval_requested")); n != 0 {
		t.Errorf("simulating left %d entries in the trail", n)
	}
}

func testForeign(t *testing.T, l *Lab) {
	other := NewLab(t, l.Store, Options{})
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50))})
	rec := parked(t, l, a, "k", 60)
	for name, call := range map[string]func() error{
		"Perform":  func() error { _, err := other.Perform(bg, other.Scope, Payment(a, "", 1)); return err },
		"Begin":    func() error { _, err := other.Begin(bg, other.Scope, toolCall(a, ""), nil); return err },
		"Simulate": func() error { _, err := other.Simulate(bg, other.Scope, Payment(a, "", 1)); return err },
		"Approve":  func() error { _, _, err := other.Approve(bg, other.Scope, rec.Approval); return err },
		"Deny":     func() error { _, err := other.Deny(bg, other.Scope, rec.Approval, ""); return err },
		"Approval": func() error { _, err := other.Approval(bg, other.Scope, rec.Approval); return err },
		"Act":      func() error { _, err := other.Act(bg, other.Scope, rec.ID); return err },
		"End": func() error {
			_, err := other.End(bg, other.Scope, rec, gate.Settlement{State: gate.Done}, nil)
			return err
		},
		"Freeze":    func() error { _, err := other.Freeze(bg, other.Scope, a); return err },
		"Unfreeze":  func() error { return other.Unfreeze(bg, other.Scope, a) },
		"GetPolicy": func() error { _, err := other.Policies.Get(bg, other.Scope, p.ID); return err },
		"DelPolicy": func() error { return other.Policies.Delete(bg, other.Scope, p.ID) },
		"NewPolicy": func() error {
			_, err := other.Policies.Create(bg, other.Scope, policy.CreateRequest{Scope: policy.Scope{Agent: a}})
			return err
		},
		"Transfer": func() error {
			_, err := other.Perform(bg, other.Scope, transferAct(other.Agent(t, 10), a, "", 1))
			return err
		},
	} {
		if err := call(); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s of another tenant's: %v; want not found", name, err)
		}
	}
	if _, ok, err := other.Lookup(bg, other.Scope, "k"); ok || err != nil {
		t.Errorf("another tenant's key: %v, %v", ok, err)
	}
	if list, err := other.Approvals(bg, other.Scope, policy.ApprovalFilter{}, page.Request{}); err != nil || len(list.Items) != 0 {
		t.Errorf("another tenant's approvals: %+v, %v", list, err)
	}
}

func testBadActs(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	l.Policy(t, a, policy.Limits{})
	for name, act := range map[string]gate.Act{
		"no agent":      {Action: rule.ActionPayment, Amount: ptr(USDC(1))},
		"no amount":     {Action: rule.ActionPayment, Agent: a},
		"zero":          {Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(0))},
		"negative":      {Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(-5))},
		"currency":      {Action: rule.ActionPayment, Agent: a, Amount: ptr(money.Of(1, "usd"))},
		"long key":      {Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(1)), Key: strings.Repeat("k", 513)},
		"NUL":           {Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(1)), Payee: "a\x00b"},
		"no UTF-8":      {Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(1)), Description: "\xff"},
		"no such act":   {Action: "theft", Agent: a, Amount: ptr(USDC(1))},
		"a tool call":   {Action: rule.ActionToolCall, Agent: a},
		"bad arguments": {Action: rule.ActionPayment, Agent: a, Amount: ptr(USDC(1)), Arguments: []byte("{")},
	} {
		if rec, err := l.Perform(bg, l.Scope, act); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %+v, %v; want it refused as invalid", name, rec, err)
		}
	}
	if _, err := l.Begin(bg, l.Scope, Payment(a, "", 1), nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a payment begun: %v", err)
	}
	if l.Balance(t, a) != 100 {
		t.Errorf("balance %d", l.Balance(t, a))
	}
}

// testTrail decides a denial once more from nothing but its audit entry and the policy's.
func testTrail(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(50))})
	perform(t, l, Payment(a, "", 30))
	rec := perform(t, l, Payment(a, "", 21))
	notes := l.Trail.Of("transaction_blocked")
	if len(notes) != 1 {
		t.Fatalf("%d entries; want 1", len(notes))
	}
	m := notes[0].Metadata
	for key, value := range map[string]any{
		"act_id": rec.ID.UUID().String(), "decision_id": rec.Decision.ID.UUID().String(), "rule": "daily_limit",
		"reason": rec.Decision.Reason, "amount": "0.000021", "currency": "USDC", "payee": "vendor.example", "category": "software",
		"outcome": "deny",
	} {
		if m[key] != value {
			t.Errorf("metadata %s is %v; want %v", key, m[key], value)
		}
	}
	wantLimits := []any{map[string]any{
		"policy_id": p.ID.UUID().String(), "limit": "daily_limit", "window": "day", "window_start": "2026-07-15T00:00:00Z", "unit": "USDC",
		"amount": "21", "max": "50", "spent": "30", "reserved": "0",
	}}
	if diff := cmp.Diff(wantLimits, m["limits"]); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	wantPolicies := []any{map[string]any{"policy_id": p.ID.UUID().String(), "version": 1}}
	if diff := cmp.Diff(wantPolicies, m["policies"]); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if n := l.Trail.Of("policy_created"); len(n) != 1 || n[0].Metadata["version"] != 1 {
		t.Errorf("the policy's entry: %+v", n)
	}
}
