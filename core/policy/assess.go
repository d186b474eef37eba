package policy

import (
	"crypto/sha256"
	"encoding/hex"
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
	Run         id.Session // the session at the top, which is the run; zero: the act is a run of its own
	Card        *rule.Card // of the remote agent that the act goes to; nil: it goes to none
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
	Key     Key
	Measure Measure // what the counter counts
	Rule    string  // how a decision names it
	Amount  int64   // micro-units, acts or tokens; never negative
	Max     int64
	// Asks makes the act wait for an approval where it would pass Max, instead of denying it; nil denies.
	Asks *Ask
	// Observed marks the demand of a policy in the mode Observe: it is counted, and never denies.
	Observed bool
}

// Ask is how an approval is asked for.
type Ask struct {
	TTL       time.Duration // how long it may take
	Approvals int           // as in Assessment
	Apart     bool          // likewise
}

// Options say how an act is judged.
type Options struct {
	At           time.Time // the time of the decision; chooses the windows
	Approved     bool      // a person has approved the act: nothing asks again
	DefaultAllow bool      // payments without a policy are allowed
	// Paid holds the policies in whose scope somebody has paid the act's payee before; see Limits.NewPayee.
	Paid map[id.Policy]bool
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
	for i := range policies {
		if policies[i].Mode == Observe {
			return assessObserved(policies, verdicts, s, o)
		}
	}
	return assess(policies, verdicts, s, o)
}

func assess(policies []Policy, verdicts Verdicts, s Subject, o Options) Assessment {
	a := assessor{subject: s, at: o.At, approved: o.Approved, paid: o.Paid, policies: len(policies)}
	if len(policies) == 0 && s.moves() && !o.DefaultAllow {
		a.deny(RuleNoPolicy, func() string { return "no policy allows this agent to spend" })
	}
	for i := range policies {
		a.limits(&policies[i])
	}
	if Judged(s.Action) {
		for i := range policies {
			a.rules(&policies[i], verdicts)
		}
	}
	return a.result()
}

// assessor judges one act. Policies are many and large: they are passed by reference, and what they all ask of the act is worked out once.
type assessor struct {
	subject  Subject
	at       time.Time
	approved bool
	paid     map[id.Policy]bool
	policies int // how many there are
	worst    finding
	demands  []Demand

	approvals int
	apart     bool

	payee    string // the payee as payee.Fold has it
	category string // the category as normCategory has it
	folded   bool   // both are there
	host     string // the payee's, and what went wrong
	hostErr  error
	hosted   bool // both are there
	starts   [4]windowStart
	started  int // of starts, how many are there
}

// windowStart is when a window began in which the act is.
type windowStart struct {
	window rule.Window
	start  time.Time
}

// start is WindowStart at the time of the act.
func (a *assessor) start(w rule.Window) (time.Time, bool) {
	for i := range a.started {
		if a.starts[i].window == w {
			return a.starts[i].start, true
		}
	}
	start, ok := WindowStart(w, a.at)
	if ok && a.started < len(a.starts) {
		a.starts[a.started] = windowStart{w, start}
		a.started++
	}
	return start, ok
}

// deny takes the reason as a function, since only the first denial has one.
func (a *assessor) deny(rule string, reason func() string) {
	if a.worst.outcome != Denied {
		a.worst = finding{outcome: Denied, rule: rule, reason: reason()}
	}
}

// park asks for an approval by p.
func (a *assessor) park(p *Policy, rule string, reason func() string) {
	ask := p.Limits.ask()
	a.approvals, a.apart = max(a.approvals, ask.Approvals), a.apart || ask.Apart
	if a.worst.outcome == "" && !a.approved {
		a.worst = finding{outcome: Parked, rule: rule, ttl: p.Limits.ApprovalTTL, reason: reason()}
	}
}

func (l *Limits) ask() Ask {
	ttl := l.ApprovalTTL
	if ttl == 0 {
		ttl = DefaultApprovalTTL
	}
	return Ask{TTL: ttl, Approvals: max(l.RequiredApprovals, 1), Apart: l.ApproverNotRequester || l.RequiredApprovals > 1}
}

func (a *assessor) limits(p *Policy) {
	if a.subject.moves() {
		a.payment(&p.Limits)
		a.times(&p.Limits)
		a.windows(p)
		a.threshold(p)
		a.newPayee(p)
		a.structuring(p)
		return
	}
	a.card(&p.Limits)
	a.costs(p)
}

// payment checks what needs no counter: the amount itself, who is paid, and for what.
func (a *assessor) payment(l *Limits) {
	s := &a.subject
	if top := l.MaxPerTransaction; top != nil && a.comparable("max_per_transaction", *top) && s.Amount.Micros > top.Micros {
		a.deny("max_per_transaction", func() string { return fmt.Sprintf("%s is over the most per transaction, %s", *s.Amount, *top) })
	}
	if !a.folded {
		a.payee, a.category, a.folded = payee.Fold(s.Payee), normCategory(s.Category), true
	}
	if containsPayee(l.BlockedPayees, a.payee) {
		a.deny("blocked_payees", func() string { return fmt.Sprintf("the payee %q is blocked", s.Payee) })
	}
	if len(l.AllowedPayees) > 0 && !containsPayee(l.AllowedPayees, a.payee) {
		a.deny("allowed_payees", func() string { return fmt.Sprintf("the payee %q is not among the allowed ones", s.Payee) })
	}
	if s.Action != rule.ActionPayment {
		return // a transfer stays inside the tenant: it has neither a category nor a domain
	}
	if containsCategory(l.BlockedCategories, a.category) {
		a.deny("blocked_categories", func() string { return fmt.Sprintf("the category %q is blocked", s.Category) })
	}
	if len(l.AllowedCategories) > 0 && !containsCategory(l.AllowedCategories, a.category) {
		a.deny("allowed_categories", func() string { return fmt.Sprintf("the category %q is not among the allowed ones", s.Category) })
	}
	a.domains(l)
}

func (a *assessor) domains(l *Limits) {
	if len(l.BlockedDomains) == 0 && len(l.AllowedDomains) == 0 {
		return
	}
	to := a.subject.Payee
	if !a.hosted {
		a.host, a.hostErr = payee.Host(to)
		a.hosted = true
	}
	host, err := a.host, a.hostErr
	switch {
	case err != nil && len(l.BlockedDomains) > 0:
		a.deny("blocked_domains", func() string { return fmt.Sprintf("the payee %q cannot be read as an address", to) })
	case host != "" && payee.Blocks(l.BlockedDomains, host):
		a.deny("blocked_domains", func() string { return fmt.Sprintf("the domain %q is blocked", host) })
	}
	switch {
	case len(l.AllowedDomains) == 0:
	case err != nil || host == "":
		a.deny("allowed_domains", func() string { return fmt.Sprintf("the payee %q names no domain, and only some are allowed", to) })
	case !payee.Allows(l.AllowedDomains, host):
		a.deny("allowed_domains", func() string { return fmt.Sprintf("the domain %q is not among the allowed ones", host) })
	}
}

// windows demands room in the windows of payments and transfers.
func (a *assessor) windows(p *Policy) {
	var room [namedWindows]WindowLimit
	windows := append(p.Limits.named(room[:0]), p.Limits.Windows...)
	for i := range windows {
		w := &windows[i]
		switch w.Measure {
		case MeasureCount:
			a.demandWindow(p, w, 1)
		case MeasureAmount:
			switch {
			case a.subject.Amount != nil && a.subject.Amount.Currency == w.Currency:
				a.demandWindow(p, w, a.subject.Amount.Micros)
			case !slices.ContainsFunc(windows, func(o WindowLimit) bool {
				return a.subject.Amount != nil && o.Currency == a.subject.Amount.Currency && o.Name() == w.Name()
			}) && !slices.ContainsFunc(windows[:i], func(o WindowLimit) bool { return o.Name() == w.Name() }):
				a.comparable(w.Name(), money.Of(w.Max, w.Currency))
			}
		}
	}
}

func (a *assessor) times(l *Limits) {
	ranges := l.AllowedTimes
	if len(ranges) > 0 && !slices.ContainsFunc(ranges, func(t TimeRange) bool { return t.holds(a.at) }) {
		a.deny("allowed_times", func() string {
			return fmt.Sprintf("payments are not allowed at this time, %s", a.at.UTC().Format("Mon 15:04 MST"))
		})
	}
}

func (a *assessor) newPayee(p *Policy) {
	if !p.Limits.asksForPayee() || a.paid[p.ID] {
		return
	}
	reason := func() string { return fmt.Sprintf("%q has not been paid before", a.subject.Payee) }
	if p.Limits.NewPayee == Deny {
		a.deny("new_payee", reason)
	} else {
		a.park(p, "new_payee", reason)
	}
}

// AsksForPayee reports whether Options.Paid matters to the policy.
func (p Policy) AsksForPayee() bool { return p.Limits.asksForPayee() }

func (l *Limits) asksForPayee() bool { return l.NewPayee == Deny || l.NewPayee == RequireApproval }

// structuring demands that acts just below a threshold stay few.
func (a *assessor) structuring(p *Policy) {
	if p.Limits.Structuring == nil || a.subject.Amount == nil {
		return
	}
	s, amount := p.Limits.Structuring.WithDefaults(), *a.subject.Amount
	near := func(name string, threshold *money.Amount, most int64) {
		if threshold == nil || threshold.Currency != amount.Currency || amount.Micros > most {
			return
		}
		least := threshold.Micros/100*int64(s.NearPercent) + (threshold.Micros%100*int64(s.NearPercent)+99)/100
		if amount.Micros < least {
			return
		}
		d := Demand{
			Key: Key{
				Policy: p.ID, Name: StructuringCounter + name + ":" + payeeDigest(a.subject.Payee), Window: minutesWindow(s.Window), Unit: UnitCount,
			},
			Measure: MeasureCount, Rule: "structuring", Amount: 1, Max: int64(s.MinPayments - 1),
		}
		d.Key.Start, _ = WindowStart(d.Key.Window, a.at)
		if s.Action == RequireApproval {
			ask := p.Limits.ask()
			d.Asks = &ask
		}
		a.demands = append(a.demands, d)
	}
	if top := p.Limits.MaxPerTransaction; top != nil {
		near("max_per_transaction", top, top.Micros)
	}
	if ask := p.Limits.RequireApprovalAbove; ask != nil {
		near("require_approval_above", ask, ask.Micros-1)
	}
}

// payeeDigest stands for a payee in the name of a counter.
func payeeDigest(to string) string {
	sum := sha256.Sum256([]byte(PayeeKey(to)))
	return hex.EncodeToString(sum[:16])
}

func (a *assessor) threshold(p *Policy) {
	ask := p.Limits.RequireApprovalAbove
	if ask != nil && a.comparable("require_approval_above", *ask) && a.subject.Amount.Micros >= ask.Micros {
		a.park(p, "require_approval_above", func() string {
			return fmt.Sprintf("%s needs an approval: the threshold is %s", *a.subject.Amount, *ask)
		})
	}
}

// costs demands room in the budgets for what the act consumes.
func (a *assessor) costs(p *Policy) {
	var room [namedWindows]WindowLimit
	windows := append(p.Limits.named(room[:0]), p.Limits.Windows...)
	for i := range windows {
		w := &windows[i]
		switch s := &a.subject; {
		case w.Measure == MeasureTokens && s.Action == rule.ActionModelCall:
			a.demandWindow(p, w, s.Tokens)
		case w.Measure != MeasureCost:
		case s.Amount == nil && s.Action == rule.ActionModelCall:
			a.deny(RulePriceUnknown, func() string {
				return fmt.Sprintf("the model has no known price, and %s is %s", w.Name(), money.Of(w.Max, w.Currency))
			})
		case s.Amount != nil && a.comparable(w.Name(), money.Of(w.Max, w.Currency)):
			a.demandWindow(p, w, s.Amount.Micros)
		}
	}
}

// comparable reports whether the act's amount and a limit have one currency, and denies otherwise.
func (a *assessor) comparable(name string, limit money.Amount) bool {
	if a.subject.Amount == nil {
		a.deny(name, func() string { return fmt.Sprintf("the amount is unknown, and %s is %s", name, limit) })
		return false
	}
	if a.subject.Amount.Currency != limit.Currency {
		a.deny(name, func() string {
			return fmt.Sprintf("%s cannot be compared with the limit of %s", *a.subject.Amount, limit)
		})
		return false
	}
	return true
}

func (a *assessor) demandWindow(p *Policy, w *WindowLimit, amount int64) {
	name := w.Name()
	a.demand(p, Demand{
		Key: Key{Name: name, Window: w.span(), Unit: w.Unit()}, Measure: w.Measure, Rule: name, Amount: amount, Max: w.Max,
	})
}

func (a *assessor) demand(p *Policy, d Demand) {
	start, ok := a.start(d.Key.Window)
	if !ok {
		a.deny(d.Rule, func() string { return fmt.Sprintf("the window %q is unknown", d.Key.Window) })
		return
	}
	d.Key.Policy, d.Key.Start = p.ID, start
	if d.Key.Window == WindowRun {
		if a.subject.Run.IsZero() { // a run of its own, which nothing else adds to
			if !fits(&Counter{}, &d) {
				a.deny(d.Rule, func() string {
					return fmt.Sprintf("%s would pass %s of %s", d.show(d.Amount), d.Rule, d.show(d.Max))
				})
			}
			return
		}
		d.Key.Run = a.subject.Run
	}
	if a.demands == nil {
		a.demands = make([]Demand, 0, a.policies)
	}
	a.demands = append(a.demands, d)
}

func (a *assessor) rules(p *Policy, verdicts Verdicts) {
	for i := range p.Rules {
		plugin := p.Rules[i].Plugin
		v, ok := verdicts[RuleKey{p.ID, p.Version, i}]
		if !ok {
			a.deny(plugin, func() string { return "the rule was not asked" })
			continue
		}
		switch v.Outcome {
		case rule.Allow:
		case rule.Approve:
			a.park(p, plugin, func() string { return reasonOr(v.Reason, "the rule wants an approval") })
		case rule.Deny:
			a.deny(plugin, func() string { return reasonOr(v.Reason, "the rule denies it") })
		default:
			a.deny(plugin, func() string { return fmt.Sprintf("the rule gave the unknown outcome %q", v.Outcome) })
		}
		for _, l := range v.Limits {
			a.ruleLimit(p, plugin, l)
		}
	}
}

// ruleLimit holds the act to a cap that a plugin wants; an act that spends nothing passes any.
func (a *assessor) ruleLimit(p *Policy, plugin string, l rule.Limit) {
	amount := a.subject.Amount
	if amount == nil && !a.subject.moves() {
		return
	}
	if a.comparable(plugin, l.Max) {
		measure := MeasureCost
		if a.subject.moves() {
			measure = MeasureAmount
		}
		a.demand(p, Demand{
			Key: Key{Name: RuleCounter + plugin, Window: l.Window, Unit: string(l.Max.Currency)}, Measure: measure, Rule: plugin,
			Amount: amount.Micros, Max: l.Max.Micros,
		})
	}
}

func reasonOr(reason, otherwise string) string {
	if reason == "" {
		return otherwise
	}
	return reason
}

func (a *assessor) result() Assessment {
	sortDemands(a.demands)
	demands := a.demands[:0]
	for i := range a.demands {
		d := &a.demands[i]
		// One plugin may stand twice in a policy: both caps hold on the one counter, and the act is counted once.
		if n := len(demands); n > 0 && demands[n-1].Key == d.Key {
			demands[n-1].Max = min(demands[n-1].Max, d.Max)
			continue
		}
		demands = append(demands, *d)
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

// sortDemands sorts by key and keeps the order of equals. Policies mostly come in the order of their ids, so that there is nothing to move.
func sortDemands(demands []Demand) {
	for i := 1; i < len(demands); i++ {
		if demands[i-1].Key.compare(&demands[i].Key) > 0 {
			slices.SortStableFunc(demands, func(x, y Demand) int { return x.Key.compare(&y.Key) })
			return
		}
	}
}

// Exceeded returns the first demand that its counter does not leave room for, in words; ok is false when all of them fit. The
// counters are those of the demands' keys, in order. Demands that only ask are left to Asked.
func Exceeded(demands []Demand, counters []Counter) (ruleName, reason string, ok bool) {
	for i := range demands {
		if d := &demands[i]; !d.Observed && d.Asks == nil && !fits(&counters[i], d) {
			return d.Rule, d.over(counters[i]), true
		}
	}
	return "", "", false
}

// Asked returns an assessment which makes an act that nothing denies wait, because it would pass demands that ask, and whether there are
// any. Its outcome is Parked whether or not the act has been approved.
func Asked(demands []Demand, counters []Counter) (a Assessment, ok bool) {
	for i := range demands {
		d := &demands[i]
		if d.Observed || d.Asks == nil || fits(&counters[i], d) {
			continue
		}
		if !ok {
			a = Assessment{Outcome: Parked, Rule: d.Rule, Reason: d.over(counters[i]), TTL: d.Asks.TTL}
		}
		a.Approvals, a.Apart, ok = max(a.Approvals, d.Asks.Approvals), a.Apart || d.Asks.Apart, true
	}
	return a, ok
}

func (d Demand) show(n int64) string {
	switch d.Key.Unit {
	case UnitTokens:
		return fmt.Sprintf("%d tokens", n)
	case UnitCount:
		return fmt.Sprintf("%d payments", n)
	}
	return money.Of(n, money.Currency(d.Key.Unit)).String()
}

// over says in words why the demand does not fit into its counter.
func (d Demand) over(c Counter) string {
	if d.Rule == "structuring" {
		return fmt.Sprintf("with %d payments to this payee before it, all just below the threshold, it would pass the threshold", c.Spent+c.Reserved)
	}
	reason := fmt.Sprintf("%s would pass %s of %s: %s are spent", d.show(d.Amount), d.Rule, d.show(d.Max), d.show(c.Spent))
	if c.Reserved > 0 {
		reason += fmt.Sprintf(" and %s set aside", d.show(c.Reserved))
	}
	return reason
}

// fits reports whether spent + reserved + amount <= max, without leaving int64 on the way.
func fits(c *Counter, d *Demand) bool {
	if d.Amount < 0 || c.Spent > math.MaxInt64-c.Reserved || c.Spent+c.Reserved > math.MaxInt64-d.Amount {
		return false
	}
	return c.Spent+c.Reserved+d.Amount <= d.Max
}
