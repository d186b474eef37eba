package native

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
)

type healthWire struct {
	OK bool `json:"ok"`
}

// readyTimeout is how long the store has to answer.
const readyTimeout = time.Second

var errNotReady = fault.New(fault.Unavailable, "not_ready", "the server cannot reach its store")

func (f *face) registerServer() {
	httpx.Register(f.Face, httpx.Op{
		ID: "getHealth", Method: http.MethodGet, Path: "/healthz", Tag: "server", Summary: "Whether the process serves",
	}, func(context.Context, *struct{}) (*output[healthWire], error) {
		return ok(healthWire{OK: true}), nil
	})

	httpx.Register(f.Face, httpx.Op{
		ID: "getReadiness", Method: http.MethodGet, Path: "/readyz", Tag: "server", Summary: "Whether the server can do its work",
		Statuses: []int{http.StatusServiceUnavailable},
	}, func(ctx context.Context, _ *struct{}) (*output[healthWire], error) {
		ctx, cancel := context.WithTimeout(ctx, readyTimeout)
		defer cancel()
		if err := f.deps.Ready(ctx); err != nil {
			return nil, errNotReady.Wrap(err)
		}
		return ok(healthWire{OK: true}), nil
	})

	if f.deps.Gatherer == nil {
		return
	}
	metrics := promhttp.HandlerFor(f.deps.Gatherer, promhttp.HandlerOpts{})
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "getMetrics", Method: http.MethodGet, Path: "/metrics", Tag: "server", Summary: "Metrics in the format of Prometheus",
		Permission: account.Operator, Produces: "text/plain",
	}, func(context.Context, *struct{}) (httpx.Stream, error) {
		return metrics.ServeHTTP, nil
	})
}
