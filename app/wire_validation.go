package app

import (
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/core/validation"
)

func validationModule() fx.Option {
	return fx.Module("validation",
		fx.Provide(provideValidation),
		fx.Invoke(func(q *river.Queue, s *validation.Service, t *otel.Telemetry) error {
			return scheduleChore(q, t, chore{"prune_card_reports", time.Hour, s.Prune})
		}))
}

func provideValidation(b base, cfg Config, s *bunstore.Store) (*validation.Service, error) {
	return validation.NewService(validation.Deps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Judge: card.Validate, Allowances: s.Validations(), Reports: s.CardReports(),
		Cards: s.AgentCards(),
	}, validation.Config{
		RateScale: *cfg.RateLimitScale, Keys: cfg.CardKeys,
		KeepFor: cfg.CardReports.Keep, Room: cfg.CardReports.Room,
		KeepAnonymous: cfg.AnonymousCardReports.Keep, RoomAnonymous: cfg.AnonymousCardReports.Room,
	})
}
