package validation

import (
	"time"

	"github.com/bureau-agents/bureau/core/card"
	"github.com/bureau-agents/bureau/ports/id"
)

// Bounds of what a report keeps.
const (
	MaxKept          = 1 << 20  // bytes of a tenant's card; of a longer one no text is kept
	MaxKeptAnonymous = 64 << 10 // the same of a caller without a key
	MaxKeptFindings  = 200      // errors, and as many warnings and suggestions; the counts say how many there were
	maxKeptText      = 1000     // characters of a message, a path or a name
)

// Report is what one validation found. Secrets in it are masked.
type Report struct {
	ID     id.CardReport
	Tenant id.Tenant    // zero: the caller had no key
	Card   id.AgentCard // which card of the tenant it is; zero without a tenant
	Batch  id.CardBatch // zero outside of a batch
	Label  string       // what the caller called it in the batch; ""

	// Result is what was found. Errors, Warnings and Suggestions have MaxKeptFindings entries at most.
	Result                   card.Result
	ErrorCount, WarningCount int    // how many were found
	Text                     string // the card; "" when it was too long to be kept
	Size                     int    // of the card, in bytes
	Digest                   string // SHA-256 of the card as it was sent, in hexadecimal
	Masked                   int    // secrets in the card that Text does not show
	CreatedAt                time.Time
}

// Card is an agent card that a tenant has had judged, with the newest of its reports.
type Card struct {
	ID      id.AgentCard
	Tenant  id.Tenant
	Name    string // as the newest report has it
	URL     string
	Version card.Version
	Valid   bool
	Score   int // 0 to 100
	// ErrorCount and WarningCount are those of the newest report.
	ErrorCount, WarningCount int
	Newest                   id.CardReport
	NewestAt                 time.Time
	FirstAt                  time.Time // when the card was judged first, as far as that is kept
	Reports                  int       // that are kept
	Trend                    []Point   // of the newest MaxTrend reports, the oldest first; only in lists and by Get
}

// MaxTrend is how many points a Trend has at most.
const MaxTrend = 10

// Point is the verdict of one report in the trend of a card.
type Point struct {
	Valid bool
	Score int
	At    time.Time
}
