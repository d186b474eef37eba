package bunstore

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// GuideRepo keeps skills made of instructions.
type GuideRepo struct{ s *Store }

var (
	_ skill.GuideRepository = (*GuideRepo)(nil)
	_ skill.GuideAcceptor   = (*GuideRepo)(nil)
)

// Guides returns the repository of skills made of instructions.
func (s *Store) Guides() *GuideRepo { return &GuideRepo{s} }

const (
	guideColumns   = "g.id, g.handle, g.display_name, g.created_at, g.updated_at"
	versionColumn  = "v.id, v.number, v.name, v.description, v.directory, v.files, v.scan, v.withheld, v.created_at"
	guideTables    = " FROM skill_guides AS g LEFT JOIN skill_guide_versions AS v ON v.tenant_id = g.tenant_id AND v.guide_id = g.id AND v.number = g.latest"
	guideVersionAs = " FROM skill_guide_versions AS v"
)

// guideFileRow is a file in the column of a version's files.
type guideFileRow struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	Digest string `json:"sha256"`
}

// guideVersionRow is versionColumn of a version that may be missing.
type guideVersionRow struct {
	id                                  id.SkillVersion
	number                              sql.NullInt64
	name, description, directory, files sql.NullString
	scan                                sql.NullString
	withheld                            sql.NullBool
	created                             stamp
}

func (r *guideVersionRow) fields() []any {
	return []any{&r.id, &r.number, &r.name, &r.description, &r.directory, &r.files, &r.scan, &r.withheld, &r.created}
}

func (r *guideVersionRow) entity() (*skill.GuideVersion, error) {
	if !r.number.Valid {
		return nil, nil
	}
	v := &skill.GuideVersion{
		ID: r.id, Number: int(r.number.Int64), Name: r.name.String, Description: r.description.String, Directory: r.directory.String,
		Withheld: r.withheld.Bool, CreatedAt: r.created.Time(),
	}
	if r.scan.Valid {
		report, err := scan.Parse([]byte(r.scan.String))
		if err != nil {
			return nil, err
		}
		v.Scan = &report
	}
	var files []guideFileRow
	if err := json.Unmarshal([]byte(r.files.String), &files); err != nil {
		return nil, fmt.Errorf("bunstore: files of a skill: %w", err)
	}
	for _, f := range files {
		file := skill.File{Path: f.Path, Size: f.Size}
		if n, err := hex.Decode(file.Digest[:], []byte(f.Digest)); err != nil || n != len(file.Digest) {
			return nil, fmt.Errorf("bunstore: %q is not a digest", f.Digest)
		}
		v.Files = append(v.Files, file)
	}
	return v, nil
}

func scanGuide(tenant id.Tenant, row scanner) (skill.Guide, error) {
	g := skill.Guide{Tenant: tenant, Source: skill.SourceCustom}
	var handle sql.NullString
	var created, updated stamp
	var v guideVersionRow
	err := row.Scan(append([]any{&g.ID, &handle, &g.DisplayName, &created, &updated}, v.fields()...)...)
	if err != nil {
		return skill.Guide{}, err
	}
	g.Handle, g.CreatedAt, g.UpdatedAt = handle.String, created.Time(), updated.Time()
	g.Latest, err = v.entity()
	return g, err
}

func guideNotFound(ref string) error { return skill.ErrSkillNotFound.Withf("no skill %q", ref) }

// guideSearchKey is what searches look through.
func guideSearchKey(displayName, handle string, v skill.GuideVersion) string {
	return nameKey(displayName + "\n" + handle + "\n" + v.Name + "\n" + v.Description)
}

// CreateGuide implements skill.GuideRepository.
func (r *GuideRepo) CreateGuide(ctx context.Context, sc account.Scope, g skill.Guide) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `INSERT INTO skill_guides
			(tenant_id, id, handle, display_name, search_key, last_number, created_at, updated_at) VALUES (?, ?, ?, ?, ?, 0, ?, ?)
			ON CONFLICT DO NOTHING`,
			sc.Tenant, g.ID, sql.NullString{String: g.Handle, Valid: g.Handle != ""}, g.DisplayName,
			guideSearchKey(g.DisplayName, g.Handle, skill.GuideVersion{}), at(g.CreatedAt), at(g.UpdatedAt))
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrHandle.Withf("a skill %q exists; add a version to it instead", g.Handle)
		}
		return nil
	})
}

// AddVersion implements skill.GuideRepository.
func (r *GuideRepo) AddVersion(ctx context.Context, sc account.Scope, guide id.Skill, v skill.GuideVersion) (skill.GuideVersion, error) {
	rows := make([]guideFileRow, 0, len(v.Files))
	for _, f := range v.Files {
		rows = append(rows, guideFileRow{f.Path, f.Size, hex.EncodeToString(f.Digest[:])})
	}
	files, err := json.Marshal(rows)
	if err != nil {
		return skill.GuideVersion{}, fmt.Errorf("bunstore: %w", err)
	}
	var report sql.NullString
	if v.Scan != nil {
		text, err := v.Scan.Encode()
		if err != nil {
			return skill.GuideVersion{}, err
		}
		report = sql.NullString{String: string(text), Valid: true}
	}
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var last int
		var name string
		var handle sql.NullString
		err := db.QueryRowContext(ctx, "SELECT last_number, display_name, handle FROM skill_guides WHERE tenant_id = ? AND id = ?"+r.s.forUpdate(),
			sc.Tenant, guide).Scan(&last, &name, &handle)
		if errors.Is(err, sql.ErrNoRows) {
			return guideNotFound(guide.String())
		} else if err != nil {
			return mapErr(err)
		}
		v.Number = last + 1
		_, err = db.ExecContext(ctx, `INSERT INTO skill_guide_versions
			(tenant_id, guide_id, number, id, name, description, directory, files, digest, scan, withheld, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, guide, v.Number, v.ID, v.Name, v.Description, v.Directory, string(files), v.Digest(), report, v.Withheld, at(v.CreatedAt))
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx,
			"UPDATE skill_guides SET last_number = ?, latest = ?, search_key = ?, updated_at = ? WHERE tenant_id = ? AND id = ?",
			v.Number, v.Number, guideSearchKey(name, handle.String, v), at(v.CreatedAt), sc.Tenant, guide)
		return mapErr(err)
	})
	return v, err
}

// Guide implements skill.GuideRepository.
func (r *GuideRepo) Guide(ctx context.Context, sc account.Scope, guide id.Skill, handle string) (skill.Guide, error) {
	q, arg, ref := " AND g.id = ?", any(guide), guide.String()
	if guide.IsZero() {
		q, arg, ref = " AND g.handle = ?", handle, handle
	}
	g, err := scanGuide(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+guideColumns+", "+versionColumn+guideTables+" WHERE g.tenant_id = ?"+q, sc.Tenant, arg))
	if errors.Is(err, sql.ErrNoRows) {
		return skill.Guide{}, guideNotFound(ref)
	}
	return g, mapErr(err)
}

// Guides implements skill.GuideRepository.
func (r *GuideRepo) Guides(ctx context.Context, sc account.Scope, req skill.ListGuides) (page.Page[skill.Guide], error) {
	w := newWhere("g.tenant_id = ?", sc.Tenant)
	if req.Search != "" {
		find := "instr(g.search_key, ?) > 0"
		if r.s.postgres() {
			find = "strpos(g.search_key, ?) > 0"
		}
		w.and(find, nameKey(req.Search))
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.SkillKind](req.Cursor)
		if err != nil {
			return page.Page[skill.Guide]{}, err
		}
		w.and("g.id < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (skill.Guide, error) { return scanGuide(sc.Tenant, row) },
		"SELECT "+guideColumns+", "+versionColumn+guideTables+" WHERE "+w.sql()+
			" ORDER BY g.id DESC LIMIT ?", append(w.args, req.Size()+1)...)
	if err != nil {
		return page.Page[skill.Guide]{}, err
	}
	return pageOf(found, req.Size(), func(g skill.Guide) (skill.Guide, error) { return g, nil },
		func(g skill.Guide) []string { return []string{g.ID.UUID().String()} })
}

// Version implements skill.GuideRepository.
func (r *GuideRepo) Version(
	ctx context.Context, sc account.Scope, guide id.Skill, version id.SkillVersion, number int,
) (skill.GuideVersion, error) {
	w := newWhere("v.tenant_id = ? AND v.guide_id = ?", sc.Tenant, guide)
	ref := strconv.Itoa(number)
	if version.IsZero() {
		w.and("v.number = ?", number)
	} else {
		w.and("v.id = ?", version)
		ref = version.String()
	}
	found, err := r.versions(ctx, "SELECT "+versionColumn+guideVersionAs+" WHERE "+w.sql(), w.args)
	switch {
	case err != nil:
		return skill.GuideVersion{}, err
	case len(found) == 1:
		return found[0], nil
	}
	if err := r.exists(ctx, sc, guide); err != nil {
		return skill.GuideVersion{}, err
	}
	return skill.GuideVersion{}, skill.ErrVersionNotFound.Withf("the skill has no version %q", ref)
}

func (r *GuideRepo) exists(ctx context.Context, sc account.Scope, guide id.Skill) error {
	var one int
	err := r.s.read(ctx).QueryRowContext(ctx, "SELECT 1 FROM skill_guides WHERE tenant_id = ? AND id = ?", sc.Tenant, guide).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return guideNotFound(guide.String())
	}
	return mapErr(err)
}

func (r *GuideRepo) versions(ctx context.Context, q string, args []any) ([]skill.GuideVersion, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, q, args...)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var found []skill.GuideVersion
	for rows.Next() {
		var row guideVersionRow
		if err := rows.Scan(row.fields()...); err != nil {
			return nil, mapErr(err)
		}
		v, err := row.entity()
		if err != nil {
			return nil, err
		}
		found = append(found, *v)
	}
	return found, mapErr(rows.Err())
}

// Versions implements skill.GuideRepository.
func (r *GuideRepo) Versions(ctx context.Context, sc account.Scope, guide id.Skill, req page.Request) (page.Page[skill.GuideVersion], error) {
	w := newWhere("v.tenant_id = ? AND v.guide_id = ?", sc.Tenant, guide)
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[skill.GuideVersion]{}, err
		}
		before, err := strconv.Atoi(place[0])
		if err != nil {
			return page.Page[skill.GuideVersion]{}, errCursor()
		}
		w.and("v.number < ?", before)
	}
	found, err := r.versions(ctx, "SELECT "+versionColumn+guideVersionAs+" WHERE "+w.sql()+" ORDER BY v.number DESC LIMIT ?", append(w.args, req.Size()+1))
	if err != nil {
		return page.Page[skill.GuideVersion]{}, err
	}
	if len(found) == 0 {
		if err := r.exists(ctx, sc, guide); err != nil {
			return page.Page[skill.GuideVersion]{}, err
		}
	}
	return pageOf(found, req.Size(), func(v skill.GuideVersion) (skill.GuideVersion, error) { return v, nil },
		func(v skill.GuideVersion) []string { return []string{strconv.Itoa(v.Number)} })
}

// Delete implements skill.GuideRepository.
func (r *GuideRepo) Delete(ctx context.Context, sc account.Scope, guide id.Skill, version id.SkillVersion) (gone []skill.GuideVersion, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		var name string
		var handle sql.NullString
		err := db.QueryRowContext(ctx, "SELECT display_name, handle FROM skill_guides WHERE tenant_id = ? AND id = ?"+r.s.forUpdate(),
			sc.Tenant, guide).Scan(&name, &handle)
		if errors.Is(err, sql.ErrNoRows) {
			return guideNotFound(guide.String())
		} else if err != nil {
			return mapErr(err)
		}
		w := newWhere("v.tenant_id = ? AND v.guide_id = ?", sc.Tenant, guide)
		all, err := r.versions(ctx, "SELECT "+versionColumn+guideVersionAs+" WHERE "+w.sql()+" ORDER BY v.number DESC", w.args)
		if err != nil {
			return err
		}
		if version.IsZero() {
			gone = all
			for _, table := range []string{"skill_guide_versions WHERE tenant_id = ? AND guide_id = ?", "skill_guides WHERE tenant_id = ? AND id = ?"} {
				if _, err := db.ExecContext(ctx, "DELETE FROM "+table, sc.Tenant, guide); err != nil {
					return mapErr(err)
				}
			}
			return nil
		}
		gone = nil
		var latest sql.NullInt64
		var newest skill.GuideVersion
		for _, v := range all {
			switch {
			case v.ID == version:
				gone = append(gone, v)
			case !latest.Valid:
				latest, newest = sql.NullInt64{Int64: int64(v.Number), Valid: true}, v
			}
		}
		if len(gone) == 0 {
			return skill.ErrVersionNotFound.Withf("the skill has no version %q", version)
		}
		_, err = db.ExecContext(ctx, "DELETE FROM skill_guide_versions WHERE tenant_id = ? AND guide_id = ? AND id = ?", sc.Tenant, guide, version)
		if err != nil {
			return mapErr(err)
		}
		_, err = db.ExecContext(ctx, "UPDATE skill_guides SET latest = ?, search_key = ? WHERE tenant_id = ? AND id = ?",
			latest, guideSearchKey(name, handle.String, newest), sc.Tenant, guide)
		return mapErr(err)
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// Accept implements skill.GuideAcceptor.
func (r *GuideRepo) Accept(ctx context.Context, sc account.Scope, guide id.Skill, version id.SkillVersion) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "UPDATE skill_guide_versions SET withheld = ? WHERE tenant_id = ? AND guide_id = ? AND id = ?",
			false, sc.Tenant, guide, version)
		if n, err := affected(res, err); err != nil {
			return err
		} else if n == 0 {
			return skill.ErrVersionNotFound
		}
		return nil
	})
}
