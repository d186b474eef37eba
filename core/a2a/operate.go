package a2a

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// OfAgent lists what peers gave to an agent, the newest first, for those who run it: peers see their own by List. It returns id.NotFound.
func (s *Service) OfAgent(ctx context.Context, sc account.Scope, q AgentQuery) (page.Page[Task], error) {
	if _, err := s.d.Agents.Get(ctx, sc, q.Agent); err != nil {
		return page.Page[Task]{}, err
	}
	return s.d.Tasks.OfAgent(ctx, sc, q)
}

// Find returns a task of any peer, for those who run agents, or id.NotFound.
func (s *Service) Find(ctx context.Context, sc account.Scope, task id.Turn) (Task, error) {
	return s.d.Tasks.Get(ctx, sc, task)
}
