package telemetry

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// Agents tells whether an agent is there; app wires core/agent.
type Agents interface {
	// Exists returns id.NotFound when the tenant has no such agent. Archived and frozen agents exist.
	Exists(ctx context.Context, sc account.Scope, agent id.Agent) error
}
