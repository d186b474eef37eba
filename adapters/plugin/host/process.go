package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/plugins/wire"
)

// process is a running plugin.
type process struct {
	conn     *grpc.ClientConn
	protocol int
	pid      int
	client   *plugin.Client
	alive    *os.File      // the pipe's end whose closing tells the plugin that this process is gone
	runDir   string        // private to it: its socket and its temporary files
	done     chan struct{} // closed when the process has ended
	recorded chan struct{} // closed when its supervisor has taken note of that
	once     sync.Once
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await waits for the end of the process, but no longer than d.
func (p *process) await(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
	}
}

// kill ends the process and removes what is left of it. It may be called more than once; later calls wait for the first.
func (p *process) kill() {
	p.once.Do(func() {
		p.client.Kill() // asks first, then kills
		_ = p.conn.Close()
		_ = p.alive.Close()
		_ = os.RemoveAll(p.runDir)
	})
}

// launch starts a process of b and connects to it.
func (h *Host) launch(ctx context.Context, b skill.Binary) (*process, error) {
	for try := 0; ; try++ {
		path, err := h.binary(ctx, b)
		if err != nil {
			return nil, err
		}
		p, err := h.spawn(ctx, path, b)
		switch {
		case err == nil:
			return p, nil
		case errors.Is(err, plugin.ErrChecksumsDoNotMatch) && try == 0:
			// The copy was changed since it was made; what the store holds decides.
			h.cfg.Logger.ErrorContext(ctx, "the copy of a plugin's binary was changed and is replaced", "plugin", b.Name, "path", path)
			h.files.Lock()
			_ = os.Remove(path)
			h.files.Unlock()
		case errors.Is(err, syscall.ETXTBSY) && try < 10:
			// Another thread forked while the copy was still open for writing; its exec closes it.
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		default:
			return nil, err
		}
	}
}

// path is where the copy of a digest lies.
func (h *Host) path(digest string) string { return filepath.Join(h.cfg.Dir, digest) }

// binary returns the path of the read-only copy of b, made from its store when there is none.
func (h *Host) binary(ctx context.Context, b skill.Binary) (string, error) {
	if raw, err := hex.DecodeString(b.Digest); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("the digest %q is not a SHA-256", b.Digest)
	}
	path := h.path(b.Digest)
	h.files.Lock()
	defer h.files.Unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	src, err := b.Open(ctx)
	if err != nil {
		return "", fmt.Errorf("read the binary: %w", err)
	}
	defer src.Close()
	tmp, err := os.CreateTemp(h.cfg.Dir, ".copy-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // gone after the rename
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(tmp, sum), src)
	if err == nil {
		err = tmp.Chmod(0o500)
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return "", fmt.Errorf("copy the binary: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != b.Digest {
		return "", skill.ErrModified.Withf("the stored binary has the SHA-256 %s, not %s", got, b.Digest)
	}
	return path, os.Rename(tmp.Name(), path)
}

// spawn runs the binary at path. The process is started, and waited for, by a goroutine with an operating system thread of its
// own: the parent-death signal is sent when the thread that started a process ends, not when the process does.
func (h *Host) spawn(ctx context.Context, path string, b skill.Binary) (*process, error) {
	type outcome struct {
		p   *process
		err error
	}
	result := make(chan outcome, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
		p, err := h.exec(path, b)
		result <- outcome{p, err}
		if err == nil {
			waitExit(p)
			close(p.done)
		}
	}()
	select {
	case r := <-result:
		return r.p, r.err
	case <-ctx.Done():
		go func() {
			if r := <-result; r.err == nil {
				r.p.kill()
			}
		}()
		return nil, ctx.Err()
	}
}

func (h *Host) exec(path string, b skill.Binary) (p *process, err error) {
	sum, err := hex.DecodeString(b.Digest)
	if err != nil {
		return nil, err
	}
	runDir, err := newRunDir()
	if err != nil {
		return nil, err
	}
	childEnd, ourEnd, err := os.Pipe()
	if err != nil {
		_ = os.RemoveAll(runDir)
		return nil, err
	}
	defer childEnd.Close()
	cmd := exec.Command(path)
	cmd.Dir = runDir
	cmd.Env = h.env(runDir)
	cmd.ExtraFiles = []*os.File{childEnd} // descriptor 3
	cmd.SysProcAttr = sysProcAttr()
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake(),
		VersionedPlugins: wire.HostPlugins(),
		Cmd:              cmd,
		SecureConfig:     &plugin.SecureConfig{Checksum: sum, Hash: sha256.New()},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     h.cfg.StartTimeout,
		Logger:           &hclogger{l: h.cfg.Logger.With("plugin", b.Name), program: filepath.Base(path)},
		SyncStdout:       &lines{l: h.cfg.Logger.With("plugin", b.Name)},
		SyncStderr:       &lines{l: h.cfg.Logger.With("plugin", b.Name)},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithStatsHandler(sentTracker{}),
			// A little over the limit, so that the facade and not the transport says what is wrong with most long answers.
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(h.cfg.MaxResultBytes + 64<<10)),
		},
	})
	defer func() {
		if err != nil {
			client.Kill()
			_ = ourEnd.Close()
			_ = os.RemoveAll(runDir)
		}
	}()
	rpc, err := client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := rpc.Dispense(wire.SkillPlugin) // either name yields the connection
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return nil, fmt.Errorf("go-plugin returned a %T", raw)
	}
	if err := limitMemory(cmd.Process.Pid, h.cfg.MemoryBytes); err != nil {
		return nil, fmt.Errorf("limit the memory: %w", err)
	}
	return &process{
		conn: conn, protocol: client.NegotiatedVersion(), pid: cmd.Process.Pid, client: client, alive: ourEnd, runDir: runDir,
		done: make(chan struct{}), recorded: make(chan struct{}),
	}, nil
}

// passed are the variables of the server that a plugin needs and that hold no secret: where the roots of TLS and the time zones are.
var passed = []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "ZONEINFO"}

// env is everything that a plugin finds in its environment, beside what go-plugin adds for its handshake.
func (h *Host) env(runDir string) []string {
	env := []string{
		"TMPDIR=" + runDir,
		plugin.EnvUnixSocketDir + "=" + runDir,
		wire.EnvParentFD + "=3",
		wire.EnvEgressAllow + "=" + strings.Join(h.cfg.EgressAllow, ","),
	}
	if h.cfg.MemoryBytes > 0 { // the collector works harder before the limit is hit
		env = append(env, "GOMEMLIMIT="+strconv.FormatInt(h.cfg.MemoryBytes/4*3, 10))
	}
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// runDirPrefix begins the names of run directories; the process id of their host follows.
const runDirPrefix = "bureau-plugin-"

// newRunDir makes a private directory under the system's temporary one: a path in a data directory may be too long for a socket.
func newRunDir() (string, error) {
	return os.MkdirTemp("", runDirPrefix+strconv.Itoa(os.Getpid())+"-")
}

// sweepRunDirs removes the run directories of hosts that no longer live.
func sweepRunDirs() {
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), runDirPrefix+"*"))
	if err != nil {
		return
	}
	for _, d := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), runDirPrefix), "-")
		n, err := strconv.Atoi(pid)
		if err != nil || n == os.Getpid() || n <= 0 {
			continue
		}
		if p, err := os.FindProcess(n); err == nil && errors.Is(p.Signal(syscall.Signal(0)), os.ErrProcessDone) {
			_ = os.RemoveAll(d)
		}
	}
}
