package policy

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // the zones must not depend on the machine
)

const dayMinutes = 24 * 60

// zones caches what zone has read.
var zones sync.Map

var errZone = errors.New("policy: no such time zone")

// zone returns a zone of the IANA database; "" is UTC. The zone of the machine is none.
func zone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), nil //nolint:forcetypeassert // nothing else is stored
	}
	if len(name) > maxItemBytes || strings.EqualFold(name, "local") {
		return nil, errZone
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, errZone
	}
	zones.Store(name, loc) // as many as there are names in the database
	return loc, nil
}

// minuteOf reads "09:30" as a minute of the day; "24:00" is dayMinutes.
func minuteOf(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	digit := func(i int) int {
		if s[i] < '0' || s[i] > '9' {
			return 1000
		}
		return int(s[i] - '0')
	}
	h, m := 10*digit(0)+digit(1), 10*digit(3)+digit(4)
	if h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, false
	}
	return 60*h + m, true
}

// holds reports whether at lies in the range. A range that cannot be read holds nothing.
func (t TimeRange) holds(at time.Time) bool {
	loc, err := zone(t.Zone)
	from, ok1 := minuteOf(t.From)
	to, ok2 := minuteOf(t.To)
	if err != nil || !ok1 || !ok2 {
		return false
	}
	local := at.In(loc)
	now := 60*local.Hour() + local.Minute()
	on := func(d time.Weekday) bool { return len(t.Days) == 0 || slices.Contains(t.Days, weekdays[(d+7)%7]) }
	if from < to {
		return on(local.Weekday()) && from <= now && now < to
	}
	return on(local.Weekday()) && now >= from || on(local.Weekday()-1) && now < to
}
