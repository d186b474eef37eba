package policy

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// Attach makes a policy of limits for a session that is being made in the transaction in ctx. Nothing has acted there yet, so it waits for
// nobody, and it asks no rules. It returns a fault.Invalid that names what is wrong with the limits.
func (s *Service) Attach(ctx context.Context, sc account.Scope, session id.Session, limits Limits) (Policy, error) {
	now := clock.Stored(s.d.Clock.Now())
	p := Policy{
		ID: id.New[id.PolicyKind](s.d.IDs), Tenant: sc.Tenant, Scope: Scope{Session: session}, Limits: limits, Version: 1,
		CreatedAt: now, UpdatedAt: now,
	}
	if err := p.Validate(); err != nil {
		return Policy{}, err
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Repository.Insert(ctx, sc, p); err != nil {
			return err
		}
		return s.keep(ctx, sc, "policy_created", p)
	})
	if err != nil {
		return Policy{}, err
	}
	return p, nil
}
