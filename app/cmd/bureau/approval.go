package main

import (
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

type approvalLine struct {
	ID        string     `json:"id"`
	AgentID   string     `json:"agent_id"`
	Action    string     `json:"action"`
	Amount    *moneyView `json:"amount"`
	Rule      string     `json:"rule"`
	Reason    string     `json:"reason"`
	Status    string     `json:"status"`
	ExpiresAt time.Time  `json:"expires_at"`
}

func approvalCommand() *cobra.Command {
	return group("approval", "Decide about acts that wait for a person", approvalList(), approvalGet(), approvalApprove(), approvalDeny())
}

func approvalList() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List what waits, or waited", Args: takes(0),
		Long: "List acts that wait for a person, or waited, newest first.", Example: "  bureau approval list\n  bureau approval list --status denied",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			path := "/v1/approvals"
			if status != "" {
				path += "?status=" + url.QueryEscape(status)
			}
			found, err := pages[approvalLine](cmd, c, path)
			if err != nil {
				return err
			}
			rows := make([][]string, len(found))
			for i, v := range found {
				amount := "-"
				if v.Amount != nil {
					amount = v.Amount.String()
				}
				rows[i] = []string{v.ID, v.AgentID, v.Action, amount, v.Status, v.ExpiresAt.Format(time.DateTime), v.Rule, oneLine(v.Reason)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "AGENT", "ACTION", "AMOUNT", "STATUS", "EXPIRES", "RULE", "REASON"}, rows)
		}),
	}
	cmd.Flags().StringVar(&status, "status", "pending", "pending, approved, denied or expired; '' is all")
	return cmd
}

func approvalGet() *cobra.Command {
	return &cobra.Command{
		Use: "get APPROVAL", Short: "Show an approval with its votes", Args: takes(1, "APPROVAL"),
		Long: "Show an approval as the API does.", Example: "  bureau approval get apr_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.aboutApproval(cmd, "GET", args[0], "", nil)
		}),
	}
}

func approvalApprove() *cobra.Command {
	return &cobra.Command{
		Use: "approve APPROVAL", Short: "Let an act happen", Args: takes(1, "APPROVAL"),
		Long: "Approve an act. It is judged once more, with only the approval met: a freeze or a limit that stands against it by then denies it. " +
			"Where a policy wants several approvers, each with a key of their own gives one vote.",
		Example: "  bureau approval approve apr_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.aboutApproval(cmd, "POST", args[0], "/approve", map[string]any{})
		}),
	}
}

func approvalDeny() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "deny APPROVAL", Short: "Refuse an act", Args: takes(1, "APPROVAL"),
		Long: "Refuse an act that waits. The agent is told the reason.", Example: "  bureau approval deny apr_01h... --reason 'too dear'",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.aboutApproval(cmd, "POST", args[0], "/deny", map[string]any{"reason": reason})
		}),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, a `TEXT`")
	return cmd
}

func (c *client) aboutApproval(cmd *cobra.Command, method, approval, rest string, body any) error {
	var found map[string]any
	if err := c.call(cmd.Context(), method, "/v1/approvals/"+url.PathEscape(approval)+rest, body, &found); err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), found)
}
