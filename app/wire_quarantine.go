package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/webhook"
)

func quarantineModule() fx.Option {
	return fx.Module("quarantine", fx.Provide(provideWard, provideQuarantines))
}

func provideWard(b base, s *bunstore.Store) (*skill.Ward, error) {
	return skill.NewWard(b.TX, b.Clock, s.Quarantine())
}

func provideQuarantines(
	b base, s *bunstore.Store, market *skill.Market, library *skill.Library, plugins *skill.Service, trail *audit.Service, notices *webhook.Service,
) (*skill.Quarantines, error) {
	return skill.NewQuarantines(skill.QuarantineDeps{
		TX: b.TX, Clock: b.Clock, Holds: s.Quarantine(), Traces: s.Quarantine(), Market: market, Library: library, Plugins: plugins,
		Audit: skillTrail(trail), Notices: notices,
	})
}
