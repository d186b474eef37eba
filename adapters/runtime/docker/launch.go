package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// launch starts a container and has its launcher become the program. It returns when the program is executed.
func (h *Host) launch(ctx context.Context, id string, b *bundle, p inside.Program) error {
	// Attached before it is started, so that nothing is missed.
	stream, err := h.engine.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true})
	if err != nil && h.vanished(ctx, id) {
		return replaced(err)
	}
	if err != nil {
		return fmt.Errorf("attach to a container: %w", err)
	}
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { _ = stream.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := h.engine.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return h.refusal(ctx, err)
	}
	if p.Proxy {
		if err := h.forward(ctx, id, b); err != nil {
			return err
		}
	}
	sent := inside.Send(stream.Conn, p) // a launcher that ends early does not read it all
	said, err := answer(stream.Reader)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && said == inside.Ready:
		return nil
	case err == nil:
		return runtime.ErrImage.Withf("the program cannot be started: %s", strings.TrimPrefix(said, inside.Failed))
	}
	why := "its launcher ended too early"
	c, ierr := h.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(ierr):
		return replaced(err)
	case ierr == nil:
		in := instance(c.Container)
		if in.State == runtime.InstanceExited && in.Code == -1 && !in.Memory {
			return replaced(err) // nothing else kills a launcher
		}
		why += ": " + in.Reason
	}
	return runtime.ErrImage.Withf("the program cannot be started: %s", why).Wrap(errors.Join(err, sent))
}

// vanished says whether a container is not there any more, or is being removed. The client's errors do not tell of what it has attached to: they
// name the status of the answer and have no kind.
func (h *Host) vanished(ctx context.Context, id string) bool {
	c, err := h.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return errdefs.IsNotFound(err)
	}
	return c.Container.State.Dead || c.Container.State.Status == container.StateRemoving
}

// replaced is returned to who has started an instance that somebody else wanted otherwise at the same time.
func replaced(cause error) error {
	return runtime.ErrNotRunning.Withf("another server has replaced the instance while it was being started").Wrap(cause)
}

// refusal translates what the Engine says of a container that it could not start.
func (h *Host) refusal(ctx context.Context, err error) error {
	var connection net.Error
	switch text := err.Error(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errdefs.IsNotFound(err) && strings.Contains(text, "No such container"), strings.Contains(text, "marked for removal"):
		return replaced(err)
	case errors.As(err, &connection), client.IsErrConnectionFailed(err):
		return fmt.Errorf("start a container: %w", err)
	case strings.Contains(text, "docker-init"):
		return runtime.ErrIsolation.Withf("the Docker engine has no init for containers (docker-init is missing)").Wrap(err)
	case strings.Contains(text, "exec"), strings.Contains(text, "no such file"):
		return runtime.ErrImage.Withf("the container cannot be started: %s", text)
	default:
		return runtime.ErrIsolation.Withf("the container cannot be started: %s", text)
	}
}

// answer reads what a launcher says.
func answer(r io.Reader) (string, error) {
	var text string
	for {
		_, part, err := frame(r)
		if err != nil {
			return "", err
		}
		text += string(part)
		for {
			line, rest, whole := strings.Cut(text, "\n")
			if !whole {
				break
			}
			if said, ok := strings.CutPrefix(line, inside.Mark); ok {
				return said, nil
			}
			text = rest
		}
		if len(text) > 1<<20 {
			return "", bufio.ErrTooLong
		}
	}
}

// forward has the proxy's address in a container lead to its gateway. It has the relay's user, so that the program cannot end it.
func (h *Host) forward(ctx context.Context, id string, b *bundle) error {
	made, err := h.engine.ExecCreate(ctx, id, client.ExecCreateOptions{User: relayUser, WorkingDir: "/", Cmd: command(b.loader, inside.ForwardPath)})
	if err != nil {
		return fmt.Errorf("connect an instance to its network: %w", err)
	}
	if _, err := h.engine.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true}); err != nil {
		return fmt.Errorf("connect an instance to its network: %w", err)
	}
	return nil
}
