package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// The bounds of dashboards.
const (
	DashboardDays    = 30  // of a period that nobody named
	MaxDashboardDays = 366 // of any period
	DashboardGroups  = 100 // that are shown when nobody says how many
)

// ErrDashboard is returned for a period that no dashboard has; its fields say why.
var ErrDashboard = fault.New(fault.Invalid, "invalid_request", "the dashboard cannot be so")

// ErrorEvents counts what agents reported at the levels error and critical; app wires the store of core/telemetry.
type ErrorEvents interface {
	// CountErrors counts the events from since until before until, of one agent unless it is zero, by GroupAgent (keys are UUIDs) or
	// GroupDay (keys are days in UTC).
	CountErrors(ctx context.Context, sc account.Scope, agent id.Agent, since, until time.Time, by Grouping) (map[string]int64, error)
}

// Opinions adds up what users think; app wires the store of core/telemetry.
type Opinions interface {
	// SatisfactionBy is that of telemetry.FeedbackRepository.
	SatisfactionBy(
		ctx context.Context, sc account.Scope, f telemetry.FeedbackFilter, by telemetry.SatisfactionGrouping,
	) ([]telemetry.SatisfactionGroup, error)
}

// BoardDeps is what a Board needs; all fields are required.
type BoardDeps struct {
	Clock      clock.Clock
	Repository Repository
	Errors     ErrorEvents
	Opinions   Opinions
}

// Board shows what agents cost, how they fare and what users think of them, side by side. It reads days that were added up and indexes,
// six queries whatever the question, and never a usage row. It is safe for concurrent use.
type Board struct{ d BoardDeps }

// NewBoard returns a Board, or an error that names what d lacks.
func NewBoard(d BoardDeps) (*Board, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"Clock", d.Clock == nil}, {"Repository", d.Repository == nil}, {"Errors", d.Errors == nil}, {"Opinions", d.Opinions == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("usage: BoardDeps.%s is required", dep.name)
		}
	}
	return &Board{d}, nil
}

// DashboardRequest asks for a dashboard. Periods are whole days in UTC: the one that Since is in is the first, and the one before Until,
// or that Until is in, the last.
type DashboardRequest struct {
	Since time.Time // zero: DashboardDays before Until
	Until time.Time // zero: the end of today
	By    Grouping  // GroupNone makes no groups
	Agent id.Agent  // only what is of this agent; zero is all
	Limit int       // how many groups there are at most, those that cost most; of days, the latest. 0 is DashboardGroups
}

// Figures are what a dashboard shows of something.
type Figures struct {
	Sums

	ErrorEvents int64 // events at the levels error and critical
	Opinion     telemetry.Satisfaction
}

// DashboardGroup is what one agent (a UUID; "" for none), model, provider or day ("2026-11-21") has, and had in the period before. Of models
// and providers there are neither events nor opinions. A day has no period before.
type DashboardGroup struct {
	Key      string
	Figures  Figures
	Previous Figures
}

// Dashboard is what DashboardRequest asked for. Groups are ordered by Sums.Spent, the most expensive first, and days by time. What was only
// in the period before is a group, too, unless it is a day.
type Dashboard struct {
	Since, Until  time.Time // whole days
	PreviousSince time.Time // the period before is from here to Since: as long as the other one
	Groups        []DashboardGroup
	LeftOut       int // groups beyond the limit
	Total         Figures
	Previous      Figures
}

// Dashboard adds up a period and the one before. ErrGroup; ErrDashboard for a period that is empty or too long.
func (b *Board) Dashboard(ctx context.Context, sc account.Scope, r DashboardRequest) (Dashboard, error) {
	if !slices.Contains([]Grouping{GroupNone, GroupAgent, GroupModel, GroupProvider, GroupDay}, r.By) {
		return Dashboard{}, ErrGroup
	}
	out, err := b.period(r)
	if err != nil {
		return Dashboard{}, err
	}
	now, err := b.figures(ctx, sc, r, out.Since, out.Until)
	if err != nil {
		return Dashboard{}, err
	}
	before, err := b.figures(ctx, sc, r, out.PreviousSince, out.Since)
	if err != nil {
		return Dashboard{}, err
	}
	out.Total, out.Previous = now.total, before.total
	for key, f := range now.groups {
		g := DashboardGroup{Key: key, Figures: f}
		if r.By != GroupDay {
			g.Previous = before.groups[key]
			delete(before.groups, key)
		}
		out.Groups = append(out.Groups, g)
	}
	if r.By != GroupDay {
		for key, f := range before.groups {
			out.Groups = append(out.Groups, DashboardGroup{Key: key, Previous: f})
		}
	}
	out.sort(r.By, cmp.Or(r.Limit, DashboardGroups))
	return out, nil
}

// sort orders groups and leaves out those beyond the limit.
func (d *Dashboard) sort(by Grouping, limit int) {
	slices.SortFunc(d.Groups, func(a, b DashboardGroup) int {
		if by == GroupDay {
			return strings.Compare(b.Key, a.Key)
		}
		return cmp.Or(b.Figures.Spent().Compare(a.Figures.Spent()), b.Previous.Spent().Compare(a.Previous.Spent()), strings.Compare(a.Key, b.Key))
	})
	if len(d.Groups) > limit {
		d.LeftOut = len(d.Groups) - limit
		d.Groups = d.Groups[:limit]
	}
	if by == GroupDay {
		slices.Reverse(d.Groups)
	}
}

const aDay = 24 * time.Hour // of UTC, which has no other

// period fills in which days a dashboard shows.
func (b *Board) period(r DashboardRequest) (Dashboard, error) {
	until := r.Until.UTC().Truncate(aDay)
	switch {
	case r.Until.IsZero():
		until = b.d.Clock.Now().UTC().Truncate(aDay).Add(aDay)
	case until.Before(r.Until):
		until = until.Add(aDay)
	}
	since := r.Since.UTC().Truncate(aDay)
	if r.Since.IsZero() {
		since = until.AddDate(0, 0, -DashboardDays)
	}
	var f check.Faults
	switch days := until.Sub(since) / aDay; { // saturates
	case !since.Before(until), !r.Until.IsZero() && !r.Since.Before(r.Until):
		f.Addf("query.since", "must be before until")
	case days > MaxDashboardDays:
		f.Addf("query.since", "must be at most %d days before until", MaxDashboardDays)
	}
	return Dashboard{Since: since, Until: until, PreviousSince: since.Add(-until.Sub(since))}, f.Err(ErrDashboard)
}

// shown are the figures of one period.
type shown struct {
	groups map[string]Figures
	total  Figures
}

func (b *Board) figures(ctx context.Context, sc account.Scope, r DashboardRequest, since, until time.Time) (shown, error) {
	out := shown{groups: map[string]Figures{}}
	sums, err := b.d.Repository.Summarize(ctx, sc, Filter{Agent: r.Agent, Since: since, Until: until}, r.By)
	if err != nil {
		return shown{}, err
	}
	out.total.Sums = sums.Total
	for _, g := range sums.Groups {
		out.groups[g.Key] = Figures{Sums: g.Sums}
	}
	by, opinionsBy := GroupAgent, telemetry.SatisfactionByAgent
	if r.By == GroupDay {
		by, opinionsBy = GroupDay, telemetry.SatisfactionByDay
	}
	events, err := b.d.Errors.CountErrors(ctx, sc, r.Agent, since, until, by)
	if err != nil {
		return shown{}, err
	}
	opinions, err := b.d.Opinions.SatisfactionBy(ctx, sc, telemetry.FeedbackFilter{Agent: r.Agent, Since: since, Until: until}, opinionsBy)
	if err != nil {
		return shown{}, err
	}
	add := func(key string, change func(*Figures)) {
		change(&out.total)
		if r.By == by {
			f := out.groups[key]
			change(&f)
			out.groups[key] = f
		}
	}
	for key, n := range events {
		add(key, func(f *Figures) { f.ErrorEvents += n })
	}
	for _, g := range opinions {
		add(g.Key, func(f *Figures) { f.Opinion = together(f.Opinion, g.Satisfaction) })
	}
	return out, nil
}

// together adds up feedback.
func together(a, b telemetry.Satisfaction) telemetry.Satisfaction {
	return telemetry.Satisfaction{
		Count: a.Count + b.Count, Rated: a.Rated + b.Rated, RatingSum: a.RatingSum + b.RatingSum, ThumbsUp: a.ThumbsUp + b.ThumbsUp,
		ThumbsDown: a.ThumbsDown + b.ThumbsDown, Satisfied: a.Satisfied + b.Satisfied, Dissatisfied: a.Dissatisfied + b.Dissatisfied,
	}
}
