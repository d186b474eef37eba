package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// engine decides about one payment: "allow", "park" or "deny".
type engine func(ctx context.Context, p payment) (string, error)

// payment is what is judged. Every policy has spent the same in the window.
type payment struct {
	micros   int64
	host     string
	category string
	spent    int64
}

// limits are those of the i-th policy; each engine has the same ones in its own words.
func limits(i int) (most, ask, daily int64, own string) {
	return int64(100+i) * money.MicrosPerUnit, int64(60+i) * money.MicrosPerUnit, int64(1000+i) * money.MicrosPerUnit, fmt.Sprintf("v%d.example", i)
}

var at = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func subject(p payment) policy.Subject {
	amount := money.Of(p.micros, money.USDC)
	return policy.Subject{Action: rule.ActionPayment, Amount: &amount, Payee: p.host, Category: p.category}
}

func policyID(i int) id.Policy { return id.Of[id.PolicyKind](id.UUID{15: byte(i + 1)}) }

func ptr[T any](v T) *T { return &v }

// builtIn is core/policy with n policies: their limits, and the check of the counters that the gate makes in its transaction.
func builtIn(n int) engine {
	policies := make([]policy.Policy, n)
	for i := range policies {
		most, ask, daily, own := limits(i)
		policies[i] = policy.Policy{ID: policyID(i), Version: 1, Limits: policy.Limits{
			MaxPerTransaction: ptr(money.Of(most, money.USDC)), RequireApprovalAbove: ptr(money.Of(ask, money.USDC)),
			DailyLimit: ptr(money.Of(daily, money.USDC)), BlockedCategories: []string{"gambling", "adult"},
			AllowedDomains: []string{"*.vendor.example", own},
		}}
	}
	return func(_ context.Context, p payment) (string, error) {
		return conclude(policy.Assess(policies, nil, subject(p), policy.Options{At: at}), p.spent), nil
	}
}

// conclude weighs an assessment against counters that all hold spent.
func conclude(a policy.Assessment, spent int64) string {
	counters := make([]policy.Counter, len(a.Demands))
	for i, d := range a.Demands {
		counters[i] = policy.Counter{Key: d.Key, Spent: spent}
	}
	if _, _, over := policy.Exceeded(a.Demands, counters); over {
		return "deny"
	}
	switch a.Outcome {
	case policy.Allowed:
		return "allow"
	case policy.Parked:
		return "park"
	}
	return "deny"
}

// plugins is core/policy with n policies that leave everything to the shipped rules cel and spend_limit, in processes of their own.
func plugins(n int, rules policy.Rules) engine {
	policies := make([]policy.Policy, n)
	for i := range policies {
		most, ask, daily, own := limits(i)
		policies[i] = policy.Policy{ID: policyID(i), Version: 1, Rules: []policy.RuleRef{
			{Plugin: "cel", Config: config(map[string]any{"expression": fmt.Sprintf(
				`amount > %d || category in ['gambling', 'adult'] || !(host.endsWith('.vendor.example') || host == '%s') ? 'deny' : `+
					`amount >= %d ? 'require_approval' : 'allow'`, most, own, ask)})},
			{Plugin: "spend_limit", Config: config(map[string]any{
				"window": "day", "currency": "USDC", "max": money.Of(daily, money.USDC).Decimal(),
			})},
		}}
	}
	judge := policy.Judge{Rules: rules}
	return func(ctx context.Context, p payment) (string, error) {
		s := subject(p)
		verdicts := judge.Ask(ctx, account.Scope{}, policies, s, at)
		return conclude(policy.Assess(policies, verdicts, s, policy.Options{At: at}), p.spent), nil
	}
}

func config(v map[string]any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

const regoModule = `package bureau

default outcome := "deny"

outcome := "allow" if {
	count(data.policies) > 0
	not denied
	not parked
}

outcome := "park" if {
	not denied
	parked
}

denied if {
	some p in data.policies
	input.micros > p.most
}

denied if {
	some p in data.policies
	input.spent + input.micros > p.daily
}

denied if {
	some p in data.policies
	input.category in p.blocked
}

denied if {
	some p in data.policies
	not host_allowed(p)
}

parked if {
	some p in data.policies
	input.micros >= p.ask
}

host_allowed(p) if endswith(input.host, p.suffix)

host_allowed(p) if input.host == p.own
`

// opa is Open Policy Agent: one prepared query over n policies that are data.
func opa(ctx context.Context, n int) (engine, error) {
	policies := make([]any, n)
	for i := range policies {
		most, ask, daily, own := limits(i)
		policies[i] = map[string]any{
			"most": most, "ask": ask, "daily": daily, "blocked": []any{"gambling", "adult"}, "suffix": ".vendor.example", "own": own,
		}
	}
	data, err := json.Marshal(map[string]any{"policies": policies})
	if err != nil {
		return nil, err
	}
	q, err := rego.New(rego.Query("data.bureau.outcome"), rego.Module("bureau.rego", regoModule),
		rego.Store(inmem.NewFromReader(bytes.NewReader(data)))).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p payment) (string, error) {
		rs, err := q.Eval(ctx, rego.EvalInput(map[string]any{
			"micros": p.micros, "host": p.host, "category": p.category, "spent": p.spent,
		}))
		if err != nil || len(rs) != 1 {
			return "", fmt.Errorf("opa: %d results: %w", len(rs), err)
		}
		out, _ := rs[0].Expressions[0].Value.(string)
		return out, nil
	}, nil
}

// cedarEngine is cedar-go: a set of policies, asked whether the payment may happen, and then whether it may without a person.
func cedarEngine(n int) (engine, error) {
	var text strings.Builder
	if n > 0 {
		text.WriteString("permit (principal, action, resource);\n")
	}
	for i := range n {
		most, ask, daily, own := limits(i)
		fmt.Fprintf(&text, `forbid (principal, action, resource) when { context.micros > %d };
forbid (principal, action, resource) when { context.spent + context.micros > %d };
forbid (principal, action, resource) when { ["gambling", "adult"].contains(context.category) };
forbid (principal, action, resource) unless { context.host like "*.vendor.example" || context.host == "%s" };
forbid (principal, action == Action::"pay_alone", resource) when { context.micros >= %d };
`, most, daily, own, ask)
	}
	set, err := cedar.NewPolicySetFromBytes("policies.cedar", []byte(text.String()))
	if err != nil {
		return nil, err
	}
	ask := func(action string, ctx cedar.Record) (bool, error) {
		ok, diag := cedar.Authorize(set, cedar.EntityMap{}, cedar.Request{
			Principal: cedar.NewEntityUID("Agent", "a"), Action: cedar.NewEntityUID("Action", cedar.String(action)),
			Resource: cedar.NewEntityUID("Wallet", "w"), Context: ctx,
		})
		if len(diag.Errors) > 0 {
			return false, fmt.Errorf("cedar: %v", diag.Errors)
		}
		return ok == cedar.Allow, nil
	}
	return func(_ context.Context, p payment) (string, error) {
		record := cedar.NewRecord(cedar.RecordMap{
			"micros": cedar.Long(p.micros), "host": cedar.String(p.host), "category": cedar.String(p.category), "spent": cedar.Long(p.spent),
		})
		if ok, err := ask("pay", record); err != nil || !ok {
			return "deny", err
		}
		if ok, err := ask("pay_alone", record); err != nil || !ok {
			return "park", err
		}
		return "allow", nil
	}, nil
}
