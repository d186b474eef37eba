package process_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverDir); dir != "" {
		fmt.Fprintln(os.Stderr, playServer(dir))
		os.Exit(1)
	}
	if dir := os.Getenv(hostDir); dir != "" {
		fmt.Fprintln(os.Stderr, playHost(dir, os.Getenv(hostPart)))
		os.Exit(1)
	}
	// As a server does, which changes what it may do about the namespaces of its children.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	for _, c := range cleanups {
		c()
	}
	os.Exit(code)
}

func newRuntime(t testing.TB, cfg process.Config) *process.Runtime {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	r, err := process.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := r.Check(context.Background()); err != nil {
		t.Fatalf("%v\nThese tests prove that programs are isolated. A machine that cannot isolate them cannot run the tests.", err)
	}
	return r
}

func TestSuite(t *testing.T) {
	runtimetest.Run(t, runtimetest.Config{New: func(t *testing.T, allow ...string) runtime.Runtime {
		return newRuntime(t, process.Config{EgressAllow: allow})
	}})
}

func BenchmarkRun(b *testing.B) {
	r := newRuntime(b, process.Config{})
	s, err := r.Open(context.Background(), runtime.Spec{ID: "bench", Network: runtime.Network{Mode: runtime.NetworkPublic}})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if res, err := s.Run(context.Background(), runtime.Command{Args: []string{"true"}}); err != nil || res.Code != 0 {
			b.Fatal(res, err)
		}
	}
}
