package policy

import (
	"math"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

func instant(tb testing.TB, s string) time.Time {
	tb.Helper()
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestWindowEdges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		window rule.Window
		at     string
		start  string
	}{
		{rule.WindowDay, "2024-02-28T23:59:59.999999Z", "2024-02-28T00:00:00Z"},
		{rule.WindowDay, "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"}, // a leap day
		{rule.WindowMonth, "2024-02-29T23:59:59Z", "2024-02-01T00:00:00Z"},
		{rule.WindowMonth, "2024-03-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{rule.WindowMonth, "2100-02-28T23:59:59Z", "2100-02-01T00:00:00Z"}, // no leap year
		{rule.WindowMonth, "2100-03-01T00:00:00Z", "2100-03-01T00:00:00Z"},
		{rule.WindowMonth, "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z"},
		{rule.WindowMonth, "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{rule.WindowWeek, "2026-12-31T12:00:00Z", "2026-12-28T00:00:00Z"}, // the ISO week of a year's end
		{rule.WindowWeek, "2027-01-03T23:59:59Z", "2026-12-28T00:00:00Z"},
		{rule.WindowWeek, "2027-01-04T00:00:00Z", "2027-01-04T00:00:00Z"},
		{rule.WindowHour, "2026-03-29T03:30:00+02:00", "2026-03-29T01:00:00Z"}, // Europe's clocks go forward; UTC does not mind
		{rule.WindowHour, "2026-10-25T02:30:00+02:00", "2026-10-25T00:00:00Z"}, // and back
		{rule.WindowHour, "2026-10-25T02:30:00+01:00", "2026-10-25T01:00:00Z"},
		{rule.WindowDay, "2026-07-15T00:30:00+05:45", "2026-07-14T00:00:00Z"},
		{"rolling_hour", "2026-07-15T12:30:59.9Z", "2026-07-15T12:30:00Z"},
		{"rolling_day", "2026-07-15T12:30:59Z", "2026-07-15T12:24:00Z"},
		{"rolling_10m", "2026-07-15T12:30:59Z", "2026-07-15T12:30:50Z"},
		{"rolling_hour", "1969-12-31T23:59:59Z", "1969-12-31T23:59:00Z"},
		{WindowRun, "2026-07-15T12:30:59Z", "1970-01-01T00:00:00Z"},
	} {
		start, ok := WindowStart(c.window, instant(t, c.at))
		if !ok || !start.Equal(instant(t, c.start)) || start.Location() != time.UTC {
			t.Errorf("%s at %s begins at %s, %v; want %s", c.window, c.at, start, ok, c.start)
		}
	}
	for _, w := range []rule.Window{"", "year", "rolling_", "rolling_all_time", "rolling_run", "rolling_0m", "rolling_-5m", "rolling_m", "rolling_xm"} {
		if start, ok := WindowStart(w, noon); ok {
			t.Errorf("%q begins at %s", w, start)
		}
	}
}

// FuzzWindows checks that each instant lies in its window, that windows are without gaps and overlaps, and that a start is its own.
func FuzzWindows(f *testing.F) {
	for _, s := range []string{"2024-02-29T23:59:59.999999Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z", "1999-12-27T00:00:00Z", "2100-02-28T23:59:59Z"} {
		f.Add(instant(f, s).UnixMicro(), 3600)
	}
	f.Fuzz(func(t *testing.T, micros int64, zone int) {
		const span = 250 * 365 * 24 * 3600 * 1e6
		at := time.UnixMicro(micros % span).In(time.FixedZone("", zone%(14*3600)))
		for w, longest := range map[rule.Window]time.Duration{
			rule.WindowHour: time.Hour, rule.WindowDay: 24 * time.Hour, rule.WindowWeek: 7 * 24 * time.Hour, rule.WindowMonth: 31 * 24 * time.Hour,
			"rolling_hour": time.Minute, "rolling_day": 24 * time.Minute, "rolling_week": 168 * time.Minute, "rolling_month": 12 * time.Hour,
			"rolling_7m": 7 * time.Second,
		} {
			start, ok := WindowStart(w, at)
			switch again, _ := WindowStart(w, start); {
			case !ok || start.After(at) || at.Sub(start) >= longest:
				t.Errorf("%s at %s begins at %s", w, at, start)
			case !again.Equal(start):
				t.Errorf("%s begins at %s, whose own window begins at %s", w, start, again)
			}
			if before, _ := WindowStart(w, start.Add(-time.Microsecond)); !before.Before(start) {
				t.Errorf("%s: what is just before %s lies in the same window", w, start)
			}
			if utc, _ := WindowStart(w, at.UTC()); !utc.Equal(start) {
				t.Errorf("%s depends on the zone of %s", w, at)
			}
		}
	})
}

func rollingKey(w rule.Window, at time.Time) Key {
	start, _ := WindowStart(w, at)
	return Key{Policy: policyID(1), Name: "x", Window: w, Start: start, Unit: "USDC"}
}

// FuzzRolling plays amounts at times and compares the buckets with an exact window: what they hold is never less, and never more than the
// exact window that is one bucket longer. What is set aside and settled later counts where it was set aside.
func FuzzRolling(f *testing.F) {
	f.Add([]byte{10, 5, 59, 7, 60, 1, 61, 1, 0, 200, 255, 3})
	f.Add([]byte{255, 255, 255, 255, 1, 1, 254, 2, 128, 64, 60, 60, 3, 3})
	f.Add([]byte{0, 1, 0, 2, 0, 3, 0, 131, 240, 1, 240, 2, 240, 3})
	f.Fuzz(func(t *testing.T, ops []byte) {
		for _, window := range []rule.Window{"rolling_hour", "rolling_week", "rolling_90m"} {
			play(t, window, ops[:min(len(ops), 400)])
		}
	})
}

type entry struct {
	at       time.Time
	reserved int64
	spent    int64
}

func play(t *testing.T, window rule.Window, ops []byte) {
	t.Helper()
	width := BucketWidth(window)
	at := noon
	var r Rolling
	var model []entry
	add := func(c Counter) {
		t.Helper()
		var err error
		if r, err = r.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	for ; len(ops) >= 2; ops = ops[2:] {
		at = at.Add(time.Duration(ops[0]) * width / 32) // up to eight buckets, mostly within one
		amount := int64(ops[1] % 64)
		switch ops[1] >> 6 {
		case 0, 1:
			add(Counter{Key: rollingKey(window, at), Spent: amount})
			model = append(model, entry{at: at, spent: amount})
		case 2:
			add(Counter{Key: rollingKey(window, at), Reserved: amount})
			model = append(model, entry{at: at, reserved: amount})
		case 3: // the oldest that is under way ends, for half
			for i, e := range model {
				if e.reserved > 0 {
					add(Counter{Key: rollingKey(window, e.at), Reserved: -e.reserved, Spent: e.reserved / 2})
					model[i] = entry{at: e.at, spent: e.reserved / 2}
					break
				}
			}
		}
		got := r.In(rollingKey(window, at))
		var least, most entry
		for _, e := range model {
			age := at.Sub(e.at)
			if age < Buckets*width {
				least.spent, least.reserved = least.spent+e.spent, least.reserved+e.reserved
			}
			if age < (Buckets+1)*width {
				most.spent, most.reserved = most.spent+e.spent, most.reserved+e.reserved
			}
		}
		if got.Spent < least.spent || got.Reserved < least.reserved || got.Spent > most.spent || got.Reserved > most.reserved {
			t.Fatalf("%s at %s: %+v; want between %+v and %+v", window, at, got, least, most)
		}
		if len(r) > Buckets+1 {
			t.Fatalf("%s has %d buckets", window, len(r))
		}
	}
}

func TestRollingOddities(t *testing.T) {
	t.Parallel()
	key := rollingKey("rolling_hour", noon)
	later := rollingKey("rolling_hour", noon.Add(3*time.Hour))
	r, err := Rolling{}.Add(Counter{Key: key, Reserved: 5})
	if err != nil || r.In(key).Reserved != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := r.Add(Counter{Key: key, Reserved: -6}); err == nil {
		t.Error("more was given back than was set aside")
	}
	if r, err = r.Add(Counter{Key: later, Spent: 1}); err != nil || len(r) != 1 {
		t.Fatalf("the old bucket is still there: %+v, %v", r, err)
	}
	if r, err = r.Add(Counter{Key: key, Reserved: -5, Spent: 4}); err != nil || len(r) != 1 {
		t.Errorf("what has left came back: %+v, %v", r, err)
	}
	// The clock is set back: what was spent later counts all the same.
	if c := r.In(key); c.Spent != 1 {
		t.Errorf("with the clock set back: %+v; want 1", c)
	}
	if r, err = r.Add(Counter{Key: later, Spent: math.MaxInt64}); err != nil || r.In(later).Spent != math.MaxInt64 {
		t.Errorf("too much: %+v, %v", r, err)
	}
}

func TestPayeeKey(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"vendor.example", "https://VENDOR.example:8443/pay?x=1", "//vendor.example.", "ｖｅｎｄｏｒ．ｅｘａｍｐｌｅ", "vendor。example"},
		{"Blue  Bottle", "blue bottle ", "ＢＬＵＥ bottle"},
		{"Bills@Vendor.example", "bills@vendor.EXAMPLE"},
		{"bücher.example", "xn--bcher-kva.example", "https://BÜCHER.example/"},
		{"192.0.2.1", "http://192.0.2.1:80/", "http://[::ffff:192.0.2.1]/"},
	} {
		for _, s := range same[1:] {
			if PayeeKey(s) != PayeeKey(same[0]) {
				t.Errorf("%q is %q, and %q is %q; want the same", s, PayeeKey(s), same[0], PayeeKey(same[0]))
			}
		}
	}
	seen := map[string]string{}
	for _, s := range []string{
		"vendor.example", "www.vendor.example", "bills@vendor.example", "other@vendor.example", "Vendor", "vendоr.example", // the last with a Cyrillic o
		`vendor.example\@evil.example`, "https://vendor.example@evil.example/",
	} {
		if other, ok := seen[PayeeKey(s)]; ok {
			t.Errorf("%q and %q are both %q", s, other, PayeeKey(s))
		}
		seen[PayeeKey(s)] = s
	}
}

func TestTimeRanges(t *testing.T) {
	t.Parallel()
	berlin := func(from, to string, days ...Weekday) TimeRange { return TimeRange{days, from, to, "Europe/Berlin"} }
	for _, c := range []struct {
		r    TimeRange
		at   string
		want bool
	}{
		{berlin("02:00", "03:00"), "2026-10-25T00:30:00Z", true}, // 02:30 for the first time, in summer
		{berlin("02:00", "03:00"), "2026-10-25T01:30:00Z", true}, // and once more, in winter
		{berlin("02:00", "03:00"), "2026-10-25T02:00:00Z", false},
		{berlin("02:00", "03:00"), "2026-03-29T01:00:00Z", false}, // there is no 02:30 on that day: it is 03:00
		{berlin("02:00", "03:00"), "2026-03-29T00:59:59Z", false},
		{berlin("01:00", "03:30"), "2026-03-29T01:29:59Z", true},
		{berlin("00:00", "24:00", "sun"), "2026-03-28T23:00:00Z", true},
		{berlin("00:00", "24:00", "sun"), "2026-03-29T21:59:59Z", true},
		{berlin("00:00", "24:00", "sun"), "2026-03-29T22:00:00Z", false},
		{TimeRange{[]Weekday{"sun"}, "23:00", "01:00", ""}, "2026-03-30T00:59:59Z", true}, // Monday, of Sunday's range
		{TimeRange{[]Weekday{"sun"}, "23:00", "01:00", ""}, "2026-03-29T00:30:00Z", false},
		{TimeRange{[]Weekday{"sat"}, "23:00", "01:00", ""}, "2026-03-29T00:30:00Z", true},
		{TimeRange{nil, "09:00", "17:00", "Nowhere"}, "2026-03-29T12:00:00Z", false},
	} {
		if got := c.r.holds(instant(t, c.at)); got != c.want {
			t.Errorf("%+v at %s: %v", c.r, c.at, got)
		}
	}
	for _, name := range []string{"Local", "local", "../UTC", "Europe/Atlantis", "UTC\x00"} {
		if loc, err := zone(name); err == nil {
			t.Errorf("%q is the zone %s", name, loc)
		}
	}
}

func TestWindowNames(t *testing.T) {
	t.Parallel()
	for want, w := range map[string]WindowLimit{
		"daily_limit":                {Measure: MeasureAmount, Window: rule.WindowDay},
		"per_run_limit":              {Measure: MeasureAmount, Window: WindowRun},
		"all_time_count_limit":       {Measure: MeasureCount, Window: rule.WindowAll},
		"rolling_weekly_cost_limit":  {Measure: MeasureCost, Window: rule.WindowWeek, Rolling: true},
		"rolling_monthly_limit":      {Measure: MeasureAmount, Window: rule.WindowMonth, Rolling: true},
		"hourly_token_limit":         {Measure: MeasureTokens, Window: rule.WindowHour},
		"rolling_hourly_token_limit": {Measure: MeasureTokens, Window: rule.WindowHour, Rolling: true},
	} {
		if got := w.Name(); got != want {
			t.Errorf("%+v is %q; want %q", w, got, want)
		}
	}
	names := map[string]bool{}
	for _, n := range LimitNames() {
		if names[n] {
			t.Errorf("%s is named twice", n)
		}
		names[n] = true
	}
	for _, l := range fullLimits().AllWindows() {
		if !names[l.Name()] {
			t.Errorf("%s is not among the names", l.Name())
		}
	}
}

func TestKeysCompare(t *testing.T) {
	t.Parallel()
	a := Key{Policy: policyID(1), Name: "a", Window: WindowRun, Start: noon, Unit: "USDC", Run: id.Of[id.SessionKind](id.UUID{1})}
	b := a
	b.Run = id.Of[id.SessionKind](id.UUID{2})
	if a.Compare(a) != 0 || a.Compare(b) >= 0 || b.Compare(a) <= 0 {
		t.Error("two runs have one counter")
	}
}
