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
	// ErrResourceNotFound is returned for a resource that the session does not have.
	ErrResourceNotFound = fault.New(fault.NotFound, "session_resource_not_found", "no such resource of the session")
	// ErrRunning is returned for a change that waits until the session is idle.
	ErrRunning = fault.New(fault.Conflict, "session_running", "the session is running; its agent can be changed while it is idle")
	// ErrBudgetCreateOnly is returned when a budget is given to a session that has none: what it has spent was not held against one.
	ErrBudgetCreateOnly = fault.New(fault.Invalid, "budget_create_only", "a budget can only be given to a session when it is created")
	// ErrBudgetNotRaised is returned for a budget that is not above what the session has spent, or may be spending at this moment.
	ErrBudgetNotRaised = fault.New(fault.Invalid, "budget_not_raised", "the budget is not above what the session has spent")
	// ErrBudgetReached is returned when a model call might cost more than is left of the session's budget. Nothing was written.
	ErrBudgetReached = fault.New(fault.PaymentRequired, "budget_reached", "the session's budget does not cover another model call")
	// ErrPriceUnknown is returned for a model call without a known price in a session with a budget. Nothing was written.
	ErrPriceUnknown = fault.New(fault.PaymentRequired, "price_unknown", "the model has no known price, and the session has a budget")
	// ErrTooManyStreams is returned when a tenant reads more streams at once than one process serves.
	ErrTooManyStreams = fault.New(fault.RateLimited, "too_many_streams", "too many streams are open").WithRetry(5 * time.Second)
	// ErrStopping ends the streams of a process that shuts down; the reader may continue from the last event's number elsewhere.
	ErrStopping = fault.New(fault.Unavailable, "server_stopping", "the server is stopping")
)
