package otel

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"

	"github.com/bureau-agents/bureau/ports/blob"
)

type blobMetrics struct {
	calls meter
	bytes *prometheus.CounterVec
}

func newBlobMetrics(r *registrar) blobMetrics {
	return blobMetrics{
		calls: newMeter(r, "bureau_blob_calls_total", "bureau_blob_duration_seconds",
			"Calls of the blob store; open lasts until the reader is closed.", callBuckets, "operation"),
		bytes: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bureau_blob_bytes_total", Help: "Bytes written to and read from the blob store.",
		}, []string{"direction"})),
	}
}

// blobs is a blob.Store under observation.
type blobs struct {
	inner         blob.Store
	t             *Telemetry
	read, written prometheus.Counter
}

var _ blob.Store = (*blobs)(nil)

// WrapBlob returns inner with metrics and, within a trace, a span for each call: "blob put", "blob open", "blob stat",
// "blob delete". The span of Open lasts until the reader is closed and tells of errors while reading.
func WrapBlob(inner blob.Store, t *Telemetry) blob.Store {
	return &blobs{
		inner: inner, t: t, read: t.blob.bytes.WithLabelValues("read"), written: t.blob.bytes.WithLabelValues("written"),
	}
}

func (b *blobs) begin(ctx context.Context, name string) (context.Context, operation) {
	o := operation{start: time.Now()}
	if b.t.inTrace(ctx) {
		ctx, o.span = b.t.tracer.Start(ctx, "blob "+name)
	}
	return ctx, o
}

func (o *operation) size(bytes int64) {
	if o.span != nil {
		o.span.SetAttributes(attribute.Int64("bureau.blob.size", bytes))
	}
}

// Put implements blob.Store.
func (b *blobs) Put(ctx context.Context, key string, r io.Reader) (blob.Info, error) {
	ctx, o := b.begin(ctx, "put")
	defer b.t.blob.calls.observe(&o, "put")
	info, err := b.inner.Put(ctx, key, r)
	o.done(err)
	if err == nil {
		b.written.Add(float64(info.Size))
		o.size(info.Size)
	}
	return info, err
}

// Open implements blob.Store.
func (b *blobs) Open(ctx context.Context, key string) (io.ReadCloser, blob.Info, error) {
	ctx, o := b.begin(ctx, "open")
	reading := false
	defer func() {
		if !reading {
			b.t.blob.calls.observe(&o, "open")
		}
	}()
	rc, info, err := b.inner.Open(ctx, key)
	o.done(err)
	if err != nil {
		return rc, info, err
	}
	reading = true
	o.size(info.Size)
	return &blobReader{inner: rc, b: b, o: o}, info, nil
}

// Stat implements blob.Store.
func (b *blobs) Stat(ctx context.Context, key string) (blob.Info, error) {
	ctx, o := b.begin(ctx, "stat")
	defer b.t.blob.calls.observe(&o, "stat")
	info, err := b.inner.Stat(ctx, key)
	o.done(err)
	return info, err
}

// Delete implements blob.Store.
func (b *blobs) Delete(ctx context.Context, key string) error {
	ctx, o := b.begin(ctx, "delete")
	defer b.t.blob.calls.observe(&o, "delete")
	err := b.inner.Delete(ctx, key)
	o.done(err)
	return err
}

// blobReader observes the reading of a blob.
type blobReader struct {
	inner  io.ReadCloser
	b      *blobs
	o      operation
	closed bool
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	n, err := r.inner.Read(p)
	r.b.read.Add(float64(n))
	if err != nil && !errors.Is(err, io.EOF) && !r.closed {
		r.o.done(err)
	}
	return n, err
}

// Close implements io.Closer.
func (r *blobReader) Close() error {
	err := r.inner.Close()
	if r.closed {
		return err
	}
	r.closed = true
	if err != nil && r.o.err == nil {
		r.o.done(err)
	}
	r.b.t.blob.calls.observe(&r.o, "open")
	return err
}
