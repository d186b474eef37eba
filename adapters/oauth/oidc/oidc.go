// Package oidc tells who somebody is by any OpenID provider that has a discovery document: Google, Okta, Keycloak, Entra.
package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/bureau-agents/bureau/adapters/oauth/internal/remote"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/integration"
	"github.com/bureau-agents/bureau/ports/fault"
)

// GoogleIssuer is Google's.
const GoogleIssuer = "https://accounts.google.com"

// Config is a client at an issuer. All fields are required but Now.
type Config struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	HTTP         *http.Client
	Now          func() time.Time // nil is time.Now
}

// Provider is a client at an issuer. It reads the issuer's discovery document when it is first needed. It is safe for concurrent use.
type Provider struct {
	cfg Config

	mu    sync.Mutex
	found *discovered // nil until the issuer has answered
}

type discovered struct {
	provider *oidc.Provider
	endpoint oauth2.Endpoint
}

var _ account.IdentityProvider = (*Provider)(nil)

// New returns the client, or an error that names what is missing.
func New(cfg Config) (*Provider, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("oidc: Config.Issuer is required")
	case cfg.ClientID == "":
		return nil, errors.New("oidc: Config.ClientID is required")
	case cfg.ClientSecret == "":
		return nil, errors.New("oidc: Config.ClientSecret is required")
	case cfg.HTTP == nil:
		return nil, errors.New("oidc: Config.HTTP is required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Provider{cfg: cfg}, nil
}

// errIssuer is returned while the issuer does not answer as it should.
var errIssuer = fault.New(fault.Unavailable, "identity_provider_unreachable", "the identity provider cannot be reached")

// discover reads the discovery document, which must name the issuer that it was asked for: OpenID Connect Discovery 1.0, 4.3.
func (p *Provider) discover(ctx context.Context) (*discovered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, p.cfg.HTTP), p.cfg.Issuer)
	if err != nil {
		return nil, errIssuer.Wrap(err)
	}
	var more struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := provider.Claims(&more); err != nil {
		return nil, errIssuer.Wrap(err)
	}
	d := &discovered{provider, provider.Endpoint()}
	// One way, since asking both ways would use the code up: a form, which nobody misreads, or what an issuer supports that says nothing.
	d.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if slices.Contains(more.Methods, "client_secret_post") {
		d.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	p.found = d
	return d, nil
}

func (p *Provider) oauth(d *discovered, redirectURI string) oauth2.Config {
	return oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: d.endpoint, RedirectURL: redirectURI,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
}

// AuthURL implements account.IdentityProvider.
func (p *Provider) AuthURL(ctx context.Context, req account.AuthRequest) (string, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	cfg := p.oauth(d, req.RedirectURI)
	return cfg.AuthCodeURL(req.State, oauth2.S256ChallengeOption(req.Verifier), oidc.Nonce(req.Nonce)), nil
}

// claims are what is read of an ID token, beside what the library checks by itself.
type claims struct {
	Email    string `json:"email"`
	Verified any    `json:"email_verified"` // some issuers write "true"
	Name     string `json:"name"`
	Party    string `json:"azp"`
}

func (c claims) verified() bool { return c.Verified == true || c.Verified == "true" }

// Identify implements account.IdentityProvider. It checks the ID token's signature, issuer, audience, expiry, nonce, and, if they are
// there, authorized party and hash of the access token.
func (p *Provider) Identify(ctx context.Context, req account.AuthRequest, code string) (account.Identity, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return account.Identity{}, err
	}
	t, err := remote.Exchange(ctx, p.cfg.HTTP, p.oauth(d, req.RedirectURI), code, req.Verifier)
	switch {
	case errors.Is(err, integration.ErrExchange):
		return account.Identity{}, account.ErrIdentity.Wrap(err)
	case err != nil:
		return account.Identity{}, errIssuer.Wrap(err)
	}
	raw, ok := t.Extra("id_token").(string)
	if !ok {
		return account.Identity{}, account.ErrIdentity.Withf("the identity provider sent no ID token")
	}
	verifier := d.provider.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.cfg.Now})
	token, err := verifier.Verify(oidc.ClientContext(ctx, p.cfg.HTTP), raw)
	if err != nil {
		return account.Identity{}, account.ErrIdentity.Withf("the identity provider's ID token is not valid").Wrap(err)
	}
	var c claims
	switch err := token.Claims(&c); {
	case err != nil:
		return account.Identity{}, account.ErrIdentity.Withf("the identity provider's ID token cannot be read").Wrap(err)
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(req.Nonce)) != 1:
		return account.Identity{}, account.ErrIdentity.Withf("the identity provider's ID token is for another sign-in")
	case token.Subject == "":
		return account.Identity{}, account.ErrIdentity.Withf("the identity provider's ID token names nobody")
	case c.Party != "" && c.Party != p.cfg.ClientID:
		return account.Identity{}, account.ErrIdentity.Withf("the identity provider's ID token is for another client")
	}
	if token.AccessTokenHash != "" {
		if err := token.VerifyAccessToken(t.AccessToken); err != nil {
			return account.Identity{}, account.ErrIdentity.Withf("the identity provider's tokens do not belong together").Wrap(err)
		}
	}
	return account.Identity{Issuer: token.Issuer, Subject: token.Subject, Email: c.Email, EmailVerified: c.verified(), Name: c.Name}, nil
}
