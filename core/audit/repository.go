package audit

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository stores the trail. Every method joins the transaction in ctx and sees the scope's tenant only. Nothing
// deletes or changes an entry, but for Seal.
type Repository interface {
	// Insert stores an entry that is not sealed.
	Insert(ctx context.Context, sc account.Scope, e Entry) error
	// Get returns a sealed entry, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, e id.AuditEntry) (Entry, error)
	// List returns sealed entries, the highest Seq first. It knows the Offset and the Count of f.Page.
	List(ctx context.Context, sc account.Scope, f Filter) (page.Page[Entry], error)
	// Range returns sealed entries with after < Seq <= upTo in ascending order, at most limit.
	Range(ctx context.Context, sc account.Scope, after, upTo int64, limit int) ([]Entry, error)
	// Chain returns how far the trail is sealed; a tenant without entries has Chain{0, Genesis}.
	Chain(ctx context.Context, sc account.Scope) (Chain, error)
}

// SealRepository is what the sealer needs of a store.
type SealRepository interface {
	// Pending reports whether committed entries of the tenant wait to be sealed. It takes no lock.
	Pending(ctx context.Context, sc account.Scope) (bool, error)
	// LockChain is Chain, and keeps other sealers of the tenant out until the transaction ends.
	LockChain(ctx context.Context, sc account.Scope) (Chain, error)
	// Unsealed returns entries that wait to be sealed, in the order of their ids, at most limit.
	Unsealed(ctx context.Context, sc account.Scope, limit int) ([]Entry, error)
	// Seal stores Seq, PrevHash and Hash of the entries, and the chain.
	Seal(ctx context.Context, sc account.Scope, es []Entry, c Chain) error
	// PendingTenants returns tenants with entries that wait to be sealed, at most limit.
	PendingTenants(ctx context.Context, limit int) ([]id.Tenant, error)
}

// Filter chooses entries of a list. Zero fields choose all.
type Filter struct {
	Agent  id.Agent
	Action string
	Key    id.APIKey // what was done with this key only
	System bool      // what the server did by itself only
	Since  time.Time // inclusive
	Until  time.Time // exclusive
	Page   page.Request
}
