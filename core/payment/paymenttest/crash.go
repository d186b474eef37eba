package paymenttest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	railtest "github.com/bureau-agents/bureau/ports/payment/paymenttest"
	"github.com/bureau-agents/bureau/ports/tx"
)

var errKilled = errors.New("paymenttest: the process was killed")

// blow is what happens to a process: at the at-th of its transactions, or of its calls of the rail, before or after that takes
// effect. With kill nothing that it does afterwards reaches the store or the rail; otherwise only this one thing fails.
type blow struct {
	rail  bool
	after bool
	kill  bool
	at    int
}

func (b blow) String() string {
	return fmt.Sprintf("rail=%v after=%v kill=%v at=%d", b.rail, b.after, b.kill, b.at)
}

// victim runs the transactions of a process that a blow meets.
type victim struct {
	tx.Runner
	blow
	armed  bool
	dead   bool
	n, ops int // transactions and calls of the rail so far
}

type insideKey struct{ *victim }

// Do implements tx.Runner.
func (v *victim) Do(ctx context.Context, fn func(context.Context) error) error {
	if !v.armed || ctx.Value(insideKey{v}) != nil {
		return v.Runner.Do(ctx, fn)
	}
	if v.dead {
		return errKilled
	}
	ctx = context.WithValue(ctx, insideKey{v}, true)
	v.n++
	mine := !v.rail && v.n == v.at
	err := v.Runner.Do(ctx, func(ctx context.Context) error {
		if err := fn(ctx); err != nil || !mine || v.after {
			return err
		}
		return errKilled
	})
	if mine {
		v.dead = v.kill
		return errKilled
	}
	return err
}

// hook is what the rail asks at each of its calls.
func (v *victim) hook(string, string) railtest.Fault {
	if !v.armed {
		return railtest.None
	}
	if v.dead {
		return railtest.Before
	}
	v.ops++
	if !v.rail || v.ops != v.at {
		return railtest.None
	}
	v.dead = v.kill
	if v.after {
		return railtest.After
	}
	return railtest.Before
}

func (v *victim) reached() bool { return v.rail && v.ops >= v.at || !v.rail && v.n >= v.at }

// testCrash kills a process in each transaction and at each call of the rail, before and after it takes effect, or lets only that one
// fail; the callers come again with their keys. Whatever it was: each payment is charged once, what was charged is in the books, and
// nothing stays held.
func testCrash(t *testing.T, st Store, step int) {
	places := 0
	for _, b := range []blow{
		{}, {after: true}, {kill: true}, {after: true, kill: true},
		{rail: true}, {rail: true, after: true}, {rail: true, kill: true}, {rail: true, after: true, kill: true},
	} {
		for b.at = 1; ; b.at += step {
			v := &victim{Runner: st.TX, blow: b}
			own := st
			own.TX = v
			l := NewLab(t, own)
			l.Rail.Hook = v.hook
			play(t, l, v)
			if t.Failed() {
				t.Fatalf("at %s", b)
			}
			if !v.reached() {
				break
			}
			places++
		}
	}
	if step == 1 && places < 50 {
		t.Errorf("only %d places were met", places)
	}
}

// play lets callers pay, approve and refund; when something fails they come again, to the process that took the place of the killed
// one.
func play(t *testing.T, l *Lab, v *victim) {
	t.Helper()
	v.armed = true
	err := script(l)
	v.armed = false
	if err != nil {
		if err := script(l); err != nil {
			t.Errorf("the second time: %v", err)
		}
	}
	for range 6 {
		l.pass(t, 5*time.Minute)
	}
	l.expect(t, 23, 0, 80, 0)
	taken := map[string]int64{}
	for _, e := range l.Rail.Books() {
		taken[string(e.Status)+" "+e.Payee] += e.Amount.Micros - e.Refunded
	}
	want := map[string]int64{"succeeded vendor.example": units(77).Micros, "declined declined.example": units(5).Micros}
	if len(l.Rail.Books()) != 3 || taken["succeeded vendor.example"] != want["succeeded vendor.example"] ||
		taken["declined declined.example"] != want["declined declined.example"] {
		t.Errorf("the rail's books: %+v", l.Rail.Books())
	}
	for key, want := range map[string]payment.Status{"a": payment.Succeeded, "b": payment.Failed, "c": payment.Succeeded} {
		rec, ok, err := l.Lookup(bg, l.Scope, key)
		must(t, err)
		if !ok {
			t.Fatalf("the act %s is gone", key)
		}
		p := l.of(t, rec.ID, want)
		if p.DueAt != nil || p.Refunding != 0 {
			t.Errorf("something is still open: %+v", p)
		}
		if n := len(l.Observer.States(rec.ID)); n != 1 && key != "c" || key == "c" && n != 2 { // c became Ready first
			t.Errorf("%s has ended %d times", key, n)
		}
	}
	if n := len(l.Trail.Of("transaction_completed")); n != 4 { // the deposit, two payments, a refund
		t.Errorf("%d movements are in the trail, want 4", n)
	}
	if n, err := l.store.Acts.InFlight(bg, l.Scope, gate.Unstarted{Agent: l.Purse}); err != nil || n != 0 {
		t.Errorf("%d acts have no end, %v", n, err)
	}
}

// script is what the callers want; each step may come again.
func script(l *Lab) error {
	a, err := l.Payments.Pay(bg, l.Scope, l.act("a", "vendor.example", 20))
	if err != nil {
		return err
	}
	if _, err := l.Payments.Pay(bg, l.Scope, l.act("b", "declined.example", 5)); err != nil {
		return err
	}
	c, err := l.Payments.Pay(bg, l.Scope, l.act("c", "vendor.example", 60))
	if err != nil {
		return err
	}
	if c.State == gate.Parked {
		if _, _, err := l.Approve(bg, l.Scope, c.Approval); err != nil && !errors.Is(err, policy.ErrDecided) {
			return err
		}
	}
	for range 2 { // the payments that were cut off have to be known before one is refunded
		l.Clock.Set(l.Clock.Now().Add(2 * time.Minute))
		if _, err := l.Payments.Reconcile(bg); err != nil {
			return err
		}
	}
	p, ok, err := l.Payments.Of(bg, l.Scope, a.ID)
	if err != nil {
		return err
	}
	if !ok || p.Status != payment.Succeeded {
		return fmt.Errorf("the payment is %q after all that time", p.Status)
	}
	_, err = l.Payments.Refund(bg, l.Scope, payment.RefundRequest{Payment: p.ID, Amount: units(3).Micros, Key: "r"})
	return err
}
