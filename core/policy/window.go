package policy

import (
	"cmp"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Key names a counter: what one limit of one policy has counted in one window.
type Key struct {
	Policy id.Policy
	Name   string // the limit's field, such as "daily_limit", or RuleCounter and the name of the plugin that asked for the cap
	Window rule.Window
	Start  time.Time // of the window, UTC; the zero Unix time for WindowAll
	Unit   string    // a currency, or UnitTokens
}

// RuleCounter begins the names of the counters of caps that plugin rules ask for.
const RuleCounter = "rule:"

// rollingPrefix begins the windows of counters that roll.
const rollingPrefix = "rolling_"

// UnitCount is the unit of counters of acts.
const UnitCount = "count"

// UnitTokens is the unit of token counters; currencies are upper-case, so none is called so.
const UnitTokens = "tokens"

// Counter is what a window holds, in micro-units or tokens.
type Counter struct {
	Key      Key
	Spent    int64 // settled
	Reserved int64 // set aside for acts that are in flight
	Fresh    bool  // read only: nothing has been counted in it yet; it may have to begin with what was spent before it was there
}

// PaymentWindows returns the names of the counters of payments and transfers that belong to limits of a policy. Nothing is ever
// set aside in them.
func PaymentWindows() []string {
	return []string{"hourly_limit", "daily_limit", "weekly_limit", "monthly_limit", "all_time_limit"}
}

// Compare orders keys; every transaction locks counters in this order.
func (k Key) Compare(o Key) int {
	return cmp.Or(
		cmp.Compare(k.Policy.UUID().String(), o.Policy.UUID().String()),
		cmp.Compare(k.Name, o.Name),
		cmp.Compare(k.Window, o.Window),
		k.Start.Compare(o.Start),
		cmp.Compare(k.Unit, o.Unit),
	)
}

// WindowStart returns when the calendar window that holds t began: in UTC, weeks from Monday as in ISO 8601. The start of
// WindowAll is the Unix epoch. ok is false for an unknown window.
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
	case rule.WindowAll:
		return time.Unix(0, 0).UTC(), true
	}
	return time.Time{}, false
}
