package knowledgetest

import (
	"context"
	"testing"

	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

// numbersApart checks that the best twin with the same numbers is found beside the best of all.
func numbersApart(t *testing.T, e *env) {
	one, two := e.entry(1, "a 1", axis(0, 40)), e.entry(2, "a 2", beside(0, 1, 40, 0.97))
	one.Numbers, two.Numbers = knowledge.NumbersOf(one.Text), knowledge.NumbersOf(two.Text)
	e.insert(t, one, two)
	ask := func(text string) knowledge.Twins {
		got, err := e.Twins(e.ctx, e.sc, e.space, model, []knowledge.Probe{{Vector: axis(0, 40), Numbers: knowledge.NumbersOf(text)}}, 0.95, 0)
		noError(t, err)
		return got[0]
	}
	best := knowledge.Match{Entry: one.ID, Similarity: 1}
	equal(t, knowledge.Twins{Any: best, Same: best}, ask("b 1"))
	equal(t, knowledge.Twins{Any: best, Same: knowledge.Match{Entry: two.ID, Similarity: embedding.Cosine(axis(0, 40), two.Vector)}}, ask("b 2"))
	equal(t, knowledge.Twins{Any: best}, ask("b 3"))
}

func (e *env) insert(t *testing.T, entries ...knowledge.Stored) {
	t.Helper()
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Lock(ctx, e.sc, e.space); err != nil {
			return err
		}
		return e.Insert(ctx, e.sc, e.space, entries)
	}))
}

func among(t *testing.T, e *env) {
	es := e.add(t, axis(0, 8), beside(0, 1, 8, 0.9), beside(0, 1, 8, 0.8), axis(3, 8))
	seqs := func(of []int64) []int64 {
		var out []int64
		for _, h := range e.nearest(t, knowledge.NearestRequest{Vector: axis(0, 8), Limit: 2, Among: of}) {
			out = append(out, h.Seq)
		}
		return out
	}
	equal(t, []int64{1, 2}, seqs(nil))
	equal(t, []int64{2, 3}, seqs([]int64{2, 3, 4}))
	equal(t, []int64{4}, seqs([]int64{4, 99}))
	equal(t, []int64(nil), seqs([]int64{}))
	got, err := e.Entries(e.ctx, e.sc, e.space, []int64{2, 9})
	noError(t, err)
	equal(t, map[int64]knowledge.Entry{2: es[1].Entry}, got)
}

func matching(t *testing.T, e *env) {
	var es []knowledge.Stored
	for i, c := range []struct{ source, kind, metadata string }{
		{"a", "faq", `{"type":"faq","n":1,"on":true,"lang":"en"}`}, {"a", "", ""}, {"b", "faq", `{"type":"faq","n":"1"}`}, {"b", "", `{"lang":null}`},
	} {
		s := e.entry(int64(i+1), string(rune('p'+i)), axis(i, 8))
		s.Source, s.Type = c.source, c.kind
		if c.metadata != "" {
			s.Metadata = []byte(c.metadata)
		}
		es = append(es, s)
	}
	e.insert(t, es...)
	type m = map[string]string
	for _, c := range []struct {
		f    knowledge.Filter
		want []int64
	}{
		{knowledge.Filter{Source: "a"}, []int64{1, 2}}, {knowledge.Filter{Source: "\x00"}, nil}, {knowledge.Filter{Type: "faq"}, []int64{1, 3}},
		{knowledge.Filter{Source: "b", Type: "faq"}, []int64{3}}, {knowledge.Filter{Type: "\xff"}, nil},
		{knowledge.Filter{Metadata: m{"n": "1"}}, []int64{1, 3}}, {knowledge.Filter{Metadata: m{"on": "true", "lang": "en"}}, []int64{1}},
		{knowledge.Filter{Metadata: m{"lang": "null"}}, []int64{4}}, {knowledge.Filter{Metadata: m{"N": "1"}}, nil},
	} {
		got, err := e.Matching(e.ctx, e.sc, e.space, c.f)
		noError(t, err)
		equal(t, c.want, got)
	}
}

func having(t *testing.T, e *env) {
	e.insert(t, e.entry(1, "The Crane's invoice, 12.50 euros", axis(0, 8)), e.entry(2, "invoices of CRANE \u6771\u4eac", axis(1, 8)),
		e.entry(3, "nothing 'quoted' \"here\" & there | (x)", axis(2, 8)))
	other := *e
	other.space = knowledge.Space{Swarm: id.New[id.SwarmKind](ids)}
	other.add(t, axis(0, 8), axis(1, 8))
	got, err := e.Having(e.ctx, e.sc, e.space, []knowledge.Term{
		{"invoice", "invoices"}, {"invoice"}, {"crane"}, {"50"}, {"\u6771"}, {"quoted"}, {"absent"}, {"text"},
	}, 10)
	noError(t, err)
	equal(t, [][]int64{{2, 1}, {1}, {2, 1}, {1}, {2}, {3}, nil, nil}, got)
	got, err = e.Having(e.ctx, e.sc, e.space, []knowledge.Term{{"crane"}}, 1)
	noError(t, err)
	equal(t, [][]int64{{2}}, got)
	if n, err := e.Delete(e.ctx, e.sc, knowledge.DeleteRequest{In: e.space, All: true}); n != 3 || err != nil {
		t.Error(n, err)
	}
	got, err = e.Having(e.ctx, e.sc, e.space, []knowledge.Term{{"crane"}}, 1)
	noError(t, err)
	equal(t, [][]int64{nil}, got)
	got, err = other.Having(e.ctx, e.sc, other.space, []knowledge.Term{{"text"}}, 5)
	noError(t, err)
	equal(t, [][]int64{{2, 1}}, got)
}

func (w *world) search(t *testing.T, req knowledge.SearchRequest) knowledge.SearchResult {
	t.Helper()
	req.In = w.mine()
	got, err := w.Search(w.ctx, w.sc, req)
	noError(t, err)
	return got
}

func found(r knowledge.SearchResult) []string {
	var out []string
	for _, h := range r.Hits {
		out = append(out, h.Text)
	}
	return out
}

func serviceModes(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "alpha", "far alpha:beta gamma", "gamma gamma delta", "the delta of delta rivers is a wide delta", "epsilon")
	got := w.search(t, knowledge.SearchRequest{Query: "alpha", Limit: 2})
	equal(t, []string{"alpha", "far alpha:beta gamma"}, found(got))
	equal(t, got.Hits[1].Score, *got.Hits[1].Similarity)
	equal(t, []string{"alpha"}, found(w.search(t, knowledge.SearchRequest{Query: "alpha", MinScore: 0.95})))

	// The rare word counts more than the frequent one, a short text more than a long one, and "the" not at all.
	got = w.search(t, knowledge.SearchRequest{Query: "Where is the GAMMA of betas?", Mode: knowledge.Lexical})
	equal(t, knowledge.Lexical, got.Mode)
	equal(t, []string{"far alpha:beta gamma", "gamma gamma delta"}, found(got))
	equal(t, true, got.Hits[0].Similarity == nil && got.Hits[0].Score > got.Hits[1].Score)
	equal(t, []string{"the delta of delta rivers is a wide delta"}, found(w.search(t, knowledge.SearchRequest{Query: "the", Mode: knowledge.Lexical})))
	equal(t, 0, len(w.search(t, knowledge.SearchRequest{Query: "?!", Mode: knowledge.Lexical}).Hits))

	// What both find is first, with the sum of what its ranks give.
	got = w.search(t, knowledge.SearchRequest{Query: "alpha", Mode: knowledge.Hybrid, Limit: 3})
	equal(t, []string{"alpha", "far alpha:beta gamma"}, found(got)[:2])
	equal(t, 2.0/61, got.Hits[0].Score)
	equal(t, 2.0/62, got.Hits[1].Score)
	equal(t, 0.94, *got.Hits[1].Similarity)
}

func serviceFilters(t *testing.T, e *env) {
	w := newWorld(t, e)
	_, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: []knowledge.Chunk{
		{Text: "alpha", Source: "a", Metadata: []byte(`{"type":"faq"}`)}, {Text: "far alpha:x", Source: "b", Metadata: []byte(`{"type":"note"}`)},
		{Text: "far alpha:y", Source: "b"},
	}})
	noError(t, err)
	for _, mode := range []knowledge.Mode{knowledge.Semantic, knowledge.Lexical, knowledge.Hybrid} {
		for _, c := range []struct {
			f    knowledge.Filter
			want []string
		}{
			{knowledge.Filter{Type: "note"}, []string{"far alpha:x"}}, {knowledge.Filter{Source: "a"}, []string{"alpha"}},
			{knowledge.Filter{Source: "nobody"}, nil}, {knowledge.Filter{Metadata: map[string]string{"type": "faq"}}, []string{"alpha"}},
		} {
			equal(t, c.want, found(w.search(t, knowledge.SearchRequest{Query: "alpha", Mode: mode, Filter: c.f})))
		}
	}
}

func serviceNumbers(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "refunds within 14 days")
	first := w.idOf(t, "refunds within 14 days")
	yes := true
	ingest := func(guard *bool, texts ...string) knowledge.IngestResult {
		res, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: chunks(texts...), KeepNumericVariants: guard})
		noError(t, err)
		return res
	}
	const other, again, same = "near refunds within 14 days:30", "near refunds within 14 days:31 x", "near refunds within 14 days:x"
	equal(t, knowledge.IngestResult{Total: 1, Skipped: []knowledge.Skipped{{Index: 0, DuplicateOf: first, Similarity: 0.96}}}, ingest(nil, other))
	res := ingest(&yes, other, same, " REFUNDS within 14 days", other)
	variant := w.idOf(t, other)
	equal(t, knowledge.IngestResult{Total: 4, Stored: 1, Kept: []knowledge.Skipped{{Index: 0, DuplicateOf: first, Similarity: 0.96}},
		Skipped: []knowledge.Skipped{
			{Index: 1, DuplicateOf: first, Similarity: 0.96}, {Index: 2, DuplicateOf: first, Similarity: 1}, {Index: 3, DuplicateOf: variant, Similarity: 1},
		}}, res)
	// Inside one batch, and as the rule of a whole server.
	s, err := knowledge.NewService(w.deps(w.embedder), knowledge.Config{KeepNumericVariants: true})
	noError(t, err)
	w.Service = s
	equal(t, 2, w.ingest(t, "limit 5", "near limit 5:6").Stored)
	equal(t, 1, len(ingest(nil, again).Kept))
}

func serviceProvenance(t *testing.T, e *env) {
	w := newWorld(t, e)
	swarm := id.New[id.SwarmKind](ids)
	one, two := w.agent(swarm), w.agent(swarm)
	for _, in := range []knowledge.Space{{Agent: one.ID}, {Agent: two.ID}, {Swarm: swarm}} {
		_, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: in, Chunks: chunks("from " + in.String())})
		noError(t, err)
	}
	p, err := w.Service.List(w.ctx, w.sc, knowledge.ListRequest{In: knowledge.Space{Swarm: swarm}})
	noError(t, err)
	equal(t, []id.Agent{{}, two.ID, one.ID}, []id.Agent{p.Items[0].By, p.Items[1].By, p.Items[2].By})
}
