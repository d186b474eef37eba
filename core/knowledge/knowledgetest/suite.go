// Package knowledgetest is the conformance suite of knowledge.Ingestion and knowledge.Repository, and of knowledge.Service over
// them.
package knowledgetest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/knowledge"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store interface {
	knowledge.Ingestion
	knowledge.Repository
	knowledge.Reembedding
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, tx.Runner)
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	tx    tx.Runner
	ctx   context.Context
	sc    account.Scope
	space knowledge.Space
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"empty":               empty,
		"round trip":          roundTrip,
		"foreign":             foreign,
		"hashes":              hashes,
		"twins":               twinsFound,
		"threshold":           threshold,
		"in a transaction":    inTransaction,
		"nearest":             nearest,
		"paging":              paging,
		"delete":              remove,
		"embedder changes":    embedderChanges,
		"two lockers":         twoLockers,
		"cancelled":           cancelled,
		"service ingests":     serviceIngests,
		"service refuses":     serviceRefuses,
		"service twins":       serviceTwins,
		"service at once":     serviceAtOnce,
		"service deletes":     serviceDeletes,
		"service deletes mid": serviceDeletesMeanwhile,
		"service searches":    serviceSearches,
		"service swarm":       serviceSwarm,
		"numbers":             numbersApart,
		"among":               among,
		"matching":            matching,
		"having":              having,
		"service modes":       serviceModes,
		"service filters":     serviceFilters,
		"service numbers":     serviceNumbers,
		"service provenance":  serviceProvenance,
		"service re-embeds":   serviceReembeds,
		"service interrupted": serviceInterrupted,
		"service turns back":  serviceTurnsBack,
		"service embedder":    serviceEmbedderFails,
		"tool":                serviceTool,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := cfg.New(t)
			e := &env{s, r, t.Context(), account.System(id.New[id.TenantKind](ids)), knowledge.Space{Agent: id.New[id.AgentKind](ids)}}
			fn(t, e)
		})
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateApprox(0, 1e-6),
		cmp.Comparer(func(a, b id.Agent) bool { return a == b }), cmp.Comparer(func(a, b id.Swarm) bool { return a == b }),
		cmp.Comparer(func(a, b id.Knowledge) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v; want %v", err, want)
	}
}

const model = "test-8"

// noNumbers are those of the texts of these tests.
var noNumbers = knowledge.NumbersOf("")

// unit returns a random vector of norm 1.
func unit(rng *rand.Rand, dims int) embedding.Vector {
	v := make([]float64, dims)
	var square float64
	for i := range v {
		v[i] = rng.NormFloat64()
		square += v[i] * v[i]
	}
	out := make(embedding.Vector, dims)
	for i := range v {
		out[i] = float32(v[i] / math.Sqrt(square))
	}
	return out
}

// beside returns a vector of norm 1 whose cosine with axis k of dims dimensions is about c.
func beside(k, other, dims int, c float64) embedding.Vector {
	v := make(embedding.Vector, dims)
	v[k], v[other] = float32(c), float32(math.Sqrt(1-c*c))
	return v
}

func axis(k, dims int) embedding.Vector {
	v := make(embedding.Vector, dims)
	v[k] = 1
	return v
}

func (e *env) entry(seq int64, text string, v embedding.Vector) knowledge.Stored {
	return knowledge.Stored{Vector: v, Entry: knowledge.Entry{
		ID: id.New[id.KnowledgeKind](ids), Space: e.space, Seq: seq, Text: text, Source: "s", Hash: knowledge.HashOf(text), Embedder: model,
		CreatedAt: clock.Stored(time.Now()),
	}, Numbers: noNumbers, Words: knowledge.WordsOf(text)}
}

// add stores vectors as entries after what is there.
func (e *env) add(t *testing.T, vectors ...embedding.Vector) []knowledge.Stored {
	t.Helper()
	var out []knowledge.Stored
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		st, err := e.Lock(ctx, e.sc, e.space)
		if err != nil {
			return err
		}
		out = nil
		for i, v := range vectors {
			seq := st.LastSeq + int64(i) + 1
			out = append(out, e.entry(seq, fmt.Sprintf("text %d", seq), v))
		}
		return e.Insert(ctx, e.sc, e.space, out)
	}))
	return out
}

// twins returns what the vectors are most like, whatever their numbers.
func (e *env) twins(t *testing.T, c float64, after int64, vectors ...embedding.Vector) []knowledge.Match {
	t.Helper()
	var out []knowledge.Match
	for _, m := range e.twinsBy(t, model, c, after, vectors...) {
		equal(t, m.Any, m.Same)
		out = append(out, m.Any)
	}
	return out
}

func (e *env) twinsBy(t *testing.T, embedder string, c float64, after int64, vectors ...embedding.Vector) []knowledge.Twins {
	t.Helper()
	var probes []knowledge.Probe
	for _, v := range vectors {
		probes = append(probes, knowledge.Probe{Vector: v, Numbers: noNumbers})
	}
	got, err := e.Twins(e.ctx, e.sc, e.space, embedder, probes, c, after)
	noError(t, err)
	return got
}

func (e *env) near(t *testing.T, v embedding.Vector, limit int) []knowledge.Hit {
	t.Helper()
	return e.nearest(t, knowledge.NearestRequest{Vector: v, Limit: limit})
}

func (e *env) nearest(t *testing.T, req knowledge.NearestRequest) []knowledge.Hit {
	t.Helper()
	req.Space = e.space
	if req.Embedder == "" {
		req.Embedder = model
	}
	got, err := e.Nearest(e.ctx, e.sc, req)
	noError(t, err)
	return got
}

func empty(t *testing.T, e *env) {
	st, err := e.State(e.ctx, e.sc, e.space)
	noError(t, err)
	equal(t, knowledge.State{}, st)
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		st, err := e.Lock(ctx, e.sc, e.space)
		equal(t, knowledge.State{}, st)
		return err
	}))
	equal(t, []knowledge.Match{{}}, e.twins(t, 0.9, 0, axis(0, 8)))
	equal(t, 0, len(e.near(t, axis(0, 8), 3)))
	p, err := e.List(e.ctx, e.sc, knowledge.ListRequest{In: e.space})
	noError(t, err)
	equal(t, page.Page[knowledge.Entry]{}, p)
	n, err := e.Delete(e.ctx, e.sc, knowledge.DeleteRequest{In: e.space, All: true})
	noError(t, err)
	equal(t, 0, n)
}

func roundTrip(t *testing.T, e *env) {
	want := e.entry(1, "It's a \\ ? \U0001f600 text\n", axis(1, 8))
	want.Source, want.Metadata = "a/b 'c'.md", []byte(`{"type":"faq","n":[1,2]}`)
	want.Type, want.By = "faq", id.New[id.AgentKind](ids)
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Lock(ctx, e.sc, e.space); err != nil {
			return err
		}
		return e.Insert(ctx, e.sc, e.space, []knowledge.Stored{want})
	}))
	p, err := e.List(e.ctx, e.sc, knowledge.ListRequest{In: e.space})
	noError(t, err)
	equal(t, page.Page[knowledge.Entry]{Items: []knowledge.Entry{want.Entry}}, p)
	equal(t, []knowledge.Hit{{Entry: want.Entry, Score: 1}}, e.near(t, axis(1, 8), 1))
	st, err := e.State(e.ctx, e.sc, e.space)
	noError(t, err)
	equal(t, knowledge.State{Embedder: model, Entries: 1, LastSeq: 1, LastPlace: 1}, st)
}

func foreign(t *testing.T, e *env) {
	one := e.add(t, axis(0, 8))[0]
	tenant, space := *e, *e
	tenant.sc = account.System(id.New[id.TenantKind](ids))
	space.space = knowledge.Space{Swarm: id.New[id.SwarmKind](ids)}
	for _, o := range []*env{&tenant, &space} {
		empty(t, o)
		got, err := o.Hashes(o.ctx, o.sc, o.space, []knowledge.Hash{one.Hash}, 0)
		noError(t, err)
		equal(t, 0, len(got))
		n, err := o.Delete(o.ctx, o.sc, knowledge.DeleteRequest{In: o.space, ID: one.ID})
		noError(t, err)
		equal(t, 0, n)
	}
	equal(t, 1, len(e.near(t, axis(0, 8), 3)))
	// Another space may hold vectors of other dimensions.
	space.add(t, axis(0, 5))
	equal(t, 1, len(e.near(t, axis(0, 8), 3)))
	equal(t, one.ID, e.twins(t, 0.9, 0, axis(0, 8))[0].Entry)
}

func hashes(t *testing.T, e *env) {
	es := e.add(t, axis(0, 8), axis(1, 8), axis(2, 8))
	ask := []knowledge.Hash{es[0].Hash, es[2].Hash, knowledge.HashOf("nobody")}
	got, err := e.Hashes(e.ctx, e.sc, e.space, ask, 0)
	noError(t, err)
	equal(t, map[knowledge.Hash]id.Knowledge{es[0].Hash: es[0].ID, es[2].Hash: es[2].ID}, got)
	got, err = e.Hashes(e.ctx, e.sc, e.space, ask, 1)
	noError(t, err)
	equal(t, map[knowledge.Hash]id.Knowledge{es[2].Hash: es[2].ID}, got)
	got, err = e.Hashes(e.ctx, e.sc, e.space, nil, 0)
	noError(t, err)
	equal(t, 0, len(got))
}

func twinsFound(t *testing.T, e *env) {
	es := e.add(t, axis(0, 8), beside(0, 1, 8, 0.97), axis(2, 8))
	got := e.twins(t, 0.95, 0, beside(0, 1, 8, 0.98), axis(2, 8), axis(3, 8))
	equal(t, []knowledge.Match{
		{Entry: es[1].ID, Similarity: embedding.Cosine(beside(0, 1, 8, 0.98), es[1].Vector)}, {Entry: es[2].ID, Similarity: 1}, {},
	}, got)
	equal(t, []knowledge.Match{{}, {Entry: es[2].ID, Similarity: 1}}, e.twins(t, 0.95, 2, axis(0, 8), axis(2, 8)))
	equal(t, []knowledge.Match{{}}, e.twins(t, 0.95, 3, axis(2, 8)))
	// What is added later is found, too.
	more := e.add(t, axis(4, 8))
	equal(t, []knowledge.Match{{Entry: more[0].ID, Similarity: 1}}, e.twins(t, 0.95, 0, axis(4, 8)))
}

// threshold checks that the verdict near the threshold is that of embedding.Cosine, to the last bit.
func threshold(t *testing.T, e *env) {
	rng := rand.New(rand.NewPCG(1, 2))
	base := unit(rng, 64)
	e.add(t, base)
	var probes []embedding.Vector
	for range 200 {
		noise := unit(rng, 64)
		v := make(embedding.Vector, 64)
		var square float64
		for i := range v {
			v[i] = base[i] + 0.3287*noise[i]
			square += float64(v[i]) * float64(v[i])
		}
		for i := range v {
			v[i] = float32(float64(v[i]) / math.Sqrt(square))
		}
		probes = append(probes, v)
	}
	// The similarity of a probe itself as the threshold is reached, and the next larger number is not.
	for _, p := range probes[:20] {
		c := embedding.Cosine(p, base)
		if got := e.twins(t, c, 0, p)[0]; got.Entry.IsZero() || got.Similarity != c {
			t.Errorf("threshold %v: %+v", c, got)
		}
		if got := e.twins(t, math.Nextafter(c, 2), 0, p)[0]; !got.Entry.IsZero() {
			t.Errorf("threshold above %v: %+v", c, got)
		}
	}
	for i, m := range e.twins(t, 0.95, 0, probes...) {
		if want := embedding.Cosine(probes[i], base) >= 0.95; want == m.Entry.IsZero() {
			t.Errorf("similarity %v: %+v", embedding.Cosine(probes[i], base), m)
		}
	}
}

func inTransaction(t *testing.T, e *env) {
	e.add(t, axis(0, 8))
	boom := errors.New("boom")
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		st, err := e.Lock(ctx, e.sc, e.space)
		if err != nil {
			return err
		}
		inner := *e
		inner.ctx = ctx
		add := e.entry(st.LastSeq+1, "inner", axis(1, 8))
		if err := e.Insert(ctx, e.sc, e.space, []knowledge.Stored{add}); err != nil {
			return err
		}
		equal(t, add.ID, inner.twins(t, 0.95, 0, axis(1, 8))[0].Entry)
		equal(t, add.ID, inner.twins(t, 0.95, st.LastSeq, axis(1, 8))[0].Entry)
		equal(t, add.ID, inner.near(t, axis(1, 8), 1)[0].ID)
		return boom
	}), boom)
	equal(t, knowledge.Match{}, e.twins(t, 0.95, 0, axis(1, 8))[0])
	more := e.add(t, axis(2, 8)) // takes the Seq of what was rolled back
	equal(t, more[0].ID, e.twins(t, 0.95, 0, axis(2, 8))[0].Entry)
	equal(t, knowledge.Match{}, e.twins(t, 0.95, 0, axis(1, 8))[0])
}

// nearest compares with a plain computation, over enough rows to be split between processors.
func nearest(t *testing.T, e *env) {
	rng := rand.New(rand.NewPCG(3, 4))
	const dims, n = 16, 5000
	var es []knowledge.Stored
	for range 5 {
		var vs []embedding.Vector
		for range n / 5 {
			vs = append(vs, unit(rng, dims))
		}
		es = append(es, e.add(t, vs...)...)
	}
	for range 5 {
		q := unit(rng, dims)
		var hits []knowledge.Hit
		for _, s := range es {
			hits = append(hits, knowledge.Hit{Entry: s.Entry, Score: embedding.Cosine(q, s.Vector)})
		}
		slices.SortFunc(hits, func(a, b knowledge.Hit) int {
			switch {
			case a.Score > b.Score:
				return -1
			case a.Score < b.Score:
				return 1
			}
			return int(a.Seq - b.Seq)
		})
		hits = hits[:10]
		equal(t, hits, e.near(t, q, 10))
		best := e.twins(t, 0.5, 0, q)[0]
		equal(t, knowledge.Match{Entry: hits[0].ID, Similarity: hits[0].Score}, best)
	}
	equal(t, 0, len(e.near(t, axis(0, dims), 0)))
}

func paging(t *testing.T, e *env) {
	var vs []embedding.Vector
	for k := range 7 {
		vs = append(vs, axis(k, 8))
	}
	es := e.add(t, vs...)
	for limit := 1; limit <= 8; limit++ {
		seq := func(it knowledge.Entry) int64 { return it.Seq }
		equal(t, []int64{7, 6, 5, 4, 3, 2, 1}, pagetest.Walk(t, limit, seq, func(req page.Request) (page.Page[knowledge.Entry], error) {
			return e.List(e.ctx, e.sc, knowledge.ListRequest{In: e.space, Request: req})
		}))
	}
	_, err := e.List(e.ctx, e.sc, knowledge.ListRequest{In: e.space, Request: page.Request{Cursor: "?"}})
	equal(t, fault.Invalid, fault.KindOf(err))
	for source, want := range map[string]int{"s": len(es), "S": 0, "\x00\xff": 0} {
		p, err := e.List(e.ctx, e.sc, knowledge.ListRequest{In: e.space, Source: source})
		noError(t, err)
		equal(t, want, len(p.Items))
	}
}

func remove(t *testing.T, e *env) {
	es := e.add(t, axis(0, 8), axis(1, 8), axis(2, 8), axis(3, 8))
	e.near(t, axis(0, 8), 1) // whatever is cached now must not survive
	del := func(want int, req knowledge.DeleteRequest) {
		t.Helper()
		req.In = e.space
		n, err := e.Delete(e.ctx, e.sc, req)
		noError(t, err)
		equal(t, want, n)
	}
	del(1, knowledge.DeleteRequest{ID: es[1].ID})
	del(0, knowledge.DeleteRequest{ID: es[1].ID})
	del(0, knowledge.DeleteRequest{})
	equal(t, knowledge.Match{}, e.twins(t, 0.9, 0, axis(1, 8))[0])
	equal(t, es[3].ID, e.twins(t, 0.9, 0, axis(3, 8))[0].Entry)
	more := e.add(t, axis(1, 8))
	equal(t, int64(5), more[0].Seq)
	equal(t, more[0].ID, e.twins(t, 0.9, 0, axis(1, 8))[0].Entry)
	del(0, knowledge.DeleteRequest{Source: "nobody's"})
	del(4, knowledge.DeleteRequest{Source: "s"})
	st, err := e.State(e.ctx, e.sc, e.space)
	noError(t, err)
	equal(t, knowledge.State{Embedder: model, LastSeq: 5, LastPlace: 5, Deletions: 2}, st)
	equal(t, 0, len(e.near(t, axis(0, 8), 5)))
	e.add(t, axis(6, 8))
	del(1, knowledge.DeleteRequest{All: true})
	equal(t, 0, len(e.near(t, axis(6, 8), 5)))
	boom := errors.New("boom")
	kept := e.add(t, axis(7, 8))
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Delete(ctx, e.sc, knowledge.DeleteRequest{In: e.space, All: true}); err != nil {
			return err
		}
		return boom
	}), boom)
	equal(t, kept[0].ID, e.near(t, axis(7, 8), 5)[0].ID)
}

func embedderChanges(t *testing.T, e *env) {
	e.add(t, axis(0, 8), axis(1, 8))
	e.near(t, axis(0, 8), 1)
	equal(t, 0, len(e.nearest(t, knowledge.NearestRequest{Embedder: "other", Vector: axis(0, 3), Limit: 5})))
	equal(t, []knowledge.Twins{{}}, e.twinsBy(t, "other", 0.5, 0, axis(0, 3)))
	_, err := e.Delete(e.ctx, e.sc, knowledge.DeleteRequest{In: e.space, All: true})
	noError(t, err)
	other := e.entry(3, "other", axis(0, 3))
	other.Embedder = "other"
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Lock(ctx, e.sc, e.space); err != nil {
			return err
		}
		return e.Insert(ctx, e.sc, e.space, []knowledge.Stored{other})
	}))
	equal(t, []knowledge.Hit{{Entry: other.Entry, Score: 1}},
		e.nearest(t, knowledge.NearestRequest{Embedder: "other", Vector: axis(0, 3), Limit: 5}))
	equal(t, 0, len(e.near(t, axis(0, 8), 1)))
}

func twoLockers(t *testing.T, e *env) {
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() { e.add(t, axis(k, 8)) })
	}
	wg.Wait()
	st, err := e.State(e.ctx, e.sc, e.space)
	noError(t, err)
	equal(t, knowledge.State{Embedder: model, Entries: 8, LastSeq: 8, LastPlace: 8}, st)
	for k, m := range e.twins(t, 0.9, 0, axis(0, 8), axis(1, 8), axis(2, 8), axis(3, 8), axis(4, 8), axis(5, 8), axis(6, 8), axis(7, 8)) {
		if m.Entry.IsZero() {
			t.Errorf("vector %d is not there", k)
		}
	}
}

func cancelled(t *testing.T, e *env) {
	e.add(t, axis(0, 8))
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Nearest(ctx, e.sc, knowledge.NearestRequest{Space: e.space, Embedder: model, Vector: axis(0, 8), Limit: 1})
	is(t, err, context.Canceled)
	_, err = e.List(ctx, e.sc, knowledge.ListRequest{In: e.space})
	is(t, err, context.Canceled)
	equal(t, 1, len(e.near(t, axis(0, 8), 1)))
}

// world is a service over the store, with agents and an embedder that the test rules.
type world struct {
	*env
	*knowledge.Service
	agents   map[id.Agent]agent.Agent
	me       agent.Agent
	embedder *fakeEmbedder
}

func (w *world) Get(_ context.Context, sc account.Scope, a id.Agent) (agent.Agent, error) {
	got, ok := w.agents[a]
	if !ok || got.Tenant != sc.Tenant {
		return agent.Agent{}, id.NotFound[id.AgentKind](a.String())
	}
	return got, nil
}

func (w *world) CheckSwarm(_ context.Context, sc account.Scope, swarm id.Swarm) error {
	for _, a := range w.agents {
		if a.Swarm == swarm && a.Tenant == sc.Tenant {
			return nil
		}
	}
	return knowledge.NoSwarms{}.CheckSwarm(context.Background(), sc, swarm)
}

// fakeEmbedder embeds each text in a direction of its own. Texts "near X: ..." are 0.96 like "X", and texts "far X: ..." 0.94.
type fakeEmbedder struct {
	mu     sync.Mutex
	name   string
	texts  int
	before func()
	twins  map[string]string // texts that it embeds as if they were others
	err    error
}

const fakeDims = 64

func (f *fakeEmbedder) Info() embedding.Info {
	return embedding.Info{Name: f.name, Dimensions: fakeDims}
}

func (f *fakeEmbedder) Embed(_ context.Context, texts []string) ([]embedding.Vector, error) {
	f.mu.Lock()
	before := f.before
	f.before = nil
	f.texts += len(texts)
	f.mu.Unlock()
	if before != nil {
		before()
	}
	if f.err != nil {
		return nil, f.err
	}
	out := make([]embedding.Vector, len(texts))
	for i, text := range texts {
		if other, ok := f.twins[text]; ok {
			text = other
		}
		out[i] = direction(text)
	}
	return out, nil
}

func direction(text string) embedding.Vector {
	c := 1.0
	if to, ok := strings.CutPrefix(text, "near "); ok {
		text, c = to, 0.96
	} else if to, ok := strings.CutPrefix(text, "far "); ok {
		text, c = to, 0.94
	}
	subject, rest, _ := strings.Cut(text, ":")
	base := seeded(subject)
	if c == 1 {
		return base
	}
	other := seeded(rest)
	// Take from other what is not along base, so that the cosine is exactly what was asked for.
	along := embedding.Cosine(base, other)
	v, side := make(embedding.Vector, fakeDims), math.Sqrt(1-along*along)
	for i := range v {
		v[i] = float32(c*float64(base[i]) + math.Sqrt(1-c*c)*(float64(other[i])-along*float64(base[i]))/side)
	}
	return v
}

func seeded(text string) embedding.Vector {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return unit(rand.New(rand.NewPCG(h.Sum64(), 1)), fakeDims)
}

func newWorld(t *testing.T, e *env) *world {
	t.Helper()
	w := &world{env: e, agents: map[id.Agent]agent.Agent{}, embedder: &fakeEmbedder{name: "fake"}}
	w.me = w.agent(id.Swarm{})
	w.Service = w.service(t, w.embedder)
	return w
}

func (w *world) service(t *testing.T, e embedding.Embedder) *knowledge.Service {
	t.Helper()
	s, err := knowledge.NewService(w.deps(e), knowledge.Config{})
	noError(t, err)
	return s
}

func (w *world) deps(e embedding.Embedder) knowledge.Deps {
	return knowledge.Deps{
		TX: w.tx, Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Ingestion: w.Store, Repository: w.Store,
		Reembedding: own{w.Store, w.sc.Tenant}, Embedder: e, Agents: w, Swarms: w,
	}
}

func (w *world) agent(swarm id.Swarm) agent.Agent {
	a := agent.Agent{ID: id.New[id.AgentKind](ids), Tenant: w.sc.Tenant, Version: 1, Standing: agent.Active, Swarm: swarm}
	w.agents[a.ID] = a
	return a
}

func (w *world) mine() knowledge.Space { return knowledge.Space{Agent: w.me.ID} }

func chunks(texts ...string) []knowledge.Chunk {
	var out []knowledge.Chunk
	for _, t := range texts {
		out = append(out, knowledge.Chunk{Text: t, Source: "s"})
	}
	return out
}

func (w *world) ingest(t *testing.T, texts ...string) knowledge.IngestResult {
	t.Helper()
	res, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: chunks(texts...)})
	noError(t, err)
	return res
}

// texts returns what the service lists, oldest first.
func (w *world) texts(t *testing.T, in knowledge.Space) []string {
	t.Helper()
	p, err := w.Service.List(w.ctx, w.sc, knowledge.ListRequest{In: in, Request: page.Request{Limit: 1000}})
	noError(t, err)
	var out []string
	for _, e := range p.Items {
		out = append([]string{e.Text}, out...)
	}
	return out
}

func (w *world) idOf(t *testing.T, text string) id.Knowledge {
	t.Helper()
	p, err := w.Service.List(w.ctx, w.sc, knowledge.ListRequest{In: w.mine(), Request: page.Request{Limit: 1000}})
	noError(t, err)
	for _, e := range p.Items {
		if e.Text == text {
			return e.ID
		}
	}
	t.Fatalf("%q is not stored", text)
	return id.Knowledge{}
}

func serviceIngests(t *testing.T, e *env) {
	w := newWorld(t, e)
	res, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: w.mine(), Chunks: []knowledge.Chunk{
		{Text: "one", Source: "a.md", Metadata: []byte(` { "type" : "faq" } `)}, {Text: "two", Source: "b.md", Metadata: []byte("null")},
	}})
	noError(t, err)
	equal(t, knowledge.IngestResult{Stored: 2, Total: 2}, res)
	p, err := w.Service.List(w.ctx, w.sc, knowledge.ListRequest{In: w.mine(), Source: "a.md"})
	noError(t, err)
	equal(t, 1, len(p.Items))
	equal(t, `{"type":"faq"}`, string(p.Items[0].Metadata))
	equal(t, "fake", p.Items[0].Embedder)
	var many []string
	for i := range knowledge.MaxChunks {
		many = append(many, fmt.Sprint("chunk ", i, strings.Repeat(" \u00e9", 1990)))
	}
	equal(t, knowledge.MaxChunks, w.ingest(t, many...).Stored)
}

func serviceRefuses(t *testing.T, e *env) {
	w := newWorld(t, e)
	long := strings.Repeat("\u00e9", knowledge.MaxText)
	for name, c := range map[string]struct {
		in     knowledge.Space
		chunks []knowledge.Chunk
		paths  []string
	}{
		"no chunks":  {w.mine(), nil, []string{"chunks"}},
		"too many":   {w.mine(), chunks(make([]string, 101)...), []string{"chunks"}},
		"too long":   {w.mine(), chunks("fine", long+"x"), []string{"chunks[1].text"}},
		"blank":      {w.mine(), chunks(" \n", "fine"), []string{"chunks[0].text"}},
		"NUL":        {w.mine(), chunks("a\x00b"), []string{"chunks[0].text"}},
		"not UTF-8":  {w.mine(), chunks("a\xff"), []string{"chunks[0].text"}},
		"no source":  {w.mine(), []knowledge.Chunk{{Text: "a"}}, []string{"chunks[0].source"}},
		"metadata":   {w.mine(), []knowledge.Chunk{{Text: "a", Source: "s", Metadata: []byte(`[1]`)}}, []string{"chunks[0].metadata"}},
		"two faults": {w.mine(), []knowledge.Chunk{{Text: "a"}, {Source: "s"}}, []string{"chunks[0].source", "chunks[1].text"}},
		"no space":   {knowledge.Space{}, chunks("a"), []string{"agent_id"}},
		"two spaces": {knowledge.Space{Agent: w.me.ID, Swarm: id.New[id.SwarmKind](ids)}, chunks("a"), []string{"agent_id"}},
	} {
		_, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: c.in, Chunks: c.chunks})
		is(t, err, knowledge.ErrInvalid)
		var paths []string
		if f, ok := fault.As(err); ok {
			for _, fd := range f.Fields {
				paths = append(paths, fd.Path)
			}
		}
		if diff := cmp.Diff(c.paths, paths); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	equal(t, 0, len(w.texts(t, w.mine())))
	equal(t, 1, w.ingest(t, long).Stored)

	for _, in := range []knowledge.Space{{Agent: id.New[id.AgentKind](ids)}, {Swarm: id.New[id.SwarmKind](ids)}} {
		_, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: in, Chunks: chunks("a")})
		equal(t, fault.NotFound, fault.KindOf(err))
		_, err = w.Service.List(w.ctx, w.sc, knowledge.ListRequest{In: in})
		equal(t, fault.NotFound, fault.KindOf(err))
		_, err = w.Search(w.ctx, w.sc, knowledge.SearchRequest{In: in, Query: "a"})
		equal(t, fault.NotFound, fault.KindOf(err))
		_, err = w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: in, Source: "s"})
		equal(t, fault.NotFound, fault.KindOf(err))
	}
	gone := w.agent(id.Swarm{})
	gone.Standing = agent.Archived
	w.agents[gone.ID] = gone
	_, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: knowledge.Space{Agent: gone.ID}, Chunks: chunks("a")})
	is(t, err, agent.ErrArchived)
}

func serviceTwins(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "stored")
	stored := w.idOf(t, "stored")
	w.embedder.texts = 0
	res := w.ingest(t, "new", " STORED ", "near stored:x", "far stored:y", "new", "near new:z", "\u2003New")
	equal(t, 4, w.embedder.texts) // what is known by its hash is not embedded
	fresh := w.idOf(t, "new")
	equal(t, knowledge.IngestResult{Stored: 2, Total: 7, Skipped: []knowledge.Skipped{
		{Index: 1, DuplicateOf: stored, Similarity: 1},
		{Index: 2, DuplicateOf: stored, Similarity: 0.96},
		{Index: 4, DuplicateOf: fresh, Similarity: 1},
		{Index: 5, DuplicateOf: fresh, Similarity: 0.96},
		{Index: 6, DuplicateOf: fresh, Similarity: 1},
	}}, res)
	equal(t, []string{"stored", "new", "far stored:y"}, w.texts(t, w.mine()))
	// A chunk whose twin in the batch was not stored is judged by itself, and its own copies by it.
	equal(t, knowledge.IngestResult{Total: 2, Skipped: []knowledge.Skipped{
		{Index: 0, DuplicateOf: stored, Similarity: 0.96}, {Index: 1, DuplicateOf: stored, Similarity: 0.96},
	}}, w.ingest(t, "near stored:again", "NEAR stored:again"))
	// Another agent's space is another one.
	other := w.agent(id.Swarm{})
	res, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: knowledge.Space{Agent: other.ID}, Chunks: chunks("stored")})
	noError(t, err)
	equal(t, 1, res.Stored)
}

// serviceAtOnce checks that of twins which arrive together one is stored, and that what is stored has no twins.
func serviceAtOnce(t *testing.T, e *env) {
	w := newWorld(t, e)
	const callers, subjects = 8, 12
	var wg sync.WaitGroup
	results := make([]knowledge.IngestResult, callers)
	for c := range callers {
		wg.Go(func() {
			var texts []string
			for s := range subjects {
				switch c % 3 {
				case 0:
					texts = append(texts, fmt.Sprintf("subject %d", s))
				case 1:
					texts = append(texts, fmt.Sprintf("SUBJECT %d", s))
				default:
					texts = append(texts, fmt.Sprintf("near subject %d:%d", s, c))
				}
			}
			results[c] = w.ingest(t, texts...)
		})
	}
	wg.Wait()
	stored := 0
	for _, r := range results {
		stored += r.Stored
		equal(t, subjects, r.Stored+len(r.Skipped))
	}
	texts := w.texts(t, w.mine())
	equal(t, stored, len(texts))
	for i := range texts {
		for j := range i {
			if c := embedding.Cosine(direction(texts[i]), direction(texts[j])); c >= knowledge.DefaultThreshold {
				t.Errorf("%q and %q are both stored, with similarity %g", texts[j], texts[i], c)
			}
		}
	}
}

func serviceDeletes(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "one", "two", "three")
	for _, req := range []knowledge.DeleteRequest{
		{}, {All: true}, {Source: "s", All: true, Confirm: true}, {Source: "s", ID: w.idOf(t, "one")}, {Confirm: true},
	} {
		req.In = w.mine()
		_, err := w.Service.Delete(w.ctx, w.sc, req)
		is(t, err, knowledge.ErrInvalid)
	}
	equal(t, 3, len(w.texts(t, w.mine())))
	one := w.idOf(t, "one")
	n, err := w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), ID: one})
	noError(t, err)
	equal(t, 1, n)
	_, err = w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), ID: one})
	is(t, err, id.NotFound[id.KnowledgeKind](""))
	equal(t, 1, w.ingest(t, "one", "two").Stored)
	n, err = w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), All: true, Confirm: true})
	noError(t, err)
	equal(t, 3, n)
	equal(t, 2, w.ingest(t, "one", "two").Stored)
}

// serviceDeletesMeanwhile deletes a twin after it was found and before the space is locked: the chunk must be stored, not skipped
// for the sake of an entry that is gone.
func serviceDeletesMeanwhile(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "one", "two")
	w.embedder.before = func() {
		_, err := w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), Source: "s"})
		noError(t, err)
	}
	equal(t, knowledge.IngestResult{Stored: 2, Total: 2}, w.ingest(t, "ONE", "near two:x"))
	equal(t, []string{"ONE", "near two:x"}, w.texts(t, w.mine()))

	// Even when it happens again and again.
	var again func()
	i := 0
	again = func() {
		i++
		_, err := w.Service.Delete(w.ctx, w.sc, knowledge.DeleteRequest{In: w.mine(), Source: "s"})
		noError(t, err)
		_, err = w.service(t, &fakeEmbedder{name: "fake"}).Ingest(w.ctx, w.sc,
			knowledge.IngestRequest{Into: w.mine(), Chunks: chunks("one", fmt.Sprint("other ", i))})
		noError(t, err)
		w.embedder.before = again
	}
	w.embedder.before = again
	res := w.ingest(t, "a", "b", "one")
	w.embedder.before = nil
	equal(t, 3, res.Total)
	equal(t, 3, res.Stored+len(res.Skipped))
	if got := w.texts(t, w.mine()); !slices.Contains(got, "one") || !slices.Contains(got, "a") || !slices.Contains(got, "b") {
		t.Errorf("stored are %q", got)
	}
}

func serviceSearches(t *testing.T, e *env) {
	w := newWorld(t, e)
	found, err := w.Search(w.ctx, w.sc, knowledge.SearchRequest{In: w.mine(), Query: "x"})
	noError(t, err)
	equal(t, 0, len(found.Hits))
	equal(t, 0, w.embedder.texts) // nothing to compare with: nothing to pay for
	w.ingest(t, "one", "far one:x", "two", "three")
	found, err = w.Search(w.ctx, w.sc, knowledge.SearchRequest{In: w.mine(), Query: "one", Limit: 2})
	noError(t, err)
	hits := found.Hits
	equal(t, knowledge.Semantic, found.Mode)
	equal(t, []string{"one", "far one:x"}, []string{hits[0].Text, hits[1].Text})
	equal(t, []float64{1, 0.94}, []float64{hits[0].Score, hits[1].Score})
	equal(t, 2, len(hits))
	for _, req := range []knowledge.SearchRequest{
		{Query: " "}, {Query: strings.Repeat("x", 4001)}, {Query: "x", Limit: -1}, {Query: "x", Limit: 101},
		{Query: "x", Mode: "guess"}, {Query: "x", MinScore: 1.1}, {Query: "x", MinScore: 0.5, Mode: knowledge.Hybrid}, {Query: "x", MinScore: math.NaN()},
	} {
		req.In = w.mine()
		_, err := w.Search(w.ctx, w.sc, req)
		is(t, err, knowledge.ErrInvalid)
	}
}

func serviceSwarm(t *testing.T, e *env) {
	w := newWorld(t, e)
	w.ingest(t, "mine")
	swarm := id.New[id.SwarmKind](ids)
	two := w.agent(swarm)
	joined := w.me
	joined.Swarm = swarm
	w.agents[w.me.ID] = joined
	equal(t, 1, w.ingest(t, "shared").Stored)
	res, err := w.Ingest(w.ctx, w.sc, knowledge.IngestRequest{Into: knowledge.Space{Agent: two.ID}, Chunks: chunks("shared", "two's")})
	noError(t, err)
	equal(t, 1, res.Stored)
	for _, in := range []knowledge.Space{{Swarm: swarm}, {Agent: two.ID}, w.mine()} {
		equal(t, []string{"shared", "two's"}, w.texts(t, in))
	}
	texts := func(in knowledge.Space) []string {
		found, err := w.Search(w.ctx, w.sc, knowledge.SearchRequest{In: in, Query: "mine", Limit: 3})
		noError(t, err)
		var out []string
		for _, h := range found.Hits {
			out = append(out, h.Text)
		}
		return out
	}
	equal(t, "mine", texts(w.mine())[0]) // its own is searched, too
	equal(t, 3, len(texts(w.mine())))
	equal(t, false, slices.Contains(texts(knowledge.Space{Agent: two.ID}), "mine"))
	w.agents[w.me.ID] = w.me // leaves
	equal(t, []string{"mine"}, w.texts(t, w.mine()))
}
