package agento

import (
	"net/http"
	"time"

	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/page"
)

// errorWire is the envelope of every error.
type errorWire struct {
	Error struct {
		Code    string `json:"code" doc:"Which error it is, such as not_found. Codes do not change."`
		Message string `json:"message" doc:"For people."`
	} `json:"error"`
}

// codes are the codes by status; codesByFault those that say more than the status does.
var (
	codes = map[int]string{
		http.StatusBadRequest:            "validation_error",
		http.StatusUnauthorized:          "unauthorized",
		http.StatusPaymentRequired:       "credits_exhausted",
		http.StatusForbidden:             "forbidden",
		http.StatusNotFound:              "not_found",
		http.StatusMethodNotAllowed:      "method_not_allowed",
		http.StatusRequestTimeout:        "request_timeout",
		http.StatusConflict:              "conflict",
		http.StatusRequestEntityTooLarge: "payload_too_large",
		http.StatusTooManyRequests:       "rate_limited",
		http.StatusNotImplemented:        "not_implemented",
		http.StatusServiceUnavailable:    "unavailable",
		http.StatusGatewayTimeout:        "timeout",
	}
	codesByFault = map[string]string{agent.ErrPlanLimit.Code: "plan_limit"}
)

func encodeError(status int, e *fault.Error, _ string) any {
	var w errorWire
	w.Error.Code, w.Error.Message = codes[status], e.Message
	if special, ok := codesByFault[e.Code]; ok {
		w.Error.Code = special
	}
	if w.Error.Code == "" {
		w.Error.Code = "internal_error"
	}
	return w
}

// dataWire is the body of every answer that is no list.
type dataWire[T any] struct {
	Data T `json:"data"`
}

// output is the output of most operations.
type output[T any] struct{ Body dataWire[T] }

func ok[T any](data T) *output[T] { return &output[T]{Body: dataWire[T]{data}} }

// paginationWire says which part of a list an answer holds.
type paginationWire struct {
	Total  int `json:"total" doc:"How many items there are."`
	Limit  int `json:"limit"`
	Offset int `json:"offset"`
}

// listWire is the body of a list.
type listWire[T any] struct {
	Data       []T            `json:"data" nullable:"false"`
	Pagination paginationWire `json:"pagination"`
}

// listOutput is the output of a list.
type listOutput[T any] struct{ Body listWire[T] }

// listOf writes the page that req asked for, with each item as show makes it. A limit of 0 stands for all: the answer's is their number.
func listOf[E, T any](req page.Request, p page.Page[E], show func(E) T) *listOutput[T] {
	l := listWire[T]{Data: make([]T, 0, len(p.Items)), Pagination: paginationWire{Total: p.Total, Limit: req.Limit, Offset: req.Offset}}
	for _, item := range p.Items {
		l.Data = append(l.Data, show(item))
	}
	if req.Limit == 0 {
		l.Pagination.Limit = len(l.Data)
	}
	return &listOutput[T]{l}
}

// stamp is a time: RFC 3339 in UTC with milliseconds.
type stamp string

func stampOf(t time.Time) stamp { return stamp(t.UTC().Format("2006-01-02T15:04:05.000Z")) }

// stampPtr is null for the zero time.
func stampPtr(t time.Time) *stamp {
	if t.IsZero() {
		return nil
	}
	s := stampOf(t)
	return &s
}

// textPtr is null for an empty text.
func textPtr(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
