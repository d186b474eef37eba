package policy

import (
	"slices"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Outcome is what was decided about an act.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allow"
	Parked  Outcome = "park" // an approval is asked for
	Denied  Outcome = "deny"
)

// Decision is the answer about one act, with what is needed to explain and to replay it.
type Decision struct {
	ID      id.Decision
	Outcome Outcome
	Rule    string // the policy field or rule that decided, in snake_case: "daily_limit", "payee_list", "no_policy", "frozen"; "" when allowed
	Reason  string // for people; "" when allowed without remark
	// Policies are the versions that applied, all of them, strictest wins.
	Policies []PinnedVersion
	At       time.Time
	// Would is what the strictest policy in the mode Observe would have done instead of letting the act pass; nil: none of them
	// would have stopped it.
	Would *Observation
}

// PinnedVersion pins a policy as it was.
type PinnedVersion struct {
	Policy  id.Policy
	Version int
}

// ApprovalStatus is the state of an approval.
type ApprovalStatus string

// The states. Each approval leaves Pending at most once.
const (
	ApprovalPending  ApprovalStatus = "pending"
	ApprovalApproved ApprovalStatus = "approved"
	ApprovalDenied   ApprovalStatus = "denied"
	ApprovalExpired  ApprovalStatus = "expired"
	ApprovalVoid     ApprovalStatus = "void" // its act was cancelled by a freeze, an interrupt or a deletion
)

// Approval is a person's pending or given word on a parked act. It holds no money.
type Approval struct {
	ID        id.Approval
	Tenant    id.Tenant
	Act       id.Act
	Agent     id.Agent
	Session   id.Session // zero for an act by API
	ToolUse   id.Event
	Action    rule.Action
	Amount    *money.Amount
	Payee     string
	Detail    string // the act's description
	Rule      string
	Reason    string
	Status    ApprovalStatus
	ExpiresAt time.Time
	DecidedBy string // audit actor; "" while pending
	DecidedAt *time.Time
	Note      string // why it was denied
	CreatedAt time.Time

	Run         id.Session // the session at the top of Session's threads; zero for an act by API
	RequestedBy string     // audit actor of the key that asked for an act by API; "" for one that an agent asked for in a session
	Required    int        // how many different keys must approve, from 1
	Apart       bool       // RequestedBy is none of them
	Votes       []Vote     // who has approved so far, in order; each key once
}

// Vote is one key's approval of an act.
type Vote struct {
	By string // audit actor
	At time.Time
}

// Voted reports whether an actor has approved already.
func (a Approval) Voted(actor string) bool {
	return slices.ContainsFunc(a.Votes, func(v Vote) bool { return v.By == actor })
}
