package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// The limits of what one server may offer; the rest of it is left out.
const (
	maxTools       = 256
	maxPages       = 20
	maxDescription = 8 << 10  // bytes
	maxSchema      = 64 << 10 // bytes
	maxEvent       = 16 << 20 // bytes of one message
)

var (
	errStopped  = fault.New(fault.Unavailable, "mcp_stopping", "the server is stopping")
	errPrograms = fault.New(fault.Unsupported, "mcp_stdio_unavailable", "this server runs no MCP servers of its own")
	errBroken   = fault.New(fault.Unavailable, "mcp_connection_lost", "the connection broke; the outcome of the call is unknown")
)

// linkKey names a connection: which session's, and to what.
type linkKey struct {
	session id.Session
	server  string // its configuration, as JSON
}

// link is a session's connection to one server, which is made when it is needed.
type link struct {
	s      *Source
	sc     account.Scope
	server agent.MCPServer
	env    atomic.Pointer[run.Env] // as of the newest turn

	calls atomic.Int64 // under way
	used  atomic.Int64 // Unix nanoseconds

	mu     sync.Mutex // held while connecting and listing
	cs     *sdk.ClientSession
	stop   context.CancelFunc
	tools  []known
	listed time.Time
	failed error // of the newest attempt
	tried  time.Time
}

// known is a tool that a server offers.
type known struct {
	name        string // the server's
	description string
	schema      json.RawMessage
	readOnly    bool
}

// link returns the session's connection to a server.
func (s *Source) link(sc account.Scope, env run.Env, server agent.MCPServer) (*link, error) {
	raw, err := json.Marshal(server)
	if err != nil {
		return nil, fmt.Errorf("mcp: %w", err)
	}
	key := linkKey{env.Session.ID, string(raw)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, errStopped
	}
	l, ok := s.links[key]
	if !ok {
		l = &link{s: s, sc: sc, server: server}
		s.links[key] = l
	}
	l.env.Store(&env)
	l.touch()
	return l, nil
}

func (l *link) touch() { l.used.Store(l.s.d.Clock.Now().UnixNano()) }

func (l *link) idleSince(t time.Time) bool {
	return t.IsZero() || l.calls.Load() == 0 && l.used.Load() < t.UnixNano()
}

// connect returns the connection, and makes it when there is none. l.mu is held.
func (l *link) connect(ctx context.Context) (*sdk.ClientSession, error) {
	if l.cs != nil {
		return l.cs, nil
	}
	now := l.s.d.Clock.Now()
	if l.failed != nil && now.Sub(l.tried) < l.s.cfg.Pause {
		return nil, l.failed
	}
	// What is connected outlives the turn that needed it first.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	transport, err := l.transport(life)
	var cs *sdk.ClientSession
	if err == nil {
		client := sdk.NewClient(&sdk.Implementation{Name: "bureau", Version: l.s.cfg.Version}, &sdk.ClientOptions{
			Capabilities: &sdk.ClientCapabilities{},
		})
		cs, err = client.Connect(ctx, transport, nil)
	}
	l.tried = now
	if l.failed = err; err != nil {
		stop()
		return nil, err
	}
	l.cs, l.stop = cs, stop
	go func() {
		_ = cs.Wait()
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.cs == cs {
			l.drop()
		}
	}()
	return cs, nil
}

func (l *link) transport(life context.Context) (sdk.Transport, error) {
	if l.server.Stdio == nil {
		client := *l.s.d.Client
		client.Transport = &authorizer{l: l, next: transportOf(l.s.d.Client)}
		return &sdk.StreamableClientTransport{
			Endpoint: l.server.URL, HTTPClient: &client, MaxRetries: 2, DisableStandaloneSSE: true, MaxEventSize: maxEvent,
		}, nil
	}
	if l.s.d.Launcher == nil {
		return nil, errPrograms
	}
	env := l.env.Load()
	p, err := l.s.d.Launcher.Start(life, l.sc, env.Session, env.Agent, runtime.Command{
		Args: append([]string{l.server.Stdio.Command}, l.server.Stdio.Args...), Env: l.server.Stdio.Env,
	})
	if err != nil {
		return nil, err
	}
	return &program{p}, nil
}

func transportOf(c *http.Client) http.RoundTripper {
	if c.Transport != nil {
		return c.Transport
	}
	return http.DefaultTransport
}

// list returns what the server offers.
func (l *link) list(ctx context.Context) ([]known, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.s.d.Clock.Now()
	if l.cs != nil && !l.listed.IsZero() && now.Sub(l.listed) < l.s.cfg.Fresh {
		return l.tools, nil
	}
	held := l.cs != nil
	tools, err := l.read(ctx)
	if err != nil && held && ctx.Err() == nil {
		l.drop() // it may have gone stale: servers forget sessions
		tools, err = l.read(ctx)
	}
	if err != nil {
		l.failed, l.tried = err, now
		l.drop()
		return nil, err
	}
	l.tools, l.listed = tools, now
	return tools, nil
}

func (l *link) read(ctx context.Context) ([]known, error) {
	cs, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	var out []known
	params := &sdk.ListToolsParams{}
	for range maxPages {
		res, err := cs.ListTools(ctx, params)
		if err != nil {
			return nil, err
		}
		for _, t := range res.Tools {
			if k, ok := knownOf(t); ok && len(out) < maxTools {
				out = append(out, k)
			}
		}
		if params.Cursor = res.NextCursor; params.Cursor == "" {
			break
		}
	}
	return out, nil
}

// drop forgets the connection. l.mu is held; closing may take a while and is not waited for.
func (l *link) drop() {
	cs, stop := l.cs, l.stop
	l.cs, l.stop, l.listed = nil, nil, time.Time{}
	if cs == nil {
		return
	}
	go func() {
		_ = cs.Close()
		stop()
	}()
}

// close ends the connection and waits for that.
func (l *link) close() {
	l.mu.Lock()
	cs, stop := l.cs, l.stop
	l.cs, l.stop, l.listed = nil, nil, time.Time{}
	l.mu.Unlock()
	if cs != nil {
		_ = cs.Close()
		stop()
	}
}

// call calls a tool. A server that has forgotten the session is connected to anew, since it has done nothing then.
func (l *link) call(ctx context.Context, params *sdk.CallToolParams) (*sdk.CallToolResult, error) {
	l.calls.Add(1)
	defer l.calls.Add(-1)
	defer l.touch()
	for again := false; ; again = true {
		l.mu.Lock()
		cs, err := l.connect(ctx)
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
		res, err := cs.CallTool(ctx, params)
		switch {
		case err == nil:
			return res, nil
		case errors.Is(err, sdk.ErrSessionMissing) && !again:
			l.mu.Lock()
			if l.cs == cs {
				l.drop()
			}
			l.mu.Unlock()
		case errors.Is(err, sdk.ErrConnectionClosed) || errors.Is(err, sdk.ErrSessionMissing):
			return nil, errBroken.Wrap(err)
		default:
			return nil, err
		}
	}
}
