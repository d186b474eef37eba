package integration

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ForgetAgent ends the publications of an agent that is being destroyed, in every workspace. It joins the transaction in ctx. They stay
// to be read, as every ended one does.
func (s *Service) ForgetAgent(ctx context.Context, sc account.Scope, of id.Agent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		for {
			live, err := s.d.Publications.List(ctx, sc, ListRequest{Request: page.Request{Limit: 100}, Agent: of, Status: Live})
			if err != nil {
				return err
			}
			for _, p := range live.Items {
				i, err := s.d.Installations.Get(ctx, sc, p.Installation)
				if err != nil {
					return err
				}
				if _, err := s.unpublish(ctx, sc, p.ID, i); err != nil {
					return err
				}
			}
			if live.Next == "" {
				return nil
			}
		}
	})
}
