package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// SwarmRepo keeps swarms. It implements swarm.Repository and gate.Swarms.
type SwarmRepo struct{ s *Store }

var (
	_ swarm.Repository = (*SwarmRepo)(nil)
	_ gate.Swarms      = (*SwarmRepo)(nil)
)

// Swarms returns the repository of swarms.
func (s *Store) Swarms() *SwarmRepo { return &SwarmRepo{s} }

const swarmColumns = `w.id, w.name, w.slug, w.description, w.icon, w.standing, w.created_at, w.updated_at,
	(SELECT count(*) FROM agents AS a WHERE a.tenant_id = w.tenant_id AND a.swarm_id = w.id AND a.archived_at IS NULL),
	(SELECT count(*) FROM swarm_members AS p WHERE p.tenant_id = w.tenant_id AND p.swarm_id = w.id)`

func scanSwarm(tenant id.Tenant, row scanner) (swarm.Swarm, error) {
	v := swarm.Swarm{Tenant: tenant}
	var standing string
	var created, updated stamp
	err := row.Scan(&v.ID, &v.Name, &v.Slug, &v.Description, &v.Icon, &standing, &created, &updated, &v.Agents, &v.Members)
	v.Standing, v.CreatedAt, v.UpdatedAt = swarm.Standing(standing), created.Time(), updated.Time()
	return v, err
}

func swarmErr(err error, swarmID id.Swarm) error {
	if errors.Is(err, sql.ErrNoRows) {
		return id.NotFound[id.SwarmKind](swarmID.String())
	}
	return mapErr(err)
}

// Insert implements swarm.Repository.
func (r *SwarmRepo) Insert(ctx context.Context, sc account.Scope, v swarm.Swarm) (fresh bool, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx, `INSERT INTO swarms
			(tenant_id, id, name, name_key, slug, description, icon, standing, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, slug) DO NOTHING`,
			sc.Tenant, v.ID, v.Name, nameKey(v.Name), v.Slug, v.Description, v.Icon, string(v.Standing), at(v.CreatedAt), at(v.UpdatedAt)))
		fresh = n == 1
		return err
	})
	return fresh, err
}

// Get implements swarm.Repository.
func (r *SwarmRepo) Get(ctx context.Context, sc account.Scope, swarmID id.Swarm) (swarm.Swarm, error) {
	v, err := scanSwarm(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+swarmColumns+" FROM swarms AS w WHERE w.tenant_id = ? AND w.id = ?", sc.Tenant, swarmID))
	if err != nil {
		return swarm.Swarm{}, swarmErr(err, swarmID)
	}
	return v, nil
}

// List implements swarm.Repository.
func (r *SwarmRepo) List(ctx context.Context, sc account.Scope, req swarm.ListRequest) (page.Page[swarm.Swarm], error) {
	where, args := []string{"w.tenant_id = ?"}, []any{sc.Tenant}
	add := func(cond string, arg any) {
		where = append(where, cond)
		args = append(args, arg)
	}
	if req.Slug != "" {
		add("w.slug = ?", nameKey(req.Slug))
	}
	if req.Search != "" {
		if r.s.postgres() {
			add("strpos(w.name_key, ?) > 0", nameKey(req.Search))
		} else {
			add("instr(w.name_key, ?) > 0", nameKey(req.Search))
		}
	}
	if req.Standing != "" {
		add("w.standing = ?", string(req.Standing))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.SwarmKind](req.Cursor)
		if err != nil {
			return page.Page[swarm.Swarm]{}, err
		}
		add("w.id < ?", before)
	}
	from := " FROM swarms AS w WHERE " + strings.Join(where, " AND ")
	total := 0
	if req.Count {
		if err := r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*)"+from, args...).Scan(&total); err != nil {
			return page.Page[swarm.Swarm]{}, mapErr(err)
		}
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (swarm.Swarm, error) { return scanSwarm(sc.Tenant, row) },
		"SELECT "+swarmColumns+from+" ORDER BY w.id DESC LIMIT ? OFFSET ?", append(args, req.Size()+1, max(req.Offset, 0))...)
	if err != nil {
		return page.Page[swarm.Swarm]{}, err
	}
	p, err := pageOf(found, req.Size(), func(v swarm.Swarm) (swarm.Swarm, error) { return v, nil },
		func(v swarm.Swarm) []string { return []string{v.ID.String()} })
	p.Total = total
	return p, err
}

// lockSwarm takes the lock on a swarm's row that comes before those on its agents; a swarm that is not there has none.
func (s *Store) lockSwarm(ctx context.Context, sc account.Scope, swarmID id.Swarm) error {
	if !s.postgres() {
		return nil
	}
	var one int
	err := s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM swarms WHERE tenant_id = ? AND id = ? FOR UPDATE", sc.Tenant, swarmID).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return mapErr(err)
}

// Lock implements swarm.Repository.
func (r *SwarmRepo) Lock(ctx context.Context, sc account.Scope, swarmID id.Swarm) (v swarm.Swarm, err error) {
	err = r.s.write(ctx, func(ctx context.Context, _ bun.IDB) error {
		if err := r.s.lockSwarm(ctx, sc, swarmID); err != nil {
			return err
		}
		v, err = r.Get(ctx, sc, swarmID) // and counts its agents under the lock
		return err
	})
	return v, err
}

// Update implements swarm.Repository.
func (r *SwarmRepo) Update(ctx context.Context, sc account.Scope, v swarm.Swarm) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n, err := affected(db.ExecContext(ctx,
			"UPDATE swarms SET name = ?, name_key = ?, slug = ?, description = ?, icon = ?, updated_at = ? WHERE tenant_id = ? AND id = ?",
			v.Name, nameKey(v.Name), v.Slug, v.Description, v.Icon, at(v.UpdatedAt), sc.Tenant, v.ID))
		switch {
		case isUnique(err):
			return swarm.ErrSlugTaken.Wrap(err)
		case err == nil && n == 0:
			return id.NotFound[id.SwarmKind](v.ID.String())
		}
		return err
	})
}

// closeDoors waits for the acts of a swarm's agents that are being decided, archived ones included, and keeps others out.
func (r *SwarmRepo) closeDoors(ctx context.Context, sc account.Scope, swarmID id.Swarm) error {
	agents, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (a id.Agent, err error) { return a, row.Scan(&a) },
		"SELECT id FROM agents WHERE tenant_id = ? AND swarm_id = ? ORDER BY id", sc.Tenant, swarmID)
	if err != nil {
		return err
	}
	for _, a := range agents {
		if err := r.s.closeDoor(ctx, agentDoor(a)); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements swarm.Repository.
func (r *SwarmRepo) Delete(ctx context.Context, sc account.Scope, swarmID id.Swarm) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		if err := r.closeDoors(ctx, sc, swarmID); err != nil {
			return err
		}
		if _, err := db.ExecContext(ctx, "UPDATE agents SET swarm_id = NULL, swarm_frozen = FALSE WHERE tenant_id = ? AND swarm_id = ?",
			sc.Tenant, swarmID); err != nil {
			return mapErr(err)
		}
		n, err := affected(db.ExecContext(ctx, "DELETE FROM swarms WHERE tenant_id = ? AND id = ?", sc.Tenant, swarmID))
		if err == nil && n == 0 {
			return id.NotFound[id.SwarmKind](swarmID.String())
		}
		return err
	})
}

// SetStanding implements gate.Swarms.
func (r *SwarmRepo) SetStanding(
	ctx context.Context, sc account.Scope, swarmID id.Swarm, to agent.Standing,
) (changed bool, members []id.Agent, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		v, err := r.Lock(ctx, sc, swarmID)
		if err != nil {
			return err
		}
		if err := r.closeDoors(ctx, sc, swarmID); err != nil {
			return err
		}
		changed = v.Standing != swarm.Standing(to)
		if _, err := db.ExecContext(ctx, "UPDATE swarms SET standing = ? WHERE tenant_id = ? AND id = ?", string(to), sc.Tenant, swarmID); err != nil {
			return mapErr(err)
		}
		if _, err := db.ExecContext(ctx, "UPDATE agents SET swarm_frozen = ? WHERE tenant_id = ? AND swarm_id = ?",
			to == agent.Frozen, sc.Tenant, swarmID); err != nil {
			return mapErr(err)
		}
		members, err = r.s.Agents().Members(ctx, sc, swarmID)
		return err
	})
	return changed, members, err
}
