package card

// record10 makes the AgentCard of 1.0.
//
// Its source is specification/a2a.proto, for which no JSON Schema is kept: the one that can be generated has no required fields and forbids
// unknown ones, against the text. What is held to is this:
//   - a field that is marked REQUIRED is there (5.7), and holds an item at least when it is an array (5.7);
//   - of a oneof exactly one member is there: with none the scheme, or the flow, would not be said, and no reader of ProtoJSON takes more
//     than one;
//   - a value is of the kind that ProtoJSON writes for the field's type, and null is none: what is not set is left out (5.7);
//   - location of an API key is one of the values that the comment on the field lists;
//   - names are in camelCase (5.5): a name in snake_case is an unknown field;
//   - unknown fields are passed over (5.7).
func record10() *record {
	withOld := func(r *record, last Version, names ...string) *record {
		r.elsewhere = map[string]Version{}
		for _, name := range names {
			r.elsewhere[name] = last
		}
		return r
	}
	requirement := newRecord("SecurityRequirement", may("schemes", mapOf(newRecord("StringList", may("list", texts)))))
	provider := newRecord("AgentProvider",
		need("url", aText, `add the address of who offers the agent, such as "https://example.com"`),
		need("organization", aText, `say who offers the agent`))
	extension := newRecord("AgentExtension", may("uri", aText), may("description", aText), may("required", aFlag), may("params", anyMap))
	capabilities := withOld(newRecord("AgentCapabilities",
		may("streaming", aFlag), may("pushNotifications", aFlag), may("extensions", listOf(extension)), may("extendedAgentCard", aFlag)),
		V030, "stateTransitionHistory")
	endpoint := withOld(newRecord("AgentInterface",
		need("url", aText, `add where the agent is reached, such as "https://example.com/a2a"`),
		need("protocolBinding", aText, `write "JSONRPC", "GRPC" or "HTTP+JSON", or the URI of a binding of your own`),
		need("protocolVersion", aText, `write the version that is spoken there, such as "1.0"`),
		may("tenant", aText)), V030, "transport")
	skill := withOld(newRecord("AgentSkill",
		need("id", aText, `add a name for programs that is the skill's own, such as "plan-route"`),
		need("name", aText, `add a name for people, such as "Plan a route"`),
		need("description", aText, `say what the skill does, and with what`),
		need("tags", filled(texts), `add words by which it is found, such as ["routing"]`),
		may("examples", texts), may("inputModes", texts), may("outputModes", texts),
		may("securityRequirements", listOf(requirement))), V030, "security")
	signature := newRecord("AgentCardSignature",
		need("protected", aText, `add the JWS's protected header in base64url, or leave the signature out`),
		need("signature", aText, `add the JWS's signature in base64url, or leave the entry out`),
		may("header", anyMap))
	return withOld(newRecord("AgentCard",
		need("name", aText, `say what the agent is called`),
		need("description", aText, `say what the agent does, for people and for other agents`),
		need("supportedInterfaces", filled(listOf(endpoint)),
			`add where the agent is reached, such as [{"url": "https://example.com/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]`),
		need("version", aText, `add the agent's own version, such as "1.0.0"`),
		need("capabilities", aRecord(capabilities), `write {} when the agent has none, or such as {"streaming": true}`),
		need("defaultInputModes", filled(texts), `add the media types that the agent takes, such as ["text/plain"]`),
		need("defaultOutputModes", filled(texts), `add the media types that the agent answers with, such as ["text/plain"]`),
		need("skills", filled(listOf(skill)), `add what the agent can do, each with id, name, description and tags`),
		may("provider", aRecord(provider)), may("documentationUrl", aText), may("iconUrl", aText),
		may("securitySchemes", mapOf(schemes10())), may("securityRequirements", listOf(requirement)),
		may("signatures", listOf(signature))),
		V030, "url", "protocolVersion", "preferredTransport", "additionalInterfaces", "security", "supportsAuthenticatedExtendedCard")
}

// schemes10 makes the SecurityScheme of 1.0: a oneof, each kind in a member of its own.
func schemes10() *record {
	described := may("description", aText)
	flow := func(name string, fields ...property) *schema {
		return aRecord(newRecord(name, append(fields, may("refreshUrl", aText))...))
	}
	authorization := need("authorizationUrl", aText, `add where people agree, such as "https://example.com/oauth/authorize"`)
	token := need("tokenUrl", aText, `add where tokens are given, such as "https://example.com/oauth/token"`)
	scopes := need("scopes", textMap, `add what can be asked for, such as {"read": "Read the calendar"}, or {}`)
	flows := newRecord("OAuthFlows",
		may("authorizationCode", flow("AuthorizationCodeOAuthFlow", authorization, token, scopes, may("pkceRequired", aFlag))),
		may("clientCredentials", flow("ClientCredentialsOAuthFlow", token, scopes)),
		// These two are deprecated, and with it none of their fields is REQUIRED any more.
		may("implicit", flow("ImplicitOAuthFlow", may("authorizationUrl", aText), may("scopes", textMap))),
		may("password", flow("PasswordOAuthFlow", may("tokenUrl", aText), may("scopes", textMap))),
		may("deviceCode", flow("DeviceCodeOAuthFlow",
			need("deviceAuthorizationUrl", aText, `add where devices ask, such as "https://example.com/oauth/device"`), token, scopes)))
	flows.choice = true
	scheme := newRecord("SecurityScheme",
		may("apiKeySecurityScheme", aRecord(newRecord("APIKeySecurityScheme", described,
			need("location", words("header", "query", "cookie"), `say where the key is sent: "header", "query" or "cookie"`),
			need("name", aText, `add the name of the header, parameter or cookie that holds the key`)))),
		may("httpAuthSecurityScheme", aRecord(newRecord("HTTPAuthSecurityScheme", described,
			need("scheme", aText, `add the scheme of the Authorization header, such as "Bearer"`), may("bearerFormat", aText)))),
		may("oauth2SecurityScheme", aRecord(newRecord("OAuth2SecurityScheme", described,
			need("flows", aRecord(flows), `add how tokens are got, such as {"clientCredentials": {"tokenUrl": "...", "scopes": {}}}`),
			may("oauth2MetadataUrl", aText)))),
		may("openIdConnectSecurityScheme", aRecord(newRecord("OpenIdConnectSecurityScheme", described,
			need("openIdConnectUrl", aText, `add the address of the provider's /.well-known/openid-configuration`)))),
		may("mtlsSecurityScheme", aRecord(newRecord("MutualTlsSecurityScheme", described))))
	scheme.choice = true
	scheme.elsewhere = map[string]Version{}
	for _, old := range []string{
		"type", "description", "in", "name", "scheme", "bearerFormat", "flows", "oauth2MetadataUrl", "openIdConnectUrl",
	} {
		scheme.elsewhere[old] = V030
	}
	return scheme
}
