package main

import (
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

type agentView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Version   int       `json:"version"`
	Standing  string    `json:"standing"`
	CreatedAt time.Time `json:"created_at"`
	Model     struct {
		ID string `json:"id"`
	} `json:"model"`
}

func agentCommand() *cobra.Command {
	var model, system, description string
	var skills []string
	create := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make an agent",
		Example: `  bureau agent create buyer --model offline --system "You buy what the team needs." --skill calculator`,
		Args:    cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"name": args[0], "model": model}
			if system != "" {
				body["system"] = system
			}
			if description != "" {
				body["description"] = description
			}
			var made map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/agents", body, &made); err != nil {
				return err
			}
			for _, skill := range skills {
				path := "/v1/agents/" + url.PathEscape(made["id"].(string)) + "/skills"
				if err := c.call(cmd.Context(), "POST", path, map[string]any{"skill_id": skill}, nil); err != nil {
					return err
				}
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	create.Flags().StringVar(&model, "model", "offline", "model handle")
	create.Flags().StringVar(&system, "system", "", "system prompt")
	create.Flags().StringVar(&description, "description", "", "what it is for")
	create.Flags().StringSliceVar(&skills, "skill", nil, "skill to install, repeatable")
	ls := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the agents", Args: cobra.NoArgs,
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			agents, err := pages[agentView](cmd, c, "/v1/agents")
			if err != nil {
				return err
			}
			rows := make([][]string, len(agents))
			for i, a := range agents {
				rows[i] = []string{a.ID, a.Name, a.Model.ID, strconv.Itoa(a.Version), a.Standing, a.CreatedAt.Format(time.DateTime)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "MODEL", "VERSION", "STANDING", "CREATED"}, rows)
		}),
	}
	get := &cobra.Command{
		Use: "get ID", Short: "Show an agent", Args: cobra.ExactArgs(1),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			var a map[string]any
			if err := c.call(cmd.Context(), "GET", "/v1/agents/"+url.PathEscape(args[0]), nil, &a); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), a)
		}),
	}
	act := func(use, short, path string) *cobra.Command {
		return &cobra.Command{
			Use: use + " ID", Short: short, Args: cobra.ExactArgs(1),
			RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
				var answer map[string]any
				if err := c.call(cmd.Context(), "POST", "/v1/agents/"+url.PathEscape(args[0])+path, nil, &answer); err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), answer)
			}),
		}
	}
	return group("agent", "Make, list, freeze and archive agents", create, ls, get,
		act("freeze", "Stop everything that an agent does, at once", "/freeze"),
		act("unfreeze", "Let a frozen agent act again", "/unfreeze"),
		act("archive", "Retire an agent; its sessions and trail stay", "/archive"))
}
