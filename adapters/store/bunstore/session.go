package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// SessionRepo keeps sessions, their logs and their turns. It implements all repositories of core/session.
type SessionRepo struct{ s *Store }

var (
	_ session.Repository = (*SessionRepo)(nil)
	_ session.Eraser     = (*SessionRepo)(nil)
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
	active_micros, running_since, created_at, updated_at, archived_at,
	overrides, vaults, budget_micros, budget_cents, parent_id, root_id, resources, unknown_picos, private`

// scanSession reads a session without its resources, and how many of those there are.
func scanSession(tenant id.Tenant, row scanner) (session.Session, int, error) {
	v := session.Session{Tenant: tenant}
	var metadata, overrides, vaults []byte
	var reason sql.NullString
	var active string
	var micros, cost, unknown int64
	var since, budget sql.NullInt64
	var resources int
	var cents bool
	var created, updated, archived stamp
	u := &v.Usage.Tokens
	err := row.Scan(&v.ID, &v.Agent, &v.AgentVersion, &v.Environment, &v.Title, &metadata, &v.LastSeq, &active, &reason, &v.Queued,
		&v.LastTurn, &u.Input, &u.CacheRead, &u.CacheWrite5m, &u.CacheWrite1h, &u.Output, &u.Reasoning, &cost, &v.Usage.Unpriced,
		&micros, &since, &created, &updated, &archived,
		&overrides, &vaults, &budget, &cents, &v.Parent, &v.Root, &resources, &unknown, &v.Private)
	if err != nil {
		return session.Session{}, 0, err
	}
	broken := func(err error) (session.Session, int, error) {
		return session.Session{}, 0, fmt.Errorf("bunstore: session %s: %w", v.ID, err)
	}
	if err := json.Unmarshal(metadata, &v.Metadata); err != nil {
		return broken(err)
	}
	if v.Vaults, err = decodeVaults(vaults); err != nil {
		return broken(err)
	}
	if v.Overrides, err = decodeOverrides(overrides); err != nil {
		return broken(err)
	}
	if reason.Valid {
		v.StopReason = &session.StopReason{}
		if err := json.Unmarshal([]byte(reason.String), v.StopReason); err != nil {
			return broken(err)
		}
	}
	if since.Valid {
		t := time.UnixMicro(since.Int64).UTC()
		v.RunningSince = &t
	}
	if budget.Valid {
		v.Budget = &session.Budget{MaxListCost: money.Of(budget.Int64, money.USD), Cents: cents}
	}
	v.Active, v.ActiveFor = session.Status(active), time.Duration(micros)*time.Microsecond
	v.Usage.Cost, v.Usage.Unknown = money.Pico(cost), money.Pico(unknown)
	v.CreatedAt, v.UpdatedAt = created.Time(), updated.Time()
	if !archived.IsZero() {
		t := archived.Time()
		v.ArchivedAt = &t
	}
	return v, resources, nil
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

// setup is the stored form of what a session is set up with.
type setup struct {
	metadata, vaults string
	overrides        sql.NullString
	budget           sql.NullInt64
	cents            bool
}

func setupOf(v session.Session) (setup, error) {
	var out setup
	var err error
	if out.metadata, err = encodeMetadata(v.Metadata); err != nil {
		return setup{}, err
	}
	if out.vaults, err = encodeVaults(v.Vaults); err != nil {
		return setup{}, err
	}
	if out.overrides, err = encodeOverrides(v.Overrides); err != nil {
		return setup{}, err
	}
	if v.Budget != nil {
		out.budget, out.cents = sql.NullInt64{Int64: v.Budget.MaxListCost.Micros, Valid: true}, v.Budget.Cents
	}
	return out, nil
}

// Create implements session.Repository.
func (r *SessionRepo) Create(ctx context.Context, sc account.Scope, v session.Session) error {
	set, err := setupOf(v)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO sessions
			(id, tenant_id, agent_id, agent_version, environment_id, title, metadata, active, created_at, updated_at,
			overrides, vaults, budget_micros, budget_cents, parent_id, root_id, resources, private)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.ID, sc.Tenant, v.Agent, v.AgentVersion, v.Environment, v.Title, set.metadata, string(session.StatusIdle), at(v.CreatedAt), at(v.UpdatedAt),
			set.overrides, set.vaults, set.budget, set.cents, v.Parent, v.Root, len(v.Resources), v.Private)
		if err != nil {
			return mapErr(err)
		}
		return saveResources(ctx, db, v.ID, nil, v.Resources)
	})
}

// Get implements session.Repository.
func (r *SessionRepo) Get(ctx context.Context, sc account.Scope, sessionID id.Session) (session.Session, error) {
	return r.get(ctx, sc, sessionID, "")
}

func (r *SessionRepo) get(ctx context.Context, sc account.Scope, sessionID id.Session, lock string) (session.Session, error) {
	v, resources, err := scanSession(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, "SELECT "+sessionColumns+
		" FROM sessions WHERE id = ? AND tenant_id = ? AND deleted_at IS NULL"+lock, sessionID, sc.Tenant))
	if err != nil {
		return session.Session{}, sessionErr(err, sessionID)
	}
	if resources > 0 {
		all, err := r.resources(ctx, []id.Session{sessionID})
		if err != nil {
			return session.Session{}, err
		}
		v.Resources = all[sessionID]
	}
	return v, nil
}

// List implements session.Repository.
func (r *SessionRepo) List(ctx context.Context, sc account.Scope, req session.ListRequest) (page.Page[session.Session], error) {
	q := newWhere("tenant_id = ? AND deleted_at IS NULL AND parent_id IS NULL", sc.Tenant)
	if !req.Agent.IsZero() {
		q.and("agent_id = ?", req.Agent)
	}
	if req.AgentVersion != 0 {
		q.and("agent_version = ?", req.AgentVersion)
	}
	if !req.Store.IsZero() {
		q.and("EXISTS (SELECT 1 FROM session_resources AS r WHERE r.session_id = sessions.id AND r.memory_store_id = ?)", req.Store)
	}
	statusFilter(q, req)
	q.between("created_at", req.Created)
	place, back := strings.CutPrefix(req.Cursor, backwards)
	order, beyond := "DESC", "<"
	if req.Ascending != back {
		order, beyond = "ASC", ">"
	}
	if req.Cursor != "" {
		t, last, err := decodeTimeIDCursor[id.SessionKind](place)
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
	all, err := r.scanSessions(ctx, sc, rows)
	if err != nil {
		return page.Page[session.Session]{}, err
	}
	more := len(all) > size
	all = all[:min(size, len(all))]
	if len(all) == 0 {
		return page.Page[session.Session]{Items: []session.Session{}}, nil
	}
	if back {
		slices.Reverse(all)
	}
	cursor := func(v session.Session) string { return encodeCursor(at(v.CreatedAt).String(), v.ID.String()) }
	out := page.Page[session.Session]{Items: all}
	if more || back { // whoever reads backwards comes from somewhere
		out.Next = cursor(all[len(all)-1])
	}
	if more && back || !back && req.Cursor != "" {
		out.Prev = backwards + cursor(all[0])
	}
	return out, nil
}

// backwards begins the cursor of a page that is read towards the beginning of its list. It is no character of base64.
const backwards = "~"

// scanSessions reads and closes rows, and adds the resources.
func (r *SessionRepo) scanSessions(ctx context.Context, sc account.Scope, rows *sql.Rows) ([]session.Session, error) {
	defer rows.Close()
	var all []session.Session
	var having []id.Session
	for rows.Next() {
		v, resources, err := scanSession(sc.Tenant, rows)
		if err != nil {
			return nil, mapErr(err)
		}
		if resources > 0 {
			having = append(having, v.ID)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, mapErr(err)
	}
	if err := rows.Close(); err != nil { // a transaction has one connection
		return nil, mapErr(err)
	}
	if having == nil {
		return all, nil
	}
	resources, err := r.resources(ctx, having)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Resources = resources[all[i].ID]
	}
	return all, nil
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
		before := v.Resources
		if err := fn(&v); err != nil {
			return err
		}
		set, err := setupOf(v)
		if err != nil {
			return err
		}
		var archived stamp
		if v.ArchivedAt != nil {
			archived = at(*v.ArchivedAt)
		}
		_, err = db.ExecContext(ctx, `UPDATE sessions SET title = ?, metadata = ?, overrides = ?, vaults = ?, budget_micros = ?, budget_cents = ?, resources = ?,
			archived_at = ?, updated_at = ? WHERE id = ? AND tenant_id = ?`,
			v.Title, set.metadata, set.overrides, set.vaults, set.budget, set.cents, len(v.Resources), archived, at(v.UpdatedAt), sessionID, sc.Tenant)
		if err != nil {
			return mapErr(err)
		}
		out = v
		return saveResources(ctx, db, sessionID, before, v.Resources)
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
func (r *SessionRepo) Destroy(ctx context.Context, sc account.Scope, agentID id.Agent) (gone []id.Session, err error) {
	// The threads of its sessions go with them, whoever works in those.
	return r.lose(ctx, `agent_id = ? OR root_id IN (SELECT id FROM sessions WHERE tenant_id = ? AND agent_id = ?)`, sc.Tenant, agentID, sc.Tenant, agentID)
}

// Erase implements session.Eraser.
func (r *SessionRepo) Erase(ctx context.Context, sc account.Scope, sessionID id.Session) error {
	_, err := r.lose(ctx, "id = ? OR root_id = ?", sc.Tenant, sessionID, sessionID)
	return err
}

// lose removes sessions with everything that is theirs. args are the tenant, and those of which.
func (r *SessionRepo) lose(ctx context.Context, which string, args ...any) (gone []id.Session, err error) {
	own := " IN (SELECT id FROM sessions WHERE tenant_id = ? AND (" + which + "))"
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		gone, err = queryAll(ctx, db, func(row scanner) (v id.Session, err error) { return v, row.Scan(&v) }, "SELECT id FROM sessions WHERE id"+own, args...)
		if err != nil || len(gone) == 0 {
			return err
		}
		for _, table := range []string{
			"session_tool_uses", "session_turns", "session_events", "session_resources", "session_loose_ends", "session_outcomes", "session_compactions",
		} {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+table+" WHERE session_id"+own, args...); err != nil {
				return mapErr(err)
			}
		}
		if _, err := db.ExecContext(ctx, "DELETE FROM session_threads WHERE id"+own, args...); err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM sessions WHERE id"+own, args...)
		return mapErr(err)
	})
	return gone, err
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
