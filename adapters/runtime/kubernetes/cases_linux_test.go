package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// patience is how long anything may take.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func waits(id string, generation int64, args ...string) runtime.InstanceSpec {
	return runtime.InstanceSpec{ID: id, Generation: generation, Command: append(append([]string{"hostprogram"}, args...), "wait")}
}

func TestHostCases(t *testing.T) {
	have := images(t)
	for name, test := range map[string]func(*testing.T, map[string]string){
		"ImageNotThere": testImageNotThere, "NeverPlaced": testNeverPlaced, "TooLarge": testTooLarge, "Evicted": testEvicted,
		"Foreign": testForeign, "NotMeasured": testNotMeasured, "NoStorage": testNoStorage, "TwoServers": testTwoServers,
		"DialPods": testDialPods, "NothingStays": testNothingStays,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, have)
		})
	}
}

func testImageNotThere(t *testing.T, have map[string]string) {
	h, _ := world(t, have, Config{})
	ctx := patience(t)
	spec := waits("a", 1)
	spec.Image = "registry.example.com/nobody:1"
	_, err := h.Start(ctx, spec)
	if !errors.Is(err, runtime.ErrImage) || !strings.Contains(err.Error(), spec.Image) {
		t.Errorf("started: %v", err)
	}
	in, err := h.Inspect(ctx, "a")
	if err != nil || in.State != runtime.InstanceExited || in.Code != -1 || !strings.Contains(in.Reason, "ImagePullBackOff") {
		t.Errorf("%+v (%v)", in, err)
	}
	if p, err := h.podOf(ctx, "a"); p != nil || err != nil {
		t.Errorf("the cluster still tries: %v (%v)", p, err)
	}
	if in, err := h.Start(ctx, waits("a", 2)); err != nil || in.State != runtime.InstanceRunning {
		t.Errorf("with another image: %+v (%v)", in, err)
	}
}

func testNeverPlaced(t *testing.T, have map[string]string) {
	h, _ := world(t, have, Config{StartTimeout: 300 * time.Millisecond})
	ctx := patience(t)
	spec := waits("a", 1)
	spec.Image = slowImage
	if _, err := h.Start(ctx, spec); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("started: %v", err)
	}
	if in, err := h.Inspect(ctx, "a"); err != nil || in.State != runtime.InstanceStarting {
		t.Errorf("%+v (%v)", in, err)
	}
	if _, err := h.Dial(ctx, "a"); !errors.Is(err, runtime.ErrNotRunning) {
		t.Errorf("dial: %v", err)
	}
	if err := h.Stop(ctx, "a", time.Second); err != nil {
		t.Error(err)
	}
	if in, err := h.Inspect(ctx, "a"); err != nil || in.State != runtime.InstanceExited {
		t.Errorf("%+v (%v)", in, err)
	}
}

func testTooLarge(t *testing.T, have map[string]string) {
	h, _ := world(t, have, Config{})
	ctx := patience(t)
	spec := waits("a", 1)
	spec.Files = map[string][]byte{"a": make([]byte, maxSecret-1000)}
	if _, err := h.Start(ctx, spec); err != nil {
		t.Errorf("what fits: %v", err)
	}
	spec.Generation, spec.Env = 2, map[string]string{"A": strings.Repeat("x", 1000)}
	if _, err := h.Start(ctx, spec); fault.KindOf(err) != fault.TooLarge || !strings.Contains(err.Error(), "1048576 bytes") {
		t.Errorf("what does not: %v", err)
	}
	if in, err := h.Inspect(ctx, "a"); err != nil || in.Generation != 1 || in.State != runtime.InstanceRunning {
		t.Errorf("what ran before is %+v (%v)", in, err)
	}
	spec.Env, spec.Network = nil, runtime.Network{Mode: runtime.NetworkLimited, Hosts: []string{"example.com"}}
	spec.Files = nil
	if _, err := h.Start(ctx, spec); !errors.Is(err, runtime.ErrIsolation) {
		t.Errorf("a network of names: %v", err)
	}
}

// A pod that somebody else deletes has ended, and the next start makes another.
func testEvicted(t *testing.T, have map[string]string) {
	h, k := world(t, have, Config{})
	ctx := patience(t)
	if _, err := h.Start(ctx, waits("a", 1)); err != nil {
		t.Fatal(err)
	}
	if err := k.api.remove(ctx, pods, objectName("a"), "", new(time.Second)); err != nil {
		t.Fatal(err)
	}
	err := h.api.await(ctx, pods, objectName("a"), func(o k8sruntime.Object) bool { return o == nil })
	if err != nil {
		t.Fatal(err)
	}
	in, err := h.Inspect(ctx, "a")
	if err != nil || in.State != runtime.InstanceExited || in.Code != -1 || in.Reason != gone || in.Generation != 1 {
		t.Errorf("%+v", in)
	}
	if in, err := h.Start(ctx, waits("a", 1)); err != nil || in.State != runtime.InstanceRunning {
		t.Errorf("%+v (%v)", in, err)
	}
}

func testForeign(t *testing.T, have map[string]string) {
	h, k := world(t, have, Config{})
	ctx := patience(t)
	other := newHost(t, Config{REST: h.cfg.REST, Namespace: h.cfg.Namespace, Image: image, Server: "other"})
	if _, err := other.Start(ctx, waits("a", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(ctx, waits("a", 1)); fault.KindOf(err) != fault.Conflict {
		t.Errorf("another server's: %v", err)
	}
	if _, err := h.Inspect(ctx, "a"); !errors.Is(err, runtime.ErrNoInstance) {
		t.Errorf("inspect: %v", err)
	}
	if err := h.Remove(ctx, "a"); err != nil {
		t.Error(err)
	}
	if list, err := h.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v (%v)", list, err)
	}
	if in, err := other.Inspect(ctx, "a"); err != nil || in.State != runtime.InstanceRunning {
		t.Errorf("%+v (%v)", in, err)
	}
	m := &corev1.ConfigMap{}
	m.Name = objectName("b")
	if _, err := k.api.create(ctx, records, m, m); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Start(ctx, waits("b", 1)); fault.KindOf(err) != fault.Conflict {
		t.Errorf("somebody's: %v", err)
	}
}

func testNotMeasured(t *testing.T, have map[string]string) {
	h, k := world(t, have, Config{})
	ctx := patience(t)
	k.unmeasured.Store(true)
	if _, err := h.Start(ctx, waits("a", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Stats(ctx, "a"); !errors.Is(err, ErrNotMeasured) {
		t.Errorf("stats: %v", err)
	}
}

// printed waits for a line of the instance "a", and returns all until then.
func printed(t *testing.T, h *Host, want string) (lines []string) {
	t.Helper()
	for l, err := range h.Logs(patience(t), "a", runtime.LogQuery{Tail: -1, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if lines = append(lines, l.Text); l.Text == want {
			return lines
		}
	}
	t.Fatalf("it has printed %q", lines)
	return nil
}

func testNoStorage(t *testing.T, have map[string]string) {
	h, k := world(t, have, Config{StorageClass: NoStorage})
	ctx := patience(t)
	if _, err := h.Start(ctx, waits("a", 1, "write", "own", "mine", "cat", "own")); err != nil {
		t.Fatal(err)
	}
	printed(t, h, "mine")
	if _, err := h.Start(ctx, waits("a", 2, "cat", "own", "out", "looked")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(printed(t, h, "looked"), ", "); got != "mine, own: no such file, looked" {
		t.Error(got)
	}
	var c corev1.PersistentVolumeClaim
	if found, err := k.api.get(ctx, claims, objectName("a"), &c); found || err != nil {
		t.Errorf("there is a claim (%v)", err)
	}
	if err := h.Remove(ctx, "a"); err != nil {
		t.Error(err)
	}
}

// Two servers that start the same at once start one.
func testTwoServers(t *testing.T, have map[string]string) {
	h, _ := world(t, have, Config{})
	ctx := patience(t)
	hosts := []*Host{h, newHost(t, h.cfg), newHost(t, h.cfg)}
	for generation := int64(1); generation <= 3; generation++ {
		var wg sync.WaitGroup
		started := make([]runtime.Instance, len(hosts))
		for i, host := range hosts {
			wg.Go(func() {
				var err error
				if started[i], err = host.Start(ctx, waits("a", generation, "out", fmt.Sprintf("began %d", generation))); err != nil {
					t.Errorf("generation %d: %v", generation, err)
				}
			})
		}
		wg.Wait()
		if started[0] != started[1] || started[1] != started[2] {
			t.Errorf("generation %d: %+v", generation, started)
		}
		printed(t, h, fmt.Sprintf("began %d", generation))
	}
	if err := h.Stop(ctx, "a", time.Second); err != nil {
		t.Fatal(err)
	}
	n := 0
	for l, err := range h.Logs(ctx, "a", runtime.LogQuery{Tail: -1}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; l.Text != fmt.Sprintf("began %d", n) {
			t.Error(l.Text)
		}
	}
	if n != 3 {
		t.Errorf("it began %d times", n)
	}
}

func testDialPods(t *testing.T, have map[string]string) {
	h, _ := world(t, have, Config{DialPods: true, ServerLabels: map[string]string{"app": "bureau"}})
	ctx := patience(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // the address that pods of the tests say they have
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	spec := waits("a", 1)
	spec.Port = l.Addr().(*net.TCPAddr).Port
	if _, err := h.Start(ctx, spec); err != nil {
		t.Fatal(err)
	}
	conn, err := h.Dial(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().String(); got != l.Addr().String() {
		t.Errorf("connected with %s", got)
	}
	_ = conn.Close()
}

// What was made for an instance goes with it.
func testNothingStays(t *testing.T, have map[string]string) {
	h, k := world(t, have, Config{})
	ctx := patience(t)
	for generation := range int64(3) {
		if _, err := h.Start(ctx, waits("a", generation+1, "out", "a line")); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Stop(ctx, "a", time.Second); err != nil {
		t.Fatal(err)
	}
	names := func() (names []string) {
		for _, resource := range []string{pods, secrets, records, claims, policies} {
			text, err := k.api.client(resource).Get().Namespace(k.api.namespace).Resource(resource).Do(ctx).Raw()
			if err != nil {
				t.Fatal(err)
			}
			for part := range bytes.SplitSeq(text, []byte(`"name":"bureau-`)) {
				if name, _, _ := bytes.Cut(part, []byte(`"`)); len(name) > 0 && name[0] != '{' {
					names = append(names, resource+" "+string(name))
				}
			}
		}
		return names
	}
	if len(names()) < 5 {
		t.Errorf("there are only %q", names())
	}
	if err := h.Remove(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if left := names(); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
