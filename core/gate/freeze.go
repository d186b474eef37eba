package gate

import (
	"context"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
)

// Freeze stops an agent: once it returns, no act of the agent starts in any process. It waits for the transactions that are
// deciding acts of the agent, sets the standing, and voids what is parked or approved and not begun. After that has been
// committed, running turns are ended. Acts that had begun settle. Freezing a frozen agent does the same again.
func (g *Gate) Freeze(ctx context.Context, sc account.Scope, a id.Agent) (FreezeReport, error) {
	return g.freeze(ctx, sc, Unstarted{Agent: a}, "the agent was frozen", func(ctx context.Context) ([]id.Agent, error) {
		was, err := g.d.Agents.SetStanding(ctx, sc, a, agent.Frozen)
		if err != nil || was == agent.Frozen {
			return []id.Agent{a}, err
		}
		return []id.Agent{a}, g.standingChanged(ctx, sc, auditFrozen, noticeFrozen, a, nil)
	})
}

// FreezeSwarm stops every agent of a swarm, those included that join later, whatever their own standing. id.NotFound of a swarm that
// the tenant has not.
func (g *Gate) FreezeSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) (FreezeReport, error) {
	if g.d.Swarms == nil {
		return FreezeReport{}, id.NotFound[id.SwarmKind](swarm.String())
	}
	return g.freeze(ctx, sc, Unstarted{Swarm: swarm}, "the swarm was frozen", func(ctx context.Context) ([]id.Agent, error) {
		changed, members, err := g.d.Swarms.SetStanding(ctx, sc, swarm, agent.Frozen)
		if err != nil || !changed {
			return members, err
		}
		return members, g.standingChanged(ctx, sc, auditSwarmFrozen, noticeSwarmFrozen, id.Agent{}, swarmFacts(swarm, members))
	})
}

// swarmFacts says in the audit trail whom the standing of a swarm concerned.
func swarmFacts(swarm id.Swarm, members []id.Agent) map[string]any {
	agents := make([]any, len(members))
	for i, a := range members {
		agents[i] = a.UUID().String()
	}
	return map[string]any{"swarm_id": swarm.UUID().String(), "agent_ids": agents}
}

// FreezeTenant stops every agent of the tenant of sc, those included that are made later.
func (g *Gate) FreezeTenant(ctx context.Context, sc account.Scope) (FreezeReport, error) {
	return g.freeze(ctx, sc, Unstarted{}, "the account was frozen", func(ctx context.Context) ([]id.Agent, error) {
		changed, err := g.d.Tenants.SetStanding(ctx, sc, account.Frozen)
		if err != nil || !changed {
			return nil, err
		}
		return nil, g.standingChanged(ctx, sc, auditTenantFrozen, noticeTenantFrozen, id.Agent{}, nil)
	})
}

// freeze sets a standing by set, which returns whom it concerns, and stops what f chooses of them.
func (g *Gate) freeze(
	ctx context.Context, sc account.Scope, f Unstarted, reason string, set func(context.Context) ([]id.Agent, error),
) (FreezeReport, error) {
	var r FreezeReport
	var agents []id.Agent
	var parked map[id.Session]bool
	err := g.d.TX.Do(ctx, func(ctx context.Context) error {
		r, parked = FreezeReport{}, map[id.Session]bool{}
		var err error
		if agents, err = set(ctx); err != nil {
			return err
		}
		voided, err := g.void(ctx, sc, f, policy.RuleFrozen, reason)
		if err != nil {
			return err
		}
		r.Voided = len(voided)
		for _, rec := range voided {
			if rec.Act.Session.IsZero() {
				r.Stopped++
			} else {
				parked[rec.Act.Session] = true
			}
		}
		r.InFlight, err = g.d.Acts.InFlight(ctx, sc, f)
		return err
	})
	if err != nil {
		return FreezeReport{}, err
	}
	everybody := f == Unstarted{} // to the interrupter no agents are all of them, and a swarm may have none
	if g.stopper != nil && (len(agents) > 0 || everybody) {
		n, err := g.stopper.InterruptAgents(ctx, sc, agents, reason)
		if err != nil {
			// The freeze itself stands: whatever goes on running is denied its next act.
			g.d.Logger.LogAttrs(ctx, slog.LevelError, "turns not interrupted after a freeze", slog.Any("error", err))
		}
		r.Turns = n
	}
	// A turn whose act was voided may have found its own end before it could be ended from outside.
	r.Stopped += max(r.Turns, len(parked))
	return r, nil
}

// Unfreeze lets a frozen agent act again, unless its swarm or its tenant is frozen, too. What the freeze voided stays void. An agent
// that was not frozen itself stays as it is.
func (g *Gate) Unfreeze(ctx context.Context, sc account.Scope, a id.Agent) error {
	return g.d.TX.Do(ctx, func(ctx context.Context) error {
		was, err := g.d.Agents.SetStanding(ctx, sc, a, agent.Active)
		if err != nil || was != agent.Frozen {
			return err
		}
		return g.standingChanged(ctx, sc, auditUnfrozen, noticeUnfrozen, a, nil)
	})
}

// UnfreezeSwarm lets the agents of a swarm act again, except those that are frozen themselves.
func (g *Gate) UnfreezeSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	if g.d.Swarms == nil {
		return id.NotFound[id.SwarmKind](swarm.String())
	}
	return g.d.TX.Do(ctx, func(ctx context.Context) error {
		changed, members, err := g.d.Swarms.SetStanding(ctx, sc, swarm, agent.Active)
		if err != nil || !changed {
			return err
		}
		return g.standingChanged(ctx, sc, auditSwarmUnfrozen, noticeSwarmUnfrozen, id.Agent{}, swarmFacts(swarm, members))
	})
}

// UnfreezeTenant lets the agents of the tenant of sc act again, except those that are frozen themselves.
func (g *Gate) UnfreezeTenant(ctx context.Context, sc account.Scope) error {
	return g.d.TX.Do(ctx, func(ctx context.Context) error {
		changed, err := g.d.Tenants.SetStanding(ctx, sc, account.Active)
		if err != nil || !changed {
			return err
		}
		return g.standingChanged(ctx, sc, auditTenantUnfrozen, noticeTenantUnfrozen, id.Agent{}, nil)
	})
}

// VoidSession denies what a session's agent has parked, or had approved and not begun, and returns how many acts that were.
// It joins the transaction in ctx.
func (g *Gate) VoidSession(ctx context.Context, sc account.Scope, s id.Session, reason string) (int, error) {
	return g.voidAll(ctx, sc, Unstarted{Session: s}, reason)
}

// VoidAgent is VoidSession over everything of an agent, for its archiving or destruction.
func (g *Gate) VoidAgent(ctx context.Context, sc account.Scope, a id.Agent, reason string) (int, error) {
	return g.voidAll(ctx, sc, Unstarted{Agent: a}, reason)
}

func (g *Gate) voidAll(ctx context.Context, sc account.Scope, f Unstarted, reason string) (n int, err error) {
	err = g.d.TX.Do(ctx, func(ctx context.Context) error {
		voided, err := g.void(ctx, sc, f, policy.RuleInterrupted, reason)
		n = len(voided)
		return err
	})
	return n, err
}

// void denies the acts that f chooses and that have not begun, with their approvals. Acts that are approved at this moment are
// either done before or found here: both take the lock on the approval first.
func (g *Gate) void(ctx context.Context, sc account.Scope, f Unstarted, rule, reason string) ([]Record, error) {
	at, err := g.now(ctx)
	if err != nil {
		return nil, err
	}
	waiting, err := g.d.Acts.Unstarted(ctx, sc, f)
	if err != nil {
		return nil, err
	}
	var voided []Record
	for _, rec := range waiting {
		ok, err := g.voidOne(ctx, sc, rec, rule, reason, at)
		if err != nil {
			return nil, err
		}
		if ok {
			voided = append(voided, rec)
		}
	}
	return voided, nil
}

func (g *Gate) voidOne(ctx context.Context, sc account.Scope, rec Record, rule, reason string, at time.Time) (bool, error) {
	if err := g.lockTurns(ctx, sc, rec.Act.Session); err != nil {
		return false, err
	}
	a, err := g.d.Approvals.Lock(ctx, sc, rec.Approval)
	if err != nil {
		return false, err
	}
	if rec, err = g.d.Acts.Lock(ctx, sc, rec.ID); err != nil {
		return false, err
	}
	if rec.State != Parked && rec.State != Ready {
		return false, nil
	}
	if a.Status == policy.ApprovalPending {
		a.Status, a.DecidedBy, a.DecidedAt, a.Note = policy.ApprovalVoid, sc.Actor(), &at, reason
		if err := g.d.Approvals.Decide(ctx, sc, a); err != nil {
			return false, err
		}
		if err := g.tellDecided(ctx, sc, a); err != nil {
			return false, err
		}
	}
	return true, g.cancel(ctx, sc, rec, rule, reason, auditVoided, at)
}
