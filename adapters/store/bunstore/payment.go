package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/payment"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// PaymentRepo keeps payments over rails. It implements payment.Repository and wallet.Outside.
type PaymentRepo struct{ s *Store }

var (
	_ payment.Repository = (*PaymentRepo)(nil)
	_ payment.Approved   = (*ActRepo)(nil)
	_ wallet.Outside     = (*PaymentRepo)(nil)
)

// Payments returns the repository of payments over rails.
func (s *Store) Payments() *PaymentRepo { return &PaymentRepo{s} }

const paymentColumns = `tenant_id, id, act_id, agent_id, session_id, rail, currency, amount, payee, description, target, hold_id, created_at,
	paid, refunded, refunding, refund_key, status, entry_id, reference, result, error, attempts, asked, due_at, last_at, ended_at`

func scanPayment(row scanner) (payment.Payment, error) {
	var p payment.Payment
	var target, result sql.NullString
	var created, due, last, ended stamp
	err := row.Scan(&p.Tenant, &p.ID, &p.Act, &p.Agent, &p.Session, &p.Rail, &p.Amount.Currency, &p.Amount.Micros, &p.Payee, &p.Description,
		&target, &p.Hold, &created, &p.Paid, &p.Refunded, &p.Refunding, &p.RefundKey, &p.Status, &p.Entry, &p.Reference, &result, &p.Error,
		&p.Attempts, &p.Asked, &due, &last, &ended)
	p.Target, p.Result = rawText(target), rawText(result)
	p.CreatedAt, p.LastAt, p.DueAt, p.EndedAt = created.Time(), last.Time(), due.pointer(), ended.pointer()
	return p, err
}

// Insert implements payment.Repository.
func (r *PaymentRepo) Insert(ctx context.Context, sc account.Scope, p payment.Payment) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO payments ("+paymentColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, p.ID, p.Act, p.Agent, p.Session, p.Rail, string(p.Amount.Currency), p.Amount.Micros, p.Payee, p.Description,
			nullText(p.Target), p.Hold, at(p.CreatedAt), p.Paid, p.Refunded, p.Refunding, p.RefundKey, string(p.Status), p.Entry, p.Reference,
			nullText(p.Result), p.Error, p.Attempts, p.Asked, stampOf(p.DueAt), at(p.LastAt), stampOf(p.EndedAt))
		return mapErr(err)
	})
}

// Get implements payment.Repository.
func (r *PaymentRepo) Get(ctx context.Context, sc account.Scope, of id.Payment) (payment.Payment, error) {
	return r.get(ctx, sc, of, "")
}

// Lock implements payment.Repository.
func (r *PaymentRepo) Lock(ctx context.Context, sc account.Scope, of id.Payment) (payment.Payment, error) {
	return r.get(ctx, sc, of, r.s.forUpdate())
}

func (r *PaymentRepo) get(ctx context.Context, sc account.Scope, of id.Payment, lock string) (payment.Payment, error) {
	p, err := scanPayment(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+paymentColumns+" FROM payments WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, of))
	if errors.Is(err, sql.ErrNoRows) {
		return payment.Payment{}, id.NotFound[id.PaymentKind](of.String())
	}
	return p, mapErr(err)
}

// Find implements payment.Repository.
func (r *PaymentRepo) Find(
	ctx context.Context, sc account.Scope, act id.Act, entry id.LedgerEntry,
) (payment.Payment, bool, error) {
	q, arg := "act_id = ?", any(act)
	if act.IsZero() {
		q, arg = "entry_id = ?", entry
	}
	p, err := scanPayment(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+paymentColumns+" FROM payments WHERE tenant_id = ? AND "+q, sc.Tenant, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return payment.Payment{}, false, nil
	}
	return p, err == nil, mapErr(err)
}

// OverRail implements wallet.Outside.
func (r *PaymentRepo) OverRail(ctx context.Context, sc account.Scope, entry id.LedgerEntry) (bool, error) {
	_, ok, err := r.Find(ctx, sc, id.Act{}, entry)
	return ok, err
}

// Update implements payment.Repository.
func (r *PaymentRepo) Update(ctx context.Context, sc account.Scope, p payment.Payment) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE payments SET paid = ?, refunded = ?, refunding = ?, refund_key = ?, status = ?, entry_id = ?,
			reference = ?, result = ?, error = ?, attempts = ?, asked = ?, due_at = ?, last_at = ?, ended_at = ? WHERE tenant_id = ? AND id = ?`,
			p.Paid, p.Refunded, p.Refunding, p.RefundKey, string(p.Status), p.Entry, p.Reference, nullText(p.Result), p.Error, p.Attempts, p.Asked,
			stampOf(p.DueAt), at(p.LastAt), stampOf(p.EndedAt), sc.Tenant, p.ID)
		n, err := affected(res, err)
		if err == nil && n == 0 {
			return id.NotFound[id.PaymentKind](p.ID.String())
		}
		return err
	})
}

// List implements payment.Repository.
func (r *PaymentRepo) List(
	ctx context.Context, sc account.Scope, f payment.Filter, req page.Request,
) (page.Page[payment.Payment], error) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", f.Agent)
	}
	if f.Status != "" {
		w.and("status = ?", string(f.Status))
	}
	if f.Rail != "" {
		w.and("rail = ?", f.Rail)
	}
	return newestFirst(ctx, r.s.read(ctx), req, scanPayment, func(p payment.Payment) id.Payment { return p.ID },
		"SELECT "+paymentColumns+" FROM payments WHERE "+w.sql(), w.args...)
}

// Due implements payment.Repository.
func (r *PaymentRepo) Due(ctx context.Context, now time.Time, limit int) ([]payment.Payment, error) {
	return queryAll(ctx, r.s.read(ctx), scanPayment,
		"SELECT "+paymentColumns+" FROM payments WHERE due_at <= ? ORDER BY due_at LIMIT ?", at(now), limit)
}

// ApprovedOverRail implements payment.Approved.
func (r *ActRepo) ApprovedOverRail(ctx context.Context, limit int) ([]gate.Record, error) {
	// The condition is that of the index acts_approved_rail.
	type found struct {
		tenant id.Tenant
		act    id.Act
	}
	scan := func(row scanner) (f found, err error) {
		err = row.Scan(&f.tenant, &f.act)
		return f, err
	}
	acts, err := queryAll(ctx, r.s.read(ctx), scan,
		"SELECT tenant_id, id FROM acts WHERE state = 'ready' AND rail <> '' AND session_id IS NULL ORDER BY id LIMIT ?", limit)
	if err != nil {
		return nil, err
	}
	out := make([]gate.Record, len(acts))
	for i, f := range acts {
		if out[i], err = r.Get(ctx, account.System(f.tenant), f.act); err != nil {
			return nil, err
		}
	}
	return out, nil
}
