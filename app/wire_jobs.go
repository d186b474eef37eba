package app

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/jobs/river"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/chat"
	"github.com/bureau-agents/bureau/core/eval"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/retire"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/jobs"
)

// chore is work that comes back by itself.
type chore struct {
	kind  string
	every time.Duration
	do    func(context.Context) (int, error)
}

func jobModule() fx.Option {
	return fx.Module("jobs", fx.Invoke(
		func(
			lc fx.Lifecycle, cfg Config, q *river.Queue, accounts *account.Service, g *gate.Gate, wallets *wallet.Service, files *file.Service,
			evals *eval.Service, signIns *account.SignIns, retired *retire.Service, payments *payment.Service, books *bookkeeper, chats *chat.Service, keeping *telemetry.Keeping,
			t *otel.Telemetry, knows *knowledge.Service, store *bunstore.KnowledgeRepo,
		) error {
			for _, c := range append(knowledgeUpkeep(knows, store), []chore{
				{"expire_approvals", 10 * time.Second, g.ExpireDue},
				{"expire_holds", time.Minute, wallets.ExpireDue},
				{"expire_counters", time.Hour, g.ExpireCounters},
				{"reconcile_payments", 3 * time.Second, payments.Reconcile},
				{"reconcile_books", 24 * time.Hour, books.run},
				{"resume_evals", time.Minute, evals.Resume},
				{"sweep_files", time.Minute, files.Sweep},
				{"sweep_agents", 5 * time.Minute, retired.Sweep},
				{"sweep_reports", 5 * time.Minute, keeping.Sweep},
				{"prune_chats", time.Hour, chats.Prune},
				{"expire_sign_ins", 5 * time.Minute, signIns.Expire},
				{"expire_idempotency", 5 * time.Minute, accounts.ExpireIdempotency},
			}...) {
				do := func(ctx context.Context, _ json.RawMessage) error {
					_, err := c.do(ctx)
					return err
				}
				if err := q.Handle(c.kind, otel.WrapJobs(do, t, c.kind)); err != nil {
					return err
				}
				if err := q.Schedule(jobs.Schedule{Kind: c.kind, Every: c.every}); err != nil {
					return err
				}
			}
			lc.Append(fx.Hook{OnStart: func(ctx context.Context) error {
				if err := q.Start(ctx); err != nil || cfg.DatabaseURL != "" {
					return err
				}
				_, err := evals.Recover(ctx)
				return err
			}, OnStop: q.Stop})
			return nil
		}))
}
