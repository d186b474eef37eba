package main

import (
	"encoding/json"
	"net/url"

	"github.com/spf13/cobra"
)

func cardShow() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "show AGENT", Short: "Show the card that an agent of the server is known by", Args: takes(1, "AGENT"),
		Long: `Show the card by which other agents know an agent of this server: what is served at /a2a/AGENT/.well-known/agent-card.json. AGENT is an id or a
name. With --json it comes with its address and with what the validator says of it.`,
		Example: "  bureau card show buyer\n  bureau card show buyer | bureau card validate -",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			id, err := c.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			path := "/v1/agents/" + url.PathEscape(id) + "/card"
			if raw {
				return printAnswer(cmd, c, path)
			}
			var answer struct {
				Card json.RawMessage `json:"card"`
			}
			if err := c.call(cmd.Context(), "GET", path, nil, &answer); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), answer.Card)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write the server's whole answer")
	return cmd
}
