package wallet

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Notices is where the service tells what people outside want to hear of; app wires core/webhook.
type Notices interface {
	// Publish stores a notice in the transaction in ctx; it is delivered after the commit. Ids in data are UUIDs, money is decimal
	// strings.
	Publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error
}

// The kinds of notices that wallets publish.
const (
	noticeDeposit = "wallet.deposit"
	noticeLow     = "wallet.low_balance"
)

// tellDeposit tells of money that came from outside.
func (s *Service) tellDeposit(ctx context.Context, sc account.Scope, t Transaction) error {
	if s.d.Notices == nil {
		return nil
	}
	return s.d.Notices.Publish(ctx, sc, noticeDeposit, t.Agent, map[string]any{
		"wallet_id": t.Wallet.UUID().String(), "transaction_id": t.ID.UUID().String(), "amount": t.Amount.Decimal(),
		"currency": string(t.Amount.Currency), "balance_after": t.BalanceAfter.Decimal(), "description": t.Description,
	})
}

// tellLow tells when a line has taken what a wallet has available from the threshold, or above it, to below it. Emptying the wallet of an
// agent that is destroyed is nothing to tell of.
func (s *Service) tellLow(ctx context.Context, sc account.Scope, l Line, after Wallet) error {
	low, now := s.c.LowBalance, after.Available()
	if s.d.Notices == nil || l.Part != Available || l.Amount >= 0 || l.Kind == Sweep || now >= low || now-l.Amount < low {
		return nil
	}
	return s.d.Notices.Publish(ctx, sc, noticeLow, after.Agent, map[string]any{
		"wallet_id": after.ID.UUID().String(), "currency": string(after.Currency), "available": after.Money(now).Decimal(),
		"balance": after.Money(after.Balance).Decimal(), "threshold": after.Money(low).Decimal(),
	})
}
