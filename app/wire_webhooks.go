package app

import (
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/adapters/webhook/nethttp"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/webhook"
	"github.com/bureau-agents/bureau/ports/keeper"
)

func webhookModule() fx.Option {
	return fx.Module("webhooks",
		fx.Provide(provideWebhooks),
		fx.Invoke(func(lc fx.Lifecycle, q *river.Queue, s *webhook.Service, t *otel.Telemetry) error {
			background(lc, s.Run)
			return scheduleChore(q, t, chore{"prune_notices", time.Hour, s.Prune})
		}))
}

func provideWebhooks(b base, cfg Config, s *bunstore.Store, k keeper.Keeper, trail *audit.Service) (*webhook.Service, error) {
	sender, err := nethttp.New(nethttp.Config{Allow: cfg.EgressAllow, UserAgent: "bureau-webhooks/" + Version()})
	if err != nil {
		return nil, err
	}
	return webhook.NewService(webhook.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Keeper: k, Webhooks: s.Webhooks(), Notices: s.Notices(),
		Deliveries: s.WebhookDeliveries(), Sender: sender, Trail: trail,
	}, webhook.Config{})
}
