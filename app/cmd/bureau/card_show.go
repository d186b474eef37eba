package main

import (
	"net/url"

	"github.com/spf13/cobra"
)

func cardShow() *cobra.Command {
	return &cobra.Command{
		Use: "show AGENT", Short: "Show the card that an agent of the server is known by", Args: takes(1, "AGENT"),
		Long: `Show the card by which other agents know an agent of this server: what is served at /a2a/AGENT/.well-known/agent-card.json. AGENT is an id or a
name.`,
		Example: "  bureau card show buyer\n  bureau card show buyer | bureau card validate -",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			id, err := c.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return printAnswer(cmd, c, "/v1/agents/"+url.PathEscape(id)+"/card")
		}),
	}
}
