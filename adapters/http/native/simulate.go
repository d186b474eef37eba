package native

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// draftPolicyBody is a policy that is not stored.
type draftPolicyBody struct {
	Scope  *policyScopeWire `json:"scope,omitempty" doc:"For whom it would hold; left out with replace, which has a scope."`
	Limits limitsInput      `json:"limits,omitempty"`
	Rules  []policyRuleWire `json:"rules,omitempty" maxItems:"20"`
	Mode   string           `json:"mode,omitempty" enum:"enforce,observe" default:"enforce"`
}

// draft checks a policy that is not stored.
func (f *face) draft(ctx context.Context, body draftPolicyBody, replace string) (policy.Policy, error) {
	req := policy.CreateRequest{Mode: policy.Mode(body.Mode)}
	var old id.Policy
	var err error
	switch {
	case replace != "" && body.Scope != nil:
		return policy.Policy{}, fault.Invalidf("policy.scope", "is that of the policy that is replaced; leave it out")
	case replace != "":
		old, err = id.Parse[id.PolicyKind](replace)
	case body.Scope == nil:
		return policy.Policy{}, fault.Invalidf("policy.scope", "is required")
	default:
		if req.Scope, err = readScope(*body.Scope); err == nil && !req.Scope.Agent.IsZero() {
			_, err = f.deps.Agents.Get(ctx, httpx.Scope(ctx), req.Scope.Agent)
		}
	}
	if err != nil {
		return policy.Policy{}, within("policy", err)
	}
	if err := body.Limits.apply(&req.Limits); err != nil {
		return policy.Policy{}, within("policy", err)
	}
	if req.Rules, err = readRules(body.Rules); err != nil {
		return policy.Policy{}, within("policy", err)
	}
	p, err := f.deps.Policies.Draft(ctx, httpx.Scope(ctx), req, old)
	return p, within("policy", err)
}

// within puts the paths of an invalid field under the field that holds it.
func within(path string, err error) error {
	fe, ok := fault.As(err)
	if !ok || fe.Kind != fault.Invalid || len(fe.Fields) == 0 {
		return err
	}
	fields := make([]fault.Field, len(fe.Fields))
	for i, x := range fe.Fields {
		fields[i] = fault.Field{Path: path + "." + x.Path, Message: x.Message}
	}
	return fault.New(fault.Invalid, fe.Code, fields[0].Path+": "+fields[0].Message).WithFields(fields...)
}

type backtestInput struct {
	Body struct {
		Policy  draftPolicyBody `json:"policy" doc:"The policy that is tried; it is not stored."`
		Replace string          `json:"replace,omitempty" doc:"A policy whose scope the tried one has."`
		From    time.Time       `json:"from" doc:"Acts that were done then or later."`
		To      *time.Time      `json:"to,omitempty" doc:"Acts that were done before then; left out: until now."`
		AgentID string          `json:"agent_id,omitempty" doc:"Report the acts of this agent only. Windows count all of the scope."`
		Limit   int             `json:"limit,omitempty" minimum:"1" maximum:"100" default:"50" doc:"How many acts changed has at most."`
		Cursor  string          `json:"cursor,omitempty" doc:"next_page of the answer before."`
	}
}

type backtestWire struct {
	Type         string               `json:"type" enum:"policy_simulation"`
	Acts         int                  `json:"acts" doc:"Payments and transfers that were done."`
	Allowed      int                  `json:"allowed"`
	WouldDeny    int                  `json:"would_deny"`
	WouldPark    int                  `json:"would_park" doc:"They would have waited for an approval."`
	Amounts      []backtestAmountWire `json:"amounts" nullable:"false" doc:"By currency."`
	Rules        []backtestRuleWire   `json:"rules" nullable:"false" doc:"By the rule that would have stopped them."`
	Changed      []changedActWire     `json:"changed" nullable:"false" doc:"A page of the acts that would have been stopped, in the order in which they were done."`
	HasMore      bool                 `json:"has_more"`
	NextPage     *string              `json:"next_page"`
	From         stamp                `json:"from"`
	To           stamp                `json:"to" doc:"The acts before it are covered."`
	Truncated    bool                 `json:"truncated" doc:"There were too many acts, and to is before what was asked for."`
	SkippedRules []string             `json:"skipped_rules" nullable:"false" doc:"Plugins of the policy: they are not asked about the past, and count as allowing."`
}

type backtestAmountWire struct {
	Currency  string `json:"currency"`
	Total     string `json:"total"`
	Allowed   string `json:"allowed"`
	WouldDeny string `json:"would_deny"`
	WouldPark string `json:"would_park"`
}

type backtestRuleWire struct {
	Rule      string `json:"rule"`
	WouldDeny int    `json:"would_deny"`
	WouldPark int    `json:"would_park"`
}

type changedActWire struct {
	ActID   string    `json:"act_id"`
	AgentID string    `json:"agent_id"`
	Action  string    `json:"action" enum:"payment,transfer"`
	Amount  moneyWire `json:"amount"`
	Payee   string    `json:"payee"`
	DoneAt  stamp     `json:"done_at"`
	Outcome string    `json:"outcome" enum:"deny,require_approval"`
	Rule    string    `json:"rule"`
	Reason  string    `json:"reason"`
}

func showBacktest(b gate.Backtest) backtestWire {
	w := backtestWire{
		Type: "policy_simulation", Acts: b.Acts, Allowed: b.Allowed, WouldDeny: b.Denied, WouldPark: b.Parked,
		Amounts: []backtestAmountWire{}, Rules: []backtestRuleWire{}, Changed: []changedActWire{}, SkippedRules: list(b.SkippedRules),
		From: stampOf(b.From), To: stampOf(b.To), Truncated: b.Truncated,
	}
	for _, a := range b.Amounts {
		show := func(n int64) string { return money.Of(n, a.Currency).Decimal() }
		w.Amounts = append(w.Amounts, backtestAmountWire{string(a.Currency), show(a.Total), show(a.Allowed), show(a.Denied), show(a.Parked)})
	}
	for _, r := range b.Rules {
		w.Rules = append(w.Rules, backtestRuleWire{r.Rule, r.Denied, r.Parked})
	}
	for _, c := range b.Changed.Items {
		w.Changed = append(w.Changed, changedActWire{
			c.ID.String(), c.Agent.String(), string(c.Action), showMoney(c.Amount), c.Payee, stampOf(c.At), showOutcome(c.Outcome), c.Rule, c.Reason,
		})
	}
	if b.Changed.Next != "" {
		w.HasMore, w.NextPage = true, &b.Changed.Next
	}
	return w
}

func (f *face) registerBacktest() {
	httpx.Register(f.Face, httpx.Op{
		ID: "simulateHistory", Method: http.MethodPost, Path: "/v1/policies/simulate/history", Tag: "policies", Strict: true,
		Example: `{"policy":{"scope":{"agent_id":"agent_01h..."},"limits":{"daily_limit":{"amount":"50","currency":"USDC"}}},"from":"2026-07-01T00:00:00Z"}`,
		Summary: "Ask what a policy would have blocked", Permission: account.AuditRead, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Walks the payments and transfers that were done, in their order, and judges each by this policy alone. What it would have denied " +
			"does not count in its windows; what would have waited counts as though it had been approved; what went before `from` counts as it " +
			"was. Acts that were denied then stay out. Plugin rules are skipped, and named, and the mode of the policy is of no account. At most " +
			fmt.Sprint(gate.MaxPastActs) + " acts are walked, those included that fill the policy's windows before `from`; beyond them the answer is " +
			"`truncated`, and covers the acts before its `to`. Nothing is done or kept.",
	}, func(ctx context.Context, in *backtestInput) (*output[backtestWire], error) {
		req := gate.BacktestRequest{From: in.Body.From, Page: page.Request{Limit: in.Body.Limit, Cursor: in.Body.Cursor}}
		var err error
		if in.Body.AgentID != "" {
			if req.Agent, err = id.Parse[id.AgentKind](in.Body.AgentID); err != nil {
				return nil, err
			}
			if _, err := f.deps.Agents.Get(ctx, httpx.Scope(ctx), req.Agent); err != nil {
				return nil, err
			}
		}
		if req.Policy, err = f.draft(ctx, in.Body.Policy, in.Body.Replace); err != nil {
			return nil, err
		}
		if in.Body.To != nil {
			req.To = *in.Body.To
		}
		b, err := f.deps.Gate.Backtest(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(showBacktest(b)), nil
	})
}
