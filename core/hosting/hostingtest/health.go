package hostingtest

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

// patients answer probes, or do not.
type patients struct {
	mu     sync.Mutex
	fail   map[string]int // of each instance: how many probes from now
	hold   map[string]chan struct{}
	asked  map[string]int
	inside map[string]int
	twice  bool // two probes of one instance at once
}

func newPatients(w *world) *patients {
	p := &patients{fail: map[string]int{}, hold: map[string]chan struct{}{}, asked: map[string]int{}, inside: map[string]int{}}
	w.probe = p.probe
	return p
}

func (p *patients) probe(_ hosting.Deployment, instance string) error {
	p.mu.Lock()
	p.asked[instance]++
	p.inside[instance]++
	p.twice = p.twice || p.inside[instance] > 1
	hold := p.hold[instance]
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inside[instance]--
	if p.fail[instance] > 0 {
		p.fail[instance]--
		return errors.New("no answer with the token of-the-shop")
	}
	return nil
}

func (p *patients) failNext(a id.Agent, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail[hosting.InstanceID(a)] = n
}

func (p *patients) times(a id.Agent) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[hosting.InstanceID(a)]
}

// more waits until an agent has been asked n times more.
func (p *patients) more(t *testing.T, a id.Agent, n int) {
	t.Helper()
	had := p.times(a)
	until(t, "probes", func() bool { return p.times(a) >= had+n })
}

// ownAgent makes an agent with a program of its own.
func (s *server) ownAgent(t *testing.T) id.Agent {
	t.Helper()
	a := s.e.agent(t)
	program := &hosting.Program{Command: []string{"own"}, Port: 80, HealthPath: "/health"}
	_, err := s.Update(s.e.ctx, s.e.sc, a, hosting.Change{Program: &program})
	noError(t, err)
	return a
}

// checkups asks programs that run how they are: one that leaves three checks in a row without an answer is started again.
func checkups(t *testing.T, e *env) {
	w := newWorld()
	w.secrets = map[string]string{"SHOP": "of-the-shop"}
	p := newPatients(w)
	s := e.serve(t, runtimetest.NewFakeHost(), w, func(c *hosting.SupervisorConfig) {
		c.HealthEvery, c.HealthTimeout, c.StartTimeout, c.MaxFailures = 4*time.Millisecond, patience, 30*time.Millisecond, 3
	})
	a, other, worker := s.ownAgent(t), s.ownAgent(t), e.agent(t)
	for _, one := range []id.Agent{a, other, worker} {
		s.start(t, one)
	}
	asked := p.times(worker)
	p.more(t, a, 5)
	equal(t, asked, p.times(worker))

	p.failNext(a, 2) // which is not enough
	p.more(t, a, 6)
	equal(t, 1, s.host.Starts(hosting.InstanceID(a)))

	p.failNext(a, 3)
	until(t, "another start", func() bool { return s.host.Starts(hosting.InstanceID(a)) == 2 && e.get(t, a).Status == hosting.Running })
	d := e.get(t, a)
	equal(t, hosting.CategoryHealth, d.ErrorCategory)
	equal(t, 1, len(d.Failures))
	equal(t, true, strings.Contains(d.LastError, "3 checks in a row") && strings.Contains(d.LastError, "token [redacted:SHOP]"))
	until(t, "watchers hear of it", func() bool { return len(w.heard(a)) == 3 })
	equal(t, "started stopped started", strings.Join(w.heard(a), " "))
	_, restarts := s.supervisor.Counts()
	equal(t, 1, restarts)

	p.failNext(a, 1_000_000)
	d = s.becomes(t, a, hosting.Error)
	equal(t, hosting.CategoryHealth, d.ErrorCategory)
	equal(t, 1, s.host.Starts(hosting.InstanceID(other)))
	p.failNext(a, 0)
	d = s.start(t, a)
	equal(t, "", d.LastError)
}

// slowCheckup has a program that does not answer at all: it is asked once at a time, and others are asked meanwhile. What becomes of the
// check does not matter any more once the program has been replaced.
func slowCheckup(t *testing.T, e *env) {
	w := newWorld()
	p := newPatients(w)
	s := e.serve(t, runtimetest.NewFakeHost(), w, func(c *hosting.SupervisorConfig) { c.HealthEvery, c.HealthTimeout = 4*time.Millisecond, patience })
	slow, quick := s.ownAgent(t), s.ownAgent(t)
	s.start(t, slow)
	s.start(t, quick)
	hold := make(chan struct{})
	let := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(let)
	p.mu.Lock()
	p.hold[hosting.InstanceID(slow)] = hold
	p.mu.Unlock()
	p.more(t, slow, 1)
	asked := p.times(slow)
	p.more(t, quick, 10)
	equal(t, asked, p.times(slow))
	p.mu.Lock()
	delete(p.hold, hosting.InstanceID(slow))
	p.twice = false // the start of the next one asks besides
	p.mu.Unlock()
	p.failNext(quick, 2)
	_, err := s.Restart(e.ctx, e.sc, quick) // what it has missed before is not held against the next
	noError(t, err)
	p.failNext(quick, 1)
	p.more(t, quick, 4)
	equal(t, 2, s.host.Starts(hosting.InstanceID(quick)))
	let()
	p.more(t, slow, 3)
	equal(t, 1, s.host.Starts(hosting.InstanceID(slow)))
	p.mu.Lock()
	defer p.mu.Unlock()
	equal(t, false, p.twice)
}
