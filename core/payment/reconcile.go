package payment

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/payment"
)

// batch bounds what Reconcile reads at once.
const batch = 100

// Reconcile begins the payments that a person has approved and nobody waits for, and asks the rails about every payment and refund
// whose outcome is open and whose time has come. It returns how many it has looked at. A job calls it every few seconds; several
// processes may do so at once.
func (s *Service) Reconcile(ctx context.Context) (int, error) {
	approved, err := s.d.Approved.ApprovedOverRail(ctx, batch)
	if err != nil {
		return 0, err
	}
	due, err := s.d.Repository.Due(ctx, s.now(), batch)
	if err != nil {
		return 0, err
	}
	var work []func() error
	for _, rec := range approved {
		work = append(work, func() error {
			_, err := s.Pay(ctx, account.System(rec.Tenant), rec.Act)
			return err
		})
	}
	for _, p := range due {
		work = append(work, func() error { return s.advance(ctx, account.System(p.Tenant), p) })
	}
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(s.c.Workers, len(work)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(work) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				// One payment that cannot be ended must not keep the others waiting.
				if err := work[i](); err != nil {
					s.d.Logger.LogAttrs(ctx, slog.LevelError, "payment not reconciled", slog.Any("error", err))
				}
			}
		})
	}
	workers.Wait()
	return len(work), nil
}

// advance takes a payment or a refund whose time has come, and asks its rail what became of it.
func (s *Service) advance(ctx context.Context, sc account.Scope, p Payment) error {
	p, ok, err := s.claim(ctx, sc, p.ID, false)
	if err != nil || !ok {
		return err
	}
	return s.ask(ctx, sc, p)
}

// claim keeps others from asking the rail about a payment for a while; false when somebody does so, or nothing is open. With now it
// takes the payment whoever has it.
func (s *Service) claim(ctx context.Context, sc account.Scope, of id.Payment, now bool) (p Payment, ok bool, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		ok = false
		if p, err = s.d.Repository.Lock(ctx, sc, of); err != nil {
			return err
		}
		if !now && (p.DueAt == nil || p.DueAt.After(s.now())) {
			return nil
		}
		ok = true
		p.DueAt = s.lease()
		return s.d.Repository.Update(ctx, sc, p)
	})
	return p, ok && err == nil, err
}

// ask asks the rail what became of a claimed payment, and acts upon it.
func (s *Service) ask(ctx context.Context, sc account.Scope, p Payment) error {
	rail, err := s.rail(p.Rail)
	if err != nil {
		return errors.Join(err, s.putOff(ctx, sc, p, "this server has no such rail any more"))
	}
	call, cancel := context.WithTimeout(ctx, s.c.Timeout)
	defer cancel()
	r, err := rail.Lookup(call, p.charge())
	if err != nil {
		return errors.Join(err, s.putOff(context.WithoutCancel(ctx), sc, p, "the rail cannot be asked"))
	}
	ctx = context.WithoutCancel(ctx) // what the rail has said is written down
	switch {
	case p.EndedAt != nil:
		return s.refunded(ctx, sc, rail, p, r)
	case r.Status == payment.Absent:
		return s.again(ctx, sc, rail, p)
	}
	return s.settle(ctx, sc, p, r)
}

// again charges what the rail has not seen, under the same key, unless the agent may not act any more.
func (s *Service) again(ctx context.Context, sc account.Scope, rail payment.Rail, p Payment) error {
	ok, err := s.d.Gate.Retry(ctx, sc, p.Act, func(ctx context.Context) (err error) {
		if p, err = s.d.Repository.Lock(ctx, sc, p.ID); err != nil {
			return err
		}
		p.Attempts++
		p.LastAt, p.DueAt = s.now(), s.lease()
		return s.d.Repository.Update(ctx, sc, p)
	})
	switch {
	case err != nil:
		return err
	case !ok:
		return s.putOff(ctx, sc, p, "the agent may not act any more, and the rail does not rule the payment out yet")
	}
	return s.charge(ctx, sc, rail, p)
}

// putOff lets a payment or a refund be asked about later.
func (s *Service) putOff(ctx context.Context, sc account.Scope, p Payment, why string) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		p, err := s.d.Repository.Lock(ctx, sc, p.ID)
		if err != nil || p.DueAt == nil {
			return err
		}
		if p.EndedAt == nil {
			p.Error = why
		}
		p.DueAt = s.later(p.Asked)
		p.Asked++
		return s.d.Repository.Update(ctx, sc, p)
	})
}

// Receive takes a message of a rail's provider. Whatever the message says, the rail is asked what holds, so that messages may come
// late, twice or in any order. ErrRail for a rail without messages, payment.ErrSignature.
func (s *Service) Receive(ctx context.Context, rail string, header func(string) string, body []byte) error {
	r, err := s.rail(rail)
	if err != nil {
		return err
	}
	reader, ok := r.(payment.Reader)
	if !ok {
		return ErrRail.Withf("the rail %q takes no messages", rail)
	}
	m, err := reader.Read(header, body)
	if err != nil {
		return err
	}
	tenant, terr := id.Parse[id.TenantKind](m.Labels[labelTenant])
	of, perr := id.Parse[id.PaymentKind](m.Labels[labelPayment])
	if terr != nil || perr != nil {
		return nil //nolint:nilerr // the message is about something else
	}
	sc := account.System(tenant)
	p, _, err := s.claim(ctx, sc, of, true)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		return nil // another server's payment
	case err != nil:
		return err
	case p.Rail != rail:
		return nil
	}
	if err := s.ask(ctx, sc, p); err != nil {
		// The message need not be sent again: the payment is due.
		s.d.Logger.LogAttrs(ctx, slog.LevelWarn, "message about a payment not followed up", slog.String("payment_id", of.String()),
			slog.String("message_id", m.ID), slog.Any("error", err))
	}
	return nil
}

// Resolution is a person's word on what became of a payment.
type Resolution struct {
	Succeeded bool
	Reference string // the rail's own id, where it is known
	Note      string // how the person knows; goes into the audit trail
}

// Resolve ends a payment of which the rail cannot say what became, on a person's word. It can be wrong: a payment that is said to
// have failed gives its money back to the wallet. Only what has been Unknown for an hour can be resolved; ErrEnded when its outcome is
// known.
func (s *Service) Resolve(ctx context.Context, sc account.Scope, of id.Payment, r Resolution) (Payment, error) {
	p, err := s.d.Repository.Get(ctx, sc, of)
	switch {
	case err != nil:
		return Payment{}, err
	case p.EndedAt != nil:
		return Payment{}, ErrEnded
	case s.now().Before(p.LastAt.Add(resolveAfter)):
		return Payment{}, ErrEnded.Withf("the rail is still being asked; it can be resolved from %s on", p.LastAt.Add(resolveAfter).Format(time.RFC3339))
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		return s.d.Trail.Note(ctx, sc, "payment_resolved", p.Agent, map[string]any{
			"payment_id": p.ID.UUID().String(), "act_id": p.Act.UUID().String(), "rail": p.Rail, "succeeded": r.Succeeded,
			"reference": r.Reference, "note": r.Note,
		})
	})
	if err != nil {
		return Payment{}, err
	}
	receipt := payment.Receipt{Status: payment.Declined, Reference: r.Reference, Reason: "a person found that it was not made"}
	if r.Succeeded {
		receipt.Status, receipt.Reason = payment.Succeeded, ""
	}
	if err := s.settle(ctx, sc, p, receipt); err != nil {
		return Payment{}, err
	}
	return s.d.Repository.Get(ctx, sc, of)
}

// resolveAfter is how long a rail is asked before a person may say what became of a payment.
const resolveAfter = time.Hour
