package extract

import "golang.org/x/sys/unix"

// restrict lets the kernel hold a reader to its limits. The address space has room for what Go reserves and never uses.
func restrict(o order) error {
	space := uint64(o.Memory) + 1<<30 //nolint:gosec // a limit of ours
	for what, most := range map[int]uint64{unix.RLIMIT_AS: space, unix.RLIMIT_CPU: o.Seconds, unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	return nil
}
