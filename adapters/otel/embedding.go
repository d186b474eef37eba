package otel

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/embedding"
)

type embeddingMetrics struct {
	requests meter
	texts    *prometheus.CounterVec
}

func newEmbeddingMetrics(r *registrar) embeddingMetrics {
	return embeddingMetrics{
		requests: newMeter(r, "bureau_embedding_requests_total", "bureau_embedding_duration_seconds",
			"Calls of the embedding model.", callBuckets, "embedder"),
		texts: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bureau_embedding_texts_total", Help: "Texts that were turned into vectors.",
		}, []string{"embedder"})),
	}
}

// embedder is an embedding.Embedder under observation.
type embedder struct {
	inner embedding.Embedder
	t     *Telemetry
	label string
	name  string // of spans
	attrs []attribute.KeyValue
}

var _ embedding.Embedder = (*embedder)(nil)

// WrapEmbedding returns inner with a span "embeddings {model}" and metrics for each call.
func WrapEmbedding(inner embedding.Embedder, t *Telemetry) embedding.Embedder {
	info := inner.Info()
	who, model, ok := strings.Cut(info.Name, "/")
	if !ok {
		model = info.Name
	}
	attrs := []attribute.KeyValue{
		semconv.GenAIOperationNameEmbeddings, semconv.GenAIRequestModel(model), semconv.GenAIEmbeddingsDimensionCount(info.Dimensions),
	}
	if ok {
		attrs = append(attrs, providerName(who))
	}
	return &embedder{inner: inner, t: t, label: nameLabel(info.Name), name: "embeddings " + model, attrs: attrs}
}

// Info implements embedding.Embedder.
func (e *embedder) Info() embedding.Info { return e.inner.Info() }

// Embed implements embedding.Embedder.
func (e *embedder) Embed(ctx context.Context, texts []string) ([]embedding.Vector, error) {
	o := operation{start: time.Now()}
	if e.t.tracer != nil {
		ctx, o.span = e.t.tracer.Start(ctx, e.name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(e.attrs...))
	}
	defer e.t.embedding.requests.observe(&o, e.label)
	vectors, err := e.inner.Embed(ctx, texts)
	o.done(err)
	if err == nil {
		e.t.embedding.texts.WithLabelValues(e.label).Add(float64(len(texts)))
	}
	return vectors, err
}
