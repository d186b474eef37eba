package webhook

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package.
var (
	// ErrInvalid is returned for a webhook that cannot be as it is asked for; its fields say where.
	ErrInvalid = fault.New(fault.Invalid, "invalid_request", "the webhook cannot be so")
	// ErrTooMany is returned when a tenant has MaxPerTenant webhooks.
	ErrTooMany = fault.New(fault.Conflict, "webhook_limit", "the account has as many webhooks as it may have")
	// ErrDisabled is returned for a test or a repetition at a webhook that is disabled.
	ErrDisabled = fault.New(fault.Conflict, "webhook_disabled", "the webhook is disabled; enable it first")
	// ErrWaiting is returned by Redeliver for a delivery that is still on its way.
	ErrWaiting = fault.New(fault.Conflict, "webhook_delivery_pending", "the delivery is on its way already")
	// ErrPruned is returned by Redeliver when the notice is no longer kept.
	ErrPruned = fault.New(fault.Conflict, "notice_pruned", "the notice is too old to be sent again")
	// ErrSignature is returned by Verify for a body that was not signed with the secret, or too long ago.
	ErrSignature = fault.New(fault.Unauthenticated, "webhook_signature", "the signature of the webhook is wrong")
)
