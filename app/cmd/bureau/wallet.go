package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func walletCommand() *cobra.Command {
	return group("wallet", "Look into agents' wallets, and fund them", walletShow(), walletDeposit(), walletTransactions())
}

func walletShow() *cobra.Command {
	return &cobra.Command{
		Use: "show AGENT", Aliases: []string{"get"}, Short: "Show what an agent has, in every currency", Args: takes(1, "AGENT"),
		Long:    "Show what an agent has, in every currency, and how much of it is held by payments under way. AGENT is an id or a name.",
		Example: "  bureau wallet show buyer",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, err := c.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var found struct {
				Data []struct {
					ID        string    `json:"id"`
					Currency  string    `json:"currency"`
					Balance   moneyView `json:"balance"`
					Held      moneyView `json:"held"`
					Available moneyView `json:"available"`
				} `json:"data"`
			}
			if err := c.call(cmd.Context(), "GET", "/v1/agents/"+agent+"/wallets", nil, &found); err != nil {
				return err
			}
			rows := make([][]string, len(found.Data))
			for i, w := range found.Data {
				rows[i] = []string{w.ID, w.Currency, w.Balance.Amount, w.Held.Amount, w.Available.Amount}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "CURRENCY", "BALANCE", "HELD", "AVAILABLE"}, rows)
		}),
	}
}

func walletDeposit() *cobra.Command {
	var currency, description string
	cmd := &cobra.Command{
		Use: "deposit AGENT AMOUNT", Short: "Bring money into an agent's wallet", Args: takes(2, "AGENT", "AMOUNT"),
		Long:    "Bring money into an agent's wallet, on your word: it comes from outside of the ledger. AMOUNT has up to six decimal places.",
		Example: "  bureau wallet deposit buyer 100\n  bureau wallet deposit buyer 25.50 --currency EUR --description 'March'",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, err := c.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			var made map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/agents/"+agent+"/wallet/deposits", map[string]any{
				"amount": moneyView{args[1], strings.ToUpper(currency)}, "description": description,
			}, &made); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	cmd.Flags().StringVar(&currency, "currency", "USDC", "a `CODE`")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, a `TEXT`")
	return cmd
}

type transactionView struct {
	ID           string    `json:"id"`
	Kind         string    `json:"kind"`
	Amount       moneyView `json:"amount"`
	BalanceAfter moneyView `json:"balance_after"`
	Payee        string    `json:"payee"`
	Description  string    `json:"description"`
	CreatedAt    time.Time `json:"created_at"`
}

func walletTransactions() *cobra.Command {
	return &cobra.Command{
		Use: "transactions AGENT", Short: "List what went in and out", Args: takes(1, "AGENT"),
		Long: "List what went into an agent's wallet and out of it, the latest first. AGENT is an id or a name.", Example: "  bureau wallet transactions buyer",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, err := c.agentID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			found, err := pages[transactionView](cmd, c, "/v1/agents/"+agent+"/wallet/transactions")
			if err != nil {
				return err
			}
			rows := make([][]string, len(found))
			for i, v := range found {
				rows[i] = []string{
					v.ID, v.CreatedAt.Format(time.DateTime), v.Kind, v.Amount.String(), v.BalanceAfter.Amount, oneLine(v.Payee), oneLine(v.Description),
				}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "AT", "KIND", "AMOUNT", "BALANCE", "PAYEE", "DESCRIPTION"}, rows)
		}),
	}
}
