package gate

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Approve gives a person's word for a parked act. It is a compare-and-set in one transaction that judges the act and weighs it
// again with only the approval met: a payment or transfer is executed there, an outside act, such as a payment over a rail, becomes
// Ready for its owner to Begin again under the same key. When a freeze, a cap or a rule stops it by then, act and approval are denied and name that rule.
//
// Where several approvals are required, each key has one vote: all but the last are stored, and the approval stays pending with the act
// Parked. A key that votes again changes nothing, and is answered the same. When the policies ask for more votes by the time of the last
// one than they did when the act was parked, theirs are the ones that count.
//
// policy.ErrDecided when the approval is no longer pending, so that of several who give the last vote one succeeds; policy.ErrOwnAct for
// the key that asked for the act, where others have to approve it.
func (g *Gate) Approve(ctx context.Context, sc account.Scope, approval id.Approval) (policy.Approval, Record, error) {
	var a policy.Approval
	var rec Record
	parked, act, err := g.pending(ctx, sc, approval)
	if err != nil {
		return policy.Approval{}, Record{}, err
	}
	if len(parked.Votes)+1 < parked.Required || parked.Voted(sc.Actor()) {
		a, rec, last, err := g.vote(ctx, sc, parked)
		if err != nil || !last {
			return a, rec, err
		}
	}
	err = g.executing(func(refused *fault.Error) error {
		return g.judged(ctx, sc, act.Act, true, func(ctx context.Context, j *judgement) error {
			if err = g.lockTurns(ctx, sc, parked.Session); err != nil {
				return err
			}
			if a, err = g.lockPending(ctx, sc, approval, j.at); err != nil {
				return err
			}
			if rec, err = g.d.Acts.Lock(ctx, sc, parked.Act); err != nil {
				return err
			}
			if rec.State != Parked {
				return policy.ErrDecided
			}
			if err := mayVote(sc, a, j.Apart); err != nil {
				return err
			}
			if a.Voted(sc.Actor()) { // it was the same key's, sent twice at once
				return g.tellVote(ctx, sc, rec)
			}
			a.Votes = append(a.Votes, policy.Vote{By: sc.Actor(), At: j.at})
			if j.Outcome != policy.Denied && len(a.Votes) < max(a.Required, j.Approvals) {
				a.Required, a.Apart = max(a.Required, j.Approvals), a.Apart || j.Apart
				return g.keepVote(ctx, sc, a, rec)
			}
			if g.d.Executors[rec.Act.Action] == nil || rec.Act.outside() {
				err = g.ready(ctx, sc, &rec, j)
			} else {
				err = g.execute(ctx, sc, &rec, j, refused)
			}
			if err != nil {
				return err
			}
			return g.decideApproval(ctx, sc, &a, rec, j)
		})
	})
	if err != nil {
		return policy.Approval{}, Record{}, err
	}
	return a, rec, nil
}

// vote stores an approval that is not the last one that is needed; last says that it is the last one, and that nothing was stored.
func (g *Gate) vote(ctx context.Context, sc account.Scope, parked policy.Approval) (a policy.Approval, rec Record, last bool, err error) {
	err = g.d.TX.Do(ctx, func(ctx context.Context) error {
		last = false
		at, err := g.now(ctx)
		if err != nil {
			return err
		}
		if err := g.lockTurns(ctx, sc, parked.Session); err != nil {
			return err
		}
		if a, err = g.lockPending(ctx, sc, parked.ID, at); err != nil {
			return err
		}
		if err := mayVote(sc, a, false); err != nil {
			return err
		}
		if rec, err = g.d.Acts.Get(ctx, sc, a.Act); err != nil {
			return err
		}
		if a.Voted(sc.Actor()) {
			return g.tellVote(ctx, sc, rec)
		}
		if last = len(a.Votes)+1 >= a.Required; last {
			return nil
		}
		a.Votes = append(a.Votes, policy.Vote{By: sc.Actor(), At: at})
		return g.keepVote(ctx, sc, a, rec)
	})
	if err != nil {
		return policy.Approval{}, Record{}, false, err
	}
	return a, rec, last, nil
}

// keepVote stores a pending approval with a further vote.
func (g *Gate) keepVote(ctx context.Context, sc account.Scope, a policy.Approval, rec Record) error {
	if err := g.d.Approvals.Decide(ctx, sc, a); err != nil {
		return err
	}
	if err := g.note(ctx, sc, auditVoted, rec, nil); err != nil {
		return err
	}
	return g.tellVote(ctx, sc, rec)
}

// tellVote tells the observer of a vote that is not the last one.
func (g *Gate) tellVote(ctx context.Context, sc account.Scope, rec Record) error {
	if v, ok := g.observer.(Voter); ok {
		return v.ActVoted(ctx, sc, rec)
	}
	return nil
}

// mayVote refuses the key that asked for the act itself, where others have to approve it.
func mayVote(sc account.Scope, a policy.Approval, apart bool) error {
	if (a.Apart || apart) && a.RequestedBy != "" && a.RequestedBy == sc.Actor() {
		return policy.ErrOwnAct
	}
	return nil
}

// ready decides an approved act that its owner will begin. Nothing is set aside yet.
func (g *Gate) ready(ctx context.Context, sc account.Scope, rec *Record, j *judgement) error {
	if _, err := g.weigh(ctx, sc, rec.Act, j, false); err != nil {
		return err
	}
	rec.Decision = g.decision(j)
	if j.Outcome == policy.Denied {
		rec.deny(j.Rule, j.Reason, j.at)
	} else {
		rec.State = Ready
	}
	return nil
}

// decideApproval stores what came of an approved act.
func (g *Gate) decideApproval(ctx context.Context, sc account.Scope, a *policy.Approval, rec Record, j *judgement) error {
	a.Status, a.DecidedBy, a.DecidedAt = policy.ApprovalApproved, sc.Actor(), &j.at
	action := auditApproved
	if rec.State == Denied {
		a.Status, a.Rule, a.Reason, a.Note, action = policy.ApprovalDenied, j.Rule, j.Reason, rec.Error, auditDenied
	}
	if err := g.d.Approvals.Decide(ctx, sc, *a); err != nil {
		return err
	}
	if err := g.tellDecided(ctx, sc, *a); err != nil {
		return err
	}
	if err := g.d.Acts.Update(ctx, sc, rec); err != nil {
		return err
	}
	if err := g.note(ctx, sc, action, rec, j); err != nil {
		return err
	}
	if rec.State == Ready {
		return g.ended(ctx, sc, rec)
	}
	return g.conclude(ctx, sc, rec, j)
}

// Deny gives a person's refusal of a parked act; note is their reason, for the model and the audit trail. policy.ErrDecided when
// the approval is no longer pending.
func (g *Gate) Deny(ctx context.Context, sc account.Scope, approval id.Approval, note string) (policy.Approval, error) {
	if err := checkText("reason", note, maxTextBytes); err != nil {
		return policy.Approval{}, err
	}
	parked, _, err := g.pending(ctx, sc, approval)
	if err != nil {
		return policy.Approval{}, err
	}
	var a policy.Approval
	err = g.d.TX.Do(ctx, func(ctx context.Context) error {
		at, err := g.now(ctx)
		if err != nil {
			return err
		}
		if err := g.lockTurns(ctx, sc, parked.Session); err != nil {
			return err
		}
		if a, err = g.lockPending(ctx, sc, approval, at); err != nil {
			return err
		}
		reason := "a person denied it"
		if note != "" {
			reason += ": " + note
		}
		a.Note = note
		return g.drop(ctx, sc, &a, policy.ApprovalDenied, policy.RuleApproval, reason, auditDenied, at)
	})
	if err != nil {
		return policy.Approval{}, err
	}
	return a, nil
}

// pending returns an approval that can still be decided, and its act. One whose time is up is expired on the way.
func (g *Gate) pending(ctx context.Context, sc account.Scope, approval id.Approval) (policy.Approval, Record, error) {
	a, err := g.Approval(ctx, sc, approval)
	if err != nil {
		return policy.Approval{}, Record{}, err
	}
	if a.Status != policy.ApprovalPending {
		return policy.Approval{}, Record{}, policy.ErrDecided.Withf("the approval is %s already", a.Status)
	}
	rec, err := g.d.Acts.Get(ctx, sc, a.Act)
	return a, rec, err
}

// lockPending locks an approval that is still to be decided.
func (g *Gate) lockPending(ctx context.Context, sc account.Scope, approval id.Approval, at time.Time) (policy.Approval, error) {
	a, err := g.d.Approvals.Lock(ctx, sc, approval)
	switch {
	case err != nil:
		return policy.Approval{}, err
	case a.Status != policy.ApprovalPending:
		return policy.Approval{}, policy.ErrDecided.Withf("the approval is %s already", a.Status)
	case !a.ExpiresAt.After(at):
		return policy.Approval{}, policy.ErrDecided.Withf("the approval has expired")
	}
	return a, nil
}

// drop ends a locked, pending approval without its act being done.
func (g *Gate) drop(
	ctx context.Context, sc account.Scope, a *policy.Approval, status policy.ApprovalStatus, rule, reason, action string, at time.Time,
) error {
	rec, err := g.d.Acts.Lock(ctx, sc, a.Act)
	if err != nil {
		return err
	}
	a.Status, a.DecidedBy, a.DecidedAt = status, sc.Actor(), &at
	if err := g.d.Approvals.Decide(ctx, sc, *a); err != nil {
		return err
	}
	if err := g.tellDecided(ctx, sc, *a); err != nil {
		return err
	}
	if rec.State != Parked && rec.State != Ready {
		return nil
	}
	return g.cancel(ctx, sc, rec, rule, reason, action, at)
}

// cancel denies a locked act that has not begun.
func (g *Gate) cancel(ctx context.Context, sc account.Scope, rec Record, rule, reason, action string, at time.Time) error {
	j := &judgement{at: at, Assessment: policy.Assessment{Outcome: policy.Denied, Rule: rule, Reason: reason}}
	versions := rec.Decision.Policies
	rec.Decision = g.decision(j)
	rec.Decision.Policies = versions
	rec.deny(rule, reason, at)
	if err := g.d.Acts.Update(ctx, sc, rec); err != nil {
		return err
	}
	if err := g.note(ctx, sc, action, rec, nil); err != nil {
		return err
	}
	return g.conclude(ctx, sc, rec, nil)
}

// Approval returns an approval; one whose time is up is expired first.
func (g *Gate) Approval(ctx context.Context, sc account.Scope, approval id.Approval) (policy.Approval, error) {
	a, err := g.d.Approvals.Get(ctx, sc, approval)
	if err != nil || a.Status != policy.ApprovalPending {
		return a, err
	}
	at, err := g.now(ctx)
	if err != nil || a.ExpiresAt.After(at) {
		return a, err
	}
	if err := g.expire(ctx, a); err != nil && !errors.Is(err, policy.ErrDecided) {
		return policy.Approval{}, err
	}
	return g.d.Approvals.Get(ctx, sc, approval)
}

// Approvals lists approvals, newest first; those whose time is up are expired first.
func (g *Gate) Approvals(
	ctx context.Context, sc account.Scope, f policy.ApprovalFilter, r page.Request,
) (page.Page[policy.Approval], error) {
	if _, err := g.expireDue(ctx, sc.Tenant); err != nil {
		return page.Page[policy.Approval]{}, err
	}
	return g.d.Approvals.List(ctx, sc, f, r)
}

// Act returns the record of an act.
func (g *Gate) Act(ctx context.Context, sc account.Scope, act id.Act) (Record, error) {
	return g.d.Acts.Get(ctx, sc, act)
}

// refresh ends a parked act whose approval's time is up, and returns the record as it is then.
func (g *Gate) refresh(ctx context.Context, sc account.Scope, rec Record) (Record, error) {
	if _, err := g.Approval(ctx, sc, rec.Approval); err != nil {
		return Record{}, err
	}
	out, err := g.d.Acts.Get(ctx, sc, rec.ID)
	out.Found = true
	return out, err
}

// ExpireDue denies the parked acts of every tenant whose approval came to its time, each in its own transaction, and returns
// how many. A job calls it every few seconds; several processes may do so at once.
func (g *Gate) ExpireDue(ctx context.Context) (int, error) { return g.expireDue(ctx, id.Tenant{}) }

const expireBatch = 100

func (g *Gate) expireDue(ctx context.Context, tenant id.Tenant) (int, error) {
	n := 0
	for {
		at, err := g.now(ctx)
		if err != nil {
			return n, err
		}
		due, err := g.d.Approvals.Due(ctx, tenant, at, expireBatch)
		if err != nil {
			return n, err
		}
		done := 0
		for _, a := range due {
			switch err := g.expire(ctx, a); {
			case err == nil:
				done++
			case errors.Is(err, policy.ErrDecided): // somebody else was faster
			default:
				// One act that cannot be ended must not keep the others waiting.
				g.d.Logger.LogAttrs(ctx, slog.LevelError, "approval not expired", slog.String("approval_id", a.ID.String()), slog.Any("error", err))
			}
		}
		n += done
		if len(due) < expireBatch || done == 0 {
			return n, nil
		}
	}
}

func (g *Gate) expire(ctx context.Context, a policy.Approval) error {
	sc := account.System(a.Tenant)
	return g.d.TX.Do(ctx, func(ctx context.Context) error {
		at, err := g.now(ctx)
		if err != nil {
			return err
		}
		if err := g.lockTurns(ctx, sc, a.Session); err != nil {
			return err
		}
		a, err := g.d.Approvals.Lock(ctx, sc, a.ID)
		if err != nil {
			return err
		}
		if a.Status != policy.ApprovalPending || a.ExpiresAt.After(at) {
			return policy.ErrDecided
		}
		return g.drop(ctx, sc, &a, policy.ApprovalExpired, policy.RuleExpired, "nobody decided in time; asked for by "+a.Rule,
			auditExpired, at)
	})
}
