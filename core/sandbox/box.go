package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// What the server keeps in a sandbox.
const (
	stateDir    = session.StateDir
	stateFile   = stateDir + "/state.json"
	packagesDir = session.PackagesDir
	maxState    = 8 << 20
)

// prefixes of the ids of sandboxes: those of sessions, and those into which a repository is cloned.
const (
	sessionPrefix = "session-"
	clonePrefix   = "clone-"
)

func sandboxID(s id.Session) string { return sessionPrefix + s.UUID().String() }

// box is the sandbox of one session in this process.
type box struct {
	mu   sync.Mutex // held while it is brought up to date, and while changes are taken back
	sb   runtime.Sandbox
	spec runtime.Spec
	st   state
	gone bool // removed; whoever still holds it asks for another

	uses    int // under Service.mu
	lastUse time.Time

	outputs map[string]Output // what is kept; nil until it was read
	refused map[string]Output // what cannot be kept as it is, with its size and time
	told    map[string]string // the newest complaint about each thing, so that none is repeated
}

// state is what has been done in a sandbox. It lies in the sandbox, out of the way, and programs could change it: it decides
// about nothing beyond that sandbox.
type state struct {
	Packages     map[string]string  `json:"packages,omitempty"`     // by manager: what was installed
	Mounts       map[string]mounted `json:"mounts,omitempty"`       // by path
	Repositories map[string]string  `json:"repositories,omitempty"` // by path: what was cloned
}

type mounted struct {
	Version string            `json:"version"`
	Files   map[string]string `json:"files"` // by path: digest of what was mounted or taken back
}

// scene is what one use of a sandbox knows.
type scene struct {
	sc      account.Scope
	sess    session.Session // whose sandbox it is: of a thread, the session that it belongs to
	caller  session.Session // who uses it
	agent   agent.Agent
	env     environment.Environment // zero without one
	mounts  []Mount
	box     *box
	sandbox runtime.Sandbox
	notes   []string // for the model, beside the result
	wrote   bool     // programs may have changed files
}

// root returns the session whose thread s is, or s itself.
func (s *Service) root(ctx context.Context, sc account.Scope, sess session.Session) (session.Session, error) {
	for depth := 0; !sess.Parent.IsZero(); depth++ {
		if depth > 32 {
			return session.Session{}, fmt.Errorf("sandbox: session %s has too many parents", sess.ID)
		}
		var err error
		if sess, err = s.d.Sessions.Get(ctx, sc, sess.Parent); err != nil {
			return session.Session{}, err
		}
	}
	return sess, nil
}

// environment returns the environment of a session; the zero one when it has none.
func (s *Service) environment(ctx context.Context, sc account.Scope, sess session.Session) (environment.Environment, error) {
	if sess.Environment.IsZero() {
		return environment.Environment{}, nil
	}
	return s.d.Environments.Get(ctx, sc, sess.Environment)
}

// use brings a session's sandbox up to date and lets do work in it; what do changed is taken back afterwards. Notes are for the model,
// beside what do found; so are errors with a kind.
func (s *Service) use(
	ctx context.Context, sc account.Scope, of id.Session, a agent.Agent, do func(ctx context.Context, u *scene) error,
) (notes []string, err error) {
	caller, err := s.d.Sessions.Get(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	u, err := s.enter(ctx, sc, caller, a, func(u *scene) error { return s.useBox(ctx, u, do) })
	if u == nil {
		return nil, err
	}
	s.release(u.box)
	return u.notes, err
}

// enter lets do work in the box of the session that caller belongs to, anew while that box was removed in between. It returns what do
// worked with, whose box the caller releases; nil when there is none.
func (s *Service) enter(
	ctx context.Context, sc account.Scope, caller session.Session, a agent.Agent, do func(u *scene) error,
) (*scene, error) {
	root, err := s.root(ctx, sc, caller)
	if err != nil {
		return nil, err
	}
	env, err := s.environment(ctx, sc, root)
	if err != nil {
		return nil, err
	}
	if env.Config.Type == environment.SelfHosted {
		return nil, ErrSelfHosted
	}
	for {
		b, err := s.take(root.ID)
		if err != nil {
			return nil, err
		}
		u := &scene{sc: sc, sess: root, caller: caller, agent: a, env: env, box: b}
		err = do(u)
		if !errors.Is(err, errStale) {
			return u, err
		}
		s.release(b)
	}
}

// errStale is returned for a box that was removed while somebody waited for it.
var errStale = errors.New("sandbox: the box was removed")

func (s *Service) take(of id.Session) (*box, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, runtime.ErrGone
	}
	b, ok := s.boxes[of]
	if !ok {
		b = &box{told: map[string]string{}}
		s.boxes[of] = b
	}
	b.uses++
	b.lastUse = s.d.Clock.Now()
	return b, nil
}

func (s *Service) release(b *box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.uses--
	b.lastUse = s.d.Clock.Now()
}

func (s *Service) useBox(ctx context.Context, u *scene, do func(ctx context.Context, u *scene) error) error {
	if err := s.prepare(ctx, u); err != nil {
		return err
	}
	err := do(ctx, u)
	if errors.Is(err, runtime.ErrGone) { // closed from outside: the next use opens it again
		u.box.mu.Lock()
		if u.box.sb == u.sandbox {
			u.box.sb = nil
		}
		u.box.mu.Unlock()
		return err
	}
	// What was made is kept even when the turn is being taken away.
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	u.box.mu.Lock()
	defer u.box.mu.Unlock()
	if u.box.gone {
		return err
	}
	s.takeBack(back, u)
	s.keepOutputs(back, u)
	return err
}

// prepare opens the sandbox and brings what it holds up to date.
func (s *Service) prepare(ctx context.Context, u *scene) error {
	b := u.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return errStale
	}
	complete, err := s.gather(ctx, u)
	if err != nil {
		return err
	}
	if err := s.open(ctx, u); err != nil {
		return err
	}
	u.sandbox = b.sb
	if err := s.install(ctx, u); err != nil {
		return err
	}
	if err := s.mount(ctx, u, complete); err != nil {
		return err
	}
	return s.cloneAll(ctx, u)
}

// open opens the sandbox unless it is open as the environment and the mounts want it now.
func (s *Service) open(ctx context.Context, u *scene) error {
	b := u.box
	registries, err := s.registries(ctx, u)
	if err != nil {
		return err
	}
	spec := runtime.Spec{
		ID: sandboxID(u.sess.ID), Network: networkOf(u.env.Config.Networking, u.agent.Config, registries, s.cfg.Env), Limits: s.cfg.Limits,
		Env: s.cfg.Env,
	}
	for _, m := range u.mounts {
		if m.ReadOnly {
			spec.ReadOnly = append(spec.ReadOnly, m.Path)
		}
	}
	if b.sb != nil && reflect.DeepEqual(spec, b.spec) {
		return nil
	}
	first := b.sb == nil
	sb, err := s.d.Runtime.Open(ctx, spec)
	if err != nil {
		return err
	}
	if first {
		if b.st, err = readState(ctx, sb); err != nil {
			return err
		}
	}
	b.sb, b.spec = sb, spec
	return nil
}

func readState(ctx context.Context, sb runtime.Sandbox) (state, error) {
	var st state
	raw, err := readAll(ctx, sb, stateFile, maxState)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return st, nil
	case err != nil && fault.KindOf(err) != fault.TooLarge:
		return st, err
	}
	if json.Unmarshal(raw, &st) != nil {
		return state{}, nil //nolint:nilerr // spoilt by a program: everything is done again
	}
	return st, nil
}

// save writes the state down.
func (b *box) save(ctx context.Context) error {
	raw, err := json.Marshal(b.st)
	if err != nil {
		return fmt.Errorf("sandbox: state: %w", err)
	}
	return b.sb.Write(ctx, stateFile, bytes.NewReader(raw), 0o644)
}

// readAll reads a file; fault.TooLarge when it has more than most bytes.
func readAll(ctx context.Context, sb runtime.Sandbox, path string, most int64) ([]byte, error) {
	f, err := sb.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Invalidf(path, "is not a regular file")
	}
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > most {
		return nil, fault.New(fault.TooLarge, "sandbox_file_too_large", fmt.Sprintf("%s has more than %d bytes", path, most))
	}
	return raw, nil
}

// tell says once, to the readers of the session and in the log of the server, what is wrong with a thing. "" takes it back.
func (s *Service) tell(ctx context.Context, u *scene, thing, message string, entry session.Entry) {
	if message == "" {
		delete(u.box.told, thing)
		return
	}
	// Programs put times and numbers into their errors.
	same := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, message)
	if u.box.told[thing] == same {
		return
	}
	u.box.told[thing] = same
	s.note(ctx, u, entry)
}

func (s *Service) note(ctx context.Context, u *scene, entry session.Entry) {
	ref := session.Ref{Tenant: u.caller.Tenant, Session: u.caller.ID}
	if err := s.d.Journal.Note(context.WithoutCancel(ctx), ref, entry); err != nil {
		s.d.Logger.WarnContext(ctx, "event of a sandbox not written", "session_id", u.caller.ID, "type", entry.Type, "error", err)
	}
}

// warning makes a session.warning of this package.
func warning(message string) session.Entry {
	return session.Entry{Type: session.SessionWarning, Body: session.WarningBody{Source: "sandbox", Message: message}}
}

// tail returns the end of a program's output as text that can be stored and shown.
func tail(out []byte, most int) string {
	text := strings.TrimSpace(clean(string(out)))
	if len(text) > most {
		text = "..." + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}

// clean makes text of bytes that may be none. Databases refuse NUL.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
