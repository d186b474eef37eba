package gate

import (
	"context"
	"errors"
	"fmt"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Begin decides an act that is done outside our own database: a model call, a tool call, the start of a run, a payment over a rail.
// When it is allowed, one transaction sets aside what it may cost, stores the record as Started and calls also, so that what the caller
// writes there exists if and only if the act has begun. The caller then does the act and calls End.
//
// A record that is Denied or Parked has that state, and also was not called. An act that an earlier call had begun comes back
// Started and Found, and also was not called either: its caller may do it again when Act.Idempotent, and must End it as Failed
// otherwise, since nobody knows whether it was done. When the agent has been frozen since, it comes back Denied instead. A payment
// over a rail that had begun comes back as it is: only its rail knows how it ended, and Retry asks whether it may be tried again.
//
// A model call that no limit touches leaves no row: its record has no ID, and its key guards nothing.
func (g *Gate) Begin(
	ctx context.Context, sc account.Scope, act Act, also func(ctx context.Context, rec Record) error,
) (Record, error) {
	switch act.Action {
	case rule.ActionModelCall, rule.ActionToolCall, rule.ActionRunStart:
	default:
		if !act.outside() {
			return Record{}, fault.Invalidf("action", "%q is not an act outside the store", act.Action)
		}
	}
	act, hash, err := g.checked(act)
	if err != nil {
		return Record{}, err
	}
	// Model calls are many and hardly ever repeated: for them the unique key alone tells.
	look := act.Key != "" && act.Action != rule.ActionModelCall
	for range 2 {
		if look {
			rec, ok, err := g.known(ctx, sc, act, hash)
			switch {
			case err != nil:
				return Record{}, err
			case ok && rec.State == Ready:
				return g.start(ctx, sc, act, rec, also)
			case ok && rec.State == Started && act.Idempotent && !act.outside():
				return g.resume(ctx, sc, act, rec)
			case ok:
				return rec, nil
			}
		}
		rec, err := g.begin(ctx, sc, act, hash, also)
		if !errors.Is(err, errTaken) {
			return rec, err
		}
		look = true
	}
	return Record{}, errTaken
}

func (g *Gate) begin(
	ctx context.Context, sc account.Scope, act Act, hash string, also func(context.Context, Record) error,
) (rec Record, err error) {
	err = g.executing(func(refused *fault.Error) error {
		return g.judged(ctx, sc, act, false, func(ctx context.Context, j *judgement) error {
			rec = g.record(sc, act, hash, j.at)
			if err := g.reserve(ctx, sc, &rec, j, refused); err != nil {
				return err
			}
			if act.Action == rule.ActionModelCall && rec.State == Started && len(rec.Reserved) == 0 {
				rec.ID = id.Act{}
				return call(ctx, also, rec)
			}
			if err := g.insert(ctx, sc, rec); err != nil {
				return err
			}
			if rec.State == Started {
				return g.started(ctx, sc, rec, j, also)
			}
			return g.conclude(ctx, sc, rec, j)
		})
	})
	return rec, err
}

// reserve decides an outside act and sets aside what it may cost. It fills in rec. refused is what a payment over a rail was refused
// when its money was to be held; see executing.
func (g *Gate) reserve(ctx context.Context, sc account.Scope, rec *Record, j *judgement, refused *fault.Error) error {
	failed, err := g.weigh(ctx, sc, rec.Act, j, j.Outcome == policy.Allowed)
	if err != nil {
		return err
	}
	if refused != nil && failed == nil && j.Outcome == policy.Allowed {
		failed = j.refuse(refused)
	}
	if rec.Act.Now && j.Outcome == policy.Parked {
		j.deny(j.Rule, j.Reason+"; it needs an approval, which cannot be waited for here")
		j.basis = basisPerson
	}
	rec.Decision = g.decision(j)
	switch {
	case failed != nil:
		rec.fail(failed.Message, j.at)
	case j.Outcome == policy.Denied:
		rec.deny(j.Rule, j.Reason, j.at)
	case j.Outcome == policy.Parked:
		return g.park(ctx, sc, rec, j)
	default:
		rec.State, rec.Reserved = Started, nil
		for _, d := range j.Demands {
			if d.Observed && d.Measure != policy.MeasureCost && d.Measure != policy.MeasureTokens && !j.Passes(d.Key.Policy) {
				continue // it would not have been paid
			}
			rec.Reserved = append(rec.Reserved, Reservation{Key: d.Key, Amount: d.Amount, Observed: d.Observed})
		}
		if len(j.Demands) > 0 {
			return g.d.Counters.Add(ctx, sc, j.charge(false))
		}
	}
	return nil
}

// start begins an act that a person has approved. It is judged and reserved again, with only the approval met.
func (g *Gate) start(
	ctx context.Context, sc account.Scope, act Act, ready Record, also func(context.Context, Record) error,
) (rec Record, err error) {
	err = g.executing(func(refused *fault.Error) error {
		return g.judged(ctx, sc, act, true, func(ctx context.Context, j *judgement) error {
			if rec, err = g.d.Acts.Lock(ctx, sc, ready.ID); err != nil {
				return err
			}
			if rec.State != Ready {
				rec.Found = true
				return nil
			}
			if err := g.reserve(ctx, sc, &rec, j, refused); err != nil {
				return err
			}
			if err := g.d.Acts.Update(ctx, sc, rec); err != nil {
				return err
			}
			if rec.State == Started {
				return g.started(ctx, sc, rec, j, also)
			}
			return g.conclude(ctx, sc, rec, j)
		})
	})
	return rec, err
}

// resume lets an idempotent act that has no end be done again, unless the agent may not act any more.
func (g *Gate) resume(ctx context.Context, sc account.Scope, act Act, found Record) (rec Record, err error) {
	err = g.d.TX.Do(ctx, func(ctx context.Context) error {
		stand, err := g.standing(ctx, sc, act)
		if err != nil {
			return err
		}
		if err := g.fence(ctx, sc, act.Fence); err != nil {
			return err
		}
		if rec, err = g.d.Acts.Lock(ctx, sc, found.ID); err != nil {
			return err
		}
		rec.Found = true
		if rec.State != Started || stand.Outcome != policy.Denied {
			return nil
		}
		at, err := g.now(ctx)
		if err != nil {
			return err
		}
		// It may have been done once, so what was set aside for it counts as spent.
		if err := g.settle(ctx, sc, &rec, Settlement{State: Done}); err != nil {
			return err
		}
		j := &judgement{at: at, basis: basisStanding, Assessment: stand.Assessment}
		rec.Decision = g.decision(j)
		rec.deny(j.Rule, j.Reason, at)
		if err := g.d.Acts.Update(ctx, sc, rec); err != nil {
			return err
		}
		return g.conclude(ctx, sc, rec, j)
	})
	return rec, err
}

// End records how an act that Begin returned as Started ended. It joins the transaction in ctx, so that also of Begin may call it. One
// transaction gives back what was set aside beyond the true cost, stores the end, notes it, tells the observer, and calls also. Ending an
// act twice in the same way returns the stored record, Found, without calling also; anything else about an act that is not under way is
// ErrNotBegun.
func (g *Gate) End(
	ctx context.Context, sc account.Scope, rec Record, s Settlement, also func(ctx context.Context) error,
) (Record, error) {
	if s.State != Done && s.State != Failed {
		return Record{}, fmt.Errorf("gate: an act cannot end as %q", s.State)
	}
	s.Error = policy.Storable(s.Error)
	out := rec
	err := g.d.TX.Do(ctx, func(ctx context.Context) error {
		budgets, err := g.budgets(ctx, sc, rec, s)
		if err != nil {
			return err
		}
		if err := g.fence(ctx, sc, s.Fence); err != nil {
			return err
		}
		if rec.Act.outside() {
			if err := g.lockTurns(ctx, sc, rec.Act.Session); err != nil {
				return err
			}
		}
		at, err := g.now(ctx)
		if err != nil {
			return err
		}
		if rec.ID.IsZero() { // a model call that nothing limits
			out.finish(s, at)
			if err := g.late(ctx, sc, rec, s, budgets, nil); err != nil {
				return err
			}
			return callEnd(ctx, also)
		}
		if out, err = g.d.Acts.Lock(ctx, sc, rec.ID); err != nil {
			return err
		}
		switch out.State {
		case Started:
		case s.State:
			out.Found = true
			return nil
		default:
			return ErrNotBegun.Withf("the act is %s", out.State)
		}
		var effect Effect
		if s.Move != nil {
			if effect, err = s.Move(ctx, out); err != nil {
				return err
			}
			if effect.Output != nil {
				s.Output = effect.Output
			}
		}
		held := out.Reserved
		if err := g.settle(ctx, sc, &out, s); err != nil {
			return err
		}
		if err := g.late(ctx, sc, out, s, budgets, held); err != nil {
			return err
		}
		out.finish(s, at)
		out.Moved = effect.Moved
		if err := g.d.Acts.Update(ctx, sc, out); err != nil {
			return err
		}
		if err := g.tellEnd(ctx, sc, out); err != nil {
			return err
		}
		return callEnd(ctx, also)
	})
	if err != nil {
		return Record{}, err
	}
	return out, nil
}

// settle replaces what was set aside by what was consumed, in the windows in which the act was authorised.
func (g *Gate) settle(ctx context.Context, sc account.Scope, rec *Record, s Settlement) error {
	if len(rec.Reserved) == 0 {
		return nil
	}
	changes := make([]policy.Counter, len(rec.Reserved))
	for i, r := range rec.Reserved {
		changes[i] = policy.Counter{Key: r.Key, Reserved: -r.Amount, Spent: s.spent(r)}
		if r.Observed {
			changes[i].Reserved = 0
		}
	}
	rec.Reserved = nil
	return g.d.Counters.Add(ctx, sc, changes)
}

// spent returns what a settled act counts in the counter of r. An unknown cost of an act that was done counts as all that was
// set aside: a cap is never passed by ignorance.
func (s Settlement) spent(r Reservation) int64 {
	unknown := int64(0)
	if s.State == Done {
		unknown = r.Amount
	}
	switch {
	case s.State == Done && s.Amount != nil && r.Key.Unit == string(s.Amount.Currency):
		return min(max(s.Amount.Micros, 0), r.Amount)
	case r.Key.Unit == policy.UnitTokens:
		if s.Tokens == 0 && s.Cost == nil {
			return unknown
		}
		return max(s.Tokens, 0)
	case s.Cost == nil || r.Key.Unit != string(money.USD):
		return unknown
	}
	return max(s.Cost.CeilMicros(), 0)
}

func callEnd(ctx context.Context, also func(context.Context) error) error {
	if also == nil {
		return nil
	}
	return also(ctx)
}

func call(ctx context.Context, also func(context.Context, Record) error, rec Record) error {
	if also == nil {
		return nil
	}
	return also(ctx, rec)
}
