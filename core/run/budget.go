package run

import (
	"context"
	"errors"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// minOutput is the shortest answer, in tokens, that is worth asking for.
const minOutput = 256

// measure is how large a model call can become.
type measure struct {
	input  int64
	output int
	cost   *money.Pico // at list price; nil: not known
	capped bool        // output is less than usual, because the budget holds no more
}

// measure bounds a call. In a session with a budget the answer is bounded by what is left; whether that covers the call at all is
// decided when it is reserved.
func (t *turn) measure(ctx context.Context, resolved model.Resolved, input int64) (measure, error) {
	m := measure{input: input, output: t.s.cfg.MaxOutputTokens}
	price := func(output int) (*money.Pico, error) {
		return t.s.d.Meter.Estimate(ctx, t.sc, resolved.ProviderName, resolved.Model, m.input, int64(output))
	}
	var err error
	if m.cost, err = price(m.output); err != nil || !t.budgeted || m.cost == nil {
		return m, err
	}
	left, limited, err := t.s.d.Journal.Left(ctx, session.Ref{Tenant: t.ref.Tenant, Session: t.root})
	if err != nil || !limited || left >= *m.cost {
		return m, err
	}
	// The price of an answer grows with its length: the longest that fits is found by halving.
	low, high := 0, m.output
	for high-low > 1 {
		mid := (low + high) / 2
		p, err := price(mid)
		switch {
		case err != nil:
			return m, err
		case p != nil && *p <= left:
			low = mid
		default:
			high = mid
		}
	}
	if low < minOutput {
		return m, nil
	}
	m.output, m.capped = low, true
	m.cost, err = price(low)
	return m, err
}

// reservation is what a call holds of a budget; nil without one.
func (t *turn) reservation(m measure) *session.Reservation {
	if !t.budgeted {
		return nil
	}
	return &session.Reservation{Root: t.root, Cost: m.cost}
}

// overBudget ends a turn whose next model call the session's budget does not allow.
func (t *turn) overBudget(ctx context.Context, cause error) error {
	detail := session.ErrorDetail{
		Type: session.ErrTypeBilling, Message: publicText(cause), RetryStatus: session.RetryStatus{Type: session.Exhausted}, Rule: "session_budget",
	}
	if errors.Is(cause, session.ErrPriceUnknown) {
		detail.Rule = session.ErrPriceUnknown.Code
	}
	return t.finish(ctx, []session.Entry{{Type: session.SessionError, Body: session.ErrorBody{Error: detail}}}, session.StopBudgetReached)
}

// looseMost is how many loose ends are tied up at once.
const looseMost = 64

// tieUp settles the acts of turns that were ended from outside and whose holder has vanished. What a model call had reserved counts as
// spent, since nobody knows.
func (s *Service) tieUp(ctx context.Context) {
	ends, err := s.d.Journal.Overdue(ctx, looseMost)
	if err != nil {
		s.warn(ctx, "loose ends not found", err)
		return
	}
	for _, e := range ends {
		if err := s.tie(ctx, e); err != nil {
			s.warn(ctx, "loose end not settled", err)
		}
	}
}

func (s *Service) tie(ctx context.Context, e session.LooseEnd) error {
	sc := account.System(e.Tenant)
	settle := func(ctx context.Context) error {
		_, err := s.d.Journal.Settle(ctx, session.Turn{ID: e.Turn, Tenant: e.Tenant, Session: e.Session}, e.Key, session.Usage{Unknown: e.Reserved})
		return err
	}
	rec, ok, err := s.d.Gate.Lookup(ctx, sc, e.Key.String())
	switch {
	case err != nil:
		return err
	case !ok || rec.State != gate.Started:
		return settle(ctx)
	}
	how := gate.Settlement{State: gate.Done}
	if rec.Act.Action != rule.ActionModelCall {
		how = gate.Settlement{State: gate.Failed, Error: "the outcome is unknown: the turn was ended, and whoever ran it went away"}
	}
	_, err = s.d.Gate.End(ctx, sc, rec, how, settle)
	return err
}
