package wallet

import (
	"bytes"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Part names an account: two belong to a wallet, two to the outside world.
type Part string

// The accounts. Credits raise what an account holds, debits lower it; Source therefore ends below zero, by what came
// in.
const (
	Available Part = "available" // of a wallet: can be spent
	Held      Part = "held"      // of a wallet: reserved by open holds
	Source    Part = "source"    // of the tenant and currency: where deposits come from
	Sink      Part = "sink"      // of the tenant and currency: external payees
)

// ofWallet reports whether the part belongs to a wallet rather than to the outside world.
func (p Part) ofWallet() bool { return p == Available || p == Held }

// EntryKind says what an entry records.
type EntryKind string

// The kinds of entries. EntryHold and EntryRelease move money inside one wallet and are no transactions.
const (
	EntryDeposit  EntryKind = "deposit"
	EntryPayment  EntryKind = "payment"
	EntryRefund   EntryKind = "refund"
	EntryTransfer EntryKind = "transfer"
	EntrySweep    EntryKind = "sweep"
	EntryHold     EntryKind = "hold"
	EntryRelease  EntryKind = "release"
)

// Line moves one amount on one account.
type Line struct {
	Part   Part
	Owner  id.Agent // whose wallet, for Available and Held; zero is the tenant's own
	Amount int64    // micro-units: above zero is a credit, below zero a debit; never zero
	// Kind makes the line a Transaction of its wallet; "" is a line that no list shows.
	Kind        Kind
	Counterpart id.Agent // the other wallet's owner, where there is one
}

// Entry is one balanced movement. It never changes once posted.
type Entry struct {
	ID       id.LedgerEntry
	Tenant   id.Tenant
	Kind     EntryKind
	Currency money.Currency
	Act      id.Act // what the entry pays for; unique within the tenant, so an act pays once
	Key      string // the caller's own guard against repetition, unique within the tenant; "" is none
	Hold     id.Hold
	Refunds  id.LedgerEntry

	Payee       string
	Category    string
	Description string
	CreatedAt   time.Time

	lines []Line
}

// NewEntry returns e with its lines, or ErrUnbalanced: an entry has at least two lines, none of them zero, that sum to
// zero.
func NewEntry(e Entry, lines ...Line) (Entry, error) {
	var sum money.Amount
	for _, l := range lines {
		s, err := sum.Add(money.Of(l.Amount, ""))
		if err != nil {
			return Entry{}, err
		}
		sum = s
		if l.Amount == 0 || !l.Part.ofWallet() && (!l.Owner.IsZero() || l.Kind != "") {
			return Entry{}, ErrUnbalanced.Withf("a line on %s cannot be %+v", l.Part, l)
		}
	}
	if len(lines) < 2 || sum.Micros != 0 {
		return Entry{}, ErrUnbalanced.Withf("%d lines sum to %d", len(lines), sum.Micros)
	}
	e.lines = slices.Clone(lines)
	return e, nil
}

// Lines returns the entry's lines. The caller must not change them.
func (e Entry) Lines() []Line { return e.lines }

// Change is what an entry does to one wallet.
type Change struct {
	Owner     id.Agent
	Available int64 // micro-units, signed
	Held      int64
}

// Changes sums the lines by wallet, in the order of the owners' ids, which is the order in which stores lock wallets.
func (e Entry) Changes() []Change {
	var cs []Change
	for _, l := range e.lines {
		if !l.Part.ofWallet() {
			continue
		}
		i := slices.IndexFunc(cs, func(c Change) bool { return c.Owner == l.Owner })
		if i < 0 {
			i = len(cs)
			cs = append(cs, Change{Owner: l.Owner})
		}
		if l.Part == Held {
			cs[i].Held += l.Amount
		} else {
			cs[i].Available += l.Amount
		}
	}
	slices.SortFunc(cs, func(a, b Change) int { return compareOwners(a.Owner, b.Owner) })
	return cs
}

func compareOwners(a, b id.Agent) int {
	x, y := a.UUID(), b.UUID()
	return bytes.Compare(x[:], y[:])
}
