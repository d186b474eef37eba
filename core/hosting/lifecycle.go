package hosting

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
)

// Start makes an agent run, hosted before or not, and returns once it does or is in Error, but not later than Config.Wait after. One that
// runs, or is about to, is returned as it is. agent.ErrFrozen, agent.ErrArchived, account.ErrFrozen, ErrOff.
func (s *Service) Start(ctx context.Context, sc account.Scope, a id.Agent) (Deployment, error) {
	return s.run(ctx, sc, a, false)
}

// Restart ends the agent's instance, if there is one, and starts another with what the agent has now: configuration, documents, secrets,
// skills. What lies in its work directory stays. Otherwise it is as Start.
func (s *Service) Restart(ctx context.Context, sc account.Scope, a id.Agent) (Deployment, error) {
	return s.run(ctx, sc, a, true)
}

func (s *Service) run(ctx context.Context, sc account.Scope, a id.Agent, again bool) (Deployment, error) {
	var out Deployment
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		tenant, err := s.d.Tenants.LockStanding(ctx, sc)
		if err != nil {
			return err
		}
		if tenant == account.Frozen {
			return account.ErrFrozen
		}
		info, err := s.d.Standings.LockStanding(ctx, sc, a)
		if err != nil {
			return err
		}
		switch info.Standing {
		case agent.Frozen:
			return agent.ErrFrozen
		case agent.Archived:
			return agent.ErrArchived
		}
		out, err = s.begin(ctx, sc, a, again, nil)
		return err
	})
	if err != nil {
		return Deployment{}, err
	}
	return s.await(ctx, sc, out)
}

// begin asks for an instance in the transaction of ctx, whose caller holds the agent. also, which may be nil, changes the deployment besides.
func (s *Service) begin(ctx context.Context, sc account.Scope, a id.Agent, again bool, also func(d *Deployment)) (Deployment, error) {
	now := s.now()
	site, err := s.site(ctx, sc, a, now)
	if err != nil {
		return Deployment{}, err
	}
	action := "agent_started"
	d, err := s.d.Repository.Update(ctx, sc, a, func(d *Deployment) error {
		if !again && d.Desired == DesiredRunning && d.Active() {
			return errUnchanged
		}
		if again {
			action = "agent_restarted"
		}
		if also != nil {
			also(d)
		}
		d.Desired, d.Status, d.Site = DesiredRunning, Starting, site
		if d.Generation++; d.Generation == 1 {
			d.Status = Provisioning
		}
		d.NeedsRestart, d.StoppedAt = false, time.Time{}
		d.LastError, d.ErrorCategory, d.Failures, d.RetryAt = "", "", nil, time.Time{}
		if d.CreatedAt.IsZero() {
			d.CreatedAt = now
		}
		d.UpdatedAt = now
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return s.d.Repository.Get(ctx, sc, a)
	}
	if err != nil {
		return Deployment{}, err
	}
	s.d.TX.AfterCommit(ctx, func() { s.d.Supervisor.nudge(d.Site, a) })
	return d, s.d.Trail.Note(ctx, sc, action, a, map[string]any{"generation": d.Generation, "region": string(d.Region)})
}

// site is where an agent is to be started: where it was, as long as somebody looks after that place, otherwise here.
func (s *Service) site(ctx context.Context, sc account.Scope, a id.Agent, now time.Time) (string, error) {
	own := s.d.Supervisor.Site()
	d, err := s.d.Repository.Get(ctx, sc, a)
	if err != nil {
		return "", err
	}
	if d.Site != "" && d.Site != own {
		claimed, err := s.d.Sites.Claimed(ctx, d.Site, now)
		if err != nil || claimed {
			return d.Site, err
		}
	}
	if s.d.Host == nil {
		return "", ErrOff
	}
	return own, nil
}

// Stop ends an agent's instance and returns once it has ended, but not later than Config.Wait after. Files, logs and everything else stay.
// An agent that does not run, or was never hosted, is returned as it is. Frozen and archived agents can be stopped, too.
func (s *Service) Stop(ctx context.Context, sc account.Scope, a id.Agent) (Deployment, error) {
	var out Deployment
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if _, err := s.d.Agents.Get(ctx, sc, a); err != nil {
			return err
		}
		now := s.now()
		site, err := s.site(ctx, sc, a, now)
		alone := errors.Is(err, ErrOff)
		if err != nil && !alone {
			return err
		}
		d, err := s.d.Repository.Update(ctx, sc, a, func(d *Deployment) error {
			if d.Desired == DesiredStopped && d.Status != Error {
				return errUnchanged
			}
			d.Desired, d.Status, d.NeedsRestart, d.RetryAt, d.UpdatedAt = DesiredStopped, Stopping, false, time.Time{}, now
			if alone || site != d.Site { // nobody looks after its instance; whoever comes back to it ends it
				d.Status, d.StoppedAt = Stopped, now
			}
			return nil
		})
		if errors.Is(err, errUnchanged) {
			out, err = s.d.Repository.Get(ctx, sc, a)
			return err
		}
		if err != nil {
			return err
		}
		out = d
		s.d.TX.AfterCommit(ctx, func() { s.d.Supervisor.nudge(d.Site, a) })
		return s.d.Trail.Note(ctx, sc, "agent_stopped", a, map[string]any{"generation": d.Generation})
	})
	if err != nil {
		return Deployment{}, err
	}
	return s.await(ctx, sc, out)
}

// lookAgain is how often a wait reads the store without having been told to: supervisors of other servers tell of what they did by hints
// that may get lost.
const lookAgain = 250 * time.Millisecond

// await returns a deployment once what was asked for has come to something, or Config.Wait is over. What somebody else asks for meanwhile
// counts as well.
func (s *Service) await(ctx context.Context, sc account.Scope, d Deployment) (Deployment, error) {
	if d.Status.settled() {
		return d, nil
	}
	told, done := s.d.Supervisor.watch(d.Agent)
	defer done()
	over := time.NewTimer(s.cfg.Wait)
	defer over.Stop()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		now, err := s.d.Repository.Get(ctx, sc, d.Agent)
		switch {
		case err != nil:
			return Deployment{}, err
		case now.CreatedAt.IsZero():
			return Deployment{}, id.NotFound[id.AgentKind](d.Agent.String())
		case now.Status.settled():
			return now, nil
		}
		select {
		case <-told:
		case <-tick.C:
		case <-over.C:
			return now, nil
		case <-ctx.Done():
			return Deployment{}, ctx.Err()
		}
	}
}
