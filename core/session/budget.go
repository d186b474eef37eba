package session

import (
	"context"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// microsPerCent converts between the units of Budget.Cents and of money.Amount.
const microsPerCent = money.MicrosPerUnit / 100

// Amount spells the budget's amount as its client does: in dollars, or in cents.
func (b Budget) Amount() string {
	if b.Cents {
		return strconv.FormatInt(b.MaxListCost.Micros/microsPerCent, 10)
	}
	return b.MaxListCost.Decimal()
}

// ParseBudget reads an amount of a client. One with a point, "25.00", is in dollars, as everywhere in Bureau's API; a whole number,
// "2500", is in cents, as the official client libraries spell it. Mistaking one for the other would be a hundredfold, and this way
// errs to the safe side.
func ParseBudget(amount, currency string) (Budget, error) {
	if currency != string(money.USD) {
		return Budget{}, fault.Invalidf("budget.max_list_cost.currency", "must be USD")
	}
	b := Budget{Cents: !strings.Contains(amount, ".")}
	if b.Cents {
		n, err := strconv.ParseInt(amount, 10, 64)
		if err != nil || n > maxBudgetCents || strings.HasPrefix(amount, "+") {
			return Budget{}, fault.Invalidf("budget.max_list_cost.amount", "must be a whole number of cents, or a decimal number of dollars with a point")
		}
		b.MaxListCost = money.Of(n*microsPerCent, money.USD)
	} else {
		m, err := money.Parse(amount, money.USD)
		if err != nil || m.Micros > maxBudgetCents*microsPerCent {
			return Budget{}, fault.Invalidf("budget.max_list_cost.amount", "must be a whole number of cents, or a decimal number of dollars with a point")
		}
		b.MaxListCost = m
	}
	return b, CheckBudget(&b)
}

// maxBudgetCents is a million dollars: what is above cannot be counted in pico-dollars.
const maxBudgetCents = 100_000_000

// Spending is what a session and those that work for it have spent.
type Spending struct {
	Budget *Budget // of the session; nil: none
	// Cost is at list prices, with what calls that were cut off have cost at most. Reserved is what the model calls under way may
	// cost at most.
	Cost     money.Pico
	Reserved money.Pico
}

// left returns how much of a budget is neither spent nor reserved; it may be negative.
func (s Spending) left(b Budget) money.Pico {
	return money.Pico(b.MaxListCost.Micros*money.PicosPerMicro) - s.Cost - s.Reserved
}

// within reports whether b is above what is spent and reserved.
func (s Spending) within(b Budget) bool { return s.left(b) > 0 }

// Spendings adds up what sessions cost.
type Spendings interface {
	// Spent locks a session of its own and returns what it has spent, together with the sessions that work for it. Nobody else reserves
	// or spends from its budget before the transaction in ctx ends. It returns id.NotFound.
	Spent(ctx context.Context, sc account.Scope, root id.Session) (Spending, error)
	// Leave notes acts that were under way in turns that were ended from outside. Each is settled once, by whoever knows what it cost,
	// or after Due.
	Leave(ctx context.Context, sc account.Scope, ends []LooseEnd) error
	// Settle removes a note and adds used to the session's sums; false: it was settled already, or there never was one.
	Settle(ctx context.Context, sc account.Scope, key id.Event, used Usage) (bool, error)
	// Overdue lists notes, across tenants, whose time has come; the lease says what time it is.
	Overdue(ctx context.Context, lease Lease, limit int) ([]LooseEnd, error)
}

// LooseEnd is an act that nobody has settled, in a turn that is over.
type LooseEnd struct {
	Tenant  id.Tenant
	Session id.Session
	// Key is the gate's key of the act: the start of a model call, or a tool use.
	Key id.Event
	// Reserved is what it may have cost at most, in a session with a budget.
	Reserved money.Pico
	Turn     id.Turn // whose lease says whether somebody may still settle it
}
