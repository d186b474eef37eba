package telemetry

import (
	"context"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Forget deletes a chunk of an agent's events in the transaction of ctx, and has Run delete what is left once that is committed. It may come
// again: as long as Unfinished says so, it has to.
func (s *Service) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	s.d.TX.AfterCommit(ctx, func() { s.there.part(owner{sc.Tenant, agent}) })
	n, err := s.d.Events.DeleteEvents(ctx, sc, agent, time.Time{}, s.chunk)
	if err != nil || n < s.chunk {
		return err
	}
	s.d.TX.AfterCommit(ctx, func() {
		s.mu.Lock()
		s.doomed[owner{sc.Tenant, agent}] = struct{}{}
		s.mu.Unlock()
		select {
		case s.wake <- struct{}{}:
		default:
		}
	})
	return nil
}

// Unfinished reports whether there are events of a destroyed agent still.
func (s *Service) Unfinished(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error) {
	p, err := s.d.Events.Events(ctx, sc, Filter{Agent: agent}, page.Request{Limit: 1})
	return len(p.Items) > 0, err
}

// Run deletes in the background what Forget has left, until ctx ends. What it did not get to by then, Forget finds when it is called again.
func (s *Service) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		for {
			o, ok := s.next()
			if !ok {
				break
			}
			if _, err := s.chunks(ctx, account.System(o.tenant), o.agent, time.Time{}); err != nil && ctx.Err() == nil {
				s.d.Logger.WarnContext(ctx, "events of a destroyed agent are still there", slog.String("agent_id", o.agent.String()), slog.Any("error", err))
			}
		}
	}
}

// next takes one of the owners whose events go.
func (s *Service) next() (owner, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for o := range s.doomed {
		delete(s.doomed, o)
		return o, true
	}
	return owner{}, false
}
