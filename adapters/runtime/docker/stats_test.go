package docker

import (
	"testing"

	"github.com/moby/moby/api/types/container"
)

func TestUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stats map[string]uint64
		want  int64
	}{
		"version 1":           {map[string]uint64{"total_inactive_file": 30, "total_active_file": 20, "inactive_file": 1}, 50},
		"version 2":           {map[string]uint64{"file": 90, "inactive_file": 30, "active_file": 10}, 60},
		"nothing":             {nil, 100},
		"more than there was": {map[string]uint64{"inactive_file": 200}, 100},
	} {
		if got := used(container.MemoryStats{Usage: 100, Stats: c.stats}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
