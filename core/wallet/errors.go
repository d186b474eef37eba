package wallet

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package, beside id.NotFound of holds and transactions, money.ErrCurrency and money.ErrOverflow.
// When a method returns one of them nothing was written, so that a caller's transaction may go on and record the
// refusal.
var (
	// ErrInsufficientFunds is returned when less is available than a movement takes.
	ErrInsufficientFunds = fault.New(fault.PaymentRequired, "insufficient_funds", "the wallet does not hold enough")
	// ErrAmount is returned for an amount that is not above zero.
	ErrAmount = fault.New(fault.Invalid, "wallet_amount", "the amount must be above zero").
			WithFields(fault.Field{Path: "amount", Message: "must be above zero"})
	// ErrSameWallet is returned for a transfer from a wallet to itself.
	ErrSameWallet = fault.New(fault.Invalid, "wallet_same", "sender and receiver are the same")
	// ErrRepeated is returned when an act, or a key, has moved money already: the ledger's last guard against paying
	// twice.
	ErrRepeated = fault.New(fault.Conflict, "wallet_repeated", "this act has moved money already")
	// ErrKeyReused is returned when a key comes again with another request.
	ErrKeyReused = fault.New(fault.Conflict, "idempotency_key_reused", "the key was used for another request")
	// ErrHoldResolved is returned for a hold that was captured, voided or has expired: a hold ends once.
	ErrHoldResolved = fault.New(fault.Conflict, "hold_resolved", "the hold has ended already")
	// ErrHoldInUse is returned when an operator voids a hold whose payment is under way outside.
	ErrHoldInUse = fault.New(fault.Conflict, "hold_in_use", "what the money is held for is under way")
	// ErrCaptureTooLarge is returned when more is captured than was held.
	ErrCaptureTooLarge = fault.New(fault.Invalid, "capture_too_large", "the capture is larger than the hold")
	// ErrRefundTooLarge is returned when a payment's refunds would exceed it.
	ErrRefundTooLarge = fault.New(fault.Conflict, "refund_too_large", "the refunds would exceed the payment")
	// ErrOverRail is returned for the refund of a payment that left over a rail which has not given it back.
	ErrOverRail = fault.New(fault.Conflict, "refund_over_rail", "the payment left over a rail: refund the payment, not its transaction")
	// ErrUnbalanced is returned by NewEntry; it is a defect of the caller.
	ErrUnbalanced = fault.New(fault.Internal, "wallet_unbalanced", "the lines do not sum to zero")
	// ErrCorrupt is returned by Service.CheckInvariants, with the first broken invariant as its message.
	ErrCorrupt = fault.New(fault.Internal, "ledger_corrupt", "an invariant of the ledger is broken")
	// ErrNoWallet is what a Repository returns for an owner without a wallet in the currency. Callers of Service never
	// see it, because a wallet is made when it is first asked for.
	ErrNoWallet = fault.New(fault.NotFound, "wallet_not_found", "the owner has no wallet in this currency")
)
