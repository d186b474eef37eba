package process_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

// programFile names, in the environment of a copy of these tests that may not build anything, what instances run.
const programFile = "BUREAU_TEST_HOST_PROGRAM"

// program is what instances run. Their own /tmp hides the machine's, so it lies elsewhere.
var program = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(programFile); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("/var/tmp", "bureau-hostprogram-")
	if err != nil {
		return "", err
	}
	cleanups = append(cleanups, func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	return runtimetest.HostProgram(dir)
})

// cleanups are run when all tests have.
var cleanups []func()

func hostProgram(t testing.TB) string {
	t.Helper()
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func openHost(t testing.TB, cfg process.HostConfig) *process.Host {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Paths = append(cfg.Paths, hostProgram(t))
	h, err := process.NewHost(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Check(context.Background()); err != nil {
		t.Fatalf("%v\nThese tests prove that programs are isolated. A machine that cannot isolate them cannot run the tests.", err)
	}
	return h
}

// newHost returns a host whose instances are removed when the test ends.
func newHost(t testing.TB, cfg process.HostConfig) *process.Host {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	h := openHost(t, cfg)
	t.Cleanup(func() { clearHost(t, cfg) })
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// clearHost removes what a test has left.
func clearHost(t testing.TB, cfg process.HostConfig) {
	t.Helper()
	h := openHost(t, cfg)
	list, err := h.List(context.Background())
	for _, in := range list {
		err = errors.Join(err, h.Remove(context.Background(), in.ID))
	}
	if err != nil {
		t.Error(err)
	}
	_ = h.Close()
}

func TestHostSuite(t *testing.T) {
	var mu sync.Mutex
	dirs := map[runtime.Host]string{}
	made := func(t *testing.T, allow ...string) runtime.Host {
		dir := t.TempDir()
		h := newHost(t, process.HostConfig{Dir: dir, EgressAllow: allow})
		mu.Lock()
		defer mu.Unlock()
		dirs[h] = dir
		return h
	}
	runtimetest.RunHost(t, runtimetest.HostConfig{
		New:      func(t *testing.T) runtime.Host { return made(t) },
		Allowing: made,
		Reopen: func(t *testing.T, h runtime.Host) runtime.Host {
			mu.Lock()
			defer mu.Unlock()
			return openHost(t, process.HostConfig{Dir: dirs[h]})
		},
		Program: []string{hostProgram(t)}, Worker: true, Limits: []string{"cpu", "memory", "processes", "files", "disk"},
	})
}
