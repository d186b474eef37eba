package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// The kinds of notices that the gate publishes.
const (
	noticeApproval  = "agent.approval_required"
	noticeDecided   = "approval.decided"
	noticeViolation = "policy.violation"
	noticeCompleted = "transaction.completed"
	noticeBudget    = "budget.alert"
	noticeFrozen    = "agent.frozen"
	noticeUnfrozen  = "agent.unfrozen"

	noticeSwarmFrozen    = "swarm.frozen"
	noticeSwarmUnfrozen  = "swarm.unfrozen"
	noticeTenantFrozen   = "tenant.frozen"
	noticeTenantUnfrozen = "tenant.unfrozen"
)

// OnceNotices is what Notices may be beside, for what is to be told of only once.
type OnceNotices interface {
	// PublishOnce is Publish unless the tenant has been told of what once names before. It reports whether it has told now.
	PublishOnce(ctx context.Context, sc account.Scope, once, kind string, agent id.Agent, data map[string]any) (bool, error)
}

func (g *Gate) publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error {
	if g.d.Notices == nil {
		return nil
	}
	return g.d.Notices.Publish(ctx, sc, kind, agent, data)
}

// standingChanged notes in the trail and tells that a standing has changed.
func (g *Gate) standingChanged(ctx context.Context, sc account.Scope, action, kind string, a id.Agent, data map[string]any) error {
	if err := g.d.Trail.Note(ctx, sc, action, a, data); err != nil {
		return err
	}
	return g.publish(ctx, sc, kind, a, data)
}

// tell tells what became of an act: that it waits, was done, or was denied. A cancelled act, whose j is nil, is told of by its approval
// alone.
func (g *Gate) tell(ctx context.Context, sc account.Scope, rec Record, j *judgement) error {
	if g.d.Notices == nil {
		return nil
	}
	moves := rec.Act.Action == rule.ActionPayment || rec.Act.Action == rule.ActionTransfer
	switch {
	case rec.State == Parked && j != nil:
		m := facts(rec)
		m["approval_id"], m["expires_at"] = rec.Approval.UUID().String(), stamp(j.at.Add(j.TTL))
		return g.publish(ctx, sc, noticeApproval, rec.Act.Agent, m)
	case rec.State == Done && moves:
		m := facts(rec)
		moved(m, rec)
		return g.publish(ctx, sc, noticeCompleted, rec.Act.Agent, m)
	case rec.State == Denied && j != nil:
		if err := g.publish(ctx, sc, noticeViolation, rec.Act.Agent, facts(rec)); err != nil {
			return err
		}
		return g.alertDenied(ctx, sc, rec, j)
	}
	return nil
}

// facts are what every notice of an act says.
func facts(rec Record) map[string]any {
	a := rec.Act
	m := map[string]any{"act_id": rec.ID.UUID().String(), "action": string(a.Action)}
	for name, value := range map[string]string{
		"payee": a.Payee, "category": a.Category, "description": a.Description, "tool": a.Tool, "rule": rec.Decision.Rule,
		"reason": rec.Decision.Reason,
	} {
		if value != "" {
			m[name] = value
		}
	}
	if to := receiver(a); !to.IsZero() {
		delete(m, "payee")
		m["to_agent_id"] = to.UUID().String()
	}
	if a.Amount != nil {
		m["amount"], m["currency"] = a.Amount.Decimal(), string(a.Amount.Currency)
	}
	place(m, a.Session)
	return m
}

// place says in which session something has happened.
func place(m map[string]any, session id.Session) {
	if !session.IsZero() {
		m["session_id"] = session.UUID().String()
	}
}

// moved adds what a done payment or transfer moved. Over a rail the money has moved before, and the act's output says what.
func moved(m map[string]any, rec Record) {
	var from wallet.Transaction
	if len(rec.Moved) > 0 {
		from = rec.Moved[0]
		m["transaction_id"], m["balance_after"] = from.ID.UUID().String(), from.BalanceAfter.Decimal()
		return
	}
	var out map[string]any
	if json.Unmarshal(rec.Output, &out) != nil {
		return
	}
	for _, name := range []string{"transaction_id", "payment_id", "balance_after"} {
		if text, ok := out[name].(string); ok {
			m[name] = text
		}
	}
}

// tellDecided tells that an approval is no longer pending.
func (g *Gate) tellDecided(ctx context.Context, sc account.Scope, a policy.Approval) error {
	if g.d.Notices == nil {
		return nil
	}
	m := map[string]any{
		"approval_id": a.ID.UUID().String(), "act_id": a.Act.UUID().String(), "action": string(a.Action), "status": string(a.Status),
		"rule": a.Rule, "reason": a.Reason, "note": a.Note, "decided_by": a.DecidedBy,
	}
	if a.Amount != nil {
		m["amount"], m["currency"] = a.Amount.Decimal(), string(a.Amount.Currency)
	}
	place(m, a.Session)
	return g.publish(ctx, sc, noticeDecided, a.Agent, m)
}

// alert tells of the levels of caps that an act which was just counted has reached. Each level of a cap is told of once per window.
func (g *Gate) alert(ctx context.Context, sc account.Scope, rec Record, j *judgement) error {
	if g.d.Notices == nil || j == nil || j.Outcome != policy.Allowed || len(j.counters) != len(j.Demands) {
		return nil
	}
	for i, d := range j.Demands {
		if quiet(d) {
			continue
		}
		for _, percent := range policy.Crossed(d, j.counters[i]) {
			c := j.counters[i]
			c.Reserved += d.Amount
			if err := g.alertOnce(ctx, sc, rec, d, c, percent, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// alertDenied tells of the caps that have denied an act, each once per window.
func (g *Gate) alertDenied(ctx context.Context, sc account.Scope, rec Record, j *judgement) error {
	if len(j.counters) != len(j.Demands) {
		return nil
	}
	for i, d := range j.Demands {
		if quiet(d) {
			continue
		}
		if _, _, over := policy.Exceeded(j.Demands[i:i+1], j.counters[i:i+1]); over {
			if err := g.alertOnce(ctx, sc, rec, d, j.counters[i], 100, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// quiet reports whether nobody is told how full the counter of a demand is: it stops nothing, asks only, or is no budget.
func quiet(d policy.Demand) bool {
	return d.Observed || d.Asks != nil || strings.HasPrefix(d.Key.Name, policy.StructuringCounter)
}

// alertOnce tells that percent of a cap are spent or set aside, c being what is counted now.
func (g *Gate) alertOnce(
	ctx context.Context, sc account.Scope, rec Record, d policy.Demand, c policy.Counter, percent int, denied bool,
) error {
	m := map[string]any{
		"policy_id": d.Key.Policy.UUID().String(), "limit": d.Key.Name, "window": string(d.Key.Window),
		"window_start": stamp(d.Key.Begin()), "percent": percent, "denied": denied, "act_id": rec.ID.UUID().String(),
		"unit": d.Key.Unit, "max": shown(d.Key.Unit, d.Max), "spent": shown(d.Key.Unit, c.Spent+c.Reserved),
	}
	place(m, rec.Act.Session)
	if !d.Key.Run.IsZero() {
		m["run_id"] = d.Key.Run.UUID().String()
	}
	once, ok := g.d.Notices.(OnceNotices)
	if !ok {
		if err := g.d.Notices.Publish(ctx, sc, noticeBudget, rec.Act.Agent, m); err != nil {
			return err
		}
		return g.d.Trail.Note(ctx, sc, auditBudget, rec.Act.Agent, m)
	}
	// A cap that was changed is another one: half of it may be reached again.
	name := []string{
		"budget", d.Key.Policy.UUID().String(), d.Key.Name, string(d.Key.Window), fmt.Sprint(d.Key.Period().Unix()), d.Key.Unit, d.Key.Run.String(),
		fmt.Sprint(d.Max), fmt.Sprint(percent), fmt.Sprint(denied),
	}
	fresh, err := once.PublishOnce(ctx, sc, strings.Join(name, ":"), noticeBudget, rec.Act.Agent, m)
	if err != nil || !fresh {
		return err
	}
	return g.d.Trail.Note(ctx, sc, auditBudget, rec.Act.Agent, m)
}

// shown writes what a counter counts: money as a decimal string.
func shown(unit string, n int64) string {
	if c, err := money.ParseCurrency(unit); err == nil {
		return money.Of(n, c).Decimal()
	}
	return fmt.Sprint(n)
}
