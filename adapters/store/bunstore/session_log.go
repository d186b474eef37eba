package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

// Append implements session.Log. Its statements touch one session row, one turn row and the new rows alone, so its cost does not
// depend on the length of the log.
func (r *SessionRepo) Append(ctx context.Context, sc account.Scope, a session.Append) (int64, error) {
	var last int64
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if a.Fence != nil {
			if err := advanceTurn(ctx, db, sc, a); err != nil {
				return err
			}
		}
		if len(a.Events) == 0 && a.Usage == (session.Usage{}) {
			return nil
		}
		set, args := appendSet(a)
		args = append(args, a.Session, sc.Tenant)
		columns := "last_seq"
		if a.Snapshot != nil {
			columns = sessionColumns
		}
		row := db.QueryRowContext(ctx, "UPDATE sessions SET "+set+" WHERE id = ? AND tenant_id = ? RETURNING "+columns, args...)
		var err error
		if a.Snapshot == nil {
			err = row.Scan(&last)
		} else {
			last, err = takeSnapshot(sc, row, a)
		}
		if err != nil {
			return sessionErr(err, a.Session)
		}
		if len(a.Events) == 0 {
			return nil
		}
		if err := insertEvents(ctx, db, a, last); err != nil {
			return err
		}
		return openUses(ctx, db, sc, a, last)
	})
	return last, err
}

// takeSnapshot writes the events that tell of the session as it is now.
func takeSnapshot(sc account.Scope, row scanner, a session.Append) (int64, error) {
	v, _, err := scanSession(sc.Tenant, row)
	if err != nil {
		return 0, err
	}
	for i := range a.Events {
		if a.Events[i].Type != session.SessionUsage {
			continue
		}
		if a.Events[i].Data, err = a.Snapshot(v); err != nil {
			return 0, err
		}
	}
	return v.LastSeq, nil
}

// advanceTurn checks the fence and changes the turn in one statement.
func advanceTurn(ctx context.Context, db bun.IDB, sc account.Scope, a session.Append) error {
	set, args := "calls = calls", []any{}
	if c := a.Turn; c != nil {
		set, args = "calls = calls + ?", []any{c.Calls}
		if c.State != "" {
			set += ", state = ?, owner = ''"
			args = append(args, string(c.State))
			if c.State == session.TurnDone || c.State == session.TurnCancelled {
				set += ", ended_at = ?"
				args = append(args, at(a.At))
			}
		}
		if c.Span != nil {
			set += ", span = ?, reserved_picos = ?"
			args = append(args, *c.Span, int64(c.Reserved))
		}
	}
	args = append(args, a.Fence.Turn, sc.Tenant, a.Fence.Epoch)
	n, err := affected(db.ExecContext(ctx, "UPDATE session_turns SET "+set+
		" WHERE id = ? AND tenant_id = ? AND epoch = ? AND state = 'running'", args...))
	if err == nil && n == 0 {
		return session.ErrFenced
	}
	return err
}

// appendSet returns the SET clause of an append: the numbers and the projections.
func appendSet(a session.Append) (string, []any) {
	set, args := "last_seq = last_seq + ?", []any{len(a.Events)}
	if a.Dequeued != 0 {
		set += ", queued = queued - ?"
		args = append(args, a.Dequeued)
	}
	if a.Said != 0 {
		set += ", said = said + ?, said_at = CASE WHEN private THEN ? ELSE said_at END"
		args = append(args, a.Said, at(a.At))
	}
	switch a.Active {
	case session.StatusRunning:
		set += ", active = 'running', stop_type = '', stop_reason = NULL, running_since = COALESCE(running_since, ?), updated_at = ?"
		args = append(args, a.At.UnixMicro(), at(a.At))
	case session.StatusIdle:
		set += `, active = 'idle', stop_type = ?, stop_reason = ?,
			active_micros = active_micros + CASE WHEN running_since < ? THEN ? - running_since ELSE 0 END, running_since = NULL, updated_at = ?`
		var typ string
		var reason sql.NullString
		if a.StopReason != nil {
			typ = string(a.StopReason.Type)
			if b, err := json.Marshal(a.StopReason); err == nil { // a struct of strings always marshals
				reason = sql.NullString{String: string(b), Valid: true}
			}
		}
		args = append(args, typ, reason, a.At.UnixMicro(), a.At.UnixMicro(), at(a.At))
	}
	if a.Usage != (session.Usage{}) {
		more, added := usageSet(a.Usage)
		set += ", " + more
		args = append(args, added...)
	}
	return set, args
}

// usageSet returns the part of a SET clause that adds u to a session's sums.
func usageSet(u session.Usage) (string, []any) {
	t := u.Tokens
	return `tok_input = tok_input + ?, tok_cache_read = tok_cache_read + ?, tok_write_5m = tok_write_5m + ?,
			tok_write_1h = tok_write_1h + ?, tok_output = tok_output + ?, tok_reasoning = tok_reasoning + ?,
			cost_picos = cost_picos + ?, unpriced = unpriced + ?, unknown_picos = unknown_picos + ?`, []any{
			t.Input, t.CacheRead, t.CacheWrite5m, t.CacheWrite1h, t.Output, t.Reasoning, int64(u.Cost), u.Unpriced, int64(u.Unknown),
		}
}

func insertEvents(ctx context.Context, db bun.IDB, a session.Append, last int64) error {
	var sb strings.Builder
	sb.WriteString("INSERT INTO session_events (session_id, seq, id, type, ref, data, at) VALUES ")
	args := make([]any, 0, 7*len(a.Events))
	for i, e := range a.Events {
		if i > 0 {
			sb.WriteString(", ")
		}
		sb.WriteString("(?, ?, ?, ?, ?, ?, ?)")
		args = append(args, a.Session, last-int64(len(a.Events)-1-i), e.ID, string(e.Type), e.Ref, string(e.Data), at(a.At))
	}
	_, err := db.ExecContext(ctx, sb.String(), args...)
	return mapErr(err)
}

func openUses(ctx context.Context, db bun.IDB, sc account.Scope, a session.Append, last int64) error {
	for _, u := range a.Opened {
		seq := last
		for i, e := range a.Events {
			if e.ID == u.ID {
				seq = last - int64(len(a.Events)-1-i)
			}
		}
		_, err := db.ExecContext(ctx, `INSERT INTO session_tool_uses (id, tenant_id, session_id, turn_id, seq, type, name, input, state)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			u.ID, sc.Tenant, a.Session, u.Turn, seq, string(u.Type), u.Name, string(u.Input), string(u.State))
		if err != nil {
			return mapErr(err)
		}
	}
	return nil
}

// Events implements session.Log.
func (r *SessionRepo) Events(ctx context.Context, sc account.Scope, sessionID id.Session, q session.EventQuery) ([]session.Event, error) {
	w := newWhere("session_id = (SELECT id FROM sessions WHERE id = ? AND tenant_id = ?)", sessionID, sc.Tenant)
	if q.AfterSeq > 0 {
		w.and("seq > ?", q.AfterSeq)
	}
	if q.BeforeSeq > 0 {
		w.and("seq < ?", q.BeforeSeq)
	}
	if len(q.Types) > 0 {
		types := make([]string, len(q.Types))
		for i, t := range q.Types {
			types[i] = string(t)
		}
		w.and("type IN (?)", bun.List(types))
	}
	w.between("at", q.Processed)
	query := "SELECT seq, id, type, ref, data, at FROM session_events WHERE " + w.sql() + " ORDER BY seq"
	if q.Desc {
		query += " DESC"
	}
	if q.Limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", q.Limit)
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, query, w.args...)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []session.Event
	for size := 0; rows.Next() && (q.MaxBytes <= 0 || size < q.MaxBytes); {
		var e session.Event
		var typ string
		var data []byte
		var when stamp
		if err := rows.Scan(&e.Seq, &e.ID, &typ, &e.Ref, &data, &when); err != nil {
			return nil, mapErr(err)
		}
		e.Type, e.Data, e.ProcessedAt = session.EventType(typ), data, when.Time()
		size += len(data)
		out = append(out, e)
	}
	return out, mapErr(rows.Err())
}
