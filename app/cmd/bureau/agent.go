package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
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

// agentID returns the id of the agent that a person means: by its id in any spelling, or by a name that no other agent has.
func (c *client) agentID(ctx context.Context, ref string) (string, error) {
	if strings.HasPrefix(ref, "agent_") {
		return ref, nil
	}
	var named struct {
		Data []agentView `json:"data"`
	}
	if err := c.call(ctx, "GET", "/v1/agents?limit=2&name="+url.QueryEscape(ref), nil, &named); err != nil {
		return "", err
	}
	switch len(named.Data) {
	case 0:
		return ref, nil // perhaps an id in another spelling; if not, the server says so
	case 1:
		return named.Data[0].ID, nil
	}
	return "", fmt.Errorf("several agents are named %q: give the id; `bureau agent list` shows it", ref)
}

// agentPath is where the agent that a person means stands in the API.
func (c *client) agentPath(ctx context.Context, ref, rest string) (string, error) {
	agent, err := c.agentID(ctx, ref)
	return "/v1/agents/" + url.PathEscape(agent) + rest, err
}

func agentCommand() *cobra.Command {
	return group("agent", "Make, equip, list, freeze, archive and destroy agents", agentCreate(), agentList(),
		agentAct("get", "GET", "", "Show an agent", "Show an agent as the API does."),
		agentAct("freeze", "POST", "/freeze", "Stop everything that an agent does, at once",
			"Stop an agent: once this returns, no act of it starts on any server. What it waits for is void; acts under way are counted as in_flight."),
		agentAct("unfreeze", "POST", "/unfreeze", "Let a frozen agent act again",
			"Let a frozen agent act again. What the freeze has stopped stays stopped."),
		agentAct("archive", "POST", "/archive", "Retire an agent; its sessions and trail stay",
			"Retire an agent: it acts no more and uses no slot of the plan. Its sessions, wallet and audit trail stay."),
		agentAct("destroy", "POST", "/destroy", "Delete an agent for good, with all that belongs to it",
			"Delete an agent with its sessions, knowledge, memory, policies and skills. Its money goes to the account's wallet; ledger, usage and audit trail stay."),
		agentSkill("install", "Give an agent a skill, as it is now", "POST", func(skill string) (string, any) {
			return "/skills", map[string]any{"skill_id": skill}
		}),
		agentSkill("uninstall", "Take a skill from an agent", "DELETE", func(skill string) (string, any) {
			return "/skills/" + url.PathEscape(skill), nil
		}))
}

func agentCreate() *cobra.Command {
	var model, system, description string
	var skills []string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an agent",
		Long: `Make an agent. Without a policy it may talk and may not pay; see /docs for wallets and policies. The model is a handle:
"default" for what BUREAU_LLM_PROVIDER and BUREAU_LLM_MODEL say, "offline", or the name of one of that provider's models.`,
		Example: `  bureau agent create buyer --system "You buy what the team needs." --skill calculator`,
		Args:    takes(1, "NAME"),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			for _, skill := range skills { // before the agent is there
				if err := c.call(ctx, "GET", "/v1/skills/"+url.PathEscape(skill), nil, nil); err != nil {
					return err
				}
			}
			body := map[string]any{"name": args[0], "model": model}
			if system != "" {
				body["system"] = system
			}
			if description != "" {
				body["description"] = description
			}
			var made map[string]any
			if err := c.call(ctx, "POST", "/v1/agents", body, &made); err != nil {
				return err
			}
			for _, skill := range skills {
				path := fmt.Sprintf("/v1/agents/%s/skills", made["id"])
				if err := c.call(ctx, "POST", path, map[string]any{"skill_id": skill}, nil); err != nil {
					return fmt.Errorf("%s is made, but: %w", made["id"], err)
				}
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	cmd.Flags().StringVar(&model, "model", "default", "`HANDLE` of the model")
	cmd.Flags().StringVar(&system, "system", "", "system prompt, a `TEXT`")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, a `TEXT`")
	cmd.Flags().StringSliceVar(&skills, "skill", nil, "`SKILL` to install, repeatable")
	return cmd
}

func agentList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the agents", Args: takes(0),
		Long:    "List the agents that are not archived, newest first.",
		Example: "  bureau agent list",
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
}

// agentAct makes a command that is one call about one agent.
func agentAct(use, method, rest, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use + " AGENT", Short: short, Long: long + " AGENT is its id or its name.", Args: takes(1, "AGENT"),
		Example: "  bureau agent " + use + " buyer\n  bureau agent " + use + " agent_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			path, err := c.agentPath(cmd.Context(), args[0], rest)
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

// agentSkill makes a command about one skill of one agent.
func agentSkill(use, short, method string, request func(skill string) (rest string, body any)) *cobra.Command {
	return &cobra.Command{
		Use: use + " AGENT SKILL", Short: short, Args: takes(2, "AGENT", "SKILL"),
		Long:    short + ". AGENT is an id or a name, SKILL the name of a plugin that `bureau plugin list` shows. It counts from the next turn on.",
		Example: "  bureau agent " + use + " buyer calculator",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			rest, body := request(args[1])
			path, err := c.agentPath(cmd.Context(), args[0], rest)
			if err != nil {
				return err
			}
			var answer map[string]any
			if err := c.call(cmd.Context(), method, path, body, &answer); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), answer)
		}),
	}
}
