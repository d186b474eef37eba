package httpx

import (
	"context"
	"iter"
	"net/http"
)

// ServeSeq writes what seq yields as an event stream, until seq ends, its reader goes, or it yields an error: then the reader is told to
// come back. stop ends seq, which reads no further than its reader takes.
func ServeSeq[T any](w http.ResponseWriter, r *http.Request, stop context.CancelFunc, seq iter.Seq2[T, error], event func(T) Event) {
	closing, done, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	out := make(chan Event, 16)
	go func() {
		defer close(done)
		for v, err := range seq {
			if err != nil {
				close(closing)
				return
			}
			select {
			case out <- event(v):
			case <-gone:
				return
			}
		}
		close(out)
	}()
	ServeEvents(w, r, closing, func(context.Context) <-chan Event { return out })
	close(gone)
	stop()
	<-done
}
