// Package measure finds out what processes and their files take.
package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// BlockSize is the least that a file or a directory counts as, so that empty ones are no way around a limit.
const BlockSize = 4096

// Descendants calls fn for a process and all below it.
func Descendants(pid int, fn func(pid int)) {
	fn(pid)
	tasks := fmt.Sprintf("/proc/%d/task/", pid)
	for _, task := range names(tasks) {
		raw, err := os.ReadFile(tasks + task + "/children")
		if err != nil {
			continue
		}
		for text := range strings.FieldsSeq(string(raw)) {
			if child, err := strconv.Atoi(text); err == nil {
				Descendants(child, fn)
			}
		}
	}
}

// names lists a directory, without the package path/filepath: this is linked into what starts before everything else, and the inits of
// all that this package imports come first.
func names(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer f.Close()
	list, _ := f.Readdirnames(-1)
	return list
}

// Deleted returns what the files of a device take that a process and those below it have open and that have no name any more: nobody
// finds those by walking over directories.
func Deleted(pid int, device uint64) int64 {
	var sum int64
	seen := map[uint64]bool{}
	Descendants(pid, func(pid int) {
		fds := fmt.Sprintf("/proc/%d/fd/", pid)
		for _, fd := range names(fds) {
			var st unix.Stat_t
			if unix.Stat(fds+fd, &st) != nil || st.Nlink > 0 || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Dev != device || seen[st.Ino] {
				continue
			}
			seen[st.Ino] = true
			sum += st.Blocks * 512
		}
	})
	return sum
}

// Resident returns the memory that a process and its descendants have for themselves.
func Resident(pid int) int64 {
	var sum int64
	Descendants(pid, func(pid int) { sum += private(pid) })
	return sum
}

// private returns the memory that one process has for itself.
func private(pid int) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(raw))
	if len(f) < 3 {
		return 0
	}
	all, _ := strconv.ParseInt(f[1], 10, 64)
	shared, _ := strconv.ParseInt(f[2], 10, 64)
	return (all - shared) * int64(os.Getpagesize())
}

// maxDepth is how deep directories may lie in one another; whoever passes it has used all there is.
const maxDepth = 200

// Files returns what the files of all directories take.
func Files(roots []*os.Root) int64 {
	var sum int64
	seen := map[[2]uint64]struct{}{}
	for _, root := range roots {
		if f, err := root.Open("."); err == nil {
			sum += measure(f, seen, 0)
			_ = f.Close()
		}
	}
	return sum
}

// measure returns what the files below dir take. It follows no links.
func measure(dir *os.File, seen map[[2]uint64]struct{}, depth int) int64 {
	if depth > maxDepth {
		return 1 << 60
	}
	var sum int64
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			var st unix.Stat_t
			if unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
				continue // it is gone
			}
			if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
				key := [2]uint64{st.Dev, st.Ino}
				if _, ok := seen[key]; ok {
					continue
				}
				seen[key] = struct{}{}
			}
			sum += max(st.Blocks*512, BlockSize)
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				sum += below(dir, name, seen, depth)
			}
		}
		if err != nil { // at the end, too
			return sum
		}
	}
}

func below(dir *os.File, name string, seen map[[2]uint64]struct{}, depth int) int64 {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), name, flags, 0)
	if err == unix.EACCES { // a program closed it to its own user, and perhaps hides something
		reopen(int(dir.Fd()), name)
		fd, err = unix.Openat(int(dir.Fd()), name, flags, 0)
	}
	if err != nil {
		return 0
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return measure(f, seen, depth+1)
}

// reopen lets the owner into a directory. A program may put a link in its place at any moment, which must not be followed.
func reopen(dir int, name string) {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Fchmodat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), 0o700, 0)
	_ = unix.Close(fd)
}
