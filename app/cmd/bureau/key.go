package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// group makes a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs}
	cmd.AddCommand(children...)
	return cmd
}

// with wraps the body of a command that needs a client.
func with(fn func(cmd *cobra.Command, c *client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := connect(cmd)
		if err != nil {
			return err
		}
		defer c.close()
		return fn(cmd, c, args)
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
		Example: `  bureau key create ci --scope agents:read --scope chat
  bureau key create intern --scope chat --expires 720h`,
		Args: cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"name": args[0]}
			if len(scopes) > 0 {
				body["scopes"] = scopes
			}
			if expires > 0 {
				body["expires_at"] = time.Now().UTC().Add(expires).Format(time.RFC3339)
			}
			var key keyView
			if err := c.call(cmd.Context(), "POST", "/v1/api_keys", body, &key); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), key)
		}),
	}
	create.Flags().StringSliceVar(&scopes, "scope", nil, "what the key may do, repeatable; default: everything")
	create.Flags().DurationVar(&expires, "expires", 0, "how long it lives; default: for ever")
	ls := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the keys", Args: cobra.NoArgs,
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			keys, err := pages[keyView](cmd, c, "/v1/api_keys")
			if err != nil {
				return err
			}
			rows := make([][]string, len(keys))
			for i, k := range keys {
				rows[i] = []string{k.ID, k.Name, k.Prefix + "...", strings.Join(k.Scopes, ","), k.CreatedAt.Format(time.DateTime)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "KEY", "SCOPES", "CREATED"}, rows)
		}),
	}
	revoke := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a key at once", Args: cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.call(cmd.Context(), "DELETE", "/v1/api_keys/"+url.PathEscape(args[0]), nil, nil)
		}),
	}
	return group("key", "Make, list and revoke API keys", create, ls, revoke)
}

func tenantCommand() *cobra.Command {
	var plan string
	create := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a tenant and its first admin key, which is shown this once",
		Example: "  bureau tenant create acme --plan team",
		Args:    cobra.ExactArgs(1),
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
	create.Flags().StringVar(&plan, "plan", "", "free, pro, team, unlimited (default: unlimited)")
	return group("tenant", "Make tenants", create)
}
