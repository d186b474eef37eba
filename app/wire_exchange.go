package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/telemetry"
)

// exchangeModule has what agents tell each other, what users think of it, what all of that looks like together, and for how long it is kept.
func exchangeModule() fx.Option {
	return fx.Module("exchange", fx.Provide(provideExchange, provideOpinions, provideTraces, provideKeeping))
}

func provideExchange(b base, s *bunstore.Store, o owners) (*telemetry.Exchange, error) {
	return telemetry.NewExchange(telemetry.ExchangeDeps{TX: b.TX, Clock: b.Clock, IDs: b.IDs, Repository: s.AgentMessages(), Agents: o})
}

func provideOpinions(b base, s *bunstore.Store, o owners) (*telemetry.Opinions, error) {
	return telemetry.NewOpinions(telemetry.OpinionsDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Repository: s.Feedback(), Agents: o, Events: s.Events(), Messages: s.AgentMessages(),
	})
}

func provideTraces(b base, s *bunstore.Store) (*telemetry.Traces, error) {
	return telemetry.NewTraces(telemetry.TracesDeps{Clock: b.Clock, Repository: s.Events(), Messages: s.AgentMessages(), Feedback: s.Feedback()})
}

func provideKeeping(b base, cfg Config, s *bunstore.Store, accounts *account.Service, trail *audit.Service) (*telemetry.Keeping, error) {
	return telemetry.NewKeeping(telemetry.KeepingDeps{
		TX: b.TX, Clock: b.Clock, Logger: b.Logger, Repository: s.Retention(), Tenants: accounts, Trail: trail,
		Events: s.Events().DeleteEvents, Messages: s.AgentMessages().DeleteMessages, Feedback: s.Feedback().DeleteFeedback,
	}, telemetry.KeepingConfig{Default: cfg.Retention})
}
