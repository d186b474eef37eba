package policy_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/rule"
)

func TestCrossed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spent, reserved, amount, most int64
		want                          []int
	}{
		"below":               {0, 0, 49, 100, nil},
		"half":                {0, 0, 50, 100, []int{50}},
		"from just below":     {49, 0, 1, 100, []int{50}},
		"past it already":     {50, 0, 1, 100, nil},
		"set aside counts":    {40, 9, 1, 100, []int{50}},
		"two at once":         {10, 0, 75, 100, []int{50, 80}},
		"all at once":         {0, 0, 100, 100, []int{50, 80, 100}},
		"the last":            {99, 0, 1, 100, []int{100}},
		"over":                {99, 0, 5, 100, []int{100}},
		"rounded up":          {0, 0, 1, 3, nil},
		"rounded up, reached": {1, 0, 1, 3, []int{50}},
		"a cap of one":        {0, 0, 1, 1, []int{50, 80, 100}},
		"a cap of nothing":    {0, 0, 0, 0, nil},
		"nothing is spent":    {50, 0, 0, 100, nil},
		"the largest cap":     {math.MaxInt64/2 + 1 - 1, 0, 1, math.MaxInt64, []int{50}},
		"an overflow":         {math.MaxInt64, 0, 1, math.MaxInt64, nil},
	} {
		got := policy.Crossed(policy.Demand{Amount: tc.amount, Max: tc.most}, policy.Counter{Spent: tc.spent, Reserved: tc.reserved})
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v; want %v", name, got, tc.want)
		}
	}
}

// Whatever the acts, each level is crossed once on the way up.
func FuzzCrossed(f *testing.F) {
	f.Add(int64(100), []byte{10, 40, 1, 29, 20, 200})
	f.Add(int64(3), []byte{1, 1, 1})
	f.Fuzz(func(t *testing.T, most int64, amounts []byte) {
		var c policy.Counter
		times := map[int]int{}
		for _, a := range amounts {
			d := policy.Demand{Amount: int64(a), Max: most}
			for _, percent := range policy.Crossed(d, c) {
				times[percent]++
			}
			c.Spent += d.Amount
		}
		for _, percent := range policy.AlertLevels() {
			want := 0
			// By floats, to which these small sums are exact.
			if most > 0 && most < 1<<40 && float64(c.Spent)*100 >= float64(most)*float64(percent) {
				want = 1
			}
			if most < 1<<40 && times[percent] != want {
				t.Errorf("%d%% of %d was crossed %d times on the way to %d", percent, most, times[percent], c.Spent)
			}
		}
	})
}

func TestAlertPeriod(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 7, 15, 12, 34, 56, 0, time.UTC)
	for window, want := range map[rule.Window][2]string{
		rule.WindowDay: {"2026-07-15T00:00:00Z", "2026-07-15T00:00:00Z"},
		"rolling_hour": {"2026-07-15T11:34:00Z", "2026-07-15T12:00:00Z"},
		"rolling_day":  {"2026-07-14T12:24:00Z", "2026-07-15T00:00:00Z"},
	} {
		start, ok := policy.WindowStart(window, at)
		k := policy.Key{Window: window, Start: start}
		if begin, period := k.Begin().Format(time.RFC3339), k.Period().Format(time.RFC3339); !ok || begin != want[0] || period != want[1] {
			t.Errorf("%s: begins %s and is of the period %s; want %v", window, begin, period, want)
		}
	}
}
