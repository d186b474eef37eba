package task

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// scope is on whose behalf a call is made.
type scope = account.Scope

// Repository keeps runs. Calls join the transaction in ctx. Implementations are safe for concurrent use.
type Repository interface {
	// Insert adds a run that has not ended; ErrExists for an id that is taken.
	Insert(ctx context.Context, sc account.Scope, r Run) error
	// Get returns a run, or id.NotFound of one that is missing or another tenant's.
	Get(ctx context.Context, sc account.Scope, run id.Run) (Run, error)
	// List lists runs, newest first, by cursor or by Offset and Count.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Run], error)
	// Lock returns a run that has not ended, and keeps others from changing it until the transaction ends; false when there is none.
	Lock(ctx context.Context, sc account.Scope, run id.Run) (Run, bool, error)
	// Save stores Status, Summary, Error, Rule, Credits, Acts, Pending, StartedAt and CompletedAt of a locked run. Of the statuses only
	// the final ones are kept.
	Save(ctx context.Context, sc account.Scope, r Run) error
	// Known returns which of sessions are runs.
	Known(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session]bool, error)
	// Remove forgets the runs of an agent and returns how many there were.
	Remove(ctx context.Context, sc account.Scope, agent id.Agent) (int, error)
}

// Acts reads what the acts of runs come to.
type Acts interface {
	// Facts returns what the acts of a run, in all of its threads, come to. Acts that were cancelled together with their turn are no
	// refusal.
	Facts(ctx context.Context, sc account.Scope, run id.Run) (Facts, error)
	// Stalled lists runs, of every tenant, whose agent waits for a client.
	Stalled(ctx context.Context, limit int) ([]Stall, error)
	// Decided lists runs, of every tenant, whose start waited for an approval and waits no more.
	Decided(ctx context.Context, limit int) ([]Run, error)
}

// Stall is a run whose agent waits for a client.
type Stall struct {
	Tenant id.Tenant
	Run    id.Run
	Tool   string // that a client is to answer
}

// ListRequest chooses runs of an agent.
type ListRequest struct {
	Agent  id.Agent
	Status Status // "": any
	Page   page.Request
}
