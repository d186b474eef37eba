package otlp

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	collectorlogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collectortrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/ports/fault"
)

func text(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func kv(key string, v *common.AnyValue) *common.KeyValue { return &common.KeyValue{Key: key, Value: v} }

// everything has a value of each type.
var everything = []*common.KeyValue{
	kv("text", text("tëxt")),
	kv("yes", &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: true}}),
	kv("int", &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: math.MinInt64}}),
	kv("float", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: 0.25}}),
	kv("nan", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: math.NaN()}}),
	kv("inf", &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: math.Inf(-1)}}),
	kv("bytes", &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{1, 2, 255}}}),
	kv("list", &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{text("a"), {}}}}}),
	kv("map", &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{Values: []*common.KeyValue{kv("k", text("v"))}}}}),
	kv("none", nil),
}

var everythingRead = span.Attributes{
	"text": "tëxt", "yes": true, "int": int64(math.MinInt64), "float": 0.25, "nan": "NaN", "inf": "-Inf", "bytes": "AQL/", "list": []any{"a", nil},
	"map": map[string]any{"k": "v"}, "none": nil,
}

const everythingJSON = `[{"key":"text","value":{"stringValue":"tëxt"}},{"key":"yes","value":{"boolValue":true}},
	{"key":"int","value":{"intValue":"-9223372036854775808"}},{"key":"float","value":{"doubleValue":0.25}},{"key":"nan","value":{"doubleValue":"NaN"}},
	{"key":"inf","value":{"doubleValue":"-Infinity"}},{"key":"bytes","value":{"bytesValue":"AQL/"}},
	{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"a"},{}]}}},
	{"key":"map","value":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}},{"key":"none"}]`

var (
	traceID = bytes.Repeat([]byte{0xab}, 16)
	spanID  = bytes.Repeat([]byte{0xcd}, 8)
	at      = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)
	nanos   = uint64(at.UnixNano())
)

var wantOrigin = &span.Origin{Resource: span.Attributes{"service.name": "shop"}, Scope: "lib", ScopeVersion: "1"}

func wantSpan() span.Span {
	return span.Span{
		Origin: wantOrigin, TraceID: strings.Repeat("ab", 16), SpanID: strings.Repeat("cd", 8), ParentID: strings.Repeat("cd", 8), Name: "chat", Kind: "client",
		Start: at, End: at.Add(time.Second), Attributes: everythingRead,
		Moments: []span.Moment{{Name: "exception", At: at, Attributes: everythingRead}},
		Links:   []span.Link{{TraceID: strings.Repeat("ab", 16), SpanID: strings.Repeat("cd", 8), Attributes: everythingRead}},
		Status:  span.StatusError, StatusMessage: "bad",
	}
}

func wantRecord() span.Record {
	return span.Record{
		Origin: wantOrigin, At: at, Observed: at, Severity: 17, SeverityText: "ERROR", Name: "gen_ai.choice", Body: "hello", Attributes: everythingRead,
		TraceID: strings.Repeat("ab", 16), SpanID: strings.Repeat("cd", 8),
	}
}

func protoTraces() *collectortrace.ExportTraceServiceRequest {
	return &collectortrace.ExportTraceServiceRequest{ResourceSpans: []*tracev1.ResourceSpans{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{kv("service.name", text("shop"))}},
		ScopeSpans: []*tracev1.ScopeSpans{{
			Scope: &common.InstrumentationScope{Name: "lib", Version: "1"},
			Spans: []*tracev1.Span{{
				TraceId: traceID, SpanId: spanID, ParentSpanId: spanID, TraceState: "x=y", Flags: 1, Name: "chat", Kind: tracev1.Span_SPAN_KIND_CLIENT,
				StartTimeUnixNano: nanos, EndTimeUnixNano: nanos + 1e9, Attributes: everything, DroppedAttributesCount: 3,
				Events: []*tracev1.Span_Event{{TimeUnixNano: nanos, Name: "exception", Attributes: everything}},
				Links:  []*tracev1.Span_Link{{TraceId: traceID, SpanId: spanID, Attributes: everything}},
				Status: &tracev1.Status{Message: "bad", Code: tracev1.Status_STATUS_CODE_ERROR},
			}},
		}},
	}}}
}

func protoLogs() *collectorlogs.ExportLogsServiceRequest {
	return &collectorlogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{kv("service.name", text("shop"))}},
		ScopeLogs: []*logs.ScopeLogs{{
			Scope: &common.InstrumentationScope{Name: "lib", Version: "1"},
			LogRecords: []*logs.LogRecord{{
				TimeUnixNano: nanos, ObservedTimeUnixNano: nanos, SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_ERROR, SeverityText: "ERROR",
				EventName: "gen_ai.choice", Body: text("hello"), Attributes: everything, TraceId: traceID, SpanId: spanID, Flags: 1,
			}},
		}},
	}}}
}

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var jsonSpans = strings.NewReplacer("ATTRS", everythingJSON, "TRACE", strings.Repeat("AB", 16), "SPAN", strings.Repeat("cd", 8)).Replace(`
	{"unknown":{"a":[1,{}]},"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}],"droppedAttributesCount":0},
	"scopeSpans":[{"scope":{"name":"lib","version":"1"},"spans":[{"traceId":"TRACE","spanId":"SPAN","parentSpanId":"SPAN","flags":257,"traceState":"",
	"name":"chat","kind":3,"startTimeUnixNano":"1795348800123456789","endTimeUnixNano":1795348801123456789,"attributes":ATTRS,
	"events":[{"timeUnixNano":"1795348800123456789","name":"exception","attributes":ATTRS}],
	"links":[{"traceId":"TRACE","spanId":"SPAN","attributes":ATTRS}],"status":{"code":2,"message":"bad"}}]}]}]}`)

var jsonRecords = strings.NewReplacer("ATTRS", everythingJSON, "TRACE", strings.Repeat("ab", 16), "SPAN", strings.Repeat("cd", 8)).Replace(`
	{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"scope":{"name":"lib","version":"1"},
	"logRecords":[{"timeUnixNano":"1795348800123456789","observedTimeUnixNano":"1795348800123456789","severityNumber":17,"severityText":"ERROR",
	"eventName":"gen_ai.choice","body":{"stringValue":"hello"},"attributes":ATTRS,"traceId":"TRACE","spanId":"SPAN"}]}]}]}`)

func TestBothEncodingsSayTheSame(t *testing.T) {
	t.Parallel()
	if got := uint64(1795348800123456789); got != nanos {
		t.Fatalf("the JSON of this test has another time: %d, not %d", got, nanos)
	}
	for e, body := range map[Encoding][]byte{Protobuf: wire(t, protoTraces()), JSON: []byte(jsonSpans)} {
		got, err := Traces(e, body)
		if want := []span.Span{wantSpan()}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", e.ContentType(), err, got, want)
		}
	}
	for e, body := range map[Encoding][]byte{Protobuf: wire(t, protoLogs()), JSON: []byte(jsonRecords)} {
		got, err := Logs(e, body)
		if want := []span.Record{wantRecord()}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", e.ContentType(), err, got, want)
		}
	}
}

func TestEmptyRequests(t *testing.T) {
	t.Parallel()
	for e, body := range map[Encoding]string{Protobuf: "", JSON: "{}"} {
		spans, err := Traces(e, []byte(body))
		records, err2 := Logs(e, []byte(body))
		if err != nil || err2 != nil || len(spans)+len(records) != 0 {
			t.Errorf("%s: %v %v %v %v", e.ContentType(), spans, records, err, err2)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	t.Parallel()
	body := wire(t, protoTraces())
	body = protowire.AppendBytes(protowire.AppendTag(body, 99, protowire.BytesType), []byte("news"))
	body = protowire.AppendFixed32(protowire.AppendTag(body, 1, protowire.Fixed32Type), 7) // of a known number and another type
	body = protowire.AppendTag(protowire.AppendTag(body, 5, protowire.StartGroupType), 5, protowire.EndGroupType)
	if got, err := Traces(Protobuf, body); err != nil || len(got) != 1 {
		t.Errorf("%v %v", got, err)
	}
}

func TestResourceMayComeLast(t *testing.T) {
	t.Parallel()
	req := protoTraces().ResourceSpans[0]
	spans := wire(t, &tracev1.ResourceSpans{ScopeSpans: req.ScopeSpans})
	late := append(spans, wire(t, &tracev1.ResourceSpans{Resource: req.Resource})...)
	body := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), late)
	got, err := Traces(Protobuf, body)
	if err != nil || len(got) != 1 || got[0].Origin.Resource["service.name"] != "shop" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	whole := wire(t, protoTraces())
	cases := map[string]struct {
		e    Encoding
		body string
		want error
	}{
		"cut off":          {Protobuf, string(whole[:len(whole)-3]), ErrMalformed},
		"not protobuf":     {Protobuf, `{"resourceSpans":[]}`, ErrMalformed},
		"bad UTF-8":        {Protobuf, string(bytes.Replace(whole, []byte("tëxt"), []byte("t\xff\xfext"), 1)), ErrMalformed},
		"deep":             {Protobuf, string(deepProto(100)), ErrMalformed},
		"not JSON":         {JSON, "nonsense", ErrMalformed},
		"empty JSON":       {JSON, "", ErrMalformed},
		"a list":           {JSON, "[]", ErrMalformed},
		"wrong type":       {JSON, `{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":7}]}]}]}`, ErrMalformed},
		"wrong number":     {JSON, `{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"soon"}]}]}]}`, ErrMalformed},
		"two values":       {JSON, `{}{}`, ErrMalformed},
		"deep JSON":        {JSON, deepJSON(100), ErrMalformed},
		"too long":         {JSON, strings.Repeat(" ", MaxBody+1), ErrTooLarge},
		"too many empties": {JSON, `{"resourceSpans":[` + strings.Repeat("{},", 600_000) + `{}]}`, ErrTooLarge},
		"too many attributes": {Protobuf, string(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType),
			protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), bytes.Repeat([]byte{0x0a, 0}, 300_000)))), ErrTooLarge},
		"too many spans": {Protobuf, string(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType),
			protowire.AppendBytes(protowire.AppendTag(nil, 2, protowire.BytesType), bytes.Repeat([]byte{0x12, 0}, span.MaxItems+1)))), span.ErrTooMany},
		"too many spans in JSON": {JSON, `{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Repeat("{},", span.MaxItems) + `{}]}]}]}`, span.ErrTooMany},
	}
	for name, tc := range cases {
		if got, err := Traces(tc.e, []byte(tc.body)); !errors.Is(err, tc.want) {
			t.Errorf("%s: %d spans, %v", name, len(got), err)
		}
	}
}

func deepProto(n int) []byte {
	v := text("bottom")
	for range n {
		v = &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{Values: []*common.AnyValue{v}}}}
	}
	req := protoTraces()
	req.ResourceSpans[0].Resource.Attributes = []*common.KeyValue{kv("deep", v)}
	b, err := proto.Marshal(req)
	if err != nil {
		panic(err)
	}
	return b
}

func deepJSON(n int) string {
	return `{"resourceSpans":[{"resource":{"attributes":[{"key":"deep","value":` + strings.Repeat(`{"arrayValue":{"values":[`, n) + `{}` +
		strings.Repeat(`]}}`, n) + `}]}}]}`
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	some := span.Result{Rejected: 3, Message: `no "agent"`}
	var traces collectortrace.ExportTraceServiceResponse
	if err := proto.Unmarshal(Answer(Protobuf, RejectedSpans, some), &traces); err != nil || traces.PartialSuccess.RejectedSpans != 3 ||
		traces.PartialSuccess.ErrorMessage != some.Message {
		t.Errorf("%v %v", &traces, err)
	}
	var records collectorlogs.ExportLogsServiceResponse
	if err := proto.Unmarshal(Answer(Protobuf, RejectedRecords, some), &records); err != nil || records.PartialSuccess.RejectedLogRecords != 3 {
		t.Errorf("%v %v", &records, err)
	}
	if got := string(Answer(JSON, RejectedSpans, some)); got != `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no \"agent\""}}` {
		t.Errorf("JSON: %s", got)
	}
	if p, j := Answer(Protobuf, RejectedSpans, span.Result{}), string(Answer(JSON, RejectedSpans, span.Result{})); len(p) != 0 || j != "{}" {
		t.Errorf("all taken: %x %s", p, j)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for kind, code := range map[fault.Kind]int32{fault.Invalid: 3, fault.Unauthenticated: 16, fault.RateLimited: 8, fault.Unavailable: 14, fault.Forbidden: 7} {
		e := fault.New(kind, "code", "what it is")
		var s struct {
			Code    int32
			Message string
		}
		if err := json.Unmarshal(Status(JSON, e), &s); err != nil || s.Code != code || s.Message != "what it is" {
			t.Errorf("%s: %+v %v", kind, s, err)
		}
		b := Status(Protobuf, e)
		if want := append([]byte{0x08, byte(code), 0x12, 10}, "what it is"...); !bytes.Equal(b, want) {
			t.Errorf("%s: %x, want %x", kind, b, want)
		}
	}
}

func FuzzTraces(f *testing.F) {
	f.Add(true, []byte(jsonSpans))
	f.Add(false, wire(f, protoTraces()))
	f.Add(false, deepProto(70))
	f.Fuzz(func(t *testing.T, isJSON bool, body []byte) {
		e := Protobuf
		if isJSON {
			e = JSON
		}
		spans, err := Traces(e, body)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
				t.Fatalf("%v", err)
			}
			return
		}
		// What was read can be written: values are of the types that they may be of.
		for _, s := range spans {
			if _, err := json.Marshal([]any{s.Attributes, s.Origin.Resource, s.Moments, s.Links}); err != nil {
				t.Fatal(err)
			}
		}
		var real collectortrace.ExportTraceServiceRequest
		if !isJSON && proto.Unmarshal(body, &real) == nil {
			n := 0
			for _, r := range real.ResourceSpans {
				for _, s := range r.ScopeSpans {
					n += len(s.Spans)
				}
			}
			if n != len(spans) {
				t.Fatalf("%d spans, the generated code reads %d", len(spans), n)
			}
		}
	})
}

func FuzzLogs(f *testing.F) {
	f.Add(true, []byte(jsonRecords))
	f.Add(false, wire(f, protoLogs()))
	f.Fuzz(func(t *testing.T, isJSON bool, body []byte) {
		e := Protobuf
		if isJSON {
			e = JSON
		}
		records, err := Logs(e, body)
		if k := fault.KindOf(err); err != nil && k != fault.Invalid && k != fault.TooLarge {
			t.Fatalf("%v", err)
		}
		for _, r := range records {
			if _, err := json.Marshal([]any{r.Attributes, r.Body}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
