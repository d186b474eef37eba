package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

type figuresView struct {
	Key      *string   `json:"key"`
	Calls    int64     `json:"api_calls"`
	Errors   int64     `json:"errors"`
	Tokens   int64     `json:"tokens"`
	Cost     moneyView `json:"computed_cost"`
	Unpriced int64     `json:"unpriced"`
	Latency  *int64    `json:"avg_latency_ms"`
}

func (f figuresView) row(key string) []string {
	latency := ""
	if f.Latency != nil {
		latency = strconv.FormatInt(*f.Latency, 10)
	}
	n := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{oneLine(key), n(f.Calls), n(f.Errors), n(f.Tokens), f.Cost.Amount, n(f.Unpriced), latency}
}

func usageCommand() *cobra.Command {
	var by, since, until, agent string
	cmd := &cobra.Command{
		Use: "usage", Short: "Show what models were used for, and what that cost", Args: takes(0),
		Long: `Show calls, failed calls, tokens, cost in dollars and latency by agent, model, provider or day, what cost most first, and the total of
the period before. Periods are whole days in UTC. Unpriced rows are of models without a known price: their cost is in no sum.`,
		Example: "  bureau usage\n  bureau usage --by model --since 2026-11-01\n  bureau usage --by day --agent buyer",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			q := url.Values{"group_by": {by}, "limit": {"1000"}}
			for name, day := range map[string]string{"since": since, "until": until} {
				switch {
				case len(day) == len("2006-01-02"):
					q.Set(name, day+"T00:00:00Z")
				case day != "":
					q.Set(name, day)
				}
			}
			if agent != "" {
				found, err := c.agentID(cmd.Context(), agent)
				if err != nil {
					return err
				}
				q.Set("agent_id", found)
			}
			var board struct {
				Groups   []figuresView `json:"groups"`
				Total    figuresView   `json:"total"`
				Previous figuresView   `json:"previous"`
			}
			if err := c.call(cmd.Context(), "GET", "/v1/dashboard?"+q.Encode(), nil, &board); err != nil {
				return err
			}
			var rows [][]string
			for _, g := range board.Groups {
				key := "(none)"
				if g.Key != nil {
					key = *g.Key
				}
				rows = append(rows, g.row(key))
			}
			rows = append(rows, board.Total.row("total"), board.Previous.row("the period before"))
			return printTable(cmd.OutOrStdout(), []string{"OF", "CALLS", "FAILED", "TOKENS", "COST", "UNPRICED", "LATENCY (MS)"}, rows)
		}),
	}
	cmd.Flags().StringVar(&by, "by", "agent", "`WHAT` there is a line for: agent, model, provider, day")
	cmd.Flags().StringVar(&since, "since", "", "the first `DAY`, such as 2026-11-01; default: 30 days before the last")
	cmd.Flags().StringVar(&until, "until", "", "the `DAY` behind the last one; default: tomorrow")
	cmd.Flags().StringVar(&agent, "agent", "", "only what this `AGENT` used, an id or a name")
	return cmd
}
