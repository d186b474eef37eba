package host_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/plugin/host"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

// buildDir holds the binaries that the tests build.
var buildDir string

func TestMain(m *testing.M) {
	if dir := os.Getenv("BUREAU_TEST_HOST_HELPER"); dir != "" {
		helper(dir)
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "bureau-host-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	return m.Run()
}

// built is the binary of testdata/naughty, without a mode.
var built = sync.OnceValues(func() ([]byte, error) {
	out := filepath.Join(buildDir, "naughty")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", out, "./testdata/naughty")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, msg)
	}
	return os.ReadFile(out)
})

// naughty returns the binary of testdata/naughty in one of its modes, as the registry would hand it out.
func naughty(t testing.TB, mode string) skill.Binary {
	t.Helper()
	b, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return binary(mode, slices.Concat(b, []byte("\n"+mode)))
}

func binary(name string, b []byte) skill.Binary {
	sum := sha256.Sum256(b)
	return skill.Binary{
		Name: name, Digest: hex.EncodeToString(sum[:]), Size: int64(len(b)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}
}

func skillManifest(b skill.Binary) skill.Manifest {
	return skill.Manifest{
		Name: "naughty", Program: "naughty", Kind: skill.KindSkill, Digest: b.Digest, Description: "Misbehaves on demand.",
		Schema: json.RawMessage(`{"type":"object"}`), Needs: tool.Needs{Secrets: []string{"wanted"}},
	}
}

func ruleManifest(b skill.Binary) skill.Manifest {
	return skill.Manifest{
		Name: "naughty_rule", Program: "naughty_rule", Kind: skill.KindRule, Digest: b.Digest, Description: "Misjudges on demand.",
		Inputs: []string{rule.InputPayee},
	}
}

func newHost(t testing.TB, change func(*host.Config)) *host.Host {
	t.Helper()
	cfg := host.Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Backoff: 5 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

func input(t testing.TB, fields map[string]any) tool.Call {
	t.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return tool.Call{Key: "k", Input: b}
}

// do calls the naughty skill.
func do(t testing.TB, tl tool.Tool, fields map[string]any) (string, error) {
	t.Helper()
	res, err := tl.Call(t.Context(), input(t, fields))
	return res.Text, err
}

func mustPID(t testing.TB, tl tool.Tool) int {
	t.Helper()
	s, err := do(t, tl, map[string]any{"do": "pid"})
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// eventually waits for something that another process does, which nothing here can signal.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// gone reports whether no process with the id runs; one that nobody has waited for yet counts as gone.
func gone(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z")
}

func TestSkillSuite(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, nil)
	tooltest.Run(t, tooltest.Config{
		New:  func(*testing.T) tool.Tool { return h.Tool(b, skillManifest(b)) },
		Call: input(t, map[string]any{"do": "echo", "text": "hello"}),
	})
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	h := newHost(t, nil)
	d, err := h.Describe(t.Context(), naughty(t, "skill"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Kind != skill.KindSkill || d.Program != "naughty" || d.Version != "0.1" || d.Protocol != 1 || d.Tool.Needs.Secrets[0] != "wanted" {
		t.Errorf("got %+v", d)
	}
	d, err = h.Describe(t.Context(), naughty(t, "rule"))
	if err != nil {
		t.Fatal(err)
	}
	if d.Kind != skill.KindRule || d.Rule.Name != "naughty_rule" || d.Rule.Inputs[0] != rule.InputPayee {
		t.Errorf("got %+v", d)
	}
	if n := h.Running(); n != 0 {
		t.Errorf("%d processes go on after being described", n)
	}
}

func TestRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	h, hasty := newHost(t, nil), newHost(t, func(c *host.Config) { c.StartTimeout = time.Second })
	for mode, want := range map[string]string{
		"wrongversion": "ncompatible API version",
		"exit":         "nrecognized remote plugin message",
		"noise":        "nrecognized remote plugin message: hello, world",
		"silent":       "timeout while waiting for plugin to start",
		"garbage":      "its input schema is not JSON",
		"nothing":      "neither a skill nor a rule",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			by := h
			if mode == "silent" {
				by = hasty
			}
			_, err := by.Describe(t.Context(), naughty(t, mode))
			if !errors.Is(err, skill.ErrRejected) || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want ErrRejected with %q", err, want)
			}
		})
	}
	t.Run("a script", func(t *testing.T) {
		t.Parallel()
		_, err := h.Describe(t.Context(), binary("script", []byte("#!/nonexistent\n")))
		if !errors.Is(err, skill.ErrRejected) {
			t.Errorf("got %v", err)
		}
	})
}

func TestChecksum(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	lying := b
	lying.Digest = strings.Repeat("0", 64)
	h := newHost(t, nil)
	if _, err := h.Describe(t.Context(), lying); !errors.Is(err, skill.ErrModified) && !errors.Is(err, skill.ErrRejected) {
		t.Errorf("a binary with another digest: got %v", err)
	}
	if _, err := h.Tool(lying, skillManifest(lying)).Call(t.Context(), tool.Call{Input: json.RawMessage(`{}`)}); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("a binary with another digest: got %v", err)
	}

	// A copy that somebody changed is made again from the store before it could run.
	var dir string
	h = newHost(t, func(c *host.Config) { dir = c.Dir })
	tl := h.Tool(b, skillManifest(b))
	first := mustPID(t, tl)
	copied := filepath.Join(dir, b.Digest)
	info, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o500 {
		t.Errorf("the copy has the mode %v", info.Mode())
	}
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, []byte("#!/bin/sh\necho changed\n"), 0o500); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first process ends", func() bool { return h.Running() == 0 })
	if second := mustPID(t, tl); second == first {
		t.Error("the same process answers")
	}
}

func TestCallsFailAlone(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, func(c *host.Config) { c.MaxResultBytes = 1 << 20 })
	tl := h.Tool(b, skillManifest(b))
	for name, tc := range map[string]struct {
		in   map[string]any
		want error
		kind fault.Kind
	}{
		"a crash":                   {map[string]any{"do": "crash"}, tool.ErrUnavailable, fault.Unavailable},
		"a panic in a goroutine":    {map[string]any{"do": "fatal"}, tool.ErrUnavailable, fault.Unavailable},
		"a panic":                   {map[string]any{"do": "panic"}, nil, fault.Internal},
		"a hang":                    {map[string]any{"do": "hang"}, nil, fault.Timeout},
		"an answer over the limit":  {map[string]any{"do": "big", "n": 1<<20 + 1}, nil, fault.Internal},
		"a huge answer":             {map[string]any{"do": "big", "n": 5 << 20}, nil, fault.Internal},
		"an answer that is no text": {map[string]any{"do": "binary"}, nil, fault.Internal},
	} {
		mustPID(t, tl)
		ctx, cancel := t.Context(), func() {}
		if tc.kind == fault.Timeout { // the process runs by then, so the time is the call's alone
			ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
		}
		_, err := tl.Call(ctx, input(t, tc.in))
		cancel()
		if err == nil || fault.KindOf(err) != tc.kind || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v (%v), want kind %v", name, err, fault.KindOf(err), tc.kind)
		}
		// The next call is answered, by this process or by another.
		eventually(t, "an answer after "+name, func() bool {
			text, err := do(t, tl, map[string]any{"do": "echo", "text": "still here"})
			return err == nil && text == "still here"
		})
	}
	if text, err := do(t, tl, map[string]any{"do": "big", "n": 1 << 20}); err != nil || len(text) != 1<<20 {
		t.Errorf("an answer at the limit: %d bytes, %v", len(text), err)
	}
}

func TestCrashFailsOnlyTheCallsInFlight(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, nil)
	tl := h.Tool(b, skillManifest(b))
	pid := mustPID(t, tl)
	errs := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := tl.Call(context.WithoutCancel(t.Context()), input(t, map[string]any{"do": "hang"}))
			errs <- err
		}()
	}
	if _, err := do(t, tl, map[string]any{"do": "crash"}); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("the crashing call: %v", err)
	}
	if again := mustPID(t, tl); again == pid {
		t.Error("the crashed process answers")
	}
	// Those that hung in the first process failed with it; those that came later hang in the second and end with it.
	if err := h.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if err := <-errs; !errors.Is(err, tool.ErrUnavailable) {
			t.Errorf("a call in flight: %v", err)
		}
	}
	if _, err := do(t, tl, map[string]any{"do": "echo"}); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("a call after Stop: %v", err)
	}
}

func TestKilledPluginComesBack(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, nil)
	tl := h.Tool(b, skillManifest(b))
	pid := mustPID(t, tl)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process is seen to be gone", func() bool { return h.Running() == 0 })
	if again := mustPID(t, tl); again == pid { // the first call after a crash is answered, without a retry
		t.Error("a dead process answers")
	}
}

func TestCircuitBreaker(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, func(c *host.Config) { c.Backoff = time.Hour })
	tl := h.Tool(b, skillManifest(b))
	for i := range 2 {
		if _, err := do(t, tl, map[string]any{"do": "crash"}); !errors.Is(err, tool.ErrUnavailable) {
			t.Fatalf("crash %d: %v", i, err)
		}
		eventually(t, "the process is seen to be gone", func() bool { return h.Running() == 0 })
	}
	start := time.Now()
	_, err := do(t, tl, map[string]any{"do": "echo"})
	f, ok := fault.As(err)
	if !ok || !errors.Is(err, tool.ErrUnavailable) || f.RetryAfter <= 0 {
		t.Fatalf("with the circuit open: got %v", err)
	}
	if took := time.Since(start); took > 100*time.Millisecond {
		t.Errorf("a refusal took %v", took)
	}
	if h.Running() != 0 {
		t.Error("a process was started")
	}
}

func TestStuckPluginIsKilled(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, nil)
	tl := h.Tool(b, skillManifest(b))
	pid := mustPID(t, tl)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := tl.Call(ctx, input(t, map[string]any{"do": "hang"}))
		cancel()
		if fault.KindOf(err) != fault.Timeout {
			t.Fatalf("got %v", err)
		}
	}
	eventually(t, "the stuck process ends", func() bool { return gone(pid) })
}

func TestStartsOnce(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, nil)
	tl := h.Tool(b, skillManifest(b))
	var mu sync.Mutex
	pids := map[string]bool{}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			s, err := do(t, tl, map[string]any{"do": "pid"})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			pids[s] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(pids) != 1 {
		t.Errorf("32 first calls started %d processes", len(pids))
	}
}

func TestIdleStop(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, func(c *host.Config) { c.IdleTimeout = 50 * time.Millisecond })
	tl := h.Tool(b, skillManifest(b))
	pid := mustPID(t, tl)
	// A call that is longer than the time-out keeps its process.
	if _, err := do(t, tl, map[string]any{"do": "wait", "for": 200 * time.Millisecond}); err != nil {
		t.Errorf("a long call: %v", err)
	}
	eventually(t, "the idle process ends", func() bool { return gone(pid) })
	if again := mustPID(t, tl); again == pid {
		t.Error("the same process answers")
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("BUREAU_ROOT_SECRET", "s3cret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
	b := naughty(t, "skill")
	h := newHost(t, func(c *host.Config) { c.EgressAllow = []string{"127.0.0.1:1"} })
	tl := h.Tool(b, skillManifest(b))
	env, err := do(t, tl, map[string]any{"do": "env"})
	if err != nil {
		t.Fatal(err)
	}
	known := []string{
		"TMPDIR", "PLUGIN_UNIX_SOCKET_DIR", "BUREAU_PLUGIN_PARENT_FD", "BUREAU_EGRESS_ALLOW", "GOMEMLIMIT", "BUREAU_PLUGIN",
		"PLUGIN_MIN_PORT", "PLUGIN_MAX_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_CLIENT_CERT", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "ZONEINFO",
	}
	for line := range strings.SplitSeq(env, "\n") {
		name, _, ok := strings.Cut(line, "=")
		if ok && strings.ToUpper(name) == name && !strings.ContainsAny(name, " +/") && !slices.Contains(known, name) {
			t.Errorf("the plugin sees %s", name)
		}
	}
	if strings.Contains(env, "s3cret") {
		t.Error("a secret leaked into the plugin's environment")
	}
	if !strings.Contains(env, "BUREAU_EGRESS_ALLOW=127.0.0.1:1") {
		t.Error("the operator's list of allowed addresses is missing")
	}
	call := input(t, map[string]any{"do": "secrets"})
	call.Secrets = map[string]string{"wanted": "a", "unwanted": "b"}
	res, err := tl.Call(t.Context(), call)
	if err != nil || res.Text != `{"wanted":"a"}` {
		t.Errorf("the secrets that the skill was given: %s, %v", res.Text, err)
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	h := newHost(t, func(c *host.Config) { c.MemoryBytes = 256 << 20 })
	tl := h.Tool(b, skillManifest(b))
	if _, err := do(t, tl, map[string]any{"do": "alloc", "n": 32}); err != nil {
		t.Errorf("32 MiB: %v", err)
	}
	if _, err := do(t, tl, map[string]any{"do": "alloc", "n": 1024}); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("1 GiB: got %v, want ErrUnavailable", err)
	}
}

func TestImpostor(t *testing.T) {
	t.Parallel()
	b := naughty(t, "renamed")
	h := newHost(t, nil)
	_, err := h.Tool(b, skillManifest(b)).Call(t.Context(), tool.Call{Input: json.RawMessage(`{}`)})
	if !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("a skill that calls itself otherwise: got %v", err)
	}
	b = naughty(t, "rule")
	_, err = h.Tool(b, skillManifest(b)).Call(t.Context(), tool.Call{Input: json.RawMessage(`{}`)})
	if !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("a rule in a skill's place: got %v", err)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	b := naughty(t, "rule")
	h := newHost(t, func(c *host.Config) { c.RuleTimeout = 30 * time.Second })
	r := h.Rule(b, ruleManifest(b))
	ruletest.CheckDescription(t, r.Describe())
	if err := r.Validate(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for payee, kind := range map[string]fault.Kind{
		"unknown outcome": fault.Internal, "no outcome": fault.Internal, "no reason": fault.Internal, "bad window": fault.Internal,
		"bad currency": fault.Internal, "negative limit": fault.Internal, "hang": fault.Timeout,
	} {
		ctx, cancel := t.Context(), func() {}
		if kind == fault.Timeout {
			ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
		}
		v, err := r.Evaluate(ctx, rule.Input{Payee: payee})
		if cancel(); err == nil || fault.KindOf(err) != kind {
			t.Errorf("%s: got %+v, %v (%v), want kind %v", payee, v, err, fault.KindOf(err), kind)
		}
	}
	amount := money.Of(1, money.USDC)
	v, err := r.Evaluate(t.Context(), rule.Input{
		Payee: "curious", Amount: &amount, Description: "x", AgentID: "agent_x", At: time.Now(),
	})
	if err != nil || v.Outcome != rule.Allow {
		t.Errorf("inputs that were not asked for: got %+v, %v", v, err)
	}
	if _, err := r.Evaluate(t.Context(), rule.Input{Payee: "crash"}); !errors.Is(err, rule.ErrUnavailable) {
		t.Errorf("a crash: got %v", err)
	}
	eventually(t, "a verdict after the crash", func() bool {
		v, err := r.Evaluate(t.Context(), rule.Input{Payee: "x"})
		return err == nil && v.Outcome == rule.Allow
	})
}

func TestForget(t *testing.T) {
	t.Parallel()
	b := naughty(t, "skill")
	var dir string
	h := newHost(t, func(c *host.Config) { dir = c.Dir })
	pid := mustPID(t, h.Tool(b, skillManifest(b)))
	h.Forget(b.Digest)
	eventually(t, "the process ends", func() bool { return gone(pid) })
	if _, err := os.Stat(filepath.Join(dir, b.Digest)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
}

// helper is a server that is about to be killed: it starts the plugin whose binary is in the directory, says its process id, and
// waits.
func helper(dir string) {
	b, err := os.ReadFile(filepath.Join(dir, "plugin"))
	if err != nil {
		panic(err)
	}
	h, err := host.New(host.Config{Dir: filepath.Join(dir, "copies"), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		panic(err)
	}
	bin := binary("naughty", b)
	res, err := h.Tool(bin, skillManifest(bin)).Call(context.Background(), tool.Call{Input: json.RawMessage(`{"do":"pid"}`)})
	if err != nil {
		panic(err)
	}
	fmt.Println(res.Text)
	select {}
}

func TestNoPluginOutlivesItsServer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"skill", "deaf"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r, err := naughty(t, mode).Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "plugin"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "BUREAU_TEST_HOST_HELPER="+dir)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var pid int
			if _, err := fmt.Fscanln(out, &pid); err != nil {
				t.Fatal(err)
			}
			if gone(pid) {
				t.Fatal("the plugin does not run")
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			eventually(t, "the plugin ends", func() bool { return gone(pid) })
		})
	}
}

func BenchmarkCall(b *testing.B) {
	bin := naughty(b, "skill")
	h := newHost(b, nil)
	tl := h.Tool(bin, skillManifest(bin))
	if _, err := do(b, tl, map[string]any{"do": "echo"}); err != nil {
		b.Fatal(err)
	}
	call := input(b, map[string]any{"do": "echo", "text": strings.Repeat("x", 50)})
	b.Run("one caller", func(b *testing.B) {
		for b.Loop() {
			if _, err := tl.Call(b.Context(), call); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("many callers", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := tl.Call(b.Context(), call); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
