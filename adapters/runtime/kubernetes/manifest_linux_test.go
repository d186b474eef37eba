package kubernetes

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/bureau-agents/bureau/ports/runtime"
)

var update = flag.Bool("update", false, "write what the tests compare with")

// What the cluster is asked for, to be read by people who decide whether they want that.
func TestManifests(t *testing.T) {
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "bureau-a1", UID: "the-uid"}}
	for name, c := range map[string]struct {
		cfg  Config
		spec runtime.InstanceSpec
	}{
		"worker": {Config{}, runtime.InstanceSpec{
			ID: "a1", Generation: 2, Labels: map[string]string{"tenant": "t1", "agent": "a1"},
			Env: map[string]string{"BUREAU_WORKER_TOKEN": "a token"}, Files: map[string][]byte{"SOUL.md": []byte("a soul"), "rules/one.md": []byte("a rule")},
		}},
		"program": {
			Config{
				StorageClass: NoStorage, RuntimeClass: "gvisor", PullSecrets: []string{"registry"}, DialPods: true,
				ServerLabels: map[string]string{"app": "bureau"}, Server: "one",
			},
			runtime.InstanceSpec{
				ID: "a1", Generation: 1, Image: "registry.example.com/gateway:3", Command: []string{"serve", "--greeting", "$(NAME) $5"}, Port: 8080,
				Env: map[string]string{"API_KEY": "a secret", "HOME": "/workspace"}, Network: runtime.Network{Mode: runtime.NetworkPublic},
				Limits: runtime.InstanceLimits{Limits: runtime.Limits{Memory: 256 << 20, Disk: 2 << 30}, CPU: 500},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.REST, c.cfg.Image = &rest.Config{Host: "http://127.0.0.1:1"}, "registry.example.com/bureau:1"
			h := newHost(t, c.cfg)
			secret, err := h.secret(c.spec, []string{"SOUL.md", "rules/old.md"}, owner)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			out := json.NewEncoder(&got)
			out.SetIndent("", "  ")
			for _, o := range []any{secret, h.claim(c.spec, owner), h.policy(c.spec, owner), h.pod(c.spec, owner)} {
				if err := out.Encode(o); err != nil {
					t.Fatal(err)
				}
			}
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want +got (go test -update writes it):\n%s", diff)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	api := &rest.Config{Host: "http://127.0.0.1:1"}
	for name, c := range map[string]Config{
		"no image":        {REST: api},
		"a server's name": {REST: api, Image: image, Server: "A B"},
		"no labels":       {REST: api, Image: image, DialPods: true},
		"a negative time": {REST: api, Image: image, StartTimeout: -1},
		"no cluster":      {Image: image},
		"no such file":    {Image: image, Kubeconfig: "testdata/nothing"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	h, err := New(Config{Image: image, Kubeconfig: "testdata/kubeconfig", Context: "second"})
	if err != nil {
		t.Fatal(err)
	}
	if h.Site() != "kubernetes:two/bureau" || h.api.config.Host != "https://127.0.0.1:2" {
		t.Errorf("%s at %s", h.Site(), h.api.config.Host)
	}
}
