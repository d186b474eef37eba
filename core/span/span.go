package span

import "time"

// Limits of one export. What has more is refused as a whole.
const (
	MaxItems = 10_000 // spans or log records
)

// Attributes are values by name: strings, bools, int64s, finite float64s, nil, []any and map[string]any of the same.
type Attributes = map[string]any

// Origin is who reports: a process, and the library in it that instruments.
type Origin struct {
	Resource     Attributes
	Scope        string
	ScopeVersion string
}

// Status is how a span ended.
type Status string

// The statuses.
const (
	StatusUnset Status = "unset"
	StatusOK    Status = "ok"
	StatusError Status = "error"
)

// Span is one operation, as it was reported. Ids are of lower-case hexadecimal digits.
type Span struct {
	Origin        *Origin
	TraceID       string // 32 digits
	SpanID        string // 16 digits
	ParentID      string // 16 digits, "" is none
	Name          string
	Kind          string    // "internal", "server", "client", "producer", "consumer"; "" was not said
	Start         time.Time // zero was not said; so is End
	End           time.Time
	Attributes    Attributes
	Moments       []Moment
	Links         []Link
	Status        Status
	StatusMessage string
}

// Moment is an event of a span, as OpenTelemetry calls what happened at one time in it.
type Moment struct {
	Name       string
	At         time.Time
	Attributes Attributes
}

// Link is another span that has to do with one.
type Link struct {
	TraceID    string
	SpanID     string
	Attributes Attributes
}

// Record is one log record, as it was reported.
type Record struct {
	Origin       *Origin
	At           time.Time // when it happened; zero was not said
	Observed     time.Time // when it was noticed; zero was not said
	Severity     int       // 1 to 24, as OpenTelemetry's SeverityNumber; 0 was not said
	SeverityText string
	Name         string // of the event, "" for a plain log record
	Body         any    // as a value of Attributes
	Attributes   Attributes
	TraceID      string // as of a Span, "" for none
	SpanID       string
}

// Result says what became of an export. What was stored before counts as accepted.
type Result struct {
	Rejected int
	Message  string // why, for a developer; "" when nothing was rejected
}
