// Command spend_limit is the rule that caps what an agent spends in a window: {"window": "day", "max": "100.00", "currency":
// "USDC"}. It concerns payments and transfers in that currency.
//
// The rule keeps no count of its own. It returns the cap, and the server holds the act to it inside the transaction that moves the
// money; so the cap holds exactly, with any number of concurrent payments and servers.
package main

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/plugins/sdk"
)

func main() { sdk.Serve(spendLimit()) }

// config is what a policy says.
type config struct {
	Window   string `json:"window" jsonschema:"enum=hour,enum=day,enum=week,enum=month,enum=all_time" jsonschema_description:"the span in which the limit holds; calendar spans end at midnight UTC"`
	Max      string `json:"max" jsonschema:"pattern=^[0-9]+(\\.[0-9]{1\\,6})?$,example=100.00" jsonschema_description:"what may be spent in the window, as a decimal string"`
	Currency string `json:"currency" jsonschema:"pattern=^[A-Z0-9]{3\\,8}$,example=USDC" jsonschema_description:"the currency that the limit concerns"`
}

// Validate checks what the schema cannot say.
func (c config) Validate() error {
	if !slices.Contains([]string{"hour", "day", "week", "month", "all_time"}, c.Window) {
		return sdk.Invalid("window", "must be hour, day, week, month or all_time")
	}
	limit, err := sdk.ParseAmount(c.Max, c.Currency)
	if err != nil {
		return err
	}
	if limit.Micros < 0 {
		return sdk.Invalid("max", "must not be negative")
	}
	return nil
}

func spendLimit() sdk.Plugin {
	return sdk.Rule(sdk.RuleInfo{
		Name:    "spend_limit",
		Version: "1.0.0",
		Summary: "Caps what an agent pays and transfers in an hour, a day, a week, a month or altogether.",
		Inputs:  []string{sdk.InputAmount},
	}, func(_ context.Context, cfg config, act sdk.Act) (sdk.Verdict, error) {
		if act.Action != sdk.ActionPayment && act.Action != sdk.ActionTransfer || act.Amount == nil {
			return sdk.Allow(), nil
		}
		limit, err := sdk.ParseAmount(cfg.Max, cfg.Currency)
		if err != nil {
			return sdk.Verdict{}, err
		}
		if act.Amount.Currency != limit.Currency {
			return sdk.Allow(), nil
		}
		window := map[string]sdk.Limit{
			"hour": {Window: sdk.WindowHour}, "day": {Window: sdk.WindowDay}, "week": {Window: sdk.WindowWeek},
			"month": {Window: sdk.WindowMonth}, "all_time": {Window: sdk.WindowAll},
		}[cfg.Window]
		if act.Amount.Micros > limit.Micros {
			span := "in one " + cfg.Window
			if cfg.Window == "all_time" {
				span = "altogether"
			}
			return sdk.Deny("%s is more than the %s that may be spent %s", act.Amount, limit, span), nil
		}
		window.Max = limit
		return sdk.Allow(window), nil
	})
}
