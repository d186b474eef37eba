package main

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type budgetView struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Scope struct {
		AgentID string `json:"agent_id"`
	} `json:"scope"`
	Model    *string   `json:"model"`
	Provider *string   `json:"provider"`
	Amount   moneyView `json:"amount"`
	Period   string    `json:"period"`
	Status   struct {
		Spent    moneyView  `json:"spent"`
		Percent  int64      `json:"percent"`
		ResetsAt *time.Time `json:"resets_at"`
	} `json:"status"`
}

// of says whose costs a budget is for.
func (b budgetView) of() string {
	parts := []string{"all agents"}
	if b.Scope.AgentID != "" {
		parts[0] = b.Scope.AgentID
	}
	for _, p := range []*string{b.Model, b.Provider} {
		if p != nil {
			parts = append(parts, oneLine(*p))
		}
	}
	return strings.Join(parts, ", ")
}

func budgetCommand() *cobra.Command {
	return group("budget", "Be told when models have cost so much", budgetCreate(), budgetList(), budgetShow(), budgetDelete())
}

func budgetCreate() *cobra.Command {
	var agent, model, provider, period string
	var alerts []int
	cmd := &cobra.Command{
		Use: "create NAME AMOUNT", Short: "Be told when models have cost so much", Args: takes(2, "NAME", "AMOUNT"),
		Long: `Be told when models have cost AMOUNT dollars in a period, or a part of it. The notice budget.alert says so, once for each part and
period; "bureau webhook create" has it sent somewhere.

A budget warns and stops nothing. Caps that stop are limits of policies, such as daily_cost_limit: see "bureau policy create --help".`,
		Example: `  bureau budget create 'all models' 250
  bureau budget create 'the buyer, a day' 5 --agent buyer --period day --alert 80 --alert 100`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"name": args[0], "amount": args[1], "period": period, "model": model, "provider": provider}
			if agent != "" {
				found, err := c.agentID(cmd.Context(), agent)
				if err != nil {
					return err
				}
				body["scope"] = map[string]any{"agent_id": found}
			}
			if cmd.Flags().Changed("alert") {
				body["alerts"] = alerts
			}
			var made map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/budgets", body, &made); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	cmd.Flags().StringVar(&agent, "agent", "", "only what this `AGENT` costs, an id or a name; default: all agents together")
	cmd.Flags().StringVar(&model, "model", "", "only what this `MODEL` costs")
	cmd.Flags().StringVar(&provider, "provider", "", "only what models of this `PROVIDER` cost")
	cmd.Flags().StringVar(&period, "period", "month", "a `PERIOD` of the calendar, in UTC: day, week, month, or total")
	cmd.Flags().IntSliceVar(&alerts, "alert", []int{50, 80, 100}, "a `PERCENT` of the amount to be told of, repeatable")
	return cmd
}

func budgetList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the budgets, and what is spent of them", Args: takes(0),
		Long: "List the budgets that are in force, newest first, and what is spent of each in its period.", Example: "  bureau budget list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			all, err := pages[budgetView](cmd, c, "/v1/budgets")
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, b := range all {
				resets := "never"
				if b.Status.ResetsAt != nil {
					resets = b.Status.ResetsAt.Format(time.DateOnly)
				}
				rows[i] = []string{
					b.ID, oneLine(b.Name), b.of(), b.Amount.Amount, b.Period, b.Status.Spent.Amount, fmt.Sprintf("%d %%", b.Status.Percent), resets,
				}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "OF", "AMOUNT", "PERIOD", "SPENT", "PERCENT", "RESETS"}, rows)
		}),
	}
}

func budgetShow() *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Aliases: []string{"get"}, Short: "Show a budget, and what is spent of it", Args: takes(1, "ID"),
		Long: "Show a budget as the API does, and what is spent of it in its period.", Example: "  bureau budget show bdg_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			var found map[string]any
			if err := c.call(cmd.Context(), "GET", "/v1/budgets/"+url.PathEscape(args[0]), nil, &found); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), found)
		}),
	}
}

func budgetDelete() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Aliases: []string{"rm"}, Short: "Archive a budget", Args: takes(1, "ID"),
		Long: "Archive a budget: nobody is told of it any more.", Example: "  bureau budget delete bdg_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.call(cmd.Context(), "DELETE", "/v1/budgets/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "archived %s\n", args[0])
			return nil
		}),
	}
}
