package offline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/ports/tool"
)

// TestChosen checks that a thing which a tool takes by name is found by that name.
func TestChosen(t *testing.T) {
	t.Parallel()
	readSkill := spec("read_skill", "Read the instructions of one of your skills before you use it, or another file that belongs to the skill.",
		`{"type":"object","properties":{"skill":{"type":"string","enum":["invoices","meeting-notes","pdf"]},"file":{"type":"string"}},"required":["skill"]}`)
	tools := append([]tool.Spec{readSkill}, everyone...)
	tests := map[string][]string{
		"Use the invoices skill to write to Bob":                    {`read_skill {"skill":"invoices"}`},
		"Please use the meeting-notes skill to sum up the day.":     {`read_skill {"skill":"meeting-notes"}`},
		"Use your pdf skill to make report.pdf":                     {`read_skill {"skill":"pdf"}`},
		"Apply the skill invoices to this":                          {`read_skill {"skill":"invoices"}`},
		"Could you use the pdf skill to make a file?":               {`read_skill {"skill":"pdf"}`},
		"Use the calculator skill to compute 2+2":                   {`calculator {"expression":"2+2"}`},
		"Use the letters skill to write to Bob":                     nil,
		"Do not use the pdf skill":                                  nil,
		"Use the pdf skill to make a file. Then count words in 'a'": {`read_skill {"skill":"pdf"}`, `word_count {"text":"a"}`},
	}
	for message, want := range tests {
		t.Run(message, func(t *testing.T) {
			t.Parallel()
			got, text := converse(t, tools, message, ok)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s\nsaid: %s", diff, text)
			}
		})
	}
}
