package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

var _ account.CreditRepository = (*AccountRepo)(nil)

// creditMonth spells a month as it is stored.
func creditMonth(month time.Time) string { return month.UTC().Format("2006-01") }

// CreditMonth implements account.CreditRepository.
func (r *AccountRepo) CreditMonth(ctx context.Context, sc account.Scope, month time.Time) (account.CreditMonth, error) {
	return r.findCredits(ctx, r.s.read(ctx), sc, month, "")
}

func (r *AccountRepo) findCredits(
	ctx context.Context, db bun.IDB, sc account.Scope, month time.Time, lock string,
) (account.CreditMonth, error) {
	var m account.CreditMonth
	err := db.QueryRowContext(ctx, "SELECT used, reserved FROM credit_months WHERE tenant_id = ? AND month = ?"+lock,
		sc.Tenant, creditMonth(month)).Scan(&m.Used, &m.Reserved)
	if errors.Is(err, sql.ErrNoRows) {
		return account.CreditMonth{}, nil
	}
	return m, mapErr(err)
}

// LockCreditMonth implements account.CreditRepository. The row must be there to be locked.
func (r *AccountRepo) LockCreditMonth(ctx context.Context, sc account.Scope, month time.Time) (m account.CreditMonth, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO credit_months (tenant_id, month, used, reserved) VALUES (?, ?, 0, 0) ON CONFLICT DO NOTHING",
			sc.Tenant, creditMonth(month))
		if err != nil {
			return mapErr(err)
		}
		m, err = r.findCredits(ctx, db, sc, month, r.s.forUpdate())
		return err
	})
	return m, err
}

// SaveCreditMonth implements account.CreditRepository.
func (r *AccountRepo) SaveCreditMonth(ctx context.Context, sc account.Scope, month time.Time, m account.CreditMonth) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE credit_months SET used = ?, reserved = ? WHERE tenant_id = ? AND month = ?",
			m.Used, m.Reserved, sc.Tenant, creditMonth(month))
		return mapErr(err)
	})
}

// InsertCharge implements account.CreditRepository.
func (r *AccountRepo) InsertCharge(ctx context.Context, sc account.Scope, c account.CreditCharge) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO credit_charges (tenant_id, run_id, month, metered, reserved, charged, created_at, settled_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			sc.Tenant, c.Run, creditMonth(c.Month), c.Metered, c.Reserved, c.Charged, at(c.CreatedAt), stampOrNull(c.SettledAt))
		return inserted(res, err)
	})
}

// LockCharge implements account.CreditRepository.
func (r *AccountRepo) LockCharge(ctx context.Context, sc account.Scope, run id.Run) (account.CreditCharge, bool, error) {
	c := account.CreditCharge{Run: run}
	var month string
	var created, settled stamp
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT month, metered, reserved, charged, created_at, settled_at FROM credit_charges
		WHERE tenant_id = ? AND run_id = ?`+r.s.forUpdate(), sc.Tenant, run).
		Scan(&month, &c.Metered, &c.Reserved, &c.Charged, &created, &settled)
	if errors.Is(err, sql.ErrNoRows) {
		return account.CreditCharge{}, false, nil
	}
	if err != nil {
		return account.CreditCharge{}, false, mapErr(err)
	}
	c.CreatedAt, c.SettledAt = created.Time(), settled.timeOrNil()
	c.Month, err = time.Parse("2006-01", month)
	return c, err == nil, err
}

// SettleCharge implements account.CreditRepository.
func (r *AccountRepo) SettleCharge(ctx context.Context, sc account.Scope, c account.CreditCharge) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE credit_charges SET reserved = 0, charged = ?, settled_at = ? WHERE tenant_id = ? AND run_id = ?",
			c.Charged, stampOrNull(c.SettledAt), sc.Tenant, c.Run)
		return mapErr(err)
	})
}

// Charges implements account.CreditRepository.
func (r *AccountRepo) Charges(ctx context.Context, sc account.Scope, month time.Time) (account.CreditMonth, error) {
	var m account.CreditMonth
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT COALESCE(SUM(charged), 0), COALESCE(SUM(reserved), 0) FROM credit_charges
		WHERE tenant_id = ? AND month = ?`, sc.Tenant, creditMonth(month)).Scan(&m.Used, &m.Reserved)
	return m, mapErr(err)
}
