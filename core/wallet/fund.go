package wallet

import (
	"context"
	"errors"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// FundRequest asks for money to go between the tenant's own wallet and an agent's.
type FundRequest struct {
	Agent       id.Agent     // required
	Amount      money.Amount // above zero; its currency chooses the wallets
	Description string
	// Key makes the movement unique within the tenant, like DepositRequest.Key. "" is none.
	Key string
}

// Fund moves money from the tenant's own wallet into an agent's, on the operator's word, and returns it as the tenant and as the
// agent saw it. Only an active agent can receive: id.NotFound, or the fault.Forbidden of Owners.RequireActive; ErrInsufficientFunds
// when the tenant's wallet has not that much. It is noted in the audit trail.
//
// No act of an agent reaches the tenant's wallet: the gate pays out of the acting agent's wallet and transfers between agents.
func (s *Service) Fund(ctx context.Context, sc account.Scope, r FundRequest) (out, in Transaction, err error) {
	return s.between(ctx, sc, id.Agent{}, r.Agent, r)
}

// Withdraw is Fund in the other direction. A frozen agent's money stays where it is until it is unfrozen or destroyed.
func (s *Service) Withdraw(ctx context.Context, sc account.Scope, r FundRequest) (out, in Transaction, err error) {
	return s.between(ctx, sc, r.Agent, id.Agent{}, r)
}

func (s *Service) between(ctx context.Context, sc account.Scope, from, to id.Agent, r FundRequest) (out, in Transaction, err error) {
	if err := positive(r.Amount); err != nil {
		return out, in, err
	}
	if r.Agent.IsZero() {
		return out, in, ErrSameWallet
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Owners.RequireActive(ctx, sc, r.Agent); err != nil {
			return err
		}
		ts, err := s.post(ctx, sc,
			Entry{Kind: EntryTransfer, Currency: r.Amount.Currency, Key: r.Key, Description: r.Description},
			Line{Part: Available, Owner: from, Amount: -r.Amount.Micros, Kind: TransferOut, Counterpart: to},
			Line{Part: Available, Owner: to, Amount: r.Amount.Micros, Kind: TransferIn, Counterpart: from})
		if errors.Is(err, ErrRepeated) {
			out, in, err = s.funded(ctx, sc, from, to, r)
			return err
		}
		if err != nil {
			return err
		}
		out, in = ts[0], ts[1]
		side := in
		if to.IsZero() {
			side = out
		}
		return s.note(ctx, sc, side, nil)
	})
	return out, in, err
}

// funded answers a request whose key is in the ledger.
func (s *Service) funded(ctx context.Context, sc account.Scope, from, to id.Agent, r FundRequest) (out, in Transaction, err error) {
	ts, err := s.d.Repository.Movements(ctx, sc, Ref{Key: r.Key})
	if err != nil {
		return out, in, err
	}
	if len(ts) != 2 || ts[0].Kind != TransferOut || ts[0].Agent != from || ts[1].Agent != to || ts[0].Amount != r.Amount {
		return out, in, ErrKeyReused
	}
	return ts[0], ts[1], nil
}
