package gate

import (
	"context"
	"fmt"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/rule"
)

// The actions that the gate writes into the audit trail.
const (
	auditCompleted   = "transaction_completed"
	auditBlocked     = "transaction_blocked" // a payment or transfer that was denied
	auditViolation   = "policy_violation"    // any other act that was denied
	auditTool        = "tool_called"
	auditAllowed     = "transaction_authorized" // a payment over a rail that may now leave
	auditToolAllowed = "tool_authorized"        // a tool call that rules or budgets have judged begins
	auditRequested   = "approval_requested"
	auditVoted       = "approval_voted" // approved by one of several who have to
	auditApproved    = "approval_approved"
	auditDenied      = "approval_denied"
	auditExpired     = "approval_expired"
	auditVoided      = "approval_voided"
	auditBudget      = "budget_alert" // a level of a cap was reached, or the cap has denied an act
	auditFrozen      = "agent_frozen"
	auditUnfrozen    = "agent_unfrozen"

	auditTenantFrozen   = "tenant_frozen"
	auditTenantUnfrozen = "tenant_unfrozen"
	auditSwarmFrozen    = "swarm_frozen"
	auditSwarmUnfrozen  = "swarm_unfrozen"
)

// note writes what became of an act, with what is needed to decide it once more: the policies' versions, what the rules said,
// and how full each counter was. j is nil when nothing was judged.
func (g *Gate) note(ctx context.Context, sc account.Scope, action string, rec Record, j *judgement) error {
	m := map[string]any{
		"act_id": rec.ID.UUID().String(), "action": string(rec.Act.Action), "state": string(rec.State),
		"description": rec.Act.Description,
	}
	set := func(name, value string) {
		if value != "" {
			m[name] = value
		}
	}
	d := rec.Decision
	set("outcome", string(d.Outcome))
	set("rule", d.Rule)
	set("reason", d.Reason)
	set("error", rec.Error)
	set("payee", rec.Act.Payee)
	if to := receiver(rec.Act); !to.IsZero() {
		m["payee"] = to.UUID().String()
	}
	set("category", rec.Act.Category)
	set("tool", rec.Act.Tool)
	set("rail", rec.Act.Rail)
	if a := rec.Act.Amount; a != nil {
		m["amount"], m["currency"] = a.Decimal(), string(a.Currency)
	}
	if !d.ID.IsZero() {
		m["decision_id"], m["decided_at"] = d.ID.UUID().String(), stamp(d.At)
	}
	if !rec.Approval.IsZero() {
		m["approval_id"] = rec.Approval.UUID().String()
	}
	if !rec.Act.Session.IsZero() {
		m["session_id"] = rec.Act.Session.UUID().String()
	}
	if !rec.Act.ToolUse.IsZero() {
		m["tool_use_id"] = rec.Act.ToolUse.UUID().String()
	}
	versions := make([]any, len(d.Policies))
	for i, p := range d.Policies {
		versions[i] = map[string]any{"policy_id": p.Policy.UUID().String(), "version": p.Version}
	}
	m["policies"] = versions
	if o := d.Would; o != nil {
		m["would"] = map[string]any{
			"policy_id": o.Policy.UUID().String(), "version": o.Version, "outcome": string(o.Outcome), "rule": o.Rule, "reason": o.Reason,
		}
	}
	if run := rec.Act.run(); !run.IsZero() {
		m["run_id"] = run.UUID().String()
	}
	if rec.Act.Tokens > 0 {
		m["tokens"] = fmt.Sprint(rec.Act.Tokens)
	}
	if len(rec.Act.Arguments) > 0 {
		m["args_hash"] = rec.ArgsHash // of the arguments with the rest of the act: they may hold what nobody else should read
	}
	if c := rec.Act.Card; c != nil {
		card := map[string]any{"remote_agent_id": c.Remote.UUID().String(), "digest": c.Digest, "score": c.Score}
		for name, is := range map[string]bool{"valid": c.Valid, "signed": c.Signed, "suspicious": c.Suspicious} {
			if is {
				card[name] = true
			}
		}
		m["card"] = card
	}
	if g.c.DefaultAllow {
		m["default_allow"] = true
	}
	switch {
	case j != nil:
		j.describe(m)
	case rec.State == Denied:
		m["basis"] = basisPerson
	}
	return g.d.Trail.Note(ctx, sc, action, rec.Act.Agent, m)
}

// describe adds what the decision rested on; see Replay.
func (j *judgement) describe(m map[string]any) {
	if m["basis"] = j.basis; j.basis == "" {
		m["basis"] = basisPolicies
	}
	if j.approved {
		m["approved"] = true
	}
	var limits, verdicts []any
	for i, c := range j.counters {
		d := j.Demands[i]
		counter := map[string]any{
			"policy_id": d.Key.Policy.UUID().String(), "limit": d.Key.Name, "window": string(d.Key.Window),
			"window_start": stamp(d.Key.Start), "unit": d.Key.Unit,
			// As texts: a JSON number is exact up to 2^53 only.
			"amount": fmt.Sprint(d.Amount), "max": fmt.Sprint(d.Max), "spent": fmt.Sprint(c.Spent), "reserved": fmt.Sprint(c.Reserved),
		}
		if !d.Key.Run.IsZero() {
			counter["run_id"] = d.Key.Run.UUID().String()
		}
		if d.Observed {
			counter["observed"] = true
		}
		limits = append(limits, counter)
	}
	if j.paid != nil {
		before := []any{} // the policies in whose scope the payee had been paid before
		for _, p := range j.policies {
			if j.paid[p.ID] {
				before = append(before, p.ID.UUID().String())
			}
		}
		m["paid_before"] = before
	}
	for _, p := range j.policies {
		for i, ref := range p.Rules {
			if v, ok := j.verdicts[policy.RuleKey{Policy: p.ID, Version: p.Version, Index: i}]; ok {
				verdict := map[string]any{
					"policy_id": p.ID.UUID().String(), "version": p.Version, "index": i, "rule": ref.Plugin, "outcome": string(v.Outcome),
					"reason": v.Reason,
				}
				if len(v.Limits) > 0 {
					verdict["limits"] = describeLimits(v.Limits)
				}
				verdicts = append(verdicts, verdict)
			}
		}
	}
	if limits != nil {
		m["limits"] = limits
	}
	if verdicts != nil {
		m["verdicts"] = verdicts
	}
}

// describeLimits writes the caps that a rule wants held.
func describeLimits(limits []rule.Limit) []any {
	out := make([]any, len(limits))
	for i, l := range limits {
		out[i] = map[string]any{"window": string(l.Window), "max": l.Max.Decimal(), "currency": string(l.Max.Currency)}
	}
	return out
}

// deniedAction names the audit action of a denial.
func deniedAction(a rule.Action) string {
	if a == rule.ActionPayment || a == rule.ActionTransfer {
		return auditBlocked
	}
	return auditViolation
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
