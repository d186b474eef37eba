package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payee"
	"github.com/bureau-agents/bureau/ports/rule"
)

// The names of decisions that no policy field made.
const (
	RuleNoPolicy      = "no_policy"          // a payment or transfer to which no policy applies
	RuleFrozen        = "frozen"             // the agent or its tenant is frozen
	RuleArchived      = "archived"           // the agent is archived
	RulePriceUnknown  = "price_unknown"      // a cost limit applies to an act whose price nobody knows
	RuleFunds         = "insufficient_funds" // the wallet does not cover the act
	RulePolicyChanged = "policy_changed"     // the policies changed faster than the act could be judged
	RuleApproval      = "approval_denied"    // a person said no
	RuleExpired       = "approval_expired"   // nobody said anything in time
	RuleInterrupted   = "interrupted"        // the act was cancelled before it was approved
)

// Subject is an act as policies see it.
type Subject struct {
	Action      rule.Action
	Agent       id.Agent
	AgentName   string
	Labels      map[string]string
	Amount      *money.Amount
	Tokens      int64
	Payee       string // for transfers the receiving agent's id
	Category    string
	Description string
	Tool        string
	Arguments   json.RawMessage
}

// moves reports whether the act takes money out of a wallet.
func (s Subject) moves() bool {
	return s.Action == rule.ActionPayment || s.Action == rule.ActionTransfer
}

// Assessment is what policies and verdicts make of an act, before any counter or wallet was looked at.
type Assessment struct {
	Outcome Outcome
	Rule    string // what denied or parked; "" when allowed
	Reason  string
	TTL     time.Duration // how long the approval may take; Parked only
	// Approvals is how many different keys must approve the act, also when Options.Approved says that it is; 0: nobody is asked.
	Approvals int
	// Apart says that the key that asked for the act is none of them.
	Apart bool
	// Observed is what each policy in the mode Observe makes of the act, in the order of the policies.
	Observed []Observation
	// Demands are the caps that hold for the act whatever the outcome, sorted by key, at most one per key. An act that is allowed or
	// parked is denied by the first that it would pass.
	Demands []Demand
}

// Demand is a cap on a counter and what the act wants to add to it.
type Demand struct {
	Key    Key
	Rule   string // how a decision names it
	Amount int64  // micro-units or tokens; never negative
	Max    int64
	// Observed marks the demand of a policy in the mode Observe: it is counted, and never denies.
	Observed bool
}

// Options say how an act is judged.
type Options struct {
	At           time.Time // the time of the decision; chooses the windows
	Approved     bool      // a person has approved the act: nothing asks again
	DefaultAllow bool      // payments without a policy are allowed
}

// finding is one objection; the strictest wins, the first of equals.
type finding struct {
	outcome Outcome
	rule    string
	reason  string
	ttl     time.Duration
}

// Assess judges an act by the policies that apply to it and by what their plugin rules said. It is pure: the same arguments
// give the same assessment. An applicable rule without a verdict denies. Policies in the mode Observe are judged each for itself,
// change nothing of the outcome, and do not count as a policy by which an agent may spend.
func Assess(policies []Policy, verdicts Verdicts, s Subject, o Options) Assessment {
	if !slices.ContainsFunc(policies, Policy.Observes) {
		return assess(policies, verdicts, s, o)
	}
	return assessObserved(policies, verdicts, s, o)
}

func assess(policies []Policy, verdicts Verdicts, s Subject, o Options) Assessment {
	a := assessor{subject: s, at: o.At, approved: o.Approved}
	if len(policies) == 0 && s.moves() && !o.DefaultAllow {
		a.deny(RuleNoPolicy, "no policy allows this agent to spend")
	}
	for _, p := range policies {
		a.limits(p)
	}
	if Judged(s.Action) {
		for _, p := range policies {
			a.rules(p, verdicts)
		}
	}
	return a.result()
}

type assessor struct {
	subject  Subject
	at       time.Time
	approved bool
	worst    finding
	demands  []Demand

	approvals int
	apart     bool
}

func (a *assessor) deny(rule, format string, args ...any) {
	if a.worst.outcome != Denied {
		a.worst = finding{outcome: Denied, rule: rule, reason: fmt.Sprintf(format, args...)}
	}
}

// park asks for an approval by p.
func (a *assessor) park(p Policy, rule, format string, args ...any) {
	a.approvals = max(a.approvals, p.Limits.RequiredApprovals, 1)
	a.apart = a.apart || p.Limits.ApproverNotRequester || p.Limits.RequiredApprovals > 1
	if a.worst.outcome == "" && !a.approved {
		a.worst = finding{outcome: Parked, rule: rule, ttl: p.Limits.ApprovalTTL, reason: fmt.Sprintf(format, args...)}
	}
}

func (a *assessor) limits(p Policy) {
	if a.subject.moves() {
		a.payment(p)
		a.windows(p)
		a.threshold(p)
		return
	}
	a.costs(p)
}

// payment checks what needs no counter: the amount itself, who is paid, and for what.
func (a *assessor) payment(p Policy) {
	l, s := p.Limits, a.subject
	if top := l.MaxPerTransaction; top != nil && a.comparable("max_per_transaction", *top) && s.Amount.Micros > top.Micros {
		a.deny("max_per_transaction", "%s is over the most per transaction, %s", *s.Amount, *top)
	}
	if containsNorm(l.BlockedPayees, s.Payee, payee.Fold) {
		a.deny("blocked_payees", "the payee %q is blocked", s.Payee)
	}
	if len(l.AllowedPayees) > 0 && !containsNorm(l.AllowedPayees, s.Payee, payee.Fold) {
		a.deny("allowed_payees", "the payee %q is not among the allowed ones", s.Payee)
	}
	if s.Action != rule.ActionPayment {
		return // a transfer stays inside the tenant: it has neither a category nor a domain
	}
	if containsNorm(l.BlockedCategories, s.Category, normCategory) {
		a.deny("blocked_categories", "the category %q is blocked", s.Category)
	}
	if len(l.AllowedCategories) > 0 && !containsNorm(l.AllowedCategories, s.Category, normCategory) {
		a.deny("allowed_categories", "the category %q is not among the allowed ones", s.Category)
	}
	a.domains(l)
}

func (a *assessor) domains(l Limits) {
	if len(l.BlockedDomains) == 0 && len(l.AllowedDomains) == 0 {
		return
	}
	to := a.subject.Payee
	host, err := payee.Host(to)
	switch {
	case err != nil && len(l.BlockedDomains) > 0:
		a.deny("blocked_domains", "the payee %q cannot be read as an address", to)
	case host != "" && payee.Blocks(l.BlockedDomains, host):
		a.deny("blocked_domains", "the domain %q is blocked", host)
	}
	switch {
	case len(l.AllowedDomains) == 0:
	case err != nil || host == "":
		a.deny("allowed_domains", "the payee %q names no domain, and only some are allowed", to)
	case !payee.Allows(l.AllowedDomains, host):
		a.deny("allowed_domains", "the domain %q is not among the allowed ones", host)
	}
}

func (a *assessor) windows(p Policy) {
	l := p.Limits
	for _, w := range []struct {
		name   string
		window rule.Window
		max    *money.Amount
	}{
		{"hourly_limit", rule.WindowHour, l.HourlyLimit},
		{"daily_limit", rule.WindowDay, l.DailyLimit},
		{"weekly_limit", rule.WindowWeek, l.WeeklyLimit},
		{"monthly_limit", rule.WindowMonth, l.MonthlyLimit},
		{"all_time_limit", rule.WindowAll, l.AllTimeLimit},
	} {
		if w.max != nil && a.comparable(w.name, *w.max) {
			a.demand(p, w.name, w.name, w.window, string(w.max.Currency), a.subject.Amount.Micros, w.max.Micros)
		}
	}
}

func (a *assessor) threshold(p Policy) {
	ask := p.Limits.RequireApprovalAbove
	if ask != nil && a.comparable("require_approval_above", *ask) && a.subject.Amount.Micros >= ask.Micros {
		a.park(p, "require_approval_above", "%s needs an approval: the threshold is %s", *a.subject.Amount, *ask)
	}
}

// costs checks the budgets for what the act consumes.
func (a *assessor) costs(p Policy) {
	l, s := p.Limits, a.subject
	for _, c := range []struct {
		name   string
		window rule.Window
		max    *money.Amount
	}{
		{"daily_cost_limit", rule.WindowDay, l.DailyCostLimit},
		{"monthly_cost_limit", rule.WindowMonth, l.MonthlyCostLimit},
	} {
		switch {
		case c.max == nil:
		case s.Amount == nil && s.Action == rule.ActionModelCall:
			a.deny(RulePriceUnknown, "the model has no known price, and %s is %s", c.name, *c.max)
		case s.Amount != nil && a.comparable(c.name, *c.max):
			a.demand(p, c.name, c.name, c.window, string(c.max.Currency), s.Amount.Micros, c.max.Micros)
		}
	}
	if s.Action != rule.ActionModelCall {
		return
	}
	if l.DailyTokenLimit != nil {
		a.demand(p, "daily_token_limit", "daily_token_limit", rule.WindowDay, UnitTokens, s.Tokens, *l.DailyTokenLimit)
	}
	if l.MonthlyTokenLimit != nil {
		a.demand(p, "monthly_token_limit", "monthly_token_limit", rule.WindowMonth, UnitTokens, s.Tokens, *l.MonthlyTokenLimit)
	}
}

// comparable reports whether the act's amount and a limit have one currency, and denies otherwise.
func (a *assessor) comparable(name string, limit money.Amount) bool {
	if a.subject.Amount == nil {
		a.deny(name, "the amount is unknown, and %s is %s", name, limit)
		return false
	}
	if a.subject.Amount.Currency != limit.Currency {
		a.deny(name, "%s cannot be compared with the limit of %s", *a.subject.Amount, limit)
		return false
	}
	return true
}

func (a *assessor) demand(p Policy, counter, name string, w rule.Window, unit string, amount, most int64) {
	start, ok := WindowStart(w, a.at)
	if !ok {
		a.deny(name, "the window %q is unknown", w)
		return
	}
	a.demands = append(a.demands, Demand{
		Key:  Key{Policy: p.ID, Name: counter, Window: w, Start: start, Unit: unit},
		Rule: name, Amount: amount, Max: most,
	})
}

func (a *assessor) rules(p Policy, verdicts Verdicts) {
	for i, ref := range p.Rules {
		v, ok := verdicts[RuleKey{p.ID, p.Version, i}]
		if !ok {
			a.deny(ref.Plugin, "the rule was not asked")
			continue
		}
		switch v.Outcome {
		case rule.Allow:
		case rule.Approve:
			a.park(p, ref.Plugin, "%s", reasonOr(v.Reason, "the rule wants an approval"))
		case rule.Deny:
			a.deny(ref.Plugin, "%s", reasonOr(v.Reason, "the rule denies it"))
		default:
			a.deny(ref.Plugin, "the rule gave the unknown outcome %q", v.Outcome)
		}
		for _, l := range v.Limits {
			a.ruleLimit(p, ref.Plugin, l)
		}
	}
}

// ruleLimit holds the act to a cap that a plugin wants; an act that spends nothing passes any.
func (a *assessor) ruleLimit(p Policy, plugin string, l rule.Limit) {
	amount := a.subject.Amount
	if amount == nil && !a.subject.moves() {
		return
	}
	if a.comparable(plugin, l.Max) {
		a.demand(p, RuleCounter+plugin, plugin, l.Window, string(l.Max.Currency), amount.Micros, l.Max.Micros)
	}
}

func reasonOr(reason, otherwise string) string {
	if reason == "" {
		return otherwise
	}
	return reason
}

func (a *assessor) result() Assessment {
	slices.SortStableFunc(a.demands, func(x, y Demand) int { return x.Key.Compare(y.Key) })
	var demands []Demand
	for _, d := range a.demands {
		// One plugin may stand twice in a policy: both caps hold on the one counter, and the act is counted once.
		if n := len(demands); n > 0 && demands[n-1].Key == d.Key {
			demands[n-1].Max = min(demands[n-1].Max, d.Max)
			continue
		}
		demands = append(demands, d)
	}
	out := Assessment{Outcome: Allowed, Demands: demands, Approvals: a.approvals, Apart: a.apart}
	if a.worst.outcome != "" {
		out.Outcome, out.Rule, out.Reason = a.worst.outcome, a.worst.rule, a.worst.reason
	}
	if out.Outcome == Parked {
		out.TTL = a.worst.ttl
		if out.TTL == 0 {
			out.TTL = DefaultApprovalTTL
		}
	}
	return out
}

// Exceeded returns the first demand that its counter does not leave room for, in words; ok is false when all of them fit. The
// counters are those of the demands' keys, in order.
func Exceeded(demands []Demand, counters []Counter) (ruleName, reason string, ok bool) {
	for i, d := range demands {
		c := counters[i]
		if d.Observed || fits(c, d) {
			continue
		}
		show := func(n int64) string {
			if d.Key.Unit == UnitTokens {
				return fmt.Sprintf("%d tokens", n)
			}
			return money.Of(n, money.Currency(d.Key.Unit)).String()
		}
		reason := fmt.Sprintf("%s would pass %s of %s: %s are spent", show(d.Amount), d.Rule, show(d.Max), show(c.Spent))
		if c.Reserved > 0 {
			reason += fmt.Sprintf(" and %s set aside", show(c.Reserved))
		}
		return d.Rule, reason, true
	}
	return "", "", false
}

// fits reports whether spent + reserved + amount <= max, without leaving int64 on the way.
func fits(c Counter, d Demand) bool {
	if d.Amount < 0 || c.Spent > math.MaxInt64-c.Reserved || c.Spent+c.Reserved > math.MaxInt64-d.Amount {
		return false
	}
	return c.Spent+c.Reserved+d.Amount <= d.Max
}
