package otel

import (
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// transport is an http.RoundTripper under observation.
type transport struct {
	inner http.RoundTripper
	t     *Telemetry
}

// WrapEgress returns inner with a span "{method}" and metrics for each request, until the headers of the answer are
// there. The span names the host and not the rest of the address, which may hold secrets. No traceparent is sent: whom
// a tenant's URL reaches need not learn how this server is traced.
func WrapEgress(inner http.RoundTripper, t *Telemetry) http.RoundTripper { return &transport{inner, t} }

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport.
func (r *transport) CloseIdleConnections() {
	if c, ok := r.inner.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (r *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	method := methodName(req.Method)
	o := operation{start: time.Now()}
	if r.t.tracer != nil {
		ctx, span := r.t.tracer.Start(req.Context(), method, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(describeRequest(req, method)...))
		o.span, req = span, req.WithContext(ctx)
	}
	class := ""
	defer func() {
		outcome, took := o.end()
		if outcome == outcomeOK {
			outcome = class
		}
		r.t.egress.seconds.WithLabelValues(method).Observe(took.Seconds())
		r.t.egress.calls.WithLabelValues(method, outcome).Inc()
	}()
	resp, err := r.inner.RoundTrip(req)
	o.done(err)
	if err != nil {
		return resp, err
	}
	class = statusClass(resp.StatusCode)
	if o.span != nil {
		o.span.SetAttributes(semconv.HTTPResponseStatusCode(resp.StatusCode))
		if resp.StatusCode >= 400 {
			o.span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(resp.StatusCode)))
			o.span.SetStatus(codes.Error, "")
		}
	}
	return resp, nil
}

func describeRequest(req *http.Request, method string) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, 4)
	attrs = append(attrs, semconv.HTTPRequestMethodKey.String(method), semconv.URLScheme(req.URL.Scheme),
		semconv.ServerAddress(cut(req.URL.Hostname(), maxText)))
	port, err := strconv.Atoi(req.URL.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[req.URL.Scheme]
	}
	return append(attrs, semconv.ServerPort(port))
}

// methodName is a method, or "_OTHER" for those that callers invent.
func methodName(method string) string {
	switch method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace:
		return method
	}
	return "_OTHER"
}

func statusClass(status int) string { return strconv.Itoa(min(max(status/100, 0), 9)) + "xx" }
