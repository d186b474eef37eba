package valar

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Defaults of BatcherConfig.
const (
	DefaultInterval = 3 * time.Second
	DefaultCapacity = 10_000
)

const (
	enough     = 100     // so many events do not wait for the interval
	batchBytes = 4 << 20 // of one request, unless one event alone is longer

	firstAway   = time.Second // pauses while the server is away, beyond those of each request
	longestAway = 30 * time.Second
)

// BatcherConfig says how a Batcher works; the zero value is fine.
type BatcherConfig struct {
	// Interval is how long an event waits for others at most; 0 means DefaultInterval. A hundred events do not wait.
	Interval time.Duration
	// Capacity is how many events may wait, those that are being sent included; then the oldest are dropped. 0 means DefaultCapacity.
	Capacity int
	// OnDrop hears of events that will not be stored, and why; nil tells nobody. It must not block, and may be called by any goroutine.
	OnDrop func(events []NewEvent, why error)
}

// Why events are dropped, besides what the server answers.
var (
	ErrCrowded = errors.New("valar: too many events wait to be sent")
	ErrClosed  = errors.New("valar: the batcher is closed")
)

// Batcher logs events in the background: Log neither waits nor fails, and what it is given is sent in batches. While the server is away
// events are kept, as many as there is room for. An event that the server refuses is dropped, and takes no other along. A Batcher is safe for
// concurrent use; Close it in the end, or what still waits is lost.
type Batcher struct {
	client *Client
	cfg    BatcherConfig
	cancel context.CancelFunc

	full chan struct{} // tells that enough wait
	now  chan struct{} // tells that somebody waits for all to be sent

	mu      sync.Mutex
	waiting []item
	batches []batch // taken from waiting and not yet settled; the last goes first
	running bool    // there is a goroutine, which there is while there is something to send
	stopped chan struct{}
	hurried int // how many wait for all to be sent
	closed  bool
	put     int
	settled int
	dropped int
	flushes []flush

	ctx context.Context //nolint:containedctx // of the requests that nobody waits for; Close ends it
}

// item is an event as it goes over the wire. It was written when it was logged: what its payload holds may change afterwards.
type item struct {
	event NewEvent
	raw   []byte
}

// batch is what one request sends. The key stays with its events, so that they are stored once however often they are sent.
type batch struct {
	items []item
	key   string
}

type flush struct {
	target int
	done   chan struct{}
}

// NewBatcher returns a Batcher that sends with this client.
func (c *Client) NewBatcher(cfg BatcherConfig) *Batcher {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	if cfg.Capacity <= 0 {
		cfg.Capacity = DefaultCapacity
	}
	if cfg.OnDrop == nil {
		cfg.OnDrop = func([]NewEvent, error) {}
	}
	b := &Batcher{client: c, cfg: cfg, full: make(chan struct{}, 1), now: make(chan struct{}, 1)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Log logs an event. It returns at once, and never fails: what cannot be sent is dropped.
func (b *Batcher) Log(e NewEvent) {
	raw, err := json.Marshal(e)
	b.mu.Lock()
	b.put++
	var lost []item
	switch {
	case err != nil:
		lost = []item{{event: e}}
	case b.closed:
		lost, err = []item{{event: e}}, ErrClosed
	default:
		if b.put-b.settled > b.cfg.Capacity && len(b.waiting) > 0 {
			lost, err = []item{b.waiting[0]}, ErrCrowded
			b.waiting = b.waiting[1:]
		}
		b.waiting = append(b.waiting, item{e, raw})
		if len(b.waiting) >= enough {
			poke(b.full)
		}
		b.start()
	}
	b.mu.Unlock()
	b.drop(lost, err)
}

// start has a goroutine running. b.mu is held.
func (b *Batcher) start() {
	if !b.running {
		b.running, b.stopped = true, make(chan struct{})
		go b.run(b.stopped)
	}
}

// Pending returns how many events are neither stored nor dropped.
func (b *Batcher) Pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.put - b.settled
}

// Dropped returns how many events are not stored and will not be.
func (b *Batcher) Dropped() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped
}

// Flush sends what was logged before, and returns when each event is stored or dropped. It returns the error of ctx when that is done first;
// what waits then goes on waiting.
func (b *Batcher) Flush(ctx context.Context) error {
	b.mu.Lock()
	f := flush{b.put, make(chan struct{})}
	if b.settled >= f.target {
		b.mu.Unlock()
		return nil
	}
	b.flushes = append(b.flushes, f)
	b.hurried++
	poke(b.now)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		if b.hurried--; b.hurried == 0 {
			drain(b.now)
		}
		b.flushes = slices.DeleteFunc(b.flushes, func(g flush) bool { return g.done == f.done })
		b.mu.Unlock()
	}()
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close sends what waits, until ctx is done or the server turns out to be away, and drops the rest. Its error says how many that were.
// What is logged afterwards is dropped. Closing twice is fine.
func (b *Batcher) Close(ctx context.Context) error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	_ = b.Flush(ctx) // what it left is counted below
	b.cancel()
	b.mu.Lock()
	stopped := b.stopped
	b.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	b.mu.Lock()
	left := b.waiting
	for _, batch := range slices.Backward(b.batches) {
		left = append(batch.items, left...)
	}
	b.waiting, b.batches = nil, nil
	b.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	b.drop(left, ErrClosed)
	return fmt.Errorf("valar: %d events were not sent before the batcher was closed", len(left))
}

// run sends until nothing waits.
func (b *Batcher) run(stopped chan struct{}) {
	defer close(stopped)
	pause := firstAway
	for {
		next, wait, more := b.next()
		if !more {
			return
		}
		if wait {
			b.sleep(b.cfg.Interval, b.full)
			b.take()
			continue
		}
		err := b.deliver(next)
		if err == nil {
			pause = firstAway
			continue
		}
		b.mu.Lock()
		closed := b.closed
		if closed {
			b.running = false
			b.release(b.put) // nobody is to wait for what will not be sent any more
		}
		b.mu.Unlock()
		if closed {
			return
		}
		b.sleep(max(pause, err.RetryAfter), nil)
		pause = min(2*pause, longestAway)
	}
}

// next returns the batch to send; or that more events are waited for; or that there is nothing to do, and the goroutine ends.
func (b *Batcher) next() (next batch, wait, more bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch n := len(b.batches); {
	case n > 0:
		return b.batches[n-1], false, true
	case len(b.waiting) == 0:
		b.running = false
		return batch{}, false, false
	case len(b.waiting) < enough && b.hurried == 0:
		return batch{}, true, true
	}
	b.takeLocked()
	return b.batches[len(b.batches)-1], false, true
}

func (b *Batcher) take() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takeLocked()
}

// takeLocked makes a batch of what waits longest, if anything does. b.mu is held.
func (b *Batcher) takeLocked() {
	n, size := 0, 0
	for n < len(b.waiting) && n < MaxBatch {
		size += len(b.waiting[n].raw)
		if n > 0 && size > batchBytes {
			break
		}
		n++
	}
	if n > 0 {
		b.batches = append(b.batches, newBatch(slices.Clone(b.waiting[:n])))
		b.waiting = slices.Delete(b.waiting, 0, n)
	}
	if len(b.waiting) < enough {
		drain(b.full)
	}
}

func newBatch(items []item) batch { return batch{items, rand.Text()} }

// sleep waits, until somebody hurries or wakes.
func (b *Batcher) sleep(d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-b.now:
	}
}

// deliver sends the last batch, which is stored, split or dropped then; its error says that it may go later.
func (b *Batcher) deliver(sent batch) *Error {
	var body bytes.Buffer
	body.WriteString(`{"events":[`)
	for i, it := range sent.items {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(it.raw)
	}
	body.WriteString(`]}`)
	err := b.client.call(b.ctx, call{method: http.MethodPost, path: "/events/batch", raw: body.Bytes(), key: sent.key})
	var rest [][]item
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok { // closed meanwhile
			return &Error{Err: err}
		}
		if e.temporary() {
			return e
		}
		rest = b.sift(sent.items, e)
	} else {
		b.settle(len(sent.items), 0)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches = b.batches[:len(b.batches)-1]
	for _, part := range slices.Backward(rest) {
		b.batches = append(b.batches, newBatch(part))
	}
	return nil
}

// sift drops those of a refused batch that are at fault, and returns the others in smaller ones: a batch is stored whole or not at all.
func (b *Batcher) sift(items []item, err *Error) [][]item {
	if len(items) == 1 || !aboutEvents(err.Status) {
		b.drop(items, err)
		return nil
	}
	if bad := named(err, len(items)); len(bad) > 0 {
		var good, faulty []item
		for i, it := range items {
			if bad[i] {
				faulty = append(faulty, it)
			} else {
				good = append(good, it)
			}
		}
		b.drop(faulty, err)
		if len(good) == 0 {
			return nil
		}
		return [][]item{good}
	}
	// Side by side by agent, so that one that is gone is soon alone. Each agent's events stay in order.
	ordered := slices.SortedStableFunc(slices.Values(items), func(x, y item) int { return cmp.Compare(x.event.AgentID, y.event.AgentID) })
	first, last := ordered[0].event.AgentID, ordered[len(ordered)-1].event.AgentID
	if first == last && err.Status == http.StatusNotFound {
		if _, gone := b.client.GetAgent(b.ctx, first); IsStatus(gone, http.StatusNotFound) {
			b.drop(items, err)
			return nil
		}
	}
	half := len(ordered) / 2
	return [][]item{ordered[:half], ordered[half:]}
}

// aboutEvents reports whether a refusal may be the fault of single events; every other holds for all that could be sent.
func aboutEvents(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	default:
		return false
	}
}

// named returns which events of a batch a refusal names.
func named(err *Error, n int) map[int]bool {
	bad := map[int]bool{}
	for _, f := range err.Fields {
		if len(f.Path) < 3 || f.Path[0] != "body" || f.Path[1] != "events" {
			continue
		}
		if i, err := strconv.Atoi(f.Path[2]); err == nil && 0 <= i && i < n {
			bad[i] = true
		}
	}
	return bad
}

// drop settles events as lost and tells why.
func (b *Batcher) drop(items []item, why error) {
	if len(items) == 0 {
		return
	}
	b.settle(len(items), len(items))
	events := make([]NewEvent, len(items))
	for i, it := range items {
		events[i] = it.event
	}
	b.cfg.OnDrop(events, why)
}

func (b *Batcher) settle(n, dropped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settled += n
	b.dropped += dropped
	b.release(b.settled)
}

// release lets go those who wait for no more than so many events. b.mu is held.
func (b *Batcher) release(settled int) {
	b.flushes = slices.DeleteFunc(b.flushes, func(f flush) bool {
		if f.target > settled {
			return false
		}
		close(f.done)
		return true
	})
}

// drain takes a signal back that nobody needed, before it wakes somebody for nothing.
func drain(signal <-chan struct{}) {
	select {
	case <-signal:
	default:
	}
}

// poke sends unless there is a signal already.
func poke(signal chan<- struct{}) {
	select {
	case signal <- struct{}{}:
	default:
	}
}
