package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completeWithin bounds how long a shell waits for the names of agents.
const completeWithin = 2 * time.Second

// complete has shells complete the names of agents and swarms wherever a command takes one, by its usage and by its flags.
func complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		complete(cmd)
	}
	words := strings.Fields(root.Use)[1:]
	if root.ValidArgsFunction == nil && !root.HasSubCommands() && (slices.Contains(words, "AGENT") || slices.Contains(words, "SWARM")) {
		root.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) < len(words) {
				switch words[len(args)] {
				case "AGENT":
					return completeAgent(cmd, nil, begun)
				case "SWARM":
					return completeSwarm(cmd, nil, begun)
				}
			}
			return nil, cobra.ShellCompDirectiveDefault
		}
	}
	for name, fn := range map[string]cobra.CompletionFunc{"agent": completeAgent, "swarm": completeSwarm} {
		if root.LocalNonPersistentFlags().Lookup(name) != nil {
			_ = root.RegisterFlagCompletionFunc(name, fn)
		}
	}
}

// choice is what may be completed: an agent or a swarm.
type choice struct{ ID, Name, Slug string }

// choices asks a server that is there, if one is, and never becomes one for it.
func choices(cmd *cobra.Command, path string, show func(choice) string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(contextOf(cmd)), completeWithin)
	defer cancel()
	cmd.SetContext(ctx)
	c, err := connectTo(cmd)
	if c == nil || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer c.close()
	var found struct{ Data []choice }
	if err := c.call(ctx, "GET", path, nil, &found); err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, v := range found.Data {
		out = append(out, show(v))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func contextOf(cmd *cobra.Command) context.Context {
	if ctx := cmd.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

func completeAgent(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	path := "/v1/agents?limit=100&search=" + url.QueryEscape(begun)
	byID := strings.HasPrefix(begun, "agent_")
	if byID {
		path = "/v1/agents?limit=100"
	}
	return choices(cmd, path, func(a choice) string {
		if byID {
			return a.ID + "\t" + a.Name
		}
		return a.Name + "\t" + a.ID
	})
}

func completeSwarm(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return choices(cmd, "/v1/swarms?limit=100", func(s choice) string { return s.Slug + "\t" + s.ID })
}
