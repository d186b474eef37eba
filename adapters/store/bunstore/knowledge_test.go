package bunstore

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/core/knowledge/knowledgetest"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestKnowledge(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		knowledgetest.Run(t, knowledgetest.Config{New: func(*testing.T) (knowledgetest.Store, tx.Runner) { return s.Knowledge(), s }})
	})
}

// TestSlabsAreDropped checks that what does not fit in memory is read again when it is used again.
func TestSlabsAreDropped(t *testing.T) {
	t.Parallel()
	s := openSQLiteStore(t)
	small := func(*testing.T) (knowledgetest.Store, tx.Runner) {
		r := s.Knowledge()
		r.slabs.limit = 1
		return r, s
	}
	knowledgetest.Run(t, knowledgetest.Config{New: small})
	r := s.Knowledge()
	r.slabs.limit = 10 * slabOverhead
	sc := account.System(id.New[id.TenantKind](ids))
	for range 50 {
		space := knowledge.Space{Agent: id.New[id.AgentKind](ids)}
		if _, err := r.slabs.view(t.Context(), r, sc, space, "e"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(r.slabs.slabs); n != 10 || r.slabs.total != r.slabs.limit {
		t.Errorf("%d slabs of %d floats; want 10 of %d", n, r.slabs.total, r.slabs.limit)
	}
}

type randomEmbedder struct{ rng *rand.Rand }

func (randomEmbedder) Info() embedding.Info { return embedding.Info{Name: "random", Dimensions: 384} }

func (e randomEmbedder) Embed(_ context.Context, texts []string) ([]embedding.Vector, error) {
	out := make([]embedding.Vector, len(texts))
	for i := range out {
		v := make(embedding.Vector, 384)
		var square float64
		for j := range v {
			v[j] = float32(e.rng.NormFloat64())
			square += float64(v[j]) * float64(v[j])
		}
		out[i] = v
		scale := float32(1 / math.Sqrt(square))
		for j := range v {
			v[j] *= scale
		}
	}
	return out, nil
}

type anyAgent struct{}

func (anyAgent) Get(_ context.Context, sc account.Scope, a id.Agent) (agent.Agent, error) {
	return agent.Agent{ID: a, Tenant: sc.Tenant, Standing: agent.Active}, nil
}

// BenchmarkKnowledge is the ingestion of 100 chunks into, and the search of, a space of 20,000 entries.
func BenchmarkKnowledge(b *testing.B) {
	for _, database := range []string{"sqlite", "postgres"} {
		b.Run(database, func(b *testing.B) {
			var s *Store
			if database == "sqlite" {
				s = openSQLiteStore(b)
			} else {
				s = openStore(b, Config{URL: postgresURL(b)})
			}
			r := s.Knowledge()
			svc, err := knowledge.NewService(knowledge.Deps{
				TX: s, Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Ingestion: r, Repository: r, Reembedding: r,
				Embedder: randomEmbedder{rand.New(rand.NewPCG(1, 2))}, Agents: anyAgent{}, Swarms: knowledge.NoSwarms{},
			}, knowledge.Config{})
			if err != nil {
				b.Fatal(err)
			}
			sc := account.System(id.New[id.TenantKind](ids))
			space := knowledge.Space{Agent: id.New[id.AgentKind](ids)}
			n := 0
			ingest := func() {
				var chunks []knowledge.Chunk
				for range knowledge.MaxChunks {
					n++
					chunks = append(chunks, knowledge.Chunk{Text: fmt.Sprint("text ", n), Source: "s"})
				}
				res, err := svc.Ingest(b.Context(), sc, knowledge.IngestRequest{Into: space, Chunks: chunks})
				if err != nil || res.Stored != len(chunks) {
					b.Fatal(res, err)
				}
			}
			for n < 20_000 {
				ingest()
			}
			b.Run("ingest 100", func(b *testing.B) {
				for b.Loop() {
					ingest()
				}
			})
			b.Run("search", func(b *testing.B) {
				for b.Loop() {
					if _, err := svc.Search(b.Context(), sc, knowledge.SearchRequest{In: space, Query: "q"}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
