package process_test

import (
	"context"
	"testing"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/ports/runtime"
)

func open(t testing.TB, cfg process.Config, spec runtime.Spec) runtime.Sandbox {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	r, err := process.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if spec.ID == "" {
		spec.ID = "one"
	}
	s, err := r.Open(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sh(t testing.TB, s runtime.Sandbox, script string) runtime.Result {
	t.Helper()
	res, err := s.Run(context.Background(), runtime.Command{Args: []string{"/bin/sh", "-c", script}})
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return res
}

func TestLook(t *testing.T) {
	s := open(t, process.Config{}, runtime.Spec{Network: runtime.Network{Mode: runtime.NetworkPublic}})
	for _, script := range []string{"id; pwd; ls -la / /dev /etc /workspace; env", "cat /proc/self/status | grep -E 'Cap|Sec|NoNew|Uid'; cat /proc/1/status | grep -E 'Cap|Uid|Sec'; ps aux; cat /proc/mounts", "echo hi > /workspace/a && cat /workspace/a; ip a; touch /etc/x /usr/x; cat /proc/1/environ; node -e 'console.log(1+1)'; git --version; ulimit -a; ls -la /proc/1/; unshare -U id; cat /proc/self/cgroup"} {
		res := sh(t, s, script)
		t.Logf("%d %v %s\n%s", res.Code, res.Memory, res.Duration, res.Output)
	}
}

func BenchmarkRun(b *testing.B) {
	s := open(b, process.Config{}, runtime.Spec{})
	for b.Loop() {
		if res := sh(b, s, "true"); res.Code != 0 {
			b.Fatal(res)
		}
	}
}
