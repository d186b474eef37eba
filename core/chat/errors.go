package chat

import "github.com/bureau-agents/bureau/ports/fault"

// The errors of this package. A session that is missing, of another peer, or no chat is id.NotFound[id.SessionKind].
var (
	// ErrInvalid is returned for a request that cannot be right.
	ErrInvalid = fault.New(fault.Invalid, "invalid_chat", "the request is not valid")
	// ErrRepeated is returned when the name of a message is used again for another one.
	ErrRepeated = fault.New(fault.Conflict, "chat_message_repeated", "another message was sent under this name")
	// ErrNoPeer is returned for a peer that the agent has never talked to.
	ErrNoPeer = fault.New(fault.NotFound, "chat_peer_not_found", "the agent has not talked to this peer")
)
