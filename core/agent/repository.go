package agent

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository keeps agents and their versions. Every method joins the transaction in ctx. An agent that does not exist, or
// belongs to another tenant, is id.NotFound[id.AgentKind].
type Repository interface {
	// Insert stores a new agent and its first version; ErrExists when the id is taken.
	Insert(ctx context.Context, sc account.Scope, a Agent) error
	// Get returns the current version. It is the hottest read of the server: one indexed row.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (Agent, error)
	// GetVersion returns one version, the current one included; ErrVersionNotFound when the agent has no such version.
	GetVersion(ctx context.Context, sc account.Scope, agent id.Agent, version int) (Agent, error)
	// Versions lists every version, newest first.
	Versions(ctx context.Context, sc account.Scope, agent id.Agent, req page.Request) (page.Page[Agent], error)
	// List lists agents, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Agent], error)
	// Update locks the agent, calls change with its current version, and stores what change made of it: when change raised
	// Version, Config as that new version; Standing, Swarm and ArchivedAt in any case. An error of change stores nothing and is
	// returned. It returns the agent as stored.
	Update(ctx context.Context, sc account.Scope, agent id.Agent, change func(a *Agent) error) (Agent, error)
	// CountLive counts the agents that are not archived. Inside a transaction it locks out other callers for the same tenant until
	// that ends, so that a limit checked against the count holds.
	CountLive(ctx context.Context, sc account.Scope) (int, error)
}

// Standings is the part of the store that decides whether agents may act. Every method must be called inside a transaction,
// whose end releases its locks. An unknown agent is id.NotFound[id.AgentKind].
type Standings interface {
	// LockStanding returns an agent's standing and keeps it from changing until the transaction ends. Several transactions may
	// hold it at once.
	LockStanding(ctx context.Context, sc account.Scope, agent id.Agent) (StandingInfo, error)
	// SetStanding waits for every holder of LockStanding, then sets the agent's own standing, Active or Frozen, and returns the one
	// before. ErrArchived when the agent is archived. While its swarm is frozen it stays Frozen to everybody else.
	SetStanding(ctx context.Context, sc account.Scope, agent id.Agent, to Standing) (was Standing, err error)
	// SetSwarm waits like SetStanding, puts the agent into a swarm, frozen when that is, out of the one that it was in, and returns
	// that one; zero takes it out. ErrArchived when it is archived. The caller holds the swarm, so that its standing cannot change.
	SetSwarm(ctx context.Context, sc account.Scope, agent id.Agent, swarm id.Swarm, frozen bool) (was id.Swarm, err error)
	// Members returns the agents of a swarm that are not archived, in order of id.
	Members(ctx context.Context, sc account.Scope, swarm id.Swarm) ([]id.Agent, error)
}

// Graves is the part of the store that takes agents out of existence. Methods join the transaction in ctx.
type Graves interface {
	// Destroy waits for every holder of LockStanding and removes the agent with its versions: from then on it is
	// id.NotFound[id.AgentKind] to every method of Repository and Standings, in no list, and its name and its slot of the plan are
	// free. What others keep under its id stays. It returns the agent as it was.
	Destroy(ctx context.Context, sc account.Scope, agent id.Agent, at time.Time) (Agent, error)
	// Unswept returns agents of every tenant that were destroyed before the given time and are not Swept, at most limit.
	Unswept(ctx context.Context, before time.Time, limit int) ([]Ref, error)
	// Swept records that nothing of a destroyed agent is left.
	Swept(ctx context.Context, sc account.Scope, agent id.Agent, at time.Time) error
}

// Ref names an agent with its tenant.
type Ref struct {
	Tenant id.Tenant
	Agent  id.Agent
}

// ListRequest asks for a page of agents. The zero value is the first page of all that are not archived. Its pages may be asked for by
// Request.Offset and Request.Count, too.
type ListRequest struct {
	page.Request
	Name     string    // exactly this name, whatever the case; "" any
	Search   string    // part of the name, whatever the case; "" any
	Archived bool      // archived agents too
	Standing Standing  // of this standing only, Archived without Archived too; "" any
	Swarm    id.Swarm  // members only; zero any
	From     time.Time // created at or after; zero any
	Until    time.Time // created before; zero any
}
