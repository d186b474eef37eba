package policy

import (
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
}
