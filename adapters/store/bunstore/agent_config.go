package bunstore

import (
	"encoding/json"
	"fmt"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
)

// The stored form of agent.Config. Names are short of nothing that a reader of the database needs; ids are UUIDs.
type (
	agentConfigRow struct {
		Name        string            `json:"name"`
		Description string            `json:"description,omitempty"`
		System      string            `json:"system,omitempty"`
		Model       agentModelRow     `json:"model"`
		Tools       []agentToolRow    `json:"tools,omitempty"`
		MCPServers  []agentServerRow  `json:"mcp_servers,omitempty"`
		Skills      []agentSkillRow   `json:"skills,omitempty"`
		Metadata    map[string]string `json:"metadata,omitempty"`
		Multiagent  *multiagentRow    `json:"multiagent,omitempty"`
		Identity    *agentIdentityRow `json:"identity,omitempty"`
	}
	agentModelRow struct {
		ID           string `json:"id"`
		Speed        string `json:"speed,omitempty"`
		Effort       string `json:"effort,omitempty"`
		InferenceGeo string `json:"inference_geo,omitempty"`
	}
	agentToolRow struct {
		Type        string            `json:"type"`
		Enabled     bool              `json:"enabled,omitempty"`
		Permission  string            `json:"permission,omitempty"`
		Configs     []agentToolCfgRow `json:"configs,omitempty"`
		MCPServer   string            `json:"mcp_server,omitempty"`
		Remote      string            `json:"remote,omitempty"`
		Name        string            `json:"name,omitempty"`
		Description string            `json:"description,omitempty"`
		InputSchema json.RawMessage   `json:"input_schema,omitempty"`
	}
	agentToolCfgRow struct {
		Name             string          `json:"name"`
		Enabled          bool            `json:"enabled,omitempty"`
		Permission       string          `json:"permission"`
		AllowedDomains   []string        `json:"allowed_domains,omitempty"`
		BlockedDomains   []string        `json:"blocked_domains,omitempty"`
		MaxContentTokens int             `json:"max_content_tokens,omitempty"`
		URLSources       json.RawMessage `json:"url_sources,omitempty"`
		UserLocation     json.RawMessage `json:"user_location,omitempty"`
	}
	agentServerRow struct {
		Name  string         `json:"name"`
		URL   string         `json:"url,omitempty"`
		Stdio *agentStdioRow `json:"stdio,omitempty"`
	}
	agentStdioRow struct {
		Command string            `json:"command"`
		Args    []string          `json:"args,omitempty"`
		Env     map[string]string `json:"env,omitempty"`
	}
	agentSkillRow struct {
		ID      string `json:"id"`
		Type    string `json:"type"`
		Version string `json:"version"`
	}
	multiagentRow struct {
		Type   string          `json:"type"`
		Roster []rosterRow     `json:"roster,omitempty"`
		Rest   json.RawMessage `json:"rest,omitempty"`
	}
	rosterRow struct {
		Type    string `json:"type"`
		Agent   string `json:"agent,omitempty"`
		Version int    `json:"version,omitempty"`
		Model   string `json:"model,omitempty"`
	}
	agentIdentityRow struct {
		Type    string `json:"type"`
		RoleARN string `json:"role_arn,omitempty"`
	}
)

// encodeAgentConfig returns the stored form of c and, apart, that of its metadata.
func encodeAgentConfig(c agent.Config) (config, metadata string, err error) {
	r := agentConfigRow{
		Name: c.Name, Description: c.Description, System: c.System, Metadata: c.Metadata,
		Model: modelRowOf(c.Model), Tools: toolRowsOf(c.Tools), MCPServers: serverRowsOf(c.MCPServers), Skills: skillRowsOf(c.Skills),
	}
	if m := c.Multiagent; m != nil {
		mr := &multiagentRow{Type: m.Type, Rest: m.Rest}
		for _, e := range m.Roster {
			er := rosterRow{Type: e.Type, Version: e.Version, Model: e.Model}
			if !e.Agent.IsZero() {
				er.Agent = e.Agent.UUID().String()
			}
			mr.Roster = append(mr.Roster, er)
		}
		r.Multiagent = mr
	}
	if c.Identity != nil {
		v := agentIdentityRow(*c.Identity)
		r.Identity = &v
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", "", fmt.Errorf("bunstore: agent config: %w", err)
	}
	md := []byte("{}")
	if len(c.Metadata) > 0 {
		if md, err = json.Marshal(c.Metadata); err != nil {
			return "", "", fmt.Errorf("bunstore: agent metadata: %w", err)
		}
	}
	return string(b), string(md), nil
}

// decodeAgentConfig reads what encodeAgentConfig wrote.
func decodeAgentConfig(config []byte) (agent.Config, error) {
	var r agentConfigRow
	if err := json.Unmarshal(config, &r); err != nil {
		return agent.Config{}, fmt.Errorf("bunstore: agent config: %w", err)
	}
	c := agent.Config{
		Name: r.Name, Description: r.Description, System: r.System, Metadata: r.Metadata,
		Model: r.Model.model(), Tools: toolsOf(r.Tools), MCPServers: serversOf(r.MCPServers), Skills: skillsOf(r.Skills),
	}
	if m := r.Multiagent; m != nil {
		out := &agent.Multiagent{Type: m.Type, Rest: m.Rest}
		for _, e := range m.Roster {
			entry := agent.RosterEntry{Type: e.Type, Version: e.Version, Model: e.Model}
			if e.Agent != "" {
				u, err := id.ParseUUID(e.Agent)
				if err != nil {
					return agent.Config{}, fmt.Errorf("bunstore: agent config: %w", err)
				}
				entry.Agent = id.Of[id.AgentKind](u)
			}
			out.Roster = append(out.Roster, entry)
		}
		c.Multiagent = out
	}
	if r.Identity != nil {
		v := agent.Identity(*r.Identity)
		c.Identity = &v
	}
	return c, nil
}

func modelRowOf(m agent.Model) agentModelRow {
	return agentModelRow{m.ID, string(m.Speed), string(m.Effort), m.InferenceGeo}
}

func (r agentModelRow) model() agent.Model {
	return agent.Model{ID: r.ID, Speed: agent.Speed(r.Speed), Effort: agent.Effort(r.Effort), InferenceGeo: r.InferenceGeo}
}

func toolRowsOf(tools []agent.Tool) []agentToolRow {
	var out []agentToolRow
	for _, t := range tools {
		tr := agentToolRow{
			Type: string(t.Type), Enabled: t.Default.Enabled, Permission: string(t.Default.Permission), MCPServer: t.MCPServer,
			Name: t.Name, Description: t.Description, InputSchema: t.InputSchema,
		}
		if !t.Remote.IsZero() {
			tr.Remote = t.Remote.UUID().String()
		}
		for _, k := range t.Configs {
			tr.Configs = append(tr.Configs, agentToolCfgRow{
				k.Name, k.Enabled, string(k.Permission), k.AllowedDomains, k.BlockedDomains, k.MaxContentTokens, k.URLSources, k.UserLocation,
			})
		}
		out = append(out, tr)
	}
	return out
}

func toolsOf(rows []agentToolRow) []agent.Tool {
	var out []agent.Tool
	for _, t := range rows {
		tool := agent.Tool{
			Type: agent.ToolType(t.Type), Default: agent.ToolDefault{Enabled: t.Enabled, Permission: agent.Permission(t.Permission)},
			MCPServer: t.MCPServer, Name: t.Name, Description: t.Description, InputSchema: t.InputSchema,
		}
		if u, err := id.ParseUUID(t.Remote); err == nil { // nothing else is stored
			tool.Remote = id.Of[id.RemoteAgentKind](u)
		}
		for _, k := range t.Configs {
			tool.Configs = append(tool.Configs, agent.ToolConfig{
				Name: k.Name, Enabled: k.Enabled, Permission: agent.Permission(k.Permission), AllowedDomains: k.AllowedDomains,
				BlockedDomains: k.BlockedDomains, MaxContentTokens: k.MaxContentTokens, URLSources: k.URLSources, UserLocation: k.UserLocation,
			})
		}
		out = append(out, tool)
	}
	return out
}

func serverRowsOf(servers []agent.MCPServer) []agentServerRow {
	var out []agentServerRow
	for _, v := range servers {
		out = append(out, agentServerRow{v.Name, v.URL, (*agentStdioRow)(v.Stdio)})
	}
	return out
}

func serversOf(rows []agentServerRow) []agent.MCPServer {
	var out []agent.MCPServer
	for _, v := range rows {
		out = append(out, agent.MCPServer{Name: v.Name, URL: v.URL, Stdio: (*agent.Stdio)(v.Stdio)})
	}
	return out
}

func skillRowsOf(skills []agent.SkillRef) []agentSkillRow {
	var out []agentSkillRow
	for _, v := range skills {
		out = append(out, agentSkillRow(v))
	}
	return out
}

func skillsOf(rows []agentSkillRow) []agent.SkillRef {
	var out []agent.SkillRef
	for _, v := range rows {
		out = append(out, agent.SkillRef(v))
	}
	return out
}
