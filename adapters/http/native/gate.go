package native

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

type decisionWire struct {
	Outcome  string              `json:"outcome" enum:"allow,deny,require_approval"`
	Rule     *string             `json:"rule" doc:"The policy field or plugin that decided, such as daily_limit; null when allowed."`
	Reason   *string             `json:"reason" doc:"For people; null when allowed."`
	Policies []policyVersionWire `json:"policies" nullable:"false" doc:"Every policy that applied, in the version that decided."`
	Would    *wouldWire          `json:"would" doc:"What the strictest of the policies that only observe would have done; null when none of them would have stopped the act."`
}

type wouldWire struct {
	Outcome  string `json:"outcome" enum:"deny,require_approval"`
	Rule     string `json:"rule"`
	Reason   string `json:"reason"`
	PolicyID string `json:"policy_id"`
	Version  int    `json:"version"`
}

type policyVersionWire struct {
	PolicyID string `json:"policy_id"`
	Version  int    `json:"version"`
}

func showOutcome(o policy.Outcome) string {
	if o == policy.Parked {
		return string(rule.Approve)
	}
	return string(o)
}

func showDecision(d policy.Decision) decisionWire {
	w := decisionWire{Outcome: showOutcome(d.Outcome), Policies: []policyVersionWire{}}
	if o := d.Would; o != nil {
		w.Would = &wouldWire{showOutcome(o.Outcome), o.Rule, o.Reason, o.Policy.String(), o.Version}
	}
	if d.Rule != "" {
		w.Rule, w.Reason = &d.Rule, &d.Reason
	}
	for _, p := range d.Policies {
		w.Policies = append(w.Policies, policyVersionWire{p.Policy.String(), p.Version})
	}
	return w
}

// paymentWire answers a payment, and a transfer in the same shape.
type paymentWire struct {
	ID          string           `json:"id" doc:"act_...; the act that was asked for."`
	Type        string           `json:"type" enum:"payment,transfer"`
	Status      string           `json:"status" enum:"completed,denied,pending_approval,approved,processing,failed" doc:"processing: the rail has not said yet what became of it; approved: it is about to be asked."`
	Approved    bool             `json:"approved" doc:"Whether the money has moved."`
	AgentID     string           `json:"agent_id"`
	ToAgentID   *string          `json:"to_agent_id" doc:"Transfers: who receives."`
	Amount      moneyWire        `json:"amount"`
	Payee       *string          `json:"payee" doc:"Payments: who is paid."`
	Category    string           `json:"category"`
	Description string           `json:"description"`
	Rail        string           `json:"rail" doc:"Payments: over what they leave; ledger for those of this server's own books."`
	PaymentID   *string          `json:"payment_id" doc:"pay_...: the payment over its rail; null for those of the ledger, and for what has not left."`
	Transaction *TransactionWire `json:"transaction" doc:"The movement in the agent's wallet; null when no money moved."`
	Decision    decisionWire     `json:"decision"`
	Approval    *ApprovalWire    `json:"approval" doc:"What the act waits for, or waited for; null when nobody was asked."`
	Error       *string          `json:"error" doc:"Why no money moved."`
	CreatedAt   stamp            `json:"created_at"`
}

var paymentStatus = map[gate.State]string{
	gate.Done: "completed", gate.Denied: "denied", gate.Parked: "pending_approval", gate.Failed: "failed", gate.Ready: "approved",
	gate.Started: "processing",
}

// showPayment writes what became of a payment or a transfer.
func (f *face) showPayment(ctx context.Context, rec gate.Record) (*output[paymentWire], error) {
	sc := httpx.Scope(ctx)
	w := paymentWire{
		ID: rec.ID.String(), Type: string(rec.Act.Action), Status: paymentStatus[rec.State], Approved: rec.State == gate.Done,
		AgentID: rec.Act.Agent.String(), Amount: showMoney(*rec.Act.Amount), Category: rec.Act.Category,
		Description: rec.Act.Description, Decision: showDecision(rec.Decision), CreatedAt: stampOf(rec.CreatedAt),
	}
	if rec.Act.Action == rule.ActionTransfer {
		w.ToAgentID = &rec.Act.Payee
	} else {
		w.Payee = &rec.Act.Payee
	}
	if rec.Error != "" {
		w.Error = &rec.Error
	}
	w.Rail = payment.Ledger
	if rec.Act.Rail != "" {
		w.Rail = rec.Act.Rail
		p, found, err := f.deps.Payments.Of(ctx, sc, rec.ID)
		if err != nil {
			return nil, err
		}
		if found {
			w.PaymentID = ptr(p.ID.String())
			w.Error = textPtr(p.Error)
		}
	}
	if rec.State == gate.Done {
		paid := rec.Moved
		if len(paid) == 0 { // an earlier call did it
			var err error
			if paid, err = f.deps.Wallets.Paid(ctx, sc, rec.ID); err != nil {
				return nil, err
			}
		}
		if len(paid) > 0 {
			w.Transaction = ptr(showTransaction(paid[0]))
		}
	}
	if !rec.Approval.IsZero() {
		a, err := f.deps.Gate.Approval(ctx, sc, rec.Approval)
		if err != nil {
			return nil, err
		}
		show, err := f.approvals(ctx, a)
		if err != nil {
			return nil, err
		}
		w.Approval = ptr(show(a))
	}
	return ok(w), nil
}

// ApprovalWire is an approval on the wire. Its type is exported because others embed it.
type ApprovalWire struct {
	ID          string     `json:"id" doc:"apr_..."`
	Type        string     `json:"type" enum:"approval"`
	AgentID     string     `json:"agent_id"`
	SessionID   *string    `json:"session_id" doc:"null for an act by API."`
	RunID       *string    `json:"run_id"`
	ToolUseID   *string    `json:"tool_use_id" doc:"The event of the session that asks."`
	ActID       string     `json:"act_id"`
	Action      string     `json:"action" enum:"payment,transfer,tool_call,run_start"`
	Amount      *moneyWire `json:"amount"`
	Payee       string     `json:"payee"`
	Description string     `json:"description"`
	Rule        string     `json:"rule" doc:"What asked for the approval; when it was approved too late, what denied the act."`
	Reason      string     `json:"reason"`
	Status      string     `json:"status" enum:"pending,approved,denied,expired"`
	ExpiresAt   stamp      `json:"expires_at"`
	DecidedBy   *string    `json:"decided_by" doc:"The API key that decided, or system."`
	DecidedAt   *stamp     `json:"decided_at"`
	Note        *string    `json:"note" doc:"Why it was denied."`
	CreatedAt   stamp      `json:"created_at"`

	RequestedBy          *string    `json:"requested_by" doc:"The API key that asked for the act; null for one that an agent asked for in a session."`
	RequiredApprovals    int        `json:"required_approvals" doc:"How many different API keys must approve."`
	ApproverNotRequester bool       `json:"approver_not_requester" doc:"Whether requested_by is none of them."`
	Votes                []voteWire `json:"votes" nullable:"false" doc:"Who has approved so far."`
}

type voteWire struct {
	By string `json:"by" doc:"The API key, or system."`
	At stamp  `json:"at"`
}

func showApproval(a policy.Approval) ApprovalWire {
	w := ApprovalWire{
		ID: a.ID.String(), Type: "approval", AgentID: a.Agent.String(), SessionID: textPtr(a.Session.String()),
		ToolUseID: textPtr(a.ToolUse.String()), ActID: a.Act.String(), Action: string(a.Action), Amount: showMoneyPtr(a.Amount),
		Payee: a.Payee, Description: a.Detail, Rule: a.Rule, Reason: a.Reason, Status: string(a.Status), ExpiresAt: stampOf(a.ExpiresAt),
		DecidedBy: textPtr(a.DecidedBy), DecidedAt: stampPtr(a.DecidedAt), Note: textPtr(a.Note), CreatedAt: stampOf(a.CreatedAt),
		RequestedBy: textPtr(a.RequestedBy), RequiredApprovals: a.Required, ApproverNotRequester: a.Apart, Votes: []voteWire{},
	}
	for _, v := range a.Votes {
		w.Votes = append(w.Votes, voteWire{v.By, stampOf(v.At)})
	}
	if a.Status == policy.ApprovalVoid {
		w.Status = string(policy.ApprovalDenied) // its act was cancelled before anybody decided; the note says how
	}
	return w
}

type decidedApprovalWire struct {
	ApprovalWire
	Act actWire `json:"act" doc:"What became of the act."`
}

type actWire struct {
	ID       string       `json:"id"`
	State    string       `json:"state" enum:"done,denied,failed,ready,parked" doc:"ready: its session goes on with it now. parked: further approvals are required."`
	Decision decisionWire `json:"decision"`
	Error    *string      `json:"error"`
}

type createPaymentInput struct {
	AgentInput
	Body struct {
		Amount      positiveInput `json:"amount" doc:"Above zero. Its currency chooses the wallet."`
		Payee       string        `json:"payee,omitempty" maxLength:"1024" doc:"Whom to pay: a host name, a URL, an e-mail address or a name."`
		Description string        `json:"description,omitempty" maxLength:"16384"`
		Category    string        `json:"category,omitempty" maxLength:"1024"`
		Rail        string        `json:"rail,omitempty" maxLength:"32" doc:"Over what it leaves: ledger, this server's own books, when left out, or a rail that the operator has configured, such as stripe."`
	}
}

type createTransferInput struct {
	Body struct {
		FromAgentID string        `json:"from_agent_id"`
		ToAgentID   string        `json:"to_agent_id"`
		Amount      positiveInput `json:"amount"`
		Description string        `json:"description,omitempty" maxLength:"16384"`
	}
}

type simulateInput struct{ Body simulateBody }

type simulateBody struct {
	AgentID     string         `json:"agent_id"`
	Action      string         `json:"action,omitempty" enum:"payment,transfer,model_call,tool_call,run_start" default:"payment"`
	Amount      moneyInput     `json:"amount,omitempty" doc:"What would be moved, or what a model call would cost at most."`
	Payee       string         `json:"payee,omitempty" maxLength:"1024" doc:"For a transfer the receiving agent's id."`
	Category    string         `json:"category,omitempty" maxLength:"1024"`
	Description string         `json:"description,omitempty" maxLength:"16384"`
	Tool        string         `json:"tool,omitempty" maxLength:"1024"`
	Arguments   map[string]any `json:"arguments,omitempty"`
	Tokens      int64          `json:"tokens,omitempty" minimum:"0"`

	Policy  *draftPolicyBody `json:"policy,omitempty" doc:"A policy that is not stored, and is judged as though it were."`
	Replace string           `json:"replace,omitempty" doc:"The stored policy in whose place policy is judged, with its scope."`
}

// TransformSchema implements huma.SchemaTransformer.
func (simulateBody) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Extensions = when("action", []any{string(rule.ActionPayment), string(rule.ActionTransfer), nil}, map[string]any{
		"required": []string{"amount"}, "properties": map[string]any{"amount": positiveInput{}.Schema(nil)},
	})
	return s
}

func (f *face) registerPayments() {
	const how = "The gate decides and pays in one transaction. A refusal is an answer, too: `status` is `denied` and `decision` names the rule; " +
		"no money has moved. `pending_approval` waits for a person. A payment over a rail is decided and held first; it answers when the rail does. With an `Idempotency-Key` the payment happens at most once."

	httpx.Register(f.Face, httpx.Op{
		ID: "createPayment", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/wallet/payments", Tag: "wallets", Strict: true,
		Example: `{"amount":{"amount":"20.00","currency":"USDC"},"payee":"vendor.example","description":"seats","category":"software"}`,
		Summary: "Pay out of an agent's wallet", Description: how, Permission: account.WalletsWrite, OwnIdempotency: true,
	}, func(ctx context.Context, in *createPaymentInput) (*output[paymentWire], error) {
		agent, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		amount, err := in.Body.Amount.read("amount")
		if err != nil {
			return nil, err
		}
		act := gate.Act{
			Key: httpx.ActKey(ctx), Action: rule.ActionPayment, Agent: agent, Amount: &amount, Payee: in.Body.Payee,
			Category: in.Body.Category, Description: in.Body.Description,
		}
		pay := f.deps.Gate.Perform
		if in.Body.Rail != "" && in.Body.Rail != payment.Ledger {
			act.Rail, pay = in.Body.Rail, f.deps.Payments.Pay
		}
		rec, err := pay(ctx, httpx.Scope(ctx), act)
		if err != nil {
			return nil, err
		}
		return f.showPayment(ctx, rec)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createTransfer", Method: http.MethodPost, Path: "/v1/transfers", Tag: "wallets", Strict: true,
		Example: `{"from_agent_id":"agent_01h...","to_agent_id":"agent_01h...","amount":{"amount":"20.00","currency":"USDC"}}`,
		Summary: "Move money between two agents' wallets", Description: how + " A transfer counts towards the sender's limits.",
		Permission: account.WalletsWrite, OwnIdempotency: true,
	}, func(ctx context.Context, in *createTransferInput) (*output[paymentWire], error) {
		from, err := id.Parse[id.AgentKind](in.Body.FromAgentID)
		if err != nil {
			return nil, err
		}
		amount, err := in.Body.Amount.read("amount")
		if err != nil {
			return nil, err
		}
		rec, err := f.deps.Gate.Perform(ctx, httpx.Scope(ctx), gate.Act{
			Key: httpx.ActKey(ctx), Action: rule.ActionTransfer, Agent: from, Amount: &amount, Payee: in.Body.ToAgentID,
			Description: in.Body.Description,
		})
		if err != nil {
			return nil, err
		}
		return f.showPayment(ctx, rec)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "simulateDecision", Method: http.MethodPost, Path: "/v1/policies/simulate", Tag: "policies", Strict: true,
		Example: `{"agent_id":"agent_01h...","amount":{"amount":"20.00","currency":"USDC"},"payee":"vendor.example"}`,
		Summary: "Ask what would be decided about an act", Permission: account.PoliciesRead, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Everything is judged as it is at this moment: standing, policies, plugin rules, windows and funds. Nothing is done or kept.",
	}, f.simulate)
}

func (f *face) simulate(ctx context.Context, in *simulateInput) (*output[decisionWire], error) {
	agent, err := id.Parse[id.AgentKind](in.Body.AgentID)
	if err != nil {
		return nil, err
	}
	act := gate.Act{
		Action: rule.Action(in.Body.Action), Agent: agent, Payee: in.Body.Payee, Category: in.Body.Category,
		Description: in.Body.Description, Tool: in.Body.Tool, Tokens: in.Body.Tokens,
	}
	if in.Body.Amount.set && !in.Body.Amount.null {
		def := wallet.DefaultCurrency
		if act.Action != rule.ActionPayment && act.Action != rule.ActionTransfer {
			def = money.USD
		}
		amount, err := in.Body.Amount.readIn("amount", def)
		if err != nil {
			return nil, err
		}
		act.Amount = &amount
	}
	if in.Body.Arguments != nil {
		if act.Arguments, err = json.Marshal(in.Body.Arguments); err != nil {
			return nil, err
		}
	}
	var d policy.Decision
	switch {
	case in.Body.Policy != nil:
		var p policy.Policy
		if p, err = f.draft(ctx, *in.Body.Policy, in.Body.Replace); err == nil {
			d, err = f.deps.Gate.SimulateWith(ctx, httpx.Scope(ctx), act, p)
		}
	case in.Body.Replace != "":
		err = fault.Invalidf("policy", "is required beside replace")
	default:
		d, err = f.deps.Gate.Simulate(ctx, httpx.Scope(ctx), act)
	}
	if err != nil {
		return nil, err
	}
	return ok(showDecision(d)), nil
}

// ApprovalInput names an approval. Its type is exported because others embed it.
type ApprovalInput struct {
	ApprovalID string `path:"approval_id" doc:"The id of an approval."`
}

type listApprovalsInput struct {
	httpx.PageQuery
	Status    string `query:"status" enum:"pending,approved,denied,expired" doc:"Only those."`
	AgentID   string `query:"agent_id" doc:"Only this agent's."`
	SessionID string `query:"session_id" doc:"Only this session's."`
}

func (in *listApprovalsInput) filter() (f policy.ApprovalFilter, err error) {
	if in.Status != "" {
		f.Status = append(f.Status, policy.ApprovalStatus(in.Status))
		if f.Status[0] == policy.ApprovalDenied {
			f.Status = append(f.Status, policy.ApprovalVoid) // shown as denied
		}
	}
	if in.AgentID != "" {
		if f.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
			return f, err
		}
	}
	if in.SessionID != "" {
		f.Session, err = id.Parse[id.SessionKind](in.SessionID)
	}
	return f, err
}

type denyApprovalInput struct {
	ApprovalInput
	Body *struct {
		Reason string `json:"reason,omitempty" maxLength:"16384" doc:"For the agent and the audit trail."`
	} `required:"false"`
}

func (f *face) registerApprovals() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listApprovals", Method: http.MethodGet, Path: "/v1/approvals", Tag: "approvals",
		Summary: "List approvals, newest first", Permission: account.Approvals,
	}, func(ctx context.Context, in *listApprovalsInput) (*output[httpx.List[ApprovalWire]], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Gate.Approvals(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		show, err := f.approvals(ctx, found.Items...)
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, show)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getApproval", Method: http.MethodGet, Path: "/v1/approvals/{approval_id}", Tag: "approvals",
		Summary: "Read an approval", Permission: account.Approvals,
	}, func(ctx context.Context, in *ApprovalInput) (*output[ApprovalWire], error) {
		a, err := id.Parse[id.ApprovalKind](in.ApprovalID)
		if err != nil {
			return nil, err
		}
		got, err := f.deps.Gate.Approval(ctx, httpx.Scope(ctx), a)
		if err != nil {
			return nil, err
		}
		show, err := f.approvals(ctx, got)
		if err != nil {
			return nil, err
		}
		return ok(show(got)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "approveApproval", Method: http.MethodPost, Path: "/v1/approvals/{approval_id}/approve", Tag: "approvals",
		Summary: "Approve what waits", Permission: account.Approvals,
		Description: "The act is judged once more with only the approval met, and done: a payment at once, a tool call by its session. " +
			"Frozen or over a limit by now, it is denied, and so is the approval. An approval is decided once; later is a conflict. " +
			"Where `required_approvals` is more than 1, each API key has one vote, and the last one that is needed does the act; until then the " +
			"answer's `status` is `pending`. A key that votes twice counts once. The key that asked for the act may not vote where others have to.",
	}, func(ctx context.Context, in *ApprovalInput) (*output[decidedApprovalWire], error) {
		a, err := id.Parse[id.ApprovalKind](in.ApprovalID)
		if err != nil {
			return nil, err
		}
		got, rec, err := f.deps.Gate.Approve(ctx, httpx.Scope(ctx), a)
		if err != nil {
			return nil, err
		}
		show, err := f.approvals(ctx, got)
		if err != nil {
			return nil, err
		}
		return ok(showDecided(show(got), rec)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "denyApproval", Method: http.MethodPost, Path: "/v1/approvals/{approval_id}/deny", Tag: "approvals",
		Example: `{"reason":"not this month"}`,
		Summary: "Deny what waits", Permission: account.Approvals,
	}, func(ctx context.Context, in *denyApprovalInput) (*output[decidedApprovalWire], error) {
		a, err := id.Parse[id.ApprovalKind](in.ApprovalID)
		if err != nil {
			return nil, err
		}
		reason := ""
		if in.Body != nil {
			reason = in.Body.Reason
		}
		sc := httpx.Scope(ctx)
		got, err := f.deps.Gate.Deny(ctx, sc, a, reason)
		if err != nil {
			return nil, err
		}
		rec, err := f.deps.Gate.Act(ctx, sc, got.Act)
		if err != nil {
			return nil, err
		}
		show, err := f.approvals(ctx, got)
		if err != nil {
			return nil, err
		}
		return ok(showDecided(show(got), rec)), nil
	})
}

func showDecided(a ApprovalWire, rec gate.Record) decidedApprovalWire {
	return decidedApprovalWire{a, actWire{
		ID: rec.ID.String(), State: string(rec.State), Decision: showDecision(rec.Decision), Error: textPtr(rec.Error),
	}}
}
