package payment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Gate is the part of gate.Gate by which payments are decided and ended.
type Gate interface {
	Begin(ctx context.Context, sc account.Scope, act gate.Act, also func(context.Context, gate.Record) error) (gate.Record, error)
	Retry(ctx context.Context, sc account.Scope, act id.Act, also func(context.Context) error) (bool, error)
	End(ctx context.Context, sc account.Scope, rec gate.Record, s gate.Settlement, also func(context.Context) error) (gate.Record, error)
	Act(ctx context.Context, sc account.Scope, act id.Act) (gate.Record, error)
	Lookup(ctx context.Context, sc account.Scope, key string) (gate.Record, bool, error)
}

// Wallets is the part of wallet.Service that payments use.
type Wallets interface {
	Hold(ctx context.Context, sc account.Scope, r wallet.HoldRequest) (wallet.Hold, error)
	Capture(ctx context.Context, sc account.Scope, hold id.Hold, amount money.Amount) (wallet.Transaction, error)
	Void(ctx context.Context, sc account.Scope, hold id.Hold) error
	Refund(ctx context.Context, sc account.Scope, r wallet.RefundRequest) (wallet.Transaction, error)
	Sweep(ctx context.Context, sc account.Scope, agent id.Agent) ([]wallet.Transaction, error)
}

// Agents tells whether an agent is still there.
type Agents interface {
	// Exists returns id.NotFound when the tenant has no such agent.
	Exists(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Trail is where the service notes what nobody's act explains.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Deps is what a Service needs; all fields are required but Rails.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Approved   Approved
	Gate       Gate
	Wallets    Wallets
	Agents     Agents
	Trail      Trail
	Rails      []payment.Rail // none: every payment is one of the ledger
}

// Config tunes a Service.
type Config struct {
	Timeout time.Duration // of one call of a rail; default 30 s
	Backoff time.Duration // before a rail is asked again, doubled each time; default 2 s
	Longest time.Duration // that Backoff becomes; default 10 minutes
	Workers int           // rails that Reconcile asks at once; default 8
}

// Service pays over rails. It is safe for concurrent use. Its methods open their own transactions and ask rails between them, so
// they must not be called inside one.
type Service struct {
	d     Deps
	c     Config
	rails map[string]payment.Rail
	names []string
}

// NewService returns a Service, or an error that names what d lacks.
func NewService(d Deps, c Config) (*Service, error) {
	for _, f := range []struct {
		name    string
		missing bool
	}{
		{"TX", d.TX == nil}, {"Clock", d.Clock == nil}, {"IDs", d.IDs == nil}, {"Logger", d.Logger == nil},
		{"Repository", d.Repository == nil}, {"Approved", d.Approved == nil}, {"Gate", d.Gate == nil}, {"Wallets", d.Wallets == nil},
		{"Agents", d.Agents == nil}, {"Trail", d.Trail == nil},
	} {
		if f.missing {
			return nil, fmt.Errorf("payment: Deps.%s is required", f.name)
		}
	}
	if c.Timeout < 0 || c.Backoff < 0 || c.Longest < 0 || c.Workers < 0 {
		return nil, errors.New("payment: Config must not be negative")
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Backoff == 0 {
		c.Backoff = 2 * time.Second
	}
	if c.Longest == 0 {
		c.Longest = 10 * time.Minute
	}
	if c.Workers == 0 {
		c.Workers = 8
	}
	s := &Service{d: d, c: c, rails: map[string]payment.Rail{}}
	for _, r := range d.Rails {
		if r.Name() == "" || r.Name() == Ledger || s.rails[r.Name()] != nil {
			return nil, fmt.Errorf("payment: two rails are named %q, or it is no name for one", r.Name())
		}
		s.rails[r.Name()] = r
		s.names = append(s.names, r.Name())
	}
	return s, nil
}

// Ledger is how callers name the absence of a rail: payments that are one transaction in this server's own books.
const Ledger = "ledger"

// Rails returns the names of the rails by which anybody can be paid: neither the ledger nor those that pay for requests, see Fetch.
func (s *Service) Rails() []string {
	var names []string
	for _, name := range s.names {
		if _, ok := s.rails[name].(payment.Fetcher); !ok {
			names = append(names, name)
		}
	}
	return names
}

// Fetches reports whether Fetch can pay.
func (s *Service) Fetches() bool {
	_, f := s.fetcher()
	return f != nil
}

// Get returns a payment. id.NotFound when the tenant has no such one.
func (s *Service) Get(ctx context.Context, sc account.Scope, p id.Payment) (Payment, error) {
	return s.d.Repository.Get(ctx, sc, p)
}

// Of returns the payment of an act; false when the act has not gone over a rail, or not yet.
func (s *Service) Of(ctx context.Context, sc account.Scope, act id.Act) (Payment, bool, error) {
	return s.d.Repository.Find(ctx, sc, act, id.LedgerEntry{})
}

// List returns the payments of the tenant over rails, newest first. A filter that names an agent which the tenant has not is
// id.NotFound.
func (s *Service) List(ctx context.Context, sc account.Scope, f Filter, req page.Request) (page.Page[Payment], error) {
	return s.d.Repository.List(ctx, sc, f, req)
}

func (s *Service) rail(name string) (payment.Rail, error) {
	if r, ok := s.rails[name]; ok {
		return r, nil
	}
	return nil, ErrRail.Withf("this server has no payment rail %q", name).
		WithFields(fault.Field{Path: "rail", Message: "must be ledger or a rail that the operator has configured"})
}

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

// lease is how long whoever asks a rail keeps others from doing so: a call, and the time to write down what came of it.
func (s *Service) lease() *time.Time {
	t := s.now().Add(s.c.Timeout + s.c.Timeout/2)
	return &t
}

// later is when a rail is to be asked again after it was asked in vain.
func (s *Service) later(asked int) *time.Time {
	wait := s.c.Backoff << min(asked, 20)
	if wait > s.c.Longest || wait <= 0 {
		wait = s.c.Longest
	}
	t := s.now().Add(wait)
	return &t
}
