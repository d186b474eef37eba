package a2a

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// ForgetAgent removes what peers had with an agent that is being destroyed, in the transaction of ctx, with what it remembers of them. Its
// sessions go by themselves.
func (s *Service) ForgetAgent(ctx context.Context, sc account.Scope, of id.Agent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		stores, err := s.d.Peers.RemoveAll(ctx, sc, of)
		if err != nil {
			return err
		}
		for _, store := range stores {
			if store.IsZero() {
				continue
			}
			if err := s.d.Memory.DeleteStore(ctx, sc, store); err != nil && fault.KindOf(err) != fault.NotFound {
				return err
			}
		}
		return nil
	})
}
