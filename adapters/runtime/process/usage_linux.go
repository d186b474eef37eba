package process

import (
	"maps"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
)

// measureRoots returns what the files of all directories take.
func measureRoots(roots map[string]*os.Root) int64 {
	return measure.Files(slices.Collect(maps.Values(roots)))
}

// deleted returns what the files take that the processes of a call have open and that have no name any more: nobody finds those by
// walking over directories.
func (s *sandbox) deleted(pid int) int64 {
	var own unix.Stat_t
	if unix.Stat(s.base, &own) != nil {
		return 0
	}
	return measure.Deleted(pid, own.Dev)
}
