package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	ruletest.Run(t, ruletest.Config{
		New: func(t *testing.T) rule.Evaluator { return sdktest.Rule(t, payeeList()) },
		Input: rule.Input{
			Action: rule.ActionPayment, Payee: "vendor.example", Config: json.RawMessage(`{"allow":["vendor.example"]}`),
		},
		BadConfig: []json.RawMessage{
			nil,
			json.RawMessage(`{"allow":[]}`),
			json.RawMessage(`{"allow":[" "]}`),
			json.RawMessage(`{"allow":["vendor*"]}`),
			json.RawMessage(`{"block":["https://vendor.example/"]}`),
			json.RawMessage(`{"allow":["vendor.example"],"otherwise":"ask"}`),
			json.RawMessage(`{"allowed":["vendor.example"]}`),
			json.RawMessage(`{"block":["` + strings.Repeat("a", 257) + `"]}`),
		},
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, payeeList())
	listed := config{Allow: []string{"vendor.example", "*.cloud.example", "Blue Bottle Coffee"}, Block: []string{"bad.cloud.example"}}
	asking := listed
	asking.Otherwise = approve
	blocking := config{Block: []string{"casino.example", "Shady Ltd"}}
	for name, tc := range map[string]struct {
		cfg   config
		payee string
		want  rule.Outcome
	}{
		"the host":                 {listed, "vendor.example", rule.Allow},
		"a URL":                    {listed, "https://Vendor.example:443/pay", rule.Allow},
		"an address":               {listed, "billing@vendor.example", rule.Allow},
		"a host below it":          {listed, "api.vendor.example", rule.Deny},
		"below a wildcard":         {listed, "eu.cloud.example", rule.Allow},
		"the wildcard's own host":  {listed, "cloud.example", rule.Deny},
		"blocked beats allowed":    {listed, "bad.cloud.example", rule.Deny},
		"below a blocked one":      {listed, "very.bad.cloud.example", rule.Deny},
		"a name":                   {listed, "blue  bottle COFFEE", rule.Allow},
		"another name":             {listed, "Blue Bottle", rule.Deny},
		"an unlisted host":         {listed, "else.example", rule.Deny},
		"an unlisted one is asked": {asking, "else.example", rule.Approve},
		"a blocked one is not":     {asking, "bad.cloud.example", rule.Deny},
		"a look-alike":             {listed, "vendоr.example", rule.Deny}, // a Cyrillic o
		"an unreadable address":    {blocking, `casino.example\@vendor.example`, rule.Deny},
		"a blocked host below":     {blocking, "www.casino.example", rule.Deny},
		"a blocked name":           {blocking, "SHADY LTD", rule.Deny},
		"anybody else":             {blocking, "vendor.example", rule.Allow},
		"the name in a host":       {blocking, "notcasino.example", rule.Allow},
	} {
		if got := sdktest.Judge(t, r, tc.cfg, sdk.Act{Action: sdk.ActionPayment, Payee: tc.payee}); got.Outcome != tc.want {
			t.Errorf("%s: %+v; want %s", name, got, tc.want)
		}
	}
	if got := sdktest.Judge(t, r, listed, sdk.Act{Action: sdk.ActionToolCall, Payee: "else.example"}); got.Outcome != rule.Allow {
		t.Errorf("a tool call: %+v", got)
	}
}
