package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/telemetry"
)

// reportsModule has what agents report of themselves.
func reportsModule() fx.Option {
	return fx.Module("reports", fx.Provide(provideEvents), fx.Invoke(func(lc fx.Lifecycle, events *telemetry.Service) {
		background(lc, events.Run)
	}))
}

func provideEvents(b base, s *bunstore.Store, trail *audit.Service, tail *telemetry.Tail) (*telemetry.Service, error) {
	return telemetry.NewService(telemetry.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Events: s.Events(), Roster: s.Agents(), Trail: trail, Listener: tail,
	}, telemetry.Config{})
}
