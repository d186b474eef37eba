package otel

import (
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Middleware returns next with a server span for each request, which continues the trace that the request's traceparent
// header names (W3C Trace Context). Without a tracer it returns next itself. The span is named after the route that an
// http.ServeMux in next chose.
func (t *Telemetry) Middleware(next http.Handler) http.Handler {
	if t.tracer == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		method := methodName(r.Method)
		ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			semconv.HTTPRequestMethodKey.String(method), semconv.URLPath(cut(r.URL.Path, maxText)), semconv.URLScheme(schemeOf(r)),
		))
		r = r.WithContext(ctx)
		s := &statusWriter{ResponseWriter: w}
		returned := false
		defer func() {
			s.describe(span, r, method, returned)
			span.End()
		}()
		next.ServeHTTP(s, r)
		returned = true
	})
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter

	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// FlushError implements what http.ResponseController looks for: the first flush sends the status.
func (w *statusWriter) FlushError() error {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// describe adds to the span what is known once the request was served.
func (w *statusWriter) describe(span trace.Span, r *http.Request, method string, returned bool) {
	if !span.IsRecording() {
		return
	}
	// The pattern "/" takes what has no route.
	if route := r.Pattern[strings.IndexByte(r.Pattern, ' ')+1:]; route != "" && route != "/" {
		span.SetName(method + " " + route)
		span.SetAttributes(semconv.HTTPRoute(route))
	}
	if id := w.Header().Get("Request-Id"); id != "" {
		span.SetAttributes(semconv.HTTPResponseHeader("request-id", id))
	}
	status := w.status
	if status == 0 && returned {
		status = http.StatusOK
	}
	if status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
	switch {
	case !returned:
		span.SetAttributes(semconv.ErrorTypeKey.String(outcomePanic))
		span.SetStatus(codes.Error, "")
	case status >= 500: // what is the caller's fault is no error of the server
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
}
