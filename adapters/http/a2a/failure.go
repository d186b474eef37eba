package a2a

import (
	"context"
	"errors"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	tasks "github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/ports/fault"
)

// failure says an error in the words of the protocol. What callers must not see is logged.
func (h *handler) failure(ctx context.Context, err error) error {
	if spoken, ok := errors.AsType[*a2a.Error](err); ok {
		return spoken
	}
	e, ok := fault.As(err)
	if !ok || e.Kind == fault.Internal {
		if ctx.Err() == nil {
			h.deps.Logger.ErrorContext(ctx, "request failed", "request_id", httpx.RequestID(ctx), "face", "a2a",
				"tenant_id", httpx.Scope(ctx).Tenant, "error", err)
		}
		return a2a.NewError(a2a.ErrInternalError, "something went wrong in the server; quote the request id when you report it").
			WithErrorInfoMeta(map[string]string{"requestId": httpx.RequestID(ctx)})
	}
	return a2a.NewError(kindOf(e), e.Message).WithErrorInfoMeta(map[string]string{"code": e.Code, "requestId": httpx.RequestID(ctx)})
}

// kindOf returns the protocol's error for one of ours.
func kindOf(e *fault.Error) error {
	switch {
	case errors.Is(e, tasks.ErrContentType):
		return a2a.ErrUnsupportedContentType
	case errors.Is(e, tasks.ErrNotCancelable):
		return a2a.ErrTaskNotCancelable
	case errors.Is(e, tasks.ErrRepeated):
		return a2a.ErrInvalidParams
	}
	switch e.Kind {
	case fault.NotFound:
		return a2a.ErrTaskNotFound
	case fault.Invalid, fault.TooLarge:
		return a2a.ErrInvalidParams
	case fault.Unauthenticated:
		return a2a.ErrUnauthenticated
	case fault.Forbidden:
		return a2a.ErrUnauthorized
	case fault.Conflict, fault.PaymentRequired, fault.Unsupported:
		return a2a.ErrUnsupportedOperation
	default: // it may work later
		return a2a.ErrServerError
	}
}
