package swarm

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A swarm that does not exist in the caller's tenant is id.NotFound[id.SwarmKind].
var (
	// ErrPlanLimit is returned where the tenant's plan has no swarms.
	ErrPlanLimit = fault.New(fault.Forbidden, "plan_limit", "the plan has no swarms")
	// ErrInvalid is returned for a swarm that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "swarm_invalid", "the swarm is not valid")
	// ErrSlugTaken is returned for a slug that another swarm of the tenant has.
	ErrSlugTaken = fault.New(fault.Conflict, "swarm_slug_taken", "another swarm has this slug")
	// ErrFrozen is returned by whatever would let agents out of a frozen swarm.
	ErrFrozen = fault.New(fault.Conflict, "swarm_frozen", "the swarm is frozen: its agents cannot leave before it is unfrozen")
	// ErrFull is returned for an agent beyond MaxAgents.
	ErrFull = fault.New(fault.Conflict, "swarm_full", "the swarm has no room for another agent")
	// ErrMembersFull is returned for a person beyond MaxMembers.
	ErrMembersFull = fault.New(fault.Conflict, "swarm_members_full", "the swarm has no room for another member")
	// ErrNotMember is returned for an agent that is not in the swarm.
	ErrNotMember = fault.New(fault.NotFound, "swarm_agent_not_found", "the agent is not in the swarm")
)
