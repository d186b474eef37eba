package model

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of cards. A card that does not exist in the caller's tenant is id.NotFound[id.ModelCardKind].
var (
	// ErrCardInvalid is returned for a card that breaks a rule; its Fields name each place.
	ErrCardInvalid = fault.New(fault.Invalid, "model_card_invalid", "the model card is not valid")
	// ErrProbe is returned when the model did not answer to what the card says; its message is the provider's. Nothing is stored.
	ErrProbe = fault.New(fault.Invalid, "model_card_probe_failed", "the model did not answer")
	// ErrCardExists is returned when the tenant has another card of the same model_id.
	ErrCardExists = fault.New(fault.Conflict, "model_card_exists", "there is a model card with this model_id already")
	// ErrCardVersion is returned when a card changed while it was being changed.
	ErrCardVersion = fault.New(fault.Conflict, "model_card_version_conflict", "the model card has changed meanwhile; try again")
	// ErrKeyInternal is returned to whoever asks for the key of a card: it is for the server's own workers.
	ErrKeyInternal = fault.New(fault.Forbidden, "model_card_key_internal", "the key of a model card is for the server's own workers")
	// ErrUnknownModel is returned for a handle that nothing resolves, in a tenant that has cards.
	ErrUnknownModel = fault.New(fault.Invalid, "model_unknown", "no model card and no configured provider has this model")
)
