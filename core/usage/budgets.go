package usage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// recountAfter is how old a count may become before it is added up anew. It bounds for how long a budget misses a row that was stored
// while the budget was made, by a transaction that did not see it yet.
const recountAfter = 5 * time.Minute

// The kind of notice, and the action in the audit trail, by which people are told that a part of a budget is spent.
const (
	noticeBudget = "budget.alert"
	auditBudget  = "budget_alert"
)

// Trail is where changes of budgets, and their alerts, are noted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Notices is where people are told of what is spent; app wires core/webhook.
type Notices interface {
	// Publish stores a notice in the transaction of ctx. agent is whom it concerns, zero for the account as a whole.
	Publish(ctx context.Context, sc account.Scope, kind string, agent id.Agent, data map[string]any) error
}

// BudgetDeps is what Budgets need; all fields are required.
type BudgetDeps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Repository BudgetRepository
	Counts     BudgetCounts
	Agents     Agents
	Trail      Trail
	Notices    Notices
}

// Budgets keeps budgets and tells when they are spent. A budget warns and stops nothing. It counts what Sums.Spent adds up: the computed
// cost of a row, or what was reported where no price is known. It is safe for concurrent use.
type Budgets struct{ d BudgetDeps }

// NewBudgets returns Budgets, or an error that names what d lacks.
func NewBudgets(d BudgetDeps) (*Budgets, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Repository", d.Repository == nil},
		{"Counts", d.Counts == nil}, {"Agents", d.Agents == nil}, {"Trail", d.Trail == nil}, {"Notices", d.Notices == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("usage: BudgetDeps.%s is required", dep.name)
		}
	}
	return &Budgets{d}, nil
}

func (s *Budgets) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// NewBudget asks for a budget.
type NewBudget struct {
	Name     string
	Agent    id.Agent // zero: every agent's costs count
	Model    string
	Provider string
	Amount   money.Amount
	Period   BudgetPeriod
	Alerts   []int // nil is DefaultAlerts, in any order
}

// Create adds a budget. What its period has cost before counts; of alerts that are reached by then nobody is told. ErrBudget,
// ErrTooManyBudgets; id.NotFound when the tenant has no such agent.
func (s *Budgets) Create(ctx context.Context, sc account.Scope, n NewBudget) (BudgetStatus, error) {
	now := s.now()
	b := Budget{
		ID: id.New[id.BudgetKind](s.d.IDs), Tenant: sc.Tenant, Name: n.Name, Agent: n.Agent, Model: n.Model, Provider: n.Provider,
		Amount: n.Amount, Period: n.Period, Alerts: slices.Sorted(slices.Values(n.Alerts)), CreatedAt: now, UpdatedAt: now,
	}
	if n.Alerts == nil {
		b.Alerts = DefaultAlerts()
	}
	var f check.Faults
	if b.check(&f); len(f.Fields) > 0 {
		return BudgetStatus{}, f.Err(ErrBudget)
	}
	var out BudgetStatus
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if !b.Agent.IsZero() {
			if err := s.d.Agents.Exists(ctx, sc, b.Agent); err != nil {
				return err
			}
		}
		c := CountedBudget{Budget: b}
		if err := s.recount(ctx, sc, &c, now); err != nil {
			return err
		}
		out = statusOf(b, c.Count.Spent, now)
		if err := s.d.Repository.InsertBudget(ctx, sc, c, MaxBudgets); err != nil {
			return err
		}
		return s.note(ctx, sc, "budget_created", b)
	})
	return out, err
}

// recount adds up what a budget's period has cost, and takes people for told of what is reached.
func (s *Budgets) recount(ctx context.Context, sc account.Scope, c *CountedBudget, now time.Time) error {
	start, _ := c.Period.Span(now)
	spent, err := s.d.Counts.SpentOf(ctx, sc, []Filter{c.Filter(start)})
	if err != nil {
		return err
	}
	c.Count = Count{Start: start, Spent: spent[0], Told: c.reached(spent[0]), At: now}
	return nil
}

func (s *Budgets) note(ctx context.Context, sc account.Scope, action string, b Budget) error {
	m := map[string]any{
		"budget_id": b.ID.UUID().String(), "name": b.Name, "amount": b.Amount.Decimal(), "currency": string(b.Amount.Currency),
		"period": string(b.Period), "alerts": slices.Clone(b.Alerts),
	}
	b.narrow(m)
	return s.d.Trail.Note(ctx, sc, action, b.Agent, m)
}

// narrow says what of the costs counts.
func (b Budget) narrow(m map[string]any) {
	for name, value := range map[string]string{"model": b.Model, "provider": b.Provider} {
		if value != "" {
			m[name] = value
		}
	}
}

// Get returns a budget and how much of it is spent.
func (s *Budgets) Get(ctx context.Context, sc account.Scope, budget id.Budget) (BudgetStatus, error) {
	b, err := s.d.Repository.Budget(ctx, sc, budget)
	if err != nil {
		return BudgetStatus{}, err
	}
	out, err := s.status(ctx, sc, b)
	if err != nil {
		return BudgetStatus{}, err
	}
	return out[0], nil
}

// status adds up what budgets have spent, in one query.
func (s *Budgets) status(ctx context.Context, sc account.Scope, all ...Budget) ([]BudgetStatus, error) {
	if len(all) == 0 {
		return nil, nil
	}
	now := s.now()
	filters := make([]Filter, len(all))
	for i, b := range all {
		start, _ := b.Period.Span(now)
		filters[i] = b.Filter(start)
	}
	spent, err := s.d.Counts.SpentOf(ctx, sc, filters)
	if err != nil {
		return nil, err
	}
	out := make([]BudgetStatus, len(all))
	for i, b := range all {
		out[i] = statusOf(b, spent[i], now)
	}
	return out, nil
}

// List returns budgets, newest first, and how much of them is spent.
func (s *Budgets) List(ctx context.Context, sc account.Scope, f BudgetFilter, req page.Request) (page.Page[BudgetStatus], error) {
	found, err := s.d.Repository.Budgets(ctx, sc, f, req)
	if err != nil {
		return page.Page[BudgetStatus]{}, err
	}
	items, err := s.status(ctx, sc, found.Items...)
	return page.Page[BudgetStatus]{Items: items, Next: found.Next, Total: found.Total}, err
}

// BudgetPatch changes a budget; nil fields stay. What it is for stays, too.
type BudgetPatch struct {
	Name   *string
	Amount *money.Amount
	Period *BudgetPeriod
	Alerts *[]int // in any order
}

// Update changes a budget. Of alerts that are reached by then nobody is told; of those that are reached again, people are. ErrBudget,
// ErrBudgetArchived.
func (s *Budgets) Update(ctx context.Context, sc account.Scope, budget id.Budget, p BudgetPatch) (BudgetStatus, error) {
	now := s.now()
	var out BudgetStatus
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		b, err := s.d.Repository.UpdateBudget(ctx, sc, budget, func(ctx context.Context, b *CountedBudget) error {
			if !b.ArchivedAt.IsZero() {
				return ErrBudgetArchived
			}
			set(&b.Name, p.Name)
			set(&b.Amount, p.Amount)
			set(&b.Period, p.Period)
			if p.Alerts != nil {
				b.Alerts = slices.Sorted(slices.Values(*p.Alerts))
			}
			b.UpdatedAt = now
			var f check.Faults
			if b.check(&f); len(f.Fields) > 0 {
				return f.Err(ErrBudget)
			}
			if err := s.recount(ctx, sc, b, now); err != nil {
				return err
			}
			out = statusOf(b.Budget, b.Count.Spent, now)
			return nil
		})
		if err != nil {
			return err
		}
		return s.note(ctx, sc, "budget_updated", b)
	})
	return out, err
}

func set[T any](to, v *T) {
	if v != nil {
		*to = *v
	}
}

// Archive takes a budget out of force. It stays where it can be read. One that is archived stays as it is.
func (s *Budgets) Archive(ctx context.Context, sc account.Scope, budget id.Budget) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		fresh := false
		b, err := s.d.Repository.UpdateBudget(ctx, sc, budget, func(_ context.Context, b *CountedBudget) error {
			if fresh = b.ArchivedAt.IsZero(); fresh {
				b.ArchivedAt = s.now()
			}
			return nil
		})
		if err != nil || !fresh {
			return err
		}
		return s.note(ctx, sc, "budget_archived", b)
	})
}

// ForgetAgent removes the budgets of an agent alone; it is a retire.Part.
func (s *Budgets) ForgetAgent(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return s.d.Repository.DeleteBudgets(ctx, sc, agent)
}

// charge counts rows that were stored in the transaction of ctx, and tells of the alerts that they reach. Transactions that charge the
// same budget do so one after the other, so that each alert is told of once.
func (s *Budgets) charge(ctx context.Context, sc account.Scope, rows []Row) error {
	var agents []id.Agent
	for _, r := range rows {
		if !r.spent().isZero() && !slices.Contains(agents, r.Agent) {
			agents = append(agents, r.Agent)
		}
	}
	if len(agents) == 0 {
		return nil
	}
	all, err := s.d.Counts.LockCounts(ctx, sc, agents)
	if err != nil || len(all) == 0 {
		return err
	}
	now := s.now()
	var due, changed []*CountedBudget
	var filters []Filter
	for i := range all {
		b := &all[i]
		start, _ := b.Period.Span(now)
		var more Total
		for _, r := range rows {
			if b.counts(r, start) {
				more = more.Add(r.spent())
			}
		}
		switch {
		case more.isZero():
			continue
		case !b.Count.Start.Equal(start):
			b.Count = Count{Start: start}
			fallthrough
		case now.Sub(b.Count.At) > recountAfter || b.Count.At.IsZero():
			due, filters = append(due, b), append(filters, b.Filter(start))
		default:
			b.Count.Spent = b.Count.Spent.Add(more)
		}
		changed = append(changed, b)
	}
	if len(due) > 0 {
		spent, err := s.d.Counts.SpentOf(ctx, sc, filters)
		if err != nil {
			return err
		}
		for i, b := range due {
			b.Count.Spent, b.Count.At = spent[i], now
		}
	}
	return s.tell(ctx, sc, changed, now)
}

// tell stores counts and tells of the alerts that they have reached.
func (s *Budgets) tell(ctx context.Context, sc account.Scope, changed []*CountedBudget, now time.Time) error {
	counts := make([]CountedBudget, 0, len(changed))
	for _, b := range changed {
		reached := b.reached(b.Count.Spent)
		for _, percent := range b.Alerts {
			if percent <= b.Count.Told || percent > reached {
				continue
			}
			if err := s.alert(ctx, sc, b, percent, now); err != nil {
				return err
			}
		}
		b.Count.Told = max(b.Count.Told, reached)
		counts = append(counts, *b)
	}
	if len(counts) == 0 {
		return nil
	}
	return s.d.Counts.StoreCounts(ctx, sc, counts)
}

// alert says what the gate says of its limits, in the same words.
func (s *Budgets) alert(ctx context.Context, sc account.Scope, b *CountedBudget, percent int, now time.Time) error {
	m := map[string]any{
		"budget_id": b.ID.UUID().String(), "name": b.Name, "percent": percent, "max": b.Amount.Decimal(), "spent": b.Count.Spent.Dollars(),
		"unit": string(b.Amount.Currency), "window": string(b.Period), "window_start": b.Count.Start.Format(time.RFC3339), "denied": false,
	}
	if _, next := b.Period.Span(now); !next.IsZero() {
		m["resets_at"] = next.Format(time.RFC3339)
	}
	b.narrow(m)
	if err := s.d.Notices.Publish(ctx, sc, noticeBudget, b.Agent, m); err != nil {
		return err
	}
	return s.d.Trail.Note(ctx, sc, auditBudget, b.Agent, m)
}
