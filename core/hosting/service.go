package hosting

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Agents makes, reads and changes agents; agent.Service does.
type Agents interface {
	Create(ctx context.Context, sc account.Scope, cfg agent.Config) (agent.Agent, error)
	Get(ctx context.Context, sc account.Scope, agent id.Agent) (agent.Agent, error)
	Update(ctx context.Context, sc account.Scope, agent id.Agent, p agent.Patch) (agent.Agent, error)
}

// Standings says whether agents may act, and keeps it so until a transaction ends; see agent.Standings.
type Standings interface {
	LockStanding(ctx context.Context, sc account.Scope, agent id.Agent) (agent.StandingInfo, error)
}

// Tenants is the same of tenants; see account.TenantRepository.
type Tenants interface {
	LockStanding(ctx context.Context, sc account.Scope) (account.Standing, error)
}

// Swarms puts agents into swarms; see swarm.Service.Place.
type Swarms interface {
	Place(
		ctx context.Context, sc account.Scope, a id.Agent, to id.Swarm, change func(ctx context.Context) (agent.Agent, error),
	) (agent.Agent, error)
}

// Documents are the texts that agents have beside their configuration. app wires what keeps them.
type Documents interface {
	// Begin stores the first documents of an agent that was made in the transaction of ctx.
	Begin(ctx context.Context, sc account.Scope, agent id.Agent, first FirstDocuments) error
	// Files returns an agent's documents as they are now, by the path below its work directory.
	Files(ctx context.Context, sc account.Scope, agent id.Agent) (map[string][]byte, error)
}

// FirstDocuments are those that an agent is made with; "" leaves one to the store.
type FirstDocuments struct{ Soul, Identity, Workflow string }

// Secrets are the keys and tokens of agents. app wires what keeps them.
type Secrets interface {
	// Begin stores the first secrets of an agent that was made in the transaction of ctx, by name.
	Begin(ctx context.Context, sc account.Scope, agent id.Agent, values map[string]string) error
	// HasModelKey reports whether one of the names is that of a model provider's key, with a value.
	HasModelKey(values map[string]string) bool
	// Environment returns what reaches the agent's own program, by variable.
	Environment(ctx context.Context, sc account.Scope, agent id.Agent) (map[string]string, error)
	// Starting is told that an instance is about to be started with that.
	Starting(ctx context.Context, sc account.Scope, agent id.Agent) error
	// Redactor knows what must not be told of the agent, and what its instance was started with; nil knows nothing.
	Redactor(ctx context.Context, sc account.Scope, agent id.Agent) (*secret.Redactor, error)
}

// Trail is where the life of deployments is noted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Deps is what a Service needs. All fields are required but Host, without which agents cannot be started here.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	Logger     *slog.Logger
	Repository Repository
	Sites      Sites
	Agents     Agents
	Standings  Standings
	Tenants    Tenants
	Swarms     Swarms
	Documents  Documents
	Secrets    Secrets
	Trail      Trail
	Supervisor *Supervisor
	Host       runtime.Host
}

// Config tunes a Service; the zero value is the default.
type Config struct {
	// Wait is how long a start, a stop or a restart waits for what comes of it before it answers as far as it got; 0 is 25 s.
	Wait time.Duration
	// MaxStreams is how many logs of one tenant's agents a server follows at once; 0 is 200.
	MaxStreams int
	// Limits are what an instance gets whose agent has none of its own; zero fields are the runtime's defaults. An agent's own may be
	// LimitShare times as large.
	Limits Limits
}

// Service hosts agents. It is safe for concurrent use.
type Service struct {
	d       Deps
	cfg     Config
	streams context.Context //nolint:containedctx // of the logs that are followed
	close   context.CancelFunc

	mu        sync.Mutex
	following map[id.Tenant]int // logs
}

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps, cfg Config) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"Logger", d.Logger == nil}, {"Repository", d.Repository == nil},
		{"Sites", d.Sites == nil}, {"Agents", d.Agents == nil}, {"Standings", d.Standings == nil}, {"Tenants", d.Tenants == nil},
		{"Swarms", d.Swarms == nil}, {"Documents", d.Documents == nil}, {"Secrets", d.Secrets == nil}, {"Trail", d.Trail == nil},
		{"Supervisor", d.Supervisor == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("hosting: Deps.%s is required", f.name)
		}
	}
	if cfg.Wait < 0 {
		return nil, errors.New("hosting: Config.Wait must not be negative")
	}
	if cfg.Wait == 0 {
		cfg.Wait = 25 * time.Second
	}
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = 200
	}
	s := &Service{d: d, cfg: cfg, following: map[id.Tenant]int{}}
	s.streams, s.close = context.WithCancel(context.Background())
	return s, nil
}

// Get returns the deployment of an agent, that of New for one that was never hosted.
func (s *Service) Get(ctx context.Context, sc account.Scope, a id.Agent) (Deployment, error) {
	if _, err := s.d.Agents.Get(ctx, sc, a); err != nil {
		return Deployment{}, err
	}
	return s.d.Repository.Get(ctx, sc, a)
}

// Find returns the deployments of agents; those that were never hosted have that of New. It does not ask whether the agents are there.
func (s *Service) Find(ctx context.Context, sc account.Scope, agents ...id.Agent) (map[id.Agent]Deployment, error) {
	if len(agents) == 0 {
		return map[id.Agent]Deployment{}, nil
	}
	found, err := s.d.Repository.Find(ctx, sc, agents)
	if err != nil {
		return nil, err
	}
	for _, a := range agents {
		if _, ok := found[a]; !ok {
			found[a] = New(sc.Tenant, a)
		}
	}
	return found, nil
}

// CountRunning counts the agents of a tenant that are running.
func (s *Service) CountRunning(ctx context.Context, sc account.Scope) (int, error) {
	return s.d.Repository.CountRunning(ctx, sc)
}

// Running returns nil for a running agent, ErrNotRunning for any other, id.NotFound for one that is not there.
func (s *Service) Running(ctx context.Context, sc account.Scope, a id.Agent) error {
	d, err := s.d.Repository.Get(ctx, sc, a)
	if err == nil && d.Status == Running {
		return nil
	}
	if err == nil {
		_, err = s.d.Agents.Get(ctx, sc, a)
	}
	if err != nil {
		return err
	}
	return ErrNotRunning
}

// Changed says that something of the agent has changed that its instance was started with, in the transaction of ctx, and reports whether
// it needs a restart to know of it.
func (s *Service) Changed(ctx context.Context, sc account.Scope, a id.Agent) (needsRestart bool, err error) {
	d, err := s.d.Repository.Update(ctx, sc, a, func(d *Deployment) error {
		if !d.Active() {
			return errUnchanged
		}
		d.NeedsRestart = true
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return d.NeedsRestart, err
}

// errUnchanged ends a change that has nothing to change.
var errUnchanged = errors.New("hosting: nothing to change")

// Forget ends an agent that is being destroyed, in the transaction of ctx: its instance, its files and its logs go after the commit. It is a
// retire.Part.
func (s *Service) Forget(ctx context.Context, sc account.Scope, a id.Agent) error {
	d, err := s.d.Repository.Get(ctx, sc, a)
	if err != nil || d.CreatedAt.IsZero() {
		return err
	}
	if err := s.d.Repository.Remove(ctx, sc, a); err != nil {
		return err
	}
	s.d.TX.AfterCommit(ctx, func() { s.d.Supervisor.nudge(d.Site, a) })
	return nil
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// StartedAt returns as of when the files and the environment of the agent's instance are, false for an agent without one.
func (s *Service) StartedAt(ctx context.Context, sc account.Scope, a id.Agent) (at time.Time, hosted bool, err error) {
	d, err := s.d.Repository.Get(ctx, sc, a)
	if err != nil || !d.Active() || d.SpecAt.IsZero() {
		return time.Time{}, false, err
	}
	return d.SpecAt, true, nil
}
