package paymenttest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"sync"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
)

// ErrCut is what a call returns whose answer got lost.
var ErrCut = errors.New("paymenttest: the connection was cut")

// Fault makes a call of the fake fail.
type Fault int

// The faults of a call.
const (
	None   Fault = iota
	Before       // the call does not reach the rail
	After        // the rail does its work, and the answer gets lost
)

// Entry is one charge in the fake's books.
type Entry struct {
	payment.Charge

	Status   payment.Status
	Refunded int64 // micro-units
	Reason   string
}

// Fake is a rail that keeps its books in memory. Payees "declined.example" are refused, payees "slow.example" stay pending until
// Finish. It is safe for concurrent use.
type Fake struct {
	// Hook is called at the beginning of each call of "charge", "lookup" and "refund", and says what goes wrong; nil is nothing. It
	// must not call the fake, and is not changed while calls are under way.
	Hook func(op, key string) Fault

	name    string
	mu      sync.Mutex
	books   map[string]*Entry
	refunds map[string]bool
	moved   int // how often money left
	calls   map[string]int
}

var _ payment.Rail = (*Fake)(nil)

// New returns a rail of this name with empty books.
func New(name string) *Fake {
	return &Fake{name: name, books: map[string]*Entry{}, refunds: map[string]bool{}, calls: map[string]int{}}
}

// Name implements payment.Rail.
func (f *Fake) Name() string { return f.name }

// Check implements payment.Rail: the fake pays everybody in whole cents.
func (f *Fake) Check(c payment.Charge) error {
	switch {
	case c.Payee == "":
		return fault.Invalidf("payee", "is required")
	case c.Amount.Micros%10_000 != 0:
		return fault.Invalidf("amount", "must be in whole cents")
	}
	return nil
}

// Charge implements payment.Rail.
func (f *Fake) Charge(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	fails, err := f.enter(ctx, "charge", c.Key)
	if err != nil {
		return payment.Receipt{}, err
	}
	if err := f.Check(c); err != nil {
		return payment.Receipt{}, payment.ErrDeclined.Wrap(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.books[c.Key]
	switch {
	case ok && (e.Amount != c.Amount || e.Payee != c.Payee):
		return payment.Receipt{}, errors.New("paymenttest: the key belongs to another charge")
	case !ok:
		e = &Entry{Charge: c, Status: payment.Succeeded}
		e.Reference = "fake_" + strconv.Itoa(len(f.books)+1)
		f.books[c.Key] = e
		switch c.Payee {
		case "declined.example":
			e.Status, e.Reason = payment.Declined, "the fake declines"
		case "slow.example":
			e.Status = payment.Pending
		default:
			f.moved++
		}
	}
	if fails == After {
		return payment.Receipt{}, ErrCut
	}
	if e.Status == payment.Declined {
		return payment.Receipt{}, payment.ErrDeclined.Withf("%s", e.Reason)
	}
	return e.receipt(), nil
}

// Lookup implements payment.Rail.
func (f *Fake) Lookup(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	fails, err := f.enter(ctx, "lookup", c.Key)
	if err != nil || fails == After {
		return payment.Receipt{}, errors.Join(err, ErrCut)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.books[c.Key]; ok {
		return e.receipt(), nil
	}
	return payment.Receipt{Status: payment.Absent}, nil
}

// Refund implements payment.Rail.
func (f *Fake) Refund(ctx context.Context, r payment.Refund) error {
	fails, err := f.enter(ctx, "refund", r.Key)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.books[r.Charge.Key]
	switch {
	case !ok || e.Status != payment.Succeeded:
		return payment.ErrDeclined.Withf("there is no such charge")
	case f.refunds[r.Key]:
	case e.Refunded+r.Amount.Micros > e.Amount.Micros:
		return payment.ErrDeclined.Withf("more than was paid")
	default:
		f.refunds[r.Key] = true
		e.Refunded += r.Amount.Micros
	}
	if fails == After {
		return ErrCut
	}
	return nil
}

func (e *Entry) receipt() payment.Receipt {
	r := payment.Receipt{Status: e.Status, Reference: e.Reference, Refunded: money.Of(e.Refunded, e.Amount.Currency), Reason: e.Reason}
	if e.Status == payment.Succeeded {
		r.Amount, r.Result = e.Amount, json.RawMessage(`{"paid":true}`)
	}
	return r
}

func (f *Fake) enter(ctx context.Context, op, key string) (Fault, error) {
	f.mu.Lock()
	f.calls[op]++
	hook := f.Hook
	f.mu.Unlock()
	fails := None
	if hook != nil {
		fails = hook(op, key)
	}
	if err := ctx.Err(); err != nil {
		return fails, err
	}
	if fails == Before {
		return fails, ErrCut
	}
	return fails, nil
}

// Finish ends a pending charge.
func (f *Fake) Finish(key string, s payment.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.books[key]
	if !ok || e.Status != payment.Pending {
		return
	}
	e.Status = s
	if s == payment.Succeeded {
		f.moved++
	}
}

// Return gives money back as if the payee had done so by itself.
func (f *Fake) Return(key string, micros int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e, ok := f.books[key]; ok {
		e.Refunded += micros
	}
}

// Books returns the charges by key.
func (f *Fake) Books() map[string]Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]Entry{}
	for k, e := range f.books {
		c := *e
		c.Labels = maps.Clone(e.Labels)
		out[k] = c
	}
	return out
}

// Moved returns how often money left.
func (f *Fake) Moved() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved
}

// Calls returns how often "charge", "lookup" or "refund" was called.
func (f *Fake) Calls(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}
