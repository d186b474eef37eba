package knowledge

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
)

const (
	// mostHaving is how many entries one term may lead to: of a word that more entries have, the newest count, since it says little.
	mostHaving = 20_000
	// candidates is how many entries of each space are ranked at least before the best of them are chosen.
	candidates = 50
)

// Search returns the entries that are most like the query. Nothing stored, nothing found: that is no error. Entries whose vectors come
// from another embedder are found by words until they are re-embedded, and the result says so.
func (s *Service) Search(ctx context.Context, sc account.Scope, req SearchRequest) (SearchResult, error) {
	if err := checkSearch(&req); err != nil {
		return SearchResult{}, err
	}
	spaces, err := s.resolve(ctx, sc, req.In, false)
	if err != nil {
		return SearchResult{}, err
	}
	res := SearchResult{Mode: req.Mode}
	var full []searched
	for _, space := range spaces {
		st, err := s.d.Ingestion.State(ctx, sc, space)
		if err != nil {
			return SearchResult{}, err
		}
		if st.Entries == 0 {
			continue
		}
		full = append(full, searched{Space: space, State: st})
		if st.Next != "" {
			res.Reembedding = true
		}
		if st.Embedder != s.embedder.Name {
			res.Mode, res.Reembedding = Lexical, true
		}
	}
	if len(full) == 0 {
		return res, nil
	}
	if !req.IsZero() {
		for i := range full {
			if full[i].among, err = s.d.Repository.Matching(ctx, sc, full[i].Space, req.Filter); err != nil {
				return SearchResult{}, err
			}
			if full[i].among == nil {
				full[i].among = []int64{}
			}
		}
	}
	var semantic, lexical []Hit
	if res.Mode != Lexical {
		if semantic, err = s.semantic(ctx, sc, full, req, res.Mode); err != nil {
			return SearchResult{}, err
		}
	}
	if res.Mode != Semantic {
		if lexical, err = s.lexical(ctx, sc, full, req); err != nil {
			return SearchResult{}, err
		}
	}
	switch res.Mode {
	case Hybrid:
		res.Hits = fuse(semantic, lexical)
	case Lexical:
		res.Hits = lexical
	default:
		res.Hits = semantic
	}
	res.Hits = res.Hits[:min(len(res.Hits), req.Limit)]
	return res, nil
}

// searched is a space with entries that a search looks through.
type searched struct {
	Space
	State
	among []int64 // nil: all
}

func checkSearch(req *SearchRequest) error {
	k := &checker{}
	k.Given("query", req.Query, MaxText)
	if req.Limit < 0 || req.Limit > MaxHits {
		k.Addf("limit", "must be 1 to %d", MaxHits)
	}
	if req.Limit == 0 {
		req.Limit = DefaultHits
	}
	switch req.Mode {
	case "":
		req.Mode = Semantic
	case Semantic, Lexical, Hybrid:
	default:
		k.Addf("mode", "must be semantic, lexical or hybrid")
	}
	switch {
	case math.IsNaN(req.MinScore) || req.MinScore < -1 || req.MinScore > 1:
		k.Addf("min_score", "must be -1 to 1")
	case req.MinScore != 0 && req.Mode != Semantic:
		k.Addf("min_score", "is for mode semantic: scores of the others have no fixed scale")
	}
	if len(req.Metadata) > MaxConditions {
		k.Addf("metadata", "has %d keys; at most %d are allowed", len(req.Metadata), MaxConditions)
	}
	return k.Err(ErrInvalid)
}

// ranks returns how many entries of each space are to be ranked.
func ranks(req SearchRequest, mode Mode) int {
	if mode == Semantic {
		return req.Limit
	}
	return max(candidates, 4*req.Limit)
}

func (s *Service) semantic(ctx context.Context, sc account.Scope, full []searched, req SearchRequest, mode Mode) ([]Hit, error) {
	v, err := s.embed(ctx, []string{req.Query})
	if err != nil {
		return nil, err
	}
	var hits []Hit
	for _, in := range full {
		found, err := s.d.Repository.Nearest(ctx, sc, NearestRequest{
			Space: in.Space, Embedder: s.embedder.Name, Vector: v[0], Limit: ranks(req, mode), Among: in.among,
		})
		if err != nil {
			return nil, err
		}
		for _, h := range found {
			if req.MinScore != 0 && h.Score < req.MinScore {
				continue
			}
			h.Similarity = &h.Score
			hits = append(hits, h)
		}
	}
	sortHits(hits)
	return hits, nil
}

func (s *Service) lexical(ctx context.Context, sc account.Scope, full []searched, req SearchRequest) ([]Hit, error) {
	terms := termsOf(req.Query)
	if len(terms) == 0 {
		return nil, nil
	}
	var hits []Hit
	for _, in := range full {
		having, err := s.d.Repository.Having(ctx, sc, in.Space, terms, mostHaving)
		if err != nil {
			return nil, err
		}
		if len(having) != len(terms) {
			return nil, fmt.Errorf("knowledge: the store knows %d of %d terms", len(having), len(terms))
		}
		weights, sums := weigh(having, in.Entries)
		var found []ranked
		for seq, sum := range sums {
			if in.among != nil {
				if _, ok := slices.BinarySearch(in.among, seq); !ok {
					continue
				}
			}
			found = append(found, ranked{seq, sum})
		}
		found = best(found, ranks(req, Lexical))
		seqs := make([]int64, len(found))
		for i, f := range found {
			seqs[i] = f.seq
		}
		texts, err := s.d.Repository.Entries(ctx, sc, in.Space, seqs)
		if err != nil {
			return nil, err
		}
		for _, r := range bm25(terms, weights, texts) {
			hits = append(hits, Hit{Entry: texts[r.seq], Score: r.score})
		}
	}
	sortHits(hits)
	return hits, nil
}
