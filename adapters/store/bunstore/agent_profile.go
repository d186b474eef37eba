package bunstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

var _ agent.Profiles = (*AgentRepo)(nil)

// Profile implements agent.Profiles.
func (r *AgentRepo) Profile(ctx context.Context, sc account.Scope, agentID id.Agent) (agent.Profile, error) {
	var row profileRow
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT "+profileColumns+" FROM agent_profiles AS p WHERE p.tenant_id = ? AND p.agent_id = ?",
		sc.Tenant, agentID).Scan(row.dest()...)
	if errors.Is(err, sql.ErrNoRows) {
		return agent.Profile{}, nil
	}
	return row.profile(), mapErr(err)
}

const profileColumns = "p.type, p.icon, p.platform, p.status, p.metadata, p.updated_at"

// profileRow is a profile, or nulls where a left join found none.
type profileRow struct {
	kind, icon, platform, status, metadata sql.NullString
	updated                                stamp
}

func (p *profileRow) dest() []any {
	return []any{&p.kind, &p.icon, &p.platform, &p.status, &p.metadata, &p.updated}
}

func (p *profileRow) profile() agent.Profile {
	return agent.Profile{
		Type: p.kind.String, Icon: p.icon.String, Platform: p.platform.String, Status: p.status.String, Metadata: rawText(p.metadata),
		UpdatedAt: p.updated.Time(),
	}
}

// PutProfile implements agent.Profiles.
func (r *AgentRepo) PutProfile(ctx context.Context, sc account.Scope, agentID id.Agent, p agent.Profile) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO agent_profiles (tenant_id, agent_id, type, icon, platform, status, metadata, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, agent_id) DO UPDATE SET type = excluded.type, icon = excluded.icon,
			platform = excluded.platform, status = excluded.status, metadata = excluded.metadata, updated_at = excluded.updated_at`,
			sc.Tenant, agentID, p.Type, p.Icon, p.Platform, p.Status, nullText(p.Metadata), at(p.UpdatedAt))
		return mapErr(err)
	})
}

// DeleteProfile implements agent.Profiles.
func (r *AgentRepo) DeleteProfile(ctx context.Context, sc account.Scope, agentID id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM agent_profiles WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agentID)
		return mapErr(err)
	})
}

// LockName implements agent.Profiles.
func (r *AgentRepo) LockName(ctx context.Context, sc account.Scope, name string, except id.Agent) (taken bool, err error) {
	key := nameKey(name)
	if err := r.s.lock(ctx, "agent:name:"+sc.Tenant.String()+":"+key); err != nil {
		return false, err
	}
	q, args := "SELECT count(*) FROM agents WHERE tenant_id = ? AND name_key = ? AND archived_at IS NULL", []any{sc.Tenant, key}
	if !except.IsZero() {
		q += " AND id <> ?"
		args = append(args, except)
	}
	var n int
	err = r.s.read(ctx).QueryRowContext(ctx, q, args...).Scan(&n)
	return n > 0, mapErr(err)
}

// Directory implements agent.Profiles.
func (r *AgentRepo) Directory(ctx context.Context, sc account.Scope, req agent.DirectoryRequest) (page.Page[agent.Listed], error) {
	w := newWhere("a.tenant_id = ? AND a.archived_at IS NULL", sc.Tenant)
	if req.Name != "" {
		w.and("a.name_key = ?", nameKey(req.Name))
	}
	if req.Search != "" {
		has := "instr"
		if r.s.postgres() {
			has = "strpos"
		}
		w.and(has+"(a.name_key, ?) > 0", nameKey(req.Search))
	}
	if req.Type != "" {
		w.and("COALESCE(p.type, ?) = ?", agent.DefaultType, req.Type)
	}
	if req.Platform != "" {
		w.and("p.platform = ?", req.Platform)
	}
	if req.Status != "" {
		w.and("CASE WHEN a.standing = 'frozen' OR a.swarm_frozen THEN 'frozen' ELSE COALESCE(p.status, ?) END = ?", agent.ActiveStatus, req.Status)
	}
	from := " FROM agents AS a LEFT JOIN agent_profiles AS p ON p.tenant_id = a.tenant_id AND p.agent_id = a.id WHERE "
	total := 0
	if req.Count {
		if err := r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*)"+from+w.sql(), w.args...).Scan(&total); err != nil {
			return page.Page[agent.Listed]{}, mapErr(err)
		}
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.AgentKind](req.Cursor)
		if err != nil {
			return page.Page[agent.Listed]{}, err
		}
		w.and("a.id < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (agent.Listed, error) { return scanListed(sc.Tenant, row) },
		"SELECT "+agentColumns+", "+profileColumns+from+w.sql()+" ORDER BY a.id DESC LIMIT ? OFFSET ?",
		append(w.args, req.Size()+1, max(req.Offset, 0))...)
	if err != nil {
		return page.Page[agent.Listed]{}, err
	}
	p, err := pageOf(found, req.Size(), func(l agent.Listed) (agent.Listed, error) { return l, nil },
		func(l agent.Listed) []string { return []string{l.ID.String()} })
	p.Total = total
	return p, err
}

func scanListed(tenant id.Tenant, row scanner) (l agent.Listed, err error) {
	var p profileRow
	l.Agent, err = scanAgent(tenant, andScan{row, p.dest()})
	l.Profile = p.profile()
	return l, err
}

// andScan scans further columns after those that its caller names.
type andScan struct {
	scanner
	more []any
}

func (s andScan) Scan(dest ...any) error { return s.scanner.Scan(append(dest, s.more...)...) }
