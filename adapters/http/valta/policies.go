package valta

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

type policyWire struct {
	ID                   string   `json:"id" doc:"pol_..."`
	AgentID              string   `json:"agentId"`
	MaxPerTransaction    *units   `json:"maxPerTransaction"`
	DailyLimit           *units   `json:"dailyLimit"`
	MonthlyLimit         *units   `json:"monthlyLimit"`
	RequireApprovalAbove *units   `json:"requireApprovalAbove"`
	BlockedCategories    []string `json:"blockedCategories" nullable:"false"`
	AllowedDomains       []string `json:"allowedDomains" nullable:"false"`
	BlockedDomains       []string `json:"blockedDomains" nullable:"false"`
	CreatedAt            stamp    `json:"createdAt"`
	UpdatedAt            stamp    `json:"updatedAt"`
}

func showPolicy(p policy.Policy) policyWire {
	l := p.Limits
	return policyWire{
		ID: p.ID.String(), AgentID: spellAgent(p.Scope.Agent), MaxPerTransaction: unitsPtr(l.MaxPerTransaction),
		DailyLimit: unitsPtr(l.DailyLimit), MonthlyLimit: unitsPtr(l.MonthlyLimit), RequireApprovalAbove: unitsPtr(l.RequireApprovalAbove),
		BlockedCategories: list(l.BlockedCategories), AllowedDomains: list(l.AllowedDomains), BlockedDomains: list(l.BlockedDomains),
		CreatedAt: stampOf(p.CreatedAt), UpdatedAt: stampOf(p.UpdatedAt),
	}
}

// maybePolicy is a policy, or null for none.
type maybePolicy struct{ policy *policyWire }

// MarshalJSON implements json.Marshaler.
func (m maybePolicy) MarshalJSON() ([]byte, error) { return json.Marshal(m.policy) }

// Schema implements huma.SchemaProvider.
func (maybePolicy) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{r.Schema(reflect.TypeFor[policyWire](), true, ""), {Type: "null"}}}
}

// list is a list that is never null.
func list(items []string) []string {
	if items == nil {
		return []string{}
	}
	return items
}

type policyBody struct {
	MaxPerTransaction    limit           `json:"maxPerTransaction,omitempty" doc:"The most that one payment or transfer may move. No approval lifts it."`
	DailyLimit           limit           `json:"dailyLimit,omitempty" doc:"Per calendar day, UTC."`
	MonthlyLimit         limit           `json:"monthlyLimit,omitempty" doc:"Per calendar month, UTC."`
	RequireApprovalAbove limit           `json:"requireApprovalAbove,omitempty" doc:"At or above this amount a person must approve. Not over maxPerTransaction."`
	BlockedCategories    maybe[[]string] `json:"blockedCategories,omitempty" doc:"Case does not matter, and '-', '_' and space are the same."`
	AllowedDomains       maybe[[]string] `json:"allowedDomains,omitempty" doc:"Hosts of payees: example.com is that host, *.example.com its subdomains. When not empty, every other payee is denied."`
	BlockedDomains       maybe[[]string] `json:"blockedDomains,omitempty" doc:"Hosts with their subdomains. They beat allowedDomains."`
}

// apply merges the body into limits: what it leaves out stays, null clears.
func (b policyBody) apply(l *policy.Limits) error {
	for _, m := range []struct {
		name string
		in   limit
		to   **money.Amount
	}{
		{"maxPerTransaction", b.MaxPerTransaction, &l.MaxPerTransaction},
		{"dailyLimit", b.DailyLimit, &l.DailyLimit},
		{"monthlyLimit", b.MonthlyLimit, &l.MonthlyLimit},
		{"requireApprovalAbove", b.RequireApprovalAbove, &l.RequireApprovalAbove},
	} {
		if err := m.in.apply(m.name, m.to); err != nil {
			return err
		}
	}
	for _, m := range []struct {
		in maybe[[]string]
		to *[]string
	}{
		{b.BlockedCategories, &l.BlockedCategories}, {b.AllowedDomains, &l.AllowedDomains}, {b.BlockedDomains, &l.BlockedDomains},
	} {
		if m.in.set {
			*m.to = slices.Clone(m.in.value)
		}
	}
	return nil
}

// wipe removes from limits everything that this face knows.
func wipe(l *policy.Limits) {
	l.MaxPerTransaction, l.DailyLimit, l.MonthlyLimit, l.RequireApprovalAbove = nil, nil, nil, nil
	l.BlockedCategories, l.AllowedDomains, l.BlockedDomains = nil, nil, nil
}

type policyInput struct {
	AgentInput
	Body policyBody
}

func (f *face) registerPolicies() {
	const path = "/agents/{agentId}/policy"

	httpx.Register(f.Face, httpx.Op{
		ID: "createPolicy", Method: http.MethodPost, Path: path, Tag: "policies", Strict: true,
		Example: `{"maxPerTransaction":50,"dailyLimit":100,"requireApprovalAbove":25,"blockedCategories":["gambling"]}`,
		Summary: "Set an agent's policy", Permission: account.PoliciesWrite,
		Description: "Makes the agent's policy, or replaces it. It holds for whatever is decided after this answers.",
	}, func(ctx context.Context, in *policyInput) (*output[policyWire], error) {
		a, err := f.agent(ctx, in.AgentInput)
		if err != nil {
			return nil, err
		}
		p, _, err := f.deps.Policies.PutPrimary(ctx, httpx.Scope(ctx), policy.Scope{Agent: a.ID}, func(p *policy.Policy) error {
			wipe(&p.Limits)
			return in.Body.apply(&p.Limits)
		})
		if err != nil {
			return nil, spelledHere(err)
		}
		return ok(showPolicy(p)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getPolicy", Method: http.MethodGet, Path: path, Tag: "policies",
		Summary: "Read an agent's policy", Permission: account.PoliciesRead,
		Description: "null when it has none: then it may not pay, unless the server allows that by default.",
	}, func(ctx context.Context, in *AgentInput) (*output[maybePolicy], error) {
		p, there, err := f.policy(ctx, *in)
		if err != nil || !there {
			return ok(maybePolicy{}), err
		}
		w := showPolicy(p)
		return ok(maybePolicy{&w}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "updatePolicy", Method: http.MethodPatch, Path: path, Tag: "policies", Strict: true, Statuses: []int{http.StatusConflict},
		Example: `{"dailyLimit":75}`,
		Summary: "Change a part of an agent's policy", Permission: account.PoliciesWrite, Description: "What is left out stays; null removes.",
	}, func(ctx context.Context, in *policyInput) (*output[policyWire], error) {
		p, there, err := f.policy(ctx, in.AgentInput)
		switch {
		case err != nil:
			return nil, err
		case !there:
			return nil, id.NotFound[id.PolicyKind]("of " + in.AgentID)
		}
		p, err = f.deps.Policies.Update(ctx, httpx.Scope(ctx), p.ID, policy.UpdateRequest{Change: func(p *policy.Policy) error {
			return in.Body.apply(&p.Limits)
		}})
		if err != nil {
			return nil, spelledHere(err)
		}
		return ok(showPolicy(p)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deletePolicy", Method: http.MethodDelete, Path: path, Tag: "policies",
		Summary: "Remove an agent's policy", Permission: account.PoliciesWrite,
		Description: "Without a policy the agent may not pay, unless the server allows that by default.",
	}, func(ctx context.Context, in *AgentInput) (*output[successWire], error) {
		p, there, err := f.policy(ctx, *in)
		switch {
		case err != nil:
			return nil, err
		case !there:
			return nil, id.NotFound[id.PolicyKind]("of " + in.AgentID)
		}
		if err := f.deps.Policies.Delete(ctx, httpx.Scope(ctx), p.ID); err != nil {
			return nil, err
		}
		return ok(successWire{true}), nil
	})
}

// policy returns the policy of the agent that a path names; false when it has none.
func (f *face) policy(ctx context.Context, in AgentInput) (policy.Policy, bool, error) {
	a, err := f.agent(ctx, in)
	if err != nil {
		return policy.Policy{}, false, err
	}
	return f.deps.Policies.Primary(ctx, httpx.Scope(ctx), policy.Scope{Agent: a.ID})
}

// spelledHere names the fields of a faulty policy as this face does: limits.daily_limit is dailyLimit.
func spelledHere(err error) error {
	fe, ok := fault.As(err)
	if !ok || len(fe.Fields) == 0 {
		return err
	}
	first := fe.Fields[0]
	return fault.Invalidf(camelPath(first.Path), "%s", first.Message)
}
