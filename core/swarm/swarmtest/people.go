package swarmtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/clock/clocktest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// PeopleStore is what RunPeople runs against.
type PeopleStore struct {
	TX      tx.Runner
	Swarms  swarm.Repository
	Members swarm.MemberRepository
	// Forget removes what a key that is deleted has.
	Forget func(ctx context.Context, sc account.Scope, key id.APIKey) error
}

// RunPeople is the suite of swarm.MemberRepository, with swarm.People on top of it; tests keep apart by tenant.
func RunPeople(t *testing.T, newStore func(t *testing.T) PeopleStore) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *peopleEnv){
		"add": peopleAdd, "roles": peopleRoles, "list": peopleList, "remove": peopleRemove, "at once": peopleAtOnce, "foreign": peopleForeign,
		"deleted key": peopleDeletedKey, "deleted swarm": peopleDeletedSwarm, "rollback": peopleRollback,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &peopleEnv{PeopleStore: newStore(t), ctx: t.Context(), sc: account.System(id.New[id.TenantKind](ids)), clock: clocktest.New()}
			var err error
			e.people, err = swarm.NewPeople(swarm.PeopleDeps{
				TX: e.TX, Clock: e.clock, IDs: ids, Swarms: e.Swarms, Repository: e.Members, Users: users{}, Trail: &e.trail,
			})
			noError(t, err)
			e.of = e.swarm(t, "one")
			fn(t, e)
		})
	}
}

var ids = id.NewGenerator(time.Now)

type peopleEnv struct {
	PeopleStore
	ctx    context.Context
	sc     account.Scope
	clock  *clocktest.Clock
	people *swarm.People
	trail  peopleTrail
	of     id.Swarm
}

type peopleTrail struct {
	mu    sync.Mutex
	err   error
	notes []string
}

func (p *peopleTrail) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes = append(p.notes, fmt.Sprint(action, " ", metadata["user"], " ", metadata["role"]))
	return p.err
}

// ada is a key that users are known by.
var ada = id.New[id.APIKeyKind](ids)

// users knows the key ada by its id and its name, and every address.
type users struct{}

func (users) Person(_ context.Context, _ account.Scope, user string) (account.Person, error) {
	switch {
	case user == "ada":
		return account.Person{Who: user, Key: ada}, nil
	case user == ada.String():
		return account.Person{Who: ada.UUID().String(), Key: ada}, nil
	case strings.Contains(user, "@"):
		return account.Person{Who: strings.ToLower(user), Email: strings.ToLower(user)}, nil
	}
	return account.Person{}, id.NotFound[id.APIKeyKind](user)
}

func (e *peopleEnv) swarm(t *testing.T, slug string) id.Swarm {
	t.Helper()
	now := clock.Stored(e.clock.Now())
	v := swarm.Swarm{ID: id.New[id.SwarmKind](ids), Tenant: e.sc.Tenant, Name: slug, Slug: slug, Standing: swarm.Active, CreatedAt: now, UpdatedAt: now}
	_, err := e.Swarms.Insert(e.ctx, e.sc, v)
	noError(t, err)
	return v.ID
}

func (e *peopleEnv) add(t *testing.T, user string, role swarm.Role) swarm.Member {
	t.Helper()
	m, err := e.people.Add(e.ctx, e.sc, e.of, user, role)
	noError(t, err)
	return m
}

func (e *peopleEnv) count(t *testing.T) int {
	t.Helper()
	v, err := e.Swarms.Get(e.ctx, e.sc, e.of)
	noError(t, err)
	return v.Members
}

func peopleAdd(t *testing.T, e *peopleEnv) {
	m := e.add(t, "Grace@Example.com", "")
	now := e.clock.Now()
	same(t, swarm.Member{
		ID: m.ID, Tenant: e.sc.Tenant, Swarm: e.of, Person: account.Person{Who: "grace@example.com", Email: "grace@example.com"},
		Role: swarm.RoleMember, CreatedAt: now, UpdatedAt: now,
	}, m)
	got, err := e.people.Get(e.ctx, e.sc, e.of, m.ID)
	noError(t, err)
	same(t, m, got)
	byName := e.add(t, "ada", swarm.RoleOwner)
	same(t, ada, byName.Person.Key)
	equal(t, 2, e.count(t))
	e.clock.Advance(time.Hour)
	again := e.add(t, ada.String(), swarm.RoleMember) // the same person by another name
	same(t, byName.ID, again.ID)
	equal(t, swarm.RoleMember, again.Role)
	equal(t, byName.CreatedAt, again.CreatedAt)
	equal(t, e.clock.Now(), again.UpdatedAt)
	equal(t, 2, e.count(t))
	_, err = e.people.Add(e.ctx, e.sc, e.of, "nobody", "")
	equal(t, fault.NotFound, fault.KindOf(err))
	_, err = e.people.Add(e.ctx, e.sc, id.New[id.SwarmKind](ids), "ada", "")
	is(t, err, id.NotFound[id.SwarmKind](""))
}

func same[T comparable](t *testing.T, want, got T) {
	t.Helper()
	if want != got {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

func peopleRoles(t *testing.T, e *peopleEnv) {
	m := e.add(t, "a@example.com", "")
	_, err := e.people.Add(e.ctx, e.sc, e.of, "b@example.com", "boss")
	is(t, err, swarm.ErrInvalid)
	_, err = e.people.SetRole(e.ctx, e.sc, e.of, m.ID, "")
	is(t, err, swarm.ErrInvalid)
	at := e.clock.Advance(time.Hour)
	for range 2 { // the second time changes nothing
		m, err = e.people.SetRole(e.ctx, e.sc, e.of, m.ID, swarm.RoleOwner)
		noError(t, err)
		equal(t, swarm.RoleOwner, m.Role)
		equal(t, at, m.UpdatedAt)
		e.clock.Advance(time.Hour)
	}
	equal(t, []string{"swarm_member_added a@example.com member", "swarm_member_changed a@example.com owner"}, e.trail.notes)
	_, err = e.people.SetRole(e.ctx, e.sc, e.of, id.New[id.SwarmMemberKind](ids), swarm.RoleOwner)
	is(t, err, id.NotFound[id.SwarmMemberKind](""))
}

func peopleList(t *testing.T, e *peopleEnv) {
	var want []string
	for i := range 5 {
		user := fmt.Sprintf("%d@example.com", i)
		e.add(t, user, "")
		want = append([]string{user}, want...)
	}
	other := e.of
	e.of = e.swarm(t, "two")
	e.add(t, "other@example.com", "")
	for _, limit := range []int{0, 2} {
		equal(t, want, pagetest.Walk(t, limit, func(m swarm.Member) string { return m.Person.Who },
			func(r page.Request) (page.Page[swarm.Member], error) { return e.people.List(e.ctx, e.sc, other, r) }))
	}
	_, err := e.people.List(e.ctx, e.sc, id.New[id.SwarmKind](ids), page.Request{})
	is(t, err, id.NotFound[id.SwarmKind](""))
}

func peopleRemove(t *testing.T, e *peopleEnv) {
	m := e.add(t, "a@example.com", "")
	two := e.swarm(t, "two")
	is(t, e.people.Remove(e.ctx, e.sc, two, m.ID), id.NotFound[id.SwarmMemberKind](""))
	noError(t, e.people.Remove(e.ctx, e.sc, e.of, m.ID))
	is(t, e.people.Remove(e.ctx, e.sc, e.of, m.ID), id.NotFound[id.SwarmMemberKind](""))
	equal(t, 0, e.count(t))
	equal(t, true, e.add(t, "a@example.com", "").ID != m.ID)
}

func peopleAtOnce(t *testing.T, e *peopleEnv) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := e.people.Add(e.ctx, e.sc, e.of, "ada", ""); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, 1, e.count(t))
}

func peopleForeign(t *testing.T, e *peopleEnv) {
	m := e.add(t, "a@example.com", "")
	other := account.System(id.New[id.TenantKind](ids))
	for name, call := range map[string]func() error{
		"add":    func() error { _, err := e.people.Add(e.ctx, other, e.of, "b@example.com", ""); return err },
		"get":    func() error { _, err := e.people.Get(e.ctx, other, e.of, m.ID); return err },
		"list":   func() error { _, err := e.people.List(e.ctx, other, e.of, page.Request{}); return err },
		"role":   func() error { _, err := e.people.SetRole(e.ctx, other, e.of, m.ID, swarm.RoleOwner); return err },
		"remove": func() error { return e.people.Remove(e.ctx, other, e.of, m.ID) },
	} {
		if err := call(); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	equal(t, 1, e.count(t))
}

func peopleDeletedKey(t *testing.T, e *peopleEnv) {
	e.add(t, "ada", "")
	e.add(t, "a@example.com", "")
	noError(t, e.Forget(e.ctx, e.sc, ada))
	equal(t, 1, e.count(t))
}

func peopleDeletedSwarm(t *testing.T, e *peopleEnv) {
	m := e.add(t, "ada", "")
	noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error { return e.people.ForgetSwarm(ctx, e.sc, e.of) }))
	_, err := e.people.Get(e.ctx, e.sc, e.of, m.ID)
	is(t, err, id.NotFound[id.SwarmMemberKind](""))
}

func peopleRollback(t *testing.T, e *peopleEnv) {
	m := e.add(t, "a@example.com", "")
	e.trail.err = errors.New("the trail is gone")
	_, err := e.people.Add(e.ctx, e.sc, e.of, "b@example.com", "")
	is(t, err, e.trail.err)
	is(t, e.people.Remove(e.ctx, e.sc, e.of, m.ID), e.trail.err)
	equal(t, 1, e.count(t))
}
