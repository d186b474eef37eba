package child

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bureau-agents/bureau/adapters/runtime/internal/workerd"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/logfile"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
)

// isolate builds the sandbox of an instance that needs no program, enters it, and becomes its keeper.
func isolate() {
	var s Setup
	if err := Receive(socket{}, &s); err != nil {
		syscall.Exit(1)
	}
	if err := build(s); err != nil {
		fail(false, err)
	}
	if err := limit(s); err != nil {
		fail(false, err)
	}
	everywhere, err := drop(s, true)
	if err != nil {
		fail(false, err)
	}
	if err := Send(socket{}, Status{}); err != nil {
		syscall.Exit(1)
	}
	if everywhere {
		keep()
		return
	}
	err = unix.Exec("/proc/self/exe", []string{NameKeeper}, os.Environ())
	fail(false, fmt.Errorf("begin anew: %w", err))
}

// keeper keeps one instance.
type keeper struct {
	Keep

	dir   *os.Root
	log   *logfile.Writer
	state State
	begun time.Time

	worker *workerd.Worker // nil where there is a program

	helper  int // the socket to it
	asking  sync.Mutex
	answers chan int // sockets that the helper has made; -1 for none
	proxy   int      // the listener of the program's proxy; -1 for none

	mu     sync.Mutex
	reason string        // why the keeper has ended the program
	memory bool          // and whether that was for its memory
	over   bool          // the number of the helper may be somebody else's by now
	ended  chan struct{} // closed when nothing runs, and that is written down
	told   sync.WaitGroup
}

// keep is the life of a keeper.
func keep() {
	_ = unix.CloseRange(SocketFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	for fd := SocketFD; fd <= ListenerFD; fd++ {
		unix.CloseOnExec(fd)
	}
	unix.Umask(0o022)
	k := &keeper{helper: -1, proxy: -1, answers: make(chan int), ended: make(chan struct{})}
	if err := Receive(socket{}, &k.Keep); err != nil {
		syscall.Exit(1)
	}
	if err := k.begin(); err != nil {
		fail(false, err)
	}
	if k.Worker {
		k.work()
		return
	}
	k.run()
}

// begin opens what is written to.
func (k *keeper) begin() error {
	dir, err := os.OpenRoot(k.Dir)
	if err != nil {
		return err
	}
	k.dir = dir
	logs, err := dir.OpenRoot(LogDir)
	if err != nil {
		return err
	}
	k.log, err = logfile.NewWriter(logs)
	return err
}

// started writes down that the instance runs.
func (k *keeper) started(top int, topStart uint64) error {
	k.begun = time.Now()
	k.state = State{
		Token: k.Token, Generation: k.Generation, PID: k.PID, Start: k.Start, Boot: k.Boot, Top: top, TopStart: topStart,
		StartedAt: k.begun.UTC().Format(time.RFC3339Nano),
	}
	return k.save()
}

// exited writes down that it has ended.
func (k *keeper) exited(code int, memory bool, reason string) {
	k.state.ExitedAt, k.state.Code, k.state.Memory, k.state.Reason = time.Now().UTC().Format(time.RFC3339Nano), code, memory, reason
	_ = k.save()
	close(k.ended)
}

func (k *keeper) save() error {
	raw, err := json.Marshal(k.state)
	if err != nil {
		return err
	}
	if err := k.dir.WriteFile(StateFile+".new", raw, 0o600); err != nil {
		return err
	}
	return k.dir.Rename(StateFile+".new", StateFile)
}

// work is the life of a keeper that is the worker.
func (k *keeper) work() {
	k.worker = workerd.New(k.WorkDir, k.Secret, k.log.Print)
	if err := k.started(k.PID, k.Start); err != nil {
		fail(false, err)
	}
	_ = Send(socket{}, Status{})
	_ = unix.Close(SocketFD)
	go k.listen()
	go k.mind()
	trim()
	<-k.ended
	k.told.Wait()
	syscall.Exit(0)
}

// connections is how many servers may ask at a time.
const connections = 32

func (k *keeper) listen() {
	_ = workerd.Accept(ListenerFD, connections, k.serve)
}

// mindEvery is how often a keeper looks whether its directory is still there.
const mindEvery = 10 * time.Second

// mind ends an instance whose directory was deleted: no server will ever find it.
func (k *keeper) mind() {
	ticker := time.NewTicker(mindEvery)
	defer ticker.Stop()
	for {
		select {
		case <-k.ended:
			return
		case <-ticker.C:
		}
		f, err := k.dir.Open(".")
		if err != nil {
			continue
		}
		var st unix.Stat_t
		err = unix.Fstat(int(f.Fd()), &st)
		_ = f.Close()
		if err == nil && st.Nlink == 0 {
			k.stop(0)
			return
		}
	}
}

// serve answers a server.
func (k *keeper) serve(c workerd.Conn) {
	var r Request
	if Receive(c, &r) != nil || r.Token != k.Token {
		return
	}
	switch r.Op {
	case RequestStop:
		k.told.Add(1)
		defer k.told.Done()
		k.stop(time.Duration(r.Grace))
		_ = Send(c, Status{})
	case RequestDial:
		if k.worker != nil {
			if Send(c, Status{}) == nil {
				_ = k.worker.Serve(c)
			}
			return
		}
		fd := k.socket(r.Family)
		_ = sendWith(int(c), Status{Answer: true}, fd)
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	case RequestProxy:
		if sendWith(int(c), Status{Answer: true}, k.proxy) != nil || k.proxy < 0 {
			return
		}
		forever := unix.Timeval{}
		_ = unix.SetsockoptTimeval(int(c), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &forever)
		_, _ = c.Read(make([]byte, 1))
	}
}

// stop ends the instance, and returns when it has ended.
func (k *keeper) stop(grace time.Duration) {
	if k.worker != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		if !k.over {
			k.over = true
			_ = k.log.Close()
			k.exited(0, false, "")
		}
		return
	}
	if grace > 0 {
		k.ask(Ask{Op: AskSignal, Signal: int(unix.SIGTERM)})
		after := time.NewTimer(grace)
		defer after.Stop()
		select {
		case <-k.ended:
			return
		case <-after.C:
		}
	}
	k.kill("", false)
	<-k.ended
}

// ask sends the helper something that it does not answer.
func (k *keeper) ask(a Ask) {
	k.asking.Lock()
	defer k.asking.Unlock()
	_ = Send(workerd.Conn(k.helper), a)
}

// socket returns a socket in the network of the program, -1 for none.
func (k *keeper) socket(family int) int {
	k.asking.Lock()
	defer k.asking.Unlock()
	if Send(workerd.Conn(k.helper), Ask{Op: AskSocket, Family: family}) != nil {
		return -1
	}
	select {
	case fd := <-k.answers:
		return fd
	case <-k.ended:
		return -1
	}
}

// kill ends the program with all that it has started. It does not wait.
func (k *keeper) kill(reason string, memory bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return
	}
	if k.reason == "" {
		k.reason = reason
	}
	k.memory = k.memory || memory
	if k.Root { // else its parent has to know when all is over
		_ = unix.Kill(k.state.Top, unix.SIGKILL)
		return
	}
	_ = unix.Shutdown(k.helper, unix.SHUT_WR) // the helper then ends, and everything with it
}

// run is the life of a keeper with a program.
func (k *keeper) run() {
	outs, pid, start, err := k.launch()
	if err != nil {
		_, refused := errors.AsType[*refusal](err)
		fail(refused, err)
	}
	kills := k.kills()
	roots := make([]*os.Root, 0, len(k.Watched))
	for _, dir := range k.Watched {
		root, err := os.OpenRoot(dir)
		if err != nil {
			fail(false, err)
		}
		roots = append(roots, root)
	}
	if err := k.become(); err != nil {
		fail(false, err)
	}
	if err := k.started(pid, start); err != nil {
		fail(false, err)
	}
	_ = Send(socket{}, Status{})
	_ = unix.Close(SocketFD)
	var pumps sync.WaitGroup
	for i, out := range outs {
		pumps.Go(func() { pump(out, k.log.Stream(i == 1)) })
	}
	go k.listen()
	go k.mind()
	go k.watch(roots)
	if k.CPU > 0 {
		go k.throttle()
	}
	trim()
	code := k.hear()
	if !k.Root { // the launcher ends when everything has
		_ = unix.Shutdown(k.helper, unix.SHUT_RDWR)
	}
	reap(pid)
	k.mu.Lock()
	k.over = true
	reason, memory := k.reason, k.memory
	k.mu.Unlock()
	pumps.Wait() // all writers are dead
	_ = k.log.Close()
	if code != 0 && k.kills() > kills {
		memory = true
	}
	if memory && reason == "" {
		reason = "it used more memory than it may"
	}
	k.exited(code, memory, reason)
	k.told.Wait()
	syscall.Exit(0)
}

// refusal is an error about the program.
type refusal struct{ error }

// launch starts the program in its sandbox.
func (k *keeper) launch() (outs [2]*os.File, pid int, start uint64, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return outs, 0, 0, err
	}
	k.helper = fds[0]
	files := []uintptr{0, 0, 0, uintptr(fds[1])}
	var theirs []*os.File
	for i := range outs {
		r, w, err := os.Pipe()
		if err == nil && k.Root { // the program may open them again by the names of /dev/stdout and its like
			err = w.Chown(k.Setup.UID, k.Setup.GID)
		}
		if err != nil {
			return outs, 0, 0, err
		}
		outs[i], files[i+1] = r, w.Fd()
		theirs = append(theirs, w)
	}
	sys := &syscall.SysProcAttr{Setsid: true}
	name := NameLauncher
	if k.Root {
		name, sys.Cloneflags = NameInit, Namespaces
	}
	pid, err = syscall.ForkExec("/proc/self/exe", []string{name}, &syscall.ProcAttr{Dir: "/", Env: os.Environ(), Files: files, Sys: sys})
	_ = unix.Close(fds[1])
	for _, f := range theirs {
		_ = f.Close()
	}
	if err != nil {
		return outs, 0, 0, fmt.Errorf("make namespaces: %w", err)
	}
	start = measure.Started(pid)
	for _, g := range k.Groups {
		if err := os.WriteFile(g, []byte(strconv.Itoa(pid)), 0); err != nil {
			return outs, 0, 0, fmt.Errorf("enter the control group: %w", err)
		}
	}
	for i, message := range []any{k.Setup, k.Program} {
		if err := Send(workerd.Conn(k.helper), message); err != nil {
			return outs, 0, 0, fmt.Errorf("the helper has ended: %w", err)
		}
		if i == 0 && k.Setup.Proxy {
			if k.proxy, err = firstRight(k.helper); err != nil {
				return outs, 0, 0, err
			}
		}
		s, _, err := receiveWith(k.helper)
		if err != nil {
			return outs, 0, 0, fmt.Errorf("the helper has ended: %w", err)
		}
		if s.Refused {
			return outs, 0, 0, &refusal{errors.New(s.Failed)}
		}
		if s.Failed != "" {
			return outs, 0, 0, errors.New(s.Failed)
		}
	}
	return outs, pid, start, nil
}

// become gives up the rights of the server: what is left to do, the program's user may.
func (k *keeper) become() error {
	if !k.Root {
		return nil
	}
	err := errors.Join(syscall.Setgroups(nil), syscall.Setresgid(k.GID, k.GID, k.GID), syscall.Setresuid(k.UID, k.UID, k.UID))
	if err != nil {
		return fmt.Errorf("become user %d: %w", k.UID, err)
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) // else /proc/self is not its own, which counting files needs
}

// pump carries a program's output into the log.
func pump(out *os.File, to *logfile.Stream) {
	buf := make([]byte, 32<<10)
	for {
		n, err := out.Read(buf)
		_, _ = to.Write(buf[:n])
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

// hear waits for the helper to say how the program has ended.
func (k *keeper) hear() int {
	for {
		s, fd, err := receiveWith(k.helper)
		switch {
		case err != nil:
			return -1
		case s.Answer:
			k.answers <- fd
		default:
			return s.Code
		}
	}
}

func reap(pid int) {
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// kills returns how often something of the program was killed for want of memory.
func (k *keeper) kills() int {
	raw, err := os.ReadFile(k.Kills)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}

// How often things are looked at; files more seldom where counting them takes long.
const (
	memoryEvery = 100 * time.Millisecond
	diskEvery   = time.Second
	diskShare   = 20
)

// watch ends a program that fills the disk, or the memory where no control group keeps it from doing so.
func (k *keeper) watch(roots []*os.Root) {
	every := diskEvery
	if k.Memory > 0 {
		every = memoryEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var own unix.Stat_t
	if f, err := roots[0].Open("."); err == nil {
		_ = unix.Fstat(int(f.Fd()), &own)
		_ = f.Close()
	}
	next := time.Now().Add(diskEvery)
	for {
		select {
		case <-k.ended:
			return
		case <-ticker.C:
		}
		if k.Memory > 0 && measure.Resident(k.state.Top) > k.Memory {
			k.kill("it used more memory than it may", true)
		}
		began := time.Now()
		if k.Full || began.Before(next) {
			continue
		}
		if measure.Files(roots)+measure.Deleted(k.state.Top, own.Dev) > k.Disk {
			k.kill(fmt.Sprintf("its files took more than %d bytes", k.Disk), false)
		}
		next = time.Now().Add(max(diskEvery, diskShare*time.Since(began)))
	}
}

// slice is how long a program may go over its share of the cores before it has to wait.
const slice = 100 * time.Millisecond

// throttle holds the program up where no control group does.
func (k *keeper) throttle() {
	at, used := time.Now(), measure.CPU(k.state.Top)
	var debt time.Duration // of processor time
	wait := slice
	stopped := false
	for {
		timer := time.NewTimer(wait)
		select {
		case <-k.ended:
			timer.Stop()
			return
		case <-timer.C:
		}
		if stopped {
			stopped = false
			k.ask(Ask{Op: AskSignalAll, Signal: int(unix.SIGCONT)})
		}
		now, cpu := time.Now(), measure.CPU(k.state.Top)
		share := now.Sub(at) * time.Duration(k.CPU) / 1000
		debt = max(debt+max(cpu-used, 0)-share, -slice*time.Duration(k.CPU)/1000)
		at, used, wait = now, cpu, slice
		if debt > 0 {
			stopped = true
			k.ask(Ask{Op: AskSignalAll, Signal: int(unix.SIGSTOP)})
			wait = min(max(debt*1000/time.Duration(k.CPU), slice/10), time.Second)
		}
	}
}

// trim gives back what the start has taken: pages of the program's file that were read on the way. They are clean and come back when they
// are needed; a mapping in which anything was ever written to is left alone.
func trim() {
	runtime.GC()
	raw, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	var from, to uint64
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 6 && len(f[1]) == 4 && !strings.HasSuffix(f[0], ":"): // proc(5): address, rights, offset, device, inode, path
			from, to = 0, 0
			if a, b, ok := strings.Cut(f[0], "-"); ok && f[1][1] == '-' && strings.HasPrefix(f[5], "/") {
				from, _ = strconv.ParseUint(a, 16, 64)
				to, _ = strconv.ParseUint(b, 16, 64)
			}
		case len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0" && to > from:
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
			from, to = 0, 0
		}
	}
}

// sendWith sends a message, and a descriptor with it unless that is negative.
func sendWith(to int, v any, fd int) error {
	raw, err := frame(v)
	if err != nil {
		return err
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	n, err := unix.SendmsgN(to, raw, rights, nil, unix.MSG_NOSIGNAL)
	if err != nil {
		return err
	}
	_, err = workerd.Conn(to).Write(raw[n:])
	return err
}

// withRights reads like workerd.Conn, and keeps the descriptor that comes.
type withRights struct {
	from int
	fd   int
}

func (r *withRights) Read(p []byte) (int, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(r.from, p, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && oobn > 0 {
			if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) == 1 {
				if fds, err := unix.ParseUnixRights(&messages[0]); err == nil && len(fds) == 1 {
					r.fd = fds[0]
				}
			}
		}
		if err == nil && n == 0 {
			err = errors.New("the other side is gone")
		}
		return max(n, 0), err
	}
}

// receiveWith reads a status, and the descriptor that comes with it, or -1.
func receiveWith(from int) (Status, int, error) {
	r := &withRights{from, -1}
	var s Status
	err := Receive(r, &s)
	return s, r.fd, err
}

// firstRight reads the descriptor of the proxy's listener, which comes with a byte of its own.
func firstRight(from int) (int, error) {
	r := &withRights{from, -1}
	first := make([]byte, 1)
	if _, err := r.Read(first); err != nil {
		return -1, err
	}
	if r.fd >= 0 {
		return r.fd, nil
	}
	var s Status // no listener, but the beginning of what went wrong
	if err := Receive(&after{first, r}, &s); err != nil {
		return -1, err
	}
	return -1, errors.New(s.Failed)
}

// after reads some bytes again before the rest.
type after struct {
	first []byte
	rest  *withRights
}

func (a *after) Read(p []byte) (int, error) {
	if len(a.first) > 0 {
		n := copy(p, a.first)
		a.first = a.first[n:]
		return n, nil
	}
	return a.rest.Read(p)
}
