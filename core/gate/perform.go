package gate

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Perform decides a payment or a transfer and does it, in one transaction: afterwards the act is Done, Denied, Failed or
// Parked, and its record says why. A refusal is a Record, not an error.
//
// The same key with the same arguments returns the stored record and does nothing; with other arguments it is ErrKeyReused.
// Of callers that come at once with one key, one acts and the others get its record. Errors besides are a fault.Invalid for an
// act that nobody could do, and id.NotFound of an agent that the tenant has not.
func (g *Gate) Perform(ctx context.Context, sc account.Scope, act Act) (Record, error) {
	if g.d.Executors[act.Action] == nil || act.outside() {
		return Record{}, fault.Invalidf("action", "%q is not an act that the gate itself performs", act.Action)
	}
	act, hash, err := g.checked(act)
	if err != nil {
		return Record{}, err
	}
	if act.Key != "" {
		if rec, ok, err := g.known(ctx, sc, act, hash); err != nil || ok {
			return rec, err
		}
	}
	rec, err := g.perform(ctx, sc, act, hash)
	if errors.Is(err, errTaken) {
		if rec, ok, err := g.known(ctx, sc, act, hash); err != nil || ok {
			return rec, err
		}
	}
	return rec, err
}

func (g *Gate) perform(ctx context.Context, sc account.Scope, act Act, hash string) (rec Record, err error) {
	err = g.executing(func(refused *fault.Error) error {
		return g.judged(ctx, sc, act, false, func(ctx context.Context, j *judgement) error {
			rec = g.record(sc, act, hash, j.at)
			if err := g.execute(ctx, sc, &rec, j, refused); err != nil {
				return err
			}
			if err := g.insert(ctx, sc, rec); err != nil {
				return err
			}
			return g.conclude(ctx, sc, rec, j)
		})
	})
	return rec, err
}

// refusedError carries what an executor refused out of the transaction that its writes must not survive.
type refusedError struct{ fault *fault.Error }

func (e *refusedError) Error() string { return e.fault.Error() }

// executing runs decide, and once more when the executor refused after it had perhaps written: the second time decide records
// the refusal instead of trying.
func (g *Gate) executing(decide func(refused *fault.Error) error) error {
	err := decide(nil)
	if r, ok := errors.AsType[*refusedError](err); ok {
		return decide(r.fault)
	}
	return err
}

// execute takes a judged act to its end, or to Parked, and fills in rec. What it returns as an error must undo the transaction.
func (g *Gate) execute(ctx context.Context, sc account.Scope, rec *Record, j *judgement, refused *fault.Error) error {
	failed, err := g.weigh(ctx, sc, rec.Act, j, j.Outcome == policy.Allowed)
	if err != nil {
		return err
	}
	if refused != nil && failed == nil && j.Outcome == policy.Allowed {
		failed = j.refuse(refused)
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
		effect, err := g.d.Executors[rec.Act.Action].Execute(ctx, sc, *rec)
		if fe, ok := refusalOf(err); err != nil && ok {
			return &refusedError{fe}
		}
		if err != nil {
			return err
		}
		if len(j.Demands) > 0 {
			if err := g.d.Counters.Add(ctx, sc, j.charge(true)); err != nil {
				return err
			}
		}
		rec.done(effect.Output, j.at)
		rec.Moved = effect.Moved
	}
	return nil
}

func (g *Gate) insert(ctx context.Context, sc account.Scope, rec Record) error {
	ok, err := g.d.Acts.Insert(ctx, sc, rec)
	if err == nil && !ok {
		return errTaken
	}
	return err
}

// conclude writes the audit entry of what was decided and tells the observer when it is an end. Acts that were only begun have
// nothing to tell yet.
func (g *Gate) conclude(ctx context.Context, sc account.Scope, rec Record, j *judgement) error {
	if err := g.tell(ctx, sc, rec, j); err != nil {
		return err
	}
	switch rec.State {
	case Parked:
		return g.note(ctx, sc, auditRequested, rec, j)
	case Done:
		if err := g.alert(ctx, sc, rec, j); err != nil {
			return err
		}
		if err := g.note(ctx, sc, auditCompleted, rec, j); err != nil {
			return err
		}
	case Denied, Failed:
		if err := g.note(ctx, sc, deniedAction(rec.Act.Action), rec, j); err != nil {
			return err
		}
	default:
		return nil
	}
	return g.ended(ctx, sc, rec)
}

// park makes the act wait for a person. It holds no money and no room in any counter.
func (g *Gate) park(ctx context.Context, sc account.Scope, rec *Record, j *judgement) error {
	rec.State = Parked
	rec.Approval = id.New[id.ApprovalKind](g.d.IDs)
	return g.d.Approvals.Insert(ctx, sc, policy.Approval{
		ID: rec.Approval, Tenant: sc.Tenant, Act: rec.ID, Agent: rec.Act.Agent, Session: rec.Act.Session, ToolUse: rec.Act.ToolUse,
		Action: rec.Act.Action, Amount: rec.Act.Amount, Payee: rec.Act.Payee, Detail: rec.Act.Description,
		Rule: j.Rule, Reason: j.Reason, Status: policy.ApprovalPending, ExpiresAt: j.at.Add(j.TTL), CreatedAt: j.at,
		Run: rec.Act.run(), RequestedBy: requester(sc, rec.Act), Required: max(j.Approvals, 1), Apart: j.Apart,
	})
}

// requester names the key that asked for an act by API; "" for an act that an agent asked for in a session.
func requester(sc account.Scope, act Act) string {
	if !act.Session.IsZero() {
		return ""
	}
	return sc.Actor()
}

func (r *Record) done(out json.RawMessage, at time.Time) {
	r.State, r.Output, r.EndedAt = Done, out, &at
}

func (r *Record) fail(why string, at time.Time) {
	r.State, r.Error, r.EndedAt = Failed, why, &at
}

func (r *Record) finish(s Settlement, at time.Time) {
	r.Cost = s.Cost
	if s.State == Done {
		r.done(s.Output, at)
	} else {
		r.fail(s.Error, at)
	}
}

func (r *Record) deny(rule, reason string, at time.Time) {
	r.State, r.Error, r.EndedAt = Denied, rule+": "+reason, &at
}
