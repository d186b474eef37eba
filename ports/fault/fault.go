// Package fault is the error vocabulary of every layer: what went wrong (Kind), which case of it (Code), and what the
// caller can do about it (Message, Fields, RetryAfter).
//
// A context declares its errors as sentinels made by New and returns them wrapped or specialised. Driving adapters map the
// Kind to a status exactly once; nothing else inspects error strings.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error by what the caller did or may do. The zero Kind is Internal.
type Kind uint8

// The kinds, each with the HTTP status that faces usually give it.
const (
	Internal        Kind = iota // 500: our own defect; the message is never shown to callers
	Invalid                     // 400: the request cannot be right as it is
	Unauthenticated             // 401: no valid credential
	PaymentRequired             // 402: out of credits or budget
	Forbidden                   // 403: known caller, not allowed
	NotFound                    // 404: no such thing in the caller's scope
	Conflict                    // 409: the state, a version or a key disagrees
	TooLarge                    // 413: over a size limit
	RateLimited                 // 429: too many; see RetryAfter
	Timeout                     // 504: a deadline ran out
	Unavailable                 // 503: try again later
	Unsupported                 // 501: recognised and not offered by this server
)

var kindNames = [...]string{
	"internal", "invalid", "unauthenticated", "payment_required", "forbidden", "not_found", "conflict", "too_large",
	"rate_limited", "timeout", "unavailable", "unsupported",
}

// String returns the snake_case name of k.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Field is one fault at one place of the caller's input.
type Field struct {
	Path    string // where, as the caller spelled it: "limits.daily_limit", "query.limit", "events[3].agent_id"
	Message string // what is wrong and what would be right
}

// Error is the concrete error of this package. Treat values as immutable: the With methods return copies.
type Error struct {
	Kind       Kind
	Code       string            // stable, snake_case, "context_reason": "agent_not_found"
	Message    string            // for the caller; names no secret and no internal detail
	Fields     []Field           // faults in the input, if any
	Details    map[string]string // what a program needs to mend it, by name: "conflicting_memory_id"; never changed
	RetryAfter time.Duration     // with RateLimited, Conflict or Unavailable: when trying again makes sense; 0 is unknown
	cause      error
}

// New makes an error, usually a package-level sentinel.
func New(kind Kind, code, message string) *Error {
	return &Error{Kind: kind, Code: code, Message: message}
}

// Invalidf is a shorthand for an Invalid error with one faulty field.
func Invalidf(path, format string, args ...any) *Error {
	msg := fmt.Sprintf(format, args...)
	return &Error{Kind: Invalid, Code: "invalid_request", Message: path + ": " + msg, Fields: []Field{{Path: path, Message: msg}}}
}

// Error returns "code: message", with the cause behind it when there is one.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Code + ": " + e.Message + ": " + e.cause.Error()
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause given by Wrap, or nil.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error with the same Kind and Code, so that errors.Is works across the With copies.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// Withf returns a copy of e with another message.
func (e *Error) Withf(format string, args ...any) *Error {
	c := *e
	c.Message = fmt.Sprintf(format, args...)
	return &c
}

// WithFields returns a copy of e that names faulty fields.
func (e *Error) WithFields(fields ...Field) *Error {
	c := *e
	c.Fields = append(append([]Field(nil), e.Fields...), fields...)
	return &c
}

// WithDetails returns a copy of e with other Details.
func (e *Error) WithDetails(details map[string]string) *Error {
	c := *e
	c.Details = details
	return &c
}

// WithRetry returns a copy of e that says when to try again.
func (e *Error) WithRetry(after time.Duration) *Error {
	c := *e
	c.RetryAfter = after
	return &c
}

// Wrap returns a copy of e with a cause, which is logged and never shown to callers.
func (e *Error) Wrap(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// KindOf returns the Kind of the first *Error in err's chain, and Internal when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// As returns the first *Error in err's chain.
func As(err error) (*Error, bool) { return errors.AsType[*Error](err) }
