package skill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Hold keeps everybody from using a digest.
type Hold struct {
	Digest string // lower-case hexadecimal SHA-256 of a plugin's binary, or of another skill's content
	// Tenant is whose copies are held; zero: everybody's, since the operator has blocked the digest.
	Tenant id.Tenant
	// Skill, Kind and Name say what the digest was known as; zero for a digest that the operator named by itself.
	Skill  id.Skill
	Kind   ContentKind
	Name   string
	Reason string
	By     id.APIKey // zero: the server itself
	At     time.Time
}

// Manner is how a skill was used.
type Manner string

// The manners.
const (
	UseCalled  Manner = "called"  // a plugin's tool
	UseRead    Manner = "read"    // by the tool ReadTool
	UseMounted Manner = "mounted" // its files came into a sandbox
)

// Use is the first use of a content of a skill in a session.
type Use struct {
	Tenant  id.Tenant
	Session id.Session
	Agent   id.Agent
	Skill   id.Skill
	Digest  string
	Manner  Manner
	FirstAt time.Time
}

// HoldRepository keeps holds and uses. Calls join the transaction in ctx.
type HoldRepository interface {
	// Hold adds h and reports whether it is new. It waits for transactions that have asked for the digest by Holds, and keeps others
	// from asking until its own transaction ends.
	Hold(ctx context.Context, h Hold) (bool, error)
	// Release ends a hold of the tenant's, or with a zero tenant of everybody's; ErrNotQuarantined.
	Release(ctx context.Context, tenant id.Tenant, digest string) error
	// Holds returns what keeps the scope's tenant from using one of the digests. Inside a transaction no digest gets a hold until that
	// ends.
	Holds(ctx context.Context, sc account.Scope, digests []string) ([]Hold, error)
	// HoldsOf returns the holds of a skill, the latest first; with a zero skill those that are everybody's. At most 1000.
	HoldsOf(ctx context.Context, sc account.Scope, of id.Skill) ([]Hold, error)
	// NoteUse keeps the first use of a digest by an agent in a session; a later one changes nothing.
	NoteUse(ctx context.Context, u Use) error
}

// Traces is what a digest has touched, in a tenant. Pages are in the order that is said.
type Traces interface {
	// Agents returns the agents that have it installed, by the id of the installation.
	Agents(ctx context.Context, sc account.Scope, digest string, req page.Request) (page.Page[Installation], error)
	// Uses returns the sessions that used it, by their ids.
	Uses(ctx context.Context, sc account.Scope, digest string, req page.Request) (page.Page[Use], error)
	// Moves returns the payments and transfers that were made in these sessions and in their threads after the first use, by their ids.
	Moves(ctx context.Context, sc account.Scope, digest string, req page.Request) (page.Page[Move], error)
	// Extent counts all of them.
	Extent(ctx context.Context, sc account.Scope, digest string) (Extent, error)
	// Tenants returns who has the digest installed, stored or used.
	Tenants(ctx context.Context, digest string) ([]id.Tenant, error)
}

// Ward keeps what is in quarantine from being used, and notes who uses what. A nil Ward lets everything pass. It is safe for concurrent
// use.
type Ward struct {
	tx    tx.Runner
	clock clock.Clock
	holds HoldRepository

	mu    sync.Mutex
	noted map[usedBy]struct{}
}

// usedBy is a use that is written down.
type usedBy struct {
	tenant  id.Tenant
	session id.Session
	agent   id.Agent
	digest  string
}

// maxNoted bounds what a Ward remembers; a use that it has forgotten is written down again, which changes nothing.
const maxNoted = 50_000

var _ Quarantine = (*Ward)(nil)

// NewWard checks its arguments, all of which are required.
func NewWard(runner tx.Runner, clk clock.Clock, holds HoldRepository) (*Ward, error) {
	if runner == nil || clk == nil || holds == nil {
		return nil, errors.New("skill: a ward needs a transaction runner, a clock and holds")
	}
	return &Ward{tx: runner, clock: clk, holds: holds, noted: map[usedBy]struct{}{}}, nil
}

// Held implements Quarantine.
func (w *Ward) Held(ctx context.Context, sc account.Scope, digests []string) (map[string]bool, error) {
	if w == nil || len(digests) == 0 {
		return nil, nil
	}
	holds, err := w.holds.Holds(ctx, sc, digests)
	out := make(map[string]bool, len(holds))
	for _, h := range holds {
		out[h.Digest] = true
	}
	return out, err
}

// check returns ErrQuarantined when one of the digests is held.
func (w *Ward) check(ctx context.Context, sc account.Scope, digests ...string) error {
	if w == nil {
		return nil
	}
	holds, err := w.holds.Holds(ctx, sc, digests)
	if err != nil || len(holds) == 0 {
		return err
	}
	h := holds[0]
	by := "since " + h.At.Format(time.RFC3339)
	if h.Tenant.IsZero() {
		by = "of the server's operator " + by
	}
	return ErrQuarantined.Withf("the content %s is in the quarantine %s: %s", h.Digest, by, h.Reason)
}

// Admit lets a content of a skill be used, or returns ErrQuarantined. The first use in a session is written down in the transaction that
// finds the content free, so that a quarantine knows of every use that came before it.
func (w *Ward) Admit(ctx context.Context, sc account.Scope, u Use) error {
	if w == nil || u.Digest == "" {
		return nil
	}
	key := usedBy{sc.Tenant, u.Session, u.Agent, u.Digest}
	w.mu.Lock()
	_, known := w.noted[key]
	w.mu.Unlock()
	if known || u.Session.IsZero() {
		return w.check(ctx, sc, u.Digest)
	}
	u.Tenant, u.FirstAt = sc.Tenant, clock.Stored(w.clock.Now())
	err := w.tx.Do(ctx, func(ctx context.Context) error {
		if err := w.check(ctx, sc, u.Digest); err != nil {
			return err
		}
		return w.holds.NoteUse(ctx, u)
	})
	if err != nil {
		return fmt.Errorf("skill: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.noted) >= maxNoted {
		clear(w.noted)
	}
	w.noted[key] = struct{}{}
	return nil
}
