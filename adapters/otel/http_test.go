package otel_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/ports/egress"
)

// answering is a transport that always answers with the same status.
type answering int

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	if a == 0 {
		return nil, egress.ErrBlocked.Withf("secret")
	}
	return &http.Response{
		StatusCode: int(a), Header: http.Header{}, Request: req, Body: io.NopCloser(strings.NewReader(req.Header.Get("Traceparent"))),
	}, nil
}

func TestEgress(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, a := range []answering{200, 404, 0} {
		req, err := http.NewRequestWithContext(t.Context(), "brew", "https://user:secret@vendor.example/secret?secret=secret#secret", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := otel.WrapEgress(a, l.Telemetry).RoundTrip(req)
		if a == 0 {
			if !errors.Is(err, egress.ErrBlocked) {
				t.Errorf("error %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sent, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if len(sent) > 0 {
			t.Errorf("the far end was told %s", sent)
		}
	}
	shared := map[string]any{
		"http.request.method": "_OTHER", "url.scheme": "https", "server.address": "vendor.example", "server.port": int64(443),
	}
	for i, want := range []map[string]any{
		{"status": "Unset", "http.response.status_code": int64(200)},
		{"status": "Error", "http.response.status_code": int64(404), "error.type": "404"},
		{"status": "Error", "error.type": "egress_blocked"},
	} {
		for k, v := range shared {
			want[k] = v
		}
		if diff := cmp.Diff(want, attributes(l.ended(t)[i])); diff != "" {
			t.Errorf("span %d (-want +got):\n%s", i, diff)
		}
	}
	wantCounts(t, l, "bureau_egress",
		`bureau_egress_duration_seconds_count{method="_OTHER"} 3`,
		`bureau_egress_requests_total{method="_OTHER",outcome="2xx"} 1`,
		`bureau_egress_requests_total{method="_OTHER",outcome="4xx"} 1`,
		`bureau_egress_requests_total{method="_OTHER",outcome="forbidden"} 1`,
	)
}

// The guarded client keeps its guard and its limits behind the decorator.
func TestEgressGuardedClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 100)) }))
	t.Cleanup(server.Close)
	guarded, err := egress.New(egress.Config{Allow: []string{strings.TrimPrefix(server.URL, "http://")}, MaxBody: 10})
	if err != nil {
		t.Fatal(err)
	}
	client := *guarded.HTTPClient()
	client.Transport = otel.WrapEgress(client.Transport, l.Telemetry)
	t.Cleanup(client.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, egress.ErrTooLarge) {
		t.Errorf("reading: %v", err)
	}
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func serve(t *testing.T, h http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	req.Header.Set("Traceparent", traceparent)
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/agents/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !trace.SpanContextFromContext(r.Context()).IsValid() {
			t.Error("the handler has no span")
		}
		w.Header().Set("Request-Id", "req_1")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	mux.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("anything")) })
	h := l.Middleware(mux)
	serve(t, h, "GET", "/v1/agents/agent_1?secret=1")
	serve(t, h, "POST", "/broken")
	serve(t, h, "GET", "/silent")
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler { //nolint:errorlint // the sentinel is panicked as it is
				t.Error("the panic did not pass")
			}
		}()
		serve(t, h, "GET", "/panic")
	}()
	serve(t, h, "GET", "/nowhere")

	want := []map[string]any{
		{"name": "GET /v1/agents/{id}", "http.route": "/v1/agents/{id}", "status": "Unset", "http.response.status_code": int64(200), "url.path": "/v1/agents/agent_1", "http.request.method": "GET", "http.response.header.request-id": []string{"req_1"}},
		{"name": "POST /broken", "http.route": "/broken", "status": "Error", "http.response.status_code": int64(502), "error.type": "502", "url.path": "/broken", "http.request.method": "POST"},
		{"name": "GET /silent", "http.route": "/silent", "status": "Unset", "http.response.status_code": int64(200), "url.path": "/silent", "http.request.method": "GET"},
		{"name": "GET /panic", "http.route": "/panic", "status": "Error", "error.type": "panic", "url.path": "/panic", "http.request.method": "GET"},
		{"name": "GET", "status": "Unset", "http.response.status_code": int64(200), "url.path": "/nowhere", "http.request.method": "GET"},
	}
	for i, s := range l.ended(t) {
		want[i]["url.scheme"] = "http"
		got := attributes(s)
		got["name"] = s.Name()
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("span %d (-want +got):\n%s", i, diff)
		}
		if id := s.SpanContext().TraceID().String(); id != traceparent[3:35] || s.SpanKind() != trace.SpanKindServer {
			t.Errorf("%s: trace %s, kind %s", s.Name(), id, s.SpanKind())
		}
	}
}

func TestMiddlewareWithoutTracer(t *testing.T) {
	t.Parallel()
	tel, err := otel.New(otel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	if got := tel.Middleware(mux); got != http.Handler(mux) {
		t.Errorf("got %T; want the handler itself", got)
	}
}

func TestExporter(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var spans atomic.Pointer[[]byte]
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/base/v1/traces" {
			spans.Store(&body)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(collector.Close)
	provider, shutdown, err := otel.Exporter(ctx, collector.URL+"/base/", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.Tracer("test").Start(ctx, "a span")
	span.End()
	if err := shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	body := spans.Load()
	if body == nil || !strings.Contains(string(*body), "a span") || !strings.Contains(string(*body), "bureau") {
		t.Fatalf("the collector got %v", body)
	}
	id := span.SpanContext().TraceID()
	if !strings.Contains(hex.EncodeToString(*body), hex.EncodeToString(id[:])) {
		t.Error("the trace's id is missing")
	}
}

func TestExporterTellsOfFailures(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(collector.Close)
	provider, shutdown, err := otel.Exporter(t.Context(), collector.URL, slog.New(slog.NewTextHandler(l.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := provider.Tracer("test").Start(t.Context(), "a span")
	span.End()
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(l.log.String(), "spans were not delivered") {
		t.Errorf("log: %s", l.log)
	}
}

func TestExporterUnset(t *testing.T) {
	t.Parallel()
	provider, shutdown, err := otel.Exporter(context.Background(), "", nil)
	if provider != nil || err != nil {
		t.Errorf("got %v, %v", provider, err)
	}
	if err := shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"localhost:4318", "ftp://x", "http://", "://secret"} {
		_, shutdown, err := otel.Exporter(context.Background(), bad, nil)
		if err == nil || shutdown == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
