package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// exitDiffer is the exit code of a reconciliation that found differences.
const exitDiffer = 1

type reconciliationView struct {
	OK          bool             `json:"ok"`
	Checked     map[string]int64 `json:"checked"`
	Differences []map[string]any `json:"differences"`
	Truncated   bool             `json:"truncated"`
}

func reconcileCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "reconcile", Short: "Compare wallets, acts, audit trail and usage with each other", Args: takes(0),
		Long: `Compare the default tenant's books (with --url, those of the key's tenant) with each other: the ledger with itself, its movements with the
acts that were decided and with the audit trail, and what model calls were charged with the usage rows. Each difference is one line: its kind, the
ids that say where it is, and what was expected and found. The exit code is 1 when there are any.`,
		Example: "  bureau reconcile\n  bureau reconcile --from 2026-11-01T00:00:00Z --to 2026-12-01T00:00:00Z",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			q := url.Values{}
			for name, v := range map[string]string{"from": from, "to": to} {
				if v != "" {
					q.Set(name, v)
				}
			}
			var r reconciliationView
			if err := c.call(cmd.Context(), "GET", "/v1/reconciliation?"+q.Encode(), nil, &r); err != nil {
				return err
			}
			return r.print(cmd.OutOrStdout())
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "the first moment, as RFC 3339; 31 days before the end when left out")
	cmd.Flags().StringVar(&to, "to", "", "the first moment after, as RFC 3339; now when left out")
	return cmd
}

func (r reconciliationView) print(w io.Writer) error {
	for _, d := range r.Differences {
		line := fmt.Sprint(d["kind"])
		for _, name := range []string{
			"transaction_id", "action_id", "wallet_id", "agent_id", "session_id", "usage_id", "hold_id", "expected", "found", "currency",
		} {
			if v, ok := d[name].(string); ok {
				line += " " + strings.TrimSuffix(name, "_id") + "=" + v
			}
		}
		fmt.Fprintln(w, line)
	}
	if !r.OK {
		n := fmt.Sprintf("%d differences", len(r.Differences))
		if r.Truncated {
			n = "more than " + n
		}
		return exitError{errors.New("the books disagree: " + n), exitDiffer}
	}
	_, err := fmt.Fprintf(w, "the books agree: %d wallets, %d ledger entries, %d acts, %d usage rows, %d open holds\n",
		r.Checked["wallets"], r.Checked["entries"], r.Checked["acts"], r.Checked["usage"], r.Checked["holds"])
	return err
}
