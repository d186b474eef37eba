package telemetry

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
)

// Interval is how long the buckets of a histogram are. They begin at whole minutes, hours and days in UTC.
type Interval string

// The intervals.
const (
	IntervalMinute Interval = "minute"
	IntervalHour   Interval = "hour"
	IntervalDay    Interval = "day"
)

// MaxBuckets is how many buckets a histogram has at most.
const MaxBuckets = 1000

// spans are the lengths of intervals, and of histograms that do not say when they begin.
var spans = map[Interval]struct{ length, usual time.Duration }{
	IntervalMinute: {time.Minute, time.Hour}, IntervalHour: {time.Hour, 24 * time.Hour}, IntervalDay: {24 * time.Hour, 30 * 24 * time.Hour},
}

// Buckets are equal parts of time. Start is in UTC and at the beginning of one.
type Buckets struct {
	Start  time.Time
	Length time.Duration // whole minutes
	Count  int
}

// LevelCounts are numbers of events, by the place of their level in Levels.
type LevelCounts [4]int64

// Total is the number of events of all levels.
func (c LevelCounts) Total() int64 { return c[0] + c[1] + c[2] + c[3] }

// Bucket is a part of a histogram.
type Bucket struct {
	Start  time.Time
	Counts LevelCounts
}

// Histogram counts what f chooses by level in equal parts of time, empty ones too, the earliest first. f.Until is now when it is zero; f.Since
// is an hour, a day or 30 days before that, by the interval. Events before f.Since are not counted, though their bucket begins before it.
// ErrInvalid at "query.interval" for an unknown one, at "query.since" when there would be more than MaxBuckets, or none. Search and Fields do not count.
func (s *Traces) Histogram(ctx context.Context, sc account.Scope, f Filter, every Interval) ([]Bucket, error) {
	var k check.Faults
	span, ok := spans[every]
	if !ok {
		k.Addf("query.interval", "must be minute, hour or day")
		return nil, k.Err(ErrInvalid)
	}
	if f.Until.IsZero() {
		f.Until = clock.Stored(s.d.Clock.Now()).Add(time.Millisecond) // what came now is counted
	}
	if f.Since.IsZero() {
		f.Since = f.Until.Add(-span.usual)
	}
	b := Buckets{Start: f.Since.UTC().Truncate(span.length), Length: span.length}
	switch n := (f.Until.Sub(b.Start) + span.length - 1) / span.length; {
	case !f.Since.Before(f.Until):
		k.Addf("query.since", "must be before until")
	case n > MaxBuckets:
		k.Addf("query.since", "would make more than %d buckets; choose a longer interval or a shorter time", MaxBuckets)
	default:
		b.Count = int(n)
	}
	if err := k.Err(ErrInvalid); err != nil {
		return nil, err
	}
	counts, err := s.d.Repository.CountBuckets(ctx, sc, f, b)
	if err != nil {
		return nil, err
	}
	out := make([]Bucket, b.Count)
	for i := range out {
		out[i] = Bucket{Start: b.Start.Add(time.Duration(i) * b.Length), Counts: counts[i]}
	}
	return out, nil
}
