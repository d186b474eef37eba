package knowledge

import (
	"cmp"
	"math"
	"slices"

	"github.com/bureau-agents/bureau/ports/id"
)

// The parameters of Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009): how soon a word that comes
// again stops adding, and how much long texts are held back.
const (
	bm25K = 1.2
	bm25B = 0.75
)

// fusionK is the constant of reciprocal rank fusion (Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and
// individual Rank Learning Methods", SIGIR 2009): an entry's score is the sum of 1/(60 + its rank) over the rankings that have it.
const fusionK = 60

// ranked is a place with its score.
type ranked struct {
	seq   int64
	score float64
}

// best sorts by score, equal ones by place, and cuts.
func best(r []ranked, limit int) []ranked {
	slices.SortFunc(r, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.seq, b.seq)) })
	return r[:min(len(r), limit)]
}

// weigh returns how much each term says, by the number of entries that have it, and the sum of weights of each entry.
func weigh(having [][]int64, entries int) (weights []float64, sums map[int64]float64) {
	weights, sums = make([]float64, len(having)), map[int64]float64{}
	for i, seqs := range having {
		n := float64(len(seqs))
		weights[i] = math.Log(1 + (math.Max(float64(entries), n)-n+0.5)/(n+0.5))
		for _, s := range seqs {
			sums[s] += weights[i]
		}
	}
	return weights, sums
}

// bm25 scores texts by the terms of a question.
func bm25(terms []Term, weights []float64, texts map[int64]Entry) []ranked {
	counts, lengths, total := map[int64]map[string]int{}, map[int64]float64{}, 0.0
	for seq, e := range texts {
		of := words(e.Text)
		counts[seq] = map[string]int{}
		for _, w := range of {
			counts[seq][w]++
		}
		lengths[seq] = float64(len(of))
		total += lengths[seq]
	}
	average := total / math.Max(1, float64(len(texts)))
	out := make([]ranked, 0, len(texts))
	for seq := range texts {
		r := ranked{seq: seq}
		for i, term := range terms {
			n := 0
			for _, form := range term {
				n += counts[seq][form]
			}
			tf := float64(n)
			r.score += weights[i] * tf * (bm25K + 1) / (tf + bm25K*(1-bm25B+bm25B*lengths[seq]/average))
		}
		out = append(out, r)
	}
	return out
}

// fuse joins rankings, each best first, by reciprocal rank fusion. What one of them knows of an entry's similarity is kept.
func fuse(rankings ...[]Hit) []Hit {
	all := map[id.Knowledge]*Hit{}
	for _, ranking := range rankings {
		for i, h := range ranking {
			f := all[h.ID]
			if f == nil {
				f = &Hit{Entry: h.Entry}
				all[h.ID] = f
			}
			f.Score += 1 / float64(fusionK+i+1)
			if h.Similarity != nil {
				f.Similarity = h.Similarity
			}
		}
	}
	out := make([]Hit, 0, len(all))
	for _, h := range all {
		out = append(out, *h)
	}
	sortHits(out)
	return out
}

// sortHits sorts by score, equal ones by age.
func sortHits(hits []Hit) {
	slices.SortFunc(hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID.String(), b.ID.String()))
	})
}
