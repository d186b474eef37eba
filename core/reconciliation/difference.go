package reconciliation

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Kind names what is compared, and so what a Difference is about.
type Kind string

// The kinds. Those of the ledger itself concern its whole life, the others what happened in the period.
const (
	// EntryUnbalanced is an entry of the ledger whose lines do not sum to zero.
	EntryUnbalanced Kind = "entry_unbalanced"
	// CurrencyUnbalanced is a currency whose credits and debits differ.
	CurrencyUnbalanced Kind = "currency_unbalanced"
	// BelowZero is a wallet with less than nothing.
	BelowZero Kind = "below_zero"
	// AvailableDiffers is a wallet whose available money is not the sum of its lines.
	AvailableDiffers Kind = "available_differs"
	// HeldDiffers is a wallet whose held money is not the sum of its lines.
	HeldDiffers Kind = "held_differs"
	// HoldsDiffer is a wallet whose held money is not the sum of its open holds.
	HoldsDiffer Kind = "holds_differ"
	// BalanceDiffers is a wallet whose balance is not the one after its latest transaction.
	BalanceDiffers Kind = "balance_differs"

	// PaymentWithoutAct is a payment or a transfer between agents for which no act of the gate is there.
	PaymentWithoutAct Kind = "payment_without_act"
	// ActNotDone is an act that moved money and has not ended as done.
	ActNotDone Kind = "act_not_done"
	// DecisionNotAllow is an act that moved money, and whose decision does not allow it.
	DecisionNotAllow Kind = "decision_not_allow"
	// AmountDiffers is an act that moved another amount than was decided; over a rail, more.
	AmountDiffers Kind = "amount_differs"
	// ActWithoutPayment is a payment or transfer that is done and has moved nothing.
	ActWithoutPayment Kind = "act_without_payment"
	// EntryWithoutAudit is a movement of money that the audit trail does not know.
	EntryWithoutAudit Kind = "entry_without_audit"
	// AuditAmountDiffers is a movement of which the audit trail knows another amount.
	AuditAmountDiffers Kind = "audit_amount_differs"

	// CostWithoutUsage is a model call that settled a cost and has no usage row.
	CostWithoutUsage Kind = "cost_without_usage"
	// UsageWithoutAct is a usage row of an act that is not there.
	UsageWithoutAct Kind = "usage_without_act"
	// CostDiffers is a model call whose settled cost is not that of its usage row.
	CostDiffers Kind = "cost_differs"
	// SessionCostDiffers is a session that says it cost something else than the usage rows of its turns sum to.
	SessionCostDiffers Kind = "session_cost_differs"

	// HoldOverdue is an open hold whose time ran out a while ago.
	HoldOverdue Kind = "hold_overdue"
	// ActStuck is an act that began a while ago and has no end.
	ActStuck Kind = "act_stuck"
)

// Difference is one disagreement. The ids that are not zero say where it is.
type Difference struct {
	Kind     Kind
	Entry    id.LedgerEntry
	Act      id.Act
	Wallet   id.Wallet
	Agent    id.Agent
	Session  id.Session
	Usage    id.Usage
	Hold     id.Hold
	Currency money.Currency
	// Expected and Found say what the one book has and what the other. Amounts are decimals of Currency; "" is nothing at all.
	Expected string
	Found    string
}

// Period is a stretch of time: From is in it, To is not.
type Period struct{ From, To time.Time }

// Checked counts what was compared.
type Checked struct {
	Wallets  int64 // of the tenant
	Entries  int64 // of the ledger in the period, holds and releases included
	Acts     int64 // payments and transfers that were done in the period
	Usage    int64 // usage rows in the period
	Sessions int64 // with such rows
	Holds    int64 // open ones
}

// Report is the outcome of a reconciliation.
type Report struct {
	Period      Period
	Checked     Checked
	Differences []Difference
	Truncated   bool // there are more differences of a kind than Differences has
}

// OK reports whether everything agrees.
func (r Report) OK() bool { return len(r.Differences) == 0 }
