package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bureau-agents/bureau/adapters/runtime/docker/internal/inside"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// maxFrame bounds what is believed of a frame's length.
const maxFrame = 1 << 20

// frame reads one frame of the Engine's streams: a byte that says which one, three of nothing, four of length. The client's own reader
// joins what belongs to different moments.
func frame(r io.Reader) (stderr bool, part []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return false, nil, err
	}
	n := binary.BigEndian.Uint32(head[4:])
	if n > maxFrame || head[0] > 3 {
		return false, nil, fmt.Errorf("the Docker engine sent a frame of %d bytes of stream %d", n, head[0])
	}
	part = make([]byte, n)
	if _, err := io.ReadFull(r, part); err != nil {
		return false, nil, err
	}
	if head[0] == 3 {
		return false, nil, fmt.Errorf("the Docker engine: %s", part)
	}
	return head[0] == 2, part, nil
}

// Logs implements runtime.Host.
func (h *Host) Logs(ctx context.Context, id string, q runtime.LogQuery) iter.Seq2[runtime.LogLine, error] {
	return func(yield func(runtime.LogLine, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		err := h.logs(ctx, id, q, func(l runtime.LogLine) bool {
			if !yield(l, nil) {
				cancel()
				return false
			}
			return true
		})
		if err != nil && ctx.Err() == nil {
			yield(runtime.LogLine{}, err)
		}
	}
}

// logs gives lines to each until that returns false.
func (h *Host) logs(ctx context.Context, id string, q runtime.LogQuery, each func(runtime.LogLine) bool) error {
	// Asked for before anything is read, so that no change is missed in between.
	var changes client.EventsResult
	if q.Follow {
		changes = h.engine.Events(ctx, client.EventsListOptions{Filters: make(client.Filters).Add("type", "container").
			Add("event", "start", "destroy").Add("label", labelServer+"="+h.cfg.Server, labelRole+"=program", labelInstance+"="+id)})
	}
	list, err := h.containers(ctx, id)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return runtime.ErrNoInstance
	}
	open := true
	emit := func(l runtime.LogLine) bool {
		open = open && (l.Time.Before(q.Since) || each(l))
		return open
	}
	current := list[0]
	seen := map[string]bool{}
	for _, c := range list {
		seen[c.ID] = c.State != container.StateCreated // the Engine follows no log that has not begun
	}
	slices.Reverse(list)
	tail := q.Tail
	if tail >= 0 { // the newest lines may be of several generations
		if list, tail, err = h.since(ctx, list, tail, emit); err != nil || !open {
			return err
		}
	}
	for _, c := range list {
		last := c.ID == current.ID
		if !last && tail == 0 {
			continue
		}
		if tail == 0 && !q.Follow {
			return nil
		}
		if err := h.read(ctx, c.ID, tail, q.Follow && last, emit); err != nil || !open {
			return err
		}
	}
	if !q.Follow {
		return nil
	}
	return h.further(ctx, id, seen, changes, func() bool { return open }, emit)
}

// since gives the newest lines of containers but the last, and returns the last with the tail that remains to be given.
func (h *Host) since(ctx context.Context, list []container.Summary, tail int, emit func(runtime.LogLine) bool) ([]container.Summary, int, error) {
	last := list[len(list)-1:]
	if tail == 0 || len(list) == 1 {
		return last, tail, nil
	}
	have := 0
	if err := h.read(ctx, last[0].ID, tail, false, func(runtime.LogLine) bool { have++; return true }); err != nil {
		return nil, 0, err
	}
	var before []runtime.LogLine
	for i := len(list) - 2; i >= 0 && have+len(before) < tail; i-- {
		var lines []runtime.LogLine
		err := h.read(ctx, list[i].ID, tail-have-len(before), false, func(l runtime.LogLine) bool {
			lines = append(lines, l)
			return true
		})
		if err != nil {
			return nil, 0, err
		}
		before = append(lines, before...)
	}
	for _, l := range before {
		if !emit(l) {
			break
		}
	}
	if have < tail {
		tail = -1 // all of them: there may be more by now
	}
	return last, tail, nil
}

// further follows an instance from one container to the next.
func (h *Host) further(ctx context.Context, id string, seen map[string]bool, changes client.EventsResult, open func() bool,
	emit func(runtime.LogLine) bool,
) error {
	for open() {
		list, err := h.containers(ctx, id)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return nil // it was removed
		}
		for _, c := range slices.Backward(list) {
			if seen[c.ID] || c.State == container.StateCreated {
				continue
			}
			seen[c.ID] = true
			if err := h.read(ctx, c.ID, -1, true, emit); err != nil || !open() {
				return err
			}
		}
		select {
		case <-changes.Messages:
		case err := <-changes.Err:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// read gives lines of one container's log: the newest ones, or all when tail is negative, and with follow those to come until it ends.
func (h *Host) read(ctx context.Context, id string, tail int, follow bool, emit func(runtime.LogLine) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow}
	if tail >= 0 {
		o.Tail = strconv.Itoa(tail)
	}
	if tail > 0 {
		o.Tail = strconv.Itoa(tail + 1) // one may be the launcher's
	}
	body, err := h.engine.ContainerLogs(ctx, id, o)
	if errdefs.IsConflict(err) { // it is being removed
		return nil
	}
	if err != nil {
		return gone(err)
	}
	defer body.Close()
	if tail > 0 && !follow {
		return newest(body, tail, emit)
	}
	first := true
	return lines(body, func(l runtime.LogLine, launcher bool) bool {
		// The launcher's line is the first of every log. Where the first is another, there was one more than was asked for.
		skip := launcher || first && tail > 0
		first = false
		return skip || emit(l)
	})
}

// newest gives the last lines that are read.
func newest(r io.Reader, tail int, emit func(runtime.LogLine) bool) error {
	var last []runtime.LogLine
	err := lines(r, func(l runtime.LogLine, launcher bool) bool {
		if launcher {
			return true
		}
		if last = append(last, l); len(last) > tail {
			last = last[1:]
		}
		return true
	})
	for _, l := range last {
		if err != nil || !emit(l) {
			break
		}
	}
	return err
}

// lines reads a log as the Engine sends it, and says of each line whether it is the launcher's. Every frame is a part of a line and begins
// with a time; the last part has the line break.
func lines(r io.Reader, emit func(l runtime.LogLine, launcher bool) bool) error {
	var parts [2]struct {
		time time.Time
		text strings.Builder
		any  bool
	}
	finish := func(i int) bool {
		p := &parts[i]
		text := p.text.String()
		p.text.Reset()
		p.any = false
		return emit(runtime.LogLine{Time: p.time, Stderr: i == 1, Text: cut(text)}, strings.HasPrefix(text, inside.Mark))
	}
	for {
		stderr, part, err := frame(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		i := 0
		if stderr {
			i = 1
		}
		stamp, text, _ := strings.Cut(string(part), " ")
		p := &parts[i]
		if !p.any {
			p.any = true
			p.time, _ = time.Parse(time.RFC3339Nano, stamp)
		}
		text, whole := strings.CutSuffix(text, "\n")
		if p.text.Len() <= runtime.MaxLogLine {
			p.text.WriteString(text)
		}
		if whole && !finish(i) {
			return nil
		}
	}
	for i := range parts { // the last line needs no end
		if parts[i].any && !finish(i) {
			return nil
		}
	}
	return nil
}

// cut bounds a line.
func cut(text string) string {
	if len(text) <= runtime.MaxLogLine {
		return text
	}
	return text[:runtime.MaxLogLine-3] + "..."
}
