package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
)

// Taken is an event with its number: a UUIDv7 of when the server took it. It is the event's ID where the server made that.
type Taken struct {
	Number id.Report
	Event  Event
}

// MaxTakenBytes is about how many bytes of payloads TailRepository.Taken returns.
const MaxTakenBytes = 1 << 20

// TailRepository reads events in the order in which they were taken. Of a Filter it knows what Filter.Match does not judge. Every method
// sees the scope's tenant only.
type TailRepository interface {
	// Number returns the number of an event, or id.NotFound. An event whose ID is a UUIDv7 has that, whether it is there or not.
	Number(ctx context.Context, sc account.Scope, event id.Report) (id.Report, error)
	// Taken returns up to limit events with numbers above after and below until, in their order, and whether there may be more of them. It also
	// ends, behind at least one, where their payloads come to MaxTakenBytes: many streams may hold what it returns for as long as their readers
	// dawdle.
	Taken(ctx context.Context, sc account.Scope, f Filter, after, until id.Report, limit int) (found []Taken, more bool, err error)
	// Numbers returns the numbers above after and below until, in any order.
	Numbers(ctx context.Context, sc account.Scope, f Filter, after, until id.Report) ([]id.Report, error)
}

// The errors of a Tail.
var (
	// ErrTooManyStreams is returned when a tenant reads more streams at once than one process serves.
	ErrTooManyStreams = fault.New(fault.RateLimited, "too_many_streams", "too many streams are open").WithRetry(5 * time.Second)
	// ErrStopping ends the streams of a process that shuts down; the reader goes on elsewhere behind the last event that it has.
	ErrStopping = fault.New(fault.Unavailable, "server_stopping", "the server is stopping")
)

// TailDeps is what a Tail needs; all fields are required.
type TailDeps struct {
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Bus        bus.Bus
	Repository TailRepository
}

// TailConfig tunes a Tail. The zero value is for a server of one process.
type TailConfig struct {
	// Replicated is set when other processes serve the same database: hints go over the bus.
	Replicated bool
	// MaxStreams is how many streams of one tenant a process serves at once; 0 is 100.
	MaxStreams int
	// Hold is how old an event is when it is shown, so that transactions which commit out of order do not show; 0 is 200 ms. An event that
	// its transaction keeps back for longer comes late, out of order.
	Hold time.Duration
	// Poll is how often streams look by themselves, in case a hint was lost, and for what comes late; 0 is a second.
	Poll time.Duration
	// Overlap is for how long a transaction may keep back its events without their being missed; 0 is 15 seconds, longer than a
	// transaction lives.
	Overlap time.Duration
}

const (
	topicReported = "telemetry.reported"
	// hintPause parts two rounds of hints to other processes: what comes meanwhile is merged.
	hintPause = 100 * time.Millisecond
	// hintTenants is how many tenants a message names, so that it stays well inside bus.MaxPayload.
	hintTenants = 100
)

// Tail shows events as they come in, to any number of readers, each at its own pace: they read the store, and are only told when to look.
// Whoever stores events never waits for a reader. It is safe for concurrent use.
type Tail struct {
	d    TailDeps
	cfg  TailConfig
	node string // tells this process's own hints from the others'

	mu      sync.Mutex
	streams map[id.Tenant]map[*TailStream]struct{}
	pending map[id.Tenant]struct{} // whom the other processes are to be told of
	closed  chan struct{}

	kick chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
}

var _ Listener = (*Tail)(nil)

// NewTail returns a Tail, or an error that names what d lacks or what is wrong with cfg. It works in this process at once, and with others
// from Start on.
func NewTail(d TailDeps, cfg TailConfig) (*Tail, error) {
	switch {
	case d.Clock == nil:
		return nil, errors.New("telemetry: TailDeps.Clock is required")
	case d.IDs == nil:
		return nil, errors.New("telemetry: TailDeps.IDs is required")
	case d.Logger == nil:
		return nil, errors.New("telemetry: TailDeps.Logger is required")
	case d.Bus == nil:
		return nil, errors.New("telemetry: TailDeps.Bus is required")
	case d.Repository == nil:
		return nil, errors.New("telemetry: TailDeps.Repository is required")
	case cfg.MaxStreams < 0 || cfg.Hold < 0 || cfg.Poll < 0 || cfg.Overlap < 0:
		return nil, errors.New("telemetry: nothing in TailConfig may be negative")
	}
	for _, d := range []struct {
		of    *time.Duration
		usual time.Duration
	}{{&cfg.Hold, 200 * time.Millisecond}, {&cfg.Poll, time.Second}, {&cfg.Overlap, 15 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.usual
		}
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 100
	}
	return &Tail{
		d: d, cfg: cfg, node: d.IDs.NewUUID().String(), streams: map[id.Tenant]map[*TailStream]struct{}{},
		pending: map[id.Tenant]struct{}{}, closed: make(chan struct{}), kick: make(chan struct{}, 1),
	}, nil
}

// reportedMessage is what crosses the bus.
type reportedMessage struct {
	Node    string      `json:"n"`
	Tenants []id.Tenant `json:"t"`
}

// Start connects the tail with the other processes. ctx is for starting only.
func (t *Tail) Start(ctx context.Context) error {
	if !t.cfg.Replicated {
		return nil
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stop = stop
	_, err := t.d.Bus.Subscribe(run, topicReported, func(b []byte) {
		var m reportedMessage
		if json.Unmarshal(b, &m) != nil || m.Node == t.node {
			return
		}
		for _, tenant := range m.Tenants {
			t.wake(tenant)
		}
	})
	if err != nil {
		stop()
		return err
	}
	t.done.Go(func() { t.sendHints(run) })
	return nil
}

// Stop ends every stream of this process with ErrStopping and leaves the bus.
func (t *Tail) Stop(context.Context) error {
	t.mu.Lock()
	select {
	case <-t.closed:
	default:
		close(t.closed)
	}
	t.mu.Unlock()
	if t.stop != nil {
		t.stop()
		t.done.Wait()
	}
	return nil
}

// Reported implements Listener.
func (t *Tail) Reported(_ context.Context, sc account.Scope, _ []Event) {
	t.wake(sc.Tenant)
	if !t.cfg.Replicated {
		return
	}
	t.mu.Lock()
	t.pending[sc.Tenant] = struct{}{}
	t.mu.Unlock()
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// wake tells the streams of a tenant to look.
func (t *Tail) wake(tenant id.Tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for st := range t.streams[tenant] {
		select {
		case st.wake <- struct{}{}:
		default:
		}
	}
}

func (t *Tail) sendHints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.kick:
		}
		t.mu.Lock()
		tenants := make([]id.Tenant, 0, len(t.pending))
		for tenant := range t.pending {
			tenants = append(tenants, tenant)
		}
		clear(t.pending)
		t.mu.Unlock()
		for len(tenants) > 0 {
			n := min(hintTenants, len(tenants))
			b, err := json.Marshal(reportedMessage{t.node, tenants[:n]})
			if err == nil {
				err = t.d.Bus.Publish(ctx, topicReported, b)
			}
			if err != nil && ctx.Err() == nil {
				t.d.Logger.DebugContext(ctx, "hint of events not published", slog.Any("error", err))
			}
			tenants = tenants[n:]
		}
		pause := time.NewTimer(hintPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// numberAt returns what is above every number of before a time, and below every one of that millisecond and later.
func numberAt(at time.Time) id.Report {
	var u id.UUID
	ms := max(at.UnixMilli(), 0)
	for i := 5; i >= 0; i-- {
		u[i] = byte(ms)
		ms >>= 8
	}
	return id.Of[id.ReportKind](u)
}
