package reports

import (
	"context"
	"slices"
	"strconv"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/telemetry"
)

// TakeOne returns what takes the body of one event and answers with the event.
func (sp Spelling) TakeOne(events *telemetry.Service) httpx.Fast {
	return func(ctx context.Context, body, buf []byte) ([]byte, bool, error) {
		n, plain := One(body)
		if !plain {
			return nil, false, nil
		}
		e, err := events.ReportOne(ctx, httpx.Scope(ctx), n)
		if err != nil {
			return nil, true, err
		}
		return append(sp.Append(buf, &e), '\n'), true, nil
	}
}

// TakeBatch returns what takes the body of many events, and answers with their number and with the events in a member of this name.
func (sp Spelling) TakeBatch(events *telemetry.Service, member string) httpx.Fast {
	between := `,"` + member + `":[`
	return func(ctx context.Context, body, buf []byte) ([]byte, bool, error) {
		news, plain := Batch(body)
		if !plain {
			return nil, false, nil
		}
		taken, err := events.Report(ctx, httpx.Scope(ctx), news)
		if err != nil {
			return nil, true, err
		}
		out := append(slices.Grow(buf, len(body)+200*len(taken)), `{"created":`...)
		out = strconv.AppendInt(out, int64(len(taken)), 10)
		out = sp.AppendAll(append(out, between...), taken)
		return append(out, "]}\n"...), true, nil
	}
}
