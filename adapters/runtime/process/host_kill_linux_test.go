package process_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/adapters/runtime/worker"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// hostDir names, in the environment of a copy of this program, where it plays a server that hosts instances and is killed; hostPart says
// which one, and hostWeb where it has a web server.
const (
	hostDir  = "BUREAU_TEST_HOST_DIR"
	hostPart = "BUREAU_TEST_HOST_PART"
	hostWeb  = "BUREAU_TEST_HOST_WEB"
)

const key = "a key"

func token(id string) string { return worker.Token([]byte(key), id) }

// workerSpec is an agent without a program.
func workerSpec(id string, generation int64) runtime.InstanceSpec {
	return runtime.InstanceSpec{
		ID: id, Generation: generation, Env: map[string]string{worker.TokenEnv: token(id)},
		Files: map[string][]byte{"SOUL.md": []byte("A soul."), "rules/refunds.md": []byte("No refunds.")},
	}
}

func programSpec(file, id string, generation int64, args ...string) runtime.InstanceSpec {
	return runtime.InstanceSpec{ID: id, Generation: generation, Command: append([]string{file}, args...), Port: 8080}
}

// How many workers a server that is killed has, and how many instances one that is killed while it starts them.
const (
	workers  = 20
	starting = 8
)

// playHost plays a server.
func playHost(dir, part string) error {
	ctx := context.Background()
	file, err := program()
	if err != nil {
		return err
	}
	h, err := process.NewHost(process.HostConfig{Dir: dir, Paths: []string{file}, EgressAllow: []string{os.Getenv(hostWeb)}})
	if err != nil {
		return err
	}
	if part == "starting" { // it is killed while it starts many
		for i := range starting {
			go func() {
				spec := workerSpec(fmt.Sprintf("w%d", i), 1)
				if i%2 == 1 {
					spec = programSpec(file, spec.ID, 1, "wait")
				}
				_, err := h.Start(ctx, spec)
				fmt.Println("started", err)
			}()
		}
		select {}
	}
	var started sync.WaitGroup
	for i := range workers {
		started.Go(func() {
			if _, err := h.Start(ctx, workerSpec(fmt.Sprintf("w%d", i), 1)); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	started.Wait()
	args := []string{"out", "began", "echo", "8080"}
	for i := range 2000 {
		args = append(args, "get", "http://"+os.Getenv(hostWeb)+"/", "out", strconv.Itoa(i), "sleep", "20ms")
	}
	spec := programSpec(file, "own", 1, append(args, "wait")...)
	spec.Network.Mode = runtime.NetworkPublic
	if _, err := h.Start(ctx, spec); err != nil {
		return err
	}
	for line, err := range h.Logs(ctx, "own", runtime.LogQuery{Tail: -1, Follow: true}) {
		if err != nil {
			return err
		}
		if line.Text == "3" {
			break
		}
	}
	list, err := h.List(ctx)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(list)
	fmt.Println(string(raw))
	if err != nil {
		return err
	}
	select {}
}

// server starts a copy of this program that plays a server.
func server(t *testing.T, dir, part, web string) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command(exe)
	cmd.Env = append(os.Environ(), hostDir+"="+dir, hostPart+"="+part, hostWeb+"="+web, programFile+"="+hostProgram(t))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewReader(pipe)
}

// keepers counts the processes that hold the lock of each instance below a directory.
func keepers(dir string) map[string]int {
	found := map[string]int{}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	seen := map[string]bool{}
	for _, link := range links {
		name, err := os.Readlink(link)
		if id, ok := strings.CutSuffix(strings.TrimPrefix(name, dir+"/"), "/lock"); err == nil && ok && strings.HasPrefix(name, dir+"/") {
			if pid := strings.Split(link, "/")[2]; !seen[pid+id] {
				seen[pid+id] = true
				found[id]++
			}
		}
	}
	return found
}

// A server that is killed leaves its instances running; the next one has them, and nothing is there twice.
func TestHostKilled(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "page") }))
	t.Cleanup(web.Close)
	address := web.Listener.Addr().String()
	dir := t.TempDir()
	t.Cleanup(func() { clearHost(t, process.HostConfig{Dir: dir}) })
	cmd, out := server(t, dir, "all", address)
	raw, err := out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var before []runtime.Instance
	if err := json.Unmarshal(raw, &before); err != nil || len(before) != workers+1 {
		t.Fatalf("%s %v", raw, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	h := openHost(t, process.HostConfig{Dir: dir, EgressAllow: []string{address}})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	after, err := h.List(ctx)
	if err != nil || !slices.EqualFunc(before, after, func(a, b runtime.Instance) bool {
		return a.ID == b.ID && a.PID == b.PID && a.StartedAt.Equal(b.StartedAt) && b.State == runtime.InstanceRunning
	}) {
		t.Fatalf("before: %+v\nafter: %+v (%v)", before, after, err)
	}
	clients := worker.NewClient(h, token)
	for i := range workers {
		id := fmt.Sprintf("w%d", i)
		in, err := h.Start(ctx, workerSpec(id, 1))
		if j := slices.IndexFunc(before, func(b runtime.Instance) bool { return b.ID == id }); err != nil || in.PID != before[j].PID {
			t.Errorf("started again: %+v %v", in, err)
		}
		if text, err := clients.ReadRule(ctx, id, "refunds"); err != nil || text != "No refunds." {
			t.Errorf("%s: %q %v", id, text, err)
		}
		if err := clients.Log(ctx, id, worker.LevelInfo, "adopted"); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for id, n := range keepers(dir) {
		if n != 1 {
			t.Errorf("%s is kept by %d processes", id, n)
		}
	}
	// What its program printed meanwhile is there, and it goes on; so does its network.
	next, pages := 0, 0
	for line, err := range h.Logs(ctx, "own", runtime.LogQuery{Tail: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line.Text, "get: ") {
			if pages++; line.Text != "get: 200 page" && line.Text != "get: no answer" { // which was under way when the server was killed
				t.Errorf("the network says %q", line.Text)
			}
			if line.Text == "get: no answer" {
				pages = 0
			}
			continue
		}
		if line.Text != "began" {
			if line.Text != strconv.Itoa(next) {
				t.Fatalf("%q comes where %d should", line.Text, next)
			}
			next++
		}
		if next > 20 && pages > 5 {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("the log does not go on")
	}
	if in, err := h.Start(ctx, workerSpec("w0", 2)); err != nil || in.PID == before[0].PID || in.Generation != 2 {
		t.Errorf("another generation: %+v %v", in, err)
	}
	if err := h.Stop(ctx, "own", time.Second); err != nil {
		t.Error(err)
	}
}

// A server that is killed while it starts instances leaves each whole or not at all, and the next one can start all of them.
func TestHostKilledStarting(t *testing.T) {
	dir := t.TempDir()
	t.Cleanup(func() { clearHost(t, process.HostConfig{Dir: dir}) })
	h := openHost(t, process.HostConfig{Dir: dir})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for round := range 3 {
		cmd, out := server(t, dir, "starting", "")
		for range round * starting / 3 {
			if line, err := out.ReadString('\n'); err != nil || line != "started <nil>\n" {
				t.Fatalf("%q %v", line, err)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		var wg sync.WaitGroup
		for i := range starting {
			wg.Go(func() {
				spec := workerSpec(fmt.Sprintf("w%d", i), 1)
				if i%2 == 1 {
					spec = programSpec(hostProgram(t), spec.ID, 1, "wait")
				}
				if _, err := h.Start(ctx, spec); err != nil {
					t.Errorf("start %s: %v", spec.ID, err)
				}
			})
		}
		wg.Wait()
		held := keepers(dir)
		for i := range starting {
			if id := fmt.Sprintf("w%d", i); held[id] != 1 {
				t.Errorf("%s is kept by %d processes", id, held[id])
			}
		}
		clearHost(t, process.HostConfig{Dir: dir})
	}
}

// keeperOf returns the process that keeps an instance.
func keeperOf(t *testing.T, dir, id string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, id, "keeper", "state.json"))
	var state struct{ PID int }
	if err = errors.Join(err, json.Unmarshal(raw, &state)); err != nil {
		t.Fatal(err)
	}
	return state.PID
}

// A keeper that is killed takes its instance with it, which is known and can be started again.
func TestKeeperKilled(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, process.HostConfig{Dir: dir})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for id, spec := range map[string]runtime.InstanceSpec{
		"worker": workerSpec("worker", 1), "own": programSpec(hostProgram(t), "own", 1, "beat", "beat", "out", "ready", "wait"),
	} {
		if _, err := h.Start(ctx, spec); err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(keeperOf(t, dir, id), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		var in runtime.Instance
		for in.State != runtime.InstanceExited && ctx.Err() == nil {
			var err error
			if in, err = h.Inspect(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
		if in.Code != -1 || in.Reason == "" || in.ExitedAt.Before(in.StartedAt) {
			t.Errorf("%+v", in)
		}
		if again, err := h.Inspect(ctx, id); err != nil || again != in {
			t.Errorf("inspected again: %+v %v, before %+v", again, err, in)
		}
	}
	if _, err := h.Start(ctx, programSpec(hostProgram(t), "own", 2, "grows", "beat", "out", "looked", "wait")); err != nil {
		t.Fatal(err)
	}
	for line, err := range h.Logs(ctx, "own", runtime.LogQuery{Tail: -1, Follow: true}) {
		if err != nil || line.Text == "beat grows" {
			t.Errorf("%q %v", line.Text, err)
		}
		if line.Text == "looked" {
			break
		}
	}
}

// A state that names a process which is somebody else's by now does that no harm.
func TestStalePID(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, process.HostConfig{Dir: dir})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := h.Start(ctx, workerSpec("stale", 1)); err != nil {
		t.Fatal(err)
	}
	keeper := keeperOf(t, dir, "stale")
	other := exec.Command("sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	})
	file := filepath.Join(dir, "stale", "keeper", "state.json")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw = []byte(strings.ReplaceAll(string(raw), strconv.Itoa(keeper), strconv.Itoa(other.Process.Pid)))
	// The keeper no longer answers: its socket is gone. The server would have to kill it.
	if err := errors.Join(os.WriteFile(file, raw, 0o600), os.Remove(filepath.Join(dir, "stale", "control"))); err != nil {
		t.Fatal(err)
	}
	short, end := context.WithTimeout(ctx, 300*time.Millisecond)
	defer end()
	if err := h.Stop(short, "stale", 0); err == nil {
		t.Error("it says that it has ended what still runs")
	}
	if _, err := h.Stats(ctx, "stale"); !errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("stats of somebody else's process: %v", err)
	}
	if err := other.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("somebody else's process: %v", err)
	}
	if err := unix.Kill(keeper, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if err := h.Stop(ctx, "stale", 0); err != nil {
		t.Error(err)
	}
	if err := other.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("somebody else's process: %v", err)
	}
}

// A keeper that does not answer is killed, and its instance with it.
func TestKeeperHangs(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, process.HostConfig{Dir: dir})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := h.Start(ctx, programSpec(hostProgram(t), "deaf", 1, "wait")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "deaf", "control")); err != nil { // so that nobody reaches it
		t.Fatal(err)
	}
	if err := h.Stop(ctx, "deaf", 0); err != nil {
		t.Fatal(err)
	}
	if n := len(keepers(dir)); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// What a program can see of its keeper, of the server, and of its own start.
func TestHostPrivacy(t *testing.T) {
	dir := t.TempDir()
	h := newHost(t, process.HostConfig{Dir: dir})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	script := "cat /proc/1/environ; ls -A / /proc | grep -c keeper; ls " + dir + " | wc -l; ls /proc | grep -c '^[0-9]*$'; env | grep -c ^SECRET=; echo done; sleep 600"
	spec := runtime.InstanceSpec{ID: "private", Generation: 1, Command: []string{"sh", "-c", script}, Env: map[string]string{"SECRET": "hunter2"}}
	if _, err := h.Start(ctx, spec); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line, err := range h.Logs(ctx, "private", runtime.LogQuery{Tail: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if line.Stderr {
			continue
		}
		if got = append(got, line.Text); line.Text == "done" {
			break
		}
	}
	if len(got) != 5 || got[0] != "0" || got[1] != "0" || got[3] != "1" {
		t.Errorf("it sees %q", got)
	}
	var found []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		raw, err := io.ReadAll(f)
		if strings.Contains(string(raw), "hunter2") {
			found = append(found, p)
		}
		return err
	})
	if err != nil || len(found) != 0 {
		t.Errorf("its secret is written down in %q (%v)", found, err)
	}
}
