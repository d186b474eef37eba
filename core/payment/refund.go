package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/payment"
)

// RefundRequest asks for money to come back over the rail that it left by.
type RefundRequest struct {
	Payment id.Payment
	Amount  int64  // micro-units of the payment's currency; 0 is all that has not come back yet
	Key     string // the same key as the payment's last refund answers that one again; "" is none
}

// Refund lets a rail give money back, and enters it in the wallet that paid once it has. A returned payment whose Refunding is above
// its Refunded means that the rail has not said yet whether it did: Reconcile goes on. ErrNotPaid, ErrRefunding, ErrRefundTooLarge;
// payment.ErrNoRefunds or payment.ErrDeclined when nothing comes back.
func (s *Service) Refund(ctx context.Context, sc account.Scope, r RefundRequest) (Payment, error) {
	if r.Amount < 0 {
		return Payment{}, wallet.ErrAmount
	}
	var p Payment
	repeated := false
	err := s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
		if p, err = s.d.Repository.Lock(ctx, sc, r.Payment); err != nil {
			return err
		}
		if repeated = r.Key != "" && r.Key == p.RefundKey; repeated {
			return nil
		}
		amount := r.Amount
		if amount == 0 {
			amount = p.Paid - p.Refunded
		}
		switch {
		case p.Status != Succeeded:
			return ErrNotPaid.Withf("the payment is %s", p.Status)
		case p.Refunding > p.Refunded:
			return ErrRefunding
		case amount == 0 || amount > p.Paid-p.Refunded:
			return ErrRefundTooLarge
		}
		p.Refunding, p.RefundKey, p.DueAt = p.Refunded+amount, r.Key, s.lease()
		return s.d.Repository.Update(ctx, sc, p)
	})
	if err != nil || repeated {
		return p, err
	}
	rail, err := s.rail(p.Rail)
	if err != nil {
		return Payment{}, err
	}
	if err := s.giveBack(context.WithoutCancel(ctx), sc, rail, p); err != nil {
		return Payment{}, err
	}
	return s.d.Repository.Get(ctx, sc, p.ID)
}

// giveBack asks the rail for the refund of a payment that has one open.
func (s *Service) giveBack(ctx context.Context, sc account.Scope, rail payment.Rail, p Payment) error {
	call, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	err := rail.Refund(call, payment.Refund{
		// The total makes each refund of a payment another one.
		Key: fmt.Sprintf("%s-refund-%d", Key(p.Act), p.Refunding), Charge: p.charge(), Amount: p.money(p.Refunding - p.Refunded),
	})
	switch {
	case err == nil:
		return s.enterRefund(ctx, sc, p.ID, p.Refunding)
	case errors.Is(err, payment.ErrDeclined) || errors.Is(err, payment.ErrNoRefunds):
		return errors.Join(err, s.dropRefund(ctx, sc, p.ID))
	}
	s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "outcome of a refund unknown", slog.String("payment_id", p.ID.String()), slog.Any("error", err))
	return s.putOff(ctx, sc, p, "")
}

// refunded compares what a rail says has come back of an ended payment with what was entered, and asks for what is missing.
func (s *Service) refunded(ctx context.Context, sc account.Scope, rail payment.Rail, p Payment, r payment.Receipt) error {
	if p.Status != Succeeded {
		if r.Status == payment.Succeeded {
			return s.contradicted(ctx, sc, p, r)
		}
		return s.dropRefund(ctx, sc, p.ID)
	}
	if r.Refunded.Micros < p.Refunding {
		return s.giveBack(ctx, sc, rail, p)
	}
	return s.enterRefund(ctx, sc, p.ID, r.Refunded.Micros)
}

// enterRefund enters that total has come back of a payment so far.
func (s *Service) enterRefund(ctx context.Context, sc account.Scope, of id.Payment, total int64) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.d.Repository.Lock(ctx, sc, of)
		if err != nil {
			return err
		}
		if back := min(total, p.Paid) - p.Refunded; back > 0 {
			_, err := s.d.Wallets.Refund(ctx, sc, wallet.RefundRequest{
				Payment: p.Entry, Amount: back, Description: "refund over " + p.Rail, Returned: true,
			})
			if err != nil {
				return err
			}
			p.Refunded += back
		}
		if p.Refunding <= p.Refunded {
			p.Refunding, p.DueAt, p.Asked = 0, nil, 0
		}
		return s.d.Repository.Update(ctx, sc, p)
	})
}

// dropRefund forgets a refund that will not come, with its key: asked again under it, it is another try.
func (s *Service) dropRefund(ctx context.Context, sc account.Scope, of id.Payment) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.d.Repository.Lock(ctx, sc, of)
		if err != nil {
			return err
		}
		p.Refunding, p.RefundKey, p.DueAt, p.Asked = 0, "", nil, 0
		return s.d.Repository.Update(ctx, sc, p)
	})
}
