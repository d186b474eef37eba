package bunstore

import (
	"context"
	"testing"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/swarm/swarmtest"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestSwarmMembers(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		swarmtest.RunPeople(t, func(*testing.T) swarmtest.PeopleStore {
			return swarmtest.PeopleStore{
				TX: s, Swarms: s.Swarms(), Members: s.SwarmMembers(), Forget: func(ctx context.Context, sc account.Scope, key id.APIKey) error {
					return s.AgentLinks().ForgetLinks(ctx, sc, id.Agent{}, key)
				},
			}
		})
	})
}
