package native

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// swarmWire is a swarm as it is answered. Every field is always there.
type swarmWire struct {
	ID          string  `json:"id" doc:"swarm_..."`
	Type        string  `json:"type" enum:"swarm"`
	Name        string  `json:"name"`
	Slug        string  `json:"slug" doc:"Unique in the tenant; a new name keeps it."`
	Description *string `json:"description"`
	Icon        *string `json:"icon"`
	Standing    string  `json:"standing" enum:"active,frozen"`
	AgentCount  int     `json:"agent_count" doc:"Agents that belong to it, archived ones apart."`
	CreatedAt   stamp   `json:"created_at"`
	UpdatedAt   stamp   `json:"updated_at"`
}

func showSwarm(v swarm.Swarm) swarmWire {
	return swarmWire{
		ID: v.ID.String(), Type: "swarm", Name: v.Name, Slug: v.Slug, Description: textOrNull(v.Description), Icon: textOrNull(v.Icon),
		Standing: string(v.Standing), AgentCount: v.Agents, CreatedAt: stampOf(v.CreatedAt), UpdatedAt: stampOf(v.UpdatedAt),
	}
}

type createSwarmInput struct {
	Body struct {
		Name        string            `json:"name" minLength:"1" maxLength:"100"`
		Slug        string            `json:"slug,omitempty" minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" doc:"Made from the name when left out."`
		Description httpx.Opt[string] `json:"description,omitempty" maxLength:"2048"`
		Icon        httpx.Opt[string] `json:"icon,omitempty" maxLength:"64" doc:"An emoji, for example."`
	}
}

type swarmInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
}

type updateSwarmInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
	Body    struct {
		Name        httpx.Kept[string] `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Slug        httpx.Kept[string] `json:"slug,omitempty" minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"`
		Description httpx.Opt[string]  `json:"description,omitempty" maxLength:"2048"`
		Icon        httpx.Opt[string]  `json:"icon,omitempty" maxLength:"64"`
	}
}

func (in *updateSwarmInput) patch() (swarm.Patch, error) {
	var p swarm.Patch
	b := &in.Body
	for name, k := range map[string]struct {
		from *httpx.Kept[string]
		to   **string
	}{"name": {&b.Name, &p.Name}, "slug": {&b.Slug, &p.Slug}} {
		if k.from.Null {
			return swarm.Patch{}, fault.Invalidf(name, "cannot be cleared")
		}
		if k.from.Set {
			*k.to = &k.from.Value
		}
	}
	if b.Description.Set {
		p.Description = &b.Description.Value
	}
	if b.Icon.Set {
		p.Icon = &b.Icon.Value
	}
	return p, nil
}

type listSwarmsInput struct {
	httpx.PageQuery

	Slug     string `query:"slug" doc:"The swarm with this slug."`
	Search   string `query:"search" doc:"Swarms with this in their name, whatever the case."`
	Standing string `query:"standing" enum:"active,frozen" doc:"Only those."`
}

type listSwarmAgentsInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
	httpx.PageQuery
}

type joinSwarmInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
	Body    struct {
		AgentID string `json:"agent_id" minLength:"1" maxLength:"128"`
	}
}

type swarmAgentInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id."`
	AgentID string `path:"agent_id" doc:"The agent's id."`
}

func (f *face) registerSwarms() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createSwarm", Method: http.MethodPost, Path: "/v1/swarms", Tag: "swarms", Status: http.StatusCreated,
		Example: `{"name":"Growth","description":"Agents that win customers."}`, Summary: "Create a swarm",
		Description: "A swarm is a group of agents that share knowledge and policies and can be frozen together. Needs a plan with swarms.",
		Permission:  account.SwarmsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *createSwarmInput) (*output[swarmWire], error) {
		v, err := f.deps.Swarms.Create(ctx, httpx.Scope(ctx), swarm.New{
			Name: in.Body.Name, Slug: in.Body.Slug, Description: in.Body.Description.Value, Icon: in.Body.Icon.Value,
		})
		if err != nil {
			return nil, err
		}
		return ok(showSwarm(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listSwarms", Method: http.MethodGet, Path: "/v1/swarms", Tag: "swarms", Summary: "List swarms, newest first",
		Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *listSwarmsInput) (*output[httpx.List[swarmWire]], error) {
		found, err := f.deps.Swarms.List(ctx, httpx.Scope(ctx), swarm.ListRequest{
			Request: in.Request(), Slug: in.Slug, Search: in.Search, Standing: swarm.Standing(in.Standing),
		})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(found, showSwarm)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSwarm", Method: http.MethodGet, Path: "/v1/swarms/{swarm_id}", Tag: "swarms", Summary: "Read a swarm",
		Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *swarmInput) (*output[swarmWire], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		v, err := f.deps.Swarms.Get(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		return ok(showSwarm(v)), nil
	})

	for method, op := range map[string]string{http.MethodPatch: "patchSwarm", http.MethodPost: "updateSwarm", http.MethodPut: "putSwarm"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/swarms/{swarm_id}", Tag: "swarms", Summary: "Change a swarm",
			Example:     `{"name":"Growth Team","description":null}`,
			Description: "Changes what the body names; null clears. POST, PATCH and PUT do the same.",
			Permission:  account.SwarmsWrite, Statuses: []int{http.StatusConflict},
		}, f.updateSwarm)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteSwarm", Method: http.MethodDelete, Path: "/v1/swarms/{swarm_id}", Tag: "swarms", Summary: "Delete a swarm",
		Description: "Its agents leave it and stay; its knowledge and its policies are removed. A frozen one is a conflict: its agents would be free.",
		Permission:  account.SwarmsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *swarmInput) (*output[httpx.Deleted], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Swarms.Delete(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: of.String(), Type: "swarm_deleted"}), nil
	})

	f.registerSwarmAgents()
}

func (f *face) registerSwarmAgents() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listSwarmAgents", Method: http.MethodGet, Path: "/v1/swarms/{swarm_id}/agents", Tag: "swarms",
		Summary: "List the agents of a swarm, newest first", Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *listSwarmAgentsInput) (*output[httpx.List[agentWire]], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Swarms.Exists(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		agents, err := f.deps.Agents.List(ctx, httpx.Scope(ctx), agent.ListRequest{Request: in.Request(), Swarm: of})
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(agents, showAgent)), nil
	})

	for method, op := range map[string]string{http.MethodPost: "joinSwarm", http.MethodPut: "putSwarmAgent"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/swarms/{swarm_id}/agents", Tag: "swarms", Summary: "Put an agent into a swarm",
			Example: `{"agent_id":"agent_01h2xcejqtf2nbrexx3vqjhp41"}`,
			Description: "Out of the one that it was in: an agent belongs to one swarm at most. In a frozen swarm it is frozen at once, and out of a " +
				"frozen one it cannot go. POST and PUT do the same.",
			Permission: account.SwarmsWrite, Statuses: []int{http.StatusConflict},
		}, f.joinSwarm)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "leaveSwarm", Method: http.MethodDelete, Path: "/v1/swarms/{swarm_id}/agents/{agent_id}", Tag: "swarms",
		Summary: "Take an agent out of a swarm", Permission: account.SwarmsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *swarmAgentInput) (*output[httpx.Deleted], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		member, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Swarms.Leave(ctx, httpx.Scope(ctx), of, member); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: member.String(), Type: "swarm_agent_deleted"}), nil
	})
}

func (f *face) updateSwarm(ctx context.Context, in *updateSwarmInput) (*output[swarmWire], error) {
	of, err := id.Parse[id.SwarmKind](in.SwarmID)
	if err != nil {
		return nil, err
	}
	p, err := in.patch()
	if err != nil {
		return nil, err
	}
	v, err := f.deps.Swarms.Update(ctx, httpx.Scope(ctx), of, p)
	if err != nil {
		return nil, err
	}
	return ok(showSwarm(v)), nil
}

func (f *face) joinSwarm(ctx context.Context, in *joinSwarmInput) (*output[agentWire], error) {
	of, err := id.Parse[id.SwarmKind](in.SwarmID)
	if err != nil {
		return nil, err
	}
	member, err := id.Parse[id.AgentKind](in.Body.AgentID)
	if err != nil {
		return nil, err
	}
	if err := f.deps.Swarms.Join(ctx, httpx.Scope(ctx), of, member); err != nil {
		return nil, err
	}
	a, err := f.deps.Agents.Get(ctx, httpx.Scope(ctx), member)
	if err != nil {
		return nil, err
	}
	return ok(showAgent(a)), nil
}

// readSwarm reads the swarm that a body wants an agent in; null is none. It is looked for before the agent is touched.
func (f *face) readSwarm(ctx context.Context, in httpx.Opt[string]) (id.Swarm, error) {
	if !in.Set || in.Null || in.Value == "" {
		return id.Swarm{}, nil
	}
	of, err := id.Parse[id.SwarmKind](in.Value)
	if err != nil {
		return id.Swarm{}, err
	}
	return of, f.deps.Swarms.Exists(ctx, httpx.Scope(ctx), of)
}
