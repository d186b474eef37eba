// Package filetest is the conformance suite of file.Repository and file.Sessions.
package filetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store interface {
	file.Repository
	file.Sessions
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, tx.Runner)
	// Session stores a session and returns it with what deletes it, and what destroys it with all its traces.
	Session func(t *testing.T, s Store, sc account.Scope) (v id.Session, remove, destroy func())
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	cfg Config
	tx  tx.Runner
	ctx context.Context
	sc  account.Scope
	now time.Time
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":        roundTrip,
		"pending":           pending,
		"missing":           func(t *testing.T, e *env) { nothing(t, e, e.sc, id.New[id.FileKind](ids)) },
		"foreign tenant":    foreign,
		"duplicate":         duplicate,
		"rollback":          rollback,
		"totals":            totals,
		"totals race":       totalsRace,
		"remove":            remove,
		"list":              list,
		"list filters":      filters,
		"places":            places,
		"sessions":          sessions,
		"garbage":           garbage,
		"cancelled context": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := cfg.New(t)
			fn(t, &env{s, cfg, r, t.Context(), account.System(id.New[id.TenantKind](ids)), clock.Stored(time.Now())})
		})
	}
}

func (e *env) file(name string) file.File {
	return file.File{
		ID: id.New[id.FileKind](ids), Tenant: e.sc.Tenant, Name: name, MediaType: "text/plain", Size: 10, SHA256: [32]byte{1, 2, 3},
		CreatedAt: e.now,
	}
}

// store stores files.
func (e *env) store(t *testing.T, all ...file.File) {
	t.Helper()
	for _, f := range all {
		noError(t, e.Begin(e.ctx, e.sc, f.ID, f.CreatedAt))
		_, err := e.Keep(e.ctx, e.sc, f)
		noError(t, err)
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(id.File{}, id.Tenant{}, id.Session{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
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

var notFound = id.NotFound[id.FileKind]("")

func roundTrip(t *testing.T, e *env) {
	session, _, _ := e.cfg.Session(t, e.Store, e.sc)
	expires := e.now.Add(time.Hour)
	full := e.file("Büro ? 'x'.txt")
	full.Session, full.Output, full.Downloadable, full.ExpiresAt, full.Size = session, true, true, &expires, 1<<40
	for _, want := range []file.File{full, e.file("plain")} {
		e.store(t, want)
		got, err := e.Get(e.ctx, e.sc, want.ID)
		noError(t, err)
		equal(t, want, got)
	}
}

func pending(t *testing.T, e *env) {
	f := e.file("a")
	noError(t, e.Begin(e.ctx, e.sc, f.ID, e.now))
	_, err := e.Get(e.ctx, e.sc, f.ID)
	is(t, err, notFound)
	equal(t, 0, len(e.names(t, file.ListRequest{})))
	is(t, e.Remove(e.ctx, e.sc, f.ID), notFound)
	_, err = e.Keep(e.ctx, e.sc, f)
	noError(t, err)
	_, err = e.Keep(e.ctx, e.sc, f)
	is(t, err, notFound)
	noError(t, e.Forget(e.ctx, e.sc, f.ID))
	_, err = e.Get(e.ctx, e.sc, f.ID)
	noError(t, err) // what is ready is not forgotten
}

// nothing checks that every method answers as if the file did not exist.
func nothing(t *testing.T, e *env, sc account.Scope, of id.File) {
	t.Helper()
	_, err := e.Get(e.ctx, sc, of)
	is(t, err, notFound)
	is(t, e.Remove(e.ctx, sc, of), notFound)
	v := e.file("a")
	v.ID = of
	_, err = e.Keep(e.ctx, sc, v)
	is(t, err, notFound)
	noError(t, e.Forget(e.ctx, sc, of))
	p, err := e.List(e.ctx, sc, file.ListRequest{IDs: []id.File{of}}, e.now)
	noError(t, err)
	equal(t, 0, len(p.Items))
}

func foreign(t *testing.T, e *env) {
	f, waiting := e.file("a"), e.file("b")
	e.store(t, f)
	noError(t, e.Begin(e.ctx, e.sc, waiting.ID, e.now))
	other := account.System(id.New[id.TenantKind](ids))
	nothing(t, e, other, f.ID)
	nothing(t, e, other, waiting.ID)
	_, err := e.Keep(e.ctx, e.sc, waiting)
	noError(t, err)
	session, _, _ := e.cfg.Session(t, e.Store, e.sc)
	is(t, e.Exists(e.ctx, other, session), id.NotFound[id.SessionKind](""))
	p, err := e.List(e.ctx, other, file.ListRequest{}, e.now)
	noError(t, err)
	equal(t, 0, len(p.Items))
}

func duplicate(t *testing.T, e *env) {
	f := e.file("a")
	e.store(t, f)
	is(t, e.Begin(e.ctx, e.sc, f.ID, e.now), file.ErrExists)
}

func rollback(t *testing.T, e *env) {
	f := e.file("a")
	noError(t, e.Begin(e.ctx, e.sc, f.ID, e.now))
	boom := errors.New("boom")
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Keep(ctx, e.sc, f)
		noError(t, err)
		return boom
	}), boom)
	_, err := e.Get(e.ctx, e.sc, f.ID)
	is(t, err, notFound)
	total, err := e.Keep(e.ctx, e.sc, f)
	noError(t, err)
	equal(t, f.Size, total)
}

// totals checks the sum that quotas are held against.
func totals(t *testing.T, e *env) {
	a, b := e.file("a"), e.file("b")
	b.Size = 100
	e.store(t, a)
	is(t, e.Remove(e.ctx, e.sc, b.ID), notFound) // and takes nothing off
	noError(t, e.Begin(e.ctx, e.sc, b.ID, e.now))
	total, err := e.Keep(e.ctx, e.sc, b)
	noError(t, err)
	equal(t, int64(110), total)
	noError(t, e.Remove(e.ctx, e.sc, a.ID))
	is(t, e.Remove(e.ctx, e.sc, a.ID), notFound)
	noError(t, e.Forget(e.ctx, e.sc, a.ID))
	c := e.file("c")
	noError(t, e.Begin(e.ctx, e.sc, c.ID, e.now))
	total, err = e.Keep(e.ctx, e.sc, c)
	noError(t, err)
	equal(t, int64(110), total)
}

// totalsRace checks that a limit which callers check against the sum holds when they come at once.
func totalsRace(t *testing.T, e *env) {
	full := errors.New("full")
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			f := e.file("a")
			if err := e.Begin(e.ctx, e.sc, f.ID, e.now); err != nil {
				t.Error(err)
			}
			if err := e.tx.Do(e.ctx, func(ctx context.Context) error {
				total, err := e.Keep(ctx, e.sc, f)
				if err == nil && total > 50 {
					err = full
				}
				return err
			}); err != nil && !errors.Is(err, full) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, 5, len(e.names(t, file.ListRequest{})))
}

func remove(t *testing.T, e *env) {
	f := e.file("a")
	e.store(t, f)
	noError(t, e.Remove(e.ctx, e.sc, f.ID))
	nothing(t, e, e.sc, f.ID)
	e.store(t, e.file("b"))
	equal(t, []string{"b"}, e.names(t, file.ListRequest{}))
}

func (e *env) names(t *testing.T, req file.ListRequest) []string {
	t.Helper()
	p, err := e.List(e.ctx, e.sc, req, e.now)
	noError(t, err)
	var out []string
	for _, f := range p.Items {
		out = append(out, f.Name)
	}
	return out
}

func list(t *testing.T, e *env) {
	var want []string
	for i := range 5 {
		f := e.file(fmt.Sprint(i))
		e.store(t, f)
		want = append(want, f.Name)
	}
	for _, oldFirst := range []bool{true, false} {
		for limit := 1; limit <= 6; limit++ {
			name := func(f file.File) string { return f.Name }
			equal(t, want, pagetest.Walk(t, limit, name, func(req page.Request) (page.Page[file.File], error) {
				p, err := e.List(e.ctx, e.sc, file.ListRequest{Request: req, OldFirst: oldFirst}, e.now)
				equal(t, p.Next != "", p.More)
				return p.Page, err
			}))
		}
		slices.Reverse(want)
	}
	_, err := e.List(e.ctx, e.sc, file.ListRequest{Request: page.Request{Cursor: "nonsense"}}, e.now)
	equal(t, fault.Invalid, fault.KindOf(err))
}

func filters(t *testing.T, e *env) {
	session, _, _ := e.cfg.Session(t, e.Store, e.sc)
	a, b, c, d := e.file("a"), e.file("b"), e.file("c"), e.file("d")
	b.Session = session
	c.Session, c.Output = session, true
	past, soon := e.now, e.now.Add(time.Microsecond)
	d.ExpiresAt = &soon
	e.store(t, a, b, c, d)
	gone := e.file("gone")
	gone.ExpiresAt = &past
	e.store(t, gone)
	for _, v := range []struct {
		req  file.ListRequest
		want []string
	}{
		{file.ListRequest{}, []string{"d", "c", "b", "a"}},
		{file.ListRequest{Session: session}, []string{"c", "b"}},
		{file.ListRequest{Session: session, Outputs: true}, []string{"c"}},
		{file.ListRequest{Session: id.New[id.SessionKind](ids)}, nil},
		{file.ListRequest{Name: "b"}, []string{"b"}},
		{file.ListRequest{Name: "b\x00\xff"}, nil},
		{file.ListRequest{IDs: []id.File{a.ID, c.ID, a.ID, id.New[id.FileKind](ids), gone.ID}}, []string{"c", "a"}},
		{file.ListRequest{IDs: []id.File{}}, nil},
	} {
		equal(t, v.want, e.names(t, v.req))
	}
	got, err := e.Get(e.ctx, e.sc, gone.ID) // Get leaves it to the caller to say so
	noError(t, err)
	equal(t, gone, got)
}

// places checks the pages around given files.
func places(t *testing.T, e *env) {
	var all []file.File
	for i := range 6 {
		all = append(all, e.file(fmt.Sprint(i)))
	}
	e.store(t, all...)
	noError(t, e.Remove(e.ctx, e.sc, all[3].ID)) // a place outlives its file
	for _, v := range []struct {
		req  file.ListRequest
		want []string
		more bool
	}{
		{file.ListRequest{After: all[4].ID}, []string{"2", "1"}, true},
		{file.ListRequest{After: all[3].ID}, []string{"2", "1"}, true},
		{file.ListRequest{After: all[1].ID}, []string{"0"}, false},
		{file.ListRequest{After: all[0].ID}, nil, false},
		{file.ListRequest{Before: all[0].ID}, []string{"2", "1"}, true},
		{file.ListRequest{Before: all[3].ID}, []string{"5", "4"}, false},
		{file.ListRequest{Before: all[4].ID}, []string{"5"}, false},
		{file.ListRequest{Before: all[5].ID}, nil, false},
		{file.ListRequest{After: all[1].ID, OldFirst: true}, []string{"2", "4"}, true},
		{file.ListRequest{Before: all[4].ID, OldFirst: true}, []string{"1", "2"}, true},
	} {
		v.req.Limit = 2
		p, err := e.List(e.ctx, e.sc, v.req, e.now)
		noError(t, err)
		equal(t, v.want, e.names(t, v.req))
		equal(t, v.more, p.More)
	}
}

// sessions checks that files go with theirs.
func sessions(t *testing.T, e *env) {
	is(t, e.Exists(e.ctx, e.sc, id.New[id.SessionKind](ids)), id.NotFound[id.SessionKind](""))
	for _, destroyed := range []bool{false, true} {
		session, del, destroy := e.cfg.Session(t, e.Store, e.sc)
		noError(t, e.Exists(e.ctx, e.sc, session))
		f := e.file("a")
		f.Session = session
		e.store(t, f)
		if destroyed {
			destroy()
		} else {
			del()
		}
		is(t, e.Exists(e.ctx, e.sc, session), id.NotFound[id.SessionKind](""))
		_, err := e.Get(e.ctx, e.sc, f.ID)
		is(t, err, notFound)
		equal(t, 0, len(e.names(t, file.ListRequest{})))
		equal(t, []file.Garbage{{Tenant: e.sc.Tenant, ID: f.ID, Ready: true}}, e.garbage(t))
		noError(t, e.Remove(e.ctx, e.sc, f.ID))
		noError(t, e.Forget(e.ctx, e.sc, f.ID))
		equal(t, 0, len(e.garbage(t)))
	}
}

// garbage returns what is to be removed of the suite's own tenant, which shares the store with others.
func (e *env) garbage(t *testing.T) []file.Garbage {
	t.Helper()
	all, err := e.Garbage(e.ctx, e.now, e.now.Add(-time.Hour), 10_000)
	noError(t, err)
	return slices.DeleteFunc(all, func(g file.Garbage) bool { return g.Tenant != e.sc.Tenant })
}

func garbage(t *testing.T, e *env) {
	past, future := e.now, e.now.Add(time.Microsecond)
	kept, old, fresh, gone, expired, later := e.file("a"), e.file("b"), e.file("c"), e.file("d"), e.file("e"), e.file("f")
	expired.ExpiresAt, later.ExpiresAt = &past, &future
	e.store(t, kept, gone, expired, later)
	noError(t, e.Remove(e.ctx, e.sc, gone.ID))
	noError(t, e.Begin(e.ctx, e.sc, old.ID, e.now.Add(-time.Hour-time.Second)))
	noError(t, e.Begin(e.ctx, e.sc, fresh.ID, e.now.Add(-time.Hour)))
	g := func(f file.File, ready bool) file.Garbage {
		return file.Garbage{Tenant: e.sc.Tenant, ID: f.ID, Ready: ready}
	}
	got := e.garbage(t)
	slices.SortFunc(got, func(a, b file.Garbage) int { return slices.Compare([]byte(a.ID.String()), []byte(b.ID.String())) })
	equal(t, []file.Garbage{g(old, false), g(gone, false), g(expired, true)}, got)
	some, err := e.Garbage(e.ctx, e.now, e.now, 1)
	noError(t, err)
	equal(t, 1, len(some))
	for _, f := range []file.File{old, gone} {
		noError(t, e.Forget(e.ctx, e.sc, f.ID))
		noError(t, e.Forget(e.ctx, e.sc, f.ID))
	}
	equal(t, []file.Garbage{g(expired, true)}, e.garbage(t))
}

func cancelled(t *testing.T, e *env) {
	f := e.file("a")
	e.store(t, f)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Get(ctx, e.sc, f.ID)
	is(t, err, context.Canceled)
	is(t, e.Remove(ctx, e.sc, f.ID), context.Canceled)
}
