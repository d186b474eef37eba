package runtimetest

import (
	"testing"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// An instance without a program runs Bureau's worker, which says nothing to whoever does not know its token. What else it does is tested
// where its client is.
func testHostWorker(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := runtime.InstanceSpec{
		ID: "worker", Generation: 1, Env: map[string]string{"BUREAU_WORKER_TOKEN": "a-token"},
		Files: map[string][]byte{"SOUL.md": []byte("a soul"), "rules/refunds.md": []byte("no refunds")},
	}
	in := r.start(spec)
	if in.State != runtime.InstanceRunning {
		t.Errorf("%+v", in)
	}
	if got, err := say(r.dial("worker"), `{"token":"a-token","op":"rule","name":"refunds"}`); err != nil || got != `{"text":"no refunds"}` {
		t.Errorf("%s (%v)", got, err)
	}
	if got, err := say(r.dial("worker"), `{"token":"another","op":"rule","name":"refunds"}`); err == nil && got != `{"error":"the token is not right"}` {
		t.Errorf("without the token: %s", got)
	}
	if got, err := say(r.dial("worker"), `{"token":"a-token","op":"log","level":"info","text":"a turn began"}`); err != nil || got != `{}` {
		t.Errorf("%s (%v)", got, err)
	}
	r.printed("worker", "[info] a turn began")
	s, err := r.Stats(r.context(), "worker")
	if err != nil || s.Memory <= 0 || s.Processes < 1 && !cfg.Uncounted || s.MemoryLimit != runtime.DefaultInstanceMemory {
		t.Errorf("%+v (%v)", s, err)
	}
	again := r.start(spec)
	if again != in {
		t.Errorf("started again: %+v, %+v", again, in)
	}
	r.stop("worker", cfg.Patience)
	if in := r.inspect("worker"); in.State != runtime.InstanceExited || in.Code != 0 {
		t.Errorf("stopped: %+v", in)
	}
	spec.Generation, spec.Files = 2, map[string][]byte{"rules/refunds.md": []byte("some refunds")}
	r.start(spec)
	if got, err := say(r.dial("worker"), `{"token":"a-token","op":"rule","name":"refunds"}`); err != nil || got != `{"text":"some refunds"}` {
		t.Errorf("%s (%v)", got, err)
	}
}
