package valar

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

type eventWire struct {
	ID            string         `json:"id" doc:"A UUID."`
	AgentID       string         `json:"agent_id"`
	EventType     string         `json:"event_type"`
	Source        *string        `json:"source"`
	Level         string         `json:"level" enum:"info,warning,error,critical"`
	TraceID       *string        `json:"trace_id"`
	ParentEventID *string        `json:"parent_event_id"`
	Payload       reports.Object `json:"payload"`
	CreatedAt     stamp          `json:"created_at"`
}

func showEvent(e telemetry.Event) eventWire {
	out := eventWire{
		ID: e.ID.UUID().String(), AgentID: e.Agent.UUID().String(), EventType: e.Type, Source: textPtr(e.Source), Level: string(e.Level),
		TraceID: textPtr(e.TraceID), Payload: reports.Object(e.Payload), CreatedAt: stampOf(e.At),
	}
	if !e.Parent.IsZero() {
		out.ParentEventID = textPtr(e.Parent.UUID().String())
	}
	return out
}

// eventSpelling writes what showEvent does.
var eventSpelling = reports.Spelling{
	Agent:  func(a id.Agent) string { return a.UUID().String() },
	Report: func(r id.Report) string { return r.UUID().String() },
}

type createEventInput struct{ Body reports.NewEvent }

type createEventsInput struct {
	Body struct {
		Events []reports.NewEvent `json:"events" minItems:"1" maxItems:"500" nullable:"false" doc:"All of them are stored, or none."`
	}
}

type createdEventsWire struct {
	Created int         `json:"created" doc:"How many there are."`
	Events  []eventWire `json:"events" nullable:"false" doc:"In the order in which they were sent."`
}

// EventQuery is what chooses events. Its type is exported because others embed it.
type EventQuery struct {
	AgentID       string    `query:"agent_id" doc:"Only this agent's."`
	EventType     string    `query:"event_type" maxLength:"200"`
	Source        string    `query:"source" maxLength:"200"`
	Level         string    `query:"level" enum:"info,warning,error,critical"`
	TraceID       string    `query:"trace_id" maxLength:"200"`
	ParentEventID string    `query:"parent_event_id" doc:"Only what is a part of this event."`
	Since         time.Time `query:"since" doc:"Only what is not older."`
	Until         time.Time `query:"until" doc:"Only what is older."`
}

func (q *EventQuery) filter() (f telemetry.Filter, err error) {
	f = telemetry.Filter{
		Type: q.EventType, Source: q.Source, Level: telemetry.Level(q.Level), TraceID: q.TraceID, Since: q.Since, Until: q.Until,
	}
	if q.AgentID != "" {
		if f.Agent, err = id.Parse[id.AgentKind](q.AgentID); err != nil {
			return f, err
		}
	}
	if q.ParentEventID != "" {
		f.Parent, err = id.Parse[id.ReportKind](q.ParentEventID)
	}
	return f, err
}

type listEventsInput struct {
	PageQuery
	EventQuery
}

type cleanupEventsInput struct {
	OlderThanDays int    `query:"older_than_days" required:"true" minimum:"0" maximum:"36500" doc:"0 is all that there are."`
	AgentName     string `query:"agent_name" minLength:"1" maxLength:"256" doc:"Only those of agents that are called exactly so, whatever the case."`
	AgentID       string `query:"agent_id" minLength:"1" doc:"Only this agent's."`
}

type cleanedEventsWire struct {
	Deleted int `json:"deleted"`
}

func (f *face) registerEvents() {
	httpx.RegisterFast(f.Face, httpx.Op{
		ID: "createEvent", Method: http.MethodPost, Path: "/events", Tag: "events", Status: http.StatusCreated,
		Example: `{"agent_id":"00000000-0000-7000-8000-000000000000","event_type":"task_completed","source":"agent_core","level":"info","payload":{"task":"summarize_meeting"}}`,
		Summary: "Log an event", Permission: account.TelemetryWrite,
	}, func(ctx context.Context, in *createEventInput) (*output[eventWire], error) {
		n, err := in.Body.Read()
		if err != nil {
			return nil, err
		}
		e, err := f.deps.Events.ReportOne(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(showEvent(e)), nil
	}, eventSpelling.TakeOne(f.deps.Events))

	httpx.RegisterFast(f.Face, httpx.Op{
		ID: "createEvents", Method: http.MethodPost, Path: "/events/batch", Tag: "events", Status: http.StatusCreated,
		Example: `{"events":[{"agent_id":"00000000-0000-7000-8000-000000000000","event_type":"step_1","level":"info"}]}`,
		Summary: "Log up to 500 events, all or none", Permission: account.TelemetryWrite,
	}, func(ctx context.Context, in *createEventsInput) (*output[createdEventsWire], error) {
		news, err := reports.ReadAll(in.Body.Events)
		if err != nil {
			return nil, err
		}
		events, err := f.deps.Events.Report(ctx, httpx.Scope(ctx), news)
		if err != nil {
			return nil, err
		}
		out := createdEventsWire{Created: len(events), Events: make([]eventWire, len(events))}
		for i, e := range events {
			out.Events[i] = showEvent(e)
		}
		return ok(out), nil
	}, eventSpelling.TakeBatch(f.deps.Events, "events"))

	httpx.Register(f.Face, httpx.Op{
		ID: "listEvents", Method: http.MethodGet, Path: "/events", Tag: "events", Summary: "List events, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listEventsInput) (*listOutput[eventWire], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Events.List(ctx, httpx.Scope(ctx), filter, in.request())
		if err != nil {
			return nil, err
		}
		return listOf(found, showEvent), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "cleanupEvents", Method: http.MethodDelete, Path: "/events", Tag: "events", Summary: "Delete old events", Permission: account.TelemetryWrite,
		Description: "Answers when all of them are gone; events can be logged meanwhile.",
	}, func(ctx context.Context, in *cleanupEventsInput) (*output[cleanedEventsWire], error) {
		r := telemetry.CleanupRequest{OlderThan: time.Duration(in.OlderThanDays) * 24 * time.Hour, AgentName: in.AgentName}
		if in.AgentID != "" {
			var err error
			if r.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
				return nil, err
			}
		}
		n, err := f.deps.Events.Cleanup(ctx, httpx.Scope(ctx), r)
		if err != nil {
			return nil, err
		}
		return ok(cleanedEventsWire{n}), nil
	})
}
