package policy

import (
	"strings"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/payee"
)

// normCategory is payee.Fold for codes that some write with '-', some with '_' and some with a space.
func normCategory(s string) string {
	return strings.Join(strings.FieldsFunc(payee.Fold(s), func(r rune) bool { return r == '-' || r == '_' || r == ' ' }), "_")
}

// containsPayee reports whether list has a payee, which is in the form of payee.Fold.
func containsPayee(list []string, folded string) bool {
	for _, l := range list {
		if same, ascii := joins(l, folded, "", ' '); same || !ascii && payee.Fold(l) == folded {
			return true
		}
	}
	return false
}

// containsCategory reports whether list has a category, which is in the form of normCategory.
func containsCategory(list []string, norm string) bool {
	for _, l := range list {
		if same, ascii := joins(l, norm, "-_", '_'); same || !ascii && normCategory(l) == norm {
			return true
		}
	}
	return false
}

// joins reports whether s is want once its letters are lower-case and its words, which white space and the characters of between part, are
// joined by joint. It knows ASCII only: beyond it ascii is false, and so is same. Lists are long and read at every act, so that no item is
// brought to another form where it need not be.
func joins(s, want, between string, joint byte) (same, ascii bool) {
	var all byte
	for i := range len(s) {
		all |= s[i]
	}
	if all >= utf8.RuneSelf {
		return false, false
	}
	n, parted := 0, false // how much of want has been seen, and whether a joint is due before what comes
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ' ' || '\t' <= c && c <= '\r' || c <= '_' && strings.IndexByte(between, c) >= 0:
			parted = n > 0
			continue
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		if parted {
			if n >= len(want) || want[n] != joint {
				return false, true
			}
			n, parted = n+1, false
		}
		if n >= len(want) || want[n] != c {
			return false, true
		}
		n++
	}
	return n == len(want), true
}

// PayeeKey returns what two spellings of one payee have in common: of a host name or a URL the host in ASCII, of an e-mail address its
// whole, of anything else the name as payee.Fold has it. NewPayee and Structuring tell payees apart by it.
func PayeeKey(to string) string {
	folded := payee.Fold(to)
	host, err := payee.Host(to)
	if err != nil || host == "" {
		return folded
	}
	if local, _, ok := strings.Cut(folded, "@"); ok && !strings.Contains(folded, "/") {
		return local + "@" + host
	}
	return host
}
