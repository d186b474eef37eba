// Package clocktest has a clock that tests set.
package clocktest

import (
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
)

// Start is where New's clocks begin: a Wednesday, far from every border of a calendar window.
var Start = time.Date(2026, time.July, 15, 12, 30, 0, 0, time.UTC)

// Clock stands still until it is told otherwise. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

var _ clock.Clock = (*Clock)(nil)

// New returns a clock that shows Start.
func New() *Clock { return &Clock{now: Start} }

// At returns a clock that shows t.
func At(t time.Time) *Clock { return &Clock{now: t} }

// Now implements clock.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set makes the clock show t, which may lie in the past.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Advance moves the clock by d and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
