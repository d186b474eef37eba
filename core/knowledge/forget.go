package knowledge

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Forget removes every entry of a space, whether its owner is there or not. It joins the transaction in ctx. Of an agent in a swarm it
// removes the agent's own entries.
func (s *Service) Forget(ctx context.Context, sc account.Scope, space Space) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := s.d.Repository.Delete(ctx, sc, DeleteRequest{In: space, All: true, Confirm: true})
		return err
	})
}

// ForgetSwarm removes the entries of a swarm that is being deleted. It implements swarm.Dependent.
func (s *Service) ForgetSwarm(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	return s.Forget(ctx, sc, Space{Swarm: swarm})
}
