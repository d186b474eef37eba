package app

import (
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/webhook"
)

// budgetsModule has what tells people what models cost them.
func budgetsModule() fx.Option {
	return fx.Module("budgets", fx.Provide(provideBudgets, provideBoard))
}

func provideBudgets(b base, s *bunstore.Store, o owners, trail *audit.Service, notices *webhook.Service) (*usage.Budgets, error) {
	return usage.NewBudgets(usage.BudgetDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Repository: s.Budgets(), Counts: s.Budgets(), Agents: o, Trail: trail, Notices: notices,
	})
}

func provideBoard(b base, s *bunstore.Store) (*usage.Board, error) {
	return usage.NewBoard(usage.BoardDeps{Clock: b.Clock, Repository: s.Usage(), Errors: s.ErrorEvents(), Opinions: s.Feedback()})
}
