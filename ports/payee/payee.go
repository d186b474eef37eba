// Package payee reads whom a payment goes to, so that everybody who judges payments, in the server or in a plugin, reads it alike.
//
// A payee is a name ("Blue Bottle Coffee"), a host name, a URL, or an e-mail address. What looks like an address and cannot be read as one
// is refused rather than taken for a name: somebody else may read it after all.
package payee

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

// ErrNoHost is returned for a text that is written like an address and names no host that could be checked.
var ErrNoHost = errors.New("not a readable address")

// Fold returns a payee without what people do not see: case, compatibility forms, runs of white space. Two payees that fold alike are the
// same name.
func Fold(s string) string {
	if plain(s, " ") {
		return s
	}
	return strings.Join(strings.Fields(cases.Fold().String(norm.NFKC.String(s))), " ")
}

// plain reports whether s is made of lower-case letters and digits of ASCII, with single characters of between in between: most are, and
// tables of Unicode need not be asked about them.
func plain(s, between string) bool {
	letter := false
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			letter = true
		case letter && strings.IndexByte(between, c) >= 0:
			letter = false
		default:
			return false
		}
	}
	return letter
}

// marks are what an address has and a name has not; U+3002 is a dot to IDNA.
const marks = ".\u3002:/\\@"

// Host returns the host that a payee names, in ASCII: of a URL, of an e-mail address, or the payee itself when it is a host name. It is
// "" for a name like "Blue Bottle Coffee", and ErrNoHost for a text that looks like an address and cannot be read as one: whoever checks
// hosts must refuse it.
func Host(payee string) (string, error) {
	s := strings.TrimSpace(payee)
	if plain(s, ".-") && strings.Contains(s, ".") {
		return ASCII(s)
	}
	if !strings.ContainsAny(s, marks) && !strings.ContainsAny(norm.NFKC.String(s), marks) {
		return "", nil
	}
	if strings.ContainsAny(s, " \t") && !strings.ContainsAny(s, `/\@`) && !strings.Contains(s, "://") {
		return "", nil // "Dr. Smith", "Acme Inc.": a host name has no spaces
	}
	if strings.Contains(s, `\`) {
		return "", ErrNoHost
	}
	if !strings.Contains(s, "://") {
		s = "//" + strings.TrimPrefix(s, "//")
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" {
		return "", ErrNoHost
	}
	return ASCII(u.Hostname())
}

// ASCII brings a host name or an address to the one form in which they are compared: lower case, punycode (RFC 5891), no dot at the end. A
// host whose form is not its own form again is ErrNoHost: two programs could read it as two hosts.
func ASCII(host string) (string, error) {
	if canonical(host) {
		return host, nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String(), nil
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(norm.NFKC.String(host), "."))
	if err != nil || !utf8.ValidString(host) || strings.HasPrefix(ascii, ".") || strings.HasSuffix(ascii, ".") || strings.Contains(ascii, "..") {
		return "", ErrNoHost
	}
	ascii = strings.ToLower(ascii)
	if again, err := idna.Lookup.ToASCII(ascii); err != nil || again != ascii || ascii == "" {
		return "", ErrNoHost
	}
	return ascii, nil
}

// canonical reports whether a host is seen at a glance to be in the form of ASCII: plain, and with a letter that neither punycode, which has
// "--", nor an address has.
func canonical(host string) bool {
	letter, beyond := false, false
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z':
			letter, beyond = true, beyond || c > 'f' && c != 'x'
		case '0' <= c && c <= '9':
			letter = true
		case letter && (c == '.' || c == '-'):
			letter = false
		default:
			return false
		}
	}
	return letter && beyond
}

// ParsePattern reads a pattern of hosts: "example.com", or "*.example.com" for what is below it. ErrNoHost for anything else.
func ParsePattern(p string) (host string, wildcard bool, err error) {
	rest, wildcard := strings.CutPrefix(strings.TrimSpace(p), "*.")
	if canonical(rest) {
		return rest, wildcard, nil
	}
	if strings.ContainsAny(rest, `/:@*\ `) {
		if _, aerr := netip.ParseAddr(rest); aerr != nil {
			return "", false, ErrNoHost
		}
	}
	host, err = ASCII(rest)
	return host, wildcard, err
}

// Allows reports whether a pattern of an allow list lets host through, which is in the form of ASCII: "example.com" that host alone,
// "*.example.com" its subdomains. A pattern that cannot be read allows nothing.
func Allows(patterns []string, host string) bool {
	for _, p := range patterns {
		want, wildcard, err := ParsePattern(p)
		switch {
		case err != nil:
		case wildcard && below(host, want), !wildcard && host == want:
			return true
		}
	}
	return false
}

// Blocks reports whether a pattern of a block list stops host, which is in the form of ASCII: blocking a domain blocks what is below it.
// A pattern that cannot be read blocks everything.
func Blocks(patterns []string, host string) bool {
	for _, p := range patterns {
		want, _, err := ParsePattern(p)
		if err != nil || host == want || below(host, want) {
			return true
		}
	}
	return false
}

// below reports whether host is a subdomain of domain.
func below(host, domain string) bool {
	n := len(host) - len(domain)
	return n > 0 && host[n-1] == '.' && host[n:] == domain
}
