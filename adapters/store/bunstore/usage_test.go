package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/usage/usagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		usagetest.Run(t, usagetest.Config{New: func(*testing.T) (usage.Repository, tx.Runner) { return s.Usage(), s }})
	})
}

func TestBudgets(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		usagetest.RunBudgets(t, func(*testing.T) usagetest.BudgetStores {
			return usagetest.BudgetStores{Usage: s.Usage(), Repository: s.Budgets(), Counts: s.Budgets(), TX: s}
		})
	})
}

func priceStores(s *Store) usagetest.PriceStores {
	return usagetest.PriceStores{Usage: s.Usage(), Prices: s.Prices(), Rerate: s.Rerates(), TX: s}
}

func TestPrices(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) { usagetest.RunPrices(t, priceStores(s)) })
}

func TestSeed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) { usagetest.RunSeed(t, priceStores(s)) })
}
