package httpx

import (
	"context"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Subject is who is counted: a key or an address.
type Subject struct {
	Key  id.APIKey
	Addr netip.Addr
}

// window is the length of every limit here.
const window = time.Minute

// Limiter counts requests per minute in this process. It is safe for concurrent use.
type Limiter struct {
	clock   clock.Clock
	sliding bool
	mu      sync.Mutex
	counts  map[Subject]*count
	swept   time.Time
}

type count struct {
	start time.Time   // of the window
	n     int         // requests in it
	times []time.Time // sliding: a ring of the last requests
	next  int         // sliding: where the oldest of them is
}

// NewLimiter returns an empty limiter. Sliding ones remember each request and allow the limit in any minute; the others count from a
// subject's first request on, and begin again a minute later.
func NewLimiter(clk clock.Clock, sliding bool) *Limiter {
	return &Limiter{clock: clk, sliding: sliding, counts: make(map[Subject]*count)}
}

// Verdict is the answer of a Limiter.
type Verdict struct {
	OK        bool
	Limit     int
	Remaining int
	Reset     time.Time // when a refused caller may come again, or the window ends
}

// Take counts a request of who under limit, which must be positive, unless that many were counted already.
func (l *Limiter) Take(who Subject, limit int) Verdict {
	now := l.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	c := l.counts[who]
	if c == nil {
		c = &count{start: now}
		l.counts[who] = c
	}
	if l.sliding {
		return c.slide(now, limit)
	}
	if now.Sub(c.start) >= window {
		c.start, c.n = now, 0
	}
	v := Verdict{Limit: limit, Reset: c.start.Add(window)}
	if c.n < limit {
		c.n++
		v.OK, v.Remaining = true, limit-c.n
	}
	return v
}

func (c *count) slide(now time.Time, limit int) Verdict {
	if len(c.times) != limit { // the first request, or the plan changed: forgetting is kinder than refusing
		c.times, c.next, c.n = make([]time.Time, limit), 0, 0
	}
	c.start = now
	v := Verdict{Limit: limit}
	oldest := c.times[c.next]
	if !oldest.IsZero() && now.Sub(oldest) < window {
		v.Reset = oldest.Add(window)
		return v
	}
	c.times[c.next] = now
	c.next = (c.next + 1) % limit
	v.OK = true
	v.Reset = now.Add(window)
	for _, t := range c.times {
		if t.IsZero() || now.Sub(t) >= window {
			v.Remaining++
		}
	}
	return v
}

// sweep forgets, once a minute, who was not seen for one.
func (l *Limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < window {
		return
	}
	l.swept = now
	maps.DeleteFunc(l.counts, func(_ Subject, c *count) bool { return now.Sub(c.start) >= window })
}

var errRate = fault.New(fault.RateLimited, "rate_limited", "too many requests; try again later")

// rate counts the request against the caller's limit and sets the headers.
func (c *call) rate() error {
	cfg := &c.face.cfg
	limit := cfg.Rate.PerMinute(c.scope)
	if limit < 0 || cfg.RateScale == 0 {
		c.rateHeaders(account.Unlimited, account.Unlimited, c.start.Add(window))
		return nil
	}
	who := Subject{Key: c.scope.Key}
	if cfg.Rate.ByAddress || who.Key.IsZero() {
		who = Subject{Addr: c.addr()}
	}
	return c.take(c.face.limits, who, limit, nil)
}

// stranger counts a request without a valid key against its address. err is the answer while there are not too many of them.
func (c *call) stranger(err error) error {
	if c.face.cfg.RateScale == 0 {
		return err
	}
	return c.take(c.face.strangers, Subject{Addr: c.addr()}, strangersPerMinute, err)
}

// visitor counts a request that needs no key against its address.
func (c *call) visitor() error {
	if c.face.cfg.RateScale == 0 {
		return nil
	}
	return c.take(c.op.visitors, Subject{Addr: c.addr()}, c.op.PublicRate, nil)
}

func (c *call) take(l *Limiter, who Subject, limit int, within error) error {
	v := l.Take(who, max(1, int(float64(limit)*c.face.cfg.RateScale)))
	c.rateHeaders(v.Limit, v.Remaining, v.Reset)
	if v.OK {
		return within
	}
	return errRate.WithRetry(max(time.Second, v.Reset.Sub(c.start)))
}

func (c *call) rateHeaders(limit, remaining int, reset time.Time) {
	setRate(c.Header(), c.values[1:4:4], limit, remaining, reset)
}

// SetRate sets the rate headers of the answer, for an operation with an allowance of its own.
func SetRate(ctx context.Context, limit, remaining int, reset time.Time) {
	if c := callFrom(ctx); c != nil {
		c.rateHeaders(limit, remaining, reset)
	}
}

func setRate(h http.Header, values []string, limit, remaining int, reset time.Time) {
	values[0], values[1], values[2] = strconv.Itoa(limit), strconv.Itoa(remaining), strconv.FormatInt(reset.Unix(), 10)
	h["X-Ratelimit-Limit"] = values[0:1:1]
	h["X-Ratelimit-Remaining"] = values[1:2:2]
	h["X-Ratelimit-Reset"] = values[2:3:3]
}
