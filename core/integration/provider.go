package integration

import (
	"context"
	"time"
)

// Info describes an integration.
type Info struct {
	ID          string // the handle: "slack"
	Name        string // for people
	Description string
	Scopes      []string // what it asks for
	Granularity Granularity
}

// Authorizer speaks OAuth 2.0 with a provider.
type Authorizer interface {
	// AuthURL returns where a person agrees. verifier is that of PKCE (RFC 7636), whose S256 challenge goes along.
	AuthURL(state, verifier, redirectURI string) string
	// Exchange trades the code that the person came back with. It returns ErrExchange for a code that is not good, or ErrUnreachable.
	Exchange(ctx context.Context, code, verifier, redirectURI string) (Grant, error)
	// Refresh trades a refresh token. It returns ErrRevoked for one that is not good any more, or ErrUnreachable.
	Refresh(ctx context.Context, t Token) (Token, error)
	// Revoke ends a token, and the app's access with it. A token that is ended already is no error.
	Revoke(ctx context.Context, t Token) error
}

// Speech is something to be said.
type Speech struct {
	Key     string // names it: what was said under a key is found by Posted
	Channel string // Message.Channel and Message.Thread of what it answers
	Thread  string
	Text    string
	Persona Persona
	Since   time.Time // it was not said before
}

// Speaker says things in a workspace. Errors are ErrRevoked, ErrRefused, ErrRateLimited and ErrUnreachable.
type Speaker interface {
	// Post says it and returns the provider's id of it.
	Post(ctx context.Context, t Token, s Speech) (string, error)
	// Posted reports whether it was said, and its id.
	Posted(ctx context.Context, t Token, s Speech) (string, bool, error)
}

// Listener reads webhooks.
type Listener interface {
	// Read checks the signature of a webhook and reads it. header returns a header of the request by its name. It returns ErrSignature,
	// or a fault.Invalid for a body that cannot be read. An event that means nothing here has no Message.
	Read(header func(string) string, body []byte, now time.Time) (Incoming, error)
}

// Provider is an integration. Implementations are safe for concurrent use.
type Provider interface {
	Info() Info
	Authorizer
	Speaker
	Listener
}
