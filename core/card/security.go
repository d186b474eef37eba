package card

import (
	"slices"
	"strings"
)

// httpSchemes are the names of IANA's registry of HTTP authentication schemes, in lower case: names have no case (RFC 9110, 11.1).
var httpSchemes = map[string]bool{
	"basic": true, "bearer": true, "concealed": true, "digest": true, "dpop": true, "gnap": true, "hoba": true, "mutual": true,
	"negotiate": true,
	"oauth":     true, "privatetoken": true, "scram-sha-1": true, "scram-sha-256": true, "vapid": true,
}

// examineSecurity looks at the security schemes, and at what the requirements say of them.
func (c *checker) examineSecurity() {
	schemes := c.root.get("securitySchemes")
	for i := range schemes.members {
		c.examineScheme(&schemes.members[i].value)
	}
	old, field := c.root.get("security"), c.requirementField()
	if c.version == V10 && old.kind == kindArray && c.root.get(field).kind == kindAbsent {
		c.badRequirement(old)
		c.warn(old, codeOldRequirement, "A2A 1.0, 4.4.1",
			"Clients of 1.0 do not read security and take this agent for a public one; write securityRequirements beside or instead")
	}
	c.examineRequirements(c.root.get(field))
	if c.extended() && len(schemes.members) == 0 {
		c.warn(c.root, codeExtendedCardOpen, c.cite(rule{old: "7.10", v10: "13.3"}),
			"The extended card is for callers who authenticate, but no security scheme says how; declare one in securitySchemes")
	}
}

// requirementField returns what the version calls the list of security requirements.
func (c *checker) requirementField() string {
	if c.version == V10 {
		return "securityRequirements"
	}
	return "security"
}

// extended says whether the card declares that there is an extended one.
func (c *checker) extended() bool {
	if c.version == V10 {
		return c.root.get("capabilities").get("extendedAgentCard").truth
	}
	return c.root.get("supportsAuthenticatedExtendedCard").truth
}

// schemeOf returns a scheme's kind as 0.3 spells it, and the object that says the rest of it; "" and an absent one when it has none.
func (c *checker) schemeOf(n *node) (kind string, inside *node) {
	if c.version != V10 {
		return n.get("type").str, n
	}
	for _, w := range wrappers {
		if inside := n.get(w.wrapper); inside.kind == kindObject {
			return w.kind, inside
		}
	}
	return "", &none
}

// wrappers are the members of 1.0's union of security schemes, and the types of 0.3 that they stand for.
var wrappers = [...]struct{ kind, wrapper string }{
	{"apiKey", "apiKeySecurityScheme"}, {"http", "httpAuthSecurityScheme"}, {"oauth2", "oauth2SecurityScheme"},
	{"openIdConnect", "openIdConnectSecurityScheme"}, {"mutualTLS", "mtlsSecurityScheme"},
}

// flowNames are the OAuth 2.0 flows, in the order in which one is preferred to the next.
var flowNames = [...]string{"authorizationCode", "deviceCode", "clientCredentials", "implicit", "password"}

// examineScheme looks at one security scheme.
func (c *checker) examineScheme(n *node) {
	kind, scheme := c.schemeOf(n)
	switch kind {
	case "http":
		if name := scheme.get("scheme"); name.kind == kindString && !httpSchemes[strings.ToLower(name.str)] {
			c.warn(name, codeHTTPScheme, c.cite(rule{old: "HTTPAuthSecurityScheme.scheme", v10: "HTTPAuthSecurityScheme.scheme"}),
				"%q is not in IANA's registry of HTTP authentication schemes; write one of it, such as Bearer or Basic", short(name.str))
		}
	case "openIdConnect":
		c.examineLogin(scheme.get("openIdConnectUrl"), "OpenIdConnectSecurityScheme", "openIdConnectUrl")
	case "oauth2":
		c.examineLogin(scheme.get("oauth2MetadataUrl"), "OAuth2SecurityScheme", "oauth2MetadataUrl")
		c.examineFlows(scheme.get("flows"))
	}
}

// examineFlows looks at the flows of an OAuth 2.0 scheme.
func (c *checker) examineFlows(flows *node) {
	if flows.kind != kindObject {
		return
	}
	known := 0
	for _, name := range flowNames {
		flow := flows.get(name)
		if flow.kind != kindObject {
			continue
		}
		known++
		for _, field := range [...]string{"authorizationUrl", "tokenUrl", "refreshUrl", "deviceAuthorizationUrl"} {
			c.examineLogin(flow.get(field), "OAuthFlows", name)
		}
		if c.version == V10 && (name == "implicit" || name == "password") {
			c.warn(flow, codeFlowDeprecated, "A2A 1.0, OAuthFlows",
				"The flow %s is deprecated; use authorizationCode with PKCE, deviceCode or clientCredentials", name)
		}
	}
	if known == 0 && c.version != V10 {
		c.warn(flows, codeFlowMissing, "A2A "+string(c.version)+", OAuthFlows",
			"No flow says how a token is had; declare one, such as authorizationCode")
	}
}

// examineLogin looks at a URL to which credentials go, of a field of a record.
func (c *checker) examineLogin(n *node, record, field string) {
	if n.kind == kindString {
		c.examineURL(n, urlLogin, rule{old: record, v10: record, field: field})
	}
}

// badRequirement counts a fault of the security requirements, of which there is a warning besides.
func (c *checker) badRequirement(n *node) {
	c.exam.counted++
	if c.exam.badSecurity++; c.exam.requirement == nil {
		c.exam.requirement = n
	}
}

// examineRequirements looks at a list of security requirements, of which a caller must meet one.
func (c *checker) examineRequirements(list *node) {
	for i := range list.items {
		n := &list.items[i]
		if c.version != V10 {
			c.examineRequirement(n.members, func(value *node) []node { return value.items })
			continue
		}
		if schemes := n.get("schemes"); schemes.kind == kindAbsent && len(n.members) > 0 {
			c.badRequirement(n)
			c.warn(n, codeOldRequirement, "A2A 1.0, 4.5.1",
				"This is a requirement of 0.3, which clients of 1.0 take for one that asks for nothing; write {\"schemes\": {%q: {\"list\": []}}}",
				short(n.members[0].key))
		} else {
			c.examineRequirement(schemes.members, func(value *node) []node { return value.get("list").items })
		}
	}
}

// examineRequirement looks at one: the schemes that must be used together, with their scopes.
func (c *checker) examineRequirement(used []member, scopesOf func(*node) []node) {
	schemes := c.root.get("securitySchemes")
	for i := range used {
		m := &used[i]
		c.exam.requires = true
		scheme := schemes.find(m.key)
		if scheme == nil {
			c.badRequirement(&m.value)
			c.warnKey(m, codeSecurityUnknownScheme, c.cite(rule{old: "AgentCard.security", v10: "4.5.1"}), "securitySchemes has no %q; %s", short(m.key),
				declared(schemes))
			continue
		}
		kind, inside := c.schemeOf(&scheme.value)
		scopes := scopesOf(&m.value)
		switch {
		case kind == "oauth2":
			c.examineScopes(scopes, inside.get("flows"))
		case len(scopes) > 0 && c.version != V10 && (kind == "apiKey" || kind == "http" || kind == "mutualTLS"):
			c.badRequirement(&m.value)
			c.warn(&m.value, codeSecurityScopes, sourceOpenAPI,
				"A scheme of type %s has no scopes; leave this list empty", kind)
		}
	}
}

// declared tells what schemes there are.
func declared(schemes *node) string {
	if len(schemes.members) == 0 {
		return "declare it there"
	}
	var names []string
	for i := range schemes.members {
		if names = append(names, short(schemes.members[i].key)); len(names) == 5 {
			break
		}
	}
	return "declare it there, or name one of " + strings.Join(names, ", ")
}

// examineScopes warns of scopes that no flow offers. Flows that list none leave that to the authorization server.
func (c *checker) examineScopes(scopes []node, flows *node) {
	var offered []*node
	for _, name := range flowNames {
		if list := flows.get(name).get("scopes"); len(list.members) > 0 {
			offered = append(offered, list)
		}
	}
	if len(offered) == 0 {
		return
	}
	for i := range scopes {
		if scopes[i].kind == kindString && !slices.ContainsFunc(offered, func(list *node) bool { return list.find(scopes[i].str) != nil }) {
			c.badRequirement(&scopes[i])
			c.warn(&scopes[i], codeSecurityUnknownScope, sourceOpenAPI,
				"No flow of this scheme offers the scope %q; add it to the flow's scopes, or ask for one of those", short(scopes[i].str))
		}
	}
}
