package a2a

import (
	"context"
	"errors"
	"net/http"
	"strings"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

// failure tells what an error means.
func failure(ctx context.Context, err error, x *wire.Exchange, began bool) error {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		what := "answer"
		if large.Limit == maxCard {
			what = "card"
		}
		return llm.ErrRefusedRequest.Withf("the agent's %s is larger than %d bytes", what, large.Limit)
	}
	if ctx.Err() == nil && x.Status != http.StatusUnauthorized && x.Status != http.StatusForbidden {
		for _, word := range vocabulary {
			if errors.Is(err, word.vendor) {
				means, _ := fault.As(word.means)
				return means.Withf("the agent refused the message: %s", oneLine(err.Error())).Wrap(err)
			}
		}
	}
	if !began && x.Status >= http.StatusBadRequest {
		return wire.Status(x.Status, "the agent answered with an error", x.Header)
	}
	if ctx.Err() == nil && (errors.Is(err, vendor.ErrInternalError) || errors.Is(err, vendor.ErrServerError)) {
		return llm.ErrOverloaded.Withf("the agent answered with an error: %s", oneLine(err.Error())).Wrap(err)
	}
	return wire.Broken(ctx, err, began)
}

// maxReason is how much of an agent's error is told, in bytes.
const maxReason = 500

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}

// refusalText is what a caller of a tool may read.
func refusalText(err error) string {
	if fe, ok := fault.As(err); ok {
		return fe.Message
	}
	return err.Error()
}
