package gatetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// lowBalance is the threshold of a Lab's wallets.
const lowBalance = 10

// Told keeps the notices of transactions that committed. It is safe for concurrent use.
type Told struct {
	tx     tx.Runner
	tenant id.Tenant
	mu     sync.Mutex
	all    []Note
	once   map[string]bool
}

// Publish implements gate.Notices and wallet.Notices.
func (t *Told) Publish(ctx context.Context, sc account.Scope, kind string, a id.Agent, m map[string]any) error {
	if sc.Tenant != t.tenant {
		return nil // of a test that shares the store: holds expire for every tenant
	}
	t.tx.AfterCommit(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all = append(t.all, Note{kind, a, m})
	})
	return nil
}

// PublishOnce implements gate.OnceNotices.
func (t *Told) PublishOnce(ctx context.Context, sc account.Scope, once, kind string, a id.Agent, m map[string]any) (bool, error) {
	t.mu.Lock()
	known := t.once[once]
	t.mu.Unlock()
	if known {
		return false, nil
	}
	t.tx.AfterCommit(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.once[once] = true
	})
	return true, t.Publish(ctx, sc, kind, a, m)
}

// Take returns the notices since the last call, as "kind member member", with the members that are named; those that are missing are left
// out.
func (t *Told) Take(members ...string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, n := range t.all {
		text := n.Action
		for _, name := range members {
			if v, ok := n.Metadata[name]; ok {
				text += fmt.Sprint(" ", v)
			}
		}
		out = append(out, text)
	}
	t.all = nil
	return out
}

func (l *Lab) told(t *testing.T, want []string, members ...string) {
	t.Helper()
	if d := cmp.Diff(want, l.Told.Take(members...)); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
}

func testAlerts(t *testing.T, l *Lab) {
	a := l.Agent(t, 10_000)
	l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(100))})
	l.Told.Take()
	for _, step := range []struct {
		pays int64
		want []string
	}{
		{40, nil},
		{10, []string{"budget.alert 50 false 0.00005"}},
		{29, nil},
		{1, []string{"budget.alert 80 false 0.00008"}},
		{21, []string{"policy.violation", "budget.alert 100 true 0.00008"}},
		{22, []string{"policy.violation"}}, // that it denies was told
		{20, []string{"budget.alert 100 false 0.0001"}},
		{1, []string{"policy.violation"}},
	} {
		rec := perform(t, l, Payment(a, "", step.pays))
		want := step.want
		if rec.State == gate.Done {
			want = append([]string{"transaction.completed"}, want...)
		}
		l.told(t, want, "percent", "denied", "spent")
	}
	if n := len(l.Trail.Of("budget_alert")); n != 4 {
		t.Errorf("%d entries of the trail; want 4", n)
	}
	// Another day begins anew, and one payment may reach all levels.
	l.Clock.Set(l.Clock.Now().Add(24 * time.Hour))
	want := []string{"transaction.completed"}
	for _, percent := range []int{50, 80, 100} {
		want = append(want, fmt.Sprintf("budget.alert daily_limit day 2026-07-16T00:00:00Z %d false 0.0001 0.0001 USDC", percent))
	}
	perform(t, l, Payment(a, "", 100))
	l.told(t, want, "limit", "window", "window_start", "percent", "denied", "spent", "max", "unit")
}

// testAlertOnce: what is set aside counts, and a level that is reached again because an act cost less is not told of again.
func testAlertOnce(t *testing.T, l *Lab) {
	a := l.Agent(t, 0)
	p := l.Policy(t, a, policy.Limits{DailyTokenLimit: ptr(int64(100))})
	l.Told.Take()
	call := func() {
		t.Helper()
		rec, err := l.Begin(bg, l.Scope, gate.Act{Action: rule.ActionModelCall, Agent: a, Tokens: 60}, nil)
		must(t, err)
		_, err = l.End(bg, l.Scope, rec, gate.Settlement{State: gate.Done, Tokens: 1, Cost: ptr(money.Pico(0))}, nil)
		must(t, err)
	}
	call()
	l.told(t, []string{"budget.alert 50 60 100 tokens"}, "percent", "spent", "max", "unit")
	call()
	l.told(t, nil)
	// Another cap is another matter.
	_, err := l.Policies.Update(bg, l.Scope, p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
		p.Limits.DailyTokenLimit = ptr(int64(110))
		return nil
	}})
	must(t, err)
	call()
	l.told(t, []string{"budget.alert 50 110"}, "percent", "max")
}

func testNotices(t *testing.T, l *Lab) {
	a, b := l.Agent(t, 100), l.Agent(t, 0)
	l.Policy(t, a, policy.Limits{BlockedPayees: []string{"evil"}})
	l.Told.Take()
	perform(t, l, Payment(a, "", 90))
	// What is available is at the threshold, not below it.
	l.told(t, []string{"transaction.completed payment 0.00009 USDC 0.00001"}, "action", "amount", "currency", "balance_after")
	perform(t, l, Payment(a, "", 1))
	l.told(t, []string{"wallet.low_balance 0.000009 0.00001", "transaction.completed"}, "available", "threshold")
	perform(t, l, gate.Act{Action: rule.ActionTransfer, Agent: a, Payee: b.String(), Amount: ptr(USDC(1))})
	l.told(t, []string{"transaction.completed transfer " + b.UUID().String()}, "action", "payee", "to_agent_id")
	denied := Payment(a, "", 1)
	denied.Payee = "evil"
	perform(t, l, denied)
	l.told(t, []string{"policy.violation payment evil blocked_payees"}, "action", "payee", "rule")
	_, err := l.Wallets.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(5), Key: "k"})
	must(t, err)
	_, err = l.Wallets.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(5), Key: "k"})
	must(t, err)
	l.told(t, []string{"wallet.deposit 0.000005"}, "amount") // once
	for range 2 {
		_, err := l.Freeze(bg, l.Scope, a)
		must(t, err)
	}
	for range 2 {
		must(t, l.Unfreeze(bg, l.Scope, a))
	}
	_, err = l.FreezeTenant(bg, l.Scope)
	must(t, err)
	must(t, l.UnfreezeTenant(bg, l.Scope))
	l.told(t, []string{"agent.frozen", "agent.unfrozen", "tenant.frozen", "tenant.unfrozen"})
}

func testNoticesOfApprovals(t *testing.T, l *Lab) {
	a := l.Agent(t, 10_000)
	l.Policy(t, a, policy.Limits{RequireApprovalAbove: ptr(USDC(50)), ApprovalTTL: time.Hour})
	l.Told.Take()
	park := func() gate.Record {
		t.Helper()
		rec := perform(t, l, Payment(a, "", 60))
		l.told(t, []string{"agent.approval_required " + rec.Approval.UUID().String() + " require_approval_above 2026-07-15T13:30:00Z"},
			"approval_id", "rule", "expires_at")
		return rec
	}
	rec := park()
	_, _, err := l.Approve(bg, l.Scope, rec.Approval)
	must(t, err)
	l.told(t, []string{"approval.decided approved", "transaction.completed"}, "status")
	rec = park()
	_, err = l.Deny(bg, l.Scope, rec.Approval, "no")
	must(t, err)
	l.told(t, []string{"approval.decided denied no"}, "status", "note")
	park()
	_, err = l.VoidAgent(bg, l.Scope, a, "stopped")
	must(t, err)
	l.told(t, []string{"approval.decided void"}, "status")
	park()
	l.Clock.Set(l.Clock.Now().Add(time.Hour))
	_, err = l.ExpireDue(bg)
	must(t, err)
	l.told(t, []string{"approval.decided expired"}, "status")
}

func testNoticesRolledBack(t *testing.T, l *Lab) {
	a := l.Agent(t, 100)
	l.Policy(t, a, policy.Limits{DailyLimit: ptr(USDC(10))})
	l.Told.Take()
	l.Observer.Err = errors.New("no")
	if _, err := l.Perform(bg, l.Scope, Payment(a, "", 5)); !errors.Is(err, l.Observer.Err) {
		t.Fatalf("error %v", err)
	}
	l.told(t, nil)
}
