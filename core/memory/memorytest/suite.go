// Package memorytest is the conformance suite of the repositories of package memory, and of memory.Service over them.
package memorytest

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/memory"
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
	memory.Stores
	memory.Memories
	memory.Index
	memory.Versions
}

// Config of the suite.
type Config struct {
	// New returns a store and its transactions. It is called once per subtest; stores may be the same one.
	New func(t *testing.T) (Store, tx.Runner)
}

var ids = id.NewGenerator(time.Now)

// words is an embedder that looks at words only: each is a direction. It can be told to be away.
type words struct {
	name string
	away atomic.Bool
}

const dimensions = 1024

func (w *words) Info() embedding.Info { return embedding.Info{Name: w.name, Dimensions: dimensions} }

func (w *words) Embed(_ context.Context, texts []string) ([]embedding.Vector, error) {
	if w.away.Load() {
		return nil, embedding.ErrUnavailable
	}
	out := make([]embedding.Vector, len(texts))
	for i, text := range texts {
		v := make(embedding.Vector, dimensions)
		v[0] = 0.01
		for _, word := range strings.Fields(strings.ToLower(text)) {
			h := fnv.New32a()
			_, _ = h.Write([]byte(word))
			v[1+h.Sum32()%(dimensions-1)]++
		}
		var square float64
		for _, x := range v {
			square += float64(x) * float64(x)
		}
		for j := range v {
			v[j] = float32(float64(v[j]) / math.Sqrt(square))
		}
		out[i] = v
	}
	return out, nil
}

// agents knows one agent.
type agents struct{ of agent.Agent }

func (a agents) Get(_ context.Context, sc account.Scope, of id.Agent) (agent.Agent, error) {
	if of != a.of.ID || sc.Tenant != a.of.Tenant {
		return agent.Agent{}, id.NotFound[id.AgentKind](of.String())
	}
	return a.of, nil
}

type env struct {
	*memory.Service

	repo  Store
	tx    tx.Runner
	ctx   context.Context
	sc    account.Scope
	agent agent.Agent
	words *words
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"stores":             stores,
		"store lists":        storeLists,
		"foreign":            foreign,
		"round trip":         roundTrip,
		"refusals":           refusals,
		"paths":              paths,
		"updates":            updates,
		"deletes":            deletes,
		"archived":           archived,
		"lists":              lists,
		"recent":             recent,
		"versions":           versions,
		"redaction":          redaction,
		"limits":             limits,
		"search":             search,
		"search of a moment": searchCatchesUp,
		"two writers":        twoWriters,
		"one path at once":   onePathAtOnce,
		"rollback":           rollback,
		"cancelled":          cancelled,
		"tools":              tools,
		"own store":          ownStore,
		"sandboxes":          sandboxes,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, runner := cfg.New(t)
			sc := account.System(id.New[id.TenantKind](ids))
			sc.Key = id.New[id.APIKeyKind](ids)
			me := agent.Agent{ID: id.New[id.AgentKind](ids), Tenant: sc.Tenant, Config: agent.Config{Name: "Clerk"}, Standing: agent.Active}
			fn(t, newEnv(t, r, runner, sc, me, &words{name: "words"}, memory.Config{}))
		})
	}
}

func newEnv(t *testing.T, r Store, runner tx.Runner, sc account.Scope, me agent.Agent, w *words, cfg memory.Config) *env {
	t.Helper()
	s, err := memory.NewService(memory.Deps{
		TX: runner, Clock: clock.Func(time.Now), IDs: ids, Logger: slog.New(slog.DiscardHandler), Stores: r, Memories: r, Index: r, Versions: r,
		Embedder: w, Agents: agents{me},
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &env{s, r, runner, t.Context(), sc, me, w}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b id.MemoryStore) bool { return a == b }),
		cmp.Comparer(func(a, b id.Memory) bool { return a == b }), cmp.Comparer(func(a, b id.MemoryVersion) bool { return a == b }),
		cmp.Comparer(func(a, b id.Agent) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b }),
		cmp.Comparer(func(a, b memory.Actor) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v; want %v", what, err, want)
	}
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (e *env) store(t *testing.T, name string) id.MemoryStore {
	t.Helper()
	return must(e.CreateStore(e.ctx, e.sc, memory.NewStore{Name: name}))(t).ID
}

func (e *env) put(t *testing.T, store id.MemoryStore, path, content string) memory.Memory {
	t.Helper()
	return must(e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: path, Content: content}))(t)
}

func (e *env) listed(t *testing.T, req memory.ListRequest) []string {
	t.Helper()
	got := []string{}
	for {
		p := must(e.List(e.ctx, e.sc, req))(t)
		for _, i := range p.Items {
			got = append(got, i.Memory.Path+i.Prefix)
		}
		if req.Cursor = p.Next; p.Next == "" {
			return got
		}
	}
}

func ptr[T any](v T) *T { return &v }

func stores(t *testing.T, e *env) {
	made := must(e.CreateStore(e.ctx, e.sc, memory.NewStore{
		Name: "It's \"a\" ? \\ ü", Description: "d", Agent: e.agent.ID, Metadata: map[string]string{"k": "it's ?"},
	}))(t)
	equal(t, made, must(e.Store(e.ctx, e.sc, made.ID))(t))
	_, err := e.CreateStore(e.ctx, e.sc, memory.NewStore{Name: "x", Agent: id.New[id.AgentKind](ids)})
	is(t, "an unknown agent", err, id.NotFound[id.AgentKind](""))
	for what, n := range map[string]memory.NewStore{
		"no name": {}, "blank": {Name: " "}, "long": {Name: strings.Repeat("x", 256)}, "control": {Name: "a\nb"}, "bad UTF-8": {Name: "\xff"},
		"description": {Name: "x", Description: strings.Repeat("x", 1025)}, "metadata": {Name: "x", Metadata: map[string]string{"": "x"}},
		"value": {Name: "x", Metadata: map[string]string{"k": strings.Repeat("x", 513)}},
	} {
		_, err := e.CreateStore(e.ctx, e.sc, n)
		is(t, what, err, memory.ErrInvalid)
	}
	next := must(e.UpdateStore(e.ctx, e.sc, made.ID, memory.StorePatch{
		Name: ptr("n"), Description: ptr(""), Agent: &id.Agent{}, Metadata: map[string]*string{"k": nil, "l": ptr("v")},
	}))(t)
	if next.Name != "n" || next.Description != "" || !next.Agent.IsZero() || next.Metadata["l"] != "v" || len(next.Metadata) != 1 ||
		!next.UpdatedAt.After(made.UpdatedAt) {
		t.Errorf("got %+v", next)
	}
	equal(t, next, must(e.UpdateStore(e.ctx, e.sc, made.ID, memory.StorePatch{}))(t))
	_, err = e.UpdateStore(e.ctx, e.sc, made.ID, memory.StorePatch{Name: ptr("")})
	is(t, "an empty name", err, memory.ErrInvalid)

	e.put(t, made.ID, "/a", "x")
	if err := e.DeleteStore(e.ctx, e.sc, made.ID); err != nil {
		t.Fatal(err)
	}
	_, err = e.Store(e.ctx, e.sc, made.ID)
	is(t, "a deleted store", err, id.NotFound[id.MemoryStoreKind](""))
	is(t, "deleting it again", e.DeleteStore(e.ctx, e.sc, made.ID), id.NotFound[id.MemoryStoreKind](""))
	if p := must(e.repo.ListVersions(e.ctx, e.sc, memory.ListVersions{Store: made.ID}))(t); len(p.Items) != 0 {
		t.Errorf("%d versions outlive their store", len(p.Items))
	}
	if hits := must(e.repo.Nearest(e.ctx, e.sc, made.ID, "words", must(e.words.Embed(e.ctx, []string{"x"}))(t)[0], 1))(t); len(hits) != 0 {
		t.Error("the index outlives its store")
	}
}

func storeLists(t *testing.T, e *env) {
	var want []string
	for i := range 5 {
		n := memory.NewStore{Name: fmt.Sprint(i)}
		if i%2 == 0 {
			n.Agent = e.agent.ID
		}
		want = append(want, must(e.CreateStore(e.ctx, e.sc, n))(t).Name)
	}
	slices.Reverse(want)
	names := func(req memory.ListStores) []string {
		t.Helper()
		name := func(s memory.Store) string { return s.Name }
		return pagetest.Walk(t, req.Limit, name, func(r page.Request) (page.Page[memory.Store], error) {
			req.Request = r
			return e.ListStores(e.ctx, e.sc, req)
		})
	}
	equal(t, want, names(memory.ListStores{Request: page.Request{Limit: 2}}))
	equal(t, []string{"4", "2", "0"}, names(memory.ListStores{Agent: e.agent.ID}))
	first := must(e.ListStores(e.ctx, e.sc, memory.ListStores{}))(t).Items[0]
	must(e.ArchiveStore(e.ctx, e.sc, first.ID))(t)
	equal(t, want[1:], names(memory.ListStores{}))
	equal(t, want, names(memory.ListStores{Archived: true}))
	equal(t, []string(nil), names(memory.ListStores{From: time.Now().Add(time.Hour)}))
	equal(t, want[1:], names(memory.ListStores{To: time.Now().Add(time.Hour)}))
	_, err := e.ListStores(e.ctx, e.sc, memory.ListStores{Request: page.Request{Cursor: "x"}})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v", err)
	}
}

func foreign(t *testing.T, e *env) {
	store := e.store(t, "mine")
	m := e.put(t, store, "/a", "secret")
	other := account.System(id.New[id.TenantKind](ids))
	another := e.store(t, "another")
	for name, c := range map[string]struct {
		sc    account.Scope
		store id.MemoryStore
		want  error
	}{
		"foreign":       {other, store, id.NotFound[id.MemoryStoreKind]("")},
		"unknown":       {e.sc, id.New[id.MemoryStoreKind](ids), id.NotFound[id.MemoryStoreKind]("")},
		"another store": {e.sc, another, nil},
	} {
		errs := map[string]error{}
		_, errs["memory"] = e.Memory(e.ctx, c.sc, c.store, m.ID)
		_, errs["update"] = e.Update(e.ctx, c.sc, c.store, m.ID, memory.Patch{Content: ptr("x")})
		errs["delete"] = e.Delete(e.ctx, c.sc, c.store, m.ID, nil, memory.Actor{})
		_, errs["version"] = e.Version(e.ctx, c.sc, c.store, m.Version)
		_, errs["redact"] = e.Redact(e.ctx, c.sc, c.store, m.Version)
		if c.want != nil {
			_, errs["store"] = e.Store(e.ctx, c.sc, c.store)
			_, errs["create"] = e.Create(e.ctx, c.sc, c.store, memory.NewMemory{Path: "/x"})
			_, _, errs["write"] = e.Write(e.ctx, c.sc, c.store, memory.NewMemory{Path: "/x"})
			_, errs["list"] = e.List(e.ctx, c.sc, memory.ListRequest{Store: c.store})
			_, errs["recent"] = e.Recent(e.ctx, c.sc, c.store, page.Request{})
			_, errs["versions"] = e.ListVersions(e.ctx, c.sc, memory.ListVersions{Store: c.store})
			_, errs["search"] = e.Search(e.ctx, c.sc, c.store, "secret", 1)
			_, errs["archive"] = e.ArchiveStore(e.ctx, c.sc, c.store)
		}
		for call, err := range errs {
			if fault.KindOf(err) != fault.NotFound || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v", name, call, err)
			}
		}
	}
	equal(t, m, must(e.Memory(e.ctx, e.sc, store, m.ID))(t))
	if p := must(e.ListStores(e.ctx, other, memory.ListStores{Archived: true}))(t); len(p.Items) != 0 {
		t.Errorf("the other tenant lists %+v", p.Items)
	}
}

func roundTrip(t *testing.T, e *env) {
	store := e.store(t, "s")
	for i, content := range []string{"", "it's ? \\ \"ü\"\n", strings.Repeat("ü", memory.MaxContent/2)} {
		m := e.put(t, store, fmt.Sprintf("/Ünïcode it's ?/%d.md", i), content)
		if m.Size != len(content) || m.Digest != memory.DigestOf(content) {
			t.Errorf("got %d bytes, %s", m.Size, m.Digest)
		}
		equal(t, m, must(e.Memory(e.ctx, e.sc, store, m.ID))(t))
	}
	if st := must(e.Store(e.ctx, e.sc, store))(t); st.Memories != 3 {
		t.Errorf("the store counts %d", st.Memories)
	}
	if d, ok := memory.ParseDigest(memory.DigestOf("x").String()); !ok || d != memory.DigestOf("x") {
		t.Error("a digest does not come back")
	}
}

func refusals(t *testing.T, e *env) {
	store := e.store(t, "s")
	for _, path := range []string{
		"", "a", "/", "/a/", "//a", "/a//b", "/./a", "/a/..", "/a\n", "/a\u200b", "/a\u2028b", "/e\u0301", "/\xff", "/" + strings.Repeat("x", 1024),
		strings.Repeat("/x", 21),
	} {
		_, err := e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: path})
		is(t, fmt.Sprintf("the path %q", path), err, memory.ErrInvalid)
	}
	for _, content := range []string{"\xff", "\x00", strings.Repeat("x", memory.MaxContent+1)} {
		_, err := e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: "/a", Content: content})
		is(t, fmt.Sprintf("the content %.10q", content), err, memory.ErrInvalid)
	}
	e.put(t, store, strings.Repeat("/x", 20), "as deep as may be")
	e.put(t, store, "/"+strings.Repeat("y", 1023), "as long as may be")
}

func paths(t *testing.T, e *env) {
	store := e.store(t, "s")
	m := e.put(t, store, "/notes/todo.md", "x")
	e.put(t, store, "/notes/todo.mdx", "a longer name is another path")
	e.put(t, store, "/Notes/todo.md", "case counts")
	for _, path := range []string{"/notes/todo.md", "/notes", "/notes/todo.md/more"} {
		_, err := e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: path})
		f, _ := fault.As(err)
		if !errors.Is(err, memory.ErrPathConflict) || f.Details["conflicting_memory_id"] != m.ID.String() || f.Details["conflicting_path"] != m.Path {
			t.Errorf("%s: %v, %v", path, err, f.Details)
		}
	}
	e.put(t, e.store(t, "other"), "/notes/todo.md", "another store")
	_, err := e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Path: ptr("/notes/todo.mdx")})
	is(t, "moving onto another", err, memory.ErrPathConflict)
	moved := must(e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Path: ptr("/notes/todo.md/deeper")}))(t)
	if moved.ID != m.ID || moved.Content != "x" || moved.Version == m.Version {
		t.Errorf("got %+v", moved)
	}
	if hits := must(e.Search(e.ctx, e.sc, store, "x", 1))(t); len(hits) != 1 || hits[0].Path != "/notes/todo.md/deeper" {
		t.Errorf("a moved memory is not found: %+v", hits)
	}
}

func updates(t *testing.T, e *env) {
	store := e.store(t, "s")
	m := e.put(t, store, "/a", "one")
	_, err := e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Content: ptr("two"), Expect: ptr(memory.DigestOf("other"))})
	is(t, "a wrong expectation", err, memory.ErrPrecondition)
	two := must(e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Content: ptr("two"), Expect: &m.Digest}))(t)
	equal(t, two, must(e.Memory(e.ctx, e.sc, store, m.ID))(t))
	if two.Content != "two" || two.Version == m.Version || !two.CreatedAt.Equal(m.CreatedAt) {
		t.Errorf("got %+v", two)
	}
	for what, p := range map[string]memory.Patch{
		"nothing": {}, "the same": {Content: ptr("two"), Path: ptr("/a")}, "the same, expecting else": {Content: ptr("two"), Expect: &m.Digest},
	} {
		equal(t, two, must(e.Update(e.ctx, e.sc, store, m.ID, p))(t))
		if p := must(e.ListVersions(e.ctx, e.sc, memory.ListVersions{Store: store}))(t); len(p.Items) != 2 {
			t.Errorf("%s: %d versions", what, len(p.Items))
		}
	}
	_, err = e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Path: ptr("x"), Content: ptr("\x00")})
	if f, _ := fault.As(err); f == nil || len(f.Fields) != 2 {
		t.Errorf("two faults: %v", err)
	}
	w, made, err := e.Write(e.ctx, e.sc, store, memory.NewMemory{Path: "/a", Content: "three"})
	if err != nil || made || w.ID != m.ID || w.Content != "three" {
		t.Errorf("got %+v, %v, %v", w, made, err)
	}
	if _, made, err = e.Write(e.ctx, e.sc, store, memory.NewMemory{Path: "/b", Content: "three"}); err != nil || !made {
		t.Errorf("got %v, %v", made, err)
	}
}

func deletes(t *testing.T, e *env) {
	store := e.store(t, "s")
	m := e.put(t, store, "/a", "one")
	is(t, "a wrong expectation", e.Delete(e.ctx, e.sc, store, m.ID, ptr(memory.DigestOf("x")), memory.Actor{}), memory.ErrPrecondition)
	if err := e.Delete(e.ctx, e.sc, store, m.ID, &m.Digest, memory.Actor{}); err != nil {
		t.Fatal(err)
	}
	_, err := e.Memory(e.ctx, e.sc, store, m.ID)
	is(t, "a deleted memory", err, id.NotFound[id.MemoryKind](""))
	is(t, "deleting it again", e.Delete(e.ctx, e.sc, store, m.ID, nil, memory.Actor{}), id.NotFound[id.MemoryKind](""))
	if hits := must(e.Search(e.ctx, e.sc, store, "one", 1))(t); len(hits) != 0 {
		t.Errorf("a deleted memory is found: %+v", hits)
	}
	if st := must(e.Store(e.ctx, e.sc, store))(t); st.Memories != 0 {
		t.Errorf("the store counts %d", st.Memories)
	}
	e.put(t, store, "/a", "again")
}

func archived(t *testing.T, e *env) {
	store := e.store(t, "s")
	m, other := e.put(t, store, "/a", "one"), e.put(t, store, "/b", "two")
	st := must(e.ArchiveStore(e.ctx, e.sc, store))(t)
	equal(t, st, must(e.ArchiveStore(e.ctx, e.sc, store))(t))
	errs := map[string]error{}
	_, errs["create"] = e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: "/c"})
	_, errs["update"] = e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Content: ptr("x")})
	_, errs["move"] = e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Path: ptr("/x")})
	_, _, errs["write"] = e.Write(e.ctx, e.sc, store, memory.NewMemory{Path: "/c"})
	_, errs["rename"] = e.UpdateStore(e.ctx, e.sc, store, memory.StorePatch{Name: ptr("x")})
	_, _, errs["describe"] = e.DescribeStore(e.ctx, e.sc, store)
	for call, err := range errs {
		is(t, call, err, memory.ErrArchived)
	}
	if hits := must(e.Search(e.ctx, e.sc, store, "two", 1))(t); len(hits) != 1 || hits[0].ID != other.ID {
		t.Errorf("got %+v", hits)
	}
	if err := e.Delete(e.ctx, e.sc, store, m.ID, nil, memory.Actor{}); err != nil {
		t.Error(err)
	}
	if _, err := e.Redact(e.ctx, e.sc, store, m.Version); err != nil {
		t.Error(err)
	}
}

func lists(t *testing.T, e *env) {
	store := e.store(t, "s")
	all := []string{"/Z", "/a/b/c", "/a/b/d", "/a/e", "/a-b", "/a0", "/n/1/x/y", "/n/1/x/z", "/n/2", "/ä"}
	for _, path := range all {
		e.put(t, store, path, "content of "+path)
	}
	slices.Sort(all)
	for _, c := range []struct {
		prefix string
		depth  int
		want   []string
	}{
		{"", 0, all},
		{"/", 0, all},
		{"/a/", 0, []string{"/a/b/c", "/a/b/d", "/a/e"}},
		{"/a", 0, []string{"/a/b/c", "/a/b/d", "/a/e"}},
		{"/a/e", 0, []string{"/a/e"}},
		{"/a/e/", 0, []string{}},
		{"/none/", 0, []string{}},
		{"", 1, []string{"/Z", "/a-b", "/a/", "/a0", "/n/", "/ä"}},
		{"/a/", 1, []string{"/a/b/", "/a/e"}},
		{"", 2, []string{"/Z", "/a-b", "/a/b/", "/a/e", "/a0", "/n/1/", "/n/2", "/ä"}},
		{"/n", 2, []string{"/n/1/x/", "/n/2"}},
		{"", 3, []string{"/Z", "/a-b", "/a/b/c", "/a/b/d", "/a/e", "/a0", "/n/1/x/", "/n/2", "/ä"}},
	} {
		for _, limit := range []int{1, 2, 3, 100} {
			got := e.listed(t, memory.ListRequest{Request: page.Request{Limit: limit}, Store: store, Prefix: c.prefix, Depth: c.depth})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%q to the depth %d by %d (-want +got):\n%s", c.prefix, c.depth, limit, diff)
			}
		}
	}
	for _, brief := range []bool{true, false} {
		p := must(e.List(e.ctx, e.sc, memory.ListRequest{Store: store, Prefix: "/a/e", Full: !brief}))(t)
		if (p.Items[0].Memory.Content == "") != brief || p.Items[0].Memory.Size == 0 {
			t.Errorf("got %+v", p.Items[0])
		}
	}
	for i := range 25 {
		e.put(t, store, fmt.Sprintf("/many/%02d", i), "x")
	}
	if p := must(e.List(e.ctx, e.sc, memory.ListRequest{Request: page.Request{Limit: 100}, Store: store, Full: true}))(t); len(p.Items) != 20 || p.Next == "" {
		t.Errorf("a page of contents has %d", len(p.Items))
	}
	for _, req := range []memory.ListRequest{
		{Prefix: "x"}, {Prefix: "//"}, {Prefix: "/a/../"}, {Depth: -1}, {Depth: 21}, {Request: page.Request{Cursor: "x"}},
		{Request: page.Request{Cursor: "WyJ4IiwieCJd"}},
	} {
		req.Store = store
		if _, err := e.List(e.ctx, e.sc, req); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", req, err)
		}
	}
}

func recent(t *testing.T, e *env) {
	store := e.store(t, "s")
	a, _ := e.put(t, store, "/a", "1"), e.put(t, store, "/b", "2")
	e.put(t, store, "/c", "3")
	must(e.Update(e.ctx, e.sc, store, a.ID, memory.Patch{Content: ptr("4")}))(t)
	text := func(m memory.Memory) string { return m.Path + m.Content }
	got := pagetest.Walk(t, 1, text, func(req page.Request) (page.Page[memory.Memory], error) { return e.Recent(e.ctx, e.sc, store, req) })
	equal(t, []string{"/a4", "/c3", "/b2"}, got)
}

func versions(t *testing.T, e *env) {
	store := e.store(t, "s")
	sess := memory.Actor{Session: id.New[id.SessionKind](ids)}
	m := e.put(t, store, "/a", "one")
	two := must(e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Content: ptr("two"), By: sess}))(t)
	moved := must(e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Path: ptr("/b")}))(t)
	if err := e.Delete(e.ctx, e.sc, store, m.ID, nil, sess); err != nil {
		t.Fatal(err)
	}
	other := e.put(t, store, "/other", "x")
	key := memory.Actor{Key: e.sc.Key}
	list := func(req memory.ListVersions) string {
		t.Helper()
		req.Store = store
		text := func(v memory.Version) string { return fmt.Sprintf("%s %s %q", v.Operation, v.Path, v.Content) }
		return strings.Join(pagetest.Walk(t, req.Limit, text, func(r page.Request) (page.Page[memory.Version], error) {
			req.Request = r
			return e.ListVersions(e.ctx, e.sc, req)
		}), ", ")
	}
	equal(t, `created /other "x", deleted /b "", modified /b "two", modified /a "two", created /a "one"`,
		list(memory.ListVersions{Full: true, Request: page.Request{Limit: 2}}))
	equal(t, `deleted /b "", modified /b "", modified /a "", created /a ""`, list(memory.ListVersions{Memory: m.ID}))
	equal(t, `modified /b "", modified /a ""`, list(memory.ListVersions{Operation: memory.Modified}))
	equal(t, `deleted /b "", modified /a ""`, list(memory.ListVersions{By: sess}))
	equal(t, `created /other "", modified /b "", created /a ""`, list(memory.ListVersions{By: key}))
	equal(t, "", list(memory.ListVersions{To: time.Now().Add(-time.Hour)}))
	equal(t, `created /other ""`, list(memory.ListVersions{From: other.CreatedAt}))
	equal(t, memory.Version{
		ID: two.Version, Memory: m.ID, Store: store, Operation: memory.Modified, Path: "/a", Stated: true, Content: "two", Digest: two.Digest, Size: 3,
		By: sess, CreatedAt: two.UpdatedAt,
	}, must(e.Version(e.ctx, e.sc, store, two.Version))(t))
	if v := must(e.Version(e.ctx, e.sc, store, moved.Version))(t); v.By != key || v.Content != "two" {
		t.Errorf("got %+v", v)
	}
	_, err := e.Version(e.ctx, e.sc, store, id.New[id.MemoryVersionKind](ids))
	is(t, "an unknown version", err, id.NotFound[id.MemoryVersionKind](""))
}

func redaction(t *testing.T, e *env) {
	store := e.store(t, "s")
	m := e.put(t, store, "/a", "secret")
	_, err := e.Redact(e.ctx, e.sc, store, m.Version)
	is(t, "what the memory says", err, memory.ErrCurrent)
	must(e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Content: ptr("harmless")}))(t)
	v := must(e.Redact(e.ctx, e.sc, store, m.Version))(t)
	if v.Stated || v.Content != "" || v.Path != "" || v.RedactedAt == nil || v.RedactedBy.Key != e.sc.Key || v.By.Key != e.sc.Key || v.Size != 0 ||
		v.Operation != memory.Created || !v.CreatedAt.Equal(m.CreatedAt) {
		t.Errorf("got %+v", v)
	}
	equal(t, v, must(e.Version(e.ctx, e.sc, store, m.Version))(t))
	equal(t, v, must(e.Redact(e.ctx, e.sc, store, m.Version))(t))
}

func limits(t *testing.T, e *env) {
	e = newEnv(t, e.repo, e.tx, e.sc, e.agent, e.words, memory.Config{MaxMemories: 2})
	store := e.store(t, "s")
	a := e.put(t, store, "/a", "")
	e.put(t, store, "/b", "")
	_, err := e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: "/c"})
	is(t, "one too many", err, memory.ErrFull)
	must(e.Update(e.ctx, e.sc, store, a.ID, memory.Patch{Content: ptr("x")}))(t)
	if err := e.Delete(e.ctx, e.sc, store, a.ID, nil, memory.Actor{}); err != nil {
		t.Fatal(err)
	}
	e.put(t, store, "/c", "")
}

func search(t *testing.T, e *env) {
	store := e.store(t, "s")
	if hits := must(e.Search(e.ctx, e.sc, store, "x", 0))(t); len(hits) != 0 {
		t.Errorf("an empty store finds %+v", hits)
	}
	tea := e.put(t, store, "/tea", "ada drinks green tea")
	e.put(t, store, "/coffee", "bob drinks coffee")
	e.put(t, store, "/empty", "")
	long := e.put(t, store, "/long", strings.Repeat("filler ", 3000)+strings.Repeat("zebra crossing ", 100)+strings.Repeat("more ", 3000))
	hits := must(e.Search(e.ctx, e.sc, store, "ada drinks green tea", 10))(t)
	if len(hits) != 3 || hits[0].ID != tea.ID || hits[0].Score < 0.999 || hits[0].Content != tea.Content || hits[1].Path != "/coffee" ||
		hits[1].Score >= hits[0].Score {
		t.Errorf("got %d, first %s with %g", len(hits), hits[0].Path, hits[0].Score)
	}
	hits = must(e.Search(e.ctx, e.sc, store, "zebra crossing", 1))(t)
	if len(hits) != 1 || hits[0].ID != long.ID {
		t.Errorf("the middle of a long text is not found, but %s", hits[0].Path)
	}
	must(e.Update(e.ctx, e.sc, store, tea.ID, memory.Patch{Content: ptr("ada moved to oslo")}))(t)
	if hits = must(e.Search(e.ctx, e.sc, store, "ada moved to oslo", 1))(t); hits[0].ID != tea.ID || hits[0].Score < 0.999 {
		t.Errorf("got %+v", hits)
	}
	if hits = must(e.Search(e.ctx, e.sc, store, "green tea", 1))(t); hits[0].Score > 0.5 {
		t.Errorf("what was replaced is found: %+v", hits)
	}
	for _, c := range []struct {
		query string
		limit int
	}{{"", 1}, {" ", 1}, {"x", -1}, {"x", 101}, {strings.Repeat("x", 4001), 1}} {
		_, err := e.Search(e.ctx, e.sc, store, c.query, c.limit)
		is(t, fmt.Sprintf("%.10q by %d", c.query, c.limit), err, memory.ErrInvalid)
	}
}

// searchCatchesUp checks that what could not be embedded when it was written is found later, by another embedder too.
func searchCatchesUp(t *testing.T, e *env) {
	store := e.store(t, "s")
	e.words.away.Store(true)
	m := e.put(t, store, "/a", "ada drinks tea")
	_, err := e.Search(e.ctx, e.sc, store, "tea", 1)
	is(t, "a search without an embedder", err, embedding.ErrUnavailable)
	e.words.away.Store(false)
	if hits := must(e.Search(e.ctx, e.sc, store, "ada drinks tea", 1))(t); len(hits) != 1 || hits[0].ID != m.ID {
		t.Errorf("got %+v", hits)
	}
	other := newEnv(t, e.repo, e.tx, e.sc, e.agent, &words{name: "others"}, memory.Config{})
	if hits := must(other.Search(e.ctx, e.sc, store, "ada drinks tea", 1))(t); len(hits) != 1 || hits[0].Score < 0.999 {
		t.Errorf("got %+v", hits)
	}
}

func twoWriters(t *testing.T, e *env) {
	store := e.store(t, "s")
	m := e.put(t, store, "/a", "0")
	const writers, each = 4, 5
	var wg sync.WaitGroup
	for writer := range writers {
		wg.Go(func() {
			for done := 0; done < each; {
				now, err := e.Memory(e.ctx, e.sc, store, m.ID)
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				_, _ = fmt.Sscan(now.Content, &n)
				// What is there already is no conflict, so that each writes something else.
				next := fmt.Sprintf("%d by %d", n+1, writer)
				_, err = e.Update(e.ctx, e.sc, store, m.ID, memory.Patch{Content: &next, Expect: &now.Digest})
				switch {
				case err == nil:
					done++
				case !errors.Is(err, memory.ErrPrecondition):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if now := must(e.Memory(e.ctx, e.sc, store, m.ID))(t); !strings.HasPrefix(now.Content, fmt.Sprint(writers*each, " by")) {
		t.Errorf("%d updates made it %s", writers*each, now.Content)
	}
	if p := must(e.ListVersions(e.ctx, e.sc, memory.ListVersions{Request: page.Request{Limit: 100}, Store: store}))(t); len(p.Items) != writers*each+1 {
		t.Errorf("%d versions", len(p.Items))
	}
}

func onePathAtOnce(t *testing.T, e *env) {
	store := e.store(t, "s")
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			path := "/a"
			if i%2 == 1 {
				path = "/a/b"
			}
			switch _, err := e.Create(e.ctx, e.sc, store, memory.NewMemory{Path: path, Content: fmt.Sprint(i)}); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, memory.ErrPathConflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d were made, %d refused", made.Load(), refused.Load())
	}
	if st := must(e.Store(e.ctx, e.sc, store))(t); st.Memories != 1 {
		t.Errorf("the store counts %d", st.Memories)
	}
}

func rollback(t *testing.T, e *env) {
	store := e.store(t, "s")
	oops := errors.New("oops")
	err := e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.repo.Lock(ctx, e.sc, store); err != nil {
			return err
		}
		m := memory.Memory{
			ID: id.New[id.MemoryKind](ids), Store: store, Version: id.New[id.MemoryVersionKind](ids), Path: "/a", Digest: memory.DigestOf(""),
			CreatedAt: clock.Stored(time.Now()), UpdatedAt: clock.Stored(time.Now()),
		}
		if err := e.repo.Put(ctx, e.sc, m, &memory.Vectors{}); err != nil {
			return err
		}
		return oops
	})
	is(t, "the transaction", err, oops)
	if st := must(e.Store(e.ctx, e.sc, store))(t); st.Memories != 0 {
		t.Errorf("the store counts %d", st.Memories)
	}
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.ListStores(ctx, e.sc, memory.ListStores{})
	is(t, "a list", err, context.Canceled)
}
