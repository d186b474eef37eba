package environment

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository keeps environments. Every method joins the transaction in ctx. An environment that does not exist, or belongs to another
// tenant, is id.NotFound[id.EnvironmentKind].
type Repository interface {
	// Insert stores a new environment; ErrExists when the id is taken.
	Insert(ctx context.Context, sc account.Scope, e Environment) error
	// Get returns an environment.
	Get(ctx context.Context, sc account.Scope, environment id.Environment) (Environment, error)
	// Hold returns an environment and keeps it from being changed or deleted until the transaction ends; several transactions may hold
	// it at once. It must be called inside one.
	Hold(ctx context.Context, sc account.Scope, environment id.Environment) (Environment, error)
	// List lists environments, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Environment], error)
	// Update waits for every holder, locks the environment, calls change with it, and stores what change made of it, except ID, Tenant
	// and CreatedAt. An error of change stores nothing and is returned. It returns the environment as stored.
	Update(ctx context.Context, sc account.Scope, environment id.Environment, change func(e *Environment) error) (Environment, error)
	// Delete waits for every holder, locks the environment, calls last, and removes it unless that returns an error.
	Delete(ctx context.Context, sc account.Scope, environment id.Environment, last func(ctx context.Context) error) error
}

// ListRequest asks for a page of environments. The zero value is the first page of all that are not archived.
type ListRequest struct {
	page.Request
	Archived bool // archived environments too
}
