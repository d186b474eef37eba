package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bureau-agents/bureau/app/internal/process"
)

const (
	frozenAgents = 8
	freezeCalls  = 60                     // of each kind
	freezeLull   = 100 * time.Millisecond // how long a frozen agent is watched for payments
)

// freezes measures how long a freeze takes while every caller pays all the time, through two processes where the database is shared:
// until the call returns, and until the last payment that it let through was answered. After it has returned nothing may be paid.
func (b *bench) freezes(ctx context.Context) error {
	fleet := []*process.Server{b.server}
	if b.database != "" {
		other, err := b.server.StartReplica(ctx, filepath.Join(b.dir, "freezer"))
		if err != nil {
			return err
		}
		defer other.Kill()
		fleet = append(fleet, other)
	}
	f := &freezer{bench: b, fleet: fleet}
	if err := f.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var paying sync.WaitGroup
	defer paying.Wait()
	defer cancel()
	for i := range b.connections {
		paying.Go(func() { f.pay(ctx, i) })
	}
	for what, path := range map[string]string{"one agent": "/v1/agents/" + f.agents[0], "a swarm of 8": "/v1/swarms/" + f.swarm} {
		of := f.agents
		if what == "one agent" {
			of = of[:1]
		}
		if err := f.measure(ctx, what, path, of); err != nil {
			return err
		}
	}
	return nil
}

// freezer is agents of a swarm that pay without end.
type freezer struct {
	*bench

	fleet  []*process.Server
	swarm  string
	agents []string
	last   [frozenAgents]atomic.Int64 // when a payment of the agent was answered last, in nanoseconds of Unix
	paid   [frozenAgents]atomic.Int64
	failed atomic.Pointer[error]
}

func (f *freezer) prepare(ctx context.Context) error {
	usdc := func(amount string) map[string]any { return map[string]any{"amount": amount, "currency": "USDC"} }
	create := func(path string, body any) (string, error) {
		var m made
		err := f.server.Call(ctx, "POST", path, "", body, &m)
		return m.ID, err
	}
	var err error
	if f.swarm, err = create("/v1/swarms", map[string]any{"name": "load"}); err != nil {
		return err
	}
	if _, err := create("/v1/policies", map[string]any{"scope": map[string]any{"swarm_id": f.swarm}, "limits": map[string]any{}}); err != nil {
		return err
	}
	for range frozenAgents {
		a, err := create("/v1/agents", map[string]any{"name": "payer", "model": "offline", "swarm_id": f.swarm})
		if err != nil {
			return err
		}
		if _, err := create("/v1/agents/"+a+"/wallet/deposits", map[string]any{"amount": usdc("1000000"), "description": "load"}); err != nil {
			return err
		}
		f.agents = append(f.agents, a)
	}
	return nil
}

// pay is one caller.
func (f *freezer) pay(ctx context.Context, caller int) {
	agent := caller % frozenAgents
	server := f.fleet[caller/frozenAgents%len(f.fleet)]
	body := map[string]any{"amount": map[string]any{"amount": "0.01", "currency": "USDC"}, "payee": "vendor.example", "description": "load"}
	for ctx.Err() == nil {
		var answer struct {
			Status string `json:"status"`
		}
		err := server.Call(ctx, "POST", "/v1/agents/"+f.agents[agent]+"/wallet/payments", "", body, &answer)
		switch {
		case err != nil && ctx.Err() == nil:
			f.failed.Store(&err)
			return
		case answer.Status == "completed":
			f.last[agent].Store(time.Now().UnixNano())
			f.paid[agent].Add(1)
		}
	}
}

// balances is what the agents' wallets hold.
func (f *freezer) balances(ctx context.Context, agents []string) (string, error) {
	var all []string
	for _, a := range agents {
		var wallet struct {
			Balance struct {
				Amount string `json:"amount"`
			} `json:"balance"`
		}
		if err := f.server.Call(ctx, "GET", "/v1/agents/"+a+"/wallet", "", nil, &wallet); err != nil {
			return "", err
		}
		all = append(all, wallet.Balance.Amount)
	}
	return strings.Join(all, " "), nil
}

// measure freezes and unfreezes what is at path, and with it the first of the agents.
func (f *freezer) measure(ctx context.Context, what, path string, agents []string) error {
	var took, last []time.Duration
	late := 0
	for range freezeCalls {
		if err := f.underWay(ctx, len(agents)); err != nil {
			return err
		}
		began := time.Now()
		if err := f.server.Call(ctx, "POST", path+"/freeze", "", nil, nil); err != nil {
			return err
		}
		took = append(took, time.Since(began))
		before, err := f.balances(ctx, agents)
		if err != nil {
			return err
		}
		if err := pause(ctx, freezeLull); err != nil {
			return err
		}
		after, err := f.balances(ctx, agents)
		if err != nil {
			return err
		}
		if before != after {
			late++
		}
		end := time.Duration(0)
		for i := range agents {
			end = max(end, time.Unix(0, f.last[i].Load()).Sub(began))
		}
		last = append(last, end)
		if err := f.server.Call(ctx, "POST", path+"/unfreeze", "", nil, nil); err != nil {
			return err
		}
	}
	f.say("freeze of "+what+" until it returns", "%s", spread(took))
	f.say("  until its last payment is answered", "%s", spread(last))
	f.say("  freezes after which something was paid", "%d of %d", late, freezeCalls)
	if late > 0 {
		return errors.New("payments went through after a freeze had returned")
	}
	return nil
}

// underWay waits until every one of the first n agents has paid once more.
func (f *freezer) underWay(ctx context.Context, n int) error {
	for i := range n {
		for from := f.paid[i].Load(); f.paid[i].Load() < from+2; {
			if failed := f.failed.Load(); failed != nil {
				return *failed
			}
			if err := pause(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

func spread(times []time.Duration) string {
	s := sample{times: times}
	slices.Sort(s.times)
	return fmt.Sprintf("p50 %-8s p99 %-8s max %-8s", s.at(0.50), s.at(0.99), s.at(1))
}
