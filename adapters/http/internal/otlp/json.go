package otlp

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/core/span"
)

// The messages in JSON, with the members that are read.
type (
	traceRequest struct {
		ResourceSpans []struct {
			Resource   resourceJSON `json:"resource"`
			ScopeSpans []struct {
				Scope scopeJSON  `json:"scope"`
				Spans []spanJSON `json:"spans"`
			} `json:"scopeSpans"`
		} `json:"resourceSpans"`
	}
	logsRequest struct {
		ResourceLogs []struct {
			Resource  resourceJSON `json:"resource"`
			ScopeLogs []struct {
				Scope      scopeJSON    `json:"scope"`
				LogRecords []recordJSON `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	resourceJSON struct {
		Attributes []keyValueJSON `json:"attributes"`
	}
	scopeJSON struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	spanJSON struct {
		TraceID    string         `json:"traceId"`
		SpanID     string         `json:"spanId"`
		ParentID   string         `json:"parentSpanId"`
		Name       string         `json:"name"`
		Kind       enumJSON       `json:"kind"`
		Start      nanosJSON      `json:"startTimeUnixNano"`
		End        nanosJSON      `json:"endTimeUnixNano"`
		Attributes []keyValueJSON `json:"attributes"`
		Events     []momentJSON   `json:"events"`
		Links      []linkJSON     `json:"links"`
		Status     struct {
			Message string   `json:"message"`
			Code    enumJSON `json:"code"`
		} `json:"status"`
	}
	momentJSON struct {
		At         nanosJSON      `json:"timeUnixNano"`
		Name       string         `json:"name"`
		Attributes []keyValueJSON `json:"attributes"`
	}
	linkJSON struct {
		TraceID    string         `json:"traceId"`
		SpanID     string         `json:"spanId"`
		Attributes []keyValueJSON `json:"attributes"`
	}
	recordJSON struct {
		At           nanosJSON      `json:"timeUnixNano"`
		Observed     nanosJSON      `json:"observedTimeUnixNano"`
		Severity     enumJSON       `json:"severityNumber"`
		SeverityText string         `json:"severityText"`
		Name         string         `json:"eventName"`
		Body         *valueJSON     `json:"body"`
		Attributes   []keyValueJSON `json:"attributes"`
		TraceID      string         `json:"traceId"`
		SpanID       string         `json:"spanId"`
	}
	keyValueJSON struct {
		Key   string     `json:"key"`
		Value *valueJSON `json:"value"`
	}
	valueJSON struct {
		String *string    `json:"stringValue"`
		Bool   *bool      `json:"boolValue"`
		Int    *intJSON   `json:"intValue"`
		Double *floatJSON `json:"doubleValue"`
		Array  *struct {
			Values []*valueJSON `json:"values"`
		} `json:"arrayValue"`
		Members *struct {
			Values []keyValueJSON `json:"values"`
		} `json:"kvlistValue"`
		Bytes *string `json:"bytesValue"`
	}
)

var errNumber = errors.New("a number is not of the type that belongs here")

// plain returns a number that is written as one or as a text; "" is null.
func plain(b []byte) string {
	s := strings.Trim(string(b), `"`)
	if s == "null" {
		return ""
	}
	return s
}

// intJSON is an int64.
type intJSON int64

// UnmarshalJSON implements json.Unmarshaler.
func (i *intJSON) UnmarshalJSON(b []byte) error {
	s := plain(b)
	if s == "" {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
			return errNumber
		}
		n = int64(f)
	}
	*i = intJSON(n)
	return nil
}

// nanosJSON is a fixed64.
type nanosJSON uint64

// UnmarshalJSON implements json.Unmarshaler.
func (i *nanosJSON) UnmarshalJSON(b []byte) error {
	s := plain(b)
	if s == "" {
		return nil
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != math.Trunc(f) || f < 0 || f >= 1<<63 {
			return errNumber
		}
		n = uint64(f)
	}
	*i = nanosJSON(n)
	return nil
}

// floatJSON is a double.
type floatJSON float64

// UnmarshalJSON implements json.Unmarshaler.
func (f *floatJSON) UnmarshalJSON(b []byte) error {
	s := plain(b)
	if s == "" {
		return nil
	}
	n, err := strconv.ParseFloat(s, 64) // which knows NaN, Infinity and -Infinity
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return errNumber
	}
	*f = floatJSON(n)
	return nil
}

// enumJSON is an enum: a number. Names, which OTLP does not allow and some exporters write, are understood where they matter.
type enumJSON int64

var enumNames = map[string]enumJSON{
	"SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3, "SPAN_KIND_PRODUCER": 4, "SPAN_KIND_CONSUMER": 5,
	"STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2,
	"SEVERITY_NUMBER_TRACE": 1, "SEVERITY_NUMBER_DEBUG": 5, "SEVERITY_NUMBER_INFO": 9, "SEVERITY_NUMBER_WARN": 13,
	"SEVERITY_NUMBER_ERROR": 17, "SEVERITY_NUMBER_FATAL": 21,
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *enumJSON) UnmarshalJSON(b []byte) error {
	if n, ok := enumNames[plain(b)]; ok {
		*e = n
		return nil
	}
	var n intJSON
	if n.UnmarshalJSON(b) == nil {
		*e = enumJSON(n)
	}
	return nil
}

// readJSON reads a message that has no more elements than are allowed.
func readJSON(body []byte, to any) error {
	if objects(body) > maxElements {
		return ErrTooLarge
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return malformed("it is not a JSON object")
	}
	if err := json.Unmarshal(body, to); err != nil {
		var syntax *json.SyntaxError
		var typ *json.UnmarshalTypeError
		switch {
		case errors.As(err, &syntax):
			return malformed("JSON is broken at byte %d", syntax.Offset)
		case errors.As(err, &typ):
			return malformed("%s: a JSON %s does not fit here", typ.Field, strings.Fields(typ.Value)[0])
		}
		return malformed("%s", err)
	}
	return nil
}

// objects counts the objects, the lists and what stands in lists, in a JSON text.
func objects(body []byte) (n int) {
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[', ',':
			n++
		case '"':
			for i++; i < len(body) && body[i] != '"'; i++ {
				if body[i] == '\\' {
					i++
				}
			}
		}
	}
	return n / 2 // an attribute is two objects and two members
}

func jsonTraces(body []byte) ([]span.Span, error) {
	var req traceRequest
	if err := readJSON(body, &req); err != nil {
		return nil, err
	}
	var spans []span.Span
	for _, r := range req.ResourceSpans {
		resource, err := attributes(r.Resource.Attributes)
		if err != nil {
			return nil, err
		}
		for _, s := range r.ScopeSpans {
			if len(spans)+len(s.Spans) > span.MaxItems {
				return nil, span.ErrTooMany
			}
			spans = slices.Grow(spans, len(s.Spans))
			o := &span.Origin{Resource: resource, Scope: s.Scope.Name, ScopeVersion: s.Scope.Version}
			for i := range s.Spans {
				one, err := s.Spans[i].read(o)
				if err != nil {
					return nil, err
				}
				spans = append(spans, one)
			}
		}
	}
	return spans, nil
}

func (s *spanJSON) read(o *span.Origin) (span.Span, error) {
	out := span.Span{
		Origin: o, TraceID: strings.ToLower(s.TraceID), SpanID: strings.ToLower(s.SpanID), ParentID: strings.ToLower(s.ParentID),
		Name: s.Name, Kind: kindOf(int64(s.Kind)), Start: timeOf(uint64(s.Start)), End: timeOf(uint64(s.End)),
		Status: statusOf(int64(s.Status.Code)), StatusMessage: s.Status.Message,
	}
	var err error
	if out.Attributes, err = attributes(s.Attributes); err != nil {
		return out, err
	}
	for _, e := range s.Events {
		m := span.Moment{Name: e.Name, At: timeOf(uint64(e.At))}
		if m.Attributes, err = attributes(e.Attributes); err != nil {
			return out, err
		}
		out.Moments = append(out.Moments, m)
	}
	for _, e := range s.Links {
		l := span.Link{TraceID: strings.ToLower(e.TraceID), SpanID: strings.ToLower(e.SpanID)}
		if l.Attributes, err = attributes(e.Attributes); err != nil {
			return out, err
		}
		out.Links = append(out.Links, l)
	}
	return out, nil
}

func jsonLogs(body []byte) ([]span.Record, error) {
	var req logsRequest
	if err := readJSON(body, &req); err != nil {
		return nil, err
	}
	var records []span.Record
	for _, r := range req.ResourceLogs {
		resource, err := attributes(r.Resource.Attributes)
		if err != nil {
			return nil, err
		}
		for _, s := range r.ScopeLogs {
			if len(records)+len(s.LogRecords) > span.MaxItems {
				return nil, span.ErrTooMany
			}
			records = slices.Grow(records, len(s.LogRecords))
			o := &span.Origin{Resource: resource, Scope: s.Scope.Name, ScopeVersion: s.Scope.Version}
			for i := range s.LogRecords {
				one, err := s.LogRecords[i].read(o)
				if err != nil {
					return nil, err
				}
				records = append(records, one)
			}
		}
	}
	return records, nil
}

func (r *recordJSON) read(o *span.Origin) (out span.Record, err error) {
	out = span.Record{
		Origin: o, At: timeOf(uint64(r.At)), Observed: timeOf(uint64(r.Observed)), Severity: severityOf(int64(r.Severity)),
		SeverityText: r.SeverityText, Name: r.Name, TraceID: strings.ToLower(r.TraceID), SpanID: strings.ToLower(r.SpanID),
	}
	if out.Attributes, err = attributes(r.Attributes); err != nil {
		return out, err
	}
	out.Body, err = r.Body.read(maxDepth)
	return out, err
}

func attributes(list []keyValueJSON) (span.Attributes, error) {
	if len(list) == 0 {
		return nil, nil
	}
	return members(list, maxDepth)
}

func members(list []keyValueJSON, depth int) (map[string]any, error) {
	out := make(map[string]any, len(list))
	for _, kv := range list {
		v, err := kv.Value.read(depth)
		if err != nil {
			return nil, err
		}
		out[kv.Key] = v
	}
	return out, nil
}

func (v *valueJSON) read(depth int) (any, error) {
	switch {
	case depth <= 0:
		return nil, malformed("values are nested more than %d deep", maxDepth)
	case v == nil:
		return nil, nil
	case v.String != nil:
		return *v.String, nil
	case v.Bool != nil:
		return *v.Bool, nil
	case v.Int != nil:
		return int64(*v.Int), nil
	case v.Double != nil:
		return number(float64(*v.Double)), nil
	case v.Bytes != nil:
		return *v.Bytes, nil
	case v.Array != nil:
		list := make([]any, len(v.Array.Values))
		for i, e := range v.Array.Values {
			var err error
			if list[i], err = e.read(depth - 1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case v.Members != nil:
		return members(v.Members.Values, depth-1)
	}
	return nil, nil
}

// quote writes a text as JSON.
func quote(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a text always marshals
		return []byte(`""`)
	}
	return b
}
