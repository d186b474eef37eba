package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// serverDir names, in the environment of a copy of this program, where it plays a server that is killed.
const serverDir = "BUREAU_TEST_SERVER_DIR"

// marker stands in the command line of programs that must not outlive their server.
const marker = "must-not-outlive-its-server"

// playServer opens a sandbox, runs programs in it in every way, says so, and waits for its end.
func playServer(dir string) error {
	r, err := process.New(process.Config{Dir: dir})
	if err != nil {
		return err
	}
	ctx := context.Background()
	s, err := r.Open(ctx, runtime.Spec{ID: "box", Network: runtime.Network{Mode: runtime.NetworkPublic}})
	if err != nil {
		return err
	}
	script := "trap '' TERM HUP INT; setsid sleep 600 & echo ready; while :; do sleep 1; done # " + marker
	p, err := s.Start(ctx, runtime.Command{Args: []string{"sh", "-c", script, marker}})
	if err != nil {
		return err
	}
	if _, err := bufio.NewReader(p.Stdout()).ReadString('\n'); err != nil {
		return err
	}
	go func() {
		_, _ = s.Run(ctx, runtime.Command{Args: []string{"sh", "-c", "touch running; " + script, marker}})
	}()
	for {
		if _, err := s.Stat(ctx, "/workspace/running"); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	fmt.Println("ready")
	select {}
}

// marked returns the processes of this machine that have the marker in their command line.
func marked() []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var found []string
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && strings.Contains(string(raw), marker) && !strings.Contains(string(raw), "-test.") {
			found = append(found, file)
		}
	}
	return found
}

// A server that is killed leaves no process, and its successor finds the files.
func TestServerKilled(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), serverDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if len(marked()) < 2 {
		t.Errorf("the programs do not run: %v", marked())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(20 * time.Second); len(marked()) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("what the server has started is still there: %v", marked())
		}
	}
	r := newRuntime(t, process.Config{Dir: dir})
	s, err := r.Open(context.Background(), runtime.Spec{ID: "box"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(context.Background(), "/workspace/running"); err != nil {
		t.Error(err)
	}
	if res, err := s.Run(context.Background(), runtime.Command{Args: []string{"true"}}); err != nil || res.Code != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

// All of it holds for a server that is not root, too.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("every test of this run is one of a server that is not root")
	}
	const nobody = 65534
	_, exe, temp := world(t, nobody)
	cmd := exec.Command(exe, "-test.v", "-test.timeout=5m", "-test.skip=TestUnprivileged")
	cmd.Dir = temp
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, "HOME=" + temp, programFile + "=" + hostProgram(t)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	t.Logf("as user %d:\n%s", nobody, out)
	if err != nil {
		t.Error(err)
	}
}

func duplicate(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// The server's own directory and everything of other sandboxes are out of sight, whoever the server is.
func TestDataDirectory(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "root_secret"), []byte("sealed"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := newRuntime(t, process.Config{Dir: filepath.Join(data, "sandboxes")})
	ctx := context.Background()
	for _, id := range []string{"one", "two"} {
		s, err := r.Open(ctx, runtime.Spec{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(ctx, "/workspace/private", strings.NewReader(id), 0o666); err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf("cat %[1]s/root_secret; ls %[1]s %[1]s/sandboxes; cat %[1]s/sandboxes/one/files/workspace/private; "+
			"cat /proc/*/root%[1]s/root_secret; find / -name root_secret 2>/dev/null", data)
		res, err := s.Run(ctx, runtime.Command{Args: []string{"sh", "-c", script + " 2>/dev/null"}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(res.Output), "sealed") || strings.Contains(string(res.Output), "one\n") ||
			strings.Contains(string(res.Output), "/root_secret\n") {
			t.Errorf("%s sees %q", id, res.Output)
		}
	}
}

// Paths that the operator opens can be read, and not written; the server's own directory is hidden even there.
func TestPaths(t *testing.T) {
	dir, err := os.MkdirTemp("/var/tmp", "opened-") // the sandbox has a /tmp of its own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	data := filepath.Join(dir, "data")
	if err := errors.Join(os.Chmod(dir, 0o777), os.WriteFile(filepath.Join(dir, "file"), []byte("opened"), 0o666), os.Mkdir(data, 0o777),
		os.WriteFile(filepath.Join(data, "secret"), []byte("secret"), 0o666)); err != nil {
		t.Fatal(err)
	}
	r := newRuntime(t, process.Config{
		Dir: filepath.Join(data, "sandboxes"), Hidden: []string{data}, Paths: []string{"/etc/hostname", dir, "/var/tmp/not-there"},
	})
	s, err := r.Open(context.Background(), runtime.Spec{ID: "box"})
	if err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"cat /etc/hostname":                                     "sandbox\n", // what the sandbox has itself is not replaced
		"cat " + dir + "/file":                                  "opened",
		"echo x > " + dir + "/file || cat " + dir + "/file":     "opened",
		"ls -A " + dir + "/data; echo x > " + dir + "/data/new": "",
	} {
		res, err := s.Run(context.Background(), runtime.Command{Args: []string{"sh", "-c", "(" + script + ") 2>/dev/null"}})
		if err != nil || string(res.Output) != want {
			t.Errorf("%s: %+v %q, %v", script, res, res.Output, err)
		}
	}
	if got, err := os.ReadDir(data); err != nil || len(got) != 2 {
		t.Errorf("the data directory holds %v (%v)", got, err)
	}
	for _, bad := range []string{"relative", "/", "/usr/.."} {
		if _, err := process.New(process.Config{Dir: t.TempDir(), Paths: []string{bad}}); err == nil {
			t.Errorf("the path %q was taken", bad)
		}
	}
}

// Where a machine refuses namespaces so are programs, and the error says what to do; unless the operator wants them all the same.
func TestNoIsolation(t *testing.T) {
	if os.Getenv(refusing) != "" {
		dir := os.Getenv(refusing)
		r, err := process.New(process.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := r.Open(t.Context(), runtime.Spec{ID: "box"}); !errors.Is(err, runtime.ErrIsolation) || !strings.Contains(err.Error(), "BUREAU_UNSAFE_SANDBOX") {
			t.Errorf("open: %v", err)
		}
		if err := r.Remove(t.Context(), "box"); err != nil {
			t.Errorf("remove: %v", err)
		}
		r, err = process.New(process.Config{Dir: dir, Unsafe: true})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.Check(t.Context()); !errors.Is(err, runtime.ErrIsolation) {
			t.Errorf("check: %v", err)
		}
		s, err := r.Open(t.Context(), runtime.Spec{ID: "box"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Write(t.Context(), "/workspace/file", strings.NewReader("text"), 0o644); err != nil {
			t.Error(err)
		}
		res, err := s.Run(t.Context(), runtime.Command{Args: []string{"sh", "-c", "cat file; sleep 600 & env | grep -c " + refusing}})
		if err != nil || string(res.Output) != "text0\n" {
			t.Errorf("%+v %q, %v", res, res.Output, err)
		}
		if _, err := s.Run(t.Context(), runtime.Command{Args: []string{"no-such-program"}}); !errors.Is(err, runtime.ErrProgram) {
			t.Errorf("%v", err)
		}
		res, err = s.Run(t.Context(), runtime.Command{Args: []string{"sleep", "600"}, Timeout: 100 * time.Millisecond})
		if err != nil || !res.TimedOut {
			t.Errorf("%+v, %v", res, err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can take from a process what this test takes; it runs as root, too")
	}
	dir, exe, temp := world(t, first+1000)
	script := "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --reuid=1000 --regid=1000 --clear-groups \"$@\""
	cmd := exec.Command("sh", "-c", script, "sh", exe, "-test.v", "-test.run=TestNoIsolation")
	cmd.Dir, cmd.Env = temp, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, refusing + "=" + filepath.Join(temp, "sandboxes")}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: first, Size: 65536}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{}}
	out, err := cmd.CombinedOutput()
	t.Logf("in %s:\n%s", dir, out)
	if err != nil {
		t.Error(err)
	}
}

const (
	// refusing names, in the environment of a copy of this program that may make no namespaces, where it keeps its sandboxes.
	refusing = "BUREAU_TEST_REFUSING_DIR"
	// first is the first of a range of users that nobody has.
	first = 200000
)

// world makes a copy of the test's own binary, which is root's alone, and a directory for temporary files, for a user.
func world(t *testing.T, user int) (dir, exe, temp string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "unprivileged-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	temp, exe = filepath.Join(dir, "tmp"), filepath.Join(dir, "test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(temp, 0o700), os.Chown(temp, user, user), duplicate("/proc/self/exe", exe)); err != nil {
		t.Fatal(err)
	}
	return dir, exe, temp
}

// Root of a container whose users are few runs programs as itself, without its rights.
func TestRootOfFew(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make such a container; this test runs as root, too")
	}
	_, exe, temp := world(t, first)
	cmd := exec.Command(exe, "-test.v", "-test.run=Test(Host)?Suite/^(Programs|Shared|Rights|Host|Remove|ReadOnly|PublicNetwork|Worker|Stop)$")
	cmd.Dir, cmd.Env = temp, []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, programFile + "=" + hostProgram(t)}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: first, Size: 1}}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Credential: &syscall.Credential{NoSetGroups: true},
	}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// A program that puts a link where a read-only directory lay leads nobody out of the sandbox: the helper, which has all rights, makes
// nothing and shows nothing at the other end.
func TestReadOnlyLinks(t *testing.T) {
	ctx := context.Background()
	r := newRuntime(t, process.Config{})
	host := t.TempDir()
	if err := os.Chmod(host, 0o755); err != nil { // whoever gets there shall not fail for another reason
		t.Fatal(err)
	}
	s, err := r.Open(ctx, runtime.Spec{ID: "links", ReadOnly: []string{"/mnt/memory/a/b", "/mnt/skills/c"}})
	if err != nil {
		t.Fatal(err)
	}
	run := func(script string, code int) string {
		t.Helper()
		res, err := s.Run(ctx, runtime.Command{Args: []string{"sh", "-c", script}})
		if err != nil || res.Code != code {
			t.Fatalf("%s: %d %s %v, want %d", script, res.Code, res.Output, err, code)
		}
		return string(res.Output)
	}
	run("touch /mnt/memory/a/b/x", 1)
	run("touch /mnt/skills/c/x", 1)
	run("touch /mnt/memory/a/x && mv /mnt/memory/a /mnt/memory/z && ln -s "+host+" /mnt/memory/a", 0)
	run("touch /mnt/skills/c/x", 1)
	if list, err := os.ReadDir(host); err != nil || len(list) != 0 {
		t.Errorf("outside of the sandbox there is %v %v", list, err)
	}
	run("rm /mnt/memory/a && mkdir /mnt/memory/a", 0)
	run("touch /mnt/memory/a/b/x", 1) // there again
}

// Paths that no program can name cost the server nothing.
func TestLongPath(t *testing.T) {
	ctx := context.Background()
	s, err := newRuntime(t, process.Config{}).Open(ctx, runtime.Spec{ID: "long"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(ctx, "/workspace"+strings.Repeat("/a", 2048)); !errors.Is(err, runtime.ErrPath) {
		t.Errorf("Stat of a path of 4106 bytes: %v", err)
	}
}

// Files that are open and have no name any more fill the disk like others.
func TestDeletedFiles(t *testing.T) {
	ctx := context.Background()
	s, err := newRuntime(t, process.Config{}).Open(ctx, runtime.Spec{ID: "deleted", Limits: runtime.Limits{Disk: 16 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	script := "for i in 1 2 3 4 5 6 7 8; do exec {fd}>f; rm f; head -c 8000000 /dev/zero >&$fd; done; sleep 15"
	res, err := s.Run(ctx, runtime.Command{Args: []string{"bash", "-c", script}})
	if err != nil || !res.Disk {
		t.Errorf("%+v %v", res, err)
	}
}
