package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
)

type retentionWire struct {
	Type         string `json:"type" enum:"retention"`
	EventsDays   *int   `json:"events_days" doc:"Older events are deleted; null keeps them."`
	MessagesDays *int   `json:"messages_days" doc:"Likewise messages between agents."`
	FeedbackDays *int   `json:"feedback_days" doc:"Likewise feedback."`
}

func showRetention(r telemetry.Retention) retentionWire {
	days := func(n int) *int {
		if n == 0 {
			return nil
		}
		return &n
	}
	return retentionWire{"retention", days(r.EventsDays), days(r.MessagesDays), days(r.FeedbackDays)}
}

type putRetentionInput struct {
	Body struct {
		EventsDays   *int `json:"events_days,omitempty" minimum:"1" maximum:"3650" doc:"Delete older events; null or nothing keeps them."`
		MessagesDays *int `json:"messages_days,omitempty" minimum:"1" maximum:"3650" doc:"Likewise messages between agents."`
		FeedbackDays *int `json:"feedback_days,omitempty" minimum:"1" maximum:"3650" doc:"Likewise feedback."`
	}
}

func (f *face) registerRetention() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getRetention", Method: http.MethodGet, Path: "/v1/retention", Tag: "telemetry",
		Summary: "Read for how long reports are kept", Permission: account.TelemetryRead,
	}, func(ctx context.Context, _ *struct{}) (*output[retentionWire], error) {
		r, err := f.deps.Keeping.Get(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(showRetention(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "putRetention", Method: http.MethodPut, Path: "/v1/retention", Tag: "telemetry",
		Example: `{"events_days":90,"messages_days":90,"feedback_days":null}`,
		Summary: "Say for how long reports are kept", Permission: account.TelemetryWrite,
		Description: "It replaces all three, for this tenant. What is older is deleted within a few minutes, for good.",
	}, func(ctx context.Context, in *putRetentionInput) (*output[retentionWire], error) {
		days := func(n *int) int {
			if n == nil {
				return 0
			}
			return *n
		}
		r, err := f.deps.Keeping.Set(ctx, httpx.Scope(ctx), telemetry.Retention{
			EventsDays: days(in.Body.EventsDays), MessagesDays: days(in.Body.MessagesDays), FeedbackDays: days(in.Body.FeedbackDays),
		})
		if err != nil {
			return nil, err
		}
		return ok(showRetention(r)), nil
	})
}
