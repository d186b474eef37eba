package gate

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// MaxPastActs bounds how many acts a Backtest walks, unless a Config says otherwise, those included that fill windows before its beginning.
const MaxPastActs = 100_000

// pastBatch is how many acts a Backtest reads at once.
const pastBatch = 1000

// proposed are the stored policies with one that is not stored, in place of the stored one of its id if there is one.
type proposed struct {
	Policies

	p policy.Policy
}

func (o proposed) Applicable(ctx context.Context, sc account.Scope, w policy.Whom) ([]policy.Policy, error) {
	stored, err := o.Policies.Applicable(ctx, sc, w)
	stored = slices.DeleteFunc(slices.Clone(stored), func(p policy.Policy) bool { return p.ID == o.p.ID })
	if err == nil && o.p.Scope.Includes(w) {
		stored = append(stored, o.p)
	}
	return stored, err
}

// SimulateWith is Simulate as though p were stored, in place of the stored policy of its id if there is one. The windows of payments of a
// policy that is not stored begin with what was spent; its budgets for costs begin as those of a policy that is made now.
func (g *Gate) SimulateWith(ctx context.Context, sc account.Scope, act Act, p policy.Policy) (policy.Decision, error) {
	d := g.d
	d.Policies = proposed{g.d.Policies, p}
	other := &Gate{d: d, c: g.c, judge: g.judge, observer: g.observer, stopper: g.stopper}
	return other.Simulate(ctx, sc, act)
}

// PastAct is a payment or a transfer that was done.
type PastAct struct {
	ID       id.Act
	Agent    id.Agent
	Run      id.Session
	Action   rule.Action
	Amount   money.Amount
	Payee    string
	Category string
	At       time.Time
}

// Past is what a Repository may offer beside: without it there is no Backtest.
type Past interface {
	// PastActs returns the payments and transfers of a scope that were done at from or later and before to, in the order of At and ID,
	// behind the place of after, at most limit. Of a swarm they are the acts of those who are members now.
	PastActs(ctx context.Context, sc account.Scope, s policy.Scope, from, to time.Time, after PastAct, limit int) ([]PastAct, error)
}

// BacktestRequest asks what a policy would have done.
type BacktestRequest struct {
	Policy   policy.Policy // need not be stored; its scope chooses the acts
	From, To time.Time     // From inclusive, To exclusive; a zero To is now
	Agent    id.Agent      // reports the acts of one agent only; windows count all of the scope
	Page     page.Request  // of Changed
}

// Backtest is what a policy would have done about acts that were done.
type Backtest struct {
	Acts, Allowed, Denied, Parked int
	Amounts                       []BacktestAmount // by currency
	Rules                         []BacktestRule   // those that would have stopped acts, by name
	Changed                       page.Page[ChangedAct]
	SkippedRules                  []string // plugin rules of the policy, which are not asked about the past and count as allowing

	From, To time.Time // of the acts that it covers
	// Truncated says that there were too many acts to walk, so that To is before the To that was asked for. Nothing is covered, and
	// To is From, when there were too many before From already.
	Truncated bool
}

// BacktestAmount adds up the acts of one currency.
type BacktestAmount struct {
	Currency                       money.Currency
	Total, Allowed, Denied, Parked int64 // micro-units
}

// BacktestRule counts the acts that one rule would have stopped.
type BacktestRule struct {
	Rule           string
	Denied, Parked int
}

// ChangedAct is an act that was done and would have been stopped.
type ChangedAct struct {
	PastAct

	Outcome policy.Outcome // Denied or Parked
	Rule    string
	Reason  string
}

// Backtest answers what a policy would have done, by itself, about the payments and transfers that were done in a time. It walks them in
// the order in which they were done, with windows in memory: what the policy would have denied does not count in them, and what it would
// have parked counts as though it had been approved. What went before From counts as it was. Acts that were denied then stay out.
// Acts over rails count with what was asked for, and refunds give nothing back, as in windows. The mode of the policy is of no account.
// It leaves no trace, and holds no locks.
func (g *Gate) Backtest(ctx context.Context, sc account.Scope, r BacktestRequest) (Backtest, error) {
	past, ok := g.d.Acts.(Past)
	if !ok {
		return Backtest{}, fault.New(fault.Unavailable, "backtest_unavailable", "the store does not keep the past")
	}
	if r.To.IsZero() {
		at, err := g.now(ctx)
		if err != nil {
			return Backtest{}, err
		}
		r.To = at.Add(time.Microsecond)
	}
	if !r.From.Before(r.To) {
		return Backtest{}, fault.Invalidf("to", "must be after from")
	}
	behind, err := readPlace(r.Page.Cursor)
	if err != nil {
		return Backtest{}, err
	}
	r.Policy.Mode = policy.Enforce
	b := backtester{
		request: r, behind: behind, verdicts: policy.Verdicts{}, windows: map[policy.Key]policy.Counter{},
		rolling: map[policy.Key]policy.Rolling{}, paid: map[[sha256.Size]byte]bool{},
	}
	b.out.From, b.out.To = r.From, r.To
	for i, ref := range r.Policy.Rules {
		b.verdicts[policy.RuleKey{Policy: r.Policy.ID, Version: r.Policy.Version, Index: i}] = rule.Verdict{Outcome: rule.Allow}
		b.out.SkippedRules = append(b.out.SkippedRules, ref.Plugin)
	}
	var last PastAct
	from := r.Policy.Since(r.From)
	for left := g.c.PastActs; left > 0; {
		batch := min(left, pastBatch)
		acts, err := past.PastActs(ctx, sc, r.Policy.Scope, from, r.To, last, batch)
		if err != nil {
			return Backtest{}, err
		}
		for _, a := range acts {
			if err := b.walk(a); err != nil {
				return Backtest{}, err
			}
			last = a
		}
		if len(acts) < batch {
			return b.out, nil
		}
		left -= batch
	}
	return b.truncated(last), nil
}

// truncated returns what was found up to and including last.
func (b *backtester) truncated(last PastAct) Backtest {
	b.out.Truncated, b.out.To = true, b.request.From
	if until := last.At.Add(time.Microsecond); until.After(b.request.From) {
		b.out.To = until
	}
	return b.out
}

type backtester struct {
	request  BacktestRequest
	behind   PastAct
	verdicts policy.Verdicts
	windows  map[policy.Key]policy.Counter // by the key without its Start: acts come in order, so a window that began later replaces it
	rolling  map[policy.Key]policy.Rolling // likewise
	paid     map[[sha256.Size]byte]bool    // by the digest of policy.PayeeKey: names may be long
	out      Backtest
}

func anyStart(k policy.Key) policy.Key {
	k.Start = time.Time{}
	return k
}

// counter returns how full the counter of a key is.
func (b *backtester) counter(k policy.Key) policy.Counter {
	if policy.Rolls(k.Window) {
		return b.rolling[anyStart(k)].In(k)
	}
	if c, ok := b.windows[anyStart(k)]; ok && c.Key == k {
		return c
	}
	return policy.Counter{Key: k}
}

// walk judges one act and counts it.
func (b *backtester) walk(a PastAct) error {
	p := b.request.Policy
	c := policy.Case{
		Subject: policy.Subject{
			Action: a.Action, Agent: a.Agent, Amount: &a.Amount, Payee: a.Payee, Category: a.Category, Run: a.Run,
		},
		Policies: []policy.Policy{p}, Verdicts: b.verdicts,
		Options: policy.Options{At: a.At},
	}
	var payee [sha256.Size]byte
	if p.AsksForPayee() {
		payee = sha256.Sum256([]byte(policy.PayeeKey(a.Payee)))
		c.Options.Paid = map[id.Policy]bool{p.ID: b.paid[payee]}
	}
	demands := policy.Assess(c.Policies, c.Verdicts, c.Subject, c.Options).Demands
	for _, d := range demands {
		c.Counters = append(c.Counters, b.counter(d.Key))
	}
	decision, err := policy.Replay(c)
	if err != nil {
		return fmt.Errorf("gate: backtest: %w", err)
	}
	before := a.At.Before(b.request.From)
	if !before && (b.request.Agent.IsZero() || b.request.Agent == a.Agent) {
		b.report(a, decision)
	}
	if decision.Outcome == policy.Denied && !before {
		return nil
	}
	if p.AsksForPayee() {
		b.paid[payee] = true
	}
	for i, d := range demands {
		key := anyStart(d.Key)
		if !policy.Rolls(d.Key.Window) {
			c.Counters[i].Spent += d.Amount
			b.windows[key] = c.Counters[i]
			continue
		}
		if b.rolling[key], err = b.rolling[key].Add(policy.Counter{Key: d.Key, Spent: d.Amount}); err != nil {
			return err
		}
	}
	return nil
}

func (b *backtester) report(a PastAct, d policy.Decision) {
	out := &b.out
	i := slices.IndexFunc(out.Amounts, func(x BacktestAmount) bool { return x.Currency == a.Amount.Currency })
	if i < 0 {
		i = len(out.Amounts)
		out.Amounts = append(out.Amounts, BacktestAmount{Currency: a.Amount.Currency})
	}
	sum := &out.Amounts[i]
	out.Acts++
	sum.Total += a.Amount.Micros
	if d.Outcome == policy.Allowed {
		out.Allowed++
		sum.Allowed += a.Amount.Micros
		return
	}
	n, found := slices.BinarySearchFunc(out.Rules, d.Rule, func(r BacktestRule, name string) int { return strings.Compare(r.Rule, name) })
	if !found {
		out.Rules = slices.Insert(out.Rules, n, BacktestRule{Rule: d.Rule})
	}
	if d.Outcome == policy.Denied {
		out.Denied++
		out.Rules[n].Denied++
		sum.Denied += a.Amount.Micros
	} else {
		out.Parked++
		out.Rules[n].Parked++
		sum.Parked += a.Amount.Micros
	}
	if !b.behind.ID.IsZero() && !after(a, b.behind) {
		return
	}
	if changed := &out.Changed; len(changed.Items) < b.request.Page.Size() {
		changed.Items = append(changed.Items, ChangedAct{a, d.Outcome, d.Rule, d.Reason})
	} else if changed.Next == "" {
		changed.Next = cursorOf(changed.Items[len(changed.Items)-1].PastAct)
	}
}

// after reports whether a comes after b in the order of PastActs.
func after(a, b PastAct) bool {
	if n := a.At.Compare(b.At); n != 0 {
		return n > 0
	}
	return a.ID.UUID().String() > b.ID.UUID().String()
}

func cursorOf(a PastAct) string {
	return base64.RawURLEncoding.EncodeToString([]byte(stamp(a.At) + " " + a.ID.UUID().String()))
}

func readPlace(cursor string) (PastAct, error) {
	if cursor == "" {
		return PastAct{}, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	at, act, _ := strings.Cut(string(text), " ")
	t, terr := time.Parse(time.RFC3339Nano, at)
	u, uerr := id.ParseUUID(act)
	if err != nil || terr != nil || uerr != nil {
		return PastAct{}, fault.Invalidf("cursor", "is not a cursor of this list")
	}
	return PastAct{ID: id.Of[id.ActKind](u), At: t}, nil
}
