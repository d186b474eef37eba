package payment

import "github.com/bureau-agents/bureau/ports/fault"

var (
	// ErrRail is returned for a rail that this server has not.
	ErrRail = fault.New(fault.Invalid, "rail_unknown", "this server has no such payment rail")
	// ErrNotPaid is returned for a refund of a payment that has not succeeded.
	ErrNotPaid = fault.New(fault.Conflict, "payment_not_paid", "the payment has not succeeded")
	// ErrRefunding is returned for a refund while another one of the same payment is under way.
	ErrRefunding = fault.New(fault.Conflict, "refund_under_way", "another refund of this payment is under way")
	// ErrRefundTooLarge is returned when refunds would exceed what was paid.
	ErrRefundTooLarge = fault.New(fault.Conflict, "refund_too_large", "the refunds would exceed the payment")
	// ErrEnded is returned by Resolve for a payment whose outcome is known.
	ErrEnded = fault.New(fault.Conflict, "payment_ended", "the outcome of the payment is known already")
	// ErrRefused is returned by Fetch for a request that a policy does not allow; the message names the rule.
	ErrRefused = fault.New(fault.Forbidden, "request_denied", "a policy does not allow the request")
	// ErrTooDear is returned by Fetch when a request costs more than its caller wants to pay.
	ErrTooDear = fault.New(fault.Conflict, "price_too_high", "the request costs more than the caller wants to pay")
)
