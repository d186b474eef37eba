package policy

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ForgetSwarm removes the policies of a swarm that is being deleted; see ForgetAgent.
func (s *Service) ForgetSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	return s.forget(ctx, sc, Filter{Swarm: swarm})
}

// ForgetAgent removes the policies of an agent that is being destroyed, whose standing the transaction in ctx has locked. What they said,
// and that they are gone, stays in the audit trail.
func (s *Service) ForgetAgent(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.forget(ctx, sc, Filter{Agent: agent})
}

func (s *Service) forget(ctx context.Context, sc account.Scope, f Filter) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		for {
			p, err := s.d.Repository.List(ctx, sc, f, page.Request{Limit: MaxPerScope})
			if err != nil {
				return err
			}
			for _, one := range p.Items {
				if err := s.Delete(ctx, sc, one.ID); err != nil {
					return err
				}
			}
			if p.Next == "" {
				return nil
			}
		}
	})
}
