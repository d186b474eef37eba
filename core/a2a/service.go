package a2a

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents reads agents; agent.Service does.
type Agents = CardAgents

// Talks holds the sessions; session.Service does.
type Talks interface {
	Create(ctx context.Context, sc account.Scope, req session.CreateRequest) (session.Session, error)
	Get(ctx context.Context, sc account.Scope, session id.Session) (session.Session, error)
	Send(ctx context.Context, sc account.Scope, session id.Session, inputs []session.Input) ([]session.Event, error)
	Stream(ctx context.Context, sc account.Scope, session id.Session, opt session.StreamOptions) (*session.Stream, error)
	Events(ctx context.Context, sc account.Scope, session id.Session, q session.EventQuery) ([]session.Event, bool, error)
	OpenUses(ctx context.Context, sc account.Scope, session id.Session) ([]session.ToolUse, error)
	CancelTurn(ctx context.Context, sc account.Scope, session id.Session, turn id.Turn, reason string) (bool, error)
}

// Memory keeps what agents remember; memory.Service does.
type Memory interface {
	CreateStore(ctx context.Context, sc account.Scope, n memory.NewStore) (memory.Store, error)
	DeleteStore(ctx context.Context, sc account.Scope, store id.MemoryStore) error
}

// Watcher learns of the changes of tasks.
type Watcher interface {
	// TaskChanged is called in the transaction in which a task is made or its state changes, with the task as it is then. It is not called
	// for what is written into a task's answer.
	TaskChanged(ctx context.Context, sc account.Scope, t Task) error
}

// Deps is what a Service needs. All fields are required.
type Deps struct {
	TX       tx.Runner
	Clock    clock.Clock
	IDs      id.Generator
	Logger   *slog.Logger
	Peers    Peers
	Tasks    Tasks
	Messages Messages
	Outputs  Outputs
	Files    Files
	Agents   Agents
	Talks    Talks
	Memory   Memory
}

// Service is what peers do with agents. It is safe for concurrent use.
type Service struct {
	d       Deps
	watcher Watcher // nil: nobody watches
}

var _ session.TurnWatcher = (*Service)(nil)

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Peers", d.Peers == nil},
		{"Tasks", d.Tasks == nil}, {"Messages", d.Messages == nil}, {"Outputs", d.Outputs == nil}, {"Files", d.Files == nil},
		{"Agents", d.Agents == nil}, {"Talks", d.Talks == nil}, {"Memory", d.Memory == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("a2a: Deps.%s is required", f.name)
		}
	}
	return &Service{d: d}, nil
}

// Watch names who learns of the changes of tasks. It is called before the service is used, and once.
func (s *Service) Watch(w Watcher) { s.watcher = w }

// changed tells the watcher of a task. It must run in the transaction that changed it.
func (s *Service) changed(ctx context.Context, sc account.Scope, t Task) error {
	if s.watcher == nil {
		return nil
	}
	return s.watcher.TaskChanged(ctx, sc, t)
}

// own returns a task of the caller's with an agent.
func (s *Service) own(ctx context.Context, sc account.Scope, of id.Agent, task id.Turn) (Task, error) {
	t, err := s.d.Tasks.Get(ctx, sc, task)
	if err == nil && t.Who != (Who{of, sc.Key}) {
		err = id.NotFound[id.TurnKind](task.String())
	}
	return t, err
}
