package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

func chatCommand() *cobra.Command {
	var session string
	var chat hostedChat
	cmd := &cobra.Command{
		Use:   "chat AGENT [MESSAGE]",
		Short: "Talk to an agent in the terminal",
		Long: `Talk to an agent, given by its id or its name. Answers stream as they are made; tool calls and their results stand on lines of their own.
When an act waits for an approval, you are asked; without an answer it keeps waiting. Without MESSAGE it is a conversation that ends
with /quit, Ctrl-D or Ctrl-C. What the agent has begun goes on without you: --session comes back to it.

A hosted agent goes on where you left, with what it remembers of you; --new, or the line /new, begins anew. --peer talks to it as somebody
else, whose conversations and memory nobody else gets, and --context says who that is.`,
		Example: `  bureau chat buyer
  bureau chat agent_01h... "What is 17 * 23?"
  bureau chat buyer --session sesn_01h...
  bureau chat atlas "Where is my order?" --peer customer-1 --context '{"name":"Alice","plan":"Pro"}'`,
		Args: takes(1, "AGENT", "MESSAGE"),
		RunE: working(func(cmd *cobra.Command, c *client, args []string) error {
			ctx := cmd.Context()
			in := cmd.InOrStdin()
			talk := &conversation{c: c, out: cmd.OutOrStdout(), session: session, in: readInput(in), echo: !isTerminal(in)}
			err := talk.open(ctx, args[0], &chat)
			if err != nil {
				return err
			}
			if len(args) == 2 {
				err = talk.say(ctx, args[1])
			} else {
				err = talk.converse(ctx)
			}
			if errors.Is(err, errQuit) {
				return nil
			}
			if ctx.Err() != nil && talk.chat == nil {
				fmt.Fprintf(talk.out, "\n\nTo come back: bureau chat %s --session %s\n", args[0], talk.session)
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&session, "session", "", "go on with the session `ID`")
	chat.flags(cmd)
	return cmd
}

func isTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// input is a person's lines. They are read aside, so that Ctrl-C is heard while a line is awaited.
type input struct {
	r     io.Reader
	begin sync.Once // reading begins when a line is wanted: what nobody asks for is left to whoever runs next
	lines chan string
	err   error // why lines was closed
}

// maxInput is the longest line that can be typed or piped in.
const maxInput = 16 << 20

func readInput(r io.Reader) *input {
	return &input{r: r, lines: make(chan string)}
}

func (in *input) read() {
	lines := bufio.NewScanner(in.r)
	lines.Buffer(nil, maxInput)
	for lines.Scan() {
		in.lines <- lines.Text()
	}
	in.err = lines.Err()
	close(in.lines)
}

// errQuit is returned when the person leaves.
var errQuit = errors.New("quit")

// next returns the next line, without white space around it; errQuit for /quit, io.EOF at the end of the input.
func (in *input) next(ctx context.Context) (string, error) {
	in.begin.Do(func() { go in.read() })
	select {
	case line, ok := <-in.lines:
		line = strings.TrimSpace(line)
		switch {
		case !ok && in.err != nil:
			return "", in.err
		case !ok:
			return "", io.EOF
		case line == "/quit":
			return "", errQuit
		}
		return line, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// conversation is a session in a terminal.
type conversation struct {
	c       *client
	in      *input
	echo    bool // nobody sees the input being typed: show it
	out     io.Writer
	session string      // of a chat, "" is the one where the peer goes on
	chat    *hostedChat // nil: it is a session that is no chat
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
	Status     string          `json:"status"`
	Message    string          `json:"message"`
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

// open makes a session of the agent, or goes on with the one that was given, or joins a hosted agent's chat.
func (t *conversation) open(ctx context.Context, ref string, chat *hostedChat) error {
	agent, err := t.c.agentID(ctx, ref)
	if err != nil {
		return err
	}
	chat.agent, chat.ref = agent, ref
	if joined, err := chat.join(ctx, t); joined || err != nil {
		t.chat = chat
		return err
	}
	if t.session != "" {
		return t.resume(ctx, agent)
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := t.c.call(ctx, "POST", "/v1/sessions", map[string]any{"agent": agent}, &made); err != nil {
		return err
	}
	t.session = made.ID
	return nil
}

// resume finds the end of a session's log. A turn that is under way is followed, and what it waits for is asked, first.
func (t *conversation) resume(ctx context.Context, agent string) error {
	var known struct {
		AgentID    string `json:"agent_id"`
		Status     string `json:"status"`
		StopReason *struct {
			Type string `json:"type"`
		} `json:"stop_reason"`
	}
	if err := t.c.call(ctx, "GET", t.path(""), nil, &known); err != nil {
		return err
	}
	if known.AgentID != agent {
		return fmt.Errorf("session %s belongs to the agent %s", t.session, known.AgentID)
	}
	if err := t.toEnd(ctx); err != nil {
		return err
	}
	end := outcome{idle: known.Status == "idle" || known.Status == "terminated"}
	end.waits = end.idle && known.StopReason != nil && known.StopReason.Type == "requires_action"
	return t.finish(ctx, end)
}

// toEnd has what the log holds count as shown.
func (t *conversation) toEnd(ctx context.Context) error {
	var last struct {
		Data []event `json:"data"`
	}
	err := t.c.call(ctx, "GET", t.path("/events?order=desc&limit=1"), nil, &last)
	if err == nil && len(last.Data) > 0 {
		t.lastSeq = last.Data[0].Seq
	}
	return err
}

func (t *conversation) path(rest string) string {
	return "/v1/sessions/" + url.PathEscape(t.session) + rest
}

// converse is a conversation until the person leaves.
func (t *conversation) converse(ctx context.Context) error {
	if t.chat != nil {
		fmt.Fprintf(t.out, "Chat with %s. /new begins anew, /quit ends.\n", t.chat.ref)
	} else {
		fmt.Fprintf(t.out, "Session %s. /quit ends.\n", t.session)
	}
	for {
		fmt.Fprint(t.out, "\n> ")
		line, err := t.in.next(ctx)
		switch {
		case errors.Is(err, io.EOF):
			fmt.Fprintln(t.out)
			return nil
		case err != nil:
			return err
		case line == "":
			continue
		}
		t.repeat(line)
		if line == "/new" && t.chat != nil {
			err = t.chat.begin(ctx, t)
		} else {
			err = t.say(ctx, line)
		}
		if err != nil {
			return err
		}
	}
}

// outcome is how a stream of events has ended.
type outcome struct {
	idle  bool // the turn is over, for now
	waits bool // for a person
}

// say sends a message and shows the turn to its end, asking for approvals on the way.
func (t *conversation) say(ctx context.Context, message string) error {
	if t.chat != nil {
		return t.chat.say(ctx, t, message)
	}
	end, err := t.show(ctx, "POST", t.path("/messages"), map[string]any{"content": message})
	if err != nil {
		return err
	}
	return t.finish(ctx, end)
}

// finish follows a turn to its end: it asks what the turn waits for, and goes on reading where a stream was cut, as by a server that
// ends.
func (t *conversation) finish(ctx context.Context, end outcome) error {
	for cut := false; !end.idle || end.waits; {
		switch {
		case end.waits:
			if err := t.decide(ctx); err != nil {
				return err
			}
		case cut:
			return fmt.Errorf("the server ends the stream before the answer is complete; the session is %s", t.session)
		default:
			cut = true
		}
		var err error
		end, err = t.show(ctx, "GET", t.path("/events/stream?replay=1&include=chunks&after_seq="+strconv.FormatInt(t.lastSeq, 10)), nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// show prints events until the session is idle.
func (t *conversation) show(ctx context.Context, method, path string, body any) (end outcome, err error) {
	err = t.c.stream(ctx, method, path, body, func(f frame) bool {
		var e event
		if json.Unmarshal(f.data, &e) != nil {
			return true
		}
		if e.Seq > 0 && !strings.HasPrefix(e.Type, "system.") { // those repeat the number of the event that they are about
			if e.Seq <= t.lastSeq {
				return true
			}
			t.lastSeq = e.Seq
		}
		t.print(e)
		switch e.Type {
		case "session.status_idle":
			end = outcome{idle: true, waits: e.StopReason != nil && e.StopReason.Type == "requires_action"}
			return false
		case "session.status_terminated", "session.deleted":
			end.idle = true
			return false
		}
		return true
	})
	return end, err
}

func (t *conversation) print(e event) {
	switch e.Type {
	case "agent.message_chunk":
		fmt.Fprint(t.out, e.Delta)
		t.midLine, t.chunked = true, true
	case "agent.message_stream_end":
		if e.Status != "completed" { // the answer is asked for again
			t.endLine()
			t.chunked = false
		}
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
	case "session.warning":
		t.line("  ! %s", e.Message)
	case "session.error":
		if e.Error != nil {
			t.line("  ! %s", e.Error.Message)
		}
	case "session.status_terminated", "session.deleted":
		t.line("  ! the session has ended")
	}
}

// repeat shows a line that was not typed at a terminal.
func (t *conversation) repeat(line string) {
	if t.echo {
		fmt.Fprintln(t.out, line)
	}
}

func (t *conversation) endLine() {
	if t.midLine {
		fmt.Fprintln(t.out)
		t.midLine = false
	}
}

func (t *conversation) line(format string, args ...any) {
	t.endLine()
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

// String says what is asked.
func (a approvalView) String() string {
	if a.Amount == nil {
		return a.Action
	}
	return a.Action + " of " + a.Amount.Amount + " " + a.Amount.Currency
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
		verb, err := t.ask(ctx, a)
		if err != nil {
			return err
		}
		if err := t.c.call(ctx, "POST", "/v1/approvals/"+url.PathEscape(a.ID)+"/"+verb, map[string]any{}, nil); err != nil {
			return err
		}
	}
	return nil
}

// ask returns what the person decides, "approve" or "deny". Whoever leaves decides nothing.
func (t *conversation) ask(ctx context.Context, a approvalView) (verb string, err error) {
	t.line("  ? %s needs an approval (%s: %s).", a, a.Rule, a.Reason)
	for {
		fmt.Fprint(t.out, "  ? Approve? [y/n] ")
		line, err := t.in.next(ctx)
		if err != nil {
			fmt.Fprintf(t.out, "\n  ? It keeps waiting, as %s in the session %s.\n", a.ID, t.session)
		}
		switch {
		case errors.Is(err, io.EOF):
			return "", errors.New("nobody has decided about the " + a.Action)
		case err != nil:
			return "", err
		}
		t.repeat(line)
		switch strings.ToLower(line) {
		case "y", "yes":
			return "approve", nil
		case "n", "no":
			return "deny", nil
		}
	}
}
