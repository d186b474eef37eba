// Package steady is how a channel goes on after failures: it pauses longer and longer, and tells an inbox what is wrong, once.
package steady

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/bureau-agents/bureau/ports/channel"
)

// Pauses between tries. Zero fields are the defaults: from half a second to a minute.
type Pauses struct{ Least, Most time.Duration }

// After returns the pause after so many failures in a row, from 1: doubled each time, and up to a quarter more, so that many accounts do not
// come back at once.
func (p Pauses) After(failures int) time.Duration {
	if p.Least <= 0 {
		p.Least = 500 * time.Millisecond
	}
	if p.Most <= 0 {
		p.Most = time.Minute
	}
	d := p.Most
	if failures < 20 {
		d = min(p.Least<<max(failures-1, 0), p.Most)
	}
	return d + rand.N(d/4+1)
}

// Loop counts the failures of one account. It is used by one goroutine.
type Loop struct {
	Inbox  channel.Inbox
	Pauses Pauses

	failures int
	told     bool
	trouble  string // told last
}

// Failed tells what is wrong and waits, at least as long as the service asks for. It returns the error of ctx once that ends.
func (l *Loop) Failed(ctx context.Context, err error, atLeast time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.failures++
	if text := err.Error(); !l.told || text != l.trouble {
		l.told, l.trouble = true, text
		l.Inbox.Trouble(ctx, err)
	}
	return Wait(ctx, max(l.Pauses.After(l.failures), atLeast))
}

// Fine forgets the failures, and tells that there are none any more, or that there were none.
func (l *Loop) Fine(ctx context.Context) {
	l.failures = 0
	if !l.told || l.trouble != "" {
		l.told, l.trouble = true, ""
		l.Inbox.Trouble(ctx, nil)
	}
}

// Wait pauses; it returns the error of ctx when that ends first.
func Wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
