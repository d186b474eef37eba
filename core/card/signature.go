package card

// SignatureState is what came of a signature.
type SignatureState string

// The states of signatures.
const (
	SignatureTrusted   SignatureState = "trusted"   // made over this card by one of Options.Keys
	SignatureUnknown   SignatureState = "unknown"   // well-formed, by a key that Options.Keys does not have
	SignatureWrong     SignatureState = "wrong"     // by the name of a trusted key, and not over this card, or by a key that was not valid
	SignatureMalformed SignatureState = "malformed" // no JWS that A2A admits
)

// SignatureVerdict is what came of one entry of a card's signatures.
type SignatureVerdict struct {
	Index     int // in signatures
	State     SignatureState
	KeyID     string // kid of the protected header; "" when there is none
	Algorithm string // alg of the protected header
	Reason    string // why it is not trusted; "" otherwise
}

// Keys are public keys that are trusted to sign cards. It is immutable, and so safe for concurrent use.
type Keys struct{}
