package agento

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/hosting"
	"github.com/bureau-agents/bureau/core/swarm"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// CreatedAgentWire is what the creation of an agent is answered with. It is exported because others embed it.
type CreatedAgentWire struct {
	ID        string `json:"id" doc:"A UUID."`
	Name      string `json:"name"`
	Status    string `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	Region    string `json:"region" enum:"us,eu"`
	CreatedAt stamp  `json:"createdAt"`
	StartedAt *stamp `json:"startedAt" doc:"When its program was started."`
}

// AgentWire is an agent of a list. It is exported because others embed it.
type AgentWire struct {
	CreatedAgentWire
	Image     string        `json:"image" doc:"What its program is made of."`
	Swarm     *swarmRefWire `json:"swarm"`
	StoppedAt *stamp        `json:"stoppedAt" doc:"Of a stopped agent."`
}

type swarmRefWire struct {
	ID   string `json:"id" doc:"A UUID."`
	Name string `json:"name"`
}

// agentDetailWire is an agent by itself.
type agentDetailWire struct {
	AgentWire
	AvatarURL     *string         `json:"avatarUrl"`
	Config        json.RawMessage `json:"config" doc:"Your own object."`
	WorkflowMD    *string         `json:"workflowMd"`
	LastError     *string         `json:"lastError"`
	ErrorCategory *string         `json:"errorCategory" enum:"image,crash_loop,out_of_memory,runtime,health"`
	NeedsRestart  bool            `json:"needsRestart" doc:"The running agent does not know of a change yet."`
}

// createdWire is a new agent, with why it does not run if it does not.
type createdWire struct {
	CreatedAgentWire
	LastError     *string `json:"lastError,omitempty" doc:"Of an agent whose status is error."`
	ErrorCategory *string `json:"errorCategory,omitempty" enum:"image,crash_loop,out_of_memory,runtime,health"`
}

type updatedAgentWire struct {
	ID           string `json:"id" doc:"A UUID."`
	Name         string `json:"name"`
	Status       string `json:"status" enum:"provisioning,starting,running,stopping,stopped,error"`
	NeedsRestart bool   `json:"needsRestart" doc:"The running agent does not know of the change yet."`
}

// image names what an agent's program is made of.
func (f *face) image(d hosting.Deployment) string {
	switch {
	case d.Program == nil:
		return "bureau/agent:" + f.deps.Version
	case d.Program.Image != "":
		return d.Program.Image
	}
	return d.Program.Command[0]
}

func showCreated(a agent.Agent, d hosting.Deployment) CreatedAgentWire {
	return CreatedAgentWire{
		ID: a.ID.UUID().String(), Name: a.Config.Name, Status: string(d.Status), Region: string(d.Region), CreatedAt: stampOf(a.CreatedAt),
		StartedAt: stampPtr(d.StartedAt),
	}
}

func (f *face) showAgent(a agent.Agent, d hosting.Deployment, swarms map[id.Swarm]swarm.Swarm) AgentWire {
	w := AgentWire{CreatedAgentWire: showCreated(a, d), Image: f.image(d), StoppedAt: stampPtr(d.StoppedAt)}
	if s, ok := swarms[a.Swarm]; ok {
		w.Swarm = &swarmRefWire{s.ID.UUID().String(), s.Name}
	}
	return w
}

// swarmsOf returns the swarms that agents are in.
func (f *face) swarmsOf(ctx context.Context, agents ...agent.Agent) (map[id.Swarm]swarm.Swarm, error) {
	found := map[id.Swarm]swarm.Swarm{}
	for _, a := range agents {
		if _, ok := found[a.Swarm]; ok || a.Swarm.IsZero() {
			continue
		}
		s, err := f.deps.Swarms.Get(ctx, httpx.Scope(ctx), a.Swarm)
		if fault.KindOf(err) == fault.NotFound {
			continue // deleted since
		}
		if err != nil {
			return nil, err
		}
		found[a.Swarm] = s
	}
	return found, nil
}

type agentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
}

func (in agentInput) read() (id.Agent, error) { return id.Parse[id.AgentKind](in.AgentID) }

type listAgentsInput struct {
	Limit  int `query:"limit" minimum:"1" maximum:"1000" doc:"How many at most; all of them when left out."`
	Offset int `query:"offset" minimum:"0" maximum:"1000000" doc:"How many to leave out."`
}

type createAgentInput struct {
	Body struct {
		Name       string            `json:"name" minLength:"1" maxLength:"100"`
		Region     string            `json:"region,omitempty" enum:"us,eu" doc:"eu when left out."`
		Secrets    map[string]string `json:"secrets" doc:"At least one of anthropicApiKey, openaiApiKey and googleApiKey; others as you like: telegramBotToken, slackBotToken, slackAppToken."`
		Config     json.RawMessage   `json:"config,omitempty" doc:"Your own object. llmProvider in it chooses among the providers: anthropic, openai, google, offline."`
		SoulMD     httpx.Opt[string] `json:"soulMd,omitempty" maxLength:"65536" doc:"The first SOUL.md."`
		WorkflowMD httpx.Opt[string] `json:"workflowMd,omitempty" maxLength:"65536" doc:"The first WORKFLOW.md."`
		SwarmID    httpx.Opt[string] `json:"swarmId,omitempty" maxLength:"128" doc:"The swarm that the agent belongs to; needs the scope swarms:write, too."`
	}
}

type updateAgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id, in any spelling."`
	Body    struct {
		Name      httpx.Opt[string] `json:"name,omitempty" minLength:"1" maxLength:"100"`
		AvatarURL httpx.Opt[string] `json:"avatarUrl,omitempty" maxLength:"2048" doc:"Null removes it."`
		Config    json.RawMessage   `json:"config,omitempty" doc:"Merged into what is there, member by member; null removes a member."`
		SwarmID   httpx.Opt[string] `json:"swarmId,omitempty" maxLength:"128" doc:"Null takes the agent out of its swarm. Needs the scope swarms:write, too."`
	}
}

// readSwarm reads the swarm that a body wants an agent in; the zero one for none.
func (f *face) readSwarm(ctx context.Context, spelled string) (id.Swarm, error) {
	if spelled == "" {
		return id.Swarm{}, nil
	}
	of, err := id.Parse[id.SwarmKind](spelled)
	if err != nil {
		return id.Swarm{}, err
	}
	return of, f.deps.Swarms.Exists(ctx, httpx.Scope(ctx), of)
}

func (f *face) registerAgents() {
	httpx.Register(f.Face, httpx.Op{
		ID: "listAgents", Method: http.MethodGet, Path: "/v1/agents", Tag: "agents", Summary: "List agents, newest first",
		Permission: account.AgentsRead,
	}, f.listAgents)

	httpx.Register(f.Face, httpx.Op{
		ID: "createAgent", Method: http.MethodPost, Path: "/v1/agents", Tag: "agents", Status: http.StatusCreated,
		Example: `{"name":"My Assistant","secrets":{"openaiApiKey":"sk-0000000000"},"config":{"llmProvider":"offline"}}`,
		Summary: "Create an agent and start it", Permission: account.AgentsWrite,
		Description: "Answers once the agent runs or is in `error`, after 25 seconds in any case. config.llmProvider chooses the provider; without it the " +
			"key that was given does.",
	}, func(ctx context.Context, in *createAgentInput) (*output[createdWire], error) {
		of, err := f.readSwarm(ctx, in.Body.SwarmID.Value)
		if err != nil {
			return nil, err
		}
		h, err := f.deps.Hosting.Create(ctx, httpx.Scope(ctx), hosting.CreateRequest{
			Agent: agent.Config{Name: in.Body.Name}, Swarm: of, Secrets: in.Body.Secrets, NeedsKey: true,
			Settings:  hosting.Settings{Region: hosting.Region(in.Body.Region), Config: in.Body.Config},
			Documents: hosting.FirstDocuments{Soul: in.Body.SoulMD.Value, Workflow: in.Body.WorkflowMD.Value},
		})
		if err != nil {
			return nil, err
		}
		return ok(createdWire{
			showCreated(h.Agent, h.Deployment), textPtr(h.Deployment.LastError), textPtr(string(h.Deployment.ErrorCategory)),
		}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgent", Method: http.MethodGet, Path: "/v1/agents/{agent_id}", Tag: "agents", Summary: "Read an agent",
		Permission: account.AgentsRead,
	}, f.getAgent)

	httpx.Register(f.Face, httpx.Op{
		ID: "updateAgent", Method: http.MethodPatch, Path: "/v1/agents/{agent_id}", Tag: "agents", Summary: "Change an agent",
		Example: `{"name":"Updated Assistant","config":{"style":"brief"}}`, Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		Description: "What the body leaves out stays.",
	}, f.updateAgent)

	httpx.Register(f.Face, httpx.Op{
		ID: "deleteAgent", Method: http.MethodDelete, Path: "/v1/agents/{agent_id}", Tag: "agents", Summary: "Delete an agent for good",
		Permission: account.AgentsWrite,
		Description: "Its program ends; its files, documents, secrets, knowledge and sessions go. The ledger, usage and the audit trail stay. It cannot be " +
			"undone.",
	}, func(ctx context.Context, in *agentInput) (*output[deletedWire], error) {
		of, err := in.read()
		if err != nil {
			return nil, err
		}
		if err := f.deps.Destroyer.Destroy(ctx, httpx.Scope(ctx), of); err != nil {
			return nil, err
		}
		return ok(deletedWire{of.UUID().String(), true}), nil
	})
	f.registerLifecycle()
}

func (f *face) listAgents(ctx context.Context, in *listAgentsInput) (*listOutput[AgentWire], error) {
	sc := httpx.Scope(ctx)
	req := agent.ListRequest{Request: page.Request{Limit: in.Limit, Offset: in.Offset, Count: true}}
	all := in.Limit == 0 && in.Offset == 0
	if in.Limit == 0 {
		req.Limit = 1000
	}
	found, err := f.deps.Agents.List(ctx, sc, req)
	for next := found.Next; all && err == nil && next != ""; {
		var more page.Page[agent.Agent]
		if more, err = f.deps.Agents.List(ctx, sc, agent.ListRequest{Request: page.Request{Limit: req.Limit, Cursor: next}}); err == nil {
			found.Items, next = append(found.Items, more.Items...), more.Next
		}
	}
	if err != nil {
		return nil, err
	}
	ids := make([]id.Agent, len(found.Items))
	for i, a := range found.Items {
		ids[i] = a.ID
	}
	deployments, err := f.deps.Hosting.Find(ctx, sc, ids...)
	if err != nil {
		return nil, err
	}
	swarms, err := f.swarmsOf(ctx, found.Items...)
	if err != nil {
		return nil, err
	}
	return listOf(page.Request{Limit: in.Limit, Offset: in.Offset}, found, func(a agent.Agent) AgentWire {
		return f.showAgent(a, deployments[a.ID], swarms)
	}), nil
}

func (f *face) getAgent(ctx context.Context, in *agentInput) (*output[agentDetailWire], error) {
	of, err := in.read()
	if err != nil {
		return nil, err
	}
	sc := httpx.Scope(ctx)
	a, err := f.deps.Agents.Get(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	d, err := f.deps.Hosting.Get(ctx, sc, of)
	if err != nil {
		return nil, err
	}
	swarms, err := f.swarmsOf(ctx, a)
	if err != nil {
		return nil, err
	}
	workflow, err := f.deps.Documents.Get(ctx, sc, of, agent.Workflow)
	if err != nil {
		return nil, err
	}
	return ok(agentDetailWire{
		AgentWire: f.showAgent(a, d, swarms), AvatarURL: textPtr(d.AvatarURL), Config: d.Config, WorkflowMD: textPtr(workflow.Content),
		LastError: textPtr(d.LastError), ErrorCategory: textPtr(string(d.ErrorCategory)), NeedsRestart: d.NeedsRestart,
	}), nil
}

func (f *face) updateAgent(ctx context.Context, in *updateAgentInput) (*output[updatedAgentWire], error) {
	of, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	if in.Body.Name.Null {
		return nil, fault.Invalidf("name", "cannot be removed")
	}
	c := hosting.Change{Name: in.Body.Name.Change(), AvatarURL: in.Body.AvatarURL.Change(), Config: in.Body.Config}
	if string(c.Config) == "null" {
		c.Config = nil
	}
	if in.Body.SwarmID.Set {
		if in.Body.SwarmID.Value == "" && !in.Body.SwarmID.Null {
			return nil, id.NotFound[id.SwarmKind]("") // null is what takes it out of its swarm
		}
		to, err := f.readSwarm(ctx, in.Body.SwarmID.Value)
		if err != nil {
			return nil, err
		}
		c.Swarm = &to
	}
	h, err := f.deps.Hosting.Update(ctx, httpx.Scope(ctx), of, c)
	if err != nil {
		return nil, err
	}
	return ok(updatedAgentWire{
		of.UUID().String(), h.Agent.Config.Name, string(h.Deployment.Status), h.Deployment.NeedsRestart,
	}), nil
}
