package session

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// A client that reads the stream sees a tool use before the gate has been asked about it, and may answer at once. Its answer waits this
// long, in steps, for the tool use to be handed over.
const (
	handoverPause = 10 * time.Millisecond
	handoverSteps = 200
)

// handedOver returns the open tool uses of a session by id, once none that inputs answer is still on its way to whoever answers it.
func (s *Service) handedOver(ctx context.Context, sc account.Scope, session id.Session, inputs []Input) (map[id.Event]ToolUse, error) {
	for step := 0; ; step++ {
		uses, err := s.d.Uses.Open(ctx, sc, session)
		if err != nil {
			return nil, err
		}
		open := make(map[id.Event]ToolUse, len(uses))
		for _, u := range uses {
			open[u.ID] = u
		}
		if step == handoverSteps || !early(open, inputs) {
			return open, nil
		}
		t := time.NewTimer(handoverPause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		}
	}
}

// early reports whether one of inputs answers a tool use that nobody has been asked about yet.
func early(open map[id.Event]ToolUse, inputs []Input) bool {
	for _, in := range inputs {
		if u, ok := open[in.ToolUse]; ok && !in.ToolUse.IsZero() && u.State == UseOpen {
			return true
		}
	}
	return false
}
