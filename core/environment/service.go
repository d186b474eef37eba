package environment

import (
	"context"
	"errors"
	"log/slog"
	"reflect"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Sessions tells of the sessions that use environments, which stand above this package.
type Sessions interface {
	// UsesEnvironment reports whether a session that is neither archived nor deleted has the environment. It joins the transaction in
	// ctx.
	UsesEnvironment(ctx context.Context, sc account.Scope, environment id.Environment) (bool, error)
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Sessions   Sessions
}

// Service makes, reads and changes environments. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("environment: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("environment: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("environment: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("environment: Deps.Logger is required")
	case d.Repository == nil:
		return nil, errors.New("environment: Deps.Repository is required")
	case d.Sessions == nil:
		return nil, errors.New("environment: Deps.Sessions is required")
	}
	return &Service{d}, nil
}

// Create checks p, fills defaults, and stores it as a new environment: a cloud environment without limits of networking and without
// packages, where p says nothing else. It returns ErrInvalid or ErrMetadata.
func (s *Service) Create(ctx context.Context, sc account.Scope, p Patch) (Environment, error) {
	e, err := p.Apply(Environment{}).admitted()
	if err != nil {
		return Environment{}, err
	}
	now := clock.Stored(s.d.Clock.Now())
	e.ID, e.Tenant, e.CreatedAt, e.UpdatedAt = id.New[id.EnvironmentKind](s.d.IDs), sc.Tenant, now, now
	if err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Repository.Insert(ctx, sc, e) }); err != nil {
		return Environment{}, err
	}
	s.d.Logger.DebugContext(ctx, "environment created", "tenant_id", sc.Tenant, "environment_id", e.ID)
	return e, nil
}

// Get returns an environment, archived or not.
func (s *Service) Get(ctx context.Context, sc account.Scope, environment id.Environment) (Environment, error) {
	return s.d.Repository.Get(ctx, sc, environment)
}

// List lists environments, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Environment], error) {
	return s.d.Repository.List(ctx, sc, req)
}

// Use returns an environment that a session is about to be created with. It must be called inside the transaction that stores the
// session: until that ends the environment is neither changed, archived nor deleted. It returns id.NotFound or ErrArchived.
func (s *Service) Use(ctx context.Context, sc account.Scope, environment id.Environment) (Environment, error) {
	e, err := s.d.Repository.Hold(ctx, sc, environment)
	if err != nil {
		return Environment{}, err
	}
	return e, e.live()
}

func (e Environment) live() error {
	if e.ArchivedAt != nil {
		return ErrArchived.Withf("environment %s is archived", e.ID)
	}
	return nil
}

// Update changes an environment. Sandboxes that exist keep what they were made with. It returns ErrInvalid, ErrMetadata, ErrTypeChange
// or ErrArchived. What changes nothing leaves UpdatedAt, too.
func (s *Service) Update(ctx context.Context, sc account.Scope, environment id.Environment, p Patch) (Environment, error) {
	now := clock.Stored(s.d.Clock.Now())
	return s.change(ctx, sc, environment, func(e *Environment) error {
		if err := e.live(); err != nil {
			return err
		}
		if p.Config != nil && p.Config.Type != nil && *p.Config.Type != e.Config.Type {
			return ErrTypeChange.Withf("config.type: the environment is %s and cannot become %s", e.Config.Type, *p.Config.Type)
		}
		next, err := p.Apply(*e).admitted()
		if err != nil {
			return err
		}
		if !reflect.DeepEqual(next.normal(), e.normal()) {
			next.UpdatedAt = now
			*e = next
		}
		return nil
	})
}

// normal returns e with what is empty as nil, for comparing.
func (e Environment) normal() Environment {
	if len(e.Metadata) == 0 {
		e.Metadata = nil
	}
	lists := []*[]string{&e.Config.Networking.AllowedHosts}
	for _, m := range managers {
		lists = append(lists, m.of(&e.Config.Packages))
	}
	for _, l := range lists {
		if len(*l) == 0 {
			*l = nil
		}
	}
	return e
}

// Archive takes an environment out of use: it is kept to be read, and the sessions that have it keep it. Archiving it again changes
// nothing.
func (s *Service) Archive(ctx context.Context, sc account.Scope, environment id.Environment) (Environment, error) {
	now := clock.Stored(s.d.Clock.Now())
	return s.change(ctx, sc, environment, func(e *Environment) error {
		if e.ArchivedAt == nil {
			e.ArchivedAt, e.UpdatedAt = &now, now
		}
		return nil
	})
}

func (s *Service) change(
	ctx context.Context, sc account.Scope, environment id.Environment, change func(*Environment) error,
) (Environment, error) {
	var out Environment
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		out, err = s.d.Repository.Update(ctx, sc, environment, change)
		return err
	})
	if err != nil {
		return Environment{}, err
	}
	return out, nil
}

// Delete removes an environment. It returns ErrInUse while a session that is neither archived nor deleted has it.
func (s *Service) Delete(ctx context.Context, sc account.Scope, environment id.Environment) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		return s.d.Repository.Delete(ctx, sc, environment, func(ctx context.Context) error {
			used, err := s.d.Sessions.UsesEnvironment(ctx, sc, environment)
			if err != nil {
				return err
			}
			if used {
				return ErrInUse
			}
			return nil
		})
	})
}
