package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/id"
)

// withDefaults returns c with every default written out, so that equal meanings are equal values.
func (c Config) withDefaults() Config {
	if c.Model.Speed == "" {
		c.Model.Speed = SpeedStandard
	}
	c.Tools = slices.Clone(c.Tools)
	for i := range c.Tools {
		c.Tools[i] = c.Tools[i].withDefaults()
	}
	c.MCPServers = slices.Clone(c.MCPServers)
	c.Skills = slices.Clone(c.Skills)
	for i := range c.Skills {
		if c.Skills[i].Version == "" {
			c.Skills[i].Version = "latest"
		}
	}
	c.Metadata = maps.Clone(c.Metadata)
	if c.Multiagent != nil {
		m := *c.Multiagent
		m.Rest = compact(m.Rest)
		c.Multiagent = &m
	}
	if c.Identity != nil && *c.Identity == (Identity{Type: ServiceAccount}) {
		c.Identity = nil
	}
	return c
}

func (t Tool) withDefaults() Tool {
	if t.Type != CustomTool && t.Default.Permission == "" {
		t.Default.Permission = AlwaysAllow
		if t.Type == MCPToolset || t.Type == A2AAgent {
			t.Default.Permission = AlwaysAsk
		}
	}
	t.Configs = slices.Clone(t.Configs)
	for i := range t.Configs {
		c := &t.Configs[i]
		if c.Permission == "" {
			c.Permission = t.Default.Permission
		}
		c.URLSources, c.UserLocation = wholeSources(c.URLSources), compact(c.UserLocation)
	}
	t.InputSchema = compact(withoutNulls(t.InputSchema))
	return t
}

// compact removes the white space of a JSON text, so that two spellings of it compare equal; what is not JSON is left for check.
func compact(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// withoutNulls removes properties and required where they are null, which client libraries declare and JSON Schema does not know.
func withoutNulls(schema json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(schema, &members) != nil {
		return schema
	}
	found := false
	for _, name := range []string{"properties", "required"} {
		if raw, ok := members[name]; ok && string(raw) == "null" {
			delete(members, name)
			found = true
		}
	}
	if !found {
		return schema
	}
	out, err := json.Marshal(members)
	if err != nil {
		return schema
	}
	return out
}

// equal reports whether two configurations with defaults say the same; an empty list and none are the same.
func (c Config) equal(o Config) bool {
	return c.Name == o.Name && c.Description == o.Description && c.System == o.System && c.Model == o.Model &&
		slices.EqualFunc(c.Tools, o.Tools, Tool.equal) && slices.EqualFunc(c.MCPServers, o.MCPServers, MCPServer.equal) && slices.Equal(c.Skills, o.Skills) &&
		maps.Equal(c.Metadata, o.Metadata) && reflect.DeepEqual(c.Multiagent, o.Multiagent) && reflect.DeepEqual(c.Identity, o.Identity)
}

func (t Tool) equal(o Tool) bool {
	return t.Type == o.Type && t.Default == o.Default && t.MCPServer == o.MCPServer && t.Remote == o.Remote && t.Name == o.Name && t.Description == o.Description &&
		bytes.Equal(t.InputSchema, o.InputSchema) && slices.EqualFunc(t.Configs, o.Configs, ToolConfig.equal)
}

func (c ToolConfig) equal(o ToolConfig) bool {
	return c.Name == o.Name && c.Enabled == o.Enabled && c.Permission == o.Permission &&
		slices.Equal(c.AllowedDomains, o.AllowedDomains) && slices.Equal(c.BlockedDomains, o.BlockedDomains) &&
		c.MaxContentTokens == o.MaxContentTokens && bytes.Equal(c.URLSources, o.URLSources) && bytes.Equal(c.UserLocation, o.UserLocation)
}

// checker gathers every fault of a Config, so that a client mends them in one go.
type checker struct{ check.Faults }

// some checks a string of 1 to most characters, which may be blank.
func (k *checker) some(path, s string, most int) {
	if s == "" {
		k.Addf(path, "must not be empty")
		return
	}
	k.Text(path, s, most)
}

func (k *checker) oneOf(path, v string, allowed ...string) {
	if !slices.Contains(allowed, v) {
		k.Addf(path, "must be one of %s", strings.Join(allowed, ", "))
	}
}

// check returns ErrInvalid with every fault of c.
func (c Config) check(reserved []string) error {
	k := &checker{}
	k.some("name", c.Name, MaxName)
	if c.Name != "" && strings.TrimSpace(c.Name) == "" {
		k.Addf("name", "must not be blank")
	}
	k.Text("description", c.Description, MaxDescription)
	k.Text("system", c.System, MaxSystem)
	k.model(c.Model)
	k.tools(c, reserved)
	k.servers(c)
	k.skills(c.Skills)
	metadata.Check(&k.Faults, c.Metadata)
	if c.Multiagent != nil {
		k.multiagent(*c.Multiagent)
	}
	if c.Identity != nil {
		k.identity(*c.Identity)
	}
	return k.Err(ErrInvalid)
}

func (k *checker) model(m Model) {
	k.Text("model.id", m.ID, MaxModelID)
	k.oneOf("model.speed", string(m.Speed), string(SpeedStandard), string(SpeedFast))
	if m.Effort != "" {
		k.oneOf("model.effort", string(m.Effort), "low", "medium", "high", "xhigh", "max")
	}
	k.Text("model.inference_geo", m.InferenceGeo, 64)
}

func (k *checker) tools(c Config, reserved []string) {
	total := 0
	names, servers, remotes, toolsets := map[string]bool{}, map[string]bool{}, map[id.RemoteAgent]bool{}, 0
	for i, t := range c.Tools {
		path := fmt.Sprintf("tools[%d]", i)
		total += max(1, len(t.Configs))
		switch t.Type {
		case AgentToolset:
			if toolsets++; toolsets > 1 {
				k.Addf(path, "a second %s", AgentToolset)
			}
			k.toolset(path, t, c.CustomTools())
		case MCPToolset:
			k.some(path+".mcp_server_name", t.MCPServer, MaxMCPName)
			if t.MCPServer != "" && !slices.ContainsFunc(c.MCPServers, func(s MCPServer) bool { return s.Name == t.MCPServer }) {
				k.Addf(path+".mcp_server_name", "mcp_servers has no server of this name")
			}
			if servers[t.MCPServer] {
				k.Addf(path+".mcp_server_name", "a second toolset of this server")
			}
			servers[t.MCPServer] = true
			k.toolset(path, t, nil)
		case CustomTool:
			k.custom(path, t)
			switch {
			case names[t.Name]:
				k.Addf(path+".name", "a second tool of this name")
			case slices.Contains(reserved, t.Name):
				k.Addf(path+".name", "is the name of a built-in tool")
			}
			names[t.Name] = true
		case A2AAgent:
			k.remote(path, t)
			if remotes[t.Remote] {
				k.Addf(path+".remote_agent_id", "a second tool of this remote agent")
			}
			remotes[t.Remote] = true
		default:
			k.Addf(path+".type", "must be one of %s, %s, %s, %s", AgentToolset, MCPToolset, CustomTool, A2AAgent)
		}
	}
	if total > MaxTools {
		k.Addf("tools", "has %d tools; at most %d are allowed", total, MaxTools)
	}
}

func (k *checker) remote(path string, t Tool) {
	if t.Remote.IsZero() {
		k.Addf(path+".remote_agent_id", "is required")
	}
	if len(t.Configs) > 0 {
		k.Addf(path+".configs", "is not for the type %s", A2AAgent)
	}
	k.permission(path+".default_config.permission_policy", t.Default.Permission)
}

func (k *checker) toolset(path string, t Tool, custom []Tool) {
	k.permission(path+".default_config.permission_policy", t.Default.Permission)
	seen := map[string]bool{}
	for i, c := range t.Configs {
		p := fmt.Sprintf("%s.configs[%d]", path, i)
		k.permission(p+".permission_policy", c.Permission)
		switch {
		case seen[c.Name]:
			k.Addf(p+".name", "a second configuration of this tool")
		case t.Type == AgentToolset:
			k.oneOf(p+".name", c.Name, ToolsetNames()...)
		default:
			k.some(p+".name", c.Name, MaxToolName)
		}
		seen[c.Name] = true
		if c.MaxContentTokens < 0 {
			k.Addf(p+".max_content_tokens", "must not be negative")
		}
		if len(c.AllowedDomains) > 0 && len(c.BlockedDomains) > 0 {
			k.Addf(p+".blocked_domains", "cannot be given together with allowed_domains")
		}
		if c.URLSources != nil {
			k.urlSources(p+".url_sources", c.URLSources, custom)
		}
		if c.UserLocation != nil {
			k.json(p+".user_location", c.UserLocation, '{')
		}
		k.domains(p+".allowed_domains", c.Name, c.AllowedDomains)
		k.domains(p+".blocked_domains", c.Name, c.BlockedDomains)
	}
}

// domains checks the hosts that a tool is limited to, or kept from. Those of web_search may go on with a path.
func (k *checker) domains(path, tool string, list []string) {
	if len(list) > MaxDomains {
		k.Addf(path, "has %d entries; at most %d are allowed", len(list), MaxDomains)
	}
	for i, d := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		k.some(at, d, 253)
		host, _, paths := strings.Cut(d, "/")
		if d != "" && (host == "" || strings.ContainsAny(host, ":@ ") || paths && tool != "web_search") {
			k.Addf(at, "must be the name of a host, such as docs.example.com")
		}
	}
}

// json checks what is kept as given; begin is the character that it must begin with, 0 any.
func (k *checker) json(path string, raw json.RawMessage, begin byte) {
	if !json.Valid(raw) || !utf8.Valid(raw) || begin != 0 && raw[0] != begin {
		k.Addf(path, "is not of the type that belongs here")
	}
}

func (k *checker) permission(path string, p Permission) {
	k.oneOf(path+".type", string(p), string(AlwaysAllow), string(AlwaysAsk), string(Auto))
}

func (k *checker) custom(path string, t Tool) {
	if !toolName(t.Name) {
		k.Addf(path+".name", "must have 1 to %d characters of A-Z, a-z, 0-9, _ and -", MaxToolName)
	}
	k.some(path+".description", t.Description, MaxSystem)
	k.schema(path+".input_schema", t.InputSchema)
}

func toolName(s string) bool {
	if s == "" || len(s) > MaxToolName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// schema checks that raw is the JSON Schema of an object and can be compiled without reading anything else.
func (k *checker) schema(path string, raw json.RawMessage) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil || !utf8.Valid(raw) {
		k.Addf(path, "must be a JSON Schema object")
		return
	}
	obj, ok := doc.(map[string]any)
	if !ok {
		k.Addf(path, "must be a JSON Schema object")
		return
	}
	if obj["type"] != "object" {
		k.Addf(path+".type", `must be "object"`)
		return
	}
	const loc = "urn:input_schema"
	comp := jsonschema.NewCompiler()
	comp.UseLoader(noLoader{})
	if err := comp.AddResource(loc, doc); err != nil {
		k.Addf(path, "is not a JSON Schema")
		return
	}
	if _, err := comp.Compile(loc); err != nil {
		k.schemaFault(path, err)
	}
}

// noLoader keeps the compiler from reading files or URLs that a schema refers to.
type noLoader struct{}

var errForeignRef = errors.New("refers to another document")

func (noLoader) Load(string) (any, error) { return nil, errForeignRef }

// schemaFault names the innermost place that a schema is wrong at.
func (k *checker) schemaFault(path string, err error) {
	if errors.Is(err, errForeignRef) {
		k.Addf(path, "must not refer to another document")
		return
	}
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if deep, ok := errors.AsType[*jsonschema.ValidationError](invalid.Err); ok {
			for len(deep.Causes) > 0 {
				deep = deep.Causes[0]
			}
			for _, part := range deep.InstanceLocation {
				path += "." + part
			}
			k.Addf(path, "is not a JSON Schema: %s", strings.Join(deep.ErrorKind.KeywordPath(), "."))
			return
		}
	}
	k.Addf(path, "is not a JSON Schema that can be compiled")
}

func (k *checker) servers(c Config) {
	if len(c.MCPServers) > MaxMCPServers {
		k.Addf("mcp_servers", "has %d entries; at most %d are allowed", len(c.MCPServers), MaxMCPServers)
	}
	seen := map[string]bool{}
	for i, s := range c.MCPServers {
		path := fmt.Sprintf("mcp_servers[%d]", i)
		k.some(path+".name", s.Name, MaxMCPName)
		if seen[s.Name] {
			k.Addf(path+".name", "a second server of this name")
		}
		seen[s.Name] = true
		u, err := url.Parse(s.URL)
		if s.Stdio == nil {
			k.some(path+".url", s.URL, 2048)
		} else {
			k.program(path+".stdio", *s.Stdio)
		}
		switch {
		case s.URL == "":
		case s.Stdio != nil:
			k.Addf(path+".url", "must be left out with stdio")
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			k.Addf(path+".url", "must be an absolute http or https URL")
		case u.User != nil:
			k.Addf(path+".url", "must not hold credentials; they belong in a vault")
		}
		if s.Name != "" && !slices.ContainsFunc(c.Tools, func(t Tool) bool { return t.Type == MCPToolset && t.MCPServer == s.Name }) {
			k.Addf(path+".name", "no %s in tools refers to this server", MCPToolset)
		}
	}
}

func (k *checker) program(path string, s Stdio) {
	k.some(path+".command", s.Command, MaxCommand)
	if len(s.Args) > MaxArgs {
		k.Addf(path+".args", "has %d entries; at most %d are allowed", len(s.Args), MaxArgs)
	}
	for i, a := range s.Args {
		k.Text(fmt.Sprintf("%s.args[%d]", path, i), a, MaxCommand)
	}
	if len(s.Env) > MaxArgs {
		k.Addf(path+".env", "has %d entries; at most %d are allowed", len(s.Env), MaxArgs)
	}
	for name, value := range s.Env {
		if !variable.MatchString(name) {
			k.Addf(path+".env", "%q is not the name of an environment variable", name)
		}
		k.Text(path+".env."+name, value, MaxCommand)
	}
}

// variable matches the names of environment variables that every shell takes.
var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (k *checker) skills(skills []SkillRef) {
	if len(skills) > MaxSkills {
		k.Addf("skills", "has %d entries; at most %d are allowed", len(skills), MaxSkills)
	}
	seen := map[string]bool{}
	for i, s := range skills {
		path := fmt.Sprintf("skills[%d]", i)
		k.some(path+".skill_id", s.ID, 255)
		k.oneOf(path+".type", s.Type, "anthropic", "custom")
		k.some(path+".version", s.Version, 255)
		if seen[s.ID] {
			k.Addf(path+".skill_id", "a second entry for this skill")
		}
		seen[s.ID] = true
	}
}

func (k *checker) multiagent(m Multiagent) {
	switch m.Type {
	case Multiagent20261001:
		if len(m.Rest) > 0 {
			k.json("multiagent", m.Rest, '{')
		}
		return
	case Coordinator:
	default:
		k.Addf("multiagent.type", "must be one of %s, %s", Coordinator, Multiagent20261001)
		return
	}
	type who struct {
		typ   string
		agent id.Agent
		model string
	}
	seen := map[who]bool{}
	if len(m.Roster) == 0 || len(m.Roster) > MaxRoster {
		k.Addf("multiagent.agents", "must have 1 to %d entries", MaxRoster)
	}
	for i, e := range m.Roster {
		path := fmt.Sprintf("multiagent.agents[%d]", i)
		if of := (who{e.Type, e.Agent, e.Model}); seen[of] {
			k.Addf(path, "is on the roster already")
		} else {
			seen[of] = true
		}
		switch e.Type {
		case RosterAgent:
			if e.Agent.IsZero() {
				k.Addf(path+".id", "is required")
			}
			if e.Version < 0 {
				k.Addf(path+".version", "must be 1 or more")
			}
		case RosterAdvisor:
			k.some(path+".model", e.Model, MaxModelID)
		case RosterSelf:
		default:
			k.Addf(path+".type", "must be one of %s, %s, %s", RosterAgent, RosterAdvisor, RosterSelf)
		}
	}
}

func (k *checker) identity(v Identity) {
	switch v.Type {
	case ServiceAccount:
	case AWSRole:
		k.some("execution_identity.role_arn", v.RoleARN, 2048)
	default:
		k.Addf("execution_identity.type", "must be one of %s, %s", ServiceAccount, AWSRole)
	}
}
