package a2a

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// reply gives a task the input that it waits for.
func (s *Service) reply(ctx context.Context, sc account.Scope, m Message, said Stored, blocks []session.Block) (Task, error) {
	t, err := s.own(ctx, sc, m.Agent, m.Task)
	if err != nil {
		return Task{}, err
	}
	if m.Context != "" && m.Context != t.Context {
		return Task{}, invalid("message.contextId", "is not the context of the task")
	}
	if known, err := s.known(ctx, sc, said); err != nil || !known.ID.IsZero() {
		return known, err
	}
	switch {
	case t.State.Terminal():
		return Task{}, ErrTaskOver
	case t.State != InputRequired:
		return Task{}, ErrTaskBusy
	}
	asks, err := s.asks(ctx, sc, t)
	if err != nil {
		return Task{}, err
	}
	inputs, err := answers(asks, m.Parts, blocks)
	if err != nil {
		return Task{}, err
	}
	said.Task = t.ID
	note := func(ctx context.Context) error {
		fresh, err := s.d.Messages.Insert(ctx, sc, said)
		if err != nil || !fresh || m.Then == nil {
			return err
		}
		return m.Then(ctx, t)
	}
	send := func(ctx context.Context) error {
		_, err := s.d.Talks.Send(ctx, sc, t.Session, inputs)
		return err
	}
	if slices.ContainsFunc(asks, func(a Ask) bool { return a.Kind == AskApproval }) {
		// The gate decides about approvals in transactions of its own, with rules that run outside of any. The message is known with the
		// first effect that it has, so that one which comes again finds its task, wherever a server has died.
		if err = send(session.Also(ctx, note)); err == nil {
			err = s.d.TX.Do(ctx, note)
		}
	} else {
		err = s.d.TX.Do(ctx, func(ctx context.Context) error {
			if err := send(ctx); err != nil {
				return err
			}
			return note(ctx)
		})
	}
	if err != nil {
		return Task{}, err
	}
	return s.own(ctx, sc, m.Agent, t.ID)
}

// asks returns what a task waits for.
func (s *Service) asks(ctx context.Context, sc account.Scope, t Task) ([]Ask, error) {
	v, err := s.d.Talks.Get(ctx, sc, t.Session)
	if err != nil || v.StopReason == nil {
		return nil, err
	}
	uses, err := s.d.Talks.OpenUses(ctx, sc, t.Session)
	if err != nil {
		return nil, err
	}
	out := make([]Ask, 0, len(v.StopReason.Events))
	for _, e := range v.StopReason.Events {
		ask := Ask{Use: e, Kind: AskApproval}
		// What a thread waits for is not among the session's own uses.
		if i := slices.IndexFunc(uses, func(u session.ToolUse) bool { return u.ID == e }); i >= 0 {
			if ask.Kind = kindOf(uses[i].State); ask.Kind != AskApproval {
				ask.Name, ask.Input, ask.typ = uses[i].Name, uses[i].Input, uses[i].Type
			}
		}
		out = append(out, ask)
	}
	return out, nil
}

// directed is a data part that says what it answers.
type directed struct {
	Use     string          `json:"tool_use_id"`
	Result  json.RawMessage `json:"result"`
	IsError bool            `json:"is_error"`
	Approve *bool           `json:"approve"`
	Message string          `json:"message"`
}

// answers makes of a message what its task waits for: data parts that name a tool use answer that; a message without any is the answer to
// the only thing that the task waits for.
func answers(asks []Ask, parts []Part, blocks []session.Block) ([]session.Input, error) {
	var out []session.Input
	for _, p := range parts {
		var d directed
		if p.Data == nil || json.Unmarshal(p.Data, &d) != nil || d.Use == "" {
			continue
		}
		use, err := id.Parse[id.EventKind](d.Use)
		i := slices.IndexFunc(asks, func(a Ask) bool { return err == nil && a.Use == use })
		if i < 0 {
			return nil, invalid("message.parts", "%q is nothing that the task waits for", d.Use)
		}
		in, err := d.input(asks[i])
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	switch {
	case len(out) > 0:
		return out, nil
	case len(asks) == 0:
		return nil, ErrTaskBusy
	case len(asks) > 1:
		return nil, invalid("message.parts", "the task waits for %d things: send a data part with its tool_use_id for each", len(asks))
	case asks[0].Kind == AskResult:
		return []session.Input{{Type: asks[0].resultType(), ToolUse: asks[0].Use, Content: blocks}}, nil
	}
	allow, note, err := verdict(parts)
	if err != nil {
		return nil, err
	}
	return []session.Input{{Type: session.UserToolConfirmation, ToolUse: asks[0].Use, Allow: allow, DenyMessage: note}}, nil
}

func (d directed) input(a Ask) (session.Input, error) {
	if a.Kind == AskResult {
		if d.Result == nil {
			return session.Input{}, invalid("message.parts", "the data part for %s must have a result", a.Use)
		}
		text := string(compact(d.Result))
		var plain string
		if json.Unmarshal(d.Result, &plain) == nil {
			text = plain
		}
		in := session.Input{Type: a.resultType(), ToolUse: a.Use, IsError: d.IsError}
		if text != "" {
			in.Content = session.Text(text)
		}
		return in, nil
	}
	if d.Approve == nil {
		return session.Input{}, invalid("message.parts", "the data part for %s must say approve: true or false", a.Use)
	}
	in := session.Input{Type: session.UserToolConfirmation, ToolUse: a.Use, Allow: *d.Approve}
	if !in.Allow {
		in.DenyMessage = d.Message
	}
	return in, nil
}

// resultType is the type of the event that answers a tool of the peer's.
func (a Ask) resultType() session.EventType {
	if a.typ == session.AgentCustomToolUse {
		return session.UserCustomToolResult
	}
	return session.UserToolResult
}

// verdict reads yes or no out of a message. A no may be followed by why.
func verdict(parts []Part) (allow bool, note string, err error) {
	var texts []string
	for _, p := range parts {
		if p.Text != nil {
			texts = append(texts, *p.Text)
		}
	}
	text := strings.TrimSpace(strings.Join(texts, "\n"))
	word, rest := text, ""
	if i := strings.IndexFunc(text, func(r rune) bool { return strings.ContainsRune(" \n\t,.:;!", r) }); i >= 0 {
		word, rest = text[:i], strings.Trim(text[i:], " \n\t,.:;!")
	}
	switch word = strings.ToLower(word); {
	case rest == "" && slices.Contains([]string{"yes", "y", "ok", "okay", "approve", "approved", "allow", "allowed", "confirm", "confirmed"}, word):
		return true, "", nil
	case slices.Contains([]string{"no", "n", "deny", "denied", "reject", "rejected", "refuse"}, word):
		return false, rest, nil
	}
	return false, "", invalid("message.parts", "the task waits for an approval: say yes or no, or send a data part with tool_use_id and approve")
}
