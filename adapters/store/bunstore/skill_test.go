package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/skill/skilltest"
)

func TestSkills(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, like *Store) {
		skilltest.Run(t, skilltest.Config{New: func(t *testing.T) skilltest.Store {
			var s *Store // plugins belong to the server and not to a tenant, so every test needs a store of its own
			if like.postgres() {
				s = openStore(t, Config{URL: postgresURL(t), PoolSize: 4})
			} else {
				s = openSQLiteStore(t)
			}
			return skilltest.Store{Plugins: s.Skills(), Releases: s.Skills(), Installations: s.SkillInstallations(), Keys: s.Skills(), TX: s}
		}})
	})
}
