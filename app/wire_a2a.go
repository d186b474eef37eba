package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/memory"
	"github.com/bureau-agents/bureau/core/session"
)

// a2aModule lets agents be talked to over the Agent2Agent protocol.
func a2aModule() fx.Option {
	return fx.Module("a2a", fx.Provide(provideA2A), fx.Invoke(func(*a2a.Service) {}))
}

func provideA2A(
	b base, s *bunstore.Store, agents *agent.Service, sessions *session.Service, journal *session.Journal, m *memory.Service, files *file.Service,
) (*a2a.Service, error) {
	out, err := a2a.NewService(a2a.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Peers: s.A2A(), Tasks: s.A2ATasks(), Messages: s.A2AMessages(), Outputs: s.A2AOutputs(),
		Files: files, Agents: agents, Talks: sessions, Memory: m,
	})
	if err == nil {
		journal.WatchTurns(out)
	}
	return out, err
}
