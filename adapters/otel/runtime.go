package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// observedRuntime is a runtime.Runtime under observation.
type observedRuntime struct {
	runtime.Runtime

	t *Telemetry
}

var _ runtime.Runtime = (*observedRuntime)(nil)

// WrapRuntime returns inner with metrics and, within a trace, a span for each program and each sandbox that is opened or removed:
// "sandbox run", "sandbox start", "sandbox open", "sandbox remove". A program that fails, or is killed, is "ok" as a call and told by
// the span; what it was called with is in neither. Work on files is not observed.
func WrapRuntime(inner runtime.Runtime, t *Telemetry) runtime.Runtime {
	return &observedRuntime{inner, t}
}

func (t *Telemetry) beginSandbox(ctx context.Context, name string) (context.Context, operation) {
	o := operation{start: time.Now()}
	if t.inTrace(ctx) {
		ctx, o.span = t.tracer.Start(ctx, "sandbox "+name)
	}
	return ctx, o
}

// Open implements runtime.Runtime.
func (r *observedRuntime) Open(ctx context.Context, spec runtime.Spec) (runtime.Sandbox, error) {
	ctx, o := r.t.beginSandbox(ctx, "open")
	defer r.t.runtime.observe(&o, "open")
	s, err := r.Runtime.Open(ctx, spec)
	o.done(err)
	if err != nil {
		return nil, err
	}
	return &observedSandbox{s, r.t}, nil
}

// Remove implements runtime.Runtime.
func (r *observedRuntime) Remove(ctx context.Context, id string) error {
	ctx, o := r.t.beginSandbox(ctx, "remove")
	defer r.t.runtime.observe(&o, "remove")
	err := r.Runtime.Remove(ctx, id)
	o.done(err)
	return err
}

// observedSandbox is a runtime.Sandbox under observation.
type observedSandbox struct {
	runtime.Sandbox

	t *Telemetry
}

var _ runtime.Sandbox = (*observedSandbox)(nil)

// Run implements runtime.Sandbox.
func (s *observedSandbox) Run(ctx context.Context, c runtime.Command) (runtime.Result, error) {
	ctx, o := s.t.beginSandbox(ctx, "run")
	defer s.t.runtime.observe(&o, "run")
	res, err := s.Sandbox.Run(ctx, c)
	o.done(err)
	if o.span != nil && err == nil {
		o.span.SetAttributes(attribute.Int("bureau.sandbox.exit_code", res.Code), attribute.Bool("bureau.sandbox.timed_out", res.TimedOut),
			attribute.Bool("bureau.sandbox.out_of_memory", res.Memory), attribute.Bool("bureau.sandbox.disk_full", res.Disk))
	}
	return res, err
}

// Start implements runtime.Sandbox. It observes the start alone.
func (s *observedSandbox) Start(ctx context.Context, c runtime.Command) (runtime.Process, error) {
	o := operation{start: time.Now()}
	if s.t.inTrace(ctx) { // the program outlives the span, so it does not get its context
		_, o.span = s.t.tracer.Start(ctx, "sandbox start", trace.WithSpanKind(trace.SpanKindInternal))
	}
	defer s.t.runtime.observe(&o, "start")
	p, err := s.Sandbox.Start(ctx, c)
	o.done(err)
	return p, err
}
