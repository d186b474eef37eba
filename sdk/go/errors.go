package valar

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is why a request failed: the server refused it, or no answer came.
type Error struct {
	// Method and Path say which request it was.
	Method, Path string
	// Status is the HTTP status; 0 when no answer came.
	Status int
	// Detail is what the server said; with status 422 all faults in one text.
	Detail string
	// Fields are the faults in the input, with status 422.
	Fields []Field
	// RequestID is the server's name for the request, for reports.
	RequestID string
	// RetryAfter is when the server thinks that trying again makes sense; 0 when it did not say.
	RetryAfter time.Duration
	// Err is what was wrong with the connection, or with the answer; nil when the server refused.
	Err error
}

// Field is one fault in the input.
type Field struct {
	// Path is its place, such as body, events, 3, level.
	Path []string
	// Message is for people, Type for programs.
	Message, Type string
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "valar: %s %s", e.Method, e.Path)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// IsStatus reports whether err is, or wraps, an Error with one of these statuses: IsStatus(err, http.StatusNotFound).
func IsStatus(err error, status ...int) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	for _, s := range status {
		if e.Status == s {
			return true
		}
	}
	return false
}

// errorOf makes the error of an answer that is no success.
func errorOf(c call, res *http.Response, body []byte) *Error {
	e := &Error{
		Method: c.method, Path: c.path, Status: res.StatusCode, RequestID: res.Header.Get("Request-Id"),
		RetryAfter: retryAfter(res.Header.Get("Retry-After")),
	}
	var envelope struct{ Detail json.RawMessage }
	if json.Unmarshal(body, &envelope) != nil || envelope.Detail == nil {
		// Whatever stands between client and server may answer without the envelope.
		e.Detail = strings.TrimSpace(string(body[:min(len(body), 500)]))
		if where := res.Header.Get("Location"); where != "" && res.StatusCode < http.StatusBadRequest {
			e.Detail = "redirected to " + where
		}
		return e
	}
	if json.Unmarshal(envelope.Detail, &e.Detail) == nil {
		return e
	}
	var faults []struct {
		Loc       []any
		Msg, Type string
	}
	if json.Unmarshal(envelope.Detail, &faults) != nil {
		e.Detail = string(envelope.Detail)
		return e
	}
	said := make([]string, len(faults))
	for i, f := range faults {
		path := make([]string, len(f.Loc))
		for j, part := range f.Loc {
			path[j] = fmt.Sprint(part) // a text, or a small whole number
		}
		e.Fields = append(e.Fields, Field{Path: path, Message: f.Msg, Type: f.Type})
		said[i] = strings.Join(path, ".") + ": " + f.Msg
	}
	e.Detail = strings.Join(said, "; ")
	return e
}

// retryAfter reads Retry-After: seconds, or a date.
func retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseFloat(header, 64); err == nil {
		return max(0, time.Duration(min(seconds, 1e9)*float64(time.Second)))
	}
	if date, err := http.ParseTime(header); err == nil {
		return max(0, time.Until(date))
	}
	return 0
}
