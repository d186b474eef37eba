package usage

import (
	"context"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// The bounds of budgets.
const (
	MaxBudgets     = 100  // of a tenant, archived ones not counted
	MaxBudgetName  = 200  // characters
	MaxAlerts      = 10   // of a budget
	MaxAlert       = 1000 // percent
	maxModelName   = 200
	maxProviderLen = 100
)

// The errors of budgets.
var (
	// ErrBudget is returned for a budget that cannot be as it is asked for; its fields say where.
	ErrBudget = fault.New(fault.Invalid, "invalid_request", "the budget cannot be so")
	// ErrTooManyBudgets is returned when a tenant has MaxBudgets budgets.
	ErrTooManyBudgets = fault.New(fault.Conflict, "budget_limit", "the account has as many budgets as it may have")
	// ErrBudgetArchived is returned for a change of a budget that is archived.
	ErrBudgetArchived = fault.New(fault.Conflict, "budget_archived", "the budget is archived")
)

// DefaultAlerts are the alerts of a budget that names none, in percent.
func DefaultAlerts() []int { return []int{50, 80, 100} }

// BudgetPeriod is how long a budget lasts before it begins anew. Periods are those of the calendar, in UTC.
type BudgetPeriod string

// The periods.
const (
	BudgetDay   BudgetPeriod = "day"
	BudgetWeek  BudgetPeriod = "week" // from Monday, as in ISO 8601
	BudgetMonth BudgetPeriod = "month"
	BudgetTotal BudgetPeriod = "total" // never begins anew
)

// BudgetPeriods lists every period.
func BudgetPeriods() []BudgetPeriod {
	return []BudgetPeriod{BudgetDay, BudgetWeek, BudgetMonth, BudgetTotal}
}

// Span returns when the period that t is in began, and when the next one begins. BudgetTotal began with the Unix epoch and has no next.
func (p BudgetPeriod) Span(t time.Time) (start, next time.Time) {
	y, m, d := t.UTC().Date()
	day := func(m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	switch p {
	case BudgetDay:
		return day(m, d), day(m, d+1)
	case BudgetWeek:
		monday := d - (int(t.UTC().Weekday())+6)%7
		return day(m, monday), day(m, monday+7)
	case BudgetMonth:
		return day(m, 1), day(m+1, 1)
	}
	return time.Unix(0, 0).UTC(), time.Time{}
}

// Budget is how much models may cost before somebody is told. It stops nothing: caps that stop are limits of policies.
type Budget struct {
	ID       id.Budget
	Tenant   id.Tenant
	Name     string
	Agent    id.Agent     // whose costs count; zero: every agent's
	Model    string       // only what this model costs, as usage rows name it; "" is any
	Provider string       // likewise
	Amount   money.Amount // for a period; in USD, more than nothing
	Period   BudgetPeriod
	Alerts   []int // the parts of Amount, in percent, of which people are told; ascending, each once; empty: of none

	CreatedAt  time.Time
	UpdatedAt  time.Time
	ArchivedAt time.Time // zero: it is in force
}

// Filter chooses the rows of a period that count.
func (b Budget) Filter(start time.Time) Filter {
	f := Filter{Agent: b.Agent, Model: b.Model, Provider: b.Provider}
	if b.Period != BudgetTotal {
		f.Since = start
	}
	return f
}

// counts reports whether a row of the period that began at start counts.
func (b Budget) counts(r Row, start time.Time) bool {
	return (b.Agent.IsZero() || b.Agent == r.Agent) && (b.Model == "" || b.Model == r.Model) &&
		(b.Provider == "" || b.Provider == r.Provider) && !r.CreatedAt.Before(start)
}

// level returns how much percent of the amount is.
func (b Budget) level(percent int) Total {
	micros, p := b.Amount.Micros, int64(percent)
	return Total{Micros: micros / 100 * p, Picos: micros % 100 * p * (money.PicosPerMicro / 100)}.Add(Total{})
}

// reached returns the highest alert that is reached; 0 for none.
func (b Budget) reached(spent Total) int {
	highest := 0
	for _, percent := range b.Alerts {
		if spent.Compare(b.level(percent)) >= 0 {
			highest = percent
		}
	}
	return highest
}

// Count is what a budget has counted, for its alerts.
type Count struct {
	Start time.Time // of the period
	Spent Total
	Told  int       // the highest alert that people were told of in the period; 0 is none
	At    time.Time // when it was added up from what is stored; zero: that is due
}

// CountedBudget is a budget with its count.
type CountedBudget struct {
	Budget
	Count Count
}

// BudgetStatus is how much of a budget is spent.
type BudgetStatus struct {
	Budget
	Start     time.Time // of the period
	ResetsAt  time.Time // when the next one begins; zero: never
	Spent     Total     // Sums.Spent of the period
	Remaining Total     // nothing when more than all is spent
	Percent   int64     // of the amount, rounded down; more than 100 when more than all is spent
}

func statusOf(b Budget, spent Total, now time.Time) BudgetStatus {
	s := BudgetStatus{Budget: b, Spent: spent, Percent: spent.percentOf(b.Amount.Micros)}
	s.Start, s.ResetsAt = b.Period.Span(now)
	if all := (Total{Micros: b.Amount.Micros}); spent.Compare(all) < 0 {
		s.Remaining = all.less(spent)
	}
	return s
}

func (b Budget) check(f *check.Faults) {
	f.Given("name", b.Name, MaxBudgetName)
	f.Text("model", b.Model, maxModelName)
	f.Text("provider", b.Provider, maxProviderLen)
	switch {
	case b.Amount.Currency != money.USD:
		f.Addf("amount", "must be in USD")
	case b.Amount.Micros <= 0:
		f.Addf("amount", "must be more than nothing")
	case b.Amount.Micros > maxBudget:
		f.Addf("amount", "must be at most %s", money.Of(maxBudget, money.USD).Decimal())
	}
	if !slices.Contains(BudgetPeriods(), b.Period) {
		f.Addf("period", "must be day, week, month or total")
	}
	if len(b.Alerts) > MaxAlerts {
		f.Addf("alerts", "has %d items; at most %d are allowed", len(b.Alerts), MaxAlerts)
		return
	}
	for i, percent := range b.Alerts {
		if percent < 1 || percent > MaxAlert {
			f.Addf("alerts", "must be percents from 1 to %d", MaxAlert)
			return
		}
		if i > 0 && percent == b.Alerts[i-1] {
			f.Addf("alerts", "names %d twice", percent)
			return
		}
	}
}

// maxBudget is the largest amount, in micro-dollars: a billion dollars.
const maxBudget = 1_000_000_000 * money.MicrosPerUnit

// BudgetFilter chooses budgets. Zero fields choose all that are in force.
type BudgetFilter struct {
	Agent    id.Agent // the budgets of this agent alone
	Archived bool     // archived ones, too
}

// BudgetRepository stores budgets. Every method joins the transaction in ctx; a budget that is missing or another tenant's is
// id.NotFound[id.BudgetKind].
type BudgetRepository interface {
	// InsertBudget stores a new one; ErrTooManyBudgets when the tenant has as many as most already that are in force, also when several
	// come at once.
	InsertBudget(ctx context.Context, sc account.Scope, b CountedBudget, most int) error
	// Budget returns one.
	Budget(ctx context.Context, sc account.Scope, budget id.Budget) (Budget, error)
	// Budgets returns those that f chooses, newest first.
	Budgets(ctx context.Context, sc account.Scope, f BudgetFilter, req page.Request) (page.Page[Budget], error)
	// UpdateBudget locks one, lets the closure change it, and stores all but ID, Tenant and CreatedAt. An error of change is returned
	// and nothing is stored.
	UpdateBudget(ctx context.Context, sc account.Scope, budget id.Budget, change func(ctx context.Context, b *CountedBudget) error) (Budget, error)
	// DeleteBudgets removes the budgets of one agent alone, archived ones too.
	DeleteBudgets(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// BudgetCounts stores what budgets have counted. Every method joins the transaction in ctx and sees the scope's tenant only.
type BudgetCounts interface {
	// LockCounts returns, by id, the budgets in force that are for every agent or for one of these, locked in this order until the
	// transaction ends.
	LockCounts(ctx context.Context, sc account.Scope, agents []id.Agent) ([]CountedBudget, error)
	// StoreCounts stores the counts of budgets that LockCounts has returned.
	StoreCounts(ctx context.Context, sc account.Scope, all []CountedBudget) error
	// SpentOf returns Sums.Spent of the rows that each filter chooses, in one query. Filters begin and end with days.
	SpentOf(ctx context.Context, sc account.Scope, filters []Filter) ([]Total, error)
}
