package session

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/id"
)

// ChunkKind says what a chunk is a piece of, or what it announces.
type ChunkKind string

// The kinds. The first three stream in phases; the others announce what happens to a queued message.
const (
	ChunkMessage   ChunkKind = "message"
	ChunkThinking  ChunkKind = "thinking"
	ChunkToolInput ChunkKind = "tool_use_input"
	ChunkPending   ChunkKind = "pending"
	ChunkPromoted  ChunkKind = "promoted"
	ChunkCancelled ChunkKind = "cancelled"
)

// Phase is where in its stream a chunk is.
type Phase string

// The phases.
const (
	PhaseStart Phase = "start"
	PhaseDelta Phase = "delta"
	PhaseEnd   Phase = "end"
)

// The values of Chunk.Status.
const (
	ChunkCompleted   = "completed"
	ChunkAborted     = "aborted"     // cut off; what follows begins anew under another id
	ChunkInterrupted = "interrupted" // by the user, or by an order to stop
)

// Chunk is a piece of something that is not in the log yet. Chunks are best-effort and never stored.
type Chunk struct {
	Kind   ChunkKind `json:"k"`
	Phase  Phase     `json:"p,omitempty"`
	ID     id.Event  `json:"i"` // of the event that the log will have
	Delta  string    `json:"d,omitempty"`
	Tool   string    `json:"t,omitempty"` // ChunkToolInput: the tool's name
	Status string    `json:"s,omitempty"` // PhaseEnd
	Error  string    `json:"e,omitempty"` // PhaseEnd of something aborted
	// Number is the place of a queued message, Seq the number that it got in the log.
	Number int64     `json:"n,omitempty"`
	Seq    int64     `json:"q,omitempty"`
	At     time.Time `json:"a,omitzero"`
	Event  *Event    `json:"m,omitempty"` // ChunkPending: the message
	// After is the number of the newest event when the chunk was made.
	After int64 `json:"f"`
}

const (
	topicHints  = "session.hint"
	topicChunks = "session.chunk"
	topicCancel = "session.cancel"

	// maxPendingChunks bounds what a slow reader may lag behind; over it, chunks are dropped and the rows tell the rest.
	maxPendingChunks = 1024
	// hintPause parts two rounds of hints to other processes, chunkPause two rounds of chunks: what comes meanwhile is merged.
	hintPause  = 5 * time.Millisecond
	chunkPause = 40 * time.Millisecond
	// pollEvery is how often streams look into the store by themselves, in case a hint was lost.
	pollEvery = time.Second
	// chunkTextMax keeps one relayed chunk well inside bus.MaxPayload, whatever JSON makes of its text.
	chunkTextMax = 900
	relayMax     = 4096
)

// HubDeps is what a Hub needs. All fields are required.
type HubDeps struct {
	Bus        bus.Bus
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
}

// HubConfig says how a Hub works; the zero value is for a server of one process.
type HubConfig struct {
	// Replicated is set when other processes serve the same sessions: hints, chunks and cancellations go over the bus.
	Replicated bool
	// MaxStreams is how many streams of one tenant's sessions a process serves at once; 0 is 1000.
	MaxStreams int
}

// Hub tells the streams of this process that a session has news, relays that to the other processes and from them, and carries
// signals to whoever runs turns. Publishing never waits for a reader. It is safe for concurrent use.
type Hub struct {
	d    HubDeps
	cfg  HubConfig
	node string // tells this process's own messages from the others'

	mu     sync.Mutex
	subs   map[id.Session]map[*subscriber]struct{}
	counts map[id.Tenant]int // of streams
	closed bool
	kick   func(Ref)
	cancel func(id.Turn)

	hints  hintBox
	relays relayBox
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// NewHub returns a Hub, or an error that names the missing dependency. It works in this process at once, and with others from
// Start on.
func NewHub(d HubDeps, cfg HubConfig) (*Hub, error) {
	switch {
	case d.Bus == nil:
		return nil, errors.New("session: HubDeps.Bus is required")
	case d.IDs == nil:
		return nil, errors.New("session: HubDeps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("session: HubDeps.Logger is required")
	case d.Repository == nil:
		return nil, errors.New("session: HubDeps.Repository is required")
	}
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = 1000
	}
	return &Hub{
		d: d, cfg: cfg, node: d.IDs.NewUUID().String(),
		subs:   map[id.Session]map[*subscriber]struct{}{},
		counts: map[id.Tenant]int{},
		hints:  hintBox{wake: make(chan struct{}, 1), items: map[id.Session]int64{}},
		relays: relayBox{wake: make(chan struct{}, 1)},
	}, nil
}

// hintMessage, chunkMessage and cancelMessage are what crosses the bus.
type (
	hintMessage struct {
		Node    string     `json:"n"`
		Session id.Session `json:"s"`
		Seq     int64      `json:"q"`
	}
	chunkMessage struct {
		Node    string     `json:"n"`
		Session id.Session `json:"s"`
		Chunks  []Chunk    `json:"c"`
	}
	cancelMessage struct {
		Node string  `json:"n"`
		Turn id.Turn `json:"t"`
	}
)

// Start connects the hub with the other processes. ctx is for starting only.
func (h *Hub) Start(ctx context.Context) error {
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	if h.cfg.Replicated {
		if err := h.listen(run); err != nil {
			stop()
			return err
		}
		h.done.Go(func() { h.sendHints(run) })
		h.done.Go(func() { h.sendChunks(run) })
	}
	h.done.Go(func() { h.poll(run) })
	return nil
}

func (h *Hub) listen(ctx context.Context) error {
	_, err := h.d.Bus.Subscribe(ctx, topicHints, func(b []byte) {
		var m hintMessage
		if json.Unmarshal(b, &m) == nil && m.Node != h.node {
			h.local(m.Session, m.Seq)
		}
	})
	if err != nil {
		return err
	}
	_, err = h.d.Bus.Subscribe(ctx, topicChunks, func(b []byte) {
		var m chunkMessage
		if json.Unmarshal(b, &m) == nil && m.Node != h.node {
			for _, c := range m.Chunks {
				h.deliver(m.Session, c)
			}
		}
	})
	if err != nil {
		return err
	}
	_, err = h.d.Bus.Subscribe(ctx, topicCancel, func(b []byte) {
		var m cancelMessage
		if json.Unmarshal(b, &m) == nil && m.Node != h.node {
			h.signalCancel(m.Turn)
		}
	})
	return err
}

// Stop ends every stream of this process with ErrStopping and leaves the bus.
func (h *Hub) Stop(context.Context) error {
	h.mu.Lock()
	h.closed = true
	for _, subs := range h.subs {
		for s := range subs {
			s.close(ErrStopping)
		}
	}
	h.mu.Unlock()
	if h.stop != nil {
		h.stop()
		h.done.Wait()
	}
	return nil
}

// OnSignals registers who runs turns in this process: kick is told that a session may have a turn to run, cancel that a turn was
// ended by somebody else. Both must return quickly. nil switches a signal off.
func (h *Hub) OnSignals(kick func(Ref), cancel func(id.Turn)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kick, h.cancel = kick, cancel
}

func (h *Hub) signalKick(r Ref) {
	h.mu.Lock()
	kick := h.kick
	h.mu.Unlock()
	if kick != nil {
		kick(r)
	}
}

func (h *Hub) signalCancel(t id.Turn) {
	h.mu.Lock()
	cancel := h.cancel
	h.mu.Unlock()
	if cancel != nil {
		cancel(t)
	}
}

// cancelTurn tells every process that a turn was ended from outside.
func (h *Hub) cancelTurn(t id.Turn) {
	h.signalCancel(t)
	if h.cfg.Replicated {
		h.publish(context.Background(), topicCancel, cancelMessage{h.node, t})
	}
}

// Appended tells every process that a session's log has reached seq.
func (h *Hub) Appended(session id.Session, seq int64) {
	h.local(session, seq)
	if h.cfg.Replicated {
		h.hints.put(session, seq)
	}
}

func (h *Hub) local(session id.Session, seq int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[session] {
		s.reach(seq)
	}
}

// Publish sends a chunk to the streams of a session, here and elsewhere.
func (h *Hub) Publish(session id.Session, c Chunk) {
	h.deliver(session, c)
	if h.cfg.Replicated {
		h.relays.put(session, c)
	}
}

func (h *Hub) deliver(session id.Session, c Chunk) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs[session] {
		s.offer(c)
	}
}

func (h *Hub) subscribe(tenant id.Tenant, session id.Session, chunks bool) (*subscriber, error) {
	s := &subscriber{tenant: tenant, chunks: chunks, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrStopping
	}
	if h.counts[tenant] >= h.cfg.MaxStreams {
		return nil, ErrTooManyStreams.Withf("at most %d streams may be open at once", h.cfg.MaxStreams)
	}
	h.counts[tenant]++
	if h.subs[session] == nil {
		h.subs[session] = map[*subscriber]struct{}{}
	}
	h.subs[session][s] = struct{}{}
	return s, nil
}

func (h *Hub) unsubscribe(session id.Session, s *subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, open := h.subs[session][s]; !open {
		return
	}
	if h.counts[s.tenant]--; h.counts[s.tenant] == 0 {
		delete(h.counts, s.tenant)
	}
	delete(h.subs[session], s)
	if len(h.subs[session]) == 0 {
		delete(h.subs, session)
	}
}

// poll looks for news of the sessions that are being read, because hints may be lost.
func (h *Hub) poll(ctx context.Context) {
	t := time.NewTicker(pollEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		h.mu.Lock()
		watched := make([]id.Session, 0, len(h.subs))
		for s := range h.subs {
			watched = append(watched, s)
		}
		h.mu.Unlock()
		for len(watched) > 0 {
			n := min(len(watched), 200)
			heads, err := h.d.Repository.Heads(ctx, watched[:n])
			if err != nil {
				if ctx.Err() == nil {
					h.d.Logger.WarnContext(ctx, "session heads not read", "error", err)
				}
				break
			}
			for s, seq := range heads {
				h.local(s, seq)
			}
			watched = watched[n:]
		}
	}
}

func (h *Hub) publish(ctx context.Context, topic string, message any) {
	b, err := json.Marshal(message)
	if err == nil {
		err = h.d.Bus.Publish(ctx, topic, b)
	}
	if err != nil && ctx.Err() == nil {
		h.d.Logger.DebugContext(ctx, "hint not published", "topic", topic, "error", err)
	}
}

func (h *Hub) sendHints(ctx context.Context) {
	for {
		items := h.hints.wait(ctx)
		if items == nil {
			return
		}
		for s, seq := range items {
			h.publish(ctx, topicHints, hintMessage{h.node, s, seq})
		}
		if !pause(ctx, hintPause) {
			return
		}
	}
}

func (h *Hub) sendChunks(ctx context.Context) {
	for {
		items := h.relays.wait(ctx)
		if items == nil {
			return
		}
		// A message carries a few chunks of one session, so that it stays under the bus's limit.
		for len(items) > 0 {
			n, size := 0, 0
			for n < len(items) && items[n].session == items[0].session {
				if size += 100 + len(items[n].Delta); n > 0 && size > chunkTextMax {
					break
				}
				n++
			}
			m := chunkMessage{Node: h.node, Session: items[0].session}
			for _, it := range items[:n] {
				m.Chunks = append(m.Chunks, it.Chunk)
			}
			h.publish(ctx, topicChunks, m)
			items = items[n:]
		}
		if !pause(ctx, chunkPause) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// hintBox keeps how far each log has come until somebody takes them all.
type hintBox struct {
	mu    sync.Mutex
	items map[id.Session]int64
	wake  chan struct{}
}

func (h *hintBox) put(session id.Session, seq int64) {
	h.mu.Lock()
	h.items[session] = max(h.items[session], seq)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// wait returns what has gathered, at least one item; nil when ctx ends.
func (h *hintBox) wait(ctx context.Context) map[id.Session]int64 {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		}
		h.mu.Lock()
		items := h.items
		h.items = map[id.Session]int64{}
		h.mu.Unlock()
		if len(items) > 0 {
			return items
		}
	}
}

type relayed struct {
	session id.Session
	Chunk
}

// relayBox gathers chunks for other processes and merges neighbouring deltas of one stream.
type relayBox struct {
	mu    sync.Mutex
	items []relayed
	wake  chan struct{}
}

func (r *relayBox) put(session id.Session, c Chunk) {
	if c.Event != nil { // a message may be larger than the bus carries; the others learn of it when it is in the log
		return
	}
	r.mu.Lock()
	for text := c.Delta; ; {
		c.Delta = text
		if len(text) > chunkTextMax {
			c.Delta = cutText(text, chunkTextMax)
		}
		text = text[len(c.Delta):]
		r.add(session, c)
		if text == "" {
			break
		}
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *relayBox) add(session id.Session, c Chunk) {
	if n := len(r.items); n > 0 && c.Phase == PhaseDelta {
		last := &r.items[n-1]
		if last.session == session && last.ID == c.ID && last.Kind == c.Kind && last.Phase == PhaseDelta && last.After == c.After &&
			len(last.Delta)+len(c.Delta) <= chunkTextMax {
			last.Delta += c.Delta
			return
		}
	}
	if len(r.items) < relayMax {
		r.items = append(r.items, relayed{session, c})
	}
}

func (r *relayBox) wait(ctx context.Context) []relayed {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		}
		r.mu.Lock()
		items := r.items
		r.items = nil
		r.mu.Unlock()
		if len(items) > 0 {
			return items
		}
	}
}

// cutText returns the first at most n bytes of s without cutting a character in two.
func cutText(s string, n int) string {
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// subscriber is one stream's mailbox: how far the log has come, and the newest chunks.
type subscriber struct {
	tenant id.Tenant
	chunks bool
	wake   chan struct{}

	mu     sync.Mutex
	target int64
	queue  []Chunk
	lost   map[id.Event]bool // streams with a gap: the rest of them is dropped, too
	err    error
}

func (s *subscriber) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscriber) reach(seq int64) {
	s.mu.Lock()
	s.target = max(s.target, seq)
	s.mu.Unlock()
	s.ring()
}

func (s *subscriber) offer(c Chunk) {
	if !s.chunks {
		return
	}
	s.mu.Lock()
	switch {
	case s.lost[c.ID]:
	case len(s.queue) >= maxPendingChunks:
		// A text with a hole is worse than none: forget the streams that are under way, the log has them in the end.
		s.lost = map[id.Event]bool{c.ID: true}
		for _, q := range s.queue {
			s.lost[q.ID] = true
		}
		s.queue = nil
	default:
		s.queue = append(s.queue, c)
	}
	s.mu.Unlock()
	s.ring()
}

func (s *subscriber) close(err error) {
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	s.ring()
}

// take returns what has come and empties the mailbox.
func (s *subscriber) take() (target int64, queue []Chunk, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue, s.queue = s.queue, nil
	return s.target, queue, s.err
}
