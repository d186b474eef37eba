package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/plugins/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Config of a host.
type Config struct {
	// Dir is where the copies of binaries are kept, an absolute path; required. It is made when it is missing.
	Dir string
	// Logger is required. What plugins print on their standard error goes there.
	Logger *slog.Logger
	// EgressAllow is the operator's list of private addresses that plugins may reach; see egress.Config.Allow.
	EgressAllow []string
	// StartTimeout is how long a plugin may take from its start to its first answer; 0 is 10 seconds.
	StartTimeout time.Duration
	// CallTimeout is how long a skill may take, whatever longer deadline its caller has; 0 is 60 seconds.
	CallTimeout time.Duration
	// RuleTimeout is the same for a rule; 0 is 2 seconds.
	RuleTimeout time.Duration
	// IdleTimeout is how long an unused process is kept; 0 is 5 minutes.
	IdleTimeout time.Duration
	// MemoryBytes is how much memory a process may write to; 0 is 512 MiB, -1 is no limit. It is enforced on Linux.
	MemoryBytes int64
	// MaxResultBytes is how long an answer may be; 0 is 4 MiB. A longer one is an error.
	MaxResultBytes int
	// Backoff is how long a plugin is left alone after its second crash in a row; it doubles with each further one, up to a minute.
	// 0 is 200 milliseconds.
	Backoff time.Duration
}

// The bounds of a plugin's restarts.
const (
	maxBackoff  = time.Minute
	stableAfter = time.Minute // a process that lived this long did not crash in a row with the one before
	maxStrikes  = 3           // calls in a row that overran their deadline before the process is taken for stuck
)

// Host is a skill.Launcher. It is safe for concurrent use.
type Host struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	slots  map[string]*slot // by digest
	files  sync.Mutex       // held while a copy is written
	live   sync.WaitGroup   // supervising goroutines
}

var _ skill.Launcher = (*Host)(nil)

// New checks cfg, prepares its directory, and removes what hosts that were killed left behind. Nothing is started.
func New(cfg Config) (*Host, error) {
	if cfg.Logger == nil {
		return nil, errors.New("plugin host: Config.Logger is required")
	}
	if !filepath.IsAbs(cfg.Dir) {
		return nil, fmt.Errorf("plugin host: Config.Dir must be an absolute path, not %q", cfg.Dir)
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&cfg.StartTimeout, 10 * time.Second}, {&cfg.CallTimeout, 60 * time.Second}, {&cfg.RuleTimeout, 2 * time.Second},
		{&cfg.IdleTimeout, 5 * time.Minute}, {&cfg.Backoff, 200 * time.Millisecond},
	} {
		if *d.value < 0 {
			return nil, errors.New("plugin host: a time-out must not be negative")
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = 512 << 20
	}
	if cfg.MaxResultBytes == 0 {
		cfg.MaxResultBytes = 4 << 20
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("plugin host: %w", err)
	}
	sweepRunDirs()
	return &Host{cfg: cfg, slots: map[string]*slot{}}, nil
}

// Stop ends every plugin and refuses further calls. It waits for the processes to be gone, as long as ctx lets it.
func (h *Host) Stop(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	slots := make([]*slot, 0, len(h.slots))
	for _, s := range h.slots {
		slots = append(slots, s)
	}
	h.mu.Unlock()
	for _, s := range slots {
		go s.stop("the server stops")
	}
	done := make(chan struct{})
	go func() { h.live.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("plugin host: plugins still run: %w", ctx.Err())
	}
}

// Running returns how many plugin processes run.
func (h *Host) Running() int {
	h.mu.Lock()
	slots := make([]*slot, 0, len(h.slots))
	for _, s := range h.slots {
		slots = append(slots, s)
	}
	h.mu.Unlock()
	n := 0
	for _, s := range slots {
		if s.running() {
			n++
		}
	}
	return n
}

// Forget implements skill.Launcher.
func (h *Host) Forget(digest string) {
	h.mu.Lock()
	s := h.slots[digest]
	delete(h.slots, digest)
	h.mu.Unlock()
	if s != nil {
		s.stop("the plugin was disabled or removed")
	}
	h.files.Lock()
	defer h.files.Unlock()
	_ = os.Remove(h.path(digest))
}

// Describe implements skill.Launcher.
func (h *Host) Describe(ctx context.Context, b skill.Binary) (skill.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*h.cfg.StartTimeout)
	defer cancel()
	p, err := h.launch(ctx, b)
	if err != nil {
		return skill.Description{}, rejected(err)
	}
	defer p.kill()
	d, err := describe(ctx, p)
	if err != nil {
		return skill.Description{}, rejected(err)
	}
	return d, nil
}

// describe asks a process what it serves: a skill, or when it does not know that service, a rule.
func describe(ctx context.Context, p *process) (skill.Description, error) {
	d := skill.Description{Protocol: p.protocol}
	spec, version, err := wire.NewSkill(p.conn).Describe(ctx)
	if err == nil {
		d.Kind, d.Program, d.Version, d.Tool = skill.KindSkill, spec.Name, version, spec
		return d, nil
	}
	if status.Code(err) != codes.Unimplemented {
		return d, err
	}
	desc, version, err := wire.NewRule(p.conn).Describe(ctx)
	if err != nil {
		if status.Code(err) == codes.Unimplemented {
			return d, wire.ErrAnswer.Withf("it serves neither a skill nor a rule")
		}
		return d, err
	}
	d.Kind, d.Program, d.Version, d.Rule = skill.KindRule, desc.Name, version, desc
	return d, nil
}

// rejected makes what is wrong with a binary the installing caller's fault.
func rejected(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if f, ok := fault.As(err); ok {
		if f.Kind != fault.Internal || errors.Is(f, wire.ErrAnswer) {
			return skill.ErrRejected.Withf("the plugin cannot be used: %s", f.Message).Wrap(err)
		}
		return err
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return skill.ErrRejected.Withf("the plugin does not start: %s", first).Wrap(err)
}

// Tool implements skill.Launcher.
func (h *Host) Tool(b skill.Binary, m skill.Manifest) tool.Tool {
	return &skillFacade{h: h, b: b, m: m}
}

// Rule implements skill.Launcher.
func (h *Host) Rule(b skill.Binary, m skill.Manifest) rule.Evaluator {
	return &ruleFacade{h: h, b: b, m: m}
}

// slot returns the place of a digest's process.
func (h *Host) slot(b skill.Binary, m skill.Manifest) (*slot, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errStopped
	}
	s := h.slots[b.Digest]
	if s == nil {
		s = &slot{h: h, b: b, m: m}
		h.slots[b.Digest] = s
	}
	return s, nil
}

var errStopped = errors.New("the server stops")

// failure is what became of a call that the plugin did not answer.
type failure struct {
	cause error
	// unsent is set when the request never left this process: another process may be asked.
	unsent bool
	retry  time.Duration // when another try makes sense
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// call makes one call with a running process, starting one where needed. A *failure says that there was no answer. again permits
// asking a second process when the first one died with the request.
func (h *Host) call(ctx context.Context, b skill.Binary, m skill.Manifest, again bool, fn func(context.Context, grpc.ClientConnInterface) error) error {
	s, err := h.slot(b, m)
	if err != nil {
		return &failure{cause: err, unsent: true}
	}
	for try := 0; ; try++ {
		err := s.call(ctx, fn)
		var f *failure
		if !errors.As(err, &f) || try > 0 || ctx.Err() != nil || f.retry > 0 || !f.unsent && !again {
			return err
		}
	}
}
