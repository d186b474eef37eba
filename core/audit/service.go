package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Deps is what a Service needs; all fields but Signer are required.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Seals      SealRepository
	Signer     Signer // nil: no checkpoints
}

// Config tunes a Service.
type Config struct {
	// SealEvery is how long entries of this process wait for company before they are sealed; 0 is 100 ms.
	SealEvery time.Duration
	// SweepEvery is how often the store is asked for entries that other processes left unsealed; 0 is 5 s.
	SweepEvery time.Duration
}

// Service records and reads the trail. It is safe for concurrent use.
type Service struct {
	d Deps
	c Config

	mu    sync.Mutex
	dirty map[id.Tenant]struct{} // tenants with entries of this process that are committed and perhaps not sealed
	wake  chan struct{}          // holds one token while dirty is not empty
}

// NewService returns a Service, or an error that names what d lacks. Without Run, entries are sealed when they are
// read.
func NewService(d Deps, c Config) (*Service, error) {
	for _, dep := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil},
		{"Clock", d.Clock == nil},
		{"IDs", d.IDs == nil},
		{"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil},
		{"Seals", d.Seals == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("audit: Deps.%s is required", dep.name)
		}
	}
	if c.SealEvery < 0 || c.SweepEvery < 0 {
		return nil, errors.New("audit: Config.SealEvery and Config.SweepEvery must not be negative")
	}
	if c.SealEvery == 0 {
		c.SealEvery = 100 * time.Millisecond
	}
	if c.SweepEvery == 0 {
		c.SweepEvery = 5 * time.Second
	}
	return &Service{d: d, c: c, dirty: map[id.Tenant]struct{}{}, wake: make(chan struct{}, 1)}, nil
}

// NewEntry is something to be recorded.
type NewEntry struct {
	Action string   // in snake_case, past tense
	Agent  id.Agent // zero when no agent is concerned
	// Metadata becomes a JSON object: a map, a struct or a json.RawMessage. Ids in it should be UUIDs, money decimal
	// strings, and secrets not there at all. nil is an empty object.
	Metadata any
}

// Record adds an entry in the transaction of ctx, so that it is there if and only if that commits. The actor is the
// scope's. ErrMetadata when the metadata is no JSON object.
func (s *Service) Record(ctx context.Context, sc account.Scope, n NewEntry) (id.AuditEntry, error) {
	metadata, err := metadataJSON(n.Metadata)
	if err != nil {
		return id.AuditEntry{}, err
	}
	e := Entry{
		ID: id.New[id.AuditEntryKind](s.d.IDs), Tenant: sc.Tenant, Action: n.Action, Agent: n.Agent, Key: sc.Key,
		Metadata: metadata, CreatedAt: clock.Stored(s.d.Clock.Now()),
	}
	if err := s.d.Repository.Insert(ctx, sc, e); err != nil {
		return id.AuditEntry{}, err
	}
	s.d.TX.AfterCommit(ctx, func() { s.mark(sc.Tenant) })
	return e.ID, nil
}

// Note is Record in terms of no package of core but account, for contexts that may not import this one.
func (s *Service) Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error {
	_, err := s.Record(ctx, sc, NewEntry{action, agent, metadata})
	return err
}

func metadataJSON(v any) (json.RawMessage, error) {
	if m, ok := v.(map[string]any); ok {
		if canonical, ok := appendPlain(nil, m, 0); ok {
			return canonical, nil
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, ErrMetadata.Wrap(err)
	}
	if string(text) == "null" {
		return json.RawMessage("{}"), nil
	}
	canonical, err := Canonical(text)
	if err != nil {
		return nil, ErrMetadata.Wrap(err)
	}
	if canonical[0] != '{' {
		return nil, ErrMetadata
	}
	return canonical, nil
}

// List returns entries that match f, the latest sealed first.
func (s *Service) List(ctx context.Context, sc account.Scope, f Filter) (page.Page[Entry], error) {
	// A cursor names a place among sealed entries, so only the first page has to see the newest.
	if f.Page.Cursor == "" {
		if err := s.Seal(ctx, sc); err != nil {
			return page.Page[Entry]{}, err
		}
	}
	return s.d.Repository.List(ctx, sc, f)
}

// Get returns one entry, or id.NotFound.
func (s *Service) Get(ctx context.Context, sc account.Scope, e id.AuditEntry) (Entry, error) {
	if err := s.Seal(ctx, sc); err != nil {
		return Entry{}, err
	}
	return s.d.Repository.Get(ctx, sc, e)
}

// readBatch is how many entries verification and export hold in memory.
const readBatch = 500

// Verify recomputes the tenant's whole chain. A broken chain is a Report that is not Valid, and no error.
func (s *Service) Verify(ctx context.Context, sc account.Scope) (Report, error) {
	end, err := s.sealed(ctx, sc)
	if err != nil {
		return Report{}, err
	}
	r := Report{Tenant: sc.Tenant, Count: end.Count, Head: end.Head}
	at := Chain{Head: Genesis}
	err = s.each(ctx, sc, 0, end, func(e Entry) error {
		if r.First = check(e, at); r.First != nil {
			return errStop
		}
		at = Chain{Count: e.Seq, Head: e.Hash}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return Report{}, err
	}
	if r.First == nil {
		r.First = checkEnd(at, end)
	}
	r.Valid = r.First == nil
	return r, nil
}

// errStop ends each early.
var errStop = errors.New("stop")

// Chain seals and returns how far the trail reaches.
func (s *Service) Chain(ctx context.Context, sc account.Scope) (Chain, error) {
	return s.sealed(ctx, sc)
}

// sealed seals and returns the chain as it then is.
func (s *Service) sealed(ctx context.Context, sc account.Scope) (Chain, error) {
	if err := s.Seal(ctx, sc); err != nil {
		return Chain{}, err
	}
	return s.d.Repository.Chain(ctx, sc)
}

// each calls fn with every sealed entry behind after, up to end, in order.
func (s *Service) each(ctx context.Context, sc account.Scope, after int64, end Chain, fn func(Entry) error) error {
	for after < end.Count {
		es, err := s.d.Repository.Range(ctx, sc, after, end.Count, readBatch)
		if err != nil {
			return err
		}
		for _, e := range es {
			if err := fn(e); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(es) < readBatch {
			return nil
		}
	}
	return nil
}

// check returns how e does not follow at, or nil.
func check(e Entry, at Chain) *Broken {
	if reason := e.fault(at); reason != "" {
		return &Broken{Index: at.Count + 1, ID: e.ID, Reason: reason}
	}
	return nil
}

// checkEnd returns what is missing between the last entry seen and the end that the chain claims, or nil.
func checkEnd(at, end Chain) *Broken {
	switch {
	case at.Count < end.Count:
		return &Broken{Index: at.Count + 1, Reason: "the last " + formatInt(end.Count-at.Count) + " entries are missing"}
	case at.Count > end.Count:
		return &Broken{Index: end.Count + 1, Reason: "there are more entries than the chain says"}
	case at.Head != end.Head:
		return &Broken{Index: at.Count + 1, Reason: "the last hash is not the head of the chain"}
	}
	return nil
}

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }
