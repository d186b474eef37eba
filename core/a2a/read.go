package a2a

import (
	"context"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MaxTasks is how many tasks a page has at most, MaxHistory how many messages of the agent the history of a task.
const (
	MaxTasks   = 100
	MaxHistory = 100
)

// Get returns a task of the caller's, or id.NotFound.
func (s *Service) Get(ctx context.Context, sc account.Scope, of id.Agent, task id.Turn) (Task, error) {
	if _, err := s.d.Agents.Get(ctx, sc, of); err != nil {
		return Task{}, err
	}
	return s.own(ctx, sc, of, task)
}

// List lists the caller's tasks with an agent, the one that changed last first; q.Key is the caller's, whatever it says.
func (s *Service) List(ctx context.Context, sc account.Scope, q Query) (page.Page[Task], error) {
	if _, err := s.d.Agents.Get(ctx, sc, q.Agent); err != nil {
		return page.Page[Task]{}, err
	}
	q.Key = sc.Key
	return s.d.Tasks.List(ctx, sc, q)
}

// Cancel ends a task. It returns id.NotFound, or ErrNotCancelable for one that has ended.
func (s *Service) Cancel(ctx context.Context, sc account.Scope, of id.Agent, task id.Turn) (Task, error) {
	t, err := s.Get(ctx, sc, of, task)
	if err != nil {
		return Task{}, err
	}
	if t.State.Terminal() {
		return Task{}, ErrNotCancelable
	}
	done, err := s.d.Talks.CancelTurn(ctx, sc, t.Session, t.ID, "the task was canceled by the peer")
	if err != nil {
		return Task{}, err
	}
	if !done { // it ended at this moment
		return Task{}, ErrNotCancelable
	}
	return s.own(ctx, sc, of, task)
}

// ContentOptions says what to read of a task.
type ContentOptions struct {
	History int  // messages at most, the newest; negative: all, of which the agent's are at most MaxHistory
	Answer  bool // what the agent said last, and the files that it made
	Bytes   bool // with the bytes of small files: those of MaxOutputBytes at most, MaxOutputsSize in all
	Asks    bool // what it waits for
}

// Content reads what is in a task.
func (s *Service) Content(ctx context.Context, sc account.Scope, t Task, o ContentOptions) (Content, error) {
	out, err := s.Contents(ctx, sc, []Task{t}, o)
	if err != nil {
		return Content{}, err
	}
	return out[0], nil
}

// Contents reads what is in tasks, in their order.
func (s *Service) Contents(ctx context.Context, sc account.Scope, tasks []Task, o ContentOptions) ([]Content, error) {
	out := make([]Content, len(tasks))
	said := map[id.Turn][]Said{}
	if o.History != 0 && len(tasks) > 0 {
		ids := make([]id.Turn, len(tasks))
		for i, t := range tasks {
			ids[i] = t.ID
		}
		all, err := s.d.Messages.Of(ctx, sc, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range all {
			v, err := m.said()
			if err != nil {
				return nil, err
			}
			said[m.Task] = append(said[m.Task], v)
		}
	}
	if err := s.made(ctx, sc, tasks, o, out); err != nil {
		return nil, err
	}
	for i, t := range tasks {
		if err := s.read(ctx, sc, t, o, said[t.ID], &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// read reads what is in one task; said is what the peer said.
func (s *Service) read(ctx context.Context, sc account.Scope, t Task, o ContentOptions, said []Said, out *Content) error {
	limit := 0
	switch {
	case o.History < 0 || o.History > MaxHistory:
		limit = MaxHistory + 1
	case o.History > 0:
		limit = o.History + 1
	case o.Answer:
		limit = 1
	}
	var own []Said
	if t.FirstSeq > 0 && limit > 0 {
		q := session.EventQuery{AfterSeq: t.FirstSeq, Types: []session.EventType{session.AgentMessage}, Desc: true, Limit: limit}
		if t.LastSeq > 0 {
			q.BeforeSeq = t.LastSeq + 1
		}
		events, _, err := s.d.Talks.Events(ctx, sc, t.Session, q)
		if err != nil {
			return err
		}
		for _, e := range slices.Backward(events) {
			text, err := textOf(e)
			if err != nil {
				return err
			}
			if text != "" {
				own = append(own, Said{ID: e.ID.String(), Agent: true, Parts: []Part{TextPart(text)}, At: e.ProcessedAt})
				out.Answer = &Answer{Event: e.ID, Text: text}
			}
		}
	}
	if o.History != 0 {
		if len(own) > 0 { // the newest one is the answer
			said = append(said, own[:len(own)-1]...)
		}
		slices.SortStableFunc(said, func(a, b Said) int { return a.At.Compare(b.At) })
		if o.History > 0 && len(said) > o.History {
			said = said[len(said)-o.History:]
		}
		out.History = said
	}
	if !o.Answer {
		out.Answer = nil
	}
	if o.Asks && t.State == InputRequired {
		var err error
		if out.Asks, err = s.asks(ctx, sc, t); err != nil {
			return err
		}
	}
	return nil
}

// textOf returns what an agent.message says: its texts are one, as they were streamed.
func textOf(e session.Event) (string, error) {
	var m session.MessageBody
	if err := e.Body(&m); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, c := range m.Content {
		if c.Type == session.BlockText {
			b.WriteString(c.Text)
		}
	}
	return b.String(), nil
}
