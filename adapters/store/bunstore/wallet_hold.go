package bunstore

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// HoldRepo keeps holds. It implements wallet.HoldRepository.
type HoldRepo struct{ s *Store }

var _ wallet.HoldRepository = (*HoldRepo)(nil)

// Holds returns the repository of holds.
func (s *Store) Holds() *HoldRepo { return &HoldRepo{s} }

// Insert implements wallet.HoldRepository.
func (r *HoldRepo) Insert(ctx context.Context, sc account.Scope, h wallet.Hold) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO wallet_holds (tenant_id, id, wallet_id, agent_id, currency, amount, captured, status,
			act_id, payee, category, description, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`,
			sc.Tenant, h.ID, h.Wallet, owner(h.Agent), string(h.Amount.Currency), h.Amount.Micros, string(h.Status),
			h.Act, h.Payee, h.Category, h.Description, at(h.ExpiresAt), at(h.CreatedAt))
		if err != nil {
			return mapErr(err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return mapErr(err)
		}
		return wallet.ErrRepeated
	})
}

func (r *HoldRepo) query(ctx context.Context, q string, args ...any) ([]wallet.Hold, error) {
	var out []wallet.Hold
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var h wallet.Hold
		var expires, resolved, created stamp
		err := row.Scan(&h.Tenant, &h.ID, &h.Wallet, &h.Agent, &h.Amount.Currency, &h.Amount.Micros, &h.Captured, &h.Status,
			&h.Act, &h.Payee, &h.Category, &h.Description, &expires, &resolved, &created)
		h.ExpiresAt, h.CreatedAt = expires.Time(), created.Time()
		if !resolved.IsZero() {
			t := resolved.Time()
			h.ResolvedAt = &t
		}
		out = append(out, h)
		return err
	}, `SELECT tenant_id, id, wallet_id, agent_id, currency, amount, captured, status, act_id, payee, category, description,
		expires_at, resolved_at, created_at FROM wallet_holds WHERE `+q, args...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Lock implements wallet.HoldRepository.
func (r *HoldRepo) Lock(ctx context.Context, sc account.Scope, hold id.Hold) (wallet.Hold, error) {
	found, err := r.query(ctx, "tenant_id = ? AND id = ?"+r.s.forUpdate(), sc.Tenant, hold)
	if err != nil {
		return wallet.Hold{}, err
	}
	if len(found) == 0 {
		return wallet.Hold{}, id.NotFound[id.HoldKind](hold.String())
	}
	return found[0], nil
}

// Get implements wallet.HoldRepository.
func (r *HoldRepo) Get(ctx context.Context, sc account.Scope, hold id.Hold) (wallet.Hold, error) {
	found, err := r.query(ctx, "tenant_id = ? AND id = ?", sc.Tenant, hold)
	if err != nil {
		return wallet.Hold{}, err
	}
	if len(found) == 0 {
		return wallet.Hold{}, id.NotFound[id.HoldKind](hold.String())
	}
	return found[0], nil
}

// List implements wallet.HoldRepository.
func (r *HoldRepo) List(
	ctx context.Context, sc account.Scope, agent id.Agent, status wallet.HoldStatus, req page.Request,
) (page.Page[wallet.Hold], error) {
	q := newWhere("tenant_id = ? AND agent_id = ?", sc.Tenant, owner(agent))
	if status != "" {
		q.and("status = ?", string(status))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.HoldKind](req.Cursor)
		if err != nil {
			return page.Page[wallet.Hold]{}, err
		}
		q.and("id < ?", before)
	}
	found, err := r.query(ctx, q.sql()+" ORDER BY id DESC LIMIT ?", append(q.args, req.Size()+1)...)
	if err != nil {
		return page.Page[wallet.Hold]{}, err
	}
	return pageOf(found, req.Size(), func(h wallet.Hold) (wallet.Hold, error) { return h, nil },
		func(h wallet.Hold) []string { return []string{h.ID.String()} })
}

// Resolve implements wallet.HoldRepository.
func (r *HoldRepo) Resolve(ctx context.Context, sc account.Scope, h wallet.Hold) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var resolved stamp
		if h.ResolvedAt != nil {
			resolved = at(*h.ResolvedAt)
		}
		res, err := db.ExecContext(ctx, `UPDATE wallet_holds SET status = ?, captured = ?, resolved_at = ?
			WHERE tenant_id = ? AND id = ? AND status = 'open'`, string(h.Status), h.Captured, resolved, sc.Tenant, h.ID)
		if err != nil {
			return mapErr(err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 1 {
			return mapErr(err)
		}
		return wallet.ErrHoldResolved
	})
}

// Open implements wallet.HoldRepository.
func (r *HoldRepo) Open(ctx context.Context, sc account.Scope, agent id.Agent) ([]wallet.Hold, error) {
	return r.query(ctx, "tenant_id = ? AND agent_id = ? AND status = 'open' ORDER BY id", sc.Tenant, owner(agent))
}

// Due implements wallet.HoldRepository.
func (r *HoldRepo) Due(ctx context.Context, now time.Time, limit int) ([]wallet.Hold, error) {
	return r.query(ctx, "status = 'open' AND expires_at <= ? ORDER BY expires_at LIMIT ?", at(now), limit)
}
