package process_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/adapters/runtime/worker"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// ready waits until a worker answers.
func ready(b *testing.B, c *worker.Client, id string) {
	b.Helper()
	if _, err := c.Status(context.Background(), id); err != nil {
		b.Fatal(err)
	}
}

// How long it takes from Start until the agent's worker answers, and then until Stop has returned.
func BenchmarkHostWorker(b *testing.B) {
	ctx := context.Background()
	h := newHost(b, process.HostConfig{})
	c := worker.NewClient(h, token)
	var start, stop, restart time.Duration
	generation := int64(0)
	for b.Loop() {
		generation++
		began := time.Now()
		if _, err := h.Start(ctx, workerSpec("bench", generation)); err != nil {
			b.Fatal(err)
		}
		ready(b, c, "bench")
		start += time.Since(began)
		generation++
		began = time.Now()
		if _, err := h.Start(ctx, workerSpec("bench", generation)); err != nil {
			b.Fatal(err)
		}
		ready(b, c, "bench")
		restart += time.Since(began)
		began = time.Now()
		if err := h.Stop(ctx, "bench", time.Second); err != nil {
			b.Fatal(err)
		}
		stop += time.Since(began)
	}
	report(b, start, stop, restart)
}

func report(b *testing.B, start, stop, restart time.Duration) {
	b.ReportMetric(start.Seconds()*1000/float64(b.N), "ms-start")
	b.ReportMetric(restart.Seconds()*1000/float64(b.N), "ms-restart")
	b.ReportMetric(stop.Seconds()*1000/float64(b.N), "ms-stop")
	b.ReportMetric(0, "ns/op")
}

// The same for a program of the agent's own, which is ready when it answers on its port.
func BenchmarkHostProgram(b *testing.B) {
	ctx := context.Background()
	h := newHost(b, process.HostConfig{})
	file := hostProgram(b)
	var start, stop, restart time.Duration
	generation := int64(0)
	begin := func(took *time.Duration) {
		generation++
		began := time.Now()
		if _, err := h.Start(ctx, programSpec(file, "bench", generation, "echo", "8080", "term", "0", "wait")); err != nil {
			b.Fatal(err)
		}
		for {
			conn, err := h.Dial(ctx, "bench")
			if err == nil {
				_ = conn.Close()
				break
			}
			if time.Since(began) > 10*time.Second {
				b.Fatal(err)
			}
		}
		*took += time.Since(began)
	}
	for b.Loop() {
		begin(&start)
		begin(&restart)
		began := time.Now()
		if err := h.Stop(ctx, "bench", time.Second); err != nil {
			b.Fatal(err)
		}
		stop += time.Since(began)
	}
	report(b, start, stop, restart)
}

// A hundred agents at once: until all of their workers answer, what each of them takes, and until all are stopped.
func BenchmarkHostHundred(b *testing.B) {
	const agents = 100
	ctx := context.Background()
	h := newHost(b, process.HostConfig{})
	c := worker.NewClient(h, token)
	var start, stop time.Duration
	var rss, pss, own int64
	generation := int64(0)
	for b.Loop() {
		generation++
		began := time.Now()
		var wg sync.WaitGroup
		each := func(do func(id string)) {
			for i := range agents {
				wg.Go(func() { do(fmt.Sprintf("agent-%d", i)) })
			}
			wg.Wait()
		}
		each(func(id string) {
			if _, err := h.Start(ctx, workerSpec(id, generation)); err != nil {
				b.Error(err)
				return
			}
			if _, err := c.Status(ctx, id); err != nil {
				b.Error(err)
			}
		})
		start += time.Since(began)
		list, err := h.List(ctx)
		if err != nil || len(list) != agents {
			b.Fatalf("%d: %v", len(list), err)
		}
		for _, in := range list {
			m := memory(in.PID)
			rss, pss, own = rss+m["Rss"], pss+m["Pss"], own+m["Private_Dirty"]
		}
		began = time.Now()
		each(func(id string) {
			if err := h.Stop(ctx, id, time.Second); err != nil {
				b.Error(err)
			}
		})
		stop += time.Since(began)
	}
	n := float64(b.N)
	b.ReportMetric(start.Seconds()*1000/n, "ms-start-100")
	b.ReportMetric(stop.Seconds()*1000/n, "ms-stop-100")
	b.ReportMetric(float64(rss)/n/agents/1024, "MiB-rss/agent")
	b.ReportMetric(float64(pss)/n/agents/1024, "MiB-pss/agent")
	b.ReportMetric(float64(own)/n/agents/1024, "MiB-private-dirty/agent")
	b.ReportMetric(0, "ns/op")
}

// memory reads /proc/PID/smaps_rollup (proc(5)), in KiB.
func memory(pid int) map[string]int64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	found := map[string]int64{}
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			found[name] = n
		}
	}
	return found
}

// What a line costs on its way from a program into the log.
func BenchmarkHostLog(b *testing.B) {
	ctx := context.Background()
	h := newHost(b, process.HostConfig{})
	const size = 64 << 20
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for b.Loop() {
		spec := programSpec(hostProgram(b), "flood", 1, "flood", strconv.Itoa(size), "exit", "0")
		if _, err := h.Start(ctx, spec); err != nil {
			b.Fatal(err)
		}
		for in, err := h.Inspect(ctx, "flood"); in.State != runtime.InstanceExited; in, err = h.Inspect(ctx, "flood") {
			if err != nil {
				b.Fatal(err)
			}
			<-tick.C
		}
	}
	b.ReportMetric(float64(b.N)*size/100/time.Since(began).Seconds(), "lines/s")
	b.ReportMetric(0, "ns/op")
}
