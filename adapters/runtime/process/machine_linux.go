package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// machine is what this machine can do for sandboxes.
type machine struct {
	cfg Config

	mu      sync.Mutex
	root    bool // the server may become anybody
	checked bool
	err     error
	groups  *groups // nil where there are none
}

func newMachine(cfg Config) *machine {
	return &machine{cfg: cfg, root: os.Geteuid() == 0}
}

// owner returns whom the files of a sandbox belong to.
func (m *machine) owner(id string) owner {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.root {
		return owner{uid: os.Geteuid(), gid: os.Getegid()}
	}
	u := userOf(id)
	return owner{uid: u, gid: u, change: true}
}

// place returns where control groups can be made, if they can.
func (m *machine) place() *groups {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.groups
}

func (m *machine) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.groups != nil {
		m.groups.close()
		m.groups, m.checked = nil, false
	}
}

// check tries once whether a sandbox can be built here.
func (m *machine) check(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.checked {
		return m.err
	}
	err := m.try(ctx)
	if err != nil && m.root { // root of a container, perhaps, who may make no namespaces but one for users
		m.root = false
		if other := m.try(ctx); other == nil {
			err = nil
		} else {
			m.root = true
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.checked, m.err = true, nil
	if err != nil {
		m.err = runtime.ErrIsolation.Withf("this server cannot isolate programs: %v; %s", err, advice)
		return m.err
	}
	m.groups, err = newGroups(m.cfg.Dir)
	if err != nil {
		m.cfg.Logger.InfoContext(ctx, "sandboxes are limited without control groups", "reason", err)
	}
	return nil
}

// advice says what an operator can do.
const advice = "it needs the rights of root with CAP_SYS_ADMIN, or user namespaces (sysctl kernel.unprivileged_userns_clone and " +
	"kernel.apparmor_restrict_unprivileged_userns; a container's seccomp profile and capabilities); BUREAU_UNSAFE_SANDBOX=1 runs programs " +
	"with the server's own rights"

// try runs a program in a sandbox that has nothing but its root.
func (m *machine) try(ctx context.Context) error {
	base, err := os.MkdirTemp(m.cfg.Dir, removed)
	if err != nil {
		return err
	}
	defer os.RemoveAll(base)
	u := child.Setup{Base: base, UID: firstUser, GID: firstUser, System: system, Shm: shmSize, Proxy: true}
	if !m.root {
		u.UID, u.GID = child.UserID, child.UserID
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	h, err := spawn(m.root, [3]*os.File{null, null, null}, nil)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, h.kill)
	defer stop()
	defer h.wait()
	defer h.kill()
	proxy, err := h.build(u)
	if err != nil {
		return err
	}
	return proxy.Close()
}

// helper is a process that builds a sandbox, and then runs a program in it.
type helper struct {
	cmd   *exec.Cmd
	conn  *net.UnixConn
	once  sync.Once
	ended chan struct{}
}

// setupTimeout bounds the start of a program.
const setupTimeout = 30 * time.Second

// spawn starts a helper. place, unless nil, is called before it does anything.
func spawn(root bool, files [3]*os.File, place func(pid int) error) (*helper, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "sandbox"), os.NewFile(uintptr(fds[1]), "sandbox")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{child.NameInit}, Dir: "/",
		Env:   []string{"GOMAXPROCS=2", "GOTRACEBACK=none"},                                 // nothing of the server's
		Stdin: files[0], Stdout: files[1], Stderr: files[2], ExtraFiles: []*os.File{theirs}, // child.SocketFD
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if root {
		cmd.SysProcAttr.Cloneflags = child.Namespaces
	} else {
		cmd.Args[0] = child.NameLauncher
	}
	h := &helper{cmd: cmd, conn: conn.(*net.UnixConn), ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	if place != nil {
		if err := place(cmd.Process.Pid); err != nil {
			h.kill()
			h.wait()
			return nil, err
		}
	}
	return h, nil
}

// build has the sandbox built, and returns the listener of its proxy, if u wants one.
func (h *helper) build(u child.Setup) (proxy net.Listener, err error) {
	_ = h.conn.SetDeadline(time.Now().Add(setupTimeout))
	if err := child.Send(h.conn, u); err != nil {
		return nil, gone(err)
	}
	if u.Proxy {
		var first [1]byte
		oob := make([]byte, unix.CmsgSpace(4))
		_, n, _, _, err := h.conn.ReadMsgUnix(first[:], oob)
		if err != nil {
			return nil, gone(err)
		}
		if n == 0 { // no listener, but the beginning of what went wrong
			return nil, h.failure(first[0])
		}
		if proxy, err = listener(oob[:n]); err != nil {
			return nil, err
		}
	}
	if err := h.report(); err != nil {
		if proxy != nil {
			_ = proxy.Close()
		}
		return nil, err
	}
	return proxy, nil
}

// failure reads a status of which the first byte has been read.
func (h *helper) failure(first byte) error {
	var s child.Status
	if err := child.Receive(&prefixed{first: []byte{first}, conn: h.conn}, &s); err != nil {
		return gone(err)
	}
	return errors.New(s.Failed)
}

// prefixed reads a byte before the rest.
type prefixed struct {
	first []byte
	conn  *net.UnixConn
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.conn.Read(b)
}

// listener unpacks a listener that the helper has sent.
func listener(oob []byte) (net.Listener, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, errors.New("the helper sent no listener")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	if len(fds) != 1 {
		return nil, errors.New("the helper sent no listener")
	}
	f := os.NewFile(uintptr(fds[0]), "proxy")
	defer f.Close()
	unix.CloseOnExec(fds[0])
	return net.FileListener(f)
}

// report reads what the helper says.
func (h *helper) report() error {
	_, err := h.status()
	return err
}

func (h *helper) status() (child.Status, error) {
	var s child.Status
	if err := child.Receive(h.conn, &s); err != nil {
		return s, gone(err)
	}
	switch {
	case s.Refused:
		return s, runtime.ErrProgram.Withf("%s", s.Failed)
	case s.Failed != "":
		return s, errors.New(s.Failed)
	}
	return s, nil
}

// errHelper is returned when the helper has ended without a word.
var errHelper = errors.New("the helper of the sandbox has ended; if this program has an init that ends it or starts threads with rights of " +
	"their own, that is why")

func gone(err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return err
	}
	return fmt.Errorf("%w (%w)", errHelper, err)
}

// run has the program started, once the sandbox stands.
func (h *helper) run(p child.Program) error {
	if err := child.Send(h.conn, p); err != nil {
		return gone(err)
	}
	err := h.report()
	_ = h.conn.SetDeadline(time.Time{})
	return err
}

// patience is how long a helper has to end by itself.
const patience = 500 * time.Millisecond

// kill ends the helper, and with it everything in the sandbox. It does not wait.
func (h *helper) kill() {
	h.once.Do(func() {
		_ = h.conn.CloseWrite() // the helper ends, and its launcher knows when all is over
		if h.cmd.Args[0] == child.NameInit {
			_ = h.cmd.Process.Kill()
			return
		}
		time.AfterFunc(patience, func() { _ = h.cmd.Process.Kill() })
	})
}

// wait waits for the end of the helper. The kernel says so when everything in its namespace is dead.
func (h *helper) wait() {
	_ = h.cmd.Wait()
	_ = h.conn.Close()
}
