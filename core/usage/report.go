package usage

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// Report is a client's own account of a model's use.
type Report struct {
	Agent     id.Agent
	Model     string
	Provider  string // "": the model's price decides who it was
	Counts    Counts
	Cost      *money.Pico // what the client thinks that it cost
	Calls     int64       // 0 is 1
	Errors    int64       // of Calls, those that failed
	Latency   time.Duration
	Service   string    // the service tier, in any case; "" is the usual one
	Modifiers []string  // MaxModifiers at most: a region, a speed, or what else prices have Multipliers for
	At        time.Time // when it was used; zero is now. At most MaxAhead ahead, since clocks differ
}

// MaxReports is how many reports one call may bring.
const MaxReports = 500

// MaxAhead is how far ahead of the server's clock a client's may be.
const MaxAhead = 5 * time.Minute

// Report stores what a client reports: id.NotFound when the tenant has no such agent, otherwise as Record.
func (s *Service) Report(ctx context.Context, sc account.Scope, r Report) (Row, error) {
	rows, err := s.reports(ctx, sc, []Report{r}, func(int) string { return "" })
	if err != nil {
		return Row{}, err
	}
	return rows[0], nil
}

// Reports stores several reports, or none of them when one is wrong. They are stored in their order, MaxReports at most. What is wrong
// with one has a path such as "reports[3].tokens_input"; id.NotFound when the tenant lacks one of the agents.
func (s *Service) Reports(ctx context.Context, sc account.Scope, reports []Report) ([]Row, error) {
	if len(reports) == 0 || len(reports) > MaxReports {
		return nil, fault.Invalidf("reports", "has %d items; 1 to %d are allowed", len(reports), MaxReports)
	}
	return s.reports(ctx, sc, reports, func(i int) string { return fmt.Sprintf("reports[%d].", i) })
}

func (s *Service) reports(ctx context.Context, sc account.Scope, reports []Report, path func(i int) string) ([]Row, error) {
	l, err := s.d.Lists.List(ctx, sc)
	if err != nil {
		return nil, err
	}
	now := s.d.Clock.Now()
	rows := make([]Row, len(reports))
	var agents []id.Agent
	for i, r := range reports {
		var f check.Faults
		r.check(&f, path(i), now)
		if err := f.Err(ErrInvalid); err != nil {
			return nil, err
		}
		if rows[i], err = s.complete(sc, l, r.row(l, now)); err != nil {
			return nil, under(err, path(i))
		}
		if !slices.Contains(agents, r.Agent) {
			agents = append(agents, r.Agent)
		}
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		for _, a := range agents {
			if err := s.d.Agents.Exists(ctx, sc, a); err != nil {
				return err
			}
		}
		return s.store(ctx, sc, rows...)
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// under names the item of a list that an error is about.
func under(err error, path string) error {
	f, ok := fault.As(err)
	if path == "" || !ok {
		return err
	}
	item := *f
	item.Fields = make([]fault.Field, len(f.Fields))
	for i, field := range f.Fields {
		item.Fields[i] = fault.Field{Path: path + field.Path, Message: field.Message}
		if field.Path == wholeBody {
			item.Fields[i].Path = strings.TrimSuffix(path, ".")
		}
	}
	return &item
}

func (r Report) check(f *check.Faults, path string, now time.Time) {
	f.Given(path+"model", r.Model, 200)
	f.Text(path+"provider", r.Provider, 100)
	for _, n := range []struct {
		path  string
		value int64
	}{
		{"tokens_input", r.Counts.Input}, {"tokens_output", r.Counts.Output}, {"cached_tokens", r.Counts.CacheRead},
		{"cache_write_tokens", r.Counts.CacheWrite5m}, {"cache_write_1h_tokens", r.Counts.CacheWrite1h},
		{"reasoning_tokens", r.Counts.Reasoning}, {"api_calls", r.Calls}, {"errors", r.Errors}, {"avg_latency_ms", int64(r.Latency)},
		{"cost", value((*int64)(r.Cost))},
	} {
		if n.value < 0 {
			f.Addf(path+n.path, "must not be negative")
		}
	}
	if service := ServiceOf(r.Service); service != "" && !modifierName.MatchString(service) {
		f.Addf(path+"service_tier", "must be a name of at most 32 letters, digits, _, . and -")
	}
	if len(r.Modifiers) > MaxModifiers {
		f.Addf(path+"modifiers", "has %d items; at most %d are allowed", len(r.Modifiers), MaxModifiers)
	}
	for i, m := range r.Modifiers {
		if !modifierName.MatchString(strings.ToLower(m)) {
			f.Addf(fmt.Sprintf("%smodifiers[%d]", path, i), "must be a name of at most 32 letters, digits, _, . and -")
		}
	}
	if r.At.After(now.Add(MaxAhead)) {
		f.Addf(path+"used_at", "must not be in the future")
	}
	if !r.At.IsZero() && r.At.Year() < 2000 {
		f.Addf(path+"used_at", "must not be before the year 2000")
	}
}

// row makes a row of a report that is in order.
func (r Report) row(l *List, now time.Time) Row {
	at := clock.Stored(now)
	if !r.At.IsZero() {
		at = clock.Stored(r.At)
	}
	row := Row{
		Agent: r.Agent, Model: r.Model, Provider: r.Provider, CountedInput: r.Counts.Input, Calls: r.Calls, Errors: r.Errors, Reported: r.Cost,
		Latency: r.Latency, CreatedAt: at, Service: r.Service, Modifiers: r.Modifiers,
	}
	var clamped bool
	if row.Usage, clamped = l.ConventionOf(r.Provider, r.Model, at).Buckets(r.Counts); clamped {
		row.Flags |= FlagClamped
	}
	return row
}

// modifiersOf returns names in lower case and ascending order, each once.
func modifiersOf(names []string) []string {
	if len(names) == 0 {
		return nil
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToLower(n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
