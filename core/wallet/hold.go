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

// HoldRequest asks for money to be set aside.
type HoldRequest struct {
	Agent       id.Agent
	Amount      money.Amount // above zero
	Payee       string
	Category    string
	Description string
	Act         id.Act        // what it is for; one act holds and pays once
	TTL         time.Duration // 0 is Config.HoldTTL; must not be negative
}

// UntilEnded is the TTL of a hold for a payment that is under way outside: its time does not run out, and Sweep leaves it, so that it
// ends by Capture or Void alone.
const UntilEnded = 100 * 365 * 24 * time.Hour

// bound reports whether the hold ends with a payment that is under way outside.
func (h Hold) bound() bool { return h.ExpiresAt.Sub(h.CreatedAt) >= UntilEnded }

// Hold sets money aside until Capture, Void or its expiry. ErrInsufficientFunds, or ErrRepeated when the act has a
// hold.
func (s *Service) Hold(ctx context.Context, sc account.Scope, r HoldRequest) (Hold, error) {
	if err := positive(r.Amount); err != nil {
		return Hold{}, err
	}
	if r.TTL <= 0 {
		r.TTL = s.c.HoldTTL
	}
	now := s.now()
	h := Hold{
		ID: id.New[id.HoldKind](s.d.IDs), Tenant: sc.Tenant, Agent: r.Agent, Amount: r.Amount, Status: HoldOpen, Act: r.Act,
		Payee: storable(r.Payee), Category: storable(r.Category), Description: storable(r.Description),
		ExpiresAt: now.Add(r.TTL), CreatedAt: now,
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		// The wallet's lock comes first, so that of two holds of one act the second finds the first.
		w, err := s.Lock(ctx, sc, r.Agent, r.Amount.Currency)
		if err != nil {
			return err
		}
		if w.Available() < r.Amount.Micros {
			return ErrInsufficientFunds.Withf("the wallet has less than %s available", r.Amount)
		}
		h.Wallet = w.ID
		if err := s.d.Holds.Insert(ctx, sc, h); err != nil {
			return err
		}
		_, err = s.post(ctx, sc, Entry{Kind: EntryHold, Currency: r.Amount.Currency, Hold: h.ID},
			Line{Part: Available, Owner: r.Agent, Amount: -r.Amount.Micros},
			Line{Part: Held, Owner: r.Agent, Amount: r.Amount.Micros})
		return err
	})
	if err != nil {
		return Hold{}, err
	}
	return h, nil
}

// Capture pays amount out of a hold and releases the rest. The amount is above zero and at most what is held
// (ErrCaptureTooLarge); a hold that ended, or whose time is up, is ErrHoldResolved.
func (s *Service) Capture(ctx context.Context, sc account.Scope, hold id.Hold, amount money.Amount) (Transaction, error) {
	if err := positive(amount); err != nil {
		return Transaction{}, err
	}
	var out Transaction
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		h, err := s.d.Holds.Lock(ctx, sc, hold)
		switch {
		case err != nil:
			return err
		case h.Status != HoldOpen || !h.ExpiresAt.After(s.now()):
			return ErrHoldResolved
		case h.Amount.Currency != amount.Currency:
			return money.ErrCurrency
		case amount.Micros > h.Amount.Micros:
			return ErrCaptureTooLarge
		}
		ts, err := s.post(ctx, sc, Entry{
			Kind: EntryPayment, Currency: amount.Currency, Act: h.Act, Hold: h.ID, Payee: h.Payee, Category: h.Category,
			Description: h.Description,
		},
			Line{Part: Held, Owner: h.Agent, Amount: -amount.Micros, Kind: Payment},
			Line{Part: Sink, Amount: amount.Micros})
		if err != nil {
			return err
		}
		out = ts[0]
		h.Captured = amount.Micros
		return s.end(ctx, sc, h, HoldCaptured)
	})
	return out, err
}

// Void releases a hold. ErrHoldResolved when it has ended.
func (s *Service) Void(ctx context.Context, sc account.Scope, hold id.Hold) error {
	return s.release(ctx, sc, hold, HoldVoided)
}

// Holds returns the agent's holds in a state, "" is every one, the latest first. id.NotFound when the tenant has no such agent.
func (s *Service) Holds(
	ctx context.Context, sc account.Scope, agent id.Agent, status HoldStatus, req page.Request,
) (page.Page[Hold], error) {
	if err := s.exists(ctx, sc, agent); err != nil {
		return page.Page[Hold]{}, err
	}
	return s.d.Holds.List(ctx, sc, agent, status, req)
}

// GetHold returns a hold. id.NotFound when the tenant has no such hold.
func (s *Service) GetHold(ctx context.Context, sc account.Scope, hold id.Hold) (Hold, error) {
	return s.d.Holds.Get(ctx, sc, hold)
}

// Release is Void on the operator's word, noted in the audit trail. ErrHoldInUse for a hold of UntilEnded: the payment that it is for
// may have been made outside already, and has to find its money.
func (s *Service) Release(ctx context.Context, sc account.Scope, hold id.Hold) (Hold, error) {
	var out Hold
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		h, err := s.d.Holds.Lock(ctx, sc, hold)
		if err != nil {
			return err
		}
		switch {
		case h.Status != HoldOpen:
			return ErrHoldResolved
		case h.bound():
			return ErrHoldInUse
		}
		if err := s.end(ctx, sc, h, HoldVoided); err != nil {
			return err
		}
		if out, err = s.d.Holds.Get(ctx, sc, hold); err != nil {
			return err
		}
		m := map[string]any{
			"hold_id": h.ID.UUID().String(), "amount": h.Amount.Decimal(), "currency": string(h.Amount.Currency), "payee": h.Payee,
		}
		if !h.Act.IsZero() {
			m["act_id"] = h.Act.UUID().String()
		}
		return s.d.Trail.Note(ctx, sc, "hold_voided", h.Agent, m)
	})
	return out, err
}

func (s *Service) release(ctx context.Context, sc account.Scope, hold id.Hold, as HoldStatus) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		h, err := s.d.Holds.Lock(ctx, sc, hold)
		if err != nil {
			return err
		}
		if h.Status != HoldOpen {
			return ErrHoldResolved
		}
		return s.end(ctx, sc, h, as)
	})
}

// end gives back what was not captured of an open, locked hold and closes it.
func (s *Service) end(ctx context.Context, sc account.Scope, h Hold, as HoldStatus) error {
	if rest := h.Amount.Micros - h.Captured; rest > 0 {
		_, err := s.post(ctx, sc, Entry{Kind: EntryRelease, Currency: h.Amount.Currency, Hold: h.ID},
			Line{Part: Held, Owner: h.Agent, Amount: -rest},
			Line{Part: Available, Owner: h.Agent, Amount: rest})
		if err != nil {
			return err
		}
	}
	now := s.now()
	h.Status, h.ResolvedAt = as, &now
	return s.d.Holds.Resolve(ctx, sc, h)
}

// expireBatch bounds what ExpireDue reads at once.
const expireBatch = 100

// ExpireDue releases the holds of every tenant whose time is up, each in its own transaction, and returns how many. A
// job calls it every few seconds; several may do so at once.
func (s *Service) ExpireDue(ctx context.Context) (int, error) {
	n := 0
	for {
		due, err := s.d.Holds.Due(ctx, s.now(), expireBatch)
		if err != nil {
			return n, err
		}
		for _, h := range due {
			err := s.release(ctx, account.System(h.Tenant), h.ID, HoldExpired)
			switch {
			case err == nil:
				n++
			case !errors.Is(err, ErrHoldResolved):
				return n, err
			}
		}
		if len(due) < expireBatch {
			return n, nil
		}
	}
}
