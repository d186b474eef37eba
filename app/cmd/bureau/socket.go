package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/bureau-agents/bureau/app"
)

// maxSocketPath is the longest path that every system takes for a unix socket.
const maxSocketPath = 100

// atSocket calls fn with a path of the operator's socket in a data directory that is short enough for the system.
func atSocket(dir string, fn func(path string) error) error {
	path := filepath.Join(dir, "bureau.sock")
	if len(path) <= maxSocketPath {
		return fn(path)
	}
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the data directory %s has too long a name for the socket in it: at most %d bytes", dir, maxSocketPath-len("/bureau.sock"))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/bureau.sock", d.Fd()))
}

// dialSocket reaches the server that holds the data directory.
func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := atSocket(dir, func(path string) (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, "unix", path)
		return err
	})
	return conn, err
}

// serveSocket lets the operator's own commands in: whoever can open the socket (mode 0600) owns the data directory anyway.
func serveSocket(a *app.App, dir string) (stop func(), err error) {
	name := filepath.Join(dir, "bureau.sock")
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var listener *net.UnixListener
	err = atSocket(dir, func(path string) error {
		if listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
			return err
		}
		listener.SetUnlinkOnClose(false) // by the name it was opened under, which need not be its own
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		if listener != nil {
			_ = listener.Close()
		}
		return nil, fmt.Errorf("cannot listen on the operator's socket: %w", err)
	}
	server := newServer(a.OperatorHandler())
	go func() { _ = server.Serve(listener) }()
	return func() {
		_ = server.Close()
		_ = os.Remove(name)
	}, nil
}

// answer serves h to this process alone.
func answer(h http.Handler) (stop func(), dial func(context.Context) (net.Conn, error)) {
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := newServer(h)
	go func() { _ = server.Serve(l) }()
	return func() { _ = server.Close() }, l.dial
}

// pipes is a listener within a process.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "bureau", Net: "pipe"} }
