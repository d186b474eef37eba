package card

// The codes of what examine finds. All are warnings.
const (
	codeBlank                 = "blank"                   // a required text says nothing
	codeLong                  = "long"                    // a text is longer than people and models read
	codeInvisible             = "invisible_character"     // a text holds what is not seen
	codeInstruction           = "instruction_to_model"    // a text reads like an instruction to the model that chooses among agents
	codeSecret                = "secret"                  // a credential stands in the card
	codeURLTemplate           = "url_template"            // a URL was never filled in
	codeURLInvalid            = "url_invalid"             // no absolute URL
	codeURLCredentials        = "url_credentials"         // a URL holds a user name or password
	codeURLScheme             = "url_scheme"              // a URL of another scheme than http and https
	codeURLLocal              = "url_local"               // a host that other networks do not reach
	codeURLInsecure           = "url_insecure"            // http where https is needed
	codeMediaType             = "media_type"              // a mode that is no media type
	codeTransportMissing      = "transport_missing"       // 0.3.0 without preferredTransport
	codeTransportUnknown      = "transport_unknown"       // a transport that clients do not know
	codeTransportConflict     = "transport_conflict"      // url is declared with two transports that contradict
	codeInterfaceDuplicate    = "interface_duplicate"     // an interface is listed twice
	codeInterfaceVersion      = "interface_version"       // an interface's version is not written as major and minor
	codeHTTPScheme            = "http_scheme"             // an HTTP authentication scheme that is not registered
	codeFlowMissing           = "oauth_flow_missing"      // an OAuth 2.0 scheme without a flow
	codeFlowDeprecated        = "oauth_flow_deprecated"   // a flow that 1.0 deprecates
	codeSecurityUnknownScheme = "security_unknown_scheme" // a requirement names a scheme that is not declared
	codeSecurityUnknownScope  = "security_unknown_scope"  // a requirement asks for a scope that no flow offers
	codeSecurityScopes        = "security_scopes"         // a requirement gives scopes to a scheme that has none
	codeOldRequirement        = "security_old_shape"      // 1.0: security as 0.3 wrote it, which clients pass over
	codeExtendedCardOpen      = "extended_card_open"      // an extended card without a security scheme
	codeSkillDuplicate        = "skill_duplicate_id"      // two skills have one id
	codeExtensionURI          = "extension_uri"           // an extension without a URI, or with one that is none
	codeExtensionDuplicate    = "extension_duplicate"     // an extension is declared twice
	codeOldField              = "old_field"               // 1.0: a field that is gone
	codeHybrid                = "hybrid_incomplete"       // a card of both forms has errors in the other form
)
