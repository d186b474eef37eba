package hostingtest

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/agent/agenttest"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

// server is one that hosts agents.
type server struct {
	*hosting.Service

	e          *env
	host       *runtimetest.FakeHost
	supervisor *hosting.Supervisor
	world      *world
	stop       func()
}

// world is what the contexts around hosting have, shared by the servers of a test.
type world struct {
	mu      sync.Mutex
	bus     localBus
	files   map[string][]byte
	secrets map[string]string
	first   hosting.FirstDocuments
	notes   []string
	told    []string
	broken  error                                             // what a probe returns
	probe   func(d hosting.Deployment, instance string) error // answers probes in its place; set before it is used
}

// patience bounds everything that a test waits for.
const patience = 20 * time.Second

// serve starts a server over a host.
func (e *env) serve(t *testing.T, h *runtimetest.FakeHost, w *world, change func(*hosting.SupervisorConfig)) *server {
	t.Helper()
	cfg := hosting.SupervisorConfig{
		Site: "fake:" + e.sc.Tenant.UUID().String(), Exclusive: true, Every: 3 * time.Millisecond, Lease: time.Minute, StartTimeout: patience,
		Grace: 10 * time.Millisecond, Backoff: time.Millisecond, MaxBackoff: 3 * time.Millisecond,
	}
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.DiscardHandler)
	now := clock.Func(time.Now)
	sup, err := hosting.NewSupervisor(hosting.SupervisorDeps{
		TX: e.TX, Clock: now, IDs: ids, Logger: log, Bus: &w.bus, Repository: e.Deployments, Sites: e.Sites, Documents: w, Secrets: secretsOf{w}, Trail: w,
		Prober: w, Host: h, Watchers: []hosting.Watcher{w},
	}, cfg)
	noError(t, err)
	s, err := hosting.NewService(hosting.Deps{
		TX: e.TX, Clock: now, Logger: log, Repository: e.Deployments, Sites: e.Sites, Agents: agents{e}, Standings: e.Agents, Tenants: w,
		Swarms: swarms{e}, Documents: w, Secrets: secretsOf{w}, Trail: w, Supervisor: sup, Host: h,
	}, hosting.Config{Wait: patience, MaxStreams: maxStreams})
	noError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		sup.Run(ctx, patience)
	}()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return &server{s, e, h, sup, w, stop}
}

func (e *env) server(t *testing.T) *server {
	t.Helper()
	return e.serve(t, runtimetest.NewFakeHost(), newWorld(), nil)
}

func newWorld() *world { return &world{files: map[string][]byte{"SOUL.md": []byte("one")}} }

// until waits for something to become true, and says what when it does not.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: it did not come to that", what)
		}
	}
}

// start starts an agent and expects it to run.
func (s *server) start(t *testing.T, a id.Agent) hosting.Deployment {
	t.Helper()
	d, err := s.Start(s.e.ctx, s.e.sc, a)
	noError(t, err)
	equal(t, hosting.Running, d.Status)
	return d
}

func (s *server) becomes(t *testing.T, a id.Agent, want hosting.Status) hosting.Deployment {
	t.Helper()
	var d hosting.Deployment
	until(t, string(want), func() bool {
		d = s.e.get(t, a)
		return d.Status == want
	})
	return d
}

func (w *world) locked(fn func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn()
}

// heard returns what watchers were told of an agent.
func (w *world) heard(a id.Agent) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, t := range w.told {
		if verb, of, _ := cut(t); of == a.String() {
			out = append(out, verb)
		}
	}
	return out
}

func cut(s string) (verb, rest string, ok bool) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// Started implements hosting.Watcher.
func (w *world) Started(_ context.Context, _ account.Scope, a id.Agent) {
	w.locked(func() { w.told = append(w.told, "started "+a.String()) })
}

// Stopped implements hosting.Watcher.
func (w *world) Stopped(_ context.Context, _ account.Scope, a id.Agent) {
	w.locked(func() { w.told = append(w.told, "stopped "+a.String()) })
}

// Probe implements hosting.Prober.
func (w *world) Probe(_ context.Context, d hosting.Deployment, instance string) error {
	if w.probe != nil {
		return w.probe(d, instance)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

// Begin implements hosting.Documents.
func (w *world) Begin(_ context.Context, _ account.Scope, _ id.Agent, first hosting.FirstDocuments) error {
	w.locked(func() { w.first = first })
	return nil
}

// Files implements hosting.Documents.
func (w *world) Files(context.Context, account.Scope, id.Agent) (map[string][]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.files), nil
}

// HasModelKey implements hosting.Secrets.
func (w *world) HasModelKey(values map[string]string) bool { return values["key"] != "" }

// Environment implements hosting.Secrets.
func (w *world) Environment(context.Context, account.Scope, id.Agent) (map[string]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.secrets), nil
}

// Starting implements hosting.Secrets.
func (*world) Starting(context.Context, account.Scope, id.Agent) error { return nil }

// Redactor implements hosting.Secrets.
func (w *world) Redactor(context.Context, account.Scope, id.Agent) (*secret.Redactor, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var known []secret.Known
	for name, value := range w.secrets {
		known = append(known, secret.Known{Name: name, Value: secret.NewValue(value)})
	}
	return secret.NewRedactor(known), nil
}

// Note implements hosting.Trail.
func (w *world) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, _ map[string]any) error {
	w.locked(func() { w.notes = append(w.notes, action) })
	return nil
}

// noted reports whether an action is in the trail.
func (w *world) noted(action string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.notes, action)
}

// LockStanding implements hosting.Tenants.
func (w *world) LockStanding(context.Context, account.Scope) (account.Standing, error) {
	return account.Active, nil
}

// secretsOf is the world's secrets as hosting.Secrets: Begin of both interfaces have one name.
type secretsOf struct{ *world }

// Begin implements hosting.Secrets.
func (s secretsOf) Begin(_ context.Context, _ account.Scope, _ id.Agent, values map[string]string) error {
	s.locked(func() { s.world.secrets = maps.Clone(values) })
	return nil
}

// agents is the store's agents as hosting.Agents.
type agents struct{ e *env }

// Create implements hosting.Agents.
func (s agents) Create(ctx context.Context, sc account.Scope, cfg agent.Config) (agent.Agent, error) {
	a := agenttest.Full(sc)
	a.Swarm = id.Swarm{}
	a.Config.Name = cfg.Name
	if cfg.Name == "" {
		return agent.Agent{}, agent.ErrInvalid
	}
	return a, s.e.Agents.Insert(ctx, sc, a)
}

// Get implements hosting.Agents.
func (s agents) Get(ctx context.Context, sc account.Scope, a id.Agent) (agent.Agent, error) {
	return s.e.Agents.Get(ctx, sc, a)
}

// Update implements hosting.Agents.
func (s agents) Update(ctx context.Context, sc account.Scope, a id.Agent, p agent.Patch) (agent.Agent, error) {
	return s.e.Agents.Update(ctx, sc, a, func(x *agent.Agent) error {
		next := p.Apply(x.Config)
		if next.Name == "" {
			return agent.ErrInvalid
		}
		if next.Name != x.Config.Name {
			x.Config, x.Version = next, x.Version+1
		}
		return nil
	})
}

// swarms changes agents and puts them nowhere.
type swarms struct{ e *env }

// Place implements hosting.Swarms.
func (s swarms) Place(
	ctx context.Context, _ account.Scope, _ id.Agent, _ id.Swarm, change func(context.Context) (agent.Agent, error),
) (out agent.Agent, err error) {
	err = s.e.TX.Do(ctx, func(ctx context.Context) error {
		out, err = change(ctx)
		return err
	})
	return out, err
}

// localBus is a bus.Bus of one process that delivers at once.
type localBus struct {
	mu   sync.Mutex
	subs map[string]map[int]func([]byte)
	next int
}

var _ bus.Bus = (*localBus)(nil)

// Publish implements bus.Bus.
func (b *localBus) Publish(_ context.Context, topic string, payload []byte) error {
	b.mu.Lock()
	subs := slices.Collect(maps.Values(b.subs[topic]))
	b.mu.Unlock()
	for _, fn := range subs {
		fn(payload)
	}
	return nil
}

// Subscribe implements bus.Bus.
func (b *localBus) Subscribe(_ context.Context, topic string, fn func([]byte)) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[string]map[int]func([]byte){}
	}
	if b.subs[topic] == nil {
		b.subs[topic] = map[int]func([]byte){}
	}
	b.next++
	n := b.next
	b.subs[topic][n] = fn
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs[topic], n)
	}, nil
}
