package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// secretArguments says how secrets are given, for help texts.
const secretArguments = `A secret is NAME=VALUE, or, so that the value stands neither in the history of the shell nor in the list of processes, NAME alone, which
takes the variable of that name (or of that name in capitals), or NAME=-, which reads a line of standard input.`

// readSecrets reads secrets as they are given on the command line.
func readSecrets(args []string, in io.Reader, env func(string) (string, bool)) (map[string]string, error) {
	secrets := map[string]string{}
	var lines *bufio.Reader
	for _, arg := range args {
		name, value, given := strings.Cut(arg, "=")
		if name == "" {
			return nil, errors.New("a secret has no name: give NAME=VALUE, NAME=- or NAME")
		}
		if _, twice := secrets[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		switch {
		case !given:
			var ok bool
			if value, ok = env(name); !ok {
				if value, ok = env(strings.ToUpper(name)); !ok {
					return nil, fmt.Errorf("neither %s nor %s is set in the environment; %s=- reads it from standard input", name, strings.ToUpper(name), name)
				}
			}
		case value == "-":
			if lines == nil {
				lines = bufio.NewReader(in)
			}
			line, err := lines.ReadString('\n')
			if value = strings.TrimRight(line, "\r\n"); value == "" {
				if err != nil && !errors.Is(err, io.EOF) {
					return nil, err
				}
				return nil, fmt.Errorf("standard input has no line for %s", name)
			}
		}
		secrets[name] = value
	}
	return secrets, nil
}

// ownedView is the name of a secret.
type ownedView struct {
	Name      string    `json:"name"`
	UpdatedAt time.Time `json:"updated_at"`
}

func listSecrets(cmd *cobra.Command, c *client, path string, raw bool) error {
	var found struct{ Data []ownedView }
	if err := c.call(cmd.Context(), "GET", path, nil, &found); err != nil {
		return err
	}
	if raw {
		return printJSON(cmd.OutOrStdout(), found.Data)
	}
	rows := make([][]string, len(found.Data))
	for i, s := range found.Data {
		rows[i] = []string{s.Name, s.UpdatedAt.Format(time.DateTime)}
	}
	return printTable(cmd.OutOrStdout(), []string{"NAME", "SET"}, rows)
}

// owner is what has secrets: the word of its argument, and where they stand in the API.
type owner struct {
	group, word, example, what string
	path                       func(cmd *cobra.Command, c *client, ref string) (string, error)
}

// secretCommands make the commands about an owner's secrets.
func secretCommands(o owner, use, short string, aliases ...string) *cobra.Command {
	changed := func(cmd *cobra.Command, c *client, ref string, body map[string]any, said string) error {
		path, err := o.path(cmd, c, ref)
		if err != nil {
			return err
		}
		var answer struct {
			NeedsRestart bool `json:"needs_restart"`
		}
		if err := c.call(cmd.Context(), "PUT", path, body, &answer); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), said)
		sayRestart(cmd, ref, answer.NeedsRestart)
		return nil
	}
	set := &cobra.Command{
		Use: "set " + o.word + " NAME[=VALUE]...", Short: "Set " + o.what, Args: takesMore(o.word, "NAME=VALUE"),
		Long: "Set " + o.what + "; those that are not named stay. No call shows a value again.\n\n" + secretArguments,
		Example: fmt.Sprintf("  bureau %s set %s anthropic_api_key            # from $ANTHROPIC_API_KEY\n", o.group, o.example) +
			fmt.Sprintf("  pass show shop | bureau %s set %s openai_api_key=-", o.group, o.example),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			secrets, err := readSecrets(args[1:], cmd.InOrStdin(), os.LookupEnv)
			if err != nil {
				return err
			}
			names := make([]string, len(args)-1)
			for i, arg := range args[1:] {
				names[i], _, _ = strings.Cut(arg, "=")
			}
			return changed(cmd, c, args[0], map[string]any{"secrets": secrets}, "set "+strings.Join(names, " "))
		}),
	}
	unset := &cobra.Command{
		Use: "unset " + o.word + " NAME...", Aliases: []string{"rm"}, Short: "Delete " + o.what, Args: takesMore(o.word, "NAME"),
		Long:    "Delete " + o.what + ". Names that are not there are no error.",
		Example: fmt.Sprintf("  bureau %s unset %s openai_api_key", o.group, o.example),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return changed(cmd, c, args[0], map[string]any{"delete_secrets": args[1:]}, "unset "+strings.Join(args[1:], " "))
		}),
	}
	var raw bool
	list := &cobra.Command{
		Use: "list " + o.word, Aliases: []string{"ls"}, Short: "List the names of " + o.what, Args: takes(1, o.word),
		Long:    "List the names of " + o.what + " and when each was set. No command shows a value.",
		Example: fmt.Sprintf("  bureau %s list %s", o.group, o.example),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := o.path(cmd, c, args[0])
			if err != nil {
				return err
			}
			return listSecrets(cmd, c, path, raw)
		}),
	}
	list.Flags().BoolVar(&raw, "json", false, "write the list as JSON")
	g := group(use, short, set, unset, list)
	g.Aliases = aliases
	return g
}

func agentSecret() *cobra.Command {
	return secretCommands(owner{
		group: "agent secret", word: "AGENT", example: "atlas", what: "secrets of an agent",
		path: func(cmd *cobra.Command, c *client, ref string) (string, error) {
			return c.agentPath(cmd.Context(), ref, "/secrets")
		},
	}, "secret", "Set, delete and list an agent's secrets")
}

// sayRestart tells, beside what is for scripts, that a running agent does not know yet.
func sayRestart(cmd *cobra.Command, agent string, needed bool) {
	if needed {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s runs with what it was started with; `bureau agent restart %s` tells it\n", agent, agent)
	}
}

// takesMore checks arguments of which the last may be given several times.
func takesMore(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return misused(cmd, fmt.Errorf("%s is missing", names[len(args)]))
		}
		return nil
	}
}

func swarmCredential() *cobra.Command {
	return secretCommands(owner{
		group: "swarm credential", word: "SWARM", example: "growth", what: "credentials of a swarm, which its agents without a key of their own use",
		path: func(cmd *cobra.Command, c *client, ref string) (string, error) {
			return c.swarmPath(cmd.Context(), ref, "/credentials")
		},
	}, "credential", "Set, delete and list a swarm's credentials", "credentials")
}

type memberView struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Role      string    `json:"role"`
	CreatedAt time.Time `json:"created_at"`
}

// swarmPeople are the commands about the people of a swarm.
func swarmPeople() *cobra.Command {
	var raw bool
	list := &cobra.Command{
		Use: "list SWARM", Aliases: []string{"ls"}, Short: "List the people of a swarm", Args: takes(1, "SWARM"),
		Long: "List the people of a swarm, newest first. SWARM is an id or a slug.", Example: "  bureau swarm member list growth",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.swarmPath(cmd.Context(), args[0], "/members")
			if err != nil {
				return err
			}
			members, err := pages[memberView](cmd, c, path)
			if err != nil {
				return err
			}
			if raw {
				return printJSON(cmd.OutOrStdout(), members)
			}
			rows := make([][]string, len(members))
			for i, m := range members {
				rows[i] = []string{m.ID, m.Role, m.CreatedAt.Format(time.DateTime), oneLine(m.User)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "ROLE", "ADDED", "USER"}, rows)
		}),
	}
	list.Flags().BoolVar(&raw, "json", false, "write the list as JSON")
	var role string
	add := &cobra.Command{
		Use: "add SWARM USER", Short: "Add a person to a swarm, or change the role", Args: takes(2, "SWARM", "USER"),
		Long: `Add a person to a swarm: the id or the name of an API key, or the e-mail address of somebody who signs in. Adding a member again gives
the role.`,
		Example: "  bureau swarm member add growth ada@example.com --role owner",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.aboutSwarm(cmd, "POST", args[0], "/members", map[string]any{"user": args[1], "role": role})
		}),
	}
	add.Flags().StringVar(&role, "role", "member", "the `ROLE`: owner, member")
	_ = add.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"owner", "member"}, cobra.ShellCompDirectiveNoFileComp))
	remove := &cobra.Command{
		Use: "remove SWARM MEMBER", Aliases: []string{"rm"}, Short: "Take a person out of a swarm", Args: takes(2, "SWARM", "MEMBER"),
		Long: "Take a person out of a swarm. MEMBER is the member's id, or the user as the list shows it.", Example: "  bureau swarm member remove growth ada@example.com",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.swarmPath(cmd.Context(), args[0], "/members")
			if err != nil {
				return err
			}
			member := args[1]
			if !strings.HasPrefix(member, "smem_") {
				members, err := pages[memberView](cmd, c, path)
				if err != nil {
					return err
				}
				for _, m := range members {
					if strings.EqualFold(m.User, member) {
						member = m.ID
					}
				}
			}
			var answer map[string]any
			if err := c.call(cmd.Context(), "DELETE", path+"/"+url.PathEscape(member), nil, &answer); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), answer)
		}),
	}
	g := group("member", "Add, list and remove the people of a swarm", add, list, remove)
	g.Aliases = []string{"members"}
	return g
}

func swarmAgents() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "agents SWARM", Short: "List the agents of a swarm", Args: takes(1, "SWARM"),
		Long: "List the agents of a swarm, newest first. SWARM is an id or a slug.", Example: "  bureau swarm agents growth",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.swarmPath(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			var swarm swarmView
			if err := c.call(cmd.Context(), "GET", path, nil, &swarm); err != nil {
				return err
			}
			return listAgents(cmd, c, "/v1/agents?swarm_id="+url.QueryEscape(swarm.ID), raw)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write the list as JSON")
	return cmd
}
