package httpx

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
)

// ContentEvents is the content type of server-sent events.
const ContentEvents = "text/event-stream"

// Event is one server-sent event.
type Event struct {
	ID   string // "" sends none: the reader's last id stays
	Name string
	Data []byte // JSON, or any text; line breaks are kept
}

// Timing of event streams.
const (
	retryAfter     = time.Second      // what readers are told to wait before they come back
	heartbeatEvery = 15 * time.Second // a comment, so that proxies and readers see that the stream lives
	writeTimeout   = 10 * time.Second // a reader that takes nothing for so long is dropped
)

// ServeEvents writes a stream of events until the channel is closed, the caller goes, a write takes too long, or closing is
// closed: then readers get a retry line, so that they come back to whoever serves next. It sends heartbeats, and ends with the caller's key.
// One that returns early leaves events unread; the sender selects on the context given to open.
//
// open is called with a context that ends when the stream does; it returns where the events come from.
func ServeEvents(w http.ResponseWriter, r *http.Request, closing <-chan struct{}, open func(context.Context) <-chan Event) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := newEventWriter(w)
	if out.begin() != nil {
		return
	}
	events := open(ctx)
	beat := time.NewTicker(heartbeatEvery)
	defer beat.Stop()
	for {
		var err error
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			out.add(e)
			for more := true; more && err == nil; { // what is there already goes out in one write
				select {
				case e, ok := <-events:
					if !ok {
						_ = out.flush()
						return
					}
					out.add(e)
				default:
					more = false
				}
				if out.buf.Len() > 64<<10 {
					err = out.flush()
				}
			}
			if err == nil {
				err = out.flush()
			}
		case <-beat.C:
			if !StillKnown(ctx, w) {
				return
			}
			out.buf.WriteString(": keep-alive\n\n")
			err = out.flush()
		case <-closing:
			out.retry()
			_ = out.flush()
			return
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// StillKnown reports whether the key that opened a stream is good for another: one that is revoked or has expired since ends what it reads.
func StillKnown(ctx context.Context, w http.ResponseWriter) bool {
	c, ok := w.(*call)
	if !ok || c.op == nil || c.scope.Key.IsZero() {
		return true
	}
	_, err := c.face.cfg.Accounts.Authenticate(ctx, credential(c.r))
	return fault.KindOf(err) != fault.Unauthenticated // what else goes wrong passes
}

type eventWriter struct {
	w    http.ResponseWriter
	conn *http.ResponseController
	buf  bytes.Buffer
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, conn: http.NewResponseController(w)}
}

func (o *eventWriter) begin() error {
	h := o.w.Header()
	h.Set("Content-Type", ContentEvents)
	h.Set("Cache-Control", "no-cache, no-transform")
	h.Set("X-Accel-Buffering", "no")
	h.Del("Content-Length")
	o.w.WriteHeader(http.StatusOK)
	o.retry()
	return o.flush()
}

func (o *eventWriter) retry() {
	o.buf.WriteString("retry: " + strconv.FormatInt(retryAfter.Milliseconds(), 10) + "\n\n")
}

func (o *eventWriter) add(e Event) {
	if e.Name != "" {
		o.buf.WriteString("event: " + e.Name + "\n")
	}
	if e.ID != "" {
		o.buf.WriteString("id: " + e.ID + "\n")
	}
	for line := range bytes.SplitSeq(e.Data, []byte("\n")) {
		o.buf.WriteString("data: ")
		o.buf.Write(bytes.TrimSuffix(line, []byte("\r")))
		o.buf.WriteByte('\n')
	}
	o.buf.WriteByte('\n')
}

// flush sends what was added, in time or not at all. Not every writer has deadlines: those of tests do not.
func (o *eventWriter) flush() error {
	_ = o.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := o.w.Write(o.buf.Bytes())
	o.buf.Reset()
	if err != nil {
		return err
	}
	return o.conn.Flush()
}
