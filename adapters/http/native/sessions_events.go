package native

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// eventWire is an event of a session, written out. What it has beside the fields that the schema names depends on its type.
type eventWire json.RawMessage

// MarshalJSON implements json.Marshaler.
func (e eventWire) MarshalJSON() ([]byte, error) { return e, nil }

// Schema implements huma.SchemaProvider.
func (eventWire) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true, Required: []string{"id", "type", "processed_at"},
		Description: "An event of a session. What it has beside these fields depends on its type.",
		Properties: map[string]*huma.Schema{
			"id":           {Type: huma.TypeString, Description: "sevt_..."},
			"type":         {Type: huma.TypeString, Description: "Such as user.message, agent.message or session.status_idle."},
			"processed_at": {Type: huma.TypeString, Nullable: true, Description: "When it took its place in the log; null while it is queued."},
			"seq":          {Type: huma.TypeInteger, Description: "Its place in the log, from 1 and without gaps; left out while it is queued."},
		},
	}
	s.PrecomputeMessages()
	return s
}

// showEvent writes an event in the shape of the API: the stored body with id, type, time, number, and the event that it answers.
func showEvent(e session.Event) eventWire {
	body := shownBody(e)
	b := make([]byte, 0, len(body)+192)
	b = append(b, `{"id":"`...)
	b = append(b, e.ID.String()...)
	b = append(b, `","type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","processed_at":`...)
	if e.ProcessedAt.IsZero() {
		b = append(b, "null"...)
	} else {
		b = append(b, '"')
		b = append(b, stampOf(e.ProcessedAt)...)
		b = append(b, '"')
	}
	if e.Seq > 0 {
		b = append(b, `,"seq":`...)
		b = strconv.AppendInt(b, e.Seq, 10)
	}
	if name := e.Type.RefName(); name != "" {
		b = append(b, `,"`...)
		b = append(b, name...)
		b = append(b, `":"`...)
		b = append(b, e.Ref.String()...)
		b = append(b, '"')
	}
	if inner := bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimPrefix(body, []byte("{")), []byte("}"))); len(inner) > 0 {
		b = append(b, ',')
		b = append(b, inner...)
	}
	return append(b, '}')
}

// shownBody is the stored body, but for ids in it, and for what only providers need.
func shownBody(e session.Event) json.RawMessage {
	var shown any
	switch e.Type {
	case session.SessionIdle:
		var body session.IdleBody
		if e.Body(&body) != nil {
			return e.Data
		}
		members := map[string]json.RawMessage{}
		if b, err := json.Marshal(showStopReason(&body.StopReason)); err == nil {
			members["stop_reason"] = b
		}
		showStopDetails(members, body.StopReason.Type, body.StopDetails)
		shown = members
	case session.AgentThinking:
		var body session.ThinkingBody
		if e.Body(&body) != nil {
			return e.Data
		}
		shown = session.ThinkingBody{Text: body.Text}
	case session.SessionUpdated:
		var body session.UpdatedBody
		if e.Body(&body) != nil {
			return e.Data
		}
		if body.Agent != nil {
			body.Agent.ID = respell[id.AgentKind](body.Agent.ID)
			body.Agent.Multiagent = respellMembers(body.Agent.Multiagent)
			if body.Agent.Identity.Type == "" { // in events of before there were any
				body.Agent.Identity.Type = agent.ServiceAccount
			}
		}
		if body.Vaults != nil {
			for i, v := range *body.Vaults {
				(*body.Vaults)[i] = respell[id.VaultKind](v)
			}
		}
		shown = body
	default:
		return spelled(e.Data)
	}
	b, err := json.Marshal(shown)
	if err != nil { // strings always marshal
		return e.Data
	}
	return b
}

// showStopDetails adds what there is to say about a stop. The API knows details of refusals only; what is said of others is a message.
func showStopDetails(members map[string]json.RawMessage, why session.StopType, text *string) {
	members["stop_details"] = json.RawMessage("null")
	if text == nil || *text == "" {
		return
	}
	name, what := "message", any(text)
	if why == session.StopRefusal {
		name, what = "stop_details", refusalWire{Type: string(why), Explanation: text}
	}
	if b, err := json.Marshal(what); err == nil {
		members[name] = b
	}
}

type refusalWire struct {
	Type        string  `json:"type"`
	Category    *string `json:"category"`
	Explanation *string `json:"explanation"`
}

// respellMembers writes the ids of the agents of a coordinator's snapshot as the API spells them.
func respellMembers(multiagent json.RawMessage) json.RawMessage {
	var m struct {
		Type   string                       `json:"type"`
		Agents []map[string]json.RawMessage `json:"agents"`
	}
	if json.Unmarshal(multiagent, &m) != nil || m.Type != agent.Coordinator {
		return multiagent
	}
	for _, a := range m.Agents {
		var stored string
		if json.Unmarshal(a["id"], &stored) == nil {
			a["id"] = json.RawMessage(strconv.Quote(respell[id.AgentKind](stored)))
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return multiagent
	}
	return b
}

// respell writes an id that a body holds as the API spells it.
func respell[K id.Kind](stored string) string {
	v, err := id.Parse[K](stored)
	if err != nil {
		return stored
	}
	return v.String()
}

// contentParam is the content of a message: a text, or blocks.
type contentParam json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (p *contentParam) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (contentParam) Schema(r huma.Registry) *huma.Schema { return contentSchema(r) }

// eventParam is an event that a client sends.
type eventParam struct {
	Type            string        `json:"type"`
	Content         *contentParam `json:"content,omitempty" doc:"Of messages and results."`
	ToolUseID       *string       `json:"tool_use_id,omitempty" doc:"Of user.tool_confirmation and user.tool_result."`
	CustomToolUseID *string       `json:"custom_tool_use_id,omitempty" doc:"Of user.custom_tool_result."`
	Result          *string       `json:"result,omitempty" doc:"Of user.tool_confirmation: allow or deny."`
	DenyMessage     *string       `json:"deny_message,omitempty"`
	IsError         *bool         `json:"is_error,omitempty" doc:"Of results."`
	Description     *string       `json:"description,omitempty" maxLength:"100000" doc:"Of user.define_outcome: what is to be reached."`
	Rubric          *rubricParam  `json:"rubric,omitempty" doc:"Of user.define_outcome: how the work is judged."`
	MaxIterations   *int          `json:"max_iterations,omitempty" nullable:"true" minimum:"1" maximum:"20" doc:"Of user.define_outcome: how often the work is judged at most; 3 when left out."`
	SessionThreadID *string       `json:"session_thread_id,omitempty" doc:"Of user.interrupt: the one thread that is meant. Answers find theirs by the tool use."`
}

// TransformSchema implements huma.SchemaTransformer: it says what each type of event needs.
func (eventParam) TransformSchema(r huma.Registry, s *huma.Schema) *huma.Schema {
	text := given()
	types := make([]any, 0, len(clientEvents))
	for _, t := range clientEvents {
		types = append(types, string(t))
	}
	s.Properties["type"].Extensions = map[string]any{"enum": types}
	needs := eventNeeds
	content := messageSchema(r)
	s.Extensions = map[string]any{"allOf": []any{
		needs(session.UserMessage, map[string]any{"content": content}),
		needs(session.SystemMessage, map[string]any{"content": systemSchema(r)}),
		needs(session.UserToolConfirmation, map[string]any{
			"tool_use_id": text, "result": map[string]any{"enum": []string{session.PermissionAllow, session.PermissionDeny}},
		}),
		needs(session.UserToolResult, map[string]any{"tool_use_id": text}),
		needs(session.UserCustomToolResult, map[string]any{"custom_tool_use_id": text}),
		outcomeNeeds(),
	}}
	return s
}

// clientEvents are the types of events that clients send.
var clientEvents = []session.EventType{
	session.UserMessage, session.UserInterrupt, session.UserToolConfirmation, session.UserCustomToolResult, session.UserToolResult,
	session.UserDefineOutcome, session.SystemMessage,
}

// initialEvent is an event that a session begins with: a user's message, or an outcome.
type initialEvent eventParam

// Schema implements huma.SchemaProvider.
func (initialEvent) Schema(r huma.Registry) *huma.Schema {
	s := told(map[string]any{"required": []string{"type"}, "allOf": []any{
		eventNeeds(session.UserMessage, map[string]any{"content": messageSchema(r)}), outcomeNeeds(),
	}}, "")
	s.Type, s.AdditionalProperties = huma.TypeObject, true
	s.Properties = map[string]*huma.Schema{
		"type": {Type: huma.TypeString, Extensions: map[string]any{"enum": []any{string(session.UserMessage), string(session.UserDefineOutcome)}}},
	}
	return s
}

// read decodes an event; path says where it stands in the body.
func (p *eventParam) read(path string) (session.Input, error) {
	in := session.Input{Type: session.EventType(p.Type)}
	var err error
	switch in.Type {
	case session.UserMessage, session.SystemMessage:
		in.Content, err = p.content(path)
	case session.UserInterrupt:
		in.Thread, err = readThread(p.SessionThreadID, path+".session_thread_id")
	case session.UserToolConfirmation:
		switch {
		case p.Result == nil:
			return in, fault.Invalidf(path+".result", "is required: allow or deny")
		case *p.Result != session.PermissionAllow && *p.Result != session.PermissionDeny:
			return in, fault.Invalidf(path+".result", "must be allow or deny")
		}
		in.Allow = *p.Result == session.PermissionAllow
		if p.DenyMessage != nil && *p.DenyMessage != "" {
			if in.Allow {
				return in, fault.Invalidf(path+".deny_message", "is for result deny only")
			}
			in.DenyMessage = *p.DenyMessage
		}
		in.ToolUse, err = readUse(p.ToolUseID, path+".tool_use_id")
	case session.UserCustomToolResult, session.UserToolResult:
		use, name := p.CustomToolUseID, ".custom_tool_use_id"
		if in.Type == session.UserToolResult {
			use, name = p.ToolUseID, ".tool_use_id"
		}
		in.IsError = p.IsError != nil && *p.IsError
		if in.ToolUse, err = readUse(use, path+name); err == nil && p.Content != nil && !isEmptyContent(*p.Content) {
			in.Content, err = p.content(path)
		}
	case session.UserDefineOutcome:
		in.Outcome, err = p.outcome(path)
	default:
		err = fault.Invalidf(path+".type", "is not an event that clients send")
	}
	return in, err
}

func isEmptyContent(c contentParam) bool { return !isGiven(json.RawMessage(c)) }

func (p *eventParam) content(path string) ([]session.Block, error) {
	if p.Content == nil {
		return nil, fault.Invalidf(path+".content", "is required")
	}
	return session.ParseContent(json.RawMessage(*p.Content), path+".content")
}

func readUse(spelled *string, path string) (id.Event, error) {
	if spelled == nil || *spelled == "" {
		return id.Event{}, fault.Invalidf(path, "is required")
	}
	return id.Parse[id.EventKind](*spelled)
}

func readEvents(params []eventParam, path string) ([]session.Input, error) {
	var out []session.Input
	for i := range params {
		in, err := params[i].read(fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

type sendEventsInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	Body      struct {
		Events []eventParam `json:"events" nullable:"false" minItems:"1" maxItems:"100"`
	}
}

type sentWire struct {
	Data []eventWire `json:"data" nullable:"false" doc:"The events as they were accepted, with their ids."`
}

type messageInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	Body      struct {
		Content messageParam `json:"content"`
	}
}

// messageParam is the content of a user's message.
type messageParam contentParam

// UnmarshalJSON implements json.Unmarshaler.
func (p *messageParam) UnmarshalJSON(b []byte) error { return (*contentParam)(p).UnmarshalJSON(b) }

// Schema implements huma.SchemaProvider.
func (messageParam) Schema(r huma.Registry) *huma.Schema { return messageSchema(r) }

// StreamQuery chooses what a stream of events shows.
type StreamQuery struct {
	Include     []string `query:"include,explode" doc:"chunks adds token chunks and lifecycle events that are not part of the closed union of event types."`
	Deltas      []string `query:"event_deltas[],explode" doc:"agent.message adds event_start and event_delta previews of messages, agent.thinking an event_start when the agent begins to think."`
	PlainDeltas []string `query:"event_deltas,explode" doc:"Another name of event_deltas[]."`
	Replay      string   `query:"replay" enum:"0,1,false,true" doc:"1 shows the whole history first."`
	LastEventID string   `header:"Last-Event-ID" pattern:"^[0-9]{0,18}$" patternDescription:"the number of an event" doc:"Shows the history after this number first."`
}

// streamView is what a StreamQuery asks for.
type streamView struct {
	chunks bool // extensions and their chunks
	deltas bool // the spec's previews of messages
	thinks bool // the spec's previews of thinking
	after  int64
	replay bool
}

func (q *StreamQuery) read(afterSeq int64) (streamView, error) {
	v := streamView{after: afterSeq, replay: afterSeq > 0}
	for _, list := range q.Include {
		for word := range strings.SplitSeq(list, ",") {
			v.chunks = v.chunks || strings.TrimSpace(word) == "chunks"
		}
	}
	for _, list := range slices.Concat(q.Deltas, q.PlainDeltas) {
		for word := range strings.SplitSeq(list, ",") {
			v.deltas = v.deltas || strings.TrimSpace(word) == string(session.AgentMessage)
			v.thinks = v.thinks || strings.TrimSpace(word) == string(session.AgentThinking)
		}
	}
	v.replay = v.replay || q.Replay == "1" || q.Replay == "true"
	if q.LastEventID != "" {
		n, err := strconv.ParseInt(q.LastEventID, 10, 64)
		if err != nil {
			return streamView{}, fault.Invalidf("header.last-event-id", "must be the number of an event")
		}
		v.replay, v.after = true, n
	}
	return v, nil
}

type streamEventsInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	AfterSeq  int64  `query:"after_seq" minimum:"0" doc:"Shows the history after this number first."`
	StreamQuery
}

type listEventsInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	EventsQuery
}

// EventsQuery chooses events of a log.
type EventsQuery struct {
	Accept     string    `header:"Accept" doc:"text/event-stream answers with the stream."`
	Limit      int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"Events on a page."`
	Cursor     string    `query:"cursor" doc:"next_page of the page before."`
	Page       string    `query:"page" doc:"Another name of cursor."`
	Order      string    `query:"order" enum:"asc,desc" default:"asc" doc:"asc is the order of the log."`
	AfterSeq   int64     `query:"after_seq" minimum:"0" doc:"Only events after this number."`
	Types      []string  `query:"types[],explode" doc:"Only events of these types."`
	PlainTypes []string  `query:"types,explode" doc:"Another name of types[]."`
	GTE        time.Time `query:"created_at[gte]" doc:"Processed at or after. Times are compared by the millisecond, as they are shown."`
	GT         time.Time `query:"created_at[gt]" doc:"Processed after."`
	LTE        time.Time `query:"created_at[lte]" doc:"Processed at or before."`
	LT         time.Time `query:"created_at[lt]" doc:"Processed before."`
	StreamQuery
}

func (in *EventsQuery) query() (session.EventQuery, error) {
	q := session.EventQuery{AfterSeq: in.AfterSeq, Desc: in.Order == "desc", Limit: in.Limit}
	cursor := in.Cursor
	if cursor == "" {
		cursor = in.Page
	}
	if cursor != "" {
		// A page ends at an event, so the cursor is that event's number: the same coordinate as after_seq and Last-Event-ID.
		n, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || n < 1 {
			return session.EventQuery{}, fault.Invalidf("query.cursor", "is not a cursor of this list")
		}
		if q.Desc {
			q.BeforeSeq = n
		} else {
			q.AfterSeq = max(q.AfterSeq, n)
		}
	}
	for _, list := range slices.Concat(in.Types, in.PlainTypes) {
		for t := range strings.SplitSeq(list, ",") {
			q.Types = append(q.Types, session.EventType(t))
		}
	}
	q.Processed.From, q.Processed.To = timeRange(in.GTE, in.GT, in.LTE, in.LT)
	q.Processed.ExcludeTo = true
	return q, nil
}

type logInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
}

const streamDoc = "The stream shows events as they are appended, each with its number as `id`. By default it has no history and only the " +
	"closed union of event types; `include=chunks` adds token chunks, which have no `id`, and lifecycle events; `replay=1` or " +
	"`Last-Event-ID` shows the history first. Nothing is lost or doubled between history and tail."

func (f *face) registerSessionEvents() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "listSessionEvents", Method: http.MethodGet, Path: "/v1/sessions/{session_id}/events", Tag: "sessions",
		Summary: "List the events of a session, or stream them", Permission: account.Chat, Produces: httpx.ContentEvents,
		Alternative: reflect.TypeFor[httpx.List[eventWire]](),
		Description: "Answers with a page of the log as JSON, or, to `Accept: text/event-stream`, with the stream.\n\n" + streamDoc,
	}, f.sessionEvents)

	for path, op := range map[string]string{"/events/stream": "streamSessionEvents", "/stream": "streamSession"} {
		httpx.RegisterStream(f.Face, httpx.Op{
			ID: op, Method: http.MethodGet, Path: "/v1/sessions/{session_id}" + path, Tag: "sessions",
			Summary: "Stream the events of a session", Description: streamDoc, Permission: account.Chat, Produces: httpx.ContentEvents,
		}, func(ctx context.Context, in *streamEventsInput) (httpx.Stream, error) {
			s, err := id.Parse[id.SessionKind](in.SessionID)
			if err != nil {
				return nil, err
			}
			view, err := in.read(in.AfterSeq)
			if err != nil {
				return nil, err
			}
			return f.openStream(f.logOf(ctx, s), view)
		})
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "sendSessionEvents", Method: http.MethodPost, Path: "/v1/sessions/{session_id}/events", Tag: "sessions", Status: http.StatusAccepted,
		Example: `{"events":[{"type":"user.message","content":[{"type":"text","text":"What is 17 * 23?"}]}]}`,
		Summary: "Send events to a session", Permission: account.Chat,
		Description: "Every `user.message` is queued for a turn of its own and has no `processed_at` until that turn begins. The other types take " +
			"effect at once. A `user.tool_confirmation` of an act that a policy parked needs the scope `approvals`.",
	}, func(ctx context.Context, in *sendEventsInput) (*output[sentWire], error) {
		s, err := id.Parse[id.SessionKind](in.SessionID)
		if err != nil {
			return nil, err
		}
		inputs, err := readEvents(in.Body.Events, "events")
		if err != nil {
			return nil, err
		}
		events, err := f.deps.Sessions.Send(ctx, httpx.Scope(ctx), s, inputs)
		if err != nil {
			return nil, err
		}
		out := sentWire{Data: make([]eventWire, len(events))}
		for i, e := range events {
			out.Data[i] = showEvent(e)
		}
		return ok(out), nil
	})

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "sendSessionMessage", Method: http.MethodPost, Path: "/v1/sessions/{session_id}/messages", Tag: "sessions",
		Example: `{"content":"Pay 20 USDC to vendor.example for the SendGrid renewal"}`,
		Summary: "Send a message and stream the answer", Permission: account.Chat, Produces: httpx.ContentEvents,
		Description: "The stream begins with the message, has token chunks, and ends with the turn's `session.status_idle`. A caller who leaves " +
			"does not end the turn.",
	}, f.sendMessage)

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getSessionLog", Method: http.MethodGet, Path: "/v1/sessions/{session_id}/log", Tag: "sessions",
		Summary: "Read the whole log of a session", Permission: account.Chat, Produces: "application/json",
		Alternative: reflect.TypeFor[[]eventWire](), Description: "Answers with an array of all events, in order.",
	}, f.sessionLog)
}

func (f *face) sessionEvents(ctx context.Context, in *listEventsInput) (httpx.Stream, error) {
	s, err := id.Parse[id.SessionKind](in.SessionID)
	if err != nil {
		return nil, err
	}
	return f.answerEvents(&in.EventsQuery, f.logOf(ctx, s))
}

// eventLog is the log of a session or of one of its threads.
type eventLog struct {
	page   func(session.EventQuery) (events []session.Event, more bool, err error)
	stream func(session.StreamOptions) (*session.Stream, error)
}

func (f *face) logOf(ctx context.Context, s id.Session) eventLog {
	return eventLog{
		func(q session.EventQuery) ([]session.Event, bool, error) {
			return f.deps.Sessions.Events(ctx, httpx.Scope(ctx), s, q)
		},
		func(o session.StreamOptions) (*session.Stream, error) {
			return f.deps.Sessions.Stream(ctx, httpx.Scope(ctx), s, o)
		},
	}
}

// answerEvents answers with a page of a log, or with its stream where that is accepted.
func (f *face) answerEvents(in *EventsQuery, log eventLog) (httpx.Stream, error) {
	if strings.Contains(in.Accept, httpx.ContentEvents) {
		view, err := in.StreamQuery.read(in.AfterSeq)
		if err != nil {
			return nil, err
		}
		return f.openStream(log, view)
	}
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	events, more, err := log.page(q)
	if err != nil {
		return nil, err
	}
	list := httpx.List[eventWire]{Data: make([]eventWire, len(events)), HasMore: more}
	for i, e := range events {
		list.Data[i] = showEvent(e)
	}
	if more {
		next := strconv.FormatInt(events[len(events)-1].Seq, 10)
		list.NextPage = &next
	}
	body, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body) // the caller went away; there is nobody to tell
	}, nil
}

// logBatch is how many events of a log are read at once.
const logBatch = 1000

func (f *face) sessionLog(ctx context.Context, in *logInput) (httpx.Stream, error) {
	s, err := id.Parse[id.SessionKind](in.SessionID)
	if err != nil {
		return nil, err
	}
	q := session.EventQuery{Limit: logBatch}
	events, more, err := f.deps.Sessions.Events(ctx, httpx.Scope(ctx), s, q)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		buf := []byte{'['}
		for first := true; ; first = false {
			for i, e := range events {
				if !first || i > 0 {
					buf = append(buf, ',')
				}
				buf = append(buf, showEvent(e)...)
			}
			if !more {
				break
			}
			if _, err := w.Write(buf); err != nil {
				return
			}
			buf = buf[:0]
			q.AfterSeq = events[len(events)-1].Seq
			var err error
			if events, more, err = f.deps.Sessions.Events(r.Context(), httpx.Scope(r.Context()), s, q); err != nil {
				// The answer has begun: cutting it off is the only way left to say that it is not whole.
				panic(http.ErrAbortHandler)
			}
		}
		_, _ = w.Write(append(buf, ']')) // as above
	}, nil
}

// openStream subscribes before it answers, so that what comes right after the answer's head is not missed.
func (f *face) openStream(log eventLog, view streamView) (httpx.Stream, error) {
	st, err := log.stream(session.StreamOptions{
		Replay: view.replay, AfterSeq: view.after, Chunks: view.chunks || view.deltas || view.thinks,
	})
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		f.serveStream(w, r, st, func(fr session.Frame) ([]httpx.Event, bool) { return view.show(fr, true), true })
	}, nil
}

// serveStream writes what show makes of a stream's frames until show says that it is over.
func (f *face) serveStream(w http.ResponseWriter, r *http.Request, st *session.Stream, show func(session.Frame) ([]httpx.Event, bool)) {
	closing := make(chan struct{})
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(r.Context())
	defer func() {
		cancel()
		<-done
		st.Close()
	}()
	out := make(chan httpx.Event, 64)
	go func() {
		defer close(done)
		for fr, err := range st.Frames(ctx) {
			if err != nil {
				if !errors.Is(err, session.ErrStopping) {
					f.deps.Logger.WarnContext(ctx, "stream of a session broke off", "error", err)
				}
				// The reader is told to come back; what it has not got by then it finds in the log.
				close(closing)
				<-ctx.Done()
				return
			}
			events, more := show(fr)
			for _, e := range events {
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
			if !more {
				break
			}
		}
		close(out)
	}()
	httpx.ServeEvents(w, r, closing, func(context.Context) <-chan httpx.Event { return out })
}

// sendMessage subscribes, sends, and shows what follows from the message.
func (f *face) sendMessage(ctx context.Context, in *messageInput) (httpx.Stream, error) {
	s, err := id.Parse[id.SessionKind](in.SessionID)
	if err != nil {
		return nil, err
	}
	content, err := session.ParseContent(json.RawMessage(in.Body.Content), "content")
	if err != nil {
		return nil, err
	}
	st, err := f.deps.Sessions.Stream(ctx, httpx.Scope(ctx), s, session.StreamOptions{Chunks: true})
	if err != nil {
		return nil, err
	}
	sent, err := f.deps.Sessions.Send(ctx, httpx.Scope(ctx), s, []session.Input{{Type: session.UserMessage, Content: content}})
	if err != nil {
		st.Close()
		return nil, err
	}
	return func(w http.ResponseWriter, r *http.Request) {
		begun := false
		view := streamView{chunks: true}
		f.serveStream(w, r, st, func(fr session.Frame) ([]httpx.Event, bool) {
			if e := fr.Event; e != nil {
				begun = begun || e.ID == sent[0].ID
				if begun {
					return view.show(fr, false), e.Type != session.SessionIdle
				}
				return nil, true
			}
			if !begun {
				return nil, true
			}
			return view.show(fr, false), true
		})
	}, nil
}

// show writes a frame as the view wants it; ids says whether events carry their number.
func (v streamView) show(fr session.Frame, ids bool) []httpx.Event {
	switch {
	case fr.Event != nil:
		if !v.chunks && !fr.Event.Type.InSpec() {
			return nil
		}
		e := httpx.Event{Name: string(fr.Event.Type), Data: showEvent(*fr.Event)}
		if ids {
			e.ID = strconv.FormatInt(fr.Event.Seq, 10)
		}
		return []httpx.Event{e}
	case fr.Chunk != nil:
		var out []httpx.Event
		if v.chunks {
			out = append(out, showChunk(*fr.Chunk)...)
		}
		if k := fr.Chunk.Kind; v.deltas && k == session.ChunkMessage || v.thinks && k == session.ChunkThinking {
			out = append(out, showDelta(*fr.Chunk)...)
		}
		return out
	}
	return nil
}

// chunkWire is what a chunk is written from; its fields are those of all kinds.
type chunkWire struct {
	Type        string     `json:"type"`
	MessageID   string     `json:"message_id,omitempty"`
	ThinkingID  string     `json:"thinking_id,omitempty"`
	ToolUseID   string     `json:"tool_use_id,omitempty"`
	ToolName    string     `json:"tool_name,omitempty"`
	Delta       *string    `json:"delta,omitempty"`
	Status      string     `json:"status,omitempty"`
	ErrorText   string     `json:"error_text,omitempty"`
	EventID     string     `json:"event_id,omitempty"`
	PendingSeq  int64      `json:"pending_seq,omitempty"`
	EnqueuedAt  int64      `json:"enqueued_at,omitempty"`  // Unix milliseconds
	CancelledAt int64      `json:"cancelled_at,omitempty"` // Unix milliseconds
	Seq         int64      `json:"seq,omitempty"`
	ProcessedAt *stamp     `json:"processed_at,omitempty"`
	Event       *eventWire `json:"event,omitempty"`
}

// showChunk writes a chunk as an extension event.
func showChunk(c session.Chunk) []httpx.Event {
	var w chunkWire
	switch c.Kind {
	case session.ChunkPending:
		w = chunkWire{Type: "system.user_message_pending", EventID: c.ID.String(), PendingSeq: c.Number, EnqueuedAt: c.At.UnixMilli()}
		if c.Event != nil {
			e := showEvent(*c.Event)
			w.Event = &e
		}
	case session.ChunkPromoted:
		w = chunkWire{Type: "system.user_message_promoted", EventID: c.ID.String(), PendingSeq: c.Number, Seq: c.Seq, ProcessedAt: stampPtr(&c.At)}
	case session.ChunkCancelled:
		w = chunkWire{Type: "system.user_message_cancelled", EventID: c.ID.String(), PendingSeq: c.Number, CancelledAt: c.At.UnixMilli()}
	default:
		what := map[session.ChunkKind]string{
			session.ChunkMessage: "agent.message", session.ChunkThinking: "agent.thinking", session.ChunkToolInput: "agent.tool_use_input",
		}[c.Kind]
		switch c.Kind {
		case session.ChunkMessage:
			w.MessageID = c.ID.String()
		case session.ChunkThinking:
			w.ThinkingID = c.ID.String()
		default:
			w.ToolUseID, w.ToolName = c.ID.String(), c.Tool
		}
		switch c.Phase {
		case session.PhaseStart:
			w.Type = what + "_stream_start"
		case session.PhaseEnd:
			w.Type, w.Status, w.ErrorText = what+"_stream_end", c.Status, c.Error
		default:
			w.Type, w.Delta = what+"_chunk", &c.Delta
		}
	}
	return frameOf(w.Type, w)
}

// showDelta writes the chunk of a message, or of thinking, as the spec's preview. Thoughts have a beginning only.
func showDelta(c session.Chunk) []httpx.Event {
	of := session.AgentMessage
	if c.Kind == session.ChunkThinking {
		of = session.AgentThinking
	}
	switch {
	case c.Phase == session.PhaseStart:
		return frameOf("event_start", map[string]any{
			"type": "event_start", "event": map[string]string{"id": c.ID.String(), "type": string(of)},
		})
	case c.Phase == session.PhaseDelta && of == session.AgentMessage:
		return frameOf("event_delta", map[string]any{
			"type": "event_delta", "event_id": c.ID.String(),
			"delta": map[string]any{"type": "content_delta", "index": 0, "content": map[string]string{"type": "text", "text": c.Delta}},
		})
	}
	return nil
}

func frameOf(name string, body any) []httpx.Event {
	b, err := json.Marshal(body)
	if err != nil { // strings and numbers always marshal
		return nil
	}
	return []httpx.Event{{Name: name, Data: b}}
}
