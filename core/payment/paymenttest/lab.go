package paymenttest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	port "github.com/bureau-agents/bureau/ports/payment"
	railtest "github.com/bureau-agents/bureau/ports/payment/paymenttest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite needs of a store.
type Store struct {
	gatetest.Store

	Payments payment.Repository
	Approved payment.Approved
}

// Lab is a payment service over a store, with a tenant, a gate and a rail of its own.
type Lab struct {
	*gatetest.Lab

	Payments *payment.Service
	Repo     payment.Repository
	Rail     *railtest.Fake
	Purse    id.Agent      // has 100 USDC and may spend 1000 a day
	Caps     policy.Policy // of the Purse
	store    Store
	approved approvedOf
}

// approvedOf keeps a lab from what belongs to the labs of other tests over the same store.
type approvedOf struct {
	payment.Approved
	tenant id.Tenant
}

func (a approvedOf) ApprovedOverRail(ctx context.Context, limit int) ([]gate.Record, error) {
	all, err := a.Approved.ApprovedOverRail(ctx, limit)
	var mine []gate.Record
	for _, rec := range all {
		if rec.Tenant == a.tenant {
			mine = append(mine, rec)
		}
	}
	return mine, err
}

type dueOf struct {
	payment.Repository
	tenant id.Tenant
}

func (d dueOf) Due(ctx context.Context, now time.Time, _ int) ([]payment.Payment, error) {
	all, err := d.Repository.Due(ctx, now, 1000)
	var mine []payment.Payment
	for _, p := range all {
		if p.Tenant == d.tenant {
			mine = append(mine, p)
		}
	}
	return mine, err
}

type agents struct{ gone map[id.Agent]bool }

func (a agents) Exists(_ context.Context, _ account.Scope, of id.Agent) error {
	if a.gone[of] {
		return id.NotFound[id.AgentKind](of.String())
	}
	return nil
}

var bg = context.Background()

// NewLab returns a lab with a fresh tenant.
func NewLab(tb testing.TB, st Store) *Lab {
	tb.Helper()
	l := &Lab{Lab: gatetest.NewLab(tb, st.Store, gatetest.Options{}), Rail: railtest.New("fake"), store: st}
	l.approved = approvedOf{st.Approved, l.Scope.Tenant}
	l.Repo = dueOf{st.Payments, l.Scope.Tenant}
	l.Payments = l.service(tb, st.TX, l.Gate, l.Rail, nil)
	l.Purse = l.Agent(tb, 100*money.MicrosPerUnit)
	l.Caps = l.Policy(tb, l.Purse, policy.Limits{
		DailyLimit: ptr(gatetest.USDC(1000 * money.MicrosPerUnit)), RequireApprovalAbove: ptr(gatetest.USDC(50 * money.MicrosPerUnit)),
	})
	return l
}

// service is a process that pays.
func (l *Lab) service(tb testing.TB, runner tx.Runner, g payment.Gate, rail port.Rail, gone map[id.Agent]bool) *payment.Service {
	tb.Helper()
	s, err := payment.NewService(payment.Deps{
		TX: runner, Clock: l.Clock, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: l.Repo, Approved: l.approved, Gate: g,
		Wallets: l.Wallets, Agents: agents{gone}, Trail: l.Trail, Rails: []port.Rail{rail},
	}, payment.Config{Workers: 1, Timeout: 10 * time.Second})
	must(tb, err)
	return s
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }

// units returns an amount in the lab's currency.
func units(n int64) money.Amount { return gatetest.USDC(n * money.MicrosPerUnit) }

// act is a payment of the Purse over the lab's rail.
func (l *Lab) act(key, payee string, n int64) gate.Act {
	return gate.Act{
		Key: key, Action: rule.ActionPayment, Agent: l.Purse, Amount: ptr(units(n)), Payee: payee, Category: "software", Rail: "fake",
		Description: "seats",
	}
}

// pay pays and demands a state.
func (l *Lab) pay(tb testing.TB, act gate.Act, want gate.State) gate.Record {
	tb.Helper()
	rec, err := l.Payments.Pay(bg, l.Scope, act)
	must(tb, err)
	if rec.State != want {
		tb.Fatalf("the payment is %s (%s), want %s", rec.State, rec.Error, want)
	}
	return rec
}

// of returns the payment of an act and demands a status.
func (l *Lab) of(tb testing.TB, act id.Act, want payment.Status) payment.Payment {
	tb.Helper()
	p, ok, err := l.Payments.Of(bg, l.Scope, act)
	must(tb, err)
	if !ok || p.Status != want {
		tb.Fatalf("the payment is %q (%s), want %q", p.Status, p.Error, want)
	}
	return p
}

// pass lets time pass and has the open payments looked at.
func (l *Lab) pass(tb testing.TB, d time.Duration) {
	tb.Helper()
	l.Clock.Set(l.Clock.Now().Add(d))
	_, err := l.Payments.Reconcile(bg)
	must(tb, err)
}

// expect demands what the Purse has, what of it is held, and what its cap has counted, in units.
func (l *Lab) expect(tb testing.TB, balance, held, spent, reserved int64) {
	tb.Helper()
	w, err := l.Wallets.Get(bg, l.Scope, l.Purse, "")
	must(tb, err)
	if w.Balance != balance*money.MicrosPerUnit || w.Held != held*money.MicrosPerUnit {
		tb.Errorf("the wallet has %d and holds %d, want %d and %d", w.Balance, w.Held, balance, held)
	}
	c := l.Counter(tb, l.Caps, "daily_limit", rule.WindowDay, "USDC")
	if c.Spent != spent*money.MicrosPerUnit || c.Reserved != reserved*money.MicrosPerUnit {
		tb.Errorf("the cap has counted %+v, want %d and %d", c, spent, reserved)
	}
	l.Sound(tb)
}

// moved demands how often the rail was charged.
func (l *Lab) moved(tb testing.TB, want int) {
	tb.Helper()
	if n := l.Rail.Moved(); n != want {
		tb.Errorf("the rail moved money %d times, want %d", n, want)
	}
}

// once makes the next call of an operation fail.
func (l *Lab) once(op string, f railtest.Fault) {
	var done atomic.Bool
	l.Rail.Hook = func(called, _ string) railtest.Fault {
		if called != op || done.Swap(true) {
			return railtest.None
		}
		return f
	}
}
