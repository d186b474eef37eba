package otel

import (
	"context"
	"iter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

type llmMetrics struct {
	requests   meter
	firstChunk *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
}

func newLLMMetrics(r *registrar) llmMetrics {
	return llmMetrics{
		requests: newMeter(r, "bureau_llm_requests_total", "bureau_llm_duration_seconds",
			"Calls of models, until the whole answer was taken; cancelled are those whose caller stopped listening.",
			modelBuckets, "provider", "model"),
		firstChunk: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bureau_llm_first_chunk_seconds", Help: "Time to the first piece of a model's answer.", Buckets: modelBuckets,
		}, []string{"provider", "model"})),
		tokens: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bureau_llm_tokens_total",
			Help: "Tokens of finished answers. The directions are disjoint: input is fresh input, cache_read and cache_write are the rest of it.",
		}, []string{"provider", "model", "direction"})),
	}
}

// provider is an llm.Provider under observation.
type provider struct {
	inner llm.Provider
	t     *Telemetry
	name  string
}

var _ llm.Provider = (*provider)(nil)

// WrapLLM returns inner with a span "chat {model}" and metrics for each call.
//
// A span lasts from the first step of the sequence until the caller has taken or left the last; each range over the
// sequence is a call of its own. The usage that it tells counts as OpenTelemetry wants it: gen_ai.usage.input_tokens
// includes what was read from and written to caches. The label "model" is the model that answered; of calls without an
// answer the one that was asked for, when it is among Config.Models or has answered before, else "other".
func WrapLLM(inner llm.Provider, t *Telemetry) llm.Provider {
	return &provider{inner: inner, t: t, name: nameLabel(inner.Name())}
}

// Name implements llm.Provider.
func (p *provider) Name() string { return p.inner.Name() }

// Generate implements llm.Provider.
func (p *provider) Generate(ctx context.Context, req llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) {
		ctx, c := p.begin(ctx, req)
		defer c.end()
		for event, err := range p.inner.Generate(ctx, req) {
			c.see(event, err)
			if !yield(event, err) {
				c.returned, c.left = true, true
				return
			}
		}
		c.returned = true
	}
}

// chat is one call of a model.
type chat struct {
	operation

	p        *provider
	asked    string // the model of the request
	chunked  bool
	first    time.Duration
	response *llm.Response
	failed   error
	returned bool // nothing panicked
	left     bool // the caller stopped listening
}

// begin starts the call and returns the context of its span.
func (p *provider) begin(ctx context.Context, req llm.Request) (context.Context, *chat) {
	c := &chat{operation: operation{start: time.Now()}, p: p, asked: req.Model}
	if p.t.tracer == nil {
		return ctx, c
	}
	attrs := make([]attribute.KeyValue, 0, 5)
	attrs = append(attrs, semconv.GenAIOperationNameChat, providerName(p.name), semconv.GenAIRequestStream(true))
	name := "chat"
	if req.Model != "" {
		attrs = append(attrs, semconv.GenAIRequestModel(cut(req.Model, maxText)))
		name += " " + cut(req.Model, maxName)
	}
	if req.MaxOutputTokens > 0 {
		attrs = append(attrs, semconv.GenAIRequestMaxTokens(req.MaxOutputTokens))
	}
	ctx, c.span = p.t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	return ctx, c
}

// see takes note of one step of the sequence.
func (c *chat) see(event llm.Event, err error) {
	if err != nil {
		c.failed = err
		return
	}
	if !c.chunked {
		c.chunked, c.first = true, time.Since(c.start)
	}
	if event.Response != nil {
		c.response = event.Response
	}
}

// end closes the call.
func (c *chat) end() {
	switch {
	case !c.returned:
	case c.failed != nil:
		c.done(c.failed)
	case c.response != nil:
		c.outcome = outcomeOK
	case c.left:
		c.outcome = outcomeCancelled
	default:
		c.outcome = fault.Internal.String() // the sequence ended with neither an answer nor an error
	}
	c.describe()
	model := c.model()
	m := &c.p.t.llm
	m.requests.observe(&c.operation, c.p.name, model)
	if c.chunked {
		m.firstChunk.WithLabelValues(c.p.name, model).Observe(c.first.Seconds())
	}
	if c.response == nil {
		return
	}
	u := &c.response.Usage
	for _, bucket := range []struct {
		direction string
		tokens    int64
	}{
		{"input", u.Input},
		{"cache_read", u.CacheRead},
		{"cache_write", u.CacheWrite5m + u.CacheWrite1h},
		{"output", u.Output},
	} {
		if bucket.tokens > 0 { // a counter panics when it is to go down
			m.tokens.WithLabelValues(c.p.name, model, bucket.direction).Add(float64(bucket.tokens))
		}
	}
}

// model is the label of the call.
func (c *chat) model() string {
	switch {
	case c.response != nil && c.response.Model != "":
		return c.p.t.models.admit(c.response.Model)
	case c.asked == "":
		return "default"
	case c.response != nil:
		return c.p.t.models.admit(c.asked)
	}
	return c.p.t.models.known(c.asked)
}

// describe adds to the span what the answer told.
func (c *chat) describe() {
	if c.span == nil || !c.span.IsRecording() {
		return
	}
	if c.chunked {
		c.span.SetAttributes(semconv.GenAIResponseTimeToFirstChunk(c.first.Seconds()))
	}
	r := c.response
	if r == nil {
		return
	}
	u := r.Usage
	attrs := make([]attribute.KeyValue, 0, 8)
	attrs = append(attrs,
		semconv.GenAIUsageInputTokens(int(u.TotalInput())),
		semconv.GenAIUsageOutputTokens(int(u.Output)),
		semconv.GenAIUsageCacheReadInputTokens(int(u.CacheRead)),
		semconv.GenAIUsageCacheCreationInputTokens(int(u.CacheWrite5m+u.CacheWrite1h)),
	)
	if u.Reasoning > 0 {
		attrs = append(attrs, semconv.GenAIUsageReasoningOutputTokens(int(u.Reasoning)))
	}
	if r.StopReason != "" {
		attrs = append(attrs, semconv.GenAIResponseFinishReasons(finishReason(r.StopReason)))
	}
	if r.Model != "" {
		attrs = append(attrs, semconv.GenAIResponseModel(cut(r.Model, maxText)))
	}
	if r.ProviderID != "" {
		attrs = append(attrs, semconv.GenAIResponseID(cut(r.ProviderID, maxText)))
	}
	c.span.SetAttributes(attrs...)
}

// providerName says who the provider is in the words of the conventions.
func providerName(name string) attribute.KeyValue {
	if name == "google" {
		return semconv.GenAIProviderNameGCPGemini
	}
	return semconv.GenAIProviderNameKey.String(name)
}

// finishReason is a stop reason in the words of the conventions.
func finishReason(r llm.StopReason) string {
	switch r {
	case llm.StopEnd:
		return "stop"
	case llm.StopToolUse:
		return "tool_call"
	case llm.StopMaxTokens:
		return "length"
	case llm.StopRefusal:
		return "content_filter"
	}
	return string(r)
}
