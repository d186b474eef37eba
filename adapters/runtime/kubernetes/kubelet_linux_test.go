package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// kubelet is the node of the tests: scheduler, kubelet and metrics server for the pods of one namespace. What a pod says is run is run, as
// processes in namespaces of their own, as the user and with the rights that the pod names. Resource limits and network policies
// are not kept: every pod has nothing but its own loopback.
type kubelet struct {
	t      *testing.T
	api    *cluster
	node   string
	dir    string
	images map[string]string // the directory with an image's programs
	server *httptest.Server

	unmeasured atomic.Bool // it says nothing of what pods use

	mu   sync.Mutex
	pods map[types.UID]*running
	gone map[types.UID]bool // those whose last events may be yet to come
	wg   sync.WaitGroup
}

// nodeLog is how much of a container's output the node keeps.
const nodeLog = 7 << 19

// slowImage is one that is never there yet.
const slowImage = "registry.example.com/slow:1"

// running is a pod on the node.
type running struct {
	pod     *corev1.Pod // as it was when it came
	deleted chan time.Duration
	once    sync.Once

	mu      sync.Mutex
	more    *sync.Cond
	lines   []string // with their times
	size    int
	ended   bool
	dropped int
	cmd     *exec.Cmd
}

func startKubelet(t *testing.T, api *cluster, node string, images map[string]string) *kubelet {
	t.Helper()
	k := &kubelet{t: t, api: api, node: node, dir: t.TempDir(), images: images, pods: map[types.UID]*running{}, gone: map[types.UID]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.logs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.portForward)
	mux.HandleFunc("GET /apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{pod}", k.metrics)
	k.server = httptest.NewTLSServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		k.mu.Lock()
		for _, r := range k.pods {
			r.kill(syscall.SIGKILL)
			r.close()
		}
		k.mu.Unlock()
		k.wg.Wait()
		k.server.CloseClientConnections()
		k.server.Close()
	})
	k.wg.Go(func() { k.watch(ctx) })
	k.wg.Go(func() { k.release(ctx) })
	return k
}

// watch takes on the pods of the namespace.
func (k *kubelet) watch(ctx context.Context) {
	for ctx.Err() == nil {
		var list corev1.PodList
		if err := k.api.read(ctx, pods, metav1.ListOptions{}, &list); err != nil {
			continue
		}
		for i := range list.Items {
			k.see(ctx, &list.Items[i])
		}
		opts := metav1.ListOptions{ResourceVersion: list.ResourceVersion, Watch: true}
		w, err := k.api.core.Get().Namespace(k.api.namespace).Resource(pods).VersionedParams(&opts, k.api.codec).Watch(ctx)
		if err != nil {
			continue
		}
		for event := range w.ResultChan() {
			if p, ok := event.Object.(*corev1.Pod); ok && event.Type != watch.Deleted {
				k.see(ctx, p)
			}
		}
		w.Stop()
	}
}

// release lets claims go that are deleted, as the cluster's controller does once no pod uses them.
func (k *kubelet) release(ctx context.Context) {
	for ctx.Err() == nil {
		w, err := k.api.core.Get().Namespace(k.api.namespace).Resource(claims).
			VersionedParams(&metav1.ListOptions{ResourceVersion: "0", Watch: true}, k.api.codec).Watch(ctx)
		if err != nil {
			continue
		}
		for event := range w.ResultChan() {
			c, ok := event.Object.(*corev1.PersistentVolumeClaim)
			if !ok || c.DeletionTimestamp == nil || event.Type == watch.Deleted {
				continue
			}
			c.Finalizers = nil
			_ = k.api.core.Put().Namespace(c.Namespace).Resource(claims).Name(c.Name).Body(c).Do(ctx).Error()
		}
		w.Stop()
	}
}

func (k *kubelet) see(ctx context.Context, p *corev1.Pod) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone[p.UID] {
		return
	}
	r := k.pods[p.UID]
	if r == nil {
		r = &running{pod: p, deleted: make(chan time.Duration, 1)}
		r.more = sync.NewCond(&r.mu)
		k.pods[p.UID] = r
		k.wg.Go(func() { k.run(ctx, r) })
	}
	if p.DeletionTimestamp != nil {
		r.once.Do(func() { r.deleted <- time.Duration(*p.DeletionGracePeriodSeconds) * time.Second })
	}
}

// run is the life of a pod.
func (k *kubelet) run(ctx context.Context, r *running) {
	p := r.pod
	if p.Spec.NodeName == "" {
		b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: p.Name}, Target: corev1.ObjectReference{Kind: "Node", Name: k.node}}
		_ = k.api.core.Post().Namespace(p.Namespace).Resource(pods).Name(p.Name).SubResource("binding").Body(b).Do(ctx).Error()
	}
	s := k.containers(ctx, r)
	if ctx.Err() != nil {
		return
	}
	k.report(ctx, p, s)
	select {
	case <-ctx.Done():
		return
	case <-r.deleted:
	}
	zero := int64(0)
	opts := &metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &p.UID}}
	_ = k.api.core.Delete().Namespace(p.Namespace).Resource(pods).Name(p.Name).Body(opts).Do(ctx).Error()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pods, p.UID)
	k.gone[p.UID] = true
}

// containers runs a pod's containers one after the other and returns its last status.
func (k *kubelet) containers(ctx context.Context, r *running) corev1.PodStatus {
	p := r.pod
	s := corev1.PodStatus{Phase: corev1.PodPending, HostIP: "127.0.0.1", PodIP: "127.0.0.1", PodIPs: []corev1.PodIP{{IP: "127.0.0.1"}}, StartTime: new(metav1.Now())}
	mounts, err := k.volumes(ctx, p)
	if err != nil {
		s.Phase, s.Reason, s.Message = corev1.PodFailed, "FailedMount", err.Error()
		r.close()
		return s
	}
	for i, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		main := i >= len(p.Spec.InitContainers)
		state, started := k.container(ctx, r, c, mounts, main, func(st corev1.ContainerState) {
			if main {
				s.Phase = corev1.PodRunning
			}
			k.report(ctx, p, with(s, c, st, main))
		})
		s = with(s, c, state, main)
		if !started {
			if state.Terminated == nil { // it waits, and is tried again in vain
				k.report(ctx, p, s)
				select {
				case grace := <-r.deleted:
					r.deleted <- grace
				case <-ctx.Done():
				}
				r.close()
				return s
			}
		}
		if state.Terminated.ExitCode != 0 {
			s.Phase = corev1.PodFailed
			break
		}
		if main {
			s.Phase = corev1.PodSucceeded
		}
	}
	r.close()
	return s
}

func with(s corev1.PodStatus, c corev1.Container, state corev1.ContainerState, main bool) corev1.PodStatus {
	list := &s.InitContainerStatuses
	if main {
		list = &s.ContainerStatuses
	}
	*list = []corev1.ContainerStatus{{Name: c.Name, Image: c.Image, State: state, Ready: state.Running != nil}}
	return s
}

// report writes a pod's status.
func (k *kubelet) report(ctx context.Context, p *corev1.Pod, s corev1.PodStatus) {
	for range 20 {
		var now corev1.Pod
		found, err := k.api.get(ctx, pods, p.Name, &now)
		if err != nil || !found || now.UID != p.UID {
			return
		}
		now.Status = s
		err = k.api.core.Put().Namespace(p.Namespace).Resource(pods).Name(p.Name).SubResource("status").Body(&now).Do(ctx).Error()
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			if ctx.Err() == nil {
				k.t.Errorf("the status of %s: %v", p.Name, err)
			}
			return
		}
	}
}

// volumes makes what a pod mounts.
func (k *kubelet) volumes(ctx context.Context, p *corev1.Pod) (map[string]string, error) {
	dirs := map[string]string{}
	for _, v := range p.Spec.Volumes {
		dir := filepath.Join(k.dir, string(p.UID), v.Name)
		switch {
		case v.PersistentVolumeClaim != nil:
			var c corev1.PersistentVolumeClaim
			if found, err := k.api.get(ctx, claims, v.PersistentVolumeClaim.ClaimName, &c); !found || err != nil {
				return nil, fmt.Errorf("the claim %s: %t, %w", v.PersistentVolumeClaim.ClaimName, found, err)
			}
			dir = filepath.Join(k.dir, "claims", string(c.UID))
		case v.Secret != nil:
			var s corev1.Secret
			if found, err := k.api.get(ctx, secrets, v.Secret.SecretName, &s); !found || err != nil {
				return nil, fmt.Errorf("the secret %s: %t, %w", v.Secret.SecretName, found, err)
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
			for _, item := range v.Secret.Items {
				if err := os.WriteFile(filepath.Join(dir, item.Path), s.Data[item.Key], 0o644); err != nil {
					return nil, err
				}
			}
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		dirs[v.Name] = dir
	}
	return dirs, nil
}

// jail is what a container's first process is told.
type jail struct {
	Root    string
	Binds   map[string]string // in the container: on the machine
	Args    []string
	Env     []string
	Dir     string
	NoRoot  bool
	Refused string // where it says why a program cannot be started
}

// jailName is the name that the test's own binary has as a container's first process.
const jailName = "bureau-test-container"

// container runs a container to its end. It says false when its program was not started.
func (k *kubelet) container(
	ctx context.Context, r *running, c corev1.Container, volumes map[string]string, main bool, starts func(corev1.ContainerState),
) (corev1.ContainerState, bool) {
	wait := func(reason, message string) (corev1.ContainerState, bool) {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}, false
	}
	if c.Image == slowImage {
		return wait("ContainerCreating", "")
	}
	programs, ok := k.images[c.Image]
	if !ok {
		return wait("ImagePullBackOff", "there is no such image")
	}
	base := filepath.Join(k.dir, string(r.pod.UID), "root-"+c.Name)
	j := jail{Root: base, Dir: c.WorkingDir, Binds: map[string]string{"/image": programs}, Env: []string{"PATH=/image"}, Refused: base + ".refused"}
	for _, m := range c.VolumeMounts {
		j.Binds[m.MountPath] = volumes[m.Name]
	}
	for _, arg := range c.Command {
		j.Args = append(j.Args, strings.ReplaceAll(arg, "$$", "$"))
	}
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			var s corev1.Secret
			if found, err := k.api.get(ctx, secrets, e.ValueFrom.SecretKeyRef.Name, &s); !found || err != nil {
				return wait("CreateContainerConfigError", "the secret is not there")
			}
			value = string(s.Data[e.ValueFrom.SecretKeyRef.Key])
		}
		j.Env = append(j.Env, e.Name+"="+value)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return wait("CreateContainerError", err.Error())
	}
	text, err := json.Marshal(j)
	if err != nil {
		return wait("CreateContainerError", err.Error())
	}
	out, in, err := os.Pipe()
	if err != nil {
		return wait("CreateContainerError", err.Error())
	}
	self, err := os.Executable()
	if err != nil {
		return wait("CreateContainerError", err.Error())
	}
	uid := int(*r.pod.Spec.SecurityContext.RunAsUser)
	cmd := exec.Command(self)
	cmd.Args, cmd.Env = []string{jailName}, []string{"JAIL=" + string(text)}
	cmd.Stdout, cmd.Stderr = in, in
	// Whatever the container starts holds this too, so that its end is the end of them all.
	ends, held, err := os.Pipe()
	if err != nil {
		return wait("CreateContainerError", err.Error())
	}
	defer func() { _ = ends.Close() }()
	cmd.ExtraFiles = []*os.File{held}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: os.Getgid(), Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SYS_CHROOT},
		Setsid:      true, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread() // the parent of Pdeathsig is a thread
	defer runtime.UnlockOSThread()
	began := metav1.Now()
	err = cmd.Start()
	_ = held.Close()
	if err != nil {
		_ = in.Close()
		_ = out.Close()
		return wait("CreateContainerError", err.Error())
	}
	_ = in.Close()
	if main {
		r.mu.Lock()
		r.cmd = cmd
		r.mu.Unlock()
	}
	read := make(chan string, 1)
	go func() {
		var last string
		for lines := bufio.NewReader(out); ; {
			text, err := lines.ReadString('\n')
			if text = strings.TrimSuffix(text, "\n"); err == nil || text != "" {
				last = text
				if main {
					r.print(text)
				}
			}
			if err != nil {
				break
			}
		}
		_ = out.Close()
		read <- last
	}()
	exited := make(chan struct{})
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		// A program that cannot be started is seen before it would have been reported as running.
		if main && j.began(exited) {
			starts(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}})
		}
		select {
		case <-exited:
		case <-ctx.Done():
			_ = cmd.Process.Kill()
		case grace := <-r.deleted:
			r.deleted <- grace
			_ = cmd.Process.Signal(syscall.SIGTERM)
			timer := time.NewTimer(grace)
			defer timer.Stop()
			select {
			case <-exited:
			case <-timer.C:
				_ = cmd.Process.Kill()
			}
		}
	}()
	_ = cmd.Wait()
	_, _ = io.Copy(io.Discard, ends)
	close(exited)
	<-waited
	last := <-read
	end := &corev1.ContainerStateTerminated{StartedAt: began, FinishedAt: metav1.Now(), Reason: "Completed", Message: ""}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		end.ExitCode = 128 + int32(ws.Signal())
	} else {
		end.ExitCode = int32(ws.ExitStatus())
	}
	if end.ExitCode != 0 {
		end.Reason = "Error"
		if !main {
			end.Message = last
		}
	}
	if text, err := os.ReadFile(j.Refused); err == nil && len(text) > 0 {
		end.ExitCode, end.Reason, end.Message, end.StartedAt = 128, "StartError", string(text), metav1.Time{}
	}
	return corev1.ContainerState{Terminated: end}, true
}

// began waits until the first process of a container has become its program, which closes the fence, or has ended.
func (j jail) began(exited <-chan struct{}) bool {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-exited:
			text, err := os.ReadFile(j.Refused)
			return err == nil && len(text) == 0
		case <-tick.C:
			if text, err := os.ReadFile(j.Refused); err == nil {
				return len(text) == 0
			}
		}
	}
}

// jailed is a container's first process.
func jailed() {
	runtime.LockOSThread()
	var j jail
	if err := json.Unmarshal([]byte(os.Getenv("JAIL")), &j); err != nil {
		os.Exit(125)
	}
	note, err := os.OpenFile(j.Refused+".new", os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		err = j.enter()
	}
	var program string
	if err == nil {
		if program, err = lookPath(j.Args); err == nil {
			if err = os.Chdir(j.Dir); j.Dir == "" {
				err = nil
			}
		}
	}
	// The file appears when the program is about to be started, empty, or with what keeps it from that. Its directory is held by a
	// descriptor from before.
	if err != nil {
		_, _ = note.WriteString(err.Error())
	}
	_ = unix.Renameat(parent, filepath.Base(j.Refused)+".new", parent, filepath.Base(j.Refused))
	if err == nil {
		err = j.drop()
	}
	if err == nil {
		err = syscall.Exec(program, j.Args, j.Env)
	}
	_, _ = note.WriteString(err.Error())
	os.Exit(128)
}

// parent is the directory of jail.Refused.
var parent int

func lookPath(args []string) (string, error) {
	if len(args) == 0 {
		return "", errors.New("no command specified")
	}
	if strings.Contains(args[0], "/") {
		_, err := os.Stat(args[0])
		return args[0], err
	}
	file := filepath.Join("/image", args[0])
	_, err := os.Stat(file)
	return file, err
}

// enter builds the container's view of the machine.
func (j jail) enter() error {
	var err error
	if parent, err = unix.Open(filepath.Dir(j.Refused), unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private: %w", err)
	}
	if err := unix.Mount("tmpfs", j.Root, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("tmpfs: %w", err)
	}
	for _, dir := range []string{"usr", "lib", "lib64", "bin", "etc", "dev", "proc"} {
		if _, err := os.Stat("/" + dir); err == nil {
			j.Binds["/"+dir] = "/" + dir
		}
	}
	for to, from := range j.Binds {
		to = filepath.Join(j.Root, to)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", from, err)
		}
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.Chroot(j.Root); err != nil {
		return err
	}
	return os.Chdir("/")
}

func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
}

// drop gives up every right.
func (j jail) drop() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(header, &none[0])
}

// print adds a line to the log, as the container's runtime does.
func (r *running) print(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := time.Now().UTC().Format(time.RFC3339Nano) + " " + text + "\n"
	r.lines = append(r.lines, entry)
	for r.size += len(entry); r.size > nodeLog && len(r.lines) > 1; r.dropped++ {
		r.size -= len(r.lines[0])
		r.lines = r.lines[1:]
	}
	r.more.Broadcast()
}

func (r *running) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.more.Broadcast()
}

func (r *running) kill(s syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(s)
	}
}

func (k *kubelet) find(req *http.Request) *running {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.pods {
		if r.pod.Name == req.PathValue("pod") && r.pod.Namespace == req.PathValue("namespace") {
			return r
		}
	}
	return nil
}

// logs is the kubelet's endpoint of a container's log.
func (k *kubelet) logs(w http.ResponseWriter, req *http.Request) {
	r := k.find(req)
	if r == nil {
		http.Error(w, "there is no such pod", http.StatusNotFound)
		return
	}
	q := req.URL.Query()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cmd == nil {
		http.Error(w, "container is waiting to start", http.StatusBadRequest)
		return
	}
	at := 0
	if n, err := strconv.Atoi(q.Get("tailLines")); err == nil {
		at = max(0, len(r.lines)-n)
	}
	at += r.dropped
	since, _ := time.Parse(time.RFC3339, q.Get("sinceTime"))
	stop := context.AfterFunc(req.Context(), r.more.Broadcast)
	defer stop()
	for {
		for at = max(at, r.dropped); at < r.dropped+len(r.lines); {
			var some []string
			for ; at < r.dropped+len(r.lines); at++ {
				stamp, _, _ := strings.Cut(r.lines[at-r.dropped], " ")
				if t, err := time.Parse(time.RFC3339Nano, stamp); err == nil && !t.Before(since) {
					some = append(some, r.lines[at-r.dropped])
				}
			}
			r.mu.Unlock()
			_, err := io.WriteString(w, strings.Join(some, ""))
			r.mu.Lock()
			if err != nil {
				return
			}
			at = max(at, r.dropped)
		}
		if q.Get("follow") != "true" || r.ended || req.Context().Err() != nil {
			return
		}
		r.mu.Unlock()
		_ = http.NewResponseController(w).Flush()
		r.mu.Lock()
		if at >= r.dropped+len(r.lines) && !r.ended && req.Context().Err() == nil {
			r.more.Wait()
		}
	}
}

// portForward is the kubelet's endpoint of connections into a pod.
func (k *kubelet) portForward(w http.ResponseWriter, req *http.Request) {
	r := k.find(req)
	if r == nil {
		http.Error(w, "there is no such pod", http.StatusNotFound)
		return
	}
	if _, err := httpstream.Handshake(req, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 2)
	over := spdy.NewResponseUpgrader().UpgradeResponse(w, req, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if over == nil {
		return
	}
	defer over.Close()
	of := map[string]httpstream.Stream{}
	for len(of) < 2 {
		select {
		case s := <-streams:
			of[s.Headers().Get(corev1.StreamType)] = s
		case <-over.CloseChan():
			return
		}
	}
	fault, data := of[corev1.StreamTypeError], of[corev1.StreamTypeData]
	there, err := r.dial(data.Headers().Get(corev1.PortHeader))
	if err != nil {
		_, _ = fmt.Fprintf(fault, "an error occurred forwarding: %v", err)
		_ = fault.Close()
		_ = data.Close()
		<-over.CloseChan()
		return
	}
	go func() {
		_, _ = io.Copy(there, data)
		_ = there.Close()
	}()
	_, _ = io.Copy(data, there)
	_ = fault.Close()
	_ = data.Close()
}

// dial connects to a port of the pod's loopback.
func (r *running) dial(port string) (net.Conn, error) {
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	if cmd == nil {
		return nil, errors.New("the container is not running")
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine: it cannot go back
		space, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid), unix.O_CLOEXEC|unix.O_RDONLY, 0)
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer func() { _ = unix.Close(space) }()
		if err := unix.Setns(space, unix.CLONE_NEWNET); err != nil {
			done <- result{nil, err}
			return
		}
		conn, err := net.DialTimeout("tcp4", "127.0.0.1:"+port, time.Second)
		done <- result{conn, err}
	}()
	d := <-done
	return d.conn, d.err
}

// metrics is what a metrics server says of a pod.
func (k *kubelet) metrics(w http.ResponseWriter, req *http.Request) {
	r := k.find(req)
	if r == nil || k.unmeasured.Load() {
		http.Error(w, "there is no such pod", http.StatusNotFound)
		return
	}
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	if cmd == nil {
		http.Error(w, "it is not measured yet", http.StatusNotFound)
		return
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	var resident string
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			resident = string(bytes.Fields(rest)[0])
		}
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":%q,"namespace":%q},"timestamp":%q,"window":"15s",
		"containers":[{"name":"agent","usage":{"cpu":"1500u","memory":"%sKi"}}]}`,
		r.pod.Name, r.pod.Namespace, time.Now().UTC().Format(time.RFC3339), resident)
}
