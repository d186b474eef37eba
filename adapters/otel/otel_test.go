package otel_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/adapters/otel"
)

// lab is a Telemetry and what it recorded.
type lab struct {
	*otel.Telemetry

	spans    *tracetest.SpanRecorder
	provider *sdktrace.TracerProvider
	metrics  *prometheus.Registry
	log      *bytes.Buffer
}

func newLab(t *testing.T, models ...string) *lab {
	t.Helper()
	l := &lab{spans: tracetest.NewSpanRecorder(), metrics: prometheus.NewRegistry(), log: &bytes.Buffer{}}
	l.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(l.spans))
	var err error
	l.Telemetry, err = otel.New(otel.Config{
		Tracer: l.provider, Metrics: l.metrics, Logger: slog.New(slog.NewTextHandler(l.log, nil)), Models: models,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// root begins a trace.
func (l *lab) root(t *testing.T) context.Context {
	t.Helper()
	ctx, span := l.provider.Tracer("test").Start(t.Context(), "root")
	t.Cleanup(func() { span.End() })
	return ctx
}

// ended returns the spans that have ended, and fails when one has begun and not ended or has ended twice.
func (l *lab) ended(t *testing.T) []sdktrace.ReadOnlySpan {
	t.Helper()
	ended := l.spans.Ended()
	seen := map[trace.SpanID]bool{}
	for _, s := range ended {
		if seen[s.SpanContext().SpanID()] {
			t.Errorf("the span %q ended twice", s.Name())
		}
		seen[s.SpanContext().SpanID()] = true
	}
	for _, s := range l.spans.Started() {
		if s.Name() != "root" && !seen[s.SpanContext().SpanID()] {
			t.Errorf("the span %q did not end", s.Name())
		}
	}
	return ended
}

// one returns the only span.
func (l *lab) one(t *testing.T) sdktrace.ReadOnlySpan {
	t.Helper()
	ended := l.ended(t)
	if len(ended) != 1 {
		t.Fatalf("%d spans ended, want 1", len(ended))
	}
	return ended[0]
}

// attributes returns what a span tells, with how it ended under "status".
func attributes(s sdktrace.ReadOnlySpan) map[string]any {
	out := map[string]any{"status": s.Status().Code.String() + s.Status().Description}
	for _, kv := range s.Attributes() {
		out[string(kv.Key)] = kv.Value.AsInterface()
	}
	return out
}

// counts returns the lines of the text format that begin with a prefix, without buckets and sums: those depend on time.
func (l *lab) counts(t *testing.T, prefix string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(l.text(t)) {
		name, _, _ := strings.Cut(line, "{")
		name, _, _ = strings.Cut(name, " ")
		if strings.HasPrefix(line, prefix) && !strings.HasSuffix(name, "_bucket") && !strings.HasSuffix(name, "_sum") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	slices.Sort(out)
	return out
}

func (l *lab) text(t *testing.T) string {
	t.Helper()
	families, err := l.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

func wantCounts(t *testing.T, l *lab, prefix string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, l.counts(t, prefix)); diff != "" {
		t.Errorf("metrics %s (-want +got):\n%s", prefix, diff)
	}
}

func TestNewOnOneRegistry(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	for range 2 {
		if _, err := otel.New(otel.Config{Metrics: reg}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNewWithTakenName(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "bureau_tx_seconds", Help: "something else"}))
	if _, err := otel.New(otel.Config{Metrics: reg}); err == nil || !strings.Contains(err.Error(), "bureau_tx_seconds") {
		t.Errorf("error %v; want one that names the metric", err)
	}
}

func TestMetricNames(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	exercise(t, l)
	families, err := l.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
