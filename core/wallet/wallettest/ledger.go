package wallettest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite needs of a store.
type Store struct {
	TX         tx.Runner
	Repository wallet.Repository
	Holds      wallet.HoldRepository
	Books      wallet.Books
	// Dump returns all that the store holds of a tenant's wallets and ledger as text; equal texts mean an equal store.
	Dump func(ctx context.Context, tenant id.Tenant) (string, error)
}

// ErrFrozen is what the owners of a Ledger answer for a frozen agent.
var ErrFrozen = fault.New(fault.Forbidden, "agent_frozen", "the agent is frozen")

// Ledger is a wallet.Service over a store, with a tenant, a clock and an id generator of its own.
type Ledger struct {
	*wallet.Service

	Store Store
	Scope account.Scope
	Clock *Clock
	IDs   id.Generator
	// Notes counts the calls of the trail.
	Notes *Notes

	mu      sync.Mutex
	unknown map[id.Agent]bool
	frozen  map[id.Agent]bool
}

// Clock is a clock that stands still until Add moves it. It is safe for concurrent use.
type Clock struct {
	mu sync.Mutex
	t  time.Time
}

// Now implements clock.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var _ clock.Clock = (*Clock)(nil)

// Notes is a wallet.Trail that keeps the actions. It is safe for concurrent use.
type Notes struct {
	mu      sync.Mutex
	actions []string
}

// Note implements wallet.Trail.
func (n *Notes) Note(_ context.Context, _ account.Scope, action string, _ id.Agent, metadata map[string]any) error {
	if action == "transaction_completed" && (metadata["kind"] == nil || metadata["transaction_id"] == nil) {
		return errors.New("wallettest: a note without kind or transaction_id")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.actions = append(n.actions, action)
	return nil
}

// Actions returns what was noted so far.
func (n *Notes) Actions() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.actions...)
}

// NewLedger returns a Ledger with a fresh tenant.
func NewLedger(tb testing.TB, st Store) *Ledger {
	tb.Helper()
	c := &Clock{t: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	l := &Ledger{
		Store: st, Clock: c, IDs: id.NewGenerator(time.Now), Notes: &Notes{},
		unknown: map[id.Agent]bool{}, frozen: map[id.Agent]bool{},
	}
	l.Scope = account.System(id.New[id.TenantKind](l.IDs))
	s, err := wallet.NewService(wallet.Deps{
		TX: st.TX, Clock: c, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: st.Repository, Holds: st.Holds,
		Books: st.Books, Owners: owners{l}, Trail: l.Notes,
	}, wallet.Config{HoldTTL: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	l.Service = s
	return l
}

// owners knows every agent but those that the Ledger was told of.
type owners struct{ l *Ledger }

func (o owners) Exists(_ context.Context, _ account.Scope, a id.Agent) error {
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.unknown[a] {
		return id.NotFound[id.AgentKind](a.String())
	}
	return nil
}

func (o owners) RequireActive(ctx context.Context, sc account.Scope, a id.Agent) error {
	if err := o.Exists(ctx, sc, a); err != nil {
		return err
	}
	o.l.mu.Lock()
	defer o.l.mu.Unlock()
	if o.l.frozen[a] {
		return ErrFrozen
	}
	return nil
}

// Agent returns a new agent.
func (l *Ledger) Agent() id.Agent { return id.New[id.AgentKind](l.IDs) }

// Act returns a new act.
func (l *Ledger) Act() id.Act { return id.New[id.ActKind](l.IDs) }

// Forget makes an agent unknown.
func (l *Ledger) Forget(a id.Agent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unknown[a] = true
}

// Freeze makes an agent frozen.
func (l *Ledger) Freeze(a id.Agent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.frozen[a] = true
}

// Fund returns a new agent with an amount of the default currency.
func (l *Ledger) Fund(tb testing.TB, micros int64) id.Agent {
	tb.Helper()
	a := l.Agent()
	if micros > 0 {
		if _, err := l.Deposit(context.Background(), l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(micros)}); err != nil {
			tb.Fatal(err)
		}
	}
	return a
}

// Wallet returns the agent's wallet in the default currency.
func (l *Ledger) Wallet(tb testing.TB, a id.Agent) wallet.Wallet {
	tb.Helper()
	w, err := l.Get(context.Background(), l.Scope, a, "")
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// Expect fails the test unless the agent's wallet has this balance and this much of it held, and the ledger is sound.
func (l *Ledger) Expect(tb testing.TB, a id.Agent, balance, held int64) {
	tb.Helper()
	if w := l.Wallet(tb, a); w.Balance != balance || w.Held != held {
		tb.Errorf("the wallet has %d, %d of it held; want %d and %d", w.Balance, w.Held, balance, held)
	}
	l.Sound(tb)
}

// Sound fails the test unless the ledger's invariants hold.
func (l *Ledger) Sound(tb testing.TB) {
	tb.Helper()
	if err := l.CheckInvariants(context.Background(), l.Scope); err != nil {
		tb.Error(err)
	}
}

// Snapshot returns the store's Dump of the Ledger's tenant.
func (l *Ledger) Snapshot(tb testing.TB) string {
	tb.Helper()
	d, err := l.Store.Dump(context.Background(), l.Scope.Tenant)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// USDC returns micro-units of the default currency.
func USDC(micros int64) money.Amount { return money.Of(micros, money.USDC) }
