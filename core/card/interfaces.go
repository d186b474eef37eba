package card

import "strings"

// transports are the bindings of the protocol itself (1.0, 5.8 admits others, by their URI).
var transports = [...]string{"JSONRPC", "GRPC", "HTTP+JSON"}

// spelled are transports by the spellings that are met in cards.
var spelled = map[string]string{
	"jsonrpc": "JSONRPC", "jsonrpc20": "JSONRPC", "jsonrpc2": "JSONRPC", "rpc": "JSONRPC", "jsonrpchttp": "JSONRPC",
	"jsonrpcoverhttp": "JSONRPC",
	"grpc":            "GRPC", "grpcweb": "GRPC",
	"http": "HTTP+JSON", "https": "HTTP+JSON", "rest": "HTTP+JSON", "httpjson": "HTTP+JSON", "httprest": "HTTP+JSON",
	"httpjsonrest": "HTTP+JSON",
	"restful":      "HTTP+JSON", "json": "HTTP+JSON", "httpplusjson": "HTTP+JSON", "sse": "HTTP+JSON",
}

// transportMeant returns the transport that a spelling stands for, "" when it is none that is known.
func transportMeant(s string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
	return spelled[plain]
}

// isTransport says whether s is one of the protocol's own transports.
func isTransport(s string) bool {
	for _, t := range transports {
		if s == t {
			return true
		}
	}
	return false
}

// examineAddresses looks at where an agent of a card before 1.0 is reached.
func (c *checker) examineAddresses() {
	main, transport := c.root.get("url"), c.root.get("preferredTransport")
	preferred := "JSONRPC"
	if transport.kind == kindString {
		preferred = transport.str
		c.examineTransport(transport)
	} else if transport.kind == kindAbsent && c.version == V030 {
		c.badTransport(c.root)
		c.warnMissing(c.root, "preferredTransport", codeTransportMissing, "A2A 0.3.0, 5.6.1",
			"Say which transport is spoken at url, such as \"preferredTransport\": \"JSONRPC\"")
	}
	if main.kind == kindString {
		c.examineEndpoint(main, preferred)
	}
	listed, contradicted := false, false
	seen := map[[2]string]bool{}
	more := c.root.get("additionalInterfaces").items
	for i := range more {
		at, transport := more[i].get("url"), more[i].get("transport")
		if at.kind == kindString {
			c.examineEndpoint(at, transport.str)
		}
		if transport.kind == kindString {
			c.examineTransport(transport)
		}
		if at.kind != kindString || transport.kind != kindString {
			continue
		}
		if key := [2]string{at.str, transport.str}; seen[key] {
			c.badTransport(&more[i])
			c.warn(&more[i], codeInterfaceDuplicate, "", "This interface is listed before; take one of the two out")
		} else {
			seen[key] = true
		}
		if at.str == main.str {
			listed = listed || transport.str == preferred
			contradicted = contradicted || transport.str != preferred
		}
	}
	if contradicted && !listed {
		n := transport
		if n.kind != kindString {
			n = main
		}
		c.badTransport(n)
		c.warn(n, codeTransportConflict, c.cite(rule{old: "5.6.4", v10: "8.3.1"}),
			"additionalInterfaces lists this URL with another transport than %s alone; say the same in both places", short(preferred))
	}
	c.exam.unlisted = len(more) > 0 && !listed && !contradicted
}

// examineInterfaces looks at where an agent of a card of 1.0 is reached.
func (c *checker) examineInterfaces() {
	list := c.root.get("supportedInterfaces").items
	seen := map[[4]string]bool{}
	for i := range list {
		at, binding, version := list[i].get("url"), list[i].get("protocolBinding"), list[i].get("protocolVersion")
		if at.kind == kindString {
			c.examineEndpoint(at, binding.str)
		}
		if binding.kind == kindString {
			c.examineTransport(binding)
		}
		if version.kind == kindString && !isMajorMinor(version.str) {
			c.badTransport(version)
			c.warn(version, codeInterfaceVersion, "A2A 1.0, 3.6", "An interface's version is written as major and minor alone, such as \"1.0\"")
		}
		key := [4]string{at.str, binding.str, version.str, list[i].get("tenant").str}
		if at.kind == kindString && seen[key] {
			c.badTransport(&list[i])
			c.warn(&list[i], codeInterfaceDuplicate, "", "This interface is listed before; take one of the two out")
		}
		seen[key] = true
	}
}

// badTransport counts a fault of the declared transports, of which there is a warning besides.
func (c *checker) badTransport(n *node) {
	c.exam.counted++
	if c.exam.badTransports++; c.exam.transport == nil {
		c.exam.transport = n
	}
}

// examineTransport warns of a transport that clients will not recognize.
func (c *checker) examineTransport(n *node) {
	if isTransport(n.str) {
		return
	}
	source := c.cite(rule{old: "5.6.1", v10: "5.8"})
	switch meant := transportMeant(n.str); {
	case strings.TrimSpace(n.str) == "":
		c.warn(n, codeTransportUnknown, source, "This transport is blank; write JSONRPC, GRPC or HTTP+JSON")
	case meant != "":
		c.warn(n, codeTransportUnknown, source, "Clients do not know the transport %q; write %q", short(n.str), meant)
	case c.version == V10 && !isURI(n.str):
		c.warn(n, codeTransportUnknown, source, "%q is none of JSONRPC, GRPC and HTTP+JSON; name a binding of your own by its URI", short(n.str))
	default:
		return
	}
	c.badTransport(n)
}

// examineEndpoint warns of a URL at which an agent cannot be called, or not safely.
func (c *checker) examineEndpoint(n *node, transport string) {
	from := rule{old: "4.1", v10: "7.1"}
	c.exam.endpoints++
	good := true
	switch {
	case transport == "GRPC":
		var is bool
		if is, good = c.examineAuthority(n, from); !is {
			good = c.examineURL(n, urlEndpoint, from)
		}
	case transport == "" || isTransport(transport) || transportMeant(transport) != "":
		good = c.examineURL(n, urlEndpoint, from)
	default: // a binding of its own says itself what its addresses look like
		if strings.TrimSpace(n.str) == "" || isTemplate(n.str) {
			good = c.examineURL(n, urlEndpoint, from)
		}
	}
	if !good {
		c.exam.counted++
		if c.exam.badEndpoints++; c.exam.endpoint == nil {
			c.exam.endpoint = n
		}
	}
}

// isMajorMinor says whether s is a version of two numbers.
func isMajorMinor(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	return ok && numeric(major) && numeric(minor)
}
