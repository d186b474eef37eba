package account

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// TenantRepository keeps tenants. Implementations are safe for concurrent use; calls join the transaction in ctx.
type TenantRepository interface {
	// InsertTenant adds t. A second operator's tenant, or an id that exists, is ErrDuplicate.
	InsertTenant(ctx context.Context, t Tenant) error
	// Tenant returns the tenant of sc, or id.NotFound.
	Tenant(ctx context.Context, sc Scope) (Tenant, error)
	// OperatorTenant returns the operator's own tenant; false when there is none yet.
	OperatorTenant(ctx context.Context) (Tenant, bool, error)
	// Tenants returns every tenant, oldest first. Background work walks them.
	Tenants(ctx context.Context) ([]Tenant, error)
	// SetPlan changes the plan of the tenant of sc.
	SetPlan(ctx context.Context, sc Scope, plan Plan) error
	// LockStanding returns the standing of sc's tenant and keeps it from changing until the transaction in ctx ends. Several
	// transactions may hold it at once; SetStanding waits for all of them.
	LockStanding(ctx context.Context, sc Scope) (Standing, error)
	// SetStanding changes the standing, and reports whether it was another one before.
	SetStanding(ctx context.Context, sc Scope, standing Standing) (bool, error)
}

// StoredKey is a key with the hash of its secret.
type StoredKey struct {
	Key
	Hash Hash
}

// Holder is what authentication needs to know at once.
type Holder struct {
	Key    StoredKey
	Tenant Tenant
}

// KeyRepository keeps API keys. Implementations are safe for concurrent use; calls join the transaction in ctx.
type KeyRepository interface {
	// InsertKey adds a key in sc's tenant. An id or a hash that exists, in whichever tenant, is ErrDuplicate.
	InsertKey(ctx context.Context, sc Scope, key StoredKey) error
	// KeyByHash returns the key with that hash and its tenant, whatever its state; false when there is none.
	KeyByHash(ctx context.Context, hash Hash) (Holder, bool, error)
	// Keys lists the keys of sc's tenant that are not revoked, newest first. Those that a sign-in made are gone once they have expired.
	Keys(ctx context.Context, sc Scope, req page.Request, now time.Time) (page.Page[Key], error)
	// RevokeKey marks a key and returns it. A key that is missing, another tenant's or revoked already is id.NotFound.
	RevokeKey(ctx context.Context, sc Scope, key id.APIKey, at time.Time) (StoredKey, error)
	// RestoreBootstrap makes the key with that hash, which must be in sc's tenant, a usable bootstrap key with Admin.
	RestoreBootstrap(ctx context.Context, sc Scope, hash Hash) error
	// RevokeBootstrap revokes the bootstrap keys of sc's tenant but the one with the hash keep, and returns them.
	RevokeBootstrap(ctx context.Context, sc Scope, keep Hash, at time.Time) ([]StoredKey, error)
	// TouchKeys notes when keys were last used; a time before the stored one changes nothing.
	TouchKeys(ctx context.Context, used map[id.APIKey]time.Time) error
}
