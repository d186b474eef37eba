package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/child"
	"github.com/bureau-agents/bureau/adapters/runtime/process/internal/measure"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// owned are the directories that a program has.
func owned() []string { return []string{runtime.WorkDir, runtime.TempDir, runtime.HomeDir} }

// start is what a server writes down before it starts an instance.
type start struct {
	Token      string
	Generation int64
	Labels     map[string]string
	Worker     bool
	Port       int
	Network    runtime.Network
	Memory     int64
	Given      []string // the files that it was given
}

// entry is an instance as its directory shows it.
type entry struct {
	id    string
	start start
	kept  child.State // of this start, or of an earlier one
	held  bool        // its lock
	seen  time.Time   // when it last gave a sign of life; of one that has ended without a word
}

// current says whether the state is that of the newest start.
func (e *entry) current() bool { return e.kept.Token == e.start.Token }

func (e *entry) state() runtime.InstanceState {
	switch {
	case !e.held || e.current() && e.kept.ExitedAt != "":
		return runtime.InstanceExited
	case !e.current():
		return runtime.InstanceStarting
	}
	return runtime.InstanceRunning
}

// instance says what is known.
func (e *entry) instance() runtime.Instance {
	in := runtime.Instance{ID: e.id, Generation: e.start.Generation, State: e.state()}
	if in.State == runtime.InstanceStarting {
		return in
	}
	if e.kept.Token == "" {
		in.ExitedAt, in.Code, in.Reason = e.seen, -1, "the server ended before it was started"
		return in
	}
	in.Generation = e.kept.Generation
	in.StartedAt, _ = time.Parse(time.RFC3339Nano, e.kept.StartedAt)
	if in.State == runtime.InstanceRunning {
		in.PID = e.kept.Top
		return in
	}
	in.ExitedAt, _ = time.Parse(time.RFC3339Nano, e.kept.ExitedAt)
	in.Code, in.Memory, in.Reason = e.kept.Code, e.kept.Memory, e.kept.Reason
	if e.kept.ExitedAt == "" {
		if in.ExitedAt = e.seen; in.ExitedAt.Before(in.StartedAt) { // files have a coarser clock
			in.ExitedAt = in.StartedAt
		}
		in.Code, in.Reason = -1, "it was killed together with its keeper, or the machine was restarted"
	}
	return in
}

// maxState bounds what is read of a state.
const maxState = 64 << 10

// load reads what is known about an instance.
func (h *Host) load(id string) (*entry, error) {
	if !instancePattern.MatchString(id) {
		return nil, runtime.ErrNoInstance
	}
	e := &entry{id: id}
	// The lock comes first: what has ended since is known by its state.
	e.held = locked(filepath.Join(h.base(id), lockFile))
	raw, err := os.ReadFile(filepath.Join(h.base(id), startFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, runtime.ErrNoInstance
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &e.start); err != nil {
		return nil, fmt.Errorf("the instance %s: %w", id, err)
	}
	root, err := os.OpenRoot(filepath.Join(h.base(id), keeperDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, runtime.ErrNoInstance
	}
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	if info, err := root.Lstat(child.StateFile); err == nil && info.Mode().IsRegular() && info.Size() <= maxState {
		e.seen = info.ModTime().UTC()
		if raw, err := root.ReadFile(child.StateFile); err == nil {
			_ = json.Unmarshal(raw, &e.kept)
		}
	} else if info, err := os.Stat(filepath.Join(h.base(id), startFile)); err == nil {
		e.seen = info.ModTime().UTC()
	}
	if dir, err := os.Open(filepath.Join(h.base(id), keeperDir, child.LogDir)); err == nil {
		e.seen = newest(dir, e.seen)
		_ = dir.Close()
	}
	if e.current() && e.kept.Boot != measure.Boot() {
		e.held = false
	}
	return e, nil
}

// settled loads an instance on which nobody operates. A server that was killed may have started it a moment ago: then its keeper either
// knows all that it needs, and goes on, or notices that it does not, and ends.
func (h *Host) settled(ctx context.Context, id string) (*entry, error) {
	ctx, cancel := context.WithTimeout(ctx, lastBreath)
	defer cancel()
	for {
		e, err := h.load(id)
		if err != nil || e.state() != runtime.InstanceStarting {
			return e, err
		}
		select {
		case <-time.After(lockEvery):
		case <-ctx.Done():
			return nil, fmt.Errorf("the instance %s is neither started nor not: %w", id, ctx.Err())
		}
	}
}

// newest returns when a file of a directory was last written, if that is later.
func newest(dir *os.File, than time.Time) time.Time {
	entries, _ := dir.ReadDir(-1)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(than) {
			than = info.ModTime().UTC()
		}
	}
	return than
}

// Inspect implements runtime.Host.
func (h *Host) Inspect(ctx context.Context, id string) (runtime.Instance, error) {
	if err := ctx.Err(); err != nil {
		return runtime.Instance{}, err
	}
	e, err := h.load(id)
	if err != nil {
		return runtime.Instance{}, err
	}
	return e.instance(), nil
}

// List implements runtime.Host.
func (h *Host) List(ctx context.Context) ([]runtime.Instance, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ids, err := h.ids()
	if err != nil {
		return nil, err
	}
	var list []runtime.Instance
	for _, id := range ids {
		e, err := h.load(id)
		if errors.Is(err, runtime.ErrNoInstance) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, e.instance())
	}
	return list, nil
}

const (
	// replaceGrace is how long one generation has to end before the next is started.
	replaceGrace = 5 * time.Second
	// lastBreath is how long what is dead may take until nothing of it is left.
	lastBreath = 10 * time.Second
)
