package span

import (
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of this package.
var (
	// ErrTooMany is returned for an export of more than MaxItems.
	ErrTooMany = fault.New(fault.TooLarge, "otlp_too_many", "at most 10000 spans or log records can be taken at once")
	// ErrAgentGone is returned when an agent is deleted while its telemetry comes in.
	ErrAgentGone = fault.New(fault.Unavailable, "otlp_agent_gone", "an agent was deleted meanwhile; send it again").WithRetry(time.Second)
	// ErrTooLarge is the reason of what is rejected because not even its outline fits into an event.
	ErrTooLarge = fault.New(fault.TooLarge, "otlp_item_too_large", "it is too large for an event")
)
