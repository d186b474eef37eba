package runtimetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// HostConfig says which hosts are tested.
type HostConfig struct {
	// New returns a host without instances. Whatever the test leaves in it is removed when the test ends. It fails the test where the
	// machine cannot run instances: a suite that is skipped proves nothing.
	New func(t *testing.T) runtime.Host
	// Allowing returns a host like New's whose instances with a network reach these private addresses ("host:port"). It is nil for a host
	// that leaves the network to somebody else, as its documentation says.
	Allowing func(t *testing.T, allow ...string) runtime.Host
	// Reopen returns another host over the instances of h, as a server that was started after h's was killed has it; h is not used after.
	Reopen func(t *testing.T, h runtime.Host) runtime.Host
	// Image and Program are how an instance runs what HostProgram builds; its arguments are added to Program.
	Image   string
	Program []string
	// Worker has the cases run that need Bureau's own worker, which runs where an InstanceSpec has neither image nor command.
	Worker bool
	// Limits are those that this host keeps and that can be measured here: "cpu", "memory", "processes", "files", "disk". A limit is left
	// out only for a documented reason.
	Limits []string
	// Merged says that this host cannot tell a program's standard error from its output, Uncounted that it does not count processes.
	Merged, Uncounted bool
	// LogBytes is the most that is kept of one instance's log, with what rotation may add; 0 is 16 MiB.
	LogBytes int
	// Patience is how long anything may take before a test fails; 0 is 20 s.
	Patience time.Duration
}

// HostProgram builds the program that instances of the suite run, as one static file, and returns its path.
func HostProgram(dir string) (string, error) {
	file := filepath.Join(dir, "hostprogram")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "github.com/bureau-agents/bureau/ports/runtime/runtimetest/hostprogramtest")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return file, nil
}

// RunHost runs the suite.
func RunHost(t *testing.T, cfg HostConfig) {
	t.Helper()
	if cfg.Patience == 0 {
		cfg.Patience = 20 * time.Second
	}
	if cfg.LogBytes == 0 {
		cfg.LogBytes = 16 << 20
	}
	cases := map[string]func(*testing.T, HostConfig){
		"Start": testHostStart, "Again": testHostAgain, "Generation": testHostGeneration, "Race": testHostRace, "Files": testHostFiles,
		"FilesRefused": testHostFilesRefused, "Refused": testHostRefused, "Unknown": testHostUnknown, "Exit": testHostExit, "Restart": testHostRestart,
		"Stop": testHostStop, "Grace": testHostGrace, "NothingLeft": testHostNothingLeft, "Remove": testHostRemove, "Env": testHostEnv,
		"Logs": testHostLogs, "LogTail": testHostLogTail, "LogLong": testHostLogLong, "LogBounded": testHostLogBounded, "Follow": testHostFollow,
		"Dial": testHostDial, "Stats": testHostStats, "Network": testHostNetwork, "Rights": testHostRights, "Reopen": testHostReopen,
		"Neighbours": testHostNeighbours, "Cancelled": testHostCancelled,
	}
	for name, test := range map[string]func(*testing.T, HostConfig){
		"cpu": testHostCPU, "memory": testHostMemory, "processes": testHostProcesses, "files": testHostOpenFiles, "disk": testHostDisk,
	} {
		if slices.Contains(cfg.Limits, name) {
			cases["Limit_"+name] = test
		}
	}
	if cfg.Allowing != nil {
		cases["PublicNetwork"], cases["LimitedNetwork"] = testHostPublic, testHostLimited
	}
	if cfg.Worker {
		cases["Worker"] = testHostWorker
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, cfg)
		})
	}
}

// room is a host in a test.
type room struct {
	runtime.Host

	t   *testing.T
	cfg HostConfig
}

func enter(t *testing.T, cfg HostConfig) *room {
	t.Helper()
	return &room{cfg.New(t), t, cfg}
}

// spec returns an instance that does what args say.
func (r *room) spec(id string, generation int64, args ...string) runtime.InstanceSpec {
	return runtime.InstanceSpec{
		ID: id, Generation: generation, Image: r.cfg.Image, Command: append(slices.Clone(r.cfg.Program), args...), Port: 8080,
		Labels: map[string]string{"agent": id},
	}
}

// context ends when patience does, or the test.
func (r *room) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Patience)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *room) start(spec runtime.InstanceSpec) runtime.Instance {
	r.t.Helper()
	in, err := r.Start(r.context(), spec)
	if err != nil {
		r.t.Fatalf("start %s: %v", spec.ID, err)
	}
	return in
}

func (r *room) stop(id string, grace time.Duration) {
	r.t.Helper()
	if err := r.Stop(r.context(), id, grace); err != nil {
		r.t.Fatalf("stop %s: %v", id, err)
	}
}

func (r *room) inspect(id string) runtime.Instance {
	r.t.Helper()
	in, err := r.Inspect(r.context(), id)
	if err != nil {
		r.t.Fatalf("inspect %s: %v", id, err)
	}
	return in
}

// until waits for something that a host does by itself, asking often.
func (r *room) until(what string, done func() bool) {
	r.t.Helper()
	ctx := r.context()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// exited waits for the end of an instance.
func (r *room) exited(id string) runtime.Instance {
	r.t.Helper()
	var in runtime.Instance
	r.until(id+" has exited", func() bool {
		in = r.inspect(id)
		return in.State == runtime.InstanceExited
	})
	return in
}

// log returns what an instance has printed until now.
func (r *room) log(id string) []string {
	r.t.Helper()
	var texts []string
	for line, err := range r.Logs(r.context(), id, runtime.LogQuery{Tail: -1}) {
		if err != nil {
			r.t.Fatalf("the logs of %s: %v", id, err)
		}
		texts = append(texts, line.Text)
	}
	return texts
}

// printed waits for a line, and returns all that is printed by then.
func (r *room) printed(id, want string) []string {
	r.t.Helper()
	var texts []string
	defer func() {
		if r.t.Failed() {
			r.t.Logf("%s has printed %q", id, texts)
		}
	}()
	r.until(id+" has printed "+want, func() bool {
		texts = r.log(id)
		return slices.Contains(texts, want)
	})
	return texts
}

// count says how often a line was printed.
func count(texts []string, want string) int {
	n := 0
	for _, t := range texts {
		if t == want {
			n++
		}
	}
	return n
}

func testHostStart(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	if r.Name() == "" {
		t.Error("the host has no name")
	}
	if list, err := r.List(r.context()); err != nil || len(list) != 0 {
		t.Errorf("a new host has %v (%v)", list, err)
	}
	before := time.Now()
	in := r.start(r.spec("one", 1, "out", "hello", "wait"))
	if in.ID != "one" || in.Generation != 1 || in.State != runtime.InstanceRunning || !in.ExitedAt.IsZero() {
		t.Errorf("started: %+v", in)
	}
	if d := in.StartedAt.Sub(before); d < -2*time.Second || d > cfg.Patience { // its clock may be coarse
		t.Errorf("it was started %s after Start was called", d)
	}
	r.printed("one", "hello")
	if got := r.inspect("one"); got != in {
		t.Errorf("inspected: %+v, started: %+v", got, in)
	}
	r.start(r.spec("two", 7, "wait"))
	list, err := r.List(r.context())
	if err != nil || len(list) != 2 {
		t.Fatalf("the list is %+v (%v)", list, err)
	}
	slices.SortFunc(list, func(a, b runtime.Instance) int { return strings.Compare(a.ID, b.ID) })
	if list[0] != in || list[1].ID != "two" || list[1].Generation != 7 || list[1].State != runtime.InstanceRunning {
		t.Errorf("the list is %+v", list)
	}
}

func testHostAgain(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	first := r.start(r.spec("again", 3, "out", "began", "echo", "8080", "out", "ready", "wait"))
	r.printed("again", "ready")
	if got := r.start(r.spec("again", 3, "out", "began", "wait")); got != first {
		t.Errorf("the same generation: %+v, want %+v", got, first)
	}
	if n := count(r.log("again"), "began"); n != 1 {
		t.Errorf("it began %d times", n)
	}
}

func testHostGeneration(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	first := r.start(r.spec("gen", 1, "beat", "beat", "out", "first", "term", "0", "wait"))
	r.printed("gen", "first")
	second := r.start(r.spec("gen", 2, "grows", "beat", "out", "second", "wait"))
	if second.Generation != 2 || second.State != runtime.InstanceRunning || second.StartedAt.Before(first.StartedAt) {
		t.Errorf("the second generation: %+v, the first: %+v", second, first)
	}
	texts := r.printed("gen", "second")
	if !slices.Contains(texts, "first") || !slices.Contains(texts, "beat rests") {
		t.Errorf("the log is %q: the first generation's lines stay, its programs do not", texts)
	}
	if list, err := r.List(r.context()); err != nil || len(list) != 1 {
		t.Errorf("there are %+v (%v)", list, err)
	}
}

func testHostRace(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("race", 1, "out", "began", "out", "ready", "wait")
	ctx := r.context()
	var wg sync.WaitGroup
	started := make([]runtime.Instance, 6)
	for i := range started {
		wg.Go(func() {
			var err error
			if started[i], err = r.Start(ctx, spec); err != nil {
				t.Errorf("start: %v", err)
			}
		})
	}
	wg.Wait()
	for _, in := range started {
		if in != started[0] {
			t.Errorf("one call started %+v, another %+v", started[0], in)
		}
	}
	if n := count(r.printed("race", "ready"), "began"); n != 1 {
		t.Errorf("it began %d times", n)
	}
}

func testHostFiles(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("files", 1, "cat", "SOUL.md", "cat", runtime.WorkDir+"/rules/refunds.md", "cat", "old/gone.md", "write", "own", "my own", "out", "done", "wait")
	spec.Files = map[string][]byte{"SOUL.md": []byte("a soul"), "rules/refunds.md": []byte("no refunds"), "old/gone.md": []byte("soon gone")}
	r.start(spec)
	texts := r.printed("files", "done")
	for _, want := range []string{"a soul", "no refunds", "soon gone"} {
		if !slices.Contains(texts, want) {
			t.Errorf("it does not find %q: %q", want, texts)
		}
	}
	spec = r.spec("files", 2, "cat", "SOUL.md", "cat", "rules/refunds.md", "cat", "old/gone.md", "cat", "own", "out", "done again", "wait")
	spec.Files = map[string][]byte{"SOUL.md": []byte("another soul"), "rules/refunds.md": []byte("no refunds at all")}
	r.start(spec)
	texts = r.printed("files", "done again")
	for _, want := range []string{"another soul", "no refunds at all", "old/gone.md: no such file", "my own"} {
		if !slices.Contains(texts, want) {
			t.Errorf("the second generation does not say %q: %q", want, texts)
		}
	}
}

func testHostFilesRefused(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	for _, name := range []string{"../up", "/etc/passwd", "a/../../b", "", ".", "a//b", "a\x00b"} {
		spec := r.spec("bad", 1, "wait")
		spec.Files = map[string][]byte{name: []byte("x")}
		if _, err := r.Start(r.context(), spec); err == nil {
			t.Errorf("the file %q was taken", name)
		}
	}
}

func testHostRefused(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	for name, change := range map[string]func(*runtime.InstanceSpec){
		"no id":              func(s *runtime.InstanceSpec) { s.ID = "" },
		"a long id":          func(s *runtime.InstanceSpec) { s.ID = strings.Repeat("x", 41) },
		"an id with a slash": func(s *runtime.InstanceSpec) { s.ID = "a/b" },
		"an id upwards":      func(s *runtime.InstanceSpec) { s.ID = ".." },
		"capitals":           func(s *runtime.InstanceSpec) { s.ID = "ABC" },
		"no generation":      func(s *runtime.InstanceSpec) { s.Generation = 0 },
		"a port":             func(s *runtime.InstanceSpec) { s.Port = 65536 },
		"a negative limit":   func(s *runtime.InstanceSpec) { s.Limits.CPU = -1 },
		"a variable":         func(s *runtime.InstanceSpec) { s.Env = map[string]string{"A=B": "c"} },
		"a label":            func(s *runtime.InstanceSpec) { s.Labels = map[string]string{"agent": "a b"} },
		"a network":          func(s *runtime.InstanceSpec) { s.Network.Mode = "whatever" },
	} {
		spec := r.spec("refused", 1, "wait")
		change(&spec)
		if in, err := r.Start(r.context(), spec); err == nil {
			t.Errorf("%s was taken: %+v", name, in)
		}
	}
	spec := r.spec("refused", 1)
	spec.Command = []string{"/no/such/program"}
	if _, err := r.Start(r.context(), spec); !errors.Is(err, runtime.ErrImage) {
		t.Errorf("a program that is not there: %v", err)
	}
	// What was refused is in nobody's way.
	r.start(r.spec("refused", 2, "out", "well", "wait"))
	r.printed("refused", "well")
}

func testHostUnknown(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	ctx := r.context()
	for _, id := range []string{"nobody", "..", "a/b", ""} {
		_, inspect := r.Inspect(ctx, id)
		_, stats := r.Stats(ctx, id)
		_, dial := r.Dial(ctx, id)
		for name, err := range map[string]error{"inspect": inspect, "stats": stats, "dial": dial, "stop": r.Stop(ctx, id, 0)} {
			if !errors.Is(err, runtime.ErrNoInstance) {
				t.Errorf("%s %q: %v", name, id, err)
			}
		}
		n := 0
		for _, err := range r.Logs(ctx, id, runtime.LogQuery{Tail: 1, Follow: true}) {
			if n++; !errors.Is(err, runtime.ErrNoInstance) {
				t.Errorf("the logs of %q: %v", id, err)
			}
		}
		if n != 1 {
			t.Errorf("the logs of %q are %d pairs", id, n)
		}
		if err := r.Remove(ctx, id); err != nil {
			t.Errorf("remove %q: %v", id, err)
		}
	}
}

func testHostExit(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	started := r.start(r.spec("exit", 1, "out", "bye", "exit", "3"))
	in := r.exited("exit")
	if in.Code != 3 || in.Memory || in.Generation != 1 || in.ExitedAt.Before(started.StartedAt) || in.ExitedAt.IsZero() {
		t.Errorf("%+v", in)
	}
	r.printed("exit", "bye")
	if _, err := r.Stats(r.context(), "exit"); !errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("its stats: %v", err)
	}
	if _, err := r.Dial(r.context(), "exit"); !errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("dial: %v", err)
	}
	if err := r.Stop(r.context(), "exit", time.Second); err != nil {
		t.Errorf("stop: %v", err)
	}
	if got := r.inspect("exit"); got != in {
		t.Errorf("after Stop it is %+v, before %+v", got, in)
	}
}

// What has ended is started again by whoever asks, also with the generation that it had.
func testHostRestart(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("back", 1, "out", "one", "exit", "0"))
	r.exited("back")
	r.start(r.spec("back", 1, "out", "two", "wait"))
	if texts := r.printed("back", "two"); !slices.Contains(texts, "one") {
		t.Errorf("the log is %q", texts)
	}
	if in := r.inspect("back"); in.State != runtime.InstanceRunning || in.Code != 0 || !in.ExitedAt.IsZero() {
		t.Errorf("%+v", in)
	}
}

func testHostStop(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("stop", 1, "term", "5", "out", "ready", "wait"))
	r.printed("stop", "ready")
	began := time.Now()
	r.stop("stop", cfg.Patience)
	if took := time.Since(began); took > cfg.Patience/2 {
		t.Errorf("it took %s", took)
	}
	if in := r.inspect("stop"); in.State != runtime.InstanceExited || in.Code != 5 {
		t.Errorf("%+v", in)
	}
	if texts := r.log("stop"); !slices.Contains(texts, "terminated") {
		t.Errorf("the log is %q", texts)
	}
	r.stop("stop", 0)
	r.start(r.spec("stop", 2, "out", "again", "wait"))
	r.printed("stop", "again")
}

func testHostGrace(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("deaf", 1, "ignore", "out", "ready", "wait"))
	r.printed("deaf", "ready")
	began := time.Now()
	r.stop("deaf", time.Second)
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("it had %s", took)
	}
	if in := r.inspect("deaf"); in.State != runtime.InstanceExited || in.Code != -1 && in.Code != 137 || in.Memory {
		t.Errorf("%+v", in)
	}
}

func testHostNothingLeft(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	// The program ends by itself, and leaves a process of another session behind.
	r.start(r.spec("left", 1, "beat", "beat", "grows", "beat", "exit", "0"))
	r.exited("left")
	if texts := r.printed("left", "beat grows"); len(texts) == 0 {
		t.Error("there was nothing to leave")
	}
	r.start(r.spec("left", 2, "grows", "beat", "out", "looked", "wait"))
	if texts := r.printed("left", "looked"); !slices.Contains(texts, "beat rests") {
		t.Errorf("what a program has started goes on without it: %q", texts)
	}
}

func testHostRemove(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("gone", 1, "write", "own", "mine", "out", "ready", "wait"))
	r.printed("gone", "ready")
	followed := make(chan int)
	ctx := r.context()
	go func() {
		n := 0
		for _, err := range r.Logs(ctx, "gone", runtime.LogQuery{Tail: -1, Follow: true}) {
			if n++; err != nil {
				t.Errorf("follow: %v", err)
			}
			if n == 1 {
				followed <- n
			}
		}
		followed <- n
	}()
	<-followed
	for range 2 {
		if err := r.Remove(ctx, "gone"); err != nil {
			t.Fatalf("remove: %v", err)
		}
	}
	if n := <-followed; n != 1 || ctx.Err() != nil {
		t.Errorf("who followed its log got %d lines (%v)", n, ctx.Err())
	}
	if _, err := r.Inspect(ctx, "gone"); !errors.Is(err, runtime.ErrNoInstance) {
		t.Errorf("inspect: %v", err)
	}
	if list, err := r.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("there are %+v (%v)", list, err)
	}
	r.start(r.spec("gone", 1, "cat", "own", "out", "looked", "wait"))
	if texts := r.printed("gone", "looked"); !slices.Contains(texts, "own: no such file") || slices.Contains(texts, "ready") {
		t.Errorf("its successor finds %q", texts)
	}
}

func testHostEnv(t *testing.T, cfg HostConfig) {
	t.Helper()
	if err := os.Setenv(Secret, "hunter2"); err != nil {
		t.Fatal(err)
	}
	r := enter(t, cfg)
	spec := r.spec("env", 1, "env", "API_KEY", "env", "HOME", "env", Secret, "out", "done", "wait")
	spec.Env = map[string]string{"API_KEY": "s3cret with 'quotes' \"and\" $dollars\nand lines"}
	r.start(spec)
	texts := r.printed("env", "done")
	if !strings.Contains(strings.Join(texts, "\n"), "API_KEY="+spec.Env["API_KEY"]) || !slices.Contains(texts, Secret+" is not set") {
		t.Errorf("the program finds %q", texts)
	}
	r.start(r.spec("env", 2, "env", "API_KEY", "out", "done again", "wait"))
	if texts := r.printed("env", "done again"); !slices.Contains(texts, "API_KEY is not set") {
		t.Errorf("the second generation finds %q", texts)
	}
}

func testHostCancelled(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Start(ctx, r.spec("late", 1, "wait")); err == nil {
		t.Error("it was started for somebody who had gone")
	}
	if _, err := r.Inspect(context.Background(), "late"); !errors.Is(err, runtime.ErrNoInstance) {
		t.Errorf("inspect: %v", err)
	}
}

// say sends a line and returns the answer.
func say(conn net.Conn, line string) (string, error) {
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", err
	}
	text, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSuffix(text, "\n"), err
}

// dial connects as soon as something listens.
func (r *room) dial(id string) net.Conn {
	r.t.Helper()
	var conn net.Conn
	r.until(id+" answers", func() bool {
		var err error
		conn, err = r.Dial(r.context(), id)
		return err == nil
	})
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(r.cfg.Patience))
	return conn
}

func testHostDial(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("dial", 1, "echo", "8080", "out", "ready", "wait"))
	r.printed("dial", "ready")
	var wg sync.WaitGroup
	for i := range 8 {
		conn := r.dial("dial")
		wg.Go(func() {
			for n := range 20 {
				line := fmt.Sprintf("%d-%d", i, n)
				if got, err := say(conn, line); err != nil || got != "echo: "+line {
					t.Errorf("%q (%v)", got, err)
					return
				}
			}
		})
	}
	wg.Wait()
	conn := r.dial("dial")
	if _, err := say(conn, "still"); err != nil {
		t.Error(err)
	}
	r.stop("dial", 0)
	if got, err := say(conn, "there?"); err == nil {
		t.Errorf("a stopped instance answers %q", got)
	}
	r.start(r.spec("dial", 2, "out", "deaf", "wait"))
	r.printed("dial", "deaf")
	if conn, err := r.Dial(r.context(), "dial"); err == nil { // a host that forwards may only notice when something is sent
		_ = conn.SetDeadline(time.Now().Add(cfg.Patience))
		if got, err := say(conn, "there?"); err == nil {
			t.Errorf("nothing listens, and answers %q", got)
		}
		_ = conn.Close()
	} else if errors.Is(err, runtime.ErrNoInstance) || errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("nothing listens: %v", err)
	}
}

func testHostStats(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("stats", 1, "processes", "2", "memory", "30000000", "wait")
	spec.Limits.Memory = 256 << 20
	r.start(spec)
	r.printed("stats", "took 30000000")
	s, err := r.Stats(r.context(), "stats")
	if err != nil {
		t.Fatal(err)
	}
	if s.Memory < 28<<20 || s.Memory > 256<<20 || s.MemoryLimit != 256<<20 || s.Processes < 3 && !cfg.Uncounted || s.CPUPercent < 0 || s.At.IsZero() {
		t.Errorf("%+v", s)
	}
}

func testHostNetwork(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r.start(r.spec("net", 1, "dial", l.Addr().String(), "dial", "192.0.2.1:80", "out", "done", "wait"))
	if texts := r.printed("net", "done"); count(texts, "dial: refused") != 2 {
		t.Errorf("without a network: %q", texts)
	}
}

func testHostRights(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("rights", 1, "rights", "out", "done", "wait"))
	texts := r.printed("rights", "done")
	if slices.Contains(texts, "Uid: 0") || !slices.Contains(texts, "NoNewPrivs: 1") || !slices.Contains(texts, "CapEff: 0000000000000000") {
		t.Errorf("the program has %q", texts)
	}
}

func testHostNeighbours(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("left", 1, "echo", "8080", "write", "/tmp/secret", "x", "write", "secret", "x", "out", "ready", "wait"))
	r.printed("left", "ready")
	r.start(r.spec("right", 1, "dial", "127.0.0.1:8080", "cat", "/tmp/secret", "cat", "secret", "out", "done", "wait"))
	texts := r.printed("right", "done")
	for _, want := range []string{"dial: refused", "/tmp/secret: no such file", "secret: no such file"} {
		if !slices.Contains(texts, want) {
			t.Errorf("one instance sees another: %q", texts)
		}
	}
}

// A host that is made anew finds what runs, and goes on with it.
func testHostReopen(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	r.start(r.spec("ended", 1, "exit", "4"))
	r.exited("ended")
	spec := r.spec("lasts", 5, "out", "began", "echo", "8080", "term", "0", "out", "ready", "wait")
	first := r.start(spec)
	r.printed("lasts", "ready")
	if _, err := say(r.dial("lasts"), "before"); err != nil {
		t.Error(err)
	}
	r = &room{cfg.Reopen(t, r.Host), t, cfg}
	list, err := r.List(r.context())
	slices.SortFunc(list, func(a, b runtime.Instance) int { return strings.Compare(a.ID, b.ID) })
	if err != nil || len(list) != 2 || list[0].ID != "ended" || list[0].Code != 4 || list[1] != first {
		t.Fatalf("found: %+v (%v), want %+v", list, err, first)
	}
	if got := r.start(spec); got != first {
		t.Errorf("started again: %+v, want %+v", got, first)
	}
	if got, err := say(r.dial("lasts"), "after"); err != nil || got != "echo: after" {
		t.Errorf("%q (%v)", got, err)
	}
	if _, err := r.Stats(r.context(), "lasts"); err != nil {
		t.Error(err)
	}
	r.stop("lasts", cfg.Patience)
	texts := r.log("lasts")
	if count(texts, "began") != 1 || !slices.Contains(texts, "terminated") {
		t.Errorf("the log is %q", texts)
	}
}
