package skill_test

import (
	"slices"
	"testing"

	"github.com/bureau-agents/bureau/core/skill"
)

func TestSemVer(t *testing.T) {
	t.Parallel()
	for label, want := range map[string]string{
		"1.2.0": "1.2.0", "v2.0.1": "2.0.1", "3": "3.0.0", "1.4": "1.4.0", "1.0.0-rc.1": "1.0.0-rc.1", "": "0.0.0", "latest": "0.0.0", "1.2.3.4": "0.0.0",
	} {
		if got := skill.SemVer(label); got != want {
			t.Errorf("%q: got %q, want %q", label, got, want)
		}
	}
}

func TestUseCases(t *testing.T) {
	t.Parallel()
	s := skill.Structured{Description: "# Search\n\n- no case\n\n## Use Cases\n\n- Research questions\n* Fact-checking\n- \ntext\n\n## Limits\n\n- none\n"}
	if got := s.UseCases(); !slices.Equal(got, []string{"Research questions", "Fact-checking"}) {
		t.Errorf("got %q", got)
	}
	if got := (skill.Structured{Description: "- one\n"}).UseCases(); got != nil {
		t.Errorf("without the heading: %q", got)
	}
}
