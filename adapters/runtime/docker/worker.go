package docker

import (
	"strconv"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
)

// workerPath is Bureau's binary under the name as which it is a worker.
const workerPath = inside.Dir + "/" + workerd.Name

// worker is what runs where an instance has neither image nor command.
func worker(b *bundle) []string { return command(b.loader, workerPath) }

// portOf returns the port that an instance's program listens on.
func portOf(labels map[string]string) int {
	if port, err := strconv.Atoi(labels[labelPort]); err == nil && port > 0 {
		return port
	}
	return workerd.Port
}
