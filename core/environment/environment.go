package environment

import (
	"time"

	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/id"
)

// Limits of an environment; texts are counted in characters. Those of metadata are the Managed Agents API's.
const (
	MaxName          = 256
	MaxDescription   = 2048
	MaxMetadata      = metadata.MaxPairs // pairs
	MaxMetadataKey   = metadata.MaxKey
	MaxMetadataValue = metadata.MaxValue
	MaxHosts         = 256
	MaxPackages      = 100 // of each package manager
	MaxPackage       = 256 // bytes of one package's name and version
)

// Environment is a template of sandboxes.
type Environment struct {
	ID          id.Environment
	Tenant      id.Tenant
	Name        string
	Description string // "": none
	Config      Config
	Metadata    map[string]string
	Scope       Scope

	CreatedAt  time.Time
	UpdatedAt  time.Time
	ArchivedAt *time.Time // nil: not archived
}

// Scope is a label of the Managed Agents API that clients set; here every environment belongs to its tenant whatever it says.
type Scope string

// The scopes.
const (
	Organization Scope = "organization" // the default
	Account      Scope = "account"
)

// Type says who runs the sandboxes.
type Type string

// The types of environments.
const (
	Cloud      Type = "cloud"       // the server does
	SelfHosted Type = "self_hosted" // the client does: its sessions have no sandbox here, and tools are answered by user.tool_result
)

// Config is what the sandboxes are like. Networking and Packages belong to Cloud and are zero otherwise.
type Config struct {
	Type       Type // "" is Cloud
	Networking Networking
	Packages   Packages
}

// NetworkingType says how far a sandbox's programs reach.
type NetworkingType string

// The types of networking. Neither reaches the server's own machine or its private network.
const (
	Unrestricted NetworkingType = "unrestricted" // every public address; the default
	Limited      NetworkingType = "limited"      // what Networking names
)

// Networking is what a sandbox's programs may connect to. Its last three fields belong to Limited.
type Networking struct {
	Type NetworkingType // "" is Unrestricted
	// AllowedHosts are host names, in lower case and in ASCII (IDNA), or "*.example.com" for all subdomains of one, or IP addresses.
	AllowedHosts []string
	// AllowMCPServers adds the hosts of the MCP servers that the agent has.
	AllowMCPServers bool
	// AllowPackageManagers adds the registries that packages are installed from; it must be set when there are Packages.
	AllowPackageManagers bool
}

// Packages are what is installed before a session's first tool runs, in the spelling of each package manager, with or without a
// version. None begins with "-", holds white space, or names a URL or a path, so each is safe as one argument of a program; they are not
// meant for a shell.
type Packages struct {
	Apt   []string // "ffmpeg", "ffmpeg=7:6.1-1"
	Cargo []string // "ripgrep@14.1.0"
	Gem   []string // "rails:7.1.0"
	Go    []string // "golang.org/x/tools/cmd/goimports@latest"
	Npm   []string // "express@4.18.0", "@scope/name@1"
	Pip   []string // "requests==2.31.0", "httpx[http2]>=0.27,<1"
}

// Empty reports whether there are no packages.
func (p Packages) Empty() bool {
	return len(p.Apt)+len(p.Cargo)+len(p.Gem)+len(p.Go)+len(p.Npm)+len(p.Pip) == 0
}
