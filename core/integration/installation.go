package integration

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// InstallationStatus is what an installation is good for.
type InstallationStatus string

// The statuses.
const (
	Installed   InstallationStatus = "live"
	NeedsReauth InstallationStatus = "needs_reauth" // the provider does not take its token any more: install again
	Uninstalled InstallationStatus = "uninstalled"  // its token is gone; installing again brings it back
)

// Installation is a workspace that a tenant has connected. A tenant has one for each workspace of an integration, whatever is done to it.
type Installation struct {
	ID            id.Installation
	Tenant        id.Tenant
	Provider      string // the integration: "slack", "github"
	WorkspaceID   string // as the provider calls it
	WorkspaceName string
	Kind          string   // what a workspace is there: "team", "enterprise", "user"
	BotUserID     string   // who speaks there
	BotLogin      string   // how people address it; "" where the provider tells by itself who is addressed
	AuthorizedBy  string   // the person at the provider who agreed
	Scopes        []string // what was granted
	// Accounts are what events of the workspace name as their origin, WorkspaceID among them.
	Accounts    []string
	Environment id.Environment // of publications that name none; zero: none
	Status      InstallationStatus
	SealedToken []byte     // nil: uninstalled
	TokenExpiry time.Time  // zero: it does not expire
	InstalledBy id.APIKey  // whose request began it; zero: the server's operator
	CreatedAt   time.Time  // of the first installation
	UpdatedAt   time.Time  // of the last one, or of what ended it
	RemovedAt   *time.Time // nil unless Uninstalled
}

// Token is what a provider gives for a workspace. It is stored sealed only.
type Token struct {
	Access  string    `json:"access"`
	Refresh string    `json:"refresh,omitempty"`
	Expiry  time.Time `json:"expiry,omitzero"` // zero: it does not expire
}

// Grant is what a code was exchanged for.
type Grant struct {
	Token         Token
	WorkspaceID   string
	WorkspaceName string
	Kind          string
	BotUserID     string
	BotLogin      string
	AuthorizedBy  string
	Scopes        []string
	Accounts      []string
}
