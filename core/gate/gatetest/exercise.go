package gatetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// The caps of an exercise. They are small, so that random amounts of a byte meet them often.
const (
	exerciseDaily  = 300 // per agent and day, USDC
	exerciseTenant = 700 // of all agents, for ever, USDC
	exerciseBudget = 400 // per agent and day, USD
	exerciseAsk    = 90  // approval threshold
)

// Exercise reads ops as a sequence of operations of a gate, three bytes each, and carries them out. Again and again, and at the
// end, it demands that
//
//   - the ledger's invariants hold, and what left an agent's wallet is what its Done acts say, not a micro-unit more;
//   - each counter is the sum of the Done acts of its window plus what started acts have set aside, and within its cap;
//   - a frozen agent's acts are denied, and repeating an act under its key changes nothing.
//
// It is the body of fuzz targets: every sequence of bytes means something.
func Exercise(tb testing.TB, st Store, ops []byte) {
	tb.Helper()
	x := &exercise{tb: tb, l: NewLab(tb, st, Options{}), frozen: map[id.Agent]bool{}, spent: map[id.Agent]int64{}, day: map[string]int64{}}
	for range 3 {
		a := x.l.Agent(tb, 0)
		x.agents = append(x.agents, a)
		x.own = append(x.own, x.l.Policy(tb, a, policy.Limits{
			DailyLimit: ptr(USDC(exerciseDaily)), RequireApprovalAbove: ptr(USDC(exerciseAsk)), ApprovalTTL: time.Hour,
			DailyCostLimit: ptr(money.Of(exerciseBudget, money.USD)),
		}))
	}
	x.tenant = x.l.Policy(tb, id.Agent{}, policy.Limits{AllTimeLimit: ptr(USDC(exerciseTenant))})
	for len(ops) >= 3 && !tb.Failed() {
		x.step(ops[0], int(ops[1])%len(x.agents), int64(ops[2]))
		ops = ops[3:]
		if len(ops)%24 < 3 { // every eighth, and the last: the whole ledger is read
			x.check()
		}
	}
}

type exercise struct {
	tb     testing.TB
	l      *Lab
	agents []id.Agent
	own    []policy.Policy
	tenant policy.Policy

	frozen  map[id.Agent]bool
	spent   map[id.Agent]int64 // what Done acts have moved out
	total   int64
	day     map[string]int64 // the same, and budgets, by counter and day
	acts    []gate.Act
	parked  []gate.Record
	started []gate.Record
	keys    int
}

func (x *exercise) step(code byte, who int, size int64) {
	a := x.agents[who]
	switch code % 12 {
	case 0, 1:
		_, err := x.l.Wallets.Deposit(bg, x.l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(size + 1)})
		x.may(err)
	case 2, 3, 4:
		x.perform(Payment(a, x.key(), size+1))
	case 5:
		x.perform(transferAct(a, x.agents[(who+1+int(size)%2)%3], x.key(), size+1))
	case 6:
		x.again(size)
	case 7:
		x.decide(size)
	case 8:
		x.freeze(a)
	case 9:
		rec, err := x.l.Begin(bg, x.l.Scope, modelCall(a, x.key(), size, 0), nil)
		x.may(err)
		x.expectFrozen(rec)
		if rec.State == gate.Started {
			x.started = append(x.started, rec)
		}
	case 10:
		x.end(size)
	case 11:
		x.l.Clock.Set(x.l.Clock.Now().Add(time.Duration(size) * 10 * time.Minute))
		// Listing expires what is due.
		if _, err := x.l.Approvals(bg, x.l.Scope, policy.ApprovalFilter{}, page.Request{}); err != nil {
			x.tb.Error(err)
		}
	}
}

// may fails the test for an error that says that something broke, rather than that somebody asked in vain.
func (x *exercise) may(err error) {
	x.tb.Helper()
	if err != nil && fault.KindOf(err) == fault.Internal {
		x.tb.Error(err)
	}
}

func (x *exercise) key() string {
	x.keys++
	return fmt.Sprint(x.keys)
}

func (x *exercise) perform(act gate.Act) {
	rec, err := x.l.Perform(bg, x.l.Scope, act)
	x.may(err)
	if err != nil {
		return
	}
	x.acts = append(x.acts, act)
	x.expectFrozen(rec)
	x.done(rec)
	if rec.State == gate.Parked {
		x.parked = append(x.parked, rec)
	}
}

func (x *exercise) expectFrozen(rec gate.Record) {
	if x.frozen[rec.Act.Agent] && rec.State != gate.Denied {
		x.tb.Errorf("an act of a frozen agent is %s", rec.State)
	}
}

// done enters an act that moved money into the model.
func (x *exercise) done(rec gate.Record) {
	if rec.State != gate.Done {
		return
	}
	x.spent[rec.Act.Agent] += rec.Act.Amount.Micros
	x.total += rec.Act.Amount.Micros
	x.day[x.dayKey("daily_limit", rec.Act.Agent, x.l.now())] += rec.Act.Amount.Micros
}

func (x *exercise) dayKey(counter string, a id.Agent, at time.Time) string {
	return counter + a.String() + at.Format(time.DateOnly)
}

// again repeats an act; whatever became of it, nothing may change.
func (x *exercise) again(size int64) {
	if len(x.acts) == 0 {
		return
	}
	act := x.acts[size%int64(len(x.acts))]
	before, ok, err := x.l.Lookup(bg, x.l.Scope, act.Key)
	if err != nil || !ok {
		x.tb.Errorf("an act is gone: %v", err)
		return
	}
	rec, err := x.l.Perform(bg, x.l.Scope, act)
	if err != nil || rec.ID != before.ID || rec.State != before.State {
		x.tb.Errorf("repeated: %+v, %v; want %+v", rec, err, before)
	}
	act.Amount = ptr(USDC(act.Amount.Micros + 1))
	if _, err := x.l.Perform(bg, x.l.Scope, act); !errors.Is(err, gate.ErrKeyReused) {
		x.tb.Errorf("a key with another amount: %v", err)
	}
}

func (x *exercise) decide(size int64) {
	if len(x.parked) == 0 {
		return
	}
	rec := x.parked[size%int64(len(x.parked))]
	if size%5 == 0 {
		_, err := x.l.Deny(bg, x.l.Scope, rec.Approval, "no")
		x.may(err)
		return
	}
	_, rec, err := x.l.Approve(bg, x.l.Scope, rec.Approval)
	x.may(err)
	if err == nil {
		x.expectFrozen(rec)
		x.done(rec)
	}
}

func (x *exercise) freeze(a id.Agent) {
	if x.frozen[a] {
		x.may(x.l.Unfreeze(bg, x.l.Scope, a))
	} else {
		_, err := x.l.Freeze(bg, x.l.Scope, a)
		x.may(err)
	}
	x.frozen[a] = !x.frozen[a]
}

func (x *exercise) end(size int64) {
	if len(x.started) == 0 {
		return
	}
	i := size % int64(len(x.started))
	rec := x.started[i]
	s := gate.Settlement{State: gate.Done}
	counted := rec.Act.Amount.Micros
	switch size % 3 {
	case 0:
		s.State, counted = gate.Failed, 0
	case 1:
		counted /= 2
		cost := money.Pico(counted * money.PicosPerMicro)
		s.Cost = &cost
	}
	if _, err := x.l.End(bg, x.l.Scope, rec, s, nil); err != nil {
		x.tb.Error(err)
	}
	x.day[x.dayKey("daily_cost_limit", rec.Act.Agent, rec.CreatedAt)] += counted
	x.started = append(x.started[:i], x.started[i+1:]...)
}

func (x *exercise) check() {
	x.tb.Helper()
	x.l.Sound(x.tb)
	now := x.l.now()
	for i, a := range x.agents {
		if paid, _ := x.l.Paid(x.tb, a); paid != x.spent[a] {
			x.tb.Errorf("%d left the wallet; the acts say %d", paid, x.spent[a])
		}
		c := x.l.Counter(x.tb, x.own[i], "daily_limit", rule.WindowDay, "USDC")
		if want := x.day[x.dayKey("daily_limit", a, now)]; c.Spent != want || c.Reserved != 0 || c.Spent > exerciseDaily {
			x.tb.Errorf("daily counter %+v; want %d spent, within %d", c, want, exerciseDaily)
		}
		var open int64
		for _, rec := range x.started {
			if rec.Act.Agent == a && rec.CreatedAt.Format(time.DateOnly) == now.Format(time.DateOnly) {
				open += rec.Act.Amount.Micros
			}
		}
		c = x.l.Counter(x.tb, x.own[i], "daily_cost_limit", rule.WindowDay, "USD")
		if want := x.day[x.dayKey("daily_cost_limit", a, now)]; c.Spent != want || c.Reserved != open || want+open > exerciseBudget {
			x.tb.Errorf("budget %+v; want %d spent and %d set aside, within %d", c, want, open, exerciseBudget)
		}
	}
	c := x.l.Counter(x.tb, x.tenant, "all_time_limit", rule.WindowAll, "USDC")
	if c.Spent != x.total || c.Spent > exerciseTenant {
		x.tb.Errorf("all-time counter %+v; want %d, within %d", c, x.total, exerciseTenant)
	}
	n, err := x.l.Store.Acts.InFlight(context.Background(), x.l.Scope, gate.Unstarted{})
	if err != nil || n != len(x.started) {
		x.tb.Errorf("%d acts in flight, %v; want %d", n, err, len(x.started))
	}
}

// randomOps returns n operations of a seed.
func randomOps(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]byte, 3*n)
	for i := range out {
		out[i] = byte(r.UintN(256))
	}
	return out
}
