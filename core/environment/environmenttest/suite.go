// Package environmenttest is the conformance suite of environment.Repository and environment.Sessions.
package environmenttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store interface {
	environment.Repository
	environment.Sessions
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, tx.Runner)
	// Session stores a session with an environment and returns what ends it: archive, otherwise delete.
	Session func(t *testing.T, s Store, sc account.Scope, of id.Environment) (end func(archive bool))
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	cfg Config
	tx  tx.Runner
	ctx context.Context
	sc  account.Scope
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":        roundTrip,
		"missing":           func(t *testing.T, e *env) { nothing(t, e, e.sc, id.New[id.EnvironmentKind](ids)) },
		"foreign tenant":    foreign,
		"duplicate":         duplicate,
		"update":            update,
		"rollback":          rollback,
		"two writers":       twoWriters,
		"holding":           holding,
		"list":              list,
		"delete":            remove,
		"sessions":          sessions,
		"cancelled context": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := cfg.New(t)
			fn(t, &env{s, cfg, r, t.Context(), account.System(id.New[id.TenantKind](ids))})
		})
	}
}

// Full returns an environment that uses every field.
func Full(sc account.Scope) environment.Environment {
	now := clock.Stored(time.Now())
	return environment.Environment{
		ID: id.New[id.EnvironmentKind](ids), Tenant: sc.Tenant, Name: "Büro ? 'x'", Description: "line\nline \u2028",
		Scope: environment.Account, Metadata: map[string]string{"a": "b ?", "é": ""}, CreatedAt: now, UpdatedAt: now,
		Config: environment.Config{
			Type: environment.Cloud,
			Networking: environment.Networking{
				Type: environment.Limited, AllowedHosts: []string{"api.example.com", "*.example.org"}, AllowMCPServers: true,
				AllowPackageManagers: true,
			},
			Packages: environment.Packages{
				Apt: []string{"ffmpeg"}, Cargo: []string{"ripgrep"}, Gem: []string{"rails:7"}, Go: []string{"example.com/x@v1"},
				Npm: []string{"@a/b@1", "c"}, Pip: []string{"x==1"},
			},
		},
	}
}

func named(sc account.Scope, name string) environment.Environment {
	now := clock.Stored(time.Now())
	return environment.Environment{
		ID: id.New[id.EnvironmentKind](ids), Tenant: sc.Tenant, Name: name, Scope: environment.Organization,
		Config: environment.Config{Type: environment.SelfHosted}, CreatedAt: now, UpdatedAt: now,
	}
}

func (e *env) insert(t *testing.T, all ...environment.Environment) {
	t.Helper()
	for _, v := range all {
		noError(t, e.Insert(e.ctx, e.sc, v))
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(id.Environment{}, id.Tenant{})); diff != "" {
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

var notFound = id.NotFound[id.EnvironmentKind]("")

func roundTrip(t *testing.T, e *env) {
	for _, want := range []environment.Environment{Full(e.sc), named(e.sc, "plain")} {
		e.insert(t, want)
		got, err := e.Get(e.ctx, e.sc, want.ID)
		noError(t, err)
		equal(t, want, got)
		noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
			got, err = e.Hold(ctx, e.sc, want.ID)
			return err
		}))
		equal(t, want, got)
	}
}

// nothing checks that every method answers as if the environment did not exist.
func nothing(t *testing.T, e *env, sc account.Scope, of id.Environment) {
	t.Helper()
	_, err := e.Get(e.ctx, sc, of)
	is(t, err, notFound)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Hold(ctx, sc, of)
		return err
	}), notFound)
	_, err = e.Update(e.ctx, sc, of, func(*environment.Environment) error { t.Error("changed"); return nil })
	is(t, err, notFound)
	is(t, e.Delete(e.ctx, sc, of, func(context.Context) error { t.Error("asked"); return nil }), notFound)
	p, err := e.List(e.ctx, sc, environment.ListRequest{Archived: true})
	noError(t, err)
	equal(t, 0, len(p.Items))
}

func foreign(t *testing.T, e *env) {
	v := Full(e.sc)
	e.insert(t, v)
	nothing(t, e, account.System(id.New[id.TenantKind](ids)), v.ID)
}

func duplicate(t *testing.T, e *env) {
	v := named(e.sc, "a")
	e.insert(t, v)
	is(t, e.Insert(e.ctx, e.sc, v), environment.ErrExists)
	e.insert(t, named(e.sc, "a")) // twins of a name are allowed
}

func update(t *testing.T, e *env) {
	v := named(e.sc, "a")
	e.insert(t, v)
	want := Full(e.sc)
	want.ID, want.CreatedAt = v.ID, v.CreatedAt
	want.ArchivedAt = &want.UpdatedAt
	got, err := e.Update(e.ctx, e.sc, v.ID, func(x *environment.Environment) error { *x = want; return nil })
	noError(t, err)
	equal(t, want, got)
	got, err = e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, want, got)

	boom := errors.New("boom")
	_, err = e.Update(e.ctx, e.sc, v.ID, func(x *environment.Environment) error { x.Name = "b"; return boom })
	is(t, err, boom)
	got, err = e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, want, got)
}

func rollback(t *testing.T, e *env) {
	v := named(e.sc, "a")
	boom := errors.New("boom")
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		noError(t, e.Insert(ctx, e.sc, v))
		return boom
	}), boom)
	_, err := e.Get(e.ctx, e.sc, v.ID)
	is(t, err, notFound)
}

func twoWriters(t *testing.T, e *env) {
	v := named(e.sc, "")
	e.insert(t, v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := e.Update(e.ctx, e.sc, v.ID, func(x *environment.Environment) error { x.Name += "x"; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, "xxxxxxxx", got.Name)
}

// holding checks that whoever deletes waits for those who hold.
func holding(t *testing.T, e *env) {
	v := named(e.sc, "a")
	e.insert(t, v)
	held, ended := make(chan struct{}), make(chan struct{})
	deleted := make(chan error, 1)
	go func() {
		<-held
		deleted <- e.Delete(e.ctx, e.sc, v.ID, func(context.Context) error {
			select {
			case <-ended:
				return nil
			default:
				return errors.New("deleted while a transaction held the environment")
			}
		})
	}()
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Hold(ctx, e.sc, v.ID); err != nil {
			return err
		}
		close(held)
		for range 20 { // give a deletion that does not wait every chance
			if _, err := e.Hold(ctx, e.sc, v.ID); err != nil {
				return err
			}
		}
		close(ended)
		return nil
	}))
	noError(t, <-deleted)
}

func list(t *testing.T, e *env) {
	var want []string
	for i := range 5 {
		v := named(e.sc, fmt.Sprint(i))
		if i == 2 {
			v.ArchivedAt = &v.CreatedAt
		}
		e.insert(t, v)
		want = append([]string{v.Name}, want...)
	}
	for limit := 1; limit <= 6; limit++ {
		name := func(v environment.Environment) string { return v.Name }
		equal(t, want, pagetest.Walk(t, limit, name, func(req page.Request) (page.Page[environment.Environment], error) {
			return e.List(e.ctx, e.sc, environment.ListRequest{Request: req, Archived: true})
		}))
	}
	p, err := e.List(e.ctx, e.sc, environment.ListRequest{})
	noError(t, err)
	equal(t, 4, len(p.Items))
	_, err = e.List(e.ctx, e.sc, environment.ListRequest{Request: page.Request{Cursor: "nonsense"}})
	equal(t, fault.Invalid, fault.KindOf(err))
}

func remove(t *testing.T, e *env) {
	v, other := named(e.sc, "a"), named(e.sc, "b")
	e.insert(t, v, other)
	boom := errors.New("boom")
	is(t, e.Delete(e.ctx, e.sc, v.ID, func(context.Context) error { return boom }), boom)
	_, err := e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	noError(t, e.Delete(e.ctx, e.sc, v.ID, func(context.Context) error { return nil }))
	_, err = e.Get(e.ctx, e.sc, v.ID)
	is(t, err, notFound)
	_, err = e.Get(e.ctx, e.sc, other.ID)
	noError(t, err)
}

func sessions(t *testing.T, e *env) {
	v := named(e.sc, "a")
	e.insert(t, v)
	used := func(sc account.Scope, want bool) {
		t.Helper()
		got, err := e.UsesEnvironment(e.ctx, sc, v.ID)
		noError(t, err)
		equal(t, want, got)
	}
	used(e.sc, false)
	first, second := e.cfg.Session(t, e.Store, e.sc, v.ID), e.cfg.Session(t, e.Store, e.sc, v.ID)
	used(e.sc, true)
	used(account.System(id.New[id.TenantKind](ids)), false)
	first(true)
	used(e.sc, true)
	second(false)
	used(e.sc, false)
}

func cancelled(t *testing.T, e *env) {
	v := named(e.sc, "a")
	e.insert(t, v)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Get(ctx, e.sc, v.ID)
	is(t, err, context.Canceled)
	is(t, e.Insert(ctx, e.sc, named(e.sc, "b")), context.Canceled)
}
