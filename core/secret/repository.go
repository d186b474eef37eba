package secret

import (
	"context"
	"net/url"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// Vaults keeps vaults. One that is missing or another tenant's is id.NotFound[id.VaultKind]. Methods join the transaction in ctx.
type Vaults interface {
	// Insert adds a vault.
	Insert(ctx context.Context, sc account.Scope, v Vault) error
	// Get returns a vault.
	Get(ctx context.Context, sc account.Scope, vault id.Vault) (Vault, error)
	// Lock is Get that keeps others from Lock until the transaction in ctx ends.
	Lock(ctx context.Context, sc account.Scope, vault id.Vault) (Vault, error)
	// Update writes DisplayName, Metadata, Inline, UpdatedAt and ArchivedAt; the caller holds Lock.
	Update(ctx context.Context, sc account.Scope, v Vault) error
	// List returns vaults, newest first.
	List(ctx context.Context, sc account.Scope, req ListRequest) (page.Page[Vault], error)
	// Delete removes a vault with its credentials.
	Delete(ctx context.Context, sc account.Scope, vault id.Vault) error
}

// Credentials keeps credentials. One that is missing, of another vault or of another tenant is id.NotFound[id.CredentialKind].
// Methods join the transaction in ctx.
type Credentials interface {
	// Insert adds a credential; ErrDuplicate when the vault has a live one with the same Subject.
	Insert(ctx context.Context, sc account.Scope, r Record) error
	// Get returns a credential of a vault; of any vault when vault is zero.
	Get(ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential) (Record, error)
	// Update replaces a credential; ErrVersion unless the stored version is the one before r.Version. It does not write CreatedAt, Vault and
	// Subject.
	Update(ctx context.Context, sc account.Scope, r Record) error
	// List returns the credentials of a vault, newest first, without Sealed.
	List(ctx context.Context, sc account.Scope, vault id.Vault, req ListRequest) (page.Page[Credential], error)
	// Delete removes a credential.
	Delete(ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential) error
	// Live returns every credential of the vaults that is not archived, in the order of vaults, oldest first. Vaults that are missing or
	// another tenant's have none.
	Live(ctx context.Context, sc account.Scope, vaults []id.Vault) ([]Record, error)
	// Archive archives the live credentials of a vault and removes their Sealed.
	Archive(ctx context.Context, sc account.Scope, vault id.Vault, at time.Time) error
}

// Guard tells which addresses may be reached; *egress.Client does.
type Guard interface {
	// Check returns an error, fit for a tenant, for an address that cannot be reached whatever it resolves to.
	Check(u *url.URL) error
}

// Exchanger asks token endpoints for new tokens.
type Exchanger interface {
	// Exchange spends the refresh token of req, at most once. It returns a *RejectedError when the endpoint answered without a token, and
	// another error when no answer came.
	Exchange(ctx context.Context, req ExchangeRequest) (Grant, error)
}

// Prober tries tokens on MCP servers.
type Prober interface {
	// Probe asks the server to initialize a session and returns its answer, whatever its status; an error when no answer came.
	Probe(ctx context.Context, serverURL string, token Value) (Answer, error)
}

// ExchangeRequest is a refresh token with what it is shown with.
type ExchangeRequest struct {
	Refresh
	RefreshToken Value
	ClientSecret Value // with TokenAuthBasic and TokenAuthPost
}

// Grant is what a token endpoint gave.
type Grant struct {
	AccessToken  Value
	RefreshToken Value         // zero: the old one stays good
	ExpiresIn    time.Duration // 0: not said
}

// Answer is an HTTP answer as it may be shown: without secrets, once the service has redacted it.
type Answer struct {
	Status      int
	ContentType string
	Body        string // its beginning, valid UTF-8
	Truncated   bool   // Body is not all of it
}

// RejectedError is the answer of a token endpoint that gives no token.
type RejectedError struct{ Answer Answer }

// Error implements error. It does not show the body, which may repeat secrets.
func (*RejectedError) Error() string { return "the token endpoint gave no token" }

// Auditor is told of every change, in the transaction that makes it.
type Auditor interface {
	// Record adds an entry to the trail of the scope's tenant. Ids in metadata are UUIDs.
	Record(ctx context.Context, sc account.Scope, action string, metadata map[string]any) error
}
