package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

func usdc(micros int64) *money.Amount { return ptr(money.Of(micros, money.USDC)) }

func ptr[T any](v T) *T { return &v }

var noon = time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)

func policyID(n byte) id.Policy { return id.Of[id.PolicyKind](id.UUID{n}) }

func one(l Limits) []Policy {
	return []Policy{{ID: policyID(1), Scope: Scope{Tenant: true}, Limits: l, Version: 1}}
}

// TestDecisionTable is what every built-in limit says of payments, transfers and model calls.
func TestDecisionTable(t *testing.T) {
	t.Parallel()
	pay := Subject{Action: rule.ActionPayment, Amount: usdc(100), Payee: "shop.example.com", Category: "software"}
	with := func(change func(*Subject)) Subject {
		s := pay
		change(&s)
		return s
	}
	payee := func(p string) Subject { return with(func(s *Subject) { s.Payee = p }) }
	category := func(c string) Subject { return with(func(s *Subject) { s.Category = c }) }
	transfer := Subject{Action: rule.ActionTransfer, Amount: usdc(100), Payee: "agent_01h455vb4pex5vsknk084sn02q"}
	model := Subject{Action: rule.ActionModelCall, Amount: ptr(money.Of(5, money.USD)), Tokens: 10}
	for _, c := range []struct {
		name    string
		limits  Limits
		subject Subject
		want    Outcome
		rule    string
	}{
		{"no limits", Limits{}, pay, Allowed, ""},
		{"at the most per transaction", Limits{MaxPerTransaction: usdc(100)}, pay, Allowed, ""},
		{"over the most per transaction", Limits{MaxPerTransaction: usdc(99)}, pay, Denied, "max_per_transaction"},
		{"another currency", Limits{MaxPerTransaction: ptr(money.Of(999, "EUR"))}, pay, Denied, "max_per_transaction"},
		{"below the threshold", Limits{RequireApprovalAbove: usdc(101)}, pay, Allowed, ""},
		{"at the threshold", Limits{RequireApprovalAbove: usdc(100)}, pay, Parked, "require_approval_above"},
		{"threshold in another currency", Limits{RequireApprovalAbove: ptr(money.Of(999, "EUR"))}, pay, Denied, "require_approval_above"},
		{"denied rather than asked", Limits{RequireApprovalAbove: usdc(1), BlockedCategories: []string{"software"}}, pay, Denied, "blocked_categories"},

		{"blocked category", Limits{BlockedCategories: []string{"Crypto-Exchange"}}, category(" crypto exchange"), Denied, "blocked_categories"},
		{"other category", Limits{BlockedCategories: []string{"gambling"}}, pay, Allowed, ""},
		{"no category is blocked", Limits{BlockedCategories: []string{"gambling"}}, category(""), Allowed, ""},
		{"allowed category", Limits{AllowedCategories: []string{"SOFTWARE"}}, pay, Allowed, ""},
		{"category not allowed", Limits{AllowedCategories: []string{"travel"}}, pay, Denied, "allowed_categories"},
		{"no category is not allowed", Limits{AllowedCategories: []string{"travel"}}, category(""), Denied, "allowed_categories"},

		{"allowed payee", Limits{AllowedPayees: []string{"Blue  Bottle"}}, payee("blue bottle "), Allowed, ""},
		{"payee not allowed", Limits{AllowedPayees: []string{"Blue Bottle"}}, payee("Red Bottle"), Denied, "allowed_payees"},
		{"blocked payee beats allowed", Limits{AllowedPayees: []string{"x"}, BlockedPayees: []string{"X"}}, payee("x"), Denied, "blocked_payees"},
		{"blocked payee in another form", Limits{BlockedPayees: []string{"ACME"}}, payee("ＡＣＭＥ"), Denied, "blocked_payees"},

		{"allowed host", Limits{AllowedDomains: []string{"shop.example.com"}}, pay, Allowed, ""},
		{"a host is not its subdomain", Limits{AllowedDomains: []string{"example.com"}}, pay, Denied, "allowed_domains"},
		{"wildcard", Limits{AllowedDomains: []string{"*.example.com"}}, pay, Allowed, ""},
		{"wildcard is not the host", Limits{AllowedDomains: []string{"*.example.com"}}, payee("example.com"), Denied, "allowed_domains"},
		{"suffix of a name", Limits{AllowedDomains: []string{"*.example.com"}}, payee("evilexample.com"), Denied, "allowed_domains"},
		{"URL", Limits{AllowedDomains: []string{"example.com"}}, payee("https://EXAMPLE.com.:443/a?b#c"), Allowed, ""},
		{"user info", Limits{AllowedDomains: []string{"example.com"}}, payee("https://example.com@evil.test/"), Denied, "allowed_domains"},
		{"user info without scheme", Limits{AllowedDomains: []string{"example.com"}}, payee("example.com@evil.test"), Denied, "allowed_domains"},
		{"e-mail", Limits{AllowedDomains: []string{"example.com"}}, payee("bills@example.com"), Allowed, ""},
		{"backslash", Limits{AllowedDomains: []string{"example.com"}}, payee(`https://example.com\@evil.test`), Denied, "allowed_domains"},
		{"international name", Limits{AllowedDomains: []string{"bücher.example"}}, payee("https://xn--bcher-kva.example/"), Allowed, ""},
		{"wide dot", Limits{BlockedDomains: []string{"evil.test"}}, payee("evil。test"), Denied, "blocked_domains"},
		{"IP address", Limits{AllowedDomains: []string{"192.0.2.1"}}, payee("http://192.0.2.1/pay"), Allowed, ""},
		{"a name is no domain", Limits{AllowedDomains: []string{"example.com"}}, payee("Blue Bottle"), Denied, "allowed_domains"},
		{"a name is not blocked", Limits{BlockedDomains: []string{"example.com"}}, payee("Dr. Blue Bottle"), Allowed, ""},
		{"blocked host", Limits{BlockedDomains: []string{"shop.example.com"}}, pay, Denied, "blocked_domains"},
		{"blocked with subdomains", Limits{BlockedDomains: []string{"example.com"}}, pay, Denied, "blocked_domains"},
		{"blocked beats allowed", Limits{AllowedDomains: []string{"*.example.com"}, BlockedDomains: []string{"shop.example.com"}}, pay, Denied, "blocked_domains"},
		{"unreadable address", Limits{BlockedDomains: []string{"example.com"}}, payee("https://[::1"), Denied, "blocked_domains"},

		{"transfer: lists of payments", Limits{AllowedDomains: []string{"example.com"}, AllowedCategories: []string{"x"}}, transfer, Allowed, ""},
		{"transfer: most", Limits{MaxPerTransaction: usdc(99)}, transfer, Denied, "max_per_transaction"},
		{"transfer: threshold", Limits{RequireApprovalAbove: usdc(99)}, transfer, Parked, "require_approval_above"},
		{"transfer: payee", Limits{AllowedPayees: []string{"someone"}}, transfer, Denied, "allowed_payees"},

		{"model: limits of payments", Limits{MaxPerTransaction: usdc(1), RequireApprovalAbove: usdc(1)}, model, Allowed, ""},
		{"model: price", Limits{DailyCostLimit: ptr(money.Of(9, money.USD))}, Subject{Action: rule.ActionModelCall}, Denied, RulePriceUnknown},
		{"model: no price, no cap", Limits{DailyTokenLimit: ptr(int64(9))}, Subject{Action: rule.ActionModelCall}, Allowed, ""},
		{"tool: no price", Limits{DailyCostLimit: ptr(money.Of(9, money.USD))}, Subject{Action: rule.ActionToolCall}, Allowed, ""},
	} {
		got := Assess(one(c.limits), nil, c.subject, Options{At: noon})
		if got.Outcome != c.want || got.Rule != c.rule {
			t.Errorf("%s: %s by %q (%s); want %s by %q", c.name, got.Outcome, got.Rule, got.Reason, c.want, c.rule)
		}
		if (got.Reason == "") != (c.want == Allowed) {
			t.Errorf("%s: reason %q", c.name, got.Reason)
		}
	}
}

func TestStrictestWins(t *testing.T) {
	t.Parallel()
	s := Subject{Action: rule.ActionPayment, Amount: usdc(10)}
	policies := []Policy{
		{ID: policyID(1), Version: 1, Limits: Limits{RequireApprovalAbove: usdc(5), ApprovalTTL: time.Hour}},
		{ID: policyID(2), Version: 1, Limits: Limits{DailyLimit: usdc(50)}},
		{ID: policyID(3), Version: 7, Rules: []RuleRef{{Plugin: "a"}, {Plugin: "b"}}},
	}
	key := func(i int) RuleKey { return RuleKey{policyID(3), 7, i} }
	ask := rule.Verdict{Outcome: rule.Approve, Reason: "sure?"}
	allow := rule.Verdict{Outcome: rule.Allow}
	deny := rule.Verdict{Outcome: rule.Deny, Reason: "no"}
	for name, c := range map[string]struct {
		verdicts Verdicts
		approved bool
		want     Outcome
		rule     string
	}{
		"approval of the first":     {Verdicts{key(0): allow, key(1): ask}, false, Parked, "require_approval_above"},
		"a rule denies":             {Verdicts{key(0): ask, key(1): deny}, false, Denied, "b"},
		"approved":                  {Verdicts{key(0): ask, key(1): allow}, true, Allowed, ""},
		"approved, and denied":      {Verdicts{key(0): ask, key(1): deny}, true, Denied, "b"},
		"not asked":                 {Verdicts{key(0): allow}, true, Denied, "b"},
		"asked of the version past": {Verdicts{{policyID(3), 6, 0}: allow, {policyID(3), 6, 1}: allow}, false, Denied, "a"},
	} {
		got := Assess(policies, c.verdicts, s, Options{At: noon, Approved: c.approved})
		if got.Outcome != c.want || got.Rule != c.rule {
			t.Errorf("%s: %s by %q; want %s by %q", name, got.Outcome, got.Rule, c.want, c.rule)
		}
		if got.Outcome == Parked && got.TTL != time.Hour {
			t.Errorf("%s: the approval may take %s", name, got.TTL)
		}
	}
	if got := Assess(nil, nil, s, Options{At: noon}); got.Rule != RuleNoPolicy {
		t.Errorf("without a policy: %+v", got)
	}
	if got := Assess(nil, nil, s, Options{At: noon, DefaultAllow: true}); got.Outcome != Allowed {
		t.Errorf("allowed by default: %+v", got)
	}
}

func TestDemands(t *testing.T) {
	t.Parallel()
	s := Subject{Action: rule.ActionPayment, Amount: usdc(10)}
	cap50 := rule.Verdict{Outcome: rule.Allow, Limits: []rule.Limit{{Window: rule.WindowDay, Max: *usdc(50)}}}
	cap40 := rule.Verdict{Outcome: rule.Allow, Limits: []rule.Limit{{Window: rule.WindowDay, Max: *usdc(40)}}}
	p := Policy{
		ID: policyID(2), Version: 1, Limits: Limits{DailyLimit: usdc(100), AllTimeLimit: usdc(1000)},
		Rules: []RuleRef{{Plugin: "spend"}, {Plugin: "spend"}},
	}
	got := Assess([]Policy{p}, Verdicts{{p.ID, 1, 0}: cap50, {p.ID, 1, 1}: cap40}, s, Options{At: noon})
	day := time.Date(2026, 7, 15, 0, 0, 0, 0, time.UTC)
	demand := func(counter string, w rule.Window, start time.Time, name string, most int64) Demand {
		return Demand{
			Key:     Key{Policy: p.ID, Name: counter, Window: w, Start: start, Unit: "USDC"},
			Measure: MeasureAmount, Rule: name, Amount: 10, Max: most,
		}
	}
	want := []Demand{
		demand("all_time_limit", rule.WindowAll, time.Unix(0, 0).UTC(), "all_time_limit", 1000),
		demand("daily_limit", rule.WindowDay, day, "daily_limit", 100),
		demand("rule:spend", rule.WindowDay, day, "spend", 40), // counted once, held to the stricter cap
	}
	if d := cmp.Diff(want, got.Demands, cmp.Comparer(func(a, b id.Policy) bool { return a == b }), cmp.Comparer(func(a, b id.Session) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestExceeded(t *testing.T) {
	t.Parallel()
	d := Demand{Key: Key{Unit: "USDC"}, Rule: "daily_limit", Amount: 10, Max: 100}
	for _, c := range []struct {
		spent, reserved, amount int64
		over                    bool
	}{
		{0, 0, 100, false}, {0, 0, 101, true}, {90, 0, 10, false}, {80, 11, 10, true}, {math.MaxInt64, math.MaxInt64, math.MaxInt64, true},
		{math.MaxInt64 - 5, 0, 10, true}, {0, 0, -1, true}, {200, 0, 0, true},
	} {
		d := d
		d.Amount = c.amount
		if _, _, over := Exceeded([]Demand{d}, []Counter{{Spent: c.spent, Reserved: c.reserved}}); over != c.over {
			t.Errorf("%+v: over is %v", c, over)
		}
	}
	_, reason, _ := Exceeded([]Demand{d}, []Counter{{Spent: 85, Reserved: 9}})
	if want := "0.00001 USDC would pass daily_limit of 0.0001 USDC: 0.000085 USDC are spent and 0.000009 USDC set aside"; reason != want {
		t.Errorf("reason %q; want %q", reason, want)
	}
}

func TestWindowStart(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 0, 30, 0, 5, time.FixedZone("", 3600)) // Saturday, 28 February, 23:30 in UTC
	for w, want := range map[rule.Window]string{
		rule.WindowHour: "2026-02-28T23:00:00Z", rule.WindowDay: "2026-02-28T00:00:00Z", rule.WindowWeek: "2026-02-23T00:00:00Z",
		rule.WindowMonth: "2026-02-01T00:00:00Z", rule.WindowAll: "1970-01-01T00:00:00Z",
	} {
		got, ok := WindowStart(w, at)
		if !ok || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v; want %s", w, got.Format(time.RFC3339), ok, want)
		}
	}
	for day, want := range map[int]int{12: 6, 13: 13, 19: 13, 20: 20} { // a Sunday belongs to the Monday before
		if got, _ := WindowStart(rule.WindowWeek, time.Date(2026, 7, day, 12, 0, 0, 0, time.UTC)); got.Day() != want {
			t.Errorf("the week of %d July begins on %d; want %d", day, got.Day(), want)
		}
	}
	if _, ok := WindowStart("fortnight", at); ok {
		t.Error("an unknown window is known")
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for path, p := range map[string]Policy{
		"":                      {Scope: Scope{Tenant: true}, Limits: Limits{MaxPerTransaction: usdc(5), RequireApprovalAbove: usdc(5)}},
		"scope":                 {},
		"limits.daily_limit":    {Scope: Scope{Tenant: true}, Limits: Limits{DailyLimit: usdc(-1)}},
		"limits.weekly_limit":   {Scope: Scope{Tenant: true}, Limits: Limits{WeeklyLimit: &money.Amount{Micros: 1}}},
		"limits.approval_ttl":   {Scope: Scope{Tenant: true}, Limits: Limits{ApprovalTTL: -1}},
		"rules":                 {Scope: Scope{Tenant: true}, Rules: make([]RuleRef, MaxRules+1)},
		"rules[0].plugin":       {Scope: Scope{Tenant: true}, Rules: []RuleRef{{Plugin: "../x"}}},
		"limits.blocked_payees": {Scope: Scope{Tenant: true}, Limits: Limits{BlockedPayees: make([]string, MaxListItems+1)}},
		"limits.require_approval_above": {
			Scope: Scope{Tenant: true}, Limits: Limits{MaxPerTransaction: usdc(5), RequireApprovalAbove: ptr(money.Of(5, "EUR"))},
		},
		"limits.allowed_domains[0]": {Scope: Scope{Tenant: true}, Limits: Limits{AllowedDomains: []string{"https://example.com/x"}}},
	} {
		err := p.Validate()
		fe, ok := fault.As(err)
		if path == "" {
			if err != nil {
				t.Errorf("a good policy: %v", err)
			}
			continue
		}
		if !ok || fe.Kind != fault.Invalid || fe.Fields[0].Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// slowRules knows one rule per behaviour.
type slowRules struct{ release chan struct{} }

func (s slowRules) Rule(_ context.Context, _ account.Scope, name string) (rule.Evaluator, error) {
	if name == "panics_at_once" {
		panic("boom")
	}
	if name == "gone" {
		return nil, errors.New("secret detail")
	}
	return slowRule{name, s.release}, nil
}

type slowRule struct {
	name    string
	release chan struct{}
}

func (s slowRule) Describe() rule.Description                    { return rule.Description{Name: s.name} }
func (slowRule) Validate(context.Context, json.RawMessage) error { return nil }
func (s slowRule) Evaluate(ctx context.Context, _ rule.Input) (rule.Verdict, error) {
	switch s.name {
	case "hangs":
		<-s.release
	case "obeys":
		<-ctx.Done()
		return rule.Verdict{}, ctx.Err()
	}
	return rule.Verdict{Outcome: rule.Allow}, nil
}

// TestAsk asks rules of which one ignores its deadline: it denies, the others count, and nobody waits for it.
func TestAsk(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	var refs []RuleRef
	names := []string{"quick", "hangs", "obeys", "panics_at_once", "gone"}
	for _, n := range names {
		refs = append(refs, RuleRef{Plugin: n})
	}
	p := Policy{ID: policyID(1), Version: 3, Rules: refs}
	j := Judge{Rules: slowRules{release}, Timeout: 20 * time.Millisecond}
	got := j.Ask(context.Background(), account.Scope{}, []Policy{p}, Subject{}, noon)
	if !got.Covers([]Policy{p}) {
		t.Errorf("not every rule has a verdict: %v", got)
	}
	for i, n := range names {
		v := got[RuleKey{p.ID, 3, i}]
		if (v.Outcome == rule.Allow) != (n == "quick") || strings.Contains(v.Reason, "secret") || n != "quick" && v.Reason == "" {
			t.Errorf("%s: %+v", n, v)
		}
	}
	if got := (Judge{}).Ask(context.Background(), account.Scope{}, []Policy{p}, Subject{}, noon); got[RuleKey{p.ID, 3, 0}].Outcome != rule.Deny {
		t.Errorf("without rules: %v", got)
	}
}

func ExampleAssess() {
	policies := []Policy{{ID: policyID(1), Version: 1, Limits: Limits{MaxPerTransaction: usdc(50_000_000)}}}
	a := Assess(policies, nil, Subject{Action: rule.ActionPayment, Amount: usdc(60_000_000)}, Options{})
	fmt.Println(a.Outcome, a.Rule)
	fmt.Println(a.Reason)
	// Output:
	// deny max_per_transaction
	// 60.00 USDC is over the most per transaction, 50.00 USDC
}
