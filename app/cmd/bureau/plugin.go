package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/adapters/plugin/scaffold"
	"github.com/bureau-agents/bureau/adapters/plugin/shipped"
	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/skill"
)

// pluginView is a plugin in answers.
type pluginView struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	State   string `json:"state"`
	Enabled bool   `json:"enabled"`
	Shipped bool   `json:"shipped"`
}

func pluginCommand() *cobra.Command {
	return group("plugin", "Write, install and govern skills and rules",
		pluginNew(), pluginInstall(), pluginList(), pluginVerify(),
		pluginAct("enable", "enabled", "Let a disabled plugin work again", "POST", "/enable"),
		pluginAct("disable", "disabled", "Stop a plugin without removing it: its skill is not offered, its rule denies", "POST", "/disable"),
		pluginAct("remove", "removed", "Remove a plugin from the server and from every agent", "DELETE", ""),
		pluginShipped(), pluginKeygen())
}

func pluginInstall() *cobra.Command {
	var sha, name string
	cmd := &cobra.Command{
		Use:   "install FILE",
		Short: "Install a plugin's binary",
		Long: `Install a binary that was built against plugins/sdk. The checksum is required: it is what you have reviewed, and nothing else is ever
started under this name. A plugin is your trusted code; it runs as a process of the server.`,
		Example: "  bureau plugin install ./word_count --sha256 $(sha256sum word_count | cut -d' ' -f1)",
		Args:    takes(1, "FILE"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if sha == "" {
				return misused(cmd, fmt.Errorf("--sha256 is missing: `sha256sum %s` prints it", args[0]))
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
				return errors.Join(err, fmt.Errorf("%s is not a file", args[0]))
			}
			query := url.Values{"sha256": {strings.ToLower(sha)}}
			if name != "" {
				query.Set("name", name)
			}
			var made map[string]any
			res, err := c.request(cmd.Context(), "POST", "/v1/plugins?"+query.Encode(), file)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if err := decode(res.Body, &made); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	cmd.Flags().StringVar(&sha, "sha256", "", "checksum of FILE, in `HEX` (required)")
	cmd.Flags().StringVar(&name, "name", "", "`NAME` on this server; default: what the plugin calls itself")
	return cmd
}

func pluginList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the plugins", Args: takes(0),
		Long: `List the plugins. A shipped one is "building" until its binary is there, and "failed" when it could not be made; the state says nothing
about the stored bytes, which "bureau plugin verify" reads.`,
		Example: "  bureau plugin list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			plugins, err := pages[pluginView](cmd, c, "/v1/plugins")
			if err != nil {
				return err
			}
			rows := make([][]string, len(plugins))
			for i, p := range plugins {
				state := p.State
				if !p.Enabled {
					state = "disabled"
				}
				rows[i] = []string{p.Name, p.Kind, p.Version, state, p.SHA256[:min(16, len(p.SHA256))]}
			}
			return printTable(cmd.OutOrStdout(), []string{"NAME", "KIND", "VERSION", "STATE", "SHA256"}, rows)
		}),
	}
}

func pluginVerify() *cobra.Command {
	return &cobra.Command{
		Use:     "verify [NAME]",
		Short:   "Check stored binaries against their checksums and signatures",
		Long:    "Hash every stored binary again and check its signed manifest. The exit code is 2 when one was changed.",
		Args:    takes(0, "NAME"),
		Example: "  bureau plugin verify\n  bureau plugin verify calculator",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			names := args
			if len(names) == 0 {
				plugins, err := pages[pluginView](cmd, c, "/v1/plugins")
				if err != nil {
					return err
				}
				for _, p := range plugins {
					names = append(names, p.Name)
				}
			}
			broken := 0
			for _, name := range names {
				var report struct {
					OK     bool   `json:"ok"`
					Reason string `json:"reason"`
				}
				if err := c.call(cmd.Context(), "POST", "/v1/plugins/"+url.PathEscape(name)+"/verify", nil, &report); err != nil {
					return err
				}
				if report.OK {
					fmt.Fprintf(cmd.OutOrStdout(), "ok       %s\n", name)
					continue
				}
				broken++
				fmt.Fprintf(cmd.OutOrStdout(), "CHANGED  %s: %s\n", name, report.Reason)
			}
			if broken > 0 {
				return exitError{fmt.Errorf("%d of %d plugins are not what was installed", broken, len(names)), exitBroken}
			}
			return nil
		}),
	}
}

func pluginAct(use, done, short, method, path string) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Long: short + ". It counts at once, on every server.", Args: takes(1, "NAME"),
		Example: "  bureau plugin " + use + " calculator",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			if err := c.call(cmd.Context(), method, "/v1/plugins/"+url.PathEscape(args[0])+path, nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", done, args[0])
			return nil
		}),
	}
}

func pluginShipped() *cobra.Command {
	return &cobra.Command{
		Use: "install-shipped", Short: "Install the plugins that come with the server; no harm when they are there", Args: takes(0),
		Long: `Install the plugins that come with the server, and bring back those that were removed. From a checkout they are built first, which takes a
minute or so the first time. It is no harm when they are there.`,
		Example: "  bureau plugin install-shipped",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			if err := c.call(cmd.Context(), "POST", "/v1/plugins/install-shipped", nil, nil); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the shipped plugins are installed")
			return nil
		}),
	}
}

func pluginNew() *cobra.Command {
	var kind, dir, source string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a module with a plugin that builds and passes its test",
		Long: `Write a Go module with a plugin that does something small, builds, and passes its test. Until Bureau is released the module takes the SDK
from a checkout: the one that this binary was built from, or --source.`,
		Example: `  bureau plugin new word_count --kind skill
  bureau plugin new office_hours --kind rule --dir rules/office_hours --source ~/src/bureau`,
		Args: takes(1, "NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if source == "" {
				source = os.Getenv("BUREAU_SOURCE")
			}
			if source == "" {
				source = shipped.Checkout()
			}
			written, err := scaffold.Write(cmd.Context(), scaffold.Options{
				Name: args[0], Kind: skill.Kind(kind), Dir: dir, Source: source, Version: app.Version(),
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n\nNext:\n  cd %s\n  go test ./...\n  go build -o %s .\n"+
				"  bureau plugin install ./%s --sha256 $(sha256sum %s | cut -d' ' -f1)\n", written, written, args[0], args[0], args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "skill", "`KIND`: skill or rule")
	cmd.Flags().StringVar(&dir, "dir", "", "`DIR` to write it to, empty or missing; default: NAME")
	cmd.Flags().StringVar(&source, "source", "", "`CHECKOUT` of Bureau to take the SDK from (BUREAU_SOURCE; default: the one that this binary was built from)")
	return cmd
}

func pluginKeygen() *cobra.Command {
	return &cobra.Command{
		Use:   "keygen",
		Short: "Make a new key for signing plugin manifests; what older keys signed stays valid",
		Long: `Make a new key for signing the manifests of plugins that are installed from now on. It never leaves the server, sealed under the root
secret. What older keys signed stays valid.`,
		Example: "  bureau plugin keygen",
		Args:    takes(0),
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			var key map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/plugin_keys", nil, &key); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), key)
		}),
	}
}
