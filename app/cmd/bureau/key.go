package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/core/account"
)

// action is the body of a command that needs a client.
type action func(cmd *cobra.Command, c *client, args []string) error

// with wraps an action that reads and writes what is stored.
func with(fn action) func(*cobra.Command, []string) error { return run(fn, false) }

// working wraps an action that needs turns or plugins to run.
func working(fn action) func(*cobra.Command, []string) error { return run(fn, true) }

func run(fn action, work bool) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd, work)
		if err == nil {
			err = fn(cmd, c, args)
			c.close()
		}
		if err != nil && cmd.Context().Err() != nil {
			return errInterrupted
		}
		return err
	}
}

// printJSON writes v for scripts.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printTable writes rows in aligned columns.
func printTable(w io.Writer, header []string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(header, "\t"))
	for _, row := range rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	return tw.Flush()
}

// pages walks a list to its end.
func pages[T any](cmd *cobra.Command, c *client, path string) ([]T, error) {
	var all []T
	cursor := ""
	for {
		var page struct {
			Data     []T     `json:"data"`
			NextPage *string `json:"next_page"`
		}
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		if err := c.call(cmd.Context(), "GET", path+sep+"limit=100&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.NextPage == nil || *page.NextPage == "" {
			return all, nil
		}
		cursor = *page.NextPage
	}
}

type keyView struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Prefix    string     `json:"prefix"`
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
	Key       string     `json:"key,omitempty"`
}

func keyCommand() *cobra.Command {
	var scopes []string
	var expires time.Duration
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API key; it is shown this once",
		Long:  "Make an API key; it is shown this once. The scopes are:\n\n" + scopeHelp(),
		Example: `  bureau key create ci --scope agents:read --scope chat
  bureau key create intern --scope chat --expires 720h`,
		Args: takes(1, "NAME"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"name": args[0]}
			if len(scopes) > 0 {
				body["scopes"] = scopes
			}
			if cmd.Flags().Changed("expires") {
				if expires <= 0 {
					return misused(cmd, errors.New("--expires must be a time to come, such as 720h"))
				}
				body["expires_at"] = time.Now().UTC().Add(expires).Format(time.RFC3339)
			}
			var key keyView
			if err := c.call(cmd.Context(), "POST", "/v1/api_keys", body, &key); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), key)
		}),
	}
	create.Flags().StringSliceVar(&scopes, "scope", nil, "a `SCOPE` that the key opens, repeatable; default: admin, which opens everything")
	create.Flags().DurationVar(&expires, "expires", 0, "how long it lives, a `DURATION` such as 720h; default: for ever")
	ls := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the keys that are not revoked", Args: takes(0),
		Long:    "List the keys that are not revoked, newest first. Of a key itself only the first eight characters are kept.",
		Example: "  bureau key list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			keys, err := pages[keyView](cmd, c, "/v1/api_keys")
			if err != nil {
				return err
			}
			rows := make([][]string, len(keys))
			for i, k := range keys {
				expires := "never"
				if k.ExpiresAt != nil {
					expires = k.ExpiresAt.Format(time.DateTime)
				}
				rows[i] = []string{k.ID, k.Name, k.Prefix + "...", strings.Join(k.Scopes, ","), k.CreatedAt.Format(time.DateTime), expires}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "KEY", "SCOPES", "CREATED", "EXPIRES"}, rows)
		}),
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a key at once", Args: takes(1, "ID"),
		Long:    "Revoke a key. Every server refuses it from now on, those of other replicas within a second.",
		Example: "  bureau key revoke key_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.call(cmd.Context(), "DELETE", "/v1/api_keys/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "revoked %s\n", args[0])
			return nil
		}),
	}
	return group("key", "Make, list and revoke API keys", create, ls, revoke)
}

func tenantCommand() *cobra.Command {
	var plan string
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a tenant and its first admin key, which is shown this once",
		Long: "Make a tenant and its first admin key, which is shown this once. Tenants see nothing of each other. The plans are:\n\n" +
			planHelp(),
		Example: "  bureau tenant create acme --plan team",
		Args:    takes(1, "NAME"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"name": args[0]}
			if plan != "" {
				body["plan"] = plan
			}
			var tenant map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/tenants", body, &tenant); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), tenant)
		}),
	}
	create.Flags().StringVar(&plan, "plan", "", "`PLAN`: free, pro, team or unlimited (default unlimited)")
	return group("tenant", "Make tenants", create)
}

// scopeHelp lists the scopes, a few to a line.
func scopeHelp() string {
	var b strings.Builder
	for i, p := range account.AllPermissions() {
		if i > 0 && i%4 == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "  %-20s", p)
	}
	return b.String()
}

// planHelp lists the plans and their limits.
func planHelp() string {
	var b strings.Builder
	number := func(n int) string {
		if n == account.Unlimited {
			return "any number of"
		}
		return strconv.Itoa(n)
	}
	for _, p := range []account.Plan{account.PlanFree, account.PlanPro, account.PlanTeam, account.PlanUnlimited} {
		l := p.Limits()
		fmt.Fprintf(&b, "  %-10s %s agents, %s skills per agent, %s requests a minute per key\n",
			p, number(l.Agents), number(l.SkillsPerAgent), number(l.RequestsPerMinute))
	}
	return strings.TrimRight(b.String(), "\n")
}
