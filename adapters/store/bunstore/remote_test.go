package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/remote/remotetest"
)

func TestRemoteAgents(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		remotetest.Run(t, remotetest.Config{New: func(*testing.T) remotetest.Stores {
			return remotetest.Stores{TX: s, Remotes: s.RemoteAgents(), History: s.RemoteHistory(), Conversations: s.RemoteConversations()}
		}})
	})
}
