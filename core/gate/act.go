package gate

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Act is something that an agent, or a caller on its behalf, wants to do.
type Act struct {
	// Key makes the act unique within its tenant: the id of the tool-use event that asked for it, or what the caller's
	// Idempotency-Key stands for. The same key with the same arguments is the same act and is never done twice; with other
	// arguments it is ErrKeyReused. "" makes a key, so the act cannot be repeated. At most 512 bytes.
	Key    string
	Action rule.Action
	Agent  id.Agent
	// Session and ToolUse say where in a conversation the act was asked for; both zero for an act by API.
	Session id.Session
	ToolUse id.Event
	// Run is the session at the top of Session's threads, whose policies and limits per run hold; zero: Session itself.
	Run id.Session
	// Fence is set while a turn's holder acts; every transaction of the act checks it.
	Fence *Fence

	// Amount is what is moved (payments, transfers; positive) or at most consumed (model calls, in USD); nil is unknown or none.
	Amount      *money.Amount
	Tokens      int64  // at most consumed, for token limits
	Payee       string // payments: whom; transfers: the receiving agent's id in any spelling
	Category    string
	Description string
	Tool        string          // tool calls: the tool's name
	Arguments   json.RawMessage // what the executor needs, and what rules may see
	Idempotent  bool            // doing it again under the same Key is harmless
	// Rail is over what a payment leaves: "" is the ledger, so that it is one transaction, everything else is outside; see Begin.
	Rail string
	// Card is that of the remote agent that a tool or model call goes to, as it was found when the act was asked for; nil: it goes to none.
	// It is no part of what makes the act the same act.
	Card *rule.Card
	// Now says that whoever asks cannot come back for the act, so that Begin denies what would need an approval. It is not stored.
	Now bool
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
	ID        id.Act // zero for a model call that no limit touches: it leaves no row
	Tenant    id.Tenant
	Act       Act // without Fence
	State     State
	Decision  policy.Decision
	Approval  id.Approval     // set when it was parked
	Output    json.RawMessage // what the executor answered; Done only
	Error     string          // for the model and the caller; Failed and Denied
	CreatedAt time.Time       // when it was first decided
	EndedAt   *time.Time      // nil while Parked, Ready or Started
	Cost      *money.Pico     // what it consumed of a model; nil: nothing, or nobody knows

	// Found says that the call which returned this record did not decide it: an earlier one had. A Record that Begin returns
	// Started and Found has perhaps been done already; its caller may do it again only when Act.Idempotent. Not stored.
	Found bool

	// Moved is the money that the act has moved, the paying side first, when the call which returned this record did it. Not
	// stored: wallet.Service.Paid finds it later.
	Moved []wallet.Transaction

	ArgsHash string        // of what makes the act the act that it is; see Act.Key
	Reserved []Reservation // what a Started act has set aside in counters
}

// Reservation is what an act has set aside in one counter until it ends.
type Reservation struct {
	Key    policy.Key
	Amount int64 // micro-units or tokens
	// Observed marks what a policy in the mode Observe counts: nothing is set aside for it, and what the act consumed is counted at its end.
	Observed bool
}

// Settlement is how an act that was begun ended.
type Settlement struct {
	State  State           // Done or Failed
	Output json.RawMessage // Done: the result, a JSON value; nil is none
	Error  string          // Failed: why, for the model and the caller
	// Cost is what it consumed. nil: Done counts all that was reserved, since the true cost is unknown; Failed counts nothing.
	Cost   *money.Pico
	Tokens int64  // what it consumed; Done with 0 tokens and an unknown Cost counts all that was reserved
	Fence  *Fence // checked like Act.Fence

	// Amount is what a payment over a rail has moved; nil is all of it.
	Amount *money.Amount
	// Move is what the end of a payment over a rail does in the ledger. It is called in the transaction, after the act was locked
	// and found under way and before its counters are; its Effect becomes the record's Output, when it has one, and Moved.
	Move func(ctx context.Context, rec Record) (Effect, error)
}

// run returns the session whose policies and limits per run hold for the act; zero for an act by API.
func (a Act) run() id.Session {
	if a.Run.IsZero() {
		return a.Session
	}
	return a.Run
}

// FreezeReport says what a freeze found under way.
type FreezeReport struct {
	Stopped  int // turns that were ended and parked acts outside turns that were voided
	InFlight int // acts that had begun; they settle
	Voided   int // acts that waited for an approval, or had one and had not begun
	Turns    int // turns that ran or waited, and were ended
}

// Executor does the acts of one kind that are a write in our own database: the gate calls it inside the transaction that
// decides, so such an act is finished or not begun.
type Executor interface {
	// Cover returns nil when what the act takes its money from suffices at this moment. A *fault.Error of kind PaymentRequired or
	// Forbidden makes the act Denied by the error's code, Invalid, Conflict and NotFound make it Failed; every other error rolls the
	// transaction back. It locks nothing and promises nothing: Execute, or what Begin calls in its transaction, may still find that
	// the money has gone. The gate has locked the standing of both sides by then; it locks the counters before money is locked, by
	// everybody in this order.
	Cover(ctx context.Context, sc account.Scope, act Act) error
	// Execute does the act. Errors mean what Cover's mean; what it wrote is undone.
	Execute(ctx context.Context, sc account.Scope, rec Record) (Effect, error)
}

// Effect is what an executor has done.
type Effect struct {
	Output json.RawMessage      // a JSON object
	Moved  []wallet.Transaction // the paying side first
}

// FenceChecker tells whether a fence still holds. core/session implements it.
type FenceChecker interface {
	// CheckFence locks the turn for the transaction in ctx and returns a fault.Conflict when another holder has taken it over.
	CheckFence(ctx context.Context, sc account.Scope, f Fence) error
}

// Observer learns what became of acts that belong to a session. The calls are made inside the deciding transaction, so what
// an observer writes is atomic with it. app wires core/run.
type Observer interface {
	// ActEnded is called when an act becomes Done, Failed, Denied or Ready. A payment over a rail ends whenever the rail says so.
	ActEnded(ctx context.Context, sc account.Scope, rec Record) error
}

// Notices is where the gate tells what people outside want to hear of: blocked acts, approvals that wait, spent budgets, freezes. app
// wires core/webhook.
type Notices interface {
	// Publish stores a notice in the transaction in ctx; it is delivered after the commit. kind is dotted, such as "policy.violation".
	// Ids in data are UUIDs, money is decimal strings.
	Publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error
}

// Locker is what an Observer may be beside. Whoever decides about an act of a session locks the session's turns first, as their
// holder does, so that the two do not wait for each other.
type Locker interface {
	// LockTurns keeps the turns of a session from changing until the transaction in ctx ends.
	LockTurns(ctx context.Context, sc account.Scope, session id.Session) error
}

// Voter is what an Observer may be beside, when it wants to hear of approvals that are not the last one that is needed.
type Voter interface {
	// ActVoted is called, with the turns of the act's session locked, when a key has approved an act that goes on waiting for others, also
	// when that key had done so before. The call is made inside the transaction that keeps the vote.
	ActVoted(ctx context.Context, sc account.Scope, rec Record) error
}

// Ender is what an Observer may be beside, when it ends turns. VoidWith is called once, before the first act, with VoidSession, which
// the Ender calls in the transactions in which it ends turns.
type Ender interface {
	VoidWith(void func(ctx context.Context, sc account.Scope, session id.Session, reason string) (int, error))
}

// Interrupter is told after a freeze, or any other order to stop, has been committed: running turns of the agents must end.
type Interrupter interface {
	// InterruptAgents cancels, in every process, what the given agents are doing, and drops what they have queued. No agents means
	// every agent of the tenant. It returns how many turns it stopped.
	InterruptAgents(ctx context.Context, sc account.Scope, agents []id.Agent, reason string) (int, error)
}
