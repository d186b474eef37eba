package policy

import "github.com/bureau-agents/bureau/ports/fault"

var (
	// ErrVersion is returned when a policy changed since the version that the caller named.
	ErrVersion = fault.New(fault.Conflict, "policy_version_conflict", "the policy has changed meanwhile; read it again")
	// ErrTooMany is returned when a scope has MaxPerScope policies already.
	ErrTooMany = fault.New(fault.Conflict, "too_many_policies", "there are too many policies of this scope; change or remove one")
	// ErrDecided is returned when an approval is decided that is no longer pending: somebody was faster, it expired, or its act was
	// cancelled.
	ErrDecided = fault.New(fault.Conflict, "approval_decided", "the approval has been decided already")
	// ErrVersionUnknown is returned for a version that a policy never had.
	ErrVersionUnknown = fault.New(fault.NotFound, "policy_version_not_found", "the policy never had such a version")
	// ErrOwnAct is returned when a key approves what it asked for itself, and the policies want others to.
	ErrOwnAct = fault.New(fault.Forbidden, "approver_is_requester", "the key that asked for the act may not approve it")
	// ErrRuleUnknown is returned by Rules for a name that no enabled plugin has.
	ErrRuleUnknown = fault.New(fault.NotFound, "rule_not_found", "no such policy rule")
)
