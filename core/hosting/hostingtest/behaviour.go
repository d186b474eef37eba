package hostingtest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

func lifecycle(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	instance := hosting.InstanceID(a)
	d, err := s.Stop(e.ctx, e.sc, a) // it was never hosted
	noError(t, err)
	equal(t, hosting.New(e.sc.Tenant, a), d)
	if err := s.Running(e.ctx, e.sc, a); !errors.Is(err, hosting.ErrNotRunning) {
		t.Errorf("running: %v", err)
	}
	first := s.start(t, a)
	equal(t, 1, first.Generation)
	noError(t, s.Running(e.ctx, e.sc, a))
	again := s.start(t, a) // it runs
	equal(t, first, again)
	equal(t, 1, s.host.Starts(instance))
	stopped, err := s.Stop(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Stopped, stopped.Status)
	if stopped.StoppedAt.IsZero() || stopped.NeedsRestart {
		t.Errorf("stopped: %+v", stopped)
	}
	i, err := s.host.Inspect(e.ctx, instance)
	noError(t, err)
	equal(t, runtime.InstanceExited, i.State)
	second := s.start(t, a)
	equal(t, true, second.StoppedAt.IsZero())
	third, err := s.Restart(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, []int64{2, 3}, []int64{second.Generation, third.Generation})
	if !third.StartedAt.After(second.StartedAt) {
		t.Errorf("a restart started at %s, after one at %s", third.StartedAt, second.StartedAt)
	}
	equal(t, 3, s.host.Starts(instance))
	until(t, "told", func() bool { // after the caller is
		return slices.Equal(s.world.heard(a), []string{"started", "stopped", "started", "stopped", "started"})
	})
	for _, action := range []string{"agent_started", "agent_stopped", "agent_restarted"} {
		equal(t, true, s.world.noted(action))
	}
	for _, of := range []id.Agent{id.New[id.AgentKind](ids)} {
		for _, do := range []func(context.Context, account.Scope, id.Agent) (hosting.Deployment, error){s.Get, s.Start, s.Stop, s.Restart} {
			if _, err := do(e.ctx, e.sc, of); fault.KindOf(err) != fault.NotFound {
				t.Errorf("an unknown agent: %v", err)
			}
		}
		if err := s.Running(e.ctx, e.sc, of); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an unknown agent runs: %v", err)
		}
	}
}

func createdWhole(t *testing.T, e *env) {
	s := e.server(t)
	req := hosting.CreateRequest{
		Agent: agent.Config{Name: "one"}, NeedsKey: true, Secrets: map[string]string{"key": "a-secret-key"},
		Documents: hosting.FirstDocuments{Soul: "be kind"},
		Settings: hosting.Settings{
			Region: hosting.RegionUS, Config: json.RawMessage(`{"llmProvider":"offline","gone":null}`),
			Program: &hosting.Program{Command: []string{"serve"}, Port: 8080},
		},
	}
	h, err := s.Create(e.ctx, e.sc, req)
	noError(t, err)
	equal(t, hosting.Running, h.Deployment.Status)
	equal(t, hosting.RegionUS, h.Deployment.Region)
	equal(t, `{"llmProvider":"offline"}`, string(h.Deployment.Config))
	equal(t, hosting.ProtocolOpenAI, h.Deployment.Program.Protocol)
	equal(t, "be kind", s.world.first.Soul)
	spec, _ := s.host.Spec(hosting.InstanceID(h.Agent.ID))
	equal(t, []string{"serve"}, spec.Command)
	equal(t, map[string]string{"key": "a-secret-key"}, spec.Env) // it has a program of its own
	equal(t, "one", string(spec.Files["SOUL.md"]))
	equal(t, h.Agent.ID.UUID().String(), spec.Labels["agent"])

	req.Secrets = nil
	if _, err := s.Create(e.ctx, e.sc, req); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a key: %v", err)
	}
	before, err := e.Agents.CountLive(e.ctx, e.sc)
	noError(t, err)
	req.NeedsKey = false
	for name, bad := range map[string]func(*hosting.CreateRequest){
		"name":     func(r *hosting.CreateRequest) { r.Agent.Name = "" },
		"region":   func(r *hosting.CreateRequest) { r.Region = "mars" },
		"config":   func(r *hosting.CreateRequest) { r.Config = json.RawMessage(`[1]`) },
		"provider": func(r *hosting.CreateRequest) { r.Config = json.RawMessage(`{"llmProvider":"none"}`) },
		"avatar":   func(r *hosting.CreateRequest) { r.AvatarURL = "javascript:alert(1)" },
		"limits":   func(r *hosting.CreateRequest) { r.Limits.Memory = 1 },
		"port":     func(r *hosting.CreateRequest) { r.Program = &hosting.Program{Command: []string{"x"}} },
		"program":  func(r *hosting.CreateRequest) { r.Program = &hosting.Program{Port: 80} },
	} {
		wrong := req
		bad(&wrong)
		if _, err := s.Create(e.ctx, e.sc, wrong); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	after, err := e.Agents.CountLive(e.ctx, e.sc)
	noError(t, err)
	equal(t, before, after)
}

func updates(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	name, url, region := "renamed", "https://img.invalid/a.png", hosting.RegionUS
	h, err := s.Update(e.ctx, e.sc, a, hosting.Change{AvatarURL: &url, Region: &region, Config: json.RawMessage(`{"a":{"b":1,"c":2},"d":3}`)})
	noError(t, err)
	equal(t, hosting.Stopped, h.Deployment.Status)
	equal(t, false, h.Deployment.NeedsRestart) // it does not run
	s.start(t, a)
	h, err = s.Update(e.ctx, e.sc, a, hosting.Change{AvatarURL: new(string)})
	noError(t, err)
	equal(t, false, h.Deployment.NeedsRestart) // no program sees that
	equal(t, "", h.Deployment.AvatarURL)
	h, err = s.Update(e.ctx, e.sc, a, hosting.Change{Config: json.RawMessage(`{"a":{"b":null,"e":5},"d":"x"}`)})
	noError(t, err)
	equal(t, `{"a":{"c":2,"e":5},"d":"x"}`, string(h.Deployment.Config))
	equal(t, true, h.Deployment.NeedsRestart)
	d, err := s.Restart(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, false, d.NeedsRestart)
	to := id.Swarm{}
	h, err = s.Update(e.ctx, e.sc, a, hosting.Change{Name: &name, Swarm: &to})
	noError(t, err)
	equal(t, "renamed", h.Agent.Config.Name)
	equal(t, true, h.Deployment.NeedsRestart)
	for _, bad := range []hosting.Change{
		{Name: new(string), AvatarURL: &url}, {AvatarURL: &url, Config: json.RawMessage(`{"llmProvider":1}`)}, {Config: json.RawMessage(`"x"`)},
	} {
		if _, err := s.Update(e.ctx, e.sc, a, bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	equal(t, "", e.get(t, a).AvatarURL) // all or nothing
	if _, err := s.Update(e.ctx, e.sc, id.New[id.AgentKind](ids), hosting.Change{Name: &name}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown agent: %v", err)
	}
}

func refusals(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	freeze := func(to agent.Standing) {
		t.Helper()
		noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
			_, err := e.Agents.SetStanding(ctx, e.sc, a, to)
			return err
		}))
	}
	s.start(t, a)
	freeze(agent.Frozen)
	for _, do := range []func(context.Context, account.Scope, id.Agent) (hosting.Deployment, error){s.Start, s.Restart} {
		if _, err := do(e.ctx, e.sc, a); !errors.Is(err, agent.ErrFrozen) {
			t.Errorf("frozen: %v", err)
		}
	}
	equal(t, hosting.Running, e.get(t, a).Status)
	d, err := s.Stop(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Stopped, d.Status)
	freeze(agent.Active)
	s.start(t, a)
}

func needsRestart(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	changed := func(want bool) {
		t.Helper()
		noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
			got, err := s.Changed(ctx, e.sc, a)
			equal(t, want, got)
			return err
		}))
	}
	changed(false)
	equal(t, true, e.get(t, a).CreatedAt.IsZero()) // and hosts nothing
	_, hosted, err := s.StartedAt(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, false, hosted)
	began := clock.Stored(time.Now())
	s.start(t, a)
	at, hosted, err := s.StartedAt(e.ctx, e.sc, a)
	noError(t, err)
	if !hosted || at.Before(began) {
		t.Errorf("started at %s, %v", at, hosted)
	}
	changed(true)
	equal(t, true, e.get(t, a).NeedsRestart)
	_, err = s.Stop(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, false, e.get(t, a).NeedsRestart)
	changed(false)
	n, err := s.CountRunning(e.ctx, e.sc)
	noError(t, err)
	equal(t, 0, n)
}

func crash(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	instance := hosting.InstanceID(a)
	first := s.start(t, a)
	s.world.locked(func() { s.world.files = map[string][]byte{"SOUL.md": []byte("two")} })
	s.host.End(instance, runtime.Instance{Code: 3})
	var d hosting.Deployment
	until(t, "another start", func() bool {
		d = e.get(t, a)
		return s.host.Starts(instance) == 2 && d.Status == hosting.Running
	})
	equal(t, first.Generation, d.Generation)
	equal(t, "its program ended with status 3", d.LastError)
	equal(t, 1, len(d.Failures))
	spec, _ := s.host.Spec(instance)
	equal(t, "two", string(spec.Files["SOUL.md"])) // it starts with what there is now
	_, restarts := s.supervisor.Counts()
	equal(t, 1, restarts)
	d, err := s.Restart(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, "", d.LastError)
	equal(t, 0, len(d.Failures))
}

func crashLoop(t *testing.T, e *env) {
	for _, c := range []struct {
		end      runtime.Instance
		category hosting.ErrorCategory
		reason   string
	}{
		{runtime.Instance{Code: 1, Reason: "no such file a-secret-key"}, hosting.CategoryCrashLoop, "no such file [redacted:key]"},
		{runtime.Instance{Code: -1, Memory: true}, hosting.CategoryMemory, "its program used more memory than it may"},
	} {
		s := e.server(t)
		s.world.secrets = map[string]string{"key": "a-secret-key"}
		a := e.agent(t)
		instance := hosting.InstanceID(a)
		s.start(t, a)
		for n := range 5 {
			until(t, "a start", func() bool { return s.host.Starts(instance) == n+1 && e.get(t, a).Status == hosting.Running })
			s.host.End(instance, c.end)
			until(t, "an end", func() bool { return len(e.get(t, a).Failures) == n+1 })
		}
		d := s.becomes(t, a, hosting.Error)
		equal(t, c.category, d.ErrorCategory)
		equal(t, c.reason, d.LastError)
		equal(t, 5, s.host.Starts(instance))
		equal(t, true, s.world.noted("agent_failed"))
		d = s.start(t, a) // which begins to count anew
		equal(t, 0, len(d.Failures))
		equal(t, hosting.ErrorCategory(""), d.ErrorCategory)
		s.stop()
	}
}

func failedStarts(t *testing.T, e *env) {
	for name, c := range map[string]struct {
		err      error
		category hosting.ErrorCategory
		tries    int
	}{
		"image":     {runtime.ErrImage.Withf("there is no image x"), hosting.CategoryImage, 1},
		"isolation": {runtime.ErrIsolation, hosting.CategoryRuntime, 1},
		"other":     {errors.New("the engine is down"), hosting.CategoryRuntime, 5},
	} {
		t.Run(name, func(t *testing.T) {
			h := runtimetest.NewFakeHost()
			var mu sync.Mutex
			tries, refuse := 0, c.err
			h.Refuse = func(runtime.InstanceSpec) error {
				mu.Lock()
				defer mu.Unlock()
				tries++
				return refuse
			}
			s := e.serve(t, h, newWorld(), func(cfg *hosting.SupervisorConfig) { cfg.Site += "-" + name })
			a := e.agent(t)
			d, err := s.Start(e.ctx, e.sc, a)
			noError(t, err)
			equal(t, hosting.Error, d.Status)
			equal(t, c.category, d.ErrorCategory)
			if d.LastError == "" {
				t.Error("no reason is given")
			}
			mu.Lock()
			equal(t, c.tries, tries)
			refuse = nil
			mu.Unlock()
			s.start(t, a)
			s.stop()
		})
	}
}

func health(t *testing.T, e *env) {
	w := newWorld()
	w.broken = errors.New("connection refused")
	s := e.serve(t, runtimetest.NewFakeHost(), w, func(c *hosting.SupervisorConfig) { c.StartTimeout, c.MaxFailures = 20*time.Millisecond, 2 })
	a := e.agent(t)
	d, err := s.Start(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Error, d.Status)
	equal(t, hosting.CategoryHealth, d.ErrorCategory)
	i, err := s.host.Inspect(e.ctx, hosting.InstanceID(a))
	noError(t, err)
	equal(t, runtime.InstanceExited, i.State)
	equal(t, 0, len(w.heard(a)))
	w.locked(func() { w.broken = nil })
	s.start(t, a)
}

func adoption(t *testing.T, e *env) {
	one := e.server(t)
	var all []id.Agent
	for range 5 {
		a := e.agent(t)
		one.start(t, a)
		all = append(all, a)
	}
	idle := e.agent(t)
	one.start(t, idle)
	_, err := one.Stop(e.ctx, e.sc, idle)
	noError(t, err)
	one.stop()
	two := e.serve(t, one.host, newWorld(), nil)
	for _, a := range all {
		until(t, "adopted", func() bool { return slices.Equal(two.world.heard(a), []string{"started"}) })
		equal(t, 1, two.host.Starts(hosting.InstanceID(a)))
		equal(t, hosting.Running, e.get(t, a).Status)
	}
	equal(t, 0, len(two.world.heard(idle)))
	two.stop()
	equal(t, []string{"started", "stopped"}, two.world.heard(all[0])) // nobody looks after it here
	i, err := two.host.Inspect(e.ctx, hosting.InstanceID(all[0]))
	noError(t, err)
	equal(t, runtime.InstanceRunning, i.State)
}

// lostInstance is what a restart of the machine leaves: deployments that run, and nothing else.
func lostInstance(t *testing.T, e *env) {
	one := e.server(t)
	a := e.agent(t)
	one.start(t, a)
	one.stop()
	two := e.serve(t, runtimetest.NewFakeHost(), newWorld(), nil)
	until(t, "a start", func() bool {
		return two.host.Starts(hosting.InstanceID(a)) == 1 && e.get(t, a).Status == hosting.Running
	})
	equal(t, 0, len(e.get(t, a).Failures))
}

func orphans(t *testing.T, e *env) {
	h := runtimetest.NewFakeHost()
	stranger := id.New[id.AgentKind](ids)
	h.Plant(hosting.InstanceID(stranger))
	s := e.serve(t, h, newWorld(), nil)
	a := e.agent(t)
	s.start(t, a)
	until(t, "gone", func() bool {
		_, err := h.Inspect(e.ctx, hosting.InstanceID(stranger))
		return errors.Is(err, runtime.ErrNoInstance)
	})
	i, err := h.Inspect(e.ctx, hosting.InstanceID(a))
	noError(t, err)
	equal(t, runtime.InstanceRunning, i.State)
}

func destroyed(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	s.start(t, a)
	noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Agents.Destroy(ctx, e.sc, a, clock.Stored(time.Now())); err != nil {
			return err
		}
		return s.Forget(ctx, e.sc, a)
	}))
	until(t, "gone", func() bool {
		_, err := s.host.Inspect(e.ctx, hosting.InstanceID(a))
		return errors.Is(err, runtime.ErrNoInstance)
	})
	until(t, "told", func() bool { return slices.Equal(s.world.heard(a), []string{"started", "stopped"}) })
	noError(t, s.Forget(e.ctx, e.sc, a)) // again
	if _, err := s.Start(e.ctx, e.sc, a); fault.KindOf(err) != fault.NotFound {
		t.Errorf("start: %v", err)
	}
}

func standing(t *testing.T, e *env) {
	s := e.server(t)
	plain, own := e.agent(t), e.agent(t)
	p := &hosting.Program{Command: []string{"serve"}, Port: 80}
	_, err := s.Update(e.ctx, e.sc, own, hosting.Change{Program: &p})
	noError(t, err)
	s.start(t, plain)
	s.start(t, own)
	freeze := func(to agent.Standing) {
		t.Helper()
		for _, a := range []id.Agent{plain, own} {
			noError(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
				_, err := e.Agents.SetStanding(ctx, e.sc, a, to)
				return err
			}))
		}
	}
	freeze(agent.Frozen)
	d := s.becomes(t, own, hosting.Stopped)
	equal(t, hosting.DesiredRunning, d.Desired)
	equal(t, hosting.Running, e.get(t, plain).Status)
	freeze(agent.Active)
	s.becomes(t, own, hosting.Running)
	equal(t, 2, s.host.Starts(hosting.InstanceID(own)))
	_, err = e.Agents.Update(e.ctx, e.sc, plain, func(a *agent.Agent) error {
		now := clock.Stored(time.Now())
		a.Standing, a.ArchivedAt = agent.Archived, &now
		return nil
	})
	noError(t, err)
	s.becomes(t, plain, hosting.Stopped)
	if _, err := s.Start(e.ctx, e.sc, plain); !errors.Is(err, agent.ErrArchived) {
		t.Errorf("archived: %v", err)
	}
	equal(t, 1, s.host.Starts(hosting.InstanceID(plain)))
}

func stopAll(t *testing.T, e *env) {
	h := runtimetest.NewFakeHost()
	leave := func(c *hosting.SupervisorConfig) { c.StopAll = true }
	one := e.serve(t, h, newWorld(), leave)
	a, b := e.agent(t), e.agent(t)
	one.start(t, a)
	one.start(t, b)
	_, err := one.Stop(e.ctx, e.sc, b)
	noError(t, err)
	one.stop()
	i, err := h.Inspect(e.ctx, hosting.InstanceID(a))
	noError(t, err)
	equal(t, runtime.InstanceExited, i.State)
	equal(t, hosting.Starting, e.get(t, a).Status)
	e.serve(t, h, newWorld(), leave)
	until(t, "a start", func() bool { return e.get(t, a).Status == hosting.Running })
	equal(t, 2, h.Starts(hosting.InstanceID(a)))
	equal(t, 1, h.Starts(hosting.InstanceID(b)))
	equal(t, 0, len(e.get(t, a).Failures)) // that was no crash
}

// shared has several servers reach the same instances.
func shared(c *hosting.SupervisorConfig) {
	c.Exclusive, c.Measure, c.Lease = false, time.Hour, 6*time.Second // a site without a server is noticed after a third of it
}

func oneLeads(t *testing.T, e *env) {
	h, w := runtimetest.NewFakeHost(), newWorld()
	var all []*server
	for range 3 {
		all = append(all, e.serve(t, h, w, shared))
	}
	a := e.agent(t)
	all[0].start(t, a)
	leader := func() *server {
		var out *server
		for _, s := range all {
			if s.supervisor.Leads() {
				if out != nil {
					t.Error("two supervise one site")
				}
				out = s
			}
		}
		return out
	}
	was := leader()
	for _, s := range all {
		_, err := s.Restart(e.ctx, e.sc, a) // whoever is asked
		noError(t, err)
	}
	equal(t, 4, h.Starts(hosting.InstanceID(a)))
	was.stop()
	all = slices.DeleteFunc(all, func(s *server) bool { return s == was })
	d, err := all[0].Restart(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Running, d.Status)
	equal(t, 5, h.Starts(hosting.InstanceID(a)))
	if next := leader(); next == nil || next == was {
		t.Error("nobody took the site over")
	}
}

func atOnce(t *testing.T, e *env) {
	h, w := runtimetest.NewFakeHost(), newWorld()
	servers := []*server{e.serve(t, h, w, shared), e.serve(t, h, w, shared)}
	a := e.agent(t)
	var work sync.WaitGroup
	for i := range 12 {
		work.Go(func() {
			s := servers[i%2]
			do := []func(context.Context, account.Scope, id.Agent) (hosting.Deployment, error){s.Start, s.Restart, s.Stop}[i%3]
			if _, err := do(e.ctx, e.sc, a); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	d, err := servers[0].Start(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Running, d.Status)
	if n := h.Starts(hosting.InstanceID(a)); int64(n) > d.Generation {
		t.Errorf("%d programs were started in %d generations", n, d.Generation)
	}
	i, err := h.Inspect(e.ctx, hosting.InstanceID(a))
	noError(t, err)
	equal(t, d.Generation, i.Generation)
	instances, err := h.List(e.ctx)
	noError(t, err)
	equal(t, 1, len(instances))
}

// deadSite is a machine that went away: nobody looks after its instances.
func deadSite(t *testing.T, e *env) {
	gone := e.serve(t, runtimetest.NewFakeHost(), newWorld(), func(c *hosting.SupervisorConfig) { c.Site += "-gone" })
	here := e.server(t)
	a, b := e.agent(t), e.agent(t)
	gone.start(t, a)
	gone.start(t, b)
	d, err := here.Restart(e.ctx, e.sc, a) // its machine is there, and does it
	noError(t, err)
	equal(t, hosting.Running, d.Status)
	equal(t, 2, gone.host.Starts(hosting.InstanceID(a)))
	if _, err := here.Logs(e.ctx, e.sc, a, hosting.LogQuery{}); !errors.Is(err, hosting.ErrElsewhere) {
		t.Errorf("logs of elsewhere: %v", err)
	}
	gone.stop()
	equal(t, hosting.Running, here.start(t, a).Status) // what runs is left where it is
	equal(t, 0, here.host.Starts(hosting.InstanceID(a)))
	d, err = here.Restart(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Running, d.Status)
	equal(t, here.supervisor.Site(), d.Site)
	equal(t, 1, here.host.Starts(hosting.InstanceID(a)))
	d, err = here.Stop(e.ctx, e.sc, b)
	noError(t, err)
	equal(t, hosting.Stopped, d.Status)
	back := e.serve(t, gone.host, newWorld(), func(c *hosting.SupervisorConfig) { c.Site += "-gone" })
	until(t, "the old instances end", func() bool {
		_, err := back.host.Inspect(e.ctx, hosting.InstanceID(a))
		i, other := back.host.Inspect(e.ctx, hosting.InstanceID(b))
		return errors.Is(err, runtime.ErrNoInstance) && other == nil && i.State == runtime.InstanceExited
	})
	equal(t, hosting.Running, e.get(t, a).Status)
}

func status(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	r, err := s.Status(e.ctx, e.sc, a)
	noError(t, err)
	equal(t, hosting.Report{Deployment: hosting.New(e.sc.Tenant, a), Instance: hosting.InstanceNone, Source: hosting.SourceRuntime}, r)
	d := s.start(t, a)
	r, err = s.Status(e.ctx, e.sc, a)
	noError(t, err)
	if !r.Live || r.Source != hosting.SourceRuntime || r.Instance != runtime.InstanceRunning || r.Stats == nil || r.Stats.Memory == 0 {
		t.Errorf("running: %+v", r)
	}
	elsewhere := e.serve(t, runtimetest.NewFakeHost(), newWorld(), func(c *hosting.SupervisorConfig) { c.Site += "-other" })
	r, err = elsewhere.Status(e.ctx, e.sc, a)
	noError(t, err)
	if r.Live || r.Source != hosting.SourceCache || r.Stats != nil {
		t.Errorf("nothing is remembered yet: %+v", r)
	}
	at := clock.Stored(time.Now())
	noError(t, e.Sites.Measure(e.ctx, d.Site, []hosting.Measured{{Agent: a, Stats: runtime.Stats{Memory: 5, MemoryLimit: 9, At: at}}}))
	r, err = elsewhere.Status(e.ctx, e.sc, a)
	noError(t, err)
	if !r.Live || r.Source != hosting.SourceCache || r.Stats == nil || r.Stats.Memory != 5 {
		t.Errorf("remembered: %+v", r)
	}
	_, err = s.Stop(e.ctx, e.sc, a)
	noError(t, err)
	r, err = s.Status(e.ctx, e.sc, a)
	noError(t, err)
	if r.Live || r.Instance != runtime.InstanceExited || r.Stats != nil {
		t.Errorf("stopped: %+v", r)
	}
}

func (s *server) lines(t *testing.T, a id.Agent, tail int) []string {
	t.Helper()
	lines, err := s.Logs(s.e.ctx, s.e.sc, a, hosting.LogQuery{Tail: tail})
	noError(t, err)
	var out []string
	for l, err := range lines {
		noError(t, err)
		out = append(out, "["+l.Level+"] "+l.Text)
	}
	return out
}

func logs(t *testing.T, e *env) {
	s := e.server(t)
	s.world.secrets = map[string]string{"TOKEN": "s3cr3t-token"}
	a := e.agent(t)
	instance := hosting.InstanceID(a)
	equal(t, 0, len(s.lines(t, a, 10)))
	s.start(t, a)
	at := time.Date(2026, 2, 10, 14, 0, 5, 123456789, time.UTC)
	for _, l := range []runtime.LogLine{
		{Text: "plain"}, {Text: "[WARN] levelled s3cr3t-token"}, {Text: "oops", Stderr: true}, {Text: " \t "}, {Text: "[not a level] x"}, {Text: "a\x1b[2Jb\r"},
	} {
		l.Time = at
		s.host.Say(instance, l)
	}
	want := []string{
		"[info] started, generation 1", "[info] plain", "[warn] levelled [redacted:TOKEN]", "[stderr] oops", "[info] [not a level] x", "[info] a [2Jb",
	}
	equal(t, want, s.lines(t, a, 100))
	equal(t, want[4:], s.lines(t, a, 2))
	equal(t, 0, len(s.lines(t, a, 0)))
	lines, err := s.Logs(e.ctx, e.sc, a, hosting.LogQuery{Tail: 1})
	noError(t, err)
	for l := range lines {
		equal(t, "2026-02-10T14:00:05.123Z [info] a [2Jb", l.String())
	}
	if _, err := s.Logs(e.ctx, e.sc, id.New[id.AgentKind](ids), hosting.LogQuery{}); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an unknown agent: %v", err)
	}
}

func logsFollowed(t *testing.T, e *env) {
	s := e.server(t)
	a := e.agent(t)
	instance := hosting.InstanceID(a)
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	got := make(chan string, 100)
	ended := make(chan error, 2)
	for range 2 {
		lines, err := s.Logs(ctx, e.sc, a, hosting.LogQuery{Tail: 10, Follow: true})
		noError(t, err)
		go func() {
			var last error
			for l, err := range lines {
				if last = err; err == nil {
					got <- l.Text
				}
			}
			ended <- last
		}()
	}
	both := func(want string) {
		t.Helper()
		for range 2 {
			select {
			case text := <-got:
				equal(t, want, text)
			case <-ctx.Done():
				t.Fatalf("no line %q", want)
			}
		}
	}
	s.start(t, a) // after the streams were opened
	both("started, generation 1")
	s.host.Say(instance, runtime.LogLine{Time: time.Now(), Text: "hello"})
	both("hello")
	s.world.locked(func() { s.world.secrets = map[string]string{"WORD": "swordfish"} })
	_, err := s.Restart(e.ctx, e.sc, a)
	noError(t, err)
	both("started, generation 2")
	s.host.Say(instance, runtime.LogLine{Time: time.Now(), Text: "the word is swordfish"})
	both("the word is [redacted:WORD]") // although the streams are older than it
	s.CloseStreams()
	for range 2 {
		if err := <-ended; !errors.Is(err, hosting.ErrStopping) {
			t.Errorf("the end of a stream: %v", err)
		}
	}
}
