package native

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// agentWire is an agent as it is answered. Every field is always there.
type agentWire struct {
	ID                string            `json:"id" doc:"agent_..."`
	Type              string            `json:"type" enum:"agent"`
	Name              string            `json:"name"`
	Version           int               `json:"version" doc:"From 1. A change of the configuration makes the next one."`
	Description       *string           `json:"description"`
	System            *string           `json:"system" doc:"The prompt."`
	Model             modelWire         `json:"model"`
	Tools             []toolWire        `json:"tools" nullable:"false" doc:"As given, with defaults written out."`
	MCPServers        []mcpServerWire   `json:"mcp_servers" nullable:"false"`
	Skills            []skillRefWire    `json:"skills" nullable:"false"`
	Multiagent        any               `json:"multiagent" doc:"Whom the agent may delegate to; null is nobody."`
	Metadata          map[string]string `json:"metadata"`
	ExecutionIdentity identityWire      `json:"execution_identity"`
	Standing          string            `json:"standing" enum:"active,frozen,archived"`
	FrozenBy          []string          `json:"frozen_by" nullable:"false" enum:"agent,swarm" doc:"Why a frozen agent is: it was frozen itself, or its swarm."`
	SwarmID           *string           `json:"swarm_id"`
	CreatedAt         stamp             `json:"created_at"`
	UpdatedAt         stamp             `json:"updated_at" doc:"When this version was made."`
	ArchivedAt        *stamp            `json:"archived_at"`

	Hosting *agentHostingWire `json:"hosting,omitempty" doc:"Of agents that are or were hosted."`
}

type modelWire struct {
	ID           string      `json:"id" doc:"Empty for the tenant's default model."`
	Speed        string      `json:"speed" enum:"standard,fast"`
	Effort       *effortWire `json:"effort,omitempty"`
	InferenceGeo string      `json:"inference_geo,omitempty"`
}

type effortWire struct {
	Type string `json:"type" enum:"low,medium,high,xhigh,max"`
}

type mcpServerWire struct {
	Name  string     `json:"name"`
	Type  string     `json:"type" enum:"url,stdio"`
	URL   string     `json:"url,omitempty" doc:"Of url."`
	Stdio *stdioWire `json:"stdio,omitempty" doc:"Of stdio."`
}

// stdioWire is a program that speaks MCP over standard input and output.
type stdioWire struct {
	Command string            `json:"command" minLength:"1" maxLength:"1024" doc:"A program in the sandbox, such as npx."`
	Args    []string          `json:"args,omitempty" maxItems:"64"`
	Env     map[string]string `json:"env,omitempty" doc:"Shown to everybody who may read the agent; secrets belong in a vault."`
}

type skillRefWire struct {
	SkillID string `json:"skill_id"`
	Type    string `json:"type" enum:"anthropic,custom"`
	Version string `json:"version"`
}

type identityWire struct {
	Type    string `json:"type" enum:"service_account,aws_role"`
	RoleARN string `json:"role_arn,omitempty"`
}

type permissionWire struct {
	Type string `json:"type" enum:"always_allow,always_ask,auto"`
}

type toolDefaultWire struct {
	Enabled          bool           `json:"enabled"`
	PermissionPolicy permissionWire `json:"permission_policy"`
}

// toolWire is a tool of any type; the fields that do not belong to the type are left out.
type toolWire struct {
	Type          string            `json:"type" enum:"agent_toolset_20260401,mcp_toolset,custom,a2a_agent"`
	MCPServerName string            `json:"mcp_server_name,omitempty" doc:"Of mcp_toolset."`
	RemoteAgentID string            `json:"remote_agent_id,omitempty" doc:"Of a2a_agent: remote_..."`
	DefaultConfig *toolDefaultWire  `json:"default_config,omitempty" doc:"Of the toolsets and of a2a_agent."`
	Configs       *[]toolConfigWire `json:"configs,omitempty" doc:"Of the toolsets."`
	Name          string            `json:"name,omitempty" doc:"Of custom."`
	Description   string            `json:"description,omitempty" doc:"Of custom."`
	InputSchema   json.RawMessage   `json:"input_schema,omitempty" doc:"Of custom: the JSON Schema of an object."`
}

type toolConfigWire struct {
	Type             string          `json:"type,omitempty"`
	Name             string          `json:"name"`
	Enabled          bool            `json:"enabled"`
	PermissionPolicy permissionWire  `json:"permission_policy"`
	AllowedDomains   []string        `json:"allowed_domains,omitempty"`
	BlockedDomains   []string        `json:"blocked_domains,omitempty"`
	MaxContentTokens int             `json:"max_content_tokens,omitempty"`
	URLSources       json.RawMessage `json:"url_sources,omitempty" doc:"Of web_fetch; null when it was not given."`
	UserLocation     json.RawMessage `json:"user_location,omitempty"`
}

type multiagentWire struct {
	Type   string `json:"type"`
	Agents []any  `json:"agents"`
}

type rosterAgentWire struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Version int    `json:"version"`
}

type rosterAdvisorWire struct {
	Type  string `json:"type"`
	Model string `json:"model"`
}

// showAgent writes an agent.
func showAgent(a agent.Agent) agentWire {
	c := a.Config
	w := agentWire{
		ID: a.ID.String(), Type: "agent", Name: c.Name, Version: a.Version, Description: textOrNull(c.Description), System: textOrNull(c.System),
		Model: modelWire{ID: c.Model.ID, Speed: string(c.Model.Speed), InferenceGeo: c.Model.InferenceGeo},
		Tools: make([]toolWire, 0, len(c.Tools)), MCPServers: make([]mcpServerWire, 0, len(c.MCPServers)),
		Skills: make([]skillRefWire, 0, len(c.Skills)), Metadata: c.Metadata, ExecutionIdentity: identityWire{Type: "service_account"},
		Standing: string(a.Standing), FrozenBy: []string{}, SwarmID: textOrNull(a.Swarm.String()),
		CreatedAt: stampOf(a.CreatedAt), UpdatedAt: stampOf(a.UpdatedAt), ArchivedAt: stampPtr(a.ArchivedAt),
	}
	if w.Metadata == nil {
		w.Metadata = map[string]string{}
	}
	if a.FrozenItself {
		w.FrozenBy = append(w.FrozenBy, "agent")
	}
	if a.FrozenBySwarm {
		w.FrozenBy = append(w.FrozenBy, "swarm")
	}
	if c.Model.Effort != "" {
		w.Model.Effort = &effortWire{string(c.Model.Effort)}
	}
	for _, t := range c.Tools {
		w.Tools = append(w.Tools, showTool(t))
	}
	for _, s := range c.MCPServers {
		server := mcpServerWire{Name: s.Name, Type: "url", URL: s.URL, Stdio: (*stdioWire)(s.Stdio)}
		if s.Stdio != nil {
			server.Type = "stdio"
		}
		w.MCPServers = append(w.MCPServers, server)
	}
	for _, s := range c.Skills {
		w.Skills = append(w.Skills, skillRefWire{s.ID, s.Type, s.Version})
	}
	if c.Multiagent != nil {
		w.Multiagent = showMultiagent(a, *c.Multiagent)
	}
	if c.Identity != nil {
		w.ExecutionIdentity = identityWire(*c.Identity)
	}
	return w
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func showTool(t agent.Tool) toolWire {
	if t.Type == agent.CustomTool {
		return toolWire{Type: string(t.Type), Name: t.Name, Description: t.Description, InputSchema: t.InputSchema}
	}
	standard := &toolDefaultWire{t.Default.Enabled, permissionWire{string(t.Default.Permission)}}
	if t.Type == agent.A2AAgent {
		return toolWire{Type: string(t.Type), RemoteAgentID: t.Remote.String(), DefaultConfig: standard}
	}
	configs := make([]toolConfigWire, 0, len(t.Configs))
	for _, c := range t.Configs {
		w := toolConfigWire{
			Name: c.Name, Enabled: c.Enabled, PermissionPolicy: permissionWire{string(c.Permission)}, AllowedDomains: c.AllowedDomains,
			BlockedDomains: c.BlockedDomains, MaxContentTokens: c.MaxContentTokens, URLSources: c.URLSources, UserLocation: c.UserLocation,
		}
		if t.Type == agent.AgentToolset {
			w.Type = c.Name
		}
		if w.Type == "web_fetch" && w.URLSources == nil {
			w.URLSources = json.RawMessage("null") // always there, and of this tool alone
		}
		configs = append(configs, w)
	}
	return toolWire{
		Type: string(t.Type), MCPServerName: t.MCPServer, Configs: &configs, DefaultConfig: standard,
	}
}

func showMultiagent(a agent.Agent, m agent.Multiagent) any {
	if m.Type != agent.Coordinator {
		w := map[string]json.RawMessage{}
		if len(m.Rest) > 0 {
			_ = json.Unmarshal(m.Rest, &w) // the service stores nothing but objects
		}
		w["type"] = json.RawMessage(strconv.Quote(m.Type))
		return w
	}
	w := multiagentWire{m.Type, make([]any, 0, len(m.Roster))}
	for _, e := range m.Roster {
		switch e.Type {
		case agent.RosterAdvisor:
			w.Agents = append(w.Agents, rosterAdvisorWire{e.Type, e.Model})
		case agent.RosterSelf:
			w.Agents = append(w.Agents, rosterAgentWire{agent.RosterAgent, a.ID.String(), a.Version})
		default:
			w.Agents = append(w.Agents, rosterAgentWire{e.Type, e.Agent.String(), e.Version})
		}
	}
	return w
}

// modelParam is a model in a body: a handle, or an object.
type modelParam struct {
	ID           string `json:"id" minLength:"1" maxLength:"256" doc:"A model card's model_id, offline, or a provider's name of a model."`
	Speed        string `json:"speed,omitempty" enum:"standard,fast"`
	Effort       effort `json:"effort,omitempty"`
	InferenceGeo string `json:"inference_geo,omitempty" maxLength:"64"`
}

// modelObject is modelParam without its methods.
type modelObject modelParam

func (m *modelParam) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*m = modelParam{}
		return json.Unmarshal(b, &m.ID)
	}
	return json.Unmarshal(b, (*modelObject)(m))
}

// Schema implements huma.SchemaProvider.
func (modelParam) Schema(r huma.Registry) *huma.Schema {
	one, most := 1, agent.MaxModelID
	return &huma.Schema{AnyOf: []*huma.Schema{
		{Type: huma.TypeString, MinLength: &one, MaxLength: &most}, r.Schema(reflect.TypeFor[modelObject](), true, "ModelParam"),
	}}
}

func (m modelParam) read() agent.Model {
	return agent.Model{ID: m.ID, Speed: agent.Speed(m.Speed), Effort: agent.Effort(m.Effort), InferenceGeo: m.InferenceGeo}
}

// effort is an effort in a body: its name, or an object with it.
type effort string

func (e *effort) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '{' {
		var obj effortWire
		err := json.Unmarshal(b, &obj)
		*e = effort(obj.Type)
		return err
	}
	return json.Unmarshal(b, (*string)(e))
}

// Schema implements huma.SchemaProvider.
func (effort) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{AnyOf: []*huma.Schema{
		{Type: huma.TypeString, Enum: []any{"low", "medium", "high", "xhigh", "max"}}, r.Schema(reflect.TypeFor[effortWire](), true, ""),
	}}
}

// toolParam is a tool in a body. Which of its fields matter depends on the type.
type toolParam struct {
	Type          string            `json:"type" enum:"agent_toolset_20260401,mcp_toolset,custom,a2a_agent"`
	DefaultConfig *toolDefaultParam `json:"default_config,omitempty" doc:"Of the toolsets and of a2a_agent."`
	Configs       []toolConfigParam `json:"configs,omitempty" maxItems:"256" doc:"Of the toolsets: tools that differ from default_config."`
	MCPServerName string            `json:"mcp_server_name,omitempty" doc:"Of mcp_toolset: a name in mcp_servers."`
	RemoteAgentID string            `json:"remote_agent_id,omitempty" maxLength:"128" doc:"Of a2a_agent: a remote agent, which becomes a tool of its name."`
	Name          string            `json:"name,omitempty" doc:"Of custom."`
	Description   string            `json:"description,omitempty" doc:"Of custom."`
	InputSchema   json.RawMessage   `json:"input_schema,omitempty" doc:"Of custom: the JSON Schema of an object."`
}

type toolDefaultParam struct {
	Enabled          *bool           `json:"enabled,omitempty" doc:"true when left out."`
	PermissionPolicy *permissionWire `json:"permission_policy,omitempty" doc:"Without it: always_allow; for mcp_toolset and a2a_agent always_ask."`
}

type toolConfigParam struct {
	Type             string          `json:"type,omitempty" doc:"Another place for name."`
	Name             string          `json:"name,omitempty"`
	Enabled          *bool           `json:"enabled,omitempty" doc:"As in default_config when left out."`
	PermissionPolicy *permissionWire `json:"permission_policy,omitempty" doc:"As in default_config when left out."`
	AllowedDomains   []string        `json:"allowed_domains,omitempty" minItems:"1" maxItems:"64" doc:"Of web_fetch and web_search."`
	BlockedDomains   []string        `json:"blocked_domains,omitempty" minItems:"1" maxItems:"64" doc:"Of web_fetch and web_search."`
	MaxContentTokens int             `json:"max_content_tokens,omitempty" minimum:"0" doc:"Of web_fetch."`
	URLSources       json.RawMessage `json:"url_sources,omitempty" doc:"Of web_fetch."`
	UserLocation     json.RawMessage `json:"user_location,omitempty" doc:"Of web_search."`
}

func readTools(params []toolParam) ([]agent.Tool, error) {
	var out []agent.Tool
	for _, p := range params {
		t := agent.Tool{Type: agent.ToolType(p.Type)}
		if t.Type == agent.CustomTool {
			t.Name, t.Description, t.InputSchema = p.Name, p.Description, p.InputSchema
			out = append(out, t)
			continue
		}
		t.MCPServer = p.MCPServerName
		if p.RemoteAgentID != "" {
			var err error
			if t.Remote, err = id.Parse[id.RemoteAgentKind](p.RemoteAgentID); err != nil {
				return nil, err
			}
		}
		t.Default.Enabled = true
		if d := p.DefaultConfig; d != nil {
			t.Default.Enabled = d.Enabled == nil || *d.Enabled
			t.Default.Permission = readPermission(d.PermissionPolicy)
		}
		for _, c := range p.Configs {
			tc := agent.ToolConfig{
				Name: c.Name, Enabled: t.Default.Enabled, Permission: readPermission(c.PermissionPolicy), AllowedDomains: c.AllowedDomains,
				BlockedDomains: c.BlockedDomains, MaxContentTokens: c.MaxContentTokens, URLSources: c.URLSources, UserLocation: c.UserLocation,
			}
			if tc.Name == "" {
				tc.Name = c.Type
			}
			if c.Enabled != nil {
				tc.Enabled = *c.Enabled
			}
			t.Configs = append(t.Configs, tc)
		}
		out = append(out, t)
	}
	return out, nil
}

func readPermission(p *permissionWire) agent.Permission {
	if p == nil {
		return ""
	}
	return agent.Permission(p.Type)
}

type mcpServerParam struct {
	Name  string     `json:"name" minLength:"1" maxLength:"255"`
	Type  string     `json:"type,omitempty" enum:"url,stdio" default:"url"`
	URL   string     `json:"url,omitempty" maxLength:"2048" doc:"Of url."`
	Stdio *stdioWire `json:"stdio,omitempty" doc:"Of stdio: a program that runs in the session's sandbox."`
	// AuthorizationToken is known only to be refused: an agent's configuration is shown to everybody who may read agents.
	AuthorizationToken json.RawMessage `json:"authorization_token,omitempty" doc:"Refused; credentials belong in a vault."`
}

func readServers(params []mcpServerParam) ([]agent.MCPServer, error) {
	var out []agent.MCPServer
	for i, p := range params {
		if len(p.AuthorizationToken) > 0 && string(p.AuthorizationToken) != "null" {
			return nil, fault.Invalidf(fmt.Sprintf("mcp_servers[%d].authorization_token", i), "credentials belong in a vault, not in an agent")
		}
		server := agent.MCPServer{Name: p.Name, URL: p.URL, Stdio: (*agent.Stdio)(p.Stdio)}
		switch {
		case p.Type == "stdio" && p.Stdio == nil:
			return nil, fault.Invalidf(fmt.Sprintf("mcp_servers[%d].stdio", i), "is required")
		case p.Type == "url" && p.Stdio != nil:
			return nil, fault.Invalidf(fmt.Sprintf("mcp_servers[%d].type", i), "must be stdio when stdio is given")
		}
		out = append(out, server)
	}
	return out, nil
}

type skillRefParam struct {
	SkillID string `json:"skill_id" minLength:"1" maxLength:"255"`
	Type    string `json:"type" enum:"anthropic,custom"`
	Version string `json:"version,omitempty" maxLength:"255" doc:"latest when left out."`
}

func readSkills(params []skillRefParam) []agent.SkillRef {
	var out []agent.SkillRef
	for _, p := range params {
		out = append(out, agent.SkillRef{ID: p.SkillID, Type: p.Type, Version: p.Version})
	}
	return out
}

// rosterParam is an entry of a roster in a body: an agent's id, or an object.
type rosterParam struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Version int    `json:"version"`
	Model   string `json:"model"`
}

type rosterObject rosterParam

func (p *rosterParam) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*p = rosterParam{Type: agent.RosterAgent}
		return json.Unmarshal(b, &p.ID)
	}
	return json.Unmarshal(b, (*rosterObject)(p))
}

func readRoster(params []rosterParam) ([]agent.RosterEntry, error) {
	var out []agent.RosterEntry
	for _, p := range params {
		e := agent.RosterEntry{Type: p.Type, Version: p.Version, Model: p.Model}
		if p.Type == agent.RosterAgent {
			other, err := id.Parse[id.AgentKind](p.ID)
			if err != nil {
				return nil, err
			}
			e.Agent = other
		}
		out = append(out, e)
	}
	return out, nil
}

// readMultiagent reads the members of a multiagent object.
func readMultiagent(members map[string]json.RawMessage) (*agent.Multiagent, error) {
	if members == nil {
		return nil, nil //nolint:nilnil // null is how JSON spells that there is none
	}
	m := &agent.Multiagent{}
	if err := json.Unmarshal(members["type"], &m.Type); err != nil {
		return nil, fault.Invalidf("multiagent.type", "is required")
	}
	if m.Type != agent.Coordinator {
		rest := map[string]json.RawMessage{}
		for k, v := range members {
			if k != "type" {
				rest[k] = v
			}
		}
		var err error
		m.Rest, err = json.Marshal(rest)
		return m, err
	}
	var roster []rosterParam
	if err := json.Unmarshal(members["agents"], &roster); err != nil {
		return nil, fault.Invalidf("multiagent.agents", "must be a list of agents")
	}
	var err error
	m.Roster, err = readRoster(roster)
	return m, err
}

// AgentFields are the fields of an agent that a creation and an update have in common.
type AgentFields struct {
	Description       httpx.Opt[string]                     `json:"description,omitempty" maxLength:"2048"`
	System            httpx.Opt[string]                     `json:"system,omitempty" maxLength:"100000" doc:"The prompt."`
	Tools             httpx.Opt[[]toolParam]                `json:"tools,omitempty" maxItems:"256"`
	MCPServers        httpx.Opt[[]mcpServerParam]           `json:"mcp_servers,omitempty" maxItems:"20"`
	Skills            httpx.Opt[[]skillRefParam]            `json:"skills,omitempty" maxItems:"20"`
	Multiagent        httpx.Opt[map[string]json.RawMessage] `json:"multiagent,omitempty" doc:"Whom the agent may delegate to."`
	CallableAgents    httpx.Opt[[]json.RawMessage]          `json:"callable_agents,omitempty" doc:"Another way to write a multiagent of type coordinator."`
	ExecutionIdentity httpx.Opt[identityWire]               `json:"execution_identity,omitempty"`
	SwarmID           httpx.Opt[string]                     `json:"swarm_id,omitempty" maxLength:"128" doc:"The swarm that the agent belongs to; not a part of its versions. Another one needs the scope swarms:write, too."`
	Metadata          httpx.Opt[metadataPatch]              `json:"metadata,omitempty" doc:"At most 16 pairs. In an update a patch: null removes a key."`
}

// patch returns what the fields change.
func (f AgentFields) patch() (agent.Patch, error) {
	var p agent.Patch
	if f.Description.Set {
		p.Description = agent.Set(f.Description.Value)
	}
	if f.System.Set {
		p.System = agent.Set(f.System.Value)
	}
	if f.Tools.Set {
		tools, err := readTools(f.Tools.Value)
		if err != nil {
			return agent.Patch{}, err
		}
		p.Tools = agent.Set(tools)
	}
	if f.MCPServers.Set {
		servers, err := readServers(f.MCPServers.Value)
		if err != nil {
			return agent.Patch{}, err
		}
		p.MCPServers = agent.Set(servers)
	}
	if f.Skills.Set {
		p.Skills = agent.Set(readSkills(f.Skills.Value))
	}
	if f.ExecutionIdentity.Set {
		var who *agent.Identity
		if !f.ExecutionIdentity.Null {
			v := agent.Identity(f.ExecutionIdentity.Value)
			who = &v
		}
		p.Identity = agent.Set(who)
	}
	p.ClearMetadata, p.Metadata = f.Metadata.Null, f.Metadata.Value
	multiagent := f.Multiagent
	if !multiagent.Set && f.CallableAgents.Set {
		multiagent.Set = true
		if len(f.CallableAgents.Value) > 0 {
			agents, err := json.Marshal(f.CallableAgents.Value)
			if err != nil {
				return agent.Patch{}, err
			}
			multiagent.Value = map[string]json.RawMessage{"type": json.RawMessage(`"` + agent.Coordinator + `"`), "agents": agents}
		}
	}
	if multiagent.Set {
		m, err := readMultiagent(multiagent.Value)
		if err != nil {
			return agent.Patch{}, err
		}
		p.Multiagent = agent.Set(m)
	}
	return p, nil
}

type createAgentInput struct {
	Body struct {
		Name  string     `json:"name" minLength:"1" maxLength:"256"`
		Model modelParam `json:"model" doc:"A model's handle, or an object."`
		AgentFields
		Hosting *hostParam `json:"hosting,omitempty" doc:"Hosts the agent and starts it; the answer comes once it runs. It can be hosted later, too."`
	}
}

type updateAgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Body    struct {
		Version int                    `json:"version,omitempty" minimum:"1" doc:"The version that is to be changed; another one is a 409."`
		Name    httpx.Kept[string]     `json:"name,omitempty" minLength:"1" maxLength:"256"`
		Model   httpx.Kept[modelParam] `json:"model,omitempty" doc:"A model's handle, or an object; an effort that is left out stays."`
		AgentFields
	}
}

func (in *updateAgentInput) patch() (agent.Patch, error) {
	p, err := in.Body.AgentFields.patch()
	if err != nil {
		return agent.Patch{}, err
	}
	p.Version = in.Body.Version
	if in.Body.Name.Null {
		return agent.Patch{}, fault.Invalidf("name", "cannot be cleared")
	}
	if in.Body.Model.Null {
		return agent.Patch{}, fault.Invalidf("model", "cannot be cleared")
	}
	if in.Body.Name.Set {
		p.Name = agent.Set(in.Body.Name.Value)
	}
	if in.Body.Model.Set {
		p.Model = agent.Set(in.Body.Model.Value.read())
	}
	return p, nil
}

// AgentInput names an agent. Its type is exported because others embed it.
type AgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
}

type getAgentInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Version int    `query:"version" minimum:"1" doc:"One of its versions; the current one when left out."`
}

type agentVersionInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	Version string `path:"version" doc:"The number of a version."`
}

type agentVersionsInput struct {
	AgentID string `path:"agent_id" doc:"The agent's id."`
	httpx.PageQuery
}

type listAgentsInput struct {
	httpx.PageQuery
	Archived        bool      `query:"archived" doc:"Archived agents too."`
	IncludeArchived bool      `query:"include_archived" doc:"Another name of archived."`
	Name            string    `query:"name" doc:"Agents of this name, whatever the case."`
	SwarmID         string    `query:"swarm_id" doc:"Agents of this swarm."`
	Standing        string    `query:"standing" enum:"active,frozen,archived" doc:"Agents of this standing."`
	Search          string    `query:"search" doc:"Agents with this in their name, whatever the case."`
	Q               string    `query:"q" doc:"Another name of search."`
	GTE             time.Time `query:"created_at[gte]" doc:"Created at or after. Times are compared by the millisecond, as they are shown."`
	GT              time.Time `query:"created_at[gt]" doc:"Created after."`
	LTE             time.Time `query:"created_at[lte]" doc:"Created at or before."`
	LT              time.Time `query:"created_at[lt]" doc:"Created before."`
}

func (in *listAgentsInput) request() (agent.ListRequest, error) {
	req := agent.ListRequest{
		Request: in.Request(), Name: in.Name, Search: in.Search, Archived: in.Archived || in.IncludeArchived, Standing: agent.Standing(in.Standing),
	}
	if in.SwarmID != "" {
		var err error
		if req.Swarm, err = id.Parse[id.SwarmKind](in.SwarmID); err != nil {
			return agent.ListRequest{}, err
		}
	}
	if req.Search == "" {
		req.Search = in.Q
	}
	req.From, req.Until = timeRange(in.GTE, in.GT, in.LTE, in.LT)
	return req, nil
}

// timeRange turns the four comparisons, each zero when it is not asked for, into from <= t < until. They mean times as they are shown,
// that is, by the millisecond.
func timeRange(gte, gt, lte, lt time.Time) (from, until time.Time) {
	next := func(t time.Time) time.Time { return t.Truncate(time.Millisecond).Add(time.Millisecond) }
	from, until = gte, lt
	if !gt.IsZero() && (from.IsZero() || next(gt).After(from)) {
		from = next(gt)
	}
	if !lte.IsZero() && (until.IsZero() || next(lte).Before(until)) {
		until = next(lte)
	}
	return from, until
}

func (f *face) registerAgents() {
	httpx.Register(f.Face, httpx.Op{
		ID: "createAgent", Method: http.MethodPost, Path: "/v1/agents", Tag: "agents", Status: http.StatusCreated,
		Example: `{"name":"buyer","model":"default","system":"You buy what the team needs."}`,
		Summary: "Create an agent", Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *createAgentInput) (*output[agentWire], error) {
		p, err := in.Body.patch()
		if err != nil {
			return nil, err
		}
		p.Name, p.Model = agent.Set(in.Body.Name), agent.Set(in.Body.Model.read())
		swarm, err := f.readSwarm(ctx, in.Body.SwarmID)
		if err != nil {
			return nil, err
		}
		if in.Body.Hosting != nil {
			h, err := f.deps.Hosting.Create(ctx, httpx.Scope(ctx), in.Body.Hosting.request(p.Apply(agent.Config{}), swarm))
			if err != nil {
				return nil, err
			}
			return f.answerAgent(ctx, h.Agent)
		}
		create := func(ctx context.Context) (agent.Agent, error) {
			return f.deps.Agents.Create(ctx, httpx.Scope(ctx), p.Apply(agent.Config{}))
		}
		var a agent.Agent
		if swarm.IsZero() {
			a, err = create(ctx)
		} else {
			a, err = f.deps.Swarms.Place(ctx, httpx.Scope(ctx), id.Agent{}, swarm, create)
		}
		if err != nil {
			return nil, err
		}
		return ok(showAgent(a)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgents", Method: http.MethodGet, Path: "/v1/agents", Tag: "agents",
		Summary: "List agents, newest first", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *listAgentsInput) (*output[httpx.List[agentWire]], error) {
		req, err := in.request()
		if err != nil {
			return nil, err
		}
		agents, err := f.deps.Agents.List(ctx, httpx.Scope(ctx), req)
		if err != nil {
			return nil, err
		}
		list := httpx.NewList(agents, showAgent)
		shown := make([]*agentWire, len(list.Data))
		for i := range list.Data {
			shown[i] = &list.Data[i]
		}
		if err := f.withHosting(ctx, shown...); err != nil {
			return nil, err
		}
		return ok(list), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgent", Method: http.MethodGet, Path: "/v1/agents/{agent_id}", Tag: "agents",
		Summary: "Read an agent", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *getAgentInput) (*output[agentWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		var a agent.Agent
		if in.Version == 0 {
			a, err = f.deps.Agents.Get(ctx, httpx.Scope(ctx), agentID)
		} else {
			a, err = f.deps.Agents.GetVersion(ctx, httpx.Scope(ctx), agentID, in.Version)
		}
		if err != nil {
			return nil, err
		}
		return f.answerAgent(ctx, a)
	})

	for method, op := range map[string]string{http.MethodPatch: "patchAgent", http.MethodPost: "updateAgent", http.MethodPut: "putAgent"} {
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: "/v1/agents/{agent_id}", Tag: "agents", Summary: "Change an agent",
			Example: `{"version":1,"system":"You buy what the team needs, and nothing twice."}`,
			Description: "Changes what the body names. What it leaves out stays; null or an empty list clears, but not `name` and `model`; lists " +
				"are replaced as a whole. A change makes the next version, and an update that changes nothing keeps the current one. POST, PATCH " +
				"and PUT do the same.",
			Permission: account.AgentsWrite, Statuses: []int{http.StatusConflict},
		}, f.updateAgent)
	}

	for route, op := range map[string]string{
		"DELETE /v1/agents/{agent_id}": "deleteAgent", "POST /v1/agents/{agent_id}/archive": "archiveAgent",
	} {
		method, path, _ := strings.Cut(route, " ")
		httpx.Register(f.Face, httpx.Op{
			ID: op, Method: method, Path: path, Tag: "agents", Summary: "Archive an agent", Permission: account.AgentsWrite,
			Description: "An archived agent is kept to be read; its sessions keep their version. What it does is ended and what it has parked is " +
				"void. Archiving it again changes nothing; to be rid of it, destroy it.",
		}, f.archiveAgent)
	}

	httpx.Register(f.Face, httpx.Op{
		ID: "destroyAgent", Method: http.MethodPost, Path: "/v1/agents/{agent_id}/destroy", Tag: "agents", Summary: "Destroy an agent",
		Description: "The agent is gone for good, with its sessions, knowledge, memory, policies, installed skills and publications. What it does is " +
			"ended, what it has parked and set aside is void, its money goes to the account's own wallet. The ledger, usage and the audit trail " +
			"stay.",
		Permission: account.AgentsWrite,
	}, func(ctx context.Context, in *AgentInput) (*output[httpx.Deleted], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		if err := f.deps.Retire.Destroy(ctx, httpx.Scope(ctx), agentID); err != nil {
			return nil, err
		}
		return ok(httpx.Deleted{ID: agentID.String(), Type: "agent_deleted"}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "listAgentVersions", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/versions", Tag: "agents",
		Summary: "List the versions of an agent, newest first, the current one included", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *agentVersionsInput) (*output[httpx.List[agentWire]], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		versions, err := f.deps.Agents.Versions(ctx, httpx.Scope(ctx), agentID, in.Request())
		if err != nil {
			return nil, err
		}
		return ok(httpx.NewList(versions, showAgent)), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getAgentVersion", Method: http.MethodGet, Path: "/v1/agents/{agent_id}/versions/{version}", Tag: "agents",
		Summary: "Read one version of an agent", Permission: account.AgentsRead,
	}, func(ctx context.Context, in *agentVersionInput) (*output[agentWire], error) {
		agentID, err := id.Parse[id.AgentKind](in.AgentID)
		if err != nil {
			return nil, err
		}
		a, err := f.deps.Agents.GetVersion(ctx, httpx.Scope(ctx), agentID, versionNumber(in.Version))
		if err != nil {
			return nil, err
		}
		return ok(showAgent(a)), nil
	})
}

// versionNumber reads the number of a version in a path: 0, which is the number of none, for what is no number.
func versionNumber(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

func (f *face) updateAgent(ctx context.Context, in *updateAgentInput) (*output[agentWire], error) {
	agentID, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	p, err := in.patch()
	if err != nil {
		return nil, err
	}
	swarm, err := f.readSwarm(ctx, in.Body.SwarmID)
	if err != nil {
		return nil, err
	}
	change := func(ctx context.Context) (agent.Agent, error) {
		return f.deps.Agents.Update(ctx, httpx.Scope(ctx), agentID, p)
	}
	var a agent.Agent
	if in.Body.SwarmID.Set {
		a, err = f.deps.Swarms.Place(ctx, httpx.Scope(ctx), agentID, swarm, change)
	} else {
		a, err = change(ctx)
	}
	if err != nil {
		return nil, err
	}
	return f.answerAgent(ctx, a)
}

func (f *face) archiveAgent(ctx context.Context, in *AgentInput) (*output[agentWire], error) {
	agentID, err := id.Parse[id.AgentKind](in.AgentID)
	if err != nil {
		return nil, err
	}
	a, err := f.deps.Agents.Archive(ctx, httpx.Scope(ctx), agentID)
	if err != nil {
		return nil, err
	}
	return f.answerAgent(ctx, a)
}
