package agent

import (
	"context"
	"errors"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// DirectoryDeps is what a Directory needs; all are required.
type DirectoryDeps struct {
	TX       tx.Runner
	Clock    clock.Clock
	Agents   *Service
	Profiles Profiles
	Trail    Trail
}

// Directory lists agents by what their clients say of them, and registers agents under names that no other has. It is safe for concurrent
// use.
type Directory struct{ d DirectoryDeps }

// NewDirectory returns a Directory, or an error that names the missing dependency.
func NewDirectory(d DirectoryDeps) (*Directory, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("agent: DirectoryDeps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("agent: DirectoryDeps.Clock is required")
	case d.Agents == nil:
		return nil, errors.New("agent: DirectoryDeps.Agents is required")
	case d.Profiles == nil:
		return nil, errors.New("agent: DirectoryDeps.Profiles is required")
	case d.Trail == nil:
		return nil, errors.New("agent: DirectoryDeps.Trail is required")
	}
	return &Directory{d}, nil
}

// Register creates an agent under a name that no other agent of the tenant has, archived ones apart: ErrNameTaken otherwise. Of callers
// that come at once with one name, one succeeds. Errors besides are those of Service.Create, and ErrInvalid for the profile.
func (s *Directory) Register(ctx context.Context, sc account.Scope, cfg Config, p Profile) (Listed, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return Listed{}, err
	}
	var out Listed
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.free(ctx, sc, cfg.Name, id.Agent{}); err != nil {
			return err
		}
		a, err := s.d.Agents.Create(ctx, sc, cfg)
		if err != nil {
			return err
		}
		p.UpdatedAt = a.CreatedAt
		out = Listed{a, p}
		return s.d.Profiles.PutProfile(ctx, sc, a.ID, p)
	})
	if err != nil {
		return Listed{}, err
	}
	return out, nil
}

func (s *Directory) free(ctx context.Context, sc account.Scope, name string, except id.Agent) error {
	taken, err := s.d.Profiles.LockName(ctx, sc, name, except)
	if err == nil && taken {
		return ErrNameTaken.Withf("another agent is called %q", name)
	}
	return err
}

// Get returns an agent with its profile.
func (s *Directory) Get(ctx context.Context, sc account.Scope, agent id.Agent) (Listed, error) {
	a, err := s.d.Agents.Get(ctx, sc, agent)
	if err != nil {
		return Listed{}, err
	}
	p, err := s.d.Profiles.Profile(ctx, sc, agent)
	return Listed{a, p.withDefaults()}, err
}

// List returns a page of the directory.
func (s *Directory) List(ctx context.Context, sc account.Scope, r DirectoryRequest) (page.Page[Listed], error) {
	found, err := s.d.Profiles.Directory(ctx, sc, r)
	for i := range found.Items {
		found.Items[i].Profile = found.Items[i].Profile.withDefaults()
	}
	return found, err
}

// Revision changes an agent and its profile together; the zero value changes nothing.
type Revision struct {
	Patch   Patch
	Profile ProfilePatch
	Unique  bool // a new name must be one that no other agent has: ErrNameTaken otherwise
}

// Revise changes an agent and its profile, both or neither. Errors are those of Service.Update, ErrInvalid for the profile, and
// ErrNameTaken.
func (s *Directory) Revise(ctx context.Context, sc account.Scope, agent id.Agent, r Revision) (Listed, error) {
	var out Listed
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if r.Unique && r.Patch.Name.set {
			if err := s.free(ctx, sc, r.Patch.Name.value, agent); err != nil {
				return err
			}
		}
		a, err := s.d.Agents.Update(ctx, sc, agent, r.Patch)
		if err != nil {
			return err
		}
		was, err := s.d.Profiles.Profile(ctx, sc, agent)
		if err != nil {
			return err
		}
		now := r.Profile.Apply(was.withDefaults()).withDefaults()
		if err := now.check(); err != nil {
			return err
		}
		out = Listed{a, now}
		if now.equal(was.withDefaults()) {
			return nil
		}
		now.UpdatedAt = clock.Stored(s.d.Clock.Now())
		out.Profile = now
		if err := s.d.Profiles.PutProfile(ctx, sc, agent, now); err != nil {
			return err
		}
		return s.d.Trail.Note(ctx, sc, "agent_profile_updated", agent, map[string]any{
			"type": now.Type, "icon": now.Icon, "platform": now.Platform, "status": now.Status,
		})
	})
	if err != nil {
		return Listed{}, err
	}
	return out, nil
}

// Forget removes what the directory says of an agent, in the transaction of ctx.
func (s *Directory) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.Profiles.DeleteProfile(ctx, sc, agent)
}
