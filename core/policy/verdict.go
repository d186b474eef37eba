package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// DefaultRuleTimeout is how long one rule may take over one act.
const DefaultRuleTimeout = 2 * time.Second

// RuleKey names one use of a rule: the Index-th rule of a version of a policy.
type RuleKey struct {
	Policy  id.Policy
	Version int
	Index   int
}

// Verdicts are what plugin rules said about one act. A rule that failed is there as a Deny whose reason says how.
type Verdicts map[RuleKey]rule.Verdict

// Judged reports whether plugin rules judge acts of this kind. Model calls are not judged: they are bound by budgets, and a
// round trip to a process for each of them would be felt.
func Judged(a rule.Action) bool { return a != rule.ActionModelCall }

// Covers reports whether every rule of the policies, in these versions, has been asked.
func (v Verdicts) Covers(policies []Policy) bool {
	for _, p := range policies {
		for i := range p.Rules {
			if _, ok := v[RuleKey{p.ID, p.Version, i}]; !ok {
				return false
			}
		}
	}
	return true
}

// Judge asks plugin rules. It is used outside transactions only.
type Judge struct {
	Rules   Rules         // nil knows no rule, so every one denies
	Timeout time.Duration // per rule; 0 is DefaultRuleTimeout
}

// Ask evaluates every rule of the policies at once, each with its own deadline, and waits for no rule beyond it.
func (j Judge) Ask(ctx context.Context, sc account.Scope, policies []Policy, s Subject, at time.Time) Verdicts {
	type answer struct {
		key     RuleKey
		verdict rule.Verdict
	}
	n := 0
	for _, p := range policies {
		n += len(p.Rules)
	}
	answers := make(chan answer, n) // room for all, so that a rule that overruns its deadline can still leave
	timeout := j.Timeout
	if timeout <= 0 {
		timeout = DefaultRuleTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	out := make(Verdicts, n)
	for _, p := range policies {
		for i, ref := range p.Rules {
			key := RuleKey{p.ID, p.Version, i}
			out[key] = rule.Verdict{Outcome: rule.Deny, Reason: fmt.Sprintf("the rule did not answer within %s", timeout)}
			go func() { answers <- answer{key, j.ask(ctx, sc, ref, s, at)} }()
		}
	}
	for range n {
		select {
		case a := <-answers:
			out[a.key] = a.verdict
		case <-ctx.Done():
			return out
		}
	}
	return out
}

// ask evaluates one rule; whatever goes wrong is a denial.
func (j Judge) ask(ctx context.Context, sc account.Scope, ref RuleRef, s Subject, at time.Time) (v rule.Verdict) {
	deny := func(format string, args ...any) rule.Verdict {
		return rule.Verdict{Outcome: rule.Deny, Reason: fmt.Sprintf(format, args...)}
	}
	defer func() {
		if r := recover(); r != nil {
			v = deny("the rule failed")
		}
	}()
	ev, err := j.find(ctx, sc, ref.Plugin)
	switch {
	case errors.Is(err, rule.ErrStarting):
		return deny("rule_starting: the rule is starting; try again in a moment")
	case err != nil:
		return deny("the rule is not available%s", because(err))
	}
	v, err = ev.Evaluate(ctx, input(ev.Describe(), ref, s, at))
	switch {
	case errors.Is(err, rule.ErrStarting):
		return deny("rule_starting: the rule is starting; try again in a moment")
	case ctx.Err() != nil:
		return deny("the rule did not answer in time")
	case err != nil:
		return deny("the rule failed%s", because(err))
	}
	v.Reason = Storable(v.Reason)
	return v
}

// maxReasonBytes bounds what a rule may say about one act.
const maxReasonBytes = 4096

// Storable makes of a text that a plugin or a model wrote one that every database keeps, and not a long one.
func Storable(s string) string {
	if len(s) > maxReasonBytes {
		s = s[:maxReasonBytes]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// because shows what callers may see of an error.
func because(err error) string {
	if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal {
		return ": " + Storable(fe.Message)
	}
	return ""
}

func (j Judge) find(ctx context.Context, sc account.Scope, name string) (rule.Evaluator, error) {
	if j.Rules == nil {
		return nil, ErrRuleUnknown
	}
	return j.Rules.Rule(ctx, sc, name)
}

// input gives a rule what its description asks for and nothing else.
func input(d rule.Description, ref RuleRef, s Subject, at time.Time) rule.Input {
	in := rule.Input{Action: s.Action, Config: ref.Config}
	if len(in.Config) == 0 {
		in.Config = json.RawMessage("{}")
	}
	for _, name := range d.Inputs {
		switch name {
		case rule.InputAmount:
			if s.Amount != nil {
				amount := *s.Amount
				in.Amount = &amount
			}
		case rule.InputPayee:
			in.Payee = s.Payee
		case rule.InputCategory:
			in.Category = s.Category
		case rule.InputDescription:
			in.Description = s.Description
		case rule.InputTool:
			in.Tool = s.Tool
		case rule.InputArguments:
			in.Arguments = slices.Clone(s.Arguments)
		case rule.InputAgent:
			in.AgentID, in.AgentName, in.Labels = s.Agent.String(), s.AgentName, s.Labels
		case rule.InputTime:
			in.At = at.UTC()
		}
	}
	return in
}
