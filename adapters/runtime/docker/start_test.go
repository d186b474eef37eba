package docker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// spec is an instance of the suite's program.
func spec(t testing.TB, id string, generation int64, args ...string) runtime.InstanceSpec {
	t.Helper()
	if err := program(); err != nil {
		t.Fatal(err)
	}
	return runtime.InstanceSpec{ID: id, Generation: generation, Image: testImage, Command: append([]string{testProgram}, args...), Port: 8080}
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// printed follows a log until a line comes, and returns all until then.
func printed(t testing.TB, h *Host, id, want string) []string {
	t.Helper()
	var texts []string
	for line, err := range h.Logs(within(t), id, runtime.LogQuery{Tail: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if texts = append(texts, line.Text); line.Text == want {
			return texts
		}
	}
	t.Fatalf("%s has printed %q, and not %q", id, texts, want)
	return nil
}

// Two servers that share an engine and a database start the same instance.
func TestServersRace(t *testing.T) {
	t.Parallel()
	one := open(t)
	hosts := []*Host{one, open(t, func(c *Config) { c.Server = one.cfg.Server }), open(t, func(c *Config) { c.Server = one.cfg.Server })}
	s := spec(t, "race", 1, "out", "began", "out", "ready", "wait")
	started := make([]runtime.Instance, len(hosts))
	var wg sync.WaitGroup
	for i, h := range hosts {
		wg.Go(func() {
			var err error
			if started[i], err = h.Start(within(t), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if started[1] != started[0] || started[2] != started[0] || started[0].State != runtime.InstanceRunning {
		t.Errorf("started: %+v", started)
	}
	if texts := printed(t, one, "race", "ready"); !slices.Equal(texts, []string{"began", "ready"}) {
		t.Errorf("printed %q", texts)
	}
	// Each wants another generation than the others: one of them remains.
	for i, h := range hosts {
		wg.Go(func() {
			s := s
			s.Generation = int64(i + 2)
			if _, err := h.Start(within(t), s); err != nil && !errors.Is(err, runtime.ErrNotRunning) { // somebody else's is there
				t.Errorf("generation %d: %v", s.Generation, err)
			}
		})
	}
	wg.Wait()
	list, err := one.engine.ContainerList(within(t), client.ContainerListOptions{
		Filters: make(client.Filters).Add("label", labelServer+"="+one.cfg.Server).Add("status", "running"),
	})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d containers run (%v)", len(list.Items), err)
	}
}

// Another server has deleted the container that this one is about to start.
func TestContainerGone(t *testing.T) {
	t.Parallel()
	h := open(t)
	if err := h.launch(within(t), strings.Repeat("0", 64), nil, inside.Program{}); !errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("error %v", err)
	}
}

// A server was killed between making a container and starting it.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := within(t)
	s := spec(t, "left", 4, "out", "ready", "wait")
	b, f, err := h.prepare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	im, err := h.image(ctx, s, b)
	if err != nil {
		t.Fatal(err)
	}
	s.Generation = 3
	m := h.build(s, b, im, nil)
	if _, err := h.engine.ContainerCreate(ctx, client.ContainerCreateOptions{Name: h.name(s.ID), Config: m.config, HostConfig: m.host}); err != nil {
		t.Fatal(err)
	}
	if in, err := h.Inspect(ctx, "left"); err != nil || in.State != runtime.InstanceStarting || !in.StartedAt.IsZero() {
		t.Errorf("%+v (%v)", in, err)
	}
	if _, err := h.create(ctx, s, b, im, f, nil); err == nil {
		t.Error("two containers have one name")
	}
	s.Generation = 4
	if in, err := h.Start(ctx, s); err != nil || in.Generation != 4 || in.State != runtime.InstanceRunning {
		t.Errorf("%+v (%v)", in, err)
	}
	printed(t, h, "left", "ready")
}

// What the Engine is told of an instance, and what it is not.
func TestConfinement(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := within(t)
	s := spec(t, "safe", 1, "write", "/tmp/x", "y", "write", "/x", "y", "write", "/.bureau/x", "y", "env", "API_KEY", "out", "ready", "wait")
	s.Env = map[string]string{"API_KEY": "hunter2"}
	s.Files = map[string][]byte{"SOUL.md": []byte("swordfish")}
	s.Limits = runtime.InstanceLimits{Limits: runtime.Limits{Memory: 100 << 20, Processes: 10, Disk: 5 << 20}, CPU: 250, OpenFiles: 77}
	s.Labels = map[string]string{"tenant": "acme"}
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	texts := printed(t, h, "safe", "ready")
	read := func(text string) bool { return strings.Contains(text, "read-only file system") }
	if len(texts) != 4 || !read(texts[0]) || !read(texts[1]) || texts[2] != "API_KEY=hunter2" {
		t.Errorf("the program says %q", texts)
	}
	got, err := h.engine.ContainerInspect(ctx, h.name("safe"), client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c, hc := got.Container, got.Container.HostConfig
	switch {
	case hc.Privileged, !hc.ReadonlyRootfs, hc.NetworkMode != "none", hc.PidMode != "", hc.UTSMode != "", hc.IpcMode != "private", len(hc.Binds) > 0,
		len(hc.Devices) > 0, len(hc.CapAdd) > 0, !slices.Equal(hc.CapDrop, []string{"ALL"}), !slices.Equal(hc.SecurityOpt, []string{"no-new-privileges:true"}),
		hc.RestartPolicy.Name != container.RestartPolicyDisabled, !*hc.Init, hc.AutoRemove, len(hc.PortBindings) > 0, len(hc.MaskedPaths) == 0,
		c.Config.User != programUser:
		t.Errorf("the container is not confined: %+v", hc)
	case hc.Memory != 100<<20, hc.MemorySwap != 100<<20, hc.NanoCPUs != 250_000_000, *hc.PidsLimit != 10+ownTasks,
		hc.Ulimits[0].Hard != 77, hc.Ulimits[1].Hard != 5<<20:
		t.Errorf("the limits are %+v", hc.Resources)
	case c.Config.Labels[labelOther+"tenant"] != "acme":
		t.Errorf("the labels are %v", c.Config.Labels)
	}
	for _, m := range hc.Mounts {
		if m.Type != "volume" {
			t.Errorf("it sees %+v", m)
		}
	}
	if text, err := json.Marshal(c); err != nil || strings.Contains(string(text), "hunter2") || strings.Contains(string(text), "swordfish") {
		t.Errorf("the Engine knows the secrets (%v): %s", err, text)
	}
	// Another server sees nothing of it.
	other := open(t)
	if list, err := other.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("another server has %+v (%v)", list, err)
	}
	if err := errors.Join(other.Remove(ctx, "safe"), h.Check(ctx)); err != nil {
		t.Error(err)
	}
	if _, err := h.Inspect(ctx, "safe"); err != nil {
		t.Error(err)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := within(t)
	s := spec(t, "own", 1)
	s.Command = nil
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	printed(t, h, "own", "its own command")
	// The same work directory, with another image and back.
	s = spec(t, "own", 2, "write", "kept", "here", "out", "written", "wait")
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	printed(t, h, "own", "written")
	s.Generation, s.Image, s.Command, s.Port = 3, "", nil, 0
	if in, err := h.Start(ctx, s); err != nil || in.State != runtime.InstanceRunning {
		t.Fatalf("%+v (%v)", in, err)
	}
	s = spec(t, "own", 4, "cat", "kept", "out", "read", "wait")
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	if texts := printed(t, h, "own", "read"); !slices.Contains(texts, "here") || slices.Contains(texts, "its own command") {
		t.Errorf("of four generations the log of the first is gone and the files are kept: %q", texts)
	}

	const broken = "bureau-test-broken:1"
	alien, err := programFile()
	if err != nil {
		t.Fatal(err)
	}
	alien = slices.Clone(alien)
	alien[18], alien[19] = 0xf3, 0 // e_machine: RISC-V
	err = importImage(broken, map[string][]byte{"script": []byte("#!/bin/nowhere\n"), "text": []byte("hello"), "alien": alien})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		image   string
		command []string
		says    string
	}{
		"no registry has it": {"127.0.0.1:1/nothing:here", []string{"x"}, "connect"},
		"no name":            {"Not A Name", []string{"x"}, "invalid reference"},
		"no command":         {broken, nil, "no command of its own"},
		"no program":         {broken, []string{"/none"}, "/none: no such file or directory"},
		"not in PATH":        {broken, []string{"none"}, `no program "none"`},
		"no interpreter":     {broken, []string{"/script"}, "/bin/nowhere"},
		"a text":             {broken, []string{"/text"}, "neither a binary"},
		"another processor":  {broken, []string{"/alien"}, "for another kind of processor"},
		"a directory":        {broken, []string{"/.bureau"}, "is no file"},
	} {
		_, err := h.Start(ctx, runtime.InstanceSpec{ID: "bad", Generation: 1, Image: c.image, Command: c.command})
		if !errors.Is(err, runtime.ErrImage) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.Inspect(ctx, "bad"); !errors.Is(err, runtime.ErrNoInstance) {
		t.Errorf("what could not be started is %v", err)
	}
}

// A program leaves things where files of the next generation go.
func TestFilesInTheWay(t *testing.T) {
	t.Parallel()
	h := open(t)
	ctx := within(t)
	s := spec(t, "way", 1, "write", "rules", "a file", "write", "SOUL.md", "mine", "out", "ready", "wait")
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	printed(t, h, "way", "ready")
	s = spec(t, "way", 2, "cat", "rules/a.md", "cat", "SOUL.md", "out", "done", "wait")
	s.Files = map[string][]byte{"rules/a.md": []byte("rule a"), "SOUL.md": []byte("yours")}
	if _, err := h.Start(ctx, s); err != nil {
		t.Fatal(err)
	}
	if texts := printed(t, h, "way", "done"); !slices.Contains(texts, "rule a") || !slices.Contains(texts, "yours") {
		t.Errorf("it reads %q", texts)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no server":    {},
		"a server":     {Server: "A_b"},
		"a limit":      {Server: "a", Limits: runtime.InstanceLimits{CPU: -1}},
		"an address":   {Server: "a", Host: "nowhere"},
		"an allowance": {Server: "a", EgressAllow: []string{"10.0.0.0/99"}},
		"certificates": {Server: "a", Host: "tcp://127.0.0.1:1", CertDir: "/nowhere"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	h, err := New(Config{Server: "a", Host: "unix:///nowhere/docker.sock"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Check(within(t)); err == nil || !strings.Contains(err.Error(), "/nowhere/docker.sock") {
		t.Errorf("an engine that is not there: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	strict := open(t, func(c *Config) { c.RequireDisk = true })
	if err := strict.Check(within(t)); err != nil && !errors.Is(err, runtime.ErrIsolation) {
		t.Error(err)
	}
}
