package process

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bureau-agents/bureau/adapters/internal/forward"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// settings are what Open may change about a sandbox.
type settings struct {
	spec   runtime.Spec
	limits runtime.Limits
	proxy  *forward.Proxy // nil without a network
}

// sandbox is one sandbox, shared by all who have it open.
type sandbox struct {
	runtime *Runtime
	id      string
	base    string // on the host
	owner   owner
	roots   map[string]*os.Root // by the names of runtime.Dirs

	counting sync.Mutex  // held while files are counted
	counted  time.Time   // when they were, the last time
	dirty    atomic.Bool // whether they may have changed since

	mu       sync.Mutex
	settings settings
	used     int64 // bytes of files, as last counted
	calls    map[*call]struct{}
	group    *group // nil until something runs, and where there are no control groups
	gone     bool
	closed   chan struct{} // closed when everything in it has ended
}

var _ runtime.Sandbox = (*sandbox)(nil)

// owner is whom the files of a sandbox belong to.
type owner struct {
	uid, gid int
	change   bool // whether the server is somebody else, and gives them away
}

func (s *sandbox) apply(set settings) {
	s.mu.Lock()
	s.settings = set
	group := s.group
	s.mu.Unlock()
	if group != nil {
		_ = group.limit(set.limits) // lower than what is in use: the kernel says so, and Open's next program will not
	}
}

// now returns the settings, and ErrGone once the sandbox is closed.
func (s *sandbox) now() (settings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return settings{}, runtime.ErrGone
	}
	return s.settings, nil
}

// create makes the directories and opens them.
func (s *sandbox) create() error {
	if err := os.MkdirAll(filepath.Join(s.base, "root"), 0o700); err != nil {
		return err
	}
	for _, dir := range runtime.Dirs() {
		at := s.host(dir)
		if err := os.MkdirAll(at, 0o755); err != nil { //nolint:gosec // the one above is closed
			return err
		}
		if s.owner.change {
			if err := os.Lchown(at, s.owner.uid, s.owner.gid); err != nil {
				return err
			}
		}
		root, err := os.OpenRoot(at)
		if err != nil {
			return err
		}
		s.roots[dir] = root
	}
	return nil
}

// prepare makes the read-only directories, which programs could otherwise make for themselves.
func (s *sandbox) prepare(set settings) error {
	for _, dir := range set.spec.ReadOnly {
		if err := s.mkdirAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// host returns where a directory of the sandbox lies.
func (s *sandbox) host(dir string) string { return filepath.Join(s.base, "files", dir) }

func (s *sandbox) closeRoots() error {
	var errs []error
	for _, r := range s.roots {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// Close implements runtime.Sandbox. It is closed for all who have it open.
func (s *sandbox) Close() error {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		<-s.closed
		return nil
	}
	s.gone = true
	defer close(s.closed)
	var kill []func()
	var ended []chan struct{}
	for c := range s.calls {
		kill, ended = append(kill, c.kill), append(ended, c.ended)
	}
	s.mu.Unlock()
	for _, k := range kill {
		k()
	}
	for _, e := range ended {
		<-e
	}
	s.runtime.mu.Lock()
	if s.runtime.open[s.id] == s {
		delete(s.runtime.open, s.id)
	}
	s.runtime.mu.Unlock()
	s.mu.Lock()
	group := s.group
	s.group = nil
	s.mu.Unlock()
	if group != nil {
		group.remove()
	}
	return s.closeRoots()
}

const (
	// shmSize bounds what programs share in memory; it counts as their memory.
	shmSize = 64 << 20
	// niceness lets the server go first.
	niceness = 5
	// sandboxOOM has programs go first where the machine runs out of memory.
	sandboxOOM = 1000
	// openFiles bounds the descriptors of a process.
	openFiles = 4096
)

// system is what programs see of this machine. The likes of /bin are links into /usr nearly everywhere.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/etc/alternatives", "/etc/ca-certificates", "/etc/fonts", "/etc/gai.conf", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
	"/etc/localtime", "/etc/magic", "/etc/mime.types", "/etc/pki/ca-trust", "/etc/pki/tls/cert.pem", "/etc/pki/tls/certs",
	"/etc/protocols", "/etc/services", "/etc/ssl/cert.pem", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/terminfo",
}

// etc are the files that say who and where a program is.
func etc(uid, gid int) map[string]string {
	return map[string]string{
		"/etc/passwd":        fmt.Sprintf("root:x:0:0:root:/root:/usr/sbin/nologin\nagent:x:%d:%d:agent:%s:/bin/sh\n", uid, gid, runtime.HomeDir),
		"/etc/group":         fmt.Sprintf("root:x:0:\nagent:x:%d:\n", gid),
		"/etc/hosts":         "127.0.0.1 localhost sandbox\n::1 localhost\n",
		"/etc/hostname":      "sandbox\n",
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
		"/etc/resolv.conf":   "", // names are looked up by the proxy
	}
}

// variables are those of a program.
func variables(set settings, c runtime.Command) []string {
	env := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": runtime.HomeDir, "LANG": "C.UTF-8",
		"TMPDIR": runtime.TempDir, "USER": "agent", "LOGNAME": "agent",
	}
	if set.proxy != nil {
		address := fmt.Sprintf("http://127.0.0.1:%d", child.ProxyPort)
		for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
			env[name], env[strings.ToLower(name)] = address, address
		}
		env["NO_PROXY"], env["no_proxy"] = "localhost,127.0.0.1,::1", "localhost,127.0.0.1,::1"
		env["NODE_USE_ENV_PROXY"] = "1" // else Node's own fetch does not look
	}
	maps.Copy(env, set.spec.Env)
	maps.Copy(env, c.Env)
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

// checked returns c with its defaults.
func checked(cfg Config, c runtime.Command) (runtime.Command, error) {
	if len(c.Args) == 0 || c.Args[0] == "" {
		return c, runtime.ErrProgram.Withf("no program is named")
	}
	if c.Dir == "" {
		c.Dir = runtime.WorkspaceDir
	}
	if !path.IsAbs(c.Dir) {
		return c, runtime.ErrPath.Withf("%q is not an absolute path", c.Dir)
	}
	c.Timeout = min(cmp.Or(max(c.Timeout, 0), cfg.Timeout, runtime.DefaultTimeout), runtime.MaxTimeout)
	c.MaxOutput = cmp.Or(max(c.MaxOutput, 0), cfg.MaxOutput, runtime.DefaultMaxOutput)
	for _, text := range c.Args {
		if strings.ContainsRune(text, 0) {
			return c, runtime.ErrProgram.Withf("an argument holds a zero byte")
		}
	}
	for name, value := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(value, 0) {
			return c, runtime.ErrProgram.Withf("the variable %q cannot be set", name)
		}
	}
	return c, nil
}

// Run implements runtime.Sandbox.
func (s *sandbox) Run(ctx context.Context, c runtime.Command) (runtime.Result, error) {
	c, err := checked(s.runtime.cfg, c)
	if err != nil {
		return runtime.Result{}, err
	}
	out, into, err := s.pipe()
	if err != nil {
		return runtime.Result{}, err
	}
	defer out.Close()
	stdin, feed, err := s.input(c.Stdin)
	if err != nil {
		_ = into.Close()
		return runtime.Result{}, err
	}
	began := time.Now()
	timed, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	running, err := s.begin(timed, c, stdin, into, into)
	_ = stdin.Close()
	_ = into.Close()
	if err != nil {
		if feed != nil {
			_ = feed.Close()
		}
		switch {
		case ctx.Err() != nil:
			return runtime.Result{}, ctx.Err()
		case timed.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, runtime.ErrBusy)):
			return runtime.Result{Code: -1, TimedOut: true, Duration: time.Since(began)}, nil // its time was up before it had begun
		}
		return runtime.Result{}, err
	}
	if feed != nil {
		go func() {
			_, _ = io.Copy(feed, c.Stdin)
			_ = feed.Close()
		}()
	}
	kept := &head{left: c.MaxOutput}
	_, _ = io.Copy(kept, out) // until the last process that could write is dead
	<-running.ended
	if feed != nil {
		_ = feed.Close() // a program need not read all; the copier ends with its next write
	}
	res := running.result()
	res.Output, res.Truncated, res.Duration = kept.buf.Bytes(), kept.more, time.Since(began)
	if err := ctx.Err(); err != nil && res.Code == -1 {
		return res, err
	}
	res.TimedOut = res.Code == -1 && timed.Err() != nil
	if _, err := s.now(); err != nil && res.Code == -1 {
		return res, err
	}
	return res, nil
}

// head keeps the beginning of what is written to it.
type head struct {
	buf  bytes.Buffer
	left int
	more bool
}

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.left)
	h.buf.Write(p[:n])
	h.left -= n
	h.more = h.more || n < len(p)
	return len(p), nil
}

// pipe makes a pipe that the sandbox's user may open again by the names of /dev/stdout and its like.
func (s *sandbox) pipe() (r, w *os.File, err error) {
	r, w, err = os.Pipe()
	if err == nil && s.owner.change {
		err = w.Chown(s.owner.uid, s.owner.gid)
		if err != nil {
			_ = r.Close()
			_ = w.Close()
		}
	}
	return r, w, err
}

// input returns a program's standard input, and where to write it unless it is empty.
func (s *sandbox) input(r io.Reader) (stdin, feed *os.File, err error) {
	if r == nil {
		stdin, err = os.Open(os.DevNull)
		return stdin, nil, err
	}
	return s.pipe()
}

// Start implements runtime.Sandbox.
func (s *sandbox) Start(ctx context.Context, c runtime.Command) (runtime.Process, error) {
	c, err := checked(s.runtime.cfg, c)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	closeAll := func() {
		for _, f := range files {
			_ = f.Close()
		}
	}
	for range 3 {
		r, w, err := s.pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		files = append(files, r, w)
	}
	began := time.Now()
	running, err := s.begin(ctx, c, files[0], files[3], files[5])
	if err != nil {
		closeAll()
		return nil, err
	}
	_, _, _ = files[0].Close(), files[3].Close(), files[5].Close()
	p := &process{call: running, stdin: files[1], stdout: files[2], stderr: &tail{}, done: make(chan struct{})}
	go func() {
		_, _ = io.Copy(p.stderr, files[4])
		_ = files[4].Close()
		<-running.ended
		p.res = running.result()
		p.res.Duration = time.Since(began)
		_ = p.stdin.Close()
		close(p.done)
	}()
	return p, nil
}

// process is a program that runs.
type process struct {
	call   *call
	stdin  *os.File
	stdout *os.File
	stderr *tail
	done   chan struct{}
	res    runtime.Result // once done is closed
}

var _ runtime.Process = (*process)(nil)

// Stdin implements runtime.Process.
func (p *process) Stdin() io.WriteCloser { return p.stdin }

// Stdout implements runtime.Process.
func (p *process) Stdout() io.Reader { return p.stdout }

// Stderr implements runtime.Process.
func (p *process) Stderr() string { return p.stderr.String() }

// Wait implements runtime.Process.
func (p *process) Wait() (runtime.Result, error) {
	<-p.done
	return p.res, nil
}

// Kill implements runtime.Process.
func (p *process) Kill() error {
	select {
	case <-p.call.ended: // whatever has its number now is somebody else's
	default:
		p.call.kill()
	}
	<-p.done
	return nil
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// tailSize is how much of a process's standard error is kept.
const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > tailSize {
		t.buf = slices.Clone(t.buf[len(t.buf)-tailSize:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
