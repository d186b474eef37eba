//go:build !linux

package host

import (
	"syscall"
	"time"
)

// sysProcAttr adds nothing: a plugin notices the end of the server by its pipe alone.
func sysProcAttr() *syscall.SysProcAttr { return nil }

// limitMemory does nothing: GOMEMLIMIT is all there is.
func limitMemory(int, int64) error { return nil }

// waitExit blocks until the process has ended.
func waitExit(p *process) {
	for !p.client.Exited() {
		time.Sleep(50 * time.Millisecond)
	}
}
