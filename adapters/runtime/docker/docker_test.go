package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

// engine returns where the tests' engine listens.
var engine = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("BUREAU_TEST_DOCKER_HOST"); host != "" {
		return host, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		script := filepath.Join(dir, "scripts", "docker.sh")
		if _, err := os.Stat(script); err == nil {
			out, err := exec.Command(script, "status").Output()
			if err != nil {
				return "", errors.New("there is no Docker engine to test against: start one with scripts/docker.sh up, as root, " +
					"or say by BUREAU_TEST_DOCKER_HOST where one listens")
			}
			return strings.TrimSpace(string(out)), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("scripts/docker.sh is not found")
		}
	}
})

// open returns a host with instances of its own.
func open(t testing.TB, change ...func(*Config)) *Host {
	t.Helper()
	address, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Host: address, Server: server(t), LogBytes: 6 << 20}
	for _, c := range change {
		c(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		clean(t, h)
		_ = h.Close()
	})
	return h
}

var servers struct {
	sync.Mutex

	n int
}

func server(t testing.TB) string {
	servers.Lock()
	defer servers.Unlock()
	servers.n++
	return fmt.Sprintf("test-%d-%d", os.Getpid(), servers.n)
}

func clean(t testing.TB, h *Host) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all, err := h.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("label", labelServer+"="+h.cfg.Server)})
	if err != nil {
		t.Error(err)
	}
	ids := map[string]bool{}
	for _, c := range all.Items {
		ids[c.Labels[labelInstance]] = true
	}
	volumes, err := h.engine.VolumeList(ctx, client.VolumeListOptions{Filters: make(client.Filters).Add("label", labelServer+"="+h.cfg.Server)})
	if err != nil {
		t.Error(err)
	}
	for _, v := range volumes.Items {
		ids[v.Labels[labelInstance]] = true
	}
	for id := range ids {
		if err := h.Remove(ctx, id); err != nil {
			t.Errorf("remove %s: %v", id, err)
		}
	}
}

const (
	testImage   = "bureau-test-program:1"
	testProgram = "/hostprogram"
)

// program makes an image of the suite's program and of nothing else, once.
var program = sync.OnceValue(func() error {
	content, err := programFile()
	if err != nil {
		return err
	}
	return importImage(testImage, map[string][]byte{testProgram: content}, `CMD ["/hostprogram", "out", "its own command", "wait"]`)
})

// programFile builds the suite's program.
var programFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "bureau-docker")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file, err := runtimetest.HostProgram(dir)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

func importImage(ref string, files map[string][]byte, changes ...string) error {
	address, err := engine()
	if err != nil {
		return err
	}
	c, err := client.New(client.WithHost(address))
	if err != nil {
		return err
	}
	defer c.Close()
	var image bytes.Buffer
	w := tar.NewWriter(&image)
	for name, content := range files {
		_ = w.WriteHeader(&tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg})
		_, _ = w.Write(content)
	}
	if err := w.Close(); err != nil {
		return err
	}
	name, tag, _ := strings.Cut(ref, ":")
	got, err := c.ImageImport(context.Background(), client.ImageImportSource{Source: &image, SourceName: "-"}, name, client.ImageImportOptions{Tag: tag, Changes: changes})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, got)
	return errors.Join(err, got.Close())
}

func TestHost(t *testing.T) {
	if err := program(); err != nil {
		t.Fatal(err)
	}
	runtimetest.RunHost(t, runtimetest.HostConfig{
		New: func(t *testing.T) runtime.Host { return open(t) },
		Reopen: func(t *testing.T, h runtime.Host) runtime.Host {
			return open(t, func(c *Config) { c.Server = h.(*Host).cfg.Server })
		},
		Image: testImage, Program: []string{testProgram}, Worker: true,
		// The engine of the tests stores on overlay2 without quotas: no single file passes the limit, all together may.
		Limits:   []string{"cpu", "memory", "processes", "files"},
		LogBytes: 6 << 20,
		Patience: time.Minute,
	})
}

// TestMain has more cases run at a time than there are cores: most of their time is the Engine's and the kernel's.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == strconv.Itoa(goruntime.GOMAXPROCS(0)) {
		_ = flag.Set("test.parallel", "8")
	}
	os.Exit(m.Run())
}
