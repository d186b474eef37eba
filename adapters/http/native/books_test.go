package native

import (
	"context"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/account/accounttest"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/reconciliation"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/jobs"
	"github.com/bureau-agents/bureau/ports/tx"
)

// provideBooks adds what keeps the books: audit, usage, wallets.
func (f *fixture) provideBooks(d *Deps) {
	f.t.Helper()
	log, ids := slog.New(slog.DiscardHandler), id.NewGenerator(time.Now)
	var err error
	if d.Audit, err = audit.NewService(audit.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Audit(), Seals: f.store.Audit(),
	}, audit.Config{}); err != nil {
		f.t.Fatal(err)
	}
	if d.Wallets, err = wallet.NewService(wallet.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Wallets(), Holds: f.store.Holds(), Books: f.store.Wallets(),
		Owners: owners{f}, Trail: d.Audit,
	}, wallet.Config{}); err != nil {
		f.t.Fatal(err)
	}
	if d.Books, err = reconciliation.NewService(reconciliation.Deps{
		Clock: f.clock, Logger: log, Repository: f.store.Reconciliation(), Books: f.store.Wallets(),
	}, reconciliation.Config{}); err != nil {
		f.t.Fatal(err)
	}
	if d.Prices, err = usage.NewPriceBook(usage.PriceDeps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Prices(), Trail: d.Audit, Bus: &accounttest.Bus{},
	}); err != nil {
		f.t.Fatal(err)
	}
	work := &inline{}
	if d.Rerater, err = usage.NewRerater(usage.RerateDeps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Rows: f.store.Usage(), Repository: f.store.Rerates(), Prices: d.Prices,
		Agents: owners{f}, Jobs: work, Trail: d.Audit,
	}); err != nil {
		f.t.Fatal(err)
	}
	work.tx, work.do = f.store, d.Rerater.Work
	if d.Usage, err = usage.NewService(usage.Deps{
		TX: f.store, Clock: f.clock, IDs: ids, Logger: log, Repository: f.store.Usage(), Agents: owners{f}, Lists: d.Prices,
	}); err != nil {
		f.t.Fatal(err)
	}
}

// inline does each job when the transaction that adds it has committed.
type inline struct {
	tx tx.Runner
	do jobs.Handler
}

// Enqueue implements jobs.Queue.
func (q *inline) Enqueue(ctx context.Context, j jobs.Job) error {
	q.tx.AfterCommit(ctx, func() {
		if err := q.do(context.Background(), j.Args); err != nil {
			panic(err)
		}
	})
	return nil
}

// owners answers for the agents of the fixture's store.
type owners struct{ f *fixture }

func (o owners) Exists(ctx context.Context, sc account.Scope, a id.Agent) error {
	_, err := o.f.store.Agents().Get(ctx, sc, a)
	return err
}

func (o owners) RequireActive(ctx context.Context, sc account.Scope, a id.Agent) error {
	info, err := o.f.store.Agents().LockStanding(ctx, sc, a)
	if err == nil && info.Standing == agent.Frozen {
		return agent.ErrFrozen
	}
	return err
}

// agentID makes an agent and returns its id.
func (f *fixture) agentID() id.Agent {
	f.t.Helper()
	a, err := id.Parse[id.AgentKind](f.newAgent())
	if err != nil {
		f.t.Fatal(err)
	}
	return a
}
