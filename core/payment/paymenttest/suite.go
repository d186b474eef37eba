package paymenttest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	port "github.com/bureau-agents/bureau/ports/payment"
	railtest "github.com/bureau-agents/bureau/ports/payment/paymenttest"
)

// Config of the suite.
type Config struct {
	New  func(t *testing.T) Store // may return the same store every time: each test has a tenant of its own
	Step int                      // kill at every Step-th place only; 0 is all
}

// Run demands of payments over a store what package payment promises.
func Run(t *testing.T, c Config) {
	for _, s := range []struct {
		name string
		do   func(t *testing.T, l *Lab)
	}{
		{"pay", testPay},
		{"refused", testRefused},
		{"declined", testDeclined},
		{"unknown", testUnknown},
		{"pending", testPending},
		{"approval", testApproval},
		{"frozen", testFrozen},
		{"hold_lasts", testHoldLasts},
		{"refund", testRefund},
		{"refund_unknown", testRefundUnknown},
		{"refunded_outside", testRefundedOutside},
		{"contradiction", testContradiction},
		{"resolve", testResolve},
		{"at_once", testAtOnce},
		{"destroyed", testDestroyed},
		{"list", testList},
		{"fetch", testFetch},
		{"refund_refused", testRefundRefused},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.do(t, NewLab(t, c.New(t)))
		})
	}
	t.Run("crash", func(t *testing.T) {
		t.Parallel()
		testCrash(t, c.New(t), max(c.Step, 1))
	})
}

func testPay(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "vendor.example", 20), gate.Done)
	p := l.of(t, rec.ID, payment.Succeeded)
	l.expect(t, 80, 0, 20, 0)
	l.moved(t, 1)
	var out struct {
		PaymentID     string `json:"payment_id"`
		Rail          string
		Reference     string
		TransactionID string `json:"transaction_id"`
		Amount        string
		BalanceAfter  string `json:"balance_after"`
		Result        struct{ Paid bool }
	}
	must(t, json.Unmarshal(rec.Output, &out))
	if out.PaymentID != p.ID.UUID().String() || out.Rail != "fake" || out.Reference != p.Reference || out.Amount != "20.00" ||
		out.BalanceAfter != "80.00" || out.TransactionID != p.Entry.UUID().String() || !out.Result.Paid {
		t.Errorf("the act answers %s", rec.Output)
	}
	if p.Paid != units(20).Micros || p.EndedAt == nil || p.DueAt != nil || p.Attempts != 1 || p.Reference == "" {
		t.Errorf("the payment is %+v", p)
	}
	charged := l.Rail.Books()[payment.Key(rec.ID)]
	if charged.Amount != units(20) || charged.Payee != "vendor.example" || charged.Description != "seats" ||
		charged.Labels["bureau_payment"] != p.ID.UUID().String() {
		t.Errorf("the rail was charged %+v", charged)
	}
	paid, err := l.Wallets.Paid(bg, l.Scope, rec.ID)
	if err != nil || len(paid) != 1 || paid[0].Kind != wallet.Payment || paid[0].Amount != units(20) || paid[0].Payee != "vendor.example" {
		t.Errorf("the ledger has %+v, %v", paid, err)
	}
	for action, want := range map[string]int{"transaction_authorized": 1, "transaction_completed": 2} { // a deposit, too
		if got := l.Trail.Of(action); len(got) != want || got[want-1].Metadata["rail"] != "fake" {
			t.Errorf("%s: %+v", action, got)
		}
	}
	if got := l.Observer.States(rec.ID); len(got) != 1 || got[0] != gate.Done {
		t.Errorf("the observer was told %v", got)
	}
	if again := l.pay(t, l.act("k", "vendor.example", 20), gate.Done); again.ID != rec.ID || !again.Found {
		t.Errorf("repeated: %+v", again)
	}
	if _, err := l.Payments.Pay(bg, l.Scope, l.act("k", "vendor.example", 21)); !errors.Is(err, gate.ErrKeyReused) {
		t.Errorf("the key with another amount: %v", err)
	}
	act := l.act("k", "vendor.example", 20)
	act.Rail = ""
	if _, err := l.Perform(bg, l.Scope, act); !errors.Is(err, gate.ErrKeyReused) {
		t.Errorf("the key over the ledger: %v", err)
	}
	l.moved(t, 1)
}

func testRefused(t *testing.T, l *Lab) {
	unknown := l.act("a", "vendor.example", 1)
	unknown.Rail = "carrier pigeon"
	if _, err := l.Payments.Pay(bg, l.Scope, unknown); !errors.Is(err, payment.ErrRail) {
		t.Errorf("a rail that nobody has: %v", err)
	}
	odd := l.act("b", "vendor.example", 1)
	odd.Amount.Micros++
	if _, err := l.Payments.Pay(bg, l.Scope, odd); fault.KindOf(err) != fault.Invalid {
		t.Errorf("what the rail cannot express: %v", err)
	}
	if _, err := l.Perform(bg, l.Scope, l.act("c", "vendor.example", 1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a payment over a rail as one of the ledger: %v", err)
	}
	l.Policy(t, l.Purse, policy.Limits{MaxPerTransaction: ptr(units(30))})
	if rec := l.pay(t, l.act("d", "vendor.example", 31), gate.Denied); rec.Decision.Rule != "max_per_transaction" {
		t.Errorf("denied by %s", rec.Decision.Rule)
	}
	poor := l.act("e", "vendor.example", 2)
	poor.Agent = l.Agent(t, 1)
	l.Policy(t, poor.Agent, policy.Limits{MaxPerTransaction: ptr(units(30))})
	if rec := l.pay(t, poor, gate.Denied); rec.Decision.Rule != policy.RuleFunds {
		t.Errorf("denied by %s", rec.Decision.Rule)
	}
	l.moved(t, 0)
	if l.Rail.Calls("charge") != 0 {
		t.Error("the rail was asked")
	}
	l.expect(t, 100, 0, 0, 0)
}

func testDeclined(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "declined.example", 20), gate.Failed)
	p := l.of(t, rec.ID, payment.Failed)
	if p.Error != "the fake declines" || rec.Error != p.Error || p.Entry != (id.LedgerEntry{}) {
		t.Errorf("it says %q and %q", p.Error, rec.Error)
	}
	l.expect(t, 100, 0, 0, 0)
	l.pay(t, l.act("k", "declined.example", 20), gate.Failed)
	if l.Rail.Calls("charge") != 1 {
		t.Error("the rail was asked again")
	}
}

func testUnknown(t *testing.T, l *Lab) {
	for i, f := range []railtest.Fault{railtest.Before, railtest.After} {
		l.once("charge", f)
		act := l.act(string(rune('a'+i)), "vendor.example", 10)
		rec := l.pay(t, act, gate.Started)
		p := l.of(t, rec.ID, payment.Unknown)
		done := int64(10 * i)
		l.expect(t, 100-done, 10, done, 10)
		l.pass(t, time.Second) // not due yet
		l.pay(t, act, gate.Started)
		l.of(t, rec.ID, payment.Unknown)
		l.once("lookup", railtest.Before)
		l.pass(t, time.Minute)
		if q := l.of(t, rec.ID, payment.Unknown); q.Asked <= p.Asked || !q.DueAt.After(*p.DueAt) {
			t.Errorf("a rail that cannot be asked: %+v", q)
		}
		l.pass(t, time.Minute)
		p = l.of(t, rec.ID, payment.Succeeded)
		if want := 2 - i; p.Attempts != want {
			t.Errorf("%d attempts, want %d", p.Attempts, want)
		}
		l.moved(t, i+1)
		l.expect(t, 90-done, 0, done+10, 0)
		if again := l.pay(t, act, gate.Done); again.ID != rec.ID {
			t.Errorf("repeated: %+v", again)
		}
	}
}

func testPending(t *testing.T, l *Lab) {
	for i, end := range []port.Status{port.Succeeded, port.Declined} {
		rec := l.pay(t, l.act(string(end), "slow.example", 10), gate.Started)
		p := l.of(t, rec.ID, payment.Pending)
		if p.Reference == "" {
			t.Error("the rail's reference is not kept while it works")
		}
		l.pass(t, time.Minute)
		l.of(t, rec.ID, payment.Pending)
		l.Rail.Finish(payment.Key(rec.ID), end)
		l.pass(t, time.Hour)
		l.of(t, rec.ID, []payment.Status{payment.Succeeded, payment.Failed}[i])
		l.expect(t, 90, 0, 10, 0)
	}
	l.moved(t, 1)
}

func testApproval(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "vendor.example", 60), gate.Parked)
	l.expect(t, 100, 0, 0, 0)
	if _, _, err := l.Approve(bg, l.Scope, rec.Approval); err != nil {
		t.Fatal(err)
	}
	l.moved(t, 0)
	l.pass(t, time.Second) // nobody else comes back for it
	l.of(t, rec.ID, payment.Succeeded)
	l.expect(t, 40, 0, 60, 0)
	l.moved(t, 1)
	l.pay(t, l.act("k", "vendor.example", 60), gate.Done)
	l.pass(t, time.Hour)
	l.moved(t, 1)
}

func testFrozen(t *testing.T, l *Lab) {
	parked := l.pay(t, l.act("a", "vendor.example", 60), gate.Parked)
	l.once("charge", railtest.Before)
	lost := l.pay(t, l.act("b", "vendor.example", 10), gate.Started)
	l.once("charge", railtest.After)
	taken := l.pay(t, l.act("c", "vendor.example", 10), gate.Started)
	if r, err := l.Freeze(bg, l.Scope, l.Purse); err != nil || r.InFlight != 2 {
		t.Fatalf("freeze: %+v, %v", r, err)
	}
	calls := l.Rail.Calls("charge")
	l.pass(t, time.Minute)
	l.pass(t, time.Hour)
	l.of(t, taken.ID, payment.Succeeded) // it was in flight, and settles
	l.of(t, lost.ID, payment.Unknown)
	l.pay(t, l.act("d", "vendor.example", 1), gate.Denied)
	if rec, err := l.Act(bg, l.Scope, parked.ID); err != nil || rec.State != gate.Denied {
		t.Errorf("what waited is %s, %v", rec.State, err)
	}
	if l.Rail.Calls("charge") != calls {
		t.Error("a charge has started after the freeze")
	}
	l.expect(t, 90, 10, 10, 10)
	must(t, l.Unfreeze(bg, l.Scope, l.Purse))
	l.pass(t, time.Hour)
	l.of(t, lost.ID, payment.Succeeded)
	l.expect(t, 80, 0, 20, 0)
	l.moved(t, 2)
}

func testHoldLasts(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "slow.example", 10), gate.Started)
	l.Clock.Set(l.Clock.Now().Add(90 * 24 * time.Hour))
	if _, err := l.Wallets.ExpireDue(bg); err != nil {
		t.Fatal(err)
	}
	if w, err := l.Wallets.Get(bg, l.Scope, l.Purse, ""); err != nil || w.Held != units(10).Micros {
		t.Errorf("the hold has ended: %+v, %v", w, err)
	}
	l.Rail.Finish(payment.Key(rec.ID), port.Succeeded)
	l.pass(t, time.Hour)
	l.of(t, rec.ID, payment.Succeeded)
}

func testRefund(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "vendor.example", 20), gate.Done)
	p := l.of(t, rec.ID, payment.Succeeded)
	refund := func(n int64, key string) (payment.Payment, error) {
		return l.Payments.Refund(bg, l.Scope, payment.RefundRequest{Payment: p.ID, Amount: units(n).Micros, Key: key})
	}
	for range 2 {
		got, err := refund(5, "r")
		if err != nil || got.Refunded != units(5).Micros || got.Refunding != 0 {
			t.Fatalf("refund: %+v, %v", got, err)
		}
	}
	l.expect(t, 85, 0, 20, 0)
	if _, err := refund(16, ""); !errors.Is(err, payment.ErrRefundTooLarge) {
		t.Errorf("more than is left: %v", err)
	}
	if got, err := refund(0, ""); err != nil || got.Refunded != units(20).Micros {
		t.Errorf("the rest: %+v, %v", got, err)
	}
	if _, err := refund(0, ""); !errors.Is(err, payment.ErrRefundTooLarge) {
		t.Errorf("nothing is left: %v", err)
	}
	l.expect(t, 100, 0, 20, 0)
	if got := l.Rail.Books()[payment.Key(rec.ID)]; got.Refunded != units(20).Micros {
		t.Errorf("the rail gave back %d", got.Refunded)
	}
	failed := l.pay(t, l.act("f", "declined.example", 20), gate.Failed)
	q := l.of(t, failed.ID, payment.Failed)
	if _, err := l.Payments.Refund(bg, l.Scope, payment.RefundRequest{Payment: q.ID}); !errors.Is(err, payment.ErrNotPaid) {
		t.Errorf("a refund of what was not paid: %v", err)
	}
}

// stingy refuses the first refund.
type stingy struct {
	*railtest.Fake
	refused *bool
}

// Refund implements port.Rail.
func (r stingy) Refund(ctx context.Context, f port.Refund) error {
	if !*r.refused {
		*r.refused = true
		return port.ErrDeclined
	}
	return r.Fake.Refund(ctx, f)
}

// testRefundRefused asks again, under the same key, for a refund that the rail has refused.
func testRefundRefused(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "vendor.example", 20), gate.Done)
	p := l.of(t, rec.ID, payment.Succeeded)
	s := l.service(t, l.store.TX, l.Gate, stingy{l.Rail, new(bool)}, nil)
	ask := payment.RefundRequest{Payment: p.ID, Key: "r"}
	if got, err := s.Refund(bg, l.Scope, ask); !errors.Is(err, port.ErrDeclined) {
		t.Fatalf("the first try: %+v, %v", got, err)
	}
	l.expect(t, 80, 0, 20, 0)
	if got, err := s.Refund(bg, l.Scope, ask); err != nil || got.Refunded != units(20).Micros {
		t.Errorf("the second try: %+v, %v", got, err)
	}
	l.expect(t, 100, 0, 20, 0)
}

func testRefundUnknown(t *testing.T, l *Lab) {
	for i, f := range []railtest.Fault{railtest.Before, railtest.After} {
		rec := l.pay(t, l.act(string(rune('a'+i)), "vendor.example", 20), gate.Done)
		p := l.of(t, rec.ID, payment.Succeeded)
		l.once("refund", f)
		got, err := l.Payments.Refund(bg, l.Scope, payment.RefundRequest{Payment: p.ID})
		if err != nil || got.Refunded != 0 || got.Refunding != units(20).Micros {
			t.Fatalf("refund: %+v, %v", got, err)
		}
		if _, err := l.Payments.Refund(bg, l.Scope, payment.RefundRequest{Payment: p.ID}); !errors.Is(err, payment.ErrRefunding) {
			t.Errorf("another refund meanwhile: %v", err)
		}
		l.pass(t, time.Minute)
		if p = l.of(t, rec.ID, payment.Succeeded); p.Refunded != units(20).Micros || p.Refunding != 0 || p.DueAt != nil {
			t.Errorf("later: %+v", p)
		}
		if got := l.Rail.Books()[payment.Key(rec.ID)]; got.Refunded != units(20).Micros {
			t.Errorf("the rail gave back %d", got.Refunded)
		}
	}
	l.expect(t, 100, 0, 40, 0)
}

// testRefundedOutside lets a payee give money back by itself: the rail's message brings it into the books once.
func testRefundedOutside(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "vendor.example", 20), gate.Done)
	p := l.of(t, rec.ID, payment.Succeeded)
	l.Rail.Return(payment.Key(rec.ID), units(7).Micros)
	s := l.service(t, l.store.TX, l.Gate, reader{l.Rail, p}, nil)
	for range 2 {
		must(t, s.Receive(bg, "fake", func(string) string { return "" }, nil))
	}
	if p = l.of(t, rec.ID, payment.Succeeded); p.Refunded != units(7).Micros || p.DueAt != nil {
		t.Errorf("afterwards: %+v", p)
	}
	l.expect(t, 87, 0, 20, 0)
	if err := l.Payments.Receive(bg, "fake", func(string) string { return "" }, nil); !errors.Is(err, payment.ErrRail) {
		t.Errorf("a message to a rail without messages: %v", err)
	}
}

// reader is a rail whose messages are all about one payment.
type reader struct {
	*railtest.Fake
	of payment.Payment
}

// Read implements port.Reader.
func (r reader) Read(func(string) string, []byte) (port.Message, error) {
	return port.Message{ID: "m", Labels: map[string]string{
		"bureau_tenant": r.of.Tenant.UUID().String(), "bureau_payment": r.of.ID.UUID().String(),
	}}, nil
}

// testContradiction lets a rail take back its word that a charge failed: nothing moves, and it is noted.
func testContradiction(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "slow.example", 20), gate.Started)
	p := l.of(t, rec.ID, payment.Pending)
	l.Rail.Finish(payment.Key(rec.ID), port.Declined)
	l.pass(t, time.Minute)
	l.of(t, rec.ID, payment.Failed)
	s := l.service(t, l.store.TX, l.Gate, liar{reader{l.Rail, p}}, nil)
	must(t, s.Receive(bg, "fake", func(string) string { return "" }, nil))
	if got := l.Trail.Of("payment_contradicted"); len(got) != 1 || got[0].Metadata["rail_says"] != "succeeded" {
		t.Errorf("noted: %+v", got)
	}
	l.of(t, rec.ID, payment.Failed)
	l.expect(t, 100, 0, 0, 0)
}

// liar says that everything has succeeded.
type liar struct{ reader }

// Lookup implements port.Rail.
func (liar) Lookup(context.Context, port.Charge) (port.Receipt, error) {
	return port.Receipt{Status: port.Succeeded, Reference: "late"}, nil
}

func testResolve(t *testing.T, l *Lab) {
	for i, ok := range []bool{true, false} {
		rec := l.pay(t, l.act(string(rune('a'+i)), "slow.example", 10), gate.Started)
		p := l.of(t, rec.ID, payment.Pending)
		word := payment.Resolution{Succeeded: ok, Reference: "seen", Note: "the bank says so"}
		if _, err := l.Payments.Resolve(bg, l.Scope, p.ID, word); !errors.Is(err, payment.ErrEnded) {
			t.Errorf("too early: %v", err)
		}
		l.Clock.Set(l.Clock.Now().Add(2 * time.Hour))
		got, err := l.Payments.Resolve(bg, l.Scope, p.ID, word)
		want := map[bool]payment.Status{true: payment.Succeeded, false: payment.Failed}[ok]
		if err != nil || got.Status != want || got.Reference != "seen" {
			t.Errorf("resolved: %+v, %v", got, err)
		}
		if _, err := l.Payments.Resolve(bg, l.Scope, p.ID, word); !errors.Is(err, payment.ErrEnded) {
			t.Errorf("twice: %v", err)
		}
	}
	if n := l.Trail.Of("payment_resolved"); len(n) != 2 {
		t.Errorf("noted: %+v", n)
	}
	l.Sound(t)
}

// testAtOnce lets callers and processes come at the same moment: with one key, and to the same open payment.
func testAtOnce(t *testing.T, l *Lab) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := l.Payments.Pay(bg, l.Scope, l.act("k", "vendor.example", 10)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	l.moved(t, 1)
	l.expect(t, 90, 0, 10, 0)
	l.once("charge", railtest.Before)
	rec := l.pay(t, l.act("open", "vendor.example", 10), gate.Started)
	l.Clock.Set(l.Clock.Now().Add(time.Minute))
	for range 8 {
		all.Go(func() {
			if _, err := l.Payments.Reconcile(bg); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	l.of(t, rec.ID, payment.Succeeded)
	if l.Rail.Calls("charge") != 3 {
		t.Errorf("%d charges were tried, want 3: one process asks at a time", l.Rail.Calls("charge"))
	}
	l.moved(t, 2)
	l.expect(t, 80, 0, 20, 0)
}

// testDestroyed destroys an agent while its payment is under way: the hold stays, and what is left of it goes to the tenant.
func testDestroyed(t *testing.T, l *Lab) {
	rec := l.pay(t, l.act("k", "slow.example", 10), gate.Started)
	if _, err := l.Wallets.Sweep(bg, l.Scope, l.Purse); err != nil {
		t.Fatal(err)
	}
	w, err := l.Wallets.Get(bg, l.Scope, l.Purse, "")
	if err != nil || w.Balance != units(10).Micros || w.Held != w.Balance {
		t.Fatalf("swept: %+v, %v", w, err)
	}
	l.Rail.Finish(payment.Key(rec.ID), port.Declined)
	l.Payments = l.service(t, l.store.TX, l.Gate, l.Rail, map[id.Agent]bool{l.Purse: true})
	l.pass(t, time.Minute)
	l.of(t, rec.ID, payment.Failed)
	l.expect(t, 0, 0, 0, 0)
	if all, err := l.Wallets.Get(bg, l.Scope, id.Agent{}, ""); err != nil || all.Balance != units(100).Micros {
		t.Errorf("the tenant has %+v, %v", all, err)
	}
}

func testList(t *testing.T, l *Lab) {
	first := l.pay(t, l.act("a", "vendor.example", 1), gate.Done)
	l.pay(t, l.act("b", "declined.example", 1), gate.Failed)
	last := l.pay(t, l.act("c", "vendor.example", 1), gate.Done)
	for _, c := range []struct {
		f    payment.Filter
		want int
	}{
		{payment.Filter{}, 3},
		{payment.Filter{Status: payment.Succeeded}, 2},
		{payment.Filter{Rail: "other"}, 0},
		{payment.Filter{Agent: l.Purse, Rail: "fake", Status: payment.Failed}, 1},
		{payment.Filter{Agent: l.Agent(t, 0)}, 0},
	} {
		p, err := l.Payments.List(bg, l.Scope, c.f, page.Request{})
		if err != nil || len(p.Items) != c.want {
			t.Errorf("%+v: %d, %v; want %d", c.f, len(p.Items), err, c.want)
		}
	}
	p, err := l.Payments.List(bg, l.Scope, payment.Filter{}, page.Request{Limit: 2})
	must(t, err)
	rest, err := l.Payments.List(bg, l.Scope, payment.Filter{}, page.Request{Limit: 2, Cursor: p.Next})
	if err != nil || len(p.Items) != 2 || len(rest.Items) != 1 || p.Items[0].Act != last.ID || rest.Items[0].Act != first.ID || rest.Next != "" {
		t.Errorf("in pages: %+v, %+v, %v", p, rest, err)
	}
	got, err := l.Payments.Get(bg, l.Scope, p.Items[0].ID)
	if err != nil || got.Act != last.ID || got.Amount != units(1) || got.CreatedAt.IsZero() {
		t.Errorf("read: %+v, %v", got, err)
	}
	missing := id.New[id.PaymentKind](l.IDs)
	if _, err := l.Payments.Get(bg, l.Scope, missing); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a payment that is not there: %v", err)
	}
	other := NewLab(t, l.store)
	if _, err := l.Payments.Get(bg, other.Scope, got.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("another tenant's payment: %v", err)
	}
	if _, err := l.Repo.Lock(bg, other.Scope, got.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("locking another tenant's payment: %v", err)
	}
}
