package a2a

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Peers keeps who talks to agents. Methods join the transaction in ctx and are safe for concurrent use.
type Peers interface {
	// Lock returns a peer, p itself if the agent has not talked to it, which is stored then, and keeps others from changing it until the
	// transaction in ctx ends.
	Lock(ctx context.Context, sc account.Scope, p Peer) (Peer, error)
	// Save stores Store of a locked peer.
	Save(ctx context.Context, sc account.Scope, p Peer) error
	// RemoveAll removes all that is this package's of an agent, and returns the memory stores of its peers.
	RemoveAll(ctx context.Context, sc account.Scope, of id.Agent) ([]id.MemoryStore, error)
	// Session returns where a context of a peer goes on; false: there is no such context.
	Session(ctx context.Context, sc account.Scope, who Who, name string) (id.Session, bool, error)
	// SetSession says where a context of a locked peer goes on.
	SetSession(ctx context.Context, sc account.Scope, who Who, name string, session id.Session) error
}

// Tasks keeps tasks. Those whose session was deleted are not there. Methods join the transaction in ctx and are safe for concurrent use.
type Tasks interface {
	// Insert adds a task.
	Insert(ctx context.Context, sc account.Scope, t Task) error
	// Get returns a task of a tenant, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, task id.Turn) (Task, error)
	// Move changes the task of a turn: State, Reason, Rule and UpdatedAt are replaced, FirstSeq and LastSeq where t's are not 0. It returns
	// the task as it is then, also of a deleted session; false: the task has ended, or there is none, and nothing is changed.
	Move(ctx context.Context, sc account.Scope, t Task) (Task, bool, error)
	// List lists the tasks of a peer, the one that changed last first. It knows Count, and no Offset.
	List(ctx context.Context, sc account.Scope, q Query) (page.Page[Task], error)
	// OfAgent lists the tasks of an agent's peers, the newest first. It knows neither Count nor Offset.
	OfAgent(ctx context.Context, sc account.Scope, q AgentQuery) (page.Page[Task], error)
}

// Messages keeps what peers said. Methods join the transaction in ctx and are safe for concurrent use.
type Messages interface {
	// Find returns a message of a peer by its name; false: there is none.
	Find(ctx context.Context, sc account.Scope, who Who, name string) (Stored, bool, error)
	// Insert adds a message. false: one with its name came first, and nothing was added.
	Insert(ctx context.Context, sc account.Scope, m Stored) (bool, error)
	// Of returns the messages of tasks, oldest first.
	Of(ctx context.Context, sc account.Scope, tasks []id.Turn) ([]Stored, error)
}

// Query chooses tasks.
type Query struct {
	page.Request
	Who
	Context string    // "": of all
	State   State     // "": in any
	Since   time.Time // changed at this time or later; zero: any
}

// AgentQuery chooses tasks that peers gave to an agent.
type AgentQuery struct {
	page.Request

	Agent   id.Agent
	Key     id.APIKey // of this peer; zero: of all
	Context string    // "": of all
	State   State     // "": in any
}

// Stored is a message as it is kept.
type Stored struct {
	Who
	Name      string // the messageId
	Task      id.Turn
	Digest    string          // of what was said, so that another message is known
	Body      json.RawMessage // of this package
	CreatedAt time.Time
}
