package chat

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents reads agents; agent.Service does.
type Agents interface {
	// Get returns an agent, or id.NotFound.
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
}

// Hosting says which agents run; core/hosting does.
type Hosting interface {
	// Running returns nil for an agent that runs, and otherwise why it cannot be talked to, a conflict.
	Running(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Talks holds the sessions; session.Service does.
type Talks interface {
	Create(ctx context.Context, sc account.Scope, req session.CreateRequest) (session.Session, error)
	Get(ctx context.Context, sc account.Scope, session id.Session) (session.Session, error)
	Send(ctx context.Context, sc account.Scope, session id.Session, inputs []session.Input) ([]session.Event, error)
	Stream(ctx context.Context, sc account.Scope, session id.Session, opt session.StreamOptions) (*session.Stream, error)
	Delete(ctx context.Context, sc account.Scope, session id.Session) error
	Erase(ctx context.Context, sc account.Scope, session id.Session) error
}

// Memory keeps what agents remember; memory.Service does.
type Memory interface {
	CreateStore(ctx context.Context, sc account.Scope, n memory.NewStore) (memory.Store, error)
	DeleteStore(ctx context.Context, sc account.Scope, store id.MemoryStore) error
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX       tx.Runner
	Clock    clock.Clock
	Logger   *slog.Logger
	Peers    Peers
	Sessions Sessions
	Requests Requests
	Agents   Agents
	Hosting  Hosting
	Talks    Talks
	Memory   Memory
}

// Service lets people talk to agents. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"Logger", d.Logger == nil}, {"Peers", d.Peers == nil},
		{"Sessions", d.Sessions == nil}, {"Requests", d.Requests == nil}, {"Agents", d.Agents == nil}, {"Hosting", d.Hosting == nil},
		{"Talks", d.Talks == nil}, {"Memory", d.Memory == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("chat: Deps.%s is required", f.name)
		}
	}
	return &Service{d}, nil
}

// admit returns why an agent cannot be talked to: id.NotFound when it is not there or archived, agent.ErrFrozen, or what Hosting says.
func (s *Service) admit(ctx context.Context, sc account.Scope, of id.Agent) error {
	a, err := s.d.Agents.Get(ctx, sc, of)
	if err != nil {
		return err
	}
	switch a.Standing {
	case agent.Archived:
		return id.NotFound[id.AgentKind](of.String())
	case agent.Frozen:
		return agent.ErrFrozen
	}
	return s.d.Hosting.Running(ctx, sc, of)
}
