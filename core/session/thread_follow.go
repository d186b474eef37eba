package session

import (
	"context"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Follow tells the log of the session at the top what happened in a thread since the last time, and passes an answer on to the tool
// use that waits for it. A thread whose answer nobody waits for any more is stopped. It does nothing for a session that works for
// nobody.
func (j *Journal) Follow(ctx context.Context, ref Ref) error {
	sc := account.System(ref.Tenant)
	t, err := j.d.Threads.Get(ctx, sc, ref.Session, false)
	if fault.KindOf(err) == fault.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	orphan, err := j.orphaned(ctx, sc, t)
	if err != nil {
		return err
	}
	if !orphan {
		news, err := j.d.Log.Events(ctx, sc, t.ID, EventQuery{AfterSeq: t.Mirrored, Types: mirrored, Limit: 1})
		if err != nil || len(news) == 0 {
			return err
		}
	}
	return j.d.TX.Do(ctx, func(ctx context.Context) error { return j.follow(ctx, sc, t, true) })
}

// orphaned reports whether a busy thread's tool use has a result already.
func (j *Journal) orphaned(ctx context.Context, sc account.Scope, t Thread) (bool, error) {
	if !t.Busy {
		return false, nil
	}
	uses, err := j.d.Uses.Open(ctx, sc, t.Parent)
	return !slices.ContainsFunc(uses, func(u ToolUse) bool { return u.ID == t.Use }), err
}

// lockThread takes the locks of a thread: the turns of those above it and its own, and then itself. Everything that touches more than
// one session of a tree locks in this order: all the turns that it needs, then threads, then sessions.
func (j *Journal) lockThread(ctx context.Context, sc account.Scope, t Thread) (locked Thread, above map[id.Session][]Turn, err error) {
	turns, err := j.d.Turns.LockSession(ctx, sc, t.Root, t.Parent, t.ID)
	if err != nil {
		return Thread{}, nil, err
	}
	above = map[id.Session][]Turn{}
	for _, v := range turns {
		above[v.Session] = append(above[v.Session], v)
	}
	locked, err = j.d.Threads.Get(ctx, sc, t.ID, true)
	return locked, above, err
}

// lockTree locks the turns of a session, of those above it and of the live threads below it, which it returns, the oldest first. A
// thread that another one makes meanwhile is found, because whoever makes it holds a turn that is waited for.
func (j *Journal) lockTree(ctx context.Context, sc account.Scope, session id.Session) ([]Thread, error) {
	root, held := session, []id.Session{session}
	t, err := j.d.Threads.Get(ctx, sc, session, false)
	switch {
	case err == nil:
		root, held = t.Root, []id.Session{t.Root, t.Parent, session}
	case fault.KindOf(err) != fault.NotFound:
		return nil, err
	}
	for locked := 0; ; {
		below, err := j.below(ctx, sc, root, session)
		if err != nil {
			return nil, err
		}
		for _, t := range below {
			if !slices.Contains(held, t.ID) {
				held = append(held, t.ID)
			}
		}
		if locked == len(held) {
			return below, nil
		}
		if _, err := j.d.Turns.LockSession(ctx, sc, held...); err != nil {
			return nil, err
		}
		locked = len(held)
	}
}

// below lists the live threads that a session of a tree has delegated to, and those that they have, the oldest first.
func (j *Journal) below(ctx context.Context, sc account.Scope, root, session id.Session) ([]Thread, error) {
	var out []Thread
	within := map[id.Session]bool{session: true}
	req := ThreadRequest{Request: page.Request{Limit: MaxThreads}, Statuses: []Status{StatusIdle, StatusRunning}}
	for {
		p, err := j.d.Threads.List(ctx, sc, root, req)
		if err != nil {
			return nil, err
		}
		for _, t := range p.Items { // who delegates is older than whom it delegates to
			if within[t.Parent] {
				within[t.ID] = true
				out = append(out, t)
			}
		}
		if req.Cursor = p.Next; req.Cursor == "" {
			return out, nil
		}
	}
}

// follow is Follow in a transaction. Without deliver the answer is not passed on: whoever waits for it is being stopped, too.
func (j *Journal) follow(ctx context.Context, sc account.Scope, t Thread, deliver bool) error {
	t, above, err := j.lockThread(ctx, sc, t)
	if err != nil {
		return err
	}
	if orphan, err := j.orphaned(ctx, sc, t); err != nil {
		return err
	} else if orphan && deliver {
		const why = "nobody waits for the answer any more"
		if err := j.stopThreads(ctx, sc, t.ID, why, false); err != nil {
			return err
		}
		if _, err := j.stop(ctx, sc, t.ID, halt{reason: why, drop: true, idle: true}); err != nil {
			return err
		}
	}
	news, err := j.d.Log.Events(ctx, sc, t.ID, EventQuery{AfterSeq: t.Mirrored, Types: mirrored})
	if err != nil {
		return err
	}
	var entries []Entry
	if t.Mirrored == 0 && t.Parent != t.Root {
		entries = append(entries, createdEntry(t))
	}
	var last *IdleBody // how the thread ended its turn, if it did
	for _, e := range news {
		told, end, err := j.tell(ctx, sc, t, e)
		if err != nil {
			return err
		}
		entries = append(entries, told...)
		if end != nil || e.Type == SessionRunning {
			last = end
		}
		t.Mirrored = e.Seq
	}
	if last != nil && last.StopReason.Type == StopRetriesExhausted && t.ArchivedAt == nil {
		told, seq, err := j.terminate(ctx, sc, t)
		if err != nil {
			return err
		}
		entries, t.Mirrored = append(entries, told), seq
	}
	use := t.Use
	if last != nil || t.Busy && len(above[t.ID]) == 0 && t.ArchivedAt != nil {
		t.Busy, t.Use = false, id.Event{}
	}
	if err := j.d.Threads.Save(ctx, sc, t); err != nil {
		return err
	}
	var after []Entry
	if deliver && !t.Busy && !use.IsZero() {
		if after, err = j.answerOf(ctx, sc, t, use, last); err != nil {
			return err
		}
	}
	return j.pass(ctx, sc, t, above, entries, after, deliver)
}

// tell says what one event of a thread is to its root; end is set when it ends the thread's turn.
func (j *Journal) tell(ctx context.Context, sc account.Scope, t Thread, e Event) (told []Entry, end *IdleBody, err error) {
	name := t.ID.UUID().String()
	switch e.Type {
	case SessionRunning:
		return []Entry{{Type: ThreadRunning, Body: ThreadStatusBody{name, t.Name}}}, nil, nil
	case SessionTerminated:
		return []Entry{{Type: ThreadTerminated, Body: ThreadStatusBody{name, t.Name}}}, nil, nil
	case SessionIdle:
		var body IdleBody
		if err := e.Body(&body); err != nil {
			return nil, nil, err
		}
		if body.StopReason.Type == StopRequiresAction {
			if told, err = j.crossPostUses(ctx, sc, t, e.Seq, body.StopReason.Events); err != nil {
				return nil, nil, err
			}
		} else {
			end = &body
		}
		return append(told, Entry{Type: ThreadIdle, Body: ThreadIdleBody{name, t.Name, body.StopReason, body.StopDetails}}), end, nil
	}
	entry, err := crossPosted(t, e)
	return []Entry{entry}, nil, err
}

// crossPostUses finds the tool uses that an idle names and that have not been told yet.
func (j *Journal) crossPostUses(ctx context.Context, sc account.Scope, t Thread, before int64, uses []id.Event) ([]Entry, error) {
	events, err := j.d.Log.Events(ctx, sc, t.ID, EventQuery{
		AfterSeq: t.Mirrored, BeforeSeq: before, Types: []EventType{AgentToolUse, AgentMCPToolUse, AgentCustomToolUse},
	})
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, e := range events {
		if !slices.Contains(uses, e.ID) {
			continue
		}
		entry, err := crossPosted(t, e)
		if err != nil {
			return nil, err
		}
		out = append(out, entry)
	}
	return out, nil
}

// terminate archives a thread that cannot go on, and returns what its root is told and the number of the thread's last event.
func (j *Journal) terminate(ctx context.Context, sc account.Scope, t Thread) (Entry, int64, error) {
	now := j.now()
	_, err := j.d.Repository.Update(ctx, sc, t.ID, func(v *Session) error {
		v.ArchivedAt, v.UpdatedAt = &now, now
		return nil
	})
	if err != nil {
		return Entry{}, 0, err
	}
	events, err := j.append(ctx, sc, Append{Session: t.ID}, []Entry{{Type: SessionTerminated}})
	if err != nil {
		return Entry{}, 0, err
	}
	return Entry{Type: ThreadTerminated, Body: ThreadStatusBody{t.ID.UUID().String(), t.Name}}, events[0].Seq, nil
}

// answerOf closes the tool use that waits for a thread, and returns what its parent's log gets; nothing when it has a result.
func (j *Journal) answerOf(ctx context.Context, sc account.Scope, t Thread, use id.Event, end *IdleBody) ([]Entry, error) {
	u, ok, err := j.d.Uses.Close(ctx, sc, t.Parent, use)
	if err != nil || !ok {
		return nil, err
	}
	result, err := j.lastWord(ctx, sc, t, end)
	if err != nil {
		return nil, err
	}
	received := Entry{
		Type: AgentThreadReceived, Ref: use,
		Body: ThreadReceivedBody{From: t.ID.UUID().String(), Agent: t.Name, Content: result.Content},
	}
	body := result
	body.Content = slices.Concat(result.Content, Text("session_thread_id: "+t.Key().String()))
	return []Entry{received, resultOf(u, body)}, nil
}

// lastWord finds a thread's answer in its log: the last message of its last turn, or why there is none.
func (j *Journal) lastWord(ctx context.Context, sc account.Scope, t Thread, end *IdleBody) (ToolResultBody, error) {
	events, err := j.d.Log.Events(ctx, sc, t.ID, EventQuery{
		Types: []EventType{AgentThreadReceived, AgentMessage, SessionError, UserInterrupt, SessionTerminated}, Desc: true, Limit: 100,
	})
	if err != nil {
		return ToolResultBody{}, err
	}
	var said []Block
	var failed, cut string
	for _, e := range events {
		if e.Type == AgentThreadReceived && e.Ref.IsZero() {
			break
		}
		switch e.Type {
		case AgentMessage:
			var body MessageBody
			if err := e.Body(&body); err != nil {
				return ToolResultBody{}, err
			}
			if said == nil {
				said = body.Content
			}
		case SessionError:
			var body ErrorBody
			if err := e.Body(&body); err != nil {
				return ToolResultBody{}, err
			}
			if failed == "" && body.Error.RetryStatus.Type != Retrying {
				failed = body.Error.Message
			}
		case UserInterrupt:
			cut = "it was interrupted by the user"
		case SessionTerminated:
			if cut == "" {
				cut = "its thread was archived"
			}
		}
	}
	switch {
	case cut != "":
		return ErrorResult(t.Name + " did not answer: " + cut), nil
	case failed != "":
		return ErrorResult(t.Name + " did not finish: " + failed), nil
	case end != nil && end.StopReason.Type == StopRefusal:
		return ErrorResult(t.Name + " declined to answer"), nil
	case said == nil:
		return ErrorResult(t.Name + " ended its work without an answer"), nil
	}
	return ToolResultBody{Content: said}, nil
}

// pass appends what a thread brings to the logs of its root and its parent, and lets go on what waited for it. Without deliver they
// are being stopped, and say so themselves.
func (j *Journal) pass(
	ctx context.Context, sc account.Scope, t Thread, above map[id.Session][]Turn, entries, after []Entry, deliver bool,
) error {
	for _, v := range []id.Session{t.Root, t.Parent} {
		if v == t.Root && v != t.Parent {
			if len(entries) > 0 {
				if _, err := j.append(ctx, sc, Append{Session: v}, entries); err != nil {
					return err
				}
			}
			entries = nil
			if deliver {
				if err := j.reflect(ctx, sc, v, above[v]); err != nil {
					return err
				}
			}
			continue
		}
		turn, active := activeOf(above[v])
		if active && len(after) > 0 {
			if err := j.resume(ctx, sc, turn, entries, after); err != nil {
				return err
			}
		} else if all := slices.Concat(entries, after); len(all) > 0 {
			if _, err := j.append(ctx, sc, Append{Session: v}, all); err != nil {
				return err
			}
		}
		if v == t.Root && deliver {
			if err := j.reflect(ctx, sc, v, above[v]); err != nil {
				return err
			}
		}
		break
	}
	return nil
}

// reflect keeps the status of a session whose turn is parked true: idle while it or one of its threads waits for somebody, running
// while only its threads work.
func (j *Journal) reflect(ctx context.Context, sc account.Scope, session id.Session, turns []Turn) error {
	turn, active := activeOf(turns)
	if !active || turn.State != TurnParked {
		return nil
	}
	uses, err := j.d.Uses.Open(ctx, sc, session)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(uses, func(u ToolUse) bool { return u.State == UseThread }) {
		return nil
	}
	need, err := j.needed(ctx, sc, session, uses)
	if err != nil {
		return err
	}
	v, err := j.d.Repository.Get(ctx, sc, session)
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil
		}
		return err
	}
	var entry Entry
	switch {
	case len(need) > 0 && (v.StopReason == nil || !slices.Equal(v.StopReason.Events, need)):
		entry = Entry{Type: SessionIdle, Body: IdleBody{StopReason: StopReason{Type: StopRequiresAction, Events: need}}}
	case len(need) == 0 && v.Active == StatusIdle:
		entry = Entry{Type: SessionRunning}
	default:
		return nil
	}
	if _, err = j.append(ctx, sc, Append{Session: session}, []Entry{entry}); err != nil {
		return err
	}
	return j.moved(ctx, sc, TurnMove{Turn: turn, Waits: len(need) > 0})
}

// needed names the tool uses that somebody must act on before a session can go on: its own among uses, and those of its threads.
func (j *Journal) needed(ctx context.Context, sc account.Scope, session id.Session, uses []ToolUse) ([]id.Event, error) {
	var out []id.Event
	delegated := false
	for _, u := range uses {
		delegated = delegated || u.State == UseThread
		if u.State.Blocks() && u.State != UseThread {
			out = append(out, u.ID)
		}
	}
	if !delegated {
		return out, nil
	}
	below, err := j.d.Threads.Waiting(ctx, sc, session)
	for _, u := range below {
		out = append(out, u.ID)
	}
	return out, err
}

// stopThreads ends what all threads below a session are doing; with archive they take no more work. It must run in a transaction,
// before the session itself is stopped, whose turns it locks, too.
func (j *Journal) stopThreads(ctx context.Context, sc account.Scope, session id.Session, reason string, archive bool) error {
	below, err := j.lockTree(ctx, sc, session)
	if err != nil {
		return err
	}
	for _, t := range below {
		if err := j.stopThread(ctx, sc, t, nil, reason, archive, false); err != nil {
			return err
		}
	}
	return nil
}

// stopTree is stop together with the threads below a session; when it is a thread itself, whoever waits for it is told.
func (j *Journal) stopTree(ctx context.Context, sc account.Scope, session id.Session, h halt) (int, error) {
	if err := j.stopThreads(ctx, sc, session, h.reason, false); err != nil {
		return 0, err
	}
	n, err := j.stop(ctx, sc, session, h)
	if err != nil {
		return 0, err
	}
	t, err := j.d.Threads.Get(ctx, sc, session, false)
	if err == nil {
		return n, j.follow(ctx, sc, t, true)
	}
	if fault.KindOf(err) == fault.NotFound {
		err = nil
	}
	return n, err
}

// stopThread ends what one thread is doing and tells its root; first stands before everything else in its log.
func (j *Journal) stopThread(ctx context.Context, sc account.Scope, t Thread, first []Entry, reason string, archive, deliver bool) error {
	if _, _, err := j.lockThread(ctx, sc, t); err != nil {
		return err
	}
	h := halt{first: first, reason: reason, drop: true, idle: true}
	if archive {
		now := j.now()
		fresh := false
		_, err := j.d.Repository.Update(ctx, sc, t.ID, func(v *Session) error {
			if fresh = v.ArchivedAt == nil; fresh {
				v.ArchivedAt, v.UpdatedAt = &now, now
			}
			return nil
		})
		if err != nil || !fresh {
			return err
		}
		h.last = []Entry{{Type: SessionTerminated}}
	}
	if _, err := j.stop(ctx, sc, t.ID, h); err != nil {
		return err
	}
	return j.follow(ctx, sc, t, deliver)
}
