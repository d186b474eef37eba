package child

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This runs before the inits of everything else that a server links, and before its main: those take longer than all the rest of a
// call, and a program that embeds Bureau has nothing to remember.
func init() { //nolint:gochecknoinits // see above
	if len(os.Args) == 0 {
		return
	}
	// Ends go by syscall.Exit, without what others have registered for the end of a server.
	runtime.LockOSThread() // rights and filters belong to threads, and main starts on this one
	switch os.Args[0] {
	case NameInit:
		initialize()
	case NameProgram:
		serve()
	case NameLauncher:
		launch(NameInit, true)
	case NameKeeperInit:
		isolate()
	case NameKeeperLauncher:
		launch(NameKeeperInit, false)
	case NameKeeper:
		keep()
	default:
		runtime.UnlockOSThread()
		return
	}
	syscall.Exit(1)
}

// socket is the descriptor that leads to the server. It is read and written without the poller: nothing else goes on.
type socket struct{}

func (socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(SocketFD, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, errors.New("the server is gone")
		default:
			return n, nil
		}
	}
}

func (socket) Write(p []byte) (int, error) {
	for written := 0; ; {
		n, err := unix.Write(SocketFD, p[written:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return written, err
		}
		if written += max(n, 0); written == len(p) {
			return written, nil
		}
	}
}

// fail tells the server what went wrong, and ends.
func fail(refused bool, err error) {
	_ = Send(socket{}, Status{Failed: err.Error(), Refused: refused})
	syscall.Exit(1)
}

// initialize builds the sandbox and gives up the rights to do so.
func initialize() {
	var s Setup
	if err := Receive(socket{}, &s); err != nil {
		syscall.Exit(1)
	}
	if err := build(s); err != nil {
		fail(false, err)
	}
	var proxy []int
	if s.Proxy {
		fd, err := listen()
		if err != nil {
			fail(false, fmt.Errorf("open the proxy's listener: %w", err))
		}
		proxy = []int{fd}
	}
	if err := limit(s); err != nil {
		fail(false, err)
	}
	everywhere, err := drop(s, false)
	if err != nil {
		fail(false, err)
	}
	if err := ready(proxy); err != nil {
		syscall.Exit(1)
	}
	if everywhere {
		serve()
		return
	}
	// Rights are each thread's own, and the Go runtime has made more threads: only executing a program ends all of them at once.
	err = unix.Exec("/proc/self/exe", []string{NameProgram}, os.Environ())
	fail(false, fmt.Errorf("begin anew: %w", err))
}

// ready says that the sandbox stands, and hands over the proxy's listener.
func ready(fds []int) error {
	if len(fds) == 0 {
		return Send(socket{}, Status{})
	}
	// A byte carries the descriptors; the message follows it.
	if err := unix.Sendmsg(SocketFD, []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
		return err
	}
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
	return Send(socket{}, Status{})
}

// listen opens the listener that the server serves the proxy on: a socket belongs to the network it was made in, wherever it is used.
func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: ProxyPort, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 128)
}

// limit sets what the program may use at most; the helper itself needs little of it.
func limit(s Setup) error {
	for _, l := range s.Limits {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(l.Resource, &now); err != nil {
			return fmt.Errorf("limit %d: %w", l.Resource, err)
		}
		v := min(l.Value, now.Max)
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: v, Max: v}); err != nil {
			return fmt.Errorf("limit %d: %w", l.Resource, err)
		}
	}
	// Courtesies to the server: it goes first, and it stays when the machine runs out of memory.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, s.Nice)
	_ = os.WriteFile("/proc/self/oom_score_adj", strconv.AppendInt(nil, int64(s.OOM), 10), 0)
	return nil
}

// serve is what remains of the helper once it has no rights: it runs the program and buries whatever dies in the sandbox.
func serve() {
	// Whatever else a server has left open is not the program's. An old kernel does not know the call; Go closes its own files anyway.
	_ = unix.CloseRange(SocketFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	unix.CloseOnExec(SocketFD)
	unix.Umask(0o022)
	var p Program
	if err := Receive(socket{}, &p); err != nil {
		syscall.Exit(1)
	}
	file, err := lookup(p)
	if err != nil {
		fail(true, err)
	}
	// A program has the helper's own user, and shall not see through it: neither its memory nor the file it was started from.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		fail(false, err)
	}
	pid, err := syscall.ForkExec(file, p.Args, &syscall.ProcAttr{
		Dir: p.Dir, Env: p.Env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		fail(!errors.Is(err, unix.EAGAIN), fmt.Errorf("%s: %w", p.Args[0], err)) // which is no fault of the program's
	}
	if p.Data > 0 { // not before: the helper's own threads have stacks that count
		_ = unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: p.Data, Max: p.Data}, nil)
	}
	if err := Send(socket{}, Status{}); err != nil {
		syscall.Exit(1)
	}
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		for fd := range 3 { // whoever reads the program's output waits for its last holder
			_ = unix.Dup2(null, fd)
		}
	}
	go func() {
		serveKeeper(pid)
		syscall.Exit(1) // the server has no use for the program any more, or is gone
	}()
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		if errors.Is(err, unix.EINTR) || err == nil && got != pid {
			continue
		}
		if err != nil {
			syscall.Exit(1)
		}
		code := -1
		if status.Exited() {
			code = status.ExitStatus()
		}
		answering.Lock()
		_ = Send(socket{}, Status{Code: code})
		syscall.Exit(0)
	}
}

// answering is held while something is sent, by the two who do once the program runs.
var answering sync.Mutex

// serveKeeper does for the keeper of an instance what only somebody inside can do. It returns when there is nobody to serve; a sandbox's
// server asks for nothing.
func serveKeeper(pid int) {
	for {
		var a Ask
		if Receive(socket{}, &a) != nil {
			return
		}
		switch a.Op {
		case AskSocket:
			fd, err := unix.Socket(a.Family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				fd = -1
			}
			answering.Lock()
			err = sendWith(SocketFD, Status{Answer: true}, fd)
			answering.Unlock()
			if fd >= 0 {
				_ = unix.Close(fd)
			}
			if err != nil {
				return
			}
		case AskSignal:
			if unix.Kill(-pid, unix.Signal(a.Signal)) != nil { // it leads a group of its own, unless it has left
				_ = unix.Kill(pid, unix.Signal(a.Signal))
			}
		case AskSignalAll: // all but this process
			_ = unix.Kill(-1, unix.Signal(a.Signal))
		}
	}
}

// lookup finds the program.
func lookup(p Program) (string, error) {
	if err := unix.Access(p.Dir, unix.X_OK); err != nil {
		return "", fmt.Errorf("the directory %s: %w", p.Dir, err)
	}
	name := p.Args[0]
	if strings.Contains(name, "/") {
		return name, nil
	}
	dirs := ""
	for _, v := range p.Env {
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			dirs = value
		}
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" || dir[0] != '/' {
			continue
		}
		file := path.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is no program %q in the sandbox", name)
}

// launch makes the namespaces for a server that is not root. The server cannot do it: it lets nobody see its memory, and therefore
// may not say itself who is who in a namespace that it makes.
//
// A sandbox's launcher waits for its end. A keeper's ends at once, and says which process the keeper is: nothing is above that.
func launch(name string, wait bool) {
	files := []uintptr{0, 1, 2, SocketFD}
	sys := &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | Namespaces,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: UserID, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: UserID, HostID: os.Getegid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SETPCAP},
	}
	if wait {
		sys.Pdeathsig = syscall.SIGKILL
	} else {
		files, sys.Setsid = append(files, LockFD, ListenerFD), true
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{name}, &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: files, Sys: sys})
	if err != nil {
		fail(false, fmt.Errorf("make namespaces: %w", err))
	}
	if !wait {
		_ = Send(socket{}, Status{PID: pid})
		syscall.Exit(0)
	}
	// The helper ends with the server, and this process with the helper; in between it must not hold what others wait for.
	if null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		for fd := range SocketFD + 1 {
			_ = unix.Dup2(null, fd)
		}
	}
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); !errors.Is(err, unix.EINTR) {
			syscall.Exit(0)
		}
	}
}

// Namespaces are those of every sandbox. A server that is not root adds one for users.
const Namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// UserID is whom programs see themselves as where a server is not root; outside they are the server's own user.
const UserID = 1000

// drop gives up every right of this thread, for good, and says whether the other threads have lost theirs, too. The filter of system
// calls is this thread's and its programs', or, with threads, that of the whole process.
func drop(s Setup, threads bool) (everywhere bool, err error) {
	for c := uintptr(0); c <= 63; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); errors.Is(err, unix.EINVAL) {
			break
		} else if err != nil {
			return false, fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if os.Getuid() != s.UID { // on all threads: these are the standard library's
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(s.GID, s.GID, s.GID), syscall.Setresuid(s.UID, s.UID, s.UID)); err != nil {
			return false, fmt.Errorf("become user %d: %w", s.UID, err)
		}
		everywhere = true // a user other than root keeps nothing
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return false, fmt.Errorf("clear the ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return false, fmt.Errorf("drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return false, fmt.Errorf("set no_new_privs: %w", err)
	}
	return everywhere, filter(threads)
}

// filter installs the filter of system calls on this thread, from where programs inherit it.
func filter(threads bool) error {
	program, err := forbidden()
	if err != nil || len(program) == 0 {
		return err
	}
	var flags uintptr
	if threads {
		flags = unix.SECCOMP_FILTER_FLAG_TSYNC
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&fprog))) //nolint:gosec // the kernel copies it
	if errno != 0 && errno != unix.ENOSYS && errno != unix.EINVAL {                                                     // a kernel without it: the namespaces hold all the same
		return fmt.Errorf("filter system calls: %w", errno)
	}
	return nil
}
