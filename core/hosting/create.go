package hosting

import (
	"context"
	"encoding/json"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Settings are what a caller may say about how an agent is hosted.
type Settings struct {
	Region    Region          // "" becomes DefaultRegion
	Config    json.RawMessage // an object; nil is an empty one
	AvatarURL string
	Program   *Program
	Limits    Limits
}

// CreateRequest asks for a hosted agent.
type CreateRequest struct {
	Agent agent.Config
	Settings

	Swarm     id.Swarm // zero: none
	Documents FirstDocuments
	Secrets   map[string]string // by name
	// NeedsKey refuses secrets without the key of a model provider.
	NeedsKey bool
}

// Hosted is an agent with its deployment.
type Hosted struct {
	Agent      agent.Agent
	Deployment Deployment
}

// Create makes an agent with its documents, secrets and place in a swarm, all or nothing, starts it, and returns once it runs or is in
// Error, but not later than Config.Wait after. Errors are those of agent.Service.Create, of Swarms.Place and of what keeps documents and
// secrets, ErrInvalid and ErrOff; then nothing was made.
func (s *Service) Create(ctx context.Context, sc account.Scope, req CreateRequest) (Hosted, error) {
	if req.NeedsKey && !s.d.Secrets.HasModelKey(req.Secrets) {
		return Hosted{}, fault.Invalidf("secrets", "must have one of anthropicApiKey, openaiApiKey and googleApiKey")
	}
	merged, err := MergeConfig(nil, req.Config)
	if err != nil {
		return Hosted{}, err
	}
	if merged == nil {
		merged = json.RawMessage("{}")
	}
	settings := New(sc.Tenant, id.Agent{})
	settings.Config, settings.AvatarURL, settings.Program, settings.Limits = merged, req.AvatarURL, req.Program.withDefaults(), req.Limits
	if req.Region != "" {
		settings.Region = req.Region
	}
	if err := settings.check(); err != nil {
		return Hosted{}, err
	}
	if err := within(req.Limits, mostOf(s.cfg.Limits)); err != nil {
		return Hosted{}, err
	}
	var out Hosted
	create := func(ctx context.Context) (agent.Agent, error) {
		a, err := s.d.Agents.Create(ctx, sc, req.Agent)
		if err != nil {
			return agent.Agent{}, err
		}
		if err := s.d.Documents.Begin(ctx, sc, a.ID, req.Documents); err != nil {
			return agent.Agent{}, err
		}
		if len(req.Secrets) > 0 {
			if err := s.d.Secrets.Begin(ctx, sc, a.ID, req.Secrets); err != nil {
				return agent.Agent{}, err
			}
		}
		out.Deployment, err = s.begin(ctx, sc, a.ID, false, func(d *Deployment) {
			d.Region, d.Config, d.AvatarURL, d.Program, d.Limits = settings.Region, settings.Config, settings.AvatarURL, settings.Program, settings.Limits
		})
		return a, err
	}
	if req.Swarm.IsZero() {
		err = s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
			out.Agent, err = create(ctx)
			return err
		})
	} else {
		out.Agent, err = s.d.Swarms.Place(ctx, sc, id.Agent{}, req.Swarm, create)
	}
	if err != nil {
		return Hosted{}, err
	}
	out.Deployment, err = s.await(ctx, sc, out.Deployment)
	return out, err
}

// Change says what of a hosted agent becomes different; what is nil stays.
type Change struct {
	Name      *string         // makes a version of the agent
	Swarm     *id.Swarm       // zero takes it out of its swarm
	Config    json.RawMessage // is merged into what is there; see MergeConfig
	AvatarURL *string         // "" removes it
	Region    *Region
	Program   **Program // nil in it: Bureau's worker again
	Limits    *Limits
}

// hosted reports whether c changes the deployment.
func (c Change) hosted() bool {
	return len(c.Config) > 0 || c.AvatarURL != nil || c.Region != nil || c.Program != nil || c.Limits != nil
}

// Update changes an agent and how it is hosted, all or nothing. What an instance was started with reaches it by a restart only; then the
// deployment returned NeedsRestart. Errors are those of agent.Service.Update and of Swarms.Place, and ErrInvalid.
func (s *Service) Update(ctx context.Context, sc account.Scope, a id.Agent, c Change) (Hosted, error) {
	var out Hosted
	change := func(ctx context.Context) (now agent.Agent, err error) {
		before, err := s.d.Agents.Get(ctx, sc, a)
		if err != nil {
			return agent.Agent{}, err
		}
		if now = before; c.Name != nil {
			if now, err = s.d.Agents.Update(ctx, sc, a, agent.Patch{Name: agent.Set(*c.Name)}); err != nil {
				return agent.Agent{}, err
			}
		}
		out.Deployment, err = s.amend(ctx, sc, a, c, now.Version != before.Version)
		return now, err
	}
	var err error
	if c.Swarm != nil {
		out.Agent, err = s.d.Swarms.Place(ctx, sc, a, *c.Swarm, change)
	} else {
		err = s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
			out.Agent, err = change(ctx)
			return err
		})
	}
	return out, err
}

// amend changes the deployment in the transaction of ctx. renamed says that the agent itself has changed.
func (s *Service) amend(ctx context.Context, sc account.Scope, a id.Agent, c Change, renamed bool) (Deployment, error) {
	if !c.hosted() {
		if !renamed {
			return s.d.Repository.Get(ctx, sc, a)
		}
		if _, err := s.Changed(ctx, sc, a); err != nil {
			return Deployment{}, err
		}
		return s.d.Repository.Get(ctx, sc, a)
	}
	info, err := s.d.Standings.LockStanding(ctx, sc, a)
	if err != nil {
		return Deployment{}, err
	}
	if info.Standing == agent.Archived {
		return Deployment{}, agent.ErrArchived
	}
	now := s.now()
	changed := false
	d, err := s.d.Repository.Update(ctx, sc, a, func(d *Deployment) error {
		was := d.Clone()
		if err := c.apply(d); err != nil {
			return err
		}
		if err := d.check(); err != nil {
			return err
		}
		if c.Limits != nil {
			if err := within(d.Limits, mostOf(s.cfg.Limits)); err != nil {
				return err
			}
		}
		affects := renamed || string(was.Config) != string(d.Config) || c.Program != nil || c.Limits != nil
		changed = affects || was.AvatarURL != d.AvatarURL || was.Region != d.Region
		if d.Active() && affects {
			d.NeedsRestart = true
		}
		if d.CreatedAt.IsZero() {
			d.CreatedAt = now
		}
		d.UpdatedAt = now
		return nil
	})
	if err != nil || !changed {
		return d, err
	}
	return d, s.d.Trail.Note(ctx, sc, "agent_hosting_updated", a, map[string]any{"region": string(d.Region), "needs_restart": d.NeedsRestart})
}

// apply makes the change to d, unchecked.
func (c Change) apply(d *Deployment) (err error) {
	if d.Config, err = MergeConfig(d.Config, c.Config); err != nil {
		return err
	}
	if c.AvatarURL != nil {
		d.AvatarURL = *c.AvatarURL
	}
	if c.Region != nil {
		d.Region = *c.Region
	}
	if c.Program != nil {
		d.Program = (*c.Program).withDefaults()
	}
	if c.Limits != nil {
		d.Limits = *c.Limits
	}
	return nil
}

// withDefaults returns a copy of p with its defaults filled in, or nil for nil.
func (p *Program) withDefaults() *Program {
	if p == nil {
		return nil
	}
	out := *p
	if out.Protocol == "" {
		out.Protocol = ProtocolOpenAI
	}
	return &out
}
