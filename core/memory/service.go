package memory

import (
	"context"
	"errors"
	"log/slog"
	"maps"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents tells of the agents that own stores; agent.Service does.
type Agents interface {
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX       tx.Runner
	Clock    clock.Clock
	IDs      id.Generator
	Logger   *slog.Logger
	Stores   Stores
	Memories Memories
	Index    Index
	Versions Versions
	Embedder embedding.Embedder
	Agents   Agents
}

// Config of a Service; the zero value is the default.
type Config struct {
	// MaxMemories is how many memories a store may have; 0 is MaxMemories.
	MaxMemories int
}

// Service keeps, changes and finds memories. It is safe for concurrent use.
type Service struct {
	d        Deps
	most     int
	embedder embedding.Info
}

// NewService returns a Service, or an error that names what is missing.
func NewService(d Deps, cfg Config) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("memory: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("memory: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("memory: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("memory: Deps.Logger is required")
	case d.Stores == nil:
		return nil, errors.New("memory: Deps.Stores is required")
	case d.Memories == nil:
		return nil, errors.New("memory: Deps.Memories is required")
	case d.Index == nil:
		return nil, errors.New("memory: Deps.Index is required")
	case d.Versions == nil:
		return nil, errors.New("memory: Deps.Versions is required")
	case d.Embedder == nil:
		return nil, errors.New("memory: Deps.Embedder is required")
	case d.Agents == nil:
		return nil, errors.New("memory: Deps.Agents is required")
	}
	if cfg.MaxMemories <= 0 {
		cfg.MaxMemories = MaxMemories
	}
	return &Service{d, cfg.MaxMemories, d.Embedder.Info()}, nil
}

// NewStore describes a store that is to be made.
type NewStore struct {
	Name        string   // 1 to MaxName characters
	Description string   // at most MaxDescription characters
	Agent       id.Agent // zero: nobody's
	Metadata    map[string]string
}

// CreateStore makes a store. It returns ErrInvalid, or id.NotFound for the agent.
func (s *Service) CreateStore(ctx context.Context, sc account.Scope, n NewStore) (Store, error) {
	now := clock.Stored(s.d.Clock.Now())
	st := Store{
		ID: id.New[id.MemoryStoreKind](s.d.IDs), Tenant: sc.Tenant, Agent: n.Agent, Name: n.Name, Description: n.Description,
		Metadata: maps.Clone(n.Metadata), CreatedAt: now, UpdatedAt: now,
	}
	if err := st.check(); err != nil {
		return Store{}, err
	}
	if !n.Agent.IsZero() {
		if _, err := s.d.Agents.Get(ctx, sc, n.Agent); err != nil {
			return Store{}, err
		}
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Stores.InsertStore(ctx, sc, st) })
	if err != nil {
		return Store{}, err
	}
	return st, nil
}

func (st Store) check() error {
	k := &checker{}
	k.name(st.Name)
	k.Text("description", st.Description, MaxDescription)
	metadata.Check(&k.Faults, st.Metadata)
	return k.Err(ErrInvalid)
}

// Store returns a store, or id.NotFound.
func (s *Service) Store(ctx context.Context, sc account.Scope, store id.MemoryStore) (Store, error) {
	return s.d.Stores.Store(ctx, sc, store)
}

// ListStores lists stores, newest first.
func (s *Service) ListStores(ctx context.Context, sc account.Scope, req ListStores) (page.Page[Store], error) {
	return s.d.Stores.ListStores(ctx, sc, req)
}

// StorePatch is a change of a store; nil fields stay.
type StorePatch struct {
	Name          *string
	Description   *string
	Agent         *id.Agent // zero: nobody's
	ClearMetadata bool      // before Metadata is applied, which removes a key with nil
	Metadata      map[string]*string
}

// UpdateStore changes a store. It returns ErrInvalid, ErrArchived, or id.NotFound for the store or the agent.
func (s *Service) UpdateStore(ctx context.Context, sc account.Scope, store id.MemoryStore, p StorePatch) (Store, error) {
	if p.Agent != nil && !p.Agent.IsZero() {
		if _, err := s.d.Agents.Get(ctx, sc, *p.Agent); err != nil {
			return Store{}, err
		}
	}
	now := clock.Stored(s.d.Clock.Now())
	return s.changeStore(ctx, sc, store, func(st *Store) error {
		if st.ArchivedAt != nil {
			return ErrArchived
		}
		next := *st
		if p.Name != nil {
			next.Name = *p.Name
		}
		if p.Description != nil {
			next.Description = *p.Description
		}
		if p.Agent != nil {
			next.Agent = *p.Agent
		}
		if p.ClearMetadata {
			next.Metadata = map[string]string{}
		}
		next.Metadata = metadata.Merge(next.Metadata, p.Metadata)
		if err := next.check(); err != nil {
			return err
		}
		if next.Name != st.Name || next.Description != st.Description || next.Agent != st.Agent || !maps.Equal(next.Metadata, st.Metadata) {
			next.UpdatedAt = now
		}
		*st = next
		return nil
	})
}

func (s *Service) changeStore(ctx context.Context, sc account.Scope, store id.MemoryStore, change func(*Store) error) (out Store, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		out, err = s.d.Stores.UpdateStore(ctx, sc, store, change)
		return err
	})
	return out, err
}

// ArchiveStore takes a store out of use for good: nothing in it can be made or changed any more, only read, deleted and redacted.
// Archiving it again changes nothing.
func (s *Service) ArchiveStore(ctx context.Context, sc account.Scope, store id.MemoryStore) (Store, error) {
	now := clock.Stored(s.d.Clock.Now())
	return s.changeStore(ctx, sc, store, func(st *Store) error {
		if st.ArchivedAt == nil {
			st.ArchivedAt, st.UpdatedAt = &now, now
		}
		return nil
	})
}

// DeleteStore removes a store with everything in it, its history too.
func (s *Service) DeleteStore(ctx context.Context, sc account.Scope, store id.MemoryStore) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error { return s.d.Stores.DeleteStore(ctx, sc, store) })
}

// DescribeStore returns the name and the description of a store that sessions may be given, id.NotFound, or ErrArchived.
func (s *Service) DescribeStore(ctx context.Context, sc account.Scope, store id.MemoryStore) (name, description string, err error) {
	st, err := s.d.Stores.Store(ctx, sc, store)
	if err == nil && st.ArchivedAt != nil {
		err = ErrArchived.Withf("memory store %s is archived", store)
	}
	return st.Name, st.Description, err
}
