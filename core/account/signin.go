package account

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/tx"
)

// User is a person who signed in to the console.
type User struct {
	ID           id.User
	Tenant       id.Tenant
	Issuer       string // of the identity; with Subject it names a person for good, which an address does not
	Subject      string
	Email        string // as it was at the last sign-in, lower-case
	Name         string // "": not told
	CreatedAt    time.Time
	LastSignInAt time.Time
}

// Identity is what an identity provider says about a person, checked.
type Identity struct {
	Issuer, Subject string
	Email           string
	EmailVerified   bool
	Name            string
}

// AuthRequest is what an identity provider is asked with, and what it must be reminded of when it has answered.
type AuthRequest struct {
	State       string
	Nonce       string // comes back in the ID token
	Verifier    string // of PKCE, RFC 7636
	RedirectURI string
}

// IdentityProvider tells who somebody is, by OpenID Connect.
type IdentityProvider interface {
	// AuthURL returns where to send the person.
	AuthURL(ctx context.Context, req AuthRequest) (string, error)
	// Identify exchanges the code that the person came back with. It returns ErrIdentity for a code or a token that is not good.
	Identify(ctx context.Context, req AuthRequest, code string) (Identity, error)
}

// The errors of signing in, beside ErrFlow.
var (
	// ErrIdentity is returned by identity providers for a code that they refuse and a token that is not what it should be.
	ErrIdentity = fault.New(fault.Invalid, "sign_in_failed", "the identity provider did not confirm who you are; begin again")
	// ErrNoSuchProvider is returned for a provider that this server does not know.
	ErrNoSuchProvider = fault.New(fault.NotFound, "oauth_provider_not_found", "no such provider")
	// ErrSignInOff is returned for a provider without credentials.
	ErrSignInOff = fault.New(fault.Invalid, "sign_in_not_configured", "signing in is not configured")
	// ErrNotAllowed is returned for somebody whose address nobody has allowed.
	ErrNotAllowed = fault.New(fault.Forbidden, "sign_in_not_allowed", "this address may not sign in")
)

// UserRepository keeps people and their sign-ins. Implementations are safe for concurrent use; calls join the transaction in ctx.
type UserRepository interface {
	// SaveUser stores u, or, when its tenant has a user of that Issuer and Subject, that one's Email, Name and LastSignInAt, and
	// returns what is stored.
	SaveUser(ctx context.Context, sc Scope, u User) (User, error)
	// InsertSignIn notes that a key was made for a user who signed in.
	InsertSignIn(ctx context.Context, sc Scope, key id.APIKey, user id.User) error
	// ExpireSignIns revokes the keys of sign-ins, of whatever tenant, that have expired, and returns how many there were.
	ExpireSignIns(ctx context.Context, now time.Time) (int, error)
	// SignIn returns the user whom a key was made for; false when it is another kind of key.
	SignIn(ctx context.Context, sc Scope, key id.APIKey) (User, bool, error)
}

// DefaultSessionTTL is how long a sign-in lasts.
const DefaultSessionTTL = 12 * time.Hour

// SignInConfig says who may sign in to the console, and what they may do. With neither Emails nor Domains nobody may.
type SignInConfig struct {
	Emails  []string // whole addresses
	Domains []string // "example.com" lets every verified address of it in, and of none of its subdomains
	// Permissions of the key that a sign-in makes; empty is everything but Admin, so that a person can neither make keys nor tenants.
	Permissions []Permission
	// TTL is how long that key is good for; 0 is DefaultSessionTTL.
	TTL time.Duration
}

// SignInDeps are what SignIns need; all of them are required.
type SignInDeps struct {
	TX       tx.Runner
	Clock    clock.Clock
	IDs      id.Generator
	Logger   *slog.Logger
	Accounts *Service
	Tenants  TenantRepository
	Users    UserRepository
	Flows    *Flows
	// Providers by name; one that is nil is known and has no credentials.
	Providers map[string]IdentityProvider
}

// SignIns lets people into the operator's tenant by an identity provider: with an API key that expires. It is safe for concurrent use.
type SignIns struct {
	d SignInDeps
	c SignInConfig
}

// NewSignIns returns SignIns, or an error that names what is missing.
func NewSignIns(d SignInDeps, c SignInConfig) (*SignIns, error) {
	switch {
	case d.TX == nil:
		return nil, errors.New("account: SignInDeps.TX is required")
	case d.Clock == nil:
		return nil, errors.New("account: SignInDeps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("account: SignInDeps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("account: SignInDeps.Logger is required")
	case d.Accounts == nil:
		return nil, errors.New("account: SignInDeps.Accounts is required")
	case d.Tenants == nil:
		return nil, errors.New("account: SignInDeps.Tenants is required")
	case d.Users == nil:
		return nil, errors.New("account: SignInDeps.Users is required")
	case d.Flows == nil:
		return nil, errors.New("account: SignInDeps.Flows is required")
	case c.TTL < 0:
		return nil, errors.New("account: SignInConfig.TTL must not be negative")
	}
	if c.TTL == 0 {
		c.TTL = DefaultSessionTTL
	}
	perms, err := parsePermissions(c.Permissions)
	if err != nil {
		return nil, err
	}
	if len(perms) == 0 {
		perms = slices.DeleteFunc(AllPermissions(), func(p Permission) bool { return p == Admin })
	}
	c.Permissions = perms
	return &SignIns{d, c}, nil
}

// signInPurpose is that of its flows.
const signInPurpose = "sign_in"

// signInData is what a flow remembers. Binding ties it to the browser that began it: otherwise somebody could send his own callback
// to another person, who would then work in the wrong account.
type signInData struct {
	Nonce       string `json:"nonce"`
	Verifier    string `json:"verifier"`
	RedirectURI string `json:"redirect_uri"`
	RedirectTo  string `json:"redirect_to"`
	Binding     Hash   `json:"binding"`
}

// SignInStart is where to send somebody, and what his browser must come back with.
type SignInStart struct {
	URL     string
	State   string
	Binding string // a secret for the browser to keep meanwhile
}

// Begin starts a sign-in. redirectURI is the address of the callback, redirectTo a path of this server to go to afterwards; "" is "/".
// It returns ErrNoSuchProvider, ErrSignInOff, or a fault.Invalid for a redirectTo that leads elsewhere.
func (s *SignIns) Begin(ctx context.Context, provider, redirectURI, redirectTo string) (SignInStart, error) {
	p, err := s.provider(provider)
	if err != nil {
		return SignInStart{}, err
	}
	if redirectTo, err = LocalPath("redirect_to", redirectTo); err != nil {
		return SignInStart{}, err
	}
	t, ok, err := s.d.Tenants.OperatorTenant(ctx)
	if err != nil {
		return SignInStart{}, err
	}
	if !ok {
		return SignInStart{}, ErrSignInOff.Withf("the server has no tenant yet")
	}
	binding := NewToken()
	data := signInData{
		Nonce: NewToken(), Verifier: NewToken(), RedirectURI: redirectURI, RedirectTo: redirectTo, Binding: HashSecret(binding),
	}
	state, err := s.d.Flows.Begin(ctx, System(t.ID), signInPurpose, provider, data)
	if err != nil {
		return SignInStart{}, err
	}
	to, err := p.AuthURL(ctx, data.request(state))
	return SignInStart{URL: to, State: state, Binding: binding}, err
}

func (d signInData) request(state string) AuthRequest {
	return AuthRequest{State: state, Nonce: d.Nonce, Verifier: d.Verifier, RedirectURI: d.RedirectURI}
}

// SignedIn is somebody who is in.
type SignedIn struct {
	User       User
	Secret     string // of the key that was made; it cannot be read again
	ExpiresAt  time.Time
	RedirectTo string // a path of this server
}

// SignInAnswer is what an identity provider sends somebody back with: a code, or an error.
type SignInAnswer struct {
	State   string
	Binding string // what the browser kept
	Code    string
	Error   string // RFC 6749, 4.1.2.1; "" is none
}

// End finishes a sign-in. The state is used up, whatever comes of it. It returns ErrNoSuchProvider, ErrSignInOff, ErrFlow, ErrIdentity
// or ErrNotAllowed.
func (s *SignIns) End(ctx context.Context, provider string, a SignInAnswer) (SignedIn, error) {
	p, err := s.provider(provider)
	if err != nil {
		return SignedIn{}, err
	}
	var data signInData
	flow, err := s.d.Flows.End(ctx, signInPurpose, provider, a.State, &data)
	if err != nil {
		return SignedIn{}, err
	}
	binding := HashSecret(a.Binding)
	switch {
	case subtle.ConstantTimeCompare(binding[:], data.Binding[:]) != 1:
		return SignedIn{}, ErrFlow.Withf("this sign-in was begun in another browser, or its cookie is gone; begin again")
	case a.Error != "":
		return SignedIn{}, ErrIdentity.Withf("the identity provider answered with %s", safeCode(a.Error))
	case a.Code == "":
		return SignedIn{}, fault.Invalidf("query.code", "is required")
	}
	who, err := p.Identify(ctx, data.request(a.State), a.Code)
	if err != nil {
		return SignedIn{}, err
	}
	email := strings.ToLower(strings.TrimSpace(who.Email))
	if err := s.allowed(email, who.EmailVerified); err != nil {
		s.d.Logger.WarnContext(ctx, "somebody who is not allowed to tried to sign in", "provider", provider, "error", err)
		return SignedIn{}, err
	}
	return s.admit(ctx, System(flow.Tenant), provider, User{Issuer: who.Issuer, Subject: who.Subject, Email: email, Name: who.Name}, data.RedirectTo)
}

func (s *SignIns) admit(ctx context.Context, sc Scope, provider string, u User, redirectTo string) (SignedIn, error) {
	now := clock.Stored(s.d.Clock.Now())
	out := SignedIn{Secret: NewSecret(), ExpiresAt: now.Add(s.c.TTL), RedirectTo: redirectTo}
	u.ID, u.Tenant, u.CreatedAt, u.LastSignInAt = id.New[id.UserKind](s.d.IDs), sc.Tenant, now, now
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		var err error
		if out.User, err = s.d.Users.SaveUser(ctx, sc, u); err != nil {
			return err
		}
		name := "console: " + u.Email
		if len(name) > maxNameLength {
			name = name[:maxNameLength]
		}
		key, err := s.d.Accounts.insertKey(ctx, sc, newKey{name: name, secret: out.Secret, perms: s.c.Permissions, expires: &out.ExpiresAt}, now)
		if err != nil {
			return err
		}
		if err := s.d.Users.InsertSignIn(ctx, sc, key.ID, out.User.ID); err != nil {
			return err
		}
		return s.d.Accounts.deps.Auditor.Record(ctx, sc, "user_signed_in", map[string]any{
			"user_id": out.User.ID.UUID().String(), "email": u.Email, "provider": provider, "api_key_id": key.ID.UUID().String(),
		})
	})
	if err != nil {
		return SignedIn{}, err
	}
	return out, nil
}

// Who returns the user whom the key of sc was made for by a sign-in; false for every other key.
func (s *SignIns) Who(ctx context.Context, sc Scope) (User, bool, error) {
	if sc.Key.IsZero() {
		return User{}, false, nil
	}
	return s.d.Users.SignIn(ctx, sc, sc.Key)
}

// Expire revokes the keys of sign-ins that have expired. It returns how many there were.
func (s *SignIns) Expire(ctx context.Context) (int, error) {
	return s.d.Users.ExpireSignIns(ctx, clock.Stored(s.d.Clock.Now()))
}

// SignOut ends the key of a sign-in. A secret that opens nothing, and a key that no sign-in made, are left as they are.
func (s *SignIns) SignOut(ctx context.Context, secret string) error {
	sc, err := s.d.Accounts.Authenticate(ctx, secret)
	if errors.Is(err, ErrUnauthenticated) {
		return nil
	}
	if err != nil {
		return err
	}
	u, ok, err := s.Who(ctx, sc)
	if err != nil || !ok {
		return err
	}
	server := System(sc.Tenant)
	if err := s.d.Accounts.RevokeKey(ctx, server, sc.Key); err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	return s.d.Accounts.deps.Auditor.Record(ctx, server, "user_signed_out", map[string]any{"user_id": u.ID.UUID().String(), "email": u.Email})
}

func (s *SignIns) provider(name string) (IdentityProvider, error) {
	p, known := s.d.Providers[name]
	switch {
	case !known:
		return nil, ErrNoSuchProvider.Withf("there is no identity provider %q", safeCode(name))
	case p == nil:
		up := strings.ToUpper(name)
		return nil, ErrSignInOff.Withf("signing in by %s is not configured: set BUREAU_OAUTH_%s_CLIENT_ID and BUREAU_OAUTH_%s_CLIENT_SECRET", name, up, up)
	}
	return p, nil
}

func (s *SignIns) allowed(email string, verified bool) error {
	_, domain, ok := strings.Cut(email, "@")
	same := func(want string) func(string) bool {
		return func(have string) bool { return strings.EqualFold(strings.TrimSpace(have), want) }
	}
	switch {
	case !ok || domain == "" || strings.Contains(domain, "@"):
		return ErrNotAllowed.Withf("the identity provider tells no e-mail address")
	case !verified:
		return ErrNotAllowed.Withf("the identity provider has not verified the address %s", email)
	case len(s.c.Emails) == 0 && len(s.c.Domains) == 0:
		return ErrNotAllowed.Withf("nobody may sign in yet: name people in BUREAU_OAUTH_ALLOWED_EMAILS or BUREAU_OAUTH_ALLOWED_DOMAINS")
	case slices.ContainsFunc(s.c.Emails, same(email)), slices.ContainsFunc(s.c.Domains, same(domain)):
		return nil
	}
	return ErrNotAllowed.Withf("%s may not sign in to this server", email)
}

// LocalPath checks a path of this server that a browser is to be sent to; "" is "/". Anything that a browser could take for another
// server is a fault.Invalid at the given path.
func LocalPath(path, target string) (string, error) {
	if target == "" {
		return "/", nil
	}
	u, err := url.Parse(target)
	bad := err != nil || len(target) > 2000 || target[0] != '/' || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "\\\x00\r\n\t") ||
		u.Scheme != "" || u.Host != "" || u.User != nil
	if bad {
		return "", fault.Invalidf(path, "must be a path of this server, such as /console")
	}
	return u.String(), nil
}

// safeCode makes a stranger's code fit for a message.
func safeCode(code string) string {
	code = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.' {
			return r
		}
		return '?'
	}, code)
	return code[:min(len(code), 64)]
}
