package a2a

import (
	"context"
	"iter"
	"strings"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Update is something that happened to a task: either its state changed, or a piece was added to its answer, or it made a file.
type Update struct {
	Task   *Task
	Chunk  *Chunk
	Output *Output // without its bytes
}

// Chunk is a piece of an answer.
type Chunk struct {
	Text   string
	Append bool // it goes on with what was there; otherwise it replaces that
	Last   bool // the answer is whole, and the task over
}

// Subscribe follows a task of the caller's from where it is now. The caller must Close the Follow. It returns id.NotFound, ErrTaskOver, or
// session.ErrTooManyStreams.
func (s *Service) Subscribe(ctx context.Context, sc account.Scope, of id.Agent, task id.Turn) (*Follow, error) {
	t, err := s.Get(ctx, sc, of, task)
	if err != nil {
		return nil, err
	}
	if t.State.Terminal() {
		return nil, ErrTaskOver
	}
	return s.follow(ctx, sc, t, true)
}

// Wait returns a task of the caller's as it is once it rests: it has ended, or waits for somebody. It returns the task as it is then, too,
// when ctx ends or the server stops.
func (s *Service) Wait(ctx context.Context, sc account.Scope, t Task) (Task, error) {
	if t.State.Rests() {
		return t, nil
	}
	f, err := s.follow(ctx, sc, t, false)
	if err != nil {
		return Task{}, err
	}
	defer f.Close()
	if f.task.State.Rests() {
		return f.task, nil
	}
	for u, err := range f.Updates(ctx) {
		if err != nil {
			return Task{}, err
		}
		if u.Task != nil {
			f.task = *u.Task
		}
	}
	return f.task, nil
}

// follow opens the stream of a task's session, and reads the task again afterwards, so that nothing is missed in between.
func (s *Service) follow(ctx context.Context, sc account.Scope, t Task, chunks bool) (*Follow, error) {
	if t.State.Terminal() {
		return newFollow(s, sc, t, nil, chunks), nil
	}
	st, err := s.d.Talks.Stream(ctx, sc, t.Session, session.StreamOptions{Chunks: chunks})
	if err != nil {
		return nil, err
	}
	now, err := s.own(ctx, sc, t.Agent, t.ID)
	if err != nil {
		st.Close()
		return nil, err
	}
	return newFollow(s, sc, now, st, chunks), nil
}

// Follow follows a task. It is for one reader.
type Follow struct {
	s      *Service
	sc     account.Scope
	st     *session.Stream // nil: the task had ended
	task   Task            // as it was told last
	chunks bool
	begun  bool  // its message is in the log
	over   *Task // it has ended, which is told once the log was read that far
	tell   teller
	made   map[string]id.File // what was told of the files, by their paths
}

func newFollow(s *Service, sc account.Scope, t Task, st *session.Stream, chunks bool) *Follow {
	return &Follow{s: s, sc: sc, st: st, task: t, chunks: chunks, begun: t.FirstSeq > 0, made: map[string]id.File{}}
}

// Task returns the task as it was told last; before Updates, as it was when the following began.
func (f *Follow) Task() Task { return f.task }

// Told says that the reader has files of the task already, as they were when the following began: Updates does not tell of them again. It is called
// before Updates.
func (f *Follow) Told(files []Output) {
	for _, o := range files {
		f.made[o.Path] = o.File
	}
}

// Close ends the following. The task goes on.
func (f *Follow) Close() {
	if f.st != nil {
		f.st.Close()
	}
}

// Updates yields what happens to the task. It ends once the task has come to rest, when ctx ends, and when the server stops; an error is
// one of the store.
func (f *Follow) Updates(ctx context.Context) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		if f.st == nil || f.task.State.Terminal() {
			return
		}
		for frame, err := range f.st.Frames(ctx) {
			if err != nil {
				if fault.KindOf(err) != fault.Unavailable || ctx.Err() != nil { // a server that stops says nothing: the reader comes back
					yield(Update{}, err)
				}
				return
			}
			updates, err := f.take(ctx, frame)
			if err != nil {
				yield(Update{}, err)
				return
			}
			for _, u := range updates {
				if !yield(u, nil) || u.Task != nil && u.Task.State.Rests() {
					return
				}
			}
		}
	}
}

func (f *Follow) take(ctx context.Context, frame session.Frame) ([]Update, error) {
	if c := frame.Chunk; c != nil {
		if f.begun && c.Kind == session.ChunkMessage && c.After >= f.task.FirstSeq {
			return f.tell.chunk(*c), nil
		}
		return nil, nil
	}
	out, err := f.event(ctx, *frame.Event)
	if err == nil && f.over != nil && frame.Event.Seq >= f.over.LastSeq {
		f.task = *f.over
		files, err := f.outputs(ctx)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, f.tell.flush(true)...), files...), Update{Task: f.over})
	}
	return out, err
}

// outputs tells the files that the task made since they were told last.
func (f *Follow) outputs(ctx context.Context) ([]Update, error) {
	if !f.begun || !f.chunks {
		return nil, nil
	}
	all, err := f.s.Outputs(ctx, f.sc, []Task{f.task})
	if err != nil {
		return nil, err
	}
	var out []Update
	for _, o := range all[f.task.ID] {
		if f.made[o.Path] != o.File {
			f.made[o.Path] = o.File
			out = append(out, Update{Output: &o})
		}
	}
	return out, nil
}

func (f *Follow) event(ctx context.Context, e session.Event) ([]Update, error) {
	if e.ID == f.task.Event {
		f.begun = true
	}
	switch e.Type {
	case session.AgentMessage:
		if !f.begun || !f.chunks {
			return nil, nil
		}
		text, err := textOf(e)
		if err != nil {
			return nil, err
		}
		return f.tell.whole(e.ID, text), nil
	case session.UserMessage, session.SessionRunning, session.SessionIdle, session.SessionTerminated, session.SessionDeleted:
		return f.moved(ctx, e)
	}
	switch {
	case e.Type.IsToolUse():
		return f.tell.flush(false), nil
	case e.Type == session.AgentToolResult:
		return f.outputs(ctx)
	}
	return nil, nil
}

// moved tells the task's state, if that is another one than before. The task may be further than the log was read: then it is told to work
// until that is made up for, so that its answer comes before its end.
func (f *Follow) moved(ctx context.Context, e session.Event) ([]Update, error) {
	t, err := f.s.d.Tasks.Get(ctx, f.sc, f.task.ID)
	switch {
	case fault.KindOf(err) == fault.NotFound: // with its session
		t = f.task
		t.State, t.Reason = Canceled, "the conversation was deleted"
	case err != nil:
		return nil, err
	case t.State.Terminal():
		over := t
		f.over = &over
		if e.Seq >= t.LastSeq {
			return nil, nil
		}
		t = f.working(t, e)
	case t.State == InputRequired && e.Type != session.SessionIdle:
		t = f.working(t, e)
	}
	if t.State == f.task.State && t.UpdatedAt.Equal(f.task.UpdatedAt) {
		f.task = t
		return nil, nil
	}
	f.task = t
	return append(f.tell.flush(t.State.Terminal()), Update{Task: &t}), nil
}

// working is a task as it was at an event of its turn.
func (f *Follow) working(t Task, e session.Event) Task {
	if f.task.State != Submitted {
		return f.task
	}
	t.State, t.Reason, t.Rule, t.LastSeq, t.UpdatedAt = Working, "", "", 0, e.ProcessedAt
	return t
}

// teller makes chunks of a session's stream. It holds one piece back, so that the last one can be told as such. The zero value is at the
// beginning.
type teller struct {
	message id.Event // that is being said
	known   bool     // from its first word on
	got     string   // of it
	sent    string   // of it, as the reader has it
	fresh   bool     // what comes next replaces what the reader has
	done    bool     // the message is whole
}

func (t *teller) begin(m id.Event, known bool) []Update {
	out := t.flush(false)
	*t = teller{message: m, known: known, fresh: true}
	return out
}

// chunk takes a piece of what is not in the log yet.
func (t *teller) chunk(c session.Chunk) []Update {
	var out []Update
	if c.ID != t.message {
		// Of a message that was begun before the reader came, the rest comes with the whole.
		out = t.begin(c.ID, c.Phase == session.PhaseStart)
	}
	if !t.known || t.done || c.Phase != session.PhaseDelta || c.Delta == "" {
		return out
	}
	out = append(out, t.flush(false)...)
	t.got += c.Delta
	return out
}

// whole takes a message as the log has it.
func (t *teller) whole(m id.Event, text string) []Update {
	var out []Update
	if m != t.message {
		out = t.begin(m, true)
	}
	if !strings.HasPrefix(text, t.sent) { // what was told is not what was said
		t.sent, t.fresh = "", true
	}
	t.got, t.done = text, true
	return out
}

// flush tells what is held back; last says that nothing follows.
func (t *teller) flush(last bool) []Update {
	rest := strings.TrimPrefix(t.got, t.sent)
	if rest == "" {
		return nil
	}
	c := &Chunk{Text: rest, Append: !t.fresh, Last: last && t.done}
	t.sent, t.fresh = t.got, false
	return []Update{{Chunk: c}}
}
