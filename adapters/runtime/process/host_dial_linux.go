package process

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/internal/forward"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Dial implements runtime.Host. The keeper has a socket made in the instance's network, and hands it over: what is sent goes through
// nobody's hands.
func (h *Host) Dial(ctx context.Context, id string) (net.Conn, error) {
	e, err := h.load(id)
	if err != nil {
		return nil, err
	}
	if e.state() != runtime.InstanceRunning {
		return nil, runtime.ErrNotRunning
	}
	if e.start.Worker {
		conn, err := h.request(ctx, e, child.Request{Op: child.RequestDial})
		if err != nil {
			return nil, h.notRunning(id, err)
		}
		if _, err := answer(conn); err != nil {
			_ = conn.Close()
			return nil, h.notRunning(id, err)
		}
		return conn, conn.SetDeadline(time.Time{})
	}
	if e.start.Port == 0 {
		return nil, errors.New("the instance has a program of its own, and no port")
	}
	// Programs that listen on "localhost" may mean either.
	v4, err := h.connect(ctx, e, unix.AF_INET, &unix.SockaddrInet4{Port: e.start.Port, Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		return v4, nil
	}
	v6, other := h.connect(ctx, e, unix.AF_INET6, &unix.SockaddrInet6{Port: e.start.Port, Addr: [16]byte{15: 1}})
	if other == nil {
		return v6, nil
	}
	return nil, h.notRunning(id, err)
}

// notRunning says so where that is why something failed.
func (h *Host) notRunning(id string, err error) error {
	e, failed := h.load(id)
	if failed != nil {
		return failed
	}
	if e.state() != runtime.InstanceRunning {
		return runtime.ErrNotRunning
	}
	return err
}

// connect connects a socket of an instance's network.
func (h *Host) connect(ctx context.Context, e *entry, family int, to unix.Sockaddr) (net.Conn, error) {
	conn, err := h.request(ctx, e, child.Request{Op: child.RequestDial, Family: family})
	if err != nil {
		return nil, err
	}
	fd, err := descriptor(conn)
	_ = conn.Close()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "instance")
	defer f.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = f.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := join(f, to); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return net.FileConn(f)
}

// join connects a socket, and waits until it is.
func join(f *os.File, to unix.Sockaddr) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	began := false
	err = raw.Write(func(fd uintptr) bool {
		if !began {
			began = true
			failed = unix.Connect(int(fd), to)
			return !errors.Is(failed, unix.EINPROGRESS)
		}
		n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if failed = err; err == nil && n != 0 {
			failed = unix.Errno(n)
		}
		return true
	})
	return errors.Join(err, failed)
}

// descriptor reads a status that comes with a descriptor.
func descriptor(conn *net.UnixConn) (int, error) {
	fd := -1
	var raw []byte
	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(4))
	for len(raw) < 4 || len(raw) < 4+int(binary.BigEndian.Uint32(raw)) {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if oobn > 0 {
			if fds, err := rights(oob[:oobn]); err == nil {
				fd = fds
			}
		}
		raw = append(raw, buf[:max(n, 0)]...) // with an error, n is -1
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			if fd >= 0 {
				_ = unix.Close(fd)
			}
			return -1, err
		}
	}
	if fd < 0 {
		return -1, errors.New("the instance makes no connection")
	}
	return fd, nil
}

// rights unpacks one descriptor.
func rights(oob []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return -1, err
	}
	if len(messages) != 1 {
		return -1, errors.New("no descriptor came")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, errors.New("no descriptor came")
	}
	unix.CloseOnExec(fds[0])
	return fds[0], nil
}

// serveProxy serves the proxy of a running instance until it ends or this host is closed. While no server does, the instance's programs
// wait for their connections.
func (h *Host) serveProxy(e *entry) {
	if e.start.Worker || e.start.Network.Mode == runtime.NetworkNone {
		return
	}
	p, err := forward.New(h.cfg.EgressAllow, e.start.Network, h.cfg.Logger)
	if err == nil {
		err = h.attach(e, p)
	}
	if err != nil {
		h.cfg.Logger.Warn("the network of an instance is not served", "instance", e.id, "error", err)
	}
}

// attach gets the listener of an instance's proxy.
func (h *Host) attach(e *entry, p *forward.Proxy) error {
	h.mu.Lock()
	_, served := h.proxies[e.start.Token]
	h.mu.Unlock()
	if served {
		return nil
	}
	conn, err := h.request(context.Background(), e, child.Request{Op: child.RequestProxy})
	if err != nil {
		return err
	}
	fd, err := descriptor(conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	f := os.NewFile(uintptr(fd), "proxy")
	listener, err := net.FileListener(f)
	_ = f.Close()
	if err != nil {
		_ = conn.Close()
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	server := p.Serve(listener)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proxies[e.start.Token] = func() { _ = conn.Close() }
	if h.closed {
		_ = conn.Close()
	}
	go func() {
		_, _ = conn.Read(make([]byte, 1)) // until the instance has ended, or the host was closed
		_ = conn.Close()
		_ = server.Close()
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.proxies, e.start.Token)
	}()
	return nil
}
