// Package policytest is the suite that every store of policies, counters and approvals passes.
package policytest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite needs of a store.
type Store struct {
	TX        tx.Runner
	Policies  policy.Repository
	Archive   policy.Archive
	Counters  policy.Counters
	Approvals policy.Approvals
}

// Config says how to test a store.
type Config struct {
	// New returns the store; the subtests may share what it returns, since each has a tenant of its own.
	New func(t *testing.T) Store
}

var (
	bg  = context.Background()
	ids = id.NewGenerator(time.Now)
	now = time.Date(2026, 7, 15, 12, 30, 0, 123456000, time.UTC)
)

type env struct {
	Store
	sc account.Scope
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *env){
		"PolicyRoundTrip":   testRoundTrip,
		"PolicyMissing":     testMissing,
		"PolicyForeign":     testForeign,
		"PolicyDuplicate":   testDuplicate,
		"PolicyStale":       testStale,
		"PolicyApplicable":  testApplicable,
		"PolicyVersions":    testVersions,
		"ApprovalVotes":     testVotes,
		"PolicyPaging":      testPaging,
		"PolicyRollback":    testRollback,
		"CounterArithmetic": testCounters,
		"CounterFresh":      testFresh,
		"CounterWriters":    testCounterWriters,
		"CounterOfDeleted":  testCounterDeleted,
		"CounterRolls":      testRolling,
		"RollingWriters":    testRollingWriters,
		"CounterOfRuns":     testRunCounters,
		"CounterLasts":      testLasting,
		"ApprovalRoundTrip": testApproval,
		"ApprovalDecides":   testDecide,
		"ApprovalDue":       testDue,
		"ApprovalPaging":    testApprovalPaging,
		"Cancelled":         testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, &env{cfg.New(t), account.System(id.New[id.TenantKind](ids))})
		})
	}
}

var equal = cmp.Options{
	cmp.Comparer(func(a, b id.Policy) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b }),
	cmp.Comparer(func(a, b id.Agent) bool { return a == b }), cmp.Comparer(func(a, b id.Swarm) bool { return a == b }),
	cmp.Comparer(func(a, b id.Approval) bool { return a == b }), cmp.Comparer(func(a, b id.Act) bool { return a == b }),
	cmp.Comparer(func(a, b id.Session) bool { return a == b }), cmp.Comparer(func(a, b id.Event) bool { return a == b }),
}

func ptr[T any](v T) *T { return &v }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func usdc(micros int64) *money.Amount { return ptr(money.Of(micros, money.USDC)) }

// full returns a policy that uses every field.
func (e *env) full(s policy.Scope) policy.Policy {
	return policy.Policy{
		ID: id.New[id.PolicyKind](ids), Tenant: e.sc.Tenant, Scope: s, Mode: policy.Observe, Version: 1, CreatedAt: now, UpdatedAt: now,
		Limits: policy.Limits{
			MaxPerTransaction: usdc(1), HourlyLimit: usdc(2), DailyLimit: usdc(3), WeeklyLimit: usdc(4), MonthlyLimit: usdc(5),
			PerRunLimit: usdc(9), Structuring: &policy.Structuring{Window: time.Minute, Action: policy.Deny}, NewPayee: policy.RequireApproval,
			Windows: []policy.WindowLimit{
				{Measure: policy.MeasureAmount, Window: rule.WindowDay, Rolling: true, Max: 1 << 60, Currency: "EUR"},
				{Measure: policy.MeasureCount, Window: policy.WindowRun, Max: 3},
			},
			AllowedTimes: []policy.TimeRange{{Days: []policy.Weekday{"mon"}, From: "09:00", To: "17:00", Zone: "Europe/Berlin"}},
			AllTimeLimit: usdc(1 << 60), RequireApprovalAbove: usdc(0), ApprovalTTL: 90 * time.Second,
			BlockedCategories: []string{"a ?", "é"}, AllowedCategories: []string{"b"}, AllowedPayees: []string{"c'"},
			BlockedPayees: []string{`d\`}, AllowedDomains: []string{"*.e.example"}, BlockedDomains: []string{"f.example"},
			DailyCostLimit: ptr(money.Of(6, money.USD)), MonthlyCostLimit: ptr(money.Of(7, money.USD)),
			DailyTokenLimit: ptr(int64(0)), MonthlyTokenLimit: ptr(int64(8)),
		},
		Rules: []policy.RuleRef{{Plugin: "p", Config: []byte(`{"b":1,"a":"?"}`)}, {Plugin: "q"}},
	}
}

func (e *env) insert(tb testing.TB, s policy.Scope) policy.Policy {
	tb.Helper()
	p := e.full(s)
	must(tb, e.Policies.Insert(bg, e.sc, p))
	return p
}

func newAgent() id.Agent { return id.New[id.AgentKind](ids) }

func testRoundTrip(t *testing.T, e *env) {
	for _, s := range []policy.Scope{{Tenant: true}, {Swarm: id.New[id.SwarmKind](ids)}, {Agent: newAgent()}, {Session: id.New[id.SessionKind](ids)}} {
		p := e.insert(t, s)
		got, err := e.Policies.Get(bg, e.sc, p.ID)
		must(t, err)
		if d := cmp.Diff(p, got, equal); d != "" {
			t.Errorf("read (-want +got):\n%s", d)
		}
		p.Limits, p.Rules, p.Version, p.UpdatedAt = policy.Limits{}, nil, 2, now.Add(time.Second)
		must(t, e.Policies.Update(bg, e.sc, p))
		if got, err = e.Policies.Get(bg, e.sc, p.ID); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, got, equal); d != "" {
			t.Errorf("updated (-want +got):\n%s", d)
		}
	}
}

func wantNotFound(tb testing.TB, what string, err error) {
	tb.Helper()
	if fault.KindOf(err) != fault.NotFound {
		tb.Errorf("%s: %v; want not found", what, err)
	}
}

// each calls everything that names one policy.
func (e *env) each(tb testing.TB, p policy.Policy) {
	tb.Helper()
	_, err := e.Policies.Get(bg, e.sc, p.ID)
	wantNotFound(tb, "Get", err)
	p.Version = 2
	wantNotFound(tb, "Update", e.Policies.Update(bg, e.sc, p))
	wantNotFound(tb, "Delete", e.Policies.Delete(bg, e.sc, p.ID))
}

func testMissing(t *testing.T, e *env) {
	e.each(t, e.full(policy.Scope{Tenant: true}))
	p := e.insert(t, policy.Scope{Tenant: true})
	must(t, e.Policies.Delete(bg, e.sc, p.ID))
	e.each(t, p)
	_, err := e.Approvals.Get(bg, e.sc, id.New[id.ApprovalKind](ids))
	wantNotFound(t, "approval", err)
	err = e.TX.Do(bg, func(ctx context.Context) error {
		return e.Policies.LockScope(ctx, e.sc, policy.Scope{Agent: newAgent()})
	})
	wantNotFound(t, "scope of an unknown agent", err)
}

func testForeign(t *testing.T, e *env) {
	other := &env{e.Store, account.System(id.New[id.TenantKind](ids))}
	p, a := e.insert(t, policy.Scope{Tenant: true}), e.approval(t, now)
	other.each(t, p)
	_, err := other.Approvals.Get(bg, other.sc, a.ID)
	wantNotFound(t, "Get", err)
	a.Status = policy.ApprovalApproved
	wantNotFound(t, "Decide", other.Approvals.Decide(bg, other.sc, a))
	list, err := other.Policies.List(bg, other.sc, policy.Filter{}, page.Request{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("another tenant's list: %+v, %v", list, err)
	}
	found, err := other.Policies.Applicable(bg, other.sc, policy.Whom{Agent: newAgent()})
	if err != nil || len(found) != 0 {
		t.Errorf("another tenant's policies apply: %+v, %v", found, err)
	}
	k := policy.Key{Policy: p.ID, Name: "daily_limit", Window: rule.WindowDay, Start: now, Unit: "USDC"}
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: k, Spent: 5}}))
	cs, err := other.Counters.Read(bg, other.sc, []policy.Key{k})
	if err != nil || cs[0].Spent != 0 {
		t.Errorf("another tenant's counter: %+v, %v", cs, err)
	}
}

func testDuplicate(t *testing.T, e *env) {
	p := e.insert(t, policy.Scope{Tenant: true})
	if err := e.Policies.Insert(bg, e.sc, p); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second policy of one id: %v", err)
	}
	a := e.approval(t, now)
	if err := e.Approvals.Insert(bg, e.sc, a); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second approval of one id: %v", err)
	}
}

func testStale(t *testing.T, e *env) {
	p := e.insert(t, policy.Scope{Tenant: true})
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			next := p
			next.Version = 2
			switch err := e.Policies.Update(bg, e.sc, next); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, policy.ErrVersion):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of the updates of one version succeeded; want one", won.Load())
	}
}

func testApplicable(t *testing.T, e *env) {
	agent, swarm := newAgent(), id.New[id.SwarmKind](ids)
	own := e.insert(t, policy.Scope{Agent: agent})
	group := e.insert(t, policy.Scope{Swarm: swarm})
	all := e.insert(t, policy.Scope{Tenant: true})
	e.insert(t, policy.Scope{Agent: newAgent()})
	e.insert(t, policy.Scope{Swarm: id.New[id.SwarmKind](ids)})
	second := e.insert(t, policy.Scope{Agent: agent})
	session := id.New[id.SessionKind](ids)
	once := e.insert(t, policy.Scope{Session: session})
	e.insert(t, policy.Scope{Session: id.New[id.SessionKind](ids)})
	for name, c := range map[string]struct {
		whom policy.Whom
		want []id.Policy
	}{
		"in a swarm":   {policy.Whom{Agent: agent, Swarm: swarm}, []id.Policy{all.ID, group.ID, own.ID, second.ID}},
		"alone":        {policy.Whom{Agent: agent}, []id.Policy{all.ID, own.ID, second.ID}},
		"in a session": {policy.Whom{Agent: agent, Session: session}, []id.Policy{all.ID, own.ID, second.ID, once.ID}},
	} {
		found, err := e.Policies.Applicable(bg, e.sc, c.whom)
		must(t, err)
		got := make([]id.Policy, len(found))
		for i, p := range found {
			got[i] = p.ID
		}
		if d := cmp.Diff(c.want, got, equal); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func testPaging(t *testing.T, e *env) {
	agent := newAgent()
	var want []id.Policy
	for range 7 {
		want = append([]id.Policy{e.insert(t, policy.Scope{Agent: agent}).ID}, want...)
		e.insert(t, policy.Scope{Tenant: true})
	}
	key := func(p policy.Policy) id.Policy { return p.ID }
	got := pagetest.Walk(t, 3, key, func(req page.Request) (page.Page[policy.Policy], error) {
		return e.Policies.List(bg, e.sc, policy.Filter{Agent: agent}, req)
	})
	if d := cmp.Diff(want, got, equal); d != "" {
		t.Errorf("newest first (-want +got):\n%s", d)
	}
	if _, err := e.Policies.List(bg, e.sc, policy.Filter{}, page.Request{Cursor: "?"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a cursor that is none: %v", err)
	}
}

func testRollback(t *testing.T, e *env) {
	boom := errors.New("boom")
	p := e.full(policy.Scope{Tenant: true})
	k := policy.Key{Policy: p.ID, Name: "daily_limit", Window: rule.WindowDay, Start: now, Unit: "USDC"}
	err := e.TX.Do(bg, func(ctx context.Context) error {
		must(t, e.Policies.Insert(ctx, e.sc, p))
		must(t, e.Counters.Add(ctx, e.sc, []policy.Counter{{Key: k, Spent: 5}}))
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	_, err = e.Policies.Get(bg, e.sc, p.ID)
	wantNotFound(t, "a policy that was rolled back", err)
	if cs, err := e.Counters.Read(bg, e.sc, []policy.Key{k}); err != nil || cs[0].Spent != 0 {
		t.Errorf("a counter that was rolled back: %+v, %v", cs, err)
	}
}

func keys(p id.Policy) []policy.Key {
	return []policy.Key{
		{Policy: p, Name: "all_time_limit", Window: rule.WindowAll, Start: time.Unix(0, 0).UTC(), Unit: "USDC"},
		{Policy: p, Name: "daily_limit", Window: rule.WindowDay, Start: now.Truncate(24 * time.Hour), Unit: "USDC"},
		{Policy: p, Name: "daily_token_limit", Window: rule.WindowDay, Start: now.Truncate(24 * time.Hour), Unit: policy.UnitTokens},
	}
}

func testCounters(t *testing.T, e *env) {
	ks := keys(id.New[id.PolicyKind](ids))
	do := func(changes ...policy.Counter) {
		t.Helper()
		must(t, e.TX.Do(bg, func(ctx context.Context) error {
			if _, err := e.Counters.Lock(ctx, e.sc, ks); err != nil {
				return err
			}
			return e.Counters.Add(ctx, e.sc, changes)
		}))
	}
	do(policy.Counter{Key: ks[0], Spent: 1 << 61}, policy.Counter{Key: ks[1], Reserved: 10})
	do(policy.Counter{Key: ks[0], Spent: 1 << 61}, policy.Counter{Key: ks[1], Reserved: 5, Spent: 1}, policy.Counter{Key: ks[2], Spent: 7})
	do(policy.Counter{Key: ks[1], Reserved: -10, Spent: 4})
	got, err := e.Counters.Read(bg, e.sc, ks)
	must(t, err)
	want := []policy.Counter{{Key: ks[0], Spent: 1 << 62}, {Key: ks[1], Spent: 5, Reserved: 5}, {Key: ks[2], Spent: 7}}
	if d := cmp.Diff(want, got, equal); d != "" {
		t.Errorf("counters (-want +got):\n%s", d)
	}
	if err := e.Counters.Add(bg, e.sc, []policy.Counter{{Key: ks[1], Reserved: -6}}); err == nil {
		t.Error("more was given back than was set aside")
	}
}

func testFresh(t *testing.T, e *env) {
	ks := keys(id.New[id.PolicyKind](ids))
	cs, err := e.Counters.Read(bg, e.sc, ks)
	must(t, err)
	if !cs[0].Fresh || !cs[2].Fresh {
		t.Errorf("nothing was counted yet: %+v", cs)
	}
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: ks[1], Spent: 1}}))
	var fresh [3]atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := e.TX.Do(bg, func(ctx context.Context) error {
				cs, err := e.Counters.Lock(ctx, e.sc, ks)
				if err != nil {
					return err
				}
				var begin []policy.Counter
				for i, c := range cs {
					if c.Fresh {
						fresh[i].Add(1)
						begin = append(begin, policy.Counter{Key: c.Key, Spent: 100})
					}
				}
				return e.Counters.Add(ctx, e.sc, begin)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, want := range []int64{1, 0, 1} {
		if got := fresh[i].Load(); got != want {
			t.Errorf("counter %d was fresh %d times; want %d", i, got, want)
		}
	}
}

func testCounterWriters(t *testing.T, e *env) {
	ks := keys(id.New[id.PolicyKind](ids))
	const most = 50
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				err := e.TX.Do(bg, func(ctx context.Context) error {
					cs, err := e.Counters.Lock(ctx, e.sc, ks)
					if err != nil || cs[1].Spent == most {
						return err
					}
					return e.Counters.Add(ctx, e.sc, []policy.Counter{{Key: ks[0], Spent: 2}, {Key: ks[1], Spent: 1}})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	cs, err := e.Counters.Read(bg, e.sc, ks)
	if err != nil || cs[0].Spent != 2*most || cs[1].Spent != most {
		t.Errorf("%+v, %v; want exactly %d", cs, err, most)
	}
}

func testCounterDeleted(t *testing.T, e *env) {
	p := e.insert(t, policy.Scope{Tenant: true})
	ks := keys(p.ID)
	for _, name := range []string{"rule:a", "rule:b"} {
		ks = append(ks, policy.Key{Policy: p.ID, Name: name, Window: rule.WindowAll, Start: time.Unix(0, 0).UTC(), Unit: "USDC"})
	}
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{
		{Key: ks[1], Spent: 9}, {Key: ks[2], Reserved: 9}, {Key: ks[3], Spent: 9}, {Key: ks[4], Spent: 9, Reserved: 1},
	}))
	next := p
	next.Version = 2
	must(t, e.Policies.Update(bg, e.sc, next))
	cs, err := e.Counters.Read(bg, e.sc, ks)
	if err != nil || !cs[1].Fresh || cs[2].Reserved != 9 || !cs[3].Fresh || cs[4].Spent != 9 {
		t.Errorf("after a change: %+v, %v; want payments begun anew, tokens and what is set aside kept", cs, err)
	}
	must(t, e.Policies.Delete(bg, e.sc, p.ID))
	must(t, e.Counters.Add(bg, e.sc, []policy.Counter{{Key: ks[2], Reserved: -9, Spent: 3}})) // an act in flight settles
	if cs, err = e.Counters.Read(bg, e.sc, ks); err != nil || !cs[2].Fresh {
		t.Errorf("after the deletion: %+v, %v", cs, err)
	}
}

func (e *env) approval(tb testing.TB, expires time.Time) policy.Approval {
	tb.Helper()
	a := policy.Approval{
		ID: id.New[id.ApprovalKind](ids), Tenant: e.sc.Tenant, Act: id.New[id.ActKind](ids), Agent: newAgent(),
		Session: id.New[id.SessionKind](ids), ToolUse: id.New[id.EventKind](ids), Action: rule.ActionPayment, Amount: usdc(5),
		Payee: "p ?", Detail: "d", Rule: "r", Reason: "why", Status: policy.ApprovalPending, ExpiresAt: expires, CreatedAt: now,
		Run: id.New[id.SessionKind](ids), RequestedBy: "key_?", Required: 2, Apart: true, Votes: []policy.Vote{{By: "key_0", At: now}},
	}
	must(tb, e.Approvals.Insert(bg, e.sc, a))
	return a
}

func testApproval(t *testing.T, e *env) {
	a := e.approval(t, now.Add(time.Hour))
	bare := policy.Approval{
		ID: id.New[id.ApprovalKind](ids), Tenant: e.sc.Tenant, Act: id.New[id.ActKind](ids), Agent: newAgent(),
		Action: rule.ActionToolCall, Status: policy.ApprovalPending, ExpiresAt: now, CreatedAt: now, Required: 1,
	}
	must(t, e.Approvals.Insert(bg, e.sc, bare))
	for _, want := range []policy.Approval{a, bare} {
		got, err := e.Approvals.Get(bg, e.sc, want.ID)
		must(t, err)
		if d := cmp.Diff(want, got, equal); d != "" {
			t.Errorf("approval (-want +got):\n%s", d)
		}
	}
}

func testDecide(t *testing.T, e *env) {
	a := e.approval(t, now.Add(time.Hour))
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			mine := a
			mine.Status, mine.DecidedBy, mine.DecidedAt, mine.Note = policy.ApprovalDenied, fmt.Sprint(i), ptr(now), "n"
			switch err := e.Approvals.Decide(bg, e.sc, mine); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, policy.ErrDecided):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := e.Approvals.Get(bg, e.sc, a.ID)
	if err != nil || won.Load() != 1 || got.Status != policy.ApprovalDenied || got.DecidedAt == nil || !got.DecidedAt.Equal(now) {
		t.Errorf("%d decided; %+v, %v", won.Load(), got, err)
	}
}

func testDue(t *testing.T, e *env) {
	late, early := e.approval(t, now.Add(2*time.Minute)), e.approval(t, now.Add(time.Minute))
	done := e.approval(t, now)
	e.approval(t, now.Add(time.Hour))
	done.Status = policy.ApprovalApproved
	must(t, e.Approvals.Decide(bg, e.sc, done))
	got, err := e.Approvals.Due(bg, e.sc.Tenant, now.Add(2*time.Minute), 10)
	if err != nil || len(got) != 2 || got[0].ID != early.ID || got[1].ID != late.ID {
		t.Errorf("due: %+v, %v", got, err)
	}
	if got, err = e.Approvals.Due(bg, e.sc.Tenant, now.Add(2*time.Minute), 1); err != nil || len(got) != 1 {
		t.Errorf("due, one at most: %+v, %v", got, err)
	}
	all, err := e.Approvals.Due(bg, id.Tenant{}, now.Add(2*time.Minute), 1000)
	found := 0
	for _, a := range all {
		if a.Tenant == e.sc.Tenant {
			found++
		}
	}
	if err != nil || found != 2 {
		t.Errorf("%d due among all tenants', %v; want 2", found, err)
	}
}

func testApprovalPaging(t *testing.T, e *env) {
	var want []id.Approval
	for i := range 7 {
		a := e.approval(t, now)
		if i%2 == 0 {
			want = append([]id.Approval{a.ID}, want...)
			continue
		}
		a.Status = policy.ApprovalExpired
		must(t, e.Approvals.Decide(bg, e.sc, a))
	}
	key := func(a policy.Approval) id.Approval { return a.ID }
	undecided := policy.ApprovalFilter{Status: []policy.ApprovalStatus{policy.ApprovalPending, policy.ApprovalVoid}}
	got := pagetest.Walk(t, 3, key, func(req page.Request) (page.Page[policy.Approval], error) {
		return e.Approvals.List(bg, e.sc, undecided, req)
	})
	if d := cmp.Diff(want, got, equal); d != "" {
		t.Errorf("newest first (-want +got):\n%s", d)
	}
	numbered, err := e.Approvals.List(bg, e.sc, undecided, page.Request{Limit: 2, Offset: 2, Count: true})
	if err != nil || numbered.Total != len(want) || len(numbered.Items) != 2 || numbered.Items[0].ID != want[2] {
		t.Errorf("the second page of two: %d of %d, %v", len(numbered.Items), numbered.Total, err)
	}
	if p, err := e.Approvals.List(bg, e.sc, policy.ApprovalFilter{Agent: newAgent()}, page.Request{}); err != nil || len(p.Items) != 0 {
		t.Errorf("of another agent: %+v, %v", p, err)
	}
}

func testCancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := e.Policies.Get(ctx, e.sc, id.New[id.PolicyKind](ids)); !errors.Is(err, context.Canceled) {
		t.Errorf("Get: %v; want context.Canceled", err)
	}
	if err := e.Policies.Insert(ctx, e.sc, e.full(policy.Scope{Tenant: true})); !errors.Is(err, context.Canceled) {
		t.Errorf("Insert: %v; want context.Canceled", err)
	}
}
