package memory_test

import (
	"testing"

	"github.com/bureau-agents/bureau/adapters/bus/memory"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/bus/bustest"
)

func TestBus(t *testing.T) {
	t.Parallel()
	bustest.Run(t, bustest.Config{New: func(*testing.T) []bus.Bus { return []bus.Bus{memory.New()} }})
}
