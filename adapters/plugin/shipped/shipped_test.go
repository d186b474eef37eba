package shipped_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/adapters/plugin/shipped"
)

func newSource(t *testing.T, cfg shipped.Config) *shipped.Source {
	t.Helper()
	cfg.Logger = slog.New(slog.DiscardHandler)
	s, err := shipped.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBinariesBesideTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "calculator"), []byte("binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSource(t, shipped.Config{Dir: dir, Checkout: t.TempDir()})
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].Name != "calculator" || !strings.HasPrefix(list[0].Source, "binary:") {
		t.Fatalf("got %+v, %v", list, err)
	}
	b, err := s.Open(t.Context(), "calculator")
	if err != nil || b.Digest != digest("binary") {
		t.Errorf("got %+v, %v", b, err)
	}
	if _, err := s.Open(t.Context(), "http_fetch"); err == nil || !strings.Contains(err.Error(), "no source to build it from") {
		t.Errorf("got %v", err)
	}
}

// fakeGo writes a go command that counts its runs and makes every binary.
func fakeGo(t *testing.T, script string) (goCmd, runs string) {
	t.Helper()
	dir := t.TempDir()
	goCmd, runs = filepath.Join(dir, "go"), filepath.Join(dir, "runs")
	body := "#!/bin/sh\necho run >> " + runs + "\nprintenv > " + dir + "/env\n" + script + "\n"
	if err := os.WriteFile(goCmd, []byte(body), 0o700); err != nil {
		t.Fatal(err)
	}
	return goCmd, runs
}

// makeAll finds the folder after -o and writes a file for each package.
const makeAll = `while [ "$1" != -o ]; do shift; done; out=$2; shift 2
for p in "$@"; do echo built > "$out$(basename "$p")"; done`

func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module github.com/bureau-agents/bureau\n", "go.sum": "", "plugins/a.go": "package a", "plugins/a_test.go": "1", "ports/b.go": "package b",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func count(t *testing.T, runs string) int {
	t.Helper()
	b, err := os.ReadFile(runs)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "run")
}

func TestBuildsOncePerSource(t *testing.T) {
	t.Setenv("BUREAU_ROOT_SECRET", "s3cret")
	src, cache := checkout(t), t.TempDir()
	goCmd, runs := fakeGo(t, makeAll)
	var wg sync.WaitGroup
	for range 6 { // servers that start at the same time
		wg.Go(func() {
			s := newSource(t, shipped.Config{Dir: t.TempDir(), Checkout: src, Cache: cache, Go: goCmd})
			for _, name := range []string{"calculator", "spend_limit"} {
				b, err := s.Open(t.Context(), name)
				if err != nil || b.Digest != digest("built\n") {
					t.Errorf("%s: got %+v, %v", name, b, err)
				}
			}
		})
	}
	wg.Wait()
	if n := count(t, runs); n != 1 {
		t.Errorf("six servers compiled %d times", n)
	}
	env, err := os.ReadFile(filepath.Join(filepath.Dir(goCmd), "env"))
	if err != nil || strings.Contains(string(env), "s3cret") {
		t.Errorf("the compiler saw the server's secrets (%v)", err)
	}
	s := newSource(t, shipped.Config{Dir: t.TempDir(), Checkout: src, Cache: cache, Go: goCmd})
	before, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, rebuild := range map[string]bool{"plugins/a_test.go": false, "plugins/a.go": true} {
		if err := os.WriteFile(filepath.Join(src, name), []byte("package changed"), 0o600); err != nil {
			t.Fatal(err)
		}
		after, err := s.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if changed := before[0].Source != after[0].Source; changed != rebuild {
			t.Errorf("a change of %s makes another source: %v", name, changed)
			continue
		}
		if !rebuild {
			continue
		}
		if _, err := s.Open(t.Context(), "calculator"); err != nil {
			t.Fatal(err)
		}
		if n := count(t, runs); n != 2 {
			t.Errorf("after a change: %d compilations", n)
		}
		before = after
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	goCmd, _ := fakeGo(t, "echo 'undefined: x' >&2; exit 1")
	s := newSource(t, shipped.Config{Dir: t.TempDir(), Checkout: checkout(t), Cache: t.TempDir(), Go: goCmd})
	if _, err := s.Open(t.Context(), "calculator"); err == nil || !strings.Contains(err.Error(), "undefined: x") {
		t.Errorf("got %v", err)
	}
}

func TestNoGoCommand(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s := newSource(t, shipped.Config{Dir: t.TempDir(), Checkout: checkout(t), Cache: t.TempDir()})
	if list, err := s.List(t.Context()); err != nil || len(list) < 7 {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := s.Open(t.Context(), "calculator"); err == nil || !strings.Contains(err.Error(), "install Go, or put the binaries into") {
		t.Errorf("got %v", err)
	}
}
