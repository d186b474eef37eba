package swarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Deps is what a Service needs; all but Dependents are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Members    Members
	Agents     Agents
	Trail      Trail
	Dependents []Dependent // told in this order when a swarm is deleted
}

// Service makes, changes and deletes swarms, and says who belongs to them. Freezing one is the gate's. It is safe for concurrent use.
type Service struct{ d Deps }

// NewService returns a Service, or an error that names the missing dependency.
func NewService(d Deps) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil}, {"Members", d.Members == nil}, {"Agents", d.Agents == nil}, {"Trail", d.Trail == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("swarm: Deps.%s is required", f.name)
		}
	}
	return &Service{d}, nil
}

// slugTries bounds how many numbers are tried behind a slug that is taken, before one is made that nobody can have.
const slugTries = 20

// Create makes a swarm without agents. ErrPlanLimit, ErrInvalid, and ErrSlugTaken for a slug that was asked for.
func (s *Service) Create(ctx context.Context, sc account.Scope, n New) (Swarm, error) {
	if !sc.Plan.Limits().Swarms {
		return Swarm{}, ErrPlanLimit.Withf("the plan %q has no swarms", sc.Plan)
	}
	now := clock.Stored(s.d.Clock.Now())
	v := Swarm{
		ID: id.New[id.SwarmKind](s.d.IDs), Tenant: sc.Tenant, Name: n.Name, Slug: n.Slug, Description: n.Description, Icon: n.Icon,
		Standing: Active, CreatedAt: now, UpdatedAt: now,
	}
	slugs := []string{n.Slug}
	if n.Slug == "" {
		slug := Slug(n.Name)
		slugs[0] = slug
		for i := range slugTries {
			slugs = append(slugs, numbered(slug, strconv.Itoa(i+2)))
		}
		random := v.ID.UUID().String()
		slugs = append(slugs, numbered(slug, random[len(random)-12:]))
	}
	v.Slug = slugs[0]
	if err := v.check(); err != nil {
		return Swarm{}, err
	}
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		for _, v.Slug = range slugs {
			fresh, err := s.d.Repository.Insert(ctx, sc, v)
			if err != nil {
				return err
			}
			if fresh {
				return s.note(ctx, sc, "swarm_created", v, id.Agent{})
			}
		}
		return ErrSlugTaken.Withf("another swarm has the slug %q", v.Slug)
	})
	if err != nil {
		return Swarm{}, err
	}
	return v, nil
}

// Get returns a swarm.
func (s *Service) Get(ctx context.Context, sc account.Scope, swarm id.Swarm) (Swarm, error) {
	return s.d.Repository.Get(ctx, sc, swarm)
}

// List lists swarms, newest first.
func (s *Service) List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Swarm], error) {
	return s.d.Repository.List(ctx, sc, req)
}

// Update changes a swarm. ErrInvalid, ErrSlugTaken. One that changes nothing is not noted.
func (s *Service) Update(ctx context.Context, sc account.Scope, swarm id.Swarm, p Patch) (Swarm, error) {
	var out Swarm
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		was, err := s.d.Repository.Lock(ctx, sc, swarm)
		if err != nil {
			return err
		}
		out = was
		p.apply(&out)
		if err := out.check(); err != nil || out == was {
			return err
		}
		out.UpdatedAt = clock.Stored(s.d.Clock.Now())
		if err := s.d.Repository.Update(ctx, sc, out); err != nil {
			return err
		}
		return s.note(ctx, sc, "swarm_updated", out, id.Agent{})
	})
	if err != nil {
		return Swarm{}, err
	}
	return out, nil
}

// Delete removes a swarm in one transaction: its agents leave it, what depends on it goes. ErrFrozen while it is frozen, since its
// agents would be free to act.
func (s *Service) Delete(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		v, err := s.d.Repository.Lock(ctx, sc, swarm)
		if err != nil {
			return err
		}
		if v.Standing == Frozen {
			return ErrFrozen
		}
		members, err := s.d.Members.Members(ctx, sc, swarm)
		if err != nil {
			return err
		}
		for _, a := range members {
			if err := s.note(ctx, sc, "swarm_agent_left", v, a); err != nil {
				return err
			}
		}
		for _, d := range s.d.Dependents {
			if err := d.ForgetSwarm(ctx, sc, swarm); err != nil {
				return err
			}
		}
		if err := s.d.Repository.Delete(ctx, sc, swarm); err != nil {
			return err
		}
		return s.note(ctx, sc, "swarm_deleted", v, id.Agent{})
	})
}

// Agents returns the agents of a swarm that are not archived, in the order in which they were made.
func (s *Service) Agents(ctx context.Context, sc account.Scope, swarm id.Swarm) ([]id.Agent, error) {
	if _, err := s.d.Repository.Get(ctx, sc, swarm); err != nil {
		return nil, err
	}
	return s.d.Members.Members(ctx, sc, swarm)
}

// Join puts an agent into a swarm, out of the one that it was in; being there already is no error. In a frozen swarm the agent is
// frozen at once. agent.ErrArchived, ErrFull, and ErrFrozen when the swarm that it leaves is frozen.
func (s *Service) Join(ctx context.Context, sc account.Scope, swarm id.Swarm, a id.Agent) error {
	return s.move(ctx, sc, a, func(agent.Agent) (id.Swarm, error) { return swarm, nil })
}

// Leave takes an agent out of a swarm. ErrNotMember when it is not in it, ErrFrozen while the swarm is frozen.
func (s *Service) Leave(ctx context.Context, sc account.Scope, swarm id.Swarm, a id.Agent) error {
	if _, err := s.d.Repository.Get(ctx, sc, swarm); err != nil {
		return err
	}
	return s.move(ctx, sc, a, func(now agent.Agent) (id.Swarm, error) {
		if now.Swarm != swarm {
			return id.Swarm{}, ErrNotMember
		}
		return id.Swarm{}, nil
	})
}

// Place changes an agent and puts it where to says, both or neither; the zero swarm takes it out of whichever it is in. change changes the
// agent, or makes it where a is zero, and returns it as it is then; it joins the transaction in its context and may be called again.
// Errors are those of change and of Join, and account.ErrForbidden where the swarm becomes another one without account.SwarmsWrite: which
// policies hold for an agent depends on its swarm.
func (s *Service) Place(
	ctx context.Context, sc account.Scope, a id.Agent, to id.Swarm, change func(ctx context.Context) (agent.Agent, error),
) (agent.Agent, error) {
	var out agent.Agent
	for range moveTries {
		var now agent.Agent
		if !a.IsZero() {
			var err error
			if now, err = s.d.Agents.Get(ctx, sc, a); err != nil {
				return agent.Agent{}, err
			}
		}
		if now.Swarm != to {
			if err := sc.Require(account.SwarmsWrite); err != nil {
				return agent.Agent{}, err
			}
		}
		err := s.tryMove(ctx, sc, now, to, func(ctx context.Context) (id.Agent, error) {
			var err error
			if out, err = change(ctx); err == nil && out.Swarm != now.Swarm {
				err = errMoved
			}
			return out.ID, err
		})
		if errors.Is(err, errMoved) {
			continue
		}
		if err != nil || now.Swarm == to {
			return out, err
		}
		return s.d.Agents.Get(ctx, sc, out.ID)
	}
	return agent.Agent{}, errMoved
}

// moveTries is how often an agent that others move meanwhile is looked for.
const moveTries = 5

// errMoved undoes a transaction whose agent went elsewhere before its swarms were locked.
var errMoved = errors.New("swarm: the agent moved meanwhile")

// move takes an agent from the swarm where it is to the one that where says. It joins the transaction in ctx, which must not hold the
// agent by then: swarms are locked first.
func (s *Service) move(
	ctx context.Context, sc account.Scope, a id.Agent, where func(now agent.Agent) (id.Swarm, error),
) error {
	for range moveTries {
		now, err := s.d.Agents.Get(ctx, sc, a)
		if err != nil {
			return err
		}
		to, err := where(now)
		if err != nil {
			return err
		}
		if err := s.tryMove(ctx, sc, now, to, nil); !errors.Is(err, errMoved) {
			return err
		}
	}
	return errMoved
}

// tryMove moves an agent once its swarms are locked and change, which may be nil, has changed or made it.
func (s *Service) tryMove(
	ctx context.Context, sc account.Scope, now agent.Agent, to id.Swarm, change func(context.Context) (id.Agent, error),
) error {
	return s.d.TX.Do(ctx, func(ctx context.Context) error {
		locked := map[id.Swarm]Swarm{}
		both := []id.Swarm{now.Swarm, to}
		slices.SortFunc(both, func(x, y id.Swarm) int { return compare(x, y) })
		for _, swarm := range slices.Compact(both) {
			if swarm.IsZero() {
				continue
			}
			v, err := s.d.Repository.Lock(ctx, sc, swarm)
			if err != nil {
				return err
			}
			locked[swarm] = v
		}
		moved := now.ID
		if change != nil {
			var err error
			if moved, err = change(ctx); err != nil {
				return err
			}
		}
		if now.Swarm == to {
			return nil
		}
		from, into := locked[now.Swarm], locked[to]
		if from.Standing == Frozen {
			return ErrFrozen
		}
		if !to.IsZero() && into.Agents >= MaxAgents {
			return ErrFull.Withf("the swarm has %d agents, the most there are", into.Agents)
		}
		was, err := s.d.Members.SetSwarm(ctx, sc, moved, to, into.Standing == Frozen)
		if err != nil {
			return err
		}
		if was != now.Swarm {
			return errMoved
		}
		if !was.IsZero() {
			if err := s.note(ctx, sc, "swarm_agent_left", from, moved); err != nil {
				return err
			}
		}
		if to.IsZero() {
			return nil
		}
		return s.note(ctx, sc, "swarm_agent_joined", into, moved)
	})
}

// Exists returns id.NotFound when the tenant has no such swarm.
func (s *Service) Exists(ctx context.Context, sc account.Scope, swarm id.Swarm) error {
	_, err := s.d.Repository.Get(ctx, sc, swarm)
	return err
}

func compare(a, b id.Swarm) int {
	x, y := a.UUID(), b.UUID()
	return slices.Compare(x[:], y[:])
}

func (s *Service) note(ctx context.Context, sc account.Scope, action string, v Swarm, a id.Agent) error {
	return s.d.Trail.Note(ctx, sc, action, a, map[string]any{"swarm_id": v.ID.UUID().String(), "name": v.Name, "slug": v.Slug})
}
