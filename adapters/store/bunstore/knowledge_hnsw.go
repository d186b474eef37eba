package bunstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pgvector/pgvector-go"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/id"
)

const (
	// largeSpace is how many entries a space has that gets an HNSW index. Below, looking at every vector takes some milliseconds, and
	// an index would make each insertion dearer by as much.
	largeSpace = 50_000
	// pgvector indexes at most 2,000 components of a vector and 4,000 of a halfvec; what is longer is searched exactly.
	maxVectorIndex, maxHalfIndex = 2000, 4000
	// overFetch is how many times as many entries the index is asked for as are wanted: the exact similarity chooses among them.
	overFetch = 4
	// fewAmong is up to how many entries that a filter leaves are compared one by one.
	fewAmong = 20_000
	// buildMemory is what building an index may take before it becomes slow. A graph of 200,000 vectors of 384 components needs 400 MB.
	buildMemory = "512MB"
)

// hnswBuild keeps one process from building two indexes at a time.
type hnswBuild struct{ mu sync.Mutex }

// indexName is the name of the index over a space's vectors by one embedder.
func indexName(space string, embedder string) string {
	sum := sha256.Sum256([]byte(embedder))
	return indexPrefix + strings.ReplaceAll(space, "-", "") + "_" + hex.EncodeToString(sum[:4])
}

const indexPrefix = "knowledge_hnsw_"

// indexed is the expression that is indexed and searched by.
func indexed(dims int) (expression, operators, kind string) {
	if dims > maxVectorIndex {
		return fmt.Sprintf("(embedding::halfvec(%d))", dims), "halfvec_cosine_ops", fmt.Sprintf("halfvec(%d)", dims)
	}
	return fmt.Sprintf("(embedding::vector(%d))", dims), "vector_cosine_ops", fmt.Sprintf("vector(%d)", dims)
}

// nearIndexed offers what an HNSW index finds. It reports false when there is none, or it is of no use to this request.
//
// The index is one of this space's vectors alone, so that no other space's are in the way; a filter is met by going on in the index
// (iterative scan) until enough was found.
func (r *KnowledgeRepo) nearIndexed(ctx context.Context, sc account.Scope, req knowledge.NearestRequest, near *nearest) (bool, error) {
	if !r.s.postgres() || r.s.current(ctx) != nil || len(req.Vector) > maxHalfIndex {
		return false, nil
	}
	st, err := r.state(ctx, r.s.read(ctx), sc, req.Space, "")
	if err != nil || st.indexed != req.Embedder || st.indexed == "" {
		return false, err
	}
	if req.Among != nil && len(req.Among) <= fewAmong {
		return true, r.nearAmong(ctx, sc, req, near)
	}
	want := overFetch * req.Limit
	if req.Among != nil {
		want = min(want*(st.Entries/len(req.Among)+1), fewAmong)
	}
	tx, err := r.s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return false, mapErr(err)
	}
	defer func() { _ = tx.Rollback() }()
	rows, err := r.searchIndex(ctx, tx, "", sc, req, want)
	if err != nil {
		return false, mapErr(err)
	}
	if err := r.blocks(rows, near.look); err != nil {
		return false, err
	}
	if len(near.near) < min(req.Limit, st.Entries) { // the index gave up before enough was found
		*near = *newNearest(req)
		return false, nil
	}
	return true, nil
}

// searchIndex asks the index of a space for the entries nearest to a vector. Values stand in the statement's text, because a partial index is
// chosen by them; prefix may be "EXPLAIN ".
func (r *KnowledgeRepo) searchIndex(
	ctx context.Context, tx bun.Tx, prefix string, sc account.Scope, req knowledge.NearestRequest, want int,
) (*sql.Rows, error) {
	for _, setting := range []string{
		fmt.Sprintf("hnsw.ef_search = %d", min(1000, max(100, want))), "hnsw.iterative_scan = relaxed_order", "enable_seqscan = off",
		"enable_bitmapscan = off", "enable_sort = off",
	} {
		if _, err := tx.ExecContext(ctx, "SET LOCAL "+setting); err != nil {
			return nil, err
		}
	}
	expression, _, kind := indexed(len(req.Vector))
	return tx.QueryContext(ctx, prefix+"SELECT place, seq, numbers, vector_send(embedding) FROM knowledge_vectors"+
		" WHERE tenant_id = ? AND space_id = ? AND embedder = ? ORDER BY "+expression+" <=> ?::"+kind+" LIMIT ?",
		sc.Tenant, spaceID(req.Space), req.Embedder, pgvector.NewVector(req.Vector), want)
}

// nearAmong compares the vectors that a filter left.
func (r *KnowledgeRepo) nearAmong(ctx context.Context, sc account.Scope, req knowledge.NearestRequest, near *nearest) error {
	rows, err := r.s.read(ctx).QueryContext(ctx, "SELECT place, seq, numbers, vector_send(embedding) FROM knowledge_vectors"+
		" WHERE tenant_id = ? AND space_id = ? AND embedder = ? AND seq IN (?)", sc.Tenant, spaceID(req.Space), req.Embedder, bun.List(req.Among))
	if err != nil {
		return mapErr(err)
	}
	return r.blocks(rows, near.look)
}

// Index builds HNSW indexes for the spaces that have become large, and drops those of spaces that are no longer, or have another
// embedder. It returns how many it built or dropped. On SQLite there is nothing to do. Only one process builds at a time; when ctx ends
// first, the building goes on by itself.
func (r *KnowledgeRepo) Index(ctx context.Context) (int, error) {
	if !r.s.postgres() || !r.build.mu.TryLock() {
		return 0, nil
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer r.build.mu.Unlock()
		n, err := r.indexAll(context.WithoutCancel(ctx))
		done <- result{n, err}
	}()
	select {
	case res := <-done:
		return res.n, res.err
	case <-ctx.Done():
		return 0, nil
	}
}

// indexLock is the advisory lock of the process that builds.
const indexLock = 0x6b6e6f77

// indexWanted is a space that has an index, or should have.
type indexWanted struct {
	tenant          id.Tenant
	space, embedder string
	dims            int
}

func (r *KnowledgeRepo) indexAll(ctx context.Context) (n int, err error) {
	conn, err := r.s.reader.DB.Conn(ctx)
	if err != nil {
		return 0, mapErr(err)
	}
	defer conn.Close()
	var ours bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1)", indexLock).Scan(&ours); err != nil || !ours {
		return 0, mapErr(err)
	}
	defer func() {
		_, _ = conn.ExecContext(ctx, "RESET maintenance_work_mem")
		_, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", indexLock)
	}()
	wanted, err := r.indexesWanted(ctx)
	if err != nil {
		return 0, err
	}
	there, err := r.indexesThere(ctx)
	if err != nil {
		return 0, err
	}
	exec := func(q string) error {
		_, err := conn.ExecContext(ctx, q)
		return mapErr(err)
	}
	for name, valid := range there {
		if _, ok := wanted[name]; ok && valid {
			continue
		}
		if err := r.noteIndex(ctx, indexWanted{space: spaceOfIndex(name)}); err != nil {
			return n, err
		}
		if err := exec("DROP INDEX CONCURRENTLY IF EXISTS " + name); err != nil {
			return n, err
		}
		n++
	}
	if err := exec("SET maintenance_work_mem = '" + buildMemory + "'"); err != nil {
		return n, err
	}
	for name, w := range wanted {
		if !there[name] {
			began := time.Now()
			expression, operators, _ := indexed(w.dims)
			// The embedder's name comes from the operator; it is quoted all the same.
			if err := exec(fmt.Sprintf("CREATE INDEX CONCURRENTLY %s ON knowledge_vectors USING hnsw (%s %s)"+
				" WHERE tenant_id = '%s' AND space_id = '%s' AND embedder = '%s'",
				name, expression, operators, w.tenant.UUID(), w.space, strings.ReplaceAll(w.embedder, "'", "''"))); err != nil {
				return n, err
			}
			r.s.log.InfoContext(ctx, "knowledge indexed", "tenant_id", w.tenant, "space", w.space, "took", time.Since(began))
			n++
		}
		if err := r.noteIndex(ctx, w); err != nil {
			return n, err
		}
	}
	return n, nil
}

// noteIndex notes which embedder's vectors of a space are indexed.
func (r *KnowledgeRepo) noteIndex(ctx context.Context, w indexWanted) error {
	_, err := r.committed().ExecContext(ctx, "UPDATE knowledge_spaces SET indexed = ? WHERE space_id = ? AND indexed <> ?", w.embedder, w.space, w.embedder)
	return mapErr(err)
}

func (r *KnowledgeRepo) indexesWanted(ctx context.Context) (map[string]indexWanted, error) {
	// One that has an index keeps it until it has shrunk by half, so that no space is indexed again and again.
	found, err := queryAll(ctx, r.committed(), func(row scanner) (w indexWanted, err error) {
		return w, row.Scan(&w.tenant, &w.space, &w.embedder, &w.dims)
	}, `SELECT tenant_id, space_id, embedder, coalesce((
			SELECT vector_dims(v.embedding) FROM knowledge_vectors AS v
			WHERE v.tenant_id = s.tenant_id AND v.space_id = s.space_id AND v.embedder = s.embedder LIMIT 1), 0)
		FROM knowledge_spaces AS s WHERE entries >= ? OR entries >= ? AND indexed = embedder AND indexed <> ''`, r.large, (r.large+1)/2)
	if err != nil {
		return nil, err
	}
	out := map[string]indexWanted{}
	for _, w := range found {
		if w.dims > 0 && w.dims <= maxHalfIndex {
			out[indexName(w.space, w.embedder)] = w
		}
	}
	return out, nil
}

// indexesThere returns the names of the indexes, and whether each is whole: one whose building was interrupted is not.
func (r *KnowledgeRepo) indexesThere(ctx context.Context) (map[string]bool, error) {
	type index struct {
		name  string
		valid bool
	}
	found, err := queryAll(ctx, r.committed(), func(row scanner) (i index, err error) { return i, row.Scan(&i.name, &i.valid) },
		`SELECT c.relname, i.indisvalid FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
		WHERE i.indrelid = 'knowledge_vectors'::regclass AND c.relname LIKE ?`, strings.ReplaceAll(indexPrefix, "_", `\_`)+"%")
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, i := range found {
		out[i.name] = i.valid
	}
	return out, nil
}

// spaceOfIndex returns the id of the space that an index is of.
func spaceOfIndex(name string) string {
	h, _, _ := strings.Cut(strings.TrimPrefix(name, indexPrefix), "_")
	if len(h) != 32 {
		return "00000000-0000-0000-0000-000000000000"
	}
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
