package bunstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/page"
)

// knowledgeColumns are those of an entry, e, of the space s.
const knowledgeColumns = "e.id, e.seq, e.source, e.type, e.hash, s.embedder, e.agent_id, e.created_at, e.metadata, e.text"

const knowledgeTables = ` FROM knowledge_entries AS e JOIN knowledge_spaces AS s ON s.tenant_id = e.tenant_id AND s.space_id = e.space_id
	WHERE e.tenant_id = ? AND e.space_id = ?`

func scanEntry(space knowledge.Space, rows scanner) (knowledge.Entry, error) {
	e := knowledge.Entry{Space: space}
	var hash string
	var created stamp
	var metadata []byte
	if err := rows.Scan(&e.ID, &e.Seq, &e.Source, &e.Type, &hash, &e.Embedder, &e.By, &created, &metadata, &e.Text); err != nil {
		return knowledge.Entry{}, mapErr(err)
	}
	h, err := parseHash(hash)
	if err != nil {
		return knowledge.Entry{}, err
	}
	e.Hash, e.CreatedAt, e.Metadata = h, created.Time(), metadata
	return e, nil
}

// Entries implements knowledge.Repository.
func (r *KnowledgeRepo) Entries(
	ctx context.Context, sc account.Scope, space knowledge.Space, seqs []int64,
) (map[int64]knowledge.Entry, error) {
	out := map[int64]knowledge.Entry{}
	if len(seqs) == 0 {
		return out, nil
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (knowledge.Entry, error) { return scanEntry(space, row) },
		"SELECT "+knowledgeColumns+knowledgeTables+" AND e.seq IN (?)", sc.Tenant, spaceID(space), bun.List(seqs))
	for _, e := range found {
		out[e.Seq] = e
	}
	return out, err
}

// List implements knowledge.Repository.
func (r *KnowledgeRepo) List(ctx context.Context, sc account.Scope, req knowledge.ListRequest) (page.Page[knowledge.Entry], error) {
	q := "SELECT " + knowledgeColumns + knowledgeTables
	args := []any{sc.Tenant, spaceID(req.In)}
	if req.Source != "" {
		q += " AND e.source = ?"
		args = append(args, sourceKey(req.Source))
	}
	if req.Cursor != "" {
		place, err := decodeCursor(req.Cursor, 1)
		if err != nil {
			return page.Page[knowledge.Entry]{}, err
		}
		before, err := strconv.ParseInt(place[0], 10, 64)
		if err != nil {
			return page.Page[knowledge.Entry]{}, errCursor()
		}
		q += " AND e.seq < ?"
		args = append(args, before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (knowledge.Entry, error) { return scanEntry(req.In, row) },
		q+" ORDER BY e.seq DESC LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[knowledge.Entry]{}, err
	}
	return pageOf(found, req.Size(), func(e knowledge.Entry) (knowledge.Entry, error) { return e, nil },
		func(e knowledge.Entry) []string { return []string{strconv.FormatInt(e.Seq, 10)} })
}

// sourceKey makes a filter harmless that no stored text equals, because Postgres cannot hold it.
func sourceKey(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Matching implements knowledge.Repository. Source and type choose by index; metadata are judged one by one.
func (r *KnowledgeRepo) Matching(ctx context.Context, sc account.Scope, space knowledge.Space, f knowledge.Filter) ([]int64, error) {
	q, args := " FROM knowledge_entries WHERE tenant_id = ? AND space_id = ?", []any{sc.Tenant, spaceID(space)}
	if f.Source != "" {
		q += " AND source = ?"
		args = append(args, sourceKey(f.Source))
	}
	if f.Type != "" {
		q += " AND type = ? AND type <> ''"
		args = append(args, sourceKey(f.Type))
	}
	columns := "SELECT seq, NULL"
	if len(f.Metadata) > 0 {
		columns = "SELECT seq, metadata"
		q += " AND metadata IS NOT NULL"
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, columns+q+" ORDER BY seq", args...)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []int64
	var metadata []byte
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq, &metadata); err != nil {
			return nil, mapErr(err)
		}
		if f.Match(metadata) {
			out = append(out, seq)
		}
	}
	return out, mapErr(rows.Err())
}

// Having implements knowledge.Repository.
func (r *KnowledgeRepo) Having(
	ctx context.Context, sc account.Scope, space knowledge.Space, terms []knowledge.Term, most int,
) ([][]int64, error) {
	db := r.s.read(ctx)
	var number int64
	var err error
	if !r.s.postgres() {
		if number, err = r.number(ctx, db, sc, space); err != nil {
			return nil, err
		}
	}
	out := make([][]int64, len(terms))
	for i, term := range terms {
		scan := func(row scanner) (seq int64, err error) { return seq, row.Scan(&seq) }
		if r.s.postgres() {
			out[i], err = queryAll(ctx, db, scan, `SELECT seq FROM knowledge_entries
				WHERE words @@ ?::text::tsquery AND tenant_id = ? AND space_id = ? ORDER BY seq DESC LIMIT ?`,
				"'"+scopeWord(space)+"' & ('"+strings.Join(term, "' | '")+"')", sc.Tenant, spaceID(space), most)
		} else {
			first := number << wordsShift
			out[i], err = queryAll(ctx, db, scan, `SELECT rowid - ? FROM knowledge_words
				WHERE knowledge_words MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid DESC LIMIT ?`,
				first, `"`+strings.Join(term, `" OR "`)+`"`, first, first+1<<wordsShift-1, most)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Nearest implements knowledge.Repository.
func (r *KnowledgeRepo) Nearest(ctx context.Context, sc account.Scope, req knowledge.NearestRequest) ([]knowledge.Hit, error) {
	if req.Limit < 1 || req.Among != nil && len(req.Among) == 0 {
		return nil, nil
	}
	near := newNearest(req)
	indexed, err := r.nearIndexed(ctx, sc, req, near)
	if err == nil && !indexed {
		var view slabView
		var kept bool
		view, kept, err = r.kept(ctx, sc, req.Space, req.Embedder, len(req.Vector), 0)
		switch {
		case err != nil:
		case kept:
			near.lookAt(view.blocks)
		default:
			err = r.scan(ctx, sc, req.Space, req.Embedder, 0, near.look)
		}
	}
	if err != nil {
		return nil, err
	}
	best := near.best()
	seqs := make([]int64, len(best))
	for i, f := range best {
		seqs[i] = f.seq
	}
	entries, err := r.Entries(ctx, sc, req.Space, slices.Clone(seqs))
	if err != nil {
		return nil, err
	}
	var hits []knowledge.Hit
	for _, f := range best {
		if e, ok := entries[f.seq]; ok {
			hits = append(hits, knowledge.Hit{Entry: e, Score: f.sim})
		}
	}
	return hits, nil
}
