// Package hostingtest is the conformance suite of the repositories of core/hosting, and of what its services make of them.
package hostingtest

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/agent/agenttest"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store struct {
	TX          tx.Runner
	Deployments hosting.Repository
	Sites       hosting.Sites
	Agents      AgentStore
}

// AgentStore keeps the agents that are hosted.
type AgentStore interface {
	agent.Repository
	agent.Standings
	agent.Graves
}

// Config of the suite.
type Config struct {
	// New returns a store; it may be the same one for every case.
	New func(t *testing.T) Store
}

var ids = id.NewGenerator(time.Now)

// env is one tenant's part of the store.
type env struct {
	Store
	ctx context.Context
	sc  account.Scope
}

func newEnv(t *testing.T, cfg Config) *env {
	t.Helper()
	return &env{cfg.New(t), t.Context(), account.System(id.New[id.TenantKind](ids))}
}

// agent stores an agent.
func (e *env) agent(t *testing.T) id.Agent {
	t.Helper()
	a := agenttest.Full(e.sc)
	a.Swarm = id.Swarm{}
	noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error { return e.Agents.Insert(ctx, e.sc, a) }))
	return a.ID
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(id.Agent{}, id.Tenant{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *env){
		"rows": rows, "no row": noRow, "errors change nothing": errorsChangeNothing, "two make one row": twoMakeOne, "rollback": rollback,
		"foreign tenant": foreign, "claims": claims, "sites": sites, "measurements": measurements,

		"lifecycle": lifecycle, "created whole": createdWhole, "updates": updates, "refusals": refusals, "needs restart": needsRestart,
		"crash": crash, "crash loop": crashLoop, "failed starts": failedStarts, "health": health, "adoption": adoption, "lost instance": lostInstance,
		"orphans": orphans, "destroyed": destroyed, "standing": standing, "stop all": stopAll, "one leads": oneLeads, "lifecycle at once": atOnce,
		"checkups": checkups, "slow checkup": slowCheckup, "dead site": deadSite, "status": status, "logs": logs, "logs followed": logsFollowed,
		"logs limited": logsLimited, "logs again": logsAgain,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newEnv(t, cfg))
		})
	}
}

// full is a deployment with every field set.
func full(sc account.Scope, a id.Agent) hosting.Deployment {
	at := clock.Stored(time.Now())
	return hosting.Deployment{
		Tenant: sc.Tenant, Agent: a, Region: hosting.RegionUS, Config: json.RawMessage(`{"b":1,"a":{"c":"'\"?"}}`), AvatarURL: "https://img.invalid/a.png",
		Program: &hosting.Program{
			Image: "image:1", Command: []string{"serve", "--port=80"}, Port: 80, Protocol: hosting.ProtocolA2A, HealthPath: "/up",
			Network: runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{"*.example.com"}},
		},
		Limits:  hosting.Limits{Limits: runtime.Limits{Memory: 1 << 30, Processes: 7, Disk: 1 << 20}, CPU: 500, OpenFiles: 100},
		Desired: hosting.DesiredRunning, Status: hosting.Starting, Generation: 1 << 40, NeedsRestart: true, Site: "site-" + a.UUID().String(),
		SpecAt: at.Add(time.Second), StartedAt: at.Add(2 * time.Second), StoppedAt: at.Add(3 * time.Second), LastError: "it ended",
		ErrorCategory: hosting.CategoryMemory, Failures: []time.Time{at, at.Add(time.Minute)}, RetryAt: at.Add(4 * time.Second),
		CreatedAt: at, UpdatedAt: at.Add(5 * time.Second),
	}
}

func (e *env) put(t *testing.T, d hosting.Deployment) {
	t.Helper()
	got, err := e.Deployments.Update(e.ctx, e.sc, d.Agent, func(row *hosting.Deployment) error {
		*row = d
		return nil
	})
	noError(t, err)
	equal(t, d, got)
}

func (e *env) get(t *testing.T, a id.Agent) hosting.Deployment {
	t.Helper()
	d, err := e.Deployments.Get(e.ctx, e.sc, a)
	noError(t, err)
	return d
}

func rows(t *testing.T, e *env) {
	a, b := e.agent(t), e.agent(t)
	d := full(e.sc, a)
	e.put(t, d)
	equal(t, d, e.get(t, a))
	plain := hosting.New(e.sc.Tenant, b)
	plain.CreatedAt, plain.UpdatedAt = d.CreatedAt, d.CreatedAt
	e.put(t, plain)
	equal(t, plain, e.get(t, b))
	d.Status, d.Program, d.Failures, d.RetryAt = hosting.Running, nil, nil, time.Time{}
	e.put(t, d)
	found, err := e.Deployments.Find(e.ctx, e.sc, []id.Agent{a, b, e.agent(t)})
	noError(t, err)
	equal(t, map[id.Agent]hosting.Deployment{a: d, b: plain}, found)
	n, err := e.Deployments.CountRunning(e.ctx, e.sc)
	noError(t, err)
	equal(t, 1, n)
	noError(t, e.Deployments.Remove(e.ctx, e.sc, a))
	noError(t, e.Deployments.Remove(e.ctx, e.sc, a))
	equal(t, hosting.New(e.sc.Tenant, a), e.get(t, a))
	n, err = e.Deployments.CountRunning(e.ctx, e.sc)
	noError(t, err)
	equal(t, 0, n)
}

func noRow(t *testing.T, e *env) {
	a := e.agent(t)
	equal(t, hosting.New(e.sc.Tenant, a), e.get(t, a))
	found, err := e.Deployments.Find(e.ctx, e.sc, nil)
	noError(t, err)
	equal(t, 0, len(found))
	d, err := e.Deployments.Update(e.ctx, e.sc, a, func(d *hosting.Deployment) error {
		equal(t, hosting.New(e.sc.Tenant, a), *d)
		d.CreatedAt = clock.Stored(time.Now())
		d.UpdatedAt = d.CreatedAt
		return nil
	})
	noError(t, err)
	equal(t, d, e.get(t, a))
}

var errNo = errors.New("no")

func errorsChangeNothing(t *testing.T, e *env) {
	a, b := e.agent(t), e.agent(t)
	d := full(e.sc, a)
	e.put(t, d)
	for _, of := range []id.Agent{a, b} {
		_, err := e.Deployments.Update(e.ctx, e.sc, of, func(d *hosting.Deployment) error {
			d.Status, d.CreatedAt = hosting.Error, clock.Stored(time.Now())
			return errNo
		})
		if !errors.Is(err, errNo) {
			t.Errorf("got %v", err)
		}
	}
	equal(t, d, e.get(t, a))
	equal(t, hosting.New(e.sc.Tenant, b), e.get(t, b))
}

func twoMakeOne(t *testing.T, e *env) {
	a := e.agent(t)
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			_, err := e.Deployments.Update(e.ctx, e.sc, a, func(d *hosting.Deployment) error {
				d.Generation++
				d.CreatedAt = clock.Stored(time.Now())
				d.UpdatedAt = d.CreatedAt
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	equal(t, 8, e.get(t, a).Generation)
}

func rollback(t *testing.T, e *env) {
	a := e.agent(t)
	err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Deployments.Update(ctx, e.sc, a, func(d *hosting.Deployment) error { *d = full(e.sc, a); return nil }); err != nil {
			return err
		}
		return errNo
	})
	if !errors.Is(err, errNo) {
		t.Errorf("got %v", err)
	}
	equal(t, hosting.New(e.sc.Tenant, a), e.get(t, a))
}

func foreign(t *testing.T, e *env) {
	a := e.agent(t)
	d := full(e.sc, a)
	d.Status = hosting.Running
	e.put(t, d)
	stranger := account.System(id.New[id.TenantKind](ids))
	got, err := e.Deployments.Get(e.ctx, stranger, a)
	noError(t, err)
	equal(t, hosting.New(stranger.Tenant, a), got)
	found, err := e.Deployments.Find(e.ctx, stranger, []id.Agent{a})
	noError(t, err)
	equal(t, 0, len(found))
	noError(t, e.Deployments.Remove(e.ctx, stranger, a))
	n, err := e.Deployments.CountRunning(e.ctx, stranger)
	noError(t, err)
	equal(t, 0, n)
	_, ok, err := e.Sites.Measured(e.ctx, stranger, a)
	noError(t, err)
	equal(t, false, ok)
	equal(t, d, e.get(t, a))
}

func claims(t *testing.T, e *env) {
	site := "claims-" + e.sc.Tenant.UUID().String()
	now := clock.Stored(time.Now())
	claim := func(owner string, at time.Time, force, want bool) {
		t.Helper()
		ok, err := e.Sites.Claim(e.ctx, site, owner, at, at.Add(time.Minute), force)
		noError(t, err)
		equal(t, want, ok)
	}
	claimed := func(at time.Time, want bool) {
		t.Helper()
		ok, err := e.Sites.Claimed(e.ctx, site, at)
		noError(t, err)
		equal(t, want, ok)
	}
	claimed(now, false)
	claim("a", now, false, true)
	claim("a", now.Add(time.Second), false, true)
	claim("b", now.Add(time.Minute), false, false)
	claimed(now.Add(time.Minute), true)
	claimed(now.Add(2*time.Minute), false)
	claim("b", now.Add(2*time.Minute), false, true)
	claim("a", now.Add(2*time.Minute), false, false)
	claim("a", now.Add(2*time.Minute), true, true)
	noError(t, e.Sites.Release(e.ctx, site, "b"))
	claimed(now.Add(2*time.Minute), true)
	noError(t, e.Sites.Release(e.ctx, site, "a"))
	claimed(now.Add(2*time.Minute), false)

	taken := make(chan string, 8)
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			owner := string(rune('a' + i))
			if ok, err := e.Sites.Claim(e.ctx, site+"-race", owner, now, now.Add(time.Minute), false); err != nil {
				t.Error(err)
			} else if ok {
				taken <- owner
			}
		})
	}
	work.Wait()
	equal(t, 1, len(taken))
}

func sites(t *testing.T, e *env) {
	a, b, c := e.agent(t), e.agent(t), e.agent(t)
	site := full(e.sc, a).Site
	for _, of := range []id.Agent{a, b, c} {
		d := full(e.sc, of)
		if d.Site = site; of == c {
			d.Site = "elsewhere-" + site
		}
		if of == b {
			d.Program = nil
		}
		e.put(t, d)
	}
	at := func(only id.Agent) map[id.Agent]hosting.Placed {
		t.Helper()
		all, err := e.Sites.At(e.ctx, site, only)
		noError(t, err)
		out := map[id.Agent]hosting.Placed{}
		for _, p := range all {
			out[p.Agent] = p
		}
		return out
	}
	d := full(e.sc, a)
	p := hosting.Placed{Tenant: e.sc.Tenant, Agent: a, Desired: d.Desired, Status: d.Status, Generation: d.Generation, Own: true}
	q := p
	q.Agent, q.Own = b, false
	got := at(id.Agent{})
	for of, g := range got {
		g.RetryAt = time.Time{}
		got[of] = g
	}
	equal(t, map[id.Agent]hosting.Placed{a: p, b: q}, got)
	equal(t, 1, len(at(b)))
	equal(t, 0, len(at(c)))
	for _, of := range []id.Agent{a, b} {
		noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
			_, err := e.Agents.SetStanding(ctx, e.sc, of, agent.Frozen)
			return err
		}))
	}
	equal(t, true, at(a)[a].Held)
	equal(t, false, at(b)[b].Held) // Bureau's worker does nothing by itself
	_, err := e.Agents.Update(e.ctx, e.sc, b, func(x *agent.Agent) error {
		now := clock.Stored(time.Now())
		x.Standing, x.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	equal(t, true, at(b)[b].Held)
	noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Agents.Destroy(ctx, e.sc, a, clock.Stored(time.Now()))
		return err
	}))
	equal(t, 0, len(at(a)))
}

func measurements(t *testing.T, e *env) {
	a, b := e.agent(t), e.agent(t)
	d := full(e.sc, a)
	e.put(t, d)
	want := hosting.Measured{Agent: a, Stats: runtime.Stats{
		Memory: 1 << 20, MemoryLimit: 1 << 30, CPUPercent: 12.5, Processes: 3, At: clock.Stored(time.Now()),
	}}
	gone := want
	gone.Agent = b
	noError(t, e.Sites.Measure(e.ctx, d.Site, []hosting.Measured{want, gone}))
	got, ok, err := e.Sites.Measured(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, true, ok)
	equal(t, want, got)
	_, ok, err = e.Sites.Measured(e.ctx, e.sc, b)
	noError(t, err)
	equal(t, false, ok)
	equal(t, d, e.get(t, a))
}
