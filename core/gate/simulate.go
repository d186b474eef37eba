package gate

import (
	"context"
	"errors"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
)

// Simulate answers what would be decided about an act at this moment, with standing, plugin rules, windows and funds, and
// leaves no trace.
func (g *Gate) Simulate(ctx context.Context, sc account.Scope, act Act) (policy.Decision, error) {
	act, _, err := g.checked(act)
	if err != nil {
		return policy.Decision{}, err
	}
	var d policy.Decision
	err = g.judged(ctx, sc, act, false, func(ctx context.Context, j *judgement) error {
		failed, err := g.weigh(ctx, sc, act, j, false)
		if err != nil {
			return err
		}
		if failed != nil {
			return failed
		}
		d = g.decision(j)
		return errUndo
	})
	if errors.Is(err, errUndo) {
		return d, nil
	}
	return policy.Decision{}, err
}
