// Package reports reads and writes the events of agents as faces have them: several spell the same fields, and all take them by the
// hundred.
package reports

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

// NewEvent is an event in a body.
type NewEvent struct {
	AgentID       string  `json:"agent_id" doc:"Who reports, in any spelling."`
	EventType     string  `json:"event_type" minLength:"1" maxLength:"200" pattern:"\\S" patternDescription:"more than blanks" doc:"What happened, such as task_completed."`
	Source        *string `json:"source,omitempty" maxLength:"200" doc:"Which part of the agent says so, such as scheduler."`
	Level         *string `json:"level,omitempty" enum:"info,warning,error,critical" doc:"info when it is left out."`
	TraceID       *string `json:"trace_id,omitempty" maxLength:"200" doc:"What belongs together has one."`
	ParentEventID *string `json:"parent_event_id,omitempty" doc:"The event that this one is a part of. It need not be there, or not yet."`
	Payload       Object  `json:"payload,omitempty" doc:"Whatever else there is to say, up to 256 KiB."`
}

// Object is a field that holds a JSON object, kept as it was sent.
type Object json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (o *Object) UnmarshalJSON(b []byte) error {
	*o = append((*o)[:0], b...)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o Object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("null"), nil
	}
	return o, nil
}

// Schema implements huma.SchemaProvider.
func (Object) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Nullable: true, AdditionalProperties: true}
}

// Read returns what the body says, or id.NotFound for an id that none can be.
func (b *NewEvent) Read() (n telemetry.NewEvent, err error) {
	n = telemetry.NewEvent{Type: b.EventType, Source: deref(b.Source), Level: telemetry.Level(deref(b.Level)), TraceID: deref(b.TraceID)}
	if len(b.Payload) > 0 && string(b.Payload) != "null" {
		n.Payload = json.RawMessage(b.Payload)
	}
	if n.Agent, err = id.Parse[id.AgentKind](b.AgentID); err != nil {
		return n, err
	}
	if parent := deref(b.ParentEventID); parent != "" {
		n.Parent, err = id.Parse[id.ReportKind](parent)
	}
	return n, err
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// ReadAll is Read for every one of a batch.
func ReadAll(events []NewEvent) ([]telemetry.NewEvent, error) {
	out := make([]telemetry.NewEvent, len(events))
	for i := range events {
		var err error
		if out[i], err = events[i].Read(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// usualEvent is about how many bytes an event has in a body at least.
const usualEvent = 150

// Batch is the body {"events": [...]}, of which only what is plainly right is returned with true. The events hold on to the body.
func Batch(body []byte) (events []telemetry.NewEvent, ok bool) {
	r := reader{Scan: httpx.NewScan(body)}
	found := false
	ok = r.Object(func(key []byte) bool {
		if string(key) != "events" || found {
			return false
		}
		found = true
		events = make([]telemetry.NewEvent, 0, min(1+len(body)/usualEvent, telemetry.MaxBatch))
		return r.Array(func() bool {
			if len(events) == telemetry.MaxBatch {
				return false
			}
			events = append(events, telemetry.NewEvent{})
			return r.event(&events[len(events)-1])
		})
	})
	return events, ok && r.End() && len(events) > 0
}

// One is the body of one event, which is returned with true if it is plainly right.
func One(body []byte) (n telemetry.NewEvent, ok bool) {
	r := reader{Scan: httpx.NewScan(body)}
	ok = r.event(&n)
	return n, ok && r.End()
}

// reader walks over events. Events next to each other are often one agent's, and of few types from few sources.
type reader struct {
	*httpx.Scan

	spelled []byte
	agent   id.Agent
	names   []string // that came before
}

func (r *reader) event(n *telemetry.NewEvent) bool {
	typed := false
	ok := r.Object(func(key []byte) (ok bool) {
		if r.Null() {
			return string(key) != "agent_id" && string(key) != "event_type" && known(key)
		}
		var s []byte
		switch string(key) {
		case "agent_id":
			if s, ok = r.Text(); ok && (r.spelled == nil || !bytes.Equal(s, r.spelled)) {
				var err error
				if r.agent, err = id.Parse[id.AgentKind](string(s)); err != nil {
					return false
				}
				r.spelled = s
			}
			n.Agent = r.agent
		case "event_type":
			n.Type, ok = r.name(telemetry.MaxType)
			typed = strings.TrimSpace(n.Type) != ""
		case "source":
			n.Source, ok = r.name(telemetry.MaxSource)
		case "level":
			s, ok = r.Text()
			n.Level = levelOf(s)
			return ok && n.Level != ""
		case "trace_id":
			n.TraceID, ok = r.name(telemetry.MaxTrace)
		case "parent_event_id":
			if s, ok = r.Text(); ok {
				var err error
				n.Parent, err = id.Parse[id.ReportKind](string(s))
				ok = err == nil
			}
		case "payload":
			n.Payload, ok = r.RawObject()
			return ok && len(n.Payload) <= telemetry.MaxPayload
		}
		return ok
	})
	return ok && typed && !n.Agent.IsZero()
}

// maxNames is how many names a reader remembers.
const maxNames = 8

// name returns a text of at most so many characters.
func (r *reader) name(most int) (string, bool) {
	s, ok := r.Text()
	if !ok {
		return "", false
	}
	for _, before := range r.names {
		if before == string(s) {
			return before, len(s) <= most || utf8.RuneCountInString(before) <= most
		}
	}
	name := string(s)
	if len(r.names) < maxNames {
		r.names = append(r.names, name)
	}
	return name, len(s) <= most || utf8.RuneCountInString(name) <= most
}

// levelOf returns "" for what is no level.
func levelOf(s []byte) telemetry.Level {
	for _, l := range [...]telemetry.Level{telemetry.LevelInfo, telemetry.LevelWarning, telemetry.LevelError, telemetry.LevelCritical} {
		if string(s) == string(l) {
			return l
		}
	}
	return ""
}

// known reports whether events have a field of that name.
func known(key []byte) bool {
	switch string(key) {
	case "agent_id", "event_type", "source", "level", "trace_id", "parent_event_id", "payload":
		return true
	}
	return false
}

// Spelling is how a face writes events.
type Spelling struct {
	Begin  string // of each object, after its brace: members that are always the same
	Agent  func(id.Agent) string
	Report func(id.Report) string
}

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendAll appends the events as items of a JSON array, without its brackets.
func (sp Spelling) AppendAll(buf []byte, events []telemetry.Event) []byte {
	var last id.Agent
	var agent string
	var at time.Time
	var room [len(timeLayout)]byte
	stamp := room[:0]
	for i := range events {
		if i > 0 {
			buf = append(buf, ',')
		}
		e := &events[i]
		if agent == "" || e.Agent != last {
			last, agent = e.Agent, sp.Agent(e.Agent)
		}
		if i == 0 || !e.At.Equal(at) {
			at, stamp = e.At, e.At.UTC().AppendFormat(stamp[:0], timeLayout)
		}
		buf = sp.appendEvent(buf, e, agent, stamp)
	}
	return buf
}

// Append appends an event.
func (sp Spelling) Append(buf []byte, e *telemetry.Event) []byte {
	return sp.appendEvent(buf, e, sp.Agent(e.Agent), e.At.UTC().AppendFormat(nil, timeLayout))
}

func (sp Spelling) appendEvent(buf []byte, e *telemetry.Event, agent string, at []byte) []byte {
	buf = append(buf, '{')
	buf = append(buf, sp.Begin...)
	buf = append(buf, `"id":"`...)
	buf = append(buf, sp.Report(e.ID)...)
	buf = append(buf, `","agent_id":"`...)
	buf = append(buf, agent...)
	buf = append(buf, `","event_type":`...)
	buf = appendText(buf, e.Type)
	buf = append(buf, `,"source":`...)
	buf = appendOptional(buf, e.Source)
	buf = append(buf, `,"level":"`...)
	buf = append(buf, e.Level...)
	buf = append(buf, `","trace_id":`...)
	buf = appendOptional(buf, e.TraceID)
	buf = append(buf, `,"parent_event_id":`...)
	if e.Parent.IsZero() {
		buf = append(buf, "null"...)
	} else {
		buf = append(buf, '"')
		buf = append(buf, sp.Report(e.Parent)...)
		buf = append(buf, '"')
	}
	buf = append(buf, `,"payload":`...)
	if len(e.Payload) == 0 {
		buf = append(buf, "null"...)
	} else {
		buf = append(buf, e.Payload...)
	}
	buf = append(buf, `,"created_at":"`...)
	buf = append(buf, at...)
	return append(buf, '"', '}')
}

// appendOptional is appendText, and null for "".
func appendOptional(buf []byte, s string) []byte {
	if s == "" {
		return append(buf, "null"...)
	}
	return appendText(buf, s)
}

func appendText(buf []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' {
			return appendEscaped(buf, s)
		}
	}
	buf = append(buf, '"')
	buf = append(buf, s...)
	return append(buf, '"')
}

func appendEscaped(buf []byte, s string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) //nolint:errchkjson // strings always encode
	return append(buf, strings.TrimSuffix(b.String(), "\n")...)
}
