package task

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A run that the tenant's agent does not have is id.NotFound[id.RunKind].
var (
	// ErrDenied is returned for a start that a rule denies; the message names the rule. A frozen agent is agent.ErrFrozen, an archived one
	// agent.ErrArchived.
	ErrDenied = fault.New(fault.Forbidden, "run_denied", "a rule denies the start of the run")
	// ErrEnded is returned when a run is cancelled that has ended.
	ErrEnded = fault.New(fault.Conflict, "run_ended", "the run has ended")
	// ErrWaits is returned for a message to the session of a run whose start waits for an approval.
	ErrWaits = fault.New(fault.Conflict, "run_waits", "the run waits for the approval of its start")
	// ErrExists is returned by a store for an id that is taken.
	ErrExists = fault.New(fault.Conflict, "run_exists", "a run with this id exists")
)
