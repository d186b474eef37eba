package secret

import (
	"time"

	"github.com/bureau-agents/bureau/ports/id"
)

// AuthType says how a credential is used.
type AuthType string

// The types.
const (
	// StaticBearer is a token that an MCP server takes and that does not expire.
	StaticBearer AuthType = "static_bearer"
	// MCPOAuth is an access token for an MCP server, which may expire and be refreshed.
	MCPOAuth AuthType = "mcp_oauth"
	// EnvironmentVariable is a value that programs in a session's sandbox use.
	EnvironmentVariable AuthType = "environment_variable"
)

// Credential is what an agent signs in with, without its secrets.
type Credential struct {
	ID          id.Credential
	Tenant      id.Tenant
	Vault       id.Vault
	DisplayName string            // "" is none
	Metadata    map[string]string // the client's own; at most MaxMetadata pairs
	Auth        Auth
	CreatedAt   time.Time
	UpdatedAt   time.Time
	ArchivedAt  *time.Time // its secrets are gone then
}

// Auth is what may be known about a way to sign in. Which fields are used depends on Type.
type Auth struct {
	Type AuthType

	MCPServerURL string     // StaticBearer and MCPOAuth: where it signs in, as it was given
	ExpiresAt    *time.Time // MCPOAuth: when the access token expires; nil is not known
	Refresh      *Refresh   // MCPOAuth: nil when it cannot be refreshed

	SecretName string     // EnvironmentVariable: its name
	Networking Networking // EnvironmentVariable: where it may go
	Injection  Injection  // EnvironmentVariable: in which part of a request it may go there
}

// TokenAuth is how a client shows itself to a token endpoint (RFC 6749, 2.3.1).
type TokenAuth string

// The ways.
const (
	TokenAuthNone  TokenAuth = "none"
	TokenAuthBasic TokenAuth = "client_secret_basic"
	TokenAuthPost  TokenAuth = "client_secret_post"
)

// Refresh is how an access token is refreshed (RFC 6749, 6).
type Refresh struct {
	ClientID      string
	TokenEndpoint string // a URL
	TokenAuth     TokenAuth
	Resource      string // RFC 8707; "" sends none
	Scope         string // "" sends none
}

// Networking says to which hosts a variable's value may be sent. Programs find the value itself, so that a sandbox gets the variable only
// while it reaches no other host.
type Networking struct {
	Limited      bool
	AllowedHosts []string // when Limited: names, IPv4 addresses, or "*.example.com" for the subdomains of one
}

// Injection says in which parts of a request a variable's value is meant to stand. It is kept and shown, and not enforced. One of them is
// set.
type Injection struct{ Header, Body bool }

// Secrets are the parts of a credential that are sealed.
type Secrets struct {
	Token        Value // the token, the access token, or the variable's value
	RefreshToken Value // MCPOAuth
	ClientSecret Value // MCPOAuth, with TokenAuthBasic and TokenAuthPost
}

// Record is a credential as stores keep it. Every write raises Version, so that no writer overwrites what it has not seen.
type Record struct {
	Credential
	Subject       string // a digest of what it is for; a vault has one live credential of each
	Sealed        []byte // Secrets; nil once archived
	Version       int
	SecretVersion int // changes with Sealed
	// RefreshUntil is how long nobody else may try to refresh the token: because somebody is at it, or, when RefreshFailed is set,
	// because that has just failed. Zero is free.
	RefreshUntil  time.Time
	RefreshFailed bool
}

// NewCredential asks for a credential.
type NewCredential struct {
	DisplayName string
	Metadata    map[string]string
	Auth        Auth
	Secrets     Secrets
}

// Patch changes a credential; zero fields leave as it is what they name.
type Patch struct {
	DisplayName *string            // "" clears it
	Metadata    map[string]*string // per key: nil removes it
	Auth        *AuthPatch
}

// AuthPatch changes how a credential signs in. What cannot change may be named if it is the same; otherwise it is ErrImmutable.
type AuthPatch struct {
	Type         AuthType // "" is the credential's own
	MCPServerURL *string
	SecretName   *string

	Token        *Value // the token, the access token, or the variable's value
	ClearExpires bool
	ExpiresAt    *time.Time
	ClearRefresh bool
	Refresh      *RefreshPatch
	Networking   *Networking // replaces it
	Injection    *InjectionPatch
}

// RefreshPatch changes how a token is refreshed, or says it for the first time. TokenAuth cannot change between none and the others.
type RefreshPatch struct {
	ClientID      *string
	TokenEndpoint *string
	Resource      *string
	Scope         *string // "" clears it
	TokenAuth     TokenAuth
	RefreshToken  *Value
	ClientSecret  *Value
}

// InjectionPatch changes one or both parts.
type InjectionPatch struct{ Header, Body *bool }

// Token is what a connection to an MCP server shows.
type Token struct {
	Value      Value
	Credential id.Credential
	Vault      id.Vault
}

// Variable is an environment variable for a sandbox.
type Variable struct {
	Credential id.Credential
	Name       string
	Value      Value
	Networking Networking
	Injection  Injection
}
