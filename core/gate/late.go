package gate

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// budgets returns the policies whose budgets a model call that ends counts in. It locks the standing of tenant and agent, as every
// decision does before its other locks, so that a limit which is being set is either seen here, or sees the call's usage. Nil for other
// acts, and for an agent that is gone.
func (g *Gate) budgets(ctx context.Context, sc account.Scope, rec Record, s Settlement) ([]policy.Policy, error) {
	if rec.Act.Action != rule.ActionModelCall || s.State != Done || rec.Decision.At.IsZero() {
		return nil, nil
	}
	if g.d.Doors != nil {
		e, err := g.d.Doors.Enter(ctx, sc, []id.Agent{rec.Act.Agent}, policy.Whom{Agent: rec.Act.Agent, Session: rec.Act.run()})
		if fault.KindOf(err) == fault.NotFound {
			return nil, nil
		}
		return e.Policies, err
	}
	if _, err := g.d.Tenants.LockStanding(ctx, sc); err != nil {
		return nil, err
	}
	info, err := g.d.Agents.LockStanding(ctx, sc, rec.Act.Agent)
	if fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return g.d.Policies.Applicable(ctx, sc, policy.Whom{Agent: rec.Act.Agent, Swarm: info.Swarm, Session: rec.Act.run()})
}

// late counts what a model call has consumed in the budgets in which it has set nothing aside, because they were set while it was under
// way. It counts in the windows in which it was authorised.
func (g *Gate) late(ctx context.Context, sc account.Scope, rec Record, s Settlement, policies []policy.Policy, held []Reservation) error {
	if len(policies) == 0 {
		return nil
	}
	act := rec.Act
	act.Amount, act.Tokens = nil, s.Tokens
	if s.Cost != nil {
		amount := money.Of(s.Cost.CeilMicros(), money.USD)
		act.Amount = &amount
	}
	j := &judgement{at: rec.Decision.At, policies: policies}
	var keys []policy.Key
	for _, d := range policy.Assess(policies, nil, policy.Subject{
		Action: act.Action, Agent: act.Agent, Amount: act.Amount, Tokens: act.Tokens, Run: act.run(),
	}, policy.Options{At: j.at}).Demands {
		if d.Amount > 0 && !slices.ContainsFunc(held, func(r Reservation) bool { return r.Key.Compare(d.Key) == 0 }) {
			j.Demands, keys = append(j.Demands, d), append(keys, d.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	var err error
	if j.counters, err = g.d.Counters.Lock(ctx, sc, keys); err != nil {
		return err
	}
	if err := g.recall(ctx, sc, j, true); err != nil {
		return err
	}
	changes := make([]policy.Counter, len(j.Demands))
	for i, d := range j.Demands {
		changes[i] = policy.Counter{Key: d.Key, Spent: d.Amount}
	}
	return g.d.Counters.Add(ctx, sc, changes)
}
