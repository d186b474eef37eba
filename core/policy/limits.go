package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// The bounds of the limits that are lists of a policy.
const (
	MaxWindows        = 20 // window limits
	MaxAllowedTimes   = 50
	maxStructuring    = 7 * 24 * 60 // minutes
	maxStructuredActs = 1000
)

// Measure is what a window limit counts.
type Measure string

// The measures.
const (
	MeasureAmount Measure = "amount" // money that payments and transfers move, in one currency
	MeasureCount  Measure = "count"  // payments and transfers: a velocity limit
	MeasureCost   Measure = "cost"   // what models and tools cost, in USD
	MeasureTokens Measure = "tokens" // input and output tokens of model calls
)

// WindowRun is the window of one run: a session with all its threads. An act by API outside of any session is a run of its own.
const WindowRun rule.Window = "run"

// WindowLimit caps what the whole scope consumes in one window.
//
// A calendar window begins as WindowStart says. A rolling window is the last hour, 24 hours, 7 days or 30 days, in 60 buckets: what is
// consumed leaves it only when its whole bucket has left, so that it is never shorter than its name says, and longer by up to a 60th. Either
// way an act counts in the window of its authorization.
//
// Limits that differ in nothing but the currency hold side by side, one for each currency; an act in a currency that none of them names
// is denied by them.
type WindowLimit struct {
	Measure  Measure
	Window   rule.Window // hour, day, week, month, all_time or run
	Rolling  bool        // not for all_time and run
	Max      int64       // micro-units, acts or tokens; not negative
	Currency money.Currency
}

// Name returns how decisions name the limit: "rolling_daily_limit", "hourly_count_limit", "per_run_token_limit". A limit that has a field of
// its own in Limits has the name of that field.
func (w WindowLimit) Name() string {
	if w.Measure == MeasureAmount && !w.Rolling { // most of them, and asked for at every act
		switch w.Window {
		case rule.WindowHour:
			return "hourly_limit"
		case rule.WindowDay:
			return "daily_limit"
		case rule.WindowWeek:
			return "weekly_limit"
		case rule.WindowMonth:
			return "monthly_limit"
		}
	}
	name := string(w.Window)
	switch w.Window {
	case rule.WindowHour:
		name = "hourly"
	case rule.WindowDay:
		name = "daily"
	case rule.WindowWeek:
		name = "weekly"
	case rule.WindowMonth:
		name = "monthly"
	case rule.WindowAll:
		name = "all_time"
	case WindowRun:
		name = "per_run"
	}
	if w.Rolling {
		name = "rolling_" + name
	}
	switch w.Measure {
	case MeasureAmount:
		return name + "_limit"
	case MeasureTokens:
		return name + "_token_limit"
	}
	return name + "_" + string(w.Measure) + "_limit"
}

// Unit returns the unit of the limit's counter.
func (w WindowLimit) Unit() string {
	switch w.Measure {
	case MeasureCount:
		return UnitCount
	case MeasureTokens:
		return UnitTokens
	}
	return string(w.Currency)
}

// span returns the window of the limit's counter.
func (w WindowLimit) span() rule.Window {
	if w.Rolling {
		return rollingPrefix + w.Window
	}
	return w.Window
}

// Structuring stops payments that are split to stay below a threshold.
//
// The thresholds are max_per_transaction and require_approval_above of the same policy, each by itself. A payment or transfer is near a
// threshold when it is at least NearPercent of it and the threshold does not stop it. When an act is near, those that were allowed before it
// and were near the same threshold, to the same payee, by the same scope, within the last Window, are counted. If this act would be the
// MinPayments-th, or a later one, Action is taken; since MinPayments times NearPercent is over 100, together they pass the threshold that
// each of them keeps. Payees are the same when PayeeKey says so. The window rolls, in 60 buckets; acts count from when the rule was set.
// It is decided with the counters locked, so of acts that come at once exactly as many are allowed as if they came one after the other.
type Structuring struct {
	Window      time.Duration // whole minutes, up to 7 days; 0 is DefaultStructuringWindow
	MinPayments int           // 2 to 1000; 0 is DefaultStructuringPayments
	NearPercent int           // 1 to 100; 0 is DefaultStructuringNear; MinPayments times NearPercent is over 100
	Action      Action        // Deny or RequireApproval; "" is Deny
}

// What a Structuring leaves out.
const (
	DefaultStructuringWindow   = time.Hour
	DefaultStructuringPayments = 3
	DefaultStructuringNear     = 50
)

// WithDefaults returns the rule with everything that it leaves out.
func (s Structuring) WithDefaults() Structuring {
	if s.Window == 0 {
		s.Window = DefaultStructuringWindow
	}
	if s.MinPayments == 0 {
		s.MinPayments = DefaultStructuringPayments
	}
	if s.NearPercent == 0 {
		s.NearPercent = DefaultStructuringNear
	}
	if s.Action == "" {
		s.Action = Deny
	}
	return s
}

// Action is what a limit does that finds something.
type Action string

// The actions.
const (
	Allow           Action = "allow"
	RequireApproval Action = "require_approval"
	Deny            Action = "deny"
)

// Weekday is a day of the week as callers spell it: "mon" to "sun".
type Weekday string

// weekdays in the order of time.Weekday.
var weekdays = []Weekday{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// TimeRange is a part of the week in which payments and transfers are allowed.
//
// It goes from From, inclusive, to To, exclusive, by the clock on the wall in Zone, whatever daylight saving does to it: an hour that comes
// twice is in it twice, one that is left out is not in it. When To is not after From the range goes over midnight and belongs to the day
// on which it begins.
type TimeRange struct {
	Days []Weekday // none: every day
	From string    // "09:00"
	To   string    // "17:00"; "24:00" is the end of the day
	Zone string    // of the IANA database, such as "Europe/Berlin"; "" is UTC
}

// namedWindows is how many window limits have fields of their own.
const namedWindows = 10

// named appends the window limits that have fields of their own, in the order of the fields.
func (l *Limits) named(out []WindowLimit) []WindowLimit {
	add := func(m Measure, w rule.Window, a *money.Amount) {
		if a != nil {
			out = append(out, WindowLimit{Measure: m, Window: w, Max: a.Micros, Currency: a.Currency})
		}
	}
	tokens := func(w rule.Window, n *int64) {
		if n != nil {
			out = append(out, WindowLimit{Measure: MeasureTokens, Window: w, Max: *n})
		}
	}
	add(MeasureAmount, rule.WindowHour, l.HourlyLimit)
	add(MeasureAmount, rule.WindowDay, l.DailyLimit)
	add(MeasureAmount, rule.WindowWeek, l.WeeklyLimit)
	add(MeasureAmount, rule.WindowMonth, l.MonthlyLimit)
	add(MeasureAmount, rule.WindowAll, l.AllTimeLimit)
	add(MeasureAmount, WindowRun, l.PerRunLimit)
	add(MeasureCost, rule.WindowDay, l.DailyCostLimit)
	add(MeasureCost, rule.WindowMonth, l.MonthlyCostLimit)
	tokens(rule.WindowDay, l.DailyTokenLimit)
	tokens(rule.WindowMonth, l.MonthlyTokenLimit)
	return out
}

// AllWindows returns every window limit: those that have fields of their own, then Windows.
func (l Limits) AllWindows() []WindowLimit { return append(l.named(nil), l.Windows...) }

func (l Limits) validateMore(add func(path, format string, args ...any)) {
	l.validateWindows(add)
	if s := l.Structuring; s != nil {
		s.validate(add)
		if l.MaxPerTransaction == nil && l.RequireApprovalAbove == nil {
			add("limits.structuring", "needs max_per_transaction or require_approval_above beside it")
		}
	}
	switch l.NewPayee {
	case "", Allow, RequireApproval, Deny:
	default:
		add("limits.new_payee", "must be allow, require_approval or deny")
	}
	if len(l.AllowedTimes) > MaxAllowedTimes {
		add("limits.allowed_times", "must have at most %d entries", MaxAllowedTimes)
		return
	}
	for i, t := range l.AllowedTimes {
		t.validate(fmt.Sprintf("limits.allowed_times[%d]", i), add)
	}
}

func (l Limits) validateWindows(add func(path, format string, args ...any)) {
	if len(l.Windows) > MaxWindows {
		add("limits.windows", "must have at most %d entries", MaxWindows)
		return
	}
	seen := l.named(nil)
	for i, w := range l.Windows {
		path := fmt.Sprintf("limits.windows[%d]", i)
		if !w.validate(path, add) {
			continue
		}
		if slices.ContainsFunc(seen, func(o WindowLimit) bool { return o.Name() == w.Name() && o.Unit() == w.Unit() }) {
			add(path, "is a second %s of this policy", w.Name())
		}
		seen = append(seen, w)
	}
}

func (w WindowLimit) validate(path string, add func(path, format string, args ...any)) bool {
	switch w.Measure {
	case MeasureAmount, MeasureCost:
		if _, err := money.ParseCurrency(string(w.Currency)); err != nil {
			add(path+".max.currency", "must have 3 to 8 upper-case letters or digits, like %q", money.USDC)
			return false
		}
		if w.Measure == MeasureCost && w.Currency != money.USD {
			add(path+".max.currency", "must be USD, the currency of costs")
			return false
		}
	case MeasureCount, MeasureTokens:
		if w.Currency != "" {
			add(path+".max", "is for the measures amount and cost; %s has max_count", w.Measure)
			return false
		}
	default:
		add(path+".measure", "must be amount, count, cost or tokens")
		return false
	}
	switch w.Window {
	case rule.WindowHour, rule.WindowDay, rule.WindowWeek, rule.WindowMonth:
	case rule.WindowAll, WindowRun:
		if w.Rolling {
			add(path+".rolling", "is not for the window %s", w.Window)
			return false
		}
	default:
		add(path+".window", "must be hour, day, week, month, all_time or run")
		return false
	}
	if w.Max < 0 {
		add(path+".max", "must not be negative")
		return false
	}
	return true
}

func (s Structuring) validate(add func(path, format string, args ...any)) {
	s = s.WithDefaults()
	if s.Window < time.Minute || s.Window > maxStructuring*time.Minute || s.Window%time.Minute != 0 {
		add("limits.structuring.window_minutes", "must be between 1 and %d", maxStructuring)
	}
	if s.MinPayments < 2 || s.MinPayments > maxStructuredActs {
		add("limits.structuring.min_payments", "must be between 2 and %d", maxStructuredActs)
	}
	if s.NearPercent < 1 || s.NearPercent > 100 {
		add("limits.structuring.near_percent", "must be between 1 and 100")
	}
	if s.MinPayments*s.NearPercent <= 100 {
		add("limits.structuring.min_payments", "times near_percent must be over 100, so that the payments pass the threshold together")
	}
	if s.Action != Deny && s.Action != RequireApproval {
		add("limits.structuring.action", "must be deny or require_approval")
	}
}

func (t TimeRange) validate(path string, add func(path, format string, args ...any)) {
	for i, d := range t.Days {
		if !slices.Contains(weekdays, d) {
			add(fmt.Sprintf("%s.days[%d]", path, i), "must be mon, tue, wed, thu, fri, sat or sun")
		}
	}
	if len(t.Days) > len(weekdays) {
		add(path+".days", "must have at most %d entries", len(weekdays))
	}
	from, ok := minuteOf(t.From)
	if !ok || from == dayMinutes {
		add(path+".from", "must be a time of day like \"09:00\"")
	}
	to, ok := minuteOf(t.To)
	switch {
	case !ok:
		add(path+".to", "must be a time of day like \"17:00\", or \"24:00\"")
	case to == from:
		add(path+".to", "must differ from from; a whole day is 00:00 to 24:00")
	}
	if _, err := zone(t.Zone); err != nil {
		add(path+".timezone", "must be a zone of the IANA database, like \"Europe/Berlin\"")
	}
}
