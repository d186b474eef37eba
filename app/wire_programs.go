package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/adapters/llm/a2a"
	"github.com/bureau-agents/bureau/adapters/llm/openai"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/model"
	"github.com/bureau-agents/bureau/core/remote"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
)

// programProvider names the models that are hosted agents' own programs.
const programProvider = "program"

// programPatience is how long a program may be silent: agents work before they answer.
const programPatience = 5 * time.Minute

// programs answers for agents that are programs of their own.
type programs struct {
	host        agentHost
	deployments hosting.Repository
	secrets     *secret.AgentSecrets
	telemetry   *otel.Telemetry
	remotes     *remote.Service // keeps what conversations are known by

	mu   sync.Mutex
	open map[id.Agent]openProgram
}

// openProgram is a provider for one generation of an agent's program.
type openProgram struct {
	generation int64
	provider   llm.Provider
	transport  *http.Transport
}

// maxPrograms bounds how many programs' connections are kept.
const maxPrograms = 1000

var errElsewhere = fault.New(fault.Unavailable, "program_elsewhere", "the agent's program runs on another server, which has to be asked")

// Program implements model.Programs.
func (p *programs) Program(ctx context.Context, sc account.Scope, of id.Agent) (model.Resolved, bool, error) {
	d, err := p.deployments.Get(ctx, sc, of)
	if err != nil || d.Program == nil {
		return model.Resolved{}, false, err
	}
	switch {
	case d.Status != hosting.Running:
		return model.Resolved{}, false, hosting.ErrNotRunning.Withf("the agent's program is %s", d.Status)
	case p.host.Host == nil || d.Site != p.host.site:
		return model.Resolved{}, false, errElsewhere
	}
	provider, err := p.provider(ctx, sc, d)
	return model.Resolved{
		Provider: provider, ProviderName: programProvider, Model: d.Program.AskedModel(), Autonomous: true,
	}, err == nil, err
}

func (p *programs) provider(ctx context.Context, sc account.Scope, d hosting.Deployment) (llm.Provider, error) {
	p.mu.Lock()
	known, ok := p.open[d.Agent]
	p.mu.Unlock()
	if ok && known.generation == d.Generation {
		return known.provider, nil
	}
	token := ""
	if name := d.Program.TokenName; name != "" {
		env, err := p.secrets.Environment(ctx, sc, d.Agent) // the program knows it from there
		if err != nil {
			return nil, err
		}
		if token = env[name]; token == "" {
			return nil, llm.ErrCredentials.Withf("the agent has no secret %q to show to its program", name)
		}
	}
	now := openProgram{generation: d.Generation, transport: instanceTransport(p.host, hosting.InstanceID(d.Agent))}
	base := fmt.Sprintf("http://127.0.0.1:%d", d.Program.Port) // as the program sees itself; the transport knows the way
	var err error
	switch d.Program.Protocol {
	case hosting.ProtocolA2A:
		now.provider, err = a2a.New(a2a.Config{
			Name: programProvider, BaseURL: base, Token: token, FirstByteTimeout: programPatience, IdleTimeout: programPatience, Transport: now.transport,
			Conversations: conversationsOf{p.remotes, sc, d.Agent},
		})
	default:
		now.provider, err = openai.New(openai.Config{
			Name: programProvider, BaseURL: base, APIKey: token, Model: d.Program.AskedModel(), FirstByteTimeout: programPatience,
			IdleTimeout: programPatience, Transport: now.transport,
		})
	}
	if err != nil {
		return nil, err
	}
	now.provider = otel.WrapLLM(now.provider, p.telemetry)
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) >= maxPrograms {
		for a, old := range p.open {
			old.transport.CloseIdleConnections()
			delete(p.open, a)
		}
	}
	if ok {
		known.transport.CloseIdleConnections()
	}
	p.open[d.Agent] = now
	return now.provider, nil
}

// instanceTransport leads to an instance's program, whatever address a request names.
func instanceTransport(host agentHost, instance string) *http.Transport {
	return &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return host.Dial(ctx, instance) },
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
	}
}

// probeProgram asks whether a program is ready.
func probeProgram(ctx context.Context, host agentHost, d hosting.Deployment, instance string) error {
	if d.Program == nil || d.Program.HealthPath == "" {
		conn, err := host.Dial(ctx, instance)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	transport := instanceTransport(host, instance)
	defer transport.CloseIdleConnections()
	url := fmt.Sprintf("http://127.0.0.1:%d%s", d.Program.Port, d.Program.HealthPath)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection ends in order
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("%s answers with status %d", d.Program.HealthPath, resp.StatusCode)
	}
	return nil
}
