package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/skill/skilltest"
)

func TestSkillMarket(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		skilltest.RunMarket(t, skilltest.MarketConfig{New: func(*testing.T) skilltest.MarketStore {
			return skilltest.MarketStore{
				Plugins: s.Skills(), Releases: s.Skills(), Guides: s.Guides(), Submissions: s.Submissions(), Contents: s.Submissions(),
				Listings: s.Submissions(), Installations: s.SkillInstallations(), TX: s,
			}
		}})
	})
}
