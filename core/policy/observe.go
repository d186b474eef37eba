package policy

import (
	"slices"

	"github.com/bureau-agents/bureau/ports/id"
)

// Mode says whether a policy bites.
type Mode string

// The modes.
const (
	Enforce Mode = "enforce"
	// Observe judges and counts, and stops nothing: decisions say what the policy would have done. A policy that observes does not
	// let anybody spend either: without one that enforces, payments are denied.
	//
	// Its windows of payments count what it would have let pass, parked acts as though they had been approved; its budgets for costs
	// and tokens count what was consumed. Nothing is set aside in them.
	Observe Mode = "observe"
)

func (m Mode) valid() bool { return m == "" || m == Enforce || m == Observe }

func (m Mode) orDefault() Mode {
	if m == "" {
		return Enforce
	}
	return m
}

// Observes reports whether the policy is in the mode Observe.
func (p Policy) Observes() bool { return p.Mode == Observe }

// Observation is what a policy in the mode Observe makes of an act.
type Observation struct {
	Policy  id.Policy
	Version int
	Outcome Outcome
	Rule    string
	Reason  string
}

func assessObserved(policies []Policy, verdicts Verdicts, s Subject, o Options) Assessment {
	out := assess(slices.DeleteFunc(slices.Clone(policies), Policy.Observes), verdicts, s, o)
	o.DefaultAllow = true // it is not for one policy alone to say that there is none
	for _, p := range policies {
		if !p.Observes() {
			continue
		}
		a := assess([]Policy{p}, verdicts, s, o)
		out.Observed = append(out.Observed, Observation{p.ID, p.Version, a.Outcome, a.Rule, a.Reason})
		for _, d := range a.Demands {
			d.Observed = true
			out.Demands = append(out.Demands, d)
		}
	}
	sortDemands(out.Demands)
	return out
}

// Watch completes Observed by the caps of the observing policies. The counters are those of Demands, in order.
func (a *Assessment) Watch(counters []Counter) {
	for i := range a.Observed {
		o := &a.Observed[i]
		if o.Outcome == Denied {
			continue
		}
		for n, d := range a.Demands {
			if d.Observed && d.Key.Policy == o.Policy {
				d.Observed = false
				if rule, reason, over := Exceeded([]Demand{d}, counters[n:n+1]); over {
					o.Outcome, o.Rule, o.Reason = Denied, rule, reason
					break
				}
				if asked, ok := Asked([]Demand{d}, counters[n:n+1]); ok && o.Outcome == Allowed {
					o.Outcome, o.Rule, o.Reason = Parked, asked.Rule, asked.Reason
				}
			}
		}
	}
}

// Would returns the strictest of Observed, the first of equals, and nil when none would have stopped the act.
func (a Assessment) Would() *Observation {
	var worst *Observation
	for _, o := range a.Observed {
		if o.Outcome == Denied && (worst == nil || worst.Outcome != Denied) || o.Outcome == Parked && worst == nil {
			worst = &o
		}
	}
	return worst
}

// Passes reports whether the observing policy of a demand would have let the act pass, perhaps after an approval.
func (a Assessment) Passes(p id.Policy) bool {
	return !slices.ContainsFunc(a.Observed, func(o Observation) bool { return o.Policy == p && o.Outcome == Denied })
}

// Includes reports whether a policy of this scope holds for w.
func (s Scope) Includes(w Whom) bool {
	return s.Tenant || !s.Swarm.IsZero() && s.Swarm == w.Swarm || !s.Agent.IsZero() && s.Agent == w.Agent ||
		!s.Session.IsZero() && s.Session == w.Session
}
