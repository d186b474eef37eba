package native

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/adapters/http/internal/otlp"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/span"
	"github.com/bureau-agents/bureau/ports/fault"
)

// The errors of OTLP's own.
var (
	errMediaType = fault.New(fault.Invalid, "otlp_media_type", "send application/x-protobuf or application/json, as it is or with Content-Encoding: gzip")
	errNoMetrics = fault.New(fault.NotFound, "otlp_no_metrics", "metrics are not taken here; send traces and logs, and set OTEL_METRICS_EXPORTER=none")
)

// rpcStatus is google.rpc.Status in JSON.
type rpcStatus struct {
	Code    int    `json:"code" doc:"As google.rpc.Code has them."`
	Message string `json:"message" doc:"For people."`
}

// otlpAnswerWire is ExportTraceServiceResponse, or ExportLogsServiceResponse, in JSON.
type otlpAnswerWire struct {
	PartialSuccess *otlpPartialWire `json:"partialSuccess,omitempty" doc:"Left out when everything was taken."`
}

type otlpPartialWire struct {
	RejectedSpans      *string `json:"rejectedSpans,omitempty" doc:"How many spans were not taken: a number, as a text."`
	RejectedLogRecords *string `json:"rejectedLogRecords,omitempty" doc:"How many log records were not taken: a number, as a text."`
	ErrorMessage       string  `json:"errorMessage" doc:"Why, each reason once."`
}

const otlpHelp = "The OTLP/HTTP endpoint of OpenTelemetry exporters, in protobuf or JSON, gzip or not: set `OTEL_EXPORTER_OTLP_ENDPOINT` to this " +
	"server's address with `/v1/otlp` behind it, and `OTEL_EXPORTER_OTLP_HEADERS` to `x-api-key=...`. An agent that is instrumented needs no " +
	"other client.\n\nThe agent is the one that `gen_ai.agent.id` or `gen_ai.agent.name` names, or `service.name`. A name that no agent has is " +
	"registered when the key has the scope `agents:write`; otherwise what bears it is rejected, and `partialSuccess` says so. What was taken " +
	"before is not taken again. At most 16 MiB and 10,000 spans or records come at once, none older than 30 days.\n\nErrors are " +
	"`google.rpc.Status`, in the encoding of the request."

const otlpTraceHelp = "\n\nEach span becomes an event, of the type `gen_ai.operation.name` or the span's name, with `trace_id` and, as " +
	"`parent_event_id`, the event of the span around it. A span of `chat`, `text_completion`, `generate_content` or `embeddings` with " +
	"`gen_ai.usage` attributes is also counted and priced as usage, once; `input_tokens` includes cached tokens. Spans of agents and tools " +
	"repeat what is in them, and are not."

const otlpLogHelp = "\n\nEach record becomes an event, of the type `event.name` or `log`, and a part of its span's event. Records bear no usage."

func (f *face) registerOTLP() {
	exports(f, "exportTraces", "/v1/otlp/v1/traces", "Take spans from an OpenTelemetry exporter", otlpHelp+otlpTraceHelp, otlp.RejectedSpans,
		otlp.Traces, f.deps.Spans.Spans)
	exports(f, "exportLogs", "/v1/otlp/v1/logs", "Take log records from an OpenTelemetry exporter", otlpHelp+otlpLogHelp, otlp.RejectedRecords,
		otlp.Logs, f.deps.Spans.Records)

	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "exportMetrics", Method: http.MethodPost, Path: "/v1/otlp/v1/metrics", Tag: "telemetry", Upload: otlp.Protobuf.ContentType(),
		Summary: "Refuse metrics from an OpenTelemetry exporter", Permission: account.TelemetryWrite, Fail: failOTLP, FailAs: reflect.TypeFor[rpcStatus](),
		MaxBody: otlp.MaxBody, Hidden: true, Description: "Metrics are not taken: always 404, so that an exporter says so. Tokens and costs come from spans.",
	}, func(context.Context, *struct{}) (httpx.Stream, error) { return nil, errNoMetrics })
}

// exports registers the endpoint of one signal.
func exports[T any](
	f *face, name, path, summary, help, rejected string, decode func(otlp.Encoding, []byte) ([]T, error),
	store func(context.Context, account.Scope, []T) (span.Result, error),
) {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: name, Method: http.MethodPost, Path: path, Tag: "telemetry", Summary: summary, Description: help, Permission: account.TelemetryWrite,
		Upload: otlp.Protobuf.ContentType(), MaxBody: otlp.MaxBody, Produces: otlp.Protobuf.ContentType(), Fail: failOTLP,
		FailAs: reflect.TypeFor[rpcStatus](), Alternative: reflect.TypeFor[otlpAnswerWire](), Statuses: []int{http.StatusUnsupportedMediaType},
	}, func(ctx context.Context, _ *struct{}) (httpx.Stream, error) {
		r := httpx.Request(ctx)
		encoding, ok := encodingOf(r)
		if !ok {
			return nil, errMediaType
		}
		body, err := otlpBody(ctx, r)
		if err != nil {
			return nil, err
		}
		items, err := decode(encoding, body)
		if err != nil {
			return nil, err
		}
		result, err := store(ctx, httpx.Scope(ctx), items)
		if err != nil {
			return nil, err
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", encoding.ContentType())
			_, _ = w.Write(otlp.Answer(encoding, rejected, result)) // the caller went away; there is nobody to tell
		}, nil
	})
}

// encodingOf says in which encoding a request is, and its answer has to be.
func encodingOf(r *http.Request) (e otlp.Encoding, ok bool) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && media == otlp.JSON.ContentType():
		return otlp.JSON, true
	case err == nil && media == otlp.Protobuf.ContentType():
		return otlp.Protobuf, true
	}
	return otlp.JSON, false
}

// otlpBody reads and decompresses a body of at most otlp.MaxBody bytes.
func otlpBody(ctx context.Context, r *http.Request) ([]byte, error) {
	in := httpx.Body(ctx)
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case "", "identity":
		return io.ReadAll(in)
	case "gzip":
	default:
		return nil, errMediaType
	}
	unzip, err := gzip.NewReader(in)
	if err != nil {
		return nil, broken(err)
	}
	body, err := io.ReadAll(io.LimitReader(unzip, otlp.MaxBody+1))
	if err != nil {
		return nil, broken(err)
	}
	if len(body) > otlp.MaxBody {
		return nil, otlp.ErrTooLarge
	}
	return body, nil
}

// broken keeps what is known of an error, such as that the body is too long or too slow; the rest is gzip's.
func broken(err error) error {
	if _, ok := fault.As(err); ok {
		return err
	}
	return otlp.ErrMalformed.Withf("the body is not gzip, although Content-Encoding says so").Wrap(err)
}

// failOTLP writes an error as exporters expect it. They send again after 429, 502, 503 and 504, and after nothing else; what fails here by no fault
// of theirs they are to send again, since nothing is taken twice.
func failOTLP(w http.ResponseWriter, r *http.Request, status int, e *fault.Error) {
	switch {
	case errors.Is(e, errMediaType):
		status = http.StatusUnsupportedMediaType
	case e.Kind == fault.Internal || e.Kind == fault.Conflict:
		e = &fault.Error{Kind: fault.Unavailable, Code: e.Code, Message: e.Message}
		status = http.StatusServiceUnavailable
	}
	h := w.Header()
	if status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "1")
	}
	encoding, _ := encodingOf(r)
	h.Set("Content-Type", encoding.ContentType())
	w.WriteHeader(status)
	_, _ = w.Write(otlp.Status(encoding, e)) // the caller went away; there is nobody to tell
}
