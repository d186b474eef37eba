// Command approval_threshold is the rule that asks a person about large payments and transfers: {"threshold": "50.00", "currency":
// "USDC"} parks every one of 50 USDC and more until somebody approves it.
package main

import (
	"context"

	"github.com/bureau-agents/bureau/plugins/sdk"
)

func main() { sdk.Serve(approvalThreshold()) }

// config is what a policy says.
type config struct {
	Threshold string `json:"threshold" jsonschema:"pattern=^[0-9]+(\\.[0-9]{1\\,6})?$,example=50.00" jsonschema_description:"amounts at or above it need an approval, as a decimal string"`
	Currency  string `json:"currency" jsonschema:"pattern=^[A-Z0-9]{3\\,8}$,example=USDC" jsonschema_description:"the currency that the threshold concerns"`
}

// Validate checks what the schema cannot say.
func (c config) Validate() error {
	least, err := sdk.ParseAmount(c.Threshold, c.Currency)
	if err != nil {
		return err
	}
	if least.Micros < 0 {
		return sdk.Invalid("threshold", "must not be negative")
	}
	return nil
}

func approvalThreshold() sdk.Plugin {
	return sdk.Rule(sdk.RuleInfo{
		Name:    "approval_threshold",
		Version: "1.0.0",
		Summary: "Asks a person about payments and transfers at or above an amount.",
		Inputs:  []string{sdk.InputAmount},
	}, func(_ context.Context, cfg config, act sdk.Act) (sdk.Verdict, error) {
		if act.Action != sdk.ActionPayment && act.Action != sdk.ActionTransfer || act.Amount == nil {
			return sdk.Allow(), nil
		}
		least, err := sdk.ParseAmount(cfg.Threshold, cfg.Currency)
		if err != nil {
			return sdk.Verdict{}, err
		}
		if act.Amount.Currency == least.Currency && act.Amount.Micros >= least.Micros {
			return sdk.RequireApproval("%s is at or above %s", act.Amount, least), nil
		}
		return sdk.Allow(), nil
	})
}
