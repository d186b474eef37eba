package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// SpendingRepo adds up what sessions cost. It implements session.Spendings.
type SpendingRepo struct{ s *Store }

var _ session.Spendings = (*SpendingRepo)(nil)

// Spendings returns the repository of what sessions cost.
func (s *Store) Spendings() *SpendingRepo { return &SpendingRepo{s} }

// Spent implements session.Spendings. The lock comes first and in a statement of its own: on Postgres each statement sees what was
// committed before it began.
func (r *SpendingRepo) Spent(ctx context.Context, sc account.Scope, root id.Session) (session.Spending, error) {
	var out session.Spending
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		v, err := (&SessionRepo{r.s}).get(ctx, sc, root, r.s.forUpdate())
		if err != nil {
			return err
		}
		const tree = "(SELECT id FROM sessions WHERE id = ? OR root_id = ?)"
		var cost, reserved int64
		err = db.QueryRowContext(ctx, `SELECT
			COALESCE((SELECT SUM(cost_picos + unknown_picos) FROM sessions WHERE id = ? OR root_id = ?), 0),
			COALESCE((SELECT SUM(reserved_picos) FROM session_turns WHERE reserved_picos > 0 AND session_id IN `+tree+`), 0)
			+ COALESCE((SELECT SUM(reserved_picos) FROM session_loose_ends WHERE session_id IN `+tree+`), 0)`,
			root, root, root, root, root, root).Scan(&cost, &reserved)
		out = session.Spending{Budget: v.Budget, Cost: money.Pico(cost), Reserved: money.Pico(reserved)}
		return mapErr(err)
	})
	return out, err
}

// Leave implements session.Spendings.
func (r *SpendingRepo) Leave(ctx context.Context, sc account.Scope, ends []session.LooseEnd) error {
	if len(ends) == 0 {
		return nil
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, e := range ends {
			// The lease is copied as it is, so that only one clock counts.
			_, err := db.ExecContext(ctx, `INSERT INTO session_loose_ends (key, tenant_id, session_id, turn_id, reserved_picos, due)
				SELECT ?, ?, ?, id, ?, lease_until FROM session_turns WHERE id = ? AND tenant_id = ? AND lease_until IS NOT NULL`,
				e.Key, sc.Tenant, e.Session, int64(e.Reserved), e.Turn, sc.Tenant)
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// Settle implements session.Spendings.
func (r *SpendingRepo) Settle(ctx context.Context, sc account.Scope, key id.Event, used session.Usage) (bool, error) {
	settled := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var of id.Session
		settled = false
		err := db.QueryRowContext(ctx, "DELETE FROM session_loose_ends WHERE key = ? AND tenant_id = ? RETURNING session_id", key, sc.Tenant).Scan(&of)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if settled = err == nil; err != nil || used == (session.Usage{}) {
			return mapErr(err)
		}
		set, args := usageSet(used)
		_, err = db.ExecContext(ctx, "UPDATE sessions SET "+set+" WHERE id = ? AND tenant_id = ?", append(args, of, sc.Tenant)...)
		return mapErr(err)
	})
	return settled, err
}

// Overdue implements session.Spendings.
func (r *SpendingRepo) Overdue(ctx context.Context, l session.Lease, limit int) ([]session.LooseEnd, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, fmt.Sprintf(`SELECT key, tenant_id, session_id, turn_id, reserved_picos
		FROM session_loose_ends WHERE due <= ? ORDER BY due LIMIT %d`, limit), r.s.leaseUntil(session.Lease{Now: l.Now}))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []session.LooseEnd
	for rows.Next() {
		var e session.LooseEnd
		var reserved int64
		if err := rows.Scan(&e.Key, &e.Tenant, &e.Session, &e.Turn, &reserved); err != nil {
			return nil, mapErr(err)
		}
		e.Reserved = money.Pico(reserved)
		out = append(out, e)
	}
	return out, mapErr(rows.Err())
}
