package docker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/ports/egress"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Config of a Host.
type Config struct {
	// Host is where the Engine listens: "unix:///var/run/docker.sock" (default), "tcp://10.0.0.5:2376".
	Host string
	// CertDir holds ca.pem, cert.pem and key.pem for an engine that is reached over TLS; "" is none.
	CertDir string
	// Server tells apart the servers that share an engine, [a-z0-9-]{1,40}; required. All that share a database have the same.
	Server string
	// Binary is what the image of instances without one is made of: Bureau's own, for Linux and the Engine's processor. "" is the program
	// that runs; one that is linked dynamically is taken along with its libraries.
	Binary string
	// Limits of instances whose InstanceSpec has none; zero fields are the port's defaults.
	Limits runtime.InstanceLimits
	// RequireDisk refuses instances where the Engine's storage cannot bound what they write.
	RequireDisk bool
	// EgressAllow opens private addresses to instances with a network, as egress.Config.Allow does.
	EgressAllow []string
	// Kept is how many ended containers of earlier generations stay for their logs; 0 is 2, -1 none.
	Kept int
	// LogBytes is how much is kept of the log of one container; 0 is 5 MiB.
	LogBytes int
	// Grace is what a running program gets when another generation replaces it; 0 is 5 s.
	Grace time.Duration
	// Logger hears of what nobody else is told; default slog.Default().
	Logger *slog.Logger
}

// DefaultHost is where engines listen.
const DefaultHost = "unix:///var/run/docker.sock"

// Host runs instances in containers.
type Host struct {
	cfg    Config
	engine *client.Client

	making sync.Mutex // of images, and what is found out about the Engine
	bundle *bundle
	facts  *facts

	mu      sync.Mutex
	busy    map[string]*hold  // instances that are being changed
	relays  map[string]*relay // by instance
	samples map[string]sample // by container
}

var _ runtime.Host = (*Host)(nil)

var (
	serverPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	idPattern       = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	labelPattern    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,63}$`)
	variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
)

// New returns a host. It does not connect yet: Check does.
func New(cfg Config) (*Host, error) {
	if !serverPattern.MatchString(cfg.Server) {
		return nil, fmt.Errorf("docker: Config.Server: %q must be 1 to 40 of a-z, 0-9 and -", cfg.Server)
	}
	if l := cfg.Limits; l.Memory < 0 || l.Processes < 0 || l.Disk < 0 || l.CPU < 0 || l.OpenFiles < 0 || cfg.LogBytes < 0 || cfg.Grace < 0 || cfg.Kept < -1 {
		return nil, errors.New("docker: Config: limits must not be negative")
	}
	if _, err := egress.New(egress.Config{Allow: cfg.EgressAllow}); err != nil {
		return nil, fmt.Errorf("docker: Config.EgressAllow: %w", err)
	}
	cfg.Host = cmp.Or(cfg.Host, DefaultHost)
	cfg.Kept = max(cmp.Or(cfg.Kept, 2), 0)
	cfg.LogBytes = cmp.Or(cfg.LogBytes, 5<<20)
	cfg.Grace = cmp.Or(cfg.Grace, 5*time.Second)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	options := []client.Opt{client.WithHost(cfg.Host)}
	if cfg.CertDir != "" {
		in := func(name string) string { return filepath.Join(cfg.CertDir, name) }
		options = append(options, client.WithTLSClientConfig(in("ca.pem"), in("cert.pem"), in("key.pem")))
	}
	engine, err := client.New(options...)
	if err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	return &Host{cfg: cfg, engine: engine, busy: map[string]*hold{}, relays: map[string]*relay{}, samples: map[string]sample{}}, nil
}

// Name implements runtime.Host.
func (h *Host) Name() string { return "docker" }

// Close gives back what the host itself uses. Instances go on.
func (h *Host) Close() error {
	h.mu.Lock()
	relays := h.relays
	h.relays = map[string]*relay{}
	h.mu.Unlock()
	for _, r := range relays {
		r.close()
	}
	return h.engine.Close()
}

// hold is the lock of one instance in this process.
type hold struct {
	sync.Mutex
	users int
}

// lock keeps others in this process from changing an instance meanwhile. Others in other processes are kept by the Engine's names.
func (h *Host) lock(id string) (unlock func()) {
	h.mu.Lock()
	held := h.busy[id]
	if held == nil {
		held = &hold{}
		h.busy[id] = held
	}
	held.users++
	h.mu.Unlock()
	held.Lock()
	return func() {
		held.Unlock()
		h.mu.Lock()
		defer h.mu.Unlock()
		if held.users--; held.users == 0 {
			delete(h.busy, id)
		}
	}
}
