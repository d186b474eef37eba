package memory

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// forgetBatch is how many stores are read at once.
const forgetBatch = 100

// ForgetAgent removes the stores of an agent that is being destroyed, archived ones too, with everything in them. It joins the
// transaction in ctx.
func (s *Service) ForgetAgent(ctx context.Context, sc account.Scope, of id.Agent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		for {
			p, err := s.d.Stores.ListStores(ctx, sc, ListStores{Request: page.Request{Limit: forgetBatch}, Agent: of, Archived: true})
			if err != nil {
				return err
			}
			for _, store := range p.Items {
				if err := s.d.Stores.DeleteStore(ctx, sc, store.ID); err != nil && fault.KindOf(err) != fault.NotFound {
					return err
				}
			}
			if p.Next == "" {
				return nil
			}
		}
	})
}
