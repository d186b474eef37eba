// Package clock gives the time to code that must not ask the operating system for it.
package clock

import "time"

// Clock tells the time. Implementations are safe for concurrent use.
type Clock interface {
	// Now returns the current time. Callers store it in UTC, truncated to the microsecond that every database keeps.
	Now() time.Time
}

// Func makes a Clock of a function, such as time.Now or a test's.
type Func func() time.Time

// Now calls f.
func (f Func) Now() time.Time { return f() }

// Stored returns t as stores keep it: UTC, truncated to the microsecond.
func Stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
