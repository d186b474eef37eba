package native

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/telemetry"
	"github.com/bureau-agents/bureau/ports/id"
)

type tailEventsInput struct {
	EventQuery
	After       string `query:"after" doc:"The id of an event: what was taken after it comes first. Without it the stream begins now."`
	LastEventID string `header:"Last-Event-ID" doc:"The same, as browsers send it when they come back; it counts before after."`
}

func (in *tailEventsInput) place() (after id.Report, err error) {
	for _, spelled := range []string{in.LastEventID, in.After} {
		if spelled != "" {
			return id.Parse[id.ReportKind](spelled)
		}
	}
	return after, nil
}

func (f *face) registerEventStream() {
	httpx.RegisterStream(f.Face, httpx.Op{
		ID: "streamEventReports", Method: http.MethodGet, Path: "/v1/events/stream", Tag: "telemetry", Produces: httpx.ContentEvents,
		Summary: "Stream what agents report, as it comes in", Permission: account.TelemetryRead,
		Description: "Server-sent events from now on, in the order in which the server takes them and a moment later, each named by its type, with the " +
			"event's id as `id`. `Last-Event-ID`, or `after`, goes on behind an event. An event that took long to store comes late, and without an " +
			"`id`, since what follows it was sent before. A reader that takes nothing for ten seconds is dropped, and misses nothing when it comes " +
			"back. A tenant has at most 100 streams on a server: 429 otherwise.",
	}, func(ctx context.Context, in *tailEventsInput) (httpx.Stream, error) {
		filter, err := in.filter()
		if err != nil {
			return nil, err
		}
		after, err := in.place()
		if err != nil {
			return nil, err
		}
		st, err := f.deps.Tail.Open(ctx, httpx.Scope(ctx), filter, after)
		if err != nil {
			return nil, err
		}
		return func(w http.ResponseWriter, r *http.Request) { f.serveTail(w, r, st) }, nil
	})
}

// serveTail writes a stream until its reader goes. The stream reads no further than its reader takes.
func (f *face) serveTail(w http.ResponseWriter, r *http.Request, st *telemetry.TailStream) {
	closing, done := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(r.Context())
	defer func() {
		cancel()
		<-done
		st.Close()
	}()
	out := make(chan httpx.Event, 4)
	go func() {
		defer close(done)
		for e, err := range st.Events(ctx) {
			if err != nil {
				if !errors.Is(err, telemetry.ErrStopping) {
					f.deps.Logger.WarnContext(ctx, "stream of events broke off", "error", err)
				}
				close(closing) // the reader is told to come back
				return
			}
			select {
			case out <- tailEvent(e):
			case <-ctx.Done():
				return
			}
		}
	}()
	httpx.ServeEvents(w, r, closing, func(context.Context) <-chan httpx.Event { return out })
}

// oneLine keeps a type from breaking out of the line that it stands in.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

func tailEvent(t telemetry.Tailed) httpx.Event {
	e := httpx.Event{Name: oneLine.Replace(t.Event.Type), Data: eventSpelling.Append(nil, &t.Event)}
	if !t.Late {
		e.ID = t.Event.ID.String()
	}
	return e
}
