package httpx

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests by route. The observers of an operation are looked up once, when it is registered.
type metrics struct {
	face     string
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	none     [6]prometheus.Counter // requests that no route took
}

func newMetrics(reg prometheus.Registerer, face string) (*metrics, error) {
	m := &metrics{
		face: face,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bureau_http_requests_total", Help: "Requests by face, route and hundreds of the status.",
		}, []string{"face", "method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bureau_http_request_seconds", Help: "Time to the end of the answer, by face and route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"face", "method", "route"}),
	}
	if reg != nil {
		var err error
		if m.requests, err = share(reg, m.requests); err != nil {
			return nil, err
		}
		if m.seconds, err = share(reg, m.seconds); err != nil {
			return nil, err
		}
	}
	m.none = m.counters("", "")
	return m, nil
}

// share registers c, or returns what another face registered under its name.
func share[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	var taken prometheus.AlreadyRegisteredError
	if errors.As(err, &taken) {
		if old, ok := taken.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("httpx: metrics: %w", err)
	}
	return c, nil
}

func (m *metrics) counters(method, route string) (out [6]prometheus.Counter) {
	for i := range out {
		out[i] = m.requests.WithLabelValues(m.face, method, route, strconv.Itoa(i)+"xx")
	}
	return out
}

func (m *metrics) prepare(o *operation) {
	o.count = m.counters(o.Method, o.Path)
	o.duration = m.seconds.WithLabelValues(m.face, o.Method, o.Path)
}

func (m *metrics) observe(o *operation, status int, took time.Duration) {
	class := min(status/100, 5)
	if o == nil {
		m.none[class].Inc()
		return
	}
	o.count[class].Inc()
	if !o.stream {
		o.duration.Observe(took.Seconds())
	}
}
