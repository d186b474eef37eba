package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/uptrace/bun"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// AgentRepo keeps agents. It implements agent.Repository, agent.Standings and agent.Graves.
type AgentRepo struct{ s *Store }

var (
	_ agent.Repository = (*AgentRepo)(nil)
	_ agent.Standings  = (*AgentRepo)(nil)
	_ agent.Graves     = (*AgentRepo)(nil)
)

// Agents returns the repository of agents.
func (s *Store) Agents() *AgentRepo { return &AgentRepo{s} }

const agentColumns = "a.id, a.version, a.standing, a.swarm_frozen, a.swarm_id, a.config, a.created_at, a.updated_at, a.archived_at"

const agentByID = "SELECT " + agentColumns + " FROM agents AS a WHERE a.tenant_id = ? AND a.id = ? AND a.destroyed_at IS NULL"

// versionColumns are agentColumns with Config and UpdatedAt as a version v has them.
const versionColumns = "a.id, v.version, a.standing, a.swarm_frozen, a.swarm_id, v.config, a.created_at, v.created_at, a.archived_at"

const versionTables = " FROM agent_versions AS v JOIN agents AS a ON a.tenant_id = v.tenant_id AND a.id = v.agent_id"

type scanner interface{ Scan(dest ...any) error }

// scanAgent reads agentColumns.
func scanAgent(tenant id.Tenant, row scanner) (agent.Agent, error) {
	a := agent.Agent{Tenant: tenant}
	var standing string
	var swarmFrozen bool
	var config []byte
	var created, updated, archived stamp
	if err := row.Scan(&a.ID, &a.Version, &standing, &swarmFrozen, &a.Swarm, &config, &created, &updated, &archived); err != nil {
		return agent.Agent{}, err
	}
	c, err := decodeAgentConfig(config)
	if err != nil {
		return agent.Agent{}, err
	}
	a.Config, a.Standing = c, effective(standing, swarmFrozen)
	a.FrozenItself, a.FrozenBySwarm = agent.Standing(standing) == agent.Frozen, swarmFrozen && a.Standing == agent.Frozen
	a.CreatedAt, a.UpdatedAt = created.Time(), updated.Time()
	if !archived.IsZero() {
		t := archived.Time()
		a.ArchivedAt = &t
	}
	return a, nil
}

// effective is the standing that an agent has to everybody, from its own and that of its swarm.
func effective(own string, swarmFrozen bool) agent.Standing {
	if swarmFrozen && agent.Standing(own) == agent.Active {
		return agent.Frozen
	}
	return agent.Standing(own)
}

// agentErr makes a missing row the not-found error of the agent.
func agentErr(err error, agentID id.Agent) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.AgentKind](agentID.String())
	}
	return mapErr(err)
}

// nameKey is the form of a name that names are compared and searched by. What Postgres cannot hold, and so no name does, becomes
// the replacement character, since it may come in a search.
func nameKey(name string) string {
	name = strings.ReplaceAll(strings.ToValidUTF8(name, "\uFFFD"), "\x00", "\uFFFD")
	return cases.Fold().String(norm.NFKC.String(name))
}

// Insert implements agent.Repository.
func (r *AgentRepo) Insert(ctx context.Context, sc account.Scope, a agent.Agent) error {
	config, metadata, err := encodeAgentConfig(a.Config)
	if err != nil {
		return err
	}
	row := []any{
		sc.Tenant, a.ID, a.Version, a.Config.Name, nameKey(a.Config.Name), string(a.Standing), a.Swarm, metadata, config,
		at(a.CreatedAt), at(a.UpdatedAt),
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if r.s.postgres() { // both rows for one round trip
			_, err := db.ExecContext(ctx, "WITH made AS ("+insertAgent+") "+insertVersion, append(row, versionRow(sc, a, config)...)...)
			return insertErr(err)
		}
		if _, err := db.ExecContext(ctx, insertAgent, row...); err != nil {
			return insertErr(err)
		}
		_, err := db.ExecContext(ctx, insertVersion, versionRow(sc, a, config)...)
		return mapErr(err)
	})
}

const (
	insertAgent = `INSERT INTO agents
		(tenant_id, id, version, name, name_key, standing, swarm_id, metadata, config, created_at, updated_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	insertVersion = "INSERT INTO agent_versions (tenant_id, agent_id, version, config, created_at) VALUES (?, ?, ?, ?, ?)"
)

// versionRow is what insertVersion stores of a.
func versionRow(sc account.Scope, a agent.Agent, config string) []any {
	return []any{sc.Tenant, a.ID, a.Version, config, at(a.UpdatedAt)}
}

func insertErr(err error) error {
	if isUnique(err) {
		return agent.ErrExists.Wrap(err)
	}
	return mapErr(err)
}

// Get implements agent.Repository.
func (r *AgentRepo) Get(ctx context.Context, sc account.Scope, agentID id.Agent) (agent.Agent, error) {
	a, err := scanAgent(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, agentByID, sc.Tenant, agentID))
	if err != nil {
		return agent.Agent{}, agentErr(err, agentID)
	}
	return a, nil
}

// GetVersion implements agent.Repository.
func (r *AgentRepo) GetVersion(ctx context.Context, sc account.Scope, agentID id.Agent, version int) (agent.Agent, error) {
	a, err := scanAgent(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx, "SELECT "+versionColumns+versionTables+
		" WHERE v.tenant_id = ? AND v.agent_id = ? AND v.version = ?", sc.Tenant, agentID, version))
	if err == nil {
		return a, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return agent.Agent{}, mapErr(err)
	}
	if err := r.exists(ctx, sc, agentID); err != nil {
		return agent.Agent{}, err
	}
	return agent.Agent{}, agent.ErrVersionNotFound.Withf("agent %s has no version %d", agentID, version)
}

func (r *AgentRepo) exists(ctx context.Context, sc account.Scope, agentID id.Agent) error {
	var one int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM agents WHERE tenant_id = ? AND id = ? AND destroyed_at IS NULL", sc.Tenant, agentID).Scan(&one)
	return agentErr(err, agentID)
}

// Versions implements agent.Repository.
func (r *AgentRepo) Versions(ctx context.Context, sc account.Scope, agentID id.Agent, req page.Request) (page.Page[agent.Agent], error) {
	q := "SELECT " + versionColumns + versionTables + " WHERE v.tenant_id = ? AND v.agent_id = ?"
	args := []any{sc.Tenant, agentID}
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[agent.Agent]{}, err
		}
		before, err := strconv.Atoi(place[0])
		if err != nil {
			return page.Page[agent.Agent]{}, errCursor()
		}
		q += " AND v.version < ?"
		args = append(args, before)
	}
	q += " ORDER BY v.version DESC LIMIT ?"
	found, err := r.query(ctx, sc, q, append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[agent.Agent]{}, err
	}
	if len(found) == 0 { // every agent has a version: nothing here is an agent that is not there, or the end
		if err := r.exists(ctx, sc, agentID); err != nil {
			return page.Page[agent.Agent]{}, err
		}
	}
	return agentPage(found, req.Size(), func(a agent.Agent) string { return strconv.Itoa(a.Version) })
}

// List implements agent.Repository.
func (r *AgentRepo) List(ctx context.Context, sc account.Scope, req agent.ListRequest) (page.Page[agent.Agent], error) {
	where := []string{"a.tenant_id = ?", "a.destroyed_at IS NULL"}
	args := []any{sc.Tenant}
	add := func(cond string, arg any) {
		where = append(where, cond)
		args = append(args, arg)
	}
	switch req.Standing {
	case "":
	case agent.Active:
		where = append(where, "a.standing = 'active' AND NOT a.swarm_frozen")
	case agent.Frozen:
		where = append(where, "(a.standing = 'frozen' OR a.standing = 'active' AND a.swarm_frozen)")
	default:
		add("a.standing = ?", string(req.Standing))
	}
	if !req.Archived && req.Standing != agent.Archived {
		where = append(where, "a.archived_at IS NULL")
	}
	if req.Name != "" {
		add("a.name_key = ?", nameKey(req.Name))
	}
	if req.Search != "" {
		if r.s.postgres() {
			add("strpos(a.name_key, ?) > 0", nameKey(req.Search))
		} else {
			add("instr(a.name_key, ?) > 0", nameKey(req.Search))
		}
	}
	if !req.Swarm.IsZero() {
		add("a.swarm_id = ?", req.Swarm)
	}
	if !req.From.IsZero() {
		add("a.created_at >= ?", at(req.From))
	}
	if !req.Until.IsZero() {
		add("a.created_at < ?", at(req.Until))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.AgentKind](req.Cursor)
		if err != nil {
			return page.Page[agent.Agent]{}, err
		}
		add("a.id < ?", before)
	}
	from := " FROM agents AS a WHERE " + strings.Join(where, " AND ")
	total := 0
	if req.Count {
		if err := r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*)"+from, args...).Scan(&total); err != nil {
			return page.Page[agent.Agent]{}, mapErr(err)
		}
	}
	found, err := r.query(ctx, sc, "SELECT "+agentColumns+from+" ORDER BY a.id DESC LIMIT ? OFFSET ?", append(args, req.Size()+1, max(req.Offset, 0))...)
	if err != nil {
		return page.Page[agent.Agent]{}, err
	}
	p, err := agentPage(found, req.Size(), func(a agent.Agent) string { return a.ID.String() })
	p.Total = total
	return p, err
}

func agentPage(found []agent.Agent, size int, place func(agent.Agent) string) (page.Page[agent.Agent], error) {
	return pageOf(found, size, func(a agent.Agent) (agent.Agent, error) { return a, nil },
		func(a agent.Agent) []string { return []string{place(a)} })
}

func (r *AgentRepo) query(ctx context.Context, sc account.Scope, q string, args ...any) ([]agent.Agent, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (agent.Agent, error) { return scanAgent(sc.Tenant, row) }, q, args...)
}

// Update implements agent.Repository.
func (r *AgentRepo) Update(
	ctx context.Context, sc account.Scope, agentID id.Agent, change func(a *agent.Agent) error,
) (agent.Agent, error) {
	var out agent.Agent
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.closeDoor(ctx, agentDoor(agentID)); err != nil {
			return err
		}
		a, err := scanAgent(sc.Tenant, db.QueryRowContext(ctx, agentByID+r.s.forUpdate(), sc.Tenant, agentID))
		if err != nil {
			return agentErr(err, agentID)
		}
		before, own := a, agent.Active
		if a.FrozenItself || a.Standing == agent.Archived {
			own = a.Standing
		}
		if err := change(&a); err != nil {
			return err
		}
		if a.Standing != before.Standing {
			own = a.Standing
			a.FrozenItself, a.FrozenBySwarm = own == agent.Frozen, false
		}
		out = a
		var archived stamp
		if a.ArchivedAt != nil {
			archived = at(*a.ArchivedAt)
		}
		if _, err := db.ExecContext(ctx, "UPDATE agents SET standing = ?, swarm_id = ?, archived_at = ? WHERE tenant_id = ? AND id = ?",
			string(own), a.Swarm, archived, sc.Tenant, agentID); err != nil {
			return mapErr(err)
		}
		if a.Version == before.Version {
			return nil
		}
		config, metadata, err := encodeAgentConfig(a.Config)
		if err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, `UPDATE agents SET version = ?, name = ?, name_key = ?, metadata = ?, config = ?, updated_at = ?
			WHERE tenant_id = ? AND id = ?`,
			a.Version, a.Config.Name, nameKey(a.Config.Name), metadata, config, at(a.UpdatedAt), sc.Tenant, agentID); err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, insertVersion, versionRow(sc, a, config)...)
		return mapErr(err)
	})
	if err != nil {
		return agent.Agent{}, err
	}
	return out, nil
}

// CountLive implements agent.Repository.
func (r *AgentRepo) CountLive(ctx context.Context, sc account.Scope) (int, error) {
	if err := r.s.lock(ctx, "agent:count:"+sc.Tenant.String()); err != nil {
		return 0, err
	}
	var n int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*) FROM agents WHERE tenant_id = ? AND archived_at IS NULL", sc.Tenant).Scan(&n)
	return n, mapErr(err)
}

// LockStanding implements agent.Standings.
func (r *AgentRepo) LockStanding(ctx context.Context, sc account.Scope, agentID id.Agent) (agent.StandingInfo, error) {
	door, args := r.s.passDoor(agentDoor(agentID))
	info, err := scanStanding(r.s.read(ctx).QueryRowContext(ctx, "SELECT "+standingColumns+
		" FROM agents WHERE tenant_id = ? AND id = ? AND destroyed_at IS NULL AND "+door+r.s.forShare(), append([]any{sc.Tenant, agentID}, args...)...))
	if err != nil {
		return agent.StandingInfo{}, agentErr(err, agentID)
	}
	return info, nil
}

const standingColumns = "standing, swarm_frozen, swarm_id, name, metadata, version"

func scanStanding(row scanner) (agent.StandingInfo, error) {
	var info agent.StandingInfo
	var standing, metadata string
	var swarmFrozen bool
	if err := row.Scan(&standing, &swarmFrozen, &info.Swarm, &info.Name, &metadata, &info.Version); err != nil {
		return agent.StandingInfo{}, err
	}
	info.Standing = effective(standing, swarmFrozen)
	if metadata != "{}" {
		if err := json.Unmarshal([]byte(metadata), &info.Metadata); err != nil {
			return agent.StandingInfo{}, fmt.Errorf("bunstore: agent metadata: %w", err)
		}
	}
	return info, nil
}

// SetStanding implements agent.Standings.
func (r *AgentRepo) SetStanding(
	ctx context.Context, sc account.Scope, agentID id.Agent, to agent.Standing,
) (was agent.Standing, err error) {
	err = r.change(ctx, sc, agentID, func(ctx context.Context, db bun.IDB, now agent.Standing) error {
		was = now
		_, err := db.ExecContext(ctx, "UPDATE agents SET standing = ? WHERE tenant_id = ? AND id = ?", string(to), sc.Tenant, agentID)
		return mapErr(err)
	})
	return was, err
}

// SetSwarm implements agent.Standings.
func (r *AgentRepo) SetSwarm(
	ctx context.Context, sc account.Scope, agentID id.Agent, swarm id.Swarm, frozen bool,
) (was id.Swarm, err error) {
	err = r.change(ctx, sc, agentID, func(ctx context.Context, db bun.IDB, _ agent.Standing) error {
		err := db.QueryRowContext(ctx, "SELECT swarm_id FROM agents WHERE tenant_id = ? AND id = ?", sc.Tenant, agentID).Scan(&was)
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "UPDATE agents SET swarm_id = ?, swarm_frozen = ? WHERE tenant_id = ? AND id = ?",
			swarm, frozen && !swarm.IsZero(), sc.Tenant, agentID)
		return mapErr(err)
	})
	return was, err
}

// change locks the row of an agent that is not archived and calls fn.
func (r *AgentRepo) change(
	ctx context.Context, sc account.Scope, agentID id.Agent, fn func(ctx context.Context, db bun.IDB, now agent.Standing) error,
) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.s.closeDoor(ctx, agentDoor(agentID)); err != nil {
			return err
		}
		var now string
		err := db.QueryRowContext(ctx, "SELECT standing FROM agents WHERE tenant_id = ? AND id = ? AND destroyed_at IS NULL"+r.s.forUpdate(), sc.Tenant, agentID).
			Scan(&now)
		if err != nil {
			return agentErr(err, agentID)
		}
		if agent.Standing(now) == agent.Archived {
			return agent.ErrArchived.Withf("agent %s is archived", agentID)
		}
		return fn(ctx, db, agent.Standing(now))
	})
}

// Members implements agent.Standings.
func (r *AgentRepo) Members(ctx context.Context, sc account.Scope, swarm id.Swarm) ([]id.Agent, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT id FROM agents WHERE tenant_id = ? AND swarm_id = ? AND archived_at IS NULL ORDER BY id", sc.Tenant, swarm)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []id.Agent
	for rows.Next() {
		var a id.Agent
		if err := rows.Scan(&a); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, a)
	}
	return out, mapErr(rows.Err())
}
