package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/scan"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

var _ skill.ListingRepository = (*SubmissionRepo)(nil)

// The marketplace is read from the tables of each kind of skill, so that there is no second place to keep in step. extra is what only one kind
// has: the tags, the files, the manifest.
const (
	listedStructured = `SELECT s.id AS id, 'structured' AS kind, '' AS handle, s.agent_id AS agent_id, v.id AS version_id, s.key AS key,
		v.name AS name, v.summary AS summary, v.category AS category, v.label AS label, v.digest AS digest, v.tags AS extra, v.scan AS scan, 0 AS shipped,
		s.approved_at AS listed_at
		FROM skill_submissions AS s
		JOIN skill_submission_versions AS v ON v.tenant_id = s.tenant_id AND v.skill_id = s.id AND v.number = s.approved
		WHERE s.tenant_id = ? AND s.approved IS NOT NULL`

	listedGuides = `SELECT g.id AS id, 'instructions' AS kind, coalesce(g.handle, '') AS handle, CAST(NULL AS uuid) AS agent_id, v.id AS version_id,
		coalesce(g.handle, v.name) AS key, g.display_name AS name, v.description AS summary, '` + skill.CategoryInstructions + `' AS category,
		CAST(v.number AS TEXT) AS label, '' AS digest, v.files AS extra, v.scan AS scan, 0 AS shipped,
		g.updated_at AS listed_at
		FROM skill_guides AS g
		JOIN skill_guide_versions AS v ON v.tenant_id = g.tenant_id AND v.guide_id = g.id AND v.number = g.latest
		WHERE g.tenant_id = ? AND NOT v.withheld`

	listedPlugins = `SELECT p.id AS id, 'plugin' AS kind, p.name AS handle, CAST(NULL AS uuid) AS agent_id, CAST(NULL AS uuid) AS version_id, p.name AS key, p.name AS name,
		p.description AS summary, '` + skill.CategoryPlugin + `' AS category, '' AS label, coalesce(p.digest, '') AS digest,
		coalesce(r.manifest, '') AS extra, CAST(NULL AS text) AS scan, CASE WHEN p.shipped THEN 1 ELSE 0 END AS shipped, p.created_at AS listed_at
		FROM plugins AS p LEFT JOIN plugin_releases AS r ON r.plugin_id = p.id AND r.digest = p.digest
		WHERE p.kind = 'skill' AND p.enabled = ? AND p.removed = ?`

	listingInstalls = "(SELECT count(*) FROM installed_skills AS i WHERE i.tenant_id = ? AND i.skill_id = l.id)"
)

// union is the parts that a list is made of.
type union struct {
	parts []string
	args  []any
}

func (u *union) add(w *where) {
	u.parts, u.args = append(u.parts, w.sql()), append(u.args, w.args...)
}

func (u *union) sql() string { return strings.Join(u.parts, " UNION ALL ") }

// listed returns what is stored and what is builtin, as far as req chooses it but for its page.
func (r *SubmissionRepo) listed(sc account.Scope, req skill.ListingRequest, builtin []skill.Listing) *union {
	u := &union{}
	category, search := nameKey(req.Category), nameKey(req.Search)
	found := func(w *where, column string) *where {
		switch {
		case search == "":
		case r.s.postgres():
			w.and("strpos("+column+", ?) > 0", search)
		default:
			w.and("instr("+column+", ?) > 0", search)
		}
		return w
	}
	wanted := func(kind skill.ContentKind, of string) bool {
		return (req.Kind == "" || req.Kind == kind) && (of == "" || req.Tag == "" && (category == "" || category == of))
	}
	if wanted(skill.ContentStructured, "") {
		w := found(newWhere(listedStructured, sc.Tenant), "s.search_key")
		w.and(notHeld("v.digest"), sc.Tenant)
		if category != "" {
			w.and("s.category_key = ?", category)
		}
		if req.Tag != "" {
			w.and("s.id IN (SELECT t.skill_id FROM skill_tags AS t WHERE t.tenant_id = ? AND t.tag_key = ?)", sc.Tenant, nameKey(req.Tag))
		}
		u.add(w)
	}
	if wanted(skill.ContentInstructions, skill.CategoryInstructions) {
		w := found(newWhere(listedGuides, sc.Tenant), "g.search_key")
		w.and(notHeld("v.digest"), sc.Tenant)
		u.add(w)
		for _, b := range builtin {
			if strings.Contains(nameKey(b.Name+"\n"+b.Key+"\n"+b.Summary), search) {
				u.add(r.builtin(b))
			}
		}
	}
	if wanted(skill.ContentPlugin, skill.CategoryPlugin) {
		w := found(newWhere(listedPlugins, true, false), "p.search_key")
		w.and(notHeld("p.digest"), sc.Tenant)
		u.add(w)
	}
	return u
}

// builtin is a listing that is stored nowhere, as a row.
func (r *SubmissionRepo) builtin(b skill.Listing) *where {
	uuid, stamp, text := "?", "?", "?"
	if r.s.postgres() {
		uuid, stamp, text = "CAST(? AS uuid)", "CAST(? AS timestamptz)", "CAST(? AS text)"
	}
	return newWhere(fmt.Sprintf("SELECT %[1]s, 'instructions', %[3]s, CAST(NULL AS uuid), CAST(NULL AS uuid), %[3]s, %[3]s, %[3]s, '%[4]s', %[3]s, %[3]s, '', CAST(NULL AS text), 1, %[2]s",
		uuid, stamp, text, skill.CategoryInstructions), b.ID, b.Handle, b.Key, b.Name, b.Summary, b.Label, b.Digest, at(b.ListedAt))
}

// listingRow is a row of the union and how many agents have the skill.
type listingRow struct {
	l             skill.Listing
	kind          string
	label, digest sql.NullString
	extra         string
	scan          sql.NullString
	shipped       int
	listed        stamp
}

func (r *listingRow) entity() (skill.Listing, error) {
	l := r.l
	l.Kind, l.Label, l.Digest, l.ListedAt = skill.ContentKind(r.kind), r.label.String, r.digest.String, r.listed.Time()
	l.Shipped = r.shipped != 0
	if r.scan.Valid {
		report, err := scan.Parse([]byte(r.scan.String))
		if err != nil {
			return l, fmt.Errorf("bunstore: the scan of a skill: %w", err)
		}
		l.Scan = &report
	}
	switch {
	case r.extra == "":
	case l.Kind == skill.ContentStructured:
		if err := json.Unmarshal([]byte(r.extra), &l.Tags); err != nil {
			return l, fmt.Errorf("bunstore: tags of a skill: %w", err)
		}
	case l.Kind == skill.ContentInstructions:
		row := guideVersionRow{files: sql.NullString{String: r.extra, Valid: true}, number: sql.NullInt64{Valid: true}}
		v, err := row.entity()
		if err != nil {
			return l, err
		}
		l.Digest = v.Digest()
	case l.Kind == skill.ContentPlugin:
		if m, err := skill.ParseManifest([]byte(r.extra)); err == nil { // one that cannot be read must look modified, not disappear
			l.Label = m.Version
		}
	}
	return l, nil
}

func scanListing(row scanner) (skill.Listing, error) {
	var r listingRow
	err := row.Scan(&r.l.ID, &r.kind, &r.l.Handle, &r.l.Agent, &r.l.Version, &r.l.Key, &r.l.Name, &r.l.Summary, &r.l.Category, &r.label, &r.digest,
		&r.extra, &r.scan, &r.shipped, &r.listed, &r.l.Installs)
	if err != nil {
		return skill.Listing{}, err
	}
	return r.entity()
}

// Listings implements skill.ListingRepository.
func (r *SubmissionRepo) Listings(
	ctx context.Context, sc account.Scope, req skill.ListingRequest, builtin []skill.Listing,
) (page.Page[skill.Listing], error) {
	u := r.listed(sc, req, builtin)
	if len(u.parts) == 0 {
		return page.Page[skill.Listing]{}, nil
	}
	var out page.Page[skill.Listing]
	total, err := r.s.total(ctx, req.Page, "("+u.sql()+") AS l", "1 = 1", u.args...)
	if err != nil {
		return out, err
	}
	q, args := "SELECT l.*, "+listingInstalls+" AS installs FROM ("+u.sql()+") AS l", append([]any{sc.Tenant}, u.args...)
	if req.Page.Cursor != "" || req.Sort == skill.SortInstalls {
		q = "SELECT * FROM (" + q + ") AS l"
	}
	order := " ORDER BY l.listed_at DESC, l.id DESC"
	byInstalls := req.Sort == skill.SortInstalls
	if byInstalls {
		order = " ORDER BY l.installs DESC, l.listed_at DESC, l.id DESC"
	}
	if req.Page.Cursor != "" {
		cond, place, err := listingPlace(req.Page.Cursor, byInstalls)
		if err != nil {
			return out, err
		}
		q, args = q+" WHERE "+cond, append(args, place...)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanListing, q+order+" LIMIT ? OFFSET ?", append(args, req.Page.Size()+1, max(req.Page.Offset, 0))...)
	if err != nil {
		return out, err
	}
	out, err = pageOf(found, req.Page.Size(), func(l skill.Listing) (skill.Listing, error) { return l, nil }, func(l skill.Listing) []string {
		place := []string{at(l.ListedAt).String(), l.ID.String()}
		if byInstalls {
			place = append([]string{strconv.Itoa(l.Installs)}, place...)
		}
		return place
	})
	out.Total = total
	return out, err
}

// listingPlace reads a cursor as a condition.
func listingPlace(cursor string, byInstalls bool) (string, []any, error) {
	if !byInstalls {
		before, last, err := decodeTimeIDCursor[id.SkillKind](cursor)
		return "(l.listed_at, l.id) < (?, ?)", []any{before, last}, err
	}
	place, err := decodeCursor(cursor, 3)
	if err != nil {
		return "", nil, err
	}
	installs, err := strconv.Atoi(place[0])
	before, terr := parseStamp(place[1])
	last, ierr := id.Parse[id.SkillKind](place[2])
	if errors.Join(err, terr, ierr) != nil {
		return "", nil, errCursor()
	}
	return "(l.installs, l.listed_at, l.id) < (?, ?, ?)", []any{installs, before, last}, nil
}

// Listing implements skill.ListingRepository.
func (r *SubmissionRepo) Listing(ctx context.Context, sc account.Scope, of id.Skill) (skill.Listing, error) {
	u := &union{}
	for _, p := range []struct {
		part, column, digest string
		args                 []any
	}{
		{listedStructured, "s.id", "v.digest", []any{sc.Tenant}}, {listedGuides, "g.id", "v.digest", []any{sc.Tenant}},
		{listedPlugins, "p.id", "p.digest", []any{true, false}},
	} {
		w := newWhere(p.part, p.args...)
		w.and(notHeld(p.digest), sc.Tenant)
		w.and(p.column+" = ?", of)
		u.add(w)
	}
	l, err := scanListing(r.s.read(ctx).QueryRowContext(ctx, "SELECT l.*, "+listingInstalls+" FROM ("+u.sql()+") AS l",
		append([]any{sc.Tenant}, u.args...)...))
	if errors.Is(err, sql.ErrNoRows) {
		return l, skill.ErrSkillNotFound
	}
	return l, mapErr(err)
}
