package app_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/app/apptest"
)

// agentEvent is what the tests read of an event.
type agentEvent struct {
	ID      string
	Agent   string `json:"agent_id"`
	Type    string `json:"event_type"`
	Source  string
	Level   string
	Trace   string `json:"trace_id"`
	Parent  string `json:"parent_event_id"`
	Payload struct {
		Name       string
		Body       any
		Attributes map[string]any
		Duration   float64 `json:"duration_ms"`
	}
}

// usageRow is what the tests read of a usage row.
type usageRow struct {
	Agent      string `json:"agent_id"`
	Model      string
	Provider   string
	Input      int64                    `json:"tokens_input"`
	Output     int64                    `json:"tokens_output"`
	Cached     int64                    `json:"cached_tokens"`
	CacheWrite int64                    `json:"cache_write_tokens"`
	Computed   *struct{ Amount string } `json:"computed_cost"`
}

// An agent that knows OpenTelemetry's SDK and nothing of Bureau is registered, its spans and records become events of one trace, and what it asked
// of models is priced.
func TestExportersOfTheSDK(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		s := apptest.Start(t, cfg)
		key := map[string]string{"x-api-key": s.Admin.Key()}
		res := resource.NewSchemaless(attribute.String("service.name", "math-tutor"), attribute.String("telemetry.sdk.language", "go"))
		spans, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(s.URL+"/v1/otlp/v1/traces"), otlptracehttp.WithHeaders(key),
			otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		if err != nil {
			t.Fatal(err)
		}
		traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(res))
		records, err := otlploghttp.New(t.Context(), otlploghttp.WithEndpointURL(s.URL+"/v1/otlp/v1/logs"), otlploghttp.WithHeaders(key))
		if err != nil {
			t.Fatal(err)
		}
		logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records)), sdklog.WithResource(res))

		tracer := traces.Tracer("lib")
		ctx, agent := tracer.Start(t.Context(), "invoke_agent tutor", trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "invoke_agent"), attribute.String("gen_ai.request.model", "claude-sonnet-4-5"),
			attribute.Int("gen_ai.usage.input_tokens", 15_460+19_810), attribute.Int("gen_ai.usage.output_tokens", 10_370)))
		_, chat := tracer.Start(ctx, "chat claude-sonnet-4-5", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
			attribute.String("gen_ai.operation.name", "chat"), attribute.String("gen_ai.provider.name", "anthropic"),
			attribute.String("gen_ai.request.model", "claude-sonnet-4-5"), attribute.Int("gen_ai.usage.input_tokens", 15_460+19_810),
			attribute.Int("gen_ai.usage.cache_creation.input_tokens", 19_810), attribute.Int("gen_ai.usage.output_tokens", 10_370)))
		chat.End()
		_, tool := tracer.Start(ctx, "execute_tool add", trace.WithAttributes(attribute.String("gen_ai.operation.name", "execute_tool")))
		tool.SetStatus(codes.Error, "no such number")
		tool.End()
		var r log.Record
		r.SetTimestamp(time.Now())
		r.SetSeverity(log.SeverityWarn)
		r.SetBody(attribute.StringValue("slow"))
		logs.Logger("lib").Emit(ctx, r)
		agent.End()
		if err := errors.Join(traces.Shutdown(t.Context()), logs.Shutdown(t.Context())); err != nil {
			t.Fatal(err)
		}

		events := map[string]agentEvent{}
		for _, e := range apptest.All[agentEvent](s.Admin.In(t), "/v1/events") {
			events[e.Type] = e
		}
		whole := events["invoke_agent"]
		var registered struct{ Name, Platform string }
		s.Admin.In(t).Call("GET", "/compat/valar/agents/"+whole.Agent, nil, &registered)
		if registered.Name != "math-tutor" || registered.Platform != "go" {
			t.Errorf("the agent is %+v", registered)
		}
		for kind, want := range map[string]agentEvent{
			"chat": {Level: "info", Parent: whole.ID}, "execute_tool": {Level: "error", Parent: whole.ID}, "invoke_agent": {Level: "info"},
			"log": {Level: "warning", Parent: whole.ID},
		} {
			e := events[kind]
			want.ID, want.Agent, want.Type, want.Source, want.Trace, want.Payload = e.ID, whole.Agent, kind, "math-tutor/lib", whole.Trace, e.Payload
			if diff := cmp.Diff(want, e); diff != "" || e.ID == "" {
				t.Errorf("%s: %s", kind, diff)
			}
		}
		rows := apptest.All[usageRow](s.Admin.In(t), "/v1/usage")
		want := []usageRow{{
			Agent: whole.Agent, Model: "claude-sonnet-4-5", Provider: "anthropic", Input: 15_460, Output: 10_370, CacheWrite: 19_810,
			Computed: &struct{ Amount string }{"0.2762175"}, // the provider's own figure for these tokens
		}}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Error(diff)
		}
	})
}

// post sends an export and returns what it was answered.
func post(t *testing.T, s *apptest.Server, key, path, media, encoding string, body []byte) (status int, answer string, header http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-api-key", key)
	req.Header.Set("Content-Type", media)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

func gzipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// otlpSpan is a request with one span of a service that asked a model.
func otlpSpan(service, spanID, parent string, attributes ...string) string {
	at := time.Now().Add(-time.Minute)
	list := make([]map[string]any, 0, len(attributes)/2)
	for i := 0; i+1 < len(attributes); i += 2 {
		value := map[string]any{"stringValue": attributes[i+1]}
		if strings.HasSuffix(attributes[i], "_tokens") {
			value = map[string]any{"intValue": attributes[i+1]}
		}
		list = append(list, map[string]any{"key": attributes[i], "value": value})
	}
	b, err := json.Marshal(m{"resourceSpans": []m{{
		"resource": m{"attributes": []m{{"key": "service.name", "value": m{"stringValue": service}}}},
		"scopeSpans": []m{{"scope": m{"name": "lib"}, "spans": []m{{
			"traceId": strings.Repeat("5b", 16), "spanId": spanID, "parentSpanId": parent, "name": "ask",
			"startTimeUnixNano": at.UnixNano(), "endTimeUnixNano": at.Add(time.Second).UnixNano(), "attributes": list,
		}}}},
	}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

var asked = []string{
	"gen_ai.operation.name", "chat", "gen_ai.request.model", "claude-sonnet-4-5", "gen_ai.usage.input_tokens", "10", "gen_ai.usage.output_tokens", "1",
}

func TestOTLP(t *testing.T) {
	t.Parallel()
	const traces, logs, jsonType = "/v1/otlp/v1/traces", "/v1/otlp/v1/logs", "application/json"
	s := apptest.Start(t, apptest.Config{})
	admin := s.Admin.Key()
	keyFor := func(scope string) string {
		var made struct{ Key string }
		s.Admin.In(t).Call("POST", "/v1/api_keys", m{"name": scope, "scopes": []string{scope}}, &made)
		return made.Key
	}
	exporter := keyFor("telemetry:write")
	count := func(path string) int { return len(apptest.All[struct{}](s.Admin.In(t), path)) }

	span := []byte(otlpSpan("shop", "00000000000000a1", "", asked...))
	for range 2 { // what comes again is stored once
		if status, answer, _ := post(t, s, admin, traces, jsonType+"; charset=utf-8", "gzip", gzipped(t, span)); status != 200 || answer != "{}" {
			t.Fatalf("%d %s", status, answer)
		}
	}
	if events, rows := count("/v1/events"), count("/v1/usage"); events != 1 || rows != 1 {
		t.Errorf("%d events and %d rows", events, rows)
	}
	// The same call as another instrumentation saw it, outside of and within it, in exports of their own.
	for _, again := range []string{
		otlpSpan("shop", "00000000000000a2", "00000000000000a1", asked...), otlpSpan("shop", "00000000000000a1", "", asked...),
	} {
		post(t, s, admin, traces, jsonType, "", []byte(again))
	}
	inner := otlpSpan("shop", "00000000000000b2", "00000000000000b1", asked...)
	outer := otlpSpan("shop", "00000000000000b1", "", asked...)
	post(t, s, admin, traces, jsonType, "", []byte(inner))
	post(t, s, admin, traces, jsonType, "", []byte(outer))
	if events, rows := count("/v1/events"), count("/v1/usage"); events != 4 || rows != 2 {
		t.Errorf("%d events and %d rows, want 4 and one for each call", events, rows)
	}

	status, answer, _ := post(t, s, exporter, traces, jsonType, "", []byte(otlpSpan("newcomer", "00000000000000c1", "", asked...)))
	if status != 200 || !strings.Contains(answer, `"rejectedSpans":"1"`) || !strings.Contains(answer, "newcomer") || !strings.Contains(answer, "agents:write") {
		t.Errorf("a key that may not register agents: %d %s", status, answer)
	}
	if status, answer, _ := post(t, s, exporter, traces, jsonType, "", []byte(otlpSpan("SHOP", "00000000000000c2", "", asked...))); status != 200 || answer != "{}" {
		t.Errorf("a service that is an agent: %d %s", status, answer)
	}
	status, answer, _ = post(t, s, admin, traces, jsonType, "", []byte(otlpSpan("shop", "00000000000000c3", "", "gen_ai.agent.id", "agent_of_nobody")))
	if status != 200 || !strings.Contains(answer, "agent_of_nobody") {
		t.Errorf("an agent that there is not: %d %s", status, answer)
	}

	const rpc = `"code":`
	for name, tc := range map[string]struct {
		key, path, media, encoding string
		body                       []byte
		status                     int
		answer                     string
	}{
		"empty protobuf":      {admin, traces, "application/x-protobuf", "", nil, 200, ""},
		"empty logs":          {admin, logs, jsonType, "", []byte(`{}`), 200, "{}"},
		"no JSON":             {admin, traces, jsonType, "", []byte("x"), 400, `{"code":3,`},
		"no protobuf":         {admin, logs, "application/x-protobuf", "", []byte("x"), 400, "\x08\x03\x12"},
		"no gzip":             {admin, traces, jsonType, "gzip", span, 400, rpc},
		"a bomb":              {admin, traces, jsonType, "gzip", gzipped(t, make([]byte, 17<<20)), 413, rpc},
		"too long":            {admin, traces, "application/x-protobuf", "", make([]byte, 17<<20), 413, "\x08\x03\x12"},
		"another type":        {admin, traces, "text/plain", "", span, 415, rpc},
		"another compression": {admin, traces, jsonType, "zstd", span, 415, rpc},
		"no key":              {"", traces, jsonType, "", span, 401, `{"code":16,`},
		"no permission":       {keyFor("chat"), traces, "application/x-protobuf", "", nil, 403, "\x08\x07\x12"},
		"metrics":             {admin, "/v1/otlp/v1/metrics", jsonType, "", []byte(`{}`), 404, "OTEL_METRICS_EXPORTER"},
	} {
		status, answer, h := post(t, s, tc.key, tc.path, tc.media, tc.encoding, tc.body)
		if status != tc.status || !strings.HasPrefix(answer, tc.answer) && !strings.Contains(answer, tc.answer) {
			t.Errorf("%s: %d %q", name, status, answer)
		}
		if media := h.Get("Content-Type"); tc.media != "text/plain" && !strings.HasPrefix(tc.media, media) {
			t.Errorf("%s: answered as %s", name, media)
		}
	}
}
