package remote

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository stores remote agents. Methods are safe for concurrent use and join the transaction in ctx; one that is missing or another
// tenant's is id.NotFound[id.RemoteAgentKind].
type Repository interface {
	// Insert stores a new one. ErrNameTaken; ErrTooMany when the tenant has as many as most already, also when several come at once.
	Insert(ctx context.Context, sc account.Scope, r Remote, most int) error
	// Get returns one.
	Get(ctx context.Context, sc account.Scope, remote id.RemoteAgent) (Remote, error)
	// ByAgent returns the one that an agent stands for; false when it stands for none.
	ByAgent(ctx context.Context, sc account.Scope, agent id.Agent) (Remote, bool, error)
	// List lists the tenant's, newest first.
	List(ctx context.Context, sc account.Scope, r page.Request) (page.Page[Remote], error)
	// Update locks one, lets the closure change it, and stores all but ID, Tenant, Agent and CreatedAt. An error of change is returned
	// and nothing is stored. ErrNameTaken.
	Update(ctx context.Context, sc account.Scope, remote id.RemoteAgent, change func(*Remote) error) (Remote, error)
	// Delete removes one with its history and its conversations.
	Delete(ctx context.Context, sc account.Scope, remote id.RemoteAgent) error
	// Claim returns at most limit, of every tenant, whose NextCheckAt has come by now, the longest overdue first, and sets it to next.
	// What one caller gets no other does.
	Claim(ctx context.Context, now, next time.Time, limit int) ([]Remote, error)
}

// History stores the changes of cards. Methods are safe for concurrent use and join the transaction in ctx.
type History interface {
	// Append adds a change and removes the oldest beyond keep.
	Append(ctx context.Context, sc account.Scope, remote id.RemoteAgent, c Change, keep int) error
	// List lists the changes, newest first; none for a remote agent that is not there.
	List(ctx context.Context, sc account.Scope, remote id.RemoteAgent, r page.Request) (page.Page[Change], error)
}

// Conversations stores conversations, by the agent that talks, or that stands for the one that is talked to, and a name of at most 512
// bytes. Methods are safe for concurrent use and join the transaction in ctx.
type Conversations interface {
	// Load returns one; false when there is none.
	Load(ctx context.Context, sc account.Scope, agent id.Agent, name string) (Conversation, bool, error)
	// Save stores one, in the place of what was there.
	Save(ctx context.Context, sc account.Scope, agent id.Agent, name string, c Conversation) error
	// Forget removes those of an agent.
	Forget(ctx context.Context, sc account.Scope, agent id.Agent) error
	// Prune removes, of every tenant, at most limit that were not used since before, and returns how many there were.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}
