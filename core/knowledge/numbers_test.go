package knowledge_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/knowledge"
)

func TestNumbersOf(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"", "no numbers, none.", "?!"},
		{"1000 euros", "1,000 dollars", "for 1,000", "\uff11\uff10\uff10\uff10"},
		{"v2.10", "version 2.10", "2.10."},
		{"from 3 to 5", "3-5", "3, 5"},
		{"1,5"},
		{"1.5"},
		{"15"},
		{"from 5 to 3"},
		{"12,345,678.90", "12345678.90"},
		{"2026-11-22", "2026 11 22"},
	} {
		for _, text := range same {
			if knowledge.NumbersOf(text) != knowledge.NumbersOf(same[0]) {
				t.Errorf("%q has other numbers than %q", text, same[0])
			}
		}
	}
	different := []string{"", "1000", "2.10", "2.1", "3 5", "5 3", "1,5", "1.5", "15", "3 5 5"}
	for i, a := range different {
		for _, b := range different[:i] {
			if knowledge.NumbersOf(a).Same(knowledge.NumbersOf(b)) {
				t.Errorf("%q has the numbers of %q", a, b)
			}
		}
	}
	if n := knowledge.NumbersOf("7"); !n.Same(0) || !knowledge.Numbers(0).Same(n) || n == 0 {
		t.Error("what is not known does not equal everything")
	}
}

func TestWordsOf(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                                      nil,
		"The Crane's crane; 12.50":              {"12", "50", "crane", "s", "the"},
		"Stra\u00dfe \ufb01n":                   {"fin", "strasse"},
		"\u6771\u4eac tower":                    {"tower", "\u4eac", "\u6771"},
		strings.Repeat("x", 100) + " 'a' \"b\"": {"a", "b", strings.Repeat("x", knowledge.MaxWord)},
	} {
		if d := cmp.Diff(want, knowledge.WordsOf(text)); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
}

func FuzzWordsAndNumbers(f *testing.F) {
	for _, s := range []string{"a 1,000.5", "\u0e01\u0301x", "\xff 1.", "1,,2", "\u0660\u0661"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if knowledge.NumbersOf(text) == 0 {
			t.Error("0 is for what is not known")
		}
		for _, w := range knowledge.WordsOf(text) {
			if w == "" || strings.ContainsAny(w, " '\"&|!()<>*:\x00") {
				t.Errorf("%q is no word that can be looked for", w)
			}
		}
	})
}
