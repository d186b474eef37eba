package telemetry

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

const (
	// acquainted is for how long an agent that was there is taken to be there still. One that another process destroys can report that
	// much longer; what it reports then goes when its grave is swept, like what was under way when it was destroyed.
	acquainted = time.Second
	// maxAcquaintances bounds what is remembered; beyond it everyone is asked for again.
	maxAcquaintances = 10_000
)

// acquaintances remembers agents that are there, so that a batch need not ask. The zero value remembers nobody.
type acquaintances struct {
	mu     sync.Mutex
	until  map[owner]time.Time
	parted uint64 // how often agents were forgotten
}

// strangers returns those of the agents that have to be asked for, and what meet wants to be told once they were found.
func (q *acquaintances) strangers(tenant id.Tenant, agents []id.Agent, now time.Time) (unknown []id.Agent, parted uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, a := range agents {
		left := q.until[owner{tenant, a}].Sub(now)
		if left <= 0 || left > acquainted { // more is left when the clock was put back
			unknown = append(unknown, a)
		}
	}
	return unknown, q.parted
}

// meet remembers agents that were there at a time, unless some were forgotten since strangers named them: they may be among them.
func (q *acquaintances) meet(tenant id.Tenant, agents []id.Agent, at time.Time, parted uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if parted != q.parted {
		return
	}
	if q.until == nil || len(q.until)+len(agents) > maxAcquaintances {
		q.until = make(map[owner]time.Time, len(agents))
	}
	for _, a := range agents {
		q.until[owner{tenant, a}] = at.Add(acquainted)
	}
}

// part forgets an agent.
func (q *acquaintances) part(o owner) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.parted++
	delete(q.until, o)
}

// known returns id.NotFound for the first event whose agent is not there.
func (s *Service) known(ctx context.Context, sc account.Scope, events []NewEvent) error {
	agents := make([]id.Agent, 0, 8)
	seen := make(map[id.Agent]struct{}, 8)
	last := id.Agent{}
	for i := range events {
		a := events[i].Agent
		if a == last {
			continue
		}
		last = a
		if _, ok := seen[a]; !ok {
			seen[a] = struct{}{}
			agents = append(agents, a)
		}
	}
	now := s.d.Clock.Now()
	agents, parted := s.there.strangers(sc.Tenant, agents, now)
	if len(agents) == 0 {
		return nil
	}
	missing, err := s.d.Roster.Missing(ctx, sc, agents)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if slices.Contains(missing, a) {
			return id.NotFound[id.AgentKind](a.String())
		}
	}
	// In a transaction they may have been made by it, and be gone with it.
	s.d.TX.AfterCommit(ctx, func() { s.there.meet(sc.Tenant, agents, now, parted) })
	return nil
}
