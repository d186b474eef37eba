package session

import (
	"context"
	"encoding/json"
	"fmt"
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
	// Lagging lists busy threads that the root's log may have to be told about, or whose answer nobody waits for any more. Of threads
	// whose turn runs only the latter: whoever runs it tells the root.
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

// Began reports whether the thread has ever run.
func (t Thread) Began() bool { return t.LastTurn > 0 && (t.RunningSince != nil || t.StopReason != nil) }

// Lifetime returns how long the thread has been there until now, or until it was archived.
func (t Thread) Lifetime(now time.Time) time.Duration {
	if t.ArchivedAt != nil {
		now = *t.ArchivedAt
	}
	return now.Sub(t.CreatedAt)
}
