package extract

import "golang.org/x/sys/unix"

// restrict lets the kernel hold a reader to its limits. It is the data that is limited and not the address space, of which Go reserves more
// than a gigabyte that it never uses.
func restrict(o order) error {
	data := uint64(o.Memory)
	for what, most := range map[int]uint64{unix.RLIMIT_DATA: data, unix.RLIMIT_CPU: o.Seconds, unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0} {
		if err := unix.Setrlimit(what, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	return nil
}
