package validation

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package.
var (
	// ErrInvalid is returned for a request that cannot be as it is asked for; its fields say where.
	ErrInvalid = fault.New(fault.Invalid, "invalid_request", "the validation cannot be asked for so")
	// ErrExhausted is returned when the day's validations are used up, or would be by a batch. Its RetryAfter ends with the day.
	ErrExhausted = fault.New(fault.RateLimited, "validation_limit", "the validations of today are used up")
	// ErrBatchNotAllowed is returned for a batch when the plan has none.
	ErrBatchNotAllowed = fault.New(fault.Forbidden, "batch_not_allowed", "Batch validation requires Pro or Team plan")
	// ErrValidator is returned when the validator fails on a card, which it is not meant to do whatever the card says. Nothing is counted.
	ErrValidator = fault.New(fault.Unavailable, "validator_failed", "the validator failed on this card; quote the request id when you report it")
)
