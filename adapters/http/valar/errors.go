package valar

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/ports/fault"
)

var errNotReady = fault.New(fault.Unavailable, "not_ready", "the server is not ready")

// errorWire is the envelope of every error.
type errorWire struct {
	Detail any `json:"detail" doc:"A text, or with status 422 a list of {loc, msg, type}."`
}

// faultWire is one fault in the input, where loc is its place: [\"body\", \"events\", 3, \"level\"].
type faultWire struct {
	Loc  []any  `json:"loc"`
	Msg  string `json:"msg"`
	Type string `json:"type"`
}

// statusOf is the usual mapping, but that a fault in a field is 422.
func statusOf(e *fault.Error) int {
	status := httpx.StatusOf(e)
	if status == http.StatusBadRequest && len(e.Fields) > 0 && !httpx.Malformed(e) {
		return http.StatusUnprocessableEntity
	}
	return status
}

func encodeError(status int, e *fault.Error, _ string) any {
	if status != http.StatusUnprocessableEntity {
		return errorWire{e.Message}
	}
	faults := make([]faultWire, len(e.Fields))
	for i, f := range e.Fields {
		faults[i] = faultWire{Loc: locate(f.Path), Msg: f.Message, Type: "value_error"}
		if strings.Contains(f.Message, "required") {
			faults[i].Type = "missing"
		}
	}
	return errorWire{faults}
}

// locate makes a place of a path like "query.limit" or "events[3].level".
func locate(path string) []any {
	loc := []any{"body"}
	for _, part := range []string{"query", "path", "header"} {
		if rest, ok := strings.CutPrefix(path, part+"."); ok {
			loc, path = []any{part}, rest
		}
	}
	for name := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		if i, err := strconv.Atoi(name); err == nil {
			loc = append(loc, i)
		} else if name != "body" || len(loc) > 1 {
			loc = append(loc, name)
		}
	}
	return loc
}
