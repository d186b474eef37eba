package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/ports/fault"
)

func auditCommand() *cobra.Command {
	export := &cobra.Command{
		Use: "export", Short: "Write the audit trail as JSON Lines to standard output", Args: takes(0),
		Long: `Write the default tenant's whole audit trail (with --url, the key's tenant's) as JSON Lines: a header that says how it must end, then an
entry on each line, in the order of the chain.`,
		Example: "  bureau audit export > trail.jsonl",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			res, err := c.request(cmd.Context(), "GET", "/v1/audit/export", nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			_, err = io.Copy(cmd.OutOrStdout(), res.Body)
			return err
		}),
	}
	verify := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check an exported trail, offline",
		Long: `Check that no entry of an exported trail was changed, removed or moved: each entry's hash is recomputed and must continue the one
before. It needs nothing but the file. The exit code is 2 when the trail is broken; the first broken entry is named.`,
		Example: "  bureau audit verify trail.jsonl\n  bureau audit export | bureau audit verify -",
		Args:    takes(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			report, err := audit.VerifyExport(in)
			if f, ok := fault.As(err); ok {
				return fmt.Errorf("%s: %s", args[0], f.Message)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if !report.Valid {
				return exitError{fmt.Errorf("the trail is broken: %s", report.First), exitBroken}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "valid: %d entries, head %s\n", report.Count, report.Head)
			return nil
		},
	}
	return group("audit", "Export and verify the audit trail", export, verify)
}
