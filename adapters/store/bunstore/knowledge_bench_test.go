package bunstore

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgvector/pgvector-go"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

var (
	knowledgeSizes   = flag.String("knowledge.sizes", "1000,20000", "sizes of the spaces that BenchmarkKnowledge measures; 200000 takes some ten minutes")
	knowledgeQueries = flag.Int("knowledge.queries", 200, "how many questions each search of BenchmarkKnowledge is measured by")
)

// BenchmarkKnowledge ingests into and searches spaces of several sizes on both databases, and does the same with pgvector's own statements
// on a plain table with an HNSW index, over the same vectors. It says: chunks/s of ingestion by 100, p50 and p99 of a search for ten
// entries in microseconds, and what share of the ten nearest it found.
func BenchmarkKnowledge(b *testing.B) {
	for size := range strings.SplitSeq(*knowledgeSizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		data := newBenchData(b, n)
		for _, database := range []string{"sqlite", "postgres"} {
			b.Run(fmt.Sprint(database, "/", n), func(b *testing.B) { benchBureau(b, database, data) })
		}
		b.Run(fmt.Sprint("pgvector/", n), func(b *testing.B) { benchPlain(b, data) })
	}
}

// benchData are entries, questions, and the true nearest of these.
type benchData struct {
	entries   []knowledge.Stored
	questions []string
	vectors   []embedding.Vector // of the questions
	nearest   []map[int64]bool
	more      *corpus
}

func newBenchData(b *testing.B, n int) *benchData {
	b.Helper()
	c := newCorpus(2)
	d := &benchData{more: newCorpus(3)}
	embed := func(text string) embedding.Vector {
		v, err := hashing.New().Embed(context.Background(), []string{text})
		if err != nil {
			b.Fatal(err)
		}
		return v[0]
	}
	var whole block
	now := clock.Stored(time.Now())
	for i := range n {
		text := fmt.Sprintf("%s Note %d.", c.text(), i)
		e := knowledge.Stored{Vector: embed(text), Numbers: knowledge.NumbersOf(text), Words: knowledge.WordsOf(text), Entry: knowledge.Entry{
			ID: id.New[id.KnowledgeKind](ids), Seq: int64(i + 1), Text: text, Source: fmt.Sprint("file ", i%100), Hash: knowledge.HashOf(text),
			Embedder: hashing.Name, CreatedAt: now,
		}}
		d.entries = append(d.entries, e)
		whole.add(e.Seq, e.Seq, 0, e.Vector)
	}
	for range *knowledgeQueries {
		q := c.variant(d.entries[c.rng.IntN(n)].Text)
		v := embed(q)
		near := newNearest(knowledge.NearestRequest{Vector: v, Limit: 10})
		near.look(&whole)
		true10 := map[int64]bool{}
		for _, f := range near.best() {
			true10[f.seq] = true
		}
		d.questions, d.vectors, d.nearest = append(d.questions, q), append(d.vectors, v), append(d.nearest, true10)
	}
	return d
}

// searches measures how long each question takes, and how much of the nearest is found.
func (d *benchData) searches(b *testing.B, prefix string, search func(i int) []int64) {
	b.Helper()
	var took []time.Duration
	hits, all := 0, 0
	for i := range d.questions {
		began := time.Now()
		found := search(i)
		took = append(took, time.Since(began))
		for _, seq := range found {
			if d.nearest[i][seq] {
				hits++
			}
		}
		all += len(d.nearest[i])
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), prefix+"p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), prefix+"p99-us")
	if prefix == "" {
		b.ReportMetric(float64(hits)/float64(all), "recall@10")
	}
}

func benchBureau(b *testing.B, database string, d *benchData) {
	s := openSQLiteStoreOr(b, database)
	r := s.Knowledge()
	svc := knowledgeService(b, r, s, hashing.New())
	sc := account.System(id.New[id.TenantKind](ids))
	space := knowledge.Space{Agent: id.New[id.AgentKind](ids)}
	for some := range slices.Chunk(d.entries, 1000) {
		if err := s.Do(b.Context(), func(ctx context.Context) error {
			if _, err := r.Lock(ctx, sc, space); err != nil {
				return err
			}
			return r.Insert(ctx, sc, space, some)
		}); err != nil {
			b.Fatal(err)
		}
	}
	began := time.Now()
	if n, err := r.Index(b.Context()); err != nil {
		b.Fatal(err)
	} else if n > 0 {
		b.Logf("indexed in %s", time.Since(began).Round(time.Millisecond))
	}
	began = time.Now()
	if _, err := r.Twins(b.Context(), sc, space, hashing.Name, []knowledge.Probe{{Vector: d.vectors[0]}}, 0.95, 0); err != nil {
		b.Fatal(err)
	}
	b.Logf("loaded in %s", time.Since(began).Round(time.Millisecond))
	search := func(mode knowledge.Mode) func(i int) []int64 {
		return func(i int) (out []int64) {
			res, err := svc.Search(b.Context(), sc, knowledge.SearchRequest{In: space, Query: d.questions[i], Mode: mode})
			if err != nil {
				b.Fatal(err)
			}
			for _, h := range res.Hits {
				out = append(out, h.Seq)
			}
			return out
		}
	}
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			d.searches(b, "", search(knowledge.Semantic))
			d.searches(b, "lexical-", search(knowledge.Lexical))
			d.searches(b, "hybrid-", search(knowledge.Hybrid))
		}
	})
	b.Run("ingest", func(b *testing.B) {
		chunks := 0
		for b.Loop() {
			req := knowledge.IngestRequest{Into: space}
			for range knowledge.MaxChunks {
				req.Chunks = append(req.Chunks, knowledge.Chunk{Text: d.more.text(), Source: "bench"})
			}
			if _, err := svc.Ingest(b.Context(), sc, req); err != nil {
				b.Fatal(err)
			}
			chunks += len(req.Chunks)
		}
		b.ReportMetric(float64(chunks)/b.Elapsed().Seconds(), "chunks/s")
	})
}

func openSQLiteStoreOr(b *testing.B, database string) *Store {
	b.Helper()
	if database == "sqlite" {
		return openSQLiteStore(b)
	}
	return openStore(b, Config{URL: postgresURL(b)})
}

// benchPlain is what pgvector's documentation shows: a table, an HNSW index with its defaults, and ORDER BY <=> LIMIT. Nothing is deduplicated.
func benchPlain(b *testing.B, d *benchData) {
	db := openStore(b, Config{URL: postgresURL(b)}).reader
	exec := func(q string, args ...any) {
		b.Helper()
		if _, err := db.ExecContext(b.Context(), q, args...); err != nil {
			b.Fatal(err)
		}
	}
	exec("CREATE TABLE plain (id bigint PRIMARY KEY, text text NOT NULL, embedding vector(384) NOT NULL)")
	insert := func(first int64, texts []string, vectors []embedding.Vector) {
		b.Helper()
		var args []any
		for i := range texts {
			args = append(args, first+int64(i), texts[i], pgvector.NewVector(vectors[i]))
		}
		exec("INSERT INTO plain VALUES (?, ?, ?)"+strings.Repeat(", (?, ?, ?)", len(texts)-1), args...)
	}
	for some := range slices.Chunk(d.entries, knowledge.MaxChunks) {
		var texts []string
		var vectors []embedding.Vector
		for _, e := range some {
			texts, vectors = append(texts, e.Text), append(vectors, e.Vector)
		}
		insert(some[0].Seq, texts, vectors)
	}
	began := time.Now()
	exec("SET maintenance_work_mem = '" + buildMemory + "'")
	exec("CREATE INDEX ON plain USING hnsw (embedding vector_cosine_ops)")
	b.Logf("indexed in %s", time.Since(began).Round(time.Millisecond))
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			d.searches(b, "", func(i int) (out []int64) {
				rows, err := db.QueryContext(b.Context(), "SELECT id, text FROM plain ORDER BY embedding <=> ? LIMIT 10", pgvector.NewVector(d.vectors[i]))
				if err != nil {
					b.Fatal(err)
				}
				defer rows.Close()
				for rows.Next() {
					var n int64
					var text string
					if err := rows.Scan(&n, &text); err != nil {
						b.Fatal(err)
					}
					out = append(out, n)
				}
				if err := rows.Err(); err != nil {
					b.Fatal(err)
				}
				return out
			})
		}
	})
	b.Run("ingest", func(b *testing.B) {
		chunks, next := 0, int64(1<<40)
		for b.Loop() {
			var texts []string
			for range knowledge.MaxChunks {
				texts = append(texts, d.more.text())
			}
			vectors, err := hashing.New().Embed(b.Context(), texts)
			if err != nil {
				b.Fatal(err)
			}
			insert(next, texts, vectors)
			next += int64(len(texts))
			chunks += len(texts)
		}
		b.ReportMetric(float64(chunks)/b.Elapsed().Seconds(), "chunks/s")
	})
}
