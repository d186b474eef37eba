// Command payee_list is the rule that says whom an agent may pay: {"allow": ["*.vendor.example", "Blue Bottle Coffee"], "block":
// ["casino.example"]}. It concerns payments, and transfers by the receiving agent's id.
//
// An entry that is a host name holds for payees that are that host, a URL on it or an e-mail address at it: "vendor.example" allows that
// host alone and "*.vendor.example" what is below it, while either of them, blocked, stops the host and all below it. Hosts are compared
// in their ASCII form, so that no look-alike spelling of one host passes for another. Every other entry is a name, compared without
// regard to case and to runs of white space. Block beats allow.
package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/plugins/sdk"
	"github.com/bureau-agents/bureau/ports/payee"
)

func main() { sdk.Serve(payeeList()) }

// What happens to payees that are on no list.
const (
	deny    = "deny"
	approve = "require_approval"
)

// maxEntries and maxEntry bound a list, so that judging stays short.
const (
	maxEntries = 1000
	maxEntry   = 256
)

// config is what a policy says.
type config struct {
	Allow     []string `json:"allow,omitempty" jsonschema:"maxItems=1000" jsonschema_description:"names and hosts that may be paid; when there are any, others may not"`
	Block     []string `json:"block,omitempty" jsonschema:"maxItems=1000" jsonschema_description:"names and hosts that are never paid"`
	Otherwise string   `json:"otherwise,omitempty" jsonschema:"enum=deny,enum=require_approval,default=deny" jsonschema_description:"what happens to a payee that allow does not name"`
}

// Validate checks what the schema cannot say.
func (c config) Validate() error {
	if len(c.Allow) == 0 && len(c.Block) == 0 {
		return sdk.Invalid("allow", "or block must have an entry")
	}
	if c.Otherwise != "" && c.Otherwise != deny && c.Otherwise != approve {
		return sdk.Invalid("otherwise", "must be %s or %s", deny, approve)
	}
	for name, list := range map[string][]string{"allow": c.Allow, "block": c.Block} {
		if len(list) > maxEntries {
			return sdk.Invalid(name, "must have at most %d entries", maxEntries)
		}
		for i, entry := range list {
			if err := check(entry); err != "" {
				return sdk.Invalid(fmt.Sprintf("%s[%d]", name, i), "%s", err)
			}
		}
	}
	return nil
}

// check returns what is wrong with an entry, and "" when nothing is.
func check(entry string) string {
	switch {
	case payee.Fold(entry) == "" || len(entry) > maxEntry:
		return fmt.Sprintf("must be a text of 1 to %d bytes", maxEntry)
	case strings.Contains(entry, "*") && !isHost(entry):
		return `may have a wildcard only as in "*.vendor.example"`
	case strings.ContainsAny(entry, `/\@`):
		return "must be a name or a host, not an address"
	}
	return ""
}

// isHost reports whether an entry is a pattern of hosts rather than a name.
func isHost(entry string) bool {
	host, _, err := payee.ParsePattern(entry)
	return err == nil && strings.ContainsAny(host, ".:")
}

func payeeList() sdk.Plugin {
	return sdk.Rule(sdk.RuleInfo{
		Name:    "payee_list",
		Version: "1.0.0",
		Summary: "Says whom an agent may pay, by name and by host.",
		Inputs:  []string{sdk.InputPayee},
	}, func(_ context.Context, cfg config, act sdk.Act) (sdk.Verdict, error) {
		if act.Action != sdk.ActionPayment && act.Action != sdk.ActionTransfer {
			return sdk.Allow(), nil
		}
		return cfg.judge(act.Payee), nil
	})
}

func (c config) judge(to string) sdk.Verdict {
	host, err := payee.Host(to)
	if err != nil {
		return sdk.Deny("the payee %q cannot be read as an address", to)
	}
	if matches(c.Block, to, host, payee.Blocks) {
		return sdk.Deny("the payee %q is blocked", to)
	}
	if len(c.Allow) == 0 || matches(c.Allow, to, host, payee.Allows) {
		return sdk.Allow()
	}
	if c.Otherwise == approve {
		return sdk.RequireApproval("the payee %q is not on the list", to)
	}
	return sdk.Deny("the payee %q is not on the list", to)
}

// matches reports whether an entry of list names the payee: by its host where both have one, by name otherwise.
func matches(list []string, to, host string, by func([]string, string) bool) bool {
	name := payee.Fold(to)
	return slices.ContainsFunc(list, func(entry string) bool {
		if isHost(entry) {
			return host != "" && by([]string{entry}, host)
		}
		return payee.Fold(entry) == name
	})
}
