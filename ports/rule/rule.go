// Package rule is the port to policy rules: small judges that see one intended act and say what they think of it.
package rule

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
)

// Evaluator judges acts. Implementations are safe for concurrent use.
type Evaluator interface {
	// Describe says what the rule is and which inputs it wants; it is constant.
	Describe() Description
	// Validate checks a configuration when a policy is written; a fault.Invalid names the faulty field.
	Validate(ctx context.Context, config json.RawMessage) error
	// Evaluate judges one act. It has no side effects and gives the same verdict for the same input. An error counts as Deny.
	Evaluate(ctx context.Context, in Input) (Verdict, error)
}

// ErrStarting is returned while a rule's process is not up yet; it denies like every error.
var ErrStarting = fault.New(fault.Unavailable, "rule_starting", "the rule is starting")

// ErrUnavailable is returned when a rule's process is stopped or broken; it denies like every error.
var ErrUnavailable = fault.New(fault.Unavailable, "rule_unavailable", "the rule is not available at the moment")

// Description tells operators and the host about a rule.
type Description struct {
	Name         string          // as policies name it: [a-z0-9_-]{1,64}
	Summary      string          // one sentence
	ConfigSchema json.RawMessage // JSON Schema of the configuration; nil accepts an empty one only
	Inputs       []string        // the names of the Input fields that it reads; it is given no others
}

// The names that Description.Inputs may list.
const (
	InputAmount      = "amount"
	InputPayee       = "payee"
	InputCategory    = "category"
	InputDescription = "description"
	InputTool        = "tool"
	InputArguments   = "arguments"
	InputAgent       = "agent"
	InputTime        = "time"
)

// Action is the kind of act.
type Action string

// The actions.
const (
	ActionPayment   Action = "payment"
	ActionTransfer  Action = "transfer"
	ActionModelCall Action = "model_call"
	ActionToolCall  Action = "tool_call"
	ActionRunStart  Action = "run_start"
)

// Input is what a rule sees. Fields that its Description does not list are zero.
type Input struct {
	Action      Action
	Config      json.RawMessage // the policy's configuration of this rule
	Amount      *money.Amount   // what the act would move or set aside
	Payee       string
	Category    string
	Description string
	Tool        string
	Arguments   json.RawMessage
	AgentID     string // TypeID
	AgentName   string
	Labels      map[string]string // the agent's metadata
	At          time.Time         // when the decision is made, UTC
}

// Window is a span in which limits hold. Calendar windows end at midnight UTC.
type Window string

// The windows.
const (
	WindowHour  Window = "hour"
	WindowDay   Window = "day"
	WindowWeek  Window = "week"
	WindowMonth Window = "month"
	WindowAll   Window = "all_time"
)

// Outcome is what a rule wants.
type Outcome string

// The outcomes, from the mildest to the strictest; across rules the strictest wins.
const (
	Allow   Outcome = "allow"
	Approve Outcome = "require_approval"
	Deny    Outcome = "deny"
)

// Verdict is a rule's answer.
type Verdict struct {
	Outcome Outcome
	Reason  string  // for people; required unless Outcome is Allow
	Limits  []Limit // caps that the host must hold the act to, inside the reserving transaction; a rule can only tighten
}

// Limit is a cap on what a spender may spend in a window, this act included.
type Limit struct {
	Window Window
	Max    money.Amount
}
