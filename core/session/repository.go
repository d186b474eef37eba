package session

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository stores sessions. Deleted sessions are kept and behave as missing. All methods are safe for concurrent use and join
// the transaction in ctx.
type Repository interface {
	// Create stores a new session, its resources included, with an empty log.
	Create(ctx context.Context, sc account.Scope, s Session) error
	// Get returns id.NotFound for a session that is missing, deleted or another tenant's.
	Get(ctx context.Context, sc account.Scope, session id.Session) (Session, error)
	// List lists by CreatedAt, newest first unless req says otherwise. Sessions that work for others are left out. Pages can be read
	// backwards, too.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Session], error)
	// Update locks the session, lets fn change Title, Metadata, Overrides, Vaults, Budget, Resources, ArchivedAt and UpdatedAt, and
	// stores those. fn replaces slices and maps instead of changing them. An error of fn is returned and nothing is stored.
	Update(ctx context.Context, sc account.Scope, session id.Session, fn func(*Session) error) (Session, error)
	// Delete marks the session as deleted; id.NotFound when it is not there any more.
	Delete(ctx context.Context, sc account.Scope, session id.Session, at time.Time) error
	// Destroy removes every session of an agent for good, and the threads below them, with logs, turns and tool uses, and returns which
	// there were.
	Destroy(ctx context.Context, sc account.Scope, agent id.Agent) ([]id.Session, error)
	// Heads returns the LastSeq of the given sessions, whoever owns them; missing ones are left out.
	Heads(ctx context.Context, sessions []id.Session) (map[id.Session]int64, error)
}

// Eraser is implemented by a Repository that can lose sessions for good.
type Eraser interface {
	// Erase removes a session and the threads below it with logs, turns and tool uses. One that is not there is no error.
	Erase(ctx context.Context, sc account.Scope, session id.Session) error
}

// ListRequest chooses sessions. The zero value is the first page of all that are not archived.
type ListRequest struct {
	page.Request
	Agent           id.Agent       // zero: any
	AgentVersion    int            // 0: any
	Store           id.MemoryStore // with this store attached; zero: any
	Statuses        []Status       // nil: any. StatusTerminated includes archived sessions whatever IncludeArchived says
	IncludeArchived bool
	Created         TimeRange
	Ascending       bool // oldest first
}

// TimeRange is a span of time; zero bounds are open.
type TimeRange struct {
	From, To               time.Time
	ExcludeFrom, ExcludeTo bool // the bound itself is outside
}

// Log stores events and what is projected from them.
type Log interface {
	// Append writes a.Events with the next sequence numbers and the projections, all in one transaction, and returns the number of
	// the last one. With a.Fence it returns ErrFenced unless that holder still runs its turn.
	Append(ctx context.Context, sc account.Scope, a Append) (int64, error)
	// Events reads a part of a log, also of a deleted session; it returns none for another tenant's.
	Events(ctx context.Context, sc account.Scope, session id.Session, q EventQuery) ([]Event, error)
}

// Append is one write to a log. At least one of Events and Turn is set.
type Append struct {
	Session id.Session
	At      time.Time
	Events  []Event // Seq and ProcessedAt are set by the store; ProcessedAt becomes At
	Fence   *gate.Fence
	Turn    *TurnChange // with Fence only

	Active     Status      // "": unchanged
	StopReason *StopReason // with Active only; nil is none
	Usage      Usage       // added
	Dequeued   int         // taken off Queued
	Said       int         // how many of Events are messages of the user or of the agent
	Opened     []ToolUse   // Seq is set by the store
	// Snapshot makes the body of every event of type SessionUsage from the session as it is after this append; nil without such events.
	Snapshot func(after Session) (json.RawMessage, error)
}

// TurnChange is what a holder changes of its turn while it appends.
type TurnChange struct {
	State TurnState // "": stays running
	Calls int       // added
	Span  *id.Event // nil: unchanged; zero: none, and nothing reserved
	// Reserved is what the call of Span may cost at most.
	Reserved money.Pico
}

// EventQuery chooses events. The zero value is all of them, oldest first.
type EventQuery struct {
	AfterSeq  int64 // only later ones; 0 is from the start
	BeforeSeq int64 // only earlier ones; 0 is to the end
	Types     []EventType
	Processed TimeRange
	Desc      bool // newest first
	Limit     int  // at most; 0 is no limit
	// MaxBytes ends the answer with the event whose body makes the bodies this long together, so that a few long events do not fill
	// the memory; 0 is no limit.
	MaxBytes int
}

// Cut reports whether events, the answer to q, may have been cut off by one of its limits.
func (q EventQuery) Cut(events []Event) bool {
	size := 0
	for _, e := range events {
		size += len(e.Data)
	}
	return q.Limit > 0 && len(events) >= q.Limit || q.MaxBytes > 0 && size >= q.MaxBytes
}

// ToolUses stores open tool uses.
type ToolUses interface {
	// Open lists the open uses of a session in the order of the log.
	Open(ctx context.Context, sc account.Scope, session id.Session) ([]ToolUse, error)
	// Close removes an open use, because its result is being appended, and returns it; false when it is not open. It is the one
	// decision about who answers.
	Close(ctx context.Context, sc account.Scope, session id.Session, use id.Event) (ToolUse, bool, error)
	// SetState moves an open use from one state to another and records the approval (zero: unchanged). With state UseParked it
	// applies only to a use that has no approval yet. It returns false when there was nothing to move.
	SetState(ctx context.Context, sc account.Scope, use id.Event, from, to UseState, approval id.Approval) (bool, error)
}

// Turns stores turns.
type Turns interface {
	// Enqueue adds queued turns to a session, numbers them in order, and counts them in Queued. It returns the number of the last one,
	// or id.NotFound, ErrArchived, or ErrQueueFull.
	Enqueue(ctx context.Context, sc account.Scope, session id.Session, turns []Turn) (int64, error)
	// Claim takes the session's ready turn, or its oldest queued one when none is active, and makes it running: Owner and LeaseUntil
	// of the lease, Epoch raised. false: there is none. ErrFenced: somebody else was faster, and the transaction is lost.
	Claim(ctx context.Context, sc account.Scope, session id.Session, lease Lease) (Turn, bool, error)
	// LockSession returns the active turns and the queued ones of sessions, by number, and holds them against every other change until
	// the transaction ends. They are locked by id, as Leases does, so that whoever needs those of several sessions asks for all at
	// once. Inputs come without Data: see Message.
	LockSession(ctx context.Context, sc account.Scope, sessions ...id.Session) ([]Turn, error)
	// Message returns Input.Data of a turn; nil when it is not there.
	Message(ctx context.Context, sc account.Scope, turn id.Turn) (json.RawMessage, error)
	// Save stores State, Owner, Epoch, LeaseUntil, Calls, Span, Reserved and EndedAt of a locked turn.
	Save(ctx context.Context, sc account.Scope, t Turn) error
	// Check returns ErrFenced unless the fence's turn is running at that epoch, and holds the turn like LockSession.
	Check(ctx context.Context, sc account.Scope, fence gate.Fence) error
	// OfAgents lists the sessions in which one of the agents has an active or a queued turn; no agents means every one of the tenant.
	OfAgents(ctx context.Context, sc account.Scope, agents []id.Agent) ([]id.Session, error)
}

// Lease is a process's claim on a turn. Stores with a clock of their own ignore Now, so that replicas need not agree on the time.
type Lease struct {
	Owner string
	Now   time.Time
	For   time.Duration
}

// Leases is what the processes of one server do about each other's turns, across tenants.
type Leases interface {
	// Renew extends the leases of those of the turns that are running and lease.Owner's, and returns them. It waits for turns that are
	// locked, in the order of their ids.
	Renew(ctx context.Context, lease Lease, turns []id.Turn) ([]id.Turn, error)
	// Release makes the leases of owner's running turns expire now.
	Release(ctx context.Context, owner string, now time.Time) error
	// TakeOver claims at most limit running turns whose lease has expired; with all, whatever other owners hold. Turns that nobody
	// released count a takeover.
	TakeOver(ctx context.Context, lease Lease, all bool, limit int) ([]Turn, error)
	// Waiting lists sessions that have a ready turn, or a queued one and no active turn, since before the given time.
	Waiting(ctx context.Context, before time.Time, limit int) ([]Ref, error)
}

// Policies keeps what may be done in a session. app wires core/policy.
type Policies interface {
	// ForgetSession removes the policies of a session that is being deleted, in the transaction of ctx, which has locked the session's turns.
	// Having none is no error.
	ForgetSession(ctx context.Context, sc account.Scope, session id.Session) error
}

// Ref names a session with its tenant.
type Ref struct {
	Tenant  id.Tenant
	Session id.Session
}
