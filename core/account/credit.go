package account

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// Credits is what a tenant may still start runs with. They are counted by the calendar month, UTC; nothing is carried over.
type Credits struct {
	Plan      Plan
	Remaining int       // of this month, without what runs that are under way have reserved; Unlimited
	Total     int       // per month; Unlimited
	ResetsAt  time.Time // the first of the next month, 00:00 UTC
}

// CreditMonth is what has become of a month's credits.
type CreditMonth struct {
	Used     int // by runs that have ended
	Reserved int // by runs that have not
}

// CreditCharge is what one run takes of the credits of the month in which it started. There is one per run, for ever.
type CreditCharge struct {
	Run     id.Run
	Month   time.Time // its first instant, UTC
	Metered bool      // false: the plan was unlimited when the run started, and nothing is deducted
	// Reserved is what the run was started with, until it ends; Charged is what it took then.
	Reserved  int
	Charged   int
	CreatedAt time.Time
	SettledAt *time.Time // nil while the run goes on
}

// CreditRepository keeps credits. Calls join the transaction in ctx. Implementations are safe for concurrent use.
type CreditRepository interface {
	// CreditMonth returns what has become of a month's credits; zero when nothing has.
	CreditMonth(ctx context.Context, sc Scope, month time.Time) (CreditMonth, error)
	// LockCreditMonth is CreditMonth, and keeps others from it until the transaction ends.
	LockCreditMonth(ctx context.Context, sc Scope, month time.Time) (CreditMonth, error)
	// SaveMonth stores a month that LockCreditMonth has locked.
	SaveCreditMonth(ctx context.Context, sc Scope, month time.Time, m CreditMonth) error
	// InsertCharge adds the charge of a run that has none; otherwise it is ErrDuplicate.
	InsertCharge(ctx context.Context, sc Scope, c CreditCharge) error
	// LockCharge returns the charge of a run and locks it; false when there is none.
	LockCharge(ctx context.Context, sc Scope, run id.Run) (CreditCharge, bool, error)
	// SettleCharge stores Charged and SettledAt, and Reserved as nothing.
	SettleCharge(ctx context.Context, sc Scope, c CreditCharge) error
	// Charges sums the charges of a month, which is what CreditMonth says unless something is broken.
	Charges(ctx context.Context, sc Scope, month time.Time) (CreditMonth, error)
}

// monthOf returns the first instant of the calendar month of t, UTC.
func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Credits returns what the tenant of sc has left of this month's credits.
func (s *Service) Credits(ctx context.Context, sc Scope) (Credits, error) {
	t, err := s.deps.Tenants.Tenant(ctx, sc)
	if err != nil {
		return Credits{}, err
	}
	month := monthOf(s.deps.Clock.Now())
	out := Credits{Plan: t.Plan, Total: t.Plan.Limits().MonthlyCredits, ResetsAt: month.AddDate(0, 1, 0)}
	if out.Total == Unlimited {
		out.Remaining = Unlimited
		return out, nil
	}
	m, err := s.deps.Credits.CreditMonth(ctx, sc, month)
	out.Remaining = max(0, out.Total-m.Used-m.Reserved)
	return out, err
}

// ReserveCredits sets aside what a run costs at least, in the transaction in ctx, in which the run is made. It returns
// ErrCreditsExhausted when the month has fewer left, and then nothing is set aside. Callers who come at once wait for each other, so
// that together they never reserve more than there is.
func (s *Service) ReserveCredits(ctx context.Context, sc Scope, run id.Run, least int) error {
	return s.deps.TX.Do(ctx, func(ctx context.Context) error {
		t, err := s.deps.Tenants.Tenant(ctx, sc)
		if err != nil {
			return err
		}
		now := clock.Stored(s.deps.Clock.Now())
		c := CreditCharge{Run: run, Month: monthOf(now), CreatedAt: now}
		if total := t.Plan.Limits().MonthlyCredits; total != Unlimited {
			m, err := s.deps.Credits.LockCreditMonth(ctx, sc, c.Month)
			if err != nil {
				return err
			}
			if left := total - m.Used - m.Reserved; left < least {
				return ErrCreditsExhausted.Withf("a run needs %d credits, and %d of this month's %d are left", least, max(0, left), total)
			}
			c.Metered, c.Reserved = true, least
			m.Reserved += least
			if err := s.deps.Credits.SaveCreditMonth(ctx, sc, c.Month, m); err != nil {
				return err
			}
		}
		return s.deps.Credits.InsertCharge(ctx, sc, c)
	})
}

// SettleCredits charges a run that has ended, in the transaction in ctx, in which it ends, and returns what it took: cost, or what is left
// of the month in which it started when that is less, but never less than was reserved for it. Nothing is taken from a plan without a
// limit. A run is charged once: a second call returns what the first one took.
func (s *Service) SettleCredits(ctx context.Context, sc Scope, run id.Run, cost int) (charged int, err error) {
	err = s.deps.TX.Do(ctx, func(ctx context.Context) error {
		c, ok, err := s.deps.Credits.LockCharge(ctx, sc, run)
		if err != nil || !ok || c.SettledAt != nil {
			charged = c.Charged
			return err
		}
		now := clock.Stored(s.deps.Clock.Now())
		if c.Metered {
			if c.Charged, err = s.spendCredits(ctx, sc, c, cost); err != nil {
				return err
			}
		}
		charged, c.SettledAt = c.Charged, &now
		return s.deps.Credits.SettleCharge(ctx, sc, c)
	})
	return charged, err
}

// spendCredits turns what a run has reserved into what it used.
func (s *Service) spendCredits(ctx context.Context, sc Scope, c CreditCharge, cost int) (int, error) {
	t, err := s.deps.Tenants.Tenant(ctx, sc)
	if err != nil {
		return 0, err
	}
	m, err := s.deps.Credits.LockCreditMonth(ctx, sc, c.Month)
	if err != nil {
		return 0, err
	}
	m.Reserved -= c.Reserved
	if total := t.Plan.Limits().MonthlyCredits; total != Unlimited {
		cost = min(cost, total-m.Used-m.Reserved)
	}
	cost = max(cost, c.Reserved)
	m.Used += cost
	return cost, s.deps.Credits.SaveCreditMonth(ctx, sc, c.Month, m)
}
