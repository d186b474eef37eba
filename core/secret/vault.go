package secret

import (
	"time"

	"github.com/bureau-agents/bureau/core/internal/metadata"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// The limits of vaults and credentials.
const (
	MaxName          = 255               // characters of a display name
	MaxMetadata      = metadata.MaxPairs // pairs
	MaxMetadataKey   = metadata.MaxKey   // characters
	MaxMetadataValue = metadata.MaxValue // characters
	MaxCredentials   = 20                // credentials of a vault that are not archived
	MaxURL           = 2048
	MaxSecret        = 32 << 10 // bytes of one secret
	MaxHosts         = 16       // allowed hosts of an environment variable
	MaxVariable      = 255      // characters of an environment variable's name
)

// Vault is a collection of credentials that sessions are given as a whole.
type Vault struct {
	ID          id.Vault
	Tenant      id.Tenant
	DisplayName string
	Metadata    map[string]string // the client's own; at most MaxMetadata pairs
	// Inline is the credential that came with the vault itself; changes of the vault rotate it. Zero is none.
	Inline     id.Credential
	CreatedAt  time.Time
	UpdatedAt  time.Time
	ArchivedAt *time.Time
}

// ListRequest asks for a page of vaults, or of a vault's credentials, newest first.
type ListRequest struct {
	page.Request
	Archived bool // archived ones too
}
