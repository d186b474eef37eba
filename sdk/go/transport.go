package valar

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Back-off doubles from the first pause to the longest. A server that names a pause is believed, up to more than the minute in which it
// counts requests.
const (
	firstPause        = 250 * time.Millisecond
	longestPause      = 8 * time.Second
	longestNamedPause = 90 * time.Second
)

// maxAnswer is the most bytes of an answer that are read.
const maxAnswer = 64 << 20

// call is a request before it is sent.
type call struct {
	method string
	path   string // may have a query
	query  url.Values
	in     any    // written as JSON unless nil
	raw    []byte // the body when it is written already
	key    string // Idempotency-Key; made when a POST has none
	public bool   // sends no API key
	out    any    // what the answer is decoded into, unless nil
	header *http.Header
}

// call sends a request, as often as is needed and allowed.
func (c *Client) call(ctx context.Context, r call) error {
	if r.in != nil {
		var err error
		if r.raw, err = json.Marshal(r.in); err != nil {
			return &Error{Method: r.method, Path: r.path, Detail: "the input cannot be written as JSON", Err: err}
		}
	}
	if r.method == http.MethodPost && r.key == "" {
		r.key = rand.Text()
	}
	for attempt := 0; ; attempt++ {
		err := c.attempt(ctx, r)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if r.method == http.MethodDelete && attempt > 0 && err.Status == http.StatusNotFound {
			return nil // the attempt before had done it
		}
		pause, again := pauseAfter(err, attempt)
		if !again || attempt >= c.maxRetries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

func (c *Client) attempt(ctx context.Context, r call) *Error {
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	fail := func(status int, err error) *Error {
		return &Error{Method: r.method, Path: r.path, Status: status, Err: err}
	}
	target := c.base + "/" + strings.TrimLeft(r.path, "/")
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.raw != nil {
		body = bytes.NewReader(r.raw)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return fail(0, unsendable{err})
	}
	req.Header.Set("Accept", "application/json")
	if r.raw != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if !r.public {
		req.Header.Set("X-Api-Key", c.key)
		if r.key != "" {
			req.Header.Set("Idempotency-Key", r.key)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fail(0, bare(err))
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fail(0, err) // cut off, whatever the status was to be
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return errorOf(r, res, answer)
	}
	if r.header != nil {
		*r.header = maps.Clone(res.Header)
	}
	if r.out == nil || len(answer) == 0 && res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(answer, r.out); err != nil {
		return fail(res.StatusCode, fmt.Errorf("the answer is not what the API promises; is the base URL right? %w", err))
	}
	return nil
}

// unsendable is an error that every repetition would have.
type unsendable struct{ error }

// bare takes off what http.Client puts around an error: method and address, which Error has.
func bare(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// pauseAfter returns how long to wait before the next attempt, and whether it may help. Whether it is safe is settled: every POST has a key.
func pauseAfter(err *Error, attempt int) (time.Duration, bool) {
	if !err.temporary() || err.RetryAfter > longestNamedPause {
		return 0, false
	}
	pause := time.Duration(float64(min(firstPause<<min(attempt, 10), longestPause)) * (0.75 + mathrand.Float64()/2))
	return max(pause, err.RetryAfter), true
}

// temporary reports whether the same request may succeed later.
func (e *Error) temporary() bool {
	switch e.Status {
	case 0:
		_, never := errors.AsType[unsendable](e.Err)
		return !never
	case http.StatusConflict:
		return e.RetryAfter > 0 // the attempt before is still being answered
	default:
		return e.Status == http.StatusTooManyRequests || e.Status >= http.StatusInternalServerError
	}
}

// path joins parts with ids, which may be any text.
func path(format string, ids ...string) string {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = url.PathEscape(id)
	}
	return fmt.Sprintf(format, args...)
}

// params collects what a query has; nothing that is empty goes into it.
type params url.Values

func (p params) text(name, value string) params {
	if value != "" {
		p[name] = []string{value}
	}
	return p
}

func (p params) number(name string, value int) params {
	if value != 0 {
		p[name] = []string{strconv.Itoa(value)}
	}
	return p
}

func (p params) time(name string, value time.Time) params {
	if !value.IsZero() {
		p[name] = []string{value.UTC().Format(time.RFC3339Nano)}
	}
	return p
}
