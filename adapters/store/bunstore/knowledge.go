package bunstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/pgvector/pgvector-go"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

// KnowledgeRepo keeps knowledge. It implements knowledge.Ingestion, knowledge.Repository and knowledge.Reembedding.
//
// The vectors of the spaces in use are kept in memory, in slabs, as far as they fit; those of larger spaces are read at each use. Twins
// are looked for among all of them, on both databases. On Postgres an HNSW index finds what is near in large spaces, see knowledge_hnsw.go.
// Each of these only proposes: the verdict is embedding.Cosine's.
type KnowledgeRepo struct {
	s     *Store
	slabs slabCache
	large int // entries from which on a space gets an HNSW index
	build hnswBuild
}

var (
	_ knowledge.Ingestion   = (*KnowledgeRepo)(nil)
	_ knowledge.Repository  = (*KnowledgeRepo)(nil)
	_ knowledge.Reembedding = (*KnowledgeRepo)(nil)
)

// Knowledge returns the repository of knowledge. Each has a cache of its own, so that a process needs one.
func (s *Store) Knowledge() *KnowledgeRepo {
	return &KnowledgeRepo{s: s, slabs: slabCache{limit: slabCacheFloats}, large: largeSpace}
}

// spaceID is the column of a space: ids are unique whatever their kind.
func spaceID(space knowledge.Space) string {
	if space.Swarm.IsZero() {
		return space.Agent.UUID().String()
	}
	return space.Swarm.UUID().String()
}

// committed reads outside of any transaction.
func (r *KnowledgeRepo) committed() bun.IDB { return r.s.read(context.Background()) }

// State implements knowledge.Ingestion.
func (r *KnowledgeRepo) State(ctx context.Context, sc account.Scope, space knowledge.Space) (knowledge.State, error) {
	st, err := r.state(ctx, r.s.read(ctx), sc, space, "")
	return st.State, err
}

// spaceState is the row of a space.
type spaceState struct {
	knowledge.State
	indexed string
	there   bool
}

func (r *KnowledgeRepo) state(ctx context.Context, db bun.IDB, sc account.Scope, space knowledge.Space, lock string) (spaceState, error) {
	st := spaceState{there: true}
	err := db.QueryRowContext(ctx, `SELECT embedder, next_embedder, entries, last_seq, last_place, deletions, indexed
		FROM knowledge_spaces WHERE tenant_id = ? AND space_id = ?`+lock, sc.Tenant, spaceID(space)).
		Scan(&st.Embedder, &st.Next, &st.Entries, &st.LastSeq, &st.LastPlace, &st.Deletions, &st.indexed)
	if errors.Is(err, sql.ErrNoRows) {
		return spaceState{}, nil
	}
	return st, mapErr(err)
}

// Lock implements knowledge.Ingestion.
func (r *KnowledgeRepo) Lock(ctx context.Context, sc account.Scope, space knowledge.Space) (state knowledge.State, err error) {
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		st, err := r.state(ctx, db, sc, space, r.s.forUpdate())
		if err != nil || st.there {
			state = st.State
			return err
		}
		q := "INSERT INTO knowledge_spaces (tenant_id, space_id, swarm) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
		if !r.s.postgres() {
			q = `INSERT INTO knowledge_spaces (tenant_id, space_id, swarm, number)
				SELECT ?, ?, ?, coalesce(max(number), 0) + 1 FROM knowledge_spaces`
		}
		if _, err := db.ExecContext(ctx, q, sc.Tenant, spaceID(space), !space.Swarm.IsZero()); err != nil {
			return mapErr(err)
		}
		st, err = r.state(ctx, db, sc, space, r.s.forUpdate())
		state = st.State
		return err
	})
	return state, err
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
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, probes []knowledge.Probe, threshold float64, after int64,
) ([]knowledge.Twins, error) {
	if len(probes) == 0 {
		return nil, nil
	}
	best := newTwins(probes, threshold)
	view, kept, err := r.kept(ctx, sc, space, embedder, best.dims, after)
	switch {
	case err != nil:
	case kept:
		best.lookAt(view.blocks)
	default:
		err = r.scan(ctx, sc, space, embedder, after, best.look)
	}
	if err != nil {
		return nil, err
	}
	return r.matches(ctx, sc, space, best)
}

// kept returns the slab of a space, unless its vectors must be read from the database: what a transaction sees may never be committed,
// what came after a place is little, and some spaces are too large.
func (r *KnowledgeRepo) kept(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, dims int, after int64,
) (slabView, bool, error) {
	if after > 0 || r.s.current(ctx) != nil {
		return slabView{}, false, nil
	}
	st, err := r.state(ctx, r.s.read(ctx), sc, space, "")
	if err != nil || !r.slabs.fits(st.Entries, dims) {
		return slabView{}, false, err
	}
	view, err := r.slabs.view(ctx, r, sc, space, embedder)
	return view, err == nil, err
}

// matches turns the places of the twins into their ids.
func (r *KnowledgeRepo) matches(ctx context.Context, sc account.Scope, space knowledge.Space, t *twins) ([]knowledge.Twins, error) {
	seqs := make([]int64, 0, len(t.probes))
	for i := range t.probes {
		for _, f := range []found{t.any[i], t.same[i]} {
			if f.seq != 0 {
				seqs = append(seqs, f.seq)
			}
		}
	}
	out := make([]knowledge.Twins, len(t.probes))
	if len(seqs) == 0 {
		return out, nil
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT seq, id FROM knowledge_entries WHERE tenant_id = ? AND space_id = ? AND seq IN (?)",
		sc.Tenant, spaceID(space), bun.List(seqs))
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	ids := map[int64]id.Knowledge{}
	for rows.Next() {
		var seq int64
		var entry id.Knowledge
		if err := rows.Scan(&seq, &entry); err != nil {
			return nil, mapErr(err)
		}
		ids[seq] = entry
	}
	match := func(f found) knowledge.Match {
		if e, ok := ids[f.seq]; ok { // else it was deleted since: no twin any more
			return knowledge.Match{Entry: e, Similarity: f.sim}
		}
		return knowledge.Match{}
	}
	for i := range out {
		out[i] = knowledge.Twins{Any: match(t.any[i]), Same: match(t.same[i])}
	}
	return out, mapErr(rows.Err())
}

// scan reads the vectors of a space, a block at a time, which is valid until fn returns.
func (r *KnowledgeRepo) scan(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, after int64, fn func(*block),
) error {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT place, seq, numbers, "+r.vectorColumn("embedding")+` FROM knowledge_vectors
		WHERE tenant_id = ? AND space_id = ? AND embedder = ? AND place > ?`, sc.Tenant, spaceID(space), embedder, after)
	if err != nil {
		return mapErr(err)
	}
	return r.blocks(rows, fn)
}

// blocks reads rows of place, seq, numbers and vector, and closes them.
func (r *KnowledgeRepo) blocks(rows *sql.Rows, fn func(*block)) error {
	defer rows.Close()
	var b block
	var v []float32
	var raw sql.RawBytes
	for rows.Next() {
		var place, seq, numbers int64
		err := rows.Scan(&place, &seq, &numbers, &raw)
		if err != nil {
			return mapErr(err)
		}
		if v, err = r.appendVector(v[:0], raw); err != nil {
			return err
		}
		if b.add(place, seq, numbers, v); len(b.seqs) == blockRows {
			fn(&b)
			b.reset()
		}
	}
	if err := rows.Err(); err != nil {
		return mapErr(err)
	}
	if len(b.seqs) > 0 {
		fn(&b)
	}
	return nil
}

// vectorColumn is how a vector is read: as bytes, since numbers in text would take most of the time.
func (r *KnowledgeRepo) vectorColumn(column string) string {
	if r.s.postgres() {
		return "vector_send(" + column + ")"
	}
	return column
}

// vectorHeader is how many bytes Postgres's form of a vector begins with: its length and two unused ones.
const vectorHeader = 4

// appendVector appends the floats of a column to v: little-endian on SQLite, pgvector's binary form on Postgres.
func (r *KnowledgeRepo) appendVector(v []float32, b []byte) ([]float32, error) {
	if !r.s.postgres() {
		return appendLittleEndian(v, b)
	}
	if len(b) < vectorHeader || len(b)%4 != 0 {
		return nil, fmt.Errorf("bunstore: %d bytes are not a vector", len(b))
	}
	for b = b[vectorHeader:]; len(b) > 0; b = b[4:] {
		v = append(v, math.Float32frombits(binary.BigEndian.Uint32(b)))
	}
	return v, nil
}

// encodeVector returns what a column of vectors takes as an argument: a vector on Postgres, little-endian float32 on SQLite.
func (s *Store) encodeVector(v embedding.Vector) any {
	if s.postgres() {
		return pgvector.NewVector(v)
	}
	return littleEndian(v)
}

func littleEndian(v embedding.Vector) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}

func appendLittleEndian(v []float32, b []byte) ([]float32, error) {
	if len(b)%4 != 0 {
		return nil, fmt.Errorf("bunstore: %d bytes are not a vector", len(b))
	}
	for ; len(b) > 0; b = b[4:] {
		v = append(v, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return v, nil
}
