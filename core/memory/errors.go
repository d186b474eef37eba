package memory

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A store, a memory or a version that is not there is id.NotFound of its kind.
var (
	// ErrInvalid is returned for a request that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "memory_invalid", "the request is not valid")
	// ErrArchived is returned when an archived store, or a memory in it, is to be changed.
	ErrArchived = fault.New(fault.Conflict, "memory_store_archived", "the memory store is archived")
	// ErrFull is returned when a store has as many memories as it may.
	ErrFull = fault.New(fault.Conflict, "memory_store_full", "the memory store is full")
	// ErrPrecondition is returned when a memory's content is not what the caller expects.
	ErrPrecondition = fault.New(fault.Conflict, "memory_precondition_failed", "the memory has been changed meanwhile")
	// ErrPathConflict is returned when a path is another memory's, or lies above or below another's; its Details name that memory.
	ErrPathConflict = fault.New(fault.Conflict, "memory_path_conflict", "another memory is in the way of this path")
	// ErrCurrent is returned when the newest version of a memory is to be redacted.
	ErrCurrent = fault.New(fault.Conflict, "memory_version_current", "the version is what the memory says now; change or delete the memory first")
	// ErrExists is returned by a repository that has a store of this id.
	ErrExists = fault.New(fault.Conflict, "memory_store_exists", "a memory store with this id exists")
	// ErrReadOnly is returned when an agent is to write to a store that its session may only read.
	ErrReadOnly = fault.New(fault.Forbidden, "memory_store_read_only", "the memory store may only be read in this session")
	// ErrEmbedder is returned when the embedder breaks its contract.
	ErrEmbedder = fault.New(fault.Internal, "memory_embedder_broken", "the embedder gave vectors that cannot be used")
)
