package card

// presence is when a field is left out of what is signed (A2A 1.0, 8.4.1).
type presence uint8

const (
	implicit presence = iota // when it has its default: "", false, [], {}
	explicit                 // never when it is written: `optional` fields, and messages
	required                 // never when it is written
)

// shape is what a field holds.
type shape uint8

const (
	single shape = iota // a value, or a message
	list
	dict
)

// field is a field of a message.
type field struct {
	presence presence
	shape    shape
	of       *message // of the value, the elements, or the members' values; nil when they are no messages
	fallback string   // of FormSDK03: the text that its library takes for a missing field, and so does not sign
}

// message is what is known of an object: the fields that it has, or, when it is one of several by its member type, those of each.
type message struct {
	fields map[string]field
	byType map[string]*message
}

// field returns the field called key of the object n, which is described by m.
func (m *message) field(n *node, key string) (field, bool) {
	if m.byType != nil {
		m = m.byType[n.get("type").str]
		if m == nil {
			return field{}, false
		}
	}
	f, ok := m.fields[key]
	return f, ok
}

// card10 is the AgentCard of a2a.proto (package lf.a2a.v1), without its signatures.
var card10 = func() *message {
	var (
		plain    = field{}
		needed   = field{presence: required}
		optional = field{presence: explicit}
		many     = field{shape: list}
		manyOf   = func(m *message) field { return field{shape: list, of: m} }
		needs    = func(f field) field { f.presence = required; return f }
		one      = func(m *message) field { return field{presence: explicit, of: m} }
		msg      = func(fields map[string]field) *message { return &message{fields: fields} }
	)
	scopes := field{shape: dict}
	requirement := msg(map[string]field{"schemes": {shape: dict, of: msg(map[string]field{"list": many})}})
	flows := msg(map[string]field{
		"authorizationCode": one(msg(map[string]field{
			"authorizationUrl": needed, "tokenUrl": needed, "refreshUrl": plain, "scopes": needs(scopes), "pkceRequired": plain,
		})),
		"clientCredentials": one(msg(map[string]field{"tokenUrl": needed, "refreshUrl": plain, "scopes": needs(scopes)})),
		"implicit":          one(msg(map[string]field{"authorizationUrl": plain, "refreshUrl": plain, "scopes": scopes})),
		"password":          one(msg(map[string]field{"tokenUrl": plain, "refreshUrl": plain, "scopes": scopes})),
		"deviceCode": one(msg(map[string]field{
			"deviceAuthorizationUrl": needed, "tokenUrl": needed, "refreshUrl": plain, "scopes": needs(scopes),
		})),
	})
	scheme := msg(map[string]field{
		"apiKeySecurityScheme":        one(msg(map[string]field{"description": plain, "location": needed, "name": needed})),
		"httpAuthSecurityScheme":      one(msg(map[string]field{"description": plain, "scheme": needed, "bearerFormat": plain})),
		"oauth2SecurityScheme":        one(msg(map[string]field{"description": plain, "flows": needs(one(flows)), "oauth2MetadataUrl": plain})),
		"openIdConnectSecurityScheme": one(msg(map[string]field{"description": plain, "openIdConnectUrl": needed})),
		"mtlsSecurityScheme":          one(msg(map[string]field{"description": plain})),
	})
	return msg(map[string]field{
		"name": needed, "description": needed, "version": needed, "documentationUrl": optional, "iconUrl": optional,
		"supportedInterfaces": needs(manyOf(msg(map[string]field{"url": needed, "protocolBinding": needed, "tenant": plain, "protocolVersion": needed}))),
		"provider":            one(msg(map[string]field{"url": needed, "organization": needed})),
		"capabilities": needs(one(msg(map[string]field{
			"streaming": optional, "pushNotifications": optional, "extendedAgentCard": optional,
			"extensions": manyOf(msg(map[string]field{"uri": plain, "description": plain, "required": plain, "params": optional})),
		}))),
		"securitySchemes":      {shape: dict, of: scheme},
		"securityRequirements": manyOf(requirement),
		"defaultInputModes":    needs(many), "defaultOutputModes": needs(many),
		"skills": needs(manyOf(msg(map[string]field{
			"id": needed, "name": needed, "description": needed, "tags": needs(many), "examples": many, "inputModes": many, "outputModes": many,
			"securityRequirements": manyOf(requirement),
		}))),
	})
}()

// card03 is the AgentCard of 0.3.0, without its signatures, with the defaults that a2a-sdk 0.3 gives its fields.
var card03 = func() *message {
	var (
		needed   = field{presence: required}
		optional = field{presence: explicit}
		many     = field{shape: list}
		needs    = func(f field) field { f.presence = required; return f }
		listOf   = func(m *message) field { return field{shape: list, of: m} }
		msg      = func(fields map[string]field) *message { return &message{fields: fields} }
		kinded   = func(kind string, fields map[string]field) *message {
			fields["type"], fields["description"] = field{presence: required, fallback: kind}, optional
			return &message{fields: fields}
		}
		flow = func(urls ...string) field {
			fields := map[string]field{"refreshUrl": optional, "scopes": {presence: required, shape: dict}}
			for _, url := range urls {
				fields[url] = needed
			}
			return field{presence: explicit, of: msg(fields)}
		}
	)
	flows := msg(map[string]field{
		"authorizationCode": flow("authorizationUrl", "tokenUrl"), "clientCredentials": flow("tokenUrl"),
		"implicit": flow("authorizationUrl"), "password": flow("tokenUrl"),
	})
	scheme := &message{byType: map[string]*message{
		"apiKey":        kinded("apiKey", map[string]field{"in": needed, "name": needed}),
		"http":          kinded("http", map[string]field{"scheme": needed, "bearerFormat": optional}),
		"oauth2":        kinded("oauth2", map[string]field{"flows": {presence: required, of: flows}, "oauth2MetadataUrl": optional}),
		"openIdConnect": kinded("openIdConnect", map[string]field{"openIdConnectUrl": needed}),
		"mutualTLS":     kinded("mutualTLS", map[string]field{}),
	}}
	return msg(map[string]field{
		"name": needed, "description": needed, "url": needed, "version": needed, "documentationUrl": optional, "iconUrl": optional,
		"protocolVersion":                   {presence: required, fallback: "0.3.0"},
		"preferredTransport":                {presence: explicit, fallback: "JSONRPC"},
		"supportsAuthenticatedExtendedCard": optional,
		"additionalInterfaces":              listOf(msg(map[string]field{"url": needed, "transport": needed})),
		"provider":                          {presence: explicit, of: msg(map[string]field{"organization": needed, "url": needed})},
		"capabilities": {presence: required, of: msg(map[string]field{
			"streaming": optional, "pushNotifications": optional, "stateTransitionHistory": optional,
			"extensions": listOf(msg(map[string]field{"uri": needed, "description": optional, "required": optional, "params": optional})),
		})},
		"security": many, "securitySchemes": {shape: dict, of: scheme},
		"defaultInputModes": needs(many), "defaultOutputModes": needs(many),
		"skills": needs(listOf(msg(map[string]field{
			"id": needed, "name": needed, "description": needed, "tags": needs(many), "examples": many, "inputModes": many, "outputModes": many,
			"security": many,
		}))),
	})
}()
