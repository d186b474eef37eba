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

type swarmView struct {
	ID         string    `json:"id"`
	Slug       string    `json:"slug"`
	Name       string    `json:"name"`
	Standing   string    `json:"standing"`
	AgentCount int       `json:"agent_count"`
	CreatedAt  time.Time `json:"created_at"`
}

func swarmCommand() *cobra.Command {
	return group("swarm", "Group agents, and stop groups at once", swarmCreate(), swarmList(),
		swarmAct("get", "GET", "", "Show a swarm", "Show a swarm as the API does."),
		swarmAct("freeze", "POST", "/freeze", "Stop every agent of a swarm, at once",
			"Stop a swarm: once this returns, no act of any of its agents starts on any server, nor of one that joins it later."),
		swarmAct("unfreeze", "POST", "/unfreeze", "Let the agents of a frozen swarm act again",
			"Let the agents of a frozen swarm act again, but for those that are frozen themselves."),
		swarmAct("delete", "DELETE", "", "Delete a swarm; its agents stay",
			"Delete a swarm with its knowledge and its policies. Its agents leave it and stay."),
		swarmMember("join", "Put an agent into a swarm", "POST", func(agent string) (string, any) {
			return "/agents", map[string]any{"agent_id": agent}
		}),
		swarmMember("leave", "Take an agent out of a swarm", "DELETE", func(agent string) (string, any) {
			return "/agents/" + url.PathEscape(agent), nil
		}), swarmAgents(), swarmPeople(), swarmCredential())
}

// swarmPath is where the swarm that a person means, by its id or its slug, stands in the API.
func (c *client) swarmPath(ctx context.Context, ref, rest string) (string, error) {
	if !strings.HasPrefix(ref, "swarm_") {
		var found struct {
			Data []swarmView `json:"data"`
		}
		if err := c.call(ctx, "GET", "/v1/swarms?limit=1&slug="+url.QueryEscape(ref), nil, &found); err != nil {
			return "", err
		}
		if len(found.Data) == 1 {
			ref = found.Data[0].ID
		}
	}
	return "/v1/swarms/" + url.PathEscape(ref) + rest, nil
}

func swarmCreate() *cobra.Command {
	var slug, description string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a swarm", Args: takes(1, "NAME"),
		Long:    "Make a swarm: a group of agents that share knowledge and policies and can be frozen together.",
		Example: "  bureau swarm create Growth\n  bureau swarm join growth buyer",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			body := map[string]any{"name": args[0]}
			if slug != "" {
				body["slug"] = slug
			}
			if description != "" {
				body["description"] = description
			}
			var made map[string]any
			if err := c.call(cmd.Context(), "POST", "/v1/swarms", body, &made); err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), made)
		}),
	}
	cmd.Flags().StringVar(&slug, "slug", "", "short `NAME` of a-z, 0-9 and -; made from NAME when left out")
	cmd.Flags().StringVar(&description, "description", "", "what it is for, a `TEXT`")
	return cmd
}

func swarmList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the swarms", Args: takes(0),
		Long: "List the swarms, newest first.", Example: "  bureau swarm list",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			swarms, err := pages[swarmView](cmd, c, "/v1/swarms")
			if err != nil {
				return err
			}
			rows := make([][]string, len(swarms))
			for i, v := range swarms {
				rows[i] = []string{v.ID, v.Slug, strconv.Itoa(v.AgentCount), v.Standing, v.CreatedAt.Format(time.DateTime), oneLine(v.Name)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "SLUG", "AGENTS", "STANDING", "CREATED", "NAME"}, rows)
		}),
	}
}

// swarmAct makes a command that is one call about one swarm.
func swarmAct(use, method, rest, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use + " SWARM", Short: short, Long: long + " SWARM is its id or its slug.", Args: takes(1, "SWARM"),
		Example: "  bureau swarm " + use + " growth",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			return c.aboutSwarm(cmd, method, args[0], rest, nil)
		}),
	}
}

// swarmMember makes a command about one agent of a swarm.
func swarmMember(use, short, method string, request func(agent string) (rest string, body any)) *cobra.Command {
	return &cobra.Command{
		Use: use + " SWARM AGENT", Short: short, Args: takes(2, "SWARM", "AGENT"),
		Long:    short + ". An agent is in one swarm at most. SWARM is an id or a slug, AGENT an id or a name.",
		Example: fmt.Sprintf("  bureau swarm %s growth buyer", use),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			agent, err := c.agentID(cmd.Context(), args[1])
			if err != nil {
				return err
			}
			rest, body := request(agent)
			return c.aboutSwarm(cmd, method, args[0], rest, body)
		}),
	}
}

func (c *client) aboutSwarm(cmd *cobra.Command, method, ref, rest string, body any) error {
	path, err := c.swarmPath(cmd.Context(), ref, rest)
	if err != nil {
		return err
	}
	var answer map[string]any
	if err := c.call(cmd.Context(), method, path, body, &answer); err != nil {
		return err
	}
	return printJSON(cmd.OutOrStdout(), answer)
}
