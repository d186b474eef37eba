package runtimetest

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// FakeHost is a runtime.Host whose instances are entries of a map: for tests of what asks hosts for instances. Nothing is run, so that it
// cannot pass RunHost. It is safe for concurrent use; its fields are set before it is used.
type FakeHost struct {
	// Refuse, which may be nil, is asked before each start; its error is what Start returns.
	Refuse func(spec runtime.InstanceSpec) error
	// Ignore keeps programs from ending when they are asked to, so that only the kill at the end of the grace does.
	Ignore bool

	mu        sync.Mutex
	instances map[string]*fakeInstance
	starts    map[string]int
	changed   chan struct{} // closed and replaced at each change
}

type fakeInstance struct {
	runtime.Instance
	spec runtime.InstanceSpec
	log  []runtime.LogLine
}

var _ runtime.Host = (*FakeHost)(nil)

// NewFakeHost returns a host without instances.
func NewFakeHost() *FakeHost {
	return &FakeHost{instances: map[string]*fakeInstance{}, starts: map[string]int{}, changed: make(chan struct{})}
}

// Name implements runtime.Host.
func (h *FakeHost) Name() string { return "fake" }

// Starts returns how often programs of an instance have been started.
func (h *FakeHost) Starts(id string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.starts[id]
}

// Spec returns what an instance was started with last.
func (h *FakeHost) Spec(id string) (runtime.InstanceSpec, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.instances[id]
	if !ok {
		return runtime.InstanceSpec{}, false
	}
	return i.spec, true
}

// Say adds a line to an instance's log.
func (h *FakeHost) Say(id string, line runtime.LogLine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, ok := h.instances[id]; ok {
		i.log = append(i.log, line)
		h.change()
	}
}

// End has the program of an instance end by itself, as e says in its Code, Memory and Reason.
func (h *FakeHost) End(id string, e runtime.Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, ok := h.instances[id]; ok && i.State != runtime.InstanceExited {
		i.State, i.ExitedAt, i.Code, i.Memory, i.Reason = runtime.InstanceExited, time.Now(), e.Code, e.Memory, e.Reason
		h.change()
	}
}

// Plant puts an instance there that nobody asked for.
func (h *FakeHost) Plant(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.instances[id] = &fakeInstance{Instance: runtime.Instance{ID: id, Generation: 1, State: runtime.InstanceRunning, StartedAt: time.Now()}}
	h.change()
}

func (h *FakeHost) change() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// Start implements runtime.Host.
func (h *FakeHost) Start(ctx context.Context, spec runtime.InstanceSpec) (runtime.Instance, error) {
	if err := ctx.Err(); err != nil {
		return runtime.Instance{}, err
	}
	if h.Refuse != nil {
		if err := h.Refuse(spec); err != nil {
			return runtime.Instance{}, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.instances[spec.ID]
	if ok && i.State == runtime.InstanceRunning && i.Generation == spec.Generation {
		return i.Instance, nil
	}
	if !ok {
		i = &fakeInstance{}
		h.instances[spec.ID] = i
	}
	i.Instance = runtime.Instance{ID: spec.ID, Generation: spec.Generation, State: runtime.InstanceRunning, StartedAt: time.Now()}
	i.spec = spec
	i.log = append(i.log, runtime.LogLine{Time: i.StartedAt, Text: fmt.Sprintf("[info] started, generation %d", spec.Generation)})
	h.starts[spec.ID]++
	h.change()
	return i.Instance, nil
}

// Stop implements runtime.Host.
func (h *FakeHost) Stop(ctx context.Context, id string, grace time.Duration) error {
	h.mu.Lock()
	_, ok := h.instances[id]
	h.mu.Unlock()
	if !ok {
		return runtime.ErrNoInstance
	}
	if h.Ignore {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	h.End(id, runtime.Instance{})
	return nil
}

// Remove implements runtime.Host.
func (h *FakeHost) Remove(_ context.Context, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.instances, id)
	h.change()
	return nil
}

// Inspect implements runtime.Host.
func (h *FakeHost) Inspect(_ context.Context, id string) (runtime.Instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.instances[id]
	if !ok {
		return runtime.Instance{}, runtime.ErrNoInstance
	}
	return i.Instance, nil
}

// List implements runtime.Host.
func (h *FakeHost) List(context.Context) ([]runtime.Instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]runtime.Instance, 0, len(h.instances))
	for _, id := range slices.Sorted(maps.Keys(h.instances)) {
		all = append(all, h.instances[id].Instance)
	}
	return all, nil
}

// Stats implements runtime.Host.
func (h *FakeHost) Stats(_ context.Context, id string) (runtime.Stats, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.instances[id]
	switch {
	case !ok:
		return runtime.Stats{}, runtime.ErrNoInstance
	case i.State != runtime.InstanceRunning:
		return runtime.Stats{}, runtime.ErrNotRunning
	}
	return runtime.Stats{Memory: 8 << 20, MemoryLimit: runtime.DefaultInstanceMemory, CPUPercent: 0.5, Processes: 1, At: time.Now()}, nil
}

// Logs implements runtime.Host.
func (h *FakeHost) Logs(ctx context.Context, id string, q runtime.LogQuery) iter.Seq2[runtime.LogLine, error] {
	return func(yield func(runtime.LogLine, error) bool) {
		next := -1
		for {
			h.mu.Lock()
			i, ok := h.instances[id]
			changed := h.changed
			var lines []runtime.LogLine
			if ok {
				if next < 0 {
					next = 0
					if q.Tail >= 0 {
						next = max(0, len(i.log)-q.Tail)
					}
				} else if len(i.log) < next {
					next = len(i.log)
				}
				lines = slices.Clone(i.log[next:])
				next = len(i.log)
			}
			h.mu.Unlock()
			if !ok {
				if next < 0 {
					yield(runtime.LogLine{}, runtime.ErrNoInstance)
				}
				return
			}
			for _, l := range lines {
				if l.Time.Before(q.Since) {
					continue
				}
				if !yield(l, nil) {
					return
				}
			}
			if !q.Follow {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Dial implements runtime.Host: nothing listens in an instance of this host.
func (h *FakeHost) Dial(_ context.Context, id string) (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, ok := h.instances[id]
	switch {
	case !ok:
		return nil, runtime.ErrNoInstance
	case i.State != runtime.InstanceRunning:
		return nil, runtime.ErrNotRunning
	}
	return nil, fmt.Errorf("runtimetest: nothing listens in %s", id)
}
