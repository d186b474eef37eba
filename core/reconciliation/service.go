package reconciliation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Deps is what a Service needs; all fields are required.
type Deps struct {
	Clock      clock.Clock
	Logger     *slog.Logger
	Repository Repository
	Books      Books
}

// Config tunes a Service.
type Config struct {
	// Late is how long after its beginning an act without an end, and after its expiry an open hold, counts as a difference; 0 is an
	// hour.
	Late time.Duration
	// Most is how many differences of each kind a report has; 0 is 100.
	Most int
}

// Service reconciles. It is safe for concurrent use.
type Service struct {
	d Deps
	c Config
}

// NewService returns a Service, or an error that names what d lacks.
func NewService(d Deps, c Config) (*Service, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"Clock", d.Clock == nil}, {"Logger", d.Logger == nil}, {"Repository", d.Repository == nil}, {"Books", d.Books == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("reconciliation: Deps.%s is required", dep.name)
		}
	}
	if c.Late < 0 || c.Most < 0 {
		return nil, errors.New("reconciliation: Config.Late and Config.Most must not be negative")
	}
	if c.Late == 0 {
		c.Late = time.Hour
	}
	if c.Most == 0 {
		c.Most = 100
	}
	return &Service{d, c}, nil
}

// usual is the period of a reconciliation whose caller names none; longest is the longest that one may name.
const (
	usual   = 31 * 24 * time.Hour
	longest = 366 * 24 * time.Hour
)

// inPeriod are the kinds that Repository.Differences knows, in the order of a report.
var inPeriod = []Kind{
	PaymentWithoutAct, ActNotDone, DecisionNotAllow, AmountDiffers, ActWithoutPayment, EntryWithoutAudit, AuditAmountDiffers,
	CostWithoutUsage, UsageWithoutAct, CostDiffers, SessionCostDiffers, HoldOverdue, ActStuck,
}

// Reconcile compares the tenant's books over a period, as they are at one moment. A zero To is now and a zero From is 31 days before
// To; a period that is empty or longer than a year is a fault.Invalid. The ledger's own invariants are checked over its whole life,
// whatever the period, so the cost grows with the ledger; the rest grows with what happened in the period.
func (s *Service) Reconcile(ctx context.Context, sc account.Scope, p Period) (Report, error) {
	now := clock.Stored(s.d.Clock.Now())
	p.From, p.To = clock.Stored(p.From), clock.Stored(p.To)
	if p.To.IsZero() {
		p.To = now.Add(time.Microsecond)
	}
	if p.From.IsZero() {
		p.From = p.To.Add(-usual)
	}
	switch {
	case !p.From.Before(p.To):
		return Report{}, fault.Invalidf("query.to", "must be after from")
	case p.To.Sub(p.From) > longest:
		return Report{}, fault.Invalidf("query.to", "must be at most a year after from")
	}
	r := Report{Period: p}
	err := s.d.Repository.Snapshot(ctx, func(ctx context.Context) error {
		r = Report{Period: p}
		t, err := s.d.Books.Totals(ctx, sc)
		if err != nil {
			return err
		}
		if r.Checked, err = s.d.Repository.Count(ctx, sc, p); err != nil {
			return err
		}
		r.Checked.Wallets = int64(len(t.Wallets))
		s.add(&r, ledger(t))
		for _, k := range inPeriod {
			found, err := s.d.Repository.Differences(ctx, sc, k, p, now, s.c.Late, s.c.Most+1)
			if err != nil {
				return fmt.Errorf("reconciliation: %s: %w", k, err)
			}
			s.add(&r, found)
		}
		return nil
	})
	return r, err
}

// add puts differences into the report, of each kind as many as it may have.
func (s *Service) add(r *Report, found []Difference) {
	n := map[Kind]int{}
	for _, d := range found {
		if n[d.Kind]++; n[d.Kind] > s.c.Most {
			r.Truncated = true
			continue
		}
		r.Differences = append(r.Differences, d)
	}
}

// ledger returns what is wrong with the ledger by itself.
func ledger(t wallet.Totals) []Difference {
	var out []Difference
	for _, e := range t.Unbalanced {
		out = append(out, Difference{Kind: EntryUnbalanced, Entry: e, Expected: "lines that sum to zero"})
	}
	for _, c := range t.Currencies {
		if c.Credits != c.Debits {
			out = append(out, Difference{
				Kind: CurrencyUnbalanced, Currency: c.Currency,
				Expected: money.Of(c.Credits, c.Currency).Decimal(), Found: money.Of(c.Debits, c.Currency).Decimal(),
			})
		}
	}
	for _, w := range t.Wallets {
		for _, c := range []struct {
			kind            Kind
			expected, found int64
		}{
			{AvailableDiffers, w.Available, w.Wallet.Available()},
			{HeldDiffers, w.Held, w.Wallet.Held},
			{HoldsDiffer, w.OpenHolds, w.Wallet.Held},
			{BalanceDiffers, w.BalanceAfter, w.Wallet.Balance},
			{BelowZero, 0, min(w.Wallet.Available(), w.Wallet.Held, 0)},
		} {
			if c.expected != c.found {
				out = append(out, Difference{
					Kind: c.kind, Wallet: w.Wallet.ID, Agent: w.Wallet.Agent, Currency: w.Wallet.Currency,
					Expected: decimal(c.expected, w.Wallet), Found: decimal(c.found, w.Wallet),
				})
			}
		}
	}
	return out
}

func decimal(micros int64, w wallet.Wallet) string { return w.Money(micros).Decimal() }

// maxTenants bounds how many tenants one call of ReconcileAll reconciles.
const maxTenants = 1000

// Tenants lists whom there is to reconcile.
type Tenants interface {
	// Moved returns the tenants whose money moved in the period, at most limit.
	Moved(ctx context.Context, p Period, limit int) ([]id.Tenant, error)
}

// ReconcileAll reconciles the last day of every tenant whose money moved in it, writes what disagrees into the log, and returns how
// many tenants have differences. A job calls it once a day.
func (s *Service) ReconcileAll(ctx context.Context, tenants Tenants) (int, error) {
	now := clock.Stored(s.d.Clock.Now())
	p := Period{From: now.Add(-25 * time.Hour), To: now}
	found, err := tenants.Moved(ctx, p, maxTenants)
	if err != nil {
		return 0, err
	}
	bad := 0
	for _, t := range found {
		r, err := s.Reconcile(ctx, account.System(t), p)
		if err != nil {
			return bad, err
		}
		if r.OK() {
			continue
		}
		bad++
		for _, d := range r.Differences {
			s.d.Logger.LogAttrs(ctx, slog.LevelError, "the books differ", slog.String("tenant_id", t.String()), slog.String("kind", string(d.Kind)),
				slog.String("entry_id", d.Entry.String()), slog.String("act_id", d.Act.String()), slog.String("wallet_id", d.Wallet.String()),
				slog.String("session_id", d.Session.String()), slog.String("usage_id", d.Usage.String()), slog.String("hold_id", d.Hold.String()),
				slog.String("expected", d.Expected), slog.String("found", d.Found))
		}
	}
	return bad, nil
}
