package app

import (
	"context"
	"encoding/json"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
)

func marketModule() fx.Option {
	return fx.Module("market", fx.Provide(provideMarket, provideLinks))
}

func provideLinks(b base, s *bunstore.Store, agents owners, trail *audit.Service) (*account.Links, error) {
	return account.NewLinks(account.LinkDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Repository: s.AgentLinks(), Users: s.Users(), Trail: trail, Agent: agents.Exists,
	})
}

func provideMarket(
	b base, cfg Config, s *bunstore.Store, plugins *skill.Service, library *skill.Library, links *account.Links, agents owners, trail *audit.Service,
	ward *skill.Ward,
) (*skill.Market, error) {
	return skill.NewMarket(skill.MarketDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Submissions: s.Submissions(), Contents: s.Submissions(), Listings: s.Submissions(),
		Installations: s.SkillInstallations(), Plugins: plugins, Library: library, Links: links, Agents: agents, Audit: skillTrail(trail),
		Quarantine: ward,
	}, skill.MarketConfig{IngestPerHour: scaled(skill.DefaultIngestPerHour, *cfg.RateLimitScale)})
}

// scaled is a limit as the operator wants it: account.Unlimited when limits are switched off, and at least 1.
func scaled(limit int, scale float64) int {
	if scale == 0 {
		return account.Unlimited
	}
	return max(1, int(float64(limit)*scale))
}

// skillTrail notes what happens to skills.
func skillTrail(trail *audit.Service) skill.Auditor {
	return skill.AuditorFunc(func(ctx context.Context, sc account.Scope, action string, of id.Agent, metadata json.RawMessage) error {
		_, err := trail.Record(ctx, sc, audit.NewEntry{Action: action, Agent: of, Metadata: metadata})
		return err
	})
}
