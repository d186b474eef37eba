package card

// The codes of the findings of reading and of structure.
const (
	codeJSON           = "json"            // error: the text is no JSON
	codeTooLarge       = "too_large"       // error: longer than MaxSize, or more than MaxValues values
	codeTooDeep        = "too_deep"        // error: nested deeper than MaxDepth
	codeEncoding       = "encoding"        // error: the text is not UTF-8
	codeMore           = "more"            // error, warning: there are more findings than are told
	codeRequired       = "required"        // error: a required field is missing
	codeType           = "type"            // error: a value is of another kind than its field
	codeEmpty          = "empty"           // error: a required array of 1.0, or the declared version, is empty
	codeValue          = "value"           // error: a text is none of those that its field admits
	codeChoice         = "choice"          // error: not exactly one of the members of which there must be one
	codeVersionUnknown = "version_unknown" // error: the declared or the asked version is not known

	codeByteOrderMark  = "byte_order_mark" // warning: the text begins with a byte order mark
	codeDuplicateKey   = "duplicate_key"   // warning: a key comes more than once in an object
	codeLoneSurrogate  = "lone_surrogate"  // warning: half of a surrogate pair is escaped
	codeUnknownField   = "unknown_field"   // warning: a field that no version knows
	codeWrongCase      = "wrong_case"      // warning: a field that is known in another spelling
	codeLaterField     = "later_field"     // warning: a field that came with a later version
	codeVersionHeld    = "version_held"    // warning: no schema has the declared version, and another is applied
	codeVersionDiffers = "version_differs" // warning: Options.Version is not what the card declares
)
