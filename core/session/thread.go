package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// MaxThreads bounds the threads of a session that are not archived, the primary one not counted.
const MaxThreads = 25

// The errors of threads. A thread that is missing or another session's is id.NotFound[id.ThreadKind].
var (
	// ErrThreadBusy is returned when a thread is given work before it has answered.
	ErrThreadBusy = fault.New(fault.Conflict, "thread_busy", "the thread has not answered yet")
	// ErrTooManyThreads is returned when a session would have more live threads than MaxThreads.
	ErrTooManyThreads = fault.New(fault.Conflict, "too_many_threads", "the session has too many threads")
	// ErrPrimaryThread is returned for what can be done to a session and not to its primary thread.
	ErrPrimaryThread = fault.New(fault.Conflict, "primary_thread", "the primary thread lives as long as its session; archive the session instead")
)

// ThreadType says who works in a thread.
type ThreadType string

// The types of threads.
const (
	ThreadPrimary ThreadType = "primary" // the session's own agent
	ThreadAgent   ThreadType = "agent"   // another agent, of the roster
	ThreadSelf    ThreadType = "self"    // the agent itself once more, delegating to nobody
	ThreadAdvisor ThreadType = "advisor" // a model without tools
)

// Thread is a conversation inside a session: the primary one is the session's own, and every delegation to a subagent makes another.
// Session is its row, with its own log, status and usage.
type Thread struct {
	Session
	Type  ThreadType
	Name  string // by which the roster calls whoever works in it; "" for the primary one
	Model string // ThreadAdvisor: the model's handle
	Depth int    // how many delegations lead to it; 0 is the primary one
	// Use is the tool use of the parent that waits for its answer; zero: none does.
	Use id.Event
	// Busy is set from the moment the thread gets work until its answer was passed on.
	Busy bool
	// Mirrored is the number of the newest event that the root's log has been told of.
	Mirrored int64
}

// Key returns the thread's id.
func (t Thread) Key() id.Thread { return ThreadOf(t.ID) }

// ThreadOf spells a session as a thread: the primary thread of a session has its number, and others that of their own row.
func ThreadOf(session id.Session) id.Thread { return id.Of[id.ThreadKind](session.UUID()) }

// ParentThread returns the thread that delegated; zero for the primary one.
func (t Thread) ParentThread() id.Thread {
	if t.Parent.IsZero() {
		return id.Thread{}
	}
	return ThreadOf(t.Parent)
}

// ThreadRequest chooses threads of a session.
type ThreadRequest struct {
	page.Request
	Statuses []Status // nil: any
}

// Threads stores what sessions that work for others have beside a session's row. All methods are safe for concurrent use and join
// the transaction in ctx.
type Threads interface {
	// Create stores the session of a new thread, and the thread.
	Create(ctx context.Context, sc account.Scope, t Thread) error
	// Get returns the thread of a session, or id.NotFound[id.ThreadKind] for one that works for nobody. With lock it is held against
	// every other change until the transaction ends.
	Get(ctx context.Context, sc account.Scope, session id.Session, lock bool) (Thread, error)
	// Save stores Use, Busy and Mirrored.
	Save(ctx context.Context, sc account.Scope, t Thread) error
	// List lists the threads below a session, the oldest first, without the primary one.
	List(ctx context.Context, sc account.Scope, root id.Session, req ThreadRequest) (page.Page[Thread], error)
	// Waiting lists the open tool uses of the threads below a session that somebody else must act on and that its log tells of.
	Waiting(ctx context.Context, sc account.Scope, root id.Session) ([]ToolUse, error)
	// Lagging lists busy threads that the root's log may have to be told about, or whose answer nobody waits for any more.
	Lagging(ctx context.Context, limit int) ([]Ref, error)
	// Usage sums, by root, what the threads below sessions have used. Sessions without threads are left out.
	Usage(ctx context.Context, sc account.Scope, roots []id.Session) (map[id.Session]Usage, error)
}

// The types of events that threads bring.
const (
	ThreadCreated    EventType = "session.thread_created"
	ThreadRunning    EventType = "session.thread_status_running"
	ThreadIdle       EventType = "session.thread_status_idle"
	ThreadTerminated EventType = "session.thread_status_terminated"
	// AgentThreadSent is in the log of the thread that sends, AgentThreadReceived in that of the receiver. A received message whose
	// Ref names a tool use of the receiver is the answer to it; without a Ref it begins a turn.
	AgentThreadSent     EventType = "agent.thread_message_sent"
	AgentThreadReceived EventType = "agent.thread_message_received"
)

// UseThread is the state of a tool use that waits for a thread's answer.
const UseThread UseState = "thread"

// The bodies of those events. Thread ids are UUIDs, like all ids in bodies.
type (
	// ThreadCreatedBody is that of session.thread_created.
	ThreadCreatedBody struct {
		Thread   string  `json:"session_thread_id"`
		Agent    string  `json:"agent_name"`
		Workflow *string `json:"workflow_run_id"` // always null
	}
	// ThreadStatusBody is that of session.thread_status_running and session.thread_status_terminated.
	ThreadStatusBody struct {
		Thread string `json:"session_thread_id"`
		Agent  string `json:"agent_name"`
	}
	// ThreadIdleBody is that of session.thread_status_idle.
	ThreadIdleBody struct {
		Thread      string     `json:"session_thread_id"`
		Agent       string     `json:"agent_name"`
		StopReason  StopReason `json:"stop_reason"`
		StopDetails *string    `json:"stop_details"`
	}
	// ThreadSentBody is that of agent.thread_message_sent.
	ThreadSentBody struct {
		To      string  `json:"to_session_thread_id"`
		Agent   string  `json:"to_agent_name,omitempty"`
		Content []Block `json:"content"`
	}
	// ThreadReceivedBody is that of agent.thread_message_received.
	ThreadReceivedBody struct {
		From    string  `json:"from_session_thread_id"`
		Agent   string  `json:"from_agent_name,omitempty"` // "" from the primary thread
		Content []Block `json:"content"`
	}
)

// crossed is the part of a body that says of which thread an event tells.
type crossed struct {
	Thread string `json:"session_thread_id"`
}

// Crossed reports whether the event only tells what happened in another thread: that thread's log has it, too.
func (e Event) Crossed() bool {
	switch {
	case e.Type.IsToolUse(), e.Type.IsToolResult(), e.Type == UserToolConfirmation, e.Type == UserInterrupt:
		var c crossed
		return json.Unmarshal(e.Data, &c) == nil && c.Thread != ""
	}
	return false
}

// crossPosted returns an event of a thread as it stands in the root's log.
func crossPosted(t Thread, e Event) (Entry, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(e.Data, &members); err != nil {
		return Entry{}, fmt.Errorf("session: event %s: %w", e.ID, err)
	}
	members["session_thread_id"] = json.RawMessage(`"` + t.ID.UUID().String() + `"`)
	data, err := encodeBody(members)
	return Entry{ID: e.ID, Type: e.Type, Ref: e.Ref, Body: data, crossed: true}, err
}

// mirrored are the events of a thread that its root is told of. The uses that wait are found when an idle names them.
var mirrored = []EventType{
	SessionRunning, SessionIdle, SessionTerminated, UserToolConfirmation, UserCustomToolResult, UserToolResult, UserInterrupt,
}

// Thread returns the thread of a session that works for another one.
func (j *Journal) Thread(ctx context.Context, ref Ref) (Thread, error) {
	return j.d.Threads.Get(ctx, account.System(ref.Tenant), ref.Session, false)
}

// FindThread returns a thread below a session by its id, or id.NotFound.
func (j *Journal) FindThread(ctx context.Context, root Ref, thread id.Thread) (Thread, error) {
	t, err := j.d.Threads.Get(ctx, account.System(root.Tenant), id.Of[id.SessionKind](thread.UUID()), false)
	if err == nil && t.Root != root.Session && t.Parent != root.Session {
		return Thread{}, id.NotFound[id.ThreadKind](thread.String())
	}
	return t, err
}

// Lagging is Threads.Lagging.
func (j *Journal) Lagging(ctx context.Context, limit int) ([]Ref, error) {
	return j.d.Threads.Lagging(ctx, limit)
}

// NewThread makes a thread of a parent, which is not stored yet.
func (j *Journal) NewThread(parent Session, typ ThreadType, depth int) Thread {
	now := j.now()
	root := parent.Root
	if root.IsZero() {
		root = parent.ID
	}
	return Thread{
		Session: Session{
			ID: id.New[id.SessionKind](j.d.IDs), Tenant: parent.Tenant, Agent: parent.Agent, AgentVersion: parent.AgentVersion,
			Environment: parent.Environment, Parent: parent.ID, Root: root, Active: StatusIdle, CreatedAt: now, UpdatedAt: now,
		},
		Type: typ, Depth: depth,
	}
}

// Delegate hands a tool use of a turn that the caller holds to a thread, a stored one or a new one from NewThread: the use waits for
// the thread's answer from now on, and the message is the input of the thread's next turn. It joins the transaction in ctx. false:
// the use is not open any more, and nothing was written. It returns ErrThreadBusy, ErrArchived, ErrTooManyThreads or ErrFenced.
func (j *Journal) Delegate(ctx context.Context, t Turn, use id.Event, to Thread, from string, content []Block) (bool, error) {
	sc := account.System(t.Tenant)
	done := false
	err := j.d.TX.Do(ctx, func(ctx context.Context) error {
		done = false
		if err := j.d.Turns.Check(ctx, sc, *t.Fence()); err != nil {
			return err
		}
		fresh := false
		stored, err := j.d.Threads.Get(ctx, sc, to.ID, true)
		switch {
		case fault.KindOf(err) == fault.NotFound:
			fresh, stored = true, to
		case err != nil:
			return err
		case stored.ArchivedAt != nil:
			return ErrArchived.Withf("thread %s is archived", to.Key())
		case stored.Busy:
			return ErrThreadBusy.Withf("thread %s has not answered yet", to.Key())
		}
		if done, err = j.d.Uses.SetState(ctx, sc, use, UseOpen, UseThread, id.Approval{}); err != nil || !done {
			return err
		}
		stored.Use, stored.Busy = use, true
		var entries []Entry
		if fresh {
			live, err := j.d.Threads.List(ctx, sc, to.Root, ThreadRequest{
				Request: page.Request{Limit: MaxThreads}, Statuses: []Status{StatusIdle, StatusRunning},
			})
			if err != nil {
				return err
			}
			if len(live.Items) >= MaxThreads {
				return ErrTooManyThreads.Withf("a session may have %d threads that are not archived", MaxThreads)
			}
			if err := j.d.Threads.Create(ctx, sc, stored); err != nil {
				return err
			}
			if to.Parent == to.Root { // deeper ones are told by follow
				entries = append(entries, createdEntry(to))
			}
		} else if err := j.d.Threads.Save(ctx, sc, stored); err != nil {
			return err
		}
		body := ThreadReceivedBody{From: t.Session.UUID().String(), Agent: from, Content: content}
		data, err := encodeBody(body)
		if err != nil {
			return err
		}
		turn := Turn{
			ID: id.New[id.TurnKind](j.d.IDs), Tenant: t.Tenant, Session: to.ID, Agent: to.Agent, State: TurnQueued,
			Input: Event{ID: j.NewEventID(), Type: AgentThreadReceived, Data: data}, CreatedAt: j.now(),
		}
		if _, err := j.d.Turns.Enqueue(ctx, sc, to.ID, []Turn{turn}); err != nil {
			return err
		}
		entries = append(entries, Entry{Type: AgentThreadSent, Body: ThreadSentBody{To: to.ID.UUID().String(), Agent: to.Name, Content: content}})
		j.kickAfterCommit(ctx, Ref{t.Tenant, to.ID})
		_, err = j.append(ctx, sc, Append{Session: t.Session}, entries)
		return err
	})
	return done, err
}

func createdEntry(t Thread) Entry {
	return Entry{Type: ThreadCreated, Body: ThreadCreatedBody{Thread: t.ID.UUID().String(), Agent: t.Name}}
}

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

// lockThread takes the locks of a thread: the turns of those above it, its own, and last itself. Everything that touches more than
// one session of a tree locks in this order.
func (j *Journal) lockThread(ctx context.Context, sc account.Scope, t Thread) (locked Thread, above map[id.Session][]Turn, err error) {
	above = map[id.Session][]Turn{}
	for _, v := range []id.Session{t.Root, t.Parent, t.ID} {
		if _, done := above[v]; done {
			continue
		}
		if above[v], err = j.d.Turns.LockSession(ctx, sc, v); err != nil {
			return Thread{}, nil, err
		}
	}
	locked, err = j.d.Threads.Get(ctx, sc, t.ID, true)
	return locked, above, err
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
	return j.pass(ctx, sc, t, above, entries, after)
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

// pass appends what a thread brings to the logs of its root and its parent, and lets go on what waited for it.
func (j *Journal) pass(ctx context.Context, sc account.Scope, t Thread, above map[id.Session][]Turn, entries, after []Entry) error {
	for _, v := range []id.Session{t.Root, t.Parent} {
		if v == t.Root && v != t.Parent {
			if len(entries) > 0 {
				if _, err := j.append(ctx, sc, Append{Session: v}, entries); err != nil {
					return err
				}
			}
			entries = nil
			if err := j.reflect(ctx, sc, v, above[v]); err != nil {
				return err
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
		if v == t.Root {
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
	_, err = j.append(ctx, sc, Append{Session: session}, []Entry{entry})
	return err
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
// before the session itself is stopped.
func (j *Journal) stopThreads(ctx context.Context, sc account.Scope, root id.Session, reason string, archive bool) ([]id.Session, error) {
	if _, err := j.d.Turns.LockSession(ctx, sc, root); err != nil {
		return nil, err
	}
	var out []id.Session
	req := ThreadRequest{Request: page.Request{Limit: MaxThreads}, Statuses: []Status{StatusIdle, StatusRunning}}
	for {
		p, err := j.d.Threads.List(ctx, sc, root, req)
		if err != nil {
			return nil, err
		}
		for _, t := range p.Items {
			if err := j.stopThread(ctx, sc, t, nil, reason, archive, false); err != nil {
				return nil, err
			}
			out = append(out, t.ID)
		}
		if req.Cursor = p.Next; req.Cursor == "" {
			return out, nil
		}
	}
}

// stopTree is stop together with the threads below a session; when it is a thread itself, whoever waits for it is told.
func (j *Journal) stopTree(ctx context.Context, sc account.Scope, session id.Session, h halt) (int, error) {
	t, err := j.d.Threads.Get(ctx, sc, session, false)
	works := err == nil
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return 0, err
	}
	if works {
		if _, _, err := j.lockThread(ctx, sc, t); err != nil {
			return 0, err
		}
	}
	if _, err := j.stopThreads(ctx, sc, session, h.reason, false); err != nil {
		return 0, err
	}
	n, err := j.stop(ctx, sc, session, h)
	if err == nil && works {
		err = j.follow(ctx, sc, t, true)
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

// ThreadUsage sums what the threads below sessions have used, by session; those without threads are left out.
func (s *Service) ThreadUsage(ctx context.Context, sc account.Scope, sessions []id.Session) (map[id.Session]Usage, error) {
	return s.d.Journal.d.Threads.Usage(ctx, sc, sessions)
}

// Add returns the sum of two usages.
func (u Usage) Add(o Usage) Usage {
	u.Tokens.Input += o.Tokens.Input
	u.Tokens.CacheRead += o.Tokens.CacheRead
	u.Tokens.CacheWrite5m += o.Tokens.CacheWrite5m
	u.Tokens.CacheWrite1h += o.Tokens.CacheWrite1h
	u.Tokens.Output += o.Tokens.Output
	u.Tokens.Reasoning += o.Tokens.Reasoning
	u.Cost += o.Cost
	u.Unpriced += o.Unpriced
	u.Unknown += o.Unknown
	return u
}

// own returns a session that works for nobody; id.NotFound for one that does: it is reached as a thread.
func (s *Service) own(ctx context.Context, sc account.Scope, session id.Session) (Session, error) {
	v, err := s.d.Repository.Get(ctx, sc, session)
	if err == nil && !v.Parent.IsZero() {
		return Session{}, id.NotFound[id.SessionKind](session.String())
	}
	return v, err
}

// Threads lists the threads of a session, the primary one first and the others in the order of their creation.
func (s *Service) Threads(ctx context.Context, sc account.Scope, session id.Session, req ThreadRequest) (page.Page[Thread], error) {
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return page.Page[Thread]{}, err
	}
	primary := req.Cursor == "" && (req.Statuses == nil || slices.Contains(req.Statuses, v.Status()))
	if primary {
		// One place of the first page is taken; a page of one holds nothing else, and its cursor is before all threads.
		if req.Limit = req.Size() - 1; req.Limit == 0 {
			below, err := s.d.Journal.d.Threads.List(ctx, sc, session, ThreadRequest{Request: page.Request{Limit: 1}, Statuses: req.Statuses})
			out := page.Page[Thread]{Items: []Thread{primaryOf(v)}}
			if len(below.Items) > 0 {
				out.Next = threadsStart
			}
			return out, err
		}
	}
	if req.Cursor == threadsStart {
		req.Cursor = ""
	}
	out, err := s.d.Journal.d.Threads.List(ctx, sc, session, req)
	if err == nil && primary {
		out.Items = slices.Insert(out.Items, 0, primaryOf(v))
	}
	return out, err
}

// threadsStart is the cursor of a page that begins after the primary thread.
const threadsStart = "primary"

func primaryOf(v Session) Thread { return Thread{Session: v, Type: ThreadPrimary} }

// Thread returns a thread of a session, or id.NotFound of either.
func (s *Service) Thread(ctx context.Context, sc account.Scope, session id.Session, thread id.Thread) (Thread, error) {
	v, err := s.own(ctx, sc, session)
	if err != nil {
		return Thread{}, err
	}
	if thread == ThreadOf(session) {
		return primaryOf(v), nil
	}
	t, err := s.d.Journal.d.Threads.Get(ctx, sc, id.Of[id.SessionKind](thread.UUID()), false)
	if err == nil && t.Root != session {
		return Thread{}, id.NotFound[id.ThreadKind](thread.String())
	}
	return t, err
}

// ArchiveThread ends a thread for good: what it does is stopped, and it takes no more work. Archiving again changes nothing. The
// primary thread is ErrPrimaryThread.
func (s *Service) ArchiveThread(ctx context.Context, sc account.Scope, session id.Session, thread id.Thread) (Thread, error) {
	t, err := s.Thread(ctx, sc, session, thread)
	switch {
	case err != nil:
		return Thread{}, err
	case t.Type == ThreadPrimary:
		return Thread{}, ErrPrimaryThread
	case t.ArchivedAt != nil:
		return t, nil
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Journal.stopThread(ctx, sc, t, nil, "the thread was archived", true, true); err != nil {
			return err
		}
		_, err := s.d.Gate.VoidSession(ctx, sc, t.ID, "the thread was archived")
		return err
	})
	if err != nil {
		return Thread{}, err
	}
	return s.Thread(ctx, sc, session, thread)
}

// ThreadEvents is Events of a thread.
func (s *Service) ThreadEvents(
	ctx context.Context, sc account.Scope, session id.Session, thread id.Thread, q EventQuery,
) (events []Event, more bool, err error) {
	t, err := s.Thread(ctx, sc, session, thread)
	if err != nil {
		return nil, false, err
	}
	return s.events(ctx, sc, t.ID, q)
}

// StreamThread is Stream of a thread. The caller must Close the stream.
func (s *Service) StreamThread(
	ctx context.Context, sc account.Scope, session id.Session, thread id.Thread, opt StreamOptions,
) (*Stream, error) {
	t, err := s.Thread(ctx, sc, session, thread)
	if err != nil {
		return nil, err
	}
	return s.stream(ctx, sc, t.ID, opt, s.d.Repository.Get)
}

// endThreads stops the threads below a session together with it; it must run in a transaction, before the session is stopped.
func (s *Service) endThreads(ctx context.Context, sc account.Scope, session id.Session, reason string, archive bool) error {
	stopped, err := s.d.Journal.stopThreads(ctx, sc, session, reason, archive)
	if err != nil {
		return err
	}
	for _, v := range stopped {
		if _, err := s.d.Gate.VoidSession(ctx, sc, v, reason); err != nil {
			return err
		}
	}
	return nil
}

// routed are inputs that go to one session of a tree.
type routed struct {
	to     Session
	inputs []Input
	first  int // index of the first of them
}

// route says to which session of the tree each input goes: answers to where their tool use is open, interrupts to the thread that
// they name, everything else to the session itself.
func (s *Service) route(ctx context.Context, sc account.Scope, current Session, inputs []Input) ([]routed, error) {
	var below map[id.Event]id.Session
	var out []routed
	for i, in := range inputs {
		to := current.ID
		switch {
		case !in.Thread.IsZero() && in.Type == UserInterrupt:
			t, err := s.Thread(ctx, sc, current.ID, in.Thread)
			if err != nil {
				return nil, err
			}
			to = t.ID
		case !in.ToolUse.IsZero():
			if below == nil {
				uses, err := s.d.Journal.d.Threads.Waiting(ctx, sc, current.ID)
				if err != nil {
					return nil, err
				}
				below = map[id.Event]id.Session{}
				for _, u := range uses {
					below[u.ID] = u.Session
				}
			}
			if v, ok := below[in.ToolUse]; ok {
				to = v
			}
		}
		if n := len(out); n > 0 && out[n-1].to.ID == to {
			out[n-1].inputs = append(out[n-1].inputs, in)
			continue
		}
		target := current
		if to != current.ID {
			var err error
			if target, err = s.d.Repository.Get(ctx, sc, to); err != nil {
				return nil, err
			}
			if target.ArchivedAt != nil {
				return nil, ErrArchived.Withf("thread %s is archived", ThreadOf(to))
			}
		}
		out = append(out, routed{target, []Input{in}, i})
	}
	return out, nil
}

// tellRoot passes on what inputs did to a thread, and writes their events as the root's log has them. What is not passed on now is
// found later.
func (s *Service) tellRoot(ctx context.Context, thread Session, events []Event) []Event {
	if err := s.d.Journal.Follow(ctx, Ref{thread.Tenant, thread.ID}); err != nil && !errors.Is(err, context.Canceled) {
		s.d.Logger.WarnContext(ctx, "thread not followed", "session_id", thread.Root, "thread_id", ThreadOf(thread.ID), "error", err)
	}
	out := make([]Event, len(events))
	for i, e := range events {
		out[i] = e
		if entry, err := crossPosted(Thread{Session: thread}, e); err == nil {
			if data, ok := entry.Body.(json.RawMessage); ok {
				out[i].Data = data
			}
		}
	}
	return out
}

// runningSince is unset for a thread that never ran.
func (t Thread) Began() bool { return t.LastTurn > 0 && (t.RunningSince != nil || t.StopReason != nil) }

// threadsTime is how long archived threads lasted: until they were archived.
func (t Thread) Lifetime(now time.Time) time.Duration {
	if t.ArchivedAt != nil {
		now = *t.ArchivedAt
	}
	return now.Sub(t.CreatedAt)
}
