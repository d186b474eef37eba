package card

import "slices"

// Severity is how bad a kind of finding is.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // the specification of the card's version forbids it: the card is invalid
	SeverityWarning Severity = "warning" // only prose asks for something else, or it will hurt; the card is valid
)

// Code is a kind of finding.
type Code struct {
	Code     string // as in Finding.Code: "media_type"
	Title    string // what it is, in a few words
	Text     string // why it matters and how to mend it, sentences
	Severity Severity
	Source   string // where the rule is written; "" is a habit that no document asks for
}

// Codes returns every kind of finding, errors first, each by the order of the alphabet. The slice is the caller's.
func Codes() []Code { return slices.Clone(codes) }

// Explain returns the kind of finding that is called code, false when there is none.
func Explain(code string) (Code, bool) {
	if i := slices.IndexFunc(codes, func(c Code) bool { return c.Code == code }); i >= 0 {
		return codes[i], true
	}
	return Code{}, false
}
