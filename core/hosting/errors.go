package hosting

import (
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of this package. An agent that does not exist in the caller's tenant is id.NotFound[id.AgentKind].
var (
	// ErrInvalid is returned for a deployment that breaks a rule; its Fields name each place.
	ErrInvalid = fault.New(fault.Invalid, "hosting_invalid", "the hosting settings are not valid")
	// ErrNotRunning is returned for what needs a running agent.
	ErrNotRunning = fault.New(fault.Conflict, "agent_not_running", "the agent is not running; start it first")
	// ErrElsewhere is returned for what only the server can tell that has the agent's instance, when that is another one.
	ErrElsewhere = fault.New(fault.Unavailable, "agent_elsewhere", "the agent's instance is in the care of another server")
	// ErrStopping ends streams of a server that stops; another one, or the next, goes on with them.
	ErrStopping = fault.New(fault.Unavailable, "server_stopping", "the server is stopping; come back")
	// ErrTooManyStreams is returned when a tenant follows more logs at once than a server serves.
	ErrTooManyStreams = fault.New(fault.RateLimited, "too_many_streams", "too many streams are open").WithRetry(5 * time.Second)
	// ErrOff is returned where a server hosts no agents.
	ErrOff = fault.New(fault.Unavailable, "hosting_off", "this server hosts no agents")
)
