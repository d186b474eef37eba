// Package extract is the port to what reads whole documents: it turns files of strangers into passages of text that stand for themselves.
package extract

import (
	"context"

	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of extractors.
var (
	// ErrFormat is returned for a document of a kind that the extractor does not read.
	ErrFormat = fault.New(fault.Unsupported, "document_format", "documents of this kind cannot be read")
	// ErrUnreadable is returned for a document that is damaged, locked by a password, or not what it says.
	ErrUnreadable = fault.New(fault.Invalid, "document_unreadable", "the document cannot be read")
	// ErrTooLarge is returned for a document with more text, or more work in it, than the extractor takes on.
	ErrTooLarge = fault.New(fault.TooLarge, "document_too_large", "the document is too large")
)

// The media types that every extractor reads. Parameters such as charset are allowed.
const (
	Text     = "text/plain"
	Markdown = "text/markdown"
	HTML     = "text/html"
	PDF      = "application/pdf"
)

// Extractor reads documents. Implementations are safe for concurrent use, and bound what time and memory a document can cost, whatever is
// in it.
type Extractor interface {
	// Extract returns the passages of a document, in its order: none when it has no text. What is in a passage stands nowhere else, but for
	// the headings that it stands under and the head of a table that was cut. ErrFormat, ErrUnreadable, ErrTooLarge.
	Extract(ctx context.Context, d Document) ([]Passage, error)
}

// Document is what is to be read.
type Document struct {
	// Name is its file name, which says what it is where MediaType does not.
	Name string
	// MediaType is what it is said to be; "" and application/octet-stream leave it to Name and to the content.
	MediaType string
	Data      []byte
	// Target is how many characters (Unicode code points) a passage should have, 0 is DefaultTarget; Most is what none exceeds, 0 is
	// DefaultMost. Passages are smaller where the document begins something else.
	Target, Most int
}

// The defaults of Document. Most is what a knowledge entry holds.
const (
	DefaultTarget = 1200
	DefaultMost   = 4000
)

// Passage is a piece of a document.
type Passage struct {
	Text     string   // not blank; Markdown where the document was Markdown or HTML
	Headings []string // that it stands under, outermost first
	Page     int      // of a PDF, from 1, where it begins; 0: the document has no pages
}
