package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// sample is what a container had used at a time.
type sample struct {
	at    time.Time
	cpu   time.Duration
	stats runtime.Stats
	asked time.Time // by this machine's clock
}

// fresh is how long a measurement is as good as another: engines measure once a second, and make who asks twice wait for it.
const fresh = time.Second

// Stats implements runtime.Host. CPUPercent is over the time since the measurement before, or since the start. It may take a second.
func (h *Host) Stats(ctx context.Context, id string) (runtime.Stats, error) {
	c, err := h.newest(ctx, id)
	if err != nil {
		return runtime.Stats{}, err
	}
	in := instance(c)
	if in.State != runtime.InstanceRunning {
		return runtime.Stats{}, runtime.ErrNotRunning
	}
	h.mu.Lock()
	before, known := h.samples[c.ID]
	h.mu.Unlock()
	if known && time.Since(before.asked) < fresh {
		return before.stats, nil
	}
	got, err := h.engine.ContainerStats(ctx, c.ID, client.ContainerStatsOptions{})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return runtime.Stats{}, runtime.ErrNotRunning
	}
	if err != nil {
		return runtime.Stats{}, fmt.Errorf("measure a container: %w", err)
	}
	var s container.StatsResponse
	err = json.NewDecoder(got.Body).Decode(&s)
	if err = errors.Join(err, got.Body.Close()); err != nil {
		return runtime.Stats{}, fmt.Errorf("measure a container: %w", err)
	}
	if s.MemoryStats.Usage == 0 && s.PidsStats.Current == 0 {
		return runtime.Stats{}, runtime.ErrNotRunning // it has ended since
	}
	out := runtime.Stats{
		Memory: used(s.MemoryStats), MemoryLimit: int64(s.MemoryStats.Limit), Processes: int(s.PidsStats.Current), At: s.Read,
	}
	now := sample{at: s.Read, cpu: time.Duration(s.CPUStats.CPUUsage.TotalUsage), asked: time.Now()}
	if !known {
		before = sample{at: in.StartedAt}
	}
	if d := now.at.Sub(before.at); d > 0 && now.cpu > before.cpu {
		out.CPUPercent = 100 * float64(now.cpu-before.cpu) / float64(d)
	}
	now.stats = out
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) >= maxSamples {
		clear(h.samples)
	}
	h.samples[c.ID] = now
	return out, nil
}

// maxSamples bounds how many containers are remembered; those that are gone are not told of.
const maxSamples = 10_000

// used is a container's memory without the files that the kernel keeps for speed, which are the program's own text, too. Both versions of
// control groups name these differently; neither counts files in memory (/tmp) among them.
func used(m container.MemoryStats) int64 {
	for _, of := range []string{"total_", ""} { // version 1 with all below, version 2
		inactive, ok := m.Stats[of+"inactive_file"]
		if files := inactive + m.Stats[of+"active_file"]; ok && files < m.Usage {
			return int64(m.Usage - files)
		}
	}
	return int64(m.Usage)
}
