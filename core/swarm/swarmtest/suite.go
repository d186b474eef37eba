// Package swarmtest is the suite of core/swarm over a store, the freezing of swarms included.
package swarmtest

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Swarms is what the suite runs against.
type Swarms interface {
	swarm.Repository
	gate.Swarms
}

// Config of the suite.
type Config struct {
	// New returns a store; tests keep apart by tenant. Its Swarms are those returned besides.
	New func(t *testing.T) (gatetest.Store, Swarms)
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"slugs":                slugs,
		"invalid":              invalid,
		"plan":                 plan,
		"missing and foreign":  foreign,
		"update":               update,
		"list":                 list,
		"members":              members,
		"placing":              placing,
		"frozen keeps":         frozenKeeps,
		"delete":               remove,
		"freeze stops":         freezeStops,
		"freeze of nobody":     freezeNobody,
		"freeze races":         freezeRaces,
		"joining races freeze": joinRaces,
		"no deadlock":          noDeadlock,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, swarms := cfg.New(t)
			st.Swarms = swarms
			fn(t, newEnv(t, st))
		})
	}
}

type env struct {
	*gatetest.Lab

	*swarm.Service

	ctx    context.Context
	sc     account.Scope
	forgot *dependent
}

// dependent is what goes with a swarm.
type dependent struct {
	mu   sync.Mutex
	of   []id.Swarm
	fail error
}

func (d *dependent) ForgetSwarm(_ context.Context, _ account.Scope, of id.Swarm) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of = append(d.of, of)
	return d.fail
}

func newEnv(t *testing.T, st gatetest.Store) *env {
	t.Helper()
	l := gatetest.NewLab(t, st, gatetest.Options{})
	e := &env{Lab: l, ctx: t.Context(), sc: l.Scope, forgot: &dependent{}}
	var err error
	e.Service, err = swarm.NewService(swarm.Deps{
		TX: st.TX, Clock: l.Clock, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: st.Swarms.(Swarms), Members: st.Agents,
		Agents: st.Agents, Trail: l.Trail, Dependents: []swarm.Dependent{e.forgot},
	})
	noError(t, err)
	return e
}

func (e *env) swarm(t *testing.T, name string, agents ...id.Agent) swarm.Swarm {
	t.Helper()
	v, err := e.Create(e.ctx, e.sc, swarm.New{Name: name})
	noError(t, err)
	for _, a := range agents {
		noError(t, e.Join(e.ctx, e.sc, v.ID, a))
	}
	return v
}

func (e *env) read(t *testing.T, a id.Agent) agent.Agent {
	t.Helper()
	got, err := e.Store.Agents.Get(e.ctx, e.sc, a)
	noError(t, err)
	return got
}

// noted counts the entries of some actions.
func (e *env) noted(actions ...string) (n int) {
	for _, a := range actions {
		n += len(e.Trail.Of(a))
	}
	return n
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

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
		cmp.Comparer(func(a, b id.Swarm) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

var notFound = id.NotFound[id.SwarmKind]("")

func slugs(t *testing.T, e *env) {
	long := strings.Repeat("a", 80)
	for _, c := range []struct{ name, want string }{
		{"Growth", "growth"},
		{"Growth", "growth-2"},
		{"  Größe & Co.  ", "grosse-co"},
		{"Crème brûlée!", "creme-brulee"},
		{"漢字", "swarm"},
		{"--", "swarm-2"},
		{long, long[:63]},
		{long, long[:61] + "-2"},
	} {
		equal(t, c.want, e.swarm(t, c.name).Slug)
	}
	mine := swarm.New{Name: "x", Slug: "mine-1"}
	v, err := e.Create(e.ctx, e.sc, mine)
	noError(t, err)
	equal(t, "mine-1", v.Slug)
	_, err = e.Create(e.ctx, e.sc, mine)
	is(t, err, swarm.ErrSlugTaken)
	_, err = e.Create(e.ctx, gatetest.NewLab(t, e.Store, gatetest.Options{}).Scope, mine) // unique in a tenant
	noError(t, err)
	for range 25 { // more than numbers are tried
		e.swarm(t, "many")
	}
}

func invalid(t *testing.T, e *env) {
	for name, n := range map[string]swarm.New{
		"no name":   {},
		"blank":     {Name: "  "},
		"long name": {Name: strings.Repeat("é", swarm.MaxName+1)},
		"NUL":       {Name: "a\x00"},
		"no UTF-8":  {Name: "a\xff"},
		"long text": {Name: "a", Description: strings.Repeat("d", swarm.MaxDescription+1)},
		"long icon": {Name: "a", Icon: strings.Repeat("i", swarm.MaxIcon+1)},
		"capital":   {Name: "a", Slug: "A"},
		"dash":      {Name: "a", Slug: "-a"},
		"last dash": {Name: "a", Slug: "a-"},
		"long slug": {Name: "a", Slug: strings.Repeat("a", swarm.MaxSlug+1)},
		"umlaut":    {Name: "a", Slug: "ä"},
		"space":     {Name: "a", Slug: "a b"},
	} {
		_, err := e.Create(e.ctx, e.sc, n)
		if fe, ok := fault.As(err); !errors.Is(err, swarm.ErrInvalid) || !ok || len(fe.Fields) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := ""
	_, err := e.Update(e.ctx, e.sc, e.swarm(t, "ok").ID, swarm.Patch{Name: &empty})
	is(t, err, swarm.ErrInvalid)
}

func plan(t *testing.T, e *env) {
	sc := e.sc
	sc.Plan = account.PlanFree
	_, err := e.Create(e.ctx, sc, swarm.New{Name: "a"})
	is(t, err, swarm.ErrPlanLimit)
	equal(t, fault.Forbidden, fault.KindOf(err))
}

func foreign(t *testing.T, e *env) {
	a := e.Agent(t, 0)
	mine := e.swarm(t, "mine", a)
	other := gatetest.NewLab(t, e.Store, gatetest.Options{})
	theirs := other.Agent(t, 0)
	for name, c := range map[string]struct {
		sc account.Scope
		of id.Swarm
		a  id.Agent
	}{
		"missing": {e.sc, id.New[id.SwarmKind](e.IDs), a},
		"foreign": {other.Scope, mine.ID, theirs},
	} {
		nothing := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, notFound) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		_, err := e.Get(e.ctx, c.sc, c.of)
		nothing("get", err)
		_, err = e.Update(e.ctx, c.sc, c.of, swarm.Patch{})
		nothing("update", err)
		nothing("delete", e.Delete(e.ctx, c.sc, c.of))
		nothing("exists", e.Exists(e.ctx, c.sc, c.of))
		_, err = e.Agents(e.ctx, c.sc, c.of)
		nothing("agents", err)
		nothing("join", e.Join(e.ctx, c.sc, c.of, c.a))
		nothing("leave", e.Leave(e.ctx, c.sc, c.of, c.a))
		_, err = e.FreezeSwarm(e.ctx, c.sc, c.of)
		nothing("freeze", err)
		nothing("unfreeze", e.UnfreezeSwarm(e.ctx, c.sc, c.of))
	}
	is(t, e.Join(e.ctx, e.sc, mine.ID, theirs), id.NotFound[id.AgentKind](""))
	p, err := e.List(e.ctx, other.Scope, swarm.ListRequest{})
	noError(t, err)
	equal(t, 0, len(p.Items))
	equal(t, mine.ID, e.read(t, a).Swarm)
	equal(t, agent.Active, e.read(t, a).Standing)
}

func update(t *testing.T, e *env) {
	v := e.swarm(t, "one")
	e.swarm(t, "two")
	e.Clock.Advance(time.Minute)
	name, text, icon := "Eins", "what it is", "🐝"
	got, err := e.Update(e.ctx, e.sc, v.ID, swarm.Patch{Name: &name, Description: &text, Icon: &icon})
	noError(t, err)
	want := v
	want.Name, want.Description, want.Icon, want.UpdatedAt = name, text, icon, clock.Stored(e.Clock.Now())
	equal(t, want, got) // the slug stays
	read, err := e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, want, read)
	taken := "two"
	_, err = e.Update(e.ctx, e.sc, v.ID, swarm.Patch{Slug: &taken})
	is(t, err, swarm.ErrSlugTaken)
	e.Clock.Advance(time.Minute)
	again, err := e.Update(e.ctx, e.sc, v.ID, swarm.Patch{Name: &name})
	noError(t, err)
	equal(t, want, again)
	equal(t, 1, e.noted("swarm_updated"))
}

func list(t *testing.T, e *env) {
	var want []swarm.Swarm
	for _, n := range []string{"Alpha", "Beta", "Gamma", "alphabet"} {
		want = append([]swarm.Swarm{e.swarm(t, n)}, want...)
	}
	names := func(req swarm.ListRequest) (out string) {
		t.Helper()
		p, err := e.List(e.ctx, e.sc, req)
		noError(t, err)
		for _, v := range p.Items {
			out += v.Name + " "
		}
		return out
	}
	first, err := e.List(e.ctx, e.sc, swarm.ListRequest{Request: page.Request{Limit: 3, Count: true}})
	noError(t, err)
	equal(t, want[:3], first.Items)
	equal(t, 4, first.Total)
	rest, err := e.List(e.ctx, e.sc, swarm.ListRequest{Request: page.Request{Cursor: first.Next}})
	noError(t, err)
	equal(t, want[3:], rest.Items)
	equal(t, "", rest.Next)
	_, err = e.List(e.ctx, e.sc, swarm.ListRequest{Request: page.Request{Cursor: "?"}})
	equal(t, fault.Invalid, fault.KindOf(err))
	equal(t, "Gamma Beta ", names(swarm.ListRequest{Request: page.Request{Offset: 1, Limit: 2}}))
	equal(t, "alphabet Alpha ", names(swarm.ListRequest{Search: "ALPHA"}))
	equal(t, "Beta ", names(swarm.ListRequest{Slug: "beta"}))
	equal(t, "", names(swarm.ListRequest{Search: "%\x00\xff"}))
	_, err = e.FreezeSwarm(e.ctx, e.sc, want[1].ID)
	noError(t, err)
	equal(t, "Gamma ", names(swarm.ListRequest{Standing: swarm.Frozen}))
}

func members(t *testing.T, e *env) {
	a, b := e.Agent(t, 0), e.Agent(t, 0)
	one, two := e.swarm(t, "one", a, b, a), e.swarm(t, "two")
	equal(t, 2, e.noted("swarm_agent_joined")) // the third was there
	in := func(of swarm.Swarm, want ...id.Agent) {
		t.Helper()
		got, err := e.Agents(e.ctx, e.sc, of.ID)
		noError(t, err)
		if d := cmp.Diff(append([]id.Agent{}, want...), append([]id.Agent{}, got...), cmp.Comparer(func(a, b id.Agent) bool { return a == b })); d != "" {
			t.Errorf("members (-want +got):\n%s", d)
		}
		read, err := e.Get(e.ctx, e.sc, of.ID)
		noError(t, err)
		equal(t, len(want), read.Agents)
	}
	in(one, a, b)
	noError(t, e.Join(e.ctx, e.sc, two.ID, a))
	in(one, b)
	in(two, a)
	is(t, e.Leave(e.ctx, e.sc, one.ID, a), swarm.ErrNotMember)
	noError(t, e.Leave(e.ctx, e.sc, two.ID, a))
	in(two)
	noError(t, e.place(b, id.Swarm{}, nil))
	noError(t, e.place(b, id.Swarm{}, nil))
	in(one)
	equal(t, 3, e.noted("swarm_agent_left"))

	now := clock.Stored(time.Now())
	noError(t, e.Join(e.ctx, e.sc, one.ID, a))
	_, err := e.Store.Agents.Update(e.ctx, e.sc, a, func(v *agent.Agent) error {
		v.Standing, v.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	in(one)
	is(t, e.Join(e.ctx, e.sc, two.ID, a), agent.ErrArchived)
}

// place puts an agent into a swarm after change, which may be nil.
func (e *env) place(a id.Agent, to id.Swarm, change func(ctx context.Context) error) error {
	_, err := e.Place(e.ctx, e.sc, a, to, func(ctx context.Context) (agent.Agent, error) {
		if change != nil {
			if err := change(ctx); err != nil {
				return agent.Agent{}, err
			}
		}
		return e.Store.Agents.Get(ctx, e.sc, a)
	})
	return err
}

// placing changes an agent and its swarm, both or neither.
func placing(t *testing.T, e *env) {
	a := e.Agent(t, 0)
	one, two := e.swarm(t, "one", a), e.swarm(t, "two")
	rename := func(name string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := e.Store.Agents.Update(ctx, e.sc, a, func(v *agent.Agent) error {
				v.Config.Name, v.Version = name, v.Version+1
				return nil
			})
			return err
		}
	}
	is := func(name string, in swarm.Swarm) {
		t.Helper()
		got := e.read(t, a)
		equal(t, name, got.Config.Name)
		equal(t, in.ID, got.Swarm)
	}
	noError(t, e.place(a, two.ID, rename("moved")))
	is("moved", two)
	noError(t, e.place(a, two.ID, rename("stays")))
	is("stays", two)

	// Somebody else moves it before its swarms are locked: it is looked for again.
	calls := 0
	_, err := e.Place(e.ctx, e.sc, a, one.ID, func(ctx context.Context) (agent.Agent, error) {
		got, err := e.Store.Agents.Get(ctx, e.sc, a)
		if calls++; calls == 1 {
			got.Swarm = one.ID
		}
		return got, err
	})
	noError(t, err)
	equal(t, 2, calls)
	is("stays", one)

	broken := errors.New("broken")
	if err := e.place(a, two.ID, func(ctx context.Context) error { return errors.Join(rename("lost")(ctx), broken) }); !errors.Is(err, broken) {
		t.Errorf("a change that fails: %v", err)
	}
	is("stays", one)
	clerk := e.sc
	clerk.Permissions = []account.Permission{account.AgentsWrite}
	_, err = e.Place(e.ctx, clerk, a, two.ID, func(context.Context) (agent.Agent, error) {
		t.Error("changed without a permission")
		return agent.Agent{}, nil
	})
	if !errors.Is(err, account.ErrForbidden) {
		t.Errorf("without the permission: %v", err)
	}
	_, err = e.FreezeSwarm(e.ctx, e.sc, one.ID)
	noError(t, err)
	if err := e.place(a, two.ID, rename("lost")); !errors.Is(err, swarm.ErrFrozen) {
		t.Errorf("out of a frozen swarm: %v", err)
	}
	is("stays", one)
	noError(t, e.place(a, one.ID, rename("in the cold")))
	is("in the cold", one)

	// One that cannot join is not made.
	made := id.New[id.AgentKind](e.IDs)
	_, err = e.Place(e.ctx, e.sc, id.Agent{}, id.New[id.SwarmKind](e.IDs), func(context.Context) (agent.Agent, error) {
		t.Error("made for a swarm that is not there")
		return agent.Agent{}, nil
	})
	equal(t, fault.NotFound, fault.KindOf(err))
	now := clock.Stored(time.Now())
	got, err := e.Place(e.ctx, e.sc, id.Agent{}, two.ID, func(ctx context.Context) (agent.Agent, error) {
		v := agent.Agent{
			ID: made, Tenant: e.sc.Tenant, Version: 1, Config: agent.Config{Name: "made"}, Standing: agent.Active, CreatedAt: now, UpdatedAt: now,
		}
		return v, e.Store.Agents.(interface {
			Insert(ctx context.Context, sc account.Scope, a agent.Agent) error
		}).Insert(ctx, e.sc, v)
	})
	noError(t, err)
	equal(t, two.ID, got.Swarm)
	equal(t, made, got.ID)
}

func frozenKeeps(t *testing.T, e *env) {
	a, late := e.Agent(t, 0), e.Agent(t, 0)
	one, two := e.swarm(t, "one", a), e.swarm(t, "two")
	_, err := e.FreezeSwarm(e.ctx, e.sc, one.ID)
	noError(t, err)
	is(t, e.Leave(e.ctx, e.sc, one.ID, a), swarm.ErrFrozen)
	is(t, e.Join(e.ctx, e.sc, two.ID, a), swarm.ErrFrozen)
	is(t, e.place(a, id.Swarm{}, nil), swarm.ErrFrozen)
	is(t, e.Delete(e.ctx, e.sc, one.ID), swarm.ErrFrozen)
	noError(t, e.Join(e.ctx, e.sc, one.ID, late))
	equal(t, agent.Frozen, e.read(t, late).Standing)
	noError(t, e.Unfreeze(e.ctx, e.sc, late)) // is no way out
	equal(t, agent.Frozen, e.read(t, late).Standing)
	_, err = e.Freeze(e.ctx, e.sc, a)
	noError(t, err)
	noError(t, e.UnfreezeSwarm(e.ctx, e.sc, one.ID))
	equal(t, agent.Frozen, e.read(t, a).Standing) // itself
	equal(t, agent.Active, e.read(t, late).Standing)
	noError(t, e.UnfreezeSwarm(e.ctx, e.sc, one.ID))
	equal(t, []int{1, 1}, []int{e.noted("swarm_frozen"), e.noted("swarm_unfrozen")})
	noError(t, e.Leave(e.ctx, e.sc, one.ID, a))
}

func remove(t *testing.T, e *env) {
	a := e.Agent(t, 0)
	v := e.swarm(t, "one", a)
	e.forgot.fail = errors.New("cannot forget")
	is(t, e.Delete(e.ctx, e.sc, v.ID), e.forgot.fail)
	equal(t, v.ID, e.read(t, a).Swarm) // nothing happened
	equal(t, 0, e.noted("swarm_deleted", "swarm_agent_left"))
	e.forgot.fail = nil
	noError(t, e.Delete(e.ctx, e.sc, v.ID))
	equal(t, id.Swarm{}, e.read(t, a).Swarm)
	equal(t, v.ID, e.forgot.of[len(e.forgot.of)-1])
	equal(t, 2, e.noted("swarm_deleted", "swarm_agent_left"))
	is(t, e.Delete(e.ctx, e.sc, v.ID), notFound)
	equal(t, "one", e.swarm(t, "one").Slug) // free again
}

// freezeNobody checks that a swarm without agents stops nobody: to the interrupter, no agents are all of the tenant's.
func freezeNobody(t *testing.T, e *env) {
	v := e.swarm(t, "empty")
	e.Stopper.Turns = 7
	r, err := e.FreezeSwarm(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, gate.FreezeReport{}, r)
}

// joinRaces checks that an agent which joins while its swarm is being frozen is frozen, whichever comes first.
func joinRaces(t *testing.T, e *env) {
	for range 5 {
		a, v := e.Agent(t, 0), e.swarm(t, "one")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := e.FreezeSwarm(e.ctx, e.sc, v.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := e.Join(e.ctx, e.sc, v.ID, a); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		equal(t, agent.Frozen, e.read(t, a).Standing)
	}
}
