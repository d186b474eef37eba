// Command cel is the rule that judges by an expression of the Common Expression Language (https://cel.dev): {"expression": "amount <=
// money('50.00') && host.endsWith('.vendor.example') || labels['team'] == 'procurement'"}.
//
// The expression sees action, amount (in millionths of the currency's unit; null when unknown), currency, payee, host (of a payee that is
// an address; "" of a name), category, description, tool, arguments, agent_id, agent_name, labels and time (UTC). money('20.00') is
// an amount; CEL's string, list, set and math extensions are there. It yields a bool, true to allow, or one of 'allow',
// 'require_approval' and 'deny'. An expression that fails on an act, as one that compares an unknown amount does, denies it.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"cel.dev/cel-go/common/types"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/ports/payee"
)

func main() { sdk.Serve(celRule(&programs{})) }

// What an expression may decide.
const (
	allow   = "allow"
	approve = "require_approval"
	deny    = "deny"
)

// config is what a policy says.
type config struct {
	Expression string   `json:"expression" jsonschema:"minLength=1,maxLength=4096,example=amount <= money('50.00')" jsonschema_description:"in CEL; true allows"`
	Actions    []string `json:"actions,omitempty" jsonschema_description:"the kinds of act that it judges: payment, transfer, tool_call, run_start; none is payment and transfer"`
	Otherwise  string   `json:"otherwise,omitempty" jsonschema:"enum=deny,enum=require_approval,default=deny" jsonschema_description:"what false means"`
	Reason     string   `json:"reason,omitempty" jsonschema:"maxLength=500" jsonschema_description:"what is said when it does not allow"`
}

// Validate checks what the schema cannot say.
func (c config) Validate() error {
	if len(c.Expression) > maxExpression {
		return sdk.Invalid("expression", "must have at most %d bytes", maxExpression)
	}
	if _, err := compile(c.Expression); err != nil {
		return sdk.Invalid("expression", "%s", err)
	}
	known := []string{string(sdk.ActionPayment), string(sdk.ActionTransfer), string(sdk.ActionToolCall), string(sdk.ActionRunStart)}
	for i, a := range c.Actions {
		if !slices.Contains(known, a) {
			return sdk.Invalid(fmt.Sprintf("actions[%d]", i), "must be one of %v", known)
		}
	}
	if c.Otherwise != "" && c.Otherwise != deny && c.Otherwise != approve {
		return sdk.Invalid("otherwise", "must be %s or %s", deny, approve)
	}
	return nil
}

// concerns reports whether the rule judges acts of this kind.
func (c config) concerns(act sdk.Act) bool {
	if len(c.Actions) == 0 {
		return act.Action == sdk.ActionPayment || act.Action == sdk.ActionTransfer
	}
	return slices.Contains(c.Actions, string(act.Action))
}

func celRule(cache *programs) sdk.Plugin {
	return sdk.Rule(sdk.RuleInfo{
		Name:    "cel",
		Version: "1.0.0",
		Summary: "Judges acts by an expression in CEL.",
		Inputs: []string{
			sdk.InputAmount, sdk.InputPayee, sdk.InputCategory, sdk.InputDescription, sdk.InputTool, sdk.InputArguments, sdk.InputAgent,
			sdk.InputTime,
		},
	}, func(ctx context.Context, cfg config, act sdk.Act) (sdk.Verdict, error) {
		if !cfg.concerns(act) {
			return sdk.Allow(), nil
		}
		program, err := cache.get(cfg.Expression)
		if err != nil {
			return sdk.Verdict{}, err
		}
		vars, err := variables(act)
		if err != nil {
			return sdk.Verdict{}, err
		}
		out, _, err := program.ContextEval(ctx, vars)
		if err != nil {
			return sdk.Deny("the expression failed: %v", err), nil
		}
		return cfg.verdict(out.Value()), nil
	})
}

// verdict makes one of what the expression yielded.
func (c config) verdict(value any) sdk.Verdict {
	outcome, isText := value.(string)
	if yes, isBool := value.(bool); isBool {
		outcome, isText = cmp.Or(c.Otherwise, deny), true
		if yes {
			outcome = allow
		}
	}
	reason := cmp.Or(c.Reason, "the expression does not allow it")
	switch {
	case isText && outcome == allow:
		return sdk.Allow()
	case isText && outcome == approve:
		return sdk.RequireApproval("%s", reason)
	case isText && outcome == deny:
		return sdk.Deny("%s", reason)
	}
	return sdk.Deny("the expression yields %v, which is no verdict", value)
}

// variables are what the expression sees of an act. The host of a payee that cannot be read is not there, so that an expression which
// asks for it fails.
func variables(act sdk.Act) (map[string]any, error) {
	vars := map[string]any{
		"action": string(act.Action), "amount": types.NullValue, "currency": "", "payee": act.Payee, "category": act.Category,
		"description": act.Description, "tool": act.Tool, "arguments": map[string]any{}, "agent_id": act.AgentID,
		"agent_name": act.AgentName, "labels": act.Labels, "time": act.At,
	}
	if act.Labels == nil {
		vars["labels"] = map[string]string{}
	}
	if act.Amount != nil {
		vars["amount"], vars["currency"] = act.Amount.Micros, string(act.Amount.Currency)
	}
	if host, err := payee.Host(act.Payee); err == nil {
		vars["host"] = host
	}
	if len(act.Arguments) > 0 {
		var arguments any
		if err := json.Unmarshal(act.Arguments, &arguments); err != nil {
			return nil, err
		}
		vars["arguments"] = arguments
	}
	return vars, nil
}
