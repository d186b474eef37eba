package otlp

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/ports/fault"
)

// Limits of one request.
const (
	MaxBody     = 16 << 20 // bytes, after decompression
	maxElements = 250_000  // messages within the request: spans, attributes, values
	maxDepth    = 64       // of values in each other
)

// The errors of this package; all of them mean that sending it again is of no use.
var (
	ErrMalformed = fault.New(fault.Invalid, "otlp_malformed", "the body is not an OTLP request")
	ErrTooLarge  = fault.New(fault.TooLarge, "otlp_too_large", "the request has more than 16 MiB, or more than 250000 elements")
)

func malformed(format string, args ...any) error {
	return ErrMalformed.Withf("the body is not an OTLP request: "+format, args...)
}

// Encoding is how messages are written.
type Encoding uint8

// The encodings.
const (
	Protobuf Encoding = iota
	JSON
)

// ContentType returns the media type of an encoding.
func (e Encoding) ContentType() string {
	if e == JSON {
		return "application/json"
	}
	return "application/x-protobuf"
}

// Traces reads an ExportTraceServiceRequest: ErrMalformed, ErrTooLarge, or span.ErrTooMany.
func Traces(e Encoding, body []byte) ([]span.Span, error) {
	if len(body) > MaxBody {
		return nil, ErrTooLarge
	}
	if e == JSON {
		return jsonTraces(body)
	}
	var d decoder
	err := d.traces(body)
	return d.spans, err
}

// Logs reads an ExportLogsServiceRequest; errors as Traces.
func Logs(e Encoding, body []byte) ([]span.Record, error) {
	if len(body) > MaxBody {
		return nil, ErrTooLarge
	}
	if e == JSON {
		return jsonLogs(body)
	}
	var d decoder
	err := d.logs(body)
	return d.records, err
}

// Answer writes the ExportTraceServiceResponse or ExportLogsServiceResponse, which differ in one name: rejected is "rejectedSpans" or
// "rejectedLogRecords".
func Answer(e Encoding, rejected string, r span.Result) []byte {
	if e == JSON {
		if r == (span.Result{}) {
			return []byte("{}")
		}
		return fmt.Appendf(nil, `{"partialSuccess":{%q:"%d","errorMessage":%s}}`, rejected, r.Rejected, quote(r.Message))
	}
	if r == (span.Result{}) {
		return nil
	}
	var p []byte
	if r.Rejected > 0 {
		p = protowire.AppendVarint(protowire.AppendTag(p, 1, protowire.VarintType), uint64(r.Rejected))
	}
	p = protowire.AppendString(protowire.AppendTag(p, 2, protowire.BytesType), r.Message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), p)
}

// The names of what was rejected, for Answer.
const (
	RejectedSpans   = "rejectedSpans"
	RejectedRecords = "rejectedLogRecords"
)

// codes are those of google.rpc.Code.
var codes = map[fault.Kind]int{
	fault.Internal: 13, fault.Invalid: 3, fault.Unauthenticated: 16, fault.PaymentRequired: 9, fault.Forbidden: 7, fault.NotFound: 5,
	fault.Conflict: 10, fault.TooLarge: 3, fault.RateLimited: 8, fault.Timeout: 4, fault.Unavailable: 14, fault.Unsupported: 12,
}

// Status writes a google.rpc.Status.
func Status(e Encoding, err *fault.Error) []byte {
	code := codes[err.Kind]
	if e == JSON {
		return fmt.Appendf(nil, `{"code":%d,"message":%s}`, code, quote(err.Message))
	}
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), err.Message)
}

// kinds are the names of SpanKind, by number.
var kinds = []string{"", "internal", "server", "client", "producer", "consumer"}

func kindOf(n int64) string {
	if n < 0 || n >= int64(len(kinds)) {
		return ""
	}
	return kinds[n]
}

// statusOf is StatusCode.
func statusOf(n int64) span.Status {
	switch n {
	case 1:
		return span.StatusOK
	case 2:
		return span.StatusError
	}
	return span.StatusUnset
}

// timeOf reads nanoseconds since 1970; 0 was not said.
func timeOf(nanos uint64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(int64(nanos/1e9), int64(nanos%1e9)).UTC()
}

// number is a float that JSON can write; NaN and the infinities are texts.
func number(f float64) any {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return f
}
