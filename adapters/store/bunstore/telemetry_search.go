package bunstore

import (
	"context"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/page"
)

// search reads the events that the rest of the filter chooses, one after the other, and keeps those that match. It reads so many events at most, and
// so many bytes of their payloads and one payload more.
func (r *EventRepo) search(
	ctx context.Context, sc account.Scope, f telemetry.Filter, req page.Request, match telemetry.Match, maxEvents, maxBytes int,
) (page.Page[telemetry.Event], error) {
	var out page.Page[telemetry.Event]
	table, w := r.where(sc, f)
	if req.Cursor != "" {
		place, err := decodeEventCursor(req.Cursor)
		if err != nil {
			return out, err
		}
		w.and("(at, id) < (?, ?)", place.At.UnixMilli(), r.s.uuid(place.ID.UUID()))
	}
	read, size := 0, 0
	var last telemetry.Event
	err := r.eachEvent(ctx, sc, func(e telemetry.Event) bool {
		if match(e) {
			if len(out.Items) == req.Size() {
				last = out.Items[len(out.Items)-1]
				return false
			}
			out.Items = append(out.Items, e)
		}
		read++
		size += len(e.Payload)
		if read < maxEvents && size <= maxBytes {
			return true
		}
		last = e
		return false
	}, "SELECT "+eventColumns+" FROM "+table+" WHERE "+w.sql()+" ORDER BY at DESC, id DESC LIMIT ?", append(w.args, maxEvents)...)
	if err != nil {
		return out, err
	}
	if !last.ID.IsZero() {
		out.Next = encodeCursor(eventCursor(last)...)
	}
	return out, nil
}
