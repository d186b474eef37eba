package run

import (
	"context"
	"errors"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/session"
)

// underWay is what the model is told of a payment whose rail has not said what became of it. The payment goes on without the turn, and
// is not repeated.
const underWay = "the payment is under way and its outcome is not known yet; it is looked after, and must not be made again"

// rails returns the names of the rails by which agents can pay.
func (s *Service) rails() []string {
	if s.d.Rails == nil {
		return nil
	}
	return s.d.Rails.Rails()
}

// paid closes a tool use that a payment answers. What ended meanwhile has answered it by the gate's observer.
func (t *turn) paid(ctx context.Context, u session.ToolUse, rec gate.Record) (blocked bool, err error) {
	switch rec.State {
	case gate.Parked:
		return t.s.d.Journal.Await(ctx, t.t, u.ID, session.UseParked, rec.Approval)
	case gate.Started:
		return false, t.answer(ctx, u, session.ErrorResult(underWay))
	}
	return false, t.answer(ctx, u, session.ResultOf(rec))
}

// payAgain calls a tool that Pays once more, after its payment was approved or the call was cut off.
func (t *turn) payAgain(ctx context.Context, b BoundTool, u session.ToolUse) (blocked bool, err error) {
	res, err := t.call(ctx, b, u)
	if p, ok := errors.AsType[*Paid](err); ok {
		return t.paid(ctx, u, p.Record)
	}
	switch res = t.redactedOutcome(res); {
	case err != nil && ctx.Err() != nil:
		return false, nil //nolint:nilerr // the turn is given up, not failed
	case err != nil:
		return false, t.answer(ctx, u, session.ErrorResult("the tool failed: "+t.failure(err)))
	}
	return false, t.answer(ctx, u, session.ToolResultBody{Content: contentOf(*res), IsError: res.IsError})
}
