// Package retire takes agents out of existence: what belongs to one goes, what others must be able to prove stays.
//
// Sessions, knowledge, memory, installed skills, policies and publications go; parked acts and holds are void; the money goes to the
// tenant's wallet. The ledger, usage, acts, approvals and the audit trail keep the agent's id. All of it is one transaction, so that an
// agent is there or is not. What lies outside the database (sandboxes, the bytes of files) follows after the commit; Sweep finds what a
// crash has left of that, and what a call that was under way wrote under the agent's id when the agent was gone.
package retire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Part is one thing that belongs to agents and goes with them.
type Part interface {
	// Forget removes what it has of the agent, in the transaction of ctx; what it must do outside of the database it does after the
	// commit. The agent's standing is locked by then, so that no act of it is being decided. Having nothing is no error, and Forget may
	// come again for an agent that is gone.
	Forget(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// PartFunc is a function as a Part.
type PartFunc func(ctx context.Context, sc account.Scope, agent id.Agent) error

// Forget calls f.
func (f PartFunc) Forget(ctx context.Context, sc account.Scope, agent id.Agent) error {
	return f(ctx, sc, agent)
}

// Trail is where the end of an agent is noted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Tenants is the part of core/account's repository that acts lock before their agents.
type Tenants interface {
	// LockStanding returns the standing of the tenant of sc and keeps it from changing until the transaction in ctx ends.
	LockStanding(ctx context.Context, sc account.Scope) (account.Standing, error)
}

// Deps is what a Service needs; all but Unfinished are required.
type Deps struct {
	TX      tx.Runner
	Clock   clock.Clock
	Logger  *slog.Logger
	Tenants Tenants
	Graves  agent.Graves
	Trail   Trail
	// Parts are told in this order, which is that of the gate's locks: turns, approvals and acts, wallets, what is left.
	Parts []Part
	// Unfinished tells whether something of a destroyed agent is still under way outside and will come to its end, such as a payment over
	// a rail: Sweep comes back until it has. nil: nothing ever is.
	Unfinished func(ctx context.Context, sc account.Scope, agent id.Agent) (bool, error)
}

// Service destroys agents. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"Logger", d.Logger == nil}, {"Tenants", d.Tenants == nil},
		{"Graves", d.Graves == nil}, {"Trail", d.Trail == nil}, {"Parts", len(d.Parts) == 0},
	} {
		if f.missing {
			return nil, fmt.Errorf("retire: Deps.%s is required", f.name)
		}
	}
	return &Service{d}, nil
}

// Destroy removes an agent, archived and frozen ones too, with all that belongs to it. Once it returns, the agent is
// id.NotFound[id.AgentKind] everywhere, what it was doing has been stopped, its name and its slot of the plan are free. Of callers that
// come at once one succeeds and the others get id.NotFound.
func (s *Service) Destroy(ctx context.Context, sc account.Scope, a id.Agent) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Tenants.LockStanding(ctx, sc); err != nil {
			return err
		}
		was, err := s.d.Graves.Destroy(ctx, sc, a, clock.Stored(s.d.Clock.Now()))
		if err != nil {
			return err
		}
		if err := s.forget(ctx, sc, a); err != nil {
			return err
		}
		return s.d.Trail.Note(ctx, sc, "agent_deleted", a, map[string]any{"name": was.Config.Name, "version": was.Version})
	})
}

func (s *Service) forget(ctx context.Context, sc account.Scope, a id.Agent) error {
	for _, p := range s.d.Parts {
		if err := p.Forget(ctx, sc, a); err != nil {
			return err
		}
	}
	return nil
}

const (
	// sweepAfter is how old a grave is before it is swept: older than any call that may have found the agent alive.
	sweepAfter = 10 * time.Minute
	sweepBatch = 100
)

// Sweep has every Part forget the agents once more that were destroyed a while ago, and returns of how many nothing is left now. A job calls
// it every few minutes; several processes may do so at once.
func (s *Service) Sweep(ctx context.Context) (int, error) {
	n := 0
	var errs []error
	for {
		now := clock.Stored(s.d.Clock.Now())
		refs, err := s.d.Graves.Unswept(ctx, now.Add(-sweepAfter), sweepBatch)
		if err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		swept := 0
		for _, r := range refs {
			done, err := s.sweep(ctx, account.System(r.Tenant), r.Agent, now)
			switch {
			case err != nil:
				errs = append(errs, fmt.Errorf("retire: sweep agent %s: %w", r.Agent, err))
			case done:
				swept++
			}
		}
		n += swept
		if len(refs) < sweepBatch || swept == 0 {
			return n, errors.Join(errs...)
		}
	}
}

// sweep forgets one agent once more, and reports whether that was the last time.
func (s *Service) sweep(ctx context.Context, sc account.Scope, a id.Agent, now time.Time) (done bool, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.forget(ctx, sc, a); err != nil {
			return err
		}
		done = true
		if s.d.Unfinished != nil {
			unfinished, err := s.d.Unfinished(ctx, sc, a)
			if err != nil {
				return err
			}
			done = !unfinished
		}
		if !done {
			return nil
		}
		return s.d.Graves.Swept(ctx, sc, a, now)
	})
	return done && err == nil, err
}
