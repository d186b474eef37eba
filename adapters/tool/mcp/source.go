package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Credentials knows the tokens for servers; secret.Service does.
type Credentials interface {
	// Bearer returns the token that one of the vaults has for a server; false when none has.
	Bearer(ctx context.Context, sc account.Scope, vaults []id.Vault, serverURL string) (secret.Token, bool, error)
	// Refresh returns another token than stale, which the server has refused.
	Refresh(ctx context.Context, sc account.Scope, credential id.Credential, stale secret.Value) (secret.Token, error)
}

// Launcher starts programs in the sandbox of a session.
type Launcher interface {
	// Start starts a program that runs until ctx ends.
	Start(ctx context.Context, sc account.Scope, sess session.Session, a agent.Agent, c runtime.Command) (runtime.Process, error)
}

// Reach says whether a session's environment lets its tools reach a remote server.
type Reach interface {
	// CheckMCP returns a fault with a message for people when it does not.
	CheckMCP(ctx context.Context, sc account.Scope, sess session.Session, server agent.MCPServer) error
}

// Deps is what a Source needs. Launcher may be left out: servers that are programs are then refused.
type Deps struct {
	Clock       clock.Clock
	Logger      *slog.Logger
	Client      *http.Client // guarded, without a time limit of its own, since answers are streams
	Credentials Credentials
	Reach       Reach
	Launcher    Launcher
}

// Config tunes a Source; the zero value is the default.
type Config struct {
	// ConnectTimeout bounds connecting to a server and reading what it offers; 0 is 20 s.
	ConnectTimeout time.Duration
	// Fresh is how long a server's list of tools is believed; 0 is 1 minute.
	Fresh time.Duration
	// Pause is how long a server that could not be reached is left alone; 0 is 5 s.
	Pause time.Duration
	// Idle is after what time without use a connection is closed; 0 is 5 minutes.
	Idle time.Duration
	// Version is how Bureau introduces itself to servers.
	Version string
}

func (c Config) withDefaults() Config {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = 20 * time.Second
	}
	if c.Fresh <= 0 {
		c.Fresh = time.Minute
	}
	if c.Pause <= 0 {
		c.Pause = 5 * time.Second
	}
	if c.Idle <= 0 {
		c.Idle = 5 * time.Minute
	}
	return c
}

// Source offers the tools of the MCP servers that an agent names. It is safe for concurrent use.
type Source struct {
	d   Deps
	cfg Config

	mu      sync.Mutex
	links   map[linkKey]*link
	stopped bool
}

var _ run.ToolSource = (*Source)(nil)

// NewSource returns a Source, or an error that names the missing dependency.
func NewSource(d Deps, cfg Config) (*Source, error) {
	switch {
	case d.Clock == nil:
		return nil, errors.New("mcp: Deps.Clock is required")
	case d.Logger == nil:
		return nil, errors.New("mcp: Deps.Logger is required")
	case d.Client == nil:
		return nil, errors.New("mcp: Deps.Client is required")
	case d.Credentials == nil:
		return nil, errors.New("mcp: Deps.Credentials is required")
	case d.Reach == nil:
		return nil, errors.New("mcp: Deps.Reach is required")
	}
	return &Source{d: d, cfg: cfg.withDefaults(), links: map[linkKey]*link{}}, nil
}

// Tools implements run.ToolSource. Servers that cannot be reached are reported in a *run.Trouble, beside the tools of the others.
func (s *Source) Tools(ctx context.Context, sc account.Scope, env run.Env) ([]run.BoundTool, error) {
	type offer struct {
		tools []run.BoundTool
		err   error
	}
	servers := env.Agent.Config.MCPServers
	if len(servers) == 0 {
		return nil, nil
	}
	offers := make([]offer, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		set, ok := toolset(env.Agent.Config, server.Name)
		if !ok {
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, s.cfg.ConnectTimeout)
			defer cancel()
			offers[i].tools, offers[i].err = s.offer(ctx, sc, env, server, set)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var tools []run.BoundTool
	trouble := &run.Trouble{}
	for i, o := range offers {
		tools = append(tools, o.tools...)
		if o.err != nil {
			s.d.Logger.WarnContext(ctx, "MCP server not reached", "session_id", env.Session.ID, "server", servers[i].Name, "error", o.err)
			trouble.Errors = append(trouble.Errors, detail(servers[i].Name, o.err))
		}
	}
	if len(trouble.Errors) > 0 {
		return tools, trouble
	}
	return tools, nil
}

func toolset(c agent.Config, server string) (agent.Tool, bool) {
	for _, t := range c.Tools {
		if t.Type == agent.MCPToolset && t.MCPServer == server {
			return t, true
		}
	}
	return agent.Tool{}, false
}

// offer returns the tools of one server that the agent may use.
func (s *Source) offer(ctx context.Context, sc account.Scope, env run.Env, server agent.MCPServer, set agent.Tool) ([]run.BoundTool, error) {
	if err := s.d.Reach.CheckMCP(ctx, sc, env.Session, server); err != nil {
		return nil, err
	}
	l, err := s.link(sc, env, server)
	if err != nil {
		return nil, err
	}
	known, err := l.list(ctx)
	if err != nil {
		return nil, err
	}
	var out []run.BoundTool
	for _, k := range known {
		enabled, permission := set.Lookup(k.name)
		if !enabled {
			continue
		}
		out = append(out, run.BoundTool{Tool: remoteTool{l, k}, Ask: permission == agent.AlwaysAsk, MCPServer: server.Name})
	}
	return out, nil
}

// detail makes a session.error of a server that could not be reached. The next turn tries again.
func detail(server string, err error) session.ErrorDetail {
	d := session.ErrorDetail{
		Type: session.ErrTypeMCPConnection, MCPServer: server, RetryStatus: session.RetryStatus{Type: session.Retrying},
		Message: fmt.Sprintf("the MCP server %q cannot be used: %s", server, publicText(err)),
	}
	if errors.Is(err, errUnauthorized) || errors.Is(err, secret.ErrExpired) || errors.Is(err, secret.ErrRefresh) {
		d.Type = session.ErrTypeMCPAuthentication
	}
	return d
}

// publicText says what went wrong without inner details.
func publicText(err error) string {
	if fe, ok := fault.As(err); ok && fe.Kind != fault.Internal {
		return fe.Message
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it did not answer in time"
	}
	return "it does not speak the protocol, or ended the connection"
}

// Run closes connections that nobody uses, until ctx ends, and then all of them.
func (s *Source) Run(ctx context.Context) {
	tick := time.NewTicker(max(s.cfg.Idle/4, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.closeIdle(s.d.Clock.Now().Add(-s.cfg.Idle))
		case <-ctx.Done():
			s.mu.Lock()
			s.stopped = true
			s.mu.Unlock()
			s.closeIdle(time.Time{})
			return
		}
	}
}

// closeIdle closes the connections that were not used since; the zero time closes all.
func (s *Source) closeIdle(since time.Time) {
	var idle []*link
	s.mu.Lock()
	for k, l := range s.links {
		if l.idleSince(since) {
			idle = append(idle, l)
			delete(s.links, k)
		}
	}
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, l := range idle {
		wg.Go(l.close)
	}
	wg.Wait()
}
