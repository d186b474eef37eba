package otel

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/jobs"
)

// WrapJobs returns the handler of a kind of job with a span "job {kind}" and metrics for each run.
func WrapJobs(inner jobs.Handler, t *Telemetry, kind string) jobs.Handler {
	label := t.kinds.admit(kind)
	return func(ctx context.Context, args json.RawMessage) error {
		o := operation{start: time.Now()}
		if t.tracer != nil {
			ctx, o.span = t.tracer.Start(ctx, "job "+kind, trace.WithSpanKind(trace.SpanKindConsumer),
				trace.WithAttributes(attribute.String("bureau.job.kind", kind)))
		}
		defer t.jobs.observe(&o, label)
		err := inner(ctx, args)
		o.done(err)
		return err
	}
}
