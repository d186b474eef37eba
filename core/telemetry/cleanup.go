package telemetry

import (
	"context"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
)

// CleanupRequest says which events go. The zero value is all that there are.
type CleanupRequest struct {
	OlderThan time.Duration // 0 or more; 0 is whatever was there when the call came
	Agent     id.Agent      // zero any
	AgentName string        // the agents that are called exactly so, whatever the case; "" any
}

// Cleanup deletes events and returns how many. It does so in short transactions, between which events are taken as ever, and goes on until it
// is done or ctx ends; what was deleted by then stays deleted, and is returned with the error. The audit trail says how many there were. An agent
// that is not there, or a name that none has, is id.NotFound: who mistypes it shall not believe that the events are gone.
func (s *Service) Cleanup(ctx context.Context, sc account.Scope, r CleanupRequest) (deleted int, err error) {
	var faults check.Faults
	if r.OlderThan < 0 {
		faults.Addf("query.older_than_days", "must not be negative")
		return 0, faults.Err(ErrInvalid)
	}
	agents, err := s.whose(ctx, sc, r)
	if err != nil {
		return 0, err
	}
	// Times have milliseconds: what came in the one that is now is older than the call.
	before := clock.Stored(s.d.Clock.Now()).Add(time.Millisecond - r.OlderThan)
	for _, a := range agents {
		n, err := s.cleanup(ctx, sc, a, before)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

// whose returns the agents whose events go; a zero one is all.
func (s *Service) whose(ctx context.Context, sc account.Scope, r CleanupRequest) ([]id.Agent, error) {
	if !r.Agent.IsZero() {
		missing, err := s.d.Roster.Missing(ctx, sc, []id.Agent{r.Agent})
		if err == nil && len(missing) > 0 {
			err = id.NotFound[id.AgentKind](r.Agent.String())
		}
		if err != nil {
			return nil, err
		}
	}
	if r.AgentName == "" {
		return []id.Agent{r.Agent}, nil
	}
	agents, err := s.d.Roster.Named(ctx, sc, r.AgentName)
	if err == nil && !r.Agent.IsZero() {
		agents = slices.DeleteFunc(agents, func(a id.Agent) bool { return a != r.Agent })
	}
	if err == nil && len(agents) == 0 {
		err = id.NotFound[id.AgentKind](r.AgentName)
	}
	return agents, err
}

// cleanup deletes the events of one agent, or of all. One chunk is deleted and noted in one transaction; more than that are announced in the first and
// added up after the last, so that a crash in between leaves a trace, too.
func (s *Service) cleanup(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time) (deleted int, err error) {
	note := func(ctx context.Context, action string, n int) error {
		return s.d.Trail.Note(ctx, sc, action, agent, map[string]any{"before": before.Format(time.RFC3339Nano), "deleted": n})
	}
	first := 0
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if first, err = s.d.Events.DeleteEvents(ctx, sc, agent, before, s.chunk); err != nil || first == 0 {
			return err
		}
		if first == s.chunk {
			return note(ctx, "events_deletion_begun", first)
		}
		return note(ctx, "events_deleted", first)
	})
	if err != nil || first < s.chunk {
		return first, err
	}
	deleted, err = s.chunks(ctx, sc, agent, before)
	deleted += first
	if noted := note(context.WithoutCancel(ctx), "events_deleted", deleted); err == nil {
		err = noted
	}
	return deleted, err
}

// chunks deletes until there is nothing left or ctx ends.
func (s *Service) chunks(ctx context.Context, sc account.Scope, agent id.Agent, before time.Time) (deleted int, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		n, err := s.d.Events.DeleteEvents(ctx, sc, agent, before, s.chunk)
		deleted += n
		if err != nil || n < s.chunk {
			return deleted, err
		}
	}
}
