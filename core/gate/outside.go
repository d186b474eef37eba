package gate

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// outside reports whether the act is a payment that leaves over a rail.
func (a Act) outside() bool { return a.Action == rule.ActionPayment && a.Rail != "" }

// Retry asks whether a payment over a rail that is under way may be tried at its rail once more. It reports false, and does nothing,
// when the payment has ended or a freeze or an archiving has come in between; otherwise it calls also in the transaction that keeps
// them from coming.
func (g *Gate) Retry(ctx context.Context, sc account.Scope, act id.Act, also func(ctx context.Context) error) (ok bool, err error) {
	found, err := g.d.Acts.Get(ctx, sc, act)
	if err != nil {
		return false, err
	}
	err = g.d.TX.Do(ctx, func(ctx context.Context) error {
		ok = false
		stand, err := g.standing(ctx, sc, found.Act)
		if err != nil || stand.Outcome == policy.Denied {
			return err
		}
		rec, err := g.d.Acts.Lock(ctx, sc, act)
		if err != nil || rec.State != Started {
			return err
		}
		ok = true
		return callEnd(ctx, also)
	})
	return ok && err == nil, err
}

// started tells of an act that begins in the transaction in ctx.
func (g *Gate) started(
	ctx context.Context, sc account.Scope, rec Record, j *judgement, also func(context.Context, Record) error,
) error {
	if err := g.alert(ctx, sc, rec, j); err != nil {
		return err
	}
	action := ""
	switch {
	case rec.Act.outside():
		action = auditAllowed
	case rec.Act.Action == rule.ActionToolCall && (len(j.verdicts) > 0 || len(j.counters) > 0 || rec.Act.Card != nil):
		action = auditToolAllowed // the note of its end cannot say what rules, counters and cards said at its beginning
	}
	if action != "" {
		if err := g.note(ctx, sc, action, rec, j); err != nil {
			return err
		}
	}
	err := call(ctx, also, rec)
	if fe, ok := refusalOf(err); ok && rec.Act.outside() && fe.Kind == fault.PaymentRequired {
		return &refusedError{fe} // others have taken the money since Cover looked
	}
	return err
}

// tellEnd notes the end of an act that was begun, and tells the observer.
func (g *Gate) tellEnd(ctx context.Context, sc account.Scope, rec Record) error {
	if rec.Act.outside() {
		return g.conclude(ctx, sc, rec, nil)
	}
	if rec.Act.Action == rule.ActionToolCall {
		if err := g.note(ctx, sc, auditTool, rec, nil); err != nil {
			return err
		}
	}
	return g.ended(ctx, sc, rec)
}
