package main

import (
	"time"

	"github.com/spf13/cobra"
)

type vaultView struct {
	ID          string    `json:"id"`
	DisplayName string    `json:"display_name"`
	CreatedAt   time.Time `json:"created_at"`
}

func vaultCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the vaults", Args: takes(0),
		Long: `List the vaults that are not archived, newest first. Sessions are given vaults as vault_ids; what they hold is made and changed over
the API (see /docs) and shown by nothing.`,
		Example: "  bureau vault list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			vaults, err := pages[vaultView](cmd, c, "/v1/vaults")
			if err != nil {
				return err
			}
			rows := make([][]string, len(vaults))
			for i, v := range vaults {
				rows[i] = []string{v.ID, v.CreatedAt.Format(time.DateTime), oneLine(v.DisplayName)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "CREATED", "NAME"}, rows)
		}),
	}
	return group("vault", "List vaults", list)
}
