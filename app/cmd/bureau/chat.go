package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func chatCommand() *cobra.Command {
	var session string
	cmd := &cobra.Command{
		Use:   "chat AGENT [MESSAGE]",
		Short: "Talk to an agent in the terminal",
		Long: `Talk to an agent. Answers stream as they are made; tool calls and their results stand on lines of their own. When an act waits for an
approval, you are asked. Without MESSAGE it is a conversation that ends with /quit or the end of input.`,
		Example: `  bureau chat agent_01h...
  bureau chat agent_01h... "What is 17 * 23?"
  bureau chat agent_01h... --session sesn_01h...`,
		Args: cobra.RangeArgs(1, 2),
		RunE: with(func(cmd *cobra.Command, c *client, args []string) error {
			talk := &conversation{c: c, out: cmd.OutOrStdout(), session: session, in: bufio.NewScanner(cmd.InOrStdin())}
			if session == "" {
				if err := talk.open(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			if len(args) == 2 {
				return talk.say(cmd.Context(), args[1])
			}
			fmt.Fprintf(talk.out, "Session %s. /quit ends.\n", talk.session)
			for {
				fmt.Fprint(talk.out, "\n> ")
				if !talk.in.Scan() || strings.TrimSpace(talk.in.Text()) == "/quit" {
					return talk.in.Err()
				}
				if strings.TrimSpace(talk.in.Text()) == "" {
					continue
				}
				if err := talk.say(cmd.Context(), talk.in.Text()); err != nil {
					return err
				}
			}
		}),
	}
	cmd.Flags().StringVar(&session, "session", "", "go on with this session")
	return cmd
}

// conversation is a session in a terminal.
type conversation struct {
	c       *client
	in      *bufio.Scanner
	echo    bool // the answers come from a script: show them
	out     io.Writer
	session string
	lastSeq int64
	midLine bool // streamed text has not ended its line
	chunked bool // the text of the message that ends next has been shown already
}

// event is what the terminal needs of any session event.
type event struct {
	Type       string          `json:"type"`
	ID         string          `json:"id"`
	Seq        int64           `json:"seq"`
	Delta      string          `json:"delta"`
	Name       string          `json:"name"`
	Input      json.RawMessage `json:"input"`
	Content    json.RawMessage `json:"content"`
	IsError    bool            `json:"is_error"`
	StopReason *struct {
		Type     string   `json:"type"`
		EventIDs []string `json:"event_ids"`
	} `json:"stop_reason"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// text joins the text of a content that is a string or a list of blocks.
func (e event) text() string {
	var s string
	if json.Unmarshal(e.Content, &s) == nil {
		return s
	}
	var blocks []struct {
		Text string `json:"text"`
	}
	_ = json.Unmarshal(e.Content, &blocks)
	parts := make([]string, len(blocks))
	for i, b := range blocks {
		parts[i] = b.Text
	}
	return strings.Join(parts, "\n")
}

func (t *conversation) open(ctx context.Context, agent string) error {
	var made struct {
		ID string `json:"id"`
	}
	if err := t.c.call(ctx, "POST", "/v1/sessions", map[string]any{"agent": agent}, &made); err != nil {
		return err
	}
	t.session = made.ID
	return nil
}

func (t *conversation) path(rest string) string {
	return "/v1/sessions/" + url.PathEscape(t.session) + rest
}

// say sends a message and shows the turn to its end, asking for approvals on the way.
func (t *conversation) say(ctx context.Context, message string) error {
	waiting, err := t.show(ctx, "POST", t.path("/messages"), map[string]any{"content": message})
	for err == nil && len(waiting) > 0 {
		if err = t.decide(ctx); err != nil {
			return err
		}
		waiting, err = t.show(ctx, "GET", t.path("/events/stream?replay=1&include=chunks&after_seq="+strconv.FormatInt(t.lastSeq, 10)), nil)
	}
	return err
}

// show prints events until the session is idle and returns what it waits for then.
func (t *conversation) show(ctx context.Context, method, path string, body any) (waiting []string, err error) {
	err = t.c.stream(ctx, method, path, body, func(f frame) bool {
		var e event
		if json.Unmarshal(f.data, &e) != nil {
			return true
		}
		if e.Seq > 0 {
			if e.Seq <= t.lastSeq {
				return true
			}
			t.lastSeq = e.Seq
		}
		t.print(e)
		if e.Type == "session.status_idle" {
			if e.StopReason != nil {
				waiting = e.StopReason.EventIDs
			}
			return false
		}
		return true
	})
	return waiting, err
}

func (t *conversation) print(e event) {
	switch e.Type {
	case "agent.message_stream_chunk":
		fmt.Fprint(t.out, e.Delta)
		t.midLine, t.chunked = true, true
	case "agent.message":
		if !t.chunked {
			fmt.Fprint(t.out, e.text())
		}
		fmt.Fprintln(t.out)
		t.midLine, t.chunked = false, false
	case "agent.tool_use", "agent.custom_tool_use", "agent.mcp_tool_use":
		t.line("  → %s %s", e.Name, e.Input)
	case "agent.tool_result", "agent.mcp_tool_result":
		mark := "✓"
		if e.IsError {
			mark = "✗"
		}
		t.line("  %s %s", mark, strings.ReplaceAll(e.text(), "\n", "\n    "))
	case "session.error":
		if e.Error != nil {
			t.line("  ! %s", e.Error.Message)
		}
	}
}

func (t *conversation) line(format string, args ...any) {
	if t.midLine {
		fmt.Fprintln(t.out)
		t.midLine = false
	}
	fmt.Fprintf(t.out, format+"\n", args...)
}

// approvalView is a parked act that a person decides.
type approvalView struct {
	ID        string `json:"id"`
	SessionID string `json:"session_id"`
	Action    string `json:"action"`
	Rule      string `json:"rule"`
	Reason    string `json:"reason"`
	Amount    *struct {
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	} `json:"amount"`
}

// decide asks about every approval that the session waits for.
func (t *conversation) decide(ctx context.Context) error {
	var open struct {
		Data []approvalView `json:"data"`
	}
	if err := t.c.call(ctx, "GET", "/v1/approvals?status=pending&session_id="+url.QueryEscape(t.session), nil, &open); err != nil {
		return err
	}
	if len(open.Data) == 0 {
		return fmt.Errorf("the session waits for a result that this terminal cannot give; see %s", t.path("/events"))
	}
	for _, a := range open.Data {
		amount := ""
		if a.Amount != nil {
			amount = " of " + a.Amount.Amount + " " + a.Amount.Currency
		}
		fmt.Fprintf(t.out, "  ? %s%s needs an approval (%s: %s). Approve? [y/N] ", a.Action, amount, a.Rule, a.Reason)
		verb := "deny"
		if t.in.Scan() && strings.EqualFold(strings.TrimSpace(t.in.Text()), "y") {
			verb = "approve"
		}
		if t.echo {
			fmt.Fprintln(t.out, t.in.Text())
		}
		if err := t.c.call(ctx, "POST", "/v1/approvals/"+url.PathEscape(a.ID)+"/"+verb, map[string]any{}, nil); err != nil {
			return err
		}
	}
	return nil
}
