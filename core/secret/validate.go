package secret

import (
	"context"
	"errors"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// ProbeMethod is the MCP method that a validation calls.
const ProbeMethod = "initialize"

// Verdict says whether a credential works.
type Verdict string

// The verdicts.
const (
	Valid   Verdict = "valid"
	Invalid Verdict = "invalid" // the server, or the token endpoint, refuses it
	Unknown Verdict = "unknown" // it could not be found out, for now
)

// RefreshStatus says what became of a refresh.
type RefreshStatus string

// The ways in which a refresh ends.
const (
	RefreshSucceeded    RefreshStatus = "succeeded"
	RefreshRejected     RefreshStatus = "failed"           // the token endpoint answered without a token
	RefreshUnreachable  RefreshStatus = "connect_error"    // it did not answer
	RefreshWithoutToken RefreshStatus = "no_refresh_token" // there is nothing to refresh with
)

// probeTimeout is how long an MCP server may take.
const probeTimeout = 20 * time.Second

// The statuses of HTTP that a verdict hangs on (RFC 9110, 15).
const (
	statusUnauthorized = 401
	statusForbidden    = 403
	statusServerError  = 500
)

// Validation is what trying a credential out has shown.
type Validation struct {
	Credential      id.Credential
	Vault           id.Vault
	Verdict         Verdict
	HasRefreshToken bool
	Refresh         *RefreshOutcome // nil: no refresh was needed
	Probe           *ProbeOutcome   // nil: the server took the token
	At              time.Time
}

// RefreshOutcome tells of the refresh that a refused token led to.
type RefreshOutcome struct {
	Status RefreshStatus
	Answer *Answer // with RefreshRejected
}

// ProbeOutcome tells of the call that failed.
type ProbeOutcome struct {
	Method string
	Answer *Answer // nil: none came
}

// Validate tries a credential on its MCP server. When the server refuses the token with 401, it is refreshed once and tried again.
// Returns ErrInvalid for a credential that is not for an MCP server, and ErrArchived.
func (s *Service) Validate(ctx context.Context, sc account.Scope, vault id.Vault, credential id.Credential) (Validation, error) {
	if _, err := s.d.Vaults.Get(ctx, sc, vault); err != nil {
		return Validation{}, err
	}
	r, err := s.d.Credentials.Get(ctx, sc, vault, credential)
	if err != nil {
		return Validation{}, err
	}
	switch {
	case r.ArchivedAt != nil:
		return Validation{}, ErrArchived.Withf("credential %s is archived", credential)
	case r.Auth.Type == EnvironmentVariable:
		const what = "only a credential for an MCP server can be validated"
		return Validation{}, ErrInvalid.Withf("auth.type: %s", what).WithFields(field("auth.type", what))
	}
	secrets, err := s.open(ctx, sc, &r)
	if err != nil {
		return Validation{}, err
	}
	v := Validation{Credential: r.ID, Vault: r.Vault, HasRefreshToken: !secrets.RefreshToken.IsZero()}
	known := secrets.known(r.name())
	status := s.probe(ctx, &v, r.Auth.MCPServerURL, secrets.Token, known)
	if status == statusUnauthorized && r.Auth.Type == MCPOAuth {
		if err := s.refreshProbed(ctx, sc, &v, r, secrets, known); err != nil {
			return Validation{}, err
		}
	}
	v.At = s.now()
	return v, nil
}

// probe tries a token, writes Verdict and Probe, and returns the status of the answer, 0 for none.
func (s *Service) probe(ctx context.Context, v *Validation, url string, token Value, known []Known) int {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	a, err := s.d.Prober.Probe(ctx, url, token)
	switch {
	case err != nil:
		v.Verdict, v.Probe = Unknown, &ProbeOutcome{Method: ProbeMethod}
		return 0
	case a.Status >= 200 && a.Status < 300:
		v.Verdict, v.Probe = Valid, nil
	default:
		v.Verdict = Unknown
		if a.Status == statusUnauthorized || a.Status == statusForbidden {
			v.Verdict = Invalid
		}
		v.Probe = &ProbeOutcome{Method: ProbeMethod, Answer: shown(a, known)}
	}
	return a.Status
}

// refreshProbed refreshes a token that was refused, and tries the new one.
func (s *Service) refreshProbed(ctx context.Context, sc account.Scope, v *Validation, r Record, old Secrets, known []Known) error {
	if !v.HasRefreshToken || r.Auth.Refresh == nil {
		v.Refresh = &RefreshOutcome{Status: RefreshWithoutToken}
		return nil
	}
	fresh, err := s.join(ctx, sc, flightKey{r.ID, true}, old.Token)
	if err == nil {
		v.Refresh = &RefreshOutcome{Status: RefreshSucceeded}
		s.probe(ctx, v, r.Auth.MCPServerURL, fresh.Value, append(known, Known{Name: r.name(), Value: fresh.Value}))
		return nil
	}
	rejected, ok := errors.AsType[*RejectedError](err)
	switch {
	case ok && rejected.Answer.Status < statusServerError:
		v.Refresh = &RefreshOutcome{Status: RefreshRejected, Answer: shown(rejected.Answer, known)}
	case ok: // the endpoint is in trouble; the refresh token may be good
		v.Verdict, v.Refresh = Unknown, &RefreshOutcome{Status: RefreshRejected, Answer: shown(rejected.Answer, known)}
	case errors.Is(err, ErrRefresh):
		v.Verdict, v.Refresh = Unknown, &RefreshOutcome{Status: RefreshUnreachable}
	default:
		return err
	}
	return nil
}

// shown is an answer without secrets.
func shown(a Answer, known []Known) *Answer {
	r := NewRedactor(known)
	a.ContentType = r.Redact(a.ContentType)
	if !a.Truncated {
		a.Body = r.Redact(a.Body)
		return &a
	}
	// The cut may have gone through a secret, whose beginning the stream holds back.
	a.Body = r.Stream().Write(a.Body)
	return &a
}
