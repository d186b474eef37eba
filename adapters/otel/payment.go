package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/bureau-agents/bureau/ports/payment"
)

// observedRail is a payment.Rail under observation.
type observedRail struct {
	payment.Rail

	t     *Telemetry
	label string
}

// fetchingRail is one that pays for requests, too.
type fetchingRail struct {
	*observedRail
	payment.Fetcher
}

// readingRail is one that is told by messages, too.
type readingRail struct {
	*observedRail
	payment.Reader
}

// bothRail is one that does either.
type bothRail struct {
	*observedRail
	payment.Fetcher
	payment.Reader
}

var (
	_ payment.Rail    = (*observedRail)(nil)
	_ payment.Fetcher = fetchingRail{}
	_ payment.Reader  = readingRail{}
)

// WrapRail returns inner with a span "payment {operation}" and metrics for each call that asks somebody: charge, lookup, refund and,
// where inner is a payment.Fetcher, fetch. It is a payment.Fetcher and a payment.Reader where inner is. Whom and how much a charge is
// about is not told. A charge that is declined counts as "payment_required", for that is its error.
func WrapRail(inner payment.Rail, t *Telemetry) payment.Rail {
	r := &observedRail{inner, t, nameLabel(inner.Name())}
	f, fetches := inner.(payment.Fetcher)
	reader, reads := inner.(payment.Reader)
	switch {
	case fetches && reads:
		return bothRail{r, observedFetcher{f, r}, reader}
	case fetches:
		return fetchingRail{r, observedFetcher{f, r}}
	case reads:
		return readingRail{r, reader}
	}
	return r
}

func (r *observedRail) begin(ctx context.Context, name string) (context.Context, operation) {
	o := operation{start: time.Now()}
	if r.t.tracer != nil {
		ctx, o.span = r.t.tracer.Start(ctx, "payment "+name, trace.WithSpanKind(trace.SpanKindClient),
			trace.WithAttributes(attribute.String("bureau.payment.rail", r.label)))
	}
	return ctx, o
}

// ask makes a call that is answered by a receipt.
func (r *observedRail) ask(
	ctx context.Context, name string, do func(context.Context, payment.Charge) (payment.Receipt, error), c payment.Charge,
) (payment.Receipt, error) {
	ctx, o := r.begin(ctx, name)
	defer r.t.payment.observe(&o, r.label, name)
	got, err := do(ctx, c)
	o.done(err)
	if err == nil && o.span != nil {
		o.span.SetAttributes(attribute.String("bureau.payment.status", string(got.Status)))
	}
	return got, err
}

// Charge implements payment.Rail.
func (r *observedRail) Charge(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	return r.ask(ctx, "charge", r.Rail.Charge, c)
}

// Lookup implements payment.Rail.
func (r *observedRail) Lookup(ctx context.Context, c payment.Charge) (payment.Receipt, error) {
	return r.ask(ctx, "lookup", r.Rail.Lookup, c)
}

// Refund implements payment.Rail.
func (r *observedRail) Refund(ctx context.Context, of payment.Refund) error {
	ctx, o := r.begin(ctx, "refund")
	defer r.t.payment.observe(&o, r.label, "refund")
	err := r.Rail.Refund(ctx, of)
	o.done(err)
	return err
}

// observedFetcher is the payment.Fetcher of an observedRail.
type observedFetcher struct {
	inner payment.Fetcher
	r     *observedRail
}

// Fetch implements payment.Fetcher.
func (f observedFetcher) Fetch(ctx context.Context, of payment.Request) (payment.Answer, error) {
	ctx, o := f.r.begin(ctx, "fetch")
	defer f.r.t.payment.observe(&o, f.r.label, "fetch")
	got, err := f.inner.Fetch(ctx, of)
	o.done(err)
	if err == nil && o.span != nil {
		o.span.SetAttributes(attribute.Bool("bureau.payment.asked", got.Quote != nil))
	}
	return got, err
}
