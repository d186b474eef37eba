package main

import (
	"context"
	"os"
	"runtime/debug"
	"syscall"
	"time"
)

const (
	// Collecting garbage less often costs memory while there is work, and more often saves it while there is none.
	busyGCPercent = 300
	idleGCPercent = 50
	// A server is idle when it has computed for less than idleCPU in each of idleTicks.
	memoryTick = time.Second
	idleCPU    = 20 * time.Millisecond
	idleTicks  = 2
)

// watchMemory makes the server small whenever it has nothing to do, and fast whenever it has, until ctx ends. GOGC, when it is
// set, decides alone how often garbage is collected.
func watchMemory(ctx context.Context) {
	setGCPercent := func(percent int) {
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(percent)
		}
	}
	shrink := func() {
		setGCPercent(idleGCPercent)
		debug.FreeOSMemory()
		dropProgramPages()
	}
	shrink() // of what only the start needed
	tick := time.NewTicker(memoryTick)
	defer tick.Stop()
	last, calm := cpuTime(), idleTicks
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := cpuTime()
		busy := now-last >= idleCPU
		last = now
		switch {
		case busy && calm >= idleTicks:
			setGCPercent(busyGCPercent)
			calm = 0
		case busy:
			calm = 0
		case calm < idleTicks:
			if calm++; calm == idleTicks {
				shrink()
				last = cpuTime()
			}
		}
	}
}

// cpuTime is how long this process has computed.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
