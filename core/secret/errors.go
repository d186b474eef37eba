package secret

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A vault or a credential that does not exist in the caller's tenant is id.NotFound of its kind.
var (
	// ErrInvalid is returned for a request that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "vault_invalid", "the request is not valid")
	// ErrImmutable is returned by an update of what cannot change: the type of a credential and what it is for.
	ErrImmutable = fault.New(fault.Invalid, "vault_credential_immutable", "this field cannot be changed; create another credential")
	// ErrTooMany is returned when a vault is full.
	ErrTooMany = fault.New(fault.Invalid, "too_many_credentials", "the vault is full; archive or delete a credential")
	// ErrDuplicate is returned when the vault has another credential, not archived, for the same server or variable.
	ErrDuplicate = fault.New(fault.Conflict, "vault_credential_exists", "the vault has a credential for this already")
	// ErrArchived is returned by whatever changes or uses what is archived.
	ErrArchived = fault.New(fault.Conflict, "vault_archived", "it is archived")
	// ErrVersion is returned by a store when a credential changed since it was read, and by a service when it keeps changing.
	ErrVersion = fault.New(fault.Conflict, "vault_credential_version_conflict", "the credential has changed meanwhile; try again").
			WithRetry(retryAfter)
	// ErrOwnedInvalid is returned for secrets of an agent or a swarm that break a rule; its Fields name each place, and no value.
	ErrOwnedInvalid = fault.New(fault.Invalid, "secrets_invalid", "the secrets are not valid")
	// ErrTooManyOwned is returned for secrets beyond MaxOwned or MaxOwnedBytes.
	ErrTooManyOwned = fault.New(fault.Invalid, "too_many_secrets", "there is no room for another secret; delete one")
	// ErrExpired is returned when an access token has expired and cannot be refreshed: somebody has to sign in again.
	ErrExpired = fault.New(fault.Conflict, "vault_credential_expired", "the credential has expired; its owner must sign in again")
	// ErrRefresh is returned when the token endpoint gives no new access token.
	ErrRefresh = fault.New(fault.Unavailable, "vault_credential_refresh_failed", "the credential cannot be refreshed").WithRetry(FailurePause)
)
