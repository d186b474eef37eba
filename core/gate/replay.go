package gate

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// ErrNoDecision is returned by Replay for audit entries that note no decision.
var ErrNoDecision = fault.New(fault.Conflict, "no_decision", "the audit entry notes no decision about an act")

// What a noted decision rests on.
const (
	basisPolicies = "policies"
	basisStanding = "standing" // of the tenant, the agent or the receiver; or policies that kept changing
	basisFunds    = "funds"    // what was to do the act refused it
	basisPerson   = "person"   // a person, a freeze, an interrupt, nobody in time, or nobody who could wait for one
)

// Replayed is a decision beside the one that its evidence gives now.
type Replayed struct {
	Then, Now   policy.Decision // without IDs
	Basis       string          // "policies", "standing", "funds" or "person": all but the first are taken as they were noted
	Differences []Difference    // none: the same
}

// Difference is a field of two decisions that differs.
type Difference struct {
	Field     string // outcome, rule, reason or would
	Then, Now string
}

// Replay makes the decision of an audit entry once more, out of the entry's metadata and the policies in their versions as lookup
// finds them. It is pure: it needs no store, and the same arguments give the same answer. ErrNoDecision for an entry without a
// decision; policy.ErrEvidence when it does not say enough, or a version is not to be found; what else lookup returns.
func Replay(agent id.Agent, metadata []byte, lookup func(p id.Policy, version int) (policy.Policy, error)) (Replayed, error) {
	var n noted
	if err := json.Unmarshal(metadata, &n); err != nil || n.Outcome == "" || n.DecidedAt == "" {
		return Replayed{}, ErrNoDecision
	}
	then, c, err := n.read(agent)
	if err != nil {
		return Replayed{}, err
	}
	for _, p := range then.Policies {
		found, err := lookup(p.Policy, p.Version)
		if fault.KindOf(err) == fault.NotFound {
			return Replayed{}, policy.ErrEvidence.Withf("version %d of the policy %s is not known", p.Version, p.Policy)
		}
		if err != nil {
			return Replayed{}, err
		}
		c.Policies = append(c.Policies, found)
	}
	if n.Basis == "" && policy.Judged(c.Subject.Action) && !c.Verdicts.Covers(c.Policies) {
		return Replayed{}, endOnly("what the rules said")
	}
	now, err := policy.Replay(c)
	if n.Basis == "" && errors.Is(err, policy.ErrEvidence) {
		return Replayed{}, endOnly("how full the counters were")
	}
	if err != nil {
		return Replayed{}, err
	}
	r := Replayed{Then: then, Now: now, Basis: n.Basis}
	if r.Basis == "" {
		r.Basis = basisPolicies
	}
	for _, f := range []struct{ name, then, now string }{
		{"outcome", string(then.Outcome), string(now.Outcome)}, {"rule", then.Rule, now.Rule}, {"reason", then.Reason, now.Reason},
		{"would", wouldText(then.Would), wouldText(now.Would)},
	} {
		if f.then != f.now {
			r.Differences = append(r.Differences, Difference{f.name, f.then, f.now})
		}
	}
	return r, nil
}

// endOnly answers for the entry of an act's end: what its decision rested on is in the entry of its beginning, or of its approval.
func endOnly(lacks string) error {
	return policy.ErrEvidence.Withf("the entry notes how the act ended and does not say %s when it was decided; "+
		"the entry of its authorization, transaction_authorized or tool_authorized with the same act_id, can be replayed", lacks)
}

func wouldText(o *policy.Observation) string {
	if o == nil {
		return ""
	}
	return string(o.Outcome) + " by " + o.Rule + " of " + o.Policy.UUID().String() + ": " + o.Reason
}

// noted is what note writes of a decision, as far as it is needed to decide again.
type noted struct {
	Action    string `json:"action"`
	Outcome   string `json:"outcome"`
	Rule      string `json:"rule"`
	Reason    string `json:"reason"`
	DecidedAt string `json:"decided_at"`
	Payee     string `json:"payee"`
	Category  string `json:"category"`
	Tool      string `json:"tool"`
	Amount    string `json:"amount"`
	Currency  string `json:"currency"`
	Tokens    string `json:"tokens"`
	Run       string `json:"run_id"`
	Approved  bool   `json:"approved"`
	Default   bool   `json:"default_allow"`
	Basis     string `json:"basis"`
	Policies  []struct {
		Policy  string `json:"policy_id"`
		Version int    `json:"version"`
	} `json:"policies"`
	Limits   []notedCounter    `json:"limits"`
	Verdicts []notedVerdict    `json:"verdicts"`
	Paid     []string          `json:"paid_before"`
	Would    *notedObservation `json:"would"`
	Card     *notedCard        `json:"card"`
}

type notedCard struct {
	Remote     string `json:"remote_agent_id"`
	Digest     string `json:"digest"`
	Score      int    `json:"score"`
	Valid      bool   `json:"valid"`
	Signed     bool   `json:"signed"`
	Suspicious bool   `json:"suspicious"`
}

type notedCounter struct {
	Policy   string `json:"policy_id"`
	Limit    string `json:"limit"`
	Window   string `json:"window"`
	Start    string `json:"window_start"`
	Unit     string `json:"unit"`
	Run      string `json:"run_id"`
	Spent    string `json:"spent"`
	Reserved string `json:"reserved"`
}

type notedVerdict struct {
	Policy  string `json:"policy_id"`
	Version int    `json:"version"`
	Index   int    `json:"index"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	Limits  []struct {
		Window   string `json:"window"`
		Max      string `json:"max"`
		Currency string `json:"currency"`
	} `json:"limits"`
}

type notedObservation struct {
	Policy  string `json:"policy_id"`
	Version int    `json:"version"`
	Outcome string `json:"outcome"`
	Rule    string `json:"rule"`
	Reason  string `json:"reason"`
}

// reader reads noted texts and keeps the first fault.
type reader struct{ err error }

func (r *reader) bad(what string) {
	if r.err == nil {
		r.err = policy.ErrEvidence.Withf("the entry's %s cannot be read", what)
	}
}

func (r *reader) uuid(text, what string) id.UUID {
	u, err := id.ParseUUID(text)
	if err != nil && text != "" {
		r.bad(what)
	}
	return u
}

func (r *reader) time(text, what string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		r.bad(what)
	}
	return t.UTC()
}

func (r *reader) number(text, what string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.bad(what)
	}
	return n
}

func (r *reader) amount(text, currency, what string) money.Amount {
	a, err := money.Parse(text, money.Currency(currency))
	if err != nil {
		r.bad(what)
	}
	return a
}

func (n noted) read(agent id.Agent) (policy.Decision, policy.Case, error) {
	var r reader
	then := policy.Decision{Outcome: policy.Outcome(n.Outcome), Rule: n.Rule, Reason: n.Reason, At: r.time(n.DecidedAt, "decided_at")}
	for _, p := range n.Policies {
		then.Policies = append(then.Policies, policy.PinnedVersion{Policy: id.Of[id.PolicyKind](r.uuid(p.Policy, "policies")), Version: p.Version})
	}
	if o := n.Would; o != nil {
		then.Would = &policy.Observation{
			Policy: id.Of[id.PolicyKind](r.uuid(o.Policy, "would")), Version: o.Version, Outcome: policy.Outcome(o.Outcome), Rule: o.Rule, Reason: o.Reason,
		}
	}
	c := policy.Case{
		Subject: policy.Subject{
			Action: rule.Action(n.Action), Agent: agent, Payee: n.Payee, Category: n.Category, Tool: n.Tool,
			Run: id.Of[id.SessionKind](r.uuid(n.Run, "run_id")),
		},
		Options: policy.Options{At: then.At, Approved: n.Approved, DefaultAllow: n.Default},
	}
	if c.Subject.Action == rule.ActionTransfer {
		c.Subject.Payee = id.Of[id.AgentKind](r.uuid(n.Payee, "payee")).String()
	}
	if n.Amount != "" {
		a := r.amount(n.Amount, n.Currency, "amount")
		c.Subject.Amount = &a
	}
	if n.Tokens != "" {
		c.Subject.Tokens = r.number(n.Tokens, "tokens")
	}
	if d := n.Card; d != nil {
		c.Subject.Card = &rule.Card{
			Remote: id.Of[id.RemoteAgentKind](r.uuid(d.Remote, "card")), Digest: d.Digest, Score: d.Score, Valid: d.Valid, Signed: d.Signed,
			Suspicious: d.Suspicious,
		}
	}
	n.evidence(&r, &c)
	if n.Basis != "" && n.Basis != basisPolicies {
		fixed := then
		c.Fixed = &fixed
	}
	return then, c, r.err
}

// evidence reads counters, verdicts and known payees.
func (n noted) evidence(r *reader, c *policy.Case) {
	for _, l := range n.Limits {
		c.Counters = append(c.Counters, policy.Counter{
			Key: policy.Key{
				Policy: id.Of[id.PolicyKind](r.uuid(l.Policy, "limits")), Name: l.Limit, Window: rule.Window(l.Window),
				Start: r.time(l.Start, "limits"), Unit: l.Unit, Run: id.Of[id.SessionKind](r.uuid(l.Run, "limits")),
			},
			Spent: r.number(l.Spent, "limits"), Reserved: r.number(l.Reserved, "limits"),
		})
	}
	c.Verdicts = policy.Verdicts{}
	for _, v := range n.Verdicts {
		verdict := rule.Verdict{Outcome: rule.Outcome(v.Outcome), Reason: v.Reason}
		for _, l := range v.Limits {
			verdict.Limits = append(verdict.Limits, rule.Limit{Window: rule.Window(l.Window), Max: r.amount(l.Max, l.Currency, "verdicts")})
		}
		c.Verdicts[policy.RuleKey{Policy: id.Of[id.PolicyKind](r.uuid(v.Policy, "verdicts")), Version: v.Version, Index: v.Index}] = verdict
	}
	c.Options.Paid = map[id.Policy]bool{}
	for _, p := range n.Paid {
		c.Options.Paid[id.Of[id.PolicyKind](r.uuid(strings.TrimSpace(p), "paid"))] = true
	}
}
