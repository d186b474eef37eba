package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// fullLimits sets every field, which the test checks.
func fullLimits() Limits {
	return Limits{
		MaxPerTransaction: usdc(1 << 62), HourlyLimit: usdc(2), DailyLimit: usdc(3), WeeklyLimit: usdc(4), MonthlyLimit: usdc(5), AllTimeLimit: usdc(6),
		PerRunLimit: usdc(7), RequireApprovalAbove: usdc(0), ApprovalTTL: 90 * time.Second,
		RequiredApprovals: 2, ApproverNotRequester: true,
		Windows: []WindowLimit{
			{Measure: MeasureAmount, Window: rule.WindowDay, Rolling: true, Max: 8, Currency: money.USDC},
			{Measure: MeasureCount, Window: WindowRun, Max: 1<<62 + 1},
			{Measure: MeasureTokens, Window: rule.WindowHour},
		},
		Structuring: &Structuring{Window: 5 * time.Minute, MinPayments: 4, NearPercent: 90, Action: RequireApproval}, NewPayee: Deny,
		AllowedTimes:      []TimeRange{{Days: []Weekday{"mon"}, From: "09:00", To: "17:00", Zone: "Europe/Berlin"}},
		BlockedCategories: []string{"a ?", "é"}, AllowedCategories: []string{"b"}, AllowedPayees: []string{"c'"},
		BlockedPayees: []string{`d\`}, AllowedDomains: []string{"*.e.example"}, BlockedDomains: []string{"<f>.example"},
		DailyCostLimit: ptr(money.Of(6, money.USD)), MonthlyCostLimit: ptr(money.Of(7, money.USD)),
		DailyTokenLimit: ptr(int64(0)), MonthlyTokenLimit: ptr(int64(1<<62 + 1)),
		MinCardScore: ptr(0), RequireValidCard: true, RequireSignedCard: true,
	}
}

func TestDocumentLosesNothing(t *testing.T) {
	t.Parallel()
	full := fullLimits()
	for i := range reflect.TypeFor[Limits]().NumField() {
		if reflect.ValueOf(full).Field(i).IsZero() {
			t.Fatalf("%s is not set: this test would not notice that it is lost", reflect.TypeFor[Limits]().Field(i).Name)
		}
	}
	rules := []RuleRef{{Plugin: "p", Config: []byte(`{"b": 1.50,"a":"?"}`)}, {Plugin: "q"}}
	for name, l := range map[string]Limits{"full": full, "empty": {}} {
		doc, err := Document(l, rules)
		if err != nil {
			t.Fatal(err)
		}
		limits, refs, err := FromDocument(doc)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(l, limits); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if d := cmp.Diff(rules, refs); d != "" {
			t.Errorf("rules (-want +got):\n%s", d)
		}
		again, err := Document(limits, refs)
		if err != nil || string(again) != string(doc) {
			t.Errorf("%s: another document the second time: %s, %v", name, again, err)
		}
	}
}

func TestDocumentOfBefore(t *testing.T) {
	t.Parallel()
	l, err := DecodeLimits([]byte(`{"daily_limit":{"micros":9007199254740993,"currency":"USDC"},"daily_token_limit":7}`))
	if err != nil || l.DailyLimit.Micros != 1<<53+1 || *l.DailyTokenLimit != 7 {
		t.Errorf("limits: %+v, %v", l, err)
	}
	rules, err := DecodeRules([]byte(`[{"plugin":"p","config":{"a":1}},{"plugin":"q"}]`))
	if err != nil || len(rules) != 2 || string(rules[0].Config) != `{"a":1}` || rules[1].Config != nil {
		t.Errorf("rules: %+v, %v", rules, err)
	}
	for _, text := range []string{`{"dayly_limit":1}`, `{"daily_limit":{"currency":"USDC"}}`, `{"daily_limit":{"amount":"1.0000001","currency":"USDC"}}`, `[`} {
		if l, err := DecodeLimits([]byte(text)); err == nil {
			t.Errorf("%s is read as %+v", text, l)
		}
	}
}

// FuzzDocument looks for documents that do not read back as what they were read as.
func FuzzDocument(f *testing.F) {
	doc, err := Document(fullLimits(), []RuleRef{{Plugin: "p", Config: json.RawMessage(`{"a":1}`)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(doc))
	f.Add(`{"limits":{"windows":[{"measure":"count","window":"run","max_count":"3"}]},"rules":[]}`)
	f.Fuzz(func(t *testing.T, text string) {
		l, rules, err := FromDocument([]byte(text))
		if err != nil || !strings.HasPrefix(strings.TrimSpace(text), "{") {
			return
		}
		if (Policy{Scope: Scope{Tenant: true}, Limits: l, Rules: rules}).Validate() != nil {
			return // what a policy may not demand need not be kept
		}
		doc, err := Document(l, rules)
		if err != nil {
			t.Fatal(err)
		}
		again, refs, err := FromDocument(doc)
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		second, err := Document(again, refs)
		if err != nil || string(second) != string(doc) {
			t.Errorf("%s became %s, %v", doc, second, err)
		}
	})
}
