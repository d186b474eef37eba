package otel

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"
)

// Exporter returns a TracerProvider that sends spans in batches to an OpenTelemetry collector, by OTLP over HTTP with
// protobuf.
//
// endpoint is what the standard variable OTEL_EXPORTER_OTLP_ENDPOINT holds: the collector's base URL, to which
// "/v1/traces" is added, as in "http://localhost:4318". "" returns a nil provider, which traces nothing. The other
// standard variables count as ever: OTEL_EXPORTER_OTLP_HEADERS and its like, OTEL_TRACES_SAMPLER, OTEL_BSP_...,
// OTEL_SERVICE_NAME (default "bureau"), OTEL_RESOURCE_ATTRIBUTES.
//
// A collector that is down is told to logger (nil is slog.Default()) and slows nothing: spans that find no room are
// dropped. shutdown sends what waits, as far as its context lets it, and is never nil.
func Exporter(ctx context.Context, endpoint string, logger *slog.Logger) (
	provider trace.TracerProvider, shutdown func(context.Context) error, err error,
) {
	nothing := func(context.Context) error { return nil }
	if endpoint == "" {
		return nil, nothing, nil
	}
	if logger == nil {
		logger = slog.Default()
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, nothing, fmt.Errorf("otel: the endpoint must be a URL such as http://localhost:4318")
	}
	sender, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.JoinPath("v1", "traces").String()))
	if err != nil {
		return nil, nothing, fmt.Errorf("otel: exporter: %w", err)
	}
	of, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("bureau")), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		_ = sender.Shutdown(ctx)
		return nil, nothing, fmt.Errorf("otel: resource: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(told{sender, logger}), sdktrace.WithResource(of))
	return p, p.Shutdown, nil
}

// told logs what could not be sent, in place of the process-wide handler that the SDK has for it.
type told struct {
	sdktrace.SpanExporter

	log *slog.Logger
}

// ExportSpans implements sdktrace.SpanExporter.
func (t told) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := t.SpanExporter.ExportSpans(ctx, spans); err != nil {
		t.log.WarnContext(ctx, "spans were not delivered", slog.Int("spans", len(spans)), slog.Any("error", err))
	}
	return nil
}
