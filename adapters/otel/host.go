package otel

import (
	"context"
	"time"

	"github.com/bureau-agents/bureau/ports/runtime"
)

// observedHost is a runtime.Host under observation.
type observedHost struct {
	runtime.Host

	t *Telemetry
}

var _ runtime.Host = (*observedHost)(nil)

// WrapHost returns inner with metrics and, within a trace, a span for each instance that is started, stopped, removed or measured:
// "instance start", "instance stop", "instance remove", "instance stats". What an instance is made of is in neither. Looking at
// instances, their logs and connections to them are not observed.
func WrapHost(inner runtime.Host, t *Telemetry) runtime.Host { return &observedHost{inner, t} }

// observe calls do as an operation.
func (h *observedHost) observe(ctx context.Context, name string, do func(ctx context.Context) error) {
	o := operation{start: time.Now()}
	if h.t.inTrace(ctx) {
		ctx, o.span = h.t.tracer.Start(ctx, "instance "+name)
	}
	defer h.t.host.observe(&o, h.Name(), name)
	o.done(do(ctx))
}

// Start implements runtime.Host.
func (h *observedHost) Start(ctx context.Context, spec runtime.InstanceSpec) (i runtime.Instance, err error) {
	h.observe(ctx, "start", func(ctx context.Context) error { i, err = h.Host.Start(ctx, spec); return err })
	return i, err
}

// Stop implements runtime.Host.
func (h *observedHost) Stop(ctx context.Context, id string, grace time.Duration) (err error) {
	h.observe(ctx, "stop", func(ctx context.Context) error { err = h.Host.Stop(ctx, id, grace); return err })
	return err
}

// Remove implements runtime.Host.
func (h *observedHost) Remove(ctx context.Context, id string) (err error) {
	h.observe(ctx, "remove", func(ctx context.Context) error { err = h.Host.Remove(ctx, id); return err })
	return err
}

// Stats implements runtime.Host.
func (h *observedHost) Stats(ctx context.Context, id string) (s runtime.Stats, err error) {
	h.observe(ctx, "stats", func(ctx context.Context) error { s, err = h.Host.Stats(ctx, id); return err })
	return s, err
}
