package payment

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository keeps payments. Calls join the transaction in ctx. A payment that is missing or another tenant's is
// id.NotFound[id.PaymentKind].
type Repository interface {
	// Insert stores a payment; an act has one.
	Insert(ctx context.Context, sc account.Scope, p Payment) error
	// Get returns a payment.
	Get(ctx context.Context, sc account.Scope, payment id.Payment) (Payment, error)
	// Find returns the payment of an act, or the one that a ledger entry captured; false when there is none. One of the ids is set.
	Find(ctx context.Context, sc account.Scope, act id.Act, entry id.LedgerEntry) (Payment, bool, error)
	// Lock returns a payment and keeps others from changing it until the transaction in ctx ends.
	Lock(ctx context.Context, sc account.Scope, payment id.Payment) (Payment, error)
	// Update writes everything that changes after Insert: from Paid to RefundKey, and from Status on but for CreatedAt.
	Update(ctx context.Context, sc account.Scope, p Payment) error
	// List returns a tenant's payments, newest first.
	List(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Payment], error)
	// Due returns payments of every tenant whose DueAt is not after now, the longest due first, at most limit.
	Due(ctx context.Context, now time.Time, limit int) ([]Payment, error)
}

// Filter chooses payments; zero fields do not narrow.
type Filter struct {
	Agent  id.Agent
	Status Status
	Rail   string
}

// Approved finds payments over rails that a person has approved and nobody has begun.
type Approved interface {
	// ApprovedOverRail returns such acts of every tenant that belong to no session, the oldest first, at most limit.
	ApprovedOverRail(ctx context.Context, limit int) ([]gate.Record, error)
}
