package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// maxDepth is how deep directories may lie in one another; whoever passes it has used all there is.
const maxDepth = 200

// measureRoots returns what the files of all directories take.
func measureRoots(roots map[string]*os.Root) int64 {
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
			sum += max(st.Blocks*512, blockSize)
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
