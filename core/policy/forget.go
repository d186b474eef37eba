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

// ForgetSession removes the policies of a session that is being deleted, whose turns the transaction in ctx has locked: nothing acts there any
// more, so it waits for nobody, and takes none of the locks that come before turns. Their versions, and that they are gone, are kept.
func (s *Service) ForgetSession(ctx context.Context, sc account.Scope, session id.Session) error {
	return s.each(ctx, sc, Filter{Session: session}, func(ctx context.Context, p Policy) error {
		return s.remove(ctx, sc, p)
	})
}

func (s *Service) forget(ctx context.Context, sc account.Scope, f Filter) error {
	return s.each(ctx, sc, f, func(ctx context.Context, p Policy) error { return s.Delete(ctx, sc, p.ID) })
}

// each calls remove with every policy that f chooses, in one transaction.
func (s *Service) each(ctx context.Context, sc account.Scope, f Filter, remove func(context.Context, Policy) error) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		for {
			p, err := s.d.Repository.List(ctx, sc, f, page.Request{Limit: MaxPerScope})
			if err != nil {
				return err
			}
			for _, one := range p.Items {
				if err := remove(ctx, one); err != nil {
					return err
				}
			}
			if p.Next == "" {
				return nil
			}
		}
	})
}
