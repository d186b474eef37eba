package bunstore

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestLargeSpacesAreIndexed checks that a space which has become large is searched by an index of its own, that filters hold there, that
// twins are found whatever the index says, and that the index goes when the space shrinks.
func TestLargeSpacesAreIndexed(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{URL: postgresURL(t)})
	r := s.Knowledge()
	r.large = 400
	svc := knowledgeService(t, r, s, hashing.New())
	sc := account.System(id.New[id.TenantKind](ids))
	space, small := knowledge.Space{Agent: id.New[id.AgentKind](ids)}, knowledge.Space{Swarm: id.New[id.SwarmKind](ids)}
	texts := newCorpus(9).texts(900)
	ingestAtOnce(t, svc, sc, space, texts)
	fill(t, s, r, sc, small, 10, 3)
	if n, err := r.Index(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := r.Index(t.Context()); n != 0 || err != nil {
		t.Fatal("built again:", n, err)
	}
	plan := searchPlan(t, s, r, sc, space)
	if !strings.Contains(plan, indexPrefix) {
		t.Errorf("the index is not used:\n%s", plan)
	}
	entries := listAll(t, svc, sc, space)
	hits, all := 0, 0
	for _, e := range entries[:50] {
		req := knowledge.NearestRequest{Space: space, Embedder: hashing.Name, Vector: embedded(t, e.Text), Limit: 10}
		exact := newNearest(req)
		if err := r.scan(t.Context(), sc, space, hashing.Name, 0, exact.look); err != nil {
			t.Fatal(err)
		}
		want := map[int64]bool{}
		for _, f := range exact.best() {
			want[f.seq] = true
		}
		found, err := r.Nearest(t.Context(), sc, req)
		if err != nil || len(found) != 10 || found[0].ID != e.ID {
			t.Fatalf("%+v, %v", found, err)
		}
		for _, h := range found {
			all++
			if want[h.Seq] {
				hits++
			}
		}
		req.Among = []int64{1, 2, 3}
		if found, err = r.Nearest(t.Context(), sc, req); err != nil || len(found) == 0 || found[0].Seq > 3 {
			t.Fatalf("%+v, %v", found, err)
		}
	}
	if recall := float64(hits) / float64(all); recall < 0.95 {
		t.Errorf("recall %.3f; want 0.95 at least", recall)
	}
	if _, err := r.Delete(t.Context(), sc, knowledge.DeleteRequest{In: space, All: true}); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Index(t.Context()); n != 1 || err != nil {
		t.Fatal("not dropped:", n, err)
	}
	if st, err := r.state(t.Context(), r.committed(), sc, space, ""); err != nil || st.indexed != "" {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestLongVectorsAreIndexed checks that vectors which are too long for pgvector's index are indexed in half precision.
func TestLongVectorsAreIndexed(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{URL: postgresURL(t)})
	r := s.Knowledge()
	r.large = 20
	sc := account.System(id.New[id.TenantKind](ids))
	space := knowledge.Space{Agent: id.New[id.AgentKind](ids)}
	entries := fill(t, s, r, sc, space, 40, maxVectorIndex+1)
	if n, err := r.Index(t.Context()); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	for _, e := range entries {
		found, err := r.Nearest(t.Context(), sc, knowledge.NearestRequest{Space: space, Embedder: "random", Vector: e.Vector, Limit: 1})
		if err != nil || len(found) != 1 || found[0].ID != e.ID || found[0].Score != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
	}
}

// fill stores entries with random vectors.
func fill(t *testing.T, s *Store, r *KnowledgeRepo, sc account.Scope, space knowledge.Space, n, dims int) []knowledge.Stored {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var out []knowledge.Stored
	for i := range n {
		v := make(embedding.Vector, dims)
		var square float64
		for j := range v {
			v[j] = float32(rng.NormFloat64())
			square += float64(v[j]) * float64(v[j])
		}
		for j := range v {
			v[j] = float32(float64(v[j]) / math.Sqrt(square))
		}
		text := strings.Repeat("x", i+1)
		out = append(out, knowledge.Stored{Vector: v, Entry: knowledge.Entry{
			ID: id.New[id.KnowledgeKind](ids), Seq: int64(i + 1), Text: text, Source: "s", Hash: knowledge.HashOf(text), Embedder: "random",
		}})
	}
	if err := s.Do(t.Context(), func(ctx context.Context) error {
		if _, err := r.Lock(ctx, sc, space); err != nil {
			return err
		}
		return r.Insert(ctx, sc, space, out)
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// searchPlan returns how Postgres would search a space.
func searchPlan(t *testing.T, s *Store, r *KnowledgeRepo, sc account.Scope, space knowledge.Space) string {
	t.Helper()
	tx, err := s.reader.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	req := knowledge.NearestRequest{Space: space, Embedder: hashing.Name, Vector: embedded(t, "a question"), Limit: 10}
	rows, err := r.searchIndex(t.Context(), tx, "EXPLAIN ", sc, req, 40)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
