package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Deps is what a Service needs. All fields but Sources, Prompts, Files and Secrets are required.
type Deps struct {
	Clock    clock.Clock
	IDs      id.Generator
	Logger   *slog.Logger
	Journal  *session.Journal
	Sessions Sessions
	Agents   Agents
	Gate     Gate
	Models   Models
	Meter    Meter
	Sources  []ToolSource // beside the built-in tools and the agent's custom ones
	Prompts  []PromptSource
	Caution  Caution // nil: no agent needs it
	Files    Files   // nil: content cannot refer to files
	Secrets  Secrets // nil: nothing is redacted
	Rails    Rails   // nil: agents pay out of the ledger only
}

// Config tunes a Service; the zero value is the default.
type Config struct {
	// SingleProcess is set when no other process serves the same store: at Start every running turn is an orphan, whatever its
	// lease says.
	SingleProcess bool
	// MaxCalls is how many model calls one turn may make; 0 is 25.
	MaxCalls int
	// MaxOutputTokens bounds one answer, and what is reserved for it; 0 is 8192.
	MaxOutputTokens int
	// ContextBytes bounds what of a conversation is sent to models, as JSON; 0 is 512 KiB.
	ContextBytes int
	// Attempts is how often a model call is tried, the first time included; 0 is 4. RetryFor bounds them all together; 0 is 90 s.
	Attempts int
	RetryFor time.Duration
	// Backoff is the pause before the second attempt, doubled before each further one; 0 is 500 ms.
	Backoff time.Duration
	// ModelTimeout bounds one answer of a model; 0 is 10 minutes. ToolTimeout bounds one call of a tool; 0 is 60 s.
	ModelTimeout time.Duration
	ToolTimeout  time.Duration
	// Lease is how long a turn stays with a process that says nothing; 0 is 6 s. It is renewed three times as often.
	Lease time.Duration
	// Scan is how often orphans are looked for; 0 is 1 s.
	Scan time.Duration
	// Currency is that of payments that name none; "" is money.USDC.
	Currency money.Currency
}

const (
	// maxTakeovers is how many processes a turn may outlive before it is given up: it may be what ends them.
	maxTakeovers = 5
	takeOverMost = 64
	waitingMost  = 256
)

func (c Config) withDefaults() Config {
	if c.MaxCalls <= 0 {
		c.MaxCalls = 25
	}
	if c.MaxOutputTokens <= 0 {
		c.MaxOutputTokens = 8192
	}
	if c.ContextBytes <= 0 {
		c.ContextBytes = 512 << 10
	}
	if c.Attempts <= 0 {
		c.Attempts = 4
	}
	if c.RetryFor <= 0 {
		c.RetryFor = 90 * time.Second
	}
	if c.Backoff <= 0 {
		c.Backoff = 500 * time.Millisecond
	}
	if c.ModelTimeout <= 0 {
		c.ModelTimeout = 10 * time.Minute
	}
	if c.ToolTimeout <= 0 {
		c.ToolTimeout = time.Minute
	}
	if c.Lease <= 0 {
		c.Lease = 6 * time.Second
	}
	if c.Scan <= 0 {
		c.Scan = time.Second
	}
	if c.Currency == "" {
		c.Currency = money.USDC
	}
	return c
}

// Service runs turns. It is safe for concurrent use.
type Service struct {
	d       Deps
	cfg     Config
	owner   string // names this process in leases
	memory  *conversations
	schemas *schemas

	mu       sync.Mutex
	draining bool
	drivers  map[id.Session]*driver
	held     map[id.Turn]holding

	life     context.Context //nolint:containedctx // the service supervises the turns that it runs
	kill     context.CancelFunc
	stopScan context.CancelFunc
	scans    sync.WaitGroup
	runs     sync.WaitGroup
}

// driver is the one goroutine of this process that runs turns of a session.
type driver struct {
	ref     session.Ref
	adopted []session.Turn // taken over from others
	again   bool           // there may be more to claim
}

type holding struct {
	epoch  int64
	cancel context.CancelCauseFunc
}

// errEnded is the cause with which a turn's context ends when somebody else has ended or taken over the turn; errStopping when
// this process goes away.
var (
	errEnded    = errors.New("run: the turn was ended from outside")
	errStopping = errors.New("run: the process is stopping")
)

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps, cfg Config) (*Service, error) {
	switch {
	case d.Clock == nil:
		return nil, errors.New("run: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("run: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("run: Deps.Logger is required")
	case d.Journal == nil:
		return nil, errors.New("run: Deps.Journal is required")
	case d.Sessions == nil:
		return nil, errors.New("run: Deps.Sessions is required")
	case d.Agents == nil:
		return nil, errors.New("run: Deps.Agents is required")
	case d.Gate == nil:
		return nil, errors.New("run: Deps.Gate is required")
	case d.Models == nil:
		return nil, errors.New("run: Deps.Models is required")
	case d.Meter == nil:
		return nil, errors.New("run: Deps.Meter is required")
	}
	return &Service{
		d: d, cfg: cfg.withDefaults(), owner: d.IDs.NewUUID().String(), memory: newConversations(), schemas: newSchemas(),
		drivers: map[id.Session]*driver{}, held: map[id.Turn]holding{},
	}, nil
}

// Start takes up what earlier processes left behind and runs every turn that comes from now on. ctx is for starting only.
func (s *Service) Start(ctx context.Context) error {
	life := context.WithoutCancel(ctx)
	s.life, s.kill = context.WithCancel(life)
	s.d.Journal.OnSignals(s.kick, s.cancelTurn)
	if s.cfg.SingleProcess {
		for {
			turns, err := s.d.Journal.TakeOver(ctx, s.owner, s.cfg.Lease, true, takeOverMost)
			if err != nil {
				return fmt.Errorf("run: take over: %w", err)
			}
			s.adopt(turns)
			if len(turns) < takeOverMost {
				break
			}
		}
	}
	scan, stop := context.WithCancel(life)
	s.stopScan = stop
	s.scans.Go(func() { s.every(scan, s.cfg.Scan, s.scan) })
	s.scans.Go(func() { s.every(scan, s.cfg.Lease/3, s.renew) })
	return nil
}

// Stop ends the claiming of turns, lets the steps under way finish until ctx ends, and gives up the leases of what is left, so that
// another process, or the next start, goes on at once.
func (s *Service) Stop(ctx context.Context) error {
	s.d.Journal.OnSignals(nil, nil)
	s.mu.Lock()
	s.draining = true
	s.mu.Unlock()
	if s.kill == nil {
		return nil
	}
	drained := make(chan struct{})
	go func() {
		s.runs.Wait()
		close(drained)
	}()
	select {
	case <-drained:
	case <-ctx.Done():
		s.mu.Lock()
		for _, h := range s.held {
			h.cancel(errStopping)
		}
		s.mu.Unlock()
		s.kill()
		// Steps that were cut off still settle what they had reserved.
		t := time.NewTimer(2 * time.Second)
		defer t.Stop()
		select {
		case <-drained:
		case <-t.C:
		}
	}
	s.stopScan()
	s.scans.Wait()
	s.kill()
	release, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	if err := s.d.Journal.Release(release, s.owner); err != nil {
		return fmt.Errorf("run: release: %w", err)
	}
	return nil
}

func (s *Service) every(ctx context.Context, d time.Duration, fn func(context.Context)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		fn(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// scan finds turns whose holder has vanished, and turns whose kick got lost.
func (s *Service) scan(ctx context.Context) {
	if s.isDraining() {
		return
	}
	turns, err := s.d.Journal.TakeOver(ctx, s.owner, s.cfg.Lease, false, takeOverMost)
	if err != nil {
		s.warn(ctx, "orphaned turns not taken over", err)
		return
	}
	s.adopt(turns)
	s.tieUp(ctx)
	s.followThreads(ctx)
	refs, err := s.d.Journal.Waiting(ctx, s.cfg.Scan, waitingMost)
	if err != nil {
		s.warn(ctx, "waiting turns not found", err)
		return
	}
	for _, r := range refs {
		s.kick(r)
	}
}

// renew keeps what this process runs, and stops what it has lost.
func (s *Service) renew(ctx context.Context) {
	s.mu.Lock()
	turns := make([]id.Turn, 0, len(s.held))
	epochs := make(map[id.Turn]int64, len(s.held))
	for t, h := range s.held {
		turns = append(turns, t)
		epochs[t] = h.epoch
	}
	s.mu.Unlock()
	if len(turns) == 0 {
		return
	}
	kept, err := s.d.Journal.Renew(ctx, s.owner, s.cfg.Lease, turns)
	if err != nil {
		s.warn(ctx, "leases not renewed", err)
		return
	}
	for _, t := range kept {
		delete(epochs, t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, epoch := range epochs {
		if h, ok := s.held[t]; ok && h.epoch == epoch {
			h.cancel(errEnded)
		}
	}
}

func (s *Service) warn(ctx context.Context, msg string, err error) {
	if ctx.Err() == nil {
		s.d.Logger.WarnContext(ctx, msg, "error", err)
	}
}

func (s *Service) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// kick makes sure that a session's next turn is claimed.
func (s *Service) kick(r session.Ref) { s.drive(r, nil) }

// adopt runs turns that were taken over.
func (s *Service) adopt(turns []session.Turn) {
	for _, t := range turns {
		s.cancelTurn(t.ID) // if it is this process's own, it has been too slow to renew it
		s.drive(session.Ref{Tenant: t.Tenant, Session: t.Session}, &t)
	}
}

// cancelTurn stops a turn that somebody else has ended.
func (s *Service) cancelTurn(t id.Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.held[t]; ok {
		h.cancel(errEnded)
	}
}

func (s *Service) drive(r session.Ref, adopted *session.Turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	d, ok := s.drivers[r.Session]
	if !ok {
		d = &driver{ref: r}
		s.drivers[r.Session] = d
		s.runs.Go(func() { s.loop(s.life, d) })
	}
	d.again = true
	if adopted != nil {
		d.adopted = append(d.adopted, *adopted)
	}
}

// next returns what a driver does next; false ends it.
func (s *Service) next(d *driver) (adopted *session.Turn, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining:
	case len(d.adopted) > 0:
		t := d.adopted[0]
		d.adopted = d.adopted[1:]
		return &t, true
	case d.again:
		d.again = false
		return nil, true
	}
	delete(s.drivers, d.ref.Session)
	return nil, false
}

func (s *Service) loop(ctx context.Context, d *driver) {
	for {
		adopted, ok := s.next(d)
		if !ok {
			return
		}
		if adopted != nil {
			s.hold(ctx, session.Claimed{Turn: *adopted})
			continue
		}
		c, ok, err := s.d.Journal.Claim(ctx, d.ref, s.owner, s.cfg.Lease)
		if err != nil {
			s.warn(ctx, "turn not claimed", err) // the scan tries again
			continue
		}
		if ok {
			s.mu.Lock()
			d.again = true // the next message may be waiting already
			s.mu.Unlock()
			s.hold(ctx, c)
		}
	}
}

// hold runs a turn under a context that ends when the turn is lost.
func (s *Service) hold(ctx context.Context, c session.Claimed) {
	ctx, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	s.held[c.ID] = holding{c.Epoch, cancel}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		if h, ok := s.held[c.ID]; ok && h.epoch == c.Epoch {
			delete(s.held, c.ID)
		}
		s.mu.Unlock()
		cancel(nil)
	}()
	s.run(ctx, c)
}
