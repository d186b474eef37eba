package session

import (
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// TurnState is how far a turn came.
type TurnState string

// The states. Running, parked and ready turns are active; a session has at most one of those.
const (
	TurnQueued    TurnState = "queued"    // its message waits
	TurnRunning   TurnState = "running"   // held by Owner until LeaseUntil
	TurnParked    TurnState = "parked"    // waits for a person or a client; nobody holds it
	TurnReady     TurnState = "ready"     // what it waited for is there; anybody may run it
	TurnDone      TurnState = "done"      // ended by itself, be it with an error
	TurnCancelled TurnState = "cancelled" // ended by an interrupt, a freeze, an archive, or dropped from the queue
)

// Turn is the agent's answer to one message.
type Turn struct {
	ID      id.Turn
	Tenant  id.Tenant
	Session id.Session
	Agent   id.Agent
	Number  int64 // in the order of arrival within the session, from 1
	State   TurnState
	Input   Event // the message; its Seq and ProcessedAt are set only in the log

	Owner      string // the process that holds it; "" for nobody
	Epoch      int64  // raised by everyone who begins to hold it, and by everyone who ends it from outside
	LeaseUntil time.Time
	// Takeovers counts how often the turn was taken from a holder that had vanished.
	Takeovers int
	// Calls counts the model calls that have begun.
	Calls int
	// Span is the start of the model call that has begun and not ended in the log; zero is none.
	Span id.Event
	// Reserved is what that call may cost at most, in a session with a budget.
	Reserved money.Pico
	// Watched is set when the TurnWatcher is told of its moves.
	Watched bool

	CreatedAt time.Time
	StartedAt time.Time // zero while queued
	EndedAt   time.Time // zero while not ended
}

// Fence returns the proof that the holder of this turn shows.
func (t Turn) Fence() *gate.Fence { return &gate.Fence{Turn: t.ID, Epoch: t.Epoch} }

// UseState is what an open tool use waits for.
type UseState string

// The states of an open tool use. A closed one has no row: its result is in the log.
const (
	UseOpen   UseState = "open"   // to be done by the turn's holder
	UseAsk    UseState = "ask"    // a user.tool_confirmation, because the tool's author wants one
	UseClient UseState = "client" // the client's result
	UseParked UseState = "parked" // an approval of the gate
)

// Blocks reports whether a turn cannot go on while one of its uses is in state s.
func (s UseState) Blocks() bool { return s != UseOpen }

// ToolUse is a tool use that has no result yet.
type ToolUse struct {
	ID       id.Event // of the event that asks for it
	Session  id.Session
	Turn     id.Turn
	Seq      int64 // of that event
	Type     EventType
	Name     string
	Input    json.RawMessage
	State    UseState
	Approval id.Approval // UseParked only
}
