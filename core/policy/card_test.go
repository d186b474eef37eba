package policy

import (
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/rule"
)

// TestCards: acts towards remote agents are held to what policies demand of their cards, and other acts are not.
func TestCards(t *testing.T) {
	t.Parallel()
	good := rule.Card{Score: 80, Valid: true, Signed: true}
	with := func(change func(*rule.Card)) *rule.Card {
		c := good
		change(&c)
		return &c
	}
	for _, tc := range []struct {
		name   string
		limits Limits
		card   *rule.Card
		rule   string // that denies; "" allows
	}{
		{"no limits", Limits{}, with(func(c *rule.Card) { *c = rule.Card{} }), ""},
		{"no remote agent", Limits{MinCardScore: ptr(100), RequireValidCard: true, RequireSignedCard: true}, nil, ""},
		{"a score that is enough", Limits{MinCardScore: ptr(80)}, &good, ""},
		{"a score below", Limits{MinCardScore: ptr(81)}, &good, "min_card_score"},
		{"a valid card", Limits{RequireValidCard: true}, &good, ""},
		{"an invalid card", Limits{RequireValidCard: true}, with(func(c *rule.Card) { c.Valid = false }), "require_valid_card"},
		{"a signed card", Limits{RequireSignedCard: true}, &good, ""},
		{"a card without a signature", Limits{RequireSignedCard: true}, with(func(c *rule.Card) { c.Signed = false }), "require_signed_card"},
		{"a card that another key has signed", Limits{RequireSignedCard: true}, with(func(c *rule.Card) { c.Suspicious = true }), "require_signed_card"},
	} {
		for _, action := range []rule.Action{rule.ActionToolCall, rule.ActionModelCall} {
			policies := []Policy{{ID: policyID(1), Scope: Scope{Tenant: true}, Limits: tc.limits, Version: 1}}
			got, err := Replay(Case{Subject: Subject{Action: action, Card: tc.card}, Policies: policies, Options: Options{At: time.Unix(0, 0)}})
			want := Allowed
			if tc.rule != "" {
				want = Denied
			}
			if err != nil || got.Outcome != want || got.Rule != tc.rule {
				t.Errorf("%s, %s: %s by %q, %v; want %s by %q", tc.name, action, got.Outcome, got.Rule, err, want, tc.rule)
			}
		}
	}
	for score, ok := range map[int]bool{-1: false, 0: true, 100: true, 101: false} {
		p := Policy{Scope: Scope{Tenant: true}, Limits: Limits{MinCardScore: &score}}
		if err := p.Validate(); (err == nil) != ok {
			t.Errorf("min_card_score %d: %v", score, err)
		}
	}
}
