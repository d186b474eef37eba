package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
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
	Hosting *struct {
		Status string `json:"status"`
	} `json:"hosting"`
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
	destroy := agentAct("destroy", "POST", "/destroy", "Delete an agent for good, with all that belongs to it",
		"Delete an agent with its program, documents, secrets, sessions, knowledge, memory, policies and skills. Its money goes to the account's wallet; "+
			"ledger, usage and audit trail stay.")
	destroy.Aliases = []string{"delete", "rm"}
	return group("agent", "Make, host, equip, list, freeze, archive and destroy agents", agentCreate(), agentList(),
		agentRuns("start", "Host an agent: run it until it is stopped", "Start an agent, which is hosted from then on: it can be chatted with, and its channels answer."),
		agentRuns("stop", "Stop a hosted agent", "Stop a hosted agent. Its files, log, documents, secrets, knowledge and sessions stay."),
		agentRuns("restart", "Restart a hosted agent, with what it has now", "Restart a hosted agent, so that it runs with the documents and secrets that it has now."),
		agentStatus(), agentLogs(), agentHosting(), agentSecret(),
		documentCommand(document{word: "soul", title: "who an agent is (SOUL.md)"}),
		documentCommand(document{word: "identity", title: "how an agent is called (IDENTITY.md)"}),
		documentCommand(document{word: "workflow", title: "what an agent does (WORKFLOW.md)"}),
		documentCommand(document{word: "rule", title: "a rule of an agent (rules/RULE.md)", rule: true}),
		agentAct("get", "GET", "", "Show an agent", "Show an agent as the API does."),
		agentAct("freeze", "POST", "/freeze", "Stop everything that an agent does, at once",
			"Stop an agent: once this returns, no act of it starts on any server. What it waits for is void; acts under way are counted as in_flight."),
		agentAct("unfreeze", "POST", "/unfreeze", "Let a frozen agent act again",
			"Let a frozen agent act again. What the freeze has stopped stays stopped."),
		agentAct("archive", "POST", "/archive", "Retire an agent; its sessions and trail stay",
			"Retire an agent: it acts no more and uses no slot of the plan. Its sessions, wallet and audit trail stay."),
		destroy,
		agentSkill("install", "Give an agent a skill, as it is now", "POST", func(skill string) (string, any) {
			return "/skills", map[string]any{"skill_id": skill}
		}),
		agentSkill("uninstall", "Take a skill from an agent", "DELETE", func(skill string) (string, any) {
			return "/skills/" + url.PathEscape(skill), nil
		}))
}

// newAgent is what an agent is made of by flags.
type newAgent struct {
	hostingFlags

	model, system, description string
	skills, secrets            []string
	host                       bool
	soul, identity, workflow   string // files
	rules                      []string
}

func agentCreate() *cobra.Command {
	var n newAgent
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an agent",
		Long: `Make an agent. Without a policy it may talk and may not pay; see /docs for wallets and policies. The model is a handle:
"default" for what BUREAU_LLM_PROVIDER and BUREAU_LLM_MODEL say, "offline", or the name of one of that provider's models.

With --hosted, and with any flag that only a hosted agent has (--secret, --soul, --identity, --workflow, --region, --program, --limits,
--hosting-config, --avatar-url), the agent is hosted: it is started, the command waits until it runs, and it can be chatted with.

` + secretArguments,
		Example: `  bureau agent create buyer --system "You buy what the team needs." --skill calculator
  bureau agent create atlas --soul soul.md --workflow workflow.md --rule refunds=refunds.md
  bureau agent create atlas --secret anthropic_api_key --secret telegram_bot_token=- --model claude-sonnet-4-5
  bureau agent create own --program '{"command":["python3","-m","my_agent"],"port":8000,"protocol":"openai"}'`,
		Args: takes(1, "NAME"),
		RunE: with(n.make),
	}
	flags := cmd.Flags()
	flags.StringVar(&n.model, "model", "default", "`HANDLE` of the model")
	flags.StringVar(&n.system, "system", "", "system prompt, a `TEXT`")
	flags.StringVar(&n.description, "description", "", "what it is for, a `TEXT`")
	flags.StringSliceVar(&n.skills, "skill", nil, "`SKILL` to install, repeatable")
	flags.BoolVar(&n.host, "hosted", false, "host it and start it")
	flags.StringArrayVar(&n.secrets, "secret", nil, "a secret, `NAME[=VALUE]`, repeatable")
	flags.StringVar(&n.soul, "soul", "", "`FILE` of who it is; - is standard input")
	flags.StringVar(&n.identity, "identity", "", "`FILE` of how it is called")
	flags.StringVar(&n.workflow, "workflow", "", "`FILE` of what it does")
	flags.StringArrayVar(&n.rules, "rule", nil, "a rule that it reads when it needs it, `NAME=FILE`, repeatable")
	n.hostingFlags.flags(cmd)
	return cmd
}

// hosting returns how the agent is to be hosted, or nil.
func (n *newAgent) hosting(cmd *cobra.Command) (map[string]any, error) {
	body, err := n.body()
	if err != nil {
		return nil, err
	}
	for name, file := range map[string]string{"soul": n.soul, "identity": n.identity, "workflow": n.workflow} {
		if file == "" {
			continue
		}
		if body[name], err = readText(cmd, file); err != nil {
			return nil, err
		}
	}
	if len(n.secrets) > 0 {
		if body["secrets"], err = readSecrets(n.secrets, cmd.InOrStdin(), os.LookupEnv); err != nil {
			return nil, err
		}
	}
	if len(body) == 0 && !n.host {
		return nil, nil
	}
	return body, nil
}

// make makes the agent, with nothing of it where a flag is wrong.
func (n *newAgent) make(cmd *cobra.Command, c *client, args []string) error {
	ctx := cmd.Context()
	body := map[string]any{"name": args[0], "model": n.model}
	hosting, err := n.hosting(cmd)
	switch {
	case err != nil:
		return err
	case hosting != nil && c.alone:
		return errNoServer
	case hosting != nil:
		body["hosting"] = hosting
	}
	rules := map[string]string{}
	for _, r := range n.rules {
		name, file, ok := strings.Cut(r, "=")
		if !ok {
			return misused(cmd, errors.New("--rule must be NAME=FILE"))
		}
		if rules[name], err = readText(cmd, file); err != nil {
			return err
		}
	}
	for _, skill := range n.skills { // before the agent is there
		if err := c.call(ctx, "GET", "/v1/skills/"+url.PathEscape(skill), nil, nil); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"system": n.system, "description": n.description} {
		if text != "" {
			body[name] = text
		}
	}
	var made map[string]any
	if err := c.call(ctx, "POST", "/v1/agents", body, &made); err != nil {
		return err
	}
	path := fmt.Sprintf("/v1/agents/%s", made["id"])
	if err := n.equip(ctx, c, path, rules, hosting != nil); err != nil {
		return fmt.Errorf("%s is made, but: %w", made["id"], err)
	}
	var h hostingView
	if hosting != nil {
		if err := c.call(ctx, "GET", path+"/hosting", nil, &h); err != nil {
			return err
		}
		if h, err = settled(ctx, c, h.AgentID, h); err != nil {
			return err
		}
		made["hosting"] = map[string]any{"status": h.Status}
	}
	return errors.Join(printJSON(cmd.OutOrStdout(), made), h.broken(args[0]))
}

// equip gives a new agent what its creation does not take. Rules of one that runs already reach it by a restart.
func (n *newAgent) equip(ctx context.Context, c *client, path string, rules map[string]string, hosted bool) error {
	for name, text := range rules {
		if err := c.call(ctx, "PUT", path+"/rules/"+url.PathEscape(name), map[string]any{"content": text}, nil); err != nil {
			return err
		}
	}
	for _, skill := range n.skills {
		if err := c.call(ctx, "POST", path+"/skills", map[string]any{"skill_id": skill}, nil); err != nil {
			return err
		}
	}
	if hosted && len(rules)+len(n.skills) > 0 {
		return c.call(ctx, "POST", path+"/restart", nil, nil)
	}
	return nil
}

func agentList() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the agents", Args: takes(0),
		Long:    "List the agents that are not archived, newest first. HOSTING is empty for agents that were never hosted.",
		Example: "  bureau agent list\n  bureau agent list --json | jq -r '.[] | select(.hosting.status == \"error\") | .name'",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			return listAgents(cmd, c, "/v1/agents", raw)
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write the list as JSON")
	return cmd
}

func listAgents(cmd *cobra.Command, c *client, path string, raw bool) error {
	if raw {
		whole, err := pages[json.RawMessage](cmd, c, path)
		if err != nil {
			return err
		}
		return printJSON(cmd.OutOrStdout(), append([]json.RawMessage{}, whole...))
	}
	agents, err := pages[agentView](cmd, c, path)
	if err != nil {
		return err
	}
	rows := make([][]string, len(agents))
	for i, a := range agents {
		hosting := ""
		if a.Hosting != nil {
			hosting = a.Hosting.Status
		}
		rows[i] = []string{a.ID, a.Name, a.Model.ID, strconv.Itoa(a.Version), a.Standing, hosting, a.CreatedAt.Format(time.DateTime)}
	}
	return printTable(cmd.OutOrStdout(), []string{"ID", "NAME", "MODEL", "VERSION", "STANDING", "HOSTING", "CREATED"}, rows)
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
