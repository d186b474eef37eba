package policy

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Repository keeps policies. A policy that is missing or another tenant's is id.NotFound[id.PolicyKind]. Calls join the
// transaction in ctx.
type Repository interface {
	// Insert adds a policy; all fields are given.
	Insert(ctx context.Context, sc account.Scope, p Policy) error
	// Get returns a policy.
	Get(ctx context.Context, sc account.Scope, p id.Policy) (Policy, error)
	// Update replaces Limits, Rules, Mode, Version and UpdatedAt; ErrVersion unless the stored version is the one before p.Version. It
	// removes the counters that do not last, see Limits.Lasting, but not those of plugin rules in which something is set aside: they
	// begin anew with what was spent, also while a limit or a rule was not there to count.
	Update(ctx context.Context, sc account.Scope, p Policy) error
	// Delete removes a policy with its counters.
	Delete(ctx context.Context, sc account.Scope, p id.Policy) error
	// List returns policies, newest first.
	List(ctx context.Context, sc account.Scope, f Filter, r page.Request) (page.Page[Policy], error)
	// Applicable returns every policy that holds for w: the tenant's first, then the swarm's, the agent's and the session's, each by
	// id.
	Applicable(ctx context.Context, sc account.Scope, w Whom) ([]Policy, error)
	// LockScope keeps acts of whom the scope names from being decided until the transaction in ctx ends, and waits for those that
	// are being decided, so that no act is decided by a policy that has changed. id.NotFound of an agent that the tenant has not.
	LockScope(ctx context.Context, sc account.Scope, s Scope) error
}

// Archive keeps every version that a policy ever had, also of policies that have been deleted. Calls join the transaction in ctx.
type Archive interface {
	// Keep adds a version.
	Keep(ctx context.Context, sc account.Scope, v Version) error
	// Version returns a version; id.NotFound[id.PolicyKind] when the tenant never had such a policy, ErrVersionUnknown when the policy
	// never had such a version.
	Version(ctx context.Context, sc account.Scope, p id.Policy, version int) (Version, error)
	// Versions returns the versions of a policy, the newest first; id.NotFound[id.PolicyKind] when the tenant never had it.
	Versions(ctx context.Context, sc account.Scope, p id.Policy, r page.Request) (page.Page[Version], error)
}

// Filter narrows a list; zero fields do not.
type Filter struct {
	Tenant  bool // policies of the whole tenant only
	Swarm   id.Swarm
	Agent   id.Agent
	Session id.Session
}

// Counters keeps what scopes have spent and set aside per window. All calls of one act happen in its transaction.
type Counters interface {
	// Lock returns the counters of keys, in the order of keys, locked until the transaction ends; those that did not exist are zero
	// and Fresh, for one of the transactions that come at once. keys are sorted by Key.Compare and distinct, so that two acts lock
	// in one order.
	Lock(ctx context.Context, sc account.Scope, keys []Key) ([]Counter, error)
	// Read is Lock without locking.
	Read(ctx context.Context, sc account.Scope, keys []Key) ([]Counter, error)
	// Add changes counters by the given differences, sorted by key; rows appear as needed. Of a window that rolls it may change
	// several buckets at once.
	Add(ctx context.Context, sc account.Scope, changes []Counter) error
	// Expire removes at most limit counters, of every tenant or of one, of windows that ended more than a day before now and in which
	// nothing is set aside, and returns how many. Whoever comes back to such a window after all finds it Fresh.
	Expire(ctx context.Context, tenant id.Tenant, now time.Time, limit int) (int, error)
}

// Approvals keeps approvals. One that is missing or another tenant's is id.NotFound[id.ApprovalKind].
type Approvals interface {
	// Insert adds a pending approval.
	Insert(ctx context.Context, sc account.Scope, a Approval) error
	// Get returns an approval.
	Get(ctx context.Context, sc account.Scope, a id.Approval) (Approval, error)
	// Lock is Get that keeps others from deciding until the transaction in ctx ends.
	Lock(ctx context.Context, sc account.Scope, a id.Approval) (Approval, error)
	// Decide is a compare-and-set: it writes Status, Rule, Reason, DecidedBy, DecidedAt, Note, Required, Apart and Votes, and returns ErrDecided unless the
	// stored approval was pending.
	Decide(ctx context.Context, sc account.Scope, a Approval) error
	// List returns approvals, newest first. It knows the Offset and the Count of r.
	List(ctx context.Context, sc account.Scope, f ApprovalFilter, r page.Request) (page.Page[Approval], error)
	// Due returns at most limit pending approvals, of every tenant or of one, whose ExpiresAt is not after now, oldest first.
	Due(ctx context.Context, tenant id.Tenant, now time.Time, limit int) ([]Approval, error)
}

// ApprovalFilter narrows a list; zero fields do not.
type ApprovalFilter struct {
	Status  []ApprovalStatus // any of these
	Agent   id.Agent
	Session id.Session
}

// Swarms tells whether a swarm exists; app wires core/swarm.
type Swarms interface {
	// Exists returns id.NotFound when the tenant has no such swarm.
	Exists(ctx context.Context, sc account.Scope, swarm id.Swarm) error
}

// Sessions tells whether a session exists; app wires core/session.
type Sessions interface {
	// Exists returns id.NotFound when the tenant has no such session, or it is a thread of another one.
	Exists(ctx context.Context, sc account.Scope, session id.Session) error
}

// Rules finds plugin rules. app wires the plugin host.
type Rules interface {
	// Rule returns the rule of a name; ErrRuleUnknown when no enabled plugin has it, rule.ErrStarting while it is not up.
	Rule(ctx context.Context, sc account.Scope, name string) (rule.Evaluator, error)
}

// Trail is where policies and acts are noted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}
