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

type feedbackWire struct {
	ID           string  `json:"id" doc:"A UUID."`
	TargetType   string  `json:"target_type" enum:"agent,event,message"`
	TargetID     string  `json:"target_id"`
	FeedbackType string  `json:"feedback_type"`
	Rating       *int    `json:"rating" minimum:"1" maximum:"5"`
	Comment      *string `json:"comment"`
	User         *string `json:"user"`
	CreatedAt    stamp   `json:"created_at"`
}

func showFeedback(f telemetry.Feedback) feedbackWire {
	out := feedbackWire{
		ID: f.ID.UUID().String(), TargetType: string(f.Target), TargetID: f.TargetID.String(), FeedbackType: f.Type, Comment: textPtr(f.Comment),
		User: textPtr(f.User), CreatedAt: stampOf(f.At),
	}
	if f.Rating > 0 {
		out.Rating = &f.Rating
	}
	return out
}

type createFeedbackInput struct{ Body reports.SentFeedback }

type listFeedbackInput struct {
	PageQuery
	reports.OpinionQuery
}

type summarizeFeedbackInput struct {
	AgentID string    `query:"agent_id" doc:"Only about this agent, its events and its messages."`
	Since   time.Time `query:"since" doc:"Only what is not older."`
	Until   time.Time `query:"until" doc:"Only what is older."`
}

func (f *face) registerFeedback() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createFeedback", Method: http.MethodPost, Path: "/feedback", Tag: "feedback", Status: http.StatusCreated,
		Example: `{"target_type":"agent","target_id":"00000000-0000-7000-8000-000000000000","feedback_type":"thumbs_up","rating":5}`,
		Summary: "Submit feedback", Permission: account.TelemetryWrite,
	}, func(ctx context.Context, in *createFeedbackInput) (*output[feedbackWire], error) {
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
		ID: "listFeedback", Method: http.MethodGet, Path: "/feedback", Tag: "feedback", Summary: "List feedback, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listFeedbackInput) (*listOutput[feedbackWire], error) {
		filter, err := in.Filter()
		if err != nil {
			return nil, err
		}
		found, err := f.deps.Opinions.List(ctx, httpx.Scope(ctx), filter, in.request())
		if err != nil {
			return nil, err
		}
		return listOf(found, showFeedback), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "summarizeFeedback", Method: http.MethodGet, Path: "/feedback/summary", Tag: "feedback", Summary: "Add feedback up",
		Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *summarizeFeedbackInput) (*output[reports.Satisfaction], error) {
		filter := telemetry.FeedbackFilter{Since: in.Since, Until: in.Until}
		if in.AgentID != "" {
			var err error
			if filter.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
				return nil, err
			}
		}
		s, err := f.deps.Opinions.Summary(ctx, httpx.Scope(ctx), filter)
		if err != nil {
			return nil, err
		}
		return ok(reports.ShowSatisfaction(s)), nil
	})
}
