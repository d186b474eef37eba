package docker

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// image is what a container is made of.
type image struct {
	ref     string
	foreign bool     // not made of Bureau's binary
	command []string // what it runs by itself
	dir     string
}

// facts are what was found out about the Engine.
type facts struct {
	quotas bool // of volumes
}

// Check connects to the Engine and says whether it can run instances: runtime.ErrIsolation where it cannot keep their limits.
func (h *Host) Check(ctx context.Context) error {
	h.making.Lock()
	defer h.making.Unlock()
	_, err := h.check(ctx)
	return err
}

func (h *Host) check(ctx context.Context) (*facts, error) {
	if h.facts != nil {
		return h.facts, nil
	}
	got, err := h.engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return nil, fmt.Errorf("the Docker engine at %s: %w", h.cfg.Host, err)
	}
	info := got.Info
	if info.OSType != "linux" {
		return nil, runtime.ErrIsolation.Withf("the Docker engine runs containers of %s, not of Linux", info.OSType)
	}
	for what, can := range map[string]bool{
		"memory": info.MemoryLimit, "CPU": info.CPUCfsQuota, "processes": info.PidsLimit,
	} {
		if !can {
			return nil, runtime.ErrIsolation.Withf("the Docker engine cannot limit the %s of containers", what)
		}
	}
	if want := architectures[info.Architecture]; want != 0 {
		binary, err := h.binary()
		if err != nil {
			return nil, err
		}
		if is, err := machineOf(binary); err != nil || is != want {
			return nil, runtime.ErrIsolation.Withf("%s is no binary for Linux on %s, which the Docker engine runs on", binary, info.Architecture)
		}
	}
	f := &facts{}
	const probe = "bureau-quota-probe"
	_, err = h.engine.VolumeCreate(ctx, client.VolumeCreateOptions{Name: probe, DriverOpts: map[string]string{"size": "1m"}})
	if f.quotas = err == nil; f.quotas {
		_, _ = h.engine.VolumeRemove(ctx, probe, client.VolumeRemoveOptions{})
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if h.cfg.RequireDisk && !f.quotas {
		return nil, runtime.ErrIsolation.Withf("the Docker engine cannot limit what instances write, which this server requires: its storage has no quotas")
	}
	h.facts = f
	return f, nil
}

// architectures are the Engine's names of processors.
var architectures = map[string]elf.Machine{
	"x86_64": elf.EM_X86_64, "amd64": elf.EM_X86_64, "aarch64": elf.EM_AARCH64, "arm64": elf.EM_AARCH64,
}

// binary returns the path of Bureau's binary.
func (h *Host) binary() (string, error) {
	if h.cfg.Binary != "" {
		return h.cfg.Binary, nil
	}
	if goruntime.GOOS == "linux" {
		return "/proc/self/exe", nil // also when the file has been replaced by a newer one since
	}
	return os.Executable()
}

// ours returns the bundle of Bureau's binary, which is read as a whole for it. The caller holds h.making.
func (h *Host) ours() (*bundle, error) {
	if h.bundle != nil {
		return h.bundle, nil
	}
	binary, err := h.binary()
	if err != nil {
		return nil, err
	}
	b, err := newBundle(binary)
	if err != nil {
		return nil, runtime.ErrImage.Withf("no image can be made of Bureau's own binary").Wrap(err)
	}
	h.bundle = b
	return b, nil
}

// prepare makes sure that there is an image of Bureau's binary, and returns it with the Engine's facts.
func (h *Host) prepare(ctx context.Context) (*bundle, *facts, error) {
	h.making.Lock()
	defer h.making.Unlock()
	f, err := h.check(ctx)
	if err != nil {
		return nil, nil, err
	}
	b, err := h.ours()
	if err != nil {
		return nil, nil, err
	}
	if _, err = h.engine.ImageInspect(ctx, b.tag()); err == nil || !errdefs.IsNotFound(err) {
		return b, f, err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(b.write(w)) }()
	defer r.Close() //nolint:errcheck // ends the writer
	got, err := h.engine.ImageImport(ctx, client.ImageImportSource{Source: r, SourceName: "-"}, "bureau-program", client.ImageImportOptions{
		Tag: b.digest, Message: "Bureau's own binary", Changes: []string{"LABEL " + labelProgram + "=" + b.digest},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make the image of Bureau's binary: %w", err)
	}
	_, err = io.Copy(io.Discard, got)
	if err = errors.Join(err, got.Close()); err != nil {
		return nil, nil, fmt.Errorf("make the image of Bureau's binary: %w", err)
	}
	if _, err = h.engine.ImageInspect(ctx, b.tag()); err != nil { // failures come at the end of an answer that began well
		return nil, nil, fmt.Errorf("make the image of Bureau's binary: %w", err)
	}
	h.discard(ctx, b)
	return b, f, nil
}

// discard deletes images and volumes of Bureau's binary as it was before, as far as nobody uses them. Another server that still needs one
// makes it again.
func (h *Host) discard(ctx context.Context, b *bundle) {
	images, err := h.engine.ImageList(ctx, client.ImageListOptions{Filters: make(client.Filters).Add("label", labelProgram)})
	if err != nil {
		return
	}
	for _, im := range images.Items {
		if digest := im.Labels[labelProgram]; digest != b.digest && digest != "" {
			_, _ = h.engine.ImageRemove(ctx, im.ID, client.ImageRemoveOptions{PruneChildren: true})
			_, _ = h.engine.VolumeRemove(ctx, (&bundle{digest: digest}).volume(), client.VolumeRemoveOptions{})
		}
	}
}

// image returns what an instance is made of, and pulls it where the Engine does not have it.
func (h *Host) image(ctx context.Context, spec runtime.InstanceSpec, b *bundle) (image, error) {
	if spec.Image == "" {
		return image{ref: b.tag(), command: worker(b)}, nil
	}
	got, err := h.engine.ImageInspect(ctx, spec.Image)
	if errdefs.IsNotFound(err) {
		if err := h.pull(ctx, spec.Image); err != nil {
			return image{}, err
		}
		got, err = h.engine.ImageInspect(ctx, spec.Image)
	}
	switch {
	case errdefs.IsInvalidArgument(err) || errdefs.IsNotFound(err):
		return image{}, runtime.ErrImage.Withf("the image %q: %s", spec.Image, err)
	case err != nil:
		return image{}, err
	}
	im := image{ref: got.ID, foreign: true}
	if c := got.Config; c != nil {
		im.command, im.dir = slices.Concat(c.Entrypoint, c.Cmd), c.WorkingDir
	}
	if len(im.command) == 0 && len(spec.Command) == 0 {
		return image{}, runtime.ErrImage.Withf("the image %q has no command of its own", spec.Image)
	}
	return im, nil
}

func (h *Host) pull(ctx context.Context, ref string) error {
	stream, err := h.engine.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err == nil {
		err = errors.Join(stream.Wait(ctx), stream.Close())
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return runtime.ErrImage.Withf("the image %q cannot be had: %s", ref, err)
	}
	return nil
}

// furnish makes the volumes that an instance's container is mounted on what it needs: the work directory belongs to the program's user,
// and the binary's volume has the binary. The Engine does both when a container of Bureau's image is made with them, whether it is ever
// started or not.
func (h *Host) furnish(ctx context.Context, spec runtime.InstanceSpec, b *bundle) error {
	config := &container.Config{Image: b.tag(), Cmd: []string{inside.Binary}, Labels: h.labels(spec.ID, "helper")}
	host := &container.HostConfig{NetworkMode: "none", Mounts: []mount.Mount{
		{Type: mount.TypeVolume, Source: h.name(spec.ID), Target: runtime.WorkDir},
		{Type: mount.TypeVolume, Source: b.volume(), Target: inside.Dir},
	}}
	// The name is a lock, of all servers: an Engine that fills a new volume for two containers at once fails, or shows one of them half of it.
	name := b.volume()
	for since := time.Now(); ; {
		made, err := h.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: name, Config: config, HostConfig: host})
		if err == nil {
			return h.delete(ctx, made.ID)
		}
		if !errdefs.IsConflict(err) {
			return fmt.Errorf("furnish an instance: %w", err)
		}
		if time.Since(since) > furnishMost { // whoever has it was killed
			if err := h.delete(ctx, name); err != nil {
				return err
			}
			since = time.Now()
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// furnishMost is how long the making of one helper takes at most.
const furnishMost = 30 * time.Second
