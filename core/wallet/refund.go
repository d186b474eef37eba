package wallet

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// RefundRequest asks for a payment, or a part of it, to come back.
type RefundRequest struct {
	Payment     id.LedgerEntry
	Amount      int64 // micro-units of the payment's currency; 0 is all that has not come back yet
	Description string
	// Key makes the refund unique within the tenant, like DepositRequest.Key. "" is none.
	Key string
	// Returned says that the money has come back over the rail by which the payment left; see Outside.
	Returned bool
}

// Outside tells which payments have left over a rail. Their money is not in these books, so a refund of one that the rail has not
// made would be money out of nothing.
type Outside interface {
	// OverRail reports whether a payment has left over a rail.
	OverRail(ctx context.Context, sc account.Scope, payment id.LedgerEntry) (bool, error)
}

// Refund returns a payment to the wallet that paid it, or to the tenant's own when that agent has been destroyed. id.NotFound when
// the tenant has no such payment; ErrRefundTooLarge when its refunds would exceed it, or nothing is left of it; ErrOverRail when it
// left over a rail that has not given it back. It is noted in the audit trail.
//
// The payee has given the money back, whatever the standing of the agent: a frozen one gets it and cannot spend it. A refund frees
// no room in a limit's window: the payment was made in it, and an agent whose payee plays along could spend without end otherwise.
func (s *Service) Refund(ctx context.Context, sc account.Scope, r RefundRequest) (Transaction, error) {
	if r.Amount < 0 {
		return Transaction{}, ErrAmount
	}
	var out Transaction
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		ts, err := s.d.Repository.Movements(ctx, sc, Ref{ID: r.Payment})
		if err != nil {
			return err
		}
		if len(ts) != 1 || ts[0].Kind != Payment {
			return id.NotFound[id.LedgerEntryKind](r.Payment.String())
		}
		p := ts[0]
		// The wallet's lock keeps two refunds of one payment from each seeing the other's money unreturned.
		if _, err := s.d.Repository.Lock(ctx, sc, p.Amount.Currency, p.Agent); err != nil {
			return err
		}
		if r.Key != "" {
			if done, ok, err := s.refunded(ctx, sc, r); err != nil || ok {
				out = done
				return err
			}
		}
		out, err = s.refund(ctx, sc, p, r)
		return err
	})
	return out, err
}

// refunded answers a refund whose key is in the ledger.
func (s *Service) refunded(ctx context.Context, sc account.Scope, r RefundRequest) (Transaction, bool, error) {
	ts, err := s.d.Repository.Movements(ctx, sc, Ref{Key: r.Key})
	if err != nil || len(ts) == 0 {
		return Transaction{}, false, err
	}
	if t := ts[0]; t.Kind != Refund || t.Refunds != r.Payment || r.Amount != 0 && r.Amount != t.Amount.Micros {
		return Transaction{}, false, ErrKeyReused
	}
	return ts[0], true, nil
}

// refund gives back what r asks of a payment whose wallet is locked.
func (s *Service) refund(ctx context.Context, sc account.Scope, p Transaction, r RefundRequest) (Transaction, error) {
	if err := s.mayReturn(ctx, sc, p, r); err != nil {
		return Transaction{}, err
	}
	back, err := s.d.Books.Refunded(ctx, sc, p.ID)
	if err != nil {
		return Transaction{}, err
	}
	amount, left := r.Amount, p.Amount.Micros-back
	if amount == 0 {
		amount = left
	}
	if amount == 0 || amount > left {
		return Transaction{}, ErrRefundTooLarge
	}
	to := p.Agent
	if err := s.exists(ctx, sc, to); isNotFound(err) {
		to = id.Agent{}
	} else if err != nil {
		return Transaction{}, err
	}
	ts, err := s.post(ctx, sc, Entry{
		Kind: EntryRefund, Currency: p.Amount.Currency, Key: r.Key, Refunds: p.ID, Payee: p.Payee, Category: p.Category,
		Description: r.Description,
	},
		Line{Part: Sink, Amount: -amount},
		Line{Part: Available, Owner: to, Amount: amount, Kind: Refund})
	if err != nil {
		return Transaction{}, err
	}
	return ts[0], s.note(ctx, sc, ts[0], map[string]any{"payment_id": p.ID.UUID().String()})
}

// mayReturn refuses to enter money that is still outside.
func (s *Service) mayReturn(ctx context.Context, sc account.Scope, p Transaction, r RefundRequest) error {
	if s.d.Outside == nil || p.Hold.IsZero() || r.Returned {
		return nil
	}
	over, err := s.d.Outside.OverRail(ctx, sc, p.ID)
	if err == nil && over {
		return ErrOverRail
	}
	return err
}
