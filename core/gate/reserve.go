package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// maxRejudge is how often an act is judged again because the policies changed while its rules were asked.
const maxRejudge = 3

var (
	errAsk   = errors.New("gate: rules must be asked before the act can be decided")
	errUndo  = errors.New("gate: the transaction is undone on purpose")
	errTaken = errors.New("gate: the key belongs to another act")
)

// judgement is what is known of an act once its locks on standing are held: nothing in it can change until the transaction
// ends.
type judgement struct {
	at       time.Time
	policies []policy.Policy
	verdicts policy.Verdicts
	counters []policy.Counter // of Demands, once weigh has read them
	approved bool             // a person has approved the act
	paid     map[id.Policy]bool
	basis    string // of the outcome; "" is basisPolicies
	policy.Assessment
}

// judged runs body in a transaction that holds the standing of everyone whom the act concerns, with the judgement of the
// policies as they are in that transaction. When plugin rules apply it leaves the transaction to ask them and comes back; if
// the policies have changed by then, it asks again.
func (g *Gate) judged(
	ctx context.Context, sc account.Scope, act Act, approved bool, body func(ctx context.Context, j *judgement) error,
) error {
	seen, verdicts, err := g.foresee(ctx, sc, act)
	if err != nil {
		return err
	}
	asked := 0
	if verdicts != nil {
		asked = 1
	}
	for ; ; asked++ {
		var at time.Time
		err := g.d.TX.Do(ctx, func(ctx context.Context) error {
			stand, err := g.enter(ctx, sc, act)
			if err != nil {
				return err
			}
			if err := g.fence(ctx, sc, act.Fence); err != nil {
				return err
			}
			if at = stand.at; at.IsZero() {
				if at, err = g.now(ctx); err != nil {
					return err
				}
			}
			j := &judgement{at: at, approved: approved}
			if stand.Outcome == policy.Denied {
				j.Assessment, j.basis = stand.Assessment, basisStanding
				return body(ctx, j)
			}
			if j.policies = stand.policies; !stand.read {
				if j.policies, err = g.d.Policies.Applicable(ctx, sc, policy.Whom{Agent: act.Agent, Swarm: stand.info.Swarm, Session: act.run()}); err != nil {
					return err
				}
			}
			if now := (foreseen{j.policies, stand.info}); !seen.same(now) {
				seen, verdicts = now, nil
				g.seen.remember(sc, act.Agent, now)
			}
			if j.paid, err = g.paid(ctx, sc, act, j.policies); err != nil {
				return err
			}
			j.verdicts = verdicts
			switch {
			case !policy.Judged(act.Action) || verdicts.Covers(j.policies):
				j.Assessment = policy.Assess(j.policies, verdicts, subjectOf(act, stand.info), policy.Options{
					At: at, Approved: approved, DefaultAllow: g.c.DefaultAllow, Paid: j.paid,
				})
			case asked <= maxRejudge:
				return errAsk
			default:
				j.basis = basisStanding
				j.Assessment = policy.Assessment{
					Outcome: policy.Denied, Rule: policy.RulePolicyChanged, Reason: "the policies kept changing while the act was judged",
				}
			}
			return body(ctx, j)
		})
		if !errors.Is(err, errAsk) {
			return err
		}
		verdicts = g.judge.Ask(ctx, sc, seen.policies, subjectOf(act, seen.info), at)
	}
}

// stand is what the standings say of an act.
type stand struct {
	policy.Assessment // Denied, or zero
	info              agent.StandingInfo

	read     bool            // policies have been read along with the standings
	policies []policy.Policy // then
	at       time.Time       // the time of the decision, or zero when it has not been asked for
}

// enter is standing that reads what the locks guard along with them where the store can.
func (g *Gate) enter(ctx context.Context, sc account.Scope, act Act) (stand, error) {
	if g.d.Doors == nil {
		return g.standing(ctx, sc, act)
	}
	agents := concerned(act)
	e, err := g.d.Doors.Enter(ctx, sc, agents, policy.Whom{Agent: act.Agent, Session: act.run()})
	if err != nil {
		return stand{}, err
	}
	s := standOf(act, e.Tenant, agents, e.Agents)
	s.read, s.policies = true, e.Policies
	if g.d.Time != nil {
		s.at = clock.Stored(e.At)
	}
	return s, nil
}

// standing locks the standing of the tenant and of the act's agents, in the order of their ids. It is where a freeze bites: a
// freeze waits for these locks, and whoever comes after it finds the agent frozen.
func (g *Gate) standing(ctx context.Context, sc account.Scope, act Act) (stand, error) {
	t, err := g.d.Tenants.LockStanding(ctx, sc)
	if err != nil {
		return stand{}, err
	}
	agents := concerned(act)
	infos := make([]agent.StandingInfo, len(agents))
	for i, a := range agents {
		if infos[i], err = g.d.Agents.LockStanding(ctx, sc, a); err != nil {
			return stand{}, err
		}
	}
	return standOf(act, t, agents, infos), nil
}

// concerned returns the agents whose standing an act depends on, in the order of their ids.
func concerned(act Act) []id.Agent {
	agents := []id.Agent{act.Agent}
	if to := receiver(act); !to.IsZero() {
		agents = append(agents, to)
		slices.SortFunc(agents, byID)
	}
	return agents
}

func standOf(act Act, t account.Standing, agents []id.Agent, infos []agent.StandingInfo) stand {
	var s stand
	deny := func(rule, format string, args ...any) {
		if s.Outcome == "" {
			s.Assessment = policy.Assessment{Outcome: policy.Denied, Rule: rule, Reason: fmt.Sprintf(format, args...)}
		}
	}
	if t != account.Active {
		deny(policy.RuleFrozen, "the account is frozen")
	}
	for i, a := range agents {
		who := "the agent"
		if a == act.Agent {
			s.info = infos[i]
		} else {
			who = "the receiving agent"
		}
		switch infos[i].Standing {
		case agent.Active:
		case agent.Archived:
			deny(policy.RuleArchived, "%s is archived", who)
		default:
			deny(policy.RuleFrozen, "%s is frozen", who)
		}
	}
	return s
}

func byID(a, b id.Agent) int {
	x, y := a.UUID(), b.UUID()
	return bytes.Compare(x[:], y[:])
}

func subjectOf(act Act, info agent.StandingInfo) policy.Subject {
	return policy.Subject{
		Action: act.Action, Agent: act.Agent, AgentName: info.Name, Labels: info.Metadata, Amount: act.Amount, Tokens: act.Tokens,
		Payee: act.Payee, Category: act.Category, Description: act.Description, Tool: act.Tool, Arguments: act.Arguments,
		Run: act.run(), Card: act.Card,
	}
}

// weigh checks an act that rules do not deny against its wallet and its counters, and denies it in j when one does not leave
// room. With lock, the wallet and the counters stay locked, so that what was found holds until the transaction ends. The
// returned fault says that the act cannot work at all.
func (g *Gate) weigh(ctx context.Context, sc account.Scope, act Act, j *judgement, lock bool) (*fault.Error, error) {
	if j.Outcome == policy.Denied {
		return nil, nil
	}
	if ex := g.d.Executors[act.Action]; ex != nil {
		if err := ex.Cover(ctx, sc, act); err != nil {
			refusal, ok := refusalOf(err)
			if !ok {
				return nil, err
			}
			return j.refuse(refusal), nil
		}
	}
	if len(j.Demands) == 0 {
		return nil, nil
	}
	keys := make([]policy.Key, len(j.Demands))
	for i := range j.Demands {
		keys[i] = j.Demands[i].Key
	}
	read := g.d.Counters.Read
	if lock {
		read = g.d.Counters.Lock
	}
	var err error
	if j.counters, err = read(ctx, sc, keys); err != nil {
		return nil, err
	}
	if err := g.recall(ctx, sc, j, lock); err != nil {
		return nil, err
	}
	j.Watch(j.counters)
	if rule, reason, over := policy.Exceeded(j.Demands, j.counters); over {
		j.deny(rule, reason)
	} else if asked, ok := policy.Asked(j.Demands, j.counters); ok {
		j.ask(asked)
	}
	return nil, nil
}

// recall begins fresh counters with what their scope has consumed in the window already. No payment of the scope is on its way
// uncounted: whoever set the limit waited for all of them, and kept new ones waiting.
func (g *Gate) recall(ctx context.Context, sc account.Scope, j *judgement, lock bool) error {
	history, ok := g.d.Acts.(History)
	if !ok {
		return nil
	}
	var begin []policy.Counter
	for i, d := range j.Demands {
		c := &j.counters[i]
		if !c.Fresh || !recalled(d) {
			continue
		}
		p := slices.IndexFunc(j.policies, func(p policy.Policy) bool { return p.ID == d.Key.Policy })
		past, err := history.Consumed(ctx, sc, j.policies[p].Scope, d.Measure, d.Key)
		if err != nil {
			return err
		}
		if policy.Rolls(d.Key.Window) {
			begin = append(begin, past...)
			if *c, err = rolled(d.Key, past); err != nil {
				return err
			}
			continue
		}
		sum := policy.Counter{Key: d.Key}
		for _, part := range past {
			sum.Spent, sum.Reserved = sum.Spent+part.Spent, sum.Reserved+part.Reserved
		}
		if sum.Spent > 0 || sum.Reserved > 0 {
			c.Spent, c.Reserved = sum.Spent, sum.Reserved
			begin = append(begin, sum)
		}
	}
	if !lock || len(begin) == 0 {
		return nil
	}
	return g.d.Counters.Add(ctx, sc, begin)
}

// recalled reports whether a counter begins with what was there before it. Structuring counts from when it was set, and what rules say of
// acts that are not payments has no record.
func recalled(d policy.Demand) bool {
	if strings.HasPrefix(d.Key.Name, policy.RuleCounter) {
		return d.Measure == policy.MeasureAmount
	}
	return !strings.HasPrefix(d.Key.Name, policy.StructuringCounter)
}

func rolled(k policy.Key, parts []policy.Counter) (policy.Counter, error) {
	var r policy.Rolling
	var err error
	for _, part := range parts {
		if r, err = r.Add(part); err != nil {
			return policy.Counter{}, err
		}
	}
	return r.In(k), nil
}

// paid tells in which policies' scopes the act's payee has been paid before, where that matters.
func (g *Gate) paid(ctx context.Context, sc account.Scope, act Act, policies []policy.Policy) (map[id.Policy]bool, error) {
	history, ok := g.d.Acts.(History)
	if !ok || act.Action != rule.ActionPayment && act.Action != rule.ActionTransfer {
		return nil, nil
	}
	var asking []id.Policy
	var scopes []policy.Scope
	for _, p := range policies {
		if p.AsksForPayee() {
			asking, scopes = append(asking, p.ID), append(scopes, p.Scope)
		}
	}
	if len(asking) == 0 {
		return nil, nil
	}
	known, err := history.Paid(ctx, sc, act.Payee, scopes)
	if err != nil {
		return nil, err
	}
	out := map[id.Policy]bool{}
	for i, p := range asking {
		out[p] = known[i]
	}
	return out, nil
}

// ask makes the act wait, unless it waits or has been approved already.
func (j *judgement) ask(a policy.Assessment) {
	j.Approvals, j.Apart = max(j.Approvals, a.Approvals), j.Apart || a.Apart
	if j.Outcome == policy.Allowed && !j.approved {
		j.Outcome, j.Rule, j.Reason, j.TTL = policy.Parked, a.Rule, a.Reason, a.TTL
	}
}

func (j *judgement) deny(rule, reason string) {
	j.Outcome, j.Rule, j.Reason = policy.Denied, rule, reason
}

// refusalOf returns the error when it says that an act cannot be done, rather than that something broke.
func refusalOf(err error) (*fault.Error, bool) {
	fe, ok := fault.As(err)
	if !ok {
		return nil, false
	}
	switch fe.Kind {
	case fault.PaymentRequired, fault.Forbidden, fault.Invalid, fault.Conflict, fault.NotFound:
		return fe, true
	}
	return nil, false
}

// refuse turns an executor's refusal into a denial where it is one; otherwise it returns it, for a Failed act.
func (j *judgement) refuse(fe *fault.Error) *fault.Error {
	if fe.Kind == fault.PaymentRequired || fe.Kind == fault.Forbidden {
		j.deny(fe.Code, fe.Message)
		j.basis = basisFunds
		return nil
	}
	return fe
}

// decision writes down what was decided.
func (g *Gate) decision(j *judgement) policy.Decision {
	d := policy.Decision{ID: id.New[id.DecisionKind](g.d.IDs), Outcome: j.Outcome, Rule: j.Rule, Reason: j.Reason, At: j.at}
	d.Would = j.Would()
	for _, p := range j.policies {
		d.Policies = append(d.Policies, policy.PinnedVersion{Policy: p.ID, Version: p.Version})
	}
	return d
}

// charge returns what an allowed act changes in its counters: spent at once, or set aside until it ends. For a policy that observes
// nothing is set aside, and what it would have denied is not spent.
func (j *judgement) charge(settled bool) []policy.Counter {
	var out []policy.Counter
	for _, d := range j.Demands {
		switch {
		case settled && (!d.Observed || j.Passes(d.Key.Policy)):
			out = append(out, policy.Counter{Key: d.Key, Spent: d.Amount})
		case !settled && !d.Observed:
			out = append(out, policy.Counter{Key: d.Key, Reserved: d.Amount})
		}
	}
	return out
}
