package environment

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package, in the vocabulary of the Managed Agents API. An environment that does not exist in the caller's tenant is
// id.NotFound[id.EnvironmentKind].
var (
	// ErrInvalid is returned for an environment that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "environment_invalid", "the environment is not valid")
	// ErrMetadata is returned for metadata that breaks a rule.
	ErrMetadata = fault.New(fault.Invalid, "invalid_metadata", "the metadata is not valid")
	// ErrTypeChange is returned by an update that would make a cloud environment self-hosted, or the other way round.
	ErrTypeChange = fault.New(fault.Invalid, "invalid_config_type_change", "the type of an environment cannot be changed")
	// ErrArchived is returned by whatever changes an archived environment, or begins to use it.
	ErrArchived = fault.New(fault.Invalid, "environment_archived", "the environment is archived")
	// ErrInUse is returned when an environment is deleted that a live session uses.
	ErrInUse = fault.New(fault.Conflict, "environment_in_use", "a session uses the environment; archive or delete the session first")
	// ErrExists is returned by a store for an id that is taken.
	ErrExists = fault.New(fault.Conflict, "environment_exists", "an environment with this id exists")
)
