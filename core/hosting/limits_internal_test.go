package hosting

import (
	"errors"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// TestLimitsOfAgents: an agent's own limits cannot take the machine from the others.
func TestLimitsOfAgents(t *testing.T) {
	t.Parallel()
	most := mostOf(Limits{Limits: runtime.Limits{Memory: 1 << 30}, CPU: 2000})
	for name, c := range map[string]struct {
		limits Limits
		path   string // of the fault; "" is none
	}{
		"none":                {Limits{}, ""},
		"memory":              {Limits{Limits: runtime.Limits{Memory: 8 << 30}}, ""},
		"too much memory":     {Limits{Limits: runtime.Limits{Memory: 8<<30 + 1}}, "limits.memory"},
		"cores":               {Limits{CPU: 16000}, ""},
		"too many cores":      {Limits{CPU: 16001}, "limits.cpu"},
		"too many processes":  {Limits{Limits: runtime.Limits{Processes: LimitShare*runtime.DefaultProcesses + 1}}, "limits.processes"},
		"too much disk":       {Limits{Limits: runtime.Limits{Disk: LimitShare*runtime.DefaultDisk + 1}}, "limits.disk"},
		"too many open files": {Limits{OpenFiles: LimitShare*runtime.DefaultOpenFiles + 1}, "limits.open_files"},
	} {
		err := within(c.limits, most)
		if c.path == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		f, ok := fault.As(err)
		if !errors.Is(err, ErrInvalid) || !ok || len(f.Fields) != 1 || !strings.HasPrefix(f.Fields[0].Path, c.path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
