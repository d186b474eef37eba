package run

import (
	"container/list"
	"context"
	"slices"
	"sync"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

const (
	// maxConversations and maxConversationBytes bound what a process remembers of sessions whose turn is over.
	maxConversations     = 512
	maxConversationBytes = 64 << 20
	// loadBatch is how many events are read at once.
	loadBatch = 500
)

// conversationTypes are the events that models see.
var conversationTypes = []session.EventType{
	session.UserMessage, session.AgentThreadReceived, session.UserDefineOutcome, session.SpanOutcomeEnd, session.AgentMessage, session.AgentThinking,
	session.AgentToolUse, session.AgentMCPToolUse, session.AgentCustomToolUse,
	session.AgentToolResult, session.AgentMCPToolResult, session.UserCustomToolResult, session.UserToolResult, session.SystemMessage,
}

// exchange is a message of the user and everything that followed it: the unit in which old context is let go.
type exchange struct {
	messages []llm.Message
	bytes    int
	last     int64 // number of its newest event
}

// conversation is the part of a log that models see. Since logs only grow, one that was right stays right: it is read on from
// where it ended, whoever has appended meanwhile.
type conversation struct {
	last      int64 // number of the newest event in it
	exchanges []exchange
	bytes     int
	open      map[string]bool // tool uses without a result
	held      []llm.Block     // what must wait until they have one

	summary  string // of what came before the exchanges; "": nothing did, or it was let go
	patience int    // no summary is tried before there are so many bytes: the last one failed
	split    int    // bytes above which an exchange is parted; 0: never

	agent  agent.Agent // of the session; zero until it is known
	warned bool        // the user has been told that another model answers
	hidden []string    // the remote agents of which the user has been told that they are not offered
}

// sync reads what the log has beyond the conversation, or the newest part of it that fits when there is nothing yet.
func (c *conversation) sync(ctx context.Context, j *session.Journal, ref session.Ref, budget int) error {
	c.split = budget / 8
	if c.last == 0 {
		past, ok, err := j.Compaction(ctx, ref)
		if err != nil {
			return err
		}
		if ok {
			c.last, c.summary, c.bytes = past.Through, past.Summary, len(past.Summary)
		}
	}
	if c.last == 0 {
		if err := c.load(ctx, j, ref, budget); err != nil {
			return err
		}
	} else {
		for {
			q := session.EventQuery{AfterSeq: c.last, Types: conversationTypes, Limit: loadBatch, MaxBytes: budget}
			events, err := j.Events(ctx, ref, q)
			if err != nil {
				return err
			}
			for _, e := range events {
				if err := c.add(e); err != nil {
					return err
				}
			}
			c.trim(budget)
			if !q.Cut(events) {
				break
			}
		}
	}
	c.trim(budget)
	return nil
}

// load reads backwards until the budget is full, so that a cold start costs the same at any length of the log.
func (c *conversation) load(ctx context.Context, j *session.Journal, ref session.Ref, budget int) error {
	var events []session.Event
	size, before := 0, int64(0)
	for {
		q := session.EventQuery{BeforeSeq: before, Types: conversationTypes, Desc: true, Limit: loadBatch, MaxBytes: budget}
		batch, err := j.Events(ctx, ref, q)
		if err != nil {
			return err
		}
		for _, e := range batch {
			size += len(e.Data)
		}
		events = append(events, batch...)
		if !q.Cut(batch) || size > budget {
			break
		}
		before = batch[len(batch)-1].Seq
	}
	slices.Reverse(events)
	for _, e := range events {
		if len(c.exchanges) == 0 && !begins(e) {
			continue // the rest of an exchange whose beginning is out of reach
		}
		if err := c.add(e); err != nil {
			return err
		}
	}
	if n := len(events); n > 0 {
		c.last = events[n-1].Seq
	}
	return nil
}

// begins reports whether an event begins an exchange: a message of the user, or of the thread that delegated.
func begins(e session.Event) bool {
	return e.Type == session.UserMessage || e.Type == session.UserDefineOutcome || e.Type == session.AgentThreadReceived && e.Ref.IsZero()
}

func (c *conversation) add(e session.Event) error {
	c.last = e.Seq
	c.parts(e)
	size := len(e.Data)
	switch {
	case e.Crossed(), e.Type == session.AgentThreadReceived && !e.Ref.IsZero():
		return nil // another thread's, or an answer that stands in a tool result, too
	case e.Type == session.UserDefineOutcome:
		blocks, err := outcomeBlocks(e)
		if err != nil {
			return err
		}
		c.exchanges = append(c.exchanges, exchange{})
		c.append(llm.RoleUser, size, append(c.release(), blocks...)...)
	case e.Type == session.SpanOutcomeEnd:
		blocks, err := verdictBlocks(e)
		if err != nil {
			return err
		}
		if len(blocks) > 0 {
			c.append(llm.RoleUser, size, blocks...)
		}
	case begins(e):
		var body session.MessageBody
		if err := e.Body(&body); err != nil {
			return err
		}
		c.exchanges = append(c.exchanges, exchange{})
		c.append(llm.RoleUser, size, append(c.release(), blocksOf(body.Content)...)...)
	case e.Type == session.SystemMessage:
		var body session.MessageBody
		if err := e.Body(&body); err != nil {
			return err
		}
		block := llm.Block{Text: "[system] " + session.PlainText(body.Content)}
		if len(c.open) > 0 {
			c.held = append(c.held, block) // nothing may stand between tool uses and their results
			return nil
		}
		c.append(llm.RoleUser, size, block)
	case e.Type == session.AgentMessage:
		var body session.MessageBody
		if err := e.Body(&body); err != nil {
			return err
		}
		c.append(llm.RoleAssistant, size, blocksOf(body.Content)...)
	case e.Type == session.AgentThinking:
		var body session.ThinkingBody
		if err := e.Body(&body); err != nil {
			return err
		}
		for _, b := range body.Blocks {
			c.append(llm.RoleAssistant, size, llm.Block{Thinking: &llm.Thinking{Text: b.Text, Signature: b.Signature, Redacted: b.Redacted}})
			size = 0
		}
	case e.Type.IsToolUse():
		var body session.ToolUseBody
		if err := e.Body(&body); err != nil {
			return err
		}
		use := e.ID.String()
		if c.open == nil {
			c.open = map[string]bool{}
		}
		c.open[use] = true
		c.append(llm.RoleAssistant, size, llm.Block{ToolUse: &llm.ToolUse{ID: use, Name: body.Name, Input: body.Input}})
	case e.Type.IsToolResult():
		var body session.ToolResultBody
		if err := e.Body(&body); err != nil {
			return err
		}
		use := e.Ref.String()
		delete(c.open, use)
		blocks := []llm.Block{{ToolResult: &llm.ToolResult{ID: use, Text: session.PlainText(body.Content), IsError: body.IsError}}}
		for _, b := range body.Content {
			if b.IsMedia() {
				c.held = append(c.held, blocksOf([]session.Block{b})...) // images of a result follow the results
			}
		}
		if len(c.open) == 0 {
			blocks = append(blocks, c.release()...)
		}
		c.append(llm.RoleUser, size, blocks...)
	}
	return nil
}

func (c *conversation) release() []llm.Block {
	held := c.held
	c.held = nil
	return held
}

func blocksOf(content []session.Block) []llm.Block {
	out := make([]llm.Block, 0, len(content))
	for _, b := range content {
		if b.IsMedia() && b.Context != "" {
			out = append(out, llm.Block{Text: "[about the " + b.Type + " that follows] " + b.Context})
		}
		out = append(out, b.LLM())
	}
	return out
}

// append adds blocks to the newest message when it is the same speaker's, and as a message otherwise.
func (c *conversation) append(role llm.Role, size int, blocks ...llm.Block) {
	if len(c.exchanges) == 0 {
		c.exchanges = append(c.exchanges, exchange{})
	}
	x := &c.exchanges[len(c.exchanges)-1]
	x.bytes += size
	x.last = c.last
	c.bytes += size
	if n := len(x.messages); n > 0 && x.messages[n-1].Role == role {
		// Requests in flight may share the old array: grow a copy.
		x.messages[n-1].Blocks = append(slices.Clip(x.messages[n-1].Blocks), blocks...)
		return
	}
	x.messages = append(x.messages, llm.Message{Role: role, Blocks: blocks})
}

// trim lets the oldest exchanges go once the budget is passed, down to three quarters of it: seldom, so that providers' caches of
// the beginning stay good in between. The newest exchange always stays.
func (c *conversation) trim(budget int) {
	if c.bytes <= budget {
		return
	}
	n := 0
	for n < len(c.exchanges)-1 && c.bytes > budget*3/4 {
		c.bytes -= c.exchanges[n].bytes
		n++
	}
	c.exchanges = slices.Clone(c.exchanges[n:])
}

// messages returns the conversation for a request; consecutive messages of one speaker become one.
func (c *conversation) messages() []llm.Message {
	out := c.opening()
	for _, x := range c.exchanges {
		for _, m := range x.messages {
			if n := len(out); n > 0 && out[n-1].Role == m.Role {
				out[n-1].Blocks = append(slices.Clip(out[n-1].Blocks), m.Blocks...)
				continue
			}
			out = append(out, m)
		}
	}
	return out
}

// estimate returns how many tokens a request has at most, which is what a budget must set aside for it: no tokenizer makes more
// tokens of a text than it has bytes. What frames messages and tools costs a provider a few tokens each.
func (c *conversation) estimate(system string, tools []BoundTool) int64 {
	n := len(system) + c.bytes
	for _, t := range tools {
		n += len(t.Spec.Name) + len(t.Spec.Description) + len(t.Spec.InputSchema) + framingTokens
	}
	for _, x := range c.exchanges {
		n += len(x.messages) * framingTokens
	}
	return int64(n + toolPromptTokens)
}

const (
	// framingTokens is more than any provider adds to a message or a tool; toolPromptTokens more than it puts before them all.
	framingTokens    = 16
	toolPromptTokens = 1024
)

// conversations remembers the newest conversations of a process.
type conversations struct {
	mu    sync.Mutex
	order *list.List // of *remembered, newest first
	byID  map[id.Session]*list.Element
	bytes int
}

type remembered struct {
	session id.Session
	c       *conversation
	bytes   int
}

func newConversations() *conversations {
	return &conversations{order: list.New(), byID: map[id.Session]*list.Element{}}
}

// take hands a conversation to the one turn that runs; put gives it back.
func (m *conversations) take(session id.Session) *conversation {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.byID[session]
	if !ok {
		return &conversation{}
	}
	r := m.drop(e)
	return r.c
}

func (m *conversations) put(session id.Session, c *conversation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.byID[session]; ok {
		m.drop(e)
	}
	r := &remembered{session, c, c.bytes + 1024}
	m.byID[session] = m.order.PushFront(r)
	m.bytes += r.bytes
	for m.order.Len() > 1 && (m.order.Len() > maxConversations || m.bytes > maxConversationBytes) {
		m.drop(m.order.Back())
	}
}

func (m *conversations) drop(e *list.Element) *remembered {
	r := m.order.Remove(e).(*remembered)
	delete(m.byID, r.session)
	m.bytes -= r.bytes
	return r
}
