package run

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Secrets knows the secrets that turns are near to. Implementations are safe for concurrent use.
type Secrets interface {
	// Redactor returns what takes out of texts whatever must not be in a session's log or stream; nil when there is nothing.
	Redactor(ctx context.Context, sc account.Scope, env Env) (*secret.Redactor, error)
}

// arm finds out what must not be told in this turn.
func (t *turn) arm(ctx context.Context) error {
	t.redactor = nil
	if t.s.d.Secrets == nil {
		return nil
	}
	r, err := t.s.d.Secrets.Redactor(ctx, t.sc, Env{Agent: t.agent, Session: t.sess})
	if err != nil {
		return fmt.Errorf("run: secrets: %w", err)
	}
	t.redactor = r
	return nil
}

// rearmTimeout bounds rearm, which must not fail because the turn was given up meanwhile.
const rearmTimeout = 10 * time.Second

// rearm adds what the session's credentials have become since arm: a vault that was added, a token that was refreshed. A tool may have
// been near to them; what it was near to before is not forgotten.
func (t *turn) rearm(ctx context.Context) error {
	if t.s.d.Secrets == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rearmTimeout)
	defer cancel()
	root, err := t.s.d.Sessions.Get(ctx, t.sc, t.root)
	if fault.KindOf(err) == fault.NotFound {
		return nil // it was deleted, and nothing is written of it any more
	}
	if err != nil {
		return err
	}
	now := t.sess
	now.Vaults = root.Vaults
	r, err := t.s.d.Secrets.Redactor(ctx, t.sc, Env{Agent: t.agent, Session: now})
	if err != nil {
		return fmt.Errorf("run: secrets: %w", err)
	}
	t.redactor = secret.Join(t.redactor, r)
	return nil
}

// redacted returns entries without secrets.
func (t *turn) redacted(entries []session.Entry) []session.Entry {
	if t.redactor == nil {
		return entries
	}
	out := slices.Clone(entries)
	for i := range out {
		out[i].Body = t.redactedBody(out[i].Body)
	}
	return out
}

// redactedBody returns the body of an event without secrets; bodies that hold no free text are returned as they are.
func (t *turn) redactedBody(body any) any {
	r := t.redactor
	switch b := body.(type) {
	case session.MessageBody:
		b.Content = redactedBlocks(r, b.Content)
		return b
	case session.ToolResultBody:
		return t.redactedResult(b)
	case session.ThinkingBody:
		b.Text, b.Blocks = r.Redact(b.Text), slices.Clone(b.Blocks)
		for i, block := range b.Blocks {
			if text := r.Redact(block.Text); text != block.Text {
				b.Blocks[i].Text, b.Blocks[i].Signature = text, "" // the provider signed what it said
			}
		}
		return b
	case session.ToolUseBody:
		b.Input = redactedJSON(r, b.Input)
		return b
	case session.ErrorBody:
		b.Error.Message = r.Redact(b.Error.Message)
		return b
	case session.WarningBody:
		b.Message = r.Redact(b.Message)
		return b
	case session.SpanEndBody:
		b.Error = r.Redact(b.Error)
		return b
	}
	return body
}

func (t *turn) redactedResult(b session.ToolResultBody) session.ToolResultBody {
	b.Content = redactedBlocks(t.redactor, b.Content)
	return b
}

func redactedBlocks(r *secret.Redactor, blocks []session.Block) []session.Block {
	if r == nil {
		return blocks
	}
	out := slices.Clone(blocks)
	for i, b := range out {
		out[i].Text, out[i].Title, out[i].Context = r.Redact(b.Text), r.Redact(b.Title), r.Redact(b.Context)
		if b.Source != nil && b.Source.Type == session.SourceText {
			src := *b.Source
			src.Data = r.Redact(src.Data)
			out[i].Source = &src
		}
		if b.Search != nil {
			s := *b.Search
			s.Source, s.Title, s.Content = r.Redact(s.Source), r.Redact(s.Title), slices.Clone(s.Content)
			for j := range s.Content {
				s.Content[j].Text = r.Redact(s.Content[j].Text)
			}
			out[i].Search = &s
		}
	}
	return out
}

// redactedJSON returns a document without secrets. One that was written as a number leaves no JSON behind; then the whole becomes a text.
func redactedJSON(r *secret.Redactor, doc json.RawMessage) json.RawMessage {
	text := r.Redact(string(doc))
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	b, err := json.Marshal(map[string]string{"redacted": text})
	if err != nil { // strings always marshal
		return json.RawMessage("{}")
	}
	return b
}

// redactedOutcome returns what a tool answered without secrets, before it is cut: a cut might go through one.
func (t *turn) redactedOutcome(res *tool.Result) *tool.Result {
	if res == nil || t.redactor == nil {
		return res
	}
	out := *res
	out.Text, out.Media = t.redactor.Redact(res.Text), slices.Clone(res.Media)
	for i := range out.Media {
		out.Media[i].Title = t.redactor.Redact(out.Media[i].Title)
	}
	return &out
}

// failure is the text of an error for people, without secrets.
func (t *turn) failure(err error) string { return t.redactor.Redact(publicText(err)) }

// cause is an error for the server's log, without secrets.
func (t *turn) cause(err error) string { return t.redactor.Redact(err.Error()) }

// streams redacts the pieces of what a model says, by the event that they will be.
type streams struct {
	redactor *secret.Redactor
	byID     map[id.Event]*secret.Stream
}

// write takes the next piece of an event and returns what may be shown by now.
func (s *streams) write(e id.Event, piece string) string {
	if s.redactor == nil {
		return piece
	}
	st := s.byID[e]
	if st == nil {
		if s.byID == nil {
			s.byID = map[id.Event]*secret.Stream{}
		}
		st = s.redactor.Stream()
		s.byID[e] = st
	}
	return st.Write(piece)
}

// rest returns what was held back of an event that is complete.
func (s *streams) rest(e id.Event) string {
	st := s.byID[e]
	if st == nil {
		return ""
	}
	return st.Flush()
}
