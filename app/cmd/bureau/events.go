package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type reportView struct {
	ID        string          `json:"id"`
	AgentID   string          `json:"agent_id"`
	EventType string          `json:"event_type"`
	Source    *string         `json:"source"`
	Level     string          `json:"level"`
	Payload   json.RawMessage `json:"payload"`
	CreatedAt time.Time       `json:"created_at"`
}

// said is what an event says besides its type, on one line.
func (e reportView) said() string {
	var parts []string
	if e.Source != nil {
		parts = append(parts, "("+*e.Source+")")
	}
	var flat bytes.Buffer
	if json.Compact(&flat, e.Payload) == nil && flat.String() != "{}" && flat.String() != "null" {
		parts = append(parts, flat.String())
	}
	return shorten(oneLine(strings.Join(parts, " ")))
}

// shorten cuts a text that stands last on its line.
func shorten(text string) string {
	const most = 120
	if line := []rune(text); len(line) > most {
		return string(line[:most-1]) + "…"
	}
	return text
}

func eventsCommand() *cobra.Command {
	return group("events", "List, follow and export what agents report", eventsList(), eventsTail(), eventsExport())
}

// reportFilter is what chooses events; its flags are the same for all commands.
type reportFilter struct{ agent, kind, source, level, minLevel, trace, since, until string }

func (f *reportFilter) flags(cmd *cobra.Command, period bool) {
	levels := []string{"info", "warning", "error", "critical"}
	flags := cmd.Flags()
	flags.StringVar(&f.agent, "agent", "", "only of this `AGENT`, an id or a name")
	flags.StringVar(&f.kind, "type", "", "only of this `TYPE`, such as task_completed")
	flags.StringVar(&f.source, "source", "", "only from this `SOURCE`")
	flags.StringVar(&f.level, "level", "", "only at this `LEVEL`: "+strings.Join(levels, ", "))
	flags.StringVar(&f.minLevel, "min-level", "", "only at this `LEVEL` and the worse ones")
	flags.StringVar(&f.trace, "trace", "", "only of this `TRACE`")
	for _, name := range []string{"level", "min-level"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(levels, cobra.ShellCompDirectiveNoFileComp))
	}
	if period {
		flags.StringVar(&f.since, "since", "", "only what is not older than `WHEN`: a day, a time as 2026-11-01T08:00:00Z, or how long ago, such as 2h")
		flags.StringVar(&f.until, "until", "", "only what is older than `WHEN`")
	}
}

func (f *reportFilter) query(ctx context.Context, c *client) (url.Values, error) {
	q := url.Values{}
	for name, value := range map[string]string{
		"event_type": f.kind, "source": f.source, "level": f.level, "min_level": f.minLevel, "trace_id": f.trace,
		"since": moment(f.since, time.Now()), "until": moment(f.until, time.Now()),
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.agent != "" {
		found, err := c.agentID(ctx, f.agent)
		if err != nil {
			return nil, err
		}
		if err := c.call(ctx, "GET", "/v1/agents/"+url.PathEscape(found), nil, nil); err != nil { // a list of nothing would say less
			return nil, err
		}
		q.Set("agent_id", found)
	}
	return q, nil
}

// moment spells a time as the API does. What it cannot read is left to the server, which says what is wrong with it.
func moment(text string, now time.Time) string {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d.Abs()).UTC().Format(time.RFC3339Nano)
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Format(time.RFC3339)
	}
	return text
}

func eventsList() *cobra.Command {
	var f reportFilter
	var search string
	var fields []string
	var limit int
	var raw bool
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List what agents report", Args: takes(0),
		Long: `List what agents report, newest first: as many events as --limit says, or all with 0. With --json each event is written as the API has
it, one to a line.

--search wants every word of it, in any case, in the type, the source, the trace or the payload; --field wants a value in the payload.`,
		Example: `  bureau events list --agent buyer --min-level warning --since 24h
  bureau events list --search 'timeout vendor' --limit 5
  bureau events list --field user.id=42 --json | jq .payload`,
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			if limit < 0 {
				return fmt.Errorf("--limit must not be negative")
			}
			q, err := f.query(cmd.Context(), c)
			if err != nil {
				return err
			}
			if search != "" {
				q.Set("search", search)
			}
			for _, field := range fields {
				path, value, ok := strings.Cut(field, "=")
				if !ok {
					return fmt.Errorf("--field must be PATH=VALUE, such as user.id=42")
				}
				q.Add("field", path+":"+value)
			}
			events, err := firstReports(cmd.Context(), c, q, limit)
			if err != nil {
				return err
			}
			if raw {
				return writeLines(cmd.OutOrStdout(), events)
			}
			rows := make([][]string, len(events))
			for i, line := range events {
				var e reportView
				if err := decode(bytes.NewReader(line), &e); err != nil {
					return err
				}
				rows[i] = []string{e.ID, e.CreatedAt.Format(time.DateTime), e.Level, e.AgentID, oneLine(e.EventType), e.said()}
			}
			return printTable(cmd.OutOrStdout(), []string{"ID", "AT (UTC)", "LEVEL", "AGENT", "TYPE", "WHAT"}, rows)
		}),
	}
	f.flags(cmd, true)
	cmd.Flags().StringVar(&search, "search", "", "only with these `WORDS`")
	cmd.Flags().StringArrayVar(&fields, "field", nil, "only with this value in the payload, `PATH=VALUE`, repeatable")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many; 0 is all")
	cmd.Flags().BoolVar(&raw, "json", false, "write events as JSON Lines")
	return cmd
}

// firstReports returns so many events from the newest on, or all with 0.
func firstReports(ctx context.Context, c *client, q url.Values, limit int) ([]json.RawMessage, error) {
	var all []json.RawMessage
	for {
		size := 100
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		q.Set("limit", strconv.Itoa(size))
		var page struct {
			Data     []json.RawMessage `json:"data"`
			NextPage *string           `json:"next_page"`
		}
		if err := c.call(ctx, "GET", "/v1/events?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.NextPage == nil || *page.NextPage == "" || limit > 0 && len(all) >= limit {
			return all, nil
		}
		q.Set("cursor", *page.NextPage)
	}
}

func writeLines(w io.Writer, lines []json.RawMessage) error {
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func eventsTail() *cobra.Command {
	var f reportFilter
	var after string
	var raw bool
	cmd := &cobra.Command{
		Use: "tail", Short: "Show what agents report as it comes in", Args: takes(0),
		Long: `Show what agents report from now on, or since an event, in the order in which the server takes it, until Ctrl-C ends it. It needs a
server that runs. A stream that breaks off is taken up again behind the last event that it had.`,
		Example: "  bureau events tail --min-level warning\n  bureau events tail --agent buyer --json | jq .payload\n  bureau events tail --after rep_01h...",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			q, err := f.query(cmd.Context(), c)
			if err != nil {
				return err
			}
			if after != "" {
				q.Set("after", after)
			}
			err = follow(cmd.Context(), c, q, func(line []byte) error { return printReport(cmd.OutOrStdout(), line, raw) })
			if cmd.Context().Err() == nil {
				return err
			}
			return nil // Ctrl-C is how a tail ends
		}),
	}
	f.flags(cmd, false)
	cmd.Flags().StringVar(&after, "after", "", "begin behind this `EVENT`, an id")
	cmd.Flags().BoolVar(&raw, "json", false, "write events as JSON Lines")
	return cmd
}

// follow shows what a stream of events has, and goes on behind it when it breaks off. One that breaks off before it had any is an error: what came
// meanwhile would be missed.
func follow(ctx context.Context, c *client, q url.Values, show func(line []byte) error) error {
	for {
		var failed error
		seen := false
		err := c.stream(ctx, "GET", "/v1/events/stream?"+q.Encode(), nil, func(f frame) bool {
			if seen = true; f.id != "" { // what comes late has none
				q.Set("after", f.id)
			}
			failed = show(f.data)
			return failed == nil
		})
		switch {
		case failed != nil:
			return failed
		case seen:
			continue
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func printReport(w io.Writer, line []byte, raw bool) error {
	if raw {
		_, err := fmt.Fprintf(w, "%s\n", line)
		return err
	}
	var e reportView
	if err := decode(bytes.NewReader(line), &e); err != nil {
		return err
	}
	text := fmt.Sprintf("%s  %-8s  %s  %s  %s", e.CreatedAt.Format(time.TimeOnly), e.Level, e.AgentID, oneLine(e.EventType), e.said())
	_, err := fmt.Fprintln(w, strings.TrimRight(text, " "))
	return err
}

func eventsExport() *cobra.Command {
	var f reportFilter
	cmd := &cobra.Command{
		Use: "export", Short: "Write what agents report as JSON Lines to standard output", Args: takes(0),
		Long: `Write every event, newest first, as the API has it, one to a line. The command fails when the export is cut off, so that a part is not
taken for the whole.`,
		Example: "  bureau events export > events.jsonl\n  bureau events export --agent buyer --since 2026-11-01 --until 2026-12-01 | gzip > november.jsonl.gz",
		RunE: with(func(cmd *cobra.Command, c *client, _ []string) error {
			q, err := f.query(cmd.Context(), c)
			if err != nil {
				return err
			}
			res, err := c.request(cmd.Context(), "GET", "/v1/events/export?"+q.Encode(), nil)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if _, err := io.Copy(cmd.OutOrStdout(), res.Body); err != nil {
				return fmt.Errorf("the export was cut off: %w", err)
			}
			return nil
		}),
	}
	f.flags(cmd, true)
	return cmd
}
