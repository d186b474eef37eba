package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/secret"
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
			func(h *hosting.Service, documents *agent.Documents, secrets *secret.AgentSecrets, market *skill.Market) {
				documents.Connect(h, nil)
				secrets.Connect(h)
				market.Connect(h)
			},
			func(lc fx.Lifecycle, cfg Config, s *hosting.Supervisor) {
				background(lc, func(ctx context.Context) { s.Run(ctx, cfg.DrainTimeout) })
			},
			registerHostingMetrics,
		))
}

// agentHost is where hosted agents run; Host is nil on a server that hosts none.
type agentHost struct {
	runtime.Host

	site      string // see hosting.SupervisorConfig
	exclusive bool
	stopAll   bool
}

// provideAgentHost makes the host that Config.Runtime names.
func provideAgentHost(cfg Config, o options) (agentHost, error) {
	if o.host == nil {
		site, err := siteOf(cfg.DataDir)
		return agentHost{site: "none:" + site, exclusive: true}, err
	}
	site, err := siteOf(cfg.DataDir)
	return agentHost{Host: o.host, site: o.host.Name() + ":" + site, exclusive: true}, err
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
type prober struct{ host runtime.Host }

// Probe implements hosting.Prober.
func (p prober) Probe(ctx context.Context, _ hosting.Deployment, instance string) error {
	conn, err := p.host.Dial(ctx, instance)
	if err != nil {
		return err
	}
	return conn.Close()
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
	var probe hosting.Prober = prober{p.Host.Host}
	if p.Options.prober != nil {
		probe = p.Options.prober
	}
	cfg := hosting.SupervisorConfig{Site: p.Host.site, Exclusive: p.Host.exclusive, StopAll: p.Host.stopAll}
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

func provideHosting(b base, p hostingParts) (*hosting.Service, error) {
	return hosting.NewService(hosting.Deps{
		TX: b.TX, Clock: b.Clock, Logger: b.Logger, Repository: p.Store.Hosting(), Sites: p.Store.Hosting(), Agents: p.Agents,
		Standings: p.Store.Agents(), Tenants: p.Store.Accounts(), Swarms: p.Swarms, Documents: p.Documents, Secrets: p.Secrets, Trail: p.Trail,
		Supervisor: p.Supervisor, Host: p.Host.Host,
	}, hosting.Config{})
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
