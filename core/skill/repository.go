package skill

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Repository keeps the registry. Its calls take no scope: plugins belong to the server, and the service checks who may change
// them. Calls join the transaction in ctx.
type Repository interface {
	// Create adds a plugin, with its release when it has one. Returns ErrExists when the name is taken, also by a removed plugin.
	Create(ctx context.Context, p Plugin) error
	// Update writes everything of p but its id, name, kind and creation time. A Release in it must have been added before.
	// Returns ErrNotFound.
	Update(ctx context.Context, p Plugin) error
	// ByName returns the plugin with the release in force, removed ones too. Inside a transaction it locks the plugin.
	// Returns ErrNotFound.
	ByName(ctx context.Context, name string) (Plugin, error)
	// ByID is ByName by id.
	ByID(ctx context.Context, plugin id.Plugin) (Plugin, error)
	// List returns the plugins that are not removed, by name.
	List(ctx context.Context, req ListRequest) (page.Page[Plugin], error)
	// Delete removes a plugin with its releases and every installation of it. Returns ErrNotFound.
	Delete(ctx context.Context, plugin id.Plugin) error
}

// ListRequest says which plugins to list.
type ListRequest struct {
	Kind    Kind   // "" is both
	Enabled bool   // only the enabled ones
	Search  string // part of the name or the description, in any case; "" is all
	Page    page.Request
}

// ReleaseRepository keeps the binaries' manifests.
type ReleaseRepository interface {
	// Add keeps r; a release with the same plugin and digest is replaced, since its manifest may have been signed again.
	Add(ctx context.Context, r Release) error
	// Releases returns all releases of a plugin, newest first.
	Releases(ctx context.Context, plugin id.Plugin) ([]Release, error)
	// Remove forgets one release; a missing one is no error. Nothing may refer to it any more.
	Remove(ctx context.Context, plugin id.Plugin, digest string) error
	// Holders counts what refers to a digest: releases of any plugin, and installations that pin it.
	Holders(ctx context.Context, digest string) (releases, installations int, err error)
}

// InstallationRepository keeps which agent has which skill.
type InstallationRepository interface {
	// Save adds the installation, or when the agent has the skill already updates its version, digest and time, and returns what is
	// stored then.
	Save(ctx context.Context, sc account.Scope, in Installation) (Installation, error)
	// List returns the agent's installations of plugins that are not removed, oldest first.
	List(ctx context.Context, sc account.Scope, agent id.Agent) ([]Installed, error)
	// Pins returns what the agent has of every kind, oldest first. Inside a transaction it keeps others from asking for the same agent
	// until that ends.
	Pins(ctx context.Context, sc account.Scope, agent id.Agent) ([]Installation, error)
	// Count returns how many agents of the tenant have the skill.
	Count(ctx context.Context, sc account.Scope, skill id.Skill) (int, error)
	// Delete takes the skill from the agent. Returns ErrNotInstalled.
	Delete(ctx context.Context, sc account.Scope, agent id.Agent, skill id.Skill) error
	// DeleteAll takes every skill from the agent; having none is no error.
	DeleteAll(ctx context.Context, sc account.Scope, agent id.Agent) error
	// PinAll gives the digest to every installation of the plugin, in all tenants, that has none yet.
	PinAll(ctx context.Context, plugin id.Plugin, digest string) error
}

// SigningKey is one of the operator's keys. Its private half is kept sealed only.
type SigningKey struct {
	Number    int    // from 1; the highest one signs
	ID        string // as Signature.Key names it
	Public    []byte // ed25519
	Sealed    []byte // the private half, sealed by ports/keeper
	CreatedAt time.Time
}

// KeyRepository keeps the operator's signing keys, for implementations of Signer. All servers of one database share them.
type KeyRepository interface {
	// AddKey adds a key. Returns ErrExists when there is a key with this number or id.
	AddKey(ctx context.Context, k SigningKey) error
	// Keys returns all keys, the highest number first.
	Keys(ctx context.Context) ([]SigningKey, error)
}
