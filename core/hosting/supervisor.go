package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Prober asks whether what runs in an instance answers.
type Prober interface {
	// Probe returns nil once the instance's program answers, which is d.Program or Bureau's worker; an error while it does not yet.
	Probe(ctx context.Context, d Deployment, instance string) error
}

// Watcher is told which agents run, by the server that supervises them: once for each start, and once for each that is found running when
// a server takes a site over. Calls for one agent come one after the other; they may block, which holds up that agent only.
type Watcher interface {
	// Started says that the agent's instance runs and answers.
	Started(ctx context.Context, sc account.Scope, agent id.Agent)
	// Stopped says that it does not any more, or that another server supervises it now.
	Stopped(ctx context.Context, sc account.Scope, agent id.Agent)
}

// SupervisorDeps is what a Supervisor needs. All fields are required but Host, without which it supervises nothing, and Watchers.
type SupervisorDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Bus        bus.Bus
	Repository Repository
	Sites      Sites
	Documents  Documents
	Secrets    Secrets
	Trail      Trail
	Prober     Prober
	Host       runtime.Host
	Watchers   []Watcher
}

// SupervisorConfig tunes a Supervisor. Zero fields are their defaults.
type SupervisorConfig struct {
	// Site names the place whose instances Deps.Host reaches: those of one machine, or of one cluster. It stays the same over restarts,
	// and no two servers that reach different instances have the same. Required.
	Site string
	// Exclusive says that no other server can have the site while this one runs, so that it takes it at once from one that was killed.
	Exclusive bool
	// Every is how often what is desired is compared with what is there; 0 is 1 s. What callers ask for is done at once besides.
	Every time.Duration
	// Lease is how long the site stays with a server that says nothing; 0 is 10 s.
	Lease time.Duration
	// StartTimeout bounds how long a program may take until it answers; 0 is 60 s.
	StartTimeout time.Duration
	// Grace is what a program gets between being asked to end and being killed; 0 is 10 s.
	Grace time.Duration
	// HealthEvery is how often programs of agents' own that run are asked whether they still answer; 0 is 15 s. One that does not answer
	// within HealthTimeout, 0 is 10 s, three times in a row is ended and started again.
	HealthEvery, HealthTimeout time.Duration
	// Backoff is the pause before what ended by itself is started again, doubled each time up to MaxBackoff; 0 is 1 s and 1 min.
	Backoff, MaxBackoff time.Duration
	// MaxFailures within Window end in Error; 0 is 5 within 10 min.
	MaxFailures int
	Window      time.Duration
	// Parallel is how many instances are started or ended at once; 0 is 8.
	Parallel int
	// StopAll ends every instance in Stop; the next Run starts them again. Otherwise they go on without a server.
	StopAll bool
	// Measure is how often running instances are measured, for servers that do not reach them; 0 is never.
	Measure time.Duration
}

func (c SupervisorConfig) withDefaults() SupervisorConfig {
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&c.Every, time.Second}, {&c.Lease, 10 * time.Second}, {&c.StartTimeout, time.Minute}, {&c.Grace, 10 * time.Second},
		{&c.HealthEvery, 15 * time.Second}, {&c.HealthTimeout, 10 * time.Second},
		{&c.Backoff, time.Second}, {&c.MaxBackoff, time.Minute}, {&c.Window, 10 * time.Minute},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	if c.MaxFailures <= 0 {
		c.MaxFailures = 5
	}
	if c.Parallel <= 0 {
		c.Parallel = 8
	}
	return c
}

// Supervisor closes the difference between the deployments of a site and its instances. It is safe for concurrent use.
type Supervisor struct {
	d     SupervisorDeps
	cfg   SupervisorConfig
	owner string
	slots chan struct{}
	pass  chan struct{} // holds a token while a pass is asked for

	checks chan struct{} // holds a token for each program that is asked how it is

	catchUp func(ctx context.Context, a id.Agent) // of the Activity that writes the logs of instances; nil: there is none

	leads    atomic.Bool
	restarts atomic.Int64

	mu      sync.Mutex
	ctx     context.Context //nolint:containedctx // of the work that it supervises; nil while it does not run
	drivers map[id.Agent]*driver
	live    map[id.Agent]running
	starts  map[id.Agent]int64 // how often each was given its secrets
	waiters map[id.Agent]map[chan struct{}]struct{}
	work    sync.WaitGroup
}

// driver is the one goroutine that works on an agent's instance.
type driver struct{ again bool }

// running is an instance that the watchers know of.
type running struct {
	tenant     id.Tenant
	generation int64
	own        bool // a program of the agent's own
	check      *checkup
}

// NewSupervisor returns a Supervisor, or an error that names the missing dependency.
func NewSupervisor(d SupervisorDeps, cfg SupervisorConfig) (*Supervisor, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil}, {"Bus", d.Bus == nil},
		{"Repository", d.Repository == nil}, {"Sites", d.Sites == nil}, {"Documents", d.Documents == nil}, {"Secrets", d.Secrets == nil},
		{"Trail", d.Trail == nil}, {"Prober", d.Prober == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("hosting: SupervisorDeps.%s is required", f.name)
		}
	}
	if cfg.Site == "" || strings.ContainsAny(cfg.Site, " \n") {
		return nil, errors.New("hosting: SupervisorConfig.Site is required, without blanks")
	}
	cfg = cfg.withDefaults()
	return &Supervisor{
		d: d, cfg: cfg, owner: d.IDs.NewUUID().String(), slots: make(chan struct{}, cfg.Parallel), pass: make(chan struct{}, 1),
		checks:  make(chan struct{}, checking),
		drivers: map[id.Agent]*driver{}, live: map[id.Agent]running{}, starts: map[id.Agent]int64{}, waiters: map[id.Agent]map[chan struct{}]struct{}{},
	}, nil
}

// Watch adds a watcher. It is called before Run.
func (s *Supervisor) Watch(w Watcher) { s.d.Watchers = append(s.d.Watchers, w) }

// Site is the place whose instances it supervises.
func (s *Supervisor) Site() string { return s.cfg.Site }

// Leads reports whether it supervises its site at the moment.
func (s *Supervisor) Leads() bool { return s.leads.Load() }

// Counts returns how many instances it knows to run, and how many it has started again because they had ended by themselves.
func (s *Supervisor) Counts() (live int, restarts int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live), s.restarts.Load()
}

// InstanceID is what an agent's instance is called by its host.
func InstanceID(a id.Agent) string { return a.UUID().String() }

// agentOf is the reverse of InstanceID.
func agentOf(instance string) (id.Agent, bool) {
	u, err := id.ParseUUID(instance)
	return id.Of[id.AgentKind](u), err == nil
}

// topic carries hints between servers: "work SITE AGENT" when there is something to do, "done AGENT" when something has been done.
const topic = "hosting"

// Run supervises until ctx ends. Then it ends all instances if Config.StopAll says so, and gives the site up. grace bounds that.
func (s *Supervisor) Run(ctx context.Context, grace time.Duration) {
	unsubscribe, err := s.d.Bus.Subscribe(ctx, topic, s.hear)
	if err != nil {
		s.d.Logger.WarnContext(ctx, "other servers' hints about hosted agents are not heard", "error", err)
	} else {
		defer unsubscribe()
	}
	if s.d.Host == nil {
		<-ctx.Done()
		return
	}
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	var renewed, measured time.Time
	for ctx.Err() == nil {
		now := s.d.Clock.Now()
		if now.Sub(renewed) >= s.cfg.Lease/3 || now.Before(renewed) {
			s.claim(ctx, now)
			renewed = now
		}
		if s.leads.Load() {
			if err := s.compare(ctx); err != nil && ctx.Err() == nil {
				s.d.Logger.WarnContext(ctx, "hosted agents could not be looked after", "error", err)
			}
			s.examine(ctx, now)
			if s.cfg.Measure > 0 && now.Sub(measured) >= s.cfg.Measure {
				s.measure(ctx)
				measured = now
			}
		}
		select {
		case <-tick.C:
		case <-s.pass:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	s.ctx = nil
	s.mu.Unlock()
	s.work.Wait()
	s.finish(context.WithoutCancel(ctx), grace)
}

// claim takes or keeps the site. A supervisor that loses it forgets what it knew to run: another one tells its watchers.
func (s *Supervisor) claim(ctx context.Context, now time.Time) {
	ok, err := s.d.Sites.Claim(ctx, s.cfg.Site, s.owner, now, now.Add(s.cfg.Lease), s.cfg.Exclusive)
	if err != nil {
		if ctx.Err() == nil {
			s.d.Logger.WarnContext(ctx, "the lease on hosted agents could not be renewed", "error", err)
		}
		ok = s.cfg.Exclusive && s.leads.Load()
	}
	if was := s.leads.Swap(ok); was && !ok {
		s.d.Logger.WarnContext(ctx, "another server looks after the hosted agents now", "site", s.cfg.Site)
		s.forgetAll(ctx)
	}
}

// finish ends what a supervisor has begun.
func (s *Supervisor) finish(ctx context.Context, grace time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	s.forgetAll(ctx)
	if !s.leads.Swap(false) {
		return
	}
	if s.cfg.StopAll {
		s.stopAll(ctx)
	}
	if err := s.d.Sites.Release(ctx, s.cfg.Site, s.owner); err != nil {
		s.d.Logger.WarnContext(ctx, "the lease on hosted agents could not be given up", "error", err)
	}
}

// stopAll ends every instance of the site. Their agents shall run, and do so once the site has a supervisor again.
func (s *Supervisor) stopAll(ctx context.Context) {
	instances, err := s.d.Host.List(ctx)
	if err != nil {
		s.d.Logger.WarnContext(ctx, "instances could not be ended", "error", err)
		return
	}
	placed, err := s.d.Sites.At(ctx, s.cfg.Site, id.Agent{})
	if err != nil {
		s.d.Logger.WarnContext(ctx, "instances are ended without a note", "error", err)
	}
	tenants := map[id.Agent]Placed{}
	for _, p := range placed {
		tenants[p.Agent] = p
	}
	var work sync.WaitGroup
	for _, i := range instances {
		if i.State == runtime.InstanceExited {
			continue
		}
		work.Go(func() {
			if err := s.halt(ctx, i.ID); err != nil {
				s.d.Logger.WarnContext(ctx, "an instance could not be ended", "instance", i.ID, "error", err)
				return
			}
			a, _ := agentOf(i.ID)
			p, ok := tenants[a]
			if !ok || !p.wants() {
				return
			}
			err := s.mark(ctx, p, func(d *Deployment) { d.Status, d.RetryAt = Starting, time.Time{} })
			if err != nil && !errors.Is(err, errSuperseded) {
				s.d.Logger.WarnContext(ctx, "the end of an instance could not be noted", "instance", i.ID, "error", err)
			}
		})
	}
	work.Wait()
}

// compare reads what is desired and what is there, and begins to work where they differ. The instances are read first: one without a
// deployment had one when it was started, and has lost it since.
func (s *Supervisor) compare(ctx context.Context) error {
	instances, err := s.d.Host.List(ctx)
	if err != nil {
		return err
	}
	placed, err := s.d.Sites.At(ctx, s.cfg.Site, id.Agent{})
	if err != nil {
		return err
	}
	there := make(map[id.Agent]runtime.Instance, len(instances))
	for _, i := range instances {
		if a, ok := agentOf(i.ID); ok {
			there[a] = i
		}
	}
	now := s.d.Clock.Now()
	for _, p := range placed {
		i, ok := there[p.Agent]
		delete(there, p.Agent)
		if s.differs(p, i, ok, now) {
			s.kick(p.Agent)
		}
	}
	for a := range there { // what nobody wants any more
		s.kick(a)
	}
	return nil
}

// differs reports whether there is something to do about a deployment.
func (s *Supervisor) differs(p Placed, i runtime.Instance, there bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, live := s.live[p.Agent]
	if !p.wants() {
		return live || there && i.State != runtime.InstanceExited || p.Status != Stopped && p.Status != Error
	}
	if there && i.State == runtime.InstanceRunning && i.Generation == p.Generation && p.Status == Running {
		return !live || known.generation != p.Generation || known.check.sick != ""
	}
	return p.RetryAt.IsZero() || !now.Before(p.RetryAt)
}

// nudge says that there is something to do about an agent at a site.
func (s *Supervisor) nudge(site string, a id.Agent) {
	if site == s.cfg.Site && s.leads.Load() {
		s.kick(a)
		return
	}
	s.tell("work " + site + " " + a.UUID().String())
}

// told says that something has been done about an agent.
func (s *Supervisor) told(a id.Agent) {
	s.wake(a)
	if !s.cfg.Exclusive || s.cfg.Measure > 0 { // there may be others
		s.tell("done " + a.UUID().String())
	}
}

// tell publishes a hint; one that gets lost is made good by the next look.
func (s *Supervisor) tell(text string) {
	s.mu.Lock()
	ctx := s.ctx
	s.mu.Unlock()
	if ctx == nil {
		ctx = context.Background()
	}
	if err := s.d.Bus.Publish(ctx, topic, []byte(text)); err != nil {
		s.d.Logger.DebugContext(ctx, "a hint about hosted agents was not sent", "error", err)
	}
}

// hear takes a hint of another server, or its own.
func (s *Supervisor) hear(payload []byte) {
	words := strings.Split(string(payload), " ")
	a, ok := agentOf(words[len(words)-1])
	switch {
	case !ok:
	case len(words) == 3 && words[0] == "work" && words[1] == s.cfg.Site:
		if s.leads.Load() {
			s.kick(a)
		}
	case len(words) == 2 && words[0] == "done":
		s.wake(a)
	}
}

// watch returns a channel that gets a token whenever something has been done about an agent, until done is called.
func (s *Supervisor) watch(a id.Agent) (told <-chan struct{}, done func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiters[a] == nil {
		s.waiters[a] = map[chan struct{}]struct{}{}
	}
	s.waiters[a][c] = struct{}{}
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.waiters[a], c); len(s.waiters[a]) == 0 {
			delete(s.waiters, a)
		}
	}
}

func (s *Supervisor) wake(a id.Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.waiters[a] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// kick has somebody work on an agent's instance: a goroutine of its own, of which there is one at a time.
func (s *Supervisor) kick(a id.Agent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx := s.ctx
	if ctx == nil || ctx.Err() != nil {
		return
	}
	if d, ok := s.drivers[a]; ok {
		d.again = true
		return
	}
	d := &driver{}
	s.drivers[a] = d
	s.work.Go(func() {
		for {
			s.drive(ctx, a)
			s.mu.Lock()
			if !d.again || ctx.Err() != nil {
				delete(s.drivers, a)
				s.mu.Unlock()
				return
			}
			d.again = false
			s.mu.Unlock()
		}
	})
}

// drive works on an agent's instance.
func (s *Supervisor) drive(ctx context.Context, a id.Agent) {
	if !s.leads.Load() {
		return
	}
	if err := s.settle(ctx, a); err != nil && ctx.Err() == nil {
		s.d.Logger.WarnContext(ctx, "a hosted agent could not be looked after", "agent_id", a, "error", err)
	}
	s.told(a)
}

// started returns how often it has had an agent started. What a program says that was started later may hold secrets that were not read
// before. false: another server may have started it.
func (s *Supervisor) started(a id.Agent) (n int64, here bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts[a], s.leads.Load()
}

// setLive tells the watchers that an agent runs. as is the deployment that it was started by; nil when that is not known.
func (s *Supervisor) setLive(ctx context.Context, p Placed, as *Deployment) {
	s.mu.Lock()
	was, ok := s.live[p.Agent]
	if ok && was.generation == p.Generation {
		s.mu.Unlock()
		return
	}
	check := &checkup{}
	if as != nil {
		check.keepProgram(*as)
	}
	s.live[p.Agent] = running{p.Tenant, p.Generation, p.Own, check}
	s.mu.Unlock()
	for _, w := range s.d.Watchers {
		if ok {
			w.Stopped(ctx, account.System(p.Tenant), p.Agent)
		}
		w.Started(ctx, account.System(p.Tenant), p.Agent)
	}
}

// setDead tells the watchers that an agent does not run.
func (s *Supervisor) setDead(ctx context.Context, a id.Agent) {
	s.mu.Lock()
	was, ok := s.live[a]
	delete(s.live, a)
	s.mu.Unlock()
	if !ok {
		return
	}
	for _, w := range s.d.Watchers {
		w.Stopped(ctx, account.System(was.tenant), a)
	}
}

// forgetAll tells the watchers that this server looks after no agent.
func (s *Supervisor) forgetAll(ctx context.Context) {
	s.mu.Lock()
	var all []id.Agent
	for a := range s.live {
		all = append(all, a)
	}
	s.mu.Unlock()
	for _, a := range all {
		s.setDead(ctx, a)
	}
}

// measuring is how many instances are measured at a time: a Docker engine measures once a second, and whoever asks waits for it.
const measuring = 64

// measure keeps what running instances use where other servers can read it.
func (s *Supervisor) measure(ctx context.Context) {
	s.mu.Lock()
	all := make([]id.Agent, 0, len(s.live))
	for a := range s.live {
		all = append(all, a)
	}
	s.mu.Unlock()
	var measured []Measured
	var mu sync.Mutex
	var wg sync.WaitGroup
	free := make(chan struct{}, measuring)
	for _, a := range all {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			if st, err := s.d.Host.Stats(ctx, InstanceID(a)); err == nil {
				mu.Lock()
				defer mu.Unlock()
				measured = append(measured, Measured{a, st})
			}
		})
	}
	wg.Wait()
	if err := s.d.Sites.Measure(ctx, s.cfg.Site, measured); err != nil && ctx.Err() == nil {
		s.d.Logger.WarnContext(ctx, "what hosted agents use could not be kept", "error", err)
	}
}
