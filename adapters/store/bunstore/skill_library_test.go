package bunstore

import (
	"testing"

	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/core/skill/skilltest"
	"github.com/bureau-agents/bureau/ports/tx"
)

func TestSkillLibrary(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		skilltest.RunLibrary(t, skilltest.LibraryConfig{New: func(*testing.T) (skill.GuideRepository, tx.Runner) { return s.Guides(), s }})
	})
}
