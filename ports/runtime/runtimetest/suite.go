// Package runtimetest is the conformance suite of ports/runtime: every Runtime runs it. Its programs are a POSIX shell, its utilities,
// and bash.
package runtimetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// Config says what is tested.
type Config struct {
	// New returns a runtime without sandboxes, which opens the private addresses of allow ("host:port") to sandboxes with a network. It
	// fails the test where the machine cannot isolate programs: a suite that is skipped proves nothing.
	New func(t *testing.T, allow ...string) runtime.Runtime
}

// Secret is a variable that the suite sets in the test's own environment, where no program may find it.
const Secret = "BUREAU_RUNTIMETEST_SECRET"

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if err := os.Setenv(Secret, "hunter2"); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T, Config){
		"Programs": testPrograms, "Refused": testRefused, "Output": testOutput, "Timeout": testTimeout, "Cancel": testCancel,
		"Environment": testEnvironment, "Files": testFiles, "Shared": testShared, "Atomic": testAtomic, "Paths": testPaths, "Links": testLinks,
		"ReadOnly": testReadOnly, "Host": testHost, "Neighbours": testNeighbours, "Processes": testProcesses, "Rights": testRights,
		"Outlive": testOutlive, "Start": testStart, "StartEnds": testStartEnds, "Close": testClose, "Reopen": testReopen,
		"Remove": testRemove, "IDs": testIDs, "ForkBomb": testForkBomb, "Busy": testBusy, "MemoryBomb": testMemoryBomb, "MemoryTogether": testMemoryTogether,
		"DiskFill": testDiskFill, "DiskWrite": testDiskWrite, "NoNetwork": testNoNetwork, "PublicNetwork": testPublicNetwork,
		"LimitedNetwork": testLimitedNetwork, "Concurrent": testConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, cfg)
		})
	}
}

// bench is an open sandbox.
type bench struct {
	runtime.Sandbox

	t *testing.T
	r runtime.Runtime
}

func begin(t *testing.T, cfg Config, spec runtime.Spec, allow ...string) bench {
	t.Helper()
	r := cfg.New(t, allow...)
	if spec.ID == "" {
		spec.ID = "box"
	}
	return reopen(t, r, spec)
}

func reopen(t *testing.T, r runtime.Runtime, spec runtime.Spec) bench {
	t.Helper()
	s, err := r.Open(context.Background(), spec)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return bench{s, t, r}
}

// run runs a program that can be run.
func (b bench) run(c runtime.Command) runtime.Result {
	b.t.Helper()
	res, err := b.Run(context.Background(), c)
	if err != nil {
		b.t.Fatalf("%q: %v", c.Args, err)
	}
	return res
}

func (b bench) sh(script string) runtime.Result {
	b.t.Helper()
	return b.run(runtime.Command{Args: []string{"sh", "-c", script}})
}

// says fails unless a script ends well with an output.
func (b bench) says(script, want string) {
	b.t.Helper()
	if res := b.sh(script); string(res.Output) != want || res.Code != 0 {
		b.t.Errorf("%s: code %d, %q; want %q", script, res.Code, res.Output, want)
	}
}

func (b bench) write(path, text string) {
	b.t.Helper()
	if err := b.Write(context.Background(), path, strings.NewReader(text), 0o644); err != nil {
		b.t.Fatalf("write %s: %v", path, err)
	}
}

func (b bench) read(path string) (string, error) {
	f, err := b.Open(context.Background(), path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	return string(text), err
}

func (b bench) holds(path, want string) {
	b.t.Helper()
	if got, err := b.read(path); err != nil || got != want {
		b.t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

func testPrograms(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	b.says("echo out; echo err >&2; pwd", "out\nerr\n"+runtime.WorkspaceDir+"\n")
	if res := b.sh("exit 3"); res.Code != 3 || res.TimedOut || res.Memory || res.Disk || res.Truncated {
		t.Errorf("exit 3: %+v", res)
	}
	if res := b.sh("kill -9 $$"); res.Code != -1 || res.TimedOut {
		t.Errorf("a program that kills itself: %+v", res)
	}
	if res := b.run(runtime.Command{Args: []string{"/bin/cat"}, Stdin: strings.NewReader("given")}); string(res.Output) != "given" {
		t.Errorf("standard input came as %q", res.Output)
	}
	if res := b.run(runtime.Command{Args: []string{"cat"}}); string(res.Output) != "" || res.Code != 0 {
		t.Errorf("without standard input: %+v", res)
	}
	// A program need not read what it is given, nor must the giver end.
	if res := b.run(runtime.Command{Args: []string{"true"}, Stdin: iotest.DataErrReader(strings.NewReader(strings.Repeat("x", 1<<20)))}); res.Code != 0 {
		t.Errorf("a program that does not read: %+v", res)
	}
	if res := b.run(runtime.Command{Args: []string{"pwd"}, Dir: runtime.TempDir}); string(res.Output) != "/tmp\n" {
		t.Errorf("in /tmp: %q", res.Output)
	}
	if res := b.run(runtime.Command{Args: []string{"sh", "-c", "echo $1 $#", "name", "a b"}}); string(res.Output) != "a b 1\n" {
		t.Errorf("arguments: %q", res.Output)
	}
	b.says("echo to the devices > /dev/stdout; echo x > /dev/null; head -c 3 /dev/zero | wc -c | tr -d ' '", "to the devices\n3\n")
	if res := b.sh("sleep 0.05"); res.Duration < 50*time.Millisecond || res.Duration > 20*time.Second {
		t.Errorf("it took %s", res.Duration)
	}
}

func testRefused(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	b.write("/workspace/plain", "not a program")
	for name, c := range map[string]struct {
		command runtime.Command
		want    error
	}{
		"nothing":        {runtime.Command{}, runtime.ErrProgram},
		"no name":        {runtime.Command{Args: []string{""}}, runtime.ErrProgram},
		"unknown":        {runtime.Command{Args: []string{"no-such-program"}}, runtime.ErrProgram},
		"unknown path":   {runtime.Command{Args: []string{"/usr/bin/no-such-program"}}, runtime.ErrProgram},
		"not executable": {runtime.Command{Args: []string{"/workspace/plain"}}, runtime.ErrProgram},
		"a directory":    {runtime.Command{Args: []string{"/workspace"}}, runtime.ErrProgram},
		"no directory":   {runtime.Command{Args: []string{"true"}, Dir: "/workspace/none"}, runtime.ErrProgram},
		"relative dir":   {runtime.Command{Args: []string{"true"}, Dir: "sub"}, runtime.ErrPath},
		"zero byte":      {runtime.Command{Args: []string{"echo", "a\x00b"}}, runtime.ErrProgram},
		"bad variable":   {runtime.Command{Args: []string{"true"}, Env: map[string]string{"a=b": "c"}}, runtime.ErrProgram},
	} {
		if _, err := b.Run(context.Background(), c.command); !errors.Is(err, c.want) {
			t.Errorf("run, %s: %v, want %v", name, err, c.want)
		}
		if p, err := b.Start(context.Background(), c.command); !errors.Is(err, c.want) {
			t.Errorf("start, %s: %v, want %v", name, err, c.want)
			if p != nil {
				_ = p.Kill()
			}
		}
	}
	b.says("echo still there", "still there\n")
}

func testOutput(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	res := b.run(runtime.Command{Args: []string{"sh", "-c", "printf abcdef"}, MaxOutput: 4})
	if string(res.Output) != "abcd" || !res.Truncated || res.Code != 0 {
		t.Errorf("cut: %+v", res)
	}
	if res := b.run(runtime.Command{Args: []string{"sh", "-c", "printf abcd"}, MaxOutput: 4}); string(res.Output) != "abcd" || res.Truncated {
		t.Errorf("exactly as much: %+v", res)
	}
	// A flood neither fills the server's memory nor stops the program.
	res = b.sh("head -c 64000000 /dev/zero; exit 7")
	if len(res.Output) != runtime.DefaultMaxOutput || !res.Truncated || res.Code != 7 {
		t.Errorf("a flood: %d bytes, truncated %t, code %d", len(res.Output), res.Truncated, res.Code)
	}
}

func testTimeout(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	began := time.Now()
	res := b.run(runtime.Command{Args: []string{"sh", "-c", "echo begun; trap '' TERM INT; sleep 60 & sleep 60"}, Timeout: time.Second})
	if !res.TimedOut || res.Code != -1 || string(res.Output) != "begun\n" {
		t.Errorf("%+v %q", res, res.Output)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s to end a program after a second", took)
	}
	// One whose time is up before it begins has had no time either; that is no fault of the sandbox.
	for _, timeout := range []time.Duration{1, time.Millisecond, 3 * time.Millisecond} {
		if res := b.run(runtime.Command{Args: []string{"sleep", "60"}, Timeout: timeout}); !res.TimedOut || res.Code != -1 {
			t.Errorf("after %s: %+v", timeout, res)
		}
	}
}

func testCancel(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Run(ctx, runtime.Command{Args: []string{"true"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("before it began: %v", err)
	}
	ctx, cancel = context.WithCancel(context.Background())
	go func() {
		for { // until the program runs
			if _, err := b.Stat(context.Background(), "/workspace/begun"); err == nil {
				cancel()
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := b.Run(ctx, runtime.Command{Args: []string{"sh", "-c", "touch begun; sleep 60"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("while it ran: %v", err)
	}
	for name, err := range map[string]error{
		"write":  b.Write(ctx, "/workspace/x", strings.NewReader("x"), 0o644),
		"remove": b.RemoveAll(ctx, "/workspace/begun"),
		"stat":   second(b.Stat(ctx, "/workspace")),
		"list":   second(b.ReadDir(ctx, "/workspace")),
		"open":   second(b.Open(ctx, "/workspace/begun")),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a context that has ended: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func testEnvironment(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Env: map[string]string{"OWN": "spec", "BOTH": "spec"}})
	res := b.run(runtime.Command{Args: []string{"sh", "-c", "env"}, Env: map[string]string{"BOTH": "command", "EMPTY": ""}})
	env := map[string]string{}
	for line := range strings.Lines(string(res.Output)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"OWN": "spec", "BOTH": "command", "EMPTY": "", "HOME": runtime.HomeDir, "TMPDIR": runtime.TempDir,
	} {
		if got, ok := env[name]; !ok || got != want {
			t.Errorf("%s is %q (set: %t), want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"PATH", "LANG"} {
		if env[name] == "" {
			t.Errorf("%s is not set", name)
		}
	}
	if strings.Contains(string(res.Output), Secret) || strings.Contains(string(res.Output), "hunter2") {
		t.Error("the server's environment is in the program's")
	}
	b.says("cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c hunter2 || true", "0\n")
}

func testFiles(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	ctx := context.Background()
	for _, dir := range runtime.Dirs() {
		list, err := b.ReadDir(ctx, dir)
		if err != nil || len(list) != 0 {
			t.Errorf("%s holds %v at first (%v)", dir, list, err)
		}
		b.write(dir+"/sub/file", "text of "+dir)
		b.holds(dir+"/sub/file", "text of "+dir)
	}
	b.write("/workspace/sub/file", "replaced")
	b.write("/workspace/sub/a", "")
	b.holds("/workspace/sub/file", "replaced")
	info, err := b.Stat(ctx, "/workspace/sub/file")
	if err != nil || info.Size() != 8 || info.IsDir() || info.Name() != "file" || info.Mode().Perm() != 0o644 {
		t.Errorf("stat: %+v, %v", info, err)
	}
	list, err := b.ReadDir(ctx, "/workspace/sub")
	if err != nil || len(list) != 2 || list[0].Name() != "a" || list[1].Name() != "file" {
		t.Errorf("list: %v, %v", list, err)
	}
	for name, err := range map[string]error{
		"open": second(b.Open(ctx, "/workspace/none")), "stat": second(b.Stat(ctx, "/workspace/none/below")),
		"list": second(b.ReadDir(ctx, "/workspace/none")),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s of what is not there: %v", name, err)
		}
	}
	if err := b.RemoveAll(ctx, "/workspace/none/below"); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	if err := b.RemoveAll(ctx, "/workspace/sub"); err != nil {
		t.Error(err)
	}
	if _, err := b.Stat(ctx, "/workspace/sub"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after its removal: %v", err)
	}
	if err := b.RemoveAll(ctx, "/tmp"); err != nil {
		t.Error(err)
	}
	if list, err := b.ReadDir(ctx, "/tmp"); err != nil || len(list) != 0 {
		t.Errorf("/tmp, emptied: %v, %v", list, err)
	}
}

// testShared checks that the server and programs can work on each other's files.
func testShared(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	ctx := context.Background()
	b.write("/workspace/new/deep/file", "server")
	b.says("cat new/deep/file && echo program >> new/deep/file && touch new/deep/other new/more && rm new/deep/file && echo done", "serverdone\n")
	b.says("umask 077; mkdir -p closed/in; echo secret > closed/in/file; ln -s in/file closed/link; echo $?", "0\n")
	b.holds("/workspace/closed/link", "secret\n")
	if err := b.Write(ctx, "/workspace/run", strings.NewReader("#!/bin/sh\necho ran $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if res := b.run(runtime.Command{Args: []string{"/workspace/run", "it"}}); string(res.Output) != "ran it\n" {
		t.Errorf("a program that the server wrote: %+v", res)
	}
	b.says("mkdir -p hard/er && touch hard/er/file && chmod 000 hard/er hard && echo ok", "ok\n")
	if err := b.RemoveAll(ctx, "/workspace/hard"); err != nil {
		t.Errorf("removing directories that are closed: %v", err)
	}
	b.says("mkfifo pipe && echo ok", "ok\n")
	if _, err := b.read("/workspace/pipe"); !errors.Is(err, runtime.ErrPath) {
		t.Errorf("reading a named pipe: %v", err)
	}
}

func testAtomic(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	b.write("/workspace/file", "old")
	broken := io.MultiReader(strings.NewReader("new and "), iotest.ErrReader(errors.New("broken")))
	if err := b.Write(context.Background(), "/workspace/file", broken, 0o644); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("a source that breaks: %v", err)
	}
	b.holds("/workspace/file", "old")
	b.says("ls -A", "file\n")
	if err := b.Write(context.Background(), "/workspace", strings.NewReader(""), 0o644); !errors.Is(err, runtime.ErrPath) {
		t.Errorf("writing a directory: %v", err)
	}
	b.says("mkdir dir && echo ok", "ok\n")
	if err := b.Write(context.Background(), "/workspace/dir", strings.NewReader("x"), 0o644); err == nil {
		t.Error("a directory was replaced")
	}
	if err := b.Write(context.Background(), "/workspace/file/below", strings.NewReader("x"), 0o644); err == nil {
		t.Error("a file became a directory")
	}
	b.says("ls -A", "dir\nfile\n")
}

func testPaths(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	ctx := context.Background()
	for _, p := range []string{"", "relative", "./relative", "../x", "/etc/passwd", "/proc/1/environ", "/workspace/../etc/passwd", "/root/x", "/workspace/a\x00b", "/workspacex/y"} {
		for name, err := range map[string]error{
			"write": b.Write(ctx, p, strings.NewReader("x"), 0o644), "open": second(b.Open(ctx, p)), "stat": second(b.Stat(ctx, p)),
			"list": second(b.ReadDir(ctx, p)), "remove": b.RemoveAll(ctx, p),
		} {
			if !errors.Is(err, runtime.ErrPath) {
				t.Errorf("%s %q: %v, want ErrPath", name, p, err)
			}
		}
	}
	for _, p := range []string{"/mnt/x", "/home/x", "/mnt/session/x", "/x", "/mnt", "/"} {
		if err := b.Write(ctx, p, strings.NewReader("x"), 0o644); !errors.Is(err, runtime.ErrPath) {
			t.Errorf("write %s: %v, want ErrPath", p, err)
		}
	}
	b.write("/workspace/a/../b", "b")
	b.holds("/workspace//./b", "b")
	names := []string{}
	list, err := b.ReadDir(ctx, "/")
	for _, e := range list {
		names = append(names, e.Name())
	}
	if err != nil || !slices.Contains(names, "workspace") || !slices.Contains(names, "mnt") {
		t.Errorf("list /: %v, %v", names, err)
	}
}

// testLinks checks that links lead where programs think they do, and never out.
func testLinks(t *testing.T, cfg Config) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := begin(t, cfg, runtime.Spec{})
	ctx := context.Background()
	b.says("echo there > /tmp/there; ln -s /tmp/there abs; ln -s ../tmp/there rel; ln -s /tmp dir; ln -s loop loop; echo ok", "ok\n")
	b.holds("/workspace/abs", "there\n")
	b.holds("/workspace/rel", "there\n")
	b.holds("/workspace/dir/there", "there\n")
	b.write("/workspace/dir/new", "new")
	b.says("cat /tmp/new", "new")
	b.write("/workspace/abs", "changed")
	b.says("cat /tmp/there; test -L abs && echo link", "changedlink\n")
	if _, err := b.read("/workspace/loop"); !errors.Is(err, runtime.ErrPath) {
		t.Errorf("a loop: %v", err)
	}
	if err := b.RemoveAll(ctx, "/workspace/abs"); err != nil {
		t.Error(err)
	}
	b.says("cat /tmp/there", "changed")
	for i, target := range []string{
		outside, "/etc/passwd", "/etc", "/", "../../../../../../../../../../.." + outside, "/proc/self/root" + outside, "../../../etc/passwd",
		filepath.Dir(outside), "..", "../..",
	} {
		name := fmt.Sprintf("/workspace/out%d", i)
		b.run(runtime.Command{Args: []string{"ln", "-s", target, name}})
		if text, err := b.read(name); err == nil && text != "from the sandbox" { // its own /tmp may have a file of that name by now
			t.Errorf("a link to %s reads %q", target, text)
		}
		if text, err := b.read(name + "/passwd"); err == nil {
			t.Errorf("a link to %s, below: %q", target, text)
		}
		_ = b.Write(ctx, name, strings.NewReader("from the sandbox"), 0o644)
		_ = b.Write(ctx, name+"/planted", strings.NewReader("from the sandbox"), 0o644)
		_ = b.RemoveAll(ctx, name+"/outside")
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "host" {
		t.Errorf("the host's file holds %q (%v)", got, err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(outside), "planted")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made on the host: %v", err)
	}
	if _, err := os.Stat("/etc/planted"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made in /etc: %v", err)
	}
	// A program that changes the links while the server works wins nothing either.
	p, err := b.Start(ctx, runtime.Command{Args: []string{"sh", "-c", "mkdir -p real; while :; do rm -rf race; ln -s " + filepath.Dir(outside) +
		" race; rm -f race; mkdir race; done"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		_ = b.Write(ctx, "/workspace/race/outside", strings.NewReader("from the sandbox"), 0o644)
		if text, err := b.read("/workspace/race/outside"); err == nil && text == "host" {
			t.Fatal("a race was lost: the host's file was read")
		}
	}
	_ = p.Kill()
	if got, err := os.ReadFile(outside); err != nil || string(got) != "host" {
		t.Errorf("a race was lost: the host's file holds %q (%v)", got, err)
	}
}

func testReadOnly(t *testing.T, cfg Config) {
	spec := runtime.Spec{ID: "box", ReadOnly: []string{runtime.SkillsDir, runtime.MemoryDir + "/fixed", runtime.UploadsDir + "/"}}
	b := begin(t, cfg, spec)
	b.write("/mnt/skills/one/SKILL.md", "skill")
	b.write("/mnt/memory/fixed/note", "fixed")
	b.write("/mnt/memory/free/note", "free")
	for _, p := range []string{"/mnt/skills/one/SKILL.md", "/mnt/skills/new", "/mnt/memory/fixed/note", "/mnt/memory/fixed/new", "/mnt/session/uploads/x"} {
		if res := b.sh("echo changed > " + p); res.Code == 0 {
			t.Errorf("%s was written", p)
		}
	}
	for _, script := range []string{
		"rm /mnt/skills/one/SKILL.md", "rm -rf /mnt/memory/fixed", "mv /mnt/memory/fixed /mnt/memory/moved", "chmod 777 /mnt/skills", "mv /mnt/skills /mnt/x",
		"touch /mnt/skills/one/SKILL.md",
	} {
		if res := b.sh(script); res.Code == 0 {
			t.Errorf("%s: it was done", script)
		}
	}
	b.says("cat /mnt/skills/one/SKILL.md /mnt/memory/fixed/note; echo more >> /mnt/memory/free/note; cat /mnt/memory/free/note", "skillfixedfreemore\n")
	spec.ReadOnly = nil
	b = reopen(t, b.r, spec)
	b.says("echo changed > /mnt/skills/one/SKILL.md; cat /mnt/skills/one/SKILL.md", "changed\n")
	spec.ReadOnly = []string{"/etc"}
	if _, err := b.r.Open(context.Background(), spec); !errors.Is(err, runtime.ErrPath) {
		t.Errorf("a read-only directory elsewhere: %v", err)
	}
}

// testHost looks for the host's files.
func testHost(t *testing.T, cfg Config) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("host"), 0o644); err != nil {
		t.Fatal(err)
	}
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) { // so that nothing but the sandbox forbids it
		_ = os.Chmod(at, 0o755)
	}
	b := begin(t, cfg, runtime.Spec{})
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{file, wd, exe, fmt.Sprintf("/proc/%d", os.Getpid()), "/root", "/var/lib", "/sys/kernel", "/dev/vda", "/dev/mem", "/dev/kmsg", "/etc/shadow", "/run", "/boot"} {
		if res := b.sh("ls -d " + p); res.Code == 0 {
			t.Errorf("%s is in sight", p)
		}
	}
	for _, p := range []string{"/proc/1/environ", "/proc/1/mem", "/proc/1/root/etc/shadow", "/proc/1/root" + file, "/proc/1/cwd/x", "/proc/kcore", "/proc/self/root" + file} {
		if res := b.sh("head -c 1 " + p); res.Code == 0 && len(res.Output) > 0 {
			t.Errorf("%s can be read", p)
		}
	}
	for _, p := range []string{"/etc/x", "/usr/x", "/x", "/dev/x", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/mnt/x", "/home/x", "/proc/sys/kernel/core_pattern"} {
		if res := b.sh("echo x > " + p); res.Code == 0 && p != "/proc/sysrq-trigger" {
			t.Errorf("%s can be written", p)
		}
	}
}

func testNeighbours(t *testing.T, cfg Config) {
	r := cfg.New(t)
	one, two := reopen(t, r, runtime.Spec{ID: "one"}), reopen(t, r, runtime.Spec{ID: "two"})
	for _, dir := range runtime.Dirs() {
		one.write(dir+"/mine-alone", "one's")
	}
	two.says("find / -name mine-alone 2>/dev/null; echo end", "end\n")
	p, err := one.Start(context.Background(), runtime.Command{Args: []string{"sh", "-c", "echo ready; sleep 60"}})
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(p.Stdout()).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	two.says("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 6[0]' || true", "0\n")
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	one.says("cat mine-alone", "one's")
}

// testProcesses looks for the processes of the host.
func testProcesses(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	res := b.sh("ls /proc | grep -E '^[0-9]+$' | wc -l")
	if n := strings.TrimSpace(string(res.Output)); len(n) != 1 {
		t.Errorf("a program sees %s processes", n)
	}
	if res := b.sh(fmt.Sprintf("kill -0 %d", os.Getpid())); res.Code == 0 {
		t.Error("a program can signal the server")
	}
}

func testRights(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	status := map[string]string{}
	for line := range strings.Lines(string(b.sh("cat /proc/self/status").Output)) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.TrimSpace(value)
	}
	for _, name := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		if strings.Trim(status[name], "0") != "" || status[name] == "" {
			t.Errorf("%s is %q", name, status[name])
		}
	}
	if status["NoNewPrivs"] != "1" {
		t.Errorf("NoNewPrivs is %q", status["NoNewPrivs"])
	}
	if res := b.sh("id -u"); strings.TrimSpace(string(res.Output)) == "0" {
		t.Error("programs run as root")
	}
	for _, script := range []string{
		"unshare -U true", "unshare -r true", "unshare -n true", "mount -t tmpfs none /tmp", "chroot /workspace true", "mknod /tmp/dev c 1 1", "nsenter -t 1 -m true",
	} {
		if res := b.sh(script); res.Code == 0 {
			t.Errorf("%s: it was allowed", script)
		}
	}
}

// testOutlive checks that what a call starts ends with it.
func testOutlive(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	const beat = "(trap '' HUP TERM INT; i=0; while :; do i=$((i+1)); echo $i > /workspace/beat; done) >/dev/null 2>&1 </dev/null"
	began := time.Now()
	b.says("setsid sh -c \""+strings.ReplaceAll(beat, "$", "\\$")+"\" & while ! test -s beat; do :; done; echo over", "over\n")
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("the call waited %s for what it has started", took)
	}
	last, err := b.read("/workspace/beat")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.says("true", "")
	}
	b.holds("/workspace/beat", last)
}

func testStart(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	p, err := b.Start(context.Background(), runtime.Command{Args: []string{"sh", "-c", "while read line; do echo \"got $line\"; echo \"log $line\" >&2; done; exit 5"}})
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(p.Stdout())
	for _, word := range []string{"one", "two"} {
		if _, err := fmt.Fprintln(p.Stdin(), word); err != nil {
			t.Fatal(err)
		}
		if line, err := lines.ReadString('\n'); line != "got "+word+"\n" {
			t.Errorf("%q, %v", line, err)
		}
	}
	b.says("echo meanwhile", "meanwhile\n")
	if err := p.Stdin().Close(); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
	for range 2 {
		if res, err := p.Wait(); err != nil || res.Code != 5 || res.Duration <= 0 {
			t.Errorf("%+v, %v", res, err)
		}
	}
	if got := p.Stderr(); got != "log one\nlog two\n" {
		t.Errorf("standard error: %q", got)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
}

func testStartEnds(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, end := range map[string]func(runtime.Process){
		"killed":    func(p runtime.Process) { _ = p.Kill() },
		"cancelled": func(runtime.Process) { cancel() },
	} {
		p, err := b.Start(ctx, runtime.Command{Args: []string{"sh", "-c", "trap '' TERM; echo ready; sleep 60 & sleep 60"}})
		if ctx.Err() != nil {
			ctx, cancel = context.WithCancel(context.Background())
			defer cancel()
			p, err = b.Start(ctx, runtime.Command{Args: []string{"sh", "-c", "trap '' TERM; echo ready; sleep 60 & sleep 60"}})
		}
		if err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(p.Stdout())
		if line, err := out.ReadString('\n'); line != "ready\n" {
			t.Fatalf("%q, %v", line, err)
		}
		end(p)
		if res, err := p.Wait(); err != nil || res.Code != -1 {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		if _, err := out.ReadString('\n'); err == nil {
			t.Errorf("%s: there is more to read", name)
		}
	}
}

func testClose(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	b.write("/workspace/file", "kept")
	p, err := b.Start(context.Background(), runtime.Command{Args: []string{"sleep", "60"}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() {
		_, err := b.Run(context.Background(), runtime.Command{Args: []string{"sh", "-c", "touch begun; sleep 60"}})
		ran <- err
	}()
	for { // until it runs
		if _, err := b.Stat(context.Background(), "/workspace/begun"); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if res, err := p.Wait(); err != nil || res.Code != -1 {
		t.Errorf("a program when the sandbox was closed: %+v, %v", res, err)
	}
	if err := <-ran; !errors.Is(err, runtime.ErrGone) {
		t.Errorf("a call when the sandbox was closed: %v", err)
	}
	ctx := context.Background()
	for name, err := range map[string]error{
		"run":    second(b.Run(ctx, runtime.Command{Args: []string{"true"}})),
		"start":  second(b.Start(ctx, runtime.Command{Args: []string{"true"}})),
		"write":  b.Write(ctx, "/workspace/x", strings.NewReader("x"), 0o644),
		"remove": b.RemoveAll(ctx, "/workspace/file"),
		"stat":   second(b.Stat(ctx, "/workspace")),
		"list":   second(b.ReadDir(ctx, "/workspace")),
		"open":   second(b.Open(ctx, "/workspace/file")),
	} {
		if !errors.Is(err, runtime.ErrGone) {
			t.Errorf("%s in a closed sandbox: %v", name, err)
		}
	}
	reopen(t, b.r, runtime.Spec{ID: "box"}).holds("/workspace/file", "kept")
}

// testReopen checks that a sandbox that is open is the same for everybody, and that the last Spec holds.
func testReopen(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Env: map[string]string{"A": "1"}})
	b.write("/workspace/file", "text")
	again := reopen(t, b.r, runtime.Spec{ID: "box", Env: map[string]string{"A": "2"}})
	again.holds("/workspace/file", "text")
	b.says("echo $A", "2\n")
	again.says("echo $A", "2\n")
}

func testRemove(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{})
	ctx := context.Background()
	b.says("mkdir -p a/b && echo x > a/b/c && chmod 000 a/b && echo ok", "ok\n")
	p, err := b.Start(ctx, runtime.Command{Args: []string{"sleep", "60"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.r.Remove(ctx, "box"); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if res, err := p.Wait(); err != nil || res.Code != -1 {
		t.Errorf("a program when the sandbox was removed: %+v, %v", res, err)
	}
	if _, err := b.Run(ctx, runtime.Command{Args: []string{"true"}}); !errors.Is(err, runtime.ErrGone) {
		t.Errorf("run: %v", err)
	}
	if err := b.r.Remove(ctx, "never-there"); err != nil {
		t.Errorf("removing what was never there: %v", err)
	}
	reopen(t, b.r, runtime.Spec{ID: "box"}).says("ls -A", "")
}

func testIDs(t *testing.T, cfg Config) {
	r := cfg.New(t)
	for _, id := range []string{"", "..", ".", "a/b", "A", "a b", strings.Repeat("a", 65), "a\n", "../a", "ä"} {
		if _, err := r.Open(context.Background(), runtime.Spec{ID: id}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("open %q: %v", id, err)
		}
		if err := r.Remove(context.Background(), id); fault.KindOf(err) != fault.Invalid {
			t.Errorf("remove %q: %v", id, err)
		}
	}
	if _, err := r.Open(context.Background(), runtime.Spec{ID: "a", Network: runtime.Network{Mode: "everything"}}); !errors.Is(err, runtime.ErrIsolation) {
		t.Errorf("an unknown network: %v", err)
	}
	if _, err := r.Open(context.Background(), runtime.Spec{ID: "a", Limits: runtime.Limits{Memory: -1}}); err == nil {
		t.Error("a negative limit was taken")
	}
	reopen(t, r, runtime.Spec{ID: strings.Repeat("a", 64)}).says("echo ok", "ok\n")
}

func testForkBomb(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Limits: runtime.Limits{Processes: 32}})
	res := b.sh("i=0; while [ $i -lt 100 ]; do sleep 20 & i=$((i+1)); done; echo all")
	if res.Code == 0 || strings.Contains(string(res.Output), "all") {
		t.Errorf("a hundred processes where 32 may be: code %d %q", res.Code, res.Output)
	}
	began := time.Now()
	b.run(runtime.Command{Args: []string{"bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 30"}, Timeout: 2 * time.Second, MaxOutput: 1000})
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("a fork bomb held the server for %s", took)
	}
	b.says("echo alive", "alive\n")
}

// testBusy checks that a program that takes all there is does not hold the server, and can be ended.
func testBusy(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Limits: runtime.Limits{Processes: 16}})
	p, err := b.Start(context.Background(), runtime.Command{Args: []string{"bash", "-c", "while :; do sleep 30 & done 2>/dev/null"}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 3 {
		if _, err := b.Run(context.Background(), runtime.Command{Args: []string{"true"}, Timeout: 5 * time.Second}); err != nil && !errors.Is(err, runtime.ErrBusy) {
			t.Errorf("a call meanwhile: %v", err)
		}
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 60*time.Second {
		t.Errorf("it took %s", took)
	}
	b.says("echo alive", "alive\n")
}

func testMemoryBomb(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Limits: runtime.Limits{Memory: 96 << 20}})
	res := b.run(runtime.Command{Args: []string{"tail", "/dev/zero"}, Timeout: time.Minute})
	if res.Code == 0 || res.TimedOut {
		t.Errorf("a program without end: %+v", res)
	}
	if !res.Memory && !strings.Contains(string(res.Output), "memory") {
		t.Errorf("nobody says that memory was the reason: %+v %q", res, res.Output)
	}
	b.says("echo alive", "alive\n")
	if res := b.sh("head -c 1000000 /dev/zero | tail | wc -c"); strings.TrimSpace(string(res.Output)) != "1000000" || res.Memory {
		t.Errorf("a program that uses little: %+v %q", res, res.Output)
	}
}

// testMemoryTogether checks that many processes have no more than one.
func testMemoryTogether(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Limits: runtime.Limits{Memory: 128 << 20}})
	res := b.run(runtime.Command{
		Args:    []string{"sh", "-c", "for i in 1 2 3 4 5 6; do (head -c 48000000 /dev/zero; sleep 20) | tail & done; wait; echo all"},
		Timeout: 15 * time.Second, MaxOutput: 10,
	})
	if !res.Memory {
		t.Errorf("six times 48 MB where 128 MiB may be used: %+v", res)
	}
}

func testDiskFill(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Limits: runtime.Limits{Disk: 8 << 20}})
	if res := b.sh("head -c 20000000 /dev/zero > big"); res.Code == 0 {
		t.Error("a file larger than the disk was written")
	}
	b.says("rm -f big; echo ok", "ok\n")
	res := b.run(runtime.Command{
		Args: []string{"sh", "-c", "i=0; while :; do head -c 1000000 /dev/zero > f$i; sleep 0.05; i=$((i+1)); done"}, Timeout: 60 * time.Second,
	})
	if !res.Disk || res.TimedOut {
		t.Errorf("many files: %+v", res)
	}
	if err := b.Write(context.Background(), "/workspace/x", strings.NewReader("x"), 0o644); !errors.Is(err, runtime.ErrDiskFull) {
		t.Errorf("writing to a full sandbox: %v", err)
	}
	if res := b.sh("head -c 1000000 /dev/zero > more"); res.Code == 0 {
		t.Error("a full sandbox was written to")
	}
	if res := b.sh("echo text > more"); !res.Disk {
		t.Errorf("nobody says that the disk is full: %+v", res)
	}
	b.says("rm -f f* more; echo room", "room\n") // which can be used in the next call at the latest
	b.says("echo space > new; cat new", "space\n")
}

func testDiskWrite(t *testing.T, cfg Config) {
	b := begin(t, cfg, runtime.Spec{Limits: runtime.Limits{Disk: 1 << 20}})
	ctx := context.Background()
	if err := b.Write(ctx, "/workspace/big", strings.NewReader(strings.Repeat("x", 2<<20)), 0o644); !errors.Is(err, runtime.ErrDiskFull) {
		t.Errorf("too large a file: %v", err)
	}
	b.says("ls -A", "")
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		err = b.Write(ctx, fmt.Sprintf("/tmp/%d", i), strings.NewReader(strings.Repeat("x", 64<<10)), 0o644)
	}
	if !errors.Is(err, runtime.ErrDiskFull) {
		t.Errorf("many files: %v", err)
	}
	if err := b.RemoveAll(ctx, "/tmp"); err != nil {
		t.Error(err)
	}
	b.write("/workspace/x", "x")
}

// ask is a bash script that sends a request to the proxy, or to an address.
const ask = `exec 3<>/dev/tcp/$1/$2 || exit 9; printf "$3" >&3; cat <&3`

func proxyOf(b bench) (host, port string) {
	b.t.Helper()
	res := b.sh("echo $HTTP_PROXY; test \"$HTTP_PROXY\" = \"$https_proxy\" && test \"$HTTPS_PROXY\" = \"$http_proxy\" && echo $NO_PROXY $no_proxy")
	address, rest, _ := strings.Cut(string(res.Output), "\n")
	host, port, err := net.SplitHostPort(strings.TrimPrefix(address, "http://"))
	if err != nil || !strings.Contains(rest, "localhost") {
		b.t.Fatalf("the proxy's variables: %q", res.Output)
	}
	return host, port
}

func (b bench) ask(host, port, request string) string {
	b.t.Helper()
	res := b.run(runtime.Command{Args: []string{"bash", "-c", ask, "ask", host, port, request}, Timeout: 20 * time.Second})
	return string(res.Output)
}

// site is a server on the loopback interface.
func site(t *testing.T) (host, port string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "you reached %s of %s", r.URL.Path, r.Host)
	}))
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// unreachable checks that no program connects to an address by itself.
func (b bench) unreachable(host, port string) {
	b.t.Helper()
	if got := b.ask(host, port, "GET / HTTP/1.0\\r\\n\\r\\n"); strings.Contains(got, "HTTP/") {
		b.t.Errorf("a program reached %s:%s: %q", host, port, got)
	}
}

func testNoNetwork(t *testing.T, cfg Config) {
	host, port := site(t)
	b := begin(t, cfg, runtime.Spec{}, net.JoinHostPort(host, port))
	b.says("env | grep -ci proxy || true", "0\n")
	b.unreachable(host, port)
	b.unreachable("169.254.169.254", "80")
	b.unreachable("localhost", port)
	if res := b.sh("cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d ' '"); strings.TrimSpace(string(res.Output)) != "lo" {
		t.Errorf("its interfaces are %q", res.Output)
	}
}

func testPublicNetwork(t *testing.T, cfg Config) {
	host, port := site(t)
	closedHost, closedPort := site(t)
	b := begin(t, cfg, runtime.Spec{Network: runtime.Network{Mode: runtime.NetworkPublic}}, net.JoinHostPort(host, port))
	proxyHost, proxyPort := proxyOf(b)
	b.unreachable(host, port)
	get := func(host, port string) string {
		return b.ask(proxyHost, proxyPort, fmt.Sprintf("GET http://%s:%s/page HTTP/1.1\\r\\nHost: elsewhere.example\\r\\nConnection: close\\r\\n\\r\\n", host, port))
	}
	connect := func(host, port string) string {
		return b.ask(proxyHost, proxyPort, fmt.Sprintf("CONNECT %s:%s HTTP/1.1\\r\\nHost: %[1]s:%[2]s\\r\\n\\r\\nGET /tunnel HTTP/1.0\\r\\n\\r\\n", host, port))
	}
	if got := get(host, port); !strings.Contains(got, "200 OK") || !strings.Contains(got, "you reached /page of "+net.JoinHostPort(host, port)) {
		t.Errorf("an open address: %q", got)
	}
	if got := connect(host, port); !strings.Contains(got, "you reached /tunnel") {
		t.Errorf("an open address, by CONNECT: %q", got)
	}
	for _, a := range [][2]string{{closedHost, closedPort}, {"localhost", closedPort}, {"169.254.169.254", "80"}, {"10.0.0.1", "80"}, {"0.0.0.0", closedPort}, {"[::1]", closedPort}, {"[::ffff:127.0.0.1]", closedPort}, {"2130706433", closedPort}} {
		for how, got := range map[string]string{"GET": get(a[0], a[1]), "CONNECT": connect(a[0], a[1])} {
			if strings.Contains(got, "you reached") || !strings.Contains(got, "HTTP/1.1 403") && !strings.Contains(got, "HTTP/1.1 502") {
				t.Errorf("%s %v: %q", how, a, got)
			}
		}
	}
	for _, request := range []string{
		"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n", "GET file:///etc/passwd HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n",
		"CONNECT nonsense HTTP/1.1\\r\\nHost: nonsense\\r\\nConnection: close\\r\\n\\r\\n",
	} {
		if got := b.ask(proxyHost, proxyPort, request); !strings.HasPrefix(got, "HTTP/1.1 4") {
			t.Errorf("%s: %q", request, got)
		}
	}
}

func testLimitedNetwork(t *testing.T, cfg Config) {
	host, port := site(t)
	address := net.JoinHostPort(host, port)
	r := cfg.New(t, address)
	spec := runtime.Spec{ID: "box", Network: runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{host, "*.example.com"}}}
	b := reopen(t, r, spec)
	proxyHost, proxyPort := proxyOf(b)
	get := func(b bench, url string) string {
		return b.ask(proxyHost, proxyPort, "GET "+url+" HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
	}
	if got := get(b, "http://"+address+"/page"); !strings.Contains(got, "you reached /page") {
		t.Errorf("a host that is named: %q", got)
	}
	if got := get(b, "http://localhost:"+port+"/page"); !strings.Contains(got, "403") || strings.Contains(got, "you reached") {
		t.Errorf("the same host by another name: %q", got)
	}
	if got := b.ask(proxyHost, proxyPort, "CONNECT localhost:"+port+" HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET / HTTP/1.0\\r\\n\\r\\n"); !strings.Contains(got, "403") {
		t.Errorf("the same host by another name, by CONNECT: %q", got)
	}
	spec.Network.Hosts = nil
	if got := get(reopen(t, r, spec), "http://"+address+"/page"); !strings.Contains(got, "403") {
		t.Errorf("no host is named: %q", got)
	}
	spec.Network = runtime.Network{}
	reopen(t, r, spec).unreachable(proxyHost, proxyPort)
}

func testConcurrent(t *testing.T, cfg Config) {
	r := cfg.New(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx := context.Background()
			s, err := r.Open(ctx, runtime.Spec{ID: fmt.Sprintf("box-%d", i%4), Network: runtime.Network{Mode: runtime.NetworkPublic}})
			if err != nil {
				t.Errorf("%d: %v", i, err)
				return
			}
			want := fmt.Sprintf("text of %d", i)
			if err := s.Write(ctx, fmt.Sprintf("/workspace/%d", i), strings.NewReader(want), 0o644); err != nil {
				t.Errorf("%d: %v", i, err)
			}
			res, err := s.Run(ctx, runtime.Command{Args: []string{"sh", "-c", fmt.Sprintf("sleep 0.2; cat %d", i)}})
			if err != nil || string(res.Output) != want || res.Code != 0 {
				t.Errorf("%d: %+v %q, %v", i, res, res.Output, err)
			}
		})
	}
	wg.Wait()
}
