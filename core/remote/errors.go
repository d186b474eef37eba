package remote

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package; a remote agent that is missing or another tenant's is id.NotFound[id.RemoteAgentKind].
var (
	// ErrInvalid is returned for a registration or a change that cannot be as it is asked for; its fields say where.
	ErrInvalid = fault.New(fault.Invalid, "invalid_request", "the remote agent cannot be registered or changed so")
	// ErrCard is returned by Register for a card that is not valid; its fields are the errors, by their places below "card".
	ErrCard = fault.New(fault.Invalid, "remote_agent_card_invalid", "the agent's card is not valid")
	// ErrNameTaken is returned by Register and Update when the tenant has a remote agent of the name.
	ErrNameTaken = fault.New(fault.Conflict, "remote_agent_name_taken", "there is a remote agent of this name")
	// ErrTooMany is returned by Register when the tenant has MaxPerTenant remote agents.
	ErrTooMany = fault.New(fault.Conflict, "remote_agent_limit", "the account has as many remote agents as it may have")
	// ErrUnusable is returned for a remote agent that must not be called: its card is not valid any more.
	ErrUnusable = fault.New(fault.Conflict, "remote_agent_unusable", "the remote agent cannot be called")
	// ErrRefetch is returned by Refresh when the card cannot be fetched; the one that is kept stays.
	ErrRefetch = fault.New(fault.Unavailable, "remote_agent_unreachable", "the agent's card cannot be fetched")
)
