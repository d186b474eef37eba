package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/hosting/hostingtest"
)

func TestHosting(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		hostingtest.Run(t, hostingtest.Config{New: func(*testing.T) hostingtest.Store {
			return hostingtest.Store{TX: s, Deployments: s.Hosting(), Sites: s.Hosting(), Agents: s.Agents()}
		}})
	})
}
