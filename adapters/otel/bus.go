package otel

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/bus"
)

type busMetrics struct {
	published meter
	received  prometheus.Counter
}

func newBusMetrics(r *registrar) busMetrics {
	return busMetrics{
		published: newMeter(r, "bureau_bus_published_total", "bureau_bus_publish_duration_seconds",
			"Messages given to the bus.", storeBuckets),
		received: register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bureau_bus_received_total", Help: "Messages that the bus gave to subscribers.",
		})),
	}
}

// messages is a bus.Bus under observation.
type messages struct {
	inner   bus.Bus
	t       *Telemetry
	seconds prometheus.Observer
	sent    prometheus.Counter
}

var _ bus.Bus = (*messages)(nil)

// WrapBus returns inner with metrics and, for what is published within a trace, a span "bus publish". Topics are not
// told: they name sessions.
func WrapBus(inner bus.Bus, t *Telemetry) bus.Bus {
	m := t.bus.published
	return &messages{inner: inner, t: t, seconds: m.seconds.WithLabelValues(), sent: m.calls.WithLabelValues(outcomeOK)}
}

// Publish implements bus.Bus.
func (b *messages) Publish(ctx context.Context, topic string, payload []byte) error {
	o := operation{start: time.Now()}
	if b.t.inTrace(ctx) {
		ctx, o.span = b.t.tracer.Start(ctx, "bus publish", trace.WithSpanKind(trace.SpanKindProducer))
	}
	defer func() {
		outcome, took := o.end()
		b.seconds.Observe(took.Seconds())
		if outcome == outcomeOK {
			b.sent.Inc()
			return
		}
		b.t.bus.published.calls.WithLabelValues(outcome).Inc()
	}()
	err := b.inner.Publish(ctx, topic, payload)
	o.done(err)
	return err
}

// Subscribe implements bus.Bus.
func (b *messages) Subscribe(ctx context.Context, topic string, fn func(payload []byte)) (stop func(), err error) {
	return b.inner.Subscribe(ctx, topic, func(payload []byte) {
		b.t.bus.received.Inc()
		fn(payload)
	})
}
