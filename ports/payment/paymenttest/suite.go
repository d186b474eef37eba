package paymenttest

import (
	"errors"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
)

// World is a rail with what stands behind it.
type World struct {
	Rail payment.Rail
	// Charge is one that the rail pays, of at least 2.00; its Key is the suite's to choose, and so are its times.
	Charge payment.Charge
	// Decline changes a charge so that the rail declines it; nil when nothing can.
	Decline func(*payment.Charge)
	// Impossible changes a charge so that Check refuses it.
	Impossible func(*payment.Charge)
	// Moved returns how often money has left under a key, and how much in all, as the other side's books say.
	Moved func(key string) (times int, micros int64)
	// Fail makes the next call that reaches the other side fail, before it does anything or after.
	Fail func(Fault)
	// Unsure is how long after a try the rail cannot tell an absence from an order under way.
	Unsure time.Duration
	// Refunds says that money can come back.
	Refunds bool
	// Now is the rail's time.
	Now func() time.Time
}

// Config of the suite.
type Config struct {
	New func(t *testing.T) World // a rail with empty books
}

// Run demands of a rail what package payment promises.
func Run(t *testing.T, c Config) {
	for _, s := range []struct {
		name string
		do   func(t *testing.T, w World)
	}{
		{"once", testOnce},
		{"cut", testCut},
		{"declined", testDeclined},
		{"impossible", testImpossible},
		{"absent", testAbsent},
		{"refund", testRefund},
	} {
		t.Run(s.name, func(t *testing.T) { s.do(t, c.New(t)) })
	}
}

func (w World) charge(key string) payment.Charge {
	c := w.Charge
	c.Key = key
	c.First = w.Now()
	c.Last = c.First
	return c
}

func (w World) times(t *testing.T, key string, want int) {
	t.Helper()
	if n, _ := w.Moved(key); n != want {
		t.Errorf("money has left %d times under %s, want %d", n, key, want)
	}
}

func testOnce(t *testing.T, w World) {
	c := w.charge("once")
	first, err := w.Rail.Charge(t.Context(), c)
	if err != nil || first.Status != payment.Succeeded {
		t.Fatalf("charge: %+v, %v", first, err)
	}
	again, err := w.Rail.Charge(t.Context(), c)
	if err != nil || again.Status != payment.Succeeded || again.Reference != first.Reference {
		t.Errorf("charged again: %+v, %v; want %+v", again, err, first)
	}
	w.times(t, "once", 1)
	if _, micros := w.Moved("once"); micros != c.Amount.Micros {
		t.Errorf("%d micro-units have left, want %d", micros, c.Amount.Micros)
	}
	c.Reference = first.Reference
	if got, err := w.Rail.Lookup(t.Context(), c); err != nil || got.Status != payment.Succeeded ||
		got.Reference != "" && got.Reference != first.Reference {
		t.Errorf("looked up: %+v, %v", got, err)
	}
	if got, err := w.Rail.Charge(t.Context(), w.charge("other")); err != nil || got.Status != payment.Succeeded {
		t.Errorf("another key: %+v, %v", got, err)
	}
	w.times(t, "once", 1)
	w.times(t, "other", 1)
}

func testCut(t *testing.T, w World) {
	for _, f := range []Fault{Before, After} {
		key := map[Fault]string{Before: "before", After: "after"}[f]
		c := w.charge(key)
		w.Fail(f)
		if r, err := w.Rail.Charge(t.Context(), c); err == nil || errors.Is(err, payment.ErrDeclined) {
			t.Errorf("%s: a cut answer is %+v, %v; it leaves the outcome open", key, r, err)
		}
		if f == After {
			c.First = c.First.Add(-w.Unsure)
			c.Last = c.First
			if got, err := w.Rail.Lookup(t.Context(), c); err != nil || got.Status != payment.Succeeded {
				t.Errorf("%s: looked up: %+v, %v", key, got, err)
			}
		}
		if r, err := w.Rail.Charge(t.Context(), w.charge(key)); err != nil || r.Status != payment.Succeeded {
			t.Errorf("%s: charged again: %+v, %v", key, r, err)
		}
		w.times(t, key, 1)
	}
}

func testDeclined(t *testing.T, w World) {
	if w.Decline == nil {
		t.Skip("this rail declines nothing once it has been asked")
	}
	c := w.charge("declined")
	w.Decline(&c)
	for range 2 {
		if r, err := w.Rail.Charge(t.Context(), c); !errors.Is(err, payment.ErrDeclined) {
			t.Errorf("charge: %+v, %v; want ErrDeclined", r, err)
		}
	}
	w.times(t, "declined", 0)
	c.First, c.Last = c.First.Add(-w.Unsure), c.Last.Add(-w.Unsure)
	if got, err := w.Rail.Lookup(t.Context(), c); err != nil || got.Status != payment.Declined {
		t.Errorf("looked up: %+v, %v; want declined", got, err)
	}
}

func testImpossible(t *testing.T, w World) {
	if err := w.Rail.Check(w.charge("possible")); err != nil {
		t.Errorf("a charge that can be paid: %v", err)
	}
	c := w.charge("impossible")
	w.Impossible(&c)
	if err := w.Rail.Check(c); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a charge that cannot be paid: %v", err)
	}
	if _, err := w.Rail.Charge(t.Context(), c); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("charging it all the same: %v; want ErrDeclined", err)
	}
	w.times(t, "impossible", 0)
}

func testAbsent(t *testing.T, w World) {
	c := w.charge("absent")
	c.First, c.Last = c.First.Add(-w.Unsure), c.Last.Add(-w.Unsure)
	got, err := w.Rail.Lookup(t.Context(), c)
	if err != nil || got.Status != payment.Absent && got.Status != payment.Declined {
		t.Errorf("a charge that nobody has made: %+v, %v", got, err)
	}
	w.times(t, "absent", 0)
}

func testRefund(t *testing.T, w World) {
	c := w.charge("refund")
	paid, err := w.Rail.Charge(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.Reference = paid.Reference
	part := money.Of(money.MicrosPerUnit, c.Amount.Currency)
	r := payment.Refund{Key: "part", Charge: c, Amount: part}
	if !w.Refunds {
		if err := w.Rail.Refund(t.Context(), r); !errors.Is(err, payment.ErrNoRefunds) {
			t.Errorf("a refund: %v; want ErrNoRefunds", err)
		}
		return
	}
	for range 2 {
		if err := w.Rail.Refund(t.Context(), r); err != nil {
			t.Errorf("refund: %v", err)
		}
	}
	if got, err := w.Rail.Lookup(t.Context(), c); err != nil || got.Refunded != part {
		t.Errorf("looked up: %+v, %v; want %s back", got, err, part)
	}
	if err := w.Rail.Refund(t.Context(), payment.Refund{Key: "all", Charge: c, Amount: c.Amount}); !errors.Is(err, payment.ErrDeclined) {
		t.Errorf("a refund of more than is left: %v; want ErrDeclined", err)
	}
	if got, err := w.Rail.Lookup(t.Context(), c); err != nil || got.Refunded != part {
		t.Errorf("after a declined refund: %+v, %v", got, err)
	}
}
