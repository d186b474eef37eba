package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tx"
)

// validateTimeout is how long the rules of a policy may take to check their configurations.
const validateTimeout = 10 * time.Second

// Deps is what a Service needs; Rules, Swarms and Sessions may be nil, and then there are none.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Archive    Archive
	Trail      Trail
	Rules      Rules
	Swarms     Swarms
	Sessions   Sessions
}

// Service manages policies. It is safe for concurrent use. What policies do to acts is package gate's affair.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names what d lacks.
func NewService(d Deps) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil}, {"Archive", d.Archive == nil}, {"Trail", d.Trail == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("policy: Deps.%s is required", f.name)
		}
	}
	return &Service{d}, nil
}

// CreateRequest asks for a policy.
type CreateRequest struct {
	Scope  Scope
	Limits Limits
	Rules  []RuleRef
	Mode   Mode // "" is Enforce
}

// Create adds a policy, which holds for every act that is decided after it returns. A fault.Invalid names what is wrong with it,
// a rule's configuration included; id.NotFound when the tenant has no such agent or swarm; ErrTooMany; fault.Unavailable while
// a rule that it names cannot check its configuration.
func (s *Service) Create(ctx context.Context, sc account.Scope, r CreateRequest) (Policy, error) {
	return s.create(ctx, sc, r, false)
}

// create is Create, which returns errNotFirst for a policy that was to be the first of its scope and is not.
func (s *Service) create(ctx context.Context, sc account.Scope, r CreateRequest, first bool) (Policy, error) {
	now := clock.Stored(s.d.Clock.Now())
	p := Policy{
		ID: id.New[id.PolicyKind](s.d.IDs), Tenant: sc.Tenant, Scope: r.Scope, Limits: r.Limits, Rules: r.Rules, Mode: r.Mode.orDefault(),
		Version: 1, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.check(ctx, sc, p); err != nil {
		return Policy{}, err
	}
	if err := s.scoped(ctx, sc, p.Scope); err != nil {
		return Policy{}, err
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Repository.LockScope(ctx, sc, p.Scope); err != nil {
			return err
		}
		there, err := s.d.Repository.List(ctx, sc, Filter(p.Scope), page.Request{Limit: MaxPerScope})
		if err != nil {
			return err
		}
		if _, ok := primary(there.Items); ok && first {
			return errNotFirst
		}
		if len(there.Items) == MaxPerScope {
			return ErrTooMany
		}
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

// scoped returns id.NotFound when the tenant has no such swarm or session.
func (s *Service) scoped(ctx context.Context, sc account.Scope, scope Scope) error {
	if swarm := scope.Swarm; !swarm.IsZero() {
		if s.d.Swarms == nil {
			return id.NotFound[id.SwarmKind](swarm.String())
		}
		return s.d.Swarms.Exists(ctx, sc, swarm)
	}
	if session := scope.Session; !session.IsZero() {
		if s.d.Sessions == nil {
			return id.NotFound[id.SessionKind](session.String())
		}
		return s.d.Sessions.Exists(ctx, sc, session)
	}
	return nil
}

// Get returns a policy.
func (s *Service) Get(ctx context.Context, sc account.Scope, p id.Policy) (Policy, error) {
	return s.d.Repository.Get(ctx, sc, p)
}

// List returns policies, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, f Filter, r page.Request) (page.Page[Policy], error) {
	return s.d.Repository.List(ctx, sc, f, r)
}

// UpdateRequest asks for a change.
type UpdateRequest struct {
	Version int // the version that the caller has seen; 0 changes whichever is there
	// Change alters Limits, Rules and Mode of the policy that it is given; it may be called several times. Its error is returned.
	Change func(p *Policy) error
}

// Update changes a policy and raises its version. No act that is decided after it returns is decided by the version before.
// Errors are those of Create, and ErrVersion when the policy is not at the version that the caller has seen.
func (s *Service) Update(ctx context.Context, sc account.Scope, policy id.Policy, r UpdateRequest) (Policy, error) {
	for range 5 {
		p, err := s.tryUpdate(ctx, sc, policy, r)
		if r.Version == 0 && errors.Is(err, ErrVersion) {
			continue // somebody came between reading and writing; the caller does not mind
		}
		return p, err
	}
	return Policy{}, ErrVersion
}

func (s *Service) tryUpdate(ctx context.Context, sc account.Scope, policy id.Policy, r UpdateRequest) (Policy, error) {
	old, err := s.d.Repository.Get(ctx, sc, policy)
	if err != nil {
		return Policy{}, err
	}
	if r.Version != 0 && r.Version != old.Version {
		return Policy{}, ErrVersion.Withf("the policy is at version %d, not %d", old.Version, r.Version)
	}
	next := old
	next.Rules = slices.Clone(old.Rules)
	if err := r.Change(&next); err != nil {
		return Policy{}, err
	}
	next.ID, next.Tenant, next.Scope, next.CreatedAt = old.ID, old.Tenant, old.Scope, old.CreatedAt
	next.Version, next.UpdatedAt = old.Version+1, clock.Stored(s.d.Clock.Now())
	// Rules are asked before the transaction: they are other processes.
	if err := s.check(ctx, sc, next); err != nil {
		return Policy{}, err
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Repository.LockScope(ctx, sc, next.Scope); err != nil {
			return err
		}
		if err := s.d.Repository.Update(ctx, sc, next); err != nil {
			return err
		}
		return s.keep(ctx, sc, "policy_updated", next)
	})
	if err != nil {
		return Policy{}, err
	}
	return next, nil
}

// Delete removes a policy and what its windows have counted. Deleting the last policy of an agent does not free it: without a
// policy it may not pay.
func (s *Service) Delete(ctx context.Context, sc account.Scope, policy id.Policy) error {
	p, err := s.d.Repository.Get(ctx, sc, policy)
	if err != nil {
		return err
	}
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		// A policy outlives its agent, and can still be removed.
		if err := s.d.Repository.LockScope(ctx, sc, p.Scope); err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
		return s.remove(ctx, sc, p)
	})
}

func (s *Service) remove(ctx context.Context, sc account.Scope, p Policy) error {
	if err := s.d.Repository.Delete(ctx, sc, p.ID); err != nil {
		return err
	}
	return s.note(ctx, sc, "policy_deleted", p)
}

// check validates the policy and, by the rules themselves, their configurations.
func (s *Service) check(ctx context.Context, sc account.Scope, p Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	for i, ref := range p.Rules {
		if err := s.checkRule(ctx, sc, fmt.Sprintf("rules[%d]", i), ref); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) checkRule(ctx context.Context, sc account.Scope, path string, ref RuleRef) error {
	var ev rule.Evaluator
	err := error(ErrRuleUnknown)
	if s.d.Rules != nil {
		ev, err = s.d.Rules.Rule(ctx, sc, ref.Plugin)
	}
	if fault.KindOf(err) == fault.NotFound {
		return fault.Invalidf(path+".plugin", "no enabled rule is called %q", ref.Plugin)
	}
	if err != nil {
		return fmt.Errorf("policy: rule %s: %w", ref.Plugin, err)
	}
	config := ref.Config
	if len(config) == 0 {
		config = json.RawMessage("{}")
	}
	err = ev.Validate(ctx, config)
	if fe, ok := fault.As(err); ok && fe.Kind == fault.Invalid {
		fields := make([]fault.Field, len(fe.Fields))
		for i, f := range fe.Fields {
			fields[i] = fault.Field{Path: path + ".config." + f.Path, Message: f.Message}
		}
		if len(fields) == 0 {
			fields = []fault.Field{{Path: path + ".config", Message: fe.Message}}
		}
		return fault.New(fault.Invalid, "policy_invalid", fields[0].Path+": "+fields[0].Message).WithFields(fields...)
	}
	if err != nil {
		return fmt.Errorf("policy: rule %s: %w", ref.Plugin, err)
	}
	return nil
}

// keep stores a new version of a policy in the archive and in the audit trail, so that a decision that names it can be replayed from
// either.
func (s *Service) keep(ctx context.Context, sc account.Scope, action string, p Policy) error {
	if err := s.d.Archive.Keep(ctx, sc, Version{Policy: p, By: sc.Actor()}); err != nil {
		return err
	}
	return s.note(ctx, sc, action, p)
}

// note writes the whole policy into the audit trail, so that a decision that names its version can be replayed.
func (s *Service) note(ctx context.Context, sc account.Scope, action string, p Policy) error {
	limits, err := EncodeLimits(p.Limits)
	if err != nil {
		return err
	}
	rules, err := EncodeRules(p.Rules)
	if err != nil {
		return err
	}
	m := map[string]any{
		"policy_id": p.ID.UUID().String(), "version": p.Version, "mode": string(p.Mode.orDefault()), "limits": json.RawMessage(limits), "rules": json.RawMessage(rules),
	}
	switch {
	case p.Scope.Tenant:
		m["scope"] = "tenant"
	case !p.Scope.Swarm.IsZero():
		m["scope"], m["swarm_id"] = "swarm", p.Scope.Swarm.UUID().String()
	case !p.Scope.Session.IsZero():
		m["scope"], m["session_id"] = "session", p.Scope.Session.UUID().String()
	default:
		m["scope"], m["agent_id"] = "agent", p.Scope.Agent.UUID().String()
	}
	return s.d.Trail.Note(ctx, sc, action, p.Scope.Agent, m)
}
