package valta

import (
	"context"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
)

// The statuses of agents, by their standings.
const (
	statusActive   = "active"
	statusFrozen   = "frozen"
	statusInactive = "inactive"
)

var (
	statuses  = map[agent.Standing]string{agent.Active: statusActive, agent.Frozen: statusFrozen, agent.Archived: statusInactive}
	standings = map[string]agent.Standing{statusActive: agent.Active, statusFrozen: agent.Frozen, statusInactive: agent.Archived}
)

type agentWire struct {
	ID          string  `json:"id" doc:"ag_..."`
	Name        string  `json:"name"`
	Description *string `json:"description" doc:"What the agent does; null when nobody said."`
	Status      string  `json:"status" enum:"active,frozen,inactive"`
	WalletID    string  `json:"walletId" doc:"wal_..."`
	CreatedAt   stamp   `json:"createdAt"`
	UpdatedAt   stamp   `json:"updatedAt"`
}

// spellAgent writes the id of an agent, and nothing for none.
func spellAgent(a id.Agent) string {
	if a.IsZero() {
		return ""
	}
	return a.Spell("ag")
}

func showAgent(a agent.Agent, w wallet.Wallet) agentWire {
	return agentWire{
		ID: spellAgent(a.ID), Name: a.Config.Name, Description: textPtr(a.Config.Description), Status: statuses[a.Standing],
		WalletID: w.ID.String(), CreatedAt: stampOf(a.CreatedAt), UpdatedAt: stampOf(a.UpdatedAt),
	}
}

// answer writes an agent with its wallet.
func (f *face) answer(ctx context.Context, a agent.Agent) (*output[agentWire], error) {
	w, err := f.deps.Wallets.Ensure(ctx, httpx.Scope(ctx), a.ID, "")
	if err != nil {
		return nil, err
	}
	return ok(showAgent(a, w)), nil
}

// AgentInput names an agent. Its type is exported because others embed it.
type AgentInput struct {
	AgentID string `path:"agentId" doc:"The agent's id, in any spelling."`
}

func (in AgentInput) read() (id.Agent, error) { return id.Parse[id.AgentKind](in.AgentID) }

type createAgentInput struct {
	Body struct {
		Name        string `json:"name" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"more than blanks" doc:"For people."`
		Description string `json:"description,omitempty" maxLength:"2048" doc:"What the agent does."`
	}
}

type updateAgentInput struct {
	AgentInput
	Body struct {
		Name        *string       `json:"name,omitempty" minLength:"1" maxLength:"256" pattern:"\\S" patternDescription:"more than blanks"`
		Description maybe[string] `json:"description,omitempty" maxLength:"2048" doc:"null removes it."`
	}
}

type listAgentsInput struct {
	PageQuery
	Status string `query:"status" enum:"active,frozen,inactive" doc:"Only those."`
}

type frozenWire struct {
	Success bool   `json:"success" doc:"true"`
	AgentID string `json:"agentId"`
	Status  string `json:"status" enum:"active,frozen"`
}

func (f *face) registerAgents() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createAgent", Method: http.MethodPost, Path: "/agents", Tag: "agents", Status: http.StatusCreated,
		Example: `{"name":"Procurement Agent","description":"Handles vendor API subscriptions."}`,
		Summary: "Create an agent with a wallet of its own", Permission: account.AgentsWrite,
		Description: "403 FORBIDDEN when the plan has no room for another agent.",
	}, func(ctx context.Context, in *createAgentInput) (*output[agentWire], error) {
		a, err := f.deps.Agents.Create(ctx, httpx.Scope(ctx), agent.Config{Name: in.Body.Name, Description: in.Body.Description})
		if err != nil {
			return nil, err
		}
		return f.answer(ctx, a)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgents", Method: http.MethodGet, Path: "/agents", Tag: "agents",
		Summary: "List agents, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listAgentsInput) (*output[listWire[agentWire]], error) {
		return f.listAgents(ctx, in)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgent", Method: http.MethodGet, Path: "/agents/{agentId}", Tag: "agents",
		Summary: "Read an agent", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *AgentInput) (*output[agentWire], error) {
		a, err := f.agent(ctx, *in)
		if err != nil {
			return nil, err
		}
		return f.answer(ctx, a)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "updateAgent", Method: http.MethodPatch, Path: "/agents/{agentId}", Tag: "agents", Statuses: []int{http.StatusConflict},
		Example: `{"name":"Procurement Agent v2"}`,
		Summary: "Change an agent's name or description", Permission: account.AgentsWrite, Description: "What is left out stays.",
	}, func(ctx context.Context, in *updateAgentInput) (*output[agentWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		var p agent.Patch
		if in.Body.Name != nil {
			p.Name = agent.Set(*in.Body.Name)
		}
		if in.Body.Description.set {
			p.Description = agent.Set(in.Body.Description.value)
		}
		changed, err := f.deps.Agents.Update(ctx, httpx.Scope(ctx), a, p)
		if err != nil {
			return nil, err
		}
		return f.answer(ctx, changed)
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteAgent", Method: http.MethodDelete, Path: "/agents/{agentId}", Tag: "agents",
		Summary: "Delete an agent", Permission: account.AgentsWrite,
		Description: "What waits for an approval is void, the balance goes to the account. Its audit entries stay, and are found by its id.",
	}, func(ctx context.Context, in *AgentInput) (*output[successWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Destroyer.Destroy(ctx, httpx.Scope(ctx), a); err != nil {
			return nil, err
		}
		return ok(successWire{true}), nil
	})

	f.registerFreeze()
}

func (f *face) registerFreeze() {
	httpx.Register(f.Face, httpx.Op{
		ID: "freezeAgent", Method: http.MethodPost, Path: "/agents/{agentId}/freeze", Tag: "agents",
		Summary: "Freeze an agent", Permission: account.AgentsWrite,
		Description: "Once this answers, no money of the agent moves and no run starts. What waits is void, what runs is ended.",
	}, func(ctx context.Context, in *AgentInput) (*output[frozenWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		if _, err := f.deps.Gate.Freeze(ctx, httpx.Scope(ctx), a); err != nil {
			return nil, err
		}
		return ok(frozenWire{true, spellAgent(a), statusFrozen}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "unfreezeAgent", Method: http.MethodPost, Path: "/agents/{agentId}/unfreeze", Tag: "agents",
		Summary: "Let a frozen agent act again", Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *AgentInput) (*output[frozenWire], error) {
		a, err := in.read()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Gate.Unfreeze(ctx, httpx.Scope(ctx), a); err != nil {
			return nil, err
		}
		return ok(frozenWire{true, spellAgent(a), statusActive}), nil
	})
}

// agent returns the agent that a path names.
func (f *face) agent(ctx context.Context, in AgentInput) (agent.Agent, error) {
	a, err := in.read()
	if err != nil {
		return agent.Agent{}, err
	}
	return f.deps.Agents.Get(ctx, httpx.Scope(ctx), a)
}

func (f *face) listAgents(ctx context.Context, in *listAgentsInput) (*output[listWire[agentWire]], error) {
	p, err := f.deps.Agents.List(ctx, httpx.Scope(ctx), agent.ListRequest{
		Request: in.request(), Standing: standings[in.Status], Archived: true,
	})
	if err != nil {
		return nil, err
	}
	shown := make([]id.Agent, len(p.Items))
	for i, a := range p.Items {
		shown[i] = a.ID
	}
	wallets, err := f.deps.Wallets.EnsureAll(ctx, httpx.Scope(ctx), "", shown...)
	if err != nil {
		return nil, err
	}
	return listOf(in.PageQuery, p, func(a agent.Agent) agentWire { return showAgent(a, wallets[a.ID]) }), nil
}
