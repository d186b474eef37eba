package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/webhook"
)

type webhookView struct {
	ID      string   `json:"id"`
	URL     string   `json:"url"`
	Events  []string `json:"events"`
	Enabled bool     `json:"enabled"`
	Reason  *string  `json:"disabled_reason"`
}

type webhookDeliveryView struct {
	ID         string     `json:"id"`
	NoticeID   string     `json:"notice_id"`
	NoticeType string     `json:"notice_type"`
	Status     string     `json:"status"`
	Error      *string    `json:"error"`
	NextAt     *time.Time `json:"next_attempt_at"`
	CreatedAt  time.Time  `json:"created_at"`
	Attempts   []struct {
		At         time.Time `json:"at"`
		StatusCode *int      `json:"status_code"`
		Error      *string   `json:"error"`
	} `json:"attempts"`
}

// outcome says in words what became of a delivery so far.
func (d webhookDeliveryView) outcome() string {
	n := len(d.Attempts)
	switch {
	case d.Status == "delivered":
		return ""
	case d.Error != nil:
		return oneLine(*d.Error)
	case n == 0 || d.Attempts[n-1].Error == nil:
		return ""
	case d.NextAt != nil:
		return oneLine(*d.Attempts[n-1].Error) + "; again at " + d.NextAt.Format(time.DateTime)
	}
	return oneLine(*d.Attempts[n-1].Error)
}

func webhookCommand() *cobra.Command {
	return group("webhook", "Tell programs outside what happens",
		webhookCreateCommand(), webhookListCommand(), webhookDeliveriesCommand(), webhookRedeliverCommand(), webhookTestCommand(), webhookDeleteCommand())
}

func webhookKindsHelp() string {
	var b strings.Builder
	for _, k := range webhook.Kinds() {
		fmt.Fprintf(&b, "  %-24s %s\n", k.Name, k.Doc)
	}
	return b.String()
}

func webhookCreateCommand() *cobra.Command {
	var events []string
	var description, secret string
	cmd := &cobra.Command{
		Use: "create URL", Short: "Add a webhook; its secret is shown this once", Args: takes(1, "URL"),
		Long: "Add a webhook; its secret, with which deliveries are signed, is shown this once. It is told of:\n\n" + webhookKindsHelp(),
		Example: `  bureau webhook create https://example.com/hooks
  bureau webhook create https://example.com/hooks --event 'agent.*' --event budget.alert`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"url": args[0], "events": events, "description": description}
			if secret != "" {
				body["secret"] = secret
			}
			var made map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/webhooks", body, &made); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	cmd.Flags().StringSliceVar(&events, "event", []string{"*"}, "a `KIND` of notices, repeatable; wallet.* stands for several, * for all")
	cmd.Flags().StringVar(&description, "description", "", "a `TEXT` for yourself")
	cmd.Flags().StringVar(&secret, "secret", "", "the `SECRET` to sign with; default: a new one")
	return cmd
}

func webhookListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the webhooks", Args: takes(0),
		Long:    "List the webhooks, newest first. The server disables those to which nothing can be delivered any more, and says why.",
		Example: "  bureau webhook list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			hooks, err := pages[webhookView](cmd, c, "/v1/webhooks")
			if err != nil {
				return err
			}
			rows := make([][]string, len(hooks))
			for i, h := range hooks {
				state := "enabled"
				if !h.Enabled {
					state = "disabled"
				}
				if h.Reason != nil {
					state += ": " + oneLine(*h.Reason)
				}
				rows[i] = []string{h.ID, h.URL, strings.Join(h.Events, ","), state}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "URL", "EVENTS", "STATE"}, rows)
		}),
	}
}

func webhookDeliveriesCommand() *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "deliveries ID", Short: "List what a webhook was told, and what it answered", Args: takes(1, "ID"),
		Long:    "List the deliveries of a webhook, the last queued first, with how often each was tried and what was wrong.",
		Example: "  bureau webhook deliveries whk_01h... --status failed",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path := "/v1/webhooks/" + url.PathEscape(args[0]) + "/deliveries"
			if status != "" {
				path += "?status=" + url.QueryEscape(status)
			}
			all, err := pages[webhookDeliveryView](cmd, c, path)
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, d := range all {
				rows[i] = []string{d.ID, d.NoticeType, d.CreatedAt.Format(time.DateTime), d.Status, strconv.Itoa(len(d.Attempts)), d.outcome()}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NOTICE", "QUEUED", "STATUS", "TRIES", "PROBLEM"}, rows)
		}),
	}
	cmd.Flags().StringVar(&status, "status", "", "only those of this `STATUS`: pending, delivered, failed")
	return cmd
}

func webhookRedeliverCommand() *cobra.Command {
	return &cobra.Command{
		Use: "redeliver ID DELIVERY", Short: "Send a notice again", Args: takes(2, "ID", "DELIVERY"),
		Long:    "Send the notice of a finished delivery again. It carries the same webhook-id, so a receiver can tell that it had it.",
		Example: "  bureau webhook redeliver whk_01h... att_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.sendNotice(cmd, "/v1/webhooks/"+url.PathEscape(args[0])+"/deliveries/"+url.PathEscape(args[1])+"/redeliver")
		}),
	}
}

func webhookTestCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test ID", Short: "Send a webhook.test", Args: takes(1, "ID"),
		Long:    "Send a notice of the kind webhook.test, once. `bureau webhook deliveries` shows what became of it.",
		Example: "  bureau webhook test whk_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.sendNotice(cmd, "/v1/webhooks/"+url.PathEscape(args[0])+"/test")
		}),
	}
}

// sendNotice asks for a delivery and says which one it is.
func (c *client) sendNotice(cmd *cobra.Command, path string) error {
	var d webhookDeliveryView
	if err := c.call(cmd.Context(), "POST", path, nil, &d); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "queued %s of %s\n", d.ID, d.NoticeType)
	return nil
}

func webhookDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete ID", Short: "Delete a webhook with its deliveries", Args: takes(1, "ID"),
		Long:    "Delete a webhook with its deliveries. What still waits for it is never sent.",
		Example: "  bureau webhook delete whk_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.call(cmd.Context(), "DELETE", "/v1/webhooks/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "deleted %s\n", args[0])
			return nil
		}),
	}
}
