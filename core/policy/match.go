package policy

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// errNoHost is returned for a text that is written like an address and names no host that could be checked.
var errNoHost = errors.New("not a readable address")

// normPayee folds what people do not see: case, compatibility forms, runs of white space.
func normPayee(s string) string {
	return strings.Join(strings.Fields(cases.Fold().String(norm.NFKC.String(s))), " ")
}

// normCategory is normPayee for codes that some write with '-', some with '_' and some with a space.
func normCategory(s string) string {
	return strings.Join(strings.FieldsFunc(normPayee(s), func(r rune) bool { return r == '-' || r == '_' || r == ' ' }), "_")
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

// marks are what an address has and a name has not; U+3002 is a dot to IDNA.
const marks = ".\u3002:/\\@"

// payeeHost returns the ASCII host that a payee names: of a URL, of an e-mail address, or the payee itself when it is a host
// name. It is "" for a name like "Blue Bottle Coffee". A text that looks like an address and cannot be read as one is
// errNoHost: callers that check domains must refuse it, since somebody else may read it after all.
func payeeHost(payee string) (string, error) {
	s := strings.TrimSpace(payee)
	if !strings.ContainsAny(s, marks) && !strings.ContainsAny(norm.NFKC.String(s), marks) {
		return "", nil
	}
	if strings.ContainsAny(s, " \t") && !strings.ContainsAny(s, `/\@`) && !strings.Contains(s, "://") {
		return "", nil // "Dr. Smith", "Acme Inc.": a host name has no spaces
	}
	if strings.Contains(s, `\`) {
		return "", errNoHost
	}
	if !strings.Contains(s, "://") {
		s = "//" + strings.TrimPrefix(s, "//")
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return "", errNoHost
	}
	return asciiHost(u.Hostname())
}

// asciiHost brings a host to the one form in which lists are compared. A host whose form is not its own form again is refused:
// two programs could read it as two hosts.
func asciiHost(host string) (string, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(norm.NFKC.String(host), "."))
	if err != nil || !utf8.ValidString(host) || strings.HasPrefix(ascii, ".") || strings.HasSuffix(ascii, ".") || strings.Contains(ascii, "..") {
		return "", errNoHost
	}
	ascii = strings.ToLower(ascii)
	if again, err := idna.Lookup.ToASCII(ascii); err != nil || again != ascii || ascii == "" {
		return "", errNoHost
	}
	return ascii, nil
}

// parsePattern reads "example.com" or "*.example.com".
func parsePattern(p string) (host string, wildcard bool, err error) {
	rest, wildcard := strings.CutPrefix(strings.TrimSpace(p), "*.")
	if strings.ContainsAny(rest, `/:@*\ `) {
		if _, aerr := netip.ParseAddr(rest); aerr != nil {
			return "", false, errNoHost
		}
	}
	host, err = asciiHost(rest)
	return host, wildcard, err
}

// allowsHost reports whether a pattern of an allow list lets host through.
func allowsHost(patterns []string, host string) bool {
	for _, p := range patterns {
		want, wildcard, err := parsePattern(p)
		switch {
		case err != nil: // validated when it was written; a pattern that cannot be read allows nothing
		case wildcard && strings.HasSuffix(host, "."+want), !wildcard && host == want:
			return true
		}
	}
	return false
}

// blocksHost reports whether a pattern of a block list stops host: blocking a domain blocks what is below it.
func blocksHost(patterns []string, host string) bool {
	for _, p := range patterns {
		want, _, err := parsePattern(p)
		if err != nil || host == want || strings.HasSuffix(host, "."+want) {
			return true
		}
	}
	return false
}
