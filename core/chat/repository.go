package chat

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Peers keeps whom agents talk to. Methods join the transaction in ctx and are safe for concurrent use.
type Peers interface {
	// Find returns somebody; false when the agent has not talked to them.
	Find(ctx context.Context, sc account.Scope, who Who) (Peer, bool, error)
	// Lock returns somebody, p itself if the agent has not talked to them, which is stored then, and keeps others from changing them
	// until the transaction in ctx ends.
	Lock(ctx context.Context, sc account.Scope, p Peer) (Peer, error)
	// Save stores Store and Session of somebody who is locked.
	Save(ctx context.Context, sc account.Scope, p Peer) error
	// List lists whom an agent talks to, the newest first. It knows no Offset.
	List(ctx context.Context, sc account.Scope, of id.Agent, req page.Request) (page.Page[Peer], error)
	// Remove removes somebody, with their sessions and requests as far as they are this package's.
	Remove(ctx context.Context, sc account.Scope, who Who) error
	// RemoveAll removes everybody whom an agent talks to, with all that is this package's of the agent, and returns their memory stores.
	RemoveAll(ctx context.Context, sc account.Scope, of id.Agent) ([]id.MemoryStore, error)
}

// Sessions keeps which conversations there are. Those whose session was deleted are not there.
type Sessions interface {
	// Add adds a session that was just made.
	Add(ctx context.Context, sc account.Scope, s Session) error
	// Get returns a session of an agent, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, of id.Agent, session id.Session) (Session, error)
	// List lists sessions, the newest first by StartedAt. It knows Count, and no Offset.
	List(ctx context.Context, sc account.Scope, q SessionQuery) (page.Page[Session], error)
	// Of returns every session of somebody, oldest first, deleted ones too; alive says which are not.
	Of(ctx context.Context, sc account.Scope, who Who) (all []id.Session, alive map[id.Session]bool, err error)
	// Said returns messages, the newest first, at most q.Limit. Its cost depends neither on the length of the logs nor on how many sessions
	// there are that nobody has said anything in lately.
	Said(ctx context.Context, sc account.Scope, q SaidQuery) ([]SaidEvent, error)
	// CountSaid counts the messages that Said would return without Limit and Before. Without Since its cost does not depend on the
	// length of the logs.
	CountSaid(ctx context.Context, sc account.Scope, q SaidQuery) (int, error)
}

// Requests keeps messages that came with a name of their own.
type Requests interface {
	// Find returns a request, locked in a transaction; false when there is none with that key.
	Find(ctx context.Context, sc account.Scope, of id.Agent, channel Channel, key string) (Request, bool, error)
	// Insert adds a request. false: one with its key came first, and nothing was added.
	Insert(ctx context.Context, sc account.Scope, r Request) (bool, error)
	// Tell stores Told and DoneAt of a request.
	Tell(ctx context.Context, sc account.Scope, r Request) error
	// Open lists the requests of an agent on channels other than API that are not done, oldest first.
	Open(ctx context.Context, sc account.Scope, of id.Agent) ([]Request, error)
	// Prune removes requests, of every tenant, that were made before a time and are done or came by the API, at most limit, and returns
	// how many.
	Prune(ctx context.Context, before time.Time, limit int) (int, error)
}

// Connections keeps what agents' channels are doing.
type Connections interface {
	// SetProblem notes that an agent's channel was connected, and what is wrong with it; "": nothing.
	SetProblem(ctx context.Context, sc account.Scope, of id.Agent, channel Channel, problem string) error
	// Problems returns the channels of an agent that were ever connected, with what is wrong with each; "" is nothing.
	Problems(ctx context.Context, sc account.Scope, of id.Agent) (map[Channel]string, error)
}

// SessionQuery chooses sessions of an agent.
type SessionQuery struct {
	page.Request
	Agent id.Agent
	Who   *Who // of them alone; nil: of everybody
}

// SaidQuery chooses messages.
type SaidQuery struct {
	Agent   id.Agent
	Who     *Who       // of them alone; nil: of everybody
	Session id.Session // zero: of all
	Since   time.Time  // at this time or later; zero: any
	Before  *Mark      // only what comes before it in the order of time; nil: any
	Limit   int        // positive
}

// Mark is the place of a message in the order of time.
type Mark struct {
	At      time.Time
	Session id.Session
	Seq     int64
}

// SaidEvent is a message as its log has it.
type SaidEvent struct {
	Session id.Session
	session.Event
}

// Request is a message that came with a name of its own.
type Request struct {
	Who
	Key       string // unique among those of the agent's channel
	Digest    string // of what was said, so that another message is known
	ReplyTo   string // where the answer goes; channels only
	Session   id.Session
	Event     id.Event // what the message became
	AfterSeq  int64    // the log's length before; -1 for a NewCommand, whose Event is none
	Told      int      // pieces of the answer that were delivered; channels only
	CreatedAt time.Time
	DoneAt    *time.Time // nil: something is left to deliver. Of requests by the API nothing ever is, and it stays nil
}
