package host

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sysProcAttr makes the kernel kill the plugin when the thread that started it ends, and keeps signals of the server's terminal
// from it: the server ends its plugins itself.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// limitMemory bounds what the process may map for writing. RLIMIT_AS would count address space that Go reserves and never uses.
func limitMemory(pid int, bytes int64) error {
	if bytes < 0 {
		return nil
	}
	limit := unix.Rlimit{Cur: uint64(bytes), Max: uint64(bytes)}
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	none := unix.Rlimit{} // a core file would hold secrets
	if err := unix.Prlimit(pid, unix.RLIMIT_CORE, &none, nil); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// waitExit blocks the calling thread until the process has ended.
func waitExit(p *process) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil { // it has ended already, or the kernel is older than 5.3
		pollExit(p)
		return
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if n > 0 {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			pollExit(p)
			return
		}
	}
}

func pollExit(p *process) {
	for !p.client.Exited() {
		time.Sleep(50 * time.Millisecond)
	}
}
