package sandboxes_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/sandbox"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
)

// listen serves on an address of the loopback that programs do not take for their own, so that they go through the proxy.
func listen(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this machine has one loopback address only: %v", err)
	}
	srv := httptest.NewUnstartedServer(h)
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func TestMounts(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	skill := dirMount("/mnt/skills/tea", "1", "SKILL.md", "boil", "bin/run.sh", "echo run")
	skill.ReadOnly = true
	w.mounts = []sandbox.Mount{skill, dirMount("/mnt/session/uploads/file_1", "a", "", "uploaded"), dirMount("/workspace/data/empty", "0")}
	has(t, w.bash("cat /mnt/skills/tea/SKILL.md /mnt/skills/tea/bin/run.sh /mnt/session/uploads/file_1; ls -d /workspace/data/empty"),
		"boil", "echo run", "uploaded", "/workspace/data/empty")
	w.refused("write", in{"file_path": "/mnt/skills/tea/SKILL.md", "content": "x"}, "/mnt/skills/tea is read-only")
	w.refused("edit", in{"file_path": "/mnt/skills/tea/SKILL.md", "old_string": "boil", "new_string": "x"}, "read-only")
	w.refused("bash", in{"command": "echo x > /mnt/skills/tea/SKILL.md || rm -r /mnt/skills/tea"}, "Read-only")
	has(t, w.ok("read", in{"file_path": "/mnt/skills/tea/SKILL.md"}), "boil")

	// A copy that a program changed stays until the mount does.
	w.bash("echo mine > /mnt/session/uploads/file_1")
	has(t, w.bash("cat /mnt/session/uploads/file_1"), "mine")
	loads := 0
	next := dirMount("/mnt/skills/tea", "2", "SKILL.md", "steep")
	next.ReadOnly = true
	load := next.Load
	next.Load = func(ctx context.Context) ([]sandbox.File, error) { loads++; return load(ctx) }
	w.mounts = []sandbox.Mount{next, dirMount("/workspace/new", "1", "x", "added")}
	has(t, w.bash("cat /mnt/skills/tea/SKILL.md; ls /mnt/skills/tea; cat /workspace/new/x; ls /mnt/session/uploads | wc -l"), "steepSKILL.md\nadded0\n")
	w.refused("read", in{"file_path": "/mnt/skills/tea/bin/run.sh"}, "no such file")
	w.restart()
	has(t, w.bash("cat /mnt/skills/tea/SKILL.md"), "steep")
	if loads != 1 {
		t.Errorf("a mount was loaded %d times", loads)
	}

	t.Run("failures", func(t *testing.T) {
		bad := dirMount("/workspace/bad", "1")
		bad.Load = func(context.Context) ([]sandbox.File, error) {
			return nil, fault.New(fault.NotFound, "gone", "the file was deleted")
		}
		w.mounts = append(w.mounts, bad, dirMount("/data/x", "1", "", "outside"))
		out := w.bash("cat /mnt/skills/tea/SKILL.md")
		has(t, out, "steep", "[note: /workspace/bad could not be mounted: the file was deleted]", "[note: /data/x could not be mounted", "have only /workspace, ")
		w.bash("true")
		count := 0
		for _, m := range w.told() {
			if strings.Contains(m, "/workspace/bad") {
				count++
			}
		}
		if count != 1 {
			t.Errorf("the user was told %d times: %q", count, w.told())
		}
		w.mounts = w.mounts[:len(w.mounts)-2]
		w.mountErr = errors.New("the database is away")
		has(t, w.bash("cat /workspace/new/x"), "added", "[note: files could not be mounted: an internal error]")
		w.mountErr = nil
		if out := w.bash("cat /workspace/new/x"); strings.Contains(out, "note") {
			t.Errorf("still complaining: %s", out)
		}
	})
}

func TestSync(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	var mu sync.Mutex
	var got []string
	m := dirMount("/mnt/memory/notes", "1", "a.md", "A", "b.md", "B")
	var fail error
	m.Sync = func(_ context.Context, changes []sandbox.Change) error {
		mu.Lock()
		defer mu.Unlock()
		if fail != nil {
			return fail
		}
		for _, c := range changes {
			if c.Removed {
				got = append(got, "-"+c.Path)
			} else {
				got = append(got, c.Path+"="+string(c.Data))
			}
		}
		return nil
	}
	w.mounts = []sandbox.Mount{m}
	expect := func(want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(got, want) {
			t.Errorf("synced %q, want %q", got, want)
		}
		got = nil
	}
	w.bash("cat /mnt/memory/notes/a.md")
	expect()
	w.bash("cd /mnt/memory/notes; printf A2 > a.md; rm b.md; mkdir d; printf C > d/c.md")
	expect("a.md=A2", "-b.md", "d/c.md=C")
	w.ok("read", in{"file_path": "/mnt/memory/notes/a.md"})
	w.bash("true")
	expect()
	w.restart()
	w.ok("edit", in{"file_path": "/mnt/memory/notes/a.md", "old_string": "A2", "new_string": "A3"})
	expect("a.md=A3")
	fail = fault.New(fault.Conflict, "conflict", "somebody else was faster")
	has(t, w.bash("printf A4 > /mnt/memory/notes/a.md"), "changes below /mnt/memory/notes were not saved: somebody else was faster")
	fail = nil
	w.bash("true")
	expect("a.md=A4")
	has(t, w.bash("head -c 2000000 /dev/zero > /mnt/memory/notes/large"), "has more than")
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world, _ *process.Config) { w.cfg.MaxOutputs = 3 })
	saved := func(want ...string) {
		t.Helper()
		w.mu.Lock()
		defer w.mu.Unlock()
		var got []string
		for p, c := range w.saved {
			got = append(got, p+"="+c)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("saved %q, want %q", got, want)
		}
		w.saved = map[string]string{}
	}
	w.bash("printf one > /mnt/session/outputs/a.txt; mkdir /mnt/session/outputs/d; printf two > /mnt/session/outputs/d/b.txt")
	saved("a.txt=one", "d/b.txt=two")
	w.bash("true")
	w.restart()
	w.bash("true")
	saved()
	w.ok("write", in{"file_path": "/mnt/session/outputs/a.txt", "content": "three"})
	saved("a.txt=three")
	w.refused("bash", in{"command": "printf x > /mnt/session/outputs/c; sleep 60", "timeout_ms": 500}, "longer")
	saved("c=x")
	has(t, w.bash("ln -s /etc/passwd /mnt/session/outputs/link; printf y > /mnt/session/outputs/e"), "only the first 3 are saved")
	saved()
	w.bash("rm /mnt/session/outputs/e; printf large > /mnt/session/outputs/a.txt; printf fine > /mnt/session/outputs/c")
	saved("c=fine")
	for _, said := range []bool{true, false} {
		w.ok("write", in{"file_path": "/mnt/session/outputs/d/b.txt", "content": "again " + strconv.FormatBool(said)})
	}
	saved("d/b.txt=again false")
	if n := strings.Count(strings.Join(w.told(), "\n"), "a.txt: it is too large"); n != 1 {
		t.Errorf("told %d times: %q", n, w.told())
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	var host string
	srv := listen(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(rw, "reached "+r.Host) }))
	other := listen(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "reached") }))
	host = srv.Listener.Addr().String()
	w := setup(t, func(_ *world, rt *process.Config) { rt.EgressAllow = []string{host, "localhost"} })
	fetch := "curl -sS -m 10 " + srv.URL
	has(t, w.bash(fetch), "reached")
	if res := w.call(w.sess, "bash", in{"command": "curl -sS -f -m 10 " + other.URL}); !res.IsError {
		t.Errorf("a private address that nobody opened: %s", res.Text)
	}
	limited := func(hosts ...string) {
		w.sess.Environment = w.environment(environment.Config{Networking: environment.Networking{Type: environment.Limited, AllowedHosts: hosts}})
		w.put(w.sess)
	}
	limited("example.com")
	w.refused("bash", in{"command": "curl -sS -f -m 10 " + srv.URL})
	limited("127.0.0.2")
	has(t, w.bash(fetch), "reached")
	limited()
	w.refused("bash", in{"command": "curl -sS -f -m 10 " + srv.URL})
	w.refused("bash", in{"command": "curl -sS -f -m 10 --noproxy '*' " + srv.URL})
}

func TestRemoveSweepAndIdle(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.bash("echo kept > /workspace/f")
	second, third := w.newSession(), w.newSession()
	for _, s := range []session.Session{second, third} {
		if res := w.call(s, "bash", in{"command": "echo x > /workspace/f"}); res.IsError {
			t.Fatal(res.Text)
		}
	}
	there := func() int {
		t.Helper()
		list, err := w.runtime.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := there(); n != 3 {
		t.Fatalf("%d sandboxes", n)
	}
	now := time.Now()
	second.ArchivedAt = &now
	w.put(second)
	if n, err := w.service.Sweep(t.Context()); n != 1 || err != nil || there() != 2 {
		t.Errorf("sweep: %d, %v; %d are left", n, err, there())
	}
	w.service.Ended(t.Context(), session.Ref{Tenant: w.sc.Tenant, Session: third.ID})
	w.service.Ended(t.Context(), session.Ref{Tenant: w.sc.Tenant, Session: third.ID})
	if n := there(); n != 1 {
		t.Errorf("%d sandboxes are left after the end of a session", n)
	}
	if n, err := w.service.CloseIdle(t.Context()); n != 0 || err != nil {
		t.Errorf("a sandbox in use was closed: %d, %v", n, err)
	}
	w.cfg.Idle = time.Nanosecond
	w.restart()
	w.bash("true")
	if n, err := w.service.CloseIdle(t.Context()); n != 1 || err != nil {
		t.Errorf("closed %d, %v", n, err)
	}
	has(t, w.bash("cat /workspace/f"), "kept")
	// A session that is removed while a command runs ends the command.
	done := make(chan string, 1)
	go func() { done <- w.call(w.sess, "bash", in{"command": "echo begun > /workspace/begun; sleep 120"}).Text }()
	deadline := time.Now().Add(20 * time.Second)
	for w.call(w.sess, "bash", in{"command": "cat /workspace/begun"}).IsError && time.Now().Before(deadline) {
	}
	if err := w.service.Remove(t.Context(), w.sess.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the command goes on")
	}
	w.refused("read", in{"file_path": "/workspace/f"}, "no such file")
}

func TestAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			s := w.sess
			if i%3 == 0 {
				s = w.newSession()
			}
			if res := w.call(s, "bash", in{"command": "echo $RANDOM >> /mnt/session/outputs/log; echo fine"}); !strings.Contains(res.Text, "fine") {
				t.Errorf("%+v", res)
			}
		})
	}
	wg.Wait()
}
