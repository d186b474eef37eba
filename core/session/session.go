package session

import (
	"time"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

// Limits of a session, in characters or entries. They are those of the Managed Agents API.
const (
	MaxTitle         = 512
	MaxMetadata      = metadata.MaxPairs
	MaxMetadataKey   = metadata.MaxKey
	MaxMetadataValue = metadata.MaxValue
	MaxInitialEvents = 50
	MaxBatch         = 100 // events of one Send
	MaxQueued        = 500 // messages that wait for their turns
	MaxVaults        = 20
	MaxResources     = 100
	MaxMemoryStores  = 8
	MaxInstructions  = 4096 // of a memory store
)

// Session is a conversation with one version of an agent.
type Session struct {
	ID           id.Session
	Tenant       id.Tenant
	Agent        id.Agent
	AgentVersion int // pinned when the session was created
	// Overrides replaces parts of that version's configuration for this session alone; nil: nothing.
	Overrides   *agent.Overrides
	Environment id.Environment // zero: none
	Vaults      []id.Vault     // whose credentials the session's tools use, the first that fits
	Resources   []Resource
	Budget      *Budget // nil: none
	// Parent is the session whose agent delegated to this one, which is then one of its threads and is not listed; zero: a session of
	// its own.
	Parent id.Session
	// Root is the session of its own at the top of its parents, whose budget it spends from; zero: itself.
	Root id.Session
	// Private is set when what is learnt here is for whom the agent talks to here alone: its own memory stores can only be read then, and
	// none is made for it.
	Private  bool
	Title    string // "": none
	Metadata map[string]string

	// LastSeq is the number of the newest event; 0 is an empty log.
	LastSeq int64
	// Active is what the newest status event says: StatusIdle or StatusRunning. Callers want Status().
	Active Status
	// StopReason is why the session is idle; nil before the first turn ended and while one runs.
	StopReason *StopReason
	// Queued counts the messages whose turns have not begun.
	Queued int
	// LastTurn numbers the turns in the order of their messages' arrival.
	LastTurn int64
	Usage    Usage
	// ActiveFor sums the time between running and idle, up to the last idle; RunningSince is set while running.
	ActiveFor    time.Duration
	RunningSince *time.Time

	CreatedAt  time.Time
	UpdatedAt  time.Time
	ArchivedAt *time.Time // nil: not archived
}

// Status is what callers see of a session.
type Status string

// The statuses. StatusRescheduling is part of the API's vocabulary; this server takes interrupted turns over without showing it.
const (
	StatusIdle         Status = "idle"
	StatusRunning      Status = "running"
	StatusRescheduling Status = "rescheduling"
	StatusTerminated   Status = "terminated" // archived
)

// Status returns the session's status. A session that has accepted a message is running from then on, although its turn may
// not have begun; one that waits for an action is idle, whatever is queued behind it.
func (s Session) Status() Status {
	switch {
	case s.ArchivedAt != nil:
		return StatusTerminated
	case s.Active == StatusRunning:
		return StatusRunning
	case s.Queued > 0 && (s.StopReason == nil || s.StopReason.Type != StopRequiresAction):
		return StatusRunning
	}
	return StatusIdle
}

// ActiveTime returns how long the session's turns have been running until now.
func (s Session) ActiveTime(now time.Time) time.Duration {
	d := s.ActiveFor
	if s.RunningSince != nil && now.After(*s.RunningSince) {
		d += now.Sub(*s.RunningSince)
	}
	return d
}

// Usage sums what a session's model calls used.
type Usage struct {
	Tokens llm.Usage // ReportedPicos is unused
	Cost   money.Pico
	// Unpriced counts the calls whose cost is not known and therefore not in Cost.
	Unpriced int64
	// Unknown is what calls that were cut off have cost at most, since nobody knows. A budget counts it; Cost does not.
	Unknown money.Pico
}

// Plus returns the sum of both.
func (u Usage) Plus(o Usage) Usage {
	u.Tokens.Input += o.Tokens.Input
	u.Tokens.CacheRead += o.Tokens.CacheRead
	u.Tokens.CacheWrite5m += o.Tokens.CacheWrite5m
	u.Tokens.CacheWrite1h += o.Tokens.CacheWrite1h
	u.Tokens.Output += o.Tokens.Output
	u.Tokens.Reasoning += o.Tokens.Reasoning
	u.Cost += o.Cost
	u.Unpriced += o.Unpriced
	u.Unknown += o.Unknown
	return u
}
