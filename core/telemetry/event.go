package telemetry

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Level says how bad an event is.
type Level string

// The levels, from the least to the worst.
const (
	LevelInfo     Level = "info"
	LevelWarning  Level = "warning"
	LevelError    Level = "error"
	LevelCritical Level = "critical"
)

// Levels lists every level, the least first.
func Levels() []Level { return []Level{LevelInfo, LevelWarning, LevelError, LevelCritical} }

// Limits of an event, in characters unless they say otherwise.
const (
	MaxBatch   = 500       // events that are stored at once
	MaxType    = 200       // of Event.Type
	MaxSource  = 200       // of Event.Source
	MaxTrace   = 200       // of Event.TraceID
	MaxPayload = 256 << 10 // bytes of Event.Payload
)

// Event is something that an agent did or met, as it reported it. It never changes.
type Event struct {
	// ID is a UUIDv7 whose timestamp is At, unless the report brought an ID of its own: one of another version.
	ID      id.Report
	Tenant  id.Tenant
	Agent   id.Agent
	Type    string // what happened: "task_completed"
	Source  string // which part of the agent says so; "" when it was not said
	Level   Level
	TraceID string          // what belongs together has one; "" belongs to nothing
	Parent  id.Report       // the event that this one is a part of; zero for none. It need not be there, or not yet
	Payload json.RawMessage // a JSON object; nil for none
	// At is when it happened: when the server took it, unless the report itself says otherwise (OTLP). Millisecond precision, UTC.
	At time.Time
}

// NewEvent is a report that was not stored yet.
type NewEvent struct {
	// ID is zero for a new one. Otherwise it is not a UUIDv7, and an event of the tenant that has it already makes this one a repetition,
	// which is stored once. What knows events by names of its own, as OTLP does, makes such IDs of them.
	ID      id.Report
	Agent   id.Agent // required
	Type    string   // required
	Source  string
	Level   Level // "" is LevelInfo
	TraceID string
	Parent  id.Report
	// Payload is a JSON object, null or nothing. That it is valid JSON is the caller's word: it has parsed it, and tens of thousands of events in
	// a second are not parsed twice.
	Payload json.RawMessage
	At      time.Time // zero is now; only for reports with an ID, from 1970 until the year 9999
}

// Filter chooses events. Zero fields choose all.
type Filter struct {
	Agent    id.Agent
	Type     string
	Source   string
	Level    Level
	MinLevel Level // this level and the worse ones
	TraceID  string
	Parent   id.Report
	Since    time.Time // inclusive
	Until    time.Time // exclusive
	// Search finds events in which every one of its words occurs, in any case: in the type, the source, the trace id or the payload's text. See
	// Match.
	Search string
	// Fields are members of the payload that must have these values: {"job": "daily_report", "user.id": "42"}. A dot goes one object
	// deeper, or is a part of the name; numbers, booleans and null compare by their JSON text.
	Fields map[string]string
}

// Place is where an event stands in the order of At and ID.
type Place struct {
	At time.Time
	ID id.Report
}

// Place returns where the event stands.
func (e Event) Place() Place { return Place{e.At, e.ID} }

// EventRepository keeps events. Every method sees the scope's tenant only; those that write join the transaction in ctx.
type EventRepository interface {
	// InsertEvents stores events, all or none, and returns those that were new, in their order: one whose ID is no UUIDv7 and is stored already is
	// passed over. Outside of a transaction it may share one with other callers, none of whom fails for what is wrong with another's events.
	InsertEvents(ctx context.Context, sc account.Scope, events []Event) ([]Event, error)
	// Event returns one event, or id.NotFound.
	Event(ctx context.Context, sc account.Scope, event id.Report) (Event, error)
	// Events returns what f chooses, the latest At first, then the highest ID. With Request.Offset and Request.Count it is read by
	// numbered pages. A search may end a page early, even empty, with a Next: it reads MaxScan events at a time. It knows no Offset and no Count.
	Events(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Event], error)
	// After returns up to limit events that f chooses and that stand after a place, in their order. Events may still come in before the last one
	// that it returns: those of other transactions, and those that say of themselves when they happened. Search and Fields are left to the
	// caller, who has Filter.Match.
	After(ctx context.Context, sc account.Scope, f Filter, after Place, limit int) ([]Event, error)
	// DeleteEvents deletes up to limit events of before the time, the oldest first, of one agent unless it is zero, and returns how many there
	// were. A zero time is all of them.
	DeleteEvents(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time, limit int) (int, error)
}
