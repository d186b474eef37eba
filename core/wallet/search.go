package wallet

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// Filter narrows a list of a wallet's transactions; zero fields do not.
type Filter struct {
	Kinds []Kind
	Since time.Time // at it or later, by Transaction.CreatedAt
	Until time.Time // before it
	Payee string    // exactly
}

// Transactions is Search without a filter.
func (s *Service) Transactions(
	ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency, req page.Request,
) (page.Page[Transaction], error) {
	return s.Search(ctx, sc, agent, c, Filter{}, req)
}

// Search returns the transactions of the agent's wallet in a currency ("" is DefaultCurrency) that f lets through, the latest first;
// the zero agent is the tenant itself. The list is read by cursors or by the numbers of its pages. id.NotFound when the tenant has
// no such agent.
func (s *Service) Search(
	ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency, f Filter, req page.Request,
) (page.Page[Transaction], error) {
	if err := s.exists(ctx, sc, agent); err != nil {
		return page.Page[Transaction]{}, err
	}
	w, err := s.d.Repository.Get(ctx, sc, agent, currency(c))
	if errors.Is(err, ErrNoWallet) {
		return page.Page[Transaction]{}, nil
	}
	if err != nil {
		return page.Page[Transaction]{}, err
	}
	return s.d.Repository.Transactions(ctx, sc, w.ID, f, req)
}

// Find returns a transaction as each wallet that it touched saw it, the debited one first. id.NotFound when the tenant has none.
func (s *Service) Find(ctx context.Context, sc account.Scope, entry id.LedgerEntry) ([]Transaction, error) {
	ts, err := s.d.Repository.Movements(ctx, sc, Ref{ID: entry})
	if err == nil && len(ts) == 0 {
		err = id.NotFound[id.LedgerEntryKind](entry.String())
	}
	return ts, err
}

// Refunded returns how much of a payment has come back; zero of what is no payment.
func (s *Service) Refunded(ctx context.Context, sc account.Scope, t Transaction) (money.Amount, error) {
	if t.Kind != Payment {
		return money.Of(0, t.Amount.Currency), nil
	}
	n, err := s.d.Books.Refunded(ctx, sc, t.ID)
	return money.Of(n, t.Amount.Currency), err
}
