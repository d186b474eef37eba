package anthropic

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	vendor "github.com/anthropics/anthropic-sdk-go"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
)

// statuses are the HTTP statuses of error types, for errors that come inside a stream: its own status is 200.
// Source: https://platform.claude.com/docs/en/api/errors
var statuses = map[string]int{
	"invalid_request_error": http.StatusBadRequest,
	"authentication_error":  http.StatusUnauthorized,
	"permission_error":      http.StatusForbidden,
	"not_found_error":       http.StatusNotFound,
	"request_too_large":     http.StatusRequestEntityTooLarge,
	"rate_limit_error":      http.StatusTooManyRequests,
	"timeout_error":         http.StatusGatewayTimeout,
	"overloaded_error":      529,
}

// failure maps the error that ended a stream, or that came instead of one. A stream that just ends was cut.
func failure(ctx context.Context, err error, x *wire.Exchange) error {
	began := x.Status != 0 && x.Status < http.StatusBadRequest
	if api, ok := errors.AsType[*vendor.Error](err); ok {
		var body struct {
			Error struct {
				Type    string `json:"type"`
				Message string `json:"message"`
			} `json:"error"`
		}
		// What is not the API's own form has no message to repeat.
		_ = json.Unmarshal([]byte(api.RawJSON()), &body)
		status := api.StatusCode
		if began {
			if status, ok = statuses[body.Error.Type]; !ok {
				status = http.StatusInternalServerError
			}
		}
		return wire.Status(status, body.Error.Message, x.Header)
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return wire.Broken(ctx, err, began)
}
