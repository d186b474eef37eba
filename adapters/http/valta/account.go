package valta

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
)

type accountWire struct {
	Plan             string `json:"plan" enum:"free,pro,team,unlimited"`
	CreditsRemaining int    `json:"creditsRemaining" doc:"Of this month, without what runs that are under way have reserved; -1 is unlimited."`
	CreditsTotal     int    `json:"creditsTotal" doc:"Per month; -1 is unlimited."`
	ResetsAt         stamp  `json:"resetsAt" doc:"The first of the next month, 00:00 UTC."`
}

func (f *face) registerAccount() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getAccount", Method: http.MethodGet, Path: "/account", Tag: "account",
		Summary: "Read the plan and its credits", AnyKey: true,
	}, func(ctx context.Context, _ *struct{}) (*output[accountWire], error) {
		c, err := f.deps.Account.Credits(ctx, httpx.Scope(ctx))
		if err != nil {
			return nil, err
		}
		return ok(accountWire{string(c.Plan), c.Remaining, c.Total, stampOf(c.ResetsAt)}), nil
	})
}
