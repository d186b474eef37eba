package otel

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bureau-agents/bureau/adapters/internal/sqltx"
	"github.com/bureau-agents/bureau/ports/tx"
)

func newTxMetric(r *registrar) *prometheus.HistogramVec {
	return register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "bureau_tx_seconds", Buckets: storeBuckets,
		Help: "Time of transactions, with the wait for the writer and with repetitions; a rollback may be a refusal and no failure.",
	}, []string{"outcome"}))
}

// runner is a tx.Runner under observation.
type runner struct {
	tx.Runner

	handle                *sqltx.Handle // nil: it cannot be seen whether a transaction is joined
	committed, rolledBack prometheus.Observer
}

var _ tx.Runner = (*runner)(nil)

// WrapTx returns inner with the histogram bureau_tx_seconds. There are no spans: it is on the path of everything and
// costs well below a microsecond. A Do that joins a transaction is not measured again when inner is a SQL store, which
// shows its sqltx.Handle by a method SQL; with others it is.
func WrapTx(inner tx.Runner, t *Telemetry) tx.Runner {
	r := &runner{Runner: inner, committed: t.tx.WithLabelValues("commit"), rolledBack: t.tx.WithLabelValues("rollback")}
	if s, ok := inner.(interface{ SQL() *sqltx.Handle }); ok {
		r.handle = s.SQL()
	}
	return r
}

// Do implements tx.Runner.
func (r *runner) Do(ctx context.Context, fn func(ctx context.Context) error) error {
	if r.handle != nil {
		if _, joined := r.handle.From(ctx); joined {
			return r.Runner.Do(ctx, fn)
		}
	}
	start, outcome := time.Now(), r.rolledBack
	defer func() { outcome.Observe(time.Since(start).Seconds()) }() // also when fn panics
	err := r.Runner.Do(ctx, fn)
	if err == nil {
		outcome = r.committed
	}
	return err
}
