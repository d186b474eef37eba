package card

// SignatureState is what came of a signature.
type SignatureState string

// The states of signatures.
const (
	SignatureTrusted   SignatureState = "trusted"   // made over this card by one of Options.Keys
	SignatureUnknown   SignatureState = "unknown"   // well-formed, by a key that Options.Keys does not have, or over the fields of another version
	SignatureWrong     SignatureState = "wrong"     // by the name of a trusted key, and not over this card, or by a key that was not valid
	SignatureMalformed SignatureState = "malformed" // no JWS that A2A admits
)

// SignatureForm is what of a card was signed. The specification of 1.0 has one form (8.4.1), that of 0.3.0 none; libraries have their own, and a
// signature says nowhere which it was made over. So each that covers the fields of the card's version is tried.
type SignatureForm string

// The forms. All leave out the card's signatures.
const (
	// FormSpecification is that of 1.0, 8.4.1: fields of 1.0 that have their default value are left out unless they are required or optional by
	// its proto; everything else stays, fields that 1.0 does not know among it.
	FormSpecification SignatureForm = "specification"
	// FormVerbatim leaves nothing out. It is what Sign takes of cards before 1.0 that are not of 1.0 as well.
	FormVerbatim SignatureForm = "verbatim"
	// FormSchema is FormSpecification of the fields of 1.0 alone, as a signer makes it that has read the card into the proto's messages.
	FormSchema SignatureForm = "schema"
	// FormSDK is that of the official libraries for 1.0 (@a2a-js/sdk and a2a-sdk 1.x): FormSchema without texts, lists and objects that are
	// empty, required ones too.
	FormSDK SignatureForm = "sdk"
	// FormSDK03 is that of the official library for 0.3 (a2a-sdk 0.3): the fields of 0.3 alone, without what is empty and what has the default
	// that its classes give it, sorted and written as Python does, all but ASCII escaped.
	FormSDK03 SignatureForm = "sdk03"
)

// MaxSignatures is how many signatures of a card are verified; those beyond it are unknown.
const MaxSignatures = 16

// maxUncovered is how many places SignatureVerdict.Uncovered names.
const maxUncovered = 100

// SignatureVerdict is what came of one entry of a card's signatures.
type SignatureVerdict struct {
	Index     int // in signatures
	State     SignatureState
	KeyID     string        // kid of the protected header, before 1.0 else that of the header; "" when there is none
	Algorithm string        // alg of the protected header
	Reason    string        // why it is not trusted; "" otherwise
	Form      SignatureForm // what was signed, of a trusted one; "" otherwise
	// Uncovered are the paths, as in Finding.Path, of what the card says and a trusted signature says nothing about: anybody on the way can change
	// it. At most 100 are named.
	Uncovered []string
}

// The codes of the findings about signatures. All are warnings: no schema says more of a signature than that it has two texts, which structure
// looks at.
const (
	codeSignatureMalformed  = "signature_malformed"   // no JWS that A2A admits
	codeSignatureAlgorithm  = "signature_algorithm"   // an algorithm that is not accepted
	codeSignatureType       = "signature_type"        // typ is not JOSE
	codeSignatureHeaderKey  = "signature_header_key"  // the header brings or points to the key
	codeSignatureWrong      = "signature_wrong"       // by a trusted key's name, and not over this card
	codeSignatureKeyInvalid = "signature_key_invalid" // by a trusted key that is expired, not valid yet, or revoked
	codeSignatureUnknownKey = "signature_unknown_key" // none of the card's signatures is by a trusted key
	codeSignatureAmbiguous  = "signature_ambiguous"   // the card can be read in two ways, so nothing can be verified
	codeSignaturePartial    = "signature_partial"     // no trusted signature covers all that the card says
	codeSignatureMany       = "signature_many"        // more signatures than are verified
)
