package policy

import (
	"bytes"
	"cmp"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Key names a counter: what one limit of one policy has counted in one window.
type Key struct {
	Policy id.Policy
	// Name is that of the limit, such as "daily_limit", RuleCounter and the name of the plugin that asked for the cap, or
	// StructuringCounter with the threshold and what stands for the payee.
	Name   string
	Window rule.Window // hour, day, week, month, all_time, run, or one that Rolls
	Start  time.Time   // of the window, UTC; the zero Unix time for WindowAll and WindowRun; of the bucket of a window that rolls
	Unit   string      // a currency, UnitCount or UnitTokens
	Run    id.Session  // WindowRun: which; zero otherwise
}

// RuleCounter begins the names of the counters of caps that plugin rules ask for.
const RuleCounter = "rule:"

// rollingPrefix begins the windows of counters that roll.
const rollingPrefix = "rolling_"

// UnitCount is the unit of counters of acts.
const UnitCount = "count"

// StructuringCounter begins the names of the counters of Structuring.
const StructuringCounter = "structuring:"

// UnitTokens is the unit of token counters; currencies are upper-case, so none is called so.
const UnitTokens = "tokens"

// Counter is what a window holds, in micro-units or tokens.
type Counter struct {
	Key      Key
	Spent    int64 // settled
	Reserved int64 // set aside for acts that are in flight
	Fresh    bool  // read only: nothing has been counted in it yet; it may have to begin with what was spent before it was there

	// Counters of windows that roll are read as the sum of the buckets that are in the window which ends in the bucket of Key, and changed
	// in that bucket.
}

// Since returns from when on payments and transfers matter for the windows that the policy looks at when one is decided at this moment; the
// zero time: from ever.
func (p Policy) Since(at time.Time) time.Time {
	if p.AsksForPayee() {
		return time.Time{}
	}
	since := at
	look := func(w rule.Window) bool {
		start, ok := WindowStart(w, at)
		if begin := WindowSince(Key{Window: w, Start: start}); ok && begin.Before(since) {
			since = begin
		}
		return w != rule.WindowAll && w != WindowRun
	}
	for _, w := range p.Limits.AllWindows() {
		if (w.Measure == MeasureAmount || w.Measure == MeasureCount) && !look(w.span()) {
			return time.Time{}
		}
	}
	if s := p.Limits.Structuring; s != nil {
		look(minutesWindow(s.WithDefaults().Window))
	}
	return since
}

// CounterName is the name and the unit of counters.
type CounterName struct {
	Name string
	Unit string
}

// Lasting returns the counters that a policy with these limits goes on with when it is changed: those of costs and tokens that it limits.
// All others are begun anew with what was spent, also while a limit was not there to count; so are these when they were not there before.
// Those whose names begin with StructuringCounter last while Structuring is set.
func (l Limits) Lasting() []CounterName {
	var out []CounterName
	for _, w := range l.AllWindows() {
		if w.Measure == MeasureCost || w.Measure == MeasureTokens {
			out = append(out, CounterName{w.Name(), w.Unit()})
		}
	}
	return out
}

// Compare orders keys; every transaction locks counters in this order.
func (k Key) Compare(o Key) int { return k.compare(&o) }

func (k *Key) compare(o *Key) int {
	if n := compareUUID(k.Policy.UUID(), o.Policy.UUID()); n != 0 {
		return n
	}
	if n := cmp.Compare(k.Name, o.Name); n != 0 {
		return n
	}
	if n := cmp.Compare(k.Window, o.Window); n != 0 {
		return n
	}
	if n := k.Start.Compare(o.Start); n != 0 {
		return n
	}
	if n := cmp.Compare(k.Unit, o.Unit); n != 0 {
		return n
	}
	return compareUUID(k.Run.UUID(), o.Run.UUID())
}

func compareUUID(a, b id.UUID) int { return bytes.Compare(a[:], b[:]) }

// WindowStart returns when the calendar window that holds t began: in UTC, weeks from Monday as in ISO 8601. The start of
// WindowAll and WindowRun is the Unix epoch, that of a window that rolls the start of the bucket of t. ok is false for an unknown window.
func WindowStart(w rule.Window, t time.Time) (start time.Time, ok bool) {
	t = t.UTC()
	y, m, d := t.Date()
	switch w {
	case rule.WindowHour:
		return time.Date(y, m, d, t.Hour(), 0, 0, 0, time.UTC), true
	case rule.WindowDay:
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC), true
	case rule.WindowWeek:
		return time.Date(y, m, d-(int(t.Weekday())+6)%7, 0, 0, 0, 0, time.UTC), true
	case rule.WindowMonth:
		return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC), true
	case rule.WindowAll, WindowRun:
		return time.Unix(0, 0).UTC(), true
	}
	width, ok := bucketWidth(w)
	if !ok {
		return time.Time{}, false
	}
	return bucketOf(width, t), true
}
