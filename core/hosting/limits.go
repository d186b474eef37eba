package hosting

import (
	"cmp"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// LimitShare is how many times of what an instance gets by default an agent may be given: whoever may change an agent shares the machine
// with others, and an operator who wants larger agents raises what each gets.
const LimitShare = 8

// mostOf returns the largest limits of an agent where instances get given by default; its zero fields are the runtime's defaults.
func mostOf(given Limits) Limits {
	return Limits{
		Limits: runtime.Limits{
			Memory:    LimitShare * cmp.Or(given.Memory, runtime.DefaultInstanceMemory),
			Processes: LimitShare * cmp.Or(given.Processes, runtime.DefaultProcesses),
			Disk:      LimitShare * cmp.Or(given.Disk, runtime.DefaultDisk),
		},
		CPU:       LimitShare * cmp.Or(given.CPU, runtime.DefaultCPU),
		OpenFiles: LimitShare * cmp.Or(given.OpenFiles, runtime.DefaultOpenFiles),
	}
}

// within returns ErrInvalid for limits beyond most.
func within(l, most Limits) error {
	var f check.Faults
	for _, v := range []struct {
		name       string
		value, top int64
	}{
		{"memory", l.Memory, most.Memory}, {"processes", int64(l.Processes), int64(most.Processes)}, {"disk", l.Disk, most.Disk},
		{"cpu", int64(l.CPU), int64(most.CPU)}, {"open_files", int64(l.OpenFiles), int64(most.OpenFiles)},
	} {
		if v.value > v.top {
			f.Addf("limits."+v.name, "must be at most %d on this server", v.top)
		}
	}
	return f.Err(ErrInvalid)
}
