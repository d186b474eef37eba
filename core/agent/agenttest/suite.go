// Package agenttest is the conformance suite of agent.Repository and agent.Standings.
package agenttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against: both halves of the store and the transactions that they join.
type Store interface {
	agent.Repository
	agent.Standings
	agent.Graves
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, tx.Runner)
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	tx  tx.Runner
	ctx context.Context
	sc  account.Scope
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":         roundTrip,
		"missing":            missing,
		"foreign tenant":     foreign,
		"duplicate":          duplicate,
		"versions":           versions,
		"update fails":       updateFails,
		"rollback":           rollback,
		"two writers":        twoWriters,
		"standing":           standing,
		"standing is locked": standingLocked,
		"swarm":              swarm,
		"frozen swarm":       frozenSwarm,
		"destroy":            destroy,
		"destroy is locked":  destroyLocked,
		"count":              count,
		"list":               list,
		"list filters":       listFilters,
		"cancelled context":  cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := cfg.New(t)
			fn(t, &env{s, r, t.Context(), account.System(id.New[id.TenantKind](ids))})
		})
	}
}

// Full returns an agent that uses every field of its Config.
func Full(sc account.Scope) agent.Agent {
	now := clock.Stored(time.Now())
	return agent.Agent{
		ID: id.New[id.AgentKind](ids), Tenant: sc.Tenant, Version: 1, Standing: agent.Active, CreatedAt: now, UpdatedAt: now,
		Config: agent.Config{
			Name: "Büro 'X' \\ ?", Description: "d", System: "line\nline \u2028 <b> ?",
			Model: agent.Model{ID: "m", Speed: agent.SpeedFast, Effort: agent.EffortXHigh, InferenceGeo: "eu"},
			Tools: []agent.Tool{
				{Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow}, Configs: []agent.ToolConfig{
					{Name: "bash", Permission: agent.AlwaysAsk},
					{
						Name: "web_fetch", Enabled: true, Permission: agent.Auto, AllowedDomains: []string{"example.com"}, MaxContentTokens: 7,
						URLSources: json.RawMessage(`["user"]`),
					},
					{
						Name: "web_search", Enabled: true, Permission: agent.Auto, BlockedDomains: []string{"example.org"},
						UserLocation: json.RawMessage(`{"city":"Porto"}`),
					},
				}},
				{Type: agent.MCPToolset, MCPServer: "s", Default: agent.ToolDefault{Permission: agent.AlwaysAsk}},
				{Type: agent.CustomTool, Name: "t", Description: "d", InputSchema: json.RawMessage(`{"type":"object","b":1,"a":2}`)},
				{Type: agent.A2AAgent, Remote: id.New[id.RemoteAgentKind](ids), Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAsk}},
			},
			MCPServers: []agent.MCPServer{{Name: "s", URL: "https://example.com/mcp"}},
			Skills:     []agent.SkillRef{{ID: "pdf", Type: "anthropic", Version: "latest"}},
			Metadata:   map[string]string{"k": "v ?", "": "é"},
			Multiagent: &agent.Multiagent{Type: agent.Coordinator, Roster: []agent.RosterEntry{
				{Type: agent.RosterAgent, Agent: id.New[id.AgentKind](ids), Version: 3}, {Type: agent.RosterAdvisor, Model: "m"}, {Type: agent.RosterSelf},
			}},
			Identity: &agent.Identity{Type: agent.AWSRole, RoleARN: "arn"},
		},
	}
}

func named(sc account.Scope, name string) agent.Agent {
	now := clock.Stored(time.Now())
	return agent.Agent{
		ID: id.New[id.AgentKind](ids), Tenant: sc.Tenant, Version: 1, Standing: agent.Active, CreatedAt: now, UpdatedAt: now,
		Config: agent.Config{Name: name, Model: agent.Model{ID: "m", Speed: agent.SpeedStandard}},
	}
}

func (e *env) insert(t *testing.T, as ...agent.Agent) {
	t.Helper()
	for _, a := range as {
		if err := e.Insert(e.ctx, e.sc, a); err != nil {
			t.Fatal(err)
		}
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b id.Agent) bool { return a == b }), cmpopts.EquateComparable(id.RemoteAgent{}),
		cmp.Comparer(func(a, b id.Tenant) bool { return a == b }), cmp.Comparer(func(a, b id.Swarm) bool { return a == b })); diff != "" {
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

var notFound = id.NotFound[id.AgentKind]("")

func roundTrip(t *testing.T, e *env) {
	want := Full(e.sc)
	e.insert(t, want)
	got, err := e.Get(e.ctx, e.sc, want.ID)
	noError(t, err)
	equal(t, want, got)
	got, err = e.GetVersion(e.ctx, e.sc, want.ID, 1)
	noError(t, err)
	equal(t, want, got)
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		got, err = e.Get(ctx, e.sc, want.ID)
		return err
	}))
	equal(t, want, got)

	other := named(e.sc, "other")
	other.Config.Multiagent = &agent.Multiagent{Type: agent.Multiagent20261001, Rest: json.RawMessage(`{"workflows":[]}`)}
	e.insert(t, other)
	got, err = e.Get(e.ctx, e.sc, other.ID)
	noError(t, err)
	equal(t, other, got)
}

func missing(t *testing.T, e *env) { nothing(t, e, e.sc, id.New[id.AgentKind](ids)) }

func foreign(t *testing.T, e *env) {
	a := named(e.sc, "a")
	a.Swarm = id.New[id.SwarmKind](ids)
	e.insert(t, a)
	other := account.System(id.New[id.TenantKind](ids))
	nothing(t, e, other, a.ID)
	p, err := e.List(e.ctx, other, agent.ListRequest{})
	noError(t, err)
	equal(t, 0, len(p.Items))
	members, err := e.Members(e.ctx, other, a.Swarm)
	noError(t, err)
	equal(t, 0, len(members))
}

// nothing checks that every method answers as if the agent did not exist.
func nothing(t *testing.T, e *env, sc account.Scope, a id.Agent) {
	t.Helper()
	_, err := e.Get(e.ctx, sc, a)
	is(t, err, notFound)
	_, err = e.GetVersion(e.ctx, sc, a, 1)
	is(t, err, notFound)
	_, err = e.Versions(e.ctx, sc, a, page.Request{})
	is(t, err, notFound)
	_, err = e.Update(e.ctx, sc, a, func(*agent.Agent) error { t.Error("changed"); return nil })
	is(t, err, notFound)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.LockStanding(ctx, sc, a)
		return err
	}), notFound)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.SetStanding(ctx, sc, a, agent.Frozen)
		return err
	}), notFound)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.SetSwarm(ctx, sc, a, id.Swarm{}, false)
		return err
	}), notFound)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Destroy(ctx, sc, a, time.Now())
		return err
	}), notFound)
}

func duplicate(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	is(t, e.Insert(e.ctx, e.sc, a), agent.ErrExists)
	twin := named(e.sc, "a")
	noError(t, e.Insert(e.ctx, e.sc, twin)) // twins of a name are allowed
}

func rename(to string) func(*agent.Agent) error {
	return func(a *agent.Agent) error {
		a.Config.Name = to
		a.Version++
		a.UpdatedAt = a.UpdatedAt.Add(time.Second)
		return nil
	}
}

func versions(t *testing.T, e *env) {
	a := Full(e.sc)
	e.insert(t, a)
	want := []agent.Agent{a}
	for i := range 4 {
		got, err := e.Update(e.ctx, e.sc, a.ID, rename(fmt.Sprint("name ", i)))
		noError(t, err)
		read, err := e.Get(e.ctx, e.sc, a.ID)
		noError(t, err)
		equal(t, got, read)
		want = append([]agent.Agent{got}, want...)
	}
	equal(t, 5, want[0].Version)
	got, err := e.GetVersion(e.ctx, e.sc, a.ID, 1)
	noError(t, err)
	equal(t, a, got)
	for _, v := range []int{0, -1, 6, 1 << 40} {
		_, err := e.GetVersion(e.ctx, e.sc, a.ID, v)
		is(t, err, agent.ErrVersionNotFound)
	}
	equal(t, want, pagetest.Walk(t, 2, pagetest.Whole, func(req page.Request) (page.Page[agent.Agent], error) {
		return e.Versions(e.ctx, e.sc, a.ID, req)
	}))
	_, err = e.Versions(e.ctx, e.sc, a.ID, page.Request{Cursor: "?"})
	equal(t, fault.Invalid, fault.KindOf(err))

	// What is not versioned shows in every version.
	now := clock.Stored(time.Now())
	_, err = e.Update(e.ctx, e.sc, a.ID, func(a *agent.Agent) error {
		a.Standing, a.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	got, err = e.GetVersion(e.ctx, e.sc, a.ID, 1)
	noError(t, err)
	want[4].Standing, want[4].ArchivedAt = agent.Archived, &now
	equal(t, want[4], got)
}

func updateFails(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	boom := errors.New("boom")
	_, err := e.Update(e.ctx, e.sc, a.ID, func(a *agent.Agent) error {
		_ = rename("b")(a)
		return boom
	})
	is(t, err, boom)
	got, err := e.Get(e.ctx, e.sc, a.ID)
	noError(t, err)
	equal(t, a, got)
}

func rollback(t *testing.T, e *env) {
	a := named(e.sc, "a")
	boom := errors.New("boom")
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if err := e.Insert(ctx, e.sc, a); err != nil {
			return err
		}
		return boom
	}), boom)
	_, err := e.Get(e.ctx, e.sc, a.ID)
	is(t, err, notFound)
}

func twoWriters(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if _, err := e.Update(e.ctx, e.sc, a.ID, rename(fmt.Sprint(i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := e.Get(e.ctx, e.sc, a.ID)
	noError(t, err)
	equal(t, 9, got.Version)
	p, err := e.Versions(e.ctx, e.sc, a.ID, page.Request{})
	noError(t, err)
	equal(t, 9, len(p.Items))
}

func (e *env) standingOf(t *testing.T, a id.Agent) agent.StandingInfo {
	t.Helper()
	var info agent.StandingInfo
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		var err error
		info, err = e.LockStanding(ctx, e.sc, a)
		return err
	}))
	return info
}

func (e *env) setStanding(t *testing.T, a id.Agent, to agent.Standing) (agent.Standing, error) {
	t.Helper()
	var was agent.Standing
	err := e.tx.Do(e.ctx, func(ctx context.Context) error {
		var err error
		was, err = e.SetStanding(ctx, e.sc, a, to)
		return err
	})
	return was, err
}

func standing(t *testing.T, e *env) {
	a := Full(e.sc)
	e.insert(t, a)
	want := agent.StandingInfo{Standing: agent.Active, Name: a.Config.Name, Metadata: a.Config.Metadata, Version: 1}
	equal(t, want, e.standingOf(t, a.ID))
	for _, step := range []struct{ to, was agent.Standing }{
		{agent.Frozen, agent.Active}, {agent.Frozen, agent.Frozen}, {agent.Active, agent.Frozen}, {agent.Active, agent.Active},
	} {
		was, err := e.setStanding(t, a.ID, step.to)
		noError(t, err)
		equal(t, step.was, was)
		equal(t, step.to, e.standingOf(t, a.ID).Standing)
		got, err := e.Get(e.ctx, e.sc, a.ID)
		noError(t, err)
		equal(t, step.to, got.Standing)
		equal(t, 1, got.Version)
	}
	now := clock.Stored(time.Now())
	_, err := e.Update(e.ctx, e.sc, a.ID, func(a *agent.Agent) error {
		a.Standing, a.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	for _, to := range []agent.Standing{agent.Frozen, agent.Active} {
		_, err := e.setStanding(t, a.ID, to)
		is(t, err, agent.ErrArchived)
	}
	equal(t, agent.Archived, e.standingOf(t, a.ID).Standing)
}

// standingLocked checks that a freeze waits for the transactions that hold the standing: what they saw stays true until they end.
func standingLocked(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	holding, ended := make(chan struct{}), make(chan struct{})
	frozen := make(chan error, 1)
	go func() {
		<-holding
		_, err := e.setStanding(t, a.ID, agent.Frozen)
		select {
		case <-ended:
		default:
			err = errors.Join(err, errors.New("frozen while a transaction held the standing"))
		}
		frozen <- err
	}()
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.LockStanding(ctx, e.sc, a.ID); err != nil {
			return err
		}
		close(holding)
		// Give a freeze that does not wait every chance to come through before this transaction ends.
		for range 20 {
			if _, err := e.LockStanding(ctx, e.sc, a.ID); err != nil {
				return err
			}
		}
		close(ended)
		return nil
	}))
	noError(t, <-frozen)
	equal(t, agent.Frozen, e.standingOf(t, a.ID).Standing)
}

func swarm(t *testing.T, e *env) {
	one, two, gone := named(e.sc, "one"), named(e.sc, "two"), named(e.sc, "gone")
	e.insert(t, one, two, gone)
	s := id.New[id.SwarmKind](ids)
	for _, a := range []agent.Agent{two, one, gone} {
		equal(t, id.Swarm{}, e.join(t, a.ID, s, false))
	}
	now := clock.Stored(time.Now())
	_, err := e.Update(e.ctx, e.sc, gone.ID, func(a *agent.Agent) error {
		equal(t, s, a.Swarm)
		a.Standing, a.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	members, err := e.Members(e.ctx, e.sc, s)
	noError(t, err)
	equal(t, []id.Agent{one.ID, two.ID}, members)
	equal(t, s, e.standingOf(t, one.ID).Swarm)
	p, err := e.List(e.ctx, e.sc, agent.ListRequest{Swarm: s})
	noError(t, err)
	equal(t, []string{"two", "one"}, names(p.Items))
	equal(t, s, e.join(t, one.ID, id.Swarm{}, false))
	got, err := e.Get(e.ctx, e.sc, one.ID)
	noError(t, err)
	equal(t, id.Swarm{}, got.Swarm)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.SetSwarm(ctx, e.sc, gone.ID, s, false)
		return err
	}), agent.ErrArchived)
}

// join puts an agent into a swarm and returns the one that it was in.
func (e *env) join(t *testing.T, a id.Agent, s id.Swarm, frozen bool) (was id.Swarm) {
	t.Helper()
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) (err error) {
		was, err = e.SetSwarm(ctx, e.sc, a, s, frozen)
		return err
	}))
	return was
}

// frozenSwarm checks that an agent is frozen by its swarm and by itself, each apart.
func frozenSwarm(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	s := id.New[id.SwarmKind](ids)
	look := func(standing agent.Standing, itself, bySwarm bool) {
		t.Helper()
		got, err := e.Get(e.ctx, e.sc, a.ID)
		noError(t, err)
		equal(t, []any{standing, itself, bySwarm}, []any{got.Standing, got.FrozenItself, got.FrozenBySwarm})
		equal(t, standing, e.standingOf(t, a.ID).Standing)
		p, err := e.List(e.ctx, e.sc, agent.ListRequest{Standing: standing})
		noError(t, err)
		equal(t, []string{"a"}, names(p.Items))
		others := map[agent.Standing]agent.Standing{agent.Active: agent.Frozen, agent.Frozen: agent.Active}
		p, err = e.List(e.ctx, e.sc, agent.ListRequest{Standing: others[standing]})
		noError(t, err)
		equal(t, 0, len(p.Items))
	}
	set := func(to agent.Standing) {
		t.Helper()
		_, err := e.setStanding(t, a.ID, to)
		noError(t, err)
	}
	look(agent.Active, false, false)
	e.join(t, a.ID, s, true)
	look(agent.Frozen, false, true)
	set(agent.Active) // which does not free it
	look(agent.Frozen, false, true)
	set(agent.Frozen)
	look(agent.Frozen, true, true)
	_, err := e.Update(e.ctx, e.sc, a.ID, rename("a"))
	noError(t, err)
	look(agent.Frozen, true, true)
	set(agent.Active)
	_, err = e.Update(e.ctx, e.sc, a.ID, rename("a")) // a version made meanwhile does not store the swarm's standing as its own
	noError(t, err)
	e.join(t, a.ID, id.Swarm{}, true)
	look(agent.Active, false, false)
	set(agent.Frozen)
	e.join(t, a.ID, s, false)
	look(agent.Frozen, true, false)
}

func destroy(t *testing.T, e *env) {
	a, other := Full(e.sc), named(e.sc, "other")
	e.insert(t, a, other)
	want, err := e.Update(e.ctx, e.sc, a.ID, rename("twice"))
	noError(t, err)
	is(t, second(e.Destroy(e.ctx, account.System(id.New[id.TenantKind](ids)), a.ID, time.Now())), notFound)
	at := clock.Stored(time.Now())
	got, err := e.Destroy(e.ctx, e.sc, a.ID, at)
	noError(t, err)
	equal(t, want, got)

	nothing(t, e, e.sc, a.ID)
	for _, req := range []agent.ListRequest{{Archived: true}, {Standing: agent.Archived}, {Standing: agent.Active, Archived: true}} {
		req.Count = true
		p, err := e.List(e.ctx, e.sc, req)
		noError(t, err)
		for _, found := range p.Items {
			equal(t, other.ID, found.ID)
		}
		equal(t, len(p.Items), p.Total)
	}
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		n, err := e.CountLive(ctx, e.sc)
		equal(t, 1, n)
		return err
	}))
	is(t, e.Insert(e.ctx, e.sc, a), agent.ErrExists) // the id is not given away again

	unswept := func(before time.Time) (found []id.Agent) {
		t.Helper()
		refs, err := e.Unswept(e.ctx, before, 1000)
		noError(t, err)
		for _, r := range refs {
			if r.Tenant == e.sc.Tenant {
				found = append(found, r.Agent)
			}
		}
		return found
	}
	equal(t, 0, len(unswept(at)))
	equal(t, []id.Agent{a.ID}, unswept(at.Add(time.Second)))
	noError(t, e.Swept(e.ctx, e.sc, other.ID, at)) // is not destroyed
	noError(t, e.Swept(e.ctx, account.System(id.New[id.TenantKind](ids)), a.ID, at))
	equal(t, []id.Agent{a.ID}, unswept(at.Add(time.Second)))
	noError(t, e.Swept(e.ctx, e.sc, a.ID, at))
	equal(t, 0, len(unswept(at.Add(time.Second))))
}

func second[T any](_ T, err error) error { return err }

// destroyLocked checks that an agent is not destroyed under those who hold its standing, and that those who come later do not find it.
func destroyLocked(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	holding, ended := make(chan struct{}), make(chan struct{})
	destroyed := make(chan error, 1)
	go func() {
		<-holding
		err := e.tx.Do(e.ctx, func(ctx context.Context) error {
			_, err := e.Destroy(ctx, e.sc, a.ID, time.Now())
			return err
		})
		select {
		case <-ended:
		default:
			err = errors.Join(err, errors.New("destroyed while a transaction held the standing"))
		}
		destroyed <- err
	}()
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.LockStanding(ctx, e.sc, a.ID); err != nil {
			return err
		}
		close(holding)
		for range 20 { // every chance to come through before this ends
			if _, err := e.LockStanding(ctx, e.sc, a.ID); err != nil {
				return err
			}
		}
		close(ended)
		return nil
	}))
	noError(t, <-destroyed)
	nothing(t, e, e.sc, a.ID)
}

// count checks that a limit which callers check against CountLive holds when they come at once.
func count(t *testing.T, e *env) {
	full := errors.New("full")
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused := 0
	for range 12 {
		wg.Go(func() {
			err := e.tx.Do(e.ctx, func(ctx context.Context) error {
				n, err := e.CountLive(ctx, e.sc)
				if err != nil {
					return err
				}
				if n >= 5 {
					return full
				}
				return e.Insert(ctx, e.sc, named(e.sc, "a"))
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, full):
				refused++
			case err != nil:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, 7, refused)
	p, err := e.List(e.ctx, e.sc, agent.ListRequest{})
	noError(t, err)
	equal(t, 5, len(p.Items))
	now := clock.Stored(time.Now())
	_, err = e.Update(e.ctx, e.sc, p.Items[0].ID, func(a *agent.Agent) error {
		a.Standing, a.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		n, err := e.CountLive(ctx, e.sc)
		equal(t, 4, n)
		return err
	}))
}

func names(as []agent.Agent) []string {
	var out []string
	for _, a := range as {
		out = append(out, a.Config.Name)
	}
	return out
}

func list(t *testing.T, e *env) {
	p, err := e.List(e.ctx, e.sc, agent.ListRequest{})
	noError(t, err)
	equal(t, page.Page[agent.Agent]{}, p)
	var want []agent.Agent
	for i := range 5 {
		a := named(e.sc, fmt.Sprint(i))
		e.insert(t, a)
		want = append([]agent.Agent{a}, want...)
	}
	for limit := 1; limit <= 6; limit++ {
		equal(t, want, pagetest.Walk(t, limit, pagetest.Whole, func(req page.Request) (page.Page[agent.Agent], error) {
			return e.List(e.ctx, e.sc, agent.ListRequest{Request: req})
		}))
	}
	for offset := range 7 {
		p, err := e.List(e.ctx, e.sc, agent.ListRequest{Request: page.Request{Limit: 2, Offset: offset, Count: true}})
		noError(t, err)
		equal(t, want[min(offset, 5):min(offset+2, 5)], p.Items)
		equal(t, []any{5, offset < 3}, []any{p.Total, p.Next != ""})
	}
	// A cursor names a position: rows that come meanwhile neither shift nor double the rest.
	first, err := e.List(e.ctx, e.sc, agent.ListRequest{Request: page.Request{Limit: 2}})
	noError(t, err)
	e.insert(t, named(e.sc, "late"))
	rest, err := e.List(e.ctx, e.sc, agent.ListRequest{Request: page.Request{Cursor: first.Next}})
	noError(t, err)
	equal(t, want[2:], rest.Items)
	_, err = e.List(e.ctx, e.sc, agent.ListRequest{Request: page.Request{Cursor: "nonsense"}})
	equal(t, fault.Invalid, fault.KindOf(err))
}

func listFilters(t *testing.T, e *env) {
	base := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, name := range []string{"Straße Nord", "100% sure_", "strasse süd", "plain"} {
		a := named(e.sc, name)
		a.CreatedAt = base.Add(time.Duration(i) * time.Hour)
		if name == "plain" {
			a.Standing, a.ArchivedAt = agent.Active, nil
		}
		e.insert(t, a)
		if name != "plain" {
			continue
		}
		_, err := e.Update(e.ctx, e.sc, a.ID, func(a *agent.Agent) error {
			a.Standing, a.ArchivedAt = agent.Archived, &base
			return nil
		})
		noError(t, err)
	}
	for _, c := range []struct {
		req  agent.ListRequest
		want []string
	}{
		{agent.ListRequest{}, []string{"strasse süd", "100% sure_", "Straße Nord"}},
		{agent.ListRequest{Archived: true}, []string{"plain", "strasse süd", "100% sure_", "Straße Nord"}},
		{agent.ListRequest{Search: "STRASSE"}, []string{"strasse süd", "Straße Nord"}},
		{agent.ListRequest{Search: "%"}, []string{"100% sure_"}},
		{agent.ListRequest{Search: "_"}, []string{"100% sure_"}},
		{agent.ListRequest{Search: "\x00'\xff"}, nil},
		{agent.ListRequest{Name: "STRASSE NORD"}, []string{"Straße Nord"}},
		{agent.ListRequest{Name: "strasse"}, nil},
		{agent.ListRequest{Name: "plain"}, nil},
		{agent.ListRequest{Name: "plain", Archived: true}, []string{"plain"}},
		{agent.ListRequest{From: base.Add(time.Hour)}, []string{"strasse süd", "100% sure_"}},
		{agent.ListRequest{From: base, Until: base.Add(time.Hour)}, []string{"Straße Nord"}},
		{agent.ListRequest{Until: base}, nil},
	} {
		p, err := e.List(e.ctx, e.sc, c.req)
		noError(t, err)
		if diff := cmp.Diff(c.want, names(p.Items)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.req, diff)
		}
	}
}

func cancelled(t *testing.T, e *env) {
	a := named(e.sc, "a")
	e.insert(t, a)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Get(ctx, e.sc, a.ID)
	is(t, err, context.Canceled)
	is(t, e.Insert(ctx, e.sc, named(e.sc, "b")), context.Canceled)
}
