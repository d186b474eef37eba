package kubernetes

import (
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/bureau-agents/bureau/ports/runtime"
	"github.com/bureau-agents/bureau/ports/runtime/runtimetest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 0 && os.Args[0] == jailName {
		jailed()
	}
	os.Exit(m.Run())
}

// image is what the tests call Bureau's own image; its node has it as a directory.
const image = "registry.example.com/bureau:test"

// images has the test's own binary as Bureau's, and the program of the suite.
func images(t *testing.T) map[string]string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the node of these tests enters the networks of its pods, which only root may: run them as root, as in a container")
	}
	dir := t.TempDir()
	if _, err := runtimetest.HostProgram(dir); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bureau", "bureau-worker"} {
		if err := os.WriteFile(filepath.Join(dir, name), binary, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{image: dir}
}

// TestHost runs the suite over the API server of the tests, or with -cluster over a real one.
func TestHost(t *testing.T) {
	have := images(t)
	runtimetest.RunHost(t, runtimetest.HostConfig{
		New:      func(t *testing.T) runtime.Host { h, _ := world(t, have, Config{}); return h },
		Reopen:   reopen,
		Image:    image,
		Program:  []string{"hostprogram"},
		Worker:   true,
		Merged:   true,
		LogBytes: 5 << 20,

		Uncounted: true,
	})
}

// world is a namespace of its own with a node, and a host for it.
func world(t *testing.T, images map[string]string, cfg Config) (*Host, *kubelet) {
	t.Helper()
	cfg.Image = image
	if *clusterDir != "" {
		return realWorld(t, images, cfg)
	}
	a := startAPI(t)
	cfg.REST, cfg.Namespace = &rest.Config{Host: a.server.URL}, "bureau"
	h := newHost(t, cfg)
	k := startKubelet(t, h.api, "node", images)
	a.passTo(k)
	return h, k
}

func newHost(t *testing.T, cfg Config) *Host {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func reopen(t *testing.T, h runtime.Host) runtime.Host {
	t.Helper()
	return newHost(t, h.(*Host).cfg)
}
