package environment

import "github.com/bureau-agents/bureau/core/internal/metadata"

// Patch is a change to an environment. nil fields stay.
type Patch struct {
	Name        *string
	Description *string // "" clears it
	Config      *ConfigPatch
	Scope       *Scope
	// ClearMetadata removes every pair before Metadata is applied, which sets a key to a value and removes a key with nil.
	ClearMetadata bool
	Metadata      map[string]*string
}

// ConfigPatch is a change to a Config. nil fields stay.
type ConfigPatch struct {
	Type       *Type
	Networking *NetworkingPatch
	Packages   *PackagesPatch
}

// NetworkingPatch is a change to a Networking. nil fields stay as long as the type does; networking of another type begins anew.
type NetworkingPatch struct {
	Type                 *NetworkingType
	AllowedHosts         *[]string
	AllowMCPServers      *bool
	AllowPackageManagers *bool
}

// PackagesPatch is a change to Packages: each list that is not nil replaces that of its package manager.
type PackagesPatch struct {
	Apt, Cargo, Gem, Go, Npm, Pip *[]string
}

// replace stores *v, if there is one, in field.
func replace[T any](field, v *T) {
	if v != nil {
		*field = *v
	}
}

// Apply returns e with the patch applied; e itself is not changed. The result is not checked.
func (p Patch) Apply(e Environment) Environment {
	replace(&e.Name, p.Name)
	replace(&e.Description, p.Description)
	replace(&e.Scope, p.Scope)
	if p.Config != nil {
		e.Config = p.Config.apply(e.Config)
	}
	if p.ClearMetadata {
		e.Metadata = map[string]string{}
	}
	e.Metadata = metadata.Merge(e.Metadata, p.Metadata)
	return e
}

func (p ConfigPatch) apply(c Config) Config {
	replace(&c.Type, p.Type)
	if n := p.Networking; n != nil {
		if n.Type != nil && *n.Type != c.Networking.Type {
			c.Networking = Networking{Type: *n.Type}
		}
		replace(&c.Networking.AllowedHosts, n.AllowedHosts)
		replace(&c.Networking.AllowMCPServers, n.AllowMCPServers)
		replace(&c.Networking.AllowPackageManagers, n.AllowPackageManagers)
	}
	if q := p.Packages; q != nil {
		replace(&c.Packages.Apt, q.Apt)
		replace(&c.Packages.Cargo, q.Cargo)
		replace(&c.Packages.Gem, q.Gem)
		replace(&c.Packages.Go, q.Go)
		replace(&c.Packages.Npm, q.Npm)
		replace(&c.Packages.Pip, q.Pip)
	}
	return c
}
