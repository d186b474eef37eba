package card

import "time"

// MaxSize is how long a card may be, in bytes; a longer one is an error of the code "too_large" and is not read.
const MaxSize = 8 << 20

// MaxDepth is how deep arrays and objects may be nested; what is deeper is an error of the code "too_deep", and nothing else is said then.
const MaxDepth = 128

// MaxFindings is how many errors, and how many warnings, are told; a last one says how many there are beyond it.
const MaxFindings = 1000

// MaxPlace is how long the path and the pointer of a finding are at most, in bytes; what lies behind longer keys is told at the nearest array or
// object around it. Otherwise one long key would be told a thousand times.
const MaxPlace = 1000

// Version is a version of the A2A protocol, as its tag spells it without the v: "0.2.0" to "0.2.6", "0.3.0", "1.0".
type Version string

// The versions whose cards are known.
const (
	V020 Version = "0.2.0"
	V021 Version = "0.2.1"
	V022 Version = "0.2.2"
	V023 Version = "0.2.3"
	V024 Version = "0.2.4"
	V025 Version = "0.2.5"
	V026 Version = "0.2.6"
	V030 Version = "0.3.0"
	V10  Version = "1.0"
)

// Basis says why a card was held to a version.
type Basis string

// The bases, in the order in which they are looked at.
const (
	BasisOption     Basis = "option"     // Options.Version named it
	BasisDeclared   Basis = "declared"   // the card did, by protocolVersion or by that of its first interface
	BasisInterfaces Basis = "interfaces" // the card has supportedInterfaces, which came with 1.0
	BasisDefault    Basis = "default"    // nothing did: 0.3.0, as for a request without the header A2A-Version
)

// Options change what Validate does. The zero value is a good one.
type Options struct {
	// Version is what the card is held to, whatever it declares; "" chooses by the card. One that ParseVersion does not know is an error of the
	// code "version_unknown".
	Version Version
	// Keys are trusted to have signed cards; nil: signatures are looked at, but not verified.
	Keys *Keys
	// Now is when keys must be valid; the zero time does not look at their validity.
	Now time.Time
}

// Finding is one thing that is wrong with a card, or that will hurt.
type Finding struct {
	Code    string // what kind of finding it is, of Codes: "required", "type", "security_unknown_scheme"
	Path    string // where it is, dotted with indexes: "skills[0].tags"; "" is the card itself
	Pointer string // where it is, as a JSON Pointer (RFC 6901): "/skills/0/tags"
	Message string // what is wrong and how to mend it, a sentence
	Source  string // the rule's source: "A2A 1.0, 5.7"; "" is a habit that no document forbids
	// Offset, Line and Column say where in the text it is, or, of something that is missing, where the object is that lacks it. Offset counts bytes
	// from 0, Line from 1, Column characters from 1.
	Offset, Line, Column int
}

// Suggestion is something that would make a card better.
type Suggestion struct {
	Type    string // "improvement"
	Field   string // where, as in Finding.Path
	Pointer string
	Text    string // what to do, a sentence
	Worth   int    // what it would add to Score, in points; suggestions are told in the order of it
}

// Mark is one line of a score: how much of one criterion's weight the card was given.
type Mark struct {
	Criterion string // its name in Weights: "description"
	Points    int    // 0 to Weight
	Weight    int
	Reason    string // why it is less than Weight; "" otherwise
}

// Result is what Validate finds.
type Result struct {
	Valid       bool // there is no error
	Version     Version
	Basis       Basis
	Errors      []Finding // in the order of the text
	Warnings    []Finding // in the order of the text
	Score       int       // 0 to 100: the sum of the marks' points
	Marks       []Mark    // in the order of Weights
	Suggestions []Suggestion
	Signatures  []SignatureVerdict
	// Name and URL are the card's name and where its agent is reached first; "" where the card does not say that in the right place.
	Name, URL string
}
