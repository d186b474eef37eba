package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

type remoteView struct {
	ID          string     `json:"id"`
	AgentID     string     `json:"agent_id"`
	Name        string     `json:"name"`
	Suspicion   *string    `json:"suspicion"`
	CheckedAt   time.Time  `json:"checked_at"`
	Unreachable *time.Time `json:"unreachable_since"`
	Card        struct {
		URL     string `json:"url"`
		Version string `json:"version"`
		Valid   bool   `json:"valid"`
		Score   int    `json:"score"`
	} `json:"card"`
}

// state says in one word how a remote agent is.
func (r remoteView) state() string {
	switch {
	case r.Unreachable != nil:
		return "unreachable"
	case r.Suspicion != nil:
		return "suspicious"
	case !r.Card.Valid:
		return "invalid"
	}
	return "valid"
}

func remoteCommand() *cobra.Command {
	return group("remote", "Call agents elsewhere that speak A2A", remoteAdd(), remoteList(), remoteSet(),
		remoteAct("show", "GET", "", "Show a remote agent", "Show a remote agent with its card and what is wrong with it."),
		remoteRefresh(), remoteAct("remove", "DELETE", "", "Remove a remote agent",
			"Remove a remote agent. The agent that stands for it is archived; its sessions stay to be read."), remoteCall())
}

// remotePath is where the remote agent that a person means, by its id or its name, stands in the API.
func (c *client) remotePath(cmd *cobra.Command, ref, rest string) (string, error) {
	found, err := c.remote(cmd, ref)
	return "/v1/remote_agents/" + url.PathEscape(found.ID) + rest, err
}

func (c *client) remote(cmd *cobra.Command, ref string) (remoteView, error) {
	all, err := pages[remoteView](cmd, c, "/v1/remote_agents")
	if err != nil {
		return remoteView{}, err
	}
	for _, r := range all {
		if r.ID == ref || r.Name == ref {
			return r, nil
		}
	}
	return remoteView{}, fmt.Errorf("there is no remote agent %q; bureau remote list shows those that there are", ref)
}

func remoteAdd() *cobra.Command {
	var name, description, bearer, key, header string
	var anyOrigin, allowInvalid bool
	cmd := &cobra.Command{
		Use: "add URL", Short: "Register a remote agent by its card", Args: takes(1, "URL"),
		Long: `Register a remote agent by the URL of its card, which ends in .json, or by its own, below which the card is looked for. The card is judged first:
one that is not valid is refused with what is wrong with it, unless --allow-invalid is given. A credential is read from an environment variable,
so that it does not stand in the shell's history; it is sent to the origin of the card and to no other, unless --any-origin is given.`,
		Example: `  bureau remote add https://agents.example.com
  TOKEN=... bureau remote add https://agents.example.com/travel --name travel --bearer-env TOKEN`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"url": args[0], "require_valid": !allowInvalid}
			if name != "" {
				body["name"] = name
			}
			if description != "" {
				body["description"] = description
			}
			credential, err := remoteCredential(bearer, key, header, anyOrigin)
			if err != nil {
				return err
			}
			if credential != nil {
				body["credential"] = credential
			}
			return c.postRemote(cmd, "/v1/remote_agents", body)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "its `NAME` here, and that of its tool; default: made of the card's")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, a `TEXT` for the agents that have it as a tool; default: the card's")
	cmd.Flags().StringVar(&bearer, "bearer-env", "", "the `VARIABLE` with the bearer token to call it with")
	cmd.Flags().StringVar(&key, "key-env", "", "the `VARIABLE` with the API key to call it with")
	cmd.Flags().StringVar(&header, "key-header", "", "the `HEADER` that carries the API key; default: X-API-Key")
	cmd.Flags().BoolVar(&anyOrigin, "any-origin", false, "send the credential to whatever address the card names")
	cmd.Flags().BoolVar(&allowInvalid, "allow-invalid", false, "register, and call, an agent whose card is not valid")
	return cmd
}

// remoteSet changes what its flags name.
func remoteSet() *cobra.Command {
	var name, description, bearer, key, header string
	var anyOrigin, allowInvalid, none bool
	cmd := &cobra.Command{
		Use: "set REMOTE", Short: "Change a remote agent, or its credential", Args: takes(1, "REMOTE"),
		Long: `Change what the flags name of a remote agent; the rest stays. REMOTE is its id or its name. A new credential is read from an environment
variable, so that it does not stand in the shell's history, and counts from the next call on, on every server; nothing has to be
removed or registered again. It stays sealed, and the audit trail says that it was changed, not what it is.`,
		Example: `  TOKEN=... bureau remote set travel --bearer-env TOKEN
  KEY=... bureau remote set travel --key-env KEY --key-header X-Travel-Key
  bureau remote set travel --any-origin=false
  bureau remote set travel --no-credential
  bureau remote set travel --name trains --description "Finds trains."`,
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{}
			given := cmd.Flags().Changed
			if given("name") {
				body["name"] = name
			}
			if given("description") {
				body["description"] = description
			}
			if given("allow-invalid") {
				body["require_valid"] = !allowInvalid
			}
			credential, err := remoteSecret(bearer, key)
			if err != nil {
				return err
			}
			if given("key-header") {
				credential["header"] = header
			}
			if given("any-origin") {
				credential["any_origin"] = anyOrigin
			}
			switch {
			case none && len(credential) > 0:
				return errors.New("--no-credential cannot be given with what a credential is to be")
			case none:
				body["credential"] = nil
			case len(credential) > 0:
				body["credential"] = credential
			case len(body) == 0:
				return errors.New("there is nothing to change: name a flag, such as --bearer-env; bureau remote set --help shows them")
			}
			path, err := c.remotePath(cmd, args[0], "")
			if err != nil {
				return err
			}
			return c.postRemote(cmd, path, body)
		}),
	}
	cmd.Flags().StringVar(&name, "name", "", "its new `NAME`, which is that of its tool, too")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, a `TEXT` for the agents that have it as a tool; empty: the card's")
	cmd.Flags().StringVar(&bearer, "bearer-env", "", "the `VARIABLE` with the bearer token to call it with")
	cmd.Flags().StringVar(&key, "key-env", "", "the `VARIABLE` with the API key to call it with")
	cmd.Flags().StringVar(&header, "key-header", "", "the `HEADER` that carries the API key; empty: X-API-Key")
	cmd.Flags().BoolVar(&none, "no-credential", false, "call it without a credential")
	cmd.Flags().BoolVar(&anyOrigin, "any-origin", false, "send the credential to whatever address the card names; --any-origin=false: to the card's own origin only")
	cmd.Flags().BoolVar(&allowInvalid, "allow-invalid", false, "call it though its card is not valid; --allow-invalid=false: only while it is")
	return cmd
}

// remoteCredential reads a credential from the environment; nil for none.
func remoteCredential(bearer, key, header string, anyOrigin bool) (map[string]any, error) {
	out, err := remoteSecret(bearer, key)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	out["any_origin"] = anyOrigin
	if header != "" {
		out["header"] = header
	}
	return out, nil
}

// remoteSecret reads the type and the secret of a credential from the environment; empty for none.
func remoteSecret(bearer, key string) (map[string]any, error) {
	kind, variable := "bearer", bearer
	switch {
	case bearer != "" && key != "":
		return nil, errors.New("--bearer-env and --key-env cannot be given together")
	case bearer == "" && key == "":
		return map[string]any{}, nil
	case key != "":
		kind, variable = "api_key", key
	}
	value := os.Getenv(variable)
	if value == "" {
		return nil, fmt.Errorf("the environment variable %s is empty", variable)
	}
	return map[string]any{"type": kind, "secret": value}, nil
}

// postRemote posts what makes or changes a remote agent, and prints what it is then. The text of its card is left out, which is long.
func (c *client) postRemote(cmd *cobra.Command, path string, body map[string]any) error {
	var answer map[string]any
	if err := c.call(cmd.Context(), "POST", path, body, &answer); err != nil {
		return err
	}
	if card, ok := answer["card"].(map[string]any); ok {
		delete(card, "text")
	}
	return printJSON(cmd.OutOrStdout(), answer)
}

func remoteList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the remote agents", Args: takes(0),
		Long: "List the remote agents, newest first, with the scores of their cards.", Example: "  bureau remote list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			all, err := pages[remoteView](cmd, c, "/v1/remote_agents")
			if err != nil {
				return err
			}
			rows := make([][]string, len(all))
			for i, r := range all {
				rows[i] = []string{r.ID, r.Name, r.AgentID, r.state(), strconv.Itoa(r.Card.Score), r.Card.Version, r.CheckedAt.Format(time.DateTime), r.Card.URL}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "AGENT", "CARD", "SCORE", "A2A", "CHECKED", "URL"}, rows)
		}),
	}
}

// remoteAct makes a command that is one call about one remote agent.
func remoteAct(use, method, rest, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use + " REMOTE", Short: short, Long: long + " REMOTE is its id or its name.", Args: takes(1, "REMOTE"),
		Example: "  bureau remote " + use + " travel",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.remotePath(cmd, args[0], rest)
			if err != nil {
				return err
			}
			var answer map[string]any
			if err := c.call(cmd.Context(), method, path, nil, &answer); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), answer)
		}),
	}
}

func remoteRefresh() *cobra.Command {
	var accept bool
	cmd := &cobra.Command{
		Use: "refresh REMOTE", Short: "Fetch and judge a remote agent's card now", Args: takes(1, "REMOTE"),
		Long: "Fetch and judge the card of a remote agent now, instead of within the hour. REMOTE is its id or its name. A card that is signed by another key " +
			"than before, or not any more, stays suspicious until --accept-signature says that this is right.",
		Example: "  bureau remote refresh travel",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.remotePath(cmd, args[0], "/refresh")
			if err != nil {
				return err
			}
			return c.postRemote(cmd, path, map[string]any{"accept_signature": accept})
		}),
	}
	cmd.Flags().BoolVar(&accept, "accept-signature", false, "take the card's signature for right from now on")
	return cmd
}

func remoteCall() *cobra.Command {
	var session string
	cmd := &cobra.Command{
		Use: "call REMOTE MESSAGE", Short: "Say something to a remote agent", Args: takes(2, "REMOTE", "MESSAGE"),
		Long: "Say something to a remote agent, in a session with the agent that stands for it, and show its answer as it comes. REMOTE is its id or its name. " +
			"What it asks back is answered with --session.",
		Example: `  bureau remote call travel "A train to Lyon on Friday morning"
  bureau remote call travel "At nine" --session sesn_01h...`,
		RunE: working(func(cmd *cobra.Command, c *client, args []string) error {
			r, err := c.remote(cmd, args[0])
			if err != nil {
				return err
			}
			return callAgent(cmd.Context(), cmd, c, r.AgentID, session, args[1])
		}),
	}
	cmd.Flags().StringVar(&session, "session", "", "go on with the session `ID`")
	return cmd
}

// callAgent says one thing to an agent, and how to go on.
func callAgent(ctx context.Context, cmd *cobra.Command, c *client, agent, session, message string) error {
	in := cmd.InOrStdin()
	talk := &conversation{c: c, out: cmd.OutOrStdout(), session: session, in: readInput(in), echo: !isTerminal(in)}
	if err := talk.open(ctx, agent, &hostedChat{}); err != nil {
		return err
	}
	if err := talk.say(ctx, message); err != nil && !errors.Is(err, errQuit) {
		return err
	}
	fmt.Fprintf(talk.out, "\n\nTo go on: --session %s\n", talk.session)
	return nil
}
