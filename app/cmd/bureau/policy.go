package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

type policyView struct {
	ID      string            `json:"id"`
	Scope   map[string]any    `json:"scope"`
	Mode    string            `json:"mode"`
	Rules   []json.RawMessage `json:"rules"`
	Version int               `json:"version"`
	Updated time.Time         `json:"updated_at"`
}

func (p policyView) scope() string {
	for name, of := range p.Scope {
		if name == "tenant" {
			return "tenant"
		}
		return fmt.Sprint(of)
	}
	return ""
}

func policyCommand() *cobra.Command {
	return group("policy", "Say what agents may do and spend", policyList(), policyCreate(), policyUpdate(),
		policyAct("get", "GET", "", "Show a policy", "Show a policy as the API does."),
		policyAct("versions", "GET", "/versions", "Show every version of a policy", "Show every version that a policy has had, a deleted one's too."),
		policyAct("delete", "DELETE", "", "Delete a policy", "Delete a policy. Without any an agent may not pay."))
}

func policyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the policies", Args: takes(0), Long: "List the policies, newest first.",
		Example: "  bureau policy list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			found, err := pages[policyView](cmd, c, "/v1/policies")
			if err != nil {
				return err
			}
			rows := make([][]string, len(found))
			for i, p := range found {
				rows[i] = []string{p.ID, p.scope(), p.Mode, strconv.Itoa(p.Version), strconv.Itoa(len(p.Rules)), p.Updated.Format(time.DateTime)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "SCOPE", "MODE", "VERSION", "RULES", "UPDATED"}, rows)
		}),
	}
}

func policyCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create FILE", Short: "Make a policy of a file", Args: takes(1, "FILE"),
		Long:    "Make a policy of a JSON file, or of standard input when FILE is '-', as POST /v1/policies takes it: scope, limits, rules.",
		Example: `  echo '{"scope":{"agent_id":"agent_01h..."},"limits":{"daily_limit":{"amount":"60","currency":"USDC"}}}' | bureau policy create -`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.sendFile(cmd, "POST", "/v1/policies", args[0])
		}),
	}
}

func policyUpdate() *cobra.Command {
	return &cobra.Command{
		Use: "update POLICY FILE", Short: "Change a policy by a file", Args: takes(2, "POLICY", "FILE"),
		Long: "Change a policy by a JSON file, or by standard input when FILE is '-': limits that are left out stay, null removes one, rules " +
			"replace all rules. The change holds for the next act.",
		Example: `  echo '{"limits":{"daily_limit":null}}' | bureau policy update pol_01h... -`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.sendFile(cmd, "PATCH", "/v1/policies/"+url.PathEscape(args[0]), args[1])
		}),
	}
}

// sendFile sends a JSON file, or standard input for "-", and prints the answer.
func (c *client) sendFile(cmd *cobra.Command, method, path, file string) error {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(cmd.InOrStdin())
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return err
	}
	if !json.Valid(text) {
		return fmt.Errorf("%s is not JSON", file)
	}
	var made map[string]any
	if err := c.call(cmd.Context(), method, path, json.RawMessage(text), &made); err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), made)
}

// policyAct makes a command that is one call about one policy.
func policyAct(use, method, rest, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use + " POLICY", Short: short, Long: long, Args: takes(1, "POLICY"), Example: "  bureau policy " + use + " pol_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			var found map[string]any
			if err := c.call(cmd.Context(), method, "/v1/policies/"+url.PathEscape(args[0])+rest, nil, &found); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), found)
		}),
	}
}
