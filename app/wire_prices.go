package app

import (
	"context"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/bus"
)

// pricesModule has what models cost, and what prices again what was used.
func pricesModule() fx.Option {
	return fx.Module("prices", fx.Provide(providePrices, provideRerater), fx.Invoke(func(lc fx.Lifecycle, b base, p *usage.PriceBook) {
		lc.Append(fx.Hook{OnStart: func(ctx context.Context) error {
			n, err := p.Seed(ctx)
			if n > 0 {
				b.Logger.InfoContext(ctx, "the price list was brought up to date", "prices", n)
			}
			return err
		}})
		background(lc, func(ctx context.Context) { _ = p.Run(ctx) })
	}))
}

func providePrices(b base, s *bunstore.Store, trail *audit.Service, messages bus.Bus) (*usage.PriceBook, error) {
	return usage.NewPriceBook(usage.PriceDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Repository: s.Prices(), Trail: trail, Bus: messages,
	})
}

func provideRerater(
	b base, s *bunstore.Store, o owners, trail *audit.Service, prices *usage.PriceBook, q *river.Queue, t *otel.Telemetry,
) (*usage.Rerater, error) {
	r, err := usage.NewRerater(usage.RerateDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Rows: s.Usage(), Repository: s.Rerates(), Prices: prices, Agents: o, Jobs: q,
		Trail: trail,
	})
	if err != nil {
		return nil, err
	}
	return r, q.Handle(usage.RerateJob, otel.WrapJobs(r.Work, t, usage.RerateJob))
}
