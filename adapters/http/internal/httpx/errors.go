package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	humatext "github.com/danielgtaylor/huma/v2/validation"

	"github.com/bureau-agents/bureau/ports/fault"
)

// Envelope is how a face writes errors.
type Envelope struct {
	// Status returns the status of e; nil is StatusOf.
	Status func(e *fault.Error) int
	// Encode returns what is written as JSON. Its type is documented as the schema of every error, so it must always be the same. For
	// fault.Internal the message is already one that may be shown.
	Encode func(status int, e *fault.Error, requestID string) any
}

// StatusOf is the usual mapping of kinds to statuses.
func StatusOf(e *fault.Error) int {
	switch {
	case errors.Is(e, errNoMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(e, errSlowBody):
		return http.StatusRequestTimeout
	}
	switch e.Kind {
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.PaymentRequired:
		return http.StatusPaymentRequired
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.TooLarge:
		return http.StatusRequestEntityTooLarge
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Timeout:
		return http.StatusGatewayTimeout
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Unsupported:
		return http.StatusNotImplemented
	default:
		return http.StatusInternalServerError
	}
}

// statusClientGone is what is logged and counted when the caller hung up; nobody reads it.
const statusClientGone = 499

var (
	errInternal   = fault.New(fault.Internal, "internal_error", "something went wrong in the server; quote the request id when you report it")
	errClientGone = fault.New(fault.Unavailable, "client_gone", "the caller hung up")
	errDeadline   = fault.New(fault.Timeout, "deadline_exceeded", "it took too long")
	errSlowBody   = fault.New(fault.Timeout, "body_timeout", "the request's body did not arrive in time")
)

// failure says how to answer err, and logs what callers must not see.
func (c *call) failure(err error) (*fault.Error, int) {
	e, ok := fault.As(err)
	switch {
	case c.r.Context().Err() != nil && (errors.Is(err, context.Canceled) || !ok):
		return errClientGone, statusClientGone
	case !ok && errors.Is(err, context.DeadlineExceeded):
		e = errDeadline
	case !ok || e.Kind == fault.Internal:
		c.face.cfg.Logger.ErrorContext(&c.ctx, "request failed", slog.String("request_id", c.id), slog.String("face", c.face.cfg.Name),
			slog.String("method", c.r.Method), slog.String("route", c.route()), slog.String("tenant_id", c.scope.Tenant.String()),
			slog.Any("error", err))
		e = errInternal
	}
	return e, c.face.cfg.Envelope.Status(e)
}

// prepare sets the headers of an error and returns its status and body.
func (c *call) prepare(err error) (int, any) {
	e, status := c.announce(err)
	return status, c.face.cfg.Envelope.Encode(status, e, c.id)
}

// announce sets the headers of an error and says how to answer it.
func (c *call) announce(err error) (*fault.Error, int) {
	e, status := c.failure(err)
	h := c.Header()
	if c.op != nil && c.op.Headers != nil && e.Kind != fault.RateLimited {
		c.op.Headers(&c.ctx)
	}
	switch {
	case e.RetryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	case status == http.StatusConflict:
		h.Set("X-Should-Retry", "false") // official clients repeat a 409 otherwise; this one will not change by itself
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="bureau"`)
	}
	h.Del("Content-Length")
	return e, status
}

// fail answers with an error outside huma.
func (c *call) fail(err error) {
	if c.op != nil && c.op.Fail != nil {
		e, status := c.announce(err)
		c.op.Fail(c, c.r.WithContext(&c.ctx), status, e)
		return
	}
	status, body := c.prepare(err)
	c.Header().Set("Content-Type", contentJSON)
	c.status = status
	if err := c.face.api.Marshal(c, contentJSON, body); err != nil {
		c.send(status, contentJSON, []byte("{}\n")) // an envelope is made of strings; this cannot be
	}
}

// handled carries a handler's error through huma, which asks errors for their status.
type handled struct {
	err    error
	status int
	body   any
}

func (h *handled) Error() string  { return h.err.Error() }
func (h *handled) GetStatus() int { return h.status }

// validation turns what huma found into a fault.
func validation(m *huma.ErrorModel) *fault.Error {
	switch m.Status {
	case http.StatusRequestEntityTooLarge:
		return errTooLarge
	case http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusUnsupportedMediaType:
	default:
		return errInternal.Wrap(m)
	}
	if len(m.Errors) == 0 {
		return fault.New(fault.Invalid, "invalid_request", m.Detail)
	}
	fields := make([]fault.Field, 0, len(m.Errors))
	for _, d := range m.Errors {
		fields = append(fields, fieldOf(d))
	}
	return invalid(fields)
}

// invalid makes the error of a request with faults in its input.
func invalid(fields []fault.Field) *fault.Error {
	msg := fields[0].Path + ": " + fields[0].Message
	if n := len(fields) - 1; n > 0 {
		msg += " (and " + strconv.Itoa(n) + " more)"
	}
	return &fault.Error{Kind: fault.Invalid, Code: "invalid_request", Message: msg, Fields: fields}
}

// fieldOf drops the value from a fault, which may be a secret, and names the place as the caller wrote it.
func fieldOf(d *huma.ErrorDetail) fault.Field {
	path := d.Location
	if rest, ok := strings.CutPrefix(path, "body."); ok {
		path = rest
	} else if rest, ok := strings.CutPrefix(path, "body["); ok {
		path = "[" + rest
	}
	msg := d.Message
	if rest, ok := strings.CutPrefix(msg, "expected required property "); ok {
		if name, ok := strings.CutSuffix(rest, " to be present"); ok {
			if path == "body" {
				path = name
			} else {
				path += "." + name
			}
			return fault.Field{Path: path, Message: "is required"}
		}
	}
	if msg == humatext.MsgExpectedMatchExactlyOneSchema {
		msg = "has none of the forms that it may have"
		if kind := kindOf(d.Value); kind != "" {
			msg += ": it is " + kind
		}
	}
	if strings.HasPrefix(msg, "invalid date/time for format ") { // and then Go's own way to write formats
		msg = "must be a time such as 2026-11-21T08:00:00Z"
	}
	for _, prefix := range []string{ // huma appends the parser's message to these, which repeats the value
		"expected string to be RFC 5322 email", "expected string to be RFC 3986 uri", "expected string to be RFC 4122 uuid",
		"expected string to be regex", "expected duration", "invalid value",
	} {
		if strings.HasPrefix(msg, prefix) {
			msg = prefix
		}
	}
	if path == "" {
		path = "body"
	}
	return fault.Field{Path: path, Message: msg}
}

// kindOf names the kind of a decoded JSON value, "" for a text or an object, whose content is what is wrong.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case float64, json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return ""
}

// decodeError says what a JSON value has of the wrong type, without the value.
func decodeError(err error) error {
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		where := ""
		if typ.Field != "" {
			where = typ.Field + ": "
		}
		kind, _, _ := strings.Cut(typ.Value, " ") // "number 300" names the value
		return errors.New(where + "a JSON " + kind + " does not fit here")
	}
	return errors.New("a value does not fit its field")
}
