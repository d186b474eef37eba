package native

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

type policyWire struct {
	ID        string           `json:"id" doc:"pol_..."`
	Type      string           `json:"type" enum:"policy"`
	Scope     policyScopeWire  `json:"scope"`
	Limits    limitsWire       `json:"limits"`
	Rules     []policyRuleWire `json:"rules" nullable:"false"`
	Mode      string           `json:"mode" enum:"enforce,observe"`
	Version   int              `json:"version"`
	CreatedAt stamp            `json:"created_at"`
	UpdatedAt stamp            `json:"updated_at"`
}

type policyScopeWire struct {
	Tenant    bool   `json:"tenant,omitempty" doc:"For every agent of the tenant, together."`
	SwarmID   string `json:"swarm_id,omitempty" doc:"For every agent of the swarm, together."`
	AgentID   string `json:"agent_id,omitempty" doc:"For one agent."`
	SessionID string `json:"session_id,omitempty" doc:"For one session with its threads; of a run, the id is that of its session."`
}

// TransformSchema implements huma.SchemaTransformer.
func (policyScopeWire) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return oneOf(s, map[string]any{"tenant": map[string]any{"const": true}, "swarm_id": given(), "agent_id": given(), "session_id": given()})
}

type policyRuleWire struct {
	Plugin string         `json:"plugin" minLength:"1" maxLength:"64" pattern:"^[a-z0-9_]+$" patternDescription:"lower-case letters, digits and _" doc:"The name of an enabled rule."`
	Config map[string]any `json:"config,omitempty" doc:"As the rule's schema wants it."`
}

// limitsWire shows every limit; null and [] limit nothing.
type limitsWire struct {
	MaxPerTransaction    *moneyWire `json:"max_per_transaction"`
	HourlyLimit          *moneyWire `json:"hourly_limit"`
	DailyLimit           *moneyWire `json:"daily_limit"`
	WeeklyLimit          *moneyWire `json:"weekly_limit"`
	MonthlyLimit         *moneyWire `json:"monthly_limit"`
	AllTimeLimit         *moneyWire `json:"all_time_limit"`
	PerRunLimit          *moneyWire `json:"per_run_limit"`
	RequireApprovalAbove *moneyWire `json:"require_approval_above"`
	ApprovalTTL          *int64     `json:"approval_ttl"`
	RequiredApprovals    int        `json:"required_approvals"`
	ApproverNotRequester bool       `json:"approver_not_requester"`
	BlockedCategories    []string   `json:"blocked_categories" nullable:"false"`
	AllowedCategories    []string   `json:"allowed_categories" nullable:"false"`
	AllowedPayees        []string   `json:"allowed_payees" nullable:"false"`
	BlockedPayees        []string   `json:"blocked_payees" nullable:"false"`
	AllowedDomains       []string   `json:"allowed_domains" nullable:"false"`
	BlockedDomains       []string   `json:"blocked_domains" nullable:"false"`
	DailyCostLimit       *moneyWire `json:"daily_cost_limit"`
	MonthlyCostLimit     *moneyWire `json:"monthly_cost_limit"`
	DailyTokenLimit      *int64     `json:"daily_token_limit"`
	MonthlyTokenLimit    *int64     `json:"monthly_token_limit"`
	MinCardScore         *int       `json:"min_card_score"`
	RequireValidCard     bool       `json:"require_valid_card"`
	RequireSignedCard    bool       `json:"require_signed_card"`

	Windows      []windowWire     `json:"windows" nullable:"false"`
	Structuring  *structuringWire `json:"structuring"`
	NewPayee     string           `json:"new_payee" enum:"allow,require_approval,deny"`
	AllowedTimes []timeRangeWire  `json:"allowed_times" nullable:"false"`
}

func showPolicy(p policy.Policy) policyWire {
	l := p.Limits
	w := policyWire{
		ID: p.ID.String(), Type: "policy", Rules: []policyRuleWire{}, Mode: string(p.Mode), Version: p.Version,
		Scope:     policyScopeWire{Tenant: p.Scope.Tenant, SwarmID: p.Scope.Swarm.String(), AgentID: p.Scope.Agent.String(), SessionID: p.Scope.Session.String()},
		CreatedAt: stampOf(p.CreatedAt), UpdatedAt: stampOf(p.UpdatedAt),
		Limits: limitsWire{
			MaxPerTransaction: showMoneyPtr(l.MaxPerTransaction), HourlyLimit: showMoneyPtr(l.HourlyLimit),
			DailyLimit: showMoneyPtr(l.DailyLimit), WeeklyLimit: showMoneyPtr(l.WeeklyLimit), MonthlyLimit: showMoneyPtr(l.MonthlyLimit),
			AllTimeLimit: showMoneyPtr(l.AllTimeLimit), RequireApprovalAbove: showMoneyPtr(l.RequireApprovalAbove),
			RequiredApprovals: max(l.RequiredApprovals, 1), ApproverNotRequester: l.ApproverNotRequester,
			BlockedCategories: list(l.BlockedCategories), AllowedCategories: list(l.AllowedCategories),
			AllowedPayees: list(l.AllowedPayees), BlockedPayees: list(l.BlockedPayees),
			AllowedDomains: list(l.AllowedDomains), BlockedDomains: list(l.BlockedDomains),
			DailyCostLimit: showMoneyPtr(l.DailyCostLimit), MonthlyCostLimit: showMoneyPtr(l.MonthlyCostLimit),
			DailyTokenLimit: l.DailyTokenLimit, MonthlyTokenLimit: l.MonthlyTokenLimit,
			MinCardScore: l.MinCardScore, RequireValidCard: l.RequireValidCard, RequireSignedCard: l.RequireSignedCard,
		},
	}
	w.Limits.showMore(l)
	if l.ApprovalTTL > 0 {
		w.Limits.ApprovalTTL = ptr(int64(l.ApprovalTTL / time.Second))
	}
	for _, r := range p.Rules {
		rule := policyRuleWire{Plugin: r.Plugin, Config: map[string]any{}}
		_ = json.Unmarshal(r.Config, &rule.Config) // it was an object when it was written
		w.Rules = append(w.Rules, rule)
	}
	return w
}

// list is a list that is never null.
func list(items []string) []string {
	if items == nil {
		return []string{}
	}
	return items
}

type limitsInput struct {
	MoreLimitsInput

	MaxPerTransaction    moneyInput          `json:"max_per_transaction,omitempty" doc:"The most that one payment or transfer may move. No approval lifts it."`
	HourlyLimit          moneyInput          `json:"hourly_limit,omitempty" doc:"Per calendar hour, UTC."`
	DailyLimit           moneyInput          `json:"daily_limit,omitempty" doc:"Per calendar day, UTC."`
	WeeklyLimit          moneyInput          `json:"weekly_limit,omitempty" doc:"Per calendar week from Monday, UTC."`
	MonthlyLimit         moneyInput          `json:"monthly_limit,omitempty" doc:"Per calendar month, UTC."`
	AllTimeLimit         moneyInput          `json:"all_time_limit,omitempty" doc:"For ever."`
	RequireApprovalAbove moneyInput          `json:"require_approval_above,omitempty" doc:"At or above this amount a person must approve. Not over max_per_transaction."`
	ApprovalTTL          httpx.Opt[int64]    `json:"approval_ttl,omitempty" minimum:"1" maximum:"2592000" doc:"Seconds until an approval expires into a denial; null is a day."`
	RequiredApprovals    httpx.Opt[int]      `json:"required_approvals,omitempty" minimum:"1" maximum:"10" doc:"How many different API keys must approve what this policy makes wait; null is 1. Of several policies the most counts."`
	ApproverNotRequester httpx.Opt[bool]     `json:"approver_not_requester,omitempty" doc:"The API key that asked for a payment may not approve it. So it is whenever more than one approval is required."`
	BlockedCategories    httpx.Opt[[]string] `json:"blocked_categories,omitempty" doc:"Of payments. Case does not matter, and '-', '_' and space are the same."`
	AllowedCategories    httpx.Opt[[]string] `json:"allowed_categories,omitempty" doc:"When not empty, payments of other categories are denied."`
	AllowedPayees        httpx.Opt[[]string] `json:"allowed_payees,omitempty" doc:"When not empty, other payees are denied; for transfers, ids of agents."`
	BlockedPayees        httpx.Opt[[]string] `json:"blocked_payees,omitempty"`
	AllowedDomains       httpx.Opt[[]string] `json:"allowed_domains,omitempty" doc:"Hosts of payees: example.com is that host, *.example.com its subdomains. When not empty, every other payee is denied."`
	BlockedDomains       httpx.Opt[[]string] `json:"blocked_domains,omitempty" doc:"Hosts with their subdomains. They beat allowed_domains."`
	DailyCostLimit       moneyInput          `json:"daily_cost_limit,omitempty" doc:"What models and tools may cost in a day, in USD."`
	MonthlyCostLimit     moneyInput          `json:"monthly_cost_limit,omitempty" doc:"What models and tools may cost in a month, in USD."`
	DailyTokenLimit      httpx.Opt[int64]    `json:"daily_token_limit,omitempty" minimum:"0" doc:"Tokens of model calls in a day."`
	MonthlyTokenLimit    httpx.Opt[int64]    `json:"monthly_token_limit,omitempty" minimum:"0" doc:"Tokens of model calls in a month."`
}

// apply merges the request into limits: what it leaves out stays, null clears.
func (in limitsInput) apply(l *policy.Limits) error {
	for _, m := range []struct {
		name string
		in   moneyInput
		to   **money.Amount
		def  money.Currency
	}{
		{"max_per_transaction", in.MaxPerTransaction, &l.MaxPerTransaction, money.USDC},
		{"hourly_limit", in.HourlyLimit, &l.HourlyLimit, money.USDC},
		{"daily_limit", in.DailyLimit, &l.DailyLimit, money.USDC},
		{"weekly_limit", in.WeeklyLimit, &l.WeeklyLimit, money.USDC},
		{"monthly_limit", in.MonthlyLimit, &l.MonthlyLimit, money.USDC},
		{"all_time_limit", in.AllTimeLimit, &l.AllTimeLimit, money.USDC},
		{"require_approval_above", in.RequireApprovalAbove, &l.RequireApprovalAbove, money.USDC},
		{"daily_cost_limit", in.DailyCostLimit, &l.DailyCostLimit, money.USD},
		{"monthly_cost_limit", in.MonthlyCostLimit, &l.MonthlyCostLimit, money.USD},
	} {
		switch {
		case m.in.null:
			*m.to = nil
		case m.in.set:
			a, err := m.in.readIn("limits."+m.name, m.def)
			if err != nil {
				return err
			}
			*m.to = &a
		}
	}
	for _, m := range []struct {
		in httpx.Opt[[]string]
		to *[]string
	}{
		{in.BlockedCategories, &l.BlockedCategories},
		{in.AllowedCategories, &l.AllowedCategories},
		{in.AllowedPayees, &l.AllowedPayees},
		{in.BlockedPayees, &l.BlockedPayees},
		{in.AllowedDomains, &l.AllowedDomains},
		{in.BlockedDomains, &l.BlockedDomains},
	} {
		if m.in.Set {
			*m.to = m.in.Value // none for null
		}
	}
	for _, n := range []struct {
		in httpx.Opt[int64]
		to **int64
	}{{in.DailyTokenLimit, &l.DailyTokenLimit}, {in.MonthlyTokenLimit, &l.MonthlyTokenLimit}} {
		switch {
		case n.in.Null:
			*n.to = nil
		case n.in.Set:
			*n.to = ptr(n.in.Value)
		}
	}
	if n := in.RequiredApprovals; n.Set {
		if !n.Null && n.Value < 1 {
			return fault.Invalidf("limits.required_approvals", "must be between 1 and %d", policy.MaxApprovals)
		}
		l.RequiredApprovals = n.Value // 0 for null
	}
	if apart := in.ApproverNotRequester; apart.Set {
		l.ApproverNotRequester = apart.Value
	}
	if err := in.applyMore(l); err != nil {
		return err
	}
	if ttl := in.ApprovalTTL; ttl.Set {
		const most = int64(1) << 31 // far over the service's bound, and safe to multiply
		if !ttl.Null && ttl.Value < 1 {
			return fault.Invalidf("limits.approval_ttl", "must be at least 1 second")
		}
		l.ApprovalTTL = time.Duration(min(ttl.Value, most)) * time.Second
	}
	return nil
}

func readRules(in []policyRuleWire) ([]policy.RuleRef, error) {
	var out []policy.RuleRef
	for _, r := range in {
		ref := policy.RuleRef{Plugin: r.Plugin}
		if len(r.Config) > 0 {
			b, err := json.Marshal(r.Config)
			if err != nil {
				return nil, err
			}
			ref.Config = b
		}
		out = append(out, ref)
	}
	return out, nil
}

func readScope(in policyScopeWire) (s policy.Scope, err error) {
	s.Tenant = in.Tenant
	if in.SwarmID != "" {
		if s.Swarm, err = id.Parse[id.SwarmKind](in.SwarmID); err != nil {
			return s, err
		}
	}
	if in.AgentID != "" {
		if s.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
			return s, err
		}
	}
	if in.SessionID != "" {
		s.Session, err = id.Parse[id.SessionKind](in.SessionID)
	}
	return s, err
}

type createPolicyInput struct {
	Body struct {
		Scope  policyScopeWire  `json:"scope" doc:"Exactly one of its fields."`
		Limits limitsInput      `json:"limits,omitempty"`
		Rules  []policyRuleWire `json:"rules,omitempty" maxItems:"20"`
		Mode   string           `json:"mode,omitempty" enum:"enforce,observe" default:"enforce" doc:"observe: acts are judged and counted, and never stopped; decisions say what would have been."`
	}
}

type updatePolicyInput struct {
	PolicyInput
	Body struct {
		Limits  limitsInput                 `json:"limits,omitempty" doc:"Merged: a limit that is left out stays, null removes it."`
		Rules   httpx.Opt[[]policyRuleWire] `json:"rules,omitempty" doc:"Replaces all rules."`
		Mode    string                      `json:"mode,omitempty" enum:"enforce,observe"`
		Version *int                        `json:"version,omitempty" minimum:"1" doc:"The version that the caller has seen; another one is a conflict."`
	}
}

// PolicyInput names a policy. Its type is exported because others embed it.
type PolicyInput struct {
	PolicyID string `path:"policy_id" doc:"The id of a policy."`
}

type listPoliciesInput struct {
	httpx.PageQuery
	Scope     string `query:"scope" enum:"tenant" doc:"tenant: those of the whole tenant only."`
	SwarmID   string `query:"swarm_id" doc:"Those of a swarm only."`
	AgentID   string `query:"agent_id" doc:"Those of an agent only."`
	SessionID string `query:"session_id" doc:"Those of a session only."`
}

func (f *face) registerPolicies() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createPolicy", Method: http.MethodPost, Path: "/v1/policies", Tag: "policies", Status: http.StatusCreated, Strict: true,
		Example: `{"scope":{"agent_id":"agent_01h..."},"limits":{"daily_limit":{"amount":"60","currency":"USDC"},"allowed_domains":["*.vendor.example"]},"rules":[{"plugin":"approval_threshold","config":{"threshold":"30","currency":"USDC"}}]}`,
		Summary: "Limit what agents may do", Permission: account.PoliciesWrite, Statuses: []int{http.StatusServiceUnavailable},
		Description: "Every policy whose scope includes an agent applies to it, and the strictest wins: deny beats approval beats allow. " +
			"Without any policy an agent may talk and may not pay.",
	}, func(ctx context.Context, in *createPolicyInput) (*output[policyWire], error) {
		scope, err := readScope(in.Body.Scope)
		if err != nil {
			return nil, err
		}
		req := policy.CreateRequest{Scope: scope, Mode: policy.Mode(in.Body.Mode)}
		if err := in.Body.Limits.apply(&req.Limits); err != nil {
			return nil, err
		}
		if req.Rules, err = readRules(in.Body.Rules); err != nil {
			return nil, err
		}
		p, err := f.deps.Policies.Create(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		return ok(showPolicy(p)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listPolicies", Method: http.MethodGet, Path: "/v1/policies", Tag: "policies",
		Summary: "List policies, newest first", Permission: account.PoliciesRead,
	}, func(ctx context.Context, in *listPoliciesInput) (*output[httpx.List[policyWire]], error) {
		scope, err := readScope(policyScopeWire{Tenant: in.Scope != "", SwarmID: in.SwarmID, AgentID: in.AgentID, SessionID: in.SessionID})
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Policies.List(ctx, httpx.Scope(ctx), policy.Filter(scope), in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showPolicy)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPolicy", Method: http.MethodGet, Path: "/v1/policies/{policy_id}", Tag: "policies",
		Summary: "Read a policy", Permission: account.PoliciesRead,
	}, func(ctx context.Context, in *PolicyInput) (*output[policyWire], error) {
		p, err := id.Parse[id.PolicyKind](in.PolicyID)
		if err != nil {
			return nil, err
		}
		got, err := f.deps.Policies.Get(ctx, httpx.Scope(ctx), p)
		if err != nil {
			return nil, err
		}
		return ok(showPolicy(got)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "updatePolicy", Method: http.MethodPatch, Path: "/v1/policies/{policy_id}", Tag: "policies", Strict: true,
		Example: `{"limits":{"daily_limit":{"amount":"100","currency":"USDC"}}}`,
		Summary: "Change a policy", Permission: account.PoliciesWrite, Statuses: []int{http.StatusConflict, http.StatusServiceUnavailable},
		Description: "No act that is decided after the answer is decided by the version before.",
	}, f.updatePolicy)

	httpx.Register(f.Face, httpx.Op{
		ID: "deletePolicy", Method: http.MethodDelete, Path: "/v1/policies/{policy_id}", Tag: "policies",
		Summary: "Remove a policy", Permission: account.PoliciesWrite,
	}, func(ctx context.Context, in *PolicyInput) (*output[httpx.Deleted], error) {
		p, err := id.Parse[id.PolicyKind](in.PolicyID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Policies.Delete(ctx, httpx.Scope(ctx), p); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: p.String(), Type: "policy_deleted"}), nil
	})
}

func (f *face) updatePolicy(ctx context.Context, in *updatePolicyInput) (*output[policyWire], error) {
	p, err := id.Parse[id.PolicyKind](in.PolicyID)
	if err != nil {
		return nil, err
	}
	req := policy.UpdateRequest{Change: func(p *policy.Policy) error {
		if in.Body.Rules.Set {
			rules, err := readRules(in.Body.Rules.Value)
			if err != nil {
				return err
			}
			p.Rules = rules
		}
		if in.Body.Mode != "" {
			p.Mode = policy.Mode(in.Body.Mode)
		}
		return in.Body.Limits.apply(&p.Limits)
	}}
	if in.Body.Version != nil {
		req.Version = *in.Body.Version
	}
	got, err := f.deps.Policies.Update(ctx, httpx.Scope(ctx), p, req)
	if err != nil {
		return nil, err
	}
	return ok(showPolicy(got)), nil
}
