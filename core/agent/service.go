package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// ModelChecker decides whether an agent may name a model. app wires core/model.
type ModelChecker interface {
	// CheckModel returns nil when handle may be stored in an agent's Config, and a fault.Invalid that says why otherwise. The
	// empty handle, the tenant's default, is not asked about.
	CheckModel(ctx context.Context, sc account.Scope, handle string) error
}

// SkillChecker decides whether an agent may name skills. app wires core/skill.
type SkillChecker interface {
	// CheckSkills returns refs with the ids in the server's own spelling, or an error whose Fields name what is not there.
	CheckSkills(ctx context.Context, sc account.Scope, refs []SkillRef) ([]SkillRef, error)
}

// RemoteChecker decides whether an agent may have a remote agent as a tool. app wires core/remote.
type RemoteChecker interface {
	// CheckRemote returns the name of a remote agent, which is that of its tool, or id.NotFound[id.RemoteAgentKind] when the tenant has no
	// such one.
	CheckRemote(ctx context.Context, sc account.Scope, remote id.RemoteAgent) (name string, err error)
}

// Trail is where the life of agents is noted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Stopper ends what an agent is doing. app wires core/gate.
type Stopper interface {
	// StopAgent voids what an agent has parked and ends its turns, in the transaction of ctx, which has the agent locked.
	StopAgent(ctx context.Context, sc account.Scope, agent id.Agent, reason string) (voided, turns int, err error)
}

// Deps is what a Service needs. All fields but Skills, Remotes and Stopper are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Trail      Trail
	Models     ModelChecker
	Skills     SkillChecker  // nil: any may be named
	Remotes    RemoteChecker // nil: any may be named
	Stopper    Stopper       // nil: archived agents go on with what they do
}

// ServiceConfig is the service's configuration; Config is what an agent has. The zero value reserves nothing.
type ServiceConfig struct {
	// Reserved are names that custom tools may not have, because built-in tools have them.
	Reserved []string
}

// Service registers, reads and changes agents. It is safe for concurrent use.
type Service struct {
	d   Deps
	cfg ServiceConfig
}

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps, cfg ServiceConfig) (*Service, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("agent: Deps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("agent: Deps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("agent: Deps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("agent: Deps.Logger is required")
	case d.Repository == nil:
		return nil, errors.New("agent: Deps.Repository is required")
	case d.Trail == nil:
		return nil, errors.New("agent: Deps.Trail is required")
	case d.Models == nil:
		return nil, errors.New("agent: Deps.Models is required")
	}
	return &Service{d: d, cfg: cfg}, nil
}

// Create checks cfg, fills its defaults, and stores it as version 1 of a new active agent. It returns ErrInvalid, ErrPlanLimit,
// the ModelChecker's refusal, or id.NotFound for an agent that the roster names and the tenant does not have.
func (s *Service) Create(ctx context.Context, sc account.Scope, cfg Config) (Agent, error) {
	cfg, err := s.admit(ctx, sc, cfg, Config{})
	if err != nil {
		return Agent{}, err
	}
	now := clock.Stored(s.d.Clock.Now())
	a := Agent{
		ID: id.New[id.AgentKind](s.d.IDs), Tenant: sc.Tenant, Version: 1, Config: cfg, Standing: Active, CreatedAt: now, UpdatedAt: now,
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.checkLimit(ctx, sc); err != nil {
			return err
		}
		if err := s.d.Repository.Insert(ctx, sc, a); err != nil {
			return err
		}
		return s.note(ctx, sc, "agent_created", a)
	})
	if err != nil {
		return Agent{}, err
	}
	s.d.Logger.DebugContext(ctx, "agent created", "tenant_id", sc.Tenant, "agent_id", a.ID)
	return a, nil
}

func (s *Service) checkLimit(ctx context.Context, sc account.Scope) error {
	limit := sc.Plan.Limits().Agents
	if limit == account.Unlimited {
		return nil
	}
	n, err := s.d.Repository.CountLive(ctx, sc)
	if err != nil {
		return err
	}
	if n >= limit {
		return ErrPlanLimit.Withf("the plan %q allows %d agents", sc.Plan, limit)
	}
	return nil
}

// CountAgents counts the agents of sc's tenant that are not archived: those that fill a slot of its plan. It implements
// account.AgentCounter.
func (s *Service) CountAgents(ctx context.Context, sc account.Scope) (int, error) {
	return s.d.Repository.CountLive(ctx, sc)
}

var _ account.AgentCounter = (*Service)(nil)

// Get returns the current version of an agent.
func (s *Service) Get(ctx context.Context, sc account.Scope, agent id.Agent) (Agent, error) {
	return s.d.Repository.Get(ctx, sc, agent)
}

// GetVersion returns one version of an agent, the current one included, or ErrVersionNotFound.
func (s *Service) GetVersion(ctx context.Context, sc account.Scope, agent id.Agent, version int) (Agent, error) {
	return s.d.Repository.GetVersion(ctx, sc, agent, version)
}

// Versions lists the versions of an agent, newest first, the current one included.
func (s *Service) Versions(ctx context.Context, sc account.Scope, agent id.Agent, req page.Request) (page.Page[Agent], error) {
	return s.d.Repository.Versions(ctx, sc, agent, req)
}

// List lists agents, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Agent], error) {
	return s.d.Repository.List(ctx, sc, req)
}

// Update applies p to the current version and stores the result as the next one. When nothing changes the version stays. It
// returns ErrVersionConflict, ErrArchived, ErrInvalid, or what the ModelChecker says about a model that p brings.
func (s *Service) Update(ctx context.Context, sc account.Scope, agent id.Agent, p Patch) (Agent, error) {
	// What the checks read of others (models, the agents of a roster) is read outside the transaction, against a first reading of
	// the agent; inside it the patch is applied again to what is there by then, and checked again only for its shape.
	before, err := s.d.Repository.Get(ctx, sc, agent)
	if err != nil {
		return Agent{}, err
	}
	p.Multiagent.value = p.Multiagent.value.of(agent)
	if err := p.against(before); err != nil {
		return Agent{}, err
	}
	admitted, err := s.admit(ctx, sc, p.Apply(before.Config), before.Config)
	if err != nil {
		return Agent{}, err
	}
	if p.Multiagent.set {
		p.Multiagent = Set(admitted.Multiagent)
	}
	if p.Skills.set {
		p.Skills = Set(admitted.Skills)
	}
	now := clock.Stored(s.d.Clock.Now())
	var out Agent
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		changed := false
		var err error
		out, err = s.d.Repository.Update(ctx, sc, agent, func(a *Agent) error {
			if err := p.against(*a); err != nil {
				return err
			}
			next := p.Apply(a.Config).withDefaults()
			if err := next.check(s.cfg.Reserved); err != nil {
				return err
			}
			if changed = !next.equal(a.Config); !changed {
				return nil
			}
			a.Config = next
			a.Version++
			a.UpdatedAt = now
			return nil
		})
		if err != nil || !changed {
			return err
		}
		return s.note(ctx, sc, "agent_updated", out)
	})
	if err != nil {
		return Agent{}, err
	}
	return out, nil
}

// against checks what p presumes about the agent that it changes.
func (p Patch) against(a Agent) error {
	if a.Standing == Archived {
		return ErrArchived.Withf("agent %s is archived and cannot be changed", a.ID)
	}
	if p.Version != 0 && p.Version != a.Version {
		return ErrVersionConflict.Withf("the agent is at version %d, not %d", a.Version, p.Version)
	}
	return nil
}

// Archive takes an agent out of use: it is kept to be read, its sessions keep their version, and it fills no slot of the plan. What it
// does is ended, and what it has parked is void. Archiving it again changes nothing.
func (s *Service) Archive(ctx context.Context, sc account.Scope, agent id.Agent) (Agent, error) {
	now := clock.Stored(s.d.Clock.Now())
	var out Agent
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		fresh := false
		var err error
		out, err = s.d.Repository.Update(ctx, sc, agent, func(a *Agent) error {
			if fresh = a.Standing != Archived; fresh {
				a.Standing, a.ArchivedAt = Archived, &now
			}
			return nil
		})
		if err != nil || !fresh {
			return err
		}
		if s.d.Stopper != nil {
			if _, _, err := s.d.Stopper.StopAgent(ctx, sc, agent, "the agent was archived"); err != nil {
				return err
			}
		}
		return s.note(ctx, sc, "agent_archived", out)
	})
	if err != nil {
		return Agent{}, err
	}
	return out, nil
}

func (s *Service) note(ctx context.Context, sc account.Scope, action string, a Agent) error {
	return s.d.Trail.Note(ctx, sc, action, a.ID, map[string]any{"name": a.Config.Name, "version": a.Version})
}

// admit returns cfg with its defaults filled, after every check. was is what the agent had: a model and the skills that it names
// already are not asked about again, so that an agent stays editable when its provider or a skill has been removed.
func (s *Service) admit(ctx context.Context, sc account.Scope, cfg, was Config) (Config, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(s.cfg.Reserved); err != nil {
		return Config{}, err
	}
	if cfg.Model.ID != "" && cfg.Model.ID != was.Model.ID {
		if err := s.d.Models.CheckModel(ctx, sc, cfg.Model.ID); err != nil {
			return Config{}, at(err, "model")
		}
	}
	if s.d.Skills != nil && !slices.Equal(cfg.Skills, was.Skills) {
		var err error
		if cfg.Skills, err = s.d.Skills.CheckSkills(ctx, sc, cfg.Skills); err != nil {
			return Config{}, err
		}
	}
	if s.d.Remotes != nil && !slices.EqualFunc(cfg.Tools, was.Tools, Tool.equal) {
		if err := s.checkRemotes(ctx, sc, cfg, was); err != nil {
			return Config{}, err
		}
	}
	if cfg.Multiagent == nil || reflect.DeepEqual(cfg.Multiagent, was.Multiagent) {
		return cfg, nil
	}
	m := *cfg.Multiagent
	m.Roster = append([]RosterEntry(nil), m.Roster...)
	for i, e := range m.Roster {
		if e.Type != RosterAgent {
			continue
		}
		other, err := s.d.Repository.Get(ctx, sc, e.Agent)
		if err == nil && e.Version != 0 {
			other, err = s.d.Repository.GetVersion(ctx, sc, e.Agent, e.Version)
		}
		if err != nil {
			return Config{}, err
		}
		if other.Standing == Archived && !was.delegates(e.Agent) {
			path := fmt.Sprintf("multiagent.agents[%d]", i)
			return Config{}, ErrInvalid.Withf("%s: agent %s is archived", path, other.ID).WithFields(fault.Field{Path: path, Message: "is archived"})
		}
		m.Roster[i].Version = other.Version
	}
	cfg.Multiagent = &m
	return cfg, nil
}

// delegates reports whether the agent is on the roster.
func (c Config) delegates(to id.Agent) bool {
	return c.Multiagent != nil && slices.ContainsFunc(c.Multiagent.Roster, func(e RosterEntry) bool { return e.Type == RosterAgent && e.Agent == to })
}

// of returns m with its entries for the agent itself, which are shown as those of any agent are, in their own form.
func (m *Multiagent) of(self id.Agent) *Multiagent {
	if m == nil {
		return nil
	}
	out := *m
	out.Roster = append([]RosterEntry(nil), m.Roster...)
	for i, e := range out.Roster {
		if e.Type == RosterAgent && e.Agent == self {
			out.Roster[i] = RosterEntry{Type: RosterSelf}
		}
	}
	return &out
}

// at gives an Invalid error without fields the path of the field that it is about.
func at(err error, path string) error {
	f, ok := fault.As(err)
	if !ok || f.Kind != fault.Invalid || len(f.Fields) > 0 {
		return err
	}
	return f.WithFields(fault.Field{Path: path, Message: f.Message})
}
