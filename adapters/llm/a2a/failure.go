package a2a

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	vendor "github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/bureau-agents/bureau/adapters/llm/internal/wire"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
)

// failure tells what an error means. calling is the context of the requests.
func (x *exchange) failure(ctx, calling context.Context, err error, seen *wire.Exchange, began bool) error {
	if large := (*http.MaxBytesError)(nil); errors.As(err, &large) {
		what := "answer"
		if large.Limit == maxCard {
			what = "card"
		}
		return llm.ErrRefusedRequest.Withf("the agent's %s is larger than %d bytes", what, large.Limit)
	}
	refused := seen.Status == http.StatusUnauthorized || seen.Status == http.StatusForbidden
	switch {
	case ctx.Err() != nil:
		return wire.Broken(ctx, err, began)
	case errors.Is(context.Cause(calling), errLimit):
		return llm.ErrTimeout.Withf("the agent did not end its answer within %s", x.p.config.Limit).Wrap(err)
	case errors.Is(err, llm.ErrTimeout):
		return llm.ErrTimeout.Withf("the agent was silent for more than %s", x.p.patience(seen.Status != 0)).Wrap(err)
	case refused:
		return llm.ErrCredentials.Withf("%s (status %d)", x.told(), seen.Status).Wrap(&llm.Refusal{Status: seen.Status})
	default:
		for _, word := range vocabulary {
			if errors.Is(err, word.vendor) {
				means, _ := fault.As(word.means)
				return means.Withf("the agent refused the message: %s", oneLine(err.Error())).Wrap(err)
			}
		}
	}
	if !began && seen.Status >= http.StatusBadRequest {
		return wire.Status(seen.Status, "the agent answered with an error", seen.Header)
	}
	if errors.Is(err, vendor.ErrInternalError) || errors.Is(err, vendor.ErrServerError) {
		return llm.ErrOverloaded.Withf("the agent answered with an error: %s", oneLine(err.Error())).Wrap(err)
	}
	return wire.Broken(ctx, err, began)
}

// told says what the agent has refused.
func (x *exchange) told() string {
	out := x.shown.told()
	if x.shown == noCredential && x.p.config.Lack != "" {
		out += ": " + x.p.config.Lack
	}
	return out
}

// patience is how long the agent may be silent: before its first byte, or after it.
func (p *Provider) patience(began bool) time.Duration {
	if began {
		return cmp.Or(p.config.IdleTimeout, wire.DefaultIdle)
	}
	return cmp.Or(p.config.FirstByteTimeout, wire.DefaultFirstByte)
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
