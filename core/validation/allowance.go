package validation

import (
	"context"
	"net/netip"
	"time"

	"github.com/bureau-agents/bureau/core/account"
)

// Anonymous is what Allowance.Plan says of callers without a key.
const Anonymous = "anonymous"

const (
	// anonymousPerDay is how many cards an address may have judged without a key in a day.
	anonymousPerDay = 5
	// strangersPerDay is how many all addresses together may. It keeps the counters of addresses, which cost nothing to have many of, from
	// filling the database, and is not scaled.
	strangersPerDay = 100_000
	// strangers is the subject that counts them.
	strangers = "strangers"
)

// Caller is who has cards judged.
type Caller struct {
	Scope account.Scope // zero without a key
	Addr  netip.Addr    // of whoever sends no key: the peer's, or what a trusted proxy says it is
}

// Anonymous reports whether the caller has sent no key.
func (c Caller) Anonymous() bool { return c.Scope.Tenant.IsZero() }

// plan names what the caller's allowance follows from.
func (c Caller) plan() string {
	if c.Anonymous() {
		return Anonymous
	}
	return string(c.Scope.Plan)
}

// subject is who is counted: a tenant, or an address. Providers give a customer 2^64 addresses of IPv6 at least, and those count as one.
func (c Caller) subject() string {
	if !c.Anonymous() {
		return "tenant " + c.Scope.Tenant.UUID().String()
	}
	addr := c.Addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return "address " + p.Masked().String()
		}
	}
	return "address " + addr.String()
}

// Allowance is what a caller may still have judged today.
type Allowance struct {
	Used      int // today, also when there is no limit
	Limit     int // per day, UTC; account.Unlimited
	Remaining int // account.Unlimited without a limit
	Plan      string
	Resets    time.Time // when the day ends
}

// dayOf returns the first instant of the day of t, UTC.
func dayOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

// limit returns how many cards the caller may have judged in a day, account.Unlimited for any number.
func (s *Service) limit(c Caller) int {
	most := anonymousPerDay
	if !c.Anonymous() {
		most = c.Scope.Plan.Limits().DailyValidations
	}
	if most < 0 || s.c.RateScale == 0 {
		return account.Unlimited
	}
	return max(1, int(float64(most)*s.c.RateScale))
}

func (s *Service) allowance(c Caller, used int, now time.Time) Allowance {
	a := Allowance{Used: used, Limit: s.limit(c), Remaining: account.Unlimited, Plan: c.plan(), Resets: dayOf(now).AddDate(0, 0, 1)}
	if a.Limit >= 0 {
		a.Remaining = max(0, a.Limit-used)
	}
	return a
}

// Allowance returns what the caller may still have judged today, without counting anything. When the store cannot be asked, Used is what
// it can be at most, beside the error.
func (s *Service) Allowance(ctx context.Context, c Caller) (Allowance, error) {
	now := s.now()
	used, err := s.d.Allowances.Used(ctx, c.subject(), dayOf(now))
	if err != nil {
		used = max(0, s.limit(c))
	}
	return s.allowance(c, used, now), err
}

// exhausted is the error of a caller for whom n more cards are too many.
func (s *Service) exhausted(a Allowance, n int, now time.Time) error {
	why := ErrExhausted.Withf("%d of the %d validations of today are used; the next day begins at 00:00 UTC", a.Used, a.Limit)
	switch {
	case a.Limit < 0 || a.Remaining >= n:
		why = ErrExhausted.Withf("too many validations were made without a key today; send an API key")
	case n > 1:
		why = ErrExhausted.Withf("%d cards are more than the %d validations that are left of today's %d", n, a.Remaining, a.Limit)
	}
	return why.WithRetry(max(time.Second, a.Resets.Sub(now)))
}

// take counts n cards of the caller, in the transaction in ctx, or returns ErrExhausted with what there is left.
func (s *Service) take(ctx context.Context, c Caller, n int, now time.Time) (Allowance, error) {
	day := dayOf(now)
	used, ok, err := s.d.Allowances.Take(ctx, c.subject(), day, n, s.limit(c))
	if err != nil {
		return Allowance{}, err
	}
	a := s.allowance(c, used, now)
	if ok && c.Anonymous() {
		// The counter that all share comes last, so that it is locked for as short as can be.
		if _, ok, err = s.d.Allowances.Take(ctx, strangers, day, n, strangersPerDay); err != nil {
			return Allowance{}, err
		}
		if !ok {
			a = s.allowance(c, used-n, now)
		}
	}
	if !ok {
		return a, s.exhausted(a, n, now)
	}
	return a, nil
}
