package app

import (
	"context"

	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/reconciliation"
)

func reconciliationModule() fx.Option {
	return fx.Module("reconciliation", fx.Provide(provideReconciliation, newBookkeeper))
}

func provideReconciliation(b base, s *bunstore.Store) (*reconciliation.Service, error) {
	return reconciliation.NewService(reconciliation.Deps{
		Clock: b.Clock, Logger: b.Logger, Repository: s.Reconciliation(), Books: s.Wallets(),
	}, reconciliation.Config{})
}

// bookkeeper reconciles the last day of every tenant.
type bookkeeper struct {
	books *reconciliation.Service
	store *bunstore.Store
}

func newBookkeeper(books *reconciliation.Service, s *bunstore.Store) *bookkeeper {
	return &bookkeeper{books, s}
}

func (b *bookkeeper) run(ctx context.Context) (int, error) {
	return b.books.ReconcileAll(ctx, b.store.Reconciliation())
}
