package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/plugins/sdk/sdktest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	ruletest.Run(t, ruletest.Config{
		New: func(t *testing.T) rule.Evaluator { return sdktest.Rule(t, celRule(&programs{})) },
		Input: rule.Input{
			Action: rule.ActionPayment, Amount: usdc(t, "20"), Payee: "vendor.example", At: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC),
			Config: json.RawMessage(`{"expression":"amount <= money('50')"}`),
		},
		BadConfig: []json.RawMessage{
			nil,
			json.RawMessage(`{"expression":""}`),
			json.RawMessage(`{"expression":"amount <="}`),
			json.RawMessage(`{"expression":"nobody == 'knows'"}`),
			json.RawMessage(`{"expression":"amount"}`),
			json.RawMessage(`{"expression":"payee < 3"}`),
			json.RawMessage(`{"expression":"true","actions":["model_call"]}`),
			json.RawMessage(`{"expression":"true","otherwise":"allow"}`),
			json.RawMessage(`{"expression":"` + strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100) + `"}`),
			json.RawMessage(`{"expression":"true ` + strings.Repeat(" ", 5000) + `"}`),
		},
	})
}

func usdc(t *testing.T, decimal string) *sdk.Amount {
	t.Helper()
	a, err := sdk.ParseAmount(decimal, "USDC")
	if err != nil {
		t.Fatal(err)
	}
	return &a
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := sdktest.Rule(t, celRule(&programs{}))
	act := sdk.Act{
		Action: sdk.ActionPayment, Amount: usdc(t, "20.5"), Payee: "https://api.Vendor.example/pay", Category: "software",
		Description: "seats", AgentName: "clerk", Labels: map[string]string{"team": "procurement"},
		At: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC),
	}
	unread := act
	unread.Payee = `a\b.example`
	call := sdk.Act{Action: sdk.ActionToolCall, Tool: "http_fetch", Arguments: json.RawMessage(`{"url":"https://vendor.example/","depth":2}`)}
	for name, tc := range map[string]struct {
		cfg  config
		act  sdk.Act
		want rule.Outcome
	}{
		"at the amount":        {config{Expression: "amount <= money('20.50')"}, act, rule.Allow},
		"over it":              {config{Expression: "amount <= money('20.499999')"}, act, rule.Deny},
		"over it is asked":     {config{Expression: "amount <= money('20')", Otherwise: approve}, act, rule.Approve},
		"the currency":         {config{Expression: "currency == 'USDC'"}, act, rule.Allow},
		"the host":             {config{Expression: "host.endsWith('.vendor.example')"}, act, rule.Allow},
		"an unreadable host":   {config{Expression: "host != 'casino.example'"}, unread, rule.Deny},
		"without the host":     {config{Expression: "category in ['software']"}, unread, rule.Allow},
		"labels":               {config{Expression: "labels.team == 'procurement' && agent_name == 'clerk'"}, act, rule.Allow},
		"a missing label":      {config{Expression: "labels.role == 'buyer'"}, act, rule.Deny},
		"an optional label":    {config{Expression: "!('role' in labels)"}, act, rule.Allow},
		"the time":             {config{Expression: "time.getHours('Europe/Berlin') == 13"}, act, rule.Allow},
		"a text":               {config{Expression: "amount > money('20') ? 'require_approval' : 'allow'"}, act, rule.Approve},
		"no verdict":           {config{Expression: "'perhaps'"}, act, rule.Deny},
		"an unknown amount":    {config{Expression: "amount <= money('50')", Actions: []string{"tool_call"}}, call, rule.Deny},
		"a null amount":        {config{Expression: "amount == null", Actions: []string{"tool_call"}}, call, rule.Allow},
		"arguments":            {config{Expression: "arguments.url.startsWith('https://') && arguments.depth < 3.0", Actions: []string{"tool_call"}}, call, rule.Allow},
		"not its kind of act":  {config{Expression: "false"}, call, rule.Allow},
		"only its kind of act": {config{Expression: "false", Actions: []string{"tool_call"}}, act, rule.Allow},
		"no amount of money":   {config{Expression: "amount <= money('much')"}, act, rule.Deny},
		"too much work": {
			config{Expression: "lists.range(2000).all(a, lists.range(2000).all(b, a + b >= 0))"}, act, rule.Deny,
		},
	} {
		got := sdktest.Judge(t, r, tc.cfg, tc.act)
		if got.Outcome != tc.want {
			t.Errorf("%s: %+v; want %s", name, got, tc.want)
		}
	}
	if got := sdktest.Judge(t, r, config{Expression: "false", Reason: "not on Wednesdays"}, act); got.Reason != "not on Wednesdays" {
		t.Errorf("the reason is %q", got.Reason)
	}
}

// FuzzCompile looks for expressions that crash the compiler or run away.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{"true", "amount <= money('1')", "[1].all(x, x > 0)", "'a'.matches('a*')", "labels.map(k, k).size() > 0", "dyn(1)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		p, err := compile(expression)
		if err != nil {
			return
		}
		vars, err := variables(sdk.Act{Action: sdk.ActionPayment, Payee: "vendor.example"})
		if err != nil {
			t.Fatal(err)
		}
		_, _, _ = p.ContextEval(t.Context(), vars)
	})
}

func BenchmarkEvaluate(b *testing.B) {
	cache := &programs{}
	expression := "amount <= money('50.00') && host.endsWith('.vendor.example')"
	amount, err := sdk.ParseAmount("20", "USDC")
	if err != nil {
		b.Fatal(err)
	}
	act := sdk.Act{Action: sdk.ActionPayment, Amount: &amount, Payee: "api.vendor.example"}
	for b.Loop() {
		p, err := cache.get(expression)
		if err != nil {
			b.Fatal(err)
		}
		vars, err := variables(act)
		if err != nil {
			b.Fatal(err)
		}
		if out, _, err := p.ContextEval(b.Context(), vars); err != nil || out.Value() != true {
			b.Fatal(out, err)
		}
	}
}
