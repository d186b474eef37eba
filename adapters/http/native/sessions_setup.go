package native

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// sessionAgentParam chooses an agent: its id, or an object.
type sessionAgentParam struct {
	Type    string `json:"type,omitempty" enum:"agent,agent_with_overrides"`
	ID      string `json:"id" minLength:"1"`
	Version int    `json:"version,omitempty" minimum:"1" doc:"One of its versions; the current one when left out."`

	// What agent_with_overrides may replace.
	Model      *modelParam                 `json:"model,omitempty" doc:"Of agent_with_overrides: another model."`
	System     httpx.Opt[string]           `json:"system,omitempty" maxLength:"100000" doc:"Of agent_with_overrides: another prompt; null is none."`
	Tools      httpx.Opt[[]toolParam]      `json:"tools,omitempty" maxItems:"256" doc:"Of agent_with_overrides: other tools; empty is none."`
	MCPServers httpx.Opt[[]mcpServerParam] `json:"mcp_servers,omitempty" maxItems:"20" doc:"Of agent_with_overrides: other servers; empty is none."`
	Skills     httpx.Opt[[]skillRefParam]  `json:"skills,omitempty" maxItems:"20" doc:"Of agent_with_overrides: other skills; empty is none."`
}

// sessionAgentObject is sessionAgentParam without its methods.
type sessionAgentObject sessionAgentParam

// typeWithOverrides is the type of a sessionAgentParam that replaces parts of the agent's configuration.
const typeWithOverrides = "agent_with_overrides"

func (p *sessionAgentParam) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*p = sessionAgentParam{}
		return json.Unmarshal(b, &p.ID)
	}
	return json.Unmarshal(b, (*sessionAgentObject)(p))
}

// Schema implements huma.SchemaProvider.
func (sessionAgentParam) Schema(r huma.Registry) *huma.Schema {
	one := 1
	return &huma.Schema{AnyOf: []*huma.Schema{
		{Type: huma.TypeString, MinLength: &one}, r.Schema(reflect.TypeFor[sessionAgentObject](), true, "SessionAgentParam"),
	}}
}

// overrides reads what is replaced of the agent; nil without anything.
func (p *sessionAgentParam) overrides() (*agent.Overrides, error) {
	var o agent.Overrides
	if p.Model != nil {
		m := p.Model.read()
		o.Model = &m
	}
	if p.System.Set {
		o.System = &p.System.Value
	}
	if p.Tools.Set && !p.Tools.Null {
		tools, err := readTools(p.Tools.Value)
		if err != nil {
			return nil, err
		}
		o.Tools = &tools
	}
	if p.MCPServers.Set && !p.MCPServers.Null {
		servers, err := readServers(p.MCPServers.Value)
		if err != nil {
			return nil, err
		}
		o.MCPServers = &servers
	}
	if p.Skills.Set && !p.Skills.Null {
		skills := readSkills(p.Skills.Value)
		o.Skills = &skills
	}
	switch {
	case o == (agent.Overrides{}):
		return nil, nil //nolint:nilnil // nothing is replaced
	case p.Type != typeWithOverrides:
		return nil, fault.Invalidf("agent.type", "must be %s for parts of the configuration to be replaced", typeWithOverrides)
	}
	return &o, nil
}

// budgetWire is a budget, in bodies and in answers.
type budgetWire struct {
	Type        string         `json:"type" enum:"limit"`
	MaxListCost budgetCostWire `json:"max_list_cost" doc:"What the session's model calls may cost at list prices, its threads included."`
}

// TransformSchema implements huma.SchemaTransformer: the service has better words for nothing.
func (budgetCostWire) TransformSchema(_ huma.Registry, s *huma.Schema) *huma.Schema {
	s.Extensions = map[string]any{"not": map[string]any{"properties": map[string]any{"amount": map[string]any{"pattern": "^[0.]*$"}}}}
	return s
}

type budgetCostWire struct {
	Amount   string `json:"amount" pattern:"^[0-9]{1,9}(\\.[0-9]{1,6})?$" patternDescription:"an amount of money" doc:"With a point, in dollars: 25.00. A whole number is in cents, as official clients spell it: 2500. Answers spell it alike."`
	Currency string `json:"currency" enum:"USD"`
}

func (w budgetWire) read() (*session.Budget, error) {
	b, err := session.ParseBudget(w.MaxListCost.Amount, w.MaxListCost.Currency)
	if err != nil {
		return nil, err
	}
	return &b, nil
}

func showBudget(b *session.Budget) *budgetWire {
	if b == nil {
		return nil
	}
	return &budgetWire{Type: "limit", MaxListCost: budgetCostWire{b.Amount(), string(b.MaxListCost.Currency)}}
}

type createSessionInput struct {
	Body struct {
		Agent         sessionAgentParam `json:"agent" doc:"An agent's id, or an object that pins a version, and may replace parts of the configuration."`
		EnvironmentID *string           `json:"environment_id,omitempty" doc:"What the session's sandbox is made from; without it there is none."`
		Environment   *string           `json:"environment,omitempty" doc:"Another name of environment_id."`
		Title         *string           `json:"title,omitempty" maxLength:"512"`
		Metadata      metadataParam     `json:"metadata,omitempty" doc:"At most 16 pairs."`
		InitialEvents []initialEvent    `json:"initial_events,omitempty" maxItems:"50" doc:"Events to begin with."`
		VaultIDs      []string          `json:"vault_ids,omitempty" maxItems:"20" doc:"Vaults whose credentials the session's tools use, the first that fits."`
		Resources     []resourceParam   `json:"resources,omitempty" maxItems:"100" doc:"What is mounted into the session's sandbox."`
		Budget        *budgetWire       `json:"budget,omitempty"`
	}
}

func (in *createSessionInput) request() (session.CreateRequest, error) {
	b := &in.Body
	req := session.CreateRequest{Metadata: b.Metadata, AgentVersion: b.Agent.Version}
	var err error
	if req.Agent, err = id.Parse[id.AgentKind](b.Agent.ID); err != nil {
		return session.CreateRequest{}, err
	}
	if req.Overrides, err = b.Agent.overrides(); err != nil {
		return session.CreateRequest{}, err
	}
	env := b.EnvironmentID
	if env == nil || *env == "" {
		env = b.Environment
	}
	if env != nil && *env != "" {
		if req.Environment, err = id.Parse[id.EnvironmentKind](*env); err != nil {
			return session.CreateRequest{}, err
		}
	}
	if b.Title != nil {
		req.Title = *b.Title
	}
	if req.Vaults, err = readVaults(b.VaultIDs); err != nil {
		return session.CreateRequest{}, err
	}
	for i, p := range b.Resources {
		r, err := p.read(fmt.Sprintf("resources[%d].", i))
		if err != nil {
			return session.CreateRequest{}, err
		}
		req.Resources = append(req.Resources, r)
	}
	if b.Budget != nil {
		if req.Budget, err = b.Budget.read(); err != nil {
			return session.CreateRequest{}, err
		}
	}
	for i := range b.InitialEvents {
		in, err := (*eventParam)(&b.InitialEvents[i]).read(fmt.Sprintf("initial_events[%d]", i))
		if err != nil {
			return session.CreateRequest{}, err
		}
		req.Initial = append(req.Initial, in)
	}
	return req, nil
}

func readVaults(spelled []string) ([]id.Vault, error) {
	var out []id.Vault
	for _, text := range spelled {
		v, err := id.Parse[id.VaultKind](text)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

type updateSessionInput struct {
	SessionID string `path:"session_id" doc:"The session's id."`
	Body      struct {
		Title    httpx.Opt[string]        `json:"title,omitempty" maxLength:"512" doc:"null clears it."`
		Metadata httpx.Opt[metadataPatch] `json:"metadata,omitempty" doc:"A patch: null removes a key."`
		VaultIDs httpx.Opt[[]string]      `json:"vault_ids,omitempty" maxItems:"20" doc:"Replaces them all; null is none."`
		Budget   httpx.Opt[budgetWire]    `json:"budget,omitempty" doc:"null removes it for good."`
		Agent    *sessionAgentPatchParam  `json:"agent,omitempty" doc:"Replaces parts of the agent's configuration for this session, while it is idle."`
	}
}

type sessionAgentPatchParam struct {
	Tools      httpx.Opt[[]toolParam]      `json:"tools,omitempty" maxItems:"256"`
	MCPServers httpx.Opt[[]mcpServerParam] `json:"mcp_servers,omitempty" maxItems:"20"`
}

func (in *updateSessionInput) patch() (session.Patch, error) {
	b := &in.Body
	var p session.Patch
	if b.Title.Set {
		p.Title = &b.Title.Value
	}
	p.Metadata = b.Metadata.Value
	if b.VaultIDs.Set {
		vaults, err := readVaults(b.VaultIDs.Value)
		if err != nil {
			return session.Patch{}, err
		}
		p.Vaults = &vaults
	}
	if b.Budget.Set {
		if p.ClearBudget = b.Budget.Null; !p.ClearBudget {
			var err error
			if p.Budget, err = b.Budget.Value.read(); err != nil {
				return session.Patch{}, err
			}
		}
	}
	if b.Agent == nil {
		return p, nil
	}
	if b.Agent.Tools.Set {
		tools, err := readTools(b.Agent.Tools.Value)
		if err != nil {
			return session.Patch{}, err
		}
		p.Tools = &tools
	}
	if b.Agent.MCPServers.Set {
		servers, err := readServers(b.Agent.MCPServers.Value)
		if err != nil {
			return session.Patch{}, err
		}
		p.MCPServers = &servers
	}
	return p, nil
}
