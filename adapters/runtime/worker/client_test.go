package worker_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
	"github.com/bureau-agents/bureau/adapters/runtime/worker"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// instances are workers in this process.
type instances map[string]*workerd.Worker

func (in instances) Dial(_ context.Context, id string) (net.Conn, error) {
	w := in[id]
	if w == nil {
		return nil, runtime.ErrNotRunning
	}
	here, there := net.Pipe()
	go func() {
		_ = w.Serve(there)
		_ = there.Close()
	}()
	return here, nil
}

func TestClient(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "rules", "folder.md"), 0o755), os.WriteFile(filepath.Join(dir, "secret.md"), []byte("secret"), 0o644),
		os.WriteFile(filepath.Join(dir, "rules", "refunds.md"), []byte("No refunds.\n"), 0o644),
		os.WriteFile(filepath.Join(dir, "rules", "_a-B.md"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "rules", "long.md"), make([]byte, worker.MaxRule+1), 0o644),
		os.WriteFile(filepath.Join(dir, "rules", "other.txt"), nil, 0o644),
		os.Symlink("../secret.md", filepath.Join(dir, "rules", "link.md"))); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var printed []string
	token := func(id string) string { return worker.Token([]byte("key"), id) }
	in := instances{
		"one": workerd.New(dir, token("one"), func(line string) {
			mu.Lock()
			defer mu.Unlock()
			printed = append(printed, line)
		}),
		"open":  workerd.New(dir, "", func(string) {}),
		"other": workerd.New(dir, token("someone's"), func(string) {}),
		"bare":  workerd.New(t.TempDir(), token("bare"), func(string) {}),
	}
	c := worker.NewClient(in, token)
	ctx := t.Context()
	if s, err := c.Status(ctx, "one"); err != nil || s.PID != os.Getpid() || s.Uptime <= 0 {
		t.Errorf("status: %+v, %v", s, err)
	}
	if names, err := c.Rules(ctx, "one"); err != nil || !slices.Equal(names, []string{"_a-B", "long", "refunds"}) {
		t.Errorf("rules: %q, %v", names, err)
	}
	if text, err := c.ReadRule(ctx, "one", "refunds"); err != nil || text != "No refunds.\n" {
		t.Errorf("a rule: %q, %v", text, err)
	}
	if text, err := c.ReadRule(ctx, "one", "_a-B"); err != nil || text != "" {
		t.Errorf("an empty rule: %q, %v", text, err)
	}
	for _, name := range []string{"none", "../secret", "folder", "link", "", ".", "a/b", "refunds.md\x00", ".refunds", strings.Repeat("x", 129)} {
		if text, err := c.ReadRule(ctx, "one", name); !errors.Is(err, worker.ErrNoRule) {
			t.Errorf("the rule %q: %q, %v", name, text, err)
		}
	}
	if _, err := c.ReadRule(ctx, "one", "long"); !errors.Is(err, worker.ErrWorker) || !strings.Contains(errors.Unwrap(err).Error(), "longer") {
		t.Errorf("a long rule: %v", err)
	}
	for _, err := range []error{
		c.Log(ctx, "one", worker.LevelInfo, "a turn began"), c.Log(ctx, "one", worker.LevelError, "two\r\n[info] lines"),
		c.Log(ctx, "one", worker.LevelDebug, strings.Repeat("\x01", 1<<20)),
	} {
		if err != nil {
			t.Errorf("log: %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(printed) != 3 || !slices.Equal(printed[:2], []string{"[info] a turn began", `[error] two\r\n[info] lines`}) {
		t.Errorf("printed: %.100q", printed)
	}
	if err := c.Log(ctx, "one", "loud", "x"); !errors.Is(err, worker.ErrWorker) {
		t.Errorf("a level that there is not: %v", err)
	}
	for _, id := range []string{"open", "other"} {
		if _, err := c.Status(ctx, id); !errors.Is(err, worker.ErrWorker) {
			t.Errorf("without the token of %q: %v", id, err)
		}
	}
	if names, err := c.Rules(ctx, "bare"); err != nil || len(names) != 0 {
		t.Errorf("without rules: %q, %v", names, err)
	}
	if _, err := c.Status(ctx, "gone"); !errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("an instance that does not run: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Status(over, "one"); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

// What is no request is answered, and nothing else happens.
func FuzzServe(f *testing.F) {
	f.Add([]byte("{\"token\":\"t\",\"op\":\"rule\",\"name\":\"a\"}\n"))
	f.Add([]byte("{}\n"))
	f.Add([]byte("nothing"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := workerd.New(dir, "another", func(line string) { t.Errorf("without the token it printed %q", line) })
		here, there := net.Pipe()
		go func() {
			_ = w.Serve(there)
			_ = there.Close()
		}()
		go func() {
			_, _ = here.Write(append(raw, '\n'))
		}()
		answer := make([]byte, 1<<10)
		if n, err := here.Read(answer); err == nil && !strings.Contains(string(answer[:n]), `"error"`) {
			t.Errorf("%q is answered %q", raw, answer[:n])
		}
		_ = here.Close()
	})
}
