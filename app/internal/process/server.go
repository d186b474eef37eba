// Package process runs the real binary as a process of its own, for tests and load programs that kill it.
package process

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build compiles the binary, with its shipped plugins beside it, into dir and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "bureau")
	for _, args := range [][]string{
		{"build", "-o", bin, "github.com/bureau-agents/bureau/app/cmd/bureau"},
		{"build", "-o", filepath.Join(dir, "plugins") + "/", "github.com/bureau-agents/bureau/plugins/skills/...", "github.com/bureau-agents/bureau/plugins/rules/..."},
	} {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return bin, nil
}

// Options say how a server is started.
type Options struct {
	Bin  string
	Data string
	Env  []string // beside the minimum; "K=V"
	Log  io.Writer
}

// Server is a running process. Key is its bootstrap admin key, the same after every restart.
type Server struct {
	URL string
	Key string

	opts Options
	addr string

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Start starts a server on a free port and waits until it is healthy.
func Start(ctx context.Context, opts Options) (*Server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	s := &Server{URL: "http://" + addr, Key: "bur_" + hex.EncodeToString(secret), opts: opts, addr: addr}
	return s, s.Restart(ctx)
}

// StartReplica starts another server over the same database with the same key.
func (s *Server) StartReplica(ctx context.Context, data string) (*Server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	opts := s.opts
	opts.Data = data
	r := &Server{URL: "http://" + addr, Key: s.Key, opts: opts, addr: addr}
	return r, r.Restart(ctx)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Restart starts the process again on the same address and data, and waits until it is healthy.
func (s *Server) Restart(ctx context.Context) error {
	cmd := exec.Command(s.opts.Bin, "serve", "--addr", s.addr, "--data", s.opts.Data) //nolint:noctx // it outlives ctx until Kill or Stop
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "BUREAU_API_KEY=" + s.Key, "BUREAU_RATE_LIMIT_SCALE=0",
	}, s.opts.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := s.opts.Log
	if out == nil {
		out = io.Discard
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(done)
	}()
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	return s.waitHealthy(ctx, done)
}

func (s *Server) waitHealthy(ctx context.Context, done <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if res, err := http.Get(s.URL + "/healthz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-done:
			return errors.New("the server ended before it was healthy")
		case <-ctx.Done():
			return fmt.Errorf("the server did not become healthy: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// PID returns the process id.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

// Kill sends SIGKILL and waits for the end.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Stop sends SIGTERM and waits for the end.
func (s *Server) Stop() { s.signal(syscall.SIGTERM) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	_ = cmd.Process.Signal(sig)
	<-done
}

// StatusError is an answer that is not a success.
type StatusError struct {
	Status int
	Body   string
}

// Error returns the status and the body.
func (e *StatusError) Error() string { return fmt.Sprintf("%d: %s", e.Status, e.Body) }

// Call sends one request with the server's key and decodes the answer into out, unless that is nil. key is the Idempotency-Key;
// "" sends none.
func (s *Server) Call(ctx context.Context, method, path, key string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-Api-Key", s.Key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return &StatusError{res.StatusCode, string(raw)}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}
