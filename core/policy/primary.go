package policy

import (
	"context"
	"errors"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/page"
)

// errNotFirst is returned for a policy that was to be the first of its scope when there is one.
var errNotFirst = errors.New("policy: the scope has a policy")

// Primary returns the oldest policy of a scope that bites, which is the one for callers to whom a scope has one policy at most; false
// when it has none. It says nothing of others that may hold beside it.
func (s *Service) Primary(ctx context.Context, sc account.Scope, scope Scope) (Policy, bool, error) {
	found, err := s.d.Repository.List(ctx, sc, Filter(scope), page.Request{Limit: MaxPerScope})
	if err != nil {
		return Policy{}, false, err
	}
	p, ok := primary(found.Items)
	return p, ok, nil
}

// primary returns the last policy that bites of a list, newest first.
func primary(list []Policy) (Policy, bool) {
	for _, p := range slices.Backward(list) {
		if !p.Observes() {
			return p, true
		}
	}
	return Policy{}, false
}

// PutPrimary changes the Primary policy of a scope, and makes one when there is none: however many come at once, they make one. It
// returns the policy and whether it was made. change is given a policy without limits and rules when it is made; it may be called
// several times. Errors are those of Create and Update.
func (s *Service) PutPrimary(ctx context.Context, sc account.Scope, scope Scope, change func(p *Policy) error) (p Policy, made bool, err error) {
	gone := error(ErrVersion)
	for range 5 {
		old, ok, err := s.Primary(ctx, sc, scope)
		if err != nil {
			return Policy{}, false, err
		}
		if ok {
			if p, err = s.Update(ctx, sc, old.ID, UpdateRequest{Change: change}); fault.KindOf(err) == fault.NotFound {
				gone = err // the policy was removed meanwhile, or else its agent
				continue
			}
			return p, false, err
		}
		fresh := Policy{Scope: scope}
		if err := change(&fresh); err != nil {
			return Policy{}, false, err
		}
		p, err := s.create(ctx, sc, CreateRequest{Scope: scope, Limits: fresh.Limits, Rules: fresh.Rules}, true)
		if errors.Is(err, errNotFirst) {
			continue
		}
		return p, err == nil, err
	}
	return Policy{}, false, gone
}
