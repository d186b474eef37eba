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
		New: func(t *testing.T) rule.Evaluator { return sdktest.Rule(t, approvalThreshold()) },
		Input: rule.Input{
			Action: rule.ActionPayment, Amount: amount(t, "50", "USDC"), Config: json.RawMessage(`{"threshold":"50","currency":"USDC"}`),
		},
		BadConfig: []json.RawMessage{
			nil,
			json.RawMessage(`{"threshold":"-1","currency":"USDC"}`),
			json.RawMessage(`{"threshold":"fifty","currency":"USDC"}`),
			json.RawMessage(`{"threshold":"50"}`),
		},
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, approvalThreshold())
	cfg := config{Threshold: "50.00", Currency: "USDC"}
	for name, tc := range map[string]struct {
		act  sdk.Act
		want sdk.Verdict
	}{
		"below":            {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "49.999999", "USDC")}, sdk.Allow()},
		"at":               {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "50", "USDC")}, sdk.RequireApproval("50.00 USDC is at or above 50.00 USDC")},
		"a transfer":       {sdk.Act{Action: sdk.ActionTransfer, Amount: amount(t, "70", "USDC")}, sdk.RequireApproval("70.00 USDC is at or above 50.00 USDC")},
		"another currency": {sdk.Act{Action: sdk.ActionPayment, Amount: amount(t, "70", "EUR")}, sdk.Allow()},
		"a tool call":      {sdk.Act{Action: sdk.ActionToolCall}, sdk.Allow()},
	} {
		if d := cmp.Diff(tc.want, sdktest.Judge(t, r, cfg, tc.act)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
