package gate

import (
	"context"

	"github.com/bureau-agents/bureau/ports/id"
)

const expireCounters = 500

// ExpireCounters removes the counters of every tenant whose windows have ended, each batch in a transaction of its own, and returns how many.
// None goes that an act under way will still settle in, and one that is asked for after all begins anew with what was spent. A job calls it
// now and then; several processes may do so at once.
func (g *Gate) ExpireCounters(ctx context.Context) (int, error) {
	n := 0
	for {
		at, err := g.now(ctx)
		if err != nil {
			return n, err
		}
		gone, err := g.d.Counters.Expire(ctx, id.Tenant{}, at, expireCounters)
		n += gone
		if err != nil || gone < expireCounters {
			return n, err
		}
	}
}
