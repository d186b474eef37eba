package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/reports"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
)

type feedbackWire struct {
	Type         string  `json:"type" enum:"feedback"`
	ID           string  `json:"id" doc:"fbk_..."`
	TargetType   string  `json:"target_type" enum:"agent,event,message"`
	TargetID     string  `json:"target_id"`
	AgentID      string  `json:"agent_id" doc:"Whom it is about: the target, who reported the event, or who sent the message."`
	FeedbackType string  `json:"feedback_type"`
	Rating       *int    `json:"rating" minimum:"1" maximum:"5"`
	Comment      *string `json:"comment"`
	User         *string `json:"user"`
	CreatedAt    stamp   `json:"created_at"`
}

func showFeedback(f telemetry.Feedback) feedbackWire {
	out := feedbackWire{
		Type: "feedback", ID: f.ID.String(), TargetType: string(f.Target), TargetID: telemetry.SpellTarget(f.Target, f.TargetID),
		AgentID: f.Agent.String(), FeedbackType: f.Type, Comment: textPtr(f.Comment), User: textPtr(f.User), CreatedAt: stampOf(f.At),
	}
	if f.Rating > 0 {
		out.Rating = &f.Rating
	}
	return out
}

type submitFeedbackInput struct{ Body reports.SentFeedback }

// FeedbackQuery is what chooses feedback.
type FeedbackQuery struct {
	reports.OpinionQuery
	TraceID string `query:"trace_id" maxLength:"200" doc:"Only about events and messages of this trace."`
	PeriodQuery
}

func (q *FeedbackQuery) filter() (telemetry.FeedbackFilter, error) {
	f, err := q.Filter()
	f.TraceID, f.Since, f.Until = q.TraceID, q.Since, q.Until
	return f, err
}

type listFeedbackInput struct {
	FeedbackQuery
	httpx.PageQuery
}

type summarizeFeedbackInput struct{ FeedbackQuery }

func (f *face) registerFeedback() {
	httpx.Register(f.Face, httpx.Op{
		ID: "submitFeedback", Method: http.MethodPost, Path: "/v1/feedback", Tag: "telemetry", Status: http.StatusCreated,
		Example: `{"target_type":"agent","target_id":"agent_01h...","feedback_type":"thumbs_up","rating":5}`,
		Summary: "Report what a user thought of an agent, an event or a message", Permission: account.TelemetryWrite,
	}, func(ctx context.Context, in *submitFeedbackInput) (*output[feedbackWire], error) {
		n, err := in.Body.Read()
		if err != nil {
			return nil, err
		}
		made, err := f.deps.Opinions.Submit(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(showFeedback(made)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listFeedback", Method: http.MethodGet, Path: "/v1/feedback", Tag: "telemetry",
		Summary: "List what users thought, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listFeedbackInput) (*output[httpx.List[feedbackWire]], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		p, err := f.deps.Opinions.List(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showFeedback)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "summarizeFeedback", Method: http.MethodGet, Path: "/v1/feedback/summary", Tag: "telemetry",
		Summary: "Add up what users thought", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *summarizeFeedbackInput) (*output[reports.Satisfaction], error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		s, err := f.deps.Opinions.Summary(ctx, httpx.Scope(ctx), filter)
		if err != nil {
			return nil, err
		}
		return ok(reports.ShowSatisfaction(s)), nil
	})
}
