package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/adapters/runtime/docker"
	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/adapters/runtime/worker"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// hostingModule runs hosted agents.
func hostingModule() fx.Option {
	return fx.Module("hosting",
		fx.Provide(provideAgentHost, provideHostingDocuments, provideSupervisor, provideHosting),
		fx.Invoke(
			func(h *hosting.Service, at agentHost, documents *agent.Documents, secrets *secret.AgentSecrets, market *skill.Market) {
				documents.Connect(h, workerRules{at, h})
				secrets.Connect(h)
				market.Connect(h)
			},
			func(lc fx.Lifecycle, cfg Config, s *hosting.Supervisor) {
				background(lc, func(ctx context.Context) { s.Run(ctx, cfg.DrainTimeout) })
			},
			wireActivity, registerHostingMetrics,
		))
}

// agentHost is where hosted agents run; Host is nil on a server that hosts none.
type agentHost struct {
	runtime.Host

	worker    *worker.Client // of instances without a program of their own; nil where the embedder brought the host
	site      string         // see hosting.SupervisorConfig
	exclusive bool
	stopAll   bool
}

// checker is what hosts have that can say whether they will do.
type checker interface {
	Check(ctx context.Context) error
	Close() error
}

// provideAgentHost makes the host that Config.Runtime names. It starts nothing, so that a server whose host does not answer starts, says so,
// and has its agents in error.
func provideAgentHost(cfg Config, o options, lc fx.Lifecycle, cl *closers, t *otel.Telemetry) (agentHost, error) {
	own, err := siteOf(cfg.DataDir)
	if err != nil {
		return agentHost{}, err
	}
	h := agentHost{site: cfg.Runtime.Provider + ":" + own, exclusive: true}
	if o.host != nil {
		h.Host, h.site = otel.WrapHost(o.host, t), o.host.Name()+":"+own
		return h, nil
	}
	var made checker
	switch cfg.Runtime.Provider {
	case "none":
		return h, nil
	case "docker":
		d, err := docker.New(docker.Config{
			Host: cfg.Hosting.Docker.Host, CertDir: cfg.Hosting.Docker.CertDir, Server: own, Limits: cfg.Hosting.Limits,
			RequireDisk: cfg.Hosting.Docker.RequireDisk, EgressAllow: cfg.EgressAllow, Logger: cfg.Logger,
		})
		if err != nil {
			return agentHost{}, err
		}
		h.Host, made = d, d
	case "kubernetes":
		k, err := kubernetesHost(cfg, own)
		if err != nil {
			return agentHost{}, err
		}
		h.Host, made, h.site, h.exclusive = k, k, k.Site(), cfg.DatabaseURL == ""
	default:
		p, err := process.NewHost(process.HostConfig{
			Dir: filepath.Join(cfg.DataDir, "agents"), Limits: cfg.Hosting.Limits, EgressAllow: cfg.EgressAllow, Paths: cfg.Runtime.Paths,
			Hidden: []string{cfg.DataDir}, Logger: cfg.Logger,
		})
		if err != nil {
			return agentHost{}, err
		}
		h.Host, made, h.stopAll = p, p, true
	}
	if cfg.Hosting.KeepRunning != nil {
		h.stopAll = !*cfg.Hosting.KeepRunning
	}
	cl.add(made.Close)
	lc.Append(fx.Hook{OnStart: func(ctx context.Context) error {
		if err := made.Check(ctx); err != nil {
			cfg.Logger.WarnContext(ctx, "agents cannot be hosted", slog.Any("reason", err))
		}
		return nil
	}})
	key, err := workerKey(cfg)
	if err != nil {
		return agentHost{}, err
	}
	token := func(instance string) string { return worker.Token(key, instance) }
	h.worker = worker.NewClient(h.Host, token)
	h.Host = workerHost{otel.WrapHost(h.Host, t), token}
	return h, nil
}

// workerKey is what the tokens of workers follow from. All servers of one store have the same.
func workerKey(cfg Config) ([]byte, error) {
	text := cfg.RootSecret
	if text == "" {
		var err error
		if text, err = rootSecretFile(filepath.Join(cfg.DataDir, "root-secret")); err != nil {
			return nil, err
		}
	}
	mac := hmac.New(sha256.New, []byte(text))
	mac.Write([]byte("tokens of workers"))
	return mac.Sum(nil), nil
}

// workerHost gives the workers that it starts their tokens.
type workerHost struct {
	runtime.Host

	token func(instance string) string
}

// Start implements runtime.Host.
func (h workerHost) Start(ctx context.Context, spec runtime.InstanceSpec) (runtime.Instance, error) {
	if spec.Image == "" && len(spec.Command) == 0 {
		spec.Env = maps.Clone(spec.Env)
		if spec.Env == nil {
			spec.Env = map[string]string{}
		}
		spec.Env[worker.TokenEnv] = h.token(spec.ID)
	}
	return h.Host.Start(ctx, spec)
}

// siteOf names the instances of a data directory, which outlive the server.
func siteOf(dir string) (string, error) {
	file := filepath.Join(dir, "site")
	text, err := os.ReadFile(file)
	if err == nil && strings.TrimSpace(string(text)) != "" {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("app: the data directory: %w", err)
	}
	name := id.NewGenerator(time.Now).NewUUID().String()
	if err := os.WriteFile(file, []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("app: the data directory: %w", err)
	}
	return name, nil
}

// hostedDocuments are the documents of hosted agents.
type hostedDocuments struct{ *agent.Documents }

func provideHostingDocuments(documents *agent.Documents) hosting.Documents {
	return hostedDocuments{documents}
}

// Begin implements hosting.Documents.
func (d hostedDocuments) Begin(ctx context.Context, sc account.Scope, of id.Agent, first hosting.FirstDocuments) error {
	for _, doc := range []struct {
		path agent.DocumentPath
		text string
	}{{agent.Soul, first.Soul}, {agent.IdentityCard, first.Identity}, {agent.Workflow, first.Workflow}} {
		if doc.text == "" {
			continue
		}
		if _, _, err := d.Put(ctx, sc, of, doc.path, doc.text, ""); err != nil {
			return err
		}
	}
	return nil
}

// prober asks instances whether they answer.
type prober struct{ host agentHost }

// Probe implements hosting.Prober.
func (p prober) Probe(ctx context.Context, d hosting.Deployment, instance string) error {
	if d.Program == nil && p.host.worker != nil {
		_, err := p.host.worker.Status(ctx, instance)
		return err
	}
	return probeProgram(ctx, p.host, d, instance)
}

// workerRules reads rules from the work directories of instances.
type workerRules struct {
	host    agentHost
	hosting *hosting.Service
}

// ReadRule implements agent.RuleReader.
func (r workerRules) ReadRule(ctx context.Context, sc account.Scope, of id.Agent, name string) (content string, asked bool, err error) {
	d, err := r.hosting.Get(ctx, sc, of)
	if err != nil || r.host.worker == nil || d.Program != nil || d.Status != hosting.Running || d.Site != r.host.site {
		return "", false, err
	}
	content, err = r.host.worker.ReadRule(ctx, hosting.InstanceID(of), name)
	switch {
	case errors.Is(err, worker.ErrNoRule):
		return "", true, agent.ErrDocumentNotFound.Withf("the agent has no rule %q", name)
	case err != nil: // it ended a moment ago, or does not answer
		return "", false, nil //nolint:nilerr // the store has the rule, too
	}
	return content, true, nil
}

// supervisorParts are what instances are looked after with.
type supervisorParts struct {
	fx.In

	Config    Config
	Options   options
	Store     *bunstore.Store
	Bus       bus.Bus
	Documents hosting.Documents
	Secrets   *secret.AgentSecrets
	Trail     *audit.Service
	Host      agentHost
	Watchers  []hosting.Watcher `group:"hosting_watchers"`
}

func provideSupervisor(b base, p supervisorParts) (*hosting.Supervisor, error) {
	var probe hosting.Prober = prober{p.Host}
	if p.Options.prober != nil {
		probe = p.Options.prober
	}
	cfg := hosting.SupervisorConfig{
		Site: p.Host.site, Exclusive: p.Host.exclusive, StopAll: p.Host.stopAll, Grace: p.Config.Hosting.Grace,
		StartTimeout: p.Config.Hosting.StartTimeout, HealthEvery: p.Config.Hosting.HealthEvery,
	}
	if p.Config.DatabaseURL != "" {
		cfg.Measure = 15 * time.Second
	}
	return hosting.NewSupervisor(hosting.SupervisorDeps{
		TX: b.TX, Clock: b.Clock, IDs: b.IDs, Logger: b.Logger, Bus: p.Bus, Repository: p.Store.Hosting(), Sites: p.Store.Hosting(),
		Documents: p.Documents, Secrets: p.Secrets, Trail: p.Trail, Prober: probe, Host: p.Host.Host, Watchers: p.Watchers,
	}, cfg)
}

// hostingParts are what hosting stands on.
type hostingParts struct {
	fx.In

	Store      *bunstore.Store
	Agents     *agent.Service
	Swarms     *swarm.Service
	Documents  hosting.Documents
	Secrets    *secret.AgentSecrets
	Trail      *audit.Service
	Supervisor *hosting.Supervisor
	Host       agentHost
}

func provideHosting(b base, cfg Config, p hostingParts) (*hosting.Service, error) {
	return hosting.NewService(hosting.Deps{
		TX: b.TX, Clock: b.Clock, Logger: b.Logger, Repository: p.Store.Hosting(), Sites: p.Store.Hosting(), Agents: p.Agents,
		Standings: p.Store.Agents(), Tenants: p.Store.Accounts(), Swarms: p.Swarms, Documents: p.Documents, Secrets: p.Secrets, Trail: p.Trail,
		Supervisor: p.Supervisor, Host: p.Host.Host,
	}, hosting.Config{Limits: cfg.Hosting.Limits})
}

// wireActivity has turns noted in the logs of instances.
func wireActivity(
	b base, lc fx.Lifecycle, cfg Config, bus bus.Bus, s *hosting.Supervisor, at agentHost, j *session.Journal, logs *agentLogs,
) error {
	if at.worker == nil {
		return nil
	}
	a, err := hosting.NewActivity(hosting.ActivityDeps{Logger: b.Logger, Bus: bus, Supervisor: s, Diary: at.worker}, cfg.DatabaseURL != "")
	if err != nil {
		return err
	}
	j.Listen(a.Heard)
	logs.activity = a
	s.Watch(a)
	background(lc, a.Run)
	return nil
}

// chosenProvider is the model provider that an agent's hosting configuration names; "" none.
func chosenProvider(ctx context.Context, sc account.Scope, deployments hosting.Repository, of id.Agent) (string, error) {
	d, err := deployments.Get(ctx, sc, of)
	if err != nil {
		return "", err
	}
	var config struct {
		Provider string `json:"llmProvider"`
	}
	if err := json.Unmarshal(d.Config, &config); err != nil {
		return "", err
	}
	return config.Provider, nil
}

// registerHostingMetrics shows how many agents this server looks after.
func registerHostingMetrics(s *hosting.Supervisor, reg *prometheus.Registry) error {
	live := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bureau_hosted_agents_running", Help: "Instances of hosted agents that run and that this server looks after.",
	}, func() float64 { n, _ := s.Counts(); return float64(n) })
	restarts := prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bureau_hosted_agents_restarts_total", Help: "Instances that this server has started again because they had ended by themselves.",
	}, func() float64 { _, n := s.Counts(); return float64(n) })
	return errors.Join(reg.Register(live), reg.Register(restarts))
}
