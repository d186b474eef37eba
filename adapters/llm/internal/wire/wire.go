// Package wire is what the adapters to model providers share: a transport that gives up on silent servers, and the mapping of
// HTTP statuses to the errors of ports/llm.
package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

// The timeouts when none is configured. Reasoning models may think for long before they say anything, but their servers answer
// with headers and comments meanwhile.
const (
	DefaultFirstByte = 60 * time.Second
	DefaultIdle      = 120 * time.Second
)

// maxErrorBody bounds how much of an error's body is read, and maxBody how much of any: no model says as much, but a server that a
// tenant named may go on for ever.
const (
	maxErrorBody = 64 << 10
	maxBody      = 128 << 20
)

// errSilent is the cause by which a request to a silent server is cancelled.
var errSilent = errors.New("the server sent nothing in time")

// Transport cancels requests whose server is silent for too long: before its first byte, or between two. Time in which the reader
// does not ask for more does not count. It also closes bodies that are read to their end, bounds them, and remembers
// status and headers for an Exchange in the request's context.
type Transport struct {
	Base      http.RoundTripper // nil is http.DefaultTransport
	FirstByte time.Duration     // 0 is DefaultFirstByte
	Idle      time.Duration     // 0 is DefaultIdle
	Header    http.Header       // set on every request
}

// Exchange is what a Transport saw of a request's answer.
type Exchange struct {
	Status int // 0 until there is an answer
	Header http.Header
}

// NoStream tells a successful answer that is no event stream, as of an address that is not an API's.
func (x *Exchange) NoStream() error {
	kind := x.Header.Get("Content-Type")
	switch {
	case x.Status >= http.StatusMultipleChoices:
		return llm.ErrRefusedRequest.Withf("the model's address redirects elsewhere (status %d); is the base URL right?", x.Status)
	case strings.HasPrefix(kind, "text/html"), strings.HasPrefix(kind, "application/json"):
		return llm.ErrRefusedRequest.Withf("the model's address answered with %q and not with a stream; is the base URL right?", kind)
	}
	return nil
}

// Client returns an HTTP client over t that follows no redirects: one would carry the key and the conversation to somebody else.
func Client(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type exchangeKey struct{}

// WithExchange returns a context whose requests tell the Exchange what they got. It is for one request at a time.
func WithExchange(ctx context.Context) (context.Context, *Exchange) {
	x := &Exchange{}
	return context.WithValue(ctx, exchangeKey{}, x), x
}

// RoundTrip sends req.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	first := t.FirstByte
	if first <= 0 {
		first = DefaultFirstByte
	}
	idle := t.Idle
	if idle <= 0 {
		idle = DefaultIdle
	}
	timer := time.AfterFunc(first, func() { cancel(errSilent) })
	out := req.Clone(ctx)
	for name, values := range t.Header {
		out.Header[name] = values
	}
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(out)
	if err != nil {
		timer.Stop()
		err = silent(ctx, err)
		cancel(err)
		return nil, err
	}
	if x, ok := req.Context().Value(exchangeKey{}).(*Exchange); ok {
		x.Status, x.Header = resp.StatusCode, resp.Header
	}
	b := &body{from: resp.Body, ctx: ctx, cancel: cancel, timer: timer, idle: idle}
	if resp.StatusCode >= http.StatusBadRequest {
		b.left = maxErrorBody
	} else {
		b.left = maxBody
	}
	resp.Body = b
	return resp, nil
}

func silent(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return llm.ErrTimeout.Wrap(err)
	}
	return err
}

type body struct {
	from   io.ReadCloser
	ctx    context.Context //nolint:containedctx // io.Reader has no argument for it
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	began  bool // a byte has arrived, and the first timeout is over
	left   int64
	once   sync.Once
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		_ = b.Close()
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	// Before the first byte the timer of RoundTrip is still running, and goes on to.
	if b.began {
		b.timer.Reset(b.idle)
	}
	n, err := b.from.Read(p)
	b.left -= int64(n)
	if n > 0 || err != nil {
		b.began = true
		b.timer.Stop()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = silent(b.ctx, err)
	}
	if err != nil {
		_ = b.Close()
	}
	return n, err
}

func (b *body) Close() error {
	var err error
	b.once.Do(func() {
		b.timer.Stop()
		err = b.from.Close()
		b.cancel(nil)
	})
	return err
}

// Status returns the port's error for an HTTP status. The provider's message is for the caller, save that of a refused key, which
// may repeat a part of it.
func Status(status int, message string, header http.Header) error {
	sentinel := llm.ErrRefusedRequest
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return llm.ErrCredentials.Wrap(&llm.Refusal{Status: status, Message: clean(message)})
	case status == http.StatusTooManyRequests:
		sentinel = llm.ErrRateLimited
	case status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
		sentinel = llm.ErrOverloaded
	}
	if message = clean(message); message != "" {
		sentinel = sentinel.Withf("%s: %s", sentinel.Message, message)
	}
	if after := RetryAfter(header, time.Now()); after > 0 && sentinel.Kind != fault.Invalid {
		sentinel = sentinel.WithRetry(after)
	}
	return sentinel.Wrap(fmt.Errorf("status %d", status))
}

// maxMessage bounds what is repeated of a provider's message, in bytes.
const maxMessage = 1000

// clean makes one short line of a message.
func clean(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "..."
	}
	return message
}

// RetryAfter reads when a server wants to be asked again: retry-after-ms, or retry-after in seconds or as a date. 0 is unsaid.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(header.Get("retry-after-ms"), 64); err == nil && ms > 0 && ms < 1e9 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	value := header.Get("retry-after")
	if s, err := strconv.ParseFloat(value, 64); err == nil && s > 0 && s < 1e6 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Broken returns the port's error for a request that got no whole answer: ctx's own when it ended, a timeout, a cut stream when
// the answer had begun, else a server out of reach. Errors of the port pass through.
func Broken(ctx context.Context, err error, began bool) error {
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("model call: %w", cause)
	}
	if known, ok := fault.As(err); ok {
		return known
	}
	if began {
		return llm.ErrCutStream.Wrap(err)
	}
	return llm.ErrOverloaded.Wrap(err)
}
