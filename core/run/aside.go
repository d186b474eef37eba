package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// aside is a model call beside the conversation, of the session's model, priced and limited like every other: a judgement or a
// summary. Nothing of it is streamed.
type aside struct {
	req   llm.Request // without Model
	begin []session.Entry
	// done says what an answer means. end is the entry that closes the call; also runs in the transaction that appends the step.
	done func(resp *llm.Response, end session.Entry) (step session.Step, also func(ctx context.Context) error)
}

// errAside is the cause when an aside brought no answer although the turn goes on; its text is for people.
type errAside struct {
	text  string
	begun bool // the log has its beginning
}

func (e *errAside) Error() string { return "run: " + e.text }

// consult makes an aside. An *errAside says that it failed, and that its call is closed in the log.
func (t *turn) consult(ctx context.Context, a aside) error {
	resolved, err := t.s.d.Models.Resolve(ctx, t.sc, t.agent.ID, t.agent.Config.Model.ID)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &errAside{text: t.failure(err)}
	}
	a.req.Model = resolved.Model
	m, err := t.measure(ctx, resolved, sizeOf(a.req))
	if err != nil {
		return err
	}
	if a.req.MaxOutputTokens == 0 || m.output < a.req.MaxOutputTokens {
		a.req.MaxOutputTokens = m.output
	}
	span := t.s.d.Journal.NewEventID()
	t.t.Span = span
	rec, err := t.beginCall(ctx, resolved, span, m, a.begin...)
	switch {
	case errors.Is(err, session.ErrBudgetReached), errors.Is(err, session.ErrPriceUnknown):
		t.t.Span = id.Event{}
		return &errAside{text: t.failure(err)}
	case err != nil:
		return err
	case rec.State != gate.Started:
		t.t.Span = id.Event{}
		return &errAside{text: session.DenialText(rec)}
	}
	t.t.Calls++
	started := t.now()
	t.quiet = true
	resp, ids, err := t.stream(ctx, resolved.Provider, a.req, m)
	t.quiet = false
	if err != nil {
		return t.asideFailed(ctx, rec, resolved, err, ids.spoke())
	}
	return t.keep(ctx, rec, resolved, resp, t.now().Sub(started), a.done)
}

// asideFailed closes the call of an aside that brought no answer.
func (t *turn) asideFailed(ctx context.Context, rec gate.Record, resolved model.Resolved, cause error, spoke bool) error {
	if ctx.Err() != nil || errors.Is(cause, session.ErrFenced) {
		return errors.Join(cause, t.settle(ctx, rec, gate.Settlement{State: gate.Done}, t.t.Span, session.Usage{Unknown: t.t.Reserved}))
	}
	failed := true
	end := session.Entry{
		Type: session.SpanModelEnd, Ref: t.t.Span, Body: session.SpanEndBody{IsError: &failed, Model: resolved.Model, Error: t.failure(cause)},
	}
	if spoke {
		end.Usage.Unknown = t.t.Reserved
	}
	_, err := t.s.d.Gate.End(ctx, t.sc, rec, gate.Settlement{State: gate.Failed, Error: t.failure(cause), Fence: t.t.Fence()},
		func(ctx context.Context) error {
			if err := t.append(ctx, end); err != nil {
				return err
			}
			return t.s.d.Meter.Record(ctx, t.sc, t.unanswered(rec, resolved))
		})
	if err != nil {
		return err
	}
	t.t.Span, t.t.Reserved = id.Event{}, 0
	return &errAside{t.failure(cause), true}
}

// sizeOf returns how many tokens a request of texts has at most.
func sizeOf(req llm.Request) int64 {
	n := len(req.System) + toolPromptTokens
	for _, m := range req.Messages {
		for _, b := range m.Blocks {
			n += len(b.Text) + framingTokens
		}
	}
	for _, s := range req.Tools {
		n += len(s.Name) + len(s.Description) + len(s.InputSchema) + framingTokens
	}
	return int64(n)
}

// wrapped puts a text between tags, which no tag inside of it can close.
func wrapped(tag, text string) string { return fmt.Sprintf("<%s>\n%s\n</%s>\n", tag, text, tag) }
