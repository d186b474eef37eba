package sandboxes_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tool"
)

var ids = id.NewGenerator(time.Now)

// world is a service on the real process runtime, with everything else in memory.
type world struct {
	t       *testing.T
	sc      account.Scope
	service *sandbox.Service
	runtime *process.Runtime
	deps    sandbox.Deps
	cfg     sandbox.Config
	sess    session.Session
	agent   agent.Agent

	mu       sync.Mutex
	sessions map[id.Session]session.Session
	envs     map[id.Environment]environment.Environment
	notes    []session.Entry
	outputs  map[string]sandbox.Output
	saved    map[string]string // by path: content
	mounts   []sandbox.Mount
	mountErr error
	token    string
	vars     map[string]string
	varHosts []string // where vars may be sent; nil: anywhere
}

// setup makes a world with a session of an agent that has the whole toolset. change may be nil.
func setup(t *testing.T, change func(w *world, rt *process.Config)) *world {
	t.Helper()
	w := &world{
		t: t, sc: account.System(id.New[id.TenantKind](ids)), sessions: map[id.Session]session.Session{},
		envs: map[id.Environment]environment.Environment{}, outputs: map[string]sandbox.Output{}, saved: map[string]string{},
	}
	rt := process.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	w.agent = agent.Agent{ID: id.New[id.AgentKind](ids), Tenant: w.sc.Tenant, Config: agent.Config{
		Name: "worker", Tools: []agent.Tool{{Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow}}},
	}}
	w.sess = w.newSession()
	if change != nil {
		change(w, &rt)
	}
	var err error
	if w.runtime, err = process.New(rt); err != nil {
		t.Fatal(err)
	}
	if err := w.runtime.Check(t.Context()); err != nil {
		t.Skipf("this machine isolates no programs: %v", err)
	}
	t.Cleanup(func() { _ = w.runtime.Close() })
	w.deps.Clock, w.deps.IDs, w.deps.Logger = clock.Func(time.Now), ids, slog.New(slog.DiscardHandler)
	w.deps.Runtime, w.deps.Sessions, w.deps.Environments, w.deps.Journal = w.runtime, sessions{w}, environments{w}, journal{w}
	w.deps.Repository, w.deps.Outputs, w.deps.Mounters = repository{w}, store{w}, []sandbox.Mounter{mounter{w}}
	w.deps.Tokens, w.deps.Variables = tokens{w}, variables{w}
	w.restart()
	return w
}

// restart makes a new service over the same runtime and data, as after a restart of the server.
func (w *world) restart() {
	w.t.Helper()
	if w.service != nil {
		if err := w.service.Stop(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	var err error
	if w.service, err = sandbox.NewService(w.deps, w.cfg); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) newSession() session.Session {
	s := session.Session{ID: id.New[id.SessionKind](ids), Tenant: w.sc.Tenant, Agent: w.agent.ID}
	w.put(s)
	return s
}

func (w *world) put(s session.Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sessions[s.ID] = s
}

func (w *world) environment(c environment.Config) id.Environment {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := environment.Environment{ID: id.New[id.EnvironmentKind](ids), Config: c}
	w.envs[e.ID] = e
	return e.ID
}

// call uses a tool in a session.
func (w *world) call(of session.Session, name string, input any) tool.Result {
	w.t.Helper()
	offers, err := w.service.Tools(w.t.Context(), w.sc, of, w.agent)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := json.Marshal(input)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range offers {
		if o.Spec.Name != name {
			continue
		}
		res, err := o.Tool.Call(w.t.Context(), tool.Call{Key: "k", Input: raw, SessionID: of.ID.String()})
		if err != nil {
			w.t.Fatalf("%s %s: %v", name, raw, err)
		}
		return res
	}
	w.t.Fatalf("there is no tool %s", name)
	return tool.Result{}
}

type in map[string]any

// ok uses a tool in the world's session and fails the test unless it works. It returns the text.
func (w *world) ok(name string, input in) string {
	w.t.Helper()
	res := w.call(w.sess, name, input)
	if res.IsError {
		w.t.Fatalf("%s %v: %s", name, input, res.Text)
	}
	return res.Text
}

// refused uses a tool and fails the test unless its result is an error that has all of the texts.
func (w *world) refused(name string, input in, texts ...string) {
	w.t.Helper()
	res := w.call(w.sess, name, input)
	if !res.IsError {
		w.t.Errorf("%s %v was not refused: %q", name, input, res.Text)
	}
	for _, text := range texts {
		if !strings.Contains(res.Text, text) {
			w.t.Errorf("%s %v: %q does not say %q", name, input, res.Text, text)
		}
	}
}

func (w *world) bash(command string) string {
	w.t.Helper()
	return w.ok("bash", in{"command": command})
}

// told returns the messages of what was noted in the log, with their types.
func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, e := range w.notes {
		switch b := e.Body.(type) {
		case session.WarningBody:
			out = append(out, string(e.Type)+" "+b.Message)
		case session.ErrorBody:
			out = append(out, string(b.Error.Type)+" "+b.Error.Message)
		}
	}
	return out
}

func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in %q", p, text)
		}
	}
}

type (
	sessions     struct{ w *world }
	environments struct{ w *world }
	journal      struct{ w *world }
	repository   struct{ w *world }
	store        struct{ w *world }
	mounter      struct{ w *world }
	tokens       struct{ w *world }
	variables    struct{ w *world }
)

func (s sessions) Get(_ context.Context, _ account.Scope, of id.Session) (session.Session, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	v, ok := s.w.sessions[of]
	if !ok {
		return v, id.NotFound[id.SessionKind](of.String())
	}
	return v, nil
}

func (e environments) Get(_ context.Context, _ account.Scope, of id.Environment) (environment.Environment, error) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	v, ok := e.w.envs[of]
	if !ok {
		return v, id.NotFound[id.EnvironmentKind](of.String())
	}
	return v, nil
}

func (j journal) Note(_ context.Context, _ session.Ref, entries ...session.Entry) error {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	j.w.notes = append(j.w.notes, entries...)
	return nil
}

func (r repository) Outputs(context.Context, account.Scope, id.Session) (map[string]sandbox.Output, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	return maps.Clone(r.w.outputs), nil
}

func (r repository) SaveOutput(_ context.Context, _ account.Scope, _ id.Session, o sandbox.Output) error {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.outputs[o.Path] = o
	return nil
}

func (r repository) Live(_ context.Context, list []id.Session) ([]id.Session, error) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var out []id.Session
	for _, s := range list {
		if v, ok := r.w.sessions[s]; ok && v.ArchivedAt == nil {
			out = append(out, s)
		}
	}
	return out, nil
}

func (s store) Save(_ context.Context, _ account.Scope, o sandbox.NewOutput, body io.Reader) (id.File, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return id.File{}, err
	}
	if string(raw) == "large" {
		return id.File{}, fault.New(fault.TooLarge, "file_too_large", "it is too large")
	}
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.saved[o.Path] = string(raw)
	return id.New[id.FileKind](ids), nil
}

func (m mounter) Mounts(context.Context, account.Scope, session.Session, agent.Agent) ([]sandbox.Mount, error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return append([]sandbox.Mount(nil), m.w.mounts...), m.w.mountErr
}

func (k tokens) RepositoryToken(context.Context, account.Scope, session.Resource) (string, error) {
	return k.w.token, nil
}

func (v variables) Variables(context.Context, account.Scope, []id.Vault) ([]sandbox.Variable, error) {
	var out []sandbox.Variable
	for name, value := range v.w.vars {
		out = append(out, sandbox.Variable{Name: name, Value: value, Limited: v.w.varHosts != nil, Hosts: v.w.varHosts})
	}
	return out, nil
}

// textFile makes a file of a mount.
func textFile(path, content string) sandbox.File {
	return sandbox.File{Path: path, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// dirMount makes a mount of files, in pairs of path and content.
func dirMount(path, version string, files ...string) sandbox.Mount {
	return sandbox.Mount{Path: path, Version: version, Load: func(context.Context) ([]sandbox.File, error) {
		var out []sandbox.File
		for i := 0; i < len(files); i += 2 {
			out = append(out, textFile(files[i], files[i+1]))
		}
		return out, nil
	}}
}
