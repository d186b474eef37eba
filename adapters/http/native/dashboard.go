package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
)

// FiguresWire is what a dashboard shows of something. It is exported because others embed it.
type FiguresWire struct {
	UsageSumsWire
	Tokens       int64    `json:"tokens" doc:"All of them: fresh and cached input, output."`
	ErrorEvents  *int64   `json:"error_events" doc:"Events at the levels error and critical; null for a model or a provider, which events do not name."`
	Feedback     *int64   `json:"feedback" doc:"How much feedback there was; null likewise."`
	Satisfaction *float64 `json:"satisfaction" doc:"The share, from 0 to 1, of those whose feedback decides who were satisfied; null without any, and for a model or a provider."`
}

func showFigures(f usage.Figures, reported bool) FiguresWire {
	w := FiguresWire{
		UsageSumsWire: showUsageSums(f.Sums), Tokens: f.Input + f.CacheRead + f.CacheWrite + f.Output,
	}
	if reported {
		w.ErrorEvents, w.Feedback, w.Satisfaction = ptr(f.ErrorEvents), ptr(f.Opinion.Count), f.Opinion.Share()
	}
	return w
}

type dashboardGroupWire struct {
	Key *string `json:"key" doc:"An agent's id, a model, a provider, or a day as 2026-11-21; null for what belongs to none."`
	FiguresWire
	Previous *FiguresWire `json:"previous" doc:"In the period before; null for a day."`
}

type dashboardWire struct {
	Type          string               `json:"type" enum:"dashboard"`
	Since         stamp                `json:"since" doc:"The beginning of the first day, UTC."`
	Until         stamp                `json:"until" doc:"The end of the last day, UTC."`
	PreviousSince stamp                `json:"previous_since" doc:"When the period before began, which is as long and ends with since."`
	GroupBy       string               `json:"group_by" enum:"agent,model,provider,day"`
	Groups        []dashboardGroupWire `json:"groups" nullable:"false" doc:"What cost most first; days by time."`
	LeftOut       int                  `json:"left_out" doc:"Groups beyond limit. The totals hold them."`
	Total         FiguresWire          `json:"total"`
	Previous      FiguresWire          `json:"previous" doc:"The total of the period before."`
}

func showDashboard(d usage.Dashboard, by usage.Grouping) dashboardWire {
	w := dashboardWire{
		Type: "dashboard", Since: stampOf(d.Since), Until: stampOf(d.Until), PreviousSince: stampOf(d.PreviousSince), GroupBy: string(by),
		Groups: make([]dashboardGroupWire, 0, len(d.Groups)), LeftOut: d.LeftOut, Total: showFigures(d.Total, true),
		Previous: showFigures(d.Previous, true),
	}
	reported := by == usage.GroupAgent || by == usage.GroupDay
	for _, g := range d.Groups {
		key := g.Key
		if u, err := id.ParseUUID(key); err == nil && by == usage.GroupAgent {
			key = id.Of[id.AgentKind](u).String()
		}
		group := dashboardGroupWire{Key: textPtr(key), FiguresWire: showFigures(g.Figures, reported)}
		if by != usage.GroupDay {
			group.Previous = ptr(showFigures(g.Previous, reported))
		}
		w.Groups = append(w.Groups, group)
	}
	return w
}

type dashboardInput struct {
	AgentQuery
	Since   time.Time `query:"since" doc:"In the first day; 30 days before until when it is left out."`
	Until   time.Time `query:"until" doc:"In the last day, or at its end; the end of today when it is left out."`
	GroupBy string    `query:"group_by" enum:"agent,model,provider,day" default:"agent" doc:"What each group has in common."`
	Limit   int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many groups there are at most: those that cost most, the latest days."`
}

func (f *face) registerDashboard() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getDashboard", Method: http.MethodGet, Path: "/v1/dashboard", Tag: "usage",
		Summary: "See cost, calls, latency, errors and satisfaction side by side", Permission: account.TelemetryRead,
		Description: "By agent, model, provider or day, with the same figures of the period before, which is as long.\n\n" +
			"Periods are whole days in UTC, at most 366: the answer says which. For other periods there is `GET /v1/usage/summary`.\n\n" +
			"`errors` are the failed calls of `api_calls`; `error_events` are what agents reported as `error` or `critical`.",
	}, func(ctx context.Context, in *dashboardInput) (*output[dashboardWire], error) {
		agent, err := in.read()
		if err != nil {
			return nil, err
		}
		by := usage.Grouping(in.GroupBy)
		d, err := f.deps.Dashboard.Dashboard(ctx, httpx.Scope(ctx), usage.DashboardRequest{
			Since: in.Since, Until: in.Until, By: by, Agent: agent, Limit: in.Limit,
		})
		if err != nil {
			return nil, err
		}
		return ok(showDashboard(d, by)), nil
	})
}
