package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks are how many a second has in /proc, on all of Linux's architectures.
const ticks = 100

// stat returns the fields of /proc/PID/stat (proc(5)) from the third on, nil when there is no such process.
func stat(pid int) []string {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	text := string(raw)
	f := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // the second may hold anything
	if len(f) < 20 {
		return nil
	}
	return f
}

// Started returns when a process was started, in ticks since the machine was: with the process's number that is a name which no other
// process has. It is 0 for one that is dead, also if nobody has waited for it.
func Started(pid int) uint64 {
	f := stat(pid)
	if f == nil || f[0] == "Z" || f[0] == "X" {
		return 0
	}
	n, _ := strconv.ParseUint(f[19], 10, 64)
	return n
}

// Boot returns a name for this run of the machine, in which numbers and starts of processes have a meaning.
func Boot() string {
	raw, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw))
}

// CPU returns how long a process and those below it have had a core, and the processes that these have waited for.
func CPU(pid int) time.Duration {
	var sum int64
	Descendants(pid, func(pid int) {
		f := stat(pid)
		if f == nil {
			return
		}
		for _, text := range f[11:15] {
			n, _ := strconv.ParseInt(text, 10, 64)
			sum += n
		}
	})
	return time.Duration(sum) * time.Second / ticks
}

// Count returns how many processes there are from one downwards.
func Count(pid int) int {
	n := 0
	Descendants(pid, func(pid int) {
		if Started(pid) != 0 {
			n++
		}
	})
	return n
}
