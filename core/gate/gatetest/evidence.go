package gatetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// as returns the lab's scope in the hands of a key of its own.
func (l *Lab) as() account.Scope {
	sc := l.Scope
	sc.Key = id.New[id.APIKeyKind](l.IDs)
	return sc
}

func testVotes(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(10)), RequiredApprovals: 3})
	asker, one, two, three := l.as(), l.as(), l.as(), l.as()
	rec, err := l.Perform(context.Background(), asker, Payment(a, "k", 10))
	must(t, err)
	want(t, rec, gate.Parked, "require_approval_above")

	_, _, err = l.Approve(context.Background(), asker, rec.Approval)
	wantErr(t, err, policy.ErrOwnAct)
	for i, sc := range []account.Scope{one, one, two, two, one} {
		ap, got, err := l.Approve(context.Background(), sc, rec.Approval)
		must(t, err)
		want(t, got, gate.Parked, "require_approval_above")
		if n := []int{1, 1, 2, 2, 2}[i]; len(ap.Votes) != n || ap.Status != policy.ApprovalPending || ap.Required != 3 || !ap.Apart {
			t.Fatalf("vote %d: %+v; want %d votes", i, ap, n)
		}
	}
	_, _, err = l.Approve(context.Background(), asker, rec.Approval) // nor may it give the last one
	wantErr(t, err, policy.ErrOwnAct)
	if got := l.Balance(t, a); got != 100 {
		t.Errorf("the wallet has %d before the last vote", got)
	}
	ap, got, err := l.Approve(context.Background(), three, rec.Approval)
	must(t, err)
	want(t, got, gate.Done, "")
	if len(ap.Votes) != 3 || ap.Status != policy.ApprovalApproved || ap.DecidedBy != three.Actor() || ap.Votes[1].By != two.Actor() {
		t.Errorf("decided: %+v", ap)
	}
	if n := len(l.Trail.Of("approval_voted")); n != 2 {
		t.Errorf("%d votes are noted; want 2 beside the last", n)
	}
	_, _, err = l.Approve(context.Background(), one, rec.Approval)
	wantErr(t, err, policy.ErrDecided)
	if got := l.Balance(t, a); got != 90 {
		t.Errorf("the wallet has %d", got)
	}
	l.Sound(t)
}

// A policy that asks for more votes by the time of the last one gets them.
func testVotesRaised(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	p := l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(10))})
	rec, err := l.Perform(context.Background(), l.as(), Payment(a, "k", 10))
	must(t, err)
	_, err = l.Policies.Update(context.Background(), l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
		p.Limits.RequiredApprovals = 2
		return nil
	}})
	must(t, err)
	for i, state := range []gate.State{gate.Parked, gate.Done} {
		ap, got, err := l.Approve(context.Background(), l.as(), rec.Approval)
		must(t, err)
		if got.State != state || len(ap.Votes) != i+1 || ap.Required != 2 {
			t.Errorf("vote %d: %s, %+v", i, got.State, ap)
		}
	}
}

// Whatever comes at once, an act that needs two votes is done once or not at all, and its approval says which.
func testVoteRace(t *testing.T, l *Lab) {
	for name, other := range map[string]func(ctx context.Context, a id.Agent, rec gate.Record) error{
		"votes": func(context.Context, id.Agent, gate.Record) error { return nil },
		"a denial": func(ctx context.Context, _ id.Agent, rec gate.Record) error {
			_, err := l.Deny(ctx, l.as(), rec.Approval, "")
			return err
		},
		"a freeze": func(ctx context.Context, a id.Agent, _ gate.Record) error {
			_, err := l.Freeze(ctx, l.Scope, a)
			return err
		},
	} {
		a := l.Agent(t, 100)
		l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(10)), RequiredApprovals: 2})
		rec := perform(t, l, Payment(a, "", 10))
		var done atomic.Int32
		var wg sync.WaitGroup
		try := func(f func() error) {
			wg.Go(func() {
				if err := f(); err != nil && !errors.Is(err, policy.ErrDecided) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		for range 4 {
			sc := l.as()
			try(func() error {
				_, got, err := l.Approve(context.Background(), sc, rec.Approval)
				if err == nil && got.State == gate.Done {
					done.Add(1)
				}
				return err
			})
		}
		try(func() error { return other(context.Background(), a, rec) })
		wg.Wait()
		ap, err := l.Approval(context.Background(), l.Scope, rec.Approval)
		must(t, err)
		paid := (100 - l.Balance(t, a)) / 10
		if paid > 1 || int64(done.Load()) != paid || (ap.Status == policy.ApprovalApproved) != (paid == 1) || ap.Status == policy.ApprovalPending {
			t.Errorf("%s: paid %d times, done %d times, the approval is %s with %d votes", name, paid, done.Load(), ap.Status, len(ap.Votes))
		}
		if name == "votes" && (paid != 1 || len(ap.Votes) != 2) {
			t.Errorf("paid %d times with %d votes", paid, len(ap.Votes))
		}
	}
	l.Sound(t)
}

// testObserve checks that a policy which observes counts what it would have let pass, and sets nothing aside.
func testObserve(t *testing.T, l *Lab) {
	a := l.Agent(t, 1000)
	watch, err := l.Policies.Create(context.Background(), l.Scope, policy.CreateRequest{
		Scope: policy.Scope{Agent: a}, Mode: policy.Observe, Limits: policy.Limits{DailyLimit: ptr(USDC(25)), DailyCostLimit: ptr(money.Of(50, money.USD))},
	})
	must(t, err)
	want(t, perform(t, l, Payment(a, "", 1)), gate.Denied, policy.RuleNoPolicy)
	l.Policy(t, a, policy.Limits{})
	for i, c := range []struct {
		amount, counted int64
		would           bool
	}{{20, 20, false}, {10, 20, true}, {5, 25, false}, {1, 25, true}} {
		rec := perform(t, l, Payment(a, fmt.Sprint("k", i), c.amount))
		want(t, rec, gate.Done, "")
		if (rec.Decision.Would != nil) != c.would {
			t.Errorf("payment %d: would be %+v", i, rec.Decision.Would)
		}
		stored, err := l.Act(context.Background(), l.Scope, rec.ID)
		must(t, err)
		if (stored.Decision.Would != nil) != c.would || c.would && *stored.Decision.Would != *rec.Decision.Would {
			t.Errorf("payment %d: stored as %+v", i, stored.Decision.Would)
		}
		if got := l.Counter(t, watch, "daily_limit", rule.WindowDay, "USDC"); got.Spent != c.counted || got.Reserved != 0 {
			t.Errorf("payment %d: counted %d, %d set aside; want %d", i, got.Spent, got.Reserved, c.counted)
		}
	}
	rec, n := begin(t, l, modelCall(a, "m", 60, 10))
	if rec.State != gate.Started || n != 1 || rec.Decision.Would == nil {
		t.Fatalf("%+v", rec)
	}
	if got := l.Counter(t, watch, "daily_cost_limit", rule.WindowDay, "USD"); got.Spent != 0 || got.Reserved != 0 {
		t.Errorf("set aside: %+v", got)
	}
	_, err = l.End(context.Background(), l.Scope, rec, gate.Settlement{State: gate.Done}, nil)
	must(t, err)
	if got := l.Counter(t, watch, "daily_cost_limit", rule.WindowDay, "USD"); got.Spent != 60 || got.Reserved != 0 {
		t.Errorf("counted: %+v", got)
	}
	l.Sound(t)
}

// testReplay decides everything that the trail notes once more, and finds the same.
func testReplay(t *testing.T, l *Lab) {
	ctx := context.Background()
	l.Rules.Set("odd", Rule{Fn: func(_ context.Context, in rule.Input) (rule.Verdict, error) {
		switch in.Payee {
		case "no.example":
			return rule.Verdict{Outcome: rule.Deny, Reason: "odd"}, nil
		case "ask.example":
			return rule.Verdict{Outcome: rule.Approve, Reason: "odd?"}, nil
		}
		return rule.Verdict{Outcome: rule.Allow, Limits: []rule.Limit{{Window: rule.WindowDay, Max: USDC(90)}}}, nil
	}, Inputs: []string{rule.InputPayee}})
	a, b := l.Agent(t, 1000), l.Agent(t, 0)
	l.Policy(t, a, policy.Limits{
		DailyLimit: ptr(USDC(80)), RequireApprovalAbove: ptr(USDC(50)), NewPayee: policy.RequireApproval,
		Windows: []policy.WindowLimit{{Measure: policy.MeasureAmount, Window: rule.WindowDay, Rolling: true, Max: 75, Currency: "USDC"}},
	}, policy.RuleRef{Plugin: "odd"})
	_, err := l.Policies.Create(ctx, l.Scope, policy.CreateRequest{
		Scope: policy.Scope{Tenant: true}, Mode: policy.Observe, Limits: policy.Limits{MaxPerTransaction: ptr(USDC(5))},
	})
	must(t, err)
	pay := func(to string, n int64) gate.Record {
		act := Payment(a, "", n)
		act.Payee = to
		return perform(t, l, act)
	}
	rec := pay("x.example", 10) // a new payee
	_, _, err = l.Approve(ctx, l.Scope, rec.Approval)
	must(t, err)
	pay("x.example", 10)
	pay("no.example", 1)
	pay("ask.example", 1)
	denied := pay("x.example", 50)
	_, err = l.Deny(ctx, l.Scope, denied.Approval, "no")
	must(t, err)
	pay("x.example", 5000)
	late := pay("x.example", 50)
	pay("x.example", 40)
	pay("x.example", 40) // over the rolling limit
	_, _, err = l.Approve(ctx, l.Scope, late.Approval)
	must(t, err)
	perform(t, l, transferAct(a, b, "", 1))
	pay("x.example", 49)
	l.Clock.Advance(48 * time.Hour)
	pay("y.example", 60)
	_, err = l.Approvals(ctx, l.Scope, policy.ApprovalFilter{}, page.Request{}) // expires what is due
	must(t, err)
	act, _ := begin(t, l, toolCall(a, "t"))
	_, err = l.End(ctx, l.Scope, act, gate.Settlement{State: gate.Done}, nil)
	must(t, err)
	poor := l.Agent(t, 1)
	l.Policy(t, poor, policy.Limits{})
	want(t, perform(t, l, Payment(poor, "", 2)), gate.Denied, policy.RuleFunds)
	_, err = l.Freeze(ctx, l.Scope, a)
	must(t, err)
	want(t, pay("x.example", 1), gate.Denied, policy.RuleFrozen)

	lookup := func(p id.Policy, version int) (policy.Policy, error) {
		v, err := l.Store.Archive.Version(ctx, l.Scope, p, version)
		return v.Policy, err
	}
	seen := map[string]int{}
	for _, n := range l.Trail.All() {
		text, err := json.Marshal(n.Metadata)
		must(t, err)
		r, err := gate.Replay(n.Agent, text, lookup)
		switch {
		case errors.Is(err, gate.ErrNoDecision):
			seen["none"]++
			continue
		case errors.Is(err, policy.ErrEvidence) && n.Action == "tool_called":
			seen["an end"]++ // what was decided at its beginning has an entry of its own
			continue
		case err != nil:
			t.Errorf("%s: %v\n%s", n.Action, err, text)
			continue
		}
		if len(r.Differences) > 0 {
			t.Errorf("%s: %+v\n%s", n.Action, r.Differences, text)
		}
		seen[string(r.Then.Outcome)+" "+r.Basis]++
		seen[n.Action]++
		if n.Action != "transaction_completed" || r.Then.Would == nil {
			continue
		}
		// Another policy would have decided otherwise, and that is found.
		forged, err := gate.Replay(n.Agent, text, func(p id.Policy, version int) (policy.Policy, error) {
			v, err := lookup(p, version)
			v.Limits.MaxPerTransaction, v.Mode = ptr(USDC(1)), policy.Enforce
			return v, err
		})
		if err != nil || len(forged.Differences) == 0 || forged.Now.Rule != "max_per_transaction" {
			t.Errorf("with another policy: %+v, %v", forged, err)
		}
	}
	for _, kind := range []string{"allow policies", "deny policies", "park policies", "deny standing", "deny funds", "deny person", "tool_authorized", "an end"} {
		if seen[kind] == 0 {
			t.Errorf("nothing was decided as %q: %v", kind, seen)
		}
	}
	if _, err := gate.Replay(a, []byte(`{"outcome":"allow","decided_at":"x"}`), lookup); fault.KindOf(err) != fault.Conflict {
		t.Errorf("an entry that cannot be read: %v", err)
	}
}
