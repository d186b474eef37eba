package eval

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A run that does not exist in the caller's tenant is id.NotFound[id.EvalRunKind].
var (
	// ErrInvalid is returned for a run that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "eval_invalid", "the evaluation is not valid")
	// ErrNoSandbox is returned for tasks with files or scripts where the server has no sandboxes for them.
	ErrNoSandbox = fault.New(fault.Invalid, "eval_no_sandbox", "this server runs no sandboxes, which the task's files or scripts need")
	// ErrAgentArchived is returned when a run is asked for with an archived agent.
	ErrAgentArchived = fault.New(fault.Conflict, "agent_archived", "the agent is archived")
	// ErrEnded is returned when a run is cancelled that has ended.
	ErrEnded = fault.New(fault.Conflict, "eval_ended", "the run has ended")
	// ErrExists is returned by a store for an id that is taken.
	ErrExists = fault.New(fault.Conflict, "eval_exists", "a run with this id exists")
)
