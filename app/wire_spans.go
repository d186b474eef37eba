package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/bus"
)

// spansModule takes what instrumented agents export, and shows events as they come in.
func spansModule() fx.Option {
	return fx.Module("spans", fx.Provide(provideTail, provideSpans), fx.Invoke(func(lc fx.Lifecycle, tail *telemetry.Tail) {
		lc.Append(fx.Hook{OnStart: tail.Start, OnStop: tail.Stop})
	}))
}

func provideTail(b base, cfg Config, s *bunstore.Store, bus bus.Bus) (*telemetry.Tail, error) {
	return telemetry.NewTail(telemetry.TailDeps{Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Bus: bus, Repository: s.Events()},
		telemetry.TailConfig{Replicated: cfg.DatabaseURL != ""})
}

func provideSpans(
	b base, s *bunstore.Store, agents *agent.Directory, events *telemetry.Service, meter *usage.Service,
) (*span.Service, error) {
	return span.NewService(span.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Agents: agents, Events: events, Meter: meter, Ledger: s.Spans(),
	})
}
