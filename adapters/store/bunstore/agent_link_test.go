package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/account/accounttest"
)

func TestAgentLinks(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		accounttest.RunLinks(t, func(*testing.T) accounttest.LinkStore {
			return accounttest.LinkStore{Accounts: s.Accounts(), Users: s.Users(), Links: s.AgentLinks(), TX: s}
		})
	})
}
