package gate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Act is something that an agent, or a caller on its behalf, wants to do.
type Act struct {
	// Key makes the act unique within its tenant: the id of the tool-use event that asked for it, or what the caller's
	// Idempotency-Key stands for. The same key with the same arguments is the same act and is never done twice; with other
	// arguments it is ErrKeyReused. "" makes a key, so the act cannot be repeated.
	Key    string
	Action rule.Action
	Agent  id.Agent
	// Session and ToolUse say where in a conversation the act was asked for; both zero for an act by API.
	Session id.Session
	ToolUse id.Event
	// Fence is set while a turn's holder acts; every transaction of the act checks it.
	Fence *Fence

	Amount      *money.Amount // what is moved (payments, transfers) or at most consumed (model calls, in USD); nil is unknown or none
	Tokens      int64         // at most consumed, for token limits
	Payee       string        // payments: whom; transfers: the receiving agent's id
	Category    string
	Description string
	Tool        string          // tool calls: the tool's name
	Arguments   json.RawMessage // what the executor needs, and what rules may see
	Idempotent  bool            // doing it again under the same Key is harmless
}

// Fence proves that the caller still holds a turn; see session.Turn.
type Fence struct {
	Turn  id.Turn
	Epoch int64
}

// State is how far an act came.
type State string

// The states of an act.
const (
	Parked  State = "parked"  // waits for an approval; holds no money
	Ready   State = "ready"   // approved; its owner begins it again under the same Key
	Started State = "started" // allowed and begun; its end is not recorded yet
	Done    State = "done"    // ended; Output holds the result
	Failed  State = "failed"  // allowed and tried; Error says why it did not work; nothing was spent
	Denied  State = "denied"  // stopped by a rule, a limit, a freeze or a person
)

// Record is the durable trace of an act: exactly one row per act, from its decision to its end.
type Record struct {
	ID        id.Act
	Tenant    id.Tenant
	Act       Act // without Fence
	State     State
	Decision  policy.Decision
	Approval  id.Approval     // set when it was parked
	Output    json.RawMessage // what the executor answered; Done only
	Error     string          // for the model and the caller; Failed and Denied
	CreatedAt time.Time
	EndedAt   *time.Time
}

// Executor does the acts of one kind that are a write in our own database: the gate calls it inside the transaction that
// decides, so such an act is finished or not begun. The gate has locked the agent's standing and the limits by then.
type Executor interface {
	// Execute does the act and returns its output, a JSON object. A *fault.Error of kind Invalid, Conflict, Forbidden, NotFound or
	// PaymentRequired undoes what it wrote and makes the act Denied (PaymentRequired, Forbidden) or Failed with that message; every
	// other error rolls the whole transaction back.
	Execute(ctx context.Context, sc account.Scope, rec Record) (json.RawMessage, error)
}

// Observer learns what became of acts that belong to a session. The calls are made inside the deciding transaction, so what
// an observer writes is atomic with it. app wires core/run.
type Observer interface {
	// ActEnded is called when an act becomes Done, Failed, Denied or Ready.
	ActEnded(ctx context.Context, sc account.Scope, rec Record) error
}

// Interrupter is told after a freeze, or any other order to stop, has been committed: running turns of the agents must end.
type Interrupter interface {
	// InterruptAgents cancels, in every process, what the given agents are doing, and drops what they have queued. It returns how
	// many turns it stopped.
	InterruptAgents(ctx context.Context, sc account.Scope, agents []id.Agent, reason string) (int, error)
}
