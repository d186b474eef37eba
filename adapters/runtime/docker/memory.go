package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// oomDelay is how long after the end of a program the Engine may tell that memory was its cause.
const oomDelay = time.Second

// ended completes what is told of a program that was killed. The Engine notes that it took too much memory only when it hears of that before it
// hears of the end, and the two come by different ways; but it always makes an event of it.
func (h *Host) ended(ctx context.Context, c container.InspectResponse, in runtime.Instance) (runtime.Instance, error) {
	if in.State != runtime.InstanceExited || in.Memory || c.State.ExitCode != 128+9 || in.ExitedAt.IsZero() {
		return in, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	found := h.engine.Events(ctx, client.EventsListOptions{
		Since: timestamp(in.StartedAt), Until: timestamp(in.ExitedAt.Add(oomDelay)),
		Filters: make(client.Filters).Add("container", c.ID).Add("event", string(events.ActionOOM)),
	})
	select {
	case <-found.Messages:
		in.Memory, in.Reason = true, tooMuchMemory
	case err := <-found.Err:
		if !errors.Is(err, io.EOF) {
			return runtime.Instance{}, fmt.Errorf("ask the Docker engine for its events: %w", err)
		}
	}
	return in, nil
}

// timestamp writes a time as the Engine's filters take it.
func timestamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
