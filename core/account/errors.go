package account

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this context beside ErrForbidden.
var (
	// ErrUnauthenticated is returned for a secret that opens nothing: unknown, revoked or expired. Which of them is not told.
	ErrUnauthenticated = fault.New(fault.Unauthenticated, "invalid_api_key", "the API key is not valid")
	// ErrFrozen is returned by whatever may not be done while the tenant is frozen.
	ErrFrozen = fault.New(fault.Forbidden, "tenant_frozen", "the tenant is frozen")
	// ErrIdempotencyInFlight is returned while the first request with an idempotency key is still being answered.
	ErrIdempotencyInFlight = fault.New(fault.Conflict, "idempotency_in_flight",
		"a request with this Idempotency-Key is still being answered")
	// ErrIdempotencyReused is returned when an idempotency key comes back with another request.
	ErrIdempotencyReused = fault.New(fault.Conflict, "idempotency_key_reused",
		"this Idempotency-Key was used for a request with another body")
	// ErrIdempotencyGone is returned when the request was answered and its answer, which held a secret, is no longer kept.
	ErrIdempotencyGone = fault.New(fault.Conflict, "idempotency_answer_gone",
		"the request with this Idempotency-Key was answered; its answer held a secret and is no longer kept")
	// ErrCreditsExhausted is returned when a run is to be started and the month's credits do not suffice.
	ErrCreditsExhausted = fault.New(fault.PaymentRequired, "credits_exhausted", "the credits of this month are used up")
	// ErrDuplicate is returned by repositories for a key or tenant that exists.
	ErrDuplicate = fault.New(fault.Conflict, "account_duplicate", "exists already")
)
