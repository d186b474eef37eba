package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
)

func amount(t *testing.T, decimal, currency string) *sdk.Amount {
	t.Helper()
	a, err := sdk.ParseAmount(decimal, currency)
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func TestSuite(t *testing.T) {
	t.Parallel()
	ruletest.Run(t, ruletest.Config{
		New: func(t *testing.T) rule.Evaluator { return sdktest.Rule(t, spendLimit()) },
		Input: rule.Input{
			Action: rule.ActionPayment, Amount: amount(t, "5", "USDC"),
			Config: json.RawMessage(`{"window":"day","max":"100.00","currency":"USDC"}`),
		},
		BadConfig: []json.RawMessage{
			nil,
			json.RawMessage(`{"window":"fortnight","max":"1","currency":"USDC"}`),
			json.RawMessage(`{"window":"day","max":"-1","currency":"USDC"}`),
			json.RawMessage(`{"window":"day","max":"1.0000001","currency":"USDC"}`),
			json.RawMessage(`{"window":"day","max":100,"currency":"USDC"}`),
			json.RawMessage(`{"window":"day","max":"1","currency":"usdc"}`),
			json.RawMessage(`{"window":"day","max":"1","currency":"USDC","typo":true}`),
		},
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, spendLimit())
	cfg := config{Window: "day", Max: "100.00", Currency: "USDC"}
	capped := sdk.Allow(sdk.Limit{Window: sdk.WindowDay, Max: *amount(t, "100", "USDC")})
	for name, tc := range map[string]struct {
		act  sdk.Act
		want sdk.Verdict
	}{
		"a payment":          {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "20", "USDC")}, capped},
		"exactly the limit":  {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "100", "USDC")}, capped},
		"a transfer":         {sdk.Act{Action: sdk.ActionTransfer, Amount: amount(t, "20", "USDC")}, capped},
		"over by the least":  {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "100.000001", "USDC")}, sdk.Deny("100.000001 USDC is more than the 100.00 USDC that may be spent in one day")},
		"another currency":   {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "500", "EUR")}, sdk.Allow()},
		"not about money":    {sdk.Act{Action: sdk.ActionToolCall}, sdk.Allow()},
		"a model call":       {sdk.Act{Action: sdk.ActionModelCall, Amount: amount(t, "500", "USDC")}, sdk.Allow()},
		"an unknown kind":    {sdk.Act{Action: "teleport", Amount: amount(t, "500", "USDC")}, sdk.Allow()},
		"payment, no amount": {sdk.Act{Action: sdk.ActionPayment}, sdk.Allow()},
	} {
		if d := cmp.Diff(tc.want, sdktest.Judge(t, r, cfg, tc.act)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	v := sdktest.Judge(t, r, config{Window: "all_time", Max: "1", Currency: "USDC"}, sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "2", "USDC")})
	if want := "2.00 USDC is more than the 1.00 USDC that may be spent altogether"; v.Reason != want {
		t.Errorf("got %q, want %q", v.Reason, want)
	}
}
