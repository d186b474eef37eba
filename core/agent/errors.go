package agent

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. An agent that does not exist in the caller's tenant is id.NotFound[id.AgentKind].
var (
	// ErrInvalid is returned for a Config that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "agent_invalid", "the agent's configuration is not valid")
	// ErrVersionConflict is returned by an update that names another version than the current one.
	ErrVersionConflict = fault.New(fault.Conflict, "agent_version_conflict", "the agent has been changed meanwhile")
	// ErrArchived is returned by whatever changes an archived agent.
	ErrArchived = fault.New(fault.Conflict, "agent_archived", "the agent is archived")
	// ErrFrozen is returned by whatever a frozen agent may not do.
	ErrFrozen = fault.New(fault.Forbidden, "agent_frozen", "the agent is frozen")
	// ErrVersionNotFound is returned for a version that the agent does not have.
	ErrVersionNotFound = fault.New(fault.NotFound, "agent_version_not_found", "agent version not found")
	// ErrPlanLimit is returned when the tenant's plan has no room for another agent.
	ErrPlanLimit = fault.New(fault.Forbidden, "plan_limit", "the plan has no room for another agent")
	// ErrNameTaken is returned for a name that another agent has, where names must be unique.
	ErrNameTaken = fault.New(fault.Conflict, "agent_name_taken", "another agent has this name")
	// ErrDocumentInvalid is returned for a document that breaks a rule; its Fields name the path.
	ErrDocumentInvalid = fault.New(fault.Invalid, "document_invalid", "the document is not valid")
	// ErrDocumentConflict is returned to a writer who expected another version than the newest.
	ErrDocumentConflict = fault.New(fault.Conflict, "document_conflict", "the document has been changed meanwhile")
	// ErrDocumentNotFound is returned for a rule that the agent does not have, and for a version that is not kept.
	ErrDocumentNotFound = fault.New(fault.NotFound, "document_not_found", "there is no such document")
	// ErrTooManyRules is returned for a rule beyond MaxRules.
	ErrTooManyRules = fault.New(fault.Invalid, "too_many_rules", "the agent has 200 rules, the most there are; remove one")
	// ErrExists is returned by a store for an id that is taken.
	ErrExists = fault.New(fault.Conflict, "agent_exists", "an agent with this id exists")
)
