package payment

import (
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
)

// Status is how far a payment came.
type Status string

// The statuses of a payment. Succeeded and Failed are ends.
const (
	Pending   Status = "pending"   // the rail is being asked, or is carrying it out
	Unknown   Status = "unknown"   // the rail has not said what became of it; the money stays held
	Succeeded Status = "succeeded" // the money has moved
	Failed    Status = "failed"    // no money has moved, and none will
)

// Payment is one payment over a rail, from the moment it may leave.
type Payment struct {
	ID      id.Payment
	Tenant  id.Tenant
	Act     id.Act
	Agent   id.Agent
	Session id.Session // zero for a payment by API

	Rail        string
	Amount      money.Amount // what was authorised and held
	Paid        int64        // micro-units that the rail took; 0 unless Succeeded
	Refunded    int64        // micro-units of Paid that have come back
	Refunding   int64        // what Refunded will be once the rail has given back what was asked for; 0 is nothing asked
	RefundKey   string       // the caller's key of the last refund
	Payee       string
	Description string
	Target      json.RawMessage // what the rail needs beside; an object or nil

	Status    Status
	Hold      id.Hold
	Entry     id.LedgerEntry  // the captured payment in the ledger; zero unless Succeeded
	Reference string          // the rail's own id; "" while it has said none
	Result    json.RawMessage // what the payee gave in return; nil is nothing
	Error     string          // why it failed, or what keeps its outcome open

	Attempts int        // how often the rail was asked to charge
	Asked    int        // how often it was asked since, in vain
	DueAt    *time.Time // when the rail is to be asked, and until then the lease of who does; nil when nothing is open
	LastAt   time.Time  // when it was last asked to charge

	CreatedAt time.Time
	EndedAt   *time.Time // nil while Pending or Unknown
}

// The labels by which messages of a rail's provider find the payment.
const (
	labelTenant  = "bureau_tenant"
	labelPayment = "bureau_payment"
	labelAct     = "bureau_act"
)

// Key returns the key under which a rail charges for an act.
func Key(act id.Act) string { return "bureau-" + act.UUID().String() }

// charge returns the order to the rail, the same at every attempt but for its times.
func (p Payment) charge() payment.Charge {
	return payment.Charge{
		Key: Key(p.Act), Amount: p.Amount, Payee: p.Payee, Description: p.Description, Target: p.Target,
		Labels: map[string]string{
			labelTenant: p.Tenant.UUID().String(), labelPayment: p.ID.UUID().String(), labelAct: p.Act.UUID().String(),
		},
		First: p.CreatedAt, Last: p.LastAt, Reference: p.Reference,
	}
}

func (p Payment) money(micros int64) money.Amount { return money.Of(micros, p.Amount.Currency) }
