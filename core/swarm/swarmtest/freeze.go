package swarmtest

import (
	"errors"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

func (e *env) perform(t *testing.T, act gate.Act) gate.Record {
	t.Helper()
	rec, err := e.Perform(e.ctx, e.sc, act)
	noError(t, err)
	return rec
}

func transfer(from, to id.Agent) gate.Act {
	amount := gatetest.USDC(1)
	return gate.Act{Action: rule.ActionTransfer, Agent: from, Payee: to.String(), Amount: &amount}
}

func freezeStops(t *testing.T, e *env) {
	a, b, outside := e.Agent(t, 100), e.Agent(t, 100), e.Agent(t, 100)
	thirty := gatetest.USDC(30)
	e.Policy(t, id.Agent{}, policy.Limits{RequireApprovalAbove: &thirty})
	v := e.swarm(t, "one", a, b)
	waits, others := e.perform(t, gatetest.Payment(a, "waits", 40)), e.perform(t, gatetest.Payment(outside, "others", 40))
	begin := func(of id.Agent, key string) gate.Record {
		t.Helper()
		rec, err := e.Begin(e.ctx, e.sc, gate.Act{Key: key, Action: rule.ActionToolCall, Agent: of, Tool: "t"}, nil)
		noError(t, err)
		return rec
	}
	begun, theirs := begin(b, "tool"), begin(outside, "their tool")
	e.Stopper.Turns = 2
	r, err := e.FreezeSwarm(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, gate.FreezeReport{Stopped: 3, InFlight: 1, Voided: 1, Turns: 2}, r)
	for rec, want := range map[id.Act]gate.State{waits.ID: gate.Denied, others.ID: gate.Parked, begun.ID: gate.Started, theirs.ID: gate.Started} {
		got, err := e.Store.Acts.Get(e.ctx, e.sc, rec)
		noError(t, err)
		equal(t, want, got.State)
	}
	for _, act := range []gate.Act{gatetest.Payment(a, "1", 10), gatetest.Payment(b, "2", 10), transfer(outside, a), transfer(b, outside)} {
		equal(t, policy.RuleFrozen, e.perform(t, act).Decision.Rule)
	}
	equal(t, policy.RuleFrozen, begin(a, "another tool").Decision.Rule)
	equal(t, gate.Done, e.perform(t, gatetest.Payment(outside, "3", 10)).State)
	_, err = e.End(e.ctx, e.sc, begun, gate.Settlement{State: gate.Done}, nil) // what had begun settles
	noError(t, err)
	noError(t, e.UnfreezeSwarm(e.ctx, e.sc, v.ID))
	equal(t, gate.Done, e.perform(t, gatetest.Payment(a, "4", 10)).State)
	e.Sound(t)
}

// busy has two callers for each of some agents act until the function that it returns is called, which waits for them.
func (e *env) busy(t *testing.T, act func(a id.Agent) gate.Act, agents ...id.Agent) (end func()) {
	t.Helper()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, a := range append(agents, agents...) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := e.Perform(e.ctx, e.sc, act(a)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return func() {
		close(stop)
		wg.Wait()
	}
}

// freezeRaces checks that nothing is paid by a member once the freeze has returned, while callers try all the time.
func freezeRaces(t *testing.T, e *env) {
	a, b := e.Agent(t, 1_000_000), e.Agent(t, 1_000_000)
	e.Policy(t, id.Agent{}, policy.Limits{})
	v := e.swarm(t, "one", a, b)
	payments := func() (n int) {
		for _, of := range []id.Agent{a, b} {
			_, count := e.Paid(t, of)
			n += count
		}
		return n
	}
	end := e.busy(t, func(of id.Agent) gate.Act { return gatetest.Payment(of, "", 1) }, a, b)
	defer end()
	for range 3 {
		_, err := e.FreezeSwarm(e.ctx, e.sc, v.ID)
		noError(t, err)
		before := payments()
		for range 5 { // the callers' tries come between
			equal(t, policy.RuleFrozen, e.perform(t, gatetest.Payment(a, "", 1)).Decision.Rule)
		}
		equal(t, before, payments())
		noError(t, e.UnfreezeSwarm(e.ctx, e.sc, v.ID))
	}
}

// noDeadlock has everything that locks swarms and agents come at once.
func noDeadlock(t *testing.T, e *env) {
	a, b := e.Agent(t, 1_000_000), e.Agent(t, 1_000_000)
	e.Policy(t, id.Agent{}, policy.Limits{})
	one, two := e.swarm(t, "one", a, b), e.swarm(t, "two")
	end := e.busy(t, func(from id.Agent) gate.Act {
		if from == a {
			return transfer(a, b)
		}
		return transfer(b, a)
	}, a, b)
	var changes sync.WaitGroup
	try := func(err error) {
		if err != nil && !errors.Is(err, swarm.ErrFrozen) {
			t.Error(err)
		}
	}
	for i, v := range []swarm.Swarm{one, two} {
		of := []id.Agent{a, b}[i]
		changes.Go(func() {
			for range 4 {
				_, err := e.FreezeSwarm(e.ctx, e.sc, v.ID)
				try(err)
				try(e.UnfreezeSwarm(e.ctx, e.sc, v.ID))
			}
		})
		changes.Go(func() {
			for range 4 {
				try(e.Join(e.ctx, e.sc, two.ID, of))
				try(e.Join(e.ctx, e.sc, one.ID, of))
				_, err := e.Freeze(e.ctx, e.sc, a)
				try(err)
				try(e.Unfreeze(e.ctx, e.sc, a))
			}
		})
	}
	changes.Wait()
	end()
	e.Sound(t)
}
