package card

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// urlUse is what a URL is for.
type urlUse uint8

const (
	urlEndpoint urlUse = iota // agents are called there
	urlLogin                  // credentials go there
	urlPage                   // people or programs read it
)

// examineLinks looks at the URLs that are neither endpoints nor part of a security scheme.
func (c *checker) examineLinks() {
	if n := c.root.get("provider").get("url"); n.kind == kindString && !c.examineURL(n, urlPage, rule{}) {
		c.exam.badProvider = true
		c.exam.counted++
	}
	if n := c.root.get("documentationUrl"); n.kind == kindString && !c.examineURL(n, urlPage, rule{}) {
		c.exam.badDocumentation = true
		c.exam.counted++
	}
	if n := c.root.get("iconUrl"); n.kind == kindString && !strings.HasPrefix(n.str, "data:") {
		c.examineURL(n, urlPage, rule{})
	}
}

// examineURL warns of a URL that cannot be used, or that should not be, once. It answers whether it is good.
func (c *checker) examineURL(n *node, use urlUse, from rule) bool {
	s := n.str
	secure, host := true, plainHost(s)
	switch {
	case strings.TrimSpace(s) == "":
		c.warn(n, codeBlank, c.cite(from), "This is blank; write an absolute URL, such as https://agents.example.com/a2a")
		return false
	case isSample(host) || host == "" && isTemplate(s):
		c.warn(n, codeURLTemplate, c.cite(from), "This URL has a part that was meant to be filled in; write the address itself")
		return false
	case host == "":
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Scheme == "" || u.Host == "" || strings.ContainsAny(s, " \t\r\n") || !goodPort(u.Port()):
			c.warn(n, codeURLInvalid, c.cite(from), "This is no absolute URL; write one with scheme and host, such as https://agents.example.com/a2a")
			return false
		case u.User != nil:
			c.warn(n, codeURLCredentials, c.cite(from),
				"This URL holds a user name or password, which everybody who reads the card sees; take it out and change it")
			return false
		case u.Scheme != "https" && u.Scheme != "http":
			c.warn(n, codeURLScheme, c.cite(from), "The scheme of this URL is %q; it must be https", short(u.Scheme))
			return false
		}
		secure, host = u.Scheme == "https", u.Hostname()
	}
	if isLocal(host) {
		return c.examineLocal(n, host, from)
	}
	if !secure && use != urlPage {
		c.warn(n, codeURLInsecure, c.cite(from), "What is sent to this URL can be read and changed on its way; use https")
		return false
	}
	return true
}

// plainHost returns the host of an address such as https://agents.example.com/a2a, of names and a path of letters, digits, "_", "-" and "."
// alone, as most are: no part of it can be wrong. It returns "" for all others, which url.Parse reads.
func plainHost(s string) string {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		return ""
	}
	for i := range len(rest) {
		if classes[rest[i]]&classToken == 0 && rest[i] != '/' {
			return ""
		}
	}
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// examineAuthority warns of an address of gRPC that is no https URL: host and port alone, or by a scheme that its libraries resolve or that
// others write for it. It answers whether n is written so, and whether it is good.
func (c *checker) examineAuthority(n *node, from rule) (is, good bool) {
	address := n.str
	if scheme, rest, ok := strings.Cut(address, "://"); ok && (scheme == "grpc" || scheme == "grpcs") {
		address = strings.TrimSuffix(rest, "/")
		if strings.LastIndexByte(address, ':') <= strings.LastIndexByte(address, ']') {
			address += ":443" // the port may be left out there
		}
	} else if strings.HasPrefix(address, "dns:") && len(address) > len("dns:///") {
		return true, true // a resolver's business
	}
	host, port, ok := strings.Cut(address, ":")
	if i := strings.LastIndexByte(address, ':'); strings.HasPrefix(address, "[") && i > 0 {
		host, port, ok = strings.Trim(address[:i], "[]"), address[i+1:], true
	}
	if !ok || host == "" || port == "" || !goodPort(port) || strings.ContainsAny(address, "/@ <>{}") {
		return false, false
	}
	if isLocal(host) {
		return true, c.examineLocal(n, host, from)
	}
	return true, true
}

// examineLocal warns of a host that others do not reach, and answers whether the address is good nevertheless: this machine itself is, since
// whoever reaches it there is reached by nobody in between (W3C Secure Contexts, 3.1), and it costs no points.
func (c *checker) examineLocal(n *node, host string, from rule) bool {
	if isLoopback(host) {
		c.warn(n, codeURLLocal, c.cite(from), "The host %s is reached on this machine alone; write a public name before others read the card", short(host))
		c.exam.counted++
		return true
	}
	c.warn(n, codeURLLocal, c.cite(from), "The host %s is not reached from other networks; write a public name", short(host))
	return false
}

// goodPort says whether a port is none or a number of a port.
func goodPort(port string) bool {
	if port == "" {
		return true
	}
	p, err := strconv.ParseUint(port, 10, 16)
	return err == nil && p > 0
}

// isTemplate says whether a URL was never filled in.
func isTemplate(s string) bool {
	if strings.ContainsAny(s, "<>{}") {
		return true
	}
	_, rest, ok := strings.Cut(s, "://")
	if !ok {
		return false
	}
	host, _, _ := strings.Cut(rest, "/")
	return isSample(host)
}

// sampleNames begin the names that are written where one is to be filled in.
var sampleNames = [...]string{"your-", "your_", "yourdomain", "yourcompany", "changeme", "change-me"}

// isSample says whether a part of a host's name begins with one of sampleNames.
func isSample(host string) bool {
	name := strings.ToLower(host)
	for more := strings.Contains(name, "your") || strings.Contains(name, "change"); more; _, name, more = strings.Cut(name, ".") {
		for _, sample := range sampleNames {
			if strings.HasPrefix(name, sample) {
				return true
			}
		}
	}
	return false
}

// carrier are the addresses that providers share among their customers (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// isLoopback says whether a host is this machine for whoever asks (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3; RFC 6761, 6.3).
func isLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, ok := ipAddress(host); ok {
		return addr.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// isLocal says whether a host means another machine, or none, in another network.
func isLocal(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, ok := ipAddress(host); ok {
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() || addr.IsMulticast() ||
			carrier.Contains(addr)
	}
	dot := strings.LastIndexByte(host, '.')
	if dot < 0 {
		return true // one label is looked up in the network's own domain
	}
	if isNumeric(host[dot+1:]) {
		return true
	}
	// Names that only exist inside of a network (RFC 6761, RFC 6762, RFC 8375, and the private-use name of ICANN).
	switch host[dot:] {
	case ".localhost", ".local", ".internal", ".intranet", ".lan", ".corp", ".home":
		return true
	default:
		return strings.HasSuffix(host, ".home.arpa")
	}
}

// isNumeric says whether the last label of a host makes all of it an address of IPv4 to many readers, however short: 127.1, 0x7f.1 (URL Standard,
// 3.5). No name of the Internet ends so.
func isNumeric(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	if label == "" {
		return false
	}
	for i := range len(digits) {
		if b := digits[i]; !isDigit(b) && (!hex || b < 'a' || b > 'f') {
			return false
		}
	}
	return true
}

// ipAddress reads an address of IPv4 or IPv6. What neither ends in a digit nor holds a colon is a name.
func ipAddress(host string) (netip.Addr, bool) {
	if host == "" || !isDigit(host[len(host)-1]) && !strings.Contains(host, ":") {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	return addr.Unmap(), err == nil
}

// isURI says whether s is an absolute URI: a scheme and something behind it (RFC 3986, 3).
func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "" || len(u.Path) > 1) && !strings.ContainsAny(s, " \t\r\n")
}
