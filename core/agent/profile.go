package agent

import (
	"context"
	"encoding/json"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/internal/check"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Limits of a profile, in characters and bytes.
const (
	MaxProfileText     = 100
	MaxProfileMetadata = 64 << 10
)

// DefaultType and ActiveStatus are what a profile says that says nothing.
const (
	DefaultType  = "assistant"
	ActiveStatus = "active"
)

// Profile is what clients say of an agent for a directory. It configures nothing: changing it makes no version.
type Profile struct {
	Type     string          // what kind of agent it is, in the client's words; "" is DefaultType
	Icon     string          // an emoji or a short name; "" is none
	Platform string          // what it runs on: "python"; "" is unknown
	Status   string          // the client's own label, which says nothing about the agent's standing; "" is ActiveStatus
	Metadata json.RawMessage // a JSON object of the client's; nil is none
	// UpdatedAt is when it was last changed; zero: never. Directory fills it in.
	UpdatedAt time.Time
}

// Shown returns the label that clients see of an agent: its own, but that of its standing while it is frozen or archived.
func (p Profile) Shown(s Standing) string {
	if s != Active {
		return string(s)
	}
	return p.withDefaults().Status
}

func (p Profile) withDefaults() Profile {
	if p.Type == "" {
		p.Type = DefaultType
	}
	if p.Status == "" {
		p.Status = ActiveStatus
	}
	return p
}

func (p Profile) check() error {
	var k check.Faults
	for path, text := range map[string]string{"type": p.Type, "icon": p.Icon, "platform": p.Platform, "status": p.Status} {
		k.Text(path, text, MaxProfileText)
	}
	if len(p.Metadata) > MaxProfileMetadata {
		k.Addf("metadata", "must have at most %d bytes", MaxProfileMetadata)
	} else if len(p.Metadata) > 0 && (!json.Valid(p.Metadata) || p.Metadata[0] != '{') {
		k.Addf("metadata", "must be an object")
	}
	return k.Err(ErrInvalid)
}

func (p Profile) equal(o Profile) bool {
	return p.Type == o.Type && p.Icon == o.Icon && p.Platform == o.Platform && p.Status == o.Status && string(p.Metadata) == string(o.Metadata)
}

// ProfilePatch changes a profile; the zero value changes nothing.
type ProfilePatch struct {
	Type     Change[string]
	Icon     Change[string]
	Platform Change[string]
	Status   Change[string]
	Metadata Change[json.RawMessage] // replaced as a whole
}

// Apply returns p with the patch applied.
func (c ProfilePatch) Apply(p Profile) Profile {
	c.Type.apply(&p.Type)
	c.Icon.apply(&p.Icon)
	c.Platform.apply(&p.Platform)
	c.Status.apply(&p.Status)
	c.Metadata.apply(&p.Metadata)
	return p
}

// Listed is an agent as a directory has it.
type Listed struct {
	Agent
	Profile Profile
}

// UpdatedAt is when the agent or its profile was last changed.
func (l Listed) UpdatedAt() time.Time {
	if l.Profile.UpdatedAt.After(l.Agent.UpdatedAt) {
		return l.Profile.UpdatedAt
	}
	return l.Agent.UpdatedAt
}

// DirectoryRequest asks for a page of a directory, newest first, by Request.Offset or cursor. Archived agents are in none.
type DirectoryRequest struct {
	page.Request
	Name     string // exactly this name, whatever the case; "" any
	Search   string // part of the name, whatever the case; "" any
	Type     string // "" any
	Platform string // "" any
	Status   string // as Profile.Shown says; "" any
}

// Profiles is the part of the store that keeps profiles. Methods join the transaction in ctx.
type Profiles interface {
	// Profile returns an agent's profile; the zero Profile when nobody has said anything of it.
	Profile(ctx context.Context, sc account.Scope, agent id.Agent) (Profile, error)
	// PutProfile stores a profile.
	PutProfile(ctx context.Context, sc account.Scope, agent id.Agent, p Profile) error
	// DeleteProfile removes a profile, if there is one.
	DeleteProfile(ctx context.Context, sc account.Scope, agent id.Agent) error
	// LockName reports whether an agent that is not archived, other than except, has a name, whatever the case. Until the transaction
	// in ctx ends others who call it for the same name wait.
	LockName(ctx context.Context, sc account.Scope, name string, except id.Agent) (taken bool, err error)
	// Directory lists agents with their profiles.
	Directory(ctx context.Context, sc account.Scope, r DirectoryRequest) (page.Page[Listed], error)
}
