package policy

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/rule"
)

// Buckets is how many buckets a rolling window has.
const Buckets = 60

// errGivenBack is returned when more is given back than a bucket holds.
var errGivenBack = errors.New("policy: a bucket gives back more than it holds")

// Rolls reports whether a window rolls: "rolling_hour", "rolling_day", "rolling_week", "rolling_month", or "rolling_90m" for a window of
// minutes.
func Rolls(w rule.Window) bool {
	_, ok := bucketWidth(w)
	return ok
}

// BucketWidth returns how long a bucket of a window is, in whole seconds; 0 for a window that does not roll.
func BucketWidth(w rule.Window) time.Duration {
	width, _ := bucketWidth(w)
	return width
}

// bucketWidth returns how long a bucket of a rolling window is: a whole number of seconds.
func bucketWidth(w rule.Window) (time.Duration, bool) {
	text, ok := strings.CutPrefix(string(w), rollingPrefix)
	if !ok {
		return 0, false
	}
	switch rule.Window(text) {
	case rule.WindowHour:
		return time.Minute, true
	case rule.WindowDay:
		return 24 * time.Hour / Buckets, true
	case rule.WindowWeek:
		return 7 * 24 * time.Hour / Buckets, true
	case rule.WindowMonth:
		return 30 * 24 * time.Hour / Buckets, true
	}
	minutes, ok := strings.CutSuffix(text, "m")
	n, err := strconv.ParseInt(minutes, 10, 32)
	return time.Duration(n) * time.Minute / Buckets, ok && err == nil && n > 0
}

// minutesWindow names a rolling window of whole minutes.
func minutesWindow(d time.Duration) rule.Window {
	return rollingPrefix + rule.Window(strconv.FormatInt(int64(d/time.Minute), 10)) + "m"
}

// bucketOf returns the start of the bucket of t. Buckets are counted from the Unix epoch.
func bucketOf(width time.Duration, t time.Time) time.Time {
	s, w := t.Unix(), int64(width/time.Second)
	return time.Unix(s-((s%w)+w)%w, 0).UTC()
}

// Bucket is what one bucket of a rolling counter holds.
type Bucket struct {
	Start    time.Time
	Spent    int64
	Reserved int64
}

// Rolling is a rolling counter: its buckets, oldest first, empty ones left out.
type Rolling []Bucket

// oldest returns the start of the first bucket that still counts in the window that ends in the bucket of k: the window's beginning lies
// in it.
func oldest(k Key) time.Time {
	width, _ := bucketWidth(k.Window)
	return k.Start.Add(-Buckets * width)
}

// WindowSince returns from when on acts count in the window of a key: its start, or that of the oldest bucket that still counts.
func WindowSince(k Key) time.Time {
	if Rolls(k.Window) {
		return oldest(k)
	}
	return k.Start
}

// In returns the counter of k, whose Start is the bucket of this moment. Buckets that begin later count, too: the clock may have been set
// back.
func (r Rolling) In(k Key) Counter {
	c, from := Counter{Key: k}, oldest(k)
	for _, b := range r {
		if !b.Start.Before(from) {
			c.Spent, c.Reserved = saturated(c.Spent, b.Spent), saturated(c.Reserved, b.Reserved)
		}
	}
	return c
}

func saturated(a, b int64) int64 {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}

// Add returns the counter after a change to the bucket of c.Key, without the buckets that no window reaches any more. What is given
// back to a bucket that is not there is given back to nothing: it has left, or was begun anew meanwhile. More than a bucket holds is an
// error.
func (r Rolling) Add(c Counter) (Rolling, error) {
	newest := c.Key
	if n := len(r); n > 0 && r[n-1].Start.After(newest.Start) {
		newest.Start = r[n-1].Start
	}
	from := oldest(newest)
	out := make(Rolling, 0, len(r)+1)
	for _, b := range r {
		if !b.Start.Before(from) {
			out = append(out, b)
		}
	}
	i, found := slices.BinarySearchFunc(out, c.Key.Start, func(b Bucket, t time.Time) int { return b.Start.Compare(t) })
	switch {
	case found:
		b := &out[i]
		b.Spent, b.Reserved = saturated(b.Spent, c.Spent), saturated(b.Reserved, c.Reserved)
		if b.Spent < 0 || b.Reserved < 0 {
			return nil, errGivenBack
		}
		if b.Spent == 0 && b.Reserved == 0 {
			out = slices.Delete(out, i, i+1)
		}
	case c.Spent < 0 || c.Reserved < 0 || c.Key.Start.Before(from) || c.Spent == 0 && c.Reserved == 0:
	default:
		out = slices.Insert(out, i, Bucket{c.Key.Start, c.Spent, c.Reserved})
	}
	return out, nil
}
