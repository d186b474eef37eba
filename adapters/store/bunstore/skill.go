package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// SkillRepo keeps plugins, their releases, who has installed them, and the keys that sign them.
type SkillRepo struct{ s *Store }

var (
	_ skill.Repository             = (*SkillRepo)(nil)
	_ skill.ReleaseRepository      = (*SkillRepo)(nil)
	_ skill.InstallationRepository = skillInstallations{}
	_ skill.KeyRepository          = (*SkillRepo)(nil)
)

// Skills returns the registry of plugins, of their releases and of the keys.
func (s *Store) Skills() *SkillRepo { return &SkillRepo{s} }

// SkillInstallations returns the repository of which agent has which skill.
func (s *Store) SkillInstallations() skill.InstallationRepository { return skillInstallations{s} }

const (
	pluginColumns  = "p.id, p.name, p.kind, p.description, p.enabled, p.shipped, p.removed, p.created_at, p.updated_at"
	releaseColumns = "r.manifest, r.signature_key, r.signature, r.created_at"
	pluginTables   = " FROM plugins AS p LEFT JOIN plugin_releases AS r ON r.plugin_id = p.id AND r.digest = p.digest"
)

// pluginRow is pluginColumns.
type pluginRow struct {
	p                skill.Plugin
	kind             string
	created, updated stamp
}

func (r *pluginRow) fields() []any {
	return []any{
		&r.p.ID, &r.p.Name, &r.kind, &r.p.Description, &r.p.Enabled, &r.p.Shipped, &r.p.Removed, &r.created, &r.updated,
	}
}

func (r *pluginRow) entity() skill.Plugin {
	r.p.Kind, r.p.CreatedAt, r.p.UpdatedAt = skill.Kind(r.kind), r.created.Time(), r.updated.Time()
	return r.p
}

// releaseRow is releaseColumns of a release that may be missing.
type releaseRow struct {
	manifest, key sql.NullString
	signature     []byte
	created       stamp
}

func (r *releaseRow) fields() []any { return []any{&r.manifest, &r.key, &r.signature, &r.created} }

// entity returns the release, and nil for a missing one. A manifest that cannot be read is given out as it is, without its parts:
// it must look modified, not disappear.
func (r *releaseRow) entity(plugin id.Plugin) *skill.Release {
	if !r.manifest.Valid {
		return nil
	}
	rel := &skill.Release{
		Plugin: plugin, Signed: []byte(r.manifest.String), CreatedAt: r.created.Time(),
		Signature: skill.Signature{Key: r.key.String, Bytes: r.signature},
	}
	if m, err := skill.ParseManifest(rel.Signed); err == nil {
		rel.Manifest = m
	}
	return rel
}

func scanPlugin(row scanner) (skill.Plugin, error) {
	var p pluginRow
	var r releaseRow
	if err := row.Scan(append(p.fields(), r.fields()...)...); err != nil {
		return skill.Plugin{}, err
	}
	out := p.entity()
	out.Release = r.entity(out.ID)
	return out, nil
}

func releaseDigest(r *skill.Release) sql.NullString {
	if r == nil {
		return sql.NullString{}
	}
	return sql.NullString{String: r.Digest(), Valid: true}
}

// Create implements skill.Repository.
func (r *SkillRepo) Create(ctx context.Context, p skill.Plugin) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO plugins
			(id, name, kind, description, search_key, enabled, shipped, removed, digest, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			p.ID, p.Name, string(p.Kind), p.Description, pluginSearchKey(p), p.Enabled, p.Shipped, p.Removed, releaseDigest(p.Release),
			at(p.CreatedAt), at(p.UpdatedAt))
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrExists.Withf("a plugin %q exists", p.Name)
		}
		if p.Release == nil {
			return nil
		}
		return r.Add(ctx, *p.Release)
	})
}

func pluginSearchKey(p skill.Plugin) string { return nameKey(p.Name + " " + p.Description) }

// Update implements skill.Repository.
func (r *SkillRepo) Update(ctx context.Context, p skill.Plugin) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE plugins SET description = ?, search_key = ?, enabled = ?, shipped = ?, removed = ?, digest = ?,
			updated_at = ? WHERE id = ?`,
			p.Description, pluginSearchKey(p), p.Enabled, p.Shipped, p.Removed, releaseDigest(p.Release), at(p.UpdatedAt), p.ID)
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrNotFound
		}
		return nil
	})
}

// ByName implements skill.Repository.
func (r *SkillRepo) ByName(ctx context.Context, name string) (skill.Plugin, error) {
	return r.one(ctx, "p.name = ?", name)
}

// ByID implements skill.Repository.
func (r *SkillRepo) ByID(ctx context.Context, plugin id.Plugin) (skill.Plugin, error) {
	return r.one(ctx, "p.id = ?", plugin)
}

func (r *SkillRepo) one(ctx context.Context, where string, arg any) (skill.Plugin, error) {
	q := "SELECT " + pluginColumns + ", " + releaseColumns + pluginTables + " WHERE " + where
	if r.s.postgres() && r.s.current(ctx) != nil {
		q += " FOR UPDATE OF p"
	}
	p, err := scanPlugin(r.s.read(ctx).QueryRowContext(ctx, q, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return skill.Plugin{}, skill.ErrNotFound
	}
	return p, mapErr(err)
}

// List implements skill.Repository.
func (r *SkillRepo) List(ctx context.Context, req skill.ListRequest) (page.Page[skill.Plugin], error) {
	where, args := []string{"p.removed = ?"}, []any{false}
	add := func(cond string, arg any) {
		where, args = append(where, cond), append(args, arg)
	}
	if req.Kind != "" {
		add("p.kind = ?", string(req.Kind))
	}
	if req.Enabled {
		add("p.enabled = ?", true)
	}
	if req.Search != "" {
		if r.s.postgres() {
			add("strpos(p.search_key, ?) > 0", nameKey(req.Search))
		} else {
			add("instr(p.search_key, ?) > 0", nameKey(req.Search))
		}
	}
	if req.Page.Cursor != "" {
		place, err := decodeCursor(req.Page.Cursor, 1)
		if err != nil {
			return page.Page[skill.Plugin]{}, err
		}
		add("p.name > ?", nameKey(place[0]))
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanPlugin,
		"SELECT "+pluginColumns+", "+releaseColumns+pluginTables+
			" WHERE "+strings.Join(where, " AND ")+" ORDER BY p.name LIMIT ?", append(args, req.Page.Size()+1)...)
	if err != nil {
		return page.Page[skill.Plugin]{}, err
	}
	return pageOf(found, req.Page.Size(), func(p skill.Plugin) (skill.Plugin, error) { return p, nil },
		func(p skill.Plugin) []string { return []string{p.Name} })
}

// Delete implements skill.Repository.
func (r *SkillRepo) Delete(ctx context.Context, plugin id.Plugin) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for _, q := range []string{
			"DELETE FROM installed_skills WHERE skill_id = ?", "DELETE FROM plugin_releases WHERE plugin_id = ?",
		} {
			if _, err := db.ExecContext(ctx, q, plugin); err != nil {
				return mapErr(err)
			}
		}
		res, err := db.ExecContext(ctx, "DELETE FROM plugins WHERE id = ?", plugin)
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrNotFound
		}
		return nil
	})
}

// Add implements skill.ReleaseRepository.
func (r *SkillRepo) Add(ctx context.Context, rel skill.Release) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO plugin_releases (plugin_id, digest, manifest, signature_key, signature, created_at)
			VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (plugin_id, digest) DO UPDATE SET
			manifest = excluded.manifest, signature_key = excluded.signature_key, signature = excluded.signature, created_at = excluded.created_at`,
			rel.Plugin, rel.Digest(), string(rel.Signed), rel.Signature.Key, rel.Signature.Bytes, at(rel.CreatedAt))
		return mapErr(err)
	})
}

// Releases implements skill.ReleaseRepository.
func (r *SkillRepo) Releases(ctx context.Context, plugin id.Plugin) ([]skill.Release, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT "+releaseColumns+
		" FROM plugin_releases AS r WHERE r.plugin_id = ? ORDER BY r.created_at DESC, r.digest", plugin)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []skill.Release
	for rows.Next() {
		var row releaseRow
		if err := rows.Scan(row.fields()...); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, *row.entity(plugin))
	}
	return out, mapErr(rows.Err())
}

// Remove implements skill.ReleaseRepository.
func (r *SkillRepo) Remove(ctx context.Context, plugin id.Plugin, digest string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM plugin_releases WHERE plugin_id = ? AND digest = ?", plugin, digest)
		return mapErr(err)
	})
}

// Holders implements skill.ReleaseRepository.
func (r *SkillRepo) Holders(ctx context.Context, digest string) (releases, installations int, err error) {
	err = r.s.read(ctx).QueryRowContext(ctx, `SELECT (SELECT count(*) FROM plugin_releases WHERE digest = ?),
		(SELECT count(*) FROM installed_skills WHERE digest = ?)`, digest, digest).Scan(&releases, &installations)
	return releases, installations, mapErr(err)
}

// AddKey implements skill.KeyRepository.
func (r *SkillRepo) AddKey(ctx context.Context, k skill.SigningKey) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO plugin_keys (number, id, public, sealed, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, k.Number, k.ID, k.Public, k.Sealed, at(k.CreatedAt))
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrExists.Withf("the signing key %d exists", k.Number)
		}
		return nil
	})
}

// Keys implements skill.KeyRepository.
func (r *SkillRepo) Keys(ctx context.Context) ([]skill.SigningKey, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT number, id, public, sealed, created_at FROM plugin_keys ORDER BY number DESC")
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []skill.SigningKey
	for rows.Next() {
		var k skill.SigningKey
		var created stamp
		if err := rows.Scan(&k.Number, &k.ID, &k.Public, &k.Sealed, &created); err != nil {
			return nil, mapErr(err)
		}
		k.CreatedAt = created.Time()
		out = append(out, k)
	}
	return out, mapErr(rows.Err())
}

// skillInstallations implements skill.InstallationRepository, whose methods' names are those of SkillRepo too.
type skillInstallations struct{ s *Store }

// installationRow is installationColumns.
type installationRow struct {
	in               skill.Installation
	kind             string
	digest           sql.NullString
	level            string
	created, updated stamp
}

func (r *installationRow) fields() []any {
	return []any{&r.in.ID, &r.in.Agent, &r.in.Skill, &r.kind, &r.in.Version, &r.digest, &r.level, &r.created, &r.updated}
}

func (r *installationRow) entity(tenant id.Tenant) skill.Installation {
	r.in.Tenant, r.in.Kind, r.in.Digest = tenant, skill.ContentKind(r.kind), r.digest.String
	r.in.Level, r.in.CreatedAt, r.in.UpdatedAt = skill.Trust(r.level), r.created.Time(), r.updated.Time()
	return r.in
}

const installationColumns = "i.id, i.agent_id, i.skill_id, i.kind, i.version_id, i.digest, i.trust_level, i.created_at, i.updated_at"

func (r skillInstallations) Save(ctx context.Context, sc account.Scope, in skill.Installation) (skill.Installation, error) {
	out := in
	err := r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		digest := sql.NullString{String: in.Digest, Valid: in.Digest != ""}
		if _, err := db.ExecContext(ctx, `INSERT INTO installed_skills
			(tenant_id, agent_id, skill_id, id, kind, version_id, digest, trust_level, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (tenant_id, agent_id, skill_id) DO UPDATE SET
			version_id = excluded.version_id, digest = excluded.digest, trust_level = excluded.trust_level, updated_at = excluded.updated_at`,
			sc.Tenant, in.Agent, in.Skill, in.ID, string(in.Kind), in.Version, digest, string(in.Level), at(in.CreatedAt), at(in.UpdatedAt)); err != nil {
			return mapErr(err)
		}
		var row installationRow
		err := db.QueryRowContext(ctx, "SELECT "+installationColumns+
			" FROM installed_skills AS i WHERE i.tenant_id = ? AND i.agent_id = ? AND i.skill_id = ?", sc.Tenant, in.Agent, in.Skill).
			Scan(row.fields()...)
		if err != nil {
			return mapErr(err)
		}
		out = row.entity(sc.Tenant)
		return nil
	})
	return out, err
}

func (r skillInstallations) List(ctx context.Context, sc account.Scope, agentID id.Agent) ([]skill.Installed, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT "+installationColumns+", "+pluginColumns+", "+releaseColumns+
		`, c.manifest, c.signature_key, c.signature, c.created_at
		FROM installed_skills AS i
		JOIN plugins AS p ON p.id = i.skill_id
		LEFT JOIN plugin_releases AS r ON r.plugin_id = p.id AND r.digest = p.digest
		LEFT JOIN plugin_releases AS c ON c.plugin_id = p.id AND c.digest = i.digest
		WHERE i.tenant_id = ? AND i.agent_id = ? AND p.removed = ? ORDER BY i.id`, sc.Tenant, agentID, false)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []skill.Installed
	for rows.Next() {
		var in installationRow
		var p pluginRow
		var current, pinned releaseRow
		fields := append(append(append(in.fields(), p.fields()...), current.fields()...), pinned.fields()...)
		if err := rows.Scan(fields...); err != nil {
			return nil, mapErr(err)
		}
		item := skill.Installed{Installation: in.entity(sc.Tenant), Of: p.entity()}
		item.Of.Release, item.Release = current.entity(item.Of.ID), pinned.entity(item.Of.ID)
		out = append(out, item)
	}
	return out, mapErr(rows.Err())
}

func (r skillInstallations) Pins(ctx context.Context, sc account.Scope, agentID id.Agent) ([]skill.Installation, error) {
	if r.s.current(ctx) != nil {
		if err := r.s.lock(ctx, "skill:install:"+sc.Tenant.String()+":"+agentID.String()); err != nil {
			return nil, err
		}
	}
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (skill.Installation, error) {
		var in installationRow
		err := row.Scan(in.fields()...)
		return in.entity(sc.Tenant), err
	}, "SELECT "+installationColumns+" FROM installed_skills AS i WHERE i.tenant_id = ? AND i.agent_id = ? ORDER BY i.id", sc.Tenant, agentID)
}

func (r skillInstallations) Count(ctx context.Context, sc account.Scope, of id.Skill) (n int, err error) {
	err = r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*) FROM installed_skills WHERE tenant_id = ? AND skill_id = ?", sc.Tenant, of).Scan(&n)
	return n, mapErr(err)
}

func (r skillInstallations) Delete(ctx context.Context, sc account.Scope, agentID id.Agent, of id.Skill) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "DELETE FROM installed_skills WHERE tenant_id = ? AND agent_id = ? AND skill_id = ?",
			sc.Tenant, agentID, of)
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrNotInstalled
		}
		return nil
	})
}

func (r skillInstallations) DeleteAll(ctx context.Context, sc account.Scope, agentID id.Agent) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "DELETE FROM installed_skills WHERE tenant_id = ? AND agent_id = ?", sc.Tenant, agentID)
		return mapErr(err)
	})
}

func (r skillInstallations) PinAll(ctx context.Context, plugin id.Plugin, digest string) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "UPDATE installed_skills SET digest = ? WHERE skill_id = ? AND digest IS NULL", digest, plugin)
		return mapErr(err)
	})
}
