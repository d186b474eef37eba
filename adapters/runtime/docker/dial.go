package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/hashicorp/yamux"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// relayIdle is how long a relay stays that nobody uses. It takes some of the instance's memory.
const relayIdle = 30 * time.Second

// relay is Bureau's binary, executed in an instance's container to connect to what listens there.
type relay struct {
	container string
	address   string // that the instance's program listens on
	session   *yamux.Session
	once      sync.Once

	mu    sync.Mutex
	users int
	idle  *time.Timer
}

// Dial implements runtime.Host.
func (h *Host) Dial(ctx context.Context, id string) (net.Conn, error) {
	h.mu.Lock()
	r := h.relays[id]
	h.mu.Unlock()
	if r.take() { // while a relay lives, so does the container that it runs in
		if conn, err := h.through(ctx, id, r); err == nil || !r.session.IsClosed() {
			return conn, err
		}
	}
	r, err := h.relay(ctx, id)
	if err != nil {
		return nil, err
	}
	return h.through(ctx, id, r)
}

// through connects by a relay that was taken.
func (h *Host) through(ctx context.Context, id string, r *relay) (net.Conn, error) {
	conn, err := inside.Open(ctx, r.session, r.address)
	if err != nil {
		r.release()
		if r.session.IsClosed() {
			h.drop(id, r)
		}
		return nil, fmt.Errorf("connect to instance %s: %w", id, err)
	}
	return &connection{Conn: conn, release: sync.OnceFunc(r.release)}, nil
}

// relay returns an instance's relay, taken, and starts it if there is none.
func (h *Host) relay(ctx context.Context, id string) (*relay, error) {
	c, err := h.newest(ctx, id)
	if err != nil {
		return nil, err
	}
	if instance(c).State != runtime.InstanceRunning {
		return nil, runtime.ErrNotRunning
	}
	h.mu.Lock()
	r := h.relays[id]
	h.mu.Unlock()
	if r != nil && r.container == c.ID && r.take() {
		return r, nil
	}
	made, err := h.engine.ExecCreate(ctx, c.ID, client.ExecCreateOptions{
		User: relayUser, WorkingDir: "/", Cmd: command(c.Config.Labels[labelLoader], inside.RelayPath), AttachStdin: true, AttachStdout: true,
	})
	if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
		return nil, runtime.ErrNotRunning.Wrap(err) // it has ended meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("start the relay of instance %s: %w", id, err)
	}
	stream, err := h.engine.ExecAttach(ctx, made.ID, client.ExecAttachOptions{})
	if err != nil {
		if in, ierr := h.Inspect(ctx, id); ierr == nil && in.State != runtime.InstanceRunning || errors.Is(ierr, runtime.ErrNoInstance) {
			return nil, runtime.ErrNotRunning.Wrap(err) // it has ended meanwhile
		}
		return nil, fmt.Errorf("start the relay of instance %s: %w", id, err)
	}
	session, err := yamux.Client(&attached{Reader: &frames{from: stream.Reader}, conn: stream.Conn}, inside.Config())
	if err != nil {
		stream.Close()
		return nil, err
	}
	address := "127.0.0.1:" + strconv.Itoa(portOf(c.Config.Labels))
	r = &relay{container: c.ID, address: address, session: session, users: 1}
	r.idle = time.AfterFunc(time.Hour, func() { h.drop(id, r) })
	r.idle.Stop()
	h.mu.Lock()
	old := h.relays[id]
	if old != nil && old.container == c.ID && old.take() { // another call was faster
		h.mu.Unlock()
		r.close()
		return old, nil
	}
	h.relays[id] = r
	h.mu.Unlock()
	if old != nil {
		old.close()
	}
	return r, nil
}

// take keeps a relay from being closed for want of use. It reports false for one that is of no use.
func (r *relay) take() bool {
	if r == nil || r.session.IsClosed() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.users++
	r.idle.Stop()
	return true
}

func (r *relay) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 {
		r.idle.Reset(relayIdle)
	}
}

func (r *relay) close() {
	r.once.Do(func() { _ = r.session.Close() })
}

// drop forgets a relay that nobody uses, or that has ended.
func (h *Host) drop(id string, r *relay) {
	r.mu.Lock()
	used := r.users > 0 && !r.session.IsClosed()
	r.mu.Unlock()
	if used {
		return
	}
	h.mu.Lock()
	if h.relays[id] == r {
		delete(h.relays, id)
	}
	h.mu.Unlock()
	r.close()
}

// hangUp closes an instance's relay and all that goes through it.
func (h *Host) hangUp(id string) {
	h.mu.Lock()
	r := h.relays[id]
	delete(h.relays, id)
	h.mu.Unlock()
	if r != nil {
		r.close()
	}
}

// connection is one that gives its relay back.
type connection struct {
	*inside.Conn

	release func()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// attached is the standard input and output of a relay.
type attached struct {
	io.Reader

	conn net.Conn
}

func (a *attached) Write(p []byte) (int, error) { return a.conn.Write(p) }
func (a *attached) Close() error                { return a.conn.Close() }

// frames reads what a program writes to its standard output, out of the Engine's frames.
type frames struct {
	from io.Reader
	rest []byte
}

func (f *frames) Read(p []byte) (int, error) {
	for len(f.rest) == 0 {
		stderr, part, err := frame(f.from)
		if err != nil {
			return 0, err
		}
		if stderr {
			return 0, errors.New("the relay has failed: " + string(part))
		}
		f.rest = part
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}
