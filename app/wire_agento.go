package app

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/id"
)

// statuses tells the agento face how agents are.
type statuses struct{}

// Statuses implements agento.Statuses.
func (statuses) Statuses(_ context.Context, _ account.Scope, agents []id.Agent) (map[id.Agent]string, error) {
	out := make(map[id.Agent]string, len(agents))
	for _, a := range agents {
		out[a] = "stopped" // nothing is hosted
	}
	return out, nil
}

// people tells the agento face who belongs to swarms.
type people struct{}

// CountMembers implements agento.People.
func (people) CountMembers(context.Context, account.Scope, []id.Swarm) (map[id.Swarm]int, error) {
	return nil, nil //nolint:nilnil // swarms have no people
}
