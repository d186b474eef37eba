package agento

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// SwarmWire is a swarm. It is exported because others embed it.
type SwarmWire struct {
	ID          string  `json:"id" doc:"A UUID."`
	Name        string  `json:"name"`
	Slug        string  `json:"slug" doc:"Unique in the account; a new name keeps it."`
	Description *string `json:"description"`
	Icon        *string `json:"icon"`
	AgentCount  int     `json:"agentCount"`
	MemberCount int     `json:"memberCount" doc:"People who belong to it."`
	CreatedAt   stamp   `json:"createdAt"`
	UpdatedAt   stamp   `json:"updatedAt"`
}

// swarmDetailWire is a swarm with its agents.
type swarmDetailWire struct {
	SwarmWire
	Agents []swarmAgentWire `json:"agents" nullable:"false"`
}

type swarmAgentWire struct {
	ID        string `json:"id" doc:"A UUID."`
	Name      string `json:"name"`
	Status    string `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	CreatedAt stamp  `json:"createdAt"`
}

// swarmsOutput is a list that is always whole.
type swarmsOutput struct {
	Body struct {
		Data []SwarmWire `json:"data" nullable:"false"`
	}
}

type deletedWire struct {
	ID      string `json:"id"`
	Deleted bool   `json:"deleted"`
}

type swarmInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id, in any spelling."`
}

func (in swarmInput) read() (id.Swarm, error) { return id.Parse[id.SwarmKind](in.SwarmID) }

type createSwarmInput struct {
	Body struct {
		Name        string            `json:"name" minLength:"1" maxLength:"100" pattern:"\\S" patternDescription:"more than blanks"`
		Description httpx.Opt[string] `json:"description,omitempty" maxLength:"2048"`
		Icon        httpx.Opt[string] `json:"icon,omitempty" maxLength:"64" doc:"An emoji, for example."`
	}
}

type updateSwarmInput struct {
	SwarmID string `path:"swarm_id" doc:"The swarm's id, in any spelling."`
	Body    struct {
		Name        httpx.Opt[string] `json:"name,omitempty" minLength:"1" maxLength:"100"`
		Description httpx.Opt[string] `json:"description,omitempty" maxLength:"2048" doc:"Null clears it."`
		Icon        httpx.Opt[string] `json:"icon,omitempty" maxLength:"64" doc:"Null clears it."`
	}
}

func showSwarm(v swarm.Swarm) SwarmWire {
	return SwarmWire{
		ID: v.ID.UUID().String(), Name: v.Name, Slug: v.Slug, Description: textPtr(v.Description), Icon: textPtr(v.Icon), AgentCount: v.Agents,
		MemberCount: v.Members, CreatedAt: stampOf(v.CreatedAt), UpdatedAt: stampOf(v.UpdatedAt),
	}
}

// swarmAgents returns the agents of a swarm, newest first.
func (f *face) swarmAgents(ctx context.Context, of id.Swarm) ([]swarmAgentWire, error) {
	sc := httpx.Scope(ctx)
	var agents []agent.Agent
	req := agent.ListRequest{Request: page.Request{Limit: swarm.MaxAgents}, Swarm: of}
	for {
		p, err := f.deps.Agents.List(ctx, sc, req)
		if err != nil {
			return nil, err
		}
		agents = append(agents, p.Items...)
		if req.Cursor = p.Next; req.Cursor == "" {
			break
		}
	}
	ids := make([]id.Agent, len(agents))
	for i, a := range agents {
		ids[i] = a.ID
	}
	hosted, err := f.deps.Hosting.Find(ctx, sc, ids...)
	if err != nil {
		return nil, err
	}
	out := make([]swarmAgentWire, len(agents))
	for i, a := range agents {
		out[i] = swarmAgentWire{ID: a.ID.UUID().String(), Name: a.Config.Name, Status: string(hosted[a.ID].Status), CreatedAt: stampOf(a.CreatedAt)}
	}
	return out, nil
}

func (f *face) registerSwarms() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listSwarms", Method: http.MethodGet, Path: "/v1/swarms", Tag: "swarms", Summary: "List all swarms, newest first",
		Permission: account.SwarmsRead,
	}, func(ctx context.Context, _ *struct{}) (*swarmsOutput, error) {
		out := new(swarmsOutput)
		out.Body.Data = []SwarmWire{}
		var req swarm.ListRequest
		for {
			p, err := f.deps.Swarms.List(ctx, httpx.Scope(ctx), req)
			if err != nil {
				return nil, err
			}
			for _, v := range p.Items {
				out.Body.Data = append(out.Body.Data, showSwarm(v))
			}
			if req.Cursor = p.Next; req.Cursor == "" {
				return out, nil
			}
		}
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "createSwarm", Method: http.MethodPost, Path: "/v1/swarms", Tag: "swarms", Status: http.StatusCreated,
		Example: `{"name":"Growth","description":"Agents focused on growth initiatives."}`, Summary: "Create a swarm",
		Description: "Its slug is made from the name. Needs a plan with swarms.", Permission: account.SwarmsWrite,
	}, func(ctx context.Context, in *createSwarmInput) (*output[SwarmWire], error) {
		v, err := f.deps.Swarms.Create(ctx, httpx.Scope(ctx), swarm.New{
			Name: in.Body.Name, Description: in.Body.Description.Value, Icon: in.Body.Icon.Value,
		})
		if err != nil {
			return nil, err
		}
		return ok(showSwarm(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getSwarm", Method: http.MethodGet, Path: "/v1/swarms/{swarm_id}", Tag: "swarms", Summary: "Read a swarm with its agents",
		Permission: account.SwarmsRead,
	}, func(ctx context.Context, in *swarmInput) (*output[swarmDetailWire], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		v, err := f.deps.Swarms.Get(ctx, httpx.Scope(ctx), of)
		if err != nil {
			return nil, err
		}
		agents, err := f.swarmAgents(ctx, of)
		if err != nil {
			return nil, err
		}
		return ok(swarmDetailWire{showSwarm(v), agents}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "updateSwarm", Method: http.MethodPatch, Path: "/v1/swarms/{swarm_id}", Tag: "swarms", Summary: "Change a swarm",
		Example:     `{"name":"Growth Team","description":null}`,
		Description: "Changes what the body names; null clears. The slug stays.", Permission: account.SwarmsWrite,
	}, func(ctx context.Context, in *updateSwarmInput) (*output[SwarmWire], error) {
		of, err := id.Parse[id.SwarmKind](in.SwarmID)
		if err != nil {
			return nil, err
		}
		if in.Body.Name.Null {
			return nil, fault.Invalidf("name", "cannot be cleared")
		}
		v, err := f.deps.Swarms.Update(ctx, httpx.Scope(ctx), of, swarm.Patch{
			Name: in.Body.Name.Change(), Description: in.Body.Description.Change(), Icon: in.Body.Icon.Change(),
		})
		if err != nil {
			return nil, err
		}
		return ok(showSwarm(v)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteSwarm", Method: http.MethodDelete, Path: "/v1/swarms/{swarm_id}", Tag: "swarms", Summary: "Delete a swarm",
		Description: "Its agents leave it and stay; its knowledge, its policies and its provider credentials are removed. A frozen one is a conflict.",
		Permission:  account.SwarmsWrite, Statuses: []int{http.StatusConflict},
	}, func(ctx context.Context, in *swarmInput) (*output[deletedWire], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Swarms.Delete(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(deletedWire{of.UUID().String(), true}), nil
	})
}
