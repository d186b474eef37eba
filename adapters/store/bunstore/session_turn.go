package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// SessionTurnRepo keeps turns. It implements session.Turns and session.Leases.
type SessionTurnRepo struct{ s *Store }

const turnColumns = "input_data, " + slimTurnColumns

// slimTurnColumns are turnColumns without the message, which may be long.
const slimTurnColumns = `id, tenant_id, session_id, agent_id, number, state, input_id, input_type, owner, epoch, lease_until,
	takeovers, calls, span, reserved_picos, watched, created_at, started_at, ended_at`

func scanTurn(row scanner) (session.Turn, error) {
	var t session.Turn
	var state, typ string
	var data []byte
	var reserved int64
	var lease, created, started, ended stamp
	err := row.Scan(&data, &t.ID, &t.Tenant, &t.Session, &t.Agent, &t.Number, &state, &t.Input.ID, &typ, &t.Owner, &t.Epoch, &lease,
		&t.Takeovers, &t.Calls, &t.Span, &reserved, &t.Watched, &created, &started, &ended)
	if err != nil {
		return session.Turn{}, err
	}
	t.Reserved = money.Pico(reserved)
	t.State, t.Input.Type, t.Input.Data = session.TurnState(state), session.EventType(typ), data
	t.LeaseUntil, t.CreatedAt, t.StartedAt, t.EndedAt = lease.Time(), created.Time(), started.Time(), ended.Time()
	return t, nil
}

// Enqueue implements session.Turns.
func (r *SessionTurnRepo) Enqueue(ctx context.Context, sc account.Scope, sessionID id.Session, turns []session.Turn) (int64, error) {
	var last int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		err := db.QueryRowContext(ctx, `UPDATE sessions SET last_turn = last_turn + ?, queued = queued + ?
			WHERE id = ? AND tenant_id = ? AND deleted_at IS NULL AND archived_at IS NULL AND queued <= ? RETURNING last_turn`,
			len(turns), len(turns), sessionID, sc.Tenant, session.MaxQueued-len(turns)).Scan(&last)
		if errors.Is(err, sql.ErrNoRows) {
			v, err := (&SessionRepo{r.s}).Get(ctx, sc, sessionID)
			switch {
			case err != nil:
				return err
			case v.ArchivedAt != nil:
				return session.ErrArchived
			}
			return session.ErrQueueFull
		}
		if err != nil {
			return mapErr(err)
		}
		for i, t := range turns {
			_, err := db.ExecContext(ctx, `INSERT INTO session_turns
				(id, tenant_id, session_id, agent_id, number, state, input_id, input_type, input_data, watched, created_at)
				VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)`,
				t.ID, sc.Tenant, sessionID, t.Agent, last-int64(len(turns)-1-i), t.Input.ID, string(t.Input.Type), string(t.Input.Data), t.Watched,
				at(t.CreatedAt))
			if err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
	return last, err
}

// leaseUntil is when a lease ends, by the database's clock where it has one.
func (s *Store) leaseUntil(l session.Lease) any {
	if s.postgres() {
		return bun.Safe(fmt.Sprintf("clock_timestamp() + interval '%d milliseconds'", l.For.Milliseconds()))
	}
	return at(l.Now.Add(l.For))
}

// Claim implements session.Turns. The unique index on active turns is what makes two claims of one session impossible; the
// conditions here only keep the usual race from running into it.
func (r *SessionTurnRepo) Claim(ctx context.Context, sc account.Scope, sessionID id.Session, l session.Lease) (session.Turn, bool, error) {
	var out session.Turn
	found := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		t, err := scanTurn(db.QueryRowContext(ctx, `UPDATE session_turns
			SET state = 'running', owner = ?, epoch = epoch + 1, lease_until = ?, started_at = COALESCE(started_at, ?)
			WHERE id = (SELECT id FROM session_turns WHERE session_id = ? AND tenant_id = ? AND state IN ('queued', 'ready')
				ORDER BY state DESC, number LIMIT 1) AND state IN ('queued', 'ready')
			AND NOT EXISTS (SELECT 1 FROM session_turns AS a WHERE a.session_id = ? AND a.state IN ('running', 'parked'))
			RETURNING `+turnColumns, l.Owner, r.s.leaseUntil(l), at(l.Now), sessionID, sc.Tenant, sessionID))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case isUnique(err):
			return session.ErrFenced.Wrap(err)
		case err != nil:
			return mapErr(err)
		}
		out, found = t, true
		return nil
	})
	return out, found, err
}

// LockSession implements session.Turns.
func (r *SessionTurnRepo) LockSession(ctx context.Context, sc account.Scope, sessions ...id.Session) ([]session.Turn, error) {
	turns, err := r.list(ctx, "NULL, "+slimTurnColumns,
		"session_id IN (?) AND tenant_id = ? AND state IN ('queued', 'running', 'parked', 'ready') ORDER BY id"+r.s.forUpdate(),
		bun.List(sessions), sc.Tenant)
	slices.SortStableFunc(turns, func(a, b session.Turn) int { return cmp.Compare(a.Number, b.Number) })
	return turns, err
}

// Message implements session.Turns.
func (r *SessionTurnRepo) Message(ctx context.Context, sc account.Scope, turn id.Turn) (json.RawMessage, error) {
	var data []byte
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT input_data FROM session_turns WHERE id = ? AND tenant_id = ?", turn, sc.Tenant).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return data, mapErr(err)
}

func (r *SessionTurnRepo) list(ctx context.Context, columns, where string, args ...any) ([]session.Turn, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT "+columns+" FROM session_turns WHERE "+where, args...)
	if err != nil {
		return nil, mapErr(err)
	}
	return scanTurns(rows)
}

func scanTurns(rows *sql.Rows) ([]session.Turn, error) {
	defer rows.Close()
	var out []session.Turn
	for rows.Next() {
		t, err := scanTurn(rows)
		if err != nil {
			return nil, mapErr(err)
		}
		out = append(out, t)
	}
	return out, mapErr(rows.Err())
}

// Save implements session.Turns.
func (r *SessionTurnRepo) Save(ctx context.Context, sc account.Scope, t session.Turn) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `UPDATE session_turns SET state = ?, owner = ?, epoch = ?, lease_until = ?, calls = ?, span = ?,
			reserved_picos = ?, ended_at = ? WHERE id = ? AND tenant_id = ?`,
			string(t.State), t.Owner, t.Epoch, at(t.LeaseUntil), t.Calls, t.Span, int64(t.Reserved), at(t.EndedAt), t.ID, sc.Tenant)
		return mapErr(err)
	})
}

// Check implements session.Turns.
func (r *SessionTurnRepo) Check(ctx context.Context, sc account.Scope, f gate.Fence) error {
	var one int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM session_turns WHERE id = ? AND tenant_id = ? AND epoch = ? AND state = 'running'"+
		r.s.forUpdate(), f.Turn, sc.Tenant, f.Epoch).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return session.ErrFenced
	}
	return mapErr(err)
}

// OfAgents implements session.Turns.
func (r *SessionTurnRepo) OfAgents(ctx context.Context, sc account.Scope, agents []id.Agent) ([]id.Session, error) {
	w := newWhere("tenant_id = ? AND ended_at IS NULL", sc.Tenant)
	if len(agents) > 0 {
		w.and("agent_id IN (?)", bun.List(agents))
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT DISTINCT session_id FROM session_turns WHERE "+w.sql()+" ORDER BY session_id", w.args...)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []id.Session
	for rows.Next() {
		var v id.Session
		if err := rows.Scan(&v); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, v)
	}
	return out, mapErr(rows.Err())
}

// inOrder makes a condition on turns under which an UPDATE locks them by id, as LockSession does.
func (s *Store) inOrder(where string) string {
	if !s.postgres() {
		return where
	}
	return "id = ANY (ARRAY(SELECT id FROM session_turns WHERE " + where + " ORDER BY id FOR UPDATE))"
}

// Renew implements session.Leases.
func (r *SessionTurnRepo) Renew(ctx context.Context, l session.Lease, turns []id.Turn) ([]id.Turn, error) {
	var out []id.Turn
	if len(turns) == 0 {
		return nil, nil
	}
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		out = nil
		rows, err := db.QueryContext(ctx, "UPDATE session_turns SET lease_until = ? WHERE "+
			r.s.inOrder("id IN (?) AND owner = ? AND state = 'running'")+" RETURNING id", r.s.leaseUntil(l), bun.List(turns), l.Owner)
		if err != nil {
			return mapErr(err)
		}
		defer rows.Close()
		for rows.Next() {
			var t id.Turn
			if err := rows.Scan(&t); err != nil {
				return mapErr(err)
			}
			out = append(out, t)
		}
		return mapErr(rows.Err())
	})
	return out, err
}

// Release implements session.Leases.
func (r *SessionTurnRepo) Release(ctx context.Context, owner string, now time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE session_turns SET owner = '', lease_until = ? WHERE "+
			r.s.inOrder("owner = ? AND state = 'running'"), r.s.leaseUntil(session.Lease{Now: now}), owner)
		return mapErr(err)
	})
}

// TakeOver implements session.Leases.
func (r *SessionTurnRepo) TakeOver(ctx context.Context, l session.Lease, all bool, limit int) ([]session.Turn, error) {
	var out []session.Turn
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		expired, args := "lease_until <= ?", []any{r.s.leaseUntil(session.Lease{Now: l.Now})}
		if all {
			expired, args = "owner <> ?", []any{l.Owner}
		}
		pick := "SELECT id FROM session_turns WHERE state = 'running' AND " + expired + fmt.Sprintf(" ORDER BY id LIMIT %d", limit)
		in := "IN (" + pick + ")"
		if r.s.postgres() {
			// ARRAY makes it run once: as a joined subquery it might lock more than its limit.
			in = "= ANY (ARRAY(" + pick + " FOR UPDATE SKIP LOCKED))"
		}
		rows, err := db.QueryContext(ctx, `UPDATE session_turns SET epoch = epoch + 1, lease_until = ?,
			takeovers = takeovers + CASE WHEN owner = '' THEN 0 ELSE 1 END, owner = ? WHERE id `+in+" RETURNING "+turnColumns,
			append([]any{r.s.leaseUntil(l), l.Owner}, args...)...)
		if err != nil {
			return mapErr(err)
		}
		out, err = scanTurns(rows)
		return err
	})
	return out, err
}

// Waiting implements session.Leases.
func (r *SessionTurnRepo) Waiting(ctx context.Context, before time.Time, limit int) ([]session.Ref, error) {
	return queryAll(ctx, r.s.read(ctx), scanRef, fmt.Sprintf(`SELECT tenant_id, session_id FROM session_turns WHERE state = 'ready'
		UNION SELECT tenant_id, session_id FROM session_turns AS q WHERE state = 'queued' AND created_at < ?
			AND NOT EXISTS (SELECT 1 FROM session_turns AS a WHERE a.session_id = q.session_id AND a.state IN ('running', 'parked', 'ready'))
		LIMIT %d`, limit), at(before))
}

func scanRef(row scanner) (ref session.Ref, err error) {
	err = row.Scan(&ref.Tenant, &ref.Session)
	return ref, err
}
