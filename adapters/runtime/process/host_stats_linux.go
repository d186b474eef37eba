package process

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// sample is what was known about an instance's use of the cores at a time.
type sample struct {
	token string
	at    time.Time
	used  time.Duration
}

// sampleAge is how far apart measurements of the cores' use are, at least: the kernel counts in hundredths of a second.
const sampleAge = 500 * time.Millisecond

// Stats implements runtime.Host.
func (h *Host) Stats(ctx context.Context, id string) (runtime.Stats, error) {
	if err := ctx.Err(); err != nil {
		return runtime.Stats{}, err
	}
	e, err := h.load(id)
	if err != nil {
		return runtime.Stats{}, err
	}
	top := e.kept.Top
	if e.state() != runtime.InstanceRunning || !h.lives(e.kept.Boot, top, e.kept.TopStart) {
		return runtime.Stats{}, runtime.ErrNotRunning
	}
	now := sample{token: e.start.Token, at: time.Now(), used: measure.CPU(top)}
	s := runtime.Stats{MemoryLimit: e.start.Memory, Processes: measure.Count(top), At: now.at.UTC()}
	if !e.start.Worker { // the helper is none of the instance's
		s.Processes--
		if !h.machine.owner(id).change {
			s.Processes-- // nor is the launcher
		}
	}
	s.Processes = max(s.Processes, 0)
	err = errors.ErrUnsupported
	if groups := h.machine.place(); groups != nil {
		s.Memory, err = groups.find(id).used()
	}
	if err != nil {
		s.Memory = measure.Resident(top)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.samples[id]
	if kept[1].token != now.token {
		began, _ := time.Parse(time.RFC3339Nano, e.kept.StartedAt)
		first := sample{token: now.token, at: began}
		kept = [2]sample{first, first}
	}
	if now.at.Sub(kept[1].at) >= sampleAge {
		kept = [2]sample{kept[1], now}
		h.samples[id] = kept
	}
	if passed := now.at.Sub(kept[0].at); passed > 0 {
		s.CPUPercent = max(100*float64(now.used-kept[0].used)/float64(passed), 0)
	}
	return s, nil
}
