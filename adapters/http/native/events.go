package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/reports"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

type eventReportWire struct {
	Type          string         `json:"type" enum:"event"`
	ID            string         `json:"id" doc:"rep_..."`
	AgentID       string         `json:"agent_id"`
	EventType     string         `json:"event_type"`
	Source        *string        `json:"source"`
	Level         string         `json:"level" enum:"info,warning,error,critical"`
	TraceID       *string        `json:"trace_id"`
	ParentEventID *string        `json:"parent_event_id"`
	Payload       reports.Object `json:"payload"`
	CreatedAt     stamp          `json:"created_at" doc:"When it happened: when the server took it, unless it came by OTLP, which says so itself."`
}

func showEventReport(e telemetry.Event) eventReportWire {
	return eventReportWire{
		Type: "event", ID: e.ID.String(), AgentID: e.Agent.String(), EventType: e.Type, Source: textPtr(e.Source), Level: string(e.Level),
		TraceID: textPtr(e.TraceID), ParentEventID: textPtr(e.Parent.String()), Payload: reports.Object(e.Payload), CreatedAt: stampOf(e.At),
	}
}

// eventSpelling writes what showEventReport does.
var eventSpelling = reports.Spelling{Begin: `"type":"event",`, Agent: id.Agent.String, Report: id.Report.String}

type reportEventInput struct{ Body reports.NewEvent }

type reportEventsInput struct {
	Body struct {
		Events []reports.NewEvent `json:"events" minItems:"1" maxItems:"500" nullable:"false" doc:"All of them are stored, or none."`
	}
}

type reportedEventsWire struct {
	Created int               `json:"created" doc:"How many there are."`
	Data    []eventReportWire `json:"data" nullable:"false" doc:"In the order in which they were sent."`
}

// EventQuery is what chooses events.
type EventQuery struct {
	AgentQuery
	EventType     string `query:"event_type" maxLength:"200" doc:"Only this type."`
	Source        string `query:"source" maxLength:"200" doc:"Only from this source."`
	Level         string `query:"level" enum:"info,warning,error,critical" doc:"Only this level."`
	MinLevel      string `query:"min_level" enum:"info,warning,error,critical" doc:"Only this level and the worse ones."`
	TraceID       string `query:"trace_id" maxLength:"200" doc:"Only what belongs to this trace."`
	ParentEventID string `query:"parent_event_id" doc:"Only what is a part of this event."`
	PeriodQuery
}

func (q *EventQuery) filter() (f telemetry.Filter, err error) {
	f = telemetry.Filter{
		Type: q.EventType, Source: q.Source, Level: telemetry.Level(q.Level), MinLevel: telemetry.Level(q.MinLevel), TraceID: q.TraceID,
		Since: q.Since, Until: q.Until,
	}
	if f.Agent, err = q.read(); err != nil {
		return f, err
	}
	if q.ParentEventID != "" {
		f.Parent, err = id.Parse[id.ReportKind](q.ParentEventID)
	}
	return f, err
}

type listEventReportsInput struct {
	EventQuery
	SearchQuery
	httpx.PageQuery
}

type eventReportInput struct {
	EventID string `path:"event_id" doc:"The event's id."`
}

type cleanupEventsInput struct {
	OlderThanDays int    `query:"older_than_days" required:"true" minimum:"0" maximum:"36500" doc:"0 is all that there are."`
	AgentName     string `query:"agent_name" minLength:"1" maxLength:"256" doc:"Only those of agents that are called exactly so, whatever the case."`
	AgentID       string `query:"agent_id" minLength:"1" doc:"Only this agent's. Empty is refused, because leaving it out means all."`
}

type cleanedEventsWire struct {
	Deleted int `json:"deleted" doc:"How many events there were."`
}

func (f *face) registerEvents() {
	httpx.RegisterFast(f.Face, httpx.Op{
		ID: "reportEvent", Method: http.MethodPost, Path: "/v1/events", Tag: "telemetry", Status: http.StatusCreated,
		Example: `{"agent_id":"agent_01h...","event_type":"task_completed","source":"scheduler","level":"info","payload":{"task":"summarize_meeting"}}`,
		Summary: "Report what an agent did or met", Permission: account.TelemetryWrite,
		Description: "Once it is answered, the event is stored for good.",
	}, func(ctx context.Context, in *reportEventInput) (*output[eventReportWire], error) {
		n, err := in.Body.Read()
		if err != nil {
			return nil, err
		}
		e, err := f.deps.Events.ReportOne(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(showEventReport(e)), nil
	}, eventSpelling.TakeOne(f.deps.Events))

	httpx.RegisterFast(f.Face, httpx.Op{
		ID: "reportEvents", Method: http.MethodPost, Path: "/v1/events/batch", Tag: "telemetry", Status: http.StatusCreated,
		Example: `{"events":[{"agent_id":"agent_01h...","event_type":"step_1"},{"agent_id":"agent_01h...","event_type":"step_2","level":"warning"}]}`,
		Summary: "Report up to 500 events, all or none", Permission: account.TelemetryWrite,
		Description: "Once it is answered, the events are stored for good.",
	}, func(ctx context.Context, in *reportEventsInput) (*output[reportedEventsWire], error) {
		news, err := reports.ReadAll(in.Body.Events)
		if err != nil {
			return nil, err
		}
		events, err := f.deps.Events.Report(ctx, httpx.Scope(ctx), news)
		if err != nil {
			return nil, err
		}
		out := reportedEventsWire{Created: len(events), Data: make([]eventReportWire, len(events))}
		for i, e := range events {
			out.Data[i] = showEventReport(e)
		}
		return ok(out), nil
	}, eventSpelling.TakeBatch(f.deps.Events, "data"))

	httpx.Register(f.Face, httpx.Op{
		ID: "listEventReports", Method: http.MethodGet, Path: "/v1/events", Tag: "telemetry",
		Summary: "List what agents reported, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listEventReportsInput) (*output[httpx.List[eventReportWire]], error) {
		filter, err := in.filter()
		if err == nil {
			err = in.search(&filter)
		}
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Events.List(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showEventReport)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getEventReport", Method: http.MethodGet, Path: "/v1/events/{event_id}", Tag: "telemetry",
		Summary: "Read what an agent reported", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *eventReportInput) (*output[eventReportWire], error) {
		event, err := id.Parse[id.ReportKind](in.EventID)
		if err != nil {
			return nil, err
		}
		e, err := f.deps.Events.Get(ctx, httpx.Scope(ctx), event)
		if err != nil {
			return nil, err
		}
		return ok(showEventReport(e)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "cleanupEvents", Method: http.MethodDelete, Path: "/v1/events", Tag: "telemetry",
		Summary: "Delete old events", Permission: account.TelemetryWrite,
		Description: "Answers when all of them are gone; events can be reported meanwhile. The audit trail says who deleted how many.",
	}, func(ctx context.Context, in *cleanupEventsInput) (*output[cleanedEventsWire], error) {
		agent, err := AgentQuery{AgentID: in.AgentID}.read()
		if err != nil {
			return nil, err
		}
		n, err := f.deps.Events.Cleanup(ctx, httpx.Scope(ctx), telemetry.CleanupRequest{
			OlderThan: time.Duration(in.OlderThanDays) * 24 * time.Hour, AgentName: in.AgentName, Agent: agent,
		})
		if err != nil {
			return nil, err
		}
		return ok(cleanedEventsWire{n}), nil
	})
}
