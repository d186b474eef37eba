package bunstore

import (
	"flag"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

var dedupTexts = flag.Int("dedup.texts", 1500, "how many texts TestDedupIsExact ingests into each database")

// TestDedupIsExact has 16 callers ingest texts of which many are near twins, at once and each text up to twice, and compares with brute
// force: no two entries that are stored reach the threshold, and whatever was skipped reaches it with the entry that it was skipped for.
func TestDedupIsExact(t *testing.T) {
	t.Parallel()
	texts := newCorpus(1).texts(*dedupTexts)
	vectors := make([]embedding.Vector, len(texts))
	for i, text := range texts {
		vectors[i] = embedded(t, text)
	}
	eachStore(t, func(t *testing.T, s *Store) {
		svc := knowledgeService(t, s.Knowledge(), s, hashing.New())
		sc := account.System(id.New[id.TenantKind](ids))
		space := knowledge.Space{Agent: id.New[id.AgentKind](ids)}
		skipped, stored := ingestAtOnce(t, svc, sc, space, texts)
		entries, at := listAll(t, svc, sc, space), map[id.Knowledge]int{}
		byText := map[string]int{}
		for i, text := range texts {
			byText[text] = i
		}
		var kept []int
		for _, e := range entries {
			i, ok := byText[e.Text]
			if !ok {
				t.Fatalf("%q was never ingested", e.Text)
			}
			at[e.ID] = i
			kept = append(kept, i)
		}
		if len(entries) != stored {
			t.Errorf("%d entries; %d were told to be stored", len(entries), stored)
		}
		for _, k := range skipped {
			twin, ok := at[k.twin]
			if !ok {
				t.Fatalf("%q was skipped for %s, which is not there", texts[k.text], k.twin)
			}
			want := embedding.Cosine(vectors[k.text], vectors[twin])
			if knowledge.HashOf(texts[k.text]) == knowledge.HashOf(texts[twin]) {
				want = 1
			}
			if want < knowledge.DefaultThreshold || k.similarity != want {
				t.Errorf("%q was skipped for %q with %v; brute force says %v", texts[k.text], texts[twin], k.similarity, want)
			}
		}
		if a, b, sim := closest(vectors, kept); sim >= knowledge.DefaultThreshold {
			t.Errorf("%q and %q are both stored, with similarity %v", texts[a], texts[b], sim)
		} else {
			t.Logf("%d texts: %d stored, %d skipped; the closest two that are stored have similarity %.6f", len(texts), stored, len(skipped), sim)
		}
	})
}

// embedded returns the vector that the service stores for a text.
func embedded(t *testing.T, text string) embedding.Vector {
	t.Helper()
	out, err := hashing.New().Embed(t.Context(), []string{text})
	if err != nil {
		t.Fatal(err)
	}
	var square float64
	for _, x := range out[0] {
		square += float64(x) * float64(x)
	}
	for i, x := range out[0] {
		out[0][i] = float32(float64(x) / math.Sqrt(square))
	}
	return out[0]
}

// skippedText is a text that was not stored.
type skippedText struct {
	text       int
	twin       id.Knowledge
	similarity float64
}

// ingestAtOnce ingests the texts, and a half of them once more, in batches of all sizes by 16 callers.
func ingestAtOnce(t *testing.T, svc *knowledge.Service, sc account.Scope, space knowledge.Space, texts []string) (skipped []skippedText, stored int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	order := rng.Perm(len(texts) * 3 / 2)
	var batches [][]int
	for len(order) > 0 {
		n := min(len(order), 1+rng.IntN(knowledge.MaxChunks))
		batches, order = append(batches, order[:n]), order[n:]
	}
	queue := make(chan []int, len(batches))
	for _, b := range batches {
		queue <- b
	}
	close(queue)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for b := range queue {
				req := knowledge.IngestRequest{Into: space}
				for _, i := range b {
					req.Chunks = append(req.Chunks, knowledge.Chunk{Text: texts[i%len(texts)], Source: "corpus"})
				}
				res, err := svc.Ingest(t.Context(), sc, req)
				if err != nil || res.Stored+len(res.Skipped) != len(b) {
					t.Errorf("%+v, %v", res, err)
					return
				}
				mu.Lock()
				stored += res.Stored
				for _, k := range res.Skipped {
					skipped = append(skipped, skippedText{b[k.Index] % len(texts), k.DuplicateOf, k.Similarity})
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return skipped, stored
}

func listAll(t *testing.T, svc *knowledge.Service, sc account.Scope, space knowledge.Space) []knowledge.Entry {
	t.Helper()
	var out []knowledge.Entry
	for req := (page.Request{Limit: 1000}); ; {
		p, err := svc.List(t.Context(), sc, knowledge.ListRequest{In: space, Request: req})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.Items...)
		if req.Cursor = p.Next; p.Next == "" {
			return out
		}
	}
}

// closest returns the two of some vectors that are most alike, by comparing all of them. Sums of float32 leave out what is far away; tiles
// of vectors keep what is compared in the processor's cache.
func closest(vectors []embedding.Vector, of []int) (a, b int, sim float64) {
	const tile = 64
	sim = -1
	var mu sync.Mutex
	var wg sync.WaitGroup
	parts := runtime.GOMAXPROCS(0)
	for p := range parts {
		wg.Go(func() {
			for i0 := p * tile; i0 < len(of); i0 += parts * tile {
				for j0 := 0; j0 <= i0; j0 += tile {
					for i := i0; i < min(i0+tile, len(of)); i++ {
						for j := j0; j < min(j0+tile, i); j++ {
							if product(vectors[of[i]], vectors[of[j]]) < 0.94 {
								continue
							}
							c := embedding.Cosine(vectors[of[i]], vectors[of[j]])
							mu.Lock()
							if c > sim {
								a, b, sim = of[i], of[j], c
							}
							mu.Unlock()
						}
					}
				}
			}
		})
	}
	wg.Wait()
	return a, b, sim
}

// product is the plain scalar product, four at a time.
func product(x, y []float32) float32 {
	var s0, s1, s2, s3 float32
	for len(x) >= 4 && len(y) >= 4 {
		v, w := (*[4]float32)(x), (*[4]float32)(y)
		s0 += v[0] * w[0]
		s1 += v[1] * w[1]
		s2 += v[2] * w[2]
		s3 += v[3] * w[3]
		x, y = x[4:], y[4:]
	}
	return s0 + s1 + s2 + s3
}
