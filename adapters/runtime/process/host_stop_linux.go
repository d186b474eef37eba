package process

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Stop implements runtime.Host.
func (h *Host) Stop(ctx context.Context, id string, grace time.Duration) error {
	if !instancePattern.MatchString(id) {
		return runtime.ErrNoInstance
	}
	done, err := h.operate(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	e, err := h.settled(ctx, id)
	if err != nil {
		return err
	}
	return h.end(ctx, e, grace)
}

// end ends what runs of an instance.
func (h *Host) end(ctx context.Context, e *entry, grace time.Duration) error {
	if e.state() == runtime.InstanceRunning {
		if err := h.ask(ctx, e, grace); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			h.cfg.Logger.WarnContext(ctx, "the keeper of an instance does not answer and is killed", "instance", e.id, "error", err)
			if err := h.kill(e.kept.Boot, e.kept.PID, e.kept.Start); err != nil {
				return err
			}
		}
	}
	f, err := h.claim(ctx, h.base(e.id), e)
	if err != nil {
		return err
	}
	_ = f.Close()
	if groups := h.machine.place(); groups != nil {
		groups.find(e.id).remove()
	}
	return nil
}

// ask asks the keeper to end the instance.
func (h *Host) ask(ctx context.Context, e *entry, grace time.Duration) error {
	conn, err := h.request(ctx, e, child.Request{Op: child.RequestStop, Grace: int64(max(grace, 0))})
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // what was sent is answered
	_ = conn.SetDeadline(time.Now().Add(max(grace, 0) + lastBreath))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, err = answer(conn)
	if now, failed := h.load(e.id); err != nil && failed == nil && now.state() == runtime.InstanceExited {
		return nil // it has ended by itself meanwhile
	}
	return err
}

// kill ends a process, if it is still the one that was started then. The rest of an instance ends with its keeper, whose socket its
// helper reads.
func (h *Host) kill(boot string, pid int, started uint64) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	// From here on the descriptor stands for one process; only now it can be said which.
	if !h.lives(boot, pid, started) {
		return nil
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
}

// request connects to a keeper and asks it for something.
func (h *Host) request(ctx context.Context, e *entry, r child.Request) (*net.UnixConn, error) {
	dir, err := os.Open(h.base(e.id))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", through(dir, socketFile))
	if err != nil {
		return nil, err
	}
	r.Token = e.start.Token
	_ = conn.SetDeadline(time.Now().Add(setupTimeout))
	if err := child.Send(conn, r); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

// Remove implements runtime.Host.
func (h *Host) Remove(ctx context.Context, id string) error {
	if !instancePattern.MatchString(id) {
		return ctx.Err()
	}
	done, err := h.operate(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	e, err := h.settled(ctx, id)
	if err == nil {
		err = h.end(ctx, e, 0)
	}
	if err != nil && !errors.Is(err, runtime.ErrNoInstance) {
		return err
	}
	return h.discard(id)
}

// discard deletes the files of an instance of which nothing runs. Its name is free at once.
func (h *Host) discard(id string) error {
	h.mu.Lock()
	delete(h.samples, id)
	h.mu.Unlock()
	trash, err := os.MkdirTemp(h.cfg.Dir, removed)
	if err == nil {
		err = os.Rename(h.base(id), filepath.Join(trash, id))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return discard(trash)
}
