package native

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// threadWire is a thread of a session as it is answered. Every field is always there.
type threadWire struct {
	ID             string            `json:"id" doc:"sthr_..."`
	Type           string            `json:"type" enum:"session_thread"`
	SessionID      string            `json:"session_id"`
	ParentThreadID *string           `json:"parent_thread_id" doc:"The thread that delegated; null for the primary one."`
	Agent          any               `json:"agent" doc:"Who works in it: the version of an agent, or an advisor's model."`
	Status         string            `json:"status" enum:"idle,running,rescheduling,terminated"`
	StopReason     *stopReasonWire   `json:"stop_reason" doc:"Why it is idle; null before its first turn ended and while one runs."`
	Stats          *threadStatsWire  `json:"stats" doc:"null until it began."`
	Usage          *sessionUsageWire `json:"usage" doc:"null until it began."`
	WorkflowRunID  *string           `json:"workflow_run_id" doc:"Always null."`
	CreatedAt      stamp             `json:"created_at"`
	UpdatedAt      stamp             `json:"updated_at"`
	ArchivedAt     *stamp            `json:"archived_at"`
}

type threadStatsWire struct {
	ActiveSeconds   float64 `json:"active_seconds" doc:"How long its turns have been running."`
	DurationSeconds float64 `json:"duration_seconds" doc:"Since it was created, until it was archived."`
	StartupSeconds  float64 `json:"startup_seconds" doc:"Always 0."`
}

type advisorWire struct {
	Type  string `json:"type" enum:"advisor"`
	Model string `json:"model"`
}

// agents reads the agents of sessions, each version once.
func (f *face) agents(ctx context.Context) func(of session.Session) (agent.Agent, error) {
	type version struct {
		agent id.Agent
		n     int
	}
	known := map[version]agent.Agent{}
	return func(of session.Session) (agent.Agent, error) {
		v, overrides := version{of.Agent, of.AgentVersion}, of.Overrides
		a, ok := known[v]
		if !ok {
			of.Overrides = nil
			var err error
			if a, err = f.deps.Sessions.Agent(ctx, httpx.Scope(ctx), of); err != nil {
				return agent.Agent{}, err
			}
			known[v] = a
		}
		a.Config = a.Config.With(overrides)
		return a, nil
	}
}

func (f *face) showThread(t session.Thread, agents func(session.Session) (agent.Agent, error)) (threadWire, error) {
	now := f.deps.Clock.Now()
	root := t.Root
	if root.IsZero() {
		root = t.ID
	}
	w := threadWire{
		ID: t.Key().String(), Type: "session_thread", SessionID: root.String(), ParentThreadID: textOrNull(t.ParentThread().String()),
		Status: string(t.Status()), StopReason: showStopReason(t.StopReason),
		CreatedAt: stampOf(t.CreatedAt), UpdatedAt: stampOf(t.UpdatedAt), ArchivedAt: stampPtr(t.ArchivedAt),
	}
	if t.Began() {
		active := seconds(t.ActiveTime(now))
		usage := showSpent(t.Usage, active)
		w.Stats, w.Usage = &threadStatsWire{ActiveSeconds: active, DurationSeconds: seconds(t.Lifetime(now))}, &usage
	}
	if t.Type == session.ThreadAdvisor {
		w.Agent = advisorWire{"advisor", t.Model}
		return w, nil
	}
	a, err := agents(t.Session)
	if err != nil {
		return threadWire{}, err
	}
	w.Agent = showMember(a)
	return w, nil
}

// threadUUIDs are the members of events' bodies that hold ids, and how those are spelled.
var threadUUIDs = map[string]func(string) (string, error){
	"session_thread_id":      spellAs[id.ThreadKind],
	"to_session_thread_id":   spellAs[id.ThreadKind],
	"from_session_thread_id": spellAs[id.ThreadKind],
	"outcome_id":             spellAs[id.OutcomeKind],
}

func spellAs[K id.Kind](uuid string) (string, error) {
	u, err := id.ParseUUID(uuid)
	if err != nil {
		return "", err
	}
	return id.Of[K](u).String(), nil
}

// spelled returns a body with the ids in it as the API spells them.
func spelled(body json.RawMessage) json.RawMessage {
	if !bytes.Contains(body, []byte("session_thread_id")) && !bytes.Contains(body, []byte("outcome_id")) {
		return body
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return body
	}
	for name, spell := range threadUUIDs {
		var text string
		if raw, ok := members[name]; !ok || json.Unmarshal(raw, &text) != nil {
			continue
		}
		if s, err := spell(text); err == nil {
			members[name] = json.RawMessage(`"` + s + `"`)
		}
	}
	var reason session.StopReason
	if raw, ok := members["stop_reason"]; ok && json.Unmarshal(raw, &reason) == nil {
		if b, err := json.Marshal(showStopReason(&reason)); err == nil {
			members["stop_reason"] = b
		}
	}
	if raw, ok := members["stop_details"]; ok {
		var text *string
		if json.Unmarshal(raw, &text) == nil {
			showStopDetails(members, reason.Type, text)
		}
	}
	b, err := json.Marshal(members)
	if err != nil {
		return body
	}
	return b
}

// readThread reads the thread that an event names; nil is none.
func readThread(text *string, path string) (id.Thread, error) {
	if text == nil || *text == "" {
		return id.Thread{}, nil
	}
	t, err := id.Parse[id.ThreadKind](*text)
	if err != nil {
		return id.Thread{}, id.NotFound[id.ThreadKind](*text).WithFields(fault.Field{Path: path, Message: "names no thread of the session"})
	}
	return t, nil
}

// threadPath names a thread in a path.
type threadInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	ThreadID  string `path:"thread_id" doc:"The thread's id."`
}

func (in *threadInput) ids() (id.Session, id.Thread, error) {
	return readThreadPath(in.SessionID, in.ThreadID)
}

func readThreadPath(sessionID, threadID string) (id.Session, id.Thread, error) {
	s, err := id.Parse[id.SessionKind](sessionID)
	if err != nil {
		return id.Session{}, id.Thread{}, err
	}
	t, err := id.Parse[id.ThreadKind](threadID)
	return s, t, err
}

type listThreadsInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	httpx.PageQuery
	Statuses      []string `query:"statuses[],explode" enum:"idle,running,rescheduling,terminated" doc:"Threads in one of these statuses. Archived ones are terminated."`
	PlainStatuses []string `query:"statuses,explode" enum:"idle,running,rescheduling,terminated" doc:"Another name of statuses[]."`
}

type threadEventsInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	ThreadID  string `path:"thread_id" doc:"The thread's id."`
	EventsQuery
}

type streamThreadInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	ThreadID  string `path:"thread_id" doc:"The thread's id."`
	AfterSeq  int64  `query:"after_seq" minimum:"0" doc:"Shows the history after this number first."`
	StreamQuery
}

const threadDoc = "Every delegation of a coordinator makes a thread: a conversation of its own, in which a subagent works. The primary thread is the " +
	"session's own conversation."

func (f *face) registerThreads() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listSessionThreads", Method: http.MethodGet, Path: "/v1/sessions/{session_id}/threads", Tag: "sessions",
		Summary: "List the threads of a session", Permission: account.Chat,
		Description: threadDoc + " It comes first, and the others follow in the order of their creation.",
	}, func(ctx context.Context, in *listThreadsInput) (*output[httpx.List[threadWire]], error) {
		s, err := id.Parse[id.SessionKind](in.SessionID)
		if err != nil {
			return nil, err
		}
		req := session.ThreadRequest{Request: in.Request()}
		for _, v := range slices.Concat(in.Statuses, in.PlainStatuses) {
			req.Statuses = append(req.Statuses, session.Status(v))
		}
		p, err := f.deps.Sessions.Threads(ctx, httpx.Scope(ctx), s, req)
		if err != nil {
			return nil, err
		}
		out := httpx.List[threadWire]{Data: make([]threadWire, len(p.Items)), HasMore: p.Next != ""}
		agents := f.agents(ctx)
		for i, t := range p.Items {
			if out.Data[i], err = f.showThread(t, agents); err != nil {
				return nil, err
			}
		}
		if out.HasMore {
			out.NextPage = &p.Next
		}
		return ok(out), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSessionThread", Method: http.MethodGet, Path: "/v1/sessions/{session_id}/threads/{thread_id}", Tag: "sessions",
		Summary: "Read a thread of a session", Permission: account.Chat, Description: threadDoc,
	}, func(ctx context.Context, in *threadInput) (*output[threadWire], error) {
		s, t, err := in.ids()
		if err != nil {
			return nil, err
		}
		return f.answerThread(ctx)(f.deps.Sessions.Thread(ctx, httpx.Scope(ctx), s, t))
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "archiveSessionThread", Method: http.MethodPost, Path: "/v1/sessions/{session_id}/threads/{thread_id}/archive", Tag: "sessions",
		Summary: "Archive a thread of a session", Permission: account.Chat,
		Description: "What it does is stopped, and it takes no more work; whoever waits for its answer is told so. Its events stay readable. " +
			"Archiving it again changes nothing. The primary thread is archived with its session only.",
	}, func(ctx context.Context, in *threadInput) (*output[threadWire], error) {
		s, t, err := in.ids()
		if err != nil {
			return nil, err
		}
		return f.answerThread(ctx)(f.deps.Sessions.ArchiveThread(ctx, httpx.Scope(ctx), s, t))
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "listThreadEvents", Method: http.MethodGet, Path: "/v1/sessions/{session_id}/threads/{thread_id}/events", Tag: "sessions",
		Summary: "List the events of a thread, or stream them", Permission: account.Chat, Produces: httpx.ContentEvents,
		Alternative: reflect.TypeFor[httpx.List[eventWire]](),
		Description: "Answers with a page of the thread's log as JSON, or, to `Accept: text/event-stream`, with the stream.\n\n" + streamDoc,
	}, f.threadEvents)

	for path, op := range map[string]string{"/events/stream": "streamThreadEvents", "/stream": "streamThread"} {
		httpx.RegisterStream(f.Face, httpx.Op{
			ID: op, Method: http.MethodGet, Path: "/v1/sessions/{session_id}/threads/{thread_id}" + path, Tag: "sessions",
			Summary: "Stream the events of a thread", Description: streamDoc, Permission: account.Chat, Produces: httpx.ContentEvents,
		}, func(ctx context.Context, in *streamThreadInput) (httpx.Stream, error) {
			s, t, err := readThreadPath(in.SessionID, in.ThreadID)
			if err != nil {
				return nil, err
			}
			view, err := in.read(in.AfterSeq)
			if err != nil {
				return nil, err
			}
			return f.openStream(f.threadLogOf(ctx, s, t), view)
		})
	}
}

func (f *face) answerThread(ctx context.Context) func(session.Thread, error) (*output[threadWire], error) {
	return func(t session.Thread, err error) (*output[threadWire], error) {
		if err != nil {
			return nil, err
		}
		w, err := f.showThread(t, f.agents(ctx))
		if err != nil {
			return nil, err
		}
		return ok(w), nil
	}
}

func (f *face) threadEvents(ctx context.Context, in *threadEventsInput) (httpx.Stream, error) {
	s, t, err := readThreadPath(in.SessionID, in.ThreadID)
	if err != nil {
		return nil, err
	}
	return f.answerEvents(&in.EventsQuery, f.threadLogOf(ctx, s, t))
}

func (f *face) threadLogOf(ctx context.Context, s id.Session, t id.Thread) eventLog {
	return eventLog{
		func(q session.EventQuery) ([]session.Event, bool, error) {
			return f.deps.Sessions.ThreadEvents(ctx, httpx.Scope(ctx), s, t, q)
		},
		func(o session.StreamOptions) (*session.Stream, error) {
			return f.deps.Sessions.StreamThread(ctx, httpx.Scope(ctx), s, t, o)
		},
	}
}
