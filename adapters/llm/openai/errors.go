package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	vendor "github.com/sashabaranov/go-openai"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/llm"
)

// failure maps an error that came instead of a stream.
func failure(ctx context.Context, err error, x *wire.Exchange) error {
	// A RequestError may wrap an APIError that could not be read.
	if plain, ok := errors.AsType[*vendor.RequestError](err); ok {
		return wire.Status(x.Status, bodyMessage(plain.Body), x.Header)
	}
	if api, ok := errors.AsType[*vendor.APIError](err); ok {
		return wire.Status(x.Status, api.Message, x.Header)
	}
	for _, refused := range []error{
		vendor.ErrChatCompletionInvalidModel, vendor.ErrReasoningModelMaxTokensDeprecated, vendor.ErrReasoningModelLimitationsLogprobs,
		vendor.ErrReasoningModelLimitationsOther, vendor.ErrContentFieldsMisused, vendor.ErrReasoningToolsRequireResponses,
	} {
		if errors.Is(err, refused) {
			return llm.ErrRefusedRequest.Withf("%s: %s", llm.ErrRefusedRequest.Message, err.Error())
		}
	}
	if marshal, ok := errors.AsType[*json.MarshalerError](err); ok {
		return llm.ErrRefusedRequest.Wrap(marshal)
	}
	return wire.Broken(ctx, err, false)
}

// bodyMessage finds the message in an error body that is not OpenAI's own form: an array of errors, or a plain string.
func bodyMessage(body []byte) string {
	var list []struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		return list[0].Error.Message
	}
	var object struct {
		Error   string `json:"error"`
		Message string `json:"message"`
		Detail  string `json:"detail"`
	}
	if json.Unmarshal(body, &object) == nil {
		return object.Error + object.Message + object.Detail
	}
	if strings.HasPrefix(http.DetectContentType(body), "text/plain") {
		return string(body)
	}
	return ""
}

// streamFailure maps an error in the middle of a stream.
func streamFailure(ctx context.Context, err error) error {
	if api, ok := errors.AsType[*vendor.APIError](err); ok {
		return streamError{Message: api.Message, Type: api.Type, Code: api.Code}.fault()
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return wire.Broken(ctx, err, true)
}

// streamError is an error that a server reports inside a stream.
type streamError struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Code    any    `json:"code"`
}

// fault maps the error by its code, which may be a status, or by its type.
func (e streamError) fault() error {
	label := strings.ToLower(e.Type + " " + fmt.Sprint(e.Code))
	status := http.StatusBadGateway
	switch code := e.Code.(type) {
	case int:
		status = code
	case float64:
		status = int(code)
	case string:
		if n, err := strconv.Atoi(code); err == nil {
			status = n
		}
	}
	switch {
	case status != http.StatusBadGateway && status >= http.StatusBadRequest && status < 600:
	case strings.Contains(label, "rate_limit"), strings.Contains(label, "quota"):
		status = http.StatusTooManyRequests
	case strings.Contains(label, "invalid_request"), strings.Contains(label, "context_length"), strings.Contains(label, "content_policy"):
		status = http.StatusBadRequest
	case strings.Contains(label, "authentication"), strings.Contains(label, "permission"), strings.Contains(label, "api_key"):
		status = http.StatusUnauthorized
	default:
		status = http.StatusBadGateway
	}
	return wire.Status(status, e.Message, nil)
}
