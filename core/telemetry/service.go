package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Roster tells which agents there are; app wires the store of core/agent. Archived and frozen agents are there.
type Roster interface {
	// Missing returns those of the agents that the tenant does not have, whatever their order. It asks the store once.
	Missing(ctx context.Context, sc account.Scope, agents []id.Agent) ([]id.Agent, error)
	// Named returns the agents that are called exactly so, whatever the case.
	Named(ctx context.Context, sc account.Scope, name string) ([]id.Agent, error)
}

// Trail is where it is noted that events were deleted; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx. Ids in metadata are UUIDs.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Listener hears of events.
type Listener interface {
	// Reported is called with events that have just been committed by this process, without a transaction in ctx. It must not take long.
	Reported(ctx context.Context, sc account.Scope, events []Event)
}

// Deps is what a Service needs; all but Listener are required.
type Deps struct {
	TX     tx.Runner
	Clock  clock.Clock
	IDs    id.Generator // reads the time from Clock
	Logger *slog.Logger
	Events EventRepository
	Roster Roster
	Trail  Trail
	// Listener hears of every event that is reported through this Service; nil is nobody.
	Listener Listener
}

// Config tunes a Service.
type Config struct {
	// Chunk is how many events one transaction deletes at most; 0 is 500. Ingest waits for one chunk at most.
	Chunk int
}

const defaultChunk = 500

// Service takes events, finds them and deletes them. It is safe for concurrent use.
type Service struct {
	d     Deps
	chunk int
	there acquaintances

	mu     sync.Mutex
	doomed map[owner]struct{} // whose events Run deletes
	wake   chan struct{}
}

// owner is an agent of a tenant.
type owner struct {
	tenant id.Tenant
	agent  id.Agent
}

// NewService returns a Service, or an error that names what d lacks or what is wrong with c.
func NewService(d Deps, c Config) (*Service, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"IDs", d.IDs == nil},
		{"Logger", d.Logger == nil},
		{"Events", d.Events == nil},
		{"Roster", d.Roster == nil},
		{"Trail", d.Trail == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("telemetry: Deps.%s is required", dep.name)
		}
	}
	if c.Chunk < 0 {
		return nil, fmt.Errorf("telemetry: Config.Chunk must not be negative, is %d", c.Chunk)
	}
	if c.Chunk == 0 {
		c.Chunk = defaultChunk
	}
	return &Service{d: d, chunk: c.Chunk, doomed: make(map[owner]struct{}), wake: make(chan struct{}, 1)}, nil
}

// Get returns one event, or id.NotFound.
func (s *Service) Get(ctx context.Context, sc account.Scope, event id.Report) (Event, error) {
	return s.d.Events.Event(ctx, sc, event)
}

// List returns what f chooses, the latest first; see EventRepository.Events.
func (s *Service) List(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Event], error) {
	return s.d.Events.Events(ctx, sc, f, req)
}

// After returns what f chooses in the order of time; see EventRepository.After.
func (s *Service) After(ctx context.Context, sc account.Scope, f Filter, after Place, limit int) ([]Event, error) {
	return s.d.Events.After(ctx, sc, f, after, limit)
}

// timeOf returns when a UUIDv7 was made, and whether u is one.
func timeOf(u id.UUID) (time.Time, bool) {
	if u[6]>>4 != 7 {
		return time.Time{}, false
	}
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return time.UnixMilli(ms).UTC(), true
}
