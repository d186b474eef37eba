package policy

import (
	"strings"

	"github.com/bureau-agents/bureau/ports/payee"
)

// normCategory is payee.Fold for codes that some write with '-', some with '_' and some with a space.
func normCategory(s string) string {
	return strings.Join(strings.FieldsFunc(payee.Fold(s), func(r rune) bool { return r == '-' || r == '_' || r == ' ' }), "_")
}

// containsNorm reports whether list has item, both brought to one form by norm.
func containsNorm(list []string, item string, norm func(string) string) bool {
	item = norm(item)
	for _, l := range list {
		if norm(l) == item {
			return true
		}
	}
	return false
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
