package gate

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// StopAgent voids what an agent has parked, or had approved and not begun, and ends its turns, running and queued, in the transaction in
// ctx, which has the agent's standing locked: for its archiving or its destruction. It returns how many acts it voided and how many turns
// it ended. Those that run are told after the commit.
func (g *Gate) StopAgent(ctx context.Context, sc account.Scope, a id.Agent, reason string) (voided, turns int, err error) {
	err = g.d.TX.Do(ctx, func(ctx context.Context) error {
		voided, turns = 0, 0
		var err error
		if g.stopper != nil {
			if turns, err = g.stopper.InterruptAgents(ctx, sc, []id.Agent{a}, reason); err != nil {
				return err
			}
		}
		voided, err = g.VoidAgent(ctx, sc, a, reason)
		return err
	})
	return voided, turns, err
}
