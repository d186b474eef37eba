package session

import (
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of this package. A session that is missing, deleted or another tenant's is id.NotFound[id.SessionKind].
var (
	// ErrArchived is returned when something is sent to an archived session.
	ErrArchived = fault.New(fault.Conflict, "session_archived", "the session is archived")
	// ErrQueueFull is returned when more messages would wait in a session than MaxQueued.
	ErrQueueFull = fault.New(fault.Conflict, "queue_full", "too many messages wait in the session").WithRetry(time.Second)
	// ErrFenced is returned to the former holder of a turn: somebody else took it over or ended it. Nothing was written.
	ErrFenced = fault.New(fault.Conflict, "turn_fenced", "the turn is no longer held by this process")
	// ErrNoSuchToolUse is returned for an answer to a tool use that is not open in the session.
	ErrNoSuchToolUse = fault.New(fault.NotFound, "tool_use_not_pending", "no such tool use waits for an answer")
	// ErrAgentArchived is returned when a session is created for an archived agent.
	ErrAgentArchived = fault.New(fault.Conflict, "agent_archived", "the agent is archived")
	// ErrStopping ends the streams of a process that shuts down; the reader may continue from the last event's number elsewhere.
	ErrStopping = fault.New(fault.Unavailable, "server_stopping", "the server is stopping")
)
