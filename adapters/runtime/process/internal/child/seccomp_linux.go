package child

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// denied are system calls that no program in a sandbox needs, and that have been the way out of one: what they would do is refused
// anyway for want of rights, in a kernel without faults.
var denied = []uint32{
	unix.SYS_ACCT, unix.SYS_ADD_KEY, unix.SYS_BPF, unix.SYS_CHROOT, unix.SYS_CLOCK_ADJTIME, unix.SYS_CLOCK_SETTIME, unix.SYS_DELETE_MODULE,
	unix.SYS_FANOTIFY_INIT, unix.SYS_FINIT_MODULE, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSOPEN, unix.SYS_FSPICK,
	unix.SYS_INIT_MODULE, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_IO_URING_SETUP, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_KEXEC_LOAD, unix.SYS_KEYCTL, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_MOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_MOVE_MOUNT,
	unix.SYS_NFSSERVCTL, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_OPEN_TREE, unix.SYS_PERF_EVENT_OPEN, unix.SYS_PIVOT_ROOT,
	unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PTRACE, unix.SYS_QUOTACTL, unix.SYS_REBOOT, unix.SYS_REQUEST_KEY,
	unix.SYS_SETDOMAINNAME, unix.SYS_SETHOSTNAME, unix.SYS_SETNS, unix.SYS_SETTIMEOFDAY, unix.SYS_SWAPOFF, unix.SYS_SWAPON,
	unix.SYS_SYSLOG, unix.SYS_UMOUNT2, unix.SYS_UNSHARE, unix.SYS_USERFAULTFD, unix.SYS_VHANGUP,
}

// newNamespaces are the flags of clone that make namespaces; a namespace for users would give rights back.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// families are the kinds of sockets that belong to a network namespace and that programs use. Others do not: vsock leads to the
// machine that hosts this one.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// x32 marks the system calls of an interface that nobody uses, whose numbers would get around the table.
const x32 = 0x40000000

// What of seccomp_data (linux/seccomp.h) is looked at.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArg0   = 16 // low half, on little-endian machines
)

// forbidden returns the filter: a list of what is refused with EPERM. Where the architecture is not known it is empty.
func forbidden() ([]unix.SockFilter, error) {
	var arch uint32
	switch runtime.GOARCH {
	case "amd64":
		arch = unix.AUDIT_ARCH_X86_64
	case "arm64":
		arch = unix.AUDIT_ARCH_AARCH64
	default:
		return nil, nil
	}
	const (
		load = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		eq   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ge   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		set  = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
	)
	refuse := func(errno unix.Errno) unix.SockFilter {
		return unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}
	}
	f := []unix.SockFilter{
		{Code: load, K: offsetArch},
		{Code: eq, K: arch, Jt: 1},
		refuse(unix.EPERM), // another architecture has other numbers
		{Code: load, K: offsetNumber},
		{Code: ge, K: x32, Jf: 1},
		refuse(unix.ENOSYS),
		{Code: eq, K: unix.SYS_CLONE3, Jf: 1}, // its flags cannot be looked at; C libraries then take clone
		refuse(unix.ENOSYS),
	}
	for _, n := range denied {
		f = append(f, unix.SockFilter{Code: eq, K: n, Jf: 1}, refuse(unix.EPERM))
	}
	f = append(f,
		unix.SockFilter{Code: eq, K: unix.SYS_SOCKET, Jf: uint8(len(families) + 2)},
		unix.SockFilter{Code: load, K: offsetArg0})
	for i, family := range families {
		f = append(f, unix.SockFilter{Code: eq, K: family, Jt: uint8(len(families) - i)})
	}
	f = append(f, refuse(unix.EAFNOSUPPORT), unix.SockFilter{Code: load, K: offsetNumber})
	return append(f,
		unix.SockFilter{Code: eq, K: unix.SYS_CLONE, Jf: 3},
		unix.SockFilter{Code: load, K: offsetArg0},
		unix.SockFilter{Code: set, K: newNamespaces, Jf: 1},
		refuse(unix.EPERM),
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
	), nil
}
