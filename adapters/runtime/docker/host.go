package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// containers returns those of an instance's programs, newest first: the current one and earlier generations'.
func (h *Host) containers(ctx context.Context, id string) ([]container.Summary, error) {
	filters := make(client.Filters).Add("label", labelServer+"="+h.cfg.Server, labelRole+"=program")
	if id != "" {
		if !idPattern.MatchString(id) {
			return nil, nil
		}
		filters.Add("label", labelInstance+"="+id)
	}
	list, err := h.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return nil, fmt.Errorf("ask the Docker engine for its containers: %w", err)
	}
	found := slices.DeleteFunc(list.Items, func(c container.Summary) bool { return c.State == container.StateRemoving })
	// Seconds are all that the list has; what has the instance's name is newer than what had it.
	slices.SortStableFunc(found, func(a, b container.Summary) int {
		current := func(c container.Summary) int {
			if h.isCurrent(c) {
				return 0
			}
			return 1
		}
		return cmp.Or(current(a)-current(b), cmp.Compare(b.Created, a.Created), cmp.Compare(generation(b.Labels), generation(a.Labels)))
	})
	return found, nil
}

// isCurrent reports whether a container has its instance's name.
func (h *Host) isCurrent(c container.Summary) bool {
	return slices.Contains(c.Names, "/"+h.name(c.Labels[labelInstance]))
}

func generation(labels map[string]string) int64 {
	g, _ := strconv.ParseInt(labels[labelGeneration], 10, 64)
	return g
}

// newest returns the container that an instance is known by: the current one, or the last that has ended.
func (h *Host) newest(ctx context.Context, id string) (container.InspectResponse, error) {
	for range 5 { // it may be replaced in between
		list, err := h.containers(ctx, id)
		if err != nil {
			return container.InspectResponse{}, err
		}
		if len(list) == 0 {
			break
		}
		got, err := h.engine.ContainerInspect(ctx, list[0].ID, client.ContainerInspectOptions{})
		if !errdefs.IsNotFound(err) {
			return got.Container, err
		}
	}
	return container.InspectResponse{}, runtime.ErrNoInstance
}

const tooMuchMemory = "it used more memory than it may"

// instance translates what the Engine says.
func instance(c container.InspectResponse) runtime.Instance {
	in := runtime.Instance{ID: c.Config.Labels[labelInstance], Generation: generation(c.Config.Labels), State: runtime.InstanceStarting}
	if c.State == nil || c.State.Status == container.StateCreated {
		return in
	}
	in.State = runtime.InstanceRunning
	in.StartedAt = moment(c.State.StartedAt)
	if c.State.Running {
		return in
	}
	in.State, in.ExitedAt = runtime.InstanceExited, moment(c.State.FinishedAt)
	in.Code, in.Reason = c.State.ExitCode, c.State.Error
	// The init has no other way to say that a signal has killed the program.
	if signal := in.Code - 128; signal > 0 && signal < 65 {
		in.Code = -1
		in.Reason = fmt.Sprintf("it was killed by signal %d", signal)
		if c.State.OOMKilled {
			in.Memory, in.Reason = true, tooMuchMemory
		}
	} else if in.Code != 0 && in.Reason == "" {
		in.Reason = fmt.Sprintf("it ended with status %d", in.Code)
	}
	return in
}

func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1970 {
		return time.Time{}
	}
	return t
}

// Start implements runtime.Host.
func (h *Host) Start(ctx context.Context, spec runtime.InstanceSpec) (runtime.Instance, error) {
	if err := checkSpec(spec); err != nil {
		return runtime.Instance{}, err
	}
	if err := ctx.Err(); err != nil {
		return runtime.Instance{}, err
	}
	defer h.lock(spec.ID)()
	b, f, err := h.prepare(ctx)
	if err != nil {
		return runtime.Instance{}, err
	}
	im, err := h.image(ctx, spec, b)
	if err != nil {
		return runtime.Instance{}, err
	}
	var since time.Time // another server has been at it
	for {
		list, err := h.containers(ctx, spec.ID)
		if err != nil {
			return runtime.Instance{}, err
		}
		if len(list) > 0 && h.isCurrent(list[0]) {
			c := list[0]
			same := generation(c.Labels) == spec.Generation
			switch {
			case same && c.State == container.StateRunning:
				if in, err := h.Inspect(ctx, spec.ID); err != nil || in.State == runtime.InstanceRunning {
					return in, err
				}
				continue
			case same && c.State == container.StateCreated && (since.IsZero() || time.Since(since) < abandoned):
				since = cmp.Or(since, time.Now())
				if err := pause(ctx); err != nil {
					return runtime.Instance{}, err
				}
				continue
			}
			if err := h.retire(ctx, c); err != nil {
				return runtime.Instance{}, err
			}
			list, err = h.containers(ctx, spec.ID)
			if err != nil {
				return runtime.Instance{}, err
			}
		}
		in, err := h.create(ctx, spec, b, im, f, list)
		if errdefs.IsConflict(err) { // another server was first
			if err := pause(ctx); err != nil {
				return runtime.Instance{}, err
			}
			continue
		}
		return in, err
	}
}

// abandoned is after how long a container that was made and not started is taken to be left by a server that was killed.
const abandoned = 10 * time.Second

// pause waits before the Engine is asked again.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(50 * time.Millisecond):
		return nil
	}
}

// retire ends a container, takes the instance's name from it, and deletes the oldest of its kind.
func (h *Host) retire(ctx context.Context, c container.Summary) error {
	if c.State == container.StateCreated {
		return h.delete(ctx, c.ID) // nothing has ever run in it
	}
	if err := h.end(ctx, c.ID, h.cfg.Grace); err != nil {
		return err
	}
	id := c.Labels[labelInstance]
	_, err := h.engine.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: h.name(id) + "_" + c.ID[:12]})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) && !errdefs.IsInvalidArgument(err) {
		if again, err2 := h.containers(ctx, id); err2 == nil && len(again) > 0 && again[0].ID == c.ID && h.isCurrent(again[0]) {
			return fmt.Errorf("put an ended container aside: %w", err)
		}
	}
	list, err := h.containers(ctx, id)
	if err != nil {
		return err
	}
	kept := 0
	for _, c := range list {
		if h.isCurrent(c) {
			continue
		}
		if kept++; kept > h.cfg.Kept {
			if err := h.delete(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// end ends what runs in a container, and returns when nothing of it does. The Engine's own stop knows whole seconds only.
func (h *Host) end(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wait := h.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	kill := func(signal string) error {
		_, err := h.engine.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
		if errdefs.IsConflict(err) || errdefs.IsNotFound(err) {
			return nil // it has ended
		}
		return err
	}
	if grace > 0 {
		if err := kill("SIGTERM"); err != nil {
			return fmt.Errorf("end a container: %w", err)
		}
		select {
		case <-wait.Result:
			return nil
		case err := <-wait.Error:
			return gone(err)
		case <-time.After(grace):
		}
	}
	if err := kill("SIGKILL"); err != nil {
		return fmt.Errorf("kill a container: %w", err)
	}
	select {
	case <-wait.Result:
		return nil
	case err := <-wait.Error:
		return gone(err)
	}
}

// gone makes nothing of an error that says that a thing is not there.
func gone(err error) error {
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// delete removes a container, whatever runs in it, and the volumes that have no name.
func (h *Host) delete(ctx context.Context, id string) error {
	for {
		_, err := h.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		if errdefs.IsConflict(err) { // somebody else is at it
			if _, err := h.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{}); errdefs.IsNotFound(err) {
				return nil
			}
			if err := pause(ctx); err != nil {
				return err
			}
			continue
		}
		if err = gone(err); err != nil {
			return fmt.Errorf("remove a container: %w", err)
		}
		return nil
	}
}

// create makes a container, and has its launcher start the program. Earlier are the instance's ended containers. Errors of the kind of
// errdefs.ErrConflict say that another one has the instance's name.
func (h *Host) create(ctx context.Context, spec runtime.InstanceSpec, b *bundle, im image, f *facts, earlier []container.Summary) (
	in runtime.Instance, err error,
) {
	volume := client.VolumeCreateOptions{Name: h.name(spec.ID), Labels: h.labels(spec.ID, "files")}
	if f.quotas {
		volume.DriverOpts = map[string]string{"size": strconv.FormatInt(h.limits(spec.Limits).Disk, 10)}
	}
	if _, err := h.engine.VolumeCreate(ctx, volume); err != nil && !errdefs.IsConflict(err) { // one of another size is as good
		return in, fmt.Errorf("make an instance's volume: %w", err)
	}
	furnished := slices.ContainsFunc(earlier, func(c container.Summary) bool {
		return c.Labels[labelProgram] == b.digest && c.Image != b.tag()
	})
	if im.foreign && !furnished {
		if err := h.furnish(ctx, spec, b); err != nil {
			return in, err
		}
	}
	m := h.build(spec, b, im, given(earlier))
	if m.program.Proxy {
		if err := h.startGateway(ctx, spec, b); err != nil {
			return in, err
		}
	} else if err := h.endGateway(ctx, spec.ID); err != nil {
		return in, err
	}
	made, err := h.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: h.name(spec.ID), Config: m.config, HostConfig: m.host})
	switch {
	case errdefs.IsConflict(err):
		return in, err
	case errdefs.IsInvalidArgument(err):
		return in, runtime.ErrIsolation.Withf("the Docker engine refuses the container: %s", err)
	case err != nil:
		return in, fmt.Errorf("make a container: %w", err)
	}
	if err := h.launch(ctx, made.ID, b, m.program); err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if derr := h.delete(after, made.ID); derr != nil {
			h.cfg.Logger.WarnContext(ctx, "a container that did not start cannot be removed", slog.String("container", made.ID), slog.Any("error", derr))
		}
		if m.program.Proxy {
			_ = h.endGateway(after, spec.ID)
		}
		return in, err
	}
	got, err := h.engine.ContainerInspect(ctx, made.ID, client.ContainerInspectOptions{})
	if err != nil {
		return in, err
	}
	return instance(got.Container), nil
}

// listed writes names into a label.
func listed(names []string) string {
	text, _ := json.Marshal(names) //nolint:errchkjson // strings can always be written
	return string(text)
}

// given returns the files that earlier generations were given, as far as those containers are known.
func given(earlier []container.Summary) []string {
	for _, c := range earlier {
		var names []string
		if json.Unmarshal([]byte(c.Labels[labelFiles]), &names) == nil {
			return names // it deleted what those before it had
		}
	}
	return nil
}

// Stop implements runtime.Host.
func (h *Host) Stop(ctx context.Context, id string, grace time.Duration) error {
	defer h.lock(id)()
	list, err := h.containers(ctx, id)
	switch {
	case err != nil:
		return err
	case len(list) == 0:
		return runtime.ErrNoInstance
	case !h.isCurrent(list[0]):
		return nil
	case list[0].State == container.StateCreated:
		err = h.delete(ctx, list[0].ID)
	case list[0].State != container.StateExited:
		err = h.end(ctx, list[0].ID, grace)
	}
	h.hangUp(id)
	return errors.Join(err, h.endGateway(ctx, id))
}

// Remove implements runtime.Host.
func (h *Host) Remove(ctx context.Context, id string) error {
	if !idPattern.MatchString(id) {
		return ctx.Err()
	}
	defer h.lock(id)()
	h.hangUp(id)
	filters := make(client.Filters).Add("label", labelServer+"="+h.cfg.Server, labelInstance+"="+id)
	list, err := h.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filters})
	if err != nil {
		return fmt.Errorf("ask the Docker engine for its containers: %w", err)
	}
	for _, c := range list.Items {
		if err := h.delete(ctx, c.ID); err != nil {
			return err
		}
	}
	for _, name := range []string{h.name(id), h.gatewayVolume(id)} {
		if _, err := h.engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{}); gone(err) != nil {
			return fmt.Errorf("remove an instance's volume: %w", err)
		}
	}
	return nil
}

// Inspect implements runtime.Host.
func (h *Host) Inspect(ctx context.Context, id string) (runtime.Instance, error) {
	c, err := h.newest(ctx, id)
	if err != nil {
		return runtime.Instance{}, err
	}
	return h.ended(ctx, c, instance(c))
}

// List implements runtime.Host.
func (h *Host) List(ctx context.Context) ([]runtime.Instance, error) {
	all, err := h.containers(ctx, "")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var list []runtime.Instance
	for _, c := range all { // current ones first
		id := c.Labels[labelInstance]
		if seen[id] || !idPattern.MatchString(id) {
			continue
		}
		seen[id] = true
		switch in, err := h.Inspect(ctx, id); {
		case errors.Is(err, runtime.ErrNoInstance):
		case err != nil:
			return nil, err
		default:
			list = append(list, in)
		}
	}
	return list, nil
}
