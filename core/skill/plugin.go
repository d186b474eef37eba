package skill

import (
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Kind says what a plugin serves.
type Kind string

// The kinds.
const (
	KindSkill Kind = "skill" // a tool for agents
	KindRule  Kind = "rule"  // a judge for policies
)

// ParseKind reads a kind; "" is not one.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case KindSkill, KindRule:
		return k, nil
	}
	return "", fault.Invalidf("kind", "must be %q or %q", KindSkill, KindRule)
}

// Plugin is an entry of the registry: a name, and the release that is in force under it.
type Plugin struct {
	ID          id.Plugin
	Name        string // [a-z0-9_-]{1,64}; what agents, policies and operators call it; unique on the server
	Kind        Kind
	Description string
	Enabled     bool
	Shipped     bool // it came with the server and follows its version
	// Removed marks a shipped plugin that the operator took away: it stays away when the server starts, until it is asked for.
	Removed bool
	// Release is what is in force; nil while a shipped plugin's binary has not been built yet.
	Release   *Release
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Skill returns the id under which the catalogue lists the plugin: the same number, spelled as a skill.
func (p Plugin) Skill() id.Skill { return id.Of[id.SkillKind](p.ID.UUID()) }

// Release is one binary of a plugin, as the operator signed it. Releases never change.
type Release struct {
	Plugin    id.Plugin
	Manifest  Manifest
	Signed    []byte // the manifest's bytes, exactly as signed
	Signature Signature
	CreatedAt time.Time
}

// Digest is the lower-case hexadecimal SHA-256 of the binary.
func (r Release) Digest() string { return r.Manifest.Digest }

// Signature is the operator's word on a manifest.
type Signature struct {
	Key   string // names the key that made it
	Bytes []byte // ed25519
}

// Installation says that an agent has a skill.
type Installation struct {
	ID     id.InstalledSkill
	Tenant id.Tenant
	Agent  id.Agent
	Skill  id.Skill // of a plugin: the plugin's number
	Kind   ContentKind
	// Version pins what has versions; zero for plugins, and for skills that come with the server.
	Version id.SkillVersion
	// Digest pins what the agent runs: of a plugin the release, "" until the first release of a shipped one is built; of instructions and
	// structured skills the content.
	Digest string
	// Level is what it was installed at; "" is whatever the skill has. See Held.Trust.
	Level     Trust
	CreatedAt time.Time
	UpdatedAt time.Time
}

// ContentKind says what a skill is made of.
type ContentKind string

// The kinds of content.
const (
	ContentPlugin       ContentKind = "plugin"       // a program, see Plugin
	ContentInstructions ContentKind = "instructions" // a SKILL.md with files, see Guide
	ContentStructured   ContentKind = "structured"   // data that an agent handed in, see Submission
)

// Plugin returns the plugin that is installed; only of ContentPlugin.
func (in Installation) Plugin() id.Plugin { return id.Of[id.PluginKind](in.Skill.UUID()) }

// Installed is an installation of a plugin with what it refers to.
type Installed struct {
	Installation
	Of      Plugin   // Release is the one in force
	Release *Release // the pinned one; nil while Digest is ""
}

// validName reports whether s can name a plugin.
func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// validDigest reports whether s is a lower-case hexadecimal SHA-256.
func validDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return true
}
