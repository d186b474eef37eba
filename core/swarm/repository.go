package swarm

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository keeps swarms. Methods join the transaction in ctx. A swarm that is missing or another tenant's is
// id.NotFound[id.SwarmKind].
type Repository interface {
	// Insert stores a new swarm and reports whether it did: false when its slug is taken.
	Insert(ctx context.Context, sc account.Scope, s Swarm) (bool, error)
	// Get returns a swarm.
	Get(ctx context.Context, sc account.Scope, swarm id.Swarm) (Swarm, error)
	// List lists swarms, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Swarm], error)
	// Lock returns a swarm and keeps its standing and who belongs to it from changing until the transaction ends.
	Lock(ctx context.Context, sc account.Scope, swarm id.Swarm) (Swarm, error)
	// Update stores Name, Slug, Description, Icon and UpdatedAt of a locked swarm; ErrSlugTaken.
	Update(ctx context.Context, sc account.Scope, s Swarm) error
	// Delete takes every agent out of a locked swarm, archived ones too, and removes it.
	Delete(ctx context.Context, sc account.Scope, swarm id.Swarm) error
}

// ListRequest asks for a page of swarms. The zero value is the first page of all. Pages may be asked for by Request.Offset and
// Request.Count, too.
type ListRequest struct {
	page.Request
	Slug     string   // exactly this one; "" any
	Search   string   // part of the name, whatever the case; "" any
	Standing Standing // "" any
}

// Members is the part of core/agent's store that knows who belongs to which swarm.
type Members interface {
	// SetSwarm puts an agent into a swarm; see agent.Standings.
	SetSwarm(ctx context.Context, sc account.Scope, agent id.Agent, swarm id.Swarm, frozen bool) (was id.Swarm, err error)
	// Members returns the agents of a swarm that are not archived, in order of id.
	Members(ctx context.Context, sc account.Scope, swarm id.Swarm) ([]id.Agent, error)
}

// Agents reads agents; app wires core/agent.
type Agents interface {
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// Trail is where the life of swarms is noted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Dependent is what lives by a swarm and goes with it: its knowledge, its policies.
type Dependent interface {
	// ForgetSwarm removes what it has of a swarm that is being deleted, in the transaction of ctx. Having nothing is no error.
	ForgetSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error
}
