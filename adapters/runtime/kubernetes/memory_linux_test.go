package kubernetes

import (
	"runtime"
	"testing"

	"k8s.io/client-go/rest"
)

// A server that hosts nothing yet keeps little for its host. With all of client-go's groups it would be 16 MB.
func TestIdleMemory(t *testing.T) {
	const most = 4 << 20
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before := heap()
	h := newHost(t, Config{REST: &rest.Config{Host: startAPI(t).server.URL}, Namespace: "bureau", Image: image})
	if err := h.Check(patience(t)); err != nil {
		t.Fatal(err)
	}
	if used := heap() - before; used > most {
		t.Errorf("an idle host keeps %d bytes, more than %d", used, most)
	} else {
		t.Logf("an idle host keeps %d bytes", used)
	}
	_ = h.Close()
}
