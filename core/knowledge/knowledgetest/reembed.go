package knowledgetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/id"
)

// progress returns how far the world's own space is.
func (w *world) progress(t *testing.T, s *knowledge.Service) knowledge.Progress {
	t.Helper()
	p, err := s.Reembedding(w.ctx, w.sc, knowledge.ProgressRequest{In: w.mine()})
	noError(t, err)
	if len(p.Items) != 1 {
		t.Fatalf("%d spaces are told of; want 1", len(p.Items))
	}
	return p.Items[0]
}

// reembed runs until every space of the database is current; others of the suite may be among them.
func (w *world) reembed(t *testing.T, s *knowledge.Service) {
	t.Helper()
	for range 100 {
		if _, err := s.Reembed(w.ctx); err != nil {
			t.Fatal(err)
		}
		if w.progress(t, s).State == knowledge.Finished {
			return
		}
	}
	t.Fatal("it never ends")
}

func serviceReembeds(t *testing.T, e *env) {
	w := newWorld(t, e)
	var texts []string
	for i := range knowledge.MaxChunks + 20 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	w.ingest(t, texts[:60]...)
	w.ingest(t, texts[60:]...)
	w.ingest(t, "pair a", "pair b")
	newer := &fakeEmbedder{name: w.newName(), twins: map[string]string{"pair b": "near pair a:b"}}
	s := w.service(t, newer)

	// Before it begins: searched by words, ingested by the new embedder, hash twins are found.
	p := w.progress(t, s)
	equal(t, []any{knowledge.Waiting, "fake", newer.name, 122, 0}, []any{p.State, p.From, p.To, p.Total, p.Done})
	search := func() knowledge.SearchResult {
		got, err := s.Search(w.ctx, w.sc, knowledge.SearchRequest{In: w.mine(), Query: "text 7", Limit: 1})
		noError(t, err)
		return got
	}
	got := search()
	equal(t, []any{knowledge.Lexical, true, []string{"text 7"}}, []any{got.Mode, got.Reembedding, found(got)})
	ingest := func(texts ...string) knowledge.IngestResult {
		res, err := s.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: chunks(texts...)})
		noError(t, err)
		return res
	}
	equal(t, 1, ingest("TEXT 3", "during").Stored)
	equal(t, 1, len(ingest("near during:x").Skipped))
	if _, err := s.StartReembedding(w.ctx, w.sc, w.mine()); err != nil {
		t.Error(err)
	}
	n, err := s.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), ID: w.idOf(t, "text 119")})
	if n != 1 || err != nil {
		t.Error(n, err)
	}

	w.reembed(t, s)
	p = w.progress(t, s)
	equal(t, []any{knowledge.Finished, "fake", newer.name, 122, 122, 1, 1}, []any{p.State, p.From, p.To, p.Total, p.Done, p.Twins, len(p.Pairs)})
	equal(t, knowledge.Pair{Entry: w.idOf(t, "pair b"), Twin: w.idOf(t, "pair a"), Similarity: 0.96}, p.Pairs[0])
	equal(t, false, p.FinishedAt.IsZero() || p.StartedAt.IsZero())
	got = search()
	equal(t, []any{knowledge.Semantic, false, []string{"text 7"}}, []any{got.Mode, got.Reembedding, found(got)})
	equal(t, newer.name, got.Hits[0].Embedder)
	equal(t, 1, len(ingest("near text 9:x").Skipped))
	p, err = s.StartReembedding(w.ctx, w.sc, w.mine())
	noError(t, err)
	equal(t, knowledge.Finished, p.State)
	st, err := w.State(w.ctx, w.sc, w.mine())
	noError(t, err)
	equal(t, knowledge.State{Embedder: newer.name, Entries: 122, LastSeq: 123, LastPlace: 244, Deletions: 1}, st)
}

// newName returns the name of an embedder that no other test has, since a store may be shared.
func (w *world) newName() string { return "newer " + w.me.ID.String() }

// serviceInterrupted checks that what was embedded before a process died is not embedded again.
func serviceInterrupted(t *testing.T, e *env) {
	w := newWorld(t, e)
	var texts []string
	for i := range 250 {
		texts = append(texts, fmt.Sprint("text ", i))
	}
	for some := range slices.Chunk(texts, knowledge.MaxChunks) {
		w.ingest(t, some...)
	}
	newer := &fakeEmbedder{name: w.newName()}
	now := time.Now()
	d := w.deps(newer)
	d.Clock = clock.Func(func() time.Time { return now })
	mine := d.Reembedding
	died := errors.New("died")
	d.Reembedding = &dying{mine, 1, died}
	first, err := knowledge.NewService(d, knowledge.Config{})
	noError(t, err)
	if _, err := first.Reembed(w.ctx); !errors.Is(err, died) {
		t.Fatalf("error %v", err)
	}
	d.Reembedding = mine
	second, err := knowledge.NewService(d, knowledge.Config{})
	noError(t, err)
	p := w.progress(t, second)
	equal(t, []any{knowledge.Running, 100, 250}, []any{p.State, p.Done, p.Total})
	now = now.Add(2 * time.Minute) // the dead one's reservation is over
	equal(t, knowledge.Waiting, w.progress(t, second).State)
	newer.mu.Lock()
	newer.texts = 0
	newer.mu.Unlock()
	w.reembed(t, second)
	equal(t, 150, newer.texts)
}

// dying is a store whose process dies after some chunks: nothing more reaches it.
type dying struct {
	knowledge.Reembedding
	chunks int
	died   error
}

func (d *dying) Stage(
	ctx context.Context, sc account.Scope, space knowledge.Space, embedder string, vectors []knowledge.Stored, pairs []knowledge.Pair, until time.Time,
) error {
	if d.chunks--; d.chunks < 0 {
		return d.died
	}
	return d.Reembedding.Stage(ctx, sc, space, embedder, vectors, pairs, until)
}

func (d *dying) Release(context.Context, account.Scope, knowledge.Space, string) error { return d.died }

// own leaves the spaces of other tests alone.
type own struct {
	knowledge.Reembedding
	tenant id.Tenant
}

func (o own) Stale(ctx context.Context, embedder string, now time.Time, _ int) ([]knowledge.Owned, error) {
	all, err := o.Reembedding.Stale(ctx, embedder, now, 10_000)
	return slices.DeleteFunc(all, func(s knowledge.Owned) bool { return s.Tenant != o.tenant }), err
}

// serviceTurnsBack checks that a server which gets its former embedder back has all entries searched by that one again.
func serviceTurnsBack(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "one", "two")
	newer := &fakeEmbedder{name: "newer"}
	_, err := w.service(t, newer).Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: chunks("three")})
	noError(t, err)
	w.ingest(t, "four")
	equal(t, true, w.search(t, knowledge.SearchRequest{Query: "one"}).Reembedding)
	w.embedder.texts = 0
	w.reembed(t, w.Service)
	equal(t, 1, w.embedder.texts)
	got := w.search(t, knowledge.SearchRequest{Query: "three", Limit: 1})
	equal(t, []any{knowledge.Semantic, false, []string{"three"}}, []any{got.Mode, got.Reembedding, found(got)})
	// An empty space is any embedder's.
	_, err = w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), All: true, Confirm: true})
	noError(t, err)
	_, err = w.service(t, newer).Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: chunks("five")})
	noError(t, err)
	st, err := w.State(w.ctx, w.sc, w.mine())
	noError(t, err)
	equal(t, []string{"newer", ""}, []string{st.Embedder, st.Next})
}

// serviceEmbedderFails checks that a failure is told, and tried again.
func serviceEmbedderFails(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "one")
	newer := &fakeEmbedder{name: "newer", err: embedding.ErrUnavailable.Withf("come back later")}
	s := w.service(t, newer)
	if n, err := s.Reembed(w.ctx); n != 0 || err != nil {
		t.Error(n, err)
	}
	p := w.progress(t, s)
	equal(t, []any{knowledge.Waiting, "come back later", 0}, []any{p.State, p.Error, p.Done})
	newer.err = nil
	w.reembed(t, s)
	equal(t, "", w.progress(t, s).Error)
	empty := w.agent(id.Swarm{})
	p, err := s.StartReembedding(w.ctx, w.sc, knowledge.Space{Agent: empty.ID})
	noError(t, err)
	equal(t, []any{knowledge.Finished, "newer", 0, 0}, []any{p.State, p.To, p.Total, p.Done})
}
