package a2a

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/file"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits of what is told of the files of a task.
const (
	MaxOutputs     = 100       // files of a task, the first ones
	MaxOutputBytes = 256 << 10 // of a file whose bytes come with the task
	MaxOutputsSize = 1 << 20   // bytes that come with the task in all
)

// Output is a file that an agent made while it worked on a task.
type Output struct {
	Task      id.Turn
	Path      string // where the session's sandbox has it, below session.OutputsDir; unique in the task
	File      id.File
	Name      string
	MediaType string // with its parameters
	Size      int64  // bytes
	CreatedAt time.Time
	// Data is what it holds; nil when that was not asked for, or is too much.
	Data []byte
	// Gone says that the bytes were asked for and are not kept any more: another task made the file anew, or somebody deleted it.
	Gone bool
	// Unread says that the bytes were asked for and could not be read: what is stored is damaged, or the store does not answer.
	Unread bool
}

// Outputs keeps which files were made for which task. Methods join the transaction in ctx and are safe for concurrent use.
type Outputs interface {
	// Put adds a file to the task that is under way in a session, in the place of the one with its path; false: no task is, and nothing was
	// added. o.Task is not looked at.
	Put(ctx context.Context, sc account.Scope, session id.Session, o Output) (bool, error)
	// Of returns the files of tasks, the one that was made first before the others, and of each task the first ones only, most of them.
	Of(ctx context.Context, sc account.Scope, tasks []id.Turn, most int) ([]Output, error)
	// Has reports whether a file is one of a task's.
	Has(ctx context.Context, sc account.Scope, task id.Turn, file id.File) (bool, error)
}

// Files reads files; file.Service does.
type Files interface {
	Open(ctx context.Context, sc account.Scope, file id.File) (file.File, *file.Content, error)
}

// OutputMade notes a file that a session's sandbox made: it is one of the task's that is under way there, if any is. In the
// transaction that keeps the file it becomes part of that.
func (s *Service) OutputMade(ctx context.Context, sc account.Scope, f file.File) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		_, err := s.d.Outputs.Put(ctx, sc, f.Session, Output{
			Path: f.Path, File: f.ID, Name: f.Name, MediaType: f.MediaType, Size: f.Size, CreatedAt: clock.Stored(s.d.Clock.Now()),
		})
		return err
	})
}

// OpenOutput returns a file of a task of the caller's with its bytes, which the caller closes. It returns id.NotFound for the
// task or the file.
func (s *Service) OpenOutput(
	ctx context.Context, sc account.Scope, of id.Agent, task id.Turn, want id.File,
) (file.File, *file.Content, error) {
	if _, err := s.Get(ctx, sc, of, task); err != nil {
		return file.File{}, nil, err
	}
	has, err := s.d.Outputs.Has(ctx, sc, task, want)
	if err == nil && !has {
		err = id.NotFound[id.FileKind](want.String())
	}
	if err != nil {
		return file.File{}, nil, err
	}
	return s.d.Files.Open(ctx, sc, want)
}

// Outputs returns the files of tasks by their task, at most MaxOutputs of each, without their bytes.
func (s *Service) Outputs(ctx context.Context, sc account.Scope, tasks []Task) (map[id.Turn][]Output, error) {
	ids := make([]id.Turn, len(tasks))
	for i, t := range tasks {
		ids[i] = t.ID
	}
	all, err := s.d.Outputs.Of(ctx, sc, ids, MaxOutputs)
	if err != nil {
		return nil, err
	}
	out := map[id.Turn][]Output{}
	for _, o := range all {
		out[o.Task] = append(out[o.Task], o)
	}
	return out, nil
}

// made reads the files of tasks into what is read of them.
func (s *Service) made(ctx context.Context, sc account.Scope, tasks []Task, o ContentOptions, out []Content) error {
	if !o.Answer || len(tasks) == 0 {
		return nil
	}
	all, err := s.Outputs(ctx, sc, tasks)
	if err != nil {
		return err
	}
	room := int64(MaxOutputsSize)
	for i, t := range tasks {
		if out[i].Outputs = all[t.ID]; o.Bytes {
			if room, err = s.FillOutputs(ctx, sc, out[i].Outputs, room); err != nil {
				return err
			}
		}
	}
	return nil
}

// FillOutputs reads the bytes of those files that are small enough, as long as room is left, and returns what is left of it then. A
// file that cannot be read is told without them, so that it does not keep anybody from the rest of its task; the error is that of ctx.
func (s *Service) FillOutputs(ctx context.Context, sc account.Scope, all []Output, room int64) (int64, error) {
	for i := range all {
		o := &all[i]
		if o.Size > min(MaxOutputBytes, room) {
			continue
		}
		data, err := s.readOutput(ctx, sc, o.File)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			o.Gone = true
			continue
		case err != nil && ctx.Err() != nil:
			return room, err
		case err != nil:
			s.d.Logger.LogAttrs(ctx, slog.LevelError, "a file of an A2A task could not be read", slog.String("tenant_id", sc.Tenant.String()),
				slog.String("task_id", o.Task.String()), slog.String("file_id", o.File.String()), slog.Any("error", err))
			o.Unread = true
			continue
		}
		o.Data = data
		room -= int64(len(data))
	}
	return room, nil
}

func (s *Service) readOutput(ctx context.Context, sc account.Scope, of id.File) ([]byte, error) {
	_, content, err := s.d.Files.Open(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }() // it was read to its end, or not at all
	return io.ReadAll(content)
}
