package run

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Gate is what the loop needs of gate.Gate.
type Gate interface {
	Perform(ctx context.Context, sc account.Scope, act gate.Act) (gate.Record, error)
	Begin(ctx context.Context, sc account.Scope, act gate.Act, also func(context.Context, gate.Record) error) (gate.Record, error)
	End(ctx context.Context, sc account.Scope, rec gate.Record, s gate.Settlement, also func(context.Context) error) (gate.Record, error)
	Lookup(ctx context.Context, sc account.Scope, key string) (gate.Record, bool, error)
	VoidSession(ctx context.Context, sc account.Scope, s id.Session, reason string) (int, error)
	Simulate(ctx context.Context, sc account.Scope, act gate.Act) (policy.Decision, error)
}

// Models finds the model that a handle means for an agent; model.Agents does.
type Models interface {
	Resolve(ctx context.Context, sc account.Scope, agent id.Agent, handle string) (model.Resolved, error)
}

// Agents reads the version of an agent that a session is held with; agent.Service does.
type Agents interface {
	GetVersion(ctx context.Context, sc account.Scope, agent id.Agent, version int) (agent.Agent, error)
}

// Sessions reads sessions; session.Service and its repository do.
type Sessions interface {
	Get(ctx context.Context, sc account.Scope, session id.Session) (session.Session, error)
}

// Meter prices model calls and keeps what they used.
type Meter interface {
	// Estimate returns what a call costs at most with that many tokens; nil when the price is not known.
	Estimate(ctx context.Context, sc account.Scope, provider, model string, inputTokens, outputTokens int64) (*money.Pico, error)
	// Price returns what a call cost; without a Cost when the price is not known.
	Price(ctx context.Context, sc account.Scope, provider, model string, u llm.Usage, at time.Time) (usage.Quote, error)
	// Record keeps a call with the price that it names; it joins the transaction in ctx.
	Record(ctx context.Context, sc account.Scope, c Call) error
}

// Call is one model call that has ended.
type Call struct {
	Agent    id.Agent
	Session  id.Session
	Turn     id.Turn
	Act      id.Act // zero when nothing limits the call
	Provider string
	Model    string // that answered, or was to answer
	Failed   bool   // it brought no answer; what it used is not known then
	Usage    llm.Usage
	Quote    usage.Quote // what it cost
	Latency  time.Duration
	At       time.Time
}

// Env is where tools are offered.
type Env struct {
	Agent   agent.Agent // Config is what the session uses, its overrides included
	Session session.Session
}

// Caution says which agents pay with a person's confirmation only, whatever their policies allow besides. Implementations are safe for
// concurrent use.
type Caution interface {
	// Cautious reports whether the agent is one of them.
	Cautious(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error)
}

// PromptSource adds to what a model is told before the conversation. Implementations are safe for concurrent use.
type PromptSource interface {
	// Prompt returns a paragraph for the agent in the session; "" adds nothing. It should change seldom, since providers cache what
	// stands before a conversation.
	Prompt(ctx context.Context, sc account.Scope, env Env) (string, error)
}

// ToolSource offers tools to an agent. Implementations are safe for concurrent use.
type ToolSource interface {
	// Tools returns what the agent may use in the session at this moment. When two sources offer one name, the earlier source wins,
	// and the log warns of a remote agent that is left out.
	Tools(ctx context.Context, sc account.Scope, env Env) ([]BoundTool, error)
}

// Trouble is returned by a ToolSource beside the tools that it has when others cannot be had: the turn goes on without them, and its
// log says so.
type Trouble struct{ Errors []session.ErrorDetail }

// Error implements error.
func (t *Trouble) Error() string {
	if len(t.Errors) == 0 {
		return "some tools cannot be had"
	}
	return t.Errors[0].Message
}

// BoundTool is a tool as it is offered in one session.
type BoundTool struct {
	// Tool does the work; nil for tools that the client executes.
	Tool tool.Tool
	// Spec describes it; for a Tool it may be left empty and is then Tool.Spec().
	Spec tool.Spec
	// Ask makes every use wait for a user.tool_confirmation.
	Ask bool
	// Toolset marks the tools of the agent toolset: their uses are an agent.tool_use also when the client executes them.
	Toolset bool
	// Timeout bounds a call; 0 is Config.ToolTimeout.
	Timeout time.Duration
	// MCPServer is the name of the server that offers it; "" for other tools.
	MCPServer string
	// Pays says that a call may pay by an act of its own that names the tool use, which then answers it; see Paid. Such a call is
	// repeated when that act was approved, so its Spec is Idempotent.
	Pays bool
	// Card is that of the remote agent that the tool calls; nil for other tools. Policies may demand something of it.
	Card *rule.Card

	pay      bool
	delegate bool // to a thread
}

func (b BoundTool) client() bool { return b.Tool == nil && !b.pay && !b.delegate }

// eventType is how uses of the tool appear in the log.
func (b BoundTool) eventType() session.EventType {
	switch {
	case b.client() && !b.Toolset:
		return session.AgentCustomToolUse
	case b.MCPServer != "":
		return session.AgentMCPToolUse
	}
	return session.AgentToolUse
}

// Rails is the part of payment.Service by which agents pay over rails.
type Rails interface {
	// Pay decides a payment over act.Rail and makes it. A Started record means that the rail has not said yet what became of it.
	Pay(ctx context.Context, sc account.Scope, act gate.Act) (gate.Record, error)
	// Rails returns the names of the rails by which anybody can be paid.
	Rails() []string
}

// Paid is the error of a call of a tool that Pays when an act that names the tool use has paid, was refused or waits.
type Paid struct{ Record gate.Record }

// Error says what became of the act.
func (p *Paid) Error() string { return "run: the payment is " + string(p.Record.State) }

// PayTool is the name of the built-in tool by which agents pay.
const PayTool = "pay"

// ledger is how PayTool names the absence of a rail.
const ledger = "ledger"

// payInput is what PayTool takes.
type payInput struct {
	Amount      json.RawMessage `json:"amount"`
	Currency    string          `json:"currency"`
	Payee       string          `json:"payee"`
	Description string          `json:"description"`
	Category    string          `json:"category"`
	Rail        string          `json:"rail"`
}

// paySpec describes PayTool to models.
func paySpec(rails []string) tool.Spec {
	rail := ""
	if len(rails) > 0 {
		names, err := json.Marshal(append([]string{ledger}, rails...))
		if err == nil { // they are texts
			rail = `,
				"rail": {"type": "string", "enum": ` + string(names) + `, "description": "How the money leaves; ledger when left out"}`
		}
	}
	return tool.Spec{
		Name:        PayTool,
		Description: "Pay money from your wallet to a vendor or another payee. Use it when you are asked to pay, buy, send money or settle a bill.",
		InputSchema: json.RawMessage(`{
			"type": "object",
			"properties": {
				"amount": {"type": ["string", "number"], "description": "How much to pay, a decimal number such as 20.00"},
				"currency": {"type": "string", "description": "Currency code such as USDC; your wallet's currency when left out"},
				"payee": {"type": "string", "description": "Who is paid: a name, a domain or an address"},
				"description": {"type": "string", "description": "What the payment is for"},
				"category": {"type": "string", "description": "Kind of expense, such as software or travel"}` + rail + `
			},
			"required": ["amount", "payee"]
		}`),
	}
}
