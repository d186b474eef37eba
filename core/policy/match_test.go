package policy

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/ports/payee"
)

// FuzzJoins holds the short way for ASCII to what it is short for.
func FuzzJoins(f *testing.F) {
	for _, s := range []string{
		"", " ", "gambling", "Real-Estate", "real_estate", " real  estate ", "-a-", "a_-_b", "a\tb\vc\x1cd", "caf\u00e9", "cafe\u0301", "\u212aelvin", "a\x00b", "\xff", "Blue Bottle Coffee",
	} {
		f.Add(s, "Real Estate")
		f.Add(s, s)
		f.Add(s, strings.ToUpper(s))
	}
	f.Fuzz(func(t *testing.T, item, asked string) {
		if got, want := containsPayee([]string{item}, payee.Fold(asked)), payee.Fold(item) == payee.Fold(asked); got != want {
			t.Errorf("the payee %q is among %q: %t", asked, item, got)
		}
		if got, want := containsCategory([]string{item}, normCategory(asked)), normCategory(item) == normCategory(asked); got != want {
			t.Errorf("the category %q is among %q: %t", asked, item, got)
		}
	})
}
