package native

import (
	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/ports/clock"
)

// NewRequests returns a counter for Settings.Requests. The faces of one server are given the same, so that a key's limit holds over all of
// them.
func NewRequests(clk clock.Clock) *httpx.Limiter { return httpx.NewLimiter(clk, false) }
