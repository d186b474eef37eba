package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/llm"
)

const (
	// compactAt is the part of the context budget above which older exchanges are summarised; what stays as it was said is keptAfter
	// of it at most, the newest exchange in any case.
	compactAt, keptAfter = 0.75, 0.25
	// summaryOutput bounds a summary, in tokens, and maxSummary in bytes, whatever a model makes of that.
	summaryOutput = 2048
	maxSummary    = 32 << 10
	// maxSaid bounds one text of a conversation that is summarised.
	maxSaid = 4 << 10
)

const summarySystem = "You summarise the older part of a conversation between a user and an agent, so that the agent can go on without it. " +
	"Keep every fact, name, number, id, decision, open question and promise that may matter later, and what was done with which tool. " +
	"Answer with the summary alone."

// compact summarises the older part of the conversation once it fills most of the context. When that fails the conversation goes on,
// and old exchanges are let go instead once it is full.
func (t *turn) compact(ctx context.Context) error {
	budget := t.s.cfg.ContextBytes
	older := t.c.older(budget)
	if older == 0 {
		return nil
	}
	through := t.c.exchanges[older-1].last
	text := t.c.transcript(older, budget)
	if t.c.summary != "" {
		text = "Summary of what came before: " + t.c.summary + "\n\n" + text
	}
	start := t.s.d.Journal.NewEventID()
	summary := ""
	err := t.consult(ctx, aside{
		req: llm.Request{
			System: summarySystem, MaxOutputTokens: summaryOutput,
			Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Summarise this.\n" + wrapped("conversation", text)}}}},
		},
		begin: []session.Entry{{ID: start, Type: session.SpanCompactionStart}},
		done: func(resp *llm.Response, end session.Entry) (session.Step, func(context.Context) error) {
			summary = cut(strings.TrimSpace(answerText(resp)), maxSummary)
			step := session.Step{Turn: t.t, Entries: []session.Entry{end, {
				Type: session.SpanCompactionEnd, Ref: start, Body: session.CompactionEndBody{Usage: session.UsageOf(resp.Usage), IsError: summary == ""},
			}}}
			if summary == "" {
				step.Entries = append(step.Entries, notCompacted("the model gave no summary"))
				return step, nil
			}
			step.Entries = append(step.Entries, session.Entry{Type: session.ThreadCompacted})
			return step, func(ctx context.Context) error { return t.s.d.Journal.Compact(ctx, t.ref, through, summary) }
		},
	})
	var failed *errAside
	switch {
	case errors.As(err, &failed):
		t.c.patience = t.c.bytes + budget/8
		entries := []session.Entry{notCompacted(failed.text)}
		if failed.begun {
			entries = append([]session.Entry{{Type: session.SpanCompactionEnd, Ref: start, Body: session.CompactionEndBody{IsError: true}}}, entries...)
		}
		return t.append(ctx, entries...)
	case err != nil:
		return err
	case summary == "":
		t.c.patience = t.c.bytes + budget/8
		return nil
	}
	t.c.replace(older, summary)
	return nil
}

func notCompacted(why string) session.Entry {
	return session.Entry{Type: session.SessionWarning, Body: session.WarningBody{
		Source: "compaction", Message: "the older part of the conversation could not be summarised and may be left out: " + why,
	}}
}

// older returns how many exchanges are to be summarised; 0 while there is room.
func (c *conversation) older(budget int) int {
	if float64(c.bytes) <= compactAt*float64(budget) || c.bytes < c.patience {
		return 0
	}
	n := len(c.exchanges) - 1
	if n < 1 {
		return 0
	}
	for kept := c.exchanges[n].bytes; n > 0 && float64(kept+c.exchanges[n-1].bytes) <= keptAfter*float64(budget); n-- {
		kept += c.exchanges[n-1].bytes
	}
	return n
}

// replace lets a summary stand for the oldest n exchanges.
func (c *conversation) replace(n int, summary string) {
	for _, x := range c.exchanges[:n] {
		c.bytes -= x.bytes
	}
	c.exchanges = append([]exchange(nil), c.exchanges[n:]...)
	c.bytes += len(summary) - len(c.summary)
	c.summary, c.patience = summary, 0
}

// transcript writes down the oldest n exchanges, at most budget bytes: the oldest texts are left out first.
func (c *conversation) transcript(n, budget int) string {
	var lines []string
	for _, x := range c.exchanges[:n] {
		for _, m := range x.messages {
			for _, b := range m.Blocks {
				if l := line(m.Role, b); l != "" {
					lines = append(lines, l)
				}
			}
		}
	}
	size := 0
	for i := len(lines) - 1; i >= 0; i-- {
		if size += len(lines[i]) + 1; size > budget {
			return strings.Join(lines[i+1:], "\n")
		}
	}
	return strings.Join(lines, "\n")
}

// line writes down one block; thoughts are left out.
func line(role llm.Role, b llm.Block) string {
	switch {
	case b.ToolUse != nil:
		return fmt.Sprintf("Agent used %s: %s", b.ToolUse.Name, cut(string(b.ToolUse.Input), maxSaid))
	case b.ToolResult != nil:
		return "Result: " + cut(b.ToolResult.Text, maxSaid)
	case b.Media != nil:
		return "[" + b.Media.MediaType + " " + b.Media.Title + "]"
	case b.Text == "":
		return ""
	case role == llm.RoleUser:
		return "User: " + cut(b.Text, maxSaid)
	}
	return "Agent: " + cut(b.Text, maxSaid)
}

// opening is what stands before the oldest exchange: the summary of what came before it, or that it was left out.
func (c *conversation) opening() []llm.Message {
	var text string
	switch {
	case c.summary != "":
		text = "Summary of the conversation so far:\n" + c.summary
	case len(c.exchanges) > 0 && len(c.exchanges[0].messages) > 0 && c.exchanges[0].messages[0].Role != llm.RoleUser:
		text = "The beginning of the conversation was left out."
	default:
		return nil
	}
	return []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: notice + text}}}}
}

// parts begins a new part of an exchange that has become long, where the agent speaks again after results: a long turn can then be
// summarised like a long conversation.
func (c *conversation) parts(e session.Event) {
	n := len(c.exchanges)
	if c.split <= 0 || n == 0 || len(c.open) > 0 || c.exchanges[n-1].bytes < c.split {
		return
	}
	switch {
	case e.Type == session.AgentMessage, e.Type == session.AgentThinking, e.Type.IsToolUse():
		m := c.exchanges[n-1].messages
		if len(m) > 0 && m[len(m)-1].Role == llm.RoleUser {
			c.exchanges = append(c.exchanges, exchange{})
		}
	}
}
