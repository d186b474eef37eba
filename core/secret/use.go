package secret

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

const (
	// RefreshAhead is how long before its end an access token is refreshed.
	RefreshAhead = time.Minute
	// FailurePause is how long a refresh that failed is not tried again.
	FailurePause = 30 * time.Second

	// exchangeTimeout is how long a token endpoint may take; claim is how long nobody else asks it, which is longer, so that two never do.
	exchangeTimeout = 20 * time.Second
	claim           = 30 * time.Second

	retryAfter = time.Second
)

// Bearer returns the token for an MCP server from the first of the vaults that has one; false when none has. A token that is about to
// expire is refreshed before. It returns ErrExpired or ErrRefresh when the token has expired and there is no other.
func (s *Service) Bearer(ctx context.Context, sc account.Scope, vaults []id.Vault, serverURL string) (Token, bool, error) {
	live, err := s.d.Credentials.Live(ctx, sc, vaults)
	if err != nil {
		return Token{}, false, err
	}
	subject := subjectOf(Auth{Type: StaticBearer, MCPServerURL: serverURL})
	for i := range live {
		if r := &live[i]; r.Subject == subject {
			t, err := s.token(ctx, sc, r)
			return t, err == nil, err
		}
	}
	return Token{}, false, nil
}

// token returns what a record's connection shows now.
func (s *Service) token(ctx context.Context, sc account.Scope, r *Record) (Token, error) {
	secrets, err := s.open(ctx, sc, r)
	if err != nil {
		return Token{}, err
	}
	t := Token{Value: secrets.Token, Credential: r.ID, Vault: r.Vault}
	expires := r.Auth.ExpiresAt
	if expires == nil || s.now().Before(expires.Add(-RefreshAhead)) {
		return t, nil
	}
	err = ErrExpired
	if r.Auth.Refresh != nil {
		var fresh Token
		if fresh, err = s.Refresh(ctx, sc, r.ID, secrets.Token); err == nil {
			return fresh, nil
		}
	}
	if s.now().Before(*expires) {
		return t, nil // good for another moment
	}
	return Token{}, err
}

// Refresh returns another token than stale, which the server has refused: the one that somebody else has got meanwhile, or a new one from
// the token endpoint. However many ask at once, in whatever process, a refresh token is spent once. The new tokens are stored before
// they are returned. It returns ErrExpired for a credential that cannot be refreshed, and ErrRefresh when the token endpoint gave
// nothing; for FailurePause after that nobody asks it again.
func (s *Service) Refresh(ctx context.Context, sc account.Scope, credential id.Credential, stale Value) (Token, error) {
	t, err := s.join(ctx, sc, flightKey{credential, false}, stale)
	if err == nil && t.Value.Equal(stale) {
		// Another caller's refresh, begun before this token was refused, brought this very token.
		return s.join(ctx, sc, flightKey{credential, false}, stale)
	}
	return t, err
}

// flightKey names a refresh: of what, and whether it tries although it has just failed.
type flightKey struct {
	credential id.Credential
	insist     bool
}

// flight is a refresh that several callers wait for.
type flight struct {
	done  chan struct{}
	token Token
	err   error
}

// join waits for this process's refresh of a credential, and begins it if there is none. The refresh itself goes on when its callers give
// up: what the token endpoint answers must be stored.
func (s *Service) join(ctx context.Context, sc account.Scope, key flightKey, stale Value) (Token, error) {
	s.mu.Lock()
	f, ok := s.flights[key]
	if !ok {
		f = &flight{done: make(chan struct{})}
		s.flights[key] = f
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*claim)
			defer cancel()
			f.token, f.err = s.refresh(ctx, sc, key, stale)
			s.mu.Lock()
			delete(s.flights, key)
			s.mu.Unlock()
			close(f.done)
		}()
	}
	s.mu.Unlock()
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

// errBusy is returned by claimRefresh while another process is at it.
var errBusy = errors.New("secret: another process refreshes the credential")

// refresh does what Refresh says, on behalf of everybody in this process.
func (s *Service) refresh(ctx context.Context, sc account.Scope, key flightKey, stale Value) (Token, error) {
	for {
		r, t, err := s.claimRefresh(ctx, sc, key, stale)
		switch {
		case errors.Is(err, errBusy):
			if err := s.pause(ctx); err != nil {
				return Token{}, ErrRefresh.Wrap(err)
			}
			continue
		case err != nil || !t.Value.IsZero():
			return t, err
		}
		return s.exchange(ctx, sc, r)
	}
}

// claimRefresh takes the credential for this process, unless its token is another one than stale already, which it returns then.
func (s *Service) claimRefresh(
	ctx context.Context, sc account.Scope, key flightKey, stale Value,
) (Record, Token, error) {
	var t Token
	errDone := errors.New("secret: there is another token")
	r, err := s.change(ctx, sc, id.Vault{}, key.credential, "", func(r *Record) error {
		if r.ArchivedAt != nil {
			return ErrArchived.Withf("credential %s is archived", r.ID)
		}
		secrets, err := s.open(ctx, sc, r)
		if err != nil {
			return err
		}
		now := s.now()
		switch {
		case !secrets.Token.Equal(stale):
			t = Token{Value: secrets.Token, Credential: r.ID, Vault: r.Vault}
			return errDone
		case r.Auth.Refresh == nil || secrets.RefreshToken.IsZero():
			return ErrExpired
		case r.RefreshFailed && now.Before(r.RefreshUntil) && !key.insist:
			return ErrRefresh.Withf("the credential could not be refreshed a moment ago").WithRetry(r.RefreshUntil.Sub(now))
		case !r.RefreshFailed && now.Before(r.RefreshUntil):
			return errBusy
		}
		r.RefreshUntil, r.RefreshFailed = now.Add(claim), false
		return nil
	})
	if errors.Is(err, errDone) {
		return Record{}, t, nil
	}
	return r, Token{}, err
}

// exchange spends the refresh token of a claimed record and stores what comes for it.
func (s *Service) exchange(ctx context.Context, sc account.Scope, r Record) (Token, error) {
	secrets, err := s.open(ctx, sc, &r)
	if err != nil {
		return Token{}, err
	}
	asking, cancel := context.WithTimeout(ctx, exchangeTimeout)
	g, err := s.d.Exchanger.Exchange(asking, ExchangeRequest{
		Refresh: *r.Auth.Refresh, RefreshToken: secrets.RefreshToken, ClientSecret: secrets.ClientSecret,
	})
	cancel()
	if err != nil {
		s.d.Logger.WarnContext(ctx, "a credential could not be refreshed", "tenant", sc.Tenant.String(), "credential", r.ID.String(),
			"error", NewRedactor(secrets.known("secret")).Redact(err.Error()))
		failed := s.settle(ctx, sc, r, func(r *Record) error {
			r.RefreshUntil, r.RefreshFailed = s.now().Add(FailurePause), true
			return nil
		})
		return Token{}, ErrRefresh.Wrap(errors.Join(err, failed))
	}
	err = s.settle(ctx, sc, r, func(r *Record) error {
		next := secrets
		next.Token = g.AccessToken
		if !g.RefreshToken.IsZero() {
			next.RefreshToken = g.RefreshToken
		}
		now := s.now()
		r.Auth.ExpiresAt = nil
		if g.ExpiresIn > 0 {
			at := now.Add(g.ExpiresIn)
			r.Auth.ExpiresAt = &at
		}
		r.SecretVersion++
		r.RefreshUntil, r.RefreshFailed, r.UpdatedAt = time.Time{}, false, now
		var err error
		r.Sealed, err = s.seal(ctx, sc, r.ID, next)
		return err
	})
	if err != nil {
		return Token{}, err
	}
	return Token{Value: g.AccessToken, Credential: r.ID, Vault: r.Vault}, nil
}

// settle ends a claim by change. When its owner has given the credential other secrets meanwhile, those stay, and nothing happens.
func (s *Service) settle(ctx context.Context, sc account.Scope, claimed Record, change func(r *Record) error) error {
	errOvertaken := errors.New("secret: overtaken")
	for {
		_, err := s.change(ctx, sc, id.Vault{}, claimed.ID, "", func(r *Record) error {
			if r.SecretVersion != claimed.SecretVersion {
				return errOvertaken
			}
			return change(r)
		})
		switch {
		case errors.Is(err, errOvertaken):
			return nil
		case fault.KindOf(err) != fault.Unavailable && !errors.Is(err, ErrVersion):
			return err
		}
		// What the token endpoint gave is nowhere else: a database that is away for a moment must not lose it.
		if s.pause(ctx) != nil {
			return err
		}
	}
}

// pause waits for PollEvery, or returns the error of ctx.
func (s *Service) pause(ctx context.Context) error {
	timer := time.NewTimer(s.cfg.PollEvery)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// EnvironmentVariables returns the variables of the vaults. Of two with one name, the one in the earlier vault counts.
func (s *Service) EnvironmentVariables(ctx context.Context, sc account.Scope, vaults []id.Vault) ([]Variable, error) {
	live, err := s.d.Credentials.Live(ctx, sc, vaults)
	if err != nil {
		return nil, err
	}
	var out []Variable
	seen := map[string]bool{}
	for i := range live {
		r := &live[i]
		if r.Auth.Type != EnvironmentVariable || seen[r.Auth.SecretName] {
			continue
		}
		seen[r.Auth.SecretName] = true
		secrets, err := s.open(ctx, sc, r)
		if err != nil {
			return nil, err
		}
		out = append(out, Variable{
			Credential: r.ID, Name: r.Auth.SecretName, Value: secrets.Token, Networking: r.Auth.Networking, Injection: r.Auth.Injection,
		})
	}
	return out, nil
}

// Known returns the secrets in the vaults under the names that a Redactor shows instead.
func (s *Service) Known(ctx context.Context, sc account.Scope, vaults []id.Vault) ([]Known, error) {
	if len(vaults) == 0 {
		return nil, nil
	}
	live, err := s.d.Credentials.Live(ctx, sc, vaults)
	if err != nil {
		return nil, err
	}
	var out []Known
	for i := range live {
		r := &live[i]
		secrets, err := s.open(ctx, sc, r)
		if err != nil {
			return nil, err
		}
		out = append(out, secrets.known(r.name())...)
	}
	return out, nil
}

// name is what a redacted text calls the credential.
func (r *Record) name() string {
	switch {
	case r.Auth.Type == EnvironmentVariable:
		return r.Auth.SecretName
	case r.DisplayName != "":
		return r.DisplayName
	}
	return r.ID.String()
}

func (s Secrets) known(name string) []Known {
	var out []Known
	for _, v := range []Value{s.Token, s.RefreshToken, s.ClientSecret} {
		if !v.IsZero() {
			out = append(out, Known{Name: name, Value: v})
		}
	}
	return out
}
