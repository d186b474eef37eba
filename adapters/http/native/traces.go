package native

import (
	"context"
	"net/http"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/reports"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/fault"
)

// SearchQuery is what chooses events by what they say.
type SearchQuery struct {
	Search string   `query:"search" maxLength:"500" doc:"Only events in which every one of these words occurs, in any case: in the type, the source, the trace id, or in what stands in the payload. A page of a search may be short, even empty, and have a next one."`
	Field  []string `query:"field,explode" doc:"Only events whose payload has this value there, as path:value, such as user.id:42. Several may be given."`
}

// search completes a filter.
func (q *SearchQuery) search(f *telemetry.Filter) error {
	f.Search = q.Search
	for _, field := range q.Field {
		path, value, ok := strings.Cut(field, ":")
		if !ok {
			return fault.Invalidf("query.field", "must be path:value")
		}
		if other, twice := f.Fields[path]; twice && other != value {
			return fault.Invalidf("query.field", "names %s twice, with two values", path)
		}
		if f.Fields == nil {
			f.Fields = map[string]string{}
		}
		f.Fields[path] = value
	}
	return f.CheckSearch()
}

// TraceSumsWire is what the events of a trace add up to. Its type is exported because others embed it.
type TraceSumsWire struct {
	StartedAt *stamp   `json:"started_at" doc:"Of the earliest event; null without events."`
	EndedAt   *stamp   `json:"ended_at" doc:"Of the latest event."`
	Events    int64    `json:"events" doc:"How many there are."`
	Errors    int64    `json:"errors" doc:"How many of them have the level error or critical."`
	AgentIDs  []string `json:"agent_ids" nullable:"false" doc:"Whose events they are."`
}

func showTraceSums(t telemetry.TraceSums) TraceSumsWire {
	out := TraceSumsWire{Events: t.Events, Errors: t.Errors, AgentIDs: make([]string, len(t.Agents))}
	if t.Events > 0 {
		out.StartedAt, out.EndedAt = stampPtr(&t.Start), stampPtr(&t.End)
	}
	for i, a := range t.Agents {
		out.AgentIDs[i] = a.String()
	}
	return out
}

type traceWire struct {
	Type    string        `json:"type" enum:"trace"`
	TraceID string        `json:"trace_id"`
	Root    traceRootWire `json:"root" doc:"The newest event of the trace that is a part of no other."`
	TraceSumsWire
}

type traceRootWire struct {
	ID        string  `json:"id" doc:"rep_..."`
	AgentID   string  `json:"agent_id"`
	EventType string  `json:"event_type"`
	Source    *string `json:"source"`
	Level     string  `json:"level" enum:"info,warning,error,critical"`
	CreatedAt stamp   `json:"created_at"`
}

func showTrace(t telemetry.Trace) traceWire {
	return traceWire{
		Type: "trace", TraceID: t.TraceID, TraceSumsWire: showTraceSums(t.TraceSums),
		Root: traceRootWire{
			ID: t.Root.ID.String(), AgentID: t.Root.Agent.String(), EventType: t.Root.Type, Source: textPtr(t.Root.Source), Level: string(t.Root.Level),
			CreatedAt: stampOf(t.Root.At),
		},
	}
}

type traceNodeWire struct {
	Type          string          `json:"type" enum:"event"`
	ID            string          `json:"id" doc:"rep_..."`
	AgentID       string          `json:"agent_id"`
	EventType     string          `json:"event_type"`
	Source        *string         `json:"source"`
	Level         string          `json:"level" enum:"info,warning,error,critical"`
	ParentEventID *string         `json:"parent_event_id" doc:"Not in the trace when the event stands at the top."`
	Payload       reports.Object  `json:"payload"`
	CreatedAt     stamp           `json:"created_at"`
	Children      []traceNodeWire `json:"children" nullable:"false" doc:"Its parts, in the order of time."`
}

func showTraceNodes(nodes []*telemetry.Node) []traceNodeWire {
	out := make([]traceNodeWire, len(nodes))
	for i, n := range nodes {
		e := showEventReport(n.Event)
		out[i] = traceNodeWire{
			Type: e.Type, ID: e.ID, AgentID: e.AgentID, EventType: e.EventType, Source: e.Source, Level: e.Level, ParentEventID: e.ParentEventID,
			Payload: e.Payload, CreatedAt: e.CreatedAt, Children: showTraceNodes(n.Children),
		}
	}
	return out
}

type traceTreeWire struct {
	Type    string `json:"type" enum:"trace"`
	TraceID string `json:"trace_id"`
	TraceSumsWire
	Roots     []traceNodeWire    `json:"roots" nullable:"false" doc:"The events that are a part of no other in the trace, with their parts as children."`
	Messages  []agentMessageWire `json:"messages" nullable:"false" doc:"What agents told each other in the trace."`
	Feedback  []feedbackWire     `json:"feedback" nullable:"false" doc:"What users thought of its events and messages."`
	Truncated bool               `json:"truncated" doc:"Whether there is more than is shown: later events, earlier messages or feedback."`
}

type listTracesInput struct {
	AgentQuery
	PeriodQuery
	httpx.PageQuery
}

type traceInput struct {
	TraceID string `path:"trace_id" doc:"The trace id that its events have."`
}

type histogramInput struct {
	Interval string `query:"interval" enum:"minute,hour,day" default:"hour" doc:"How long each part of the time is."`
	EventQuery
}

type histogramWire struct {
	Interval string       `json:"interval" enum:"minute,hour,day"`
	Buckets  []bucketWire `json:"buckets" nullable:"false" doc:"The earliest first; empty ones too."`
}

type bucketWire struct {
	Start    stamp `json:"start" doc:"Buckets begin at whole minutes, hours and days in UTC."`
	Info     int64 `json:"info"`
	Warning  int64 `json:"warning"`
	Error    int64 `json:"error"`
	Critical int64 `json:"critical"`
	Total    int64 `json:"total"`
}

func (f *face) registerTraces() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listTraces", Method: http.MethodGet, Path: "/v1/traces", Tag: "telemetry",
		Summary: "List what events belong together, newest first", Permission: account.TelemetryRead,
		Description: "Each trace stands where its newest event stands that is a part of no other; filters concern that event. A page may be short, even " +
			"empty, and have a next one.",
	}, func(ctx context.Context, in *listTracesInput) (*output[httpx.List[traceWire]], error) {
		agent, err := in.read()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Traces.List(ctx, httpx.Scope(ctx), telemetry.TraceFilter{Agent: agent, Since: in.Since, Until: in.Until}, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showTrace)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getTrace", Method: http.MethodGet, Path: "/v1/traces/{trace_id}", Tag: "telemetry",
		Summary: "Read a trace as a tree", Permission: account.TelemetryRead,
		Description: "With at most 10,000 events, and 1,000 messages and as much feedback. What is nested deeper than 200 events stands beside the last level.",
	}, func(ctx context.Context, in *traceInput) (*output[traceTreeWire], error) {
		t, err := f.deps.Traces.Get(ctx, httpx.Scope(ctx), in.TraceID)
		if err != nil {
			return nil, err
		}
		out := traceTreeWire{
			Type: "trace", TraceID: t.TraceID, TraceSumsWire: showTraceSums(t.TraceSums), Roots: showTraceNodes(t.Roots), Truncated: t.Truncated,
			Messages: make([]agentMessageWire, len(t.Messages)), Feedback: make([]feedbackWire, len(t.Feedback)),
		}
		for i, m := range t.Messages {
			out.Messages[i] = showAgentMessage(m)
		}
		for i, o := range t.Feedback {
			out.Feedback[i] = showFeedback(o)
		}
		return ok(out), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "countEventReports", Method: http.MethodGet, Path: "/v1/events/histogram", Tag: "telemetry",
		Summary: "Count events by level over time", Permission: account.TelemetryRead,
		Description: "Without `until` it ends now; without `since` it begins an hour, a day or 30 days before, by the interval. There are at most 1,000 buckets.",
	}, func(ctx context.Context, in *histogramInput) (*output[histogramWire], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		buckets, err := f.deps.Traces.Histogram(ctx, httpx.Scope(ctx), filter, telemetry.Interval(in.Interval))
		if err != nil {
			return nil, err
		}
		out := histogramWire{Interval: in.Interval, Buckets: make([]bucketWire, len(buckets))}
		for i, b := range buckets {
			out.Buckets[i] = bucketWire{stampOf(b.Start), b.Counts[0], b.Counts[1], b.Counts[2], b.Counts[3], b.Counts.Total()}
		}
		return ok(out), nil
	})
}
