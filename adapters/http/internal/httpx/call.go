package httpx

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/queryparam"

	"github.com/bureau-agents/bureau/core/account"
)

// call is one request on its way. It is the http.ResponseWriter that handlers see, the huma.Context (as humaContext), and the context
// of the handler, in one allocation. It is not reused: contexts outlive requests.
type call struct {
	face  *Face
	op    *operation // nil until routed
	w     http.ResponseWriter
	r     *http.Request
	ctx   callContext
	id    string
	start time.Time
	scope account.Scope
	body  []byte // of a JSON operation, once it was read
	input io.Reader
	key   string // Idempotency-Key

	status  int // what is, or will be, sent; 0 is not known yet
	forced  int // replaces whatever status huma asks for
	wrote   bool
	holding *bytes.Buffer // not nil holds the answer back until it is stored

	values [4]string // of the headers that every answer has
}

// callContext gives the handler's context its call.
type callContext struct {
	context.Context //nolint:containedctx // it is a context, with one more value

	c *call
}

type callKey struct{}

// Value implements context.Context.
func (c *callContext) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c.c
	}
	return c.Context.Value(key)
}

func newCall(f *Face, w http.ResponseWriter, r *http.Request) *call {
	c := &call{face: f, w: w, r: r, start: f.cfg.Clock.Now()}
	c.ctx = callContext{r.Context(), c}
	c.id = newRequestID()
	c.values[0] = c.id
	w.Header()["Request-Id"] = c.values[0:1:1]
	return c
}

// newRequestID is cheap rather than secret.
func newRequestID() string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	b := [4 + 24]byte{'r', 'e', 'q', '_'}
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := 4; i < len(b); i += 2 {
		b[i], b[i+1] = digits[hi&31], digits[lo&31]
		hi >>= 5
		lo >>= 5
	}
	return string(b[:])
}

func callOf(w http.ResponseWriter) *call {
	c, _ := w.(*call)
	return c
}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// Scope returns on whose behalf the request is made. It is the zero Scope, which may do nothing, on a public route.
func Scope(ctx context.Context) account.Scope {
	if c := callFrom(ctx); c != nil {
		return c.scope
	}
	return account.Scope{}
}

// RequestID returns the id that the response carries.
func RequestID(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.id
	}
	return ""
}

// IdempotencyKey returns the Idempotency-Key that came with the request, or "".
func IdempotencyKey(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.key
	}
	return ""
}

// ActKey returns what makes the act that this request asks for unique within its tenant: API key, route and Idempotency-Key. It is ""
// without that header. It is meant for gate.Act.Key, in operations with OwnIdempotency.
func ActKey(ctx context.Context) string {
	c := callFrom(ctx)
	if c == nil || c.key == "" {
		return ""
	}
	return "api/" + c.scope.Key.UUID().String() + "/" + c.r.Method + " " + c.r.URL.Path + "/" + c.key
}

// ActKeyOf is ActKey for a face that takes the key from the body, too: what names the act within its route, such as
// "spend/<agent>/<key>". It is scoped to the caller's API key.
func ActKeyOf(ctx context.Context, name string) string {
	return "api/" + Scope(ctx).Key.UUID().String() + "/" + name
}

// ClientAddr returns the address of the caller: the peer's, or what a trusted proxy says it is.
func ClientAddr(ctx context.Context) netip.Addr {
	if c := callFrom(ctx); c != nil {
		return c.addr()
	}
	return netip.Addr{}
}

// Body returns the body of an operation with Upload, limited to its size; reading past that is a fault.TooLarge.
func Body(ctx context.Context) io.Reader {
	if c := callFrom(ctx); c != nil && c.input != nil {
		return c.input
	}
	return bytes.NewReader(nil)
}

// Request returns the request itself, for what no input type can express.
func Request(ctx context.Context) *http.Request {
	if c := callFrom(ctx); c != nil {
		return c.r
	}
	return nil
}

func (c *call) addr() netip.Addr {
	ap, err := netip.ParseAddrPort(c.r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap()
	if !c.trusted(addr) {
		return addr
	}
	// Each proxy appends whom it heard from, so the last address that is not a proxy's is the one that cannot be forged.
	hops := strings.Split(strings.Join(c.r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap()
		if !c.trusted(addr) {
			break
		}
	}
	return addr
}

func (c *call) trusted(addr netip.Addr) bool {
	for _, p := range c.face.cfg.TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func (c *call) route() string {
	if c.op == nil {
		return ""
	}
	return c.op.Path
}

// Header implements http.ResponseWriter.
func (c *call) Header() http.Header { return c.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (c *call) WriteHeader(status int) {
	if c.holding != nil || c.wrote {
		c.status = status
		return
	}
	if status >= 200 {
		c.status, c.wrote = status, true
	}
	c.w.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *call) Write(b []byte) (int, error) {
	if c.holding != nil {
		return c.holding.Write(b)
	}
	if !c.wrote {
		if c.status == 0 {
			c.status = http.StatusOK
		}
		c.WriteHeader(c.status)
	}
	return c.w.Write(b)
}

// Unwrap lets http.ResponseController find what the connection can do.
func (c *call) Unwrap() http.ResponseWriter { return c.w }

// flushStatus sends the status of an answer without a body.
func (c *call) flushStatus() {
	if c.wrote || c.holding != nil {
		return
	}
	if c.status == 0 {
		c.status = http.StatusOK
	}
	c.WriteHeader(c.status)
}

// send writes a whole answer.
func (c *call) send(status int, contentType string, body []byte) {
	h := c.Header()
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.WriteHeader(status)
	if len(body) > 0 {
		_, _ = c.Write(body) // the caller went away; there is nobody to tell
	}
}

// humaContext is a call as huma sees it.
type humaContext call

var _ huma.Context = (*humaContext)(nil)

func (h *humaContext) Operation() *huma.Operation                 { return h.op.huma }
func (h *humaContext) Context() context.Context                   { return &h.ctx }
func (h *humaContext) TLS() *tls.ConnectionState                  { return h.r.TLS }
func (h *humaContext) Method() string                             { return h.r.Method }
func (h *humaContext) Host() string                               { return h.r.Host }
func (h *humaContext) RemoteAddr() string                         { return h.r.RemoteAddr }
func (h *humaContext) URL() url.URL                               { return *h.r.URL }
func (h *humaContext) Param(name string) string                   { return h.r.PathValue(name) }
func (h *humaContext) Query(name string) string                   { return queryparam.Get(h.r.URL.RawQuery, name) }
func (h *humaContext) BodyReader() io.Reader                      { return bytes.NewReader(h.body) }
func (h *humaContext) SetReadDeadline(time.Time) error            { return nil } // the body was read before huma
func (h *humaContext) Status() int                                { return h.status }
func (h *humaContext) SetHeader(name, value string)               { h.w.Header().Set(name, value) }
func (h *humaContext) AppendHeader(name, value string)            { h.w.Header().Add(name, value) }
func (h *humaContext) BodyWriter() io.Writer                      { return (*call)(h) }
func (h *humaContext) GetMultipartForm() (*multipart.Form, error) { return nil, errors.ErrUnsupported }
func (h *humaContext) Version() huma.ProtoVersion {
	return huma.ProtoVersion{Proto: h.r.Proto, ProtoMajor: h.r.ProtoMajor, ProtoMinor: h.r.ProtoMinor}
}

// Header returns a request header. Whatever a caller says of its body, it is taken for JSON: many clients say nothing or something
// wrong.
func (h *humaContext) Header(name string) string {
	if name == "Content-Type" {
		return contentJSON
	}
	return h.r.Header.Get(name)
}

// EachHeader calls f for each request header.
func (h *humaContext) EachHeader(f func(name, value string)) {
	for name, values := range h.r.Header {
		for _, v := range values {
			f(name, v)
		}
	}
}

// SetStatus notes the status; it is sent with the first byte of the body, so that an answer that cannot be encoded is still a 500.
func (h *humaContext) SetStatus(status int) {
	if h.forced != 0 {
		status = h.forced
	}
	h.status = status
}
