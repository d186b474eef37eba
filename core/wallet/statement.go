package wallet

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Statement is what a wallet did in a period: Opening, with In and without Out, is Closing.
type Statement struct {
	Wallet  Wallet    // as it is now; the zero ID when nobody has asked for the wallet yet
	From    time.Time // the first moment of the period
	To      time.Time // the first moment after it
	Opening int64     // micro-units owned when the period began, held ones included
	Closing int64     // owned when it ended; until now when it has not
	In      int64     // what came in, summed
	Out     int64     // what went out, summed
	Kinds   []KindTotal
}

// KindTotal sums the transactions of one kind and direction in a period.
type KindTotal struct {
	Kind   Kind
	Count  int64
	Amount int64 // micro-units: above zero came in, below zero went out
}

// maxStatement is the longest period of a statement.
const maxStatement = 10 * 366 * 24 * time.Hour

// Statement returns what the agent's wallet in a currency ("" is DefaultCurrency) did from a moment until before another. A zero
// from is the beginning of the month, in UTC, in which the period ends; a zero to is now; both are the month that is going on. The
// zero agent is the tenant itself. A transaction belongs to the period in which the wallet recorded it, see Transaction.CreatedAt, so that
// periods that meet leave nothing out and count nothing twice. The balances are those that the wallet had, not sums: the cost is
// that of the period's own transactions. fault.Invalid for a period that is empty or longer than ten years, id.NotFound when the
// tenant has no such agent.
func (s *Service) Statement(
	ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency, from, to time.Time,
) (Statement, error) {
	from, to = clock.Stored(from), clock.Stored(to)
	switch {
	case from.IsZero() && to.IsZero():
		from = monthOf(s.now())
		to = from.AddDate(0, 1, 0)
	case from.IsZero():
		from = monthOf(to.Add(-time.Microsecond))
	case to.IsZero():
		to = s.now().Add(time.Microsecond)
	}
	switch {
	case !from.Before(to):
		return Statement{}, fault.Invalidf("query.to", "must be after from")
	case to.Sub(from) > maxStatement:
		return Statement{}, fault.Invalidf("query.to", "must be at most ten years after from")
	}
	if err := s.exists(ctx, sc, agent); err != nil {
		return Statement{}, err
	}
	w, err := s.d.Repository.Get(ctx, sc, agent, currency(c))
	if errors.Is(err, ErrNoWallet) {
		return Statement{Wallet: Wallet{Tenant: sc.Tenant, Agent: agent, Currency: currency(c)}, From: from, To: to}, nil
	}
	if err != nil {
		return Statement{}, err
	}
	st, err := s.d.Books.Statement(ctx, sc, w.ID, from, to)
	if err != nil {
		return Statement{}, err
	}
	st.Wallet, st.From, st.To = w, from, to
	for _, k := range st.Kinds {
		if k.Amount > 0 {
			st.In += k.Amount
		} else {
			st.Out -= k.Amount
		}
	}
	return st, nil
}

// monthOf returns the beginning of the month in which t lies.
func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// Month returns the calendar month in UTC that a text such as "2026-11" names. fault.Invalid at "query.period".
func Month(text string) (from, to time.Time, err error) {
	from, err = time.Parse("2006-01", text)
	if err != nil || from.Year() < 1 {
		return time.Time{}, time.Time{}, fault.Invalidf("query.period", "must be a month such as 2026-11")
	}
	return from, from.AddDate(0, 1, 0), nil
}
