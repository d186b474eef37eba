package gate

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

// Repository keeps the records of acts; see History for what it may offer beside. Calls join the transaction in ctx. A record that is missing or another tenant's is
// id.NotFound[id.ActKind].
type Repository interface {
	// Insert adds a record and reports whether it did: false when the tenant has a record of that key. It waits for a transaction
	// that is inserting the same key, so that of two exactly one succeeds.
	Insert(ctx context.Context, sc account.Scope, rec Record) (bool, error)
	// ByKey returns the record of a key; false when there is none.
	ByKey(ctx context.Context, sc account.Scope, key string) (Record, bool, error)
	// Get returns a record.
	Get(ctx context.Context, sc account.Scope, act id.Act) (Record, error)
	// Lock returns a record and keeps others from changing it until the transaction in ctx ends.
	Lock(ctx context.Context, sc account.Scope, act id.Act) (Record, error)
	// Update writes State, Decision, Output, Error, EndedAt and Reserved.
	Update(ctx context.Context, sc account.Scope, rec Record) error
	// Unstarted returns the Parked and Ready records that f chooses, by id, without locking them.
	Unstarted(ctx context.Context, sc account.Scope, f Unstarted) ([]Record, error)
	// InFlight counts the Started records that f chooses.
	InFlight(ctx context.Context, sc account.Scope, f Unstarted) (int, error)
}

// History is what a Repository may offer beside: with it, a cap that is set in the middle of a window holds for what was spent
// in that window before, deleting a policy and making it anew resets nothing, and policies can tell whom their scope has paid before.
type History interface {
	// Consumed returns what the acts of a scope have consumed of a measure in the window of a key: of payments and transfers what was
	// done, of models what the server's own calls consumed, and what acts that are under way have set aside in the counter of the key. Of
	// payments that are under way and have set nothing aside there, their amount counts as spent. Of a window that rolls there may be
	// several changes, to several buckets. Of a swarm the acts of those count who are members now.
	Consumed(ctx context.Context, sc account.Scope, s policy.Scope, m policy.Measure, k policy.Key) ([]policy.Counter, error)
	// Paid reports for each scope whether a payment or transfer to the same payee, as policy.PayeeKey has it, was done in it.
	Paid(ctx context.Context, sc account.Scope, payee string, scopes []policy.Scope) ([]bool, error)
}

// Unstarted chooses acts that wait; zero fields do not narrow.
type Unstarted struct {
	Agent   id.Agent
	Swarm   id.Swarm // of those who are members now
	Session id.Session
}

// Timekeeper tells the store's time, which is one for all processes. The stores of one process alone need none.
type Timekeeper interface {
	// Now returns the store's time; the transaction in ctx does not stop it.
	Now(ctx context.Context) (time.Time, error)
}

// Doors takes the locks on standing and reads what they guard in one go, where asking a store once for each takes longer.
type Doors interface {
	// Enter does, in this order: Tenants.LockStanding, Standings.LockStanding of each of agents, Policies.Applicable for w with the swarm of
	// w.Agent, whatever w says of it, and Timekeeper.Now. id.NotFound of the first agent that the tenant has not.
	Enter(ctx context.Context, sc account.Scope, agents []id.Agent, w policy.Whom) (Entered, error)
}

// Entered is what Enter has found.
type Entered struct {
	Tenant   account.Standing
	Agents   []agent.StandingInfo // in the order asked for
	Policies []policy.Policy
	At       time.Time
}

// Swarms is the part of core/swarm's repository that decides whether a swarm's agents may act.
type Swarms interface {
	// SetStanding waits for every holder of the standing of an agent of the swarm, sets that of the swarm, Active or Frozen, for all of
	// them and for those who join later, and returns whether it was another one before, and the members that are not archived, in order
	// of id. id.NotFound of a swarm that the tenant has not.
	SetStanding(ctx context.Context, sc account.Scope, swarm id.Swarm, to agent.Standing) (changed bool, members []id.Agent, err error)
}

// Tenants is the part of core/account's repository that decides whether a tenant's agents may act.
type Tenants interface {
	// LockStanding returns the standing of the tenant of sc and keeps it from changing until the transaction in ctx ends. Several
	// transactions may hold it at once.
	LockStanding(ctx context.Context, sc account.Scope) (account.Standing, error)
	// SetStanding waits for every holder of LockStanding, changes the standing and reports whether it was another one before.
	SetStanding(ctx context.Context, sc account.Scope, to account.Standing) (bool, error)
}
