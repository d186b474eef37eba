package kubernetes

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// What is kept of pods that are gone.
const (
	keptKey        = "log.gz"
	keptOf         = labelPrefix + "pod" // whose log was kept last
	maxKept        = 1 << 20             // before it is compressed
	maxPacked      = 900 << 10           // a Secret has at most 1 MiB
	collectionWait = 10 * time.Second    // for the last lines of a pod that is gone
)

func logName(id string) string { return objectName(id) + "-log" }

// Logs implements runtime.Host. A pod's log is what its node keeps of it, 10 MiB unless the cluster says otherwise, and of pods that are
// gone the newest MiB is kept in a Secret. The cluster does not tell standard error from output.
func (h *Host) Logs(ctx context.Context, id string, q runtime.LogQuery) iter.Seq2[runtime.LogLine, error] {
	return func(yield func(runtime.LogLine, error) bool) {
		owner, err := h.owner(ctx, id)
		if err == nil {
			err = h.logs(ctx, id, owner.UID, q, func(l runtime.LogLine) bool { return yield(l, nil) })
		}
		if err != nil && !errors.Is(err, errEnough) && ctx.Err() == nil {
			yield(runtime.LogLine{}, err)
		}
	}
}

// errEnough ends the reading of a log whose reader has gone.
var errEnough = errors.New("enough")

func (h *Host) logs(ctx context.Context, id string, uid types.UID, q runtime.LogQuery, yield func(runtime.LogLine) bool) error {
	var at position
	send := func(l runtime.LogLine) error {
		if !at.pass(l) || l.Time.Before(q.Since) {
			return nil
		}
		if !yield(l) {
			return errEnough
		}
		return nil
	}
	p, err := h.podOf(ctx, id)
	if err != nil {
		return err
	}
	kept, of, err := h.kept(ctx, id)
	if err != nil {
		return err
	}
	if p != nil && p.UID == of { // its log has been kept and it was not deleted yet
		p = nil
	}
	if err := h.backlog(ctx, p, kept, q.Tail, send, func(l runtime.LogLine) { at.pass(l) }); err != nil || !q.Follow {
		return err
	}
	follow, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { // ends the reading when the instance is removed
		_ = h.api.await(follow, records, objectName(id), func(o k8sruntime.Object) bool {
			m, ok := o.(*corev1.ConfigMap)
			return !ok || m.UID != uid
		})
		cancel()
	})
	if p != nil {
		of = p.UID
	}
	err = h.followLogs(follow, id, p, of, &at, send)
	if follow.Err() != nil { // its end is what ended it
		return nil
	}
	return err
}

// backlog sends the lines that there are, and skips those that are not asked for.
func (h *Host) backlog(
	ctx context.Context, p *corev1.Pod, kept []byte, tail int, send func(runtime.LogLine) error, skip func(runtime.LogLine),
) error {
	if tail < 0 {
		if err := parse(bytes.NewReader(kept), send); err != nil {
			return err
		}
		return h.stream(ctx, p, &corev1.PodLogOptions{}, send)
	}
	var live []runtime.LogLine
	newest := &corev1.PodLogOptions{TailLines: new(int64(max(tail, 1)))}
	if err := h.stream(ctx, p, newest, func(l runtime.LogLine) error { live = append(live, l); return nil }); err != nil {
		return err
	}
	var lines []runtime.LogLine
	if err := parse(bytes.NewReader(kept), func(l runtime.LogLine) error { lines = append(lines, l); return nil }); err != nil {
		return err
	}
	lines = append(lines, live...)
	for i, l := range lines {
		if i < len(lines)-tail {
			skip(l)
		} else if err := send(l); err != nil {
			return err
		}
	}
	return nil
}

// followLogs sends the lines of one pod after the other. p is the one whose lines have been sent until now, nil where it is gone; last is
// the one that they were of. It ends with an error, of ctx at the latest.
func (h *Host) followLogs(
	ctx context.Context, id string, p *corev1.Pod, last types.UID, at *position, send func(runtime.LogLine) error,
) error {
	for {
		if p != nil {
			opts := &corev1.PodLogOptions{Follow: true}
			if !at.time.IsZero() {
				opts.SinceTime = new(metav1.NewTime(at.time))
			}
			at.reread()
			if err := h.stream(ctx, p, opts, send); err != nil {
				return err
			}
		}
		err := h.api.await(ctx, pods, objectName(id), func(o k8sruntime.Object) bool {
			now, ok := o.(*corev1.Pod)
			if !ok {
				return false
			}
			p = now
			if now.UID == last {
				return now.DeletionTimestamp == nil && observe(now).State == runtime.InstanceRunning // the stream was cut
			}
			return hasLog(now)
		})
		if err != nil {
			return err
		}
		if p.UID == last {
			if err := pause(ctx); err != nil {
				return err
			}
			continue
		}
		// What came between the end of the stream and that of the pod, and of pods that nobody has seen.
		kept, _, err := h.kept(ctx, id)
		if err != nil {
			return err
		}
		at.reread()
		if err := parse(bytes.NewReader(kept), send); err != nil {
			return err
		}
		*at, last = position{}, p.UID // another machine's clock
	}
}

// pause keeps a stream that ends at once from being opened without end.
func pause(ctx context.Context) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasLog says whether a pod's program has been started.
func hasLog(p *corev1.Pod) bool {
	s := status(p.Status.ContainerStatuses, container)
	return s != nil && (s.Running != nil || s.Terminated != nil)
}

// stream reads a pod's log; one that has none yet has no lines.
func (h *Host) stream(ctx context.Context, p *corev1.Pod, opts *corev1.PodLogOptions, send func(runtime.LogLine) error) error {
	if p == nil {
		return nil
	}
	opts.Container, opts.Timestamps = container, true
	body, err := h.api.core.Get().Namespace(h.api.namespace).Resource(pods).Name(p.Name).SubResource("log").
		VersionedParams(opts, h.api.codec).Stream(ctx)
	var said apierrors.APIStatus
	if asStatus(err, &said) && (said.Status().Code == http.StatusBadRequest || said.Status().Code == http.StatusNotFound) {
		return nil // it waits to be started, or has gone
	}
	if err != nil {
		return clusterError(err)
	}
	defer body.Close()
	stop := context.AfterFunc(ctx, func() { _ = body.Close() })
	defer stop()
	return parse(body, send)
}

// parse reads lines as the cluster gives them: a time, a space, the text.
func parse(r io.Reader, send func(runtime.LogLine) error) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	for {
		text, err := line(buffered)
		if len(text) > 0 {
			stamp, rest, _ := bytes.Cut(text, []byte(" "))
			if at, bad := time.Parse(time.RFC3339Nano, string(stamp)); bad == nil {
				if err := send(runtime.LogLine{Time: at.UTC(), Text: cut(rest)}); err != nil {
					return err
				}
			}
		}
		if err != nil { // a stream that breaks is one that ends: whoever follows goes on where it was
			return nil //nolint:nilerr // see above
		}
	}
}

// line reads a line without its break, of long ones the beginning.
func line(r *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := r.ReadSlice('\n')
		if room := runtime.MaxLogLine + 64 - len(text); room > 0 { // with the time, and enough to see that it is long
			text = append(text, part[:min(len(part), room)]...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimSuffix(text, []byte("\n")), err
	}
}

func cut(text []byte) string {
	if len(text) > runtime.MaxLogLine {
		return string(text[:runtime.MaxLogLine-3]) + "..."
	}
	return string(text)
}

// position is how far a log has been read. Times are the log's own, which need not differ from line to line.
type position struct {
	time  time.Time
	n     int  // lines of that time that were read
	again bool // the log is read from before here once more
	seen  int  // lines of that time that have come once more
}

// pass takes a line, and says whether it is a new one.
func (p *position) pass(l runtime.LogLine) bool {
	if p.again {
		if l.Time.Before(p.time) {
			return false
		}
		if l.Time.Equal(p.time) {
			if p.seen++; p.seen <= p.n {
				return false
			}
		}
		p.again = false
	}
	if !l.Time.Equal(p.time) {
		p.time, p.n = l.Time, 0
	}
	p.n++
	return true
}

// reread has what comes next begin before here, or here.
func (p *position) reread() { p.again, p.seen = !p.time.IsZero(), 0 }

// collection is the reading of a pod's log until its end.
type collection struct {
	cancel context.CancelFunc
	done   chan struct{}
	text   []byte
}

// collect reads a pod's log while it is ended.
func (h *Host) collect(ctx context.Context, p *corev1.Pod) *collection {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &collection{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		if !hasLog(p) {
			return
		}
		opts := &corev1.PodLogOptions{Follow: active(p), TailLines: new(int64(maxKept / 50))}
		err := h.stream(ctx, p, opts, func(l runtime.LogLine) error {
			c.text = append(c.text, l.Time.Format(time.RFC3339Nano)+" "+l.Text+"\n"...)
			if len(c.text) > 2*maxKept {
				c.text = slices.Clone(newest(c.text, maxKept))
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			h.cfg.Logger.WarnContext(ctx, "the log of a pod that ends is not kept", slog.String("pod", p.Name), slog.Any("error", err))
		}
	}()
	return c
}

func (c *collection) stop() {
	c.cancel()
	<-c.done
}

// wait returns what was collected once the log has ended. The last lines of a pod come about when it goes; a node that is cut off sends
// no end.
func (c *collection) wait() []byte {
	timer := time.NewTimer(collectionWait)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.stop()
	}
	return c.text
}

// newest returns the last whole lines of text that have at most n bytes.
func newest(text []byte, n int) []byte {
	if len(text) <= n {
		return text
	}
	text = text[len(text)-n:]
	return text[bytes.IndexByte(text, '\n')+1:]
}

// kept reads what is kept of pods that are gone, and which was the last of them.
func (h *Host) kept(ctx context.Context, id string) ([]byte, types.UID, error) {
	var s corev1.Secret
	found, err := h.api.get(ctx, secrets, logName(id), &s)
	if !found || err != nil {
		return nil, "", err
	}
	return unpack(s.Data[keptKey]), types.UID(s.Annotations[keptOf]), nil
}

// keep adds the log of a pod that ends to what is kept. That it cannot be is no reason not to end it.
func (h *Host) keep(ctx context.Context, owner *corev1.ConfigMap, p *corev1.Pod, text []byte) {
	id := p.Labels[instanceLabel]
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), collectionWait)
	defer cancel()
	before, of, err := h.kept(ctx, id)
	if err == nil && (of == p.UID || len(text) == 0) {
		return
	}
	if err == nil {
		s := &corev1.Secret{ObjectMeta: h.meta(id, logName(id), owner), Data: map[string][]byte{keptKey: pack(append(before, text...))}}
		s.Annotations = map[string]string{keptOf: string(p.UID)}
		err = h.api.put(ctx, secrets, s.Name, s, &corev1.Secret{})
	}
	if err != nil {
		h.cfg.Logger.WarnContext(ctx, "the log of a pod that ends is not kept", slog.String("pod", p.Name), slog.Any("error", err))
	}
}

// pack compresses the newest lines that there is room for.
func pack(text []byte) []byte {
	for n := maxKept; ; n /= 2 {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(newest(text, n)) // a buffer takes all
		_ = w.Close()
		if b.Len() <= maxPacked {
			return b.Bytes()
		}
	}
}

func unpack(packed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil // what somebody has spoilt is as good as gone
	}
	text, err := io.ReadAll(io.LimitReader(r, maxKept))
	if err != nil {
		return nil
	}
	return text
}
