package child

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// build makes the sandbox's file system and network, and enters it.
func build(s Setup) error {
	if err := unix.Sethostname([]byte("sandbox")); err != nil {
		return fmt.Errorf("name the host: %w", err)
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("bring the loopback interface up: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	if err := tmpfs(s.Base, "mode=0755,size=4m,nr_inodes=4096", 0); err != nil {
		return err
	}
	b := builder{s.Base}
	for _, step := range []func() error{
		func() error { return b.files(s.Files) },
		func() error { return b.system(s.System) },
		func() error { return b.hide(s.Hidden) },
		func() error { return b.devices(s.Shm) },
		b.processes,
		func() error { return b.own(s.Mounts) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := os.Chdir(s.Base); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil { // the old root then lies over the new one, and is taken off
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	for _, dir := range s.ReadOnly {
		if err := protect(dir); err != nil {
			return err
		}
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		return fmt.Errorf("make the root read-only: %w", err)
	}
	return nil
}

// loopback brings up the only interface there is.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was written
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

func tmpfs(target, options string, flags uintptr) error {
	if err := unix.Mount("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|flags, options); err != nil {
		return fmt.Errorf("mount a file system in memory: %w", err)
	}
	return nil
}

// builder builds below a directory that becomes the root.
type builder struct{ root string }

func (b builder) in(name string) string { return path.Join(b.root, name) }

// bind shows what stands at source, with all that is mounted below it.
func (b builder) bind(source, target string, flags uint64) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s: %w", source, err)
	}
	attr := unix.MountAttr{Attr_set: flags | unix.MOUNT_ATTR_NOSUID, Propagation: unix.MS_PRIVATE}
	err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &attr)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.12 there is no way to do it for all mounts at once
		old := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID)
		if flags&unix.MOUNT_ATTR_RDONLY != 0 {
			old |= unix.MS_RDONLY
		}
		if flags&unix.MOUNT_ATTR_NODEV != 0 {
			old |= unix.MS_NODEV
		}
		err = unix.Mount("", target, "", old, "")
	}
	if err != nil {
		return fmt.Errorf("restrict %s: %w", source, err)
	}
	return nil
}

// point makes what something of the kind of info can be mounted on.
func point(target string, dir bool) error {
	if dir {
		return os.MkdirAll(target, 0o755) //nolint:gosec // the sandbox has another user
	}
	if err := os.MkdirAll(path.Dir(target), 0o755); err != nil { //nolint:gosec // the sandbox has another user
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the sandbox has another user
	if err != nil {
		return err
	}
	return f.Close()
}

// system shows parts of the machine; links such as /bin to usr/bin stay links.
func (b builder) system(paths []string) error {
	for _, p := range paths {
		info, err := os.Lstat(p)
		if err != nil {
			continue // not every machine has each
		}
		target := b.in(p)
		if _, err := os.Lstat(target); err == nil {
			continue // the sandbox has its own, or it lies in what is shown already
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if to, err := os.Readlink(p); err == nil {
				_ = os.MkdirAll(path.Dir(target), 0o755) //nolint:gosec // the sandbox has another user
				_ = os.Symlink(to, target)
			}
			continue
		}
		if err := point(target, info.IsDir()); err != nil {
			return fmt.Errorf("make room for %s: %w", p, err)
		}
		if err := b.bind(p, target, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV); err != nil {
			return err
		}
	}
	return nil
}

// hide covers directories with empty ones.
func (b builder) hide(dirs []string) error {
	for _, dir := range dirs {
		info, err := os.Lstat(b.in(dir))
		if err != nil || !info.IsDir() {
			continue // it is not in sight
		}
		if err := tmpfs(b.in(dir), "mode=0555,size=4k,nr_inodes=2", unix.MS_RDONLY); err != nil {
			return err
		}
	}
	return nil
}

func (b builder) files(files map[string]string) error {
	for name, text := range files {
		target := b.in(name)
		if err := os.MkdirAll(path.Dir(target), 0o755); err != nil { //nolint:gosec // the sandbox has another user
			return err
		}
		if err := os.WriteFile(target, []byte(text), 0o644); err != nil { //nolint:gosec // the sandbox has another user
			return err
		}
	}
	return nil
}

// devices makes /dev with what programs cannot do without.
func (b builder) devices(shm int64) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom"} {
		target := b.in("/dev/" + name)
		if err := point(target, false); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+name, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show /dev/%s: %w", name, err)
		}
		flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NOEXEC)
		_ = unix.Mount("", target, "", flags, "") // the device is harmless either way
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, b.in("/dev/"+name)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.MkdirAll(b.in(dir), 0o755); err != nil { //nolint:gosec // the sandbox has another user
			return err
		}
	}
	// Without it programs have no terminals of their own, which few miss.
	_ = unix.Mount("devpts", b.in("/dev/pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
	return tmpfs(b.in("/dev/shm"), "mode=1777,size="+strconv.FormatInt(shm, 10), 0)
}

// hidden are files of /proc that tell about the machine, not about the sandbox.
var hidden = []string{"kcore", "keys", "key-users", "kmsg", "kallsyms", "latency_stats", "timer_list", "sched_debug", "sysrq-trigger", "config.gz"}

// processes mounts /proc of the sandbox's own processes.
func (b builder) processes() error {
	target := b.in("/proc")
	if err := os.MkdirAll(target, 0o755); err != nil { //nolint:gosec // the sandbox has another user
		return err
	}
	if err := unix.Mount("proc", target, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, name := range hidden {
		file := path.Join(target, name)
		if _, err := os.Lstat(file); err == nil {
			if err := unix.Mount("/dev/null", file, "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("hide /proc/%s: %w", name, err)
			}
		}
	}
	for _, name := range []string{"sys", "irq", "bus", "fs"} {
		dir := path.Join(target, name)
		if _, err := os.Lstat(dir); err == nil {
			if err := b.bind(dir, dir, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC); err != nil {
				return err
			}
		}
	}
	return nil
}

// own shows the sandbox's own directories. Programs cannot change what stands above one, on either side.
func (b builder) own(mounts []Mount) error {
	for _, m := range mounts {
		target := b.in(m.Target)
		if err := point(target, true); err != nil {
			return fmt.Errorf("make room for %s: %w", m.Target, err)
		}
		flags := uint64(unix.MOUNT_ATTR_NODEV)
		if m.ReadOnly {
			flags |= unix.MOUNT_ATTR_RDONLY
		}
		if err := b.bind(m.Source, target, flags); err != nil {
			return err
		}
	}
	return nil
}

// protect makes a directory below one of the sandbox's own read-only. Programs may have put a link in its place, or in that of one above
// it, which on the machine's own root would lead anywhere: so this comes after the change of roots, and follows none.
func protect(dir string) error {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		next, err := unix.Openat(fd, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			if err = unix.Mkdirat(fd, part, 0o755); err == nil {
				next, err = unix.Openat(fd, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			}
		}
		if err != nil {
			return nil // something else stands there, which the programs have made: it is theirs to change
		}
		_ = unix.Close(fd)
		fd = next
	}
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	if err := unix.Mount(self, self, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s: %w", dir, err)
	}
	// The descriptor is of what lies below the new mount; whatever else the name might lead to by now is not harmed by this.
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV)
	if err := unix.Mount("", dir, "", flags, ""); err != nil {
		return fmt.Errorf("restrict %s: %w", dir, err)
	}
	return nil
}
