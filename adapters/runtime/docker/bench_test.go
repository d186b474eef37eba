package docker

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// The worker of one agent: made and started, stopped, started again, and removed.
func BenchmarkDockerHostLife(b *testing.B) {
	h := open(b)
	ctx := b.Context()
	if _, _, err := h.prepare(ctx); err != nil {
		b.Fatal(err)
	}
	var start, answer, again, stop, remove time.Duration
	took := func(d *time.Duration, f func() error) {
		began := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		*d += time.Since(began)
	}
	s := runtime.InstanceSpec{ID: "life", Env: map[string]string{"BUREAU_WORKER_TOKEN": "token"}}
	begin := func() error {
		s.Generation++
		_, err := h.Start(ctx, s)
		return err
	}
	for b.Loop() {
		took(&start, begin)
		took(&answer, func() error {
			for {
				if conn, err := h.Dial(ctx, "life"); err == nil {
					return conn.Close()
				}
			}
		})
		took(&again, begin)
		took(&stop, func() error { return h.Stop(ctx, "life", time.Minute) })
		took(&remove, func() error { return h.Remove(ctx, "life") })
	}
	for name, d := range map[string]time.Duration{"start": start, "dial": answer, "restart": again, "stop": stop, "remove": remove} {
		b.ReportMetric(float64(d.Milliseconds())/float64(b.N), name+"-ms")
	}
}

// Connections through a relay that runs already.
func BenchmarkDockerHostDial(b *testing.B) {
	h := open(b)
	ctx := b.Context()
	if _, err := h.Start(ctx, runtime.InstanceSpec{ID: "dial", Generation: 1, Env: map[string]string{"BUREAU_WORKER_TOKEN": "token"}}); err != nil {
		b.Fatal(err)
	}
	request, answer := []byte(`{"token":"token","op":"status"}`+"\n"), make([]byte, 200)
	ask := func() error {
		conn, err := h.Dial(ctx, "dial")
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		n, err := conn.Read(answer)
		if err == nil && !bytes.Contains(answer[:n], []byte("uptime")) {
			return fmt.Errorf("the worker says %q", answer[:n])
		}
		return err
	}
	for ask() != nil {
		if ctx.Err() != nil {
			b.Fatal(ctx.Err())
		}
	}
	for b.Loop() {
		if err := ask(); err != nil {
			b.Fatal(err)
		}
	}
}

// What an idle agent's container takes, once its relay has gone.
func BenchmarkDockerHostIdle(b *testing.B) {
	h := open(b)
	ctx := b.Context()
	const agents = 10
	for i := range agents {
		s := runtime.InstanceSpec{ID: fmt.Sprintf("idle-%d", i), Generation: 1, Env: map[string]string{"BUREAU_WORKER_TOKEN": "token"}}
		if _, err := h.Start(ctx, s); err != nil {
			b.Fatal(err)
		}
	}
	var memory atomic.Int64
	for b.Loop() {
		memory.Store(0)
		var wg sync.WaitGroup
		for i := range agents {
			wg.Go(func() {
				s, err := h.Stats(ctx, fmt.Sprintf("idle-%d", i))
				if err != nil {
					b.Error(err)
				}
				memory.Add(s.Memory)
			})
		}
		wg.Wait()
	}
	b.ReportMetric(float64(memory.Load())/agents/(1<<20), "MiB/agent")
}
