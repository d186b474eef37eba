package card

// record0 makes the AgentCard of a version before 1.0, as the JSON Schema specification/json/a2a.json has it at the version's tag.
func record0(v Version) *record {
	from := func(since Version, fields ...property) []property {
		if v < since {
			return nil
		}
		return fields
	}
	later := func(r *record, names map[string]Version) *record {
		r.elsewhere = map[string]Version{}
		for name, since := range names {
			if v < since {
				r.elsewhere[name] = since
			}
		}
		return r
	}
	requirements := &schema{kind: kindArray, item: &schema{kind: kindObject, item: texts}}
	provider := newRecord("AgentProvider",
		need("organization", aText, `say who offers the agent`),
		need("url", aText, `add the address of who offers the agent, such as "https://example.com"`))
	extension := newRecord("AgentExtension",
		need("uri", aText, `add the URI that names the extension`),
		may("description", aText), may("required", aFlag), may("params", anyMap))
	capabilities := later(newRecord("AgentCapabilities", append([]property{
		may("streaming", aFlag), may("pushNotifications", aFlag), may("stateTransitionHistory", aFlag),
	}, from(V022, may("extensions", listOf(extension)))...)...), map[string]Version{"extensions": V022, "extendedAgentCard": V10})
	skill := later(newRecord("AgentSkill", append([]property{
		need("id", aText, `add a name for programs that is the skill's own, such as "plan-route"`),
		need("name", aText, `add a name for people, such as "Plan a route"`),
		need("description", aText, `say what the skill does, and with what`),
		need("tags", texts, `add words by which it is found, such as ["routing"]`),
		may("examples", texts), may("inputModes", texts), may("outputModes", texts),
	}, from(V030, may("security", requirements))...)...), map[string]Version{"security": V030, "securityRequirements": V10})
	endpoint := later(newRecord("AgentInterface",
		need("url", aText, `add where the agent is reached, such as "https://example.com/a2a"`),
		need("transport", aText, `write "JSONRPC", "GRPC" or "HTTP+JSON"`)),
		map[string]Version{"protocolBinding": V10, "protocolVersion": V10, "tenant": V10})
	signature := newRecord("AgentCardSignature",
		need("protected", aText, `add the JWS's protected header in base64url, or leave the signature out`),
		need("signature", aText, `add the JWS's signature in base64url, or leave the entry out`),
		may("header", anyMap))

	fields := []property{
		need("name", aText, `say what the agent is called`),
		need("description", aText, `say what the agent does, for people and for other agents`),
		need("url", aText, `add where the agent is reached, such as "https://example.com/a2a"`),
		need("version", aText, `add the agent's own version, such as "1.0.0"`),
		need("capabilities", aRecord(capabilities), `write {} when the agent has none, or such as {"streaming": true}`),
		need("defaultInputModes", texts, `add the media types that the agent takes, such as ["text/plain"]`),
		need("defaultOutputModes", texts, `add the media types that the agent answers with, such as ["text/plain"]`),
		need("skills", listOf(skill), `add what the agent can do, each with id, name, description and tags`),
		may("provider", aRecord(provider)), may("documentationUrl", aText),
		may("securitySchemes", mapOf(schemes0(v))), may("security", requirements),
	}
	fields = append(fields, from(V021, may("supportsAuthenticatedExtendedCard", aFlag))...)
	fields = append(fields, from(V022, may("iconUrl", aText))...)
	fields = append(fields, from(V024, may("preferredTransport", aText), may("additionalInterfaces", listOf(endpoint)))...)
	fields = append(fields, from(V025, need("protocolVersion", aText, ""))...) // chooseVersion looks at its value
	fields = append(fields, from(V030, may("signatures", listOf(signature)))...)
	return later(newRecord("AgentCard", fields...), map[string]Version{
		"supportsAuthenticatedExtendedCard": V021, "iconUrl": V022, "preferredTransport": V024, "additionalInterfaces": V024,
		"protocolVersion": V025, "signatures": V030, "supportedInterfaces": V10, "securityRequirements": V10,
	})
}

// schemes0 makes the SecurityScheme of a version before 1.0, an anyOf of kinds of which each demands another type.
func schemes0(v Version) *record {
	described := may("description", aText)
	flow := func(name string, fields ...property) *schema {
		return aRecord(newRecord(name, append(fields,
			need("scopes", textMap, `add what can be asked for, such as {"read": "Read the calendar"}, or {}`), may("refreshUrl", aText))...))
	}
	authorization := need("authorizationUrl", aText, `add where people agree, such as "https://example.com/oauth/authorize"`)
	token := need("tokenUrl", aText, `add where tokens are given, such as "https://example.com/oauth/token"`)
	flows := newRecord("OAuthFlows",
		may("authorizationCode", flow("AuthorizationCodeOAuthFlow", authorization, token)),
		may("clientCredentials", flow("ClientCredentialsOAuthFlow", token)),
		may("implicit", flow("ImplicitOAuthFlow", authorization)),
		may("password", flow("PasswordOAuthFlow", token)))
	flows.elsewhere = map[string]Version{"deviceCode": V10}
	kindOf := func(name string, fields ...property) *record {
		return newRecord(name, append(fields, need("type", aText, ""), described)...)
	}
	oauth2 := []property{need("flows", aRecord(flows),
		`add how tokens are got, such as {"clientCredentials": {"tokenUrl": "...", "scopes": {}}}`)}
	if v >= V030 {
		oauth2 = append(oauth2, may("oauth2MetadataUrl", aText))
	}
	r := &record{name: "SecurityScheme", byType: map[string]*record{
		"apiKey": kindOf("APIKeySecurityScheme",
			need("in", words("header", "query", "cookie"), `say where the key is sent: "header", "query" or "cookie"`),
			need("name", aText, `add the name of the header, parameter or cookie that holds the key`)),
		"http": kindOf("HTTPAuthSecurityScheme",
			need("scheme", aText, `add the scheme of the Authorization header, such as "bearer"`), may("bearerFormat", aText)),
		"oauth2": kindOf("OAuth2SecurityScheme", oauth2...),
		"openIdConnect": kindOf("OpenIdConnectSecurityScheme",
			need("openIdConnectUrl", aText, `add the address of the provider's /.well-known/openid-configuration`)),
	}}
	if v >= V030 {
		r.byType["mutualTLS"] = kindOf("MutualTLSSecurityScheme")
	} else {
		r.byType["oauth2"].elsewhere = map[string]Version{"oauth2MetadataUrl": V030}
	}
	for kind, of := range r.byType {
		if of.elsewhere == nil {
			of.elsewhere = map[string]Version{}
		}
		of.elsewhere[memberOfType[kind]] = V10
	}
	return r
}
