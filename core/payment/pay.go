package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Pay decides a payment over act.Rail and makes it. act.Arguments is the rail's target. The record is Done, Denied, Failed or Parked
// like one of gate.Perform; Started means that the rail has not said yet what became of it: Reconcile ends it.
//
// The same key with the same arguments is the same payment, however often it comes. ErrRail; a fault.Invalid for what the rail cannot
// pay; the errors of gate.Begin.
func (s *Service) Pay(ctx context.Context, sc account.Scope, act gate.Act) (gate.Record, error) {
	rail, err := s.rail(act.Rail)
	if err != nil {
		return gate.Record{}, err
	}
	if act.Amount == nil {
		return gate.Record{}, fault.Invalidf("amount", "is required")
	}
	act.Action, act.Idempotent = rule.ActionPayment, false
	if err := rail.Check(payment.Charge{Amount: *act.Amount, Payee: act.Payee, Target: act.Arguments}); err != nil {
		return gate.Record{}, err
	}
	var p Payment
	rec, err := s.d.Gate.Begin(ctx, sc, act, func(ctx context.Context, rec gate.Record) error {
		p, err = s.reserve(ctx, sc, rec)
		return err
	})
	if err != nil || rec.State != gate.Started {
		return rec, err
	}
	// From here on the caller may go away: the money may be on its way already.
	ctx = context.WithoutCancel(ctx)
	if !rec.Found {
		err = s.charge(ctx, sc, rail, p)
	} else if found, ok, ferr := s.Of(ctx, sc, rec.ID); ferr != nil || ok {
		err = errors.Join(ferr, s.advance(ctx, sc, found))
	}
	if err != nil {
		s.d.Logger.LogAttrs(ctx, slog.LevelError, "payment not settled", slog.String("act_id", rec.ID.String()), slog.Any("error", err))
	}
	out, err := s.d.Gate.Act(ctx, sc, rec.ID)
	out.Found = rec.Found
	return out, err
}

// reserve holds the money of a payment that may leave, and stores it. It joins the transaction in ctx.
func (s *Service) reserve(ctx context.Context, sc account.Scope, rec gate.Record) (Payment, error) {
	act := rec.Act
	now := s.now()
	h, err := s.d.Wallets.Hold(ctx, sc, wallet.HoldRequest{
		Agent: act.Agent, Amount: *act.Amount, Payee: act.Payee, Category: act.Category, Description: act.Description, Act: rec.ID,
		TTL: wallet.UntilEnded,
	})
	if err != nil {
		return Payment{}, err
	}
	p := Payment{
		ID: id.New[id.PaymentKind](s.d.IDs), Tenant: sc.Tenant, Act: rec.ID, Agent: act.Agent, Session: act.Session, Rail: act.Rail,
		Amount: *act.Amount, Payee: act.Payee, Description: act.Description, Target: act.Arguments, Status: Pending, Hold: h.ID,
		Attempts: 1, DueAt: s.lease(), LastAt: now, CreatedAt: now,
	}
	return p, s.d.Repository.Insert(ctx, sc, p)
}

// charge asks the rail to pay, and settles what it says.
func (s *Service) charge(ctx context.Context, sc account.Scope, rail payment.Rail, p Payment) error {
	call, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	receipt, err := rail.Charge(call, p.charge())
	if errors.Is(err, payment.ErrDeclined) {
		receipt, err = payment.Receipt{Status: payment.Declined, Reason: message(err)}, nil
	}
	if err != nil {
		s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "outcome of a payment unknown", slog.String("payment_id", p.ID.String()),
			slog.String("rail", p.Rail), slog.Any("error", err))
		return s.leave(ctx, sc, p, Unknown, payment.Receipt{Reason: "the rail did not say what became of it"})
	}
	return s.settle(ctx, sc, p, receipt)
}

// message returns what an error says to the outside.
func message(err error) string {
	if fe, ok := fault.As(err); ok {
		return fe.Message
	}
	return err.Error()
}

// leave writes down that the outcome is still open, and when to ask again.
func (s *Service) leave(ctx context.Context, sc account.Scope, p Payment, as Status, r payment.Receipt) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.d.Repository.Lock(ctx, sc, p.ID)
		if err != nil || p.EndedAt != nil {
			return err
		}
		p.Status, p.Error = as, r.Reason
		if r.Reference != "" {
			p.Reference = r.Reference
		}
		p.DueAt = s.later(p.Asked)
		p.Asked++
		return s.d.Repository.Update(ctx, sc, p)
	})
}

// settleTries is how often the end of a payment is written before it is left to Reconcile. A rail that can be asked again says the
// same; the result that a payee gave in return comes only once.
const settleTries = 3

// settle writes down what a rail has said.
func (s *Service) settle(ctx context.Context, sc account.Scope, p Payment, r payment.Receipt) (err error) {
	if r.Status != payment.Succeeded && r.Status != payment.Declined {
		return s.leave(ctx, sc, p, Pending, r)
	}
	for range settleTries {
		if err = s.end(ctx, sc, p, r); err == nil {
			return nil
		}
		if errors.Is(err, gate.ErrNotBegun) {
			return s.contradicted(ctx, sc, p, r)
		}
	}
	return err
}

func (s *Service) end(ctx context.Context, sc account.Scope, p Payment, r payment.Receipt) error {
	rec, err := s.d.Gate.Act(ctx, sc, p.Act)
	if err != nil {
		return err
	}
	end := gate.Settlement{State: gate.Failed, Error: r.Reason, Move: func(ctx context.Context, _ gate.Record) (gate.Effect, error) {
		return gate.Effect{}, s.release(ctx, sc, p.ID, r)
	}}
	if r.Status == payment.Succeeded {
		paid := s.paid(ctx, p, r)
		end = gate.Settlement{State: gate.Done, Amount: &paid, Move: func(ctx context.Context, _ gate.Record) (gate.Effect, error) {
			return s.capture(ctx, sc, p.ID, r)
		}}
	}
	_, err = s.d.Gate.End(ctx, sc, rec, end, nil)
	return err
}

// paid is what a rail says it took, within what was held.
func (s *Service) paid(ctx context.Context, p Payment, r payment.Receipt) money.Amount {
	if r.Amount.IsZero() {
		return p.Amount
	}
	if r.Amount.Currency != p.Amount.Currency || r.Amount.Micros > p.Amount.Micros || r.Amount.Micros < 0 {
		s.d.Logger.LogAttrs(ctx, slog.LevelError, "a rail took something else than was ordered", slog.String("payment_id", p.ID.String()),
			slog.String("ordered", p.Amount.String()), slog.String("took", r.Amount.String()))
		return p.Amount
	}
	return r.Amount
}

// capture enters what was paid. It joins the transaction in ctx.
func (s *Service) capture(ctx context.Context, sc account.Scope, of id.Payment, r payment.Receipt) (gate.Effect, error) {
	p, err := s.d.Repository.Lock(ctx, sc, of)
	if err != nil {
		return gate.Effect{}, err
	}
	t, err := s.d.Wallets.Capture(ctx, sc, p.Hold, s.paid(ctx, p, r))
	if err != nil {
		return gate.Effect{}, err
	}
	p.Status, p.Paid, p.Entry, p.Result, p.Error = Succeeded, t.Amount.Micros, t.ID, r.Result, ""
	if err := s.close(ctx, sc, &p, r); err != nil {
		return gate.Effect{}, err
	}
	out, err := json.Marshal(output{
		Payment: p.ID.UUID().String(), Rail: p.Rail, Reference: p.Reference, Transaction: t.ID.UUID().String(), Amount: t.Amount.Decimal(),
		Currency: string(t.Amount.Currency), BalanceAfter: t.BalanceAfter.Decimal(), Result: p.Result,
	})
	if err != nil {
		return gate.Effect{}, fmt.Errorf("payment: %w", err)
	}
	return gate.Effect{Output: out, Moved: []wallet.Transaction{t}}, nil
}

// output is what the act of a payment over a rail answers.
type output struct {
	Payment      string          `json:"payment_id"`
	Rail         string          `json:"rail"`
	Reference    string          `json:"reference,omitempty"`
	Transaction  string          `json:"transaction_id"`
	Amount       string          `json:"amount"`
	Currency     string          `json:"currency"`
	BalanceAfter string          `json:"balance_after"`
	Result       json.RawMessage `json:"result,omitempty"`
}

// release gives back what was held for a payment that was not made. It joins the transaction in ctx.
func (s *Service) release(ctx context.Context, sc account.Scope, of id.Payment, r payment.Receipt) error {
	p, err := s.d.Repository.Lock(ctx, sc, of)
	if err != nil {
		return err
	}
	if err := s.d.Wallets.Void(ctx, sc, p.Hold); err != nil {
		return err
	}
	p.Status, p.Error = Failed, r.Reason
	return s.close(ctx, sc, &p, r)
}

// close ends a locked payment.
func (s *Service) close(ctx context.Context, sc account.Scope, p *Payment, r payment.Receipt) error {
	now := s.now()
	p.EndedAt, p.DueAt, p.Asked = &now, nil, 0
	if r.Reference != "" {
		p.Reference = r.Reference
	}
	if err := s.d.Repository.Update(ctx, sc, *p); err != nil {
		return err
	}
	if err := s.d.Agents.Exists(ctx, sc, p.Agent); fault.KindOf(err) != fault.NotFound {
		return err
	}
	// The agent was destroyed meanwhile: what it still had went to the tenant, and what comes back follows.
	_, err := s.d.Wallets.Sweep(ctx, sc, p.Agent)
	return err
}

// contradicted notes that a rail says something else than it said when the payment ended. Nothing is changed: people must look.
func (s *Service) contradicted(ctx context.Context, sc account.Scope, p Payment, r payment.Receipt) error {
	s.d.Logger.LogAttrs(ctx, slog.LevelError, "a rail contradicts itself", slog.String("payment_id", p.ID.String()),
		slog.String("rail", p.Rail), slog.String("now", string(r.Status)))
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.d.Repository.Lock(ctx, sc, p.ID)
		if err != nil {
			return err
		}
		p.Error = "the rail says " + string(r.Status) + " now"
		if err := s.d.Repository.Update(ctx, sc, p); err != nil {
			return err
		}
		return s.d.Trail.Note(ctx, sc, "payment_contradicted", p.Agent, map[string]any{
			"payment_id": p.ID.UUID().String(), "act_id": p.Act.UUID().String(), "rail": p.Rail, "status": string(p.Status),
			"rail_says": string(r.Status), "reference": r.Reference, "amount": p.Amount.Decimal(), "currency": string(p.Amount.Currency),
		})
	})
}
