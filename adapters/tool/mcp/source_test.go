package mcp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/bureau-agents/bureau/adapters/tool/mcp"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/tool"
)

// server is a real MCP server over streamable HTTP that wants a token.
type server struct {
	*httptest.Server

	mu     sync.Mutex
	wants  string // token; "" wants none
	seen   []string
	inits  atomic.Int64
	handle atomic.Pointer[sdk.StreamableHTTPHandler]
}

type greetIn struct {
	Name string `json:"name" jsonschema:"whom to greet"`
}

func newServer(t *testing.T, token string) *server {
	t.Helper()
	s := &server{wants: token}
	s.reset()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		got := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.seen = append(s.seen, got)
		refused := got != s.wants
		s.mu.Unlock()
		if refused {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.handle.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// reset makes the server forget every session.
func (s *server) reset() {
	s.handle.Store(sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server {
		s.inits.Add(1)
		srv := sdk.NewServer(&sdk.Implementation{Name: "greeter", Version: "1"}, nil)
		sdk.AddTool(srv, &sdk.Tool{Name: "greet", Description: "Greets somebody", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true}},
			func(_ context.Context, _ *sdk.CallToolRequest, in greetIn) (*sdk.CallToolResult, any, error) {
				if in.Name == "nobody" {
					return nil, nil, errors.New("there is nobody to greet")
				}
				return &sdk.CallToolResult{Content: []sdk.Content{
					&sdk.TextContent{Text: "Hello, " + in.Name},
					&sdk.ImageContent{MIMEType: "image/png", Data: []byte("png")},
					&sdk.AudioContent{MIMEType: "audio/wav", Data: []byte("wav")},
				}}, nil, nil
			})
		sdk.AddTool(srv, &sdk.Tool{Name: "shut down", Description: "Stops everything"},
			func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
				return nil, map[string]bool{"stopped": true}, nil
			})
		return srv
	}, nil))
}

// keys are credentials by the URL of their server.
type keys struct {
	mu        sync.Mutex
	token     string
	next      string
	refreshes int
	err       error
}

func (k *keys) Bearer(context.Context, account.Scope, []id.Vault, string) (secret.Token, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return secret.Token{Value: secret.NewValue(k.token)}, k.token != "" && k.err == nil, k.err
}

func (k *keys) Refresh(_ context.Context, _ account.Scope, _ id.Credential, stale secret.Value) (secret.Token, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refreshes++
	if k.next == "" || stale.Reveal() != k.token {
		return secret.Token{}, secret.ErrRefresh
	}
	k.token = k.next
	return secret.Token{Value: secret.NewValue(k.token)}, nil
}

// reach refuses the servers whose name it holds.
type reach string

func (r reach) CheckMCP(_ context.Context, _ account.Scope, _ session.Session, s agent.MCPServer) error {
	if s.Name == string(r) {
		return fault.New(fault.Forbidden, "host_not_allowed", "the environment does not reach it")
	}
	return nil
}

func newSource(t *testing.T, k *keys, l mcp.Launcher) *mcp.Source {
	t.Helper()
	s, err := mcp.NewSource(mcp.Deps{
		Clock: clock.Func(time.Now), Logger: slog.New(slog.DiscardHandler), Client: &http.Client{}, Credentials: k,
		Reach: reach("forbidden"), Launcher: l,
	}, mcp.Config{ConnectTimeout: 5 * time.Second, Pause: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return s
}

func envOf(servers []agent.MCPServer, sets ...agent.Tool) run.Env {
	for _, s := range servers {
		if len(sets) == 0 || s.Name != sets[0].MCPServer {
			sets = append(sets, agent.Tool{Type: agent.MCPToolset, MCPServer: s.Name, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow}})
		}
	}
	return run.Env{
		Agent:   agent.Agent{Config: agent.Config{MCPServers: servers, Tools: sets}},
		Session: session.Session{ID: id.Of[id.SessionKind](id.UUID{1})},
	}
}

func names(tools []run.BoundTool) []string {
	out := []string{}
	for _, b := range tools {
		name := b.MCPServer + "/" + b.Tool.Spec().Name
		if b.Ask {
			name += "?"
		}
		out = append(out, name)
	}
	return out
}

func offered(t *testing.T, s *mcp.Source, env run.Env) []run.BoundTool {
	t.Helper()
	tools, err := s.Tools(t.Context(), account.Scope{}, env)
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

func TestTools(t *testing.T) {
	t.Parallel()
	srv := newServer(t, "t1")
	s := newSource(t, &keys{token: "t1"}, nil)
	env := envOf([]agent.MCPServer{{Name: "greeter", URL: srv.URL}})
	tools := offered(t, s, env)
	if diff := cmp.Diff([]string{"greeter/greet", "greeter/shut_down"}, names(tools)); diff != "" {
		t.Fatalf("tools (-want +got):\n%s", diff)
	}
	spec := tools[0].Tool.Spec()
	if !spec.Idempotent || spec.Description != "Greets somebody" || !strings.Contains(string(spec.InputSchema), "whom to greet") {
		t.Errorf("spec: %+v %s", spec, spec.InputSchema)
	}
	if tools[1].Tool.Spec().Idempotent {
		t.Error("a tool that does more than read may be repeated")
	}
	call := func(i int, input string) tool.Result {
		t.Helper()
		res, err := tools[i].Tool.Call(t.Context(), tool.Call{Input: json.RawMessage(input)})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	want := tool.Result{Text: "Hello, Ann\n[audio of type audio/wav, 3 bytes, left out]", Media: []tool.Media{{MediaType: "image/png", Data: []byte("png")}}}
	if diff := cmp.Diff(want, call(0, `{"name":"Ann"}`)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tool.Result{Text: "there is nobody to greet", IsError: true}, call(0, `{"name":"nobody"}`)); diff != "" {
		t.Errorf("an error of the tool (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(tool.Result{Text: `{"stopped":true}`}, call(1, "")); diff != "" {
		t.Errorf("the name of a tool as its server knows it (-want +got):\n%s", diff)
	}
	if n := srv.inits.Load(); offered(t, s, env) == nil || srv.inits.Load() != n {
		t.Error("a second turn connects again")
	}
}

func TestToolset(t *testing.T) {
	t.Parallel()
	srv := newServer(t, "")
	s := newSource(t, &keys{}, nil)
	set := agent.Tool{
		Type: agent.MCPToolset, MCPServer: "greeter", Default: agent.ToolDefault{Permission: agent.AlwaysAsk},
		Configs: []agent.ToolConfig{{Name: "shut down", Enabled: true, Permission: agent.AlwaysAsk}},
	}
	got := names(offered(t, s, envOf([]agent.MCPServer{{Name: "greeter", URL: srv.URL}}, set)))
	if diff := cmp.Diff([]string{"greeter/shut_down?"}, got); diff != "" {
		t.Errorf("tools (-want +got):\n%s", diff)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	srv := newServer(t, "t2")
	k := &keys{token: "t1", next: "t2"}
	s := newSource(t, k, nil)
	if got := names(offered(t, s, envOf([]agent.MCPServer{{Name: "greeter", URL: srv.URL}}))); len(got) != 2 {
		t.Fatalf("tools: %v", got)
	}
	if k.refreshes != 1 {
		t.Errorf("%d refreshes, want 1", k.refreshes)
	}
}

func TestForgottenSession(t *testing.T) {
	t.Parallel()
	srv := newServer(t, "")
	s := newSource(t, &keys{}, nil)
	tools := offered(t, s, envOf([]agent.MCPServer{{Name: "greeter", URL: srv.URL}}))
	srv.reset()
	res, err := tools[0].Tool.Call(t.Context(), tool.Call{Input: json.RawMessage(`{"name":"Ann"}`)})
	if err != nil || res.IsError {
		t.Errorf("a server that has forgotten the session: %+v, %v", res, err)
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	srv, locked := newServer(t, ""), newServer(t, "other")
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s := newSource(t, &keys{}, nil)
	tools, err := s.Tools(t.Context(), account.Scope{}, envOf([]agent.MCPServer{
		{Name: "locked", URL: locked.URL}, {Name: "gone", URL: gone.URL}, {Name: "forbidden", URL: srv.URL}, {Name: "greeter", URL: srv.URL},
		{Name: "program", Stdio: &agent.Stdio{Command: "server"}},
	}))
	if len(tools) != 2 {
		t.Errorf("tools of the server that works: %v", names(tools))
	}
	trouble, ok := errors.AsType[*run.Trouble](err)
	if !ok {
		t.Fatalf("%v is no trouble", err)
	}
	got := map[string]session.ErrorType{}
	for _, e := range trouble.Errors {
		got[e.MCPServer] = e.Type
		if strings.Contains(e.Message, "127.0.0.1") {
			t.Errorf("the message tells where: %s", e.Message)
		}
	}
	want := map[string]session.ErrorType{
		"locked": session.ErrTypeMCPAuthentication, "gone": session.ErrTypeMCPConnection, "forbidden": session.ErrTypeMCPConnection,
		"program": session.ErrTypeMCPConnection,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trouble (-want +got):\n%s", diff)
	}
}

// TestTokenStaysHome has a server send its callers elsewhere: what waits there must not see the token.
func TestTokenStaysHome(t *testing.T) {
	t.Parallel()
	var got atomic.Pointer[string]
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		auth := r.Header.Get("Authorization")
		got.Store(&auth)
		w.WriteHeader(http.StatusTeapot)
	}))
	t.Cleanup(thief.Close)
	home := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	t.Cleanup(home.Close)
	s := newSource(t, &keys{token: "t1"}, nil)
	if _, err := s.Tools(t.Context(), account.Scope{}, envOf([]agent.MCPServer{{Name: "home", URL: home.URL}})); err == nil {
		t.Error("a redirect to something else is taken for a server")
	}
	if p := got.Load(); p == nil || *p != "" {
		t.Errorf("the other server saw %v", p)
	}
}

// processes runs programs without a sandbox.
type processes struct{ t *testing.T }

func (p processes) Start(ctx context.Context, _ account.Scope, _ session.Session, _ agent.Agent, c runtime.Command) (runtime.Process, error) {
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd, in, out}, cmd.Start()
}

type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

func (p *process) Stdin() io.WriteCloser         { return p.in }
func (p *process) Stdout() io.Reader             { return p.out }
func (*process) Stderr() string                  { return "" }
func (p *process) Wait() (runtime.Result, error) { return runtime.Result{}, p.cmd.Wait() }
func (p *process) Kill() error                   { return p.cmd.Process.Kill() }

// echo is an MCP server in a few lines of Python.
const echo = `
import json, sys
for line in sys.stdin:
    m = json.loads(line)
    if "id" not in m: continue
    r = {"initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "echo", "version": "1"}},
         "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
         "tools/call": {"content": [{"type": "text", "text": json.dumps(m.get("params", {}).get("arguments"))}]}}.get(m["method"])
    a = {"jsonrpc": "2.0", "id": m["id"]}
    a.update({"result": r} if r else {"error": {"code": -32601, "message": "no such method"}})
    print(json.dumps(a), flush=True)
`

func TestProgram(t *testing.T) {
	t.Parallel()
	s := newSource(t, &keys{}, processes{t})
	tools := offered(t, s, envOf([]agent.MCPServer{{Name: "echo", Stdio: &agent.Stdio{Command: "python3", Args: []string{"-c", echo}}}}))
	if diff := cmp.Diff([]string{"echo/echo"}, names(tools)); diff != "" {
		t.Fatalf("tools (-want +got):\n%s", diff)
	}
	res, err := tools[0].Tool.Call(t.Context(), tool.Call{Input: json.RawMessage(`{"a":1}`)})
	if err != nil || res.Text != `{"a": 1}` {
		t.Errorf("result %+v, %v", res, err)
	}
}
