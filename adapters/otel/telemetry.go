package otel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/fault"
)

// scope names the instrumentation in spans.
const scope = "github.com/bureau-agents/bureau/adapters/otel"

// Config of a Telemetry. The zero value observes nothing.
type Config struct {
	// Tracer receives spans; nil makes none, at no cost.
	Tracer trace.TracerProvider
	// Metrics takes the metrics; nil keeps them to itself. Several Telemetry values on one registry count into the same
	// metrics.
	Metrics prometheus.Registerer
	// Logger is told once when a label has had as many values as it may; nil is slog.Default().
	Logger *slog.Logger
	// Models are the names of the models that the operator has configured. Each has a value of its own in the label
	// "model" from the beginning. Other names earn theirs by a first answer, so that names that tenants invent do not use
	// up the label.
	Models []string
}

// Telemetry is what the decorators share. It is safe for concurrent use.
type Telemetry struct {
	tracer trace.Tracer // nil: no spans

	llm       llmMetrics
	embedding embeddingMetrics
	tool      meter
	rule      meter
	blob      blobMetrics
	bus       busMetrics
	jobs      meter
	egress    meter
	runtime   meter
	host      meter
	payment   meter
	tx        *prometheus.HistogramVec

	models, tools, rules, kinds *names
}

// New registers the metrics. An error says that the registry has other metrics under one of their names.
func New(cfg Config) (*Telemetry, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	r := &registrar{to: cfg.Metrics}
	t := &Telemetry{
		llm:       newLLMMetrics(r),
		embedding: newEmbeddingMetrics(r),
		tool: newMeter(r, "bureau_tool_calls_total", "bureau_tool_duration_seconds",
			"Calls of tools by their outcome; tool_error is a failure that the model was told.", callBuckets, "tool"),
		rule: newMeter(r, "bureau_rule_calls_total", "bureau_rule_duration_seconds",
			"Questions to policy rules; the outcome of evaluate is a verdict or what went wrong.", callBuckets, "rule", "operation"),
		blob: newBlobMetrics(r),
		bus:  newBusMetrics(r),
		jobs: newMeter(r, "bureau_job_runs_total", "bureau_job_duration_seconds",
			"Runs of background jobs.", callBuckets, "kind"),
		egress: newMeter(r, "bureau_egress_requests_total", "bureau_egress_duration_seconds",
			"Outgoing HTTP requests, until the headers of the answer; the outcome is hundreds of the status or what went wrong.",
			callBuckets, "method"),
		runtime: newMeter(r, "bureau_sandbox_calls_total", "bureau_sandbox_duration_seconds",
			"Programs run and started in sandboxes, and sandboxes opened and removed.", callBuckets, "operation"),
		host: newMeter(r, "bureau_host_calls_total", "bureau_host_duration_seconds",
			"Instances of hosted agents that are started, stopped, removed and measured.", callBuckets, "host", "operation"),
		payment: newMeter(r, "bureau_payment_rail_calls_total", "bureau_payment_rail_duration_seconds",
			"Calls of payment rails; one that is declined is payment_required.", callBuckets, "rail", "operation"),
		tx:     newTxMetric(r),
		models: newNames("model", 100, cfg.Logger),
		tools:  newNames("tool", 200, cfg.Logger),
		rules:  newNames("rule", 200, cfg.Logger),
		kinds:  newNames("kind", 200, cfg.Logger),
	}
	for _, m := range cfg.Models {
		if m != "" {
			t.models.admit(m)
		}
	}
	if cfg.Tracer != nil {
		t.tracer = cfg.Tracer.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
	}
	return t, r.err
}

// inTrace reports whether an operation that is of interest only as a part of another one should have a span.
func (t *Telemetry) inTrace(ctx context.Context) bool {
	return t.tracer != nil && trace.SpanContextFromContext(ctx).IsValid()
}

// The outcomes of calls, beside the names of the kinds of fault.
const (
	outcomeOK        = "ok"
	outcomeCancelled = "cancelled"  // the caller gave up
	outcomePanic     = "panic"      // the call did not return
	outcomeToolError = "tool_error" // a tool's result that tells the model of a failure
)

// outcomeOf returns the label of a call that ended with err.
func outcomeOf(err error) string {
	if err == nil {
		return outcomeOK
	}
	// A fault knows best what it is; only a defect of ours may hide that the caller gave up.
	kind := fault.KindOf(err)
	switch {
	case kind != fault.Internal:
		return kind.String()
	case errors.Is(err, context.Canceled):
		return outcomeCancelled
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Timeout.String()
	}
	return kind.String()
}

// operation is a call under observation. Until done or ended says how it went, it counts as one that panicked.
type operation struct {
	span    trace.Span // nil: not traced
	start   time.Time
	outcome string
	err     error
}

// done notes how the call went.
func (o *operation) done(err error) { o.outcome, o.err = outcomeOf(err), err }

// end ends the span and returns the outcome and the time that the call took.
func (o *operation) end() (outcome string, took time.Duration) {
	if o.outcome == "" {
		o.outcome = outcomePanic
	}
	took = time.Since(o.start)
	if o.span != nil {
		if o.outcome != outcomeOK {
			o.span.SetAttributes(semconv.ErrorTypeKey.String(o.errorType()))
			// The error's text is left out: it may quote what the caller sent.
			o.span.SetStatus(codes.Error, "")
		}
		o.span.End()
	}
	return o.outcome, took
}

// errorType is more exact than the outcome where it can be: spans have no limit on distinct values.
func (o *operation) errorType() string {
	if f, ok := fault.As(o.err); ok && f.Code != "" {
		return cut(f.Code, maxName)
	}
	return o.outcome
}

// Buckets in seconds.
var (
	callBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	modelBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320}
	storeBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
)

// meter counts calls by their outcome and takes their time.
type meter struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// newMeter registers two metrics; the counter has the label "outcome" behind the given ones.
func newMeter(r *registrar, calls, seconds, help string, buckets []float64, labels ...string) meter {
	return meter{
		calls: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{Name: calls, Help: help}, append(labels[:len(labels):len(labels)], "outcome"))),
		seconds: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: seconds, Help: help, Buckets: buckets,
		}, labels)),
	}
}

func (m meter) observe(o *operation, labels ...string) {
	outcome, took := o.end()
	m.seconds.WithLabelValues(labels...).Observe(took.Seconds())
	m.calls.WithLabelValues(append(labels[:len(labels):len(labels)], outcome)...).Inc()
}

// registrar registers metrics and keeps the first error.
type registrar struct {
	to  prometheus.Registerer
	err error
}

// register registers c, or returns what is there under its name already.
func register[C prometheus.Collector](r *registrar, c C) C {
	if r.to == nil {
		return c
	}
	err := r.to.Register(c)
	if taken, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if old, ok := taken.ExistingCollector.(C); ok {
			return old
		}
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("otel: metrics: %w", err)
	}
	return c
}
