package bunstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/pgvector/pgvector-go"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// KnowledgeRepo keeps knowledge. It implements knowledge.Ingestion and knowledge.Repository.
//
// On Postgres pgvector looks through the rows; on SQLite the vectors of the spaces in use are kept in memory, in slabs. Both only
// propose: the verdict is embedding.Cosine's.
type KnowledgeRepo struct {
	s     *Store
	slabs slabCache // SQLite only
}

var (
	_ knowledge.Ingestion  = (*KnowledgeRepo)(nil)
	_ knowledge.Repository = (*KnowledgeRepo)(nil)
)

// Knowledge returns the repository of knowledge. Each has a cache of its own, so that a process needs one.
func (s *Store) Knowledge() *KnowledgeRepo {
	return &KnowledgeRepo{s: s, slabs: slabCache{limit: slabCacheFloats}}
}

// similarityError bounds how far the sums of float32 that pgvector and the slabs compare by are from embedding.Cosine. Entries that
// are nearer than this to a border are proposed, too.
const similarityError = 1e-4

// spaceID is the column of a space: ids are unique whatever their kind.
func spaceID(space knowledge.Space) string {
	if space.Swarm.IsZero() {
		return space.Agent.UUID().String()
	}
	return space.Swarm.UUID().String()
}

// State implements knowledge.Ingestion.
func (r *KnowledgeRepo) State(ctx context.Context, sc account.Scope, space knowledge.Space) (knowledge.State, error) {
	return r.state(ctx, r.s.read(ctx), sc, space, "")
}

func (r *KnowledgeRepo) state(
	ctx context.Context, db bun.IDB, sc account.Scope, space knowledge.Space, lock string,
) (knowledge.State, error) {
	var st knowledge.State
	err := db.QueryRowContext(ctx,
		"SELECT embedder, entries, last_seq, deletions FROM knowledge_spaces WHERE tenant_id = ? AND space_id = ?"+lock,
		sc.Tenant, spaceID(space)).Scan(&st.Embedder, &st.Entries, &st.LastSeq, &st.Deletions)
	if errors.Is(err, sql.ErrNoRows) {
		return knowledge.State{}, nil
	}
	return st, mapErr(err)
}

// Lock implements knowledge.Ingestion.
func (r *KnowledgeRepo) Lock(ctx context.Context, sc account.Scope, space knowledge.Space) (st knowledge.State, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO knowledge_spaces (tenant_id, space_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
			sc.Tenant, spaceID(space))
		if err != nil {
			return mapErr(err)
		}
		st, err = r.state(ctx, db, sc, space, r.s.forUpdate())
		return err
	})
	return st, err
}

// Hashes implements knowledge.Ingestion.
func (r *KnowledgeRepo) Hashes(
	ctx context.Context, sc account.Scope, space knowledge.Space, hashes []knowledge.Hash, after int64,
) (map[knowledge.Hash]id.Knowledge, error) {
	out := map[knowledge.Hash]id.Knowledge{}
	if len(hashes) == 0 {
		return out, nil
	}
	texts := make([]string, len(hashes))
	for i, h := range hashes {
		texts[i] = hex.EncodeToString(h[:])
	}
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT hash, id FROM knowledge_entries WHERE tenant_id = ? AND space_id = ? AND hash IN (?) AND seq > ?",
		sc.Tenant, spaceID(space), bun.List(texts), after)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		var entry id.Knowledge
		if err := rows.Scan(&text, &entry); err != nil {
			return nil, mapErr(err)
		}
		h, err := parseHash(text)
		if err != nil {
			return nil, err
		}
		out[h] = entry
	}
	return out, mapErr(rows.Err())
}

func parseHash(text string) (knowledge.Hash, error) {
	var h knowledge.Hash
	if n, err := hex.Decode(h[:], []byte(text)); err != nil || n != len(h) {
		return h, fmt.Errorf("bunstore: %q is not a hash", text)
	}
	return h, nil
}

// Twins implements knowledge.Ingestion.
func (r *KnowledgeRepo) Twins(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, vectors []embedding.Vector, threshold float64, after int64,
) ([]knowledge.Match, error) {
	if len(vectors) == 0 {
		return nil, nil
	}
	best := newTwins(vectors, threshold)
	var err error
	switch {
	case r.s.postgres():
		err = r.twinsPostgres(ctx, sc, space, embedder, best, after)
	case after > 0 || r.s.current(ctx) != nil:
		// What a transaction sees may never be committed, and what came after a Seq is little: neither is the cache's.
		err = r.scan(ctx, sc, space, embedder, after, func(seq int64, v embedding.Vector) { best.offer(seq, v) })
	default:
		var sl slabView
		if sl, err = r.slabs.view(ctx, r, sc, space); err == nil && sl.embedder == embedder {
			sl.twins(best)
		}
	}
	if err != nil {
		return nil, err
	}
	return r.matches(ctx, sc, space, best)
}

// twins gathers the best entry at or above the threshold for each of some vectors. It is not safe for concurrent use.
type twins struct {
	vectors   []embedding.Vector
	threshold float64
	seq       []int64 // 0: none
	sim       []float64
}

func newTwins(vectors []embedding.Vector, threshold float64) *twins {
	return &twins{vectors, threshold, make([]int64, len(vectors)), make([]float64, len(vectors))}
}

// offer compares an entry with every vector.
func (t *twins) offer(seq int64, v embedding.Vector) {
	for i := range t.vectors {
		t.offerTo(i, seq, v)
	}
}

// offerTo compares an entry with one vector.
func (t *twins) offerTo(i int, seq int64, v embedding.Vector) {
	if len(v) != len(t.vectors[i]) {
		return
	}
	t.take(i, seq, embedding.Cosine(t.vectors[i], v))
}

func (t *twins) take(i int, seq int64, sim float64) {
	if seq == 0 || sim < t.threshold {
		return
	}
	if t.seq[i] == 0 || sim > t.sim[i] || sim == t.sim[i] && seq < t.seq[i] {
		t.seq[i], t.sim[i] = seq, sim
	}
}

// matches turns the places of the twins into their ids.
func (r *KnowledgeRepo) matches(ctx context.Context, sc account.Scope, space knowledge.Space, t *twins) ([]knowledge.Match, error) {
	out := make([]knowledge.Match, len(t.vectors))
	ids, err := r.entries(ctx, sc, space, slices.DeleteFunc(slices.Clone(t.seq), func(s int64) bool { return s == 0 }))
	if err != nil {
		return nil, err
	}
	for i, seq := range t.seq {
		if e, ok := ids[seq]; ok { // else it was deleted since: no twin any more
			out[i] = knowledge.Match{Entry: e.ID, Similarity: t.sim[i]}
		}
	}
	return out, nil
}

// probesPerQuery bounds the text of a statement.
const probesPerQuery = 25

func (r *KnowledgeRepo) twinsPostgres(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, best *twins, after int64,
) error {
	for from := 0; from < len(best.vectors); from += probesPerQuery {
		if err := r.twinsOf(ctx, sc, space, embedder, best, after, from, min(from+probesPerQuery, len(best.vectors))); err != nil {
			return err
		}
	}
	return nil
}

// twinsOf looks for the twins of the vectors from, ..., to-1.
func (r *KnowledgeRepo) twinsOf(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, best *twins, after int64, from, to int,
) error {
	args := []any{sc.Tenant, spaceID(space), embedder, after}
	var probes []string
	for i := from; i < to; i++ {
		probes = append(probes, "(?::int, ?::vector)")
		args = append(args, i, pgvector.NewVector(best.vectors[i]))
	}
	args = append(args, 1-best.threshold+similarityError)
	// OFFSET 0 keeps the planner from comparing rows of other spaces, whose vectors may have other dimensions.
	rows, err := r.s.read(ctx).QueryContext(ctx, `
		SELECT d.probe, d.seq, d.embedding FROM (
			SELECT p.probe, e.seq, e.embedding, e.embedding <=> p.vector AS distance
			FROM (
				SELECT seq, embedding FROM knowledge_entries
				WHERE tenant_id = ? AND space_id = ? AND embedder = ? AND seq > ? OFFSET 0
			) AS e CROSS JOIN (VALUES `+strings.Join(probes, ", ")+`) AS p (probe, vector) OFFSET 0
		) AS d WHERE d.distance <= ?`, args...)
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		var probe int
		var seq int64
		var v pgvector.Vector
		if err := rows.Scan(&probe, &seq, &v); err != nil {
			return mapErr(err)
		}
		best.offerTo(probe, seq, v.Slice())
	}
	return mapErr(rows.Err())
}

// entriesPerInsert keeps statements below the 1,000,000 bytes that SQLite takes.
const entriesPerInsert = 8

// Insert implements knowledge.Ingestion.
func (r *KnowledgeRepo) Insert(ctx context.Context, sc account.Scope, space knowledge.Space, entries []knowledge.Stored) error {
	if len(entries) == 0 {
		return nil
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		for some := range slices.Chunk(entries, entriesPerInsert) {
			var args []any
			for _, e := range some {
				var metadata any
				if e.Metadata != nil {
					metadata = string(e.Metadata)
				}
				args = append(args, sc.Tenant, spaceID(space), e.Seq, e.ID, e.Source, hex.EncodeToString(e.Hash[:]), e.Embedder,
					at(e.CreatedAt), metadata, e.Text, r.encodeVector(e.Vector))
			}
			_, err := db.ExecContext(ctx, `INSERT INTO knowledge_entries
				(tenant_id, space_id, seq, id, source, hash, embedder, created_at, metadata, text, embedding)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", len(some)-1), args...)
			if err != nil {
				return mapErr(err)
			}
		}
		last := entries[len(entries)-1]
		_, err := db.ExecContext(ctx,
			"UPDATE knowledge_spaces SET embedder = ?, entries = entries + ?, last_seq = ? WHERE tenant_id = ? AND space_id = ?",
			last.Embedder, len(entries), last.Seq, sc.Tenant, spaceID(space))
		return mapErr(err)
	})
}

// encodeVector returns what the embedding column holds: a vector on Postgres, little-endian float32 on SQLite.
func (r *KnowledgeRepo) encodeVector(v embedding.Vector) any {
	if r.s.postgres() {
		return pgvector.NewVector(v)
	}
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

// appendVector appends the floats of a SQLite column to v.
func appendVector(v []float32, b []byte) ([]float32, error) {
	if len(b)%4 != 0 {
		return nil, fmt.Errorf("bunstore: %d bytes are not a vector", len(b))
	}
	for ; len(b) > 0; b = b[4:] {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return v, nil
}

// scan reads the vectors of a space on SQLite. The vector is valid until fn returns.
func (r *KnowledgeRepo) scan(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, after int64, fn func(seq int64, v embedding.Vector),
) error {
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT seq, embedding FROM knowledge_entries WHERE tenant_id = ? AND space_id = ? AND embedder = ? AND seq > ?",
		sc.Tenant, spaceID(space), embedder, after)
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	var v []float32
	var raw sql.RawBytes
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq, &raw); err != nil {
			return mapErr(err)
		}
		if v, err = appendVector(v[:0], raw); err != nil {
			return err
		}
		fn(seq, v)
	}
	return mapErr(rows.Err())
}

const knowledgeColumns = "id, seq, source, hash, embedder, created_at, metadata, text"

func scanEntry(space knowledge.Space, rows scanner, more ...any) (knowledge.Entry, error) {
	e := knowledge.Entry{Space: space}
	var hash string
	var created stamp
	var metadata []byte
	dest := append([]any{&e.ID, &e.Seq, &e.Source, &hash, &e.Embedder, &created, &metadata, &e.Text}, more...)
	if err := rows.Scan(dest...); err != nil {
		return knowledge.Entry{}, mapErr(err)
	}
	h, err := parseHash(hash)
	if err != nil {
		return knowledge.Entry{}, err
	}
	e.Hash, e.CreatedAt, e.Metadata = h, created.Time(), metadata
	return e, nil
}

// entries reads the entries at the given places.
func (r *KnowledgeRepo) entries(
	ctx context.Context, sc account.Scope, space knowledge.Space, seqs []int64,
) (map[int64]knowledge.Entry, error) {
	out := map[int64]knowledge.Entry{}
	if len(seqs) == 0 {
		return out, nil
	}
	rows, err := r.s.read(ctx).QueryContext(ctx,
		"SELECT "+knowledgeColumns+" FROM knowledge_entries WHERE tenant_id = ? AND space_id = ? AND seq IN (?)",
		sc.Tenant, spaceID(space), bun.List(seqs))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(space, rows)
		if err != nil {
			return nil, err
		}
		out[e.Seq] = e
	}
	return out, mapErr(rows.Err())
}

// List implements knowledge.Repository.
func (r *KnowledgeRepo) List(ctx context.Context, sc account.Scope, req knowledge.ListRequest) (page.Page[knowledge.Entry], error) {
	q := "SELECT " + knowledgeColumns + " FROM knowledge_entries WHERE tenant_id = ? AND space_id = ?"
	args := []any{sc.Tenant, spaceID(req.In)}
	if req.Source != "" {
		q += " AND source = ?"
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
		q += " AND seq < ?"
		args = append(args, before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), func(row scanner) (knowledge.Entry, error) { return scanEntry(req.In, row) },
		q+" ORDER BY seq DESC LIMIT ?", append(args, req.Size()+1)...)
	if err != nil {
		return page.Page[knowledge.Entry]{}, err
	}
	return pageOf(found, req.Size(), func(e knowledge.Entry) (knowledge.Entry, error) { return e, nil },
		func(e knowledge.Entry) []string { return []string{strconv.FormatInt(e.Seq, 10)} })
}

// sourceKey makes a filter harmless that no stored source equals, because Postgres cannot hold it.
func sourceKey(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Nearest implements knowledge.Repository.
func (r *KnowledgeRepo) Nearest(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, vector embedding.Vector, limit int,
) ([]knowledge.Hit, error) {
	if limit < 1 {
		return nil, nil
	}
	type scored struct {
		seq int64
		sim float64
	}
	var found []scored
	offer := func(seq int64, v embedding.Vector) {
		if len(v) == len(vector) {
			found = append(found, scored{seq, embedding.Cosine(vector, v)})
		}
	}
	var err error
	switch {
	case r.s.postgres():
		err = r.nearestPostgres(ctx, sc, space, embedder, vector, limit, offer)
	case r.s.current(ctx) != nil:
		err = r.scan(ctx, sc, space, embedder, 0, offer)
	default:
		var sl slabView
		if sl, err = r.slabs.view(ctx, r, sc, space); err == nil && sl.embedder == embedder {
			sl.nearest(vector, limit, offer)
		}
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b scored) int { return cmp.Or(cmp.Compare(b.sim, a.sim), cmp.Compare(a.seq, b.seq)) })
	found = found[:min(limit, len(found))]
	seqs := make([]int64, len(found))
	for i, f := range found {
		seqs[i] = f.seq
	}
	entries, err := r.entries(ctx, sc, space, seqs)
	if err != nil {
		return nil, err
	}
	var hits []knowledge.Hit
	for _, f := range found {
		if e, ok := entries[f.seq]; ok {
			hits = append(hits, knowledge.Hit{Entry: e, Score: f.sim})
		}
	}
	return hits, nil
}

// nearestPostgres offers the limit nearest entries and whatever is as near as the last of them.
func (r *KnowledgeRepo) nearestPostgres(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, vector embedding.Vector, limit int,
	offer func(seq int64, v embedding.Vector),
) error {
	rows, err := r.s.read(ctx).QueryContext(ctx, `
		WITH d AS MATERIALIZED (
			SELECT seq, embedding <=> ? AS distance FROM knowledge_entries WHERE tenant_id = ? AND space_id = ? AND embedder = ?
		), border AS (
			SELECT max(distance) + ? AS distance FROM (SELECT distance FROM d ORDER BY distance LIMIT ?) AS best
		)
		SELECT e.seq, e.embedding FROM d JOIN border ON d.distance <= border.distance
		JOIN knowledge_entries AS e ON e.tenant_id = ? AND e.space_id = ? AND e.seq = d.seq`,
		pgvector.NewVector(vector), sc.Tenant, spaceID(space), embedder, similarityError, limit, sc.Tenant, spaceID(space))
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq int64
		var v pgvector.Vector
		if err := rows.Scan(&seq, &v); err != nil {
			return mapErr(err)
		}
		offer(seq, v.Slice())
	}
	return mapErr(rows.Err())
}

// Delete implements knowledge.Repository.
func (r *KnowledgeRepo) Delete(ctx context.Context, sc account.Scope, req knowledge.DeleteRequest) (n int, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		n = 0
		if _, err := r.state(ctx, db, sc, req.In, r.s.forUpdate()); err != nil {
			return err
		}
		q := "DELETE FROM knowledge_entries WHERE tenant_id = ? AND space_id = ?"
		args := []any{sc.Tenant, spaceID(req.In)}
		switch {
		case !req.ID.IsZero():
			q += " AND id = ?"
			args = append(args, req.ID)
		case req.Source != "":
			q += " AND source = ?"
			args = append(args, sourceKey(req.Source))
		case !req.All:
			return nil
		}
		res, err := db.ExecContext(ctx, q, args...)
		if err != nil {
			return mapErr(err)
		}
		count, err := res.RowsAffected()
		if err != nil {
			return fmt.Errorf("bunstore: %w", err)
		}
		n = int(count)
		if n == 0 {
			return nil
		}
		_, err = db.ExecContext(ctx,
			"UPDATE knowledge_spaces SET entries = entries - ?, deletions = deletions + 1 WHERE tenant_id = ? AND space_id = ?",
			n, sc.Tenant, spaceID(req.In))
		return mapErr(err)
	})
	return n, err
}
