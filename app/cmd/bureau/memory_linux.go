package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dropProgramPages unmaps the pages of the program's own file, most of which only its start needed: the kernel maps large pieces
// around whatever is touched and takes none back by itself. They stay in its cache, and those that are used come back at once.
func dropProgramPages() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	var from, to uintptr
	for line := range strings.Lines(string(smaps)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 2 && len(fields[1]) == len("r-xp"):
			from, to = 0, 0
			if len(fields) == 6 && fields[5] == exe && !strings.Contains(fields[1], "w") {
				from, to = addresses(fields[0])
			}
		case from != 0 && fields[0] == "Anonymous:" && fields[1] == "0":
			// Only pages that are as they are in the file: others, such as relocated ones, would be lost.
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED)
		}
	}
}

// addresses reads "00400000-0192b000"; what it cannot read is 0.
func addresses(text string) (from, to uintptr) {
	a, b, _ := strings.Cut(text, "-")
	low, err1 := strconv.ParseUint(a, 16, 64)
	high, err2 := strconv.ParseUint(b, 16, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return uintptr(low), uintptr(high)
}
