package bunstore

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/ports/fault"
)

const (
	// defaultWriterWait is how long a closure waits for its turn before it is an error.
	defaultWriterWait = 5 * time.Second
	// maxGroup and maxGroupTime bound how long the first closure of a group waits for the last one's sake.
	maxGroup     = 128
	maxGroupTime = 10 * time.Millisecond
)

// errBusy is what a caller gets that waited too long for SQLite's writer; its cause names who waited and who was in the way.
var errBusy = fault.New(fault.Unavailable, "store_busy", "the database is busy").WithRetry(time.Second)

// writer owns SQLite's one writing connection and commits in groups.
//
// Closures run in their caller's goroutine, so that a panic or runtime.Goexit goes where it belongs; the writer's goroutine
// only hands the transaction round.
type writer struct {
	db      *bun.DB
	wait    time.Duration
	queue   chan *request // unbuffered: what is received runs at once, what is not yet received can still give up
	closing chan struct{}
	stopped chan struct{}
	holder  atomic.Pointer[request] // who runs now, for the error of those who wait
}

// request is one closure on its way through the writer.
type request struct {
	pcs  [8]uintptr
	turn chan bun.Tx // the writer's: run now
	ran  chan bool   // the caller's: keep what I wrote
	done chan error  // the writer's: the group's outcome
}

func startWriter(db *bun.DB, wait time.Duration) *writer {
	if wait <= 0 {
		wait = defaultWriterWait
	}
	w := &writer{
		db: db, wait: wait,
		queue: make(chan *request), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.loop()
	return w
}

func (w *writer) close() error {
	close(w.closing)
	<-w.stopped
	return w.db.Close()
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		select {
		case r := <-w.queue:
			w.group(r)
		case <-w.closing:
			return
		}
	}
}

// group runs first and whatever has queued up by then in one transaction.
func (w *writer) group(first *request) {
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		first.done <- mapErr(err)
		return
	}
	begun := time.Now()
	var members []*request
	for r := first; r != nil && err == nil; {
		members = append(members, r)
		if err = w.one(ctx, tx, r); err != nil || len(members) >= maxGroup || time.Since(begun) >= maxGroupTime {
			break
		}
		select {
		case r = <-w.queue:
		default:
			r = nil
		}
	}
	if err != nil {
		_ = tx.Rollback()
	} else {
		err = tx.Commit()
	}
	if err != nil {
		err = fmt.Errorf("bunstore: commit: %w", mapErr(err))
	}
	for _, r := range members {
		r.done <- err
	}
}

// one gives r its turn. An error means that the whole group is lost.
func (w *writer) one(ctx context.Context, tx bun.Tx, r *request) error {
	if _, err := tx.Tx.ExecContext(ctx, "SAVEPOINT closure"); err != nil {
		return err
	}
	w.holder.Store(r)
	r.turn <- tx
	keep := <-r.ran
	w.holder.Store(nil)
	end := "RELEASE closure"
	if !keep {
		end = "ROLLBACK TO closure; RELEASE closure"
	}
	// After some errors (disk full, I/O) SQLite has rolled back everything by itself: then there is no such savepoint.
	_, err := tx.Tx.ExecContext(ctx, end)
	return err
}

// run executes fn in a transaction and returns once that is durable or undone.
func (w *writer) run(ctx context.Context, fn func(bun.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{turn: make(chan bun.Tx, 1), ran: make(chan bool, 1), done: make(chan error, 1)}
	runtime.Callers(2, r.pcs[:])
	if err := w.enqueue(ctx, r); err != nil {
		return err
	}
	var tx bun.Tx
	select {
	case tx = <-r.turn:
	case err := <-r.done:
		return err
	}
	returned := false
	defer func() {
		if !returned { // a panic or runtime.Goexit passes through: undo first
			r.ran <- false
			<-r.done //nolint:errcheck // the panic is what the caller hears of
		}
	}()
	err := fn(tx)
	if err == nil {
		err = ctx.Err()
	}
	returned = true
	r.ran <- err == nil
	// The closure may have read what others of its group wrote, so its own error, too, holds only once they are committed.
	if gerr := <-r.done; gerr != nil {
		return gerr
	}
	return err
}

func (w *writer) enqueue(ctx context.Context, r *request) error {
	select {
	case w.queue <- r:
		return nil
	default:
	}
	t := time.NewTimer(w.wait)
	defer t.Stop()
	select {
	case w.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return ErrClosed
	case <-t.C:
		return errBusy.Wrap(fmt.Errorf("%s waited %s for SQLite's writer, which %s holds",
			r.caller(), w.wait, w.holder.Load().caller()))
	}
}

// caller names the first function outside the store's own plumbing that asked for the transaction.
func (r *request) caller() string {
	if r == nil {
		return "nobody"
	}
	frames := runtime.CallersFrames(r.pcs[:])
	for {
		f, more := frames.Next()
		if f.Function == "" {
			return "unknown"
		}
		if !strings.Contains(f.Function, "bunstore.(*writer).") && !strings.Contains(f.Function, "bunstore.(*Store).") {
			return fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line)
		}
		if !more {
			return f.Function
		}
	}
}
