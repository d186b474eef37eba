package native

import (
	"context"
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

type rerateInput struct {
	Body struct {
		Since    time.Time  `json:"since" doc:"What was used then or later."`
		Until    *time.Time `json:"until,omitempty" doc:"What was used before; left out, now."`
		AgentID  string     `json:"agent_id,omitempty" doc:"Only what this agent used."`
		Model    string     `json:"model,omitempty" maxLength:"200" doc:"Only this model."`
		Provider string     `json:"provider,omitempty" maxLength:"100" doc:"Only this provider."`
		At       *time.Time `json:"at,omitempty" doc:"What it would cost had it all been used then. Not together with apply."`
		Apply    bool       `json:"apply,omitempty" doc:"Give what clients reported its new cost. Costs that the server settled stay."`
	}
}

// RerateSumsWire is what re-rating adds up to. Its type is exported because others embed it.
type RerateSumsWire struct {
	Rows           int64    `json:"rows"`
	Old            costWire `json:"old" doc:"Of the rows that had a cost."`
	New            costWire `json:"new" doc:"Of the rows that have one now."`
	Difference     costWire `json:"difference" doc:"new less old."`
	UnpricedBefore int64    `json:"unpriced_before" doc:"Rows without a cost."`
	Unpriced       int64    `json:"unpriced" doc:"Rows without a cost now."`
	Changed        int64    `json:"changed" doc:"Rows whose cost differs."`
	Settled        int64    `json:"settled" doc:"Of changed, those of sessions and acts, whose cost stays as it was settled."`
}

type rerateModelWire struct {
	Provider *string `json:"provider"`
	Model    string  `json:"model" doc:"Beyond five hundred models the others are under an empty name."`
	RerateSumsWire
}

type rerateWire struct {
	ID        *string           `json:"id" doc:"rrt_...; null without apply."`
	Type      string            `json:"type" enum:"usage_rerate"`
	Status    string            `json:"status" enum:"running,done"`
	Applied   bool              `json:"applied" doc:"Whether rows are changed."`
	Since     stamp             `json:"since"`
	Until     stamp             `json:"until"`
	AgentID   *string           `json:"agent_id"`
	Model     *string           `json:"model"`
	Provider  *string           `json:"provider"`
	At        *stamp            `json:"at"`
	Total     RerateSumsWire    `json:"total" doc:"While it is running, of the rows that were looked at."`
	Models    []rerateModelWire `json:"models" nullable:"false"`
	CreatedAt stamp             `json:"created_at"`
	EndedAt   *stamp            `json:"ended_at"`
}

func showRerateSums(s usage.RerateSums) RerateSumsWire {
	return RerateSumsWire{
		Rows: s.Rows, Old: showTotal(s.Old), New: showTotal(s.New), Difference: costWire{s.Difference(), string(money.USD)},
		UnpricedBefore: s.UnpricedBefore, Unpriced: s.Unpriced, Changed: s.Changed, Settled: s.Settled,
	}
}

func showRerate(r usage.Rerate) rerateWire {
	q := r.Request
	w := rerateWire{
		ID: textPtr(r.ID.String()), Type: "usage_rerate", Status: string(r.Status), Applied: q.Apply, Since: stampOf(q.Since), Until: stampOf(q.Until),
		AgentID: textPtr(q.Agent.String()), Model: textPtr(q.Model), Provider: textPtr(q.Provider), Total: showRerateSums(r.Total),
		Models: make([]rerateModelWire, 0, len(r.Models)), CreatedAt: stampOf(r.CreatedAt),
	}
	if !q.At.IsZero() {
		w.At = stampPtr(&q.At)
	}
	if !r.EndedAt.IsZero() {
		w.EndedAt = stampPtr(&r.EndedAt)
	}
	for _, m := range r.Models {
		w.Models = append(w.Models, rerateModelWire{textPtr(m.Provider), m.Model, showRerateSums(m.RerateSums)})
	}
	return w
}

// RerateInput names a re-rating. Its type is exported, as that of all that inputs may embed.
type RerateInput struct {
	RerateID string `path:"rerate_id" doc:"rrt_..."`
}

func (f *face) registerRerates() {
	httpx.Register(f.Face, httpx.Op{
		ID: "rerateUsage", Method: http.MethodPost, Path: "/v1/usage/rerate", Tag: "usage",
		Example: `{"since":"2026-10-01T00:00:00Z","until":"2026-11-01T00:00:00Z","provider":"openai"}`,
		Summary: "Price again what was used", Permission: account.PoliciesWrite,
		Description: "By the prices in force now for the times of use, or for `at`. Without `apply` nothing changes. With it the answer comes at " +
			"once, with an id by which `/v1/usage/rerates/{rerate_id}` tells how far it is; it changes what clients reported, with the " +
			"days and budgets that count it, and leaves the costs that the server settled itself, since acts, sessions and the audit trail name them.",
	}, func(ctx context.Context, in *rerateInput) (*output[rerateWire], error) {
		b := &in.Body
		q := usage.RerateRequest{Model: b.Model, Provider: b.Provider, Since: b.Since, Apply: b.Apply}
		if b.Until != nil {
			q.Until = *b.Until
		}
		if b.At != nil {
			q.At = *b.At
		}
		if b.AgentID != "" {
			var err error
			if q.Agent, err = id.Parse[id.AgentKind](b.AgentID); err != nil {
				return nil, err
			}
		}
		r, err := f.deps.Rerater.Rerate(ctx, httpx.Scope(ctx), q)
		if err != nil {
			return nil, err
		}
		return ok(showRerate(r)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getUsageRerate", Method: http.MethodGet, Path: "/v1/usage/rerates/{rerate_id}", Tag: "usage",
		Summary: "Read how far a re-rating is", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *RerateInput) (*output[rerateWire], error) {
		rerate, err := id.Parse[id.RerateKind](in.RerateID)
		if err != nil {
			return nil, err
		}
		r, err := f.deps.Rerater.Get(ctx, httpx.Scope(ctx), rerate)
		if err != nil {
			return nil, err
		}
		return ok(showRerate(r)), nil
	})
}
