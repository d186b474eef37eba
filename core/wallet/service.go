package wallet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Owners tells wallets about agents, which live in a higher context; app wires core/agent.
type Owners interface {
	// Exists returns id.NotFound when the tenant has no such agent. Archived and frozen agents exist.
	Exists(ctx context.Context, sc account.Scope, agent id.Agent) error
	// RequireActive does what Exists does and returns a fault.Forbidden when the agent, or its tenant, is frozen or
	// archived. It is called in a transaction and must keep the standing from changing until that ends.
	RequireActive(ctx context.Context, sc account.Scope, agent id.Agent) error
}

// Trail is where the service notes what it did; app wires core/audit.
type Trail interface {
	// Note adds an entry to the audit trail, in the transaction of ctx.
	Note(ctx context.Context, sc account.Scope, action string, agent id.Agent, metadata map[string]any) error
}

// Deps is what a Service needs. Fields are required unless their comment says otherwise.
type Deps struct {
	TX         tx.Runner
	Clock      clock.Clock
	IDs        id.Generator
	Logger     *slog.Logger
	Repository Repository
	Holds      HoldRepository
	Books      Books
	Owners     Owners
	Trail      Trail
	Outside    Outside // nil: no payment leaves over a rail
	Notices    Notices // nil: nobody is told
}

// Config tunes a Service.
type Config struct {
	// HoldTTL is how long a hold lasts when its request does not say; 0 is 7 days.
	HoldTTL time.Duration
	// LowBalance is the threshold of "wallet.low_balance", in micro-units of whichever currency; 0 tells of none.
	LowBalance int64
}

// Service moves money. It is safe for concurrent use. Its methods join the transaction in ctx and open one where there
// is none.
type Service struct {
	d Deps
	c Config
}

// NewService returns a Service, or an error that names what d lacks.
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
		{"Holds", d.Holds == nil},
		{"Books", d.Books == nil},
		{"Owners", d.Owners == nil},
		{"Trail", d.Trail == nil},
	} {
		if dep.missing {
			return nil, fmt.Errorf("wallet: Deps.%s is required", dep.name)
		}
	}
	if c.HoldTTL < 0 {
		return nil, errors.New("wallet: Config.HoldTTL must not be negative")
	}
	if c.LowBalance < 0 {
		return nil, errors.New("wallet: Config.LowBalance must not be negative")
	}
	if c.HoldTTL == 0 {
		c.HoldTTL = 7 * 24 * time.Hour
	}
	return &Service{d, c}, nil
}

// Get returns the agent's wallet in a currency ("" is DefaultCurrency), making it when it is missing. id.NotFound when
// the tenant has no such agent; the zero agent is the tenant's own wallet.
func (s *Service) Get(ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency) (Wallet, error) {
	if err := s.exists(ctx, sc, agent); err != nil {
		return Wallet{}, err
	}
	return s.Ensure(ctx, sc, agent, c)
}

// List returns the agent's wallets, in the order of the currencies' codes; the one in DefaultCurrency is always among
// them. The zero agent is the tenant itself.
func (s *Service) List(ctx context.Context, sc account.Scope, agent id.Agent) ([]Wallet, error) {
	if _, err := s.Get(ctx, sc, agent, ""); err != nil {
		return nil, err
	}
	return s.d.Repository.List(ctx, sc, agent)
}

// Page is List by pages. Its cursors are currencies.
func (s *Service) Page(ctx context.Context, sc account.Scope, agent id.Agent, req page.Request) (page.Page[Wallet], error) {
	if req.Cursor != "" {
		if _, err := money.ParseCurrency(req.Cursor); err != nil {
			return page.Page[Wallet]{}, fault.Invalidf("cursor", "is not a cursor of this list")
		}
	}
	ws, err := s.List(ctx, sc, agent)
	if err != nil {
		return page.Page[Wallet]{}, err
	}
	ws = slices.DeleteFunc(ws, func(w Wallet) bool { return string(w.Currency) <= req.Cursor })
	p := page.Page[Wallet]{Items: ws}
	if n := req.Size(); len(ws) > n {
		p.Items, p.Next = ws[:n], string(ws[n-1].Currency)
	}
	return p, nil
}

func (s *Service) exists(ctx context.Context, sc account.Scope, agent id.Agent) error {
	if agent.IsZero() {
		return nil
	}
	return s.d.Owners.Exists(ctx, sc, agent)
}

// Ensure is Get without the question whether the agent exists, for callers that know.
func (s *Service) Ensure(ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency) (Wallet, error) {
	c = currency(c)
	w, err := s.d.Repository.Get(ctx, sc, agent, c)
	if !errors.Is(err, ErrNoWallet) {
		return w, err
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		if err := s.d.Repository.Create(ctx, sc, s.empty(sc, agent, c)); err != nil {
			return err
		}
		w, err = s.d.Repository.Get(ctx, sc, agent, c)
		return err
	})
	return w, err
}

// EnsureAll is Ensure for several agents, whose wallets it reads at once and makes, where some are missing, at once.
func (s *Service) EnsureAll(ctx context.Context, sc account.Scope, c money.Currency, agents ...id.Agent) (map[id.Agent]Wallet, error) {
	c = currency(c)
	found, missing, err := s.among(ctx, sc, c, agents)
	if err != nil || len(missing) == 0 {
		return found, err
	}
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		empty := make([]Wallet, len(missing))
		for i, a := range missing {
			empty[i] = s.empty(sc, a, c)
		}
		if err := s.d.Repository.Create(ctx, sc, empty...); err != nil {
			return err
		}
		found, _, err = s.among(ctx, sc, c, agents)
		return err
	})
	return found, err
}

// among returns those of the agents' wallets that exist, and the agents without one in the order of their ids.
func (s *Service) among(
	ctx context.Context, sc account.Scope, c money.Currency, agents []id.Agent,
) (found map[id.Agent]Wallet, missing []id.Agent, err error) {
	ws, err := s.d.Repository.List(ctx, sc, agents...)
	if err != nil {
		return nil, nil, err
	}
	found = make(map[id.Agent]Wallet, len(agents))
	for _, w := range ws {
		if w.Currency == c {
			found[w.Agent] = w
		}
	}
	for _, a := range agents {
		if _, ok := found[a]; !ok {
			missing = append(missing, a)
		}
	}
	slices.SortFunc(missing, func(a, b id.Agent) int { return strings.Compare(a.UUID().String(), b.UUID().String()) })
	return found, slices.Compact(missing), nil
}

// Lock returns the agent's wallet, made when missing, and keeps others from changing it until the transaction in ctx
// ends. Where several wallets are to be locked, lock them in the order of their agents' ids, or leave it to Transfer.
func (s *Service) Lock(ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency) (Wallet, error) {
	c = currency(c)
	var w Wallet
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		ws, err := s.d.Repository.Lock(ctx, sc, c, agent)
		if err == nil && len(ws) == 0 {
			if err = s.d.Repository.Create(ctx, sc, s.empty(sc, agent, c)); err == nil {
				ws, err = s.d.Repository.Lock(ctx, sc, c, agent)
			}
		}
		if err == nil {
			w = ws[0]
		}
		return err
	})
	return w, err
}

func (s *Service) empty(sc account.Scope, agent id.Agent, c money.Currency) Wallet {
	now := s.now()
	return Wallet{ID: s.walletID(), Tenant: sc.Tenant, Agent: agent, Currency: c, CreatedAt: now, UpdatedAt: now}
}

func (s *Service) walletID() id.Wallet { return id.New[id.WalletKind](s.d.IDs) }

func (s *Service) now() time.Time { return clock.Stored(s.d.Clock.Now()) }

func currency(c money.Currency) money.Currency {
	if c == "" {
		return DefaultCurrency
	}
	return c
}

func positive(a money.Amount) error {
	if a.Micros <= 0 {
		return ErrAmount
	}
	return nil
}

// DepositRequest asks for money from outside.
type DepositRequest struct {
	Agent       id.Agent     // zero deposits into the tenant's own wallet
	Amount      money.Amount // above zero
	Description string
	// Key makes the deposit unique within the tenant: again with the same agent and amount it is answered with what was
	// stored, otherwise with ErrKeyReused. "" is none.
	Key string
}

// Deposit brings money into a wallet, on the operator's word. Only an active agent can receive it: id.NotFound, or the
// fault.Forbidden of Owners.RequireActive. It is noted in the audit trail.
func (s *Service) Deposit(ctx context.Context, sc account.Scope, r DepositRequest) (Transaction, error) {
	if err := positive(r.Amount); err != nil {
		return Transaction{}, err
	}
	var out Transaction
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		if !r.Agent.IsZero() {
			if err := s.d.Owners.RequireActive(ctx, sc, r.Agent); err != nil {
				return err
			}
		}
		ts, err := s.post(ctx, sc, Entry{Kind: EntryDeposit, Currency: r.Amount.Currency, Key: r.Key, Description: r.Description},
			Line{Part: Source, Amount: -r.Amount.Micros},
			Line{Part: Available, Owner: r.Agent, Amount: r.Amount.Micros, Kind: Deposit})
		if errors.Is(err, ErrRepeated) {
			out, err = s.replay(ctx, sc, r)
			return err
		}
		if err != nil {
			return err
		}
		out = ts[0]
		if err := s.tellDeposit(ctx, sc, out); err != nil {
			return err
		}
		return s.note(ctx, sc, out, nil)
	})
	return out, err
}

// note writes into the audit trail what no act of the gate has moved; more may be nil.
func (s *Service) note(ctx context.Context, sc account.Scope, t Transaction, more map[string]any) error {
	m := map[string]any{
		"kind": string(t.Kind), "transaction_id": t.ID.UUID().String(), "amount": t.Amount.Decimal(),
		"currency": string(t.Amount.Currency), "balance_after": t.BalanceAfter.Decimal(), "description": t.Description,
	}
	maps.Copy(m, more)
	return s.d.Trail.Note(ctx, sc, "transaction_completed", t.Agent, m)
}

// isNotFound reports whether an error says that something is not there.
func isNotFound(err error) bool { return err != nil && fault.KindOf(err) == fault.NotFound }

// replay answers a deposit whose key is in the ledger.
func (s *Service) replay(ctx context.Context, sc account.Scope, r DepositRequest) (Transaction, error) {
	ts, err := s.d.Repository.Movements(ctx, sc, Ref{Key: r.Key})
	if err != nil {
		return Transaction{}, err
	}
	if len(ts) != 1 || ts[0].Kind != Deposit || ts[0].Agent != r.Agent || ts[0].Amount != r.Amount {
		return Transaction{}, ErrKeyReused
	}
	return ts[0], nil
}

// PayRequest asks for a payment to an external payee.
type PayRequest struct {
	Agent       id.Agent
	Amount      money.Amount // above zero; its currency chooses the wallet
	Payee       string
	Description string
	Category    string
	Act         id.Act // what is paid for; one act pays once
}

// Pay takes money out of a wallet. ErrInsufficientFunds, or ErrRepeated when the act has paid already. The caller has
// decided that the payment may happen, and notes it in the audit trail.
func (s *Service) Pay(ctx context.Context, sc account.Scope, r PayRequest) (Transaction, error) {
	if err := positive(r.Amount); err != nil {
		return Transaction{}, err
	}
	e := Entry{
		Kind: EntryPayment, Currency: r.Amount.Currency, Act: r.Act, Payee: r.Payee, Category: r.Category, Description: r.Description,
	}
	ts, err := s.move(ctx, sc, e,
		Line{Part: Available, Owner: r.Agent, Amount: -r.Amount.Micros, Kind: Payment},
		Line{Part: Sink, Amount: r.Amount.Micros})
	if err != nil {
		return Transaction{}, err
	}
	return ts[0], nil
}

// TransferRequest asks for a transfer between two wallets of a tenant.
type TransferRequest struct {
	From        id.Agent // zero is the tenant's own wallet
	To          id.Agent // likewise
	Amount      money.Amount
	Description string
	Act         id.Act
}

// Transfer moves money between two wallets and returns it as each of them saw it. Both are locked in the order of their
// owners' ids. ErrInsufficientFunds, ErrSameWallet, ErrRepeated.
func (s *Service) Transfer(ctx context.Context, sc account.Scope, r TransferRequest) (out, in Transaction, err error) {
	if err := positive(r.Amount); err != nil {
		return out, in, err
	}
	if r.From == r.To {
		return out, in, ErrSameWallet
	}
	ts, err := s.move(ctx, sc, Entry{Kind: EntryTransfer, Currency: r.Amount.Currency, Act: r.Act, Description: r.Description},
		Line{Part: Available, Owner: r.From, Amount: -r.Amount.Micros, Kind: TransferOut, Counterpart: r.To},
		Line{Part: Available, Owner: r.To, Amount: r.Amount.Micros, Kind: TransferIn, Counterpart: r.From})
	if err != nil {
		return out, in, err
	}
	return ts[0], ts[1], nil
}

// Sweep voids the agent's open holds and moves all that its wallets hold to the tenant's own, as the destruction of an
// agent asks. It returns what left the agent's wallets, each of which is noted in the audit trail; sweeping again finds nothing.
func (s *Service) Sweep(ctx context.Context, sc account.Scope, agent id.Agent) ([]Transaction, error) {
	if agent.IsZero() {
		return nil, ErrSameWallet
	}
	var out []Transaction
	err := s.d.TX.Do(ctx, func(ctx context.Context) error {
		out = nil
		holds, err := s.d.Holds.Open(ctx, sc, agent)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if h.bound() {
				continue // its payment is under way; what is left of it comes back when it ends
			}
			if err := s.Void(ctx, sc, h.ID); err != nil && !errors.Is(err, ErrHoldResolved) {
				return err
			}
		}
		ws, err := s.d.Repository.List(ctx, sc, agent)
		if err != nil {
			return err
		}
		for _, w := range ws {
			// Both sides at once, so that the order of locks is that of a transfer.
			locked, err := s.d.Repository.Lock(ctx, sc, w.Currency, agent, id.Agent{})
			if err != nil {
				return err
			}
			for _, l := range locked {
				if l.Agent != agent || l.Available() == 0 {
					continue
				}
				ts, err := s.post(ctx, sc, Entry{Kind: EntrySweep, Currency: w.Currency},
					Line{Part: Available, Owner: agent, Amount: -l.Available(), Kind: Sweep},
					Line{Part: Available, Amount: l.Available(), Kind: Sweep, Counterpart: agent})
				if err != nil {
					return err
				}
				out = append(out, ts[0])
				if err := s.note(ctx, sc, ts[0], nil); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return out, err
}

// Paid returns the transactions that an act made, the paying side first; none when it moved nothing.
func (s *Service) Paid(ctx context.Context, sc account.Scope, act id.Act) ([]Transaction, error) {
	return s.d.Repository.Movements(ctx, sc, Ref{Act: act})
}

// move is post in a transaction.
func (s *Service) move(ctx context.Context, sc account.Scope, e Entry, lines ...Line) (ts []Transaction, err error) {
	err = s.d.TX.Do(ctx, func(ctx context.Context) error {
		ts, err = s.post(ctx, sc, e, lines...)
		return err
	})
	return ts, err
}

// post completes the entry, posts it and returns its transactions in the order of its lines.
func (s *Service) post(ctx context.Context, sc account.Scope, e Entry, lines ...Line) ([]Transaction, error) {
	if _, err := money.ParseCurrency(string(e.Currency)); err != nil {
		return nil, err
	}
	e.ID, e.Tenant, e.CreatedAt = id.New[id.LedgerEntryKind](s.d.IDs), sc.Tenant, s.now()
	e.Payee, e.Category, e.Description = storable(e.Payee), storable(e.Category), storable(e.Description)
	e, err := NewEntry(e, lines...)
	if err != nil {
		return nil, err
	}
	ws, err := s.d.Repository.Post(ctx, sc, e, s.walletID)
	if err != nil {
		return nil, insufficient(err, e)
	}
	after := make(map[id.Agent]Wallet, len(ws))
	for _, w := range ws {
		after[w.Agent] = w
	}
	var ts []Transaction
	for _, l := range e.lines {
		if l.Kind != "" {
			ts = append(ts, TransactionOf(e, l, after[l.Owner]))
		}
		if err := s.tellLow(ctx, sc, l, after[l.Owner]); err != nil {
			return nil, err
		}
	}
	return ts, nil
}

// storable replaces what no database keeps in a text, such as a model may write into a description: a payment should
// not fail for it.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// insufficient says in the error what was asked for, and never what is there: a tool may show the message to a model.
func insufficient(err error, e Entry) error {
	if !errors.Is(err, ErrInsufficientFunds) {
		return err
	}
	for _, l := range e.lines {
		if l.Amount < 0 {
			return ErrInsufficientFunds.Withf("the wallet has less than %s available", money.Of(-l.Amount, e.Currency))
		}
	}
	return err
}

// TransactionOf returns line l of entry e as its wallet shows it; after is the wallet right after the entry.
func TransactionOf(e Entry, l Line, after Wallet) Transaction {
	amount := money.Of(l.Amount, e.Currency)
	if l.Amount < 0 {
		amount = amount.Neg()
	}
	return Transaction{
		ID: e.ID, Wallet: after.ID, Agent: l.Owner, Kind: l.Kind, Amount: amount, BalanceAfter: after.Money(after.Balance),
		Counterpart: l.Counterpart, Payee: e.Payee, Category: e.Category, Description: e.Description, Act: e.Act, Hold: e.Hold,
		Refunds: e.Refunds, CreatedAt: after.UpdatedAt, Seq: after.Seq,
	}
}

// CheckInvariants recomputes the tenant's ledger from its lines and returns ErrCorrupt with the first broken invariant.
// Its cost grows with the ledger; in a busy tenant run it inside a transaction, so that it sees one moment.
func (s *Service) CheckInvariants(ctx context.Context, sc account.Scope) error {
	var t Totals
	err := s.d.TX.Do(ctx, func(ctx context.Context) (err error) {
		t, err = s.d.Books.Totals(ctx, sc)
		return err
	})
	if err != nil {
		return err
	}
	return t.check()
}

func (t Totals) check() error {
	if len(t.Unbalanced) > 0 {
		return ErrCorrupt.Withf("the lines of entry %s do not sum to zero", t.Unbalanced[0])
	}
	for _, c := range t.Currencies {
		if c.Credits != c.Debits {
			return ErrCorrupt.Withf("%s: credits of %d and debits of %d differ", c.Currency, c.Credits, c.Debits)
		}
	}
	for _, w := range t.Wallets {
		if err := w.check(); err != nil {
			return err
		}
	}
	return nil
}

func (t OwnerTotals) check() error {
	w := t.Wallet
	var broken string
	switch {
	case w.Available() < 0 || w.Held < 0:
		broken = fmt.Sprintf("available %d or held %d is below zero", w.Available(), w.Held)
	case w.Available() != t.Available:
		broken = fmt.Sprintf("available is %d and its lines say %d", w.Available(), t.Available)
	case w.Held != t.Held:
		broken = fmt.Sprintf("held is %d and its lines say %d", w.Held, t.Held)
	case w.Held != t.OpenHolds:
		broken = fmt.Sprintf("held is %d and its open holds say %d", w.Held, t.OpenHolds)
	case w.Balance != t.BalanceAfter:
		broken = fmt.Sprintf("the balance is %d and its latest transaction says %d", w.Balance, t.BalanceAfter)
	default:
		return nil
	}
	return ErrCorrupt.Withf("wallet %s: %s", w.ID, broken)
}
