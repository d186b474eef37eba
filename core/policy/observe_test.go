package policy

import (
	"testing"

	"github.com/bureau-agents/bureau/ports/rule"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	s := Subject{Action: rule.ActionPayment, Amount: usdc(10)}
	enforcing := Policy{ID: policyID(1), Version: 1, Limits: Limits{DailyLimit: usdc(50)}}
	strict := Policy{ID: policyID(2), Version: 3, Mode: Observe, Limits: Limits{MaxPerTransaction: usdc(5)}}
	asking := Policy{ID: policyID(3), Version: 1, Mode: Observe, Limits: Limits{RequireApprovalAbove: usdc(5)}}
	capped := Policy{ID: policyID(4), Version: 1, Mode: Observe, Limits: Limits{DailyLimit: usdc(15)}}

	for name, c := range map[string]struct {
		policies []Policy
		spent    int64 // in every counter
		want     Outcome
		rule     string
		would    Observation
	}{
		"nobody objects":                {[]Policy{enforcing, capped}, 0, Allowed, "", Observation{}},
		"denies":                        {[]Policy{enforcing, strict}, 0, Allowed, "", Observation{Policy: strict.ID, Version: 3, Outcome: Denied, Rule: "max_per_transaction"}},
		"denying is stricter than ask":  {[]Policy{enforcing, asking, strict}, 0, Allowed, "", Observation{Policy: strict.ID, Version: 3, Outcome: Denied, Rule: "max_per_transaction"}},
		"asks":                          {[]Policy{enforcing, asking}, 0, Allowed, "", Observation{Policy: asking.ID, Version: 1, Outcome: Parked, Rule: "require_approval_above"}},
		"a window is full":              {[]Policy{enforcing, capped}, 6, Allowed, "", Observation{Policy: capped.ID, Version: 1, Outcome: Denied, Rule: "daily_limit"}},
		"the enforcing window, too":     {[]Policy{enforcing, capped}, 41, Denied, "daily_limit", Observation{Policy: capped.ID, Version: 1, Outcome: Denied, Rule: "daily_limit"}},
		"observing does not let anyone": {[]Policy{capped}, 0, Denied, RuleNoPolicy, Observation{}},
	} {
		got := Assess(c.policies, nil, s, Options{At: noon})
		counters := make([]Counter, len(got.Demands))
		for i := range counters {
			counters[i].Spent = c.spent
		}
		got.Watch(counters)
		if ruleName, _, over := Exceeded(got.Demands, counters); over && got.Outcome != Denied {
			got.Outcome, got.Rule = Denied, ruleName
		}
		var would Observation
		if w := got.Would(); w != nil {
			if would = *w; would.Reason == "" {
				t.Errorf("%s: no reason", name)
			}
			would.Reason = ""
		}
		if got.Outcome != c.want || got.Rule != c.rule || would != c.would {
			t.Errorf("%s: %s by %q, would %+v; want %s by %q, would %+v", name, got.Outcome, got.Rule, would, c.want, c.rule, c.would)
		}
		if passes := got.Passes(c.would.Policy); passes == (c.would.Outcome == Denied) {
			t.Errorf("%s: passes is %v", name, passes)
		}
	}
}

func TestApprovers(t *testing.T) {
	t.Parallel()
	s := Subject{Action: rule.ActionPayment, Amount: usdc(10)}
	asks := func(n int, notRequester bool) Policy {
		return Policy{ID: policyID(byte(n + 1)), Version: 1, Limits: Limits{RequireApprovalAbove: usdc(5), RequiredApprovals: n, ApproverNotRequester: notRequester}}
	}
	silent := Policy{ID: policyID(9), Version: 1, Limits: Limits{RequireApprovalAbove: usdc(500), RequiredApprovals: 9}}
	for name, c := range map[string]struct {
		policies []Policy
		n        int
		apart    bool
	}{
		"one by default":                         {[]Policy{asks(0, false)}, 1, false},
		"the most of those that park":            {[]Policy{asks(1, false), asks(3, false), asks(2, false), silent}, 3, true},
		"another person":                         {[]Policy{asks(1, false), asks(0, true)}, 1, true},
		"a policy that does not park has no say": {[]Policy{silent}, 0, false},
	} {
		for _, approved := range []bool{false, true} {
			if got := Assess(c.policies, nil, s, Options{At: noon, Approved: approved}); got.Approvals != c.n || got.Apart != c.apart {
				t.Errorf("%s: %d approvals, apart %v; want %d, %v", name, got.Approvals, got.Apart, c.n, c.apart)
			}
		}
	}
	for n, ok := range map[int]bool{-1: false, 0: true, MaxApprovals: true, MaxApprovals + 1: false} {
		p := Policy{Scope: Scope{Tenant: true}, Limits: Limits{RequiredApprovals: n}}
		if err := p.Validate(); (err == nil) != ok {
			t.Errorf("%d approvals: %v", n, err)
		}
	}
	if err := (Policy{Scope: Scope{Tenant: true}, Mode: "dream"}).Validate(); err == nil {
		t.Error("an unknown mode is valid")
	}
}
