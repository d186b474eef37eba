package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// ThreadRepo keeps what sessions that work for others have beside their row. It implements session.Threads.
type ThreadRepo struct{ s *Store }

var _ session.Threads = (*ThreadRepo)(nil)

// Threads returns the repository of threads.
func (s *Store) Threads() *ThreadRepo { return &ThreadRepo{s} }

// threadRow is a row of session_threads.
type threadRow struct {
	id       id.Session
	kind     string
	name     string
	model    string
	depth    int
	use      id.Event
	busy     bool
	mirrored int64
}

const threadColumns = "id, kind, name, model, depth, use_id, busy, mirrored"

func scanThread(row scanner) (threadRow, error) {
	var r threadRow
	err := row.Scan(&r.id, &r.kind, &r.name, &r.model, &r.depth, &r.use, &r.busy, &r.mirrored)
	return r, err
}

func (r threadRow) thread(v session.Session) session.Thread {
	return session.Thread{
		Session: v, Type: session.ThreadType(r.kind), Name: r.name, Model: r.model, Depth: r.depth, Use: r.use, Busy: r.busy, Mirrored: r.mirrored,
	}
}

func threadErr(err error, of id.Session) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.ThreadKind](session.ThreadOf(of).String())
	}
	return mapErr(err)
}

// Create implements session.Threads.
func (r *ThreadRepo) Create(ctx context.Context, sc account.Scope, t session.Thread) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.Sessions().Create(ctx, sc, t.Session); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, `INSERT INTO session_threads (id, tenant_id, root_id, parent_id, kind, name, model, depth, use_id, busy)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			t.ID, sc.Tenant, t.Root, t.Parent, string(t.Type), t.Name, t.Model, t.Depth, t.Use, t.Busy)
		return mapErr(err)
	})
}

// Get implements session.Threads.
func (r *ThreadRepo) Get(ctx context.Context, sc account.Scope, of id.Session, lock bool) (session.Thread, error) {
	suffix := ""
	if lock {
		suffix = r.s.forUpdate()
	}
	row, err := scanThread(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+threadColumns+
		" FROM session_threads WHERE id = ? AND tenant_id = ?"+suffix, of, sc.Tenant))
	if err != nil {
		return session.Thread{}, threadErr(err, of)
	}
	v, err := r.s.Sessions().Get(ctx, sc, of)
	if err != nil {
		return session.Thread{}, err
	}
	return row.thread(v), nil
}

// Save implements session.Threads.
func (r *ThreadRepo) Save(ctx context.Context, sc account.Scope, t session.Thread) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE session_threads SET use_id = ?, busy = ?, mirrored = ? WHERE id = ? AND tenant_id = ?",
			t.Use, t.Busy, t.Mirrored, t.ID, sc.Tenant)
		return mapErr(err)
	})
}

// List implements session.Threads.
func (r *ThreadRepo) List(ctx context.Context, sc account.Scope, root id.Session, req session.ThreadRequest) (page.Page[session.Thread], error) {
	w := newWhere("root_id = ? AND tenant_id = ? AND deleted_at IS NULL", root, sc.Tenant)
	if req.Statuses != nil {
		statusFilter(w, session.ListRequest{Statuses: req.Statuses})
	}
	if req.Cursor != "" {
		last, err := decodeIDCursor[id.SessionKind](req.Cursor)
		if err != nil {
			return page.Page[session.Thread]{}, err
		}
		w.and("id > ?", last)
	}
	size := req.Size()
	rows, err := r.s.read(ctx).QueryContext(ctx, fmt.Sprintf("SELECT %s FROM sessions WHERE %s ORDER BY id LIMIT %d",
		sessionColumns, w.sql(), size+1), w.args...)
	if err != nil {
		return page.Page[session.Thread]{}, mapErr(err)
	}
	sessions, err := r.s.Sessions().scanSessions(ctx, sc, rows)
	if err != nil || len(sessions) == 0 {
		return page.Page[session.Thread]{}, err
	}
	kept, err := r.rows(ctx, sc, sessions)
	if err != nil {
		return page.Page[session.Thread]{}, err
	}
	return pageOf(sessions, size, func(v session.Session) (session.Thread, error) { return kept[v.ID].thread(v), nil },
		func(v session.Session) []string { return []string{v.ID.String()} })
}

// rows reads what sessions have as threads.
func (r *ThreadRepo) rows(ctx context.Context, sc account.Scope, of []session.Session) (map[id.Session]threadRow, error) {
	ids := make([]id.Session, len(of))
	for i, v := range of {
		ids[i] = v.ID
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT "+threadColumns+" FROM session_threads WHERE tenant_id = ? AND id IN (?)", sc.Tenant, bun.List(ids))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	out := make(map[id.Session]threadRow, len(of))
	for rows.Next() {
		row, err := scanThread(rows)
		if err != nil {
			return nil, mapErr(err)
		}
		out[row.id] = row
	}
	return out, mapErr(rows.Err())
}

// Waiting implements session.Threads.
func (r *ThreadRepo) Waiting(ctx context.Context, sc account.Scope, root id.Session) ([]session.ToolUse, error) {
	columns := "u." + strings.ReplaceAll(toolUseColumns, ", ", ", u.")
	return queryAll(ctx, r.s.read(ctx), scanToolUse, "SELECT "+columns+` FROM session_threads AS t
		JOIN session_tool_uses AS u ON u.session_id = t.id AND u.state IN (?) AND u.seq <= t.mirrored
		WHERE t.root_id = ? AND t.tenant_id = ? ORDER BY t.id, u.seq`,
		bun.List([]string{string(session.UseAsk), string(session.UseClient), string(session.UseParked)}), root, sc.Tenant)
}

// Lagging implements session.Threads.
func (r *ThreadRepo) Lagging(ctx context.Context, limit int) ([]session.Ref, error) {
	return queryAll(ctx, r.s.read(ctx), scanRef, fmt.Sprintf(`SELECT t.tenant_id, t.id FROM session_threads AS t JOIN sessions AS s ON s.id = t.id
		WHERE t.busy AND s.deleted_at IS NULL AND (NOT EXISTS (SELECT 1 FROM session_tool_uses AS u WHERE u.id = t.use_id)
		OR s.last_seq > t.mirrored AND NOT EXISTS (SELECT 1 FROM session_turns AS r WHERE r.session_id = t.id AND r.state = 'running'))
		ORDER BY t.id LIMIT %d`, limit))
}

// Usage implements session.Threads.
func (r *ThreadRepo) Usage(ctx context.Context, sc account.Scope, roots []id.Session) (map[id.Session]session.Usage, error) {
	out := map[id.Session]session.Usage{}
	if len(roots) == 0 {
		return out, nil
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, `SELECT root_id, CAST(SUM(tok_input) AS BIGINT), CAST(SUM(tok_cache_read) AS BIGINT),
		CAST(SUM(tok_write_5m) AS BIGINT), CAST(SUM(tok_write_1h) AS BIGINT), CAST(SUM(tok_output) AS BIGINT), CAST(SUM(tok_reasoning) AS BIGINT),
		CAST(SUM(cost_picos) AS BIGINT), CAST(SUM(unpriced) AS BIGINT), CAST(SUM(unknown_picos) AS BIGINT)
		FROM sessions WHERE root_id IN (?) AND tenant_id = ? GROUP BY root_id`, bun.List(roots), sc.Tenant)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		var root id.Session
		var v session.Usage
		var cost, unknown int64
		u := &v.Tokens
		if err := rows.Scan(&root, &u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output, &u.Reasoning, &cost, &v.Unpriced, &unknown); err != nil {
			return nil, mapErr(err)
		}
		v.Cost, v.Unknown = money.Pico(cost), money.Pico(unknown)
		out[root] = v
	}
	return out, mapErr(rows.Err())
}
