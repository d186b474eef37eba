package policy

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Version is a policy as it was from its UpdatedAt until its next version. Versions never change.
type Version struct {
	Policy

	By string // audit actor of who made it; "" of versions from before they were kept
}

// Version returns a version of a policy, also of one that has been deleted.
func (s *Service) Version(ctx context.Context, sc account.Scope, p id.Policy, version int) (Version, error) {
	return s.d.Archive.Version(ctx, sc, p, version)
}

// Versions returns the versions of a policy, the newest first, also of one that has been deleted.
func (s *Service) Versions(ctx context.Context, sc account.Scope, p id.Policy, r page.Request) (page.Page[Version], error) {
	return s.d.Archive.Versions(ctx, sc, p, r)
}

// Restore makes a new version of a policy that is as an older one was. Errors are those of Update; a policy that has been deleted
// stays so.
func (s *Service) Restore(ctx context.Context, sc account.Scope, policy id.Policy, version int) (Policy, error) {
	v, err := s.d.Archive.Version(ctx, sc, policy, version)
	if err != nil {
		return Policy{}, err
	}
	return s.Update(ctx, sc, policy, UpdateRequest{Change: func(p *Policy) error {
		p.Limits, p.Rules, p.Mode = v.Limits, slices.Clone(v.Rules), v.Mode
		return nil
	}})
}

// Draft returns the policy that Create would make of r, or the next version of replace, without storing it. It checks the same, but
// for whether there is an agent whom the scope names. With replace, the scope is that of the policy that is replaced.
func (s *Service) Draft(ctx context.Context, sc account.Scope, r CreateRequest, replace id.Policy) (Policy, error) {
	now := clock.Stored(s.d.Clock.Now())
	p := Policy{
		ID: id.New[id.PolicyKind](s.d.IDs), Tenant: sc.Tenant, Scope: r.Scope, Limits: r.Limits, Rules: r.Rules, Mode: r.Mode.orDefault(),
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if !replace.IsZero() {
		old, err := s.d.Repository.Get(ctx, sc, replace)
		if err != nil {
			return Policy{}, err
		}
		p.ID, p.Scope, p.Version, p.CreatedAt = old.ID, old.Scope, old.Version+1, old.CreatedAt
	}
	if err := s.check(ctx, sc, p); err != nil || !replace.IsZero() {
		return p, err
	}
	return p, s.scoped(ctx, sc, p.Scope)
}
