package span

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// event returns what a span becomes, without an agent.
func (s *Span) event(tenant id.Tenant, now time.Time) (telemetry.NewEvent, error) {
	e := telemetry.NewEvent{
		ID: EventOf(tenant, s.TraceID, s.SpanID), Type: s.what(), Source: s.Origin.source(), Level: telemetry.LevelInfo,
		TraceID: s.TraceID, At: clock.Stored(moment(now, s.Start, s.End)),
	}
	if s.ParentID != "" {
		e.Parent = EventOf(tenant, s.TraceID, s.ParentID)
	}
	if s.Status == StatusError {
		e.Level = telemetry.LevelError
	}
	status := map[string]any{"code": string(s.status())}
	if s.StatusMessage != "" {
		status["message"] = s.StatusMessage
	}
	payload := map[string]any{"name": s.Name, "span_id": s.SpanID, "status": status}
	if s.ParentID != "" {
		payload["parent_span_id"] = s.ParentID
	}
	if s.Kind != "" {
		payload["kind"] = s.Kind
	}
	if d, ok := s.took(); ok {
		payload["duration_ms"] = math.Round(d.Seconds()*1e6) / 1e3 // to the microsecond
	}
	if len(s.Moments) > 0 {
		list := make([]any, len(s.Moments))
		for i, m := range s.Moments {
			list[i] = member(map[string]any{"name": m.Name, "time": stamp(m.At)}, "attributes", m.Attributes)
		}
		payload["events"] = list
	}
	if len(s.Links) > 0 {
		list := make([]any, len(s.Links))
		for i, l := range s.Links {
			list[i] = member(map[string]any{"trace_id": l.TraceID, "span_id": l.SpanID}, "attributes", l.Attributes)
		}
		payload["links"] = list
	}
	member(payload, "attributes", s.Attributes)
	s.Origin.describe(payload)
	var err error
	e.Payload, err = encode(payload, telemetry.MaxPayload, "links", "events", "resource", "attributes")
	return e, err
}

// what is the type of the event.
func (s *Span) what() string {
	if op := s.operation(); op != "" {
		return short(op, telemetry.MaxType)
	}
	if strings.TrimSpace(s.Name) == "" {
		return "span"
	}
	return short(s.Name, telemetry.MaxType)
}

func (s *Span) operation() string {
	return strings.TrimSpace(text(s.Attributes, "gen_ai.operation.name"))
}

func (s *Span) status() Status {
	if s.Status == "" {
		return StatusUnset
	}
	return s.Status
}

// took is how long a span lasted, if that is known.
func (s *Span) took() (time.Duration, bool) {
	if s.Start.IsZero() || s.End.Before(s.Start) {
		return 0, false
	}
	return s.End.Sub(s.Start), true
}

// moment returns the first time that was said, but none that has not come yet: clocks of others go wrong.
func moment(now time.Time, said ...time.Time) time.Time {
	for _, t := range said {
		if !t.IsZero() && !t.After(now) {
			return t
		}
	}
	return now
}

// event returns what a log record becomes, without an agent. nth tells equal records of one export apart.
func (r *Record) event(tenant id.Tenant, now time.Time, nth int) (telemetry.NewEvent, error) {
	e := telemetry.NewEvent{Type: "log", Source: r.Origin.source(), Level: r.level(), TraceID: r.TraceID}
	if name := text(Attributes{"name": r.Name}, "name"); name != "" {
		e.Type = short(name, telemetry.MaxType)
	} else if name := text(r.Attributes, "event.name"); name != "" {
		e.Type = short(name, telemetry.MaxType)
	}
	if r.TraceID != "" && r.SpanID != "" {
		e.Parent = EventOf(tenant, r.TraceID, r.SpanID)
	}
	payload := map[string]any{}
	if r.Body != nil {
		payload["body"] = r.Body
	}
	if r.SeverityText != "" || r.Severity != 0 {
		payload["severity"] = map[string]any{"number": int64(r.Severity), "text": r.SeverityText}
	}
	if r.SpanID != "" {
		payload["span_id"] = r.SpanID
	}
	member(payload, "attributes", r.Attributes)
	r.Origin.describe(payload)
	var err error
	if e.Payload, err = encode(payload, telemetry.MaxPayload, "resource", "attributes", "body"); err != nil {
		return e, err
	}
	// Log records have no ids. What is the same to the nanosecond is the same record, sent again; what bears no time can be told apart
	// by nothing, and is new each time.
	if !r.At.IsZero() || !r.Observed.IsZero() {
		e.ID, e.At = r.identity(tenant, nth), clock.Stored(moment(now, r.At, r.Observed))
	}
	return e, nil
}

func (r *Record) identity(tenant id.Tenant, nth int) id.Report {
	t := tenant.UUID()
	whole, err := json.Marshal([]any{
		r.At.UnixNano(), r.Observed.UnixNano(), r.Severity, r.SeverityText, r.Name, r.Body, r.Attributes, r.TraceID, r.SpanID,
		r.Origin.Resource, r.Origin.Scope, nth,
	})
	if err != nil { // values of attributes always marshal
		return id.Report{}
	}
	sum := sha256.Sum256(whole)
	return id.Of[id.ReportKind](derived([]byte("log"), t[:], sum[:]))
}

// severities are the first numbers of OpenTelemetry's ranges (logs data model, severity fields), the worst first.
var severities = []struct {
	from  int
	texts []string
	level telemetry.Level
}{
	{21, []string{"FATAL", "CRITICAL", "EMERGENCY", "ALERT"}, telemetry.LevelCritical},
	{17, []string{"ERROR", "ERR", "SEVERE"}, telemetry.LevelError},
	{13, []string{"WARN", "WARNING"}, telemetry.LevelWarning},
}

func (r *Record) level() telemetry.Level {
	word := strings.ToUpper(strings.TrimRight(strings.TrimSpace(r.SeverityText), "1234"))
	for _, s := range severities {
		if r.Severity >= s.from || r.Severity <= 0 && slices.Contains(s.texts, word) {
			return s.level
		}
	}
	return telemetry.LevelInfo
}

// source names who reports: "checkout/opentelemetry.instrumentation.openai".
func (o *Origin) source() string {
	parts := slices.DeleteFunc([]string{o.service(), strings.TrimSpace(o.Scope)}, func(s string) bool { return s == "" })
	return short(strings.Join(parts, "/"), telemetry.MaxSource)
}

func (o *Origin) service() string { return strings.TrimSpace(text(o.Resource, "service.name")) }

// describe adds the origin to a payload.
func (o *Origin) describe(payload map[string]any) {
	member(payload, "resource", o.Resource)
	if o.Scope != "" {
		scope := map[string]any{"name": o.Scope}
		if o.ScopeVersion != "" {
			scope["version"] = o.ScopeVersion
		}
		payload["scope"] = scope
	}
}

// member adds attributes to an object when there are any, and returns it.
func member(to map[string]any, name string, a Attributes) map[string]any {
	if len(a) > 0 {
		to[name] = a
	}
	return to
}

// stamp writes a time with all the digits that it has.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339Nano)
}
