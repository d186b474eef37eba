package app

import (
	"time"

	"go.uber.org/fx"

	face "github.com/bureau-agents/bureau/adapters/http/a2a"
	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/webhook/nethttp"
	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/keeper"
)

// cardModule makes agents' A2A cards, and posts the changes of their tasks.
func cardModule() fx.Option {
	return fx.Module("cards",
		fx.Provide(provideAgentCards, providePushes),
		fx.Invoke(func(lc fx.Lifecycle, q *river.Queue, s *a2a.Pushes, t *otel.Telemetry) error {
			background(lc, s.Run)
			return scheduleChore(q, t, chore{"prune_peer_pushes", time.Hour, s.Prune})
		}))
}

func provideAgentCards(b base, cfg Config, s *bunstore.Store, agents *agent.Service, market *skill.Market, library *skill.Library) (*a2a.Cards, error) {
	return a2a.NewCards(a2a.CardsDeps{Agents: agents, Owners: s.Agents(), Skills: market, Guides: library, Signer: signerOf(b, cfg)}, a2a.CardsConfig{
		PublicURL: cfg.PublicURL, ProviderName: cfg.Provider.Name, ProviderURL: cfg.Provider.URL, DocumentationURL: cfg.Provider.DocumentationURL,
	})
}

func providePushes(b base, cfg Config, s *bunstore.Store, k keeper.Keeper, tasks *a2a.Service) (*a2a.Pushes, error) {
	sender, err := nethttp.New(nethttp.Config{Allow: cfg.EgressAllow, UserAgent: "bureau-a2a/" + Version()})
	if err != nil {
		return nil, err
	}
	repo := s.Pushes()
	out, err := a2a.NewPushes(a2a.PushesDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Keeper: k, Configs: repo, Sweeps: repo, Changes: repo, Sender: sender,
		Writer: face.PushWriter{Tasks: tasks, Store: s.A2ATasks(), PublicURL: cfg.PublicURL},
	}, a2a.PushesConfig{})
	if err == nil {
		tasks.Watch(out)
	}
	return out, err
}
