package native

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

type costBudgetWire struct {
	ID         string           `json:"id" doc:"bdg_..."`
	Type       string           `json:"type" enum:"budget"`
	Name       string           `json:"name"`
	Scope      budgetScopeWire  `json:"scope"`
	Model      *string          `json:"model" doc:"Only what this model costs counts; null is any."`
	Provider   *string          `json:"provider" doc:"Only what models of this provider cost counts; null is any."`
	Amount     moneyWire        `json:"amount"`
	Period     string           `json:"period" enum:"day,week,month,total"`
	Alerts     []int            `json:"alerts" nullable:"false" doc:"In percent of the amount."`
	Status     budgetStatusWire `json:"status"`
	CreatedAt  stamp            `json:"created_at"`
	UpdatedAt  stamp            `json:"updated_at"`
	ArchivedAt *stamp           `json:"archived_at"`
}

type budgetScopeWire struct {
	Tenant  bool   `json:"tenant,omitempty" doc:"What all agents of the tenant cost, together."`
	AgentID string `json:"agent_id,omitempty" doc:"What one agent costs."`
}

// TransformSchema implements huma.SchemaTransformer.
func (budgetScopeWire) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	return oneOf(s, map[string]any{"tenant": map[string]any{"const": true}, "agent_id": given()})
}

func (w *budgetScopeWire) read() (id.Agent, error) {
	switch {
	case w == nil, w.Tenant && w.AgentID == "":
		return id.Agent{}, nil
	case w.Tenant, w.AgentID == "":
		return id.Agent{}, fault.Invalidf("scope", "needs one of tenant and agent_id")
	}
	return id.Parse[id.AgentKind](w.AgentID)
}

type budgetStatusWire struct {
	Spent       costWire `json:"spent" doc:"In the period: computed costs, and where no price is known what was reported."`
	Remaining   costWire `json:"remaining" doc:"0 when more than the amount is spent."`
	Percent     int64    `json:"percent" doc:"Of the amount, rounded down; over 100 when more is spent."`
	PeriodStart *stamp   `json:"period_start" doc:"In UTC; null for total."`
	ResetsAt    *stamp   `json:"resets_at" doc:"When the next period begins, in UTC; null for total."`
}

func showCostBudget(b usage.BudgetStatus) costBudgetWire {
	w := costBudgetWire{
		ID: b.ID.String(), Type: "budget", Name: b.Name, Scope: budgetScopeWire{Tenant: b.Agent.IsZero(), AgentID: b.Agent.String()},
		Model: textPtr(b.Model), Provider: textPtr(b.Provider), Amount: showMoney(b.Amount), Period: string(b.Period), Alerts: []int{},
		Status:    budgetStatusWire{Spent: showTotal(b.Spent), Remaining: showTotal(b.Remaining), Percent: b.Percent},
		CreatedAt: stampOf(b.CreatedAt), UpdatedAt: stampOf(b.UpdatedAt),
	}
	w.Alerts = append(w.Alerts, b.Alerts...)
	if !b.ResetsAt.IsZero() {
		w.Status.PeriodStart, w.Status.ResetsAt = stampPtr(&b.Start), stampPtr(&b.ResetsAt)
	}
	if !b.ArchivedAt.IsZero() {
		w.ArchivedAt = stampPtr(&b.ArchivedAt)
	}
	return w
}

type createBudgetInput struct {
	Body struct {
		Name     string           `json:"name" minLength:"1" maxLength:"200"`
		Scope    *budgetScopeWire `json:"scope,omitempty" doc:"Whose costs count; those of all agents of the tenant when it is left out."`
		Model    string           `json:"model,omitempty" maxLength:"200" doc:"Only what this model costs, as GET /v1/usage names it."`
		Provider string           `json:"provider,omitempty" maxLength:"100" doc:"Only what models of this provider cost, as GET /v1/usage names it."`
		Amount   dollarsInput     `json:"amount" doc:"For a period, in USD."`
		Period   string           `json:"period" enum:"day,week,month,total" doc:"Of the calendar in UTC, weeks from Monday; a total never begins anew."`
		Alerts   *[]int           `json:"alerts,omitempty" maxItems:"10" doc:"At which parts of the amount people are told: percents from 1 to 1000, each once. 50, 80 and 100 when it is left out; [] tells nobody."`
	}
}

// BudgetInput names a budget. It is exported because others embed it.
type BudgetInput struct {
	BudgetID string `path:"budget_id" doc:"The budget's id."`
}

func (in BudgetInput) budget() (id.Budget, error) { return id.Parse[id.BudgetKind](in.BudgetID) }

type updateBudgetInput struct {
	BudgetInput
	Body struct {
		Name   httpx.Kept[string] `json:"name,omitempty" minLength:"1" maxLength:"200"`
		Amount dollarsInput       `json:"amount,omitempty" doc:"For a period, in USD."`
		Period httpx.Kept[string] `json:"period,omitempty" enum:"day,week,month,total"`
		Alerts httpx.Kept[[]int]  `json:"alerts,omitempty" maxItems:"10" doc:"Replaces all."`
	}
}

type listBudgetsInput struct {
	AgentID         string `query:"agent_id" doc:"Only those of this agent alone."`
	IncludeArchived bool   `query:"include_archived" doc:"Also those that were archived."`
	httpx.PageQuery
}

const budgetHelp = "A budget warns and stops nothing: caps that stop are policies (`POST /v1/policies` with `daily_cost_limit`, " +
	"`monthly_cost_limit`, or `windows` of the measure `cost`).\n\nIt counts every usage row, of this server's own model calls as of clients' reports: " +
	"its computed cost, or what was reported where no price is known. When a row takes it to one of its alerts, a notice `budget.alert` says so, once " +
	"for each alert and period, with `budget_id`, `name`, `percent`, `spent`, `max`, `unit`, `window`, `window_start` and `resets_at`; webhooks carry " +
	"it, and `GET /v1/notices` lists it. Alerts that are reached already when a budget is made or changed are not told."

func (f *face) registerBudgets() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createBudget", Method: http.MethodPost, Path: "/v1/budgets", Tag: "usage", Status: http.StatusCreated, Strict: true,
		Example: `{"name":"Models in November","scope":{"tenant":true},"amount":"250.00","period":"month","alerts":[50,80,100]}`,
		Summary: "Be told when models have cost so much", Permission: account.PoliciesWrite, Statuses: []int{http.StatusConflict},
		Description: budgetHelp,
	}, func(ctx context.Context, in *createBudgetInput) (*output[costBudgetWire], error) {
		b := &in.Body
		agent, err := b.Scope.read()
		if err != nil {
			return nil, err
		}
		amount, err := moneyInput(b.Amount).readIn("amount", money.USD)
		if err != nil {
			return nil, err
		}
		n := usage.NewBudget{
			Name: b.Name, Agent: agent, Model: b.Model, Provider: b.Provider, Amount: amount, Period: usage.BudgetPeriod(b.Period),
		}
		if b.Alerts != nil {
			n.Alerts = append([]int{}, *b.Alerts...)
		}
		made, err := f.deps.Budgets.Create(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, err
		}
		return ok(showCostBudget(made)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listBudgets", Method: http.MethodGet, Path: "/v1/budgets", Tag: "usage",
		Summary: "List budgets with what is spent of them, newest first", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *listBudgetsInput) (*output[httpx.List[costBudgetWire]], error) {
		filter := usage.BudgetFilter{Archived: in.IncludeArchived}
		var err error
		if filter.Agent, err = (AgentQuery{in.AgentID}).read(); err != nil {
			return nil, err
		}
		p, err := f.deps.Budgets.List(ctx, httpx.Scope(ctx), filter, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(p, showCostBudget)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getBudget", Method: http.MethodGet, Path: "/v1/budgets/{budget_id}", Tag: "usage",
		Summary: "Read a budget and what is spent of it", Permission: account.TelemetryRead,
	}, func(ctx context.Context, in *BudgetInput) (*output[costBudgetWire], error) {
		of, err := in.budget()
		if err != nil {
			return nil, err
		}
		b, err := f.deps.Budgets.Get(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(showCostBudget(b)), nil
	})

	for method, op := range map[string]string{http.MethodPatch: "patchBudget", http.MethodPost: "updateBudget", http.MethodPut: "putBudget"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/budgets/{budget_id}", Tag: "usage", Summary: "Change a budget", Strict: true,
			Example: `{"amount":"300.00"}`, Permission: account.PoliciesWrite, Statuses: []int{http.StatusConflict},
			Description: "Changes what the body names. POST, PATCH and PUT do the same. What a budget is for cannot be changed.\n\n" + budgetHelp,
		}, f.updateBudget)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteBudget", Method: http.MethodDelete, Path: "/v1/budgets/{budget_id}", Tag: "usage",
		Summary: "Archive a budget", Permission: account.PoliciesWrite,
		Description: "Nobody is told of it any more; it can still be read.",
	}, func(ctx context.Context, in *BudgetInput) (*output[httpx.Deleted], error) {
		of, err := in.budget()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Budgets.Archive(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "budget_deleted"}), nil
	})
}

func (f *face) updateBudget(ctx context.Context, in *updateBudgetInput) (*output[costBudgetWire], error) {
	of, err := in.budget()
	if err != nil {
		return nil, err
	}
	b := &in.Body
	var p usage.BudgetPatch
	if b.Name.Set {
		p.Name = &b.Name.Value // null is "", which the service refuses; so it is with the period
	}
	if b.Period.Set {
		p.Period = ptr(usage.BudgetPeriod(b.Period.Value))
	}
	if b.Amount.set {
		amount, err := moneyInput(b.Amount).readIn("amount", money.USD)
		if err != nil {
			return nil, err
		}
		p.Amount = &amount
	}
	if b.Alerts.Null {
		return nil, fault.Invalidf("alerts", "must be a list; [] tells nobody")
	}
	if b.Alerts.Set {
		p.Alerts = &b.Alerts.Value
	}
	changed, err := f.deps.Budgets.Update(ctx, httpx.Scope(ctx), of, p)
	if err != nil {
		return nil, err
	}
	return ok(showCostBudget(changed)), nil
}
