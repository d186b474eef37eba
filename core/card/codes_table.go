package card

// The sources of rules, as findings name them too.
const (
	sourceShape   = "A2A, the schema of the card's version"
	sourceOpenAPI = "OpenAPI 3.0, Security Requirement Object"
)

// codes are all kinds of findings.
var codes = []Code{
	{
		codeChoice, "Not exactly one of several",
		"In 1.0 a security scheme is of exactly one kind, and its flows hold exactly one flow. Keep one member, and declare what is left as " +
			"a scheme of its own.",
		SeverityError, "A2A 1.0, SecurityScheme and OAuthFlows",
	},
	{
		codeEmpty, "Empty where something is needed",
		"1.0 wants at least one element in every required array, and a declared version is never empty.",
		SeverityError, "A2A 1.0, 5.7",
	},
	{
		codeEncoding, "Not UTF-8",
		"A card is JSON, and JSON is UTF-8. Save the file in that encoding.",
		SeverityError, "RFC 8259, 8.1",
	},
	{
		codeJSON, "Not JSON",
		"The text cannot be read as JSON. The message says where it stops being so; a comma too many, a comment and single quotes are the " +
			"usual causes.",
		SeverityError, "RFC 8259",
	},
	{
		codeRequired, "A required field is missing",
		"The version's schema requires this field. Clients that read cards into types of their own refuse a card without it.",
		SeverityError, sourceShape,
	},
	{
		codeTooDeep, "Nested too deeply",
		"Arrays and objects are nested deeper than is read here. No field of a card needs that.",
		SeverityError, "",
	},
	{
		codeTooLarge, "Too large",
		"The text is longer, or has more values, than is read here. Put details into the documentation or the extended card.",
		SeverityError, "",
	},
	{
		codeType, "A value of another kind",
		"The field takes a value of another kind: a text, a list, an object or a truth value. The message says which.",
		SeverityError, sourceShape,
	},
	{
		codeValue, "A text that is not admitted",
		"The field takes one of a few texts alone, spelled exactly as the message says.",
		SeverityError, sourceShape,
	},
	{
		codeVersionUnknown, "An unknown version",
		"The version that the card declares, or to which it was to be held, is none of 0.2.0 to 0.2.6, 0.3.0 and 1.0.",
		SeverityError, "",
	},

	{
		codeBlank, "A blank text",
		"A required text is there, and says nothing. Write what it is for.",
		SeverityWarning, "A2A 1.0, 5.7",
	},
	{
		codeByteOrderMark, "A byte order mark",
		"The text begins with a byte order mark, at which many readers of JSON stop. Save the file without it.",
		SeverityWarning, "RFC 8259, 8.1",
	},
	{
		codeDuplicateKey, "A key that comes again",
		"An object has a key more than once. Readers differ in which value they take, so a card can say one thing to a person and another to " +
			"a program. Keep one.",
		SeverityWarning, "RFC 8259, 4",
	},
	{
		codeExtendedCardOpen, "An extended card without authentication",
		"The card says that there is an extended one for callers who authenticate, and declares no security scheme by which they could.",
		SeverityWarning, "A2A 1.0, 13.3; A2A 0.3.0, 7.10",
	},
	{
		codeExtensionDuplicate, "An extension that is declared twice",
		"The same URI stands in two entries, which may contradict. Keep one.",
		SeverityWarning, "",
	},
	{
		codeExtensionURI, "An extension without a URI",
		"Clients know an extension by its URI, which the extension's specification gives.",
		SeverityWarning, "A2A 1.0, AgentExtension.uri",
	},
	{
		codeHTTPScheme, "An unregistered HTTP authentication scheme",
		"The scheme is not in IANA's registry, from which clients know what to send. A key in a header of its own is a scheme of the kind " +
			"apiKey.",
		SeverityWarning, "A2A, HTTPAuthSecurityScheme.scheme",
	},
	{
		codeHybrid, "One form of two is incomplete",
		"A card with both supportedInterfaces and url is read by clients of 1.0 and by older ones. What the card was not held to has errors, " +
			"so some clients will refuse it.",
		SeverityWarning, "",
	},
	{
		codeInstruction, "An instruction to the reading model",
		"The text tells the model that chooses among agents what to do, instead of what the agent does. Readers treat such cards as hostile.",
		SeverityWarning, "",
	},
	{
		codeInterfaceDuplicate, "An interface that is listed twice",
		"Two entries have the same URL, transport and version. Keep one.",
		SeverityWarning, "",
	},
	{
		codeInterfaceVersion, "A version of other than two numbers",
		"An interface's protocolVersion is compared as major and minor: \"0.3\", \"1.0\". A patch number makes clients pass over the " +
			"interface.",
		SeverityWarning, "A2A 1.0, 3.6",
	},
	{
		codeInvisible, "An invisible character",
		"The text holds characters that people do not see and programs read: controls, overrides of the direction of writing, zero-width " +
			"spaces or tag characters. They hide what a model is told. Joiners in emoji and scripts are not meant.",
		SeverityWarning, "Unicode TR 36, 2.6",
	},
	{
		codeLaterField, "A field of a later version",
		"Readers of the card's version do not know this field and pass over it. Declare the later version, or take it out.",
		SeverityWarning, sourceShape,
	},
	{
		codeLoneSurrogate, "Half a character",
		"A text escapes half of a surrogate pair, which is no character. Readers replace it or refuse the card.",
		SeverityWarning, "RFC 8259, 8.2",
	},
	{
		codeLong, "A long text",
		"Names are shown in lists, and models read descriptions with every request. Move what is longer into the documentation.",
		SeverityWarning, "",
	},
	{
		codeMediaType, "A mode that is no media type",
		"Modes are media types, with type and subtype. Clients compare them as texts, so \"text\" does not match \"text/plain\".",
		SeverityWarning, "A2A 1.0, AgentCard.default_input_modes; A2A 0.3.0, AgentCard.defaultInputModes",
	},
	{
		codeMore, "More findings than are told",
		"Only the first findings are told. Mend these, and look again. Errors that are not told are errors all the same.",
		SeverityWarning, "",
	},
	{
		codeFlowDeprecated, "A deprecated flow",
		"1.0 deprecates the OAuth 2.0 flows implicit and password, as RFC 9700 does.",
		SeverityWarning, "A2A 1.0, OAuthFlows",
	},
	{
		codeFlowMissing, "An OAuth 2.0 scheme without a flow",
		"Nothing says how a client gets a token. Declare a flow.",
		SeverityWarning, "A2A 0.3.0, OAuthFlows",
	},
	{
		codeOldField, "A field that 1.0 has no more",
		"The field has moved or gone with 1.0, and its clients pass over it.",
		SeverityWarning, "A2A 1.0, AgentCard",
	},
	{
		codeSecret, "A credential in the card",
		"The card holds what has the form of a key or token. Cards are public: take it out, and have it revoked. The finding does not repeat " +
			"it.",
		SeverityWarning, "A2A 0.3.0, 5.4; A2A 1.0, 14.3",
	},
	{
		codeOldRequirement, "Security that 1.0 passes over",
		"A card of 1.0 says by the fields of 0.3 who may call. Clients of 1.0 do not read them, and take the agent for a public one. Write " +
			"securityRequirements, in 1.0's shape.",
		SeverityWarning, "A2A 1.0, AgentCard.security_requirements",
	},
	{
		codeSecurityScopes, "Scopes for a scheme that has none",
		"Only schemes of OAuth 2.0 and OpenID Connect have scopes; the list of the others is empty.",
		SeverityWarning, sourceOpenAPI,
	},
	{
		codeSecurityUnknownScheme, "A requirement of an undeclared scheme",
		"A requirement names a scheme that securitySchemes does not have, so that no client can meet it.",
		SeverityWarning, sourceOpenAPI,
	},
	{
		codeSecurityUnknownScope, "A requirement of an unknown scope",
		"A requirement asks for a scope that no flow of its scheme offers, so that no token has it.",
		SeverityWarning, sourceOpenAPI,
	},
	{
		codeSignatureAlgorithm, "A signature by an algorithm that is not accepted",
		"Cards are signed by ES256, ES384, EdDSA, RS256 or PS256. \"none\" is no signature, and whoever can verify an HMAC can also make " +
			"one. Sign again by one of these.",
		SeverityWarning, "A2A 1.0, 8.4.2",
	},
	{
		codeSignatureAmbiguous, "A signed card that can be read in two ways",
		"A key that comes twice, half a character or a number that is rounded is read differently by different readers, so that what was " +
			"verified need not be what is used. Mend the text and sign it again.",
		SeverityWarning, "RFC 8785, 3.1",
	},
	{
		codeSignatureHeaderKey, "A signature that brings its own key",
		"A key in the header (jwk, x5c), or one that it points to (jku, x5u), proves nothing: whoever forges a card puts their own there. It " +
			"is never used or fetched. Publish the key elsewhere.",
		SeverityWarning, "A2A 1.0, 8.4.3",
	},
	{
		codeSignatureKeyInvalid, "A signature by a key that is not valid",
		"The trusted key of this name is revoked, has expired or is not valid yet, and must not be used. Sign again by the key that replaced " +
			"it.",
		SeverityWarning, "A2A 1.0, 8.4.3",
	},
	{
		codeSignatureMalformed, "No signature that A2A admits",
		"The entry is no JWS with a protected header that holds alg and kid, all in base64url without padding. Sign again.",
		SeverityWarning, "A2A 1.0, 8.4.2",
	},
	{
		codeSignatureMany, "More signatures than are verified",
		"Only the first signatures are verified. Leave out those by keys that are out of use.",
		SeverityWarning, "",
	},
	{
		codeSignaturePartial, "A signature over a part of the card",
		"The signature is right, and made over less than the card says: official libraries leave out fields that they do not know and what " +
			"is empty. Anybody on the way can change these. Sign the whole card.",
		SeverityWarning, "A2A 1.0, 8.4.1",
	},
	{
		codeSignatureType, "A signature without the type JOSE",
		"The protected header should have the typ \"JOSE\". Without a typ the official JavaScript library refuses the signature.",
		SeverityWarning, "A2A 1.0, 8.4.2",
	},
	{
		codeSignatureUnknownKey, "No signature by a trusted key",
		"The card is signed, by keys that are not among the trusted ones, so nothing is known of who signed it. Get the publisher's key by " +
			"another way than the card, and trust it.",
		SeverityWarning, "A2A 1.0, 8.4.3",
	},
	{
		codeSignatureWrong, "A signature that does not hold",
		"The signature names a trusted key and was not made by it over this card: the card was changed afterwards, or somebody forged it.",
		SeverityWarning, "A2A 1.0, 8.4.3",
	},
	{
		codeSkillDuplicate, "Two skills with one id",
		"A skill is named by its id. Of two with the same, programs find one.",
		SeverityWarning, "A2A, AgentSkill.id",
	},
	{
		codeTransportConflict, "One URL with contradicting transports",
		"url and preferredTransport say another transport than the entry of that URL in additionalInterfaces.",
		SeverityWarning, "A2A 0.3.0, 5.6.4",
	},
	{
		codeTransportMissing, "No preferredTransport",
		"The text of 0.3.0 demands preferredTransport; its schema takes JSONRPC when it is missing. Say it.",
		SeverityWarning, "A2A 0.3.0, 5.6.1",
	},
	{
		codeTransportUnknown, "An unknown transport",
		"Clients choose an interface by its transport, spelled exactly JSONRPC, GRPC or HTTP+JSON. A binding of one's own is named by a URI.",
		SeverityWarning, "A2A 1.0, 5.8; A2A 0.3.0, 5.6.1",
	},
	{
		codeUnknownField, "An unknown field",
		"No version of A2A has this field. It is legal, and nobody reads it; the message says what may have been meant.",
		SeverityWarning, "A2A 1.0, 5.7",
	},
	{
		codeURLCredentials, "Credentials in a URL",
		"The URL holds a user name or password. Cards are public: take it out, and have it changed.",
		SeverityWarning, "RFC 3986, 3.2.1",
	},
	{
		codeURLInsecure, "An unencrypted URL",
		"Agents are called, and tokens are had, over TLS alone, outside of one's own machine.",
		SeverityWarning, "A2A 1.0, 7.1; A2A 0.3.0, 4.1",
	},
	{
		codeURLInvalid, "Not an absolute URL",
		"The URL has no scheme or host, or cannot be read. Clients do not know to what it is relative.",
		SeverityWarning, "A2A, AgentInterface.url",
	},
	{
		codeURLLocal, "A host that others do not reach",
		"The host is this machine, a private address or a name of one network alone. This machine costs no points: a card can be complete before " +
			"its agent is published.",
		SeverityWarning, "",
	},
	{
		codeURLScheme, "Another scheme than https",
		"Clients call agents and follow links over https.",
		SeverityWarning, "A2A 1.0, 7.1; A2A 0.3.0, 3.1",
	},
	{
		codeURLTemplate, "A URL that was never filled in",
		"A part of the URL stands for what its author was to write there.",
		SeverityWarning, "",
	},
	{
		codeVersionDiffers, "Held to another version than declared",
		"The card was held to the version that was asked for, not to the one that it declares.",
		SeverityWarning, "",
	},
	{
		codeVersionHeld, "Held to a neighbouring version",
		"No schema of A2A has exactly the declared version, and the nearest one was applied. Declare that.",
		SeverityWarning, "",
	},
	{
		codeWrongCase, "A field in another spelling",
		"Field names have case, and are camelCase. In this spelling the field is not read.",
		SeverityWarning, "A2A 1.0, 5.5",
	},
}
