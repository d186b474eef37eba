package telemetry

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Forget deletes a destroyed agent's messages, on either side: a chunk in the transaction of ctx, and what is left in chunks of their own before
// the one who commits goes on. It may come again: as long as Unfinished says so, it has to.
func (s *Exchange) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return forget(ctx, s.d.TX, s.d.Repository.DeleteMessages, sc, agent)
}

// Unfinished reports whether there are messages of a destroyed agent still.
func (s *Exchange) Unfinished(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error) {
	p, err := s.d.Repository.Messages(ctx, sc, MessageFilter{Agent: agent}, page.Request{Limit: 1})
	return len(p.Items) > 0, err
}

// Forget deletes the feedback about a destroyed agent, as Exchange.Forget does messages.
func (s *Opinions) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return forget(ctx, s.d.TX, s.d.Repository.DeleteFeedback, sc, agent)
}

// Unfinished reports whether there is feedback about a destroyed agent still.
func (s *Opinions) Unfinished(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error) {
	p, err := s.d.Repository.Feedback(ctx, sc, FeedbackFilter{Agent: agent}, page.Request{Limit: 1})
	return len(p.Items) > 0, err
}

func forget(ctx context.Context, runner tx.Runner, del Deletion, sc account.Scope, agent id.Agent) error {
	n, err := del(ctx, sc, agent, time.Time{}, defaultChunk)
	if err != nil || n < defaultChunk {
		return err
	}
	runner.AfterCommit(ctx, func() {
		// The one who asked may go away, the agent is gone already. What fails here is found by Unfinished.
		ctx := context.WithoutCancel(ctx)
		for n, err := defaultChunk, error(nil); n == defaultChunk && err == nil; {
			n, err = del(ctx, sc, agent, time.Time{}, defaultChunk)
		}
	})
	return nil
}
