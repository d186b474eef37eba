package hosting

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Repository keeps deployments, one row for each agent that is or was hosted. Methods join the transaction in ctx; an agent without a row
// is no error to any.
type Repository interface {
	// Get returns the deployment of an agent, that of New when it has no row.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (Deployment, error)
	// Find returns those of agents that have rows.
	Find(ctx context.Context, sc account.Scope, agents []id.Agent) (map[id.Agent]Deployment, error)
	// Update locks the deployment of an agent, calls change with it, that of New when there is none, and stores what change made of it.
	// An error of change stores nothing and is returned. It returns the deployment as stored. Who may make a row holds the agent, so that
	// it is not being destroyed.
	Update(ctx context.Context, sc account.Scope, agent id.Agent, change func(d *Deployment) error) (Deployment, error)
	// Remove deletes the deployment of an agent.
	Remove(ctx context.Context, sc account.Scope, agent id.Agent) error
	// CountRunning counts the deployments of sc's tenant that are Running.
	CountRunning(ctx context.Context, sc account.Scope) (int, error)
}

// Sites keeps who supervises which site, and what is measured there. Methods join the transaction in ctx.
type Sites interface {
	// Claim gives a site to owner until the given time, anew or again, and reports whether it did: false while another owner's claim
	// is good at now. With force it takes it from any other.
	Claim(ctx context.Context, site, owner string, now, until time.Time, force bool) (bool, error)
	// Release ends the claim of owner, if it has it.
	Release(ctx context.Context, site, owner string) error
	// Claimed reports whether somebody's claim of the site is good at now.
	Claimed(ctx context.Context, site string, now time.Time) (bool, error)
	// At returns what is to be known of every deployment of a site, of all tenants, in no order; of one agent's alone unless only is zero.
	At(ctx context.Context, site string, only id.Agent) ([]Placed, error)
	// Measure keeps the last measurement of each of the agents; those that have no row are left out.
	Measure(ctx context.Context, site string, all []Measured) error
	// Measured returns the last measurement of an agent; false when there is none.
	Measured(ctx context.Context, sc account.Scope, agent id.Agent) (Measured, bool, error)
}

// Placed is a deployment as its supervisor looks at it again and again.
type Placed struct {
	Tenant     id.Tenant
	Agent      id.Agent
	Desired    Desired
	Status     Status
	Generation int64
	RetryAt    time.Time
	Own        bool // it has a program of its own
	// Held says that the agent may not run whatever is desired: it is archived, or it is frozen and has a program of its own.
	Held bool
}

// wants reports whether an instance shall run.
func (p Placed) wants() bool { return p.Desired == DesiredRunning && p.Status != Error && !p.Held }
