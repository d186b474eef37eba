package session

import (
	"encoding/json"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/money"
)

// AgentSnapshot is the configuration of a session's agent as an event holds it, in the shape of the API. Ids in it are UUIDs.
type AgentSnapshot struct {
	MemberSnapshot
	// Multiagent is null without one; a coordinator's agents are MemberSnapshots, or advisors.
	Multiagent json.RawMessage `json:"multiagent"`
}

// MemberSnapshot is the configuration of an agent without those to whom it delegates.
type MemberSnapshot struct {
	ID          string              `json:"id"`
	Type        string              `json:"type"`
	Version     int                 `json:"version"`
	Name        string              `json:"name"`
	Description *string             `json:"description"`
	System      *string             `json:"system"`
	Model       modelSnapshot       `json:"model"`
	Tools       []any               `json:"tools"`
	MCPServers  []mcpServerSnapshot `json:"mcp_servers"`
	Skills      []skillSnapshot     `json:"skills"`
	Identity    IdentitySnapshot    `json:"execution_identity"`
}

// IdentitySnapshot is an agent.Identity.
type IdentitySnapshot struct {
	Type    string `json:"type"`
	RoleARN string `json:"role_arn,omitempty"`
}

type (
	modelSnapshot struct {
		ID           string        `json:"id"`
		Speed        string        `json:"speed"`
		Effort       *typeSnapshot `json:"effort,omitempty"`
		InferenceGeo string        `json:"inference_geo,omitempty"`
	}
	typeSnapshot struct {
		Type string `json:"type"`
	}
	mcpServerSnapshot struct {
		Name  string         `json:"name"`
		Type  string         `json:"type"`
		URL   string         `json:"url,omitempty"`
		Stdio *stdioSnapshot `json:"stdio,omitempty"`
	}
	stdioSnapshot struct {
		Command string            `json:"command"`
		Args    []string          `json:"args,omitempty"`
		Env     map[string]string `json:"env,omitempty"`
	}
	skillSnapshot struct {
		ID      string `json:"skill_id"`
		Type    string `json:"type"`
		Version string `json:"version"`
	}
	customToolSnapshot struct {
		Type        agent.ToolType  `json:"type"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
	}
	toolsetSnapshot struct {
		Type      agent.ToolType       `json:"type"`
		MCPServer string               `json:"mcp_server_name,omitempty"`
		Default   toolDefaultSnapshot  `json:"default_config"`
		Configs   []toolConfigSnapshot `json:"configs"`
	}
	toolDefaultSnapshot struct {
		Enabled    bool         `json:"enabled"`
		Permission typeSnapshot `json:"permission_policy"`
	}
	toolConfigSnapshot struct {
		Type             string          `json:"type,omitempty"`
		Name             string          `json:"name"`
		Enabled          bool            `json:"enabled"`
		Permission       typeSnapshot    `json:"permission_policy"`
		AllowedDomains   []string        `json:"allowed_domains,omitempty"`
		BlockedDomains   []string        `json:"blocked_domains,omitempty"`
		MaxContentTokens int             `json:"max_content_tokens,omitempty"`
		URLSources       json.RawMessage `json:"url_sources,omitempty"`
		UserLocation     json.RawMessage `json:"user_location,omitempty"`
	}
)

// snapshotOf returns the snapshot of an agent with its team.
func snapshotOf(a agent.Agent, team []Member) (*AgentSnapshot, error) {
	out := &AgentSnapshot{MemberSnapshot: memberSnapshot(a)}
	m := a.Config.Multiagent
	if m == nil {
		return out, nil
	}
	whole := map[string]any{}
	if m.Type == agent.Coordinator {
		agents := make([]any, len(team))
		for i, v := range team {
			if agents[i] = any(map[string]string{"type": v.Entry.Type, "model": v.Entry.Model}); v.Entry.Type != agent.RosterAdvisor {
				agents[i] = memberSnapshot(v.Agent)
			}
		}
		whole["agents"] = agents
	} else if len(m.Rest) > 0 {
		if err := json.Unmarshal(m.Rest, &whole); err != nil {
			return nil, err
		}
	}
	whole["type"] = m.Type
	var err error
	out.Multiagent, err = json.Marshal(whole)
	return out, err
}

func memberSnapshot(a agent.Agent) MemberSnapshot {
	c := a.Config
	out := MemberSnapshot{
		ID: a.ID.UUID().String(), Type: "agent", Version: a.Version, Name: c.Name,
		Model: modelSnapshot{ID: c.Model.ID, Speed: string(c.Model.Speed), InferenceGeo: c.Model.InferenceGeo},
		Tools: []any{}, MCPServers: []mcpServerSnapshot{}, Skills: []skillSnapshot{}, Identity: IdentitySnapshot{Type: agent.ServiceAccount},
	}
	if c.Identity != nil {
		out.Identity = IdentitySnapshot(*c.Identity)
	}
	if c.Description != "" {
		out.Description = &c.Description
	}
	if c.System != "" {
		out.System = &c.System
	}
	if c.Model.Effort != "" {
		out.Model.Effort = &typeSnapshot{string(c.Model.Effort)}
	}
	for _, t := range c.Tools {
		if t.Type == agent.CustomTool {
			out.Tools = append(out.Tools, customToolSnapshot{t.Type, t.Name, t.Description, t.InputSchema})
			continue
		}
		set := toolsetSnapshot{
			Type: t.Type, MCPServer: t.MCPServer, Default: toolDefaultSnapshot{t.Default.Enabled, typeSnapshot{string(t.Default.Permission)}},
			Configs: []toolConfigSnapshot{},
		}
		for _, k := range t.Configs {
			config := toolConfigSnapshot{
				Name: k.Name, Enabled: k.Enabled, Permission: typeSnapshot{string(k.Permission)}, AllowedDomains: k.AllowedDomains,
				BlockedDomains: k.BlockedDomains, MaxContentTokens: k.MaxContentTokens, URLSources: k.URLSources, UserLocation: k.UserLocation,
			}
			if t.Type == agent.AgentToolset {
				config.Type = k.Name
			}
			if config.Type == "web_fetch" && config.URLSources == nil {
				config.URLSources = json.RawMessage("null") // always there, and of this tool alone
			}
			set.Configs = append(set.Configs, config)
		}
		out.Tools = append(out.Tools, set)
	}
	for _, v := range c.MCPServers {
		server := mcpServerSnapshot{v.Name, "url", v.URL, (*stdioSnapshot)(v.Stdio)}
		if v.Stdio != nil {
			server.Type = "stdio"
		}
		out.MCPServers = append(out.MCPServers, server)
	}
	for _, v := range c.Skills {
		out.Skills = append(out.Skills, skillSnapshot{v.ID, v.Type, v.Version})
	}
	return out
}

// BudgetBody is a budget in the shape of the API.
type BudgetBody struct {
	Type        string     `json:"type"`
	MaxListCost AmountBody `json:"max_list_cost"`
}

// AmountBody is an amount of money in the shape of the API.
type AmountBody struct {
	Amount   string         `json:"amount"`
	Currency money.Currency `json:"currency"`
}

// budgetBody returns the shape of b; nil is none.
func budgetBody(b *Budget) *BudgetBody {
	if b == nil {
		return nil
	}
	return &BudgetBody{Type: "limit", MaxListCost: AmountBody{b.Amount(), b.MaxListCost.Currency}}
}
