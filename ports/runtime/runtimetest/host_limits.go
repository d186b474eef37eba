package runtimetest

import (
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

func testHostCPU(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("busy", 1, "out", "ready", "spin", "4", "wait")
	spec.Limits.CPU = 200
	r.start(spec)
	r.printed("busy", "ready")
	var s runtime.Stats
	first, err := r.Stats(r.context(), "busy")
	if err != nil {
		t.Fatal(err)
	}
	r.until("two seconds were measured", func() bool {
		if s, err = r.Stats(r.context(), "busy"); err != nil {
			t.Fatal(err)
		}
		return s.At.Sub(first.At) > 1500*time.Millisecond
	})
	if s.CPUPercent < 5 || s.CPUPercent > 60 { // measured coarsely, on a machine that does other things, too
		t.Errorf("with a fifth of a core it takes %.0f %%", s.CPUPercent)
	}
}

func testHostMemory(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("greedy", 1, "out", "ready", "memory", "400000000", "out", "survived", "wait")
	spec.Limits.Memory = 96 << 20
	r.start(spec)
	if in := r.exited("greedy"); in.Code == 0 || !in.Memory {
		t.Errorf("%+v, %.500q", in, r.log("greedy"))
	}
	if got := r.log("greedy"); slices.Contains(got, "survived") {
		t.Errorf("it printed %q", got)
	}
	spec = r.spec("greedy", 2, "memory", "20000000", "wait")
	spec.Limits.Memory = 96 << 20
	r.start(spec)
	r.printed("greedy", "took 20000000")
}

func testHostProcesses(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("many", 1, "processes", "40", "out", "tried", "wait")
	spec.Limits.Processes = 60 // which may count threads, and a host's own
	r.start(spec)
	r.until("it has tried", func() bool {
		return len(r.log("many")) > 0
	})
	if got := r.log("many"); slices.Contains(got, "started 40") {
		t.Errorf("it printed %q", got)
	}
}

func testHostOpenFiles(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("open", 1, "files", "500", "out", "tried", "wait")
	spec.Limits.OpenFiles = 64
	r.start(spec)
	if got := r.printed("open", "tried"); slices.Contains(got, "opened 500") {
		t.Errorf("it printed %q", got)
	}
}

// An instance whose files take more than they may cannot write, or is ended.
func testHostDisk(t *testing.T, cfg HostConfig) {
	r := enter(t, cfg)
	spec := r.spec("hoard", 1, "fill", "a", "12000000", "fill", "b", "12000000", "fill", "c", "12000000", "fill", "d", "12000000", "wait")
	spec.Limits.Disk = 16 << 20
	r.start(spec)
	r.until("it is stopped", func() bool {
		in := r.inspect("hoard")
		return in.State == runtime.InstanceExited && in.Reason != "" || slices.Contains(r.log("hoard"), "d is full")
	})
}
