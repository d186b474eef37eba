package agent

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/id"
)

// Agent is one version of an agent, together with what is true of the agent whatever the version.
type Agent struct {
	ID     id.Agent
	Tenant id.Tenant
	// Version counts from 1. Config is what that version says.
	Version int
	Config  Config
	// Standing and what follows belong to the agent and not to a version. Standing is Frozen also while the agent's swarm is frozen;
	// that of its tenant it does not show.
	Standing Standing
	// FrozenItself and FrozenBySwarm say why a Frozen agent is: unfreezing the one leaves the other. Repositories fill them in and
	// do not store them from here.
	FrozenItself, FrozenBySwarm bool

	Swarm      id.Swarm // zero: the agent is in no swarm
	CreatedAt  time.Time
	UpdatedAt  time.Time  // when Version was made
	ArchivedAt *time.Time // nil: not archived
}

// Standing says whether an agent may act.
type Standing string

// The standings.
const (
	Active   Standing = "active"
	Frozen   Standing = "frozen"   // no act starts, since the agent or its swarm is frozen; unfreezing makes it Active again
	Archived Standing = "archived" // kept to be read; never becomes another standing
)

// StandingInfo is what a transaction learns about an agent while it holds the lock on its standing.
type StandingInfo struct {
	Standing Standing // Frozen also while the agent's swarm is
	Swarm    id.Swarm // zero: none
	Name     string
	Metadata map[string]string
	Version  int
}

// Config is the versioned part of an agent. Slices and maps are never shared between versions: whoever changes a Config
// replaces them.
type Config struct {
	Name        string // 1 to MaxName characters
	Description string // at most MaxDescription characters
	System      string // the prompt; at most MaxSystem characters
	Model       Model
	Tools       []Tool
	MCPServers  []MCPServer
	Skills      []SkillRef
	Metadata    map[string]string // the client's own; at most MaxMetadata pairs
	Multiagent  *Multiagent       // nil: works alone
	Identity    *Identity         // nil: ServiceAccount
}

// Limits of a Config, in characters (Unicode code points) or entries. They are those of the Managed Agents API and of its
// client libraries.
const (
	MaxName          = 256
	MaxDescription   = 2048
	MaxSystem        = 100_000
	MaxModelID       = 256
	MaxMetadata      = metadata.MaxPairs
	MaxMetadataKey   = metadata.MaxKey
	MaxMetadataValue = metadata.MaxValue
	MaxMCPServers    = 20
	MaxMCPName       = 255
	MaxCommand       = 1024
	MaxArgs          = 64  // of a Stdio; its Env has at most as many
	MaxTools         = 256 // over all toolsets
	MaxToolName      = 128
	MaxSkills        = 20
	MaxRoster        = 20
	MaxDomains       = 64  // of a ToolConfig, allowed or blocked
	MaxSourceTools   = 128 // of one of a ToolConfig's URLSources
)

// Model chooses the language model and how it is run.
type Model struct {
	ID           string // a handle that core/model resolves; "" is the tenant's default
	Speed        Speed  // "" is SpeedStandard
	Effort       Effort // "" leaves it to the provider
	InferenceGeo string // "" leaves it to the provider
}

// Speed is the service tier of a model.
type Speed string

// The speeds.
const (
	SpeedStandard Speed = "standard"
	SpeedFast     Speed = "fast"
)

// Effort is how much a model may think.
type Effort string

// The efforts.
const (
	EffortLow    Effort = "low"
	EffortMedium Effort = "medium"
	EffortHigh   Effort = "high"
	EffortXHigh  Effort = "xhigh"
	EffortMax    Effort = "max"
)

// ToolType tells the kinds of Tool apart.
type ToolType string

// The types of tools.
const (
	AgentToolset ToolType = "agent_toolset_20260401" // the sandbox tools; see ToolsetNames
	MCPToolset   ToolType = "mcp_toolset"            // what one of Config.MCPServers offers
	CustomTool   ToolType = "custom"                 // executed by the client
	A2AAgent     ToolType = "a2a_agent"              // a remote agent; the tool is called as it is
)

// ToolsetNames returns the tools of AgentToolset.
func ToolsetNames() []string {
	return []string{"bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search"}
}

// Tool is one entry of Config.Tools.
type Tool struct {
	Type ToolType

	// Default and Configs belong to the toolsets: Configs names the tools that differ from Default. An A2AAgent has a Default only.
	Default ToolDefault
	Configs []ToolConfig
	// MCPServer is the name of the server; MCPToolset only.
	MCPServer string
	// Remote is the remote agent; A2AAgent only.
	Remote id.RemoteAgent

	// Name, Description and InputSchema belong to CustomTool. Name is [A-Za-z0-9_-]{1,128}, InputSchema the JSON Schema of an object.
	Name        string
	Description string
	InputSchema json.RawMessage
}

// Permission says whether a tool of a toolset waits for a person before each call.
type Permission string

// The permissions.
const (
	AlwaysAllow Permission = "always_allow"
	AlwaysAsk   Permission = "always_ask"
	Auto        Permission = "auto" // as policies decide
)

// ToolDefault holds for every tool of a toolset that has no ToolConfig of its own.
type ToolDefault struct {
	Enabled    bool
	Permission Permission // "" becomes AlwaysAllow for the agent toolset and AlwaysAsk for tools of MCP servers and remote agents
}

// ToolConfig holds for one tool of a toolset.
type ToolConfig struct {
	Name       string
	Enabled    bool
	Permission Permission // "" becomes that of the toolset's Default

	// The rest belongs to web_fetch and web_search.
	AllowedDomains   []string // nil: every public one
	BlockedDomains   []string
	MaxContentTokens int             // web_fetch; 0 is no limit of its own
	URLSources       json.RawMessage // web_fetch; see sources.go, nil when not given
	UserLocation     json.RawMessage // web_search; kept as given, nil when not given
}

// Lookup tells whether the toolset t offers the tool called name, and under which permission.
func (t Tool) Lookup(name string) (enabled bool, permission Permission) {
	for _, c := range t.Configs {
		if c.Name == name {
			return c.Enabled, c.Permission
		}
	}
	if t.Type == AgentToolset && !slices.Contains(ToolsetNames(), name) {
		return false, t.Default.Permission
	}
	return t.Default.Enabled, t.Default.Permission
}

// Toolset returns the agent toolset of c, if it has one.
func (c Config) Toolset() (Tool, bool) {
	for _, t := range c.Tools {
		if t.Type == AgentToolset {
			return t, true
		}
	}
	return Tool{}, false
}

// CustomTools returns the tools that the client executes.
func (c Config) CustomTools() []Tool {
	var out []Tool
	for _, t := range c.Tools {
		if t.Type == CustomTool {
			out = append(out, t)
		}
	}
	return out
}

// MCPServer is a server whose tools the agent may use: a remote one, or a program. Its credentials live in a vault, not here.
type MCPServer struct {
	Name  string // 1 to MaxMCPName characters, unique in its Config, named by one MCPToolset
	URL   string // http or https; "" for a program
	Stdio *Stdio // nil for a remote server
}

// Stdio is an MCP server that runs in the session's sandbox and is talked to over standard input and output.
type Stdio struct {
	Command string            // a program in the sandbox's PATH, or its absolute path; 1 to MaxCommand characters
	Args    []string          // at most MaxArgs, of MaxCommand characters each
	Env     map[string]string // shown to everybody who may read the agent; secrets belong in a vault, as environment variables
}

func (s MCPServer) equal(o MCPServer) bool {
	if s.Name != o.Name || s.URL != o.URL || (s.Stdio == nil) != (o.Stdio == nil) {
		return false
	}
	return s.Stdio == nil ||
		s.Stdio.Command == o.Stdio.Command && slices.Equal(s.Stdio.Args, o.Stdio.Args) && maps.Equal(s.Stdio.Env, o.Stdio.Env)
}

// SkillRef names a skill that the agent is given.
type SkillRef struct {
	ID      string // a handle or an id
	Type    string // "anthropic" or "custom"
	Version string // "" becomes "latest"
}

// The types of Multiagent.
const (
	Coordinator        = "coordinator"
	Multiagent20261001 = "multiagent_20261001"
)

// Multiagent says whom the agent may delegate to.
type Multiagent struct {
	Type   string        // Coordinator or Multiagent20261001
	Roster []RosterEntry // Coordinator: 1 to MaxRoster
	// Rest holds the members beside "type" of a Multiagent20261001, a JSON object kept as given.
	Rest json.RawMessage
}

// The types of RosterEntry.
const (
	RosterAgent   = "agent"
	RosterAdvisor = "advisor"
	RosterSelf    = "self"
)

// RosterEntry is one to whom a coordinator may delegate.
type RosterEntry struct {
	Type    string   // RosterAgent, RosterAdvisor or RosterSelf
	Agent   id.Agent // RosterAgent: another agent of the tenant; the agent itself becomes RosterSelf
	Version int      // RosterAgent: 0 becomes the version that is current when the entry is stored
	Model   string   // RosterAdvisor: a model handle
}

// The types of Identity.
const (
	ServiceAccount = "service_account" // the server's own; becomes a nil Config.Identity
	AWSRole        = "aws_role"
)

// Identity is the outside identity that the agent acts under.
type Identity struct {
	Type    string // ServiceAccount or AWSRole
	RoleARN string // AWSRole only
}
