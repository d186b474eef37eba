package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type sessionView struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	Agent     struct {
		Name string `json:"name"`
	} `json:"agent"`
}

func sessionCommand() *cobra.Command {
	return group("session", "List, read and cancel sessions", sessionList(), sessionLog(), sessionCancel())
}

func sessionPath(session string) string { return "/v1/sessions/" + url.PathEscape(session) }

func sessionList() *cobra.Command {
	var agent, status string
	var archived bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the sessions", Args: takes(0),
		Long: `List the sessions, newest first: all that are not archived, or those of an agent or in a status. Trials of evaluations are archived
when they have ended.`,
		Example: "  bureau session list\n  bureau session list --agent buyer --status running",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			query := url.Values{}
			if agent != "" {
				id, err := c.agentID(cmd.Context(), agent)
				if err == nil {
					err = c.call(cmd.Context(), "GET", "/v1/agents/"+url.PathEscape(id), nil, nil) // a list of nothing would say less
				}
				if err != nil {
					return err
				}
				query.Set("agent_id", id)
			}
			if status != "" {
				query.Set("status", status)
			}
			if archived {
				query.Set("include_archived", "true")
			}
			sessions, err := pages[sessionView](cmd, c, "/v1/sessions?"+query.Encode())
			if err != nil {
				return err
			}
			rows := make([][]string, len(sessions))
			for i, s := range sessions {
				rows[i] = []string{s.ID, s.Agent.Name, s.Status, s.CreatedAt.Format(time.DateTime), oneLine(s.Title)}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "AGENT", "STATUS", "CREATED", "TITLE"}, rows)
		}),
	}
	cmd.Flags().StringVar(&agent, "agent", "", "only of this `AGENT`, an id or a name")
	cmd.Flags().BoolVar(&archived, "archived", false, "archived ones, too")
	statuses := []string{"idle", "running", "rescheduling", "terminated"}
	cmd.Flags().StringVar(&status, "status", "", "only in this `STATUS`: "+strings.Join(statuses, ", "))
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(statuses, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func sessionLog() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use: "log SESSION", Short: "Show what happened in a session", Args: takes(1, "SESSION"),
		Long: `Show a session's events in their order: number, time, type, and what it is about. With --json each event is written as the API has
it, one to a line.`,
		Example: "  bureau session log sesn_01h...\n  bureau session log sesn_01h... --json | jq 'select(.type == \"agent.tool_use\")'",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			events, err := pages[json.RawMessage](cmd, c, sessionPath(args[0])+"/events")
			if err != nil {
				return err
			}
			for _, e := range events {
				if raw {
					fmt.Fprintf(cmd.OutOrStdout(), "%s\n", e)
				} else if err := printEvent(cmd.OutOrStdout(), e); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "write events as JSON Lines")
	return cmd
}

// loggedEvent is what a line of the log is made of.
type loggedEvent struct {
	Seq         int64           `json:"seq"`
	Type        string          `json:"type"`
	ProcessedAt *time.Time      `json:"processed_at"`
	Content     json.RawMessage `json:"content"`
	Name        string          `json:"name"`
	Input       json.RawMessage `json:"input"`
	Message     string          `json:"message"`
	Description string          `json:"description"`
	Explanation string          `json:"explanation"`
	Result      string          `json:"result"`
	Error       struct {
		Message string `json:"message"`
	} `json:"error"`
	StopReason struct {
		Type string `json:"type"`
	} `json:"stop_reason"`
}

func printEvent(w io.Writer, raw json.RawMessage) error {
	var e loggedEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	when := "waiting"
	if e.ProcessedAt != nil {
		when = e.ProcessedAt.Format(time.TimeOnly)
	}
	var blocks []struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(e.Content, &blocks) // content of another shape has no text
	parts := []string{e.Name, string(e.Input)}
	for _, b := range blocks {
		parts = append(parts, b.Text)
	}
	parts = append(parts, e.Message, e.Error.Message, e.StopReason.Type, e.Description, e.Result, e.Explanation)
	line := fmt.Sprintf("%5d  %s  %-28s %s", e.Seq, when, e.Type, oneLine(strings.Join(parts, " ")))
	_, err := fmt.Fprintln(w, strings.TrimRight(line, " "))
	return err
}

// oneLine writes a text without line breaks and other blanks that would break a table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func sessionCancel() *cobra.Command {
	return &cobra.Command{
		Use: "cancel SESSION", Short: "Stop what a session is doing", Args: takes(1, "SESSION"),
		Long: `Stop what a session is doing: its running turn ends, and what that waited for is denied. Messages that are queued behind it run
afterwards, and the session stays usable.`,
		Example: "  bureau session cancel sesn_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			var s sessionView
			if err := c.call(cmd.Context(), "POST", sessionPath(args[0])+"/cancel", nil, &s); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "cancelled %s\n", s.ID)
			return nil
		}),
	}
}
