package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// SessionRepo keeps sessions, their logs and their turns. It implements all repositories of core/session.
type SessionRepo struct{ s *Store }

var (
	_ session.Repository = (*SessionRepo)(nil)
	_ session.Log        = (*SessionRepo)(nil)
	_ session.Turns      = (*SessionTurnRepo)(nil)
	_ session.Leases     = (*SessionTurnRepo)(nil)
	_ session.ToolUses   = (*ToolUseRepo)(nil)
)

// Sessions returns the repository of sessions and their logs.
func (s *Store) Sessions() *SessionRepo { return &SessionRepo{s} }

// SessionTurns returns the repository of turns and their leases.
func (s *Store) SessionTurns() *SessionTurnRepo { return &SessionTurnRepo{s} }

// ToolUses returns the repository of open tool uses.
func (s *Store) ToolUses() *ToolUseRepo { return &ToolUseRepo{s} }

const sessionColumns = `id, agent_id, agent_version, environment_id, title, metadata, last_seq, active, stop_reason, queued, last_turn,
	tok_input, tok_cache_read, tok_write_5m, tok_write_1h, tok_output, tok_reasoning, cost_picos, unpriced,
	active_micros, running_since, created_at, updated_at, archived_at`

func scanSession(tenant id.Tenant, row scanner) (session.Session, error) {
	v := session.Session{Tenant: tenant}
	var metadata []byte
	var reason sql.NullString
	var active string
	var micros, cost int64
	var since sql.NullInt64
	var created, updated, archived stamp
	u := &v.Usage.Tokens
	err := row.Scan(&v.ID, &v.Agent, &v.AgentVersion, &v.Environment, &v.Title, &metadata, &v.LastSeq, &active, &reason, &v.Queued,
		&v.LastTurn, &u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output, &u.Reasoning, &cost, &v.Usage.Unpriced,
		&micros, &since, &created, &updated, &archived)
	if err != nil {
		return session.Session{}, err
	}
	if err := json.Unmarshal(metadata, &v.Metadata); err != nil {
		return session.Session{}, fmt.Errorf("bunstore: session %s: %w", v.ID, err)
	}
	if reason.Valid {
		v.StopReason = &session.StopReason{}
		if err := json.Unmarshal([]byte(reason.String), v.StopReason); err != nil {
			return session.Session{}, fmt.Errorf("bunstore: session %s: %w", v.ID, err)
		}
	}
	if since.Valid {
		t := time.UnixMicro(since.Int64).UTC()
		v.RunningSince = &t
	}
	v.Active, v.ActiveFor, v.Usage.Cost = session.Status(active), time.Duration(micros)*time.Microsecond, money.Pico(cost)
	v.CreatedAt, v.UpdatedAt = created.Time(), updated.Time()
	if !archived.IsZero() {
		t := archived.Time()
		v.ArchivedAt = &t
	}
	return v, nil
}

func sessionErr(err error, sessionID id.Session) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.SessionKind](sessionID.String())
	}
	return mapErr(err)
}

func encodeMetadata(m map[string]string) (string, error) {
	if m == nil {
		return "{}", nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("bunstore: metadata: %w", err)
	}
	return string(b), nil
}

// Create implements session.Repository.
func (r *SessionRepo) Create(ctx context.Context, sc account.Scope, v session.Session) error {
	metadata, err := encodeMetadata(v.Metadata)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO sessions
			(id, tenant_id, agent_id, agent_version, environment_id, title, metadata, active, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.ID, sc.Tenant, v.Agent, v.AgentVersion, v.Environment, v.Title, metadata, string(session.StatusIdle), at(v.CreatedAt), at(v.UpdatedAt))
		return mapErr(err)
	})
}

// Get implements session.Repository.
func (r *SessionRepo) Get(ctx context.Context, sc account.Scope, sessionID id.Session) (session.Session, error) {
	return r.get(ctx, sc, sessionID, "")
}

func (r *SessionRepo) get(ctx context.Context, sc account.Scope, sessionID id.Session, lock string) (session.Session, error) {
	v, err := scanSession(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, "SELECT "+sessionColumns+
		" FROM sessions WHERE id = ? AND tenant_id = ? AND deleted_at IS NULL"+lock, sessionID, sc.Tenant))
	if err != nil {
		return session.Session{}, sessionErr(err, sessionID)
	}
	return v, nil
}

// List implements session.Repository.
func (r *SessionRepo) List(ctx context.Context, sc account.Scope, req session.ListRequest) (page.Page[session.Session], error) {
	q := newWhere("tenant_id = ? AND deleted_at IS NULL", sc.Tenant)
	if !req.Agent.IsZero() {
		q.and("agent_id = ?", req.Agent)
	}
	if req.AgentVersion != 0 {
		q.and("agent_version = ?", req.AgentVersion)
	}
	statusFilter(q, req)
	q.between("created_at", req.Created)
	order, beyond := "DESC", "<"
	if req.Ascending {
		order, beyond = "ASC", ">"
	}
	if req.Cursor != "" {
		t, last, err := decodeTimeIDCursor[id.SessionKind](req.Cursor)
		if err != nil {
			return page.Page[session.Session]{}, err
		}
		q.and("(created_at, id) "+beyond+" (?, ?)", t, last)
	}
	size := req.Size()
	rows, err := r.s.read(ctx).QueryContext(ctx, fmt.Sprintf("SELECT %s FROM sessions WHERE %s ORDER BY created_at %s, id %s LIMIT %d",
		sessionColumns, q.sql(), order, order, size+1), q.args...)
	if err != nil {
		return page.Page[session.Session]{}, mapErr(err)
	}
	defer rows.Close()
	var all []session.Session
	for rows.Next() {
		v, err := scanSession(sc.Tenant, rows)
		if err != nil {
			return page.Page[session.Session]{}, mapErr(err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return page.Page[session.Session]{}, mapErr(err)
	}
	return pageOf(all, size, func(v session.Session) (session.Session, error) { return v, nil }, func(v session.Session) []string {
		return []string{at(v.CreatedAt).String(), v.ID.String()}
	})
}

// statusFilter says in SQL what session.Session.Status computes.
func statusFilter(q *where, req session.ListRequest) {
	const running = "(active = 'running' OR (queued > 0 AND stop_type <> 'requires_action'))"
	if req.Statuses == nil {
		if !req.IncludeArchived {
			q.and("archived_at IS NULL")
		}
		return
	}
	any := []string{"1 = 0"}
	for _, s := range req.Statuses {
		switch s {
		case session.StatusTerminated:
			any = append(any, "archived_at IS NOT NULL")
		case session.StatusRunning:
			any = append(any, "(archived_at IS NULL AND "+running+")")
		case session.StatusIdle:
			any = append(any, "(archived_at IS NULL AND NOT "+running+")")
		}
	}
	q.and("(" + strings.Join(any, " OR ") + ")")
}

// Update implements session.Repository.
func (r *SessionRepo) Update(ctx context.Context, sc account.Scope, sessionID id.Session, fn func(*session.Session) error) (session.Session, error) {
	var out session.Session
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		v, err := r.get(ctx, sc, sessionID, r.s.forUpdate())
		if err != nil {
			return err
		}
		if err := fn(&v); err != nil {
			return err
		}
		metadata, err := encodeMetadata(v.Metadata)
		if err != nil {
			return err
		}
		var archived stamp
		if v.ArchivedAt != nil {
			archived = at(*v.ArchivedAt)
		}
		_, err = db.ExecContext(ctx, "UPDATE sessions SET title = ?, metadata = ?, archived_at = ?, updated_at = ? WHERE id = ? AND tenant_id = ?",
			v.Title, metadata, archived, at(v.UpdatedAt), sessionID, sc.Tenant)
		out = v
		return mapErr(err)
	})
	return out, err
}

// Delete implements session.Repository.
func (r *SessionRepo) Delete(ctx context.Context, sc account.Scope, sessionID id.Session, when time.Time) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, "UPDATE sessions SET deleted_at = ? WHERE id = ? AND tenant_id = ? AND deleted_at IS NULL",
			at(when), sessionID, sc.Tenant))
		if err == nil && n == 0 {
			return id.NotFound[id.SessionKind](sessionID.String())
		}
		return err
	})
}

// Destroy implements session.Repository.
func (r *SessionRepo) Destroy(ctx context.Context, sc account.Scope, agentID id.Agent) (int, error) {
	total := 0
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		const own = " WHERE session_id IN (SELECT id FROM sessions WHERE tenant_id = ? AND agent_id = ?)"
		for _, table := range []string{"session_tool_uses", "session_turns", "session_events"} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+own, sc.Tenant, agentID); err != nil {
				return mapErr(err)
			}
		}
		n, err := affected(db.ExecContext(ctx, "DELETE FROM sessions WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agentID))
		total = int(n)
		return err
	})
	return total, err
}

// Heads implements session.Repository.
func (r *SessionRepo) Heads(ctx context.Context, sessions []id.Session) (map[id.Session]int64, error) {
	out := make(map[id.Session]int64, len(sessions))
	if len(sessions) == 0 {
		return out, nil
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT id, last_seq FROM sessions WHERE id IN (?)", bun.List(sessions))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v id.Session
		var seq int64
		if err := rows.Scan(&v, &seq); err != nil {
			return nil, mapErr(err)
		}
		out[v] = seq
	}
	return out, mapErr(rows.Err())
}

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
		if len(a.Events) == 0 {
			return nil
		}
		set, args := appendSet(a)
		args = append(args, a.Session, sc.Tenant)
		err := db.QueryRowContext(ctx, "UPDATE sessions SET "+set+" WHERE id = ? AND tenant_id = ? RETURNING last_seq", args...).Scan(&last)
		if err != nil {
			return sessionErr(err, a.Session)
		}
		if err := insertEvents(ctx, db, a, last); err != nil {
			return err
		}
		return openUses(ctx, db, sc, a, last)
	})
	return last, err
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
			set += ", span = ?"
			args = append(args, *c.Span)
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
		set += `, tok_input = tok_input + ?, tok_cache_read = tok_cache_read + ?, tok_write_5m = tok_write_5m + ?,
			tok_write_1h = tok_write_1h + ?, tok_output = tok_output + ?, tok_reasoning = tok_reasoning + ?,
			cost_picos = cost_picos + ?, unpriced = unpriced + ?`
		u := a.Usage.Tokens
		args = append(args, u.Input, u.CacheRead, u.CacheWrite5m, u.CacheWrite1h, u.Output, u.Reasoning, int64(a.Usage.Cost), a.Usage.Unpriced)
	}
	return set, args
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

// ToolUseRepo keeps open tool uses. It implements session.ToolUses.
type ToolUseRepo struct{ s *Store }

const toolUseColumns = "id, session_id, turn_id, seq, type, name, input, state, approval_id"

func scanToolUse(row scanner) (session.ToolUse, error) {
	var u session.ToolUse
	var typ, state string
	var input []byte
	if err := row.Scan(&u.ID, &u.Session, &u.Turn, &u.Seq, &typ, &u.Name, &input, &state, &u.Approval); err != nil {
		return session.ToolUse{}, err
	}
	u.Type, u.State, u.Input = session.EventType(typ), session.UseState(state), input
	return u, nil
}

// Open implements session.ToolUses.
func (r *ToolUseRepo) Open(ctx context.Context, sc account.Scope, sessionID id.Session) ([]session.ToolUse, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT "+toolUseColumns+
		" FROM session_tool_uses WHERE session_id = ? AND tenant_id = ? ORDER BY seq", sessionID, sc.Tenant)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []session.ToolUse
	for rows.Next() {
		u, err := scanToolUse(rows)
		if err != nil {
			return nil, mapErr(err)
		}
		out = append(out, u)
	}
	return out, mapErr(rows.Err())
}

// Close implements session.ToolUses.
func (r *ToolUseRepo) Close(ctx context.Context, sc account.Scope, sessionID id.Session, use id.Event) (session.ToolUse, bool, error) {
	var out session.ToolUse
	found := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		u, err := scanToolUse(db.QueryRowContext(ctx, "DELETE FROM session_tool_uses WHERE id = ? AND session_id = ? AND tenant_id = ? RETURNING "+
			toolUseColumns, use, sessionID, sc.Tenant))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		out, found = u, err == nil
		return mapErr(err)
	})
	return out, found, err
}

// SetState implements session.ToolUses.
func (r *ToolUseRepo) SetState(ctx context.Context, sc account.Scope, use id.Event, from, to session.UseState, approval id.Approval) (bool, error) {
	found := false
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		guard := ""
		if to == session.UseParked {
			guard = " AND approval_id IS NULL"
		}
		n, err := affected(db.ExecContext(ctx, "UPDATE session_tool_uses SET state = ?, approval_id = COALESCE(?, approval_id)"+
			" WHERE id = ? AND tenant_id = ? AND state = ?"+guard, string(to), approval, use, sc.Tenant, string(from)))
		found = n > 0
		return err
	})
	return found, err
}

// SessionTurnRepo keeps turns. It implements session.Turns and session.Leases.
type SessionTurnRepo struct{ s *Store }

const turnColumns = "input_data, " + slimTurnColumns

// slimTurnColumns are turnColumns without the message, which may be long.
const slimTurnColumns = `id, tenant_id, session_id, agent_id, number, state, input_id, input_type, owner, epoch, lease_until,
	takeovers, calls, span, created_at, started_at, ended_at`

func scanTurn(row scanner) (session.Turn, error) {
	var t session.Turn
	var state, typ string
	var data []byte
	var lease, created, started, ended stamp
	err := row.Scan(&data, &t.ID, &t.Tenant, &t.Session, &t.Agent, &t.Number, &state, &t.Input.ID, &typ, &t.Owner, &t.Epoch, &lease,
		&t.Takeovers, &t.Calls, &t.Span, &created, &started, &ended)
	if err != nil {
		return session.Turn{}, err
	}
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
				(id, tenant_id, session_id, agent_id, number, state, input_id, input_type, input_data, created_at)
				VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?)`,
				t.ID, sc.Tenant, sessionID, t.Agent, last-int64(len(turns)-1-i), t.Input.ID, string(t.Input.Type), string(t.Input.Data), at(t.CreatedAt))
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
func (r *SessionTurnRepo) LockSession(ctx context.Context, sc account.Scope, sessionID id.Session) ([]session.Turn, error) {
	return r.list(ctx, "NULL, "+slimTurnColumns, "session_id = ? AND tenant_id = ? AND state IN ('queued', 'running', 'parked', 'ready') ORDER BY number"+
		r.s.forUpdate(), sessionID, sc.Tenant)
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
			ended_at = ? WHERE id = ? AND tenant_id = ?`,
			string(t.State), t.Owner, t.Epoch, at(t.LeaseUntil), t.Calls, t.Span, at(t.EndedAt), t.ID, sc.Tenant)
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

// Renew implements session.Leases.
func (r *SessionTurnRepo) Renew(ctx context.Context, l session.Lease, turns []id.Turn) ([]id.Turn, error) {
	var out []id.Turn
	if len(turns) == 0 {
		return nil, nil
	}
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		out = nil
		rows, err := db.QueryContext(ctx, "UPDATE session_turns SET lease_until = ? WHERE id IN (?) AND owner = ? AND state = 'running' RETURNING id",
			r.s.leaseUntil(l), bun.List(turns), l.Owner)
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
		_, err := db.ExecContext(ctx, "UPDATE session_turns SET owner = '', lease_until = ? WHERE owner = ? AND state = 'running'",
			r.s.leaseUntil(session.Lease{Now: now}), owner)
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
	rows, err := r.s.read(ctx).QueryContext(ctx, fmt.Sprintf(`SELECT tenant_id, session_id FROM session_turns WHERE state = 'ready'
		UNION SELECT tenant_id, session_id FROM session_turns AS q WHERE state = 'queued' AND created_at < ?
			AND NOT EXISTS (SELECT 1 FROM session_turns AS a WHERE a.session_id = q.session_id AND a.state IN ('running', 'parked', 'ready'))
		LIMIT %d`, limit), at(before))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []session.Ref
	for rows.Next() {
		var ref session.Ref
		if err := rows.Scan(&ref.Tenant, &ref.Session); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, ref)
	}
	return out, mapErr(rows.Err())
}

// where gathers the conditions of a query.
type where struct {
	conds []string
	args  []any
}

func newWhere(cond string, args ...any) *where { return &where{[]string{cond}, args} }

func (w *where) and(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

func (w *where) between(column string, r session.TimeRange) {
	if !r.From.IsZero() {
		op := ">="
		if r.ExcludeFrom {
			op = ">"
		}
		w.and(column+" "+op+" ?", at(r.From))
	}
	if !r.To.IsZero() {
		op := "<="
		if r.ExcludeTo {
			op = "<"
		}
		w.and(column+" "+op+" ?", at(r.To))
	}
}

func (w *where) sql() string { return strings.Join(w.conds, " AND ") }

// affected returns how many rows a statement changed.
func affected(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, mapErr(err)
	}
	return res.RowsAffected()
}
