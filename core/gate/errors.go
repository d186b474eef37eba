package gate

import (
	"github.com/bureau-agents/bureau/ports/fault"
)

var (
	// ErrKeyReused is returned for an act whose key belongs to an act with other arguments.
	ErrKeyReused = fault.New(fault.Conflict, "idempotency_key_reused", "the key has been used for another act")
	// ErrNotBegun is returned by End for an act that is not under way.
	ErrNotBegun = fault.New(fault.Conflict, "act_not_begun", "the act is not under way")
)
