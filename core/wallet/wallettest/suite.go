package wallettest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
)

// Config says how to test a store.
type Config struct {
	// New returns the store; the subtests share what it returns or not, since each has a tenant of its own.
	New func(t *testing.T) Store
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, *Ledger){
		"MadeWhenAskedFor":         testMade,
		"MadeTogether":             testMadeTogether,
		"Missing":                  testMissing,
		"ForeignTenant":            testForeign,
		"Deposit":                  testDeposit,
		"DepositKey":               testDepositKey,
		"DepositNeedsActiveAgent":  testDepositStanding,
		"Pay":                      testPay,
		"PayLeavesNoTraceIfPoor":   testPoor,
		"ActPaysOnce":              testActOnce,
		"Transfer":                 testTransfer,
		"TransfersBothWays":        testBothWays,
		"TransfersOnARing":         testRing,
		"HoldCapture":              testCapture,
		"HoldVoid":                 testVoid,
		"HoldExpiry":               testExpiry,
		"HoldEndsOnce":             testHoldOnce,
		"HoldActOnce":              testHoldAct,
		"Refund":                   testRefund,
		"RefundsAtOnce":            testRefundsAtOnce,
		"RefundKey":                testRefundKey,
		"Fund":                     testFund,
		"NumberedPages":            testNumberedPages,
		"Times":                    testTimes,
		"Statement":                testStatement,
		"Holds":                    testHolds,
		"Sweep":                    testSweep,
		"Currencies":               testCurrencies,
		"Overflow":                 testOverflow,
		"Rollback":                 testRollback,
		"Cancelled":                testCancelled,
		"PagingToTheEnd":           testPaging,
		"TextsThatNoDatabaseKeeps": testTexts,
		"ConcurrentPayments":       testConcurrent,
		"ConcurrentMakers":         testMakers,
		"RandomOperations":         testRandom,
	} {
		t.Run(name, func(t *testing.T) {
			// Not in parallel: holds expire for every tenant of a store at once, by a clock that each test moves for itself.
			test(t, NewLedger(t, cfg.New(t)))
		})
	}
}

var bg = context.Background()

func wantErr(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("error %v; want %v", err, want)
	}
}

// unchanged runs fn, which must fail with want, and fails the test when the store is another afterwards.
func unchanged(tb testing.TB, l *Ledger, want error, fn func() error) {
	tb.Helper()
	before := l.Snapshot(tb)
	wantErr(tb, fn(), want)
	if diff := cmp.Diff(before, l.Snapshot(tb)); diff != "" {
		tb.Errorf("the refused operation changed the store:\n%s", diff)
	}
}

func pay(l *Ledger, a id.Agent, micros int64, act id.Act) (wallet.Transaction, error) {
	return l.Pay(bg, l.Scope, wallet.PayRequest{Agent: a, Amount: USDC(micros), Payee: "vendor.example", Act: act})
}

func testMade(t *testing.T, l *Ledger) {
	a := l.Agent()
	w := l.Wallet(t, a)
	want := wallet.Wallet{ID: w.ID, Tenant: l.Scope.Tenant, Agent: a, Currency: money.USDC, CreatedAt: l.Clock.Now(), UpdatedAt: l.Clock.Now()}
	if diff := cmp.Diff(want, w, cmp.Comparer(func(a, b id.UUID) bool { return a == b }), idCmp); diff != "" {
		t.Error(diff)
	}
	l.Clock.Add(time.Hour)
	if again := l.Wallet(t, a); again != w {
		t.Errorf("the second time: %+v; want %+v", again, w)
	}
	own, err := l.Get(bg, l.Scope, id.Agent{}, "")
	if err != nil || !own.Agent.IsZero() || own.ID == w.ID {
		t.Errorf("the tenant's own wallet: %+v, %v", own, err)
	}
	if _, err := l.Lock(bg, l.Scope, l.Agent(), ""); err != nil {
		t.Errorf("locking a wallet that is not there: %v", err)
	}
}

func testMadeTogether(t *testing.T, l *Ledger) {
	if none, err := l.EnsureAll(bg, l.Scope, ""); err != nil || len(none) != 0 {
		t.Errorf("of nobody: %v, %v", none, err)
	}
	rich, fresh, other := l.Fund(t, 100), l.Agent(), l.Agent()
	if _, err := l.Ensure(bg, l.Scope, other, "EUR"); err != nil {
		t.Fatal(err)
	}
	counted := &readings{Repository: l.Store.Repository}
	st := l.Store
	st.Repository = counted
	s := NewLedger(t, st)
	s.Scope = l.Scope
	asked := []id.Agent{other, rich, fresh, {}, fresh}
	got, err := s.EnsureAll(bg, l.Scope, "", asked...)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 4 || counted.lists != 2 || counted.creates != 1 {
		t.Errorf("%d wallets by %d readings and %d writings; want 4 by 2 and 1", len(got), counted.lists, counted.creates)
	}
	for _, a := range asked {
		want, err := l.Ensure(bg, l.Scope, a, "")
		if w := got[a]; err != nil || w != want || w.Agent != a || w.Currency != money.USDC || (w.Balance == 100) != (a == rich) {
			t.Errorf("of %s: %+v, %v; want %+v", a, w, err, want)
		}
	}
	if _, err := s.EnsureAll(bg, l.Scope, "", asked...); err != nil || counted.lists != 3 || counted.creates != 1 {
		t.Errorf("again: %d readings, %d writings, %v", counted.lists, counted.creates, err)
	}
	foreign := NewLedger(t, l.Store)
	if ws, err := l.Store.Repository.List(bg, foreign.Scope, asked...); err != nil || len(ws) != 0 {
		t.Errorf("to a foreign tenant: %v, %v", ws, err)
	}
	l.Sound(t)
}

// readings counts how often wallets are read and made.
type readings struct {
	wallet.Repository

	lists, creates int
}

func (r *readings) List(ctx context.Context, sc account.Scope, owners ...id.Agent) ([]wallet.Wallet, error) {
	r.lists++
	return r.Repository.List(ctx, sc, owners...)
}

func (r *readings) Create(ctx context.Context, sc account.Scope, ws ...wallet.Wallet) error {
	r.creates++
	return r.Repository.Create(ctx, sc, ws...)
}

// idCmp lets cmp compare what has unexported fields.
var idCmp = cmp.Options{
	cmp.Comparer(func(a, b id.Wallet) bool { return a == b }), cmp.Comparer(func(a, b id.Tenant) bool { return a == b }),
	cmp.Comparer(func(a, b id.Agent) bool { return a == b }), cmp.Comparer(func(a, b id.LedgerEntry) bool { return a == b }),
	cmp.Comparer(func(a, b id.Act) bool { return a == b }), cmp.Comparer(func(a, b id.Hold) bool { return a == b }),
}

func testMissing(t *testing.T, l *Ledger) {
	a := l.Agent()
	l.Forget(a)
	_, err := l.Get(bg, l.Scope, a, "")
	wantErr(t, err, id.NotFound[id.AgentKind](""))
	_, err = l.Transactions(bg, l.Scope, a, "", page.Request{})
	wantErr(t, err, id.NotFound[id.AgentKind](""))
	wantErr(t, l.Void(bg, l.Scope, id.New[id.HoldKind](l.IDs)), id.NotFound[id.HoldKind](""))
	_, err = l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: id.New[id.LedgerEntryKind](l.IDs)})
	wantErr(t, err, id.NotFound[id.LedgerEntryKind](""))
	ts, err := l.Transactions(bg, l.Scope, l.Agent(), "", page.Request{})
	if err != nil || len(ts.Items) != 0 {
		t.Errorf("an agent without a wallet has the transactions %v, %v", ts, err)
	}
}

func testForeign(t *testing.T, l *Ledger) {
	other := NewLedger(t, l.Store)
	a := l.Fund(t, 100)
	h, err := l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(10)})
	if err != nil {
		t.Fatal(err)
	}
	act := l.Act()
	p, err := pay(l, a, 10, act)
	if err != nil {
		t.Fatal(err)
	}
	unchanged(t, l, wallet.ErrInsufficientFunds, func() error { _, err := pay(other, a, 1, other.Act()); return err })
	unchanged(t, l, id.NotFound[id.HoldKind](""), func() error { return other.Void(bg, other.Scope, h.ID) })
	unchanged(t, l, id.NotFound[id.LedgerEntryKind](""), func() error {
		_, err := other.Refund(bg, other.Scope, wallet.RefundRequest{Payment: p.ID})
		return err
	})
	if ts, err := other.Paid(bg, other.Scope, act); err != nil || len(ts) != 0 {
		t.Errorf("another tenant sees the payment: %v, %v", ts, err)
	}
	page, err := l.Store.Repository.Transactions(bg, other.Scope, p.Wallet, wallet.Filter{}, page.Request{})
	if err != nil || len(page.Items) != 0 {
		t.Errorf("another tenant sees the transactions: %v, %v", page, err)
	}
	if w := other.Wallet(t, a); w.Balance != 0 || w.ID == p.Wallet {
		t.Errorf("another tenant sees the wallet: %+v", w)
	}
	other.Sound(t)
	l.Expect(t, a, 90, 10)
}

func testDeposit(t *testing.T, l *Ledger) {
	a := l.Agent()
	got, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(20_000_000), Description: "first"})
	if err != nil {
		t.Fatal(err)
	}
	want := wallet.Transaction{
		ID: got.ID, Wallet: l.Wallet(t, a).ID, Agent: a, Kind: wallet.Deposit, Amount: USDC(20_000_000), BalanceAfter: USDC(20_000_000),
		Description: "first", CreatedAt: l.Clock.Now(), Seq: got.Seq,
	}
	if diff := cmp.Diff(want, got, idCmp); diff != "" {
		t.Error(diff)
	}
	ts, err := l.Transactions(bg, l.Scope, a, "", page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]wallet.Transaction{want}, ts.Items, idCmp); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []int64{0, -1, math.MinInt64} {
		unchanged(t, l, wallet.ErrAmount, func() error {
			_, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(bad)})
			return err
		})
	}
	unchanged(t, l, fault.Invalidf("currency", ""), func() error {
		_, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: money.Of(1, "usdc")})
		return err
	})
	if diff := cmp.Diff([]string{"transaction_completed"}, l.Notes.Actions()); diff != "" {
		t.Error(diff)
	}
	l.Expect(t, a, 20_000_000, 0)
}

func testDepositKey(t *testing.T, l *Ledger) {
	a := l.Agent()
	req := wallet.DepositRequest{Agent: a, Amount: USDC(5), Key: "k1"}
	first, err := l.Deposit(bg, l.Scope, req)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(1)}); err != nil {
		t.Fatal(err)
	}
	var again wallet.Transaction
	unchanged(t, l, nil, func() (err error) { again, err = l.Deposit(bg, l.Scope, req); return err })
	if diff := cmp.Diff(first, again, idCmp); diff != "" {
		t.Error(diff)
	}
	other := req
	other.Amount = USDC(6)
	unchanged(t, l, wallet.ErrKeyReused, func() error { _, err := l.Deposit(bg, l.Scope, other); return err })
	// Two tenants may use one key.
	l2 := NewLedger(t, l.Store)
	if _, err := l2.Deposit(bg, l2.Scope, req); err != nil {
		t.Error(err)
	}
	var wg sync.WaitGroup
	req.Key = "k2"
	for range 16 {
		wg.Go(func() {
			if _, err := l.Deposit(bg, l.Scope, req); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.Expect(t, a, 11, 0)
}

func testDepositStanding(t *testing.T, l *Ledger) {
	a := l.Fund(t, 1)
	l.Freeze(a)
	unchanged(t, l, ErrFrozen, func() error {
		_, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(1)})
		return err
	})
	l.Forget(a)
	unchanged(t, l, id.NotFound[id.AgentKind](""), func() error {
		_, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(1)})
		return err
	})
}

func testPay(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	req := wallet.PayRequest{
		Agent: a, Amount: USDC(30), Payee: "acme.example", Description: "toner", Category: "office", Act: l.Act(),
	}
	got, err := l.Pay(bg, l.Scope, req)
	if err != nil {
		t.Fatal(err)
	}
	want := wallet.Transaction{
		ID: got.ID, Wallet: l.Wallet(t, a).ID, Agent: a, Kind: wallet.Payment, Amount: USDC(30), BalanceAfter: USDC(70),
		Payee: "acme.example", Category: "office", Description: "toner", Act: req.Act, CreatedAt: l.Clock.Now(), Seq: got.Seq,
	}
	if diff := cmp.Diff(want, got, idCmp); diff != "" {
		t.Error(diff)
	}
	paid, err := l.Paid(bg, l.Scope, req.Act)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]wallet.Transaction{want}, paid, idCmp); diff != "" {
		t.Error(diff)
	}
	l.Expect(t, a, 70, 0)
}

func testPoor(t *testing.T, l *Ledger) {
	a, other := l.Fund(t, 100), l.Fund(t, 5)
	if _, err := l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(60)}); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]func(ctx context.Context) error{
		"pay": func(ctx context.Context) error {
			_, err := l.Pay(ctx, l.Scope, wallet.PayRequest{Agent: a, Amount: USDC(41), Act: l.Act()})
			return err
		},
		"pay without a wallet": func(ctx context.Context) error {
			_, err := l.Pay(ctx, l.Scope, wallet.PayRequest{Agent: l.Agent(), Amount: USDC(1)})
			return err
		},
		"transfer": func(ctx context.Context) error {
			_, _, err := l.Transfer(ctx, l.Scope, wallet.TransferRequest{From: a, To: other, Amount: USDC(41)})
			return err
		},
		"transfer the other way round": func(ctx context.Context) error {
			_, _, err := l.Transfer(ctx, l.Scope, wallet.TransferRequest{From: other, To: a, Amount: USDC(6)})
			return err
		},
		"hold": func(ctx context.Context) error {
			_, err := l.Hold(ctx, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(41)})
			return err
		},
	} {
		// The refusal must leave the caller's transaction usable, because the gate records the denial in it.
		unchanged(t, l, nil, func() error {
			return l.Store.TX.Do(bg, func(ctx context.Context) error {
				if err := try(ctx); !errors.Is(err, wallet.ErrInsufficientFunds) {
					t.Errorf("%s: %v; want ErrInsufficientFunds", name, err)
				}
				_, err := l.Store.Repository.List(ctx, l.Scope, a)
				return err
			})
		})
	}
	l.Expect(t, a, 100, 60)
}

func testActOnce(t *testing.T, l *Ledger) {
	a, b := l.Fund(t, 100), l.Agent()
	act := l.Act()
	if _, err := pay(l, a, 10, act); err != nil {
		t.Fatal(err)
	}
	unchanged(t, l, wallet.ErrRepeated, func() error { _, err := pay(l, a, 10, act); return err })
	unchanged(t, l, wallet.ErrRepeated, func() error {
		_, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: a, To: b, Amount: USDC(1), Act: act})
		return err
	})
	act = l.Act()
	var wg sync.WaitGroup
	var paid atomic.Int64
	for range 16 {
		wg.Go(func() {
			_, err := pay(l, a, 10, act)
			if err == nil {
				paid.Add(1)
			} else if !errors.Is(err, wallet.ErrRepeated) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := paid.Load(); n != 1 {
		t.Errorf("the act paid %d times", n)
	}
	l.Expect(t, a, 80, 0)
}

func testTransfer(t *testing.T, l *Ledger) {
	a, b := l.Fund(t, 100), l.Agent()
	act := l.Act()
	out, in, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: a, To: b, Amount: USDC(40), Description: "share", Act: act})
	if err != nil {
		t.Fatal(err)
	}
	wantOut := wallet.Transaction{
		ID: out.ID, Wallet: l.Wallet(t, a).ID, Agent: a, Kind: wallet.TransferOut, Amount: USDC(40), BalanceAfter: USDC(60), Counterpart: b,
		Description: "share", Act: act, CreatedAt: l.Clock.Now(), Seq: out.Seq,
	}
	wantIn := wallet.Transaction{
		ID: out.ID, Wallet: l.Wallet(t, b).ID, Agent: b, Kind: wallet.TransferIn, Amount: USDC(40), BalanceAfter: USDC(40), Counterpart: a,
		Description: "share", Act: act, CreatedAt: l.Clock.Now(), Seq: in.Seq,
	}
	want := []wallet.Transaction{wantOut, wantIn}
	if diff := cmp.Diff(want, []wallet.Transaction{out, in}, idCmp); diff != "" {
		t.Error(diff)
	}
	stored, err := l.Paid(bg, l.Scope, act)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stored, idCmp); diff != "" {
		t.Error(diff)
	}
	unchanged(t, l, wallet.ErrSameWallet, func() error {
		_, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: a, To: a, Amount: USDC(1)})
		return err
	})
	if _, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: b, Amount: USDC(1)}); err != nil {
		t.Errorf("to the tenant's own wallet: %v", err)
	}
	l.Expect(t, a, 60, 0)
	l.Expect(t, b, 39, 0)
	l.Expect(t, id.Agent{}, 1, 0)
}

// testBothWays would dead-lock if the order of locks were that of sender and receiver.
func testBothWays(t *testing.T, l *Ledger) {
	a, b := l.Fund(t, 1000), l.Fund(t, 1000)
	var wg sync.WaitGroup
	for i := range 40 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		wg.Go(func() {
			if _, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: from, To: to, Amount: USDC(7)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.Expect(t, a, 1000, 0)
	l.Expect(t, b, 1000, 0)
}

func testRing(t *testing.T, l *Ledger) {
	var ring []id.Agent
	for range 5 {
		ring = append(ring, l.Fund(t, 100))
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			_, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: ring[i%5], To: ring[(i+1)%5], Amount: USDC(3)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, a := range ring {
		l.Expect(t, a, 100, 0)
	}
}

func hold(t *testing.T, l *Ledger, a id.Agent, micros int64) wallet.Hold {
	t.Helper()
	h, err := l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(micros), Payee: "p", Category: "c", Description: "d", Act: l.Act()})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func testCapture(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	h := hold(t, l, a, 60)
	l.Expect(t, a, 100, 60)
	unchanged(t, l, wallet.ErrCaptureTooLarge, func() error { _, err := l.Capture(bg, l.Scope, h.ID, USDC(61)); return err })
	unchanged(t, l, wallet.ErrAmount, func() error { _, err := l.Capture(bg, l.Scope, h.ID, USDC(0)); return err })
	unchanged(t, l, money.ErrCurrency, func() error { _, err := l.Capture(bg, l.Scope, h.ID, money.Of(1, money.USD)); return err })
	got, err := l.Capture(bg, l.Scope, h.ID, USDC(45))
	if err != nil {
		t.Fatal(err)
	}
	want := wallet.Transaction{
		ID: got.ID, Wallet: h.Wallet, Agent: a, Kind: wallet.Payment, Amount: USDC(45), BalanceAfter: USDC(55), Payee: "p", Category: "c",
		Description: "d", Act: h.Act, Hold: h.ID, CreatedAt: l.Clock.Now(), Seq: got.Seq,
	}
	if diff := cmp.Diff(want, got, idCmp); diff != "" {
		t.Error(diff)
	}
	l.Expect(t, a, 55, 0)
	full := hold(t, l, a, 55)
	if _, err := l.Capture(bg, l.Scope, full.ID, USDC(55)); err != nil {
		t.Error(err)
	}
	l.Expect(t, a, 0, 0)
	ts, err := l.Transactions(bg, l.Scope, a, "", page.Request{})
	if err != nil || len(ts.Items) != 3 {
		t.Errorf("transactions %v, %v; want two payments and a deposit, and no holds", ts.Items, err)
	}
}

func testVoid(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	h := hold(t, l, a, 60)
	if err := l.Void(bg, l.Scope, h.ID); err != nil {
		t.Fatal(err)
	}
	l.Expect(t, a, 100, 0)
	unchanged(t, l, wallet.ErrHoldResolved, func() error { return l.Void(bg, l.Scope, h.ID) })
	unchanged(t, l, wallet.ErrHoldResolved, func() error { _, err := l.Capture(bg, l.Scope, h.ID, USDC(1)); return err })
}

func testExpiry(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	short, err := l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(10), TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	hold(t, l, a, 20)
	l.Clock.Add(time.Minute)
	// Its time is up, whether or not a job has come by.
	unchanged(t, l, wallet.ErrHoldResolved, func() error { _, err := l.Capture(bg, l.Scope, short.ID, USDC(10)); return err })
	var wg sync.WaitGroup
	for range 4 { // other tests' holds may be due, too
		wg.Go(func() {
			if _, err := l.ExpireDue(bg); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.Expect(t, a, 100, 20)
	unchanged(t, l, wallet.ErrHoldResolved, func() error { return l.Void(bg, l.Scope, short.ID) })
}

func testHoldOnce(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	h := hold(t, l, a, 60)
	var wg sync.WaitGroup
	var captured, voided atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			var err error
			n := &voided
			if i%2 == 0 {
				n = &captured
				_, err = l.Capture(bg, l.Scope, h.ID, USDC(50))
			} else {
				err = l.Void(bg, l.Scope, h.ID)
			}
			if err == nil {
				n.Add(1)
			} else if !errors.Is(err, wallet.ErrHoldResolved) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if captured.Load()+voided.Load() != 1 {
		t.Errorf("captured %d times and voided %d times", captured.Load(), voided.Load())
	}
	l.Expect(t, a, 100-50*captured.Load(), 0)
}

func testHoldAct(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	h := hold(t, l, a, 10)
	unchanged(t, l, wallet.ErrRepeated, func() error {
		_, err := l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(10), Act: h.Act})
		return err
	})
	// Should the act have been paid past its hold, the hold cannot pay it again.
	if _, err := pay(l, a, 10, h.Act); err != nil {
		t.Fatal(err)
	}
	unchanged(t, l, wallet.ErrRepeated, func() error { _, err := l.Capture(bg, l.Scope, h.ID, USDC(10)); return err })
	l.Expect(t, a, 90, 10)
}

func testRefund(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	p, err := pay(l, a, 40, l.Act())
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID, Amount: 15, Description: "broken"})
	if err != nil {
		t.Fatal(err)
	}
	want := wallet.Transaction{
		ID: got.ID, Wallet: p.Wallet, Agent: a, Kind: wallet.Refund, Amount: USDC(15), BalanceAfter: USDC(75), Payee: p.Payee,
		Description: "broken", Refunds: p.ID, CreatedAt: l.Clock.Now(), Seq: got.Seq,
	}
	if diff := cmp.Diff(want, got, idCmp); diff != "" {
		t.Error(diff)
	}
	unchanged(t, l, wallet.ErrRefundTooLarge, func() error {
		_, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID, Amount: 26})
		return err
	})
	unchanged(t, l, id.NotFound[id.LedgerEntryKind](""), func() error {
		_, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: got.ID})
		return err
	})
	if rest, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID}); err != nil || rest.Amount != USDC(25) {
		t.Errorf("the rest: %v, %v", rest.Amount, err)
	}
	unchanged(t, l, wallet.ErrRefundTooLarge, func() error {
		_, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID})
		return err
	})
	l.Expect(t, a, 100, 0)
}

func testRefundsAtOnce(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	p, err := pay(l, a, 100, l.Act())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID, Amount: 30})
			if err != nil && !errors.Is(err, wallet.ErrRefundTooLarge) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l.Expect(t, a, 90, 0)
}

func testSweep(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	if _, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: money.Of(7, money.USD)}); err != nil {
		t.Fatal(err)
	}
	h := hold(t, l, a, 60)
	ts, err := l.Sweep(bg, l.Scope, a)
	if err != nil {
		t.Fatal(err)
	}
	var got []money.Amount
	for _, x := range ts {
		if x.Kind != wallet.Sweep || x.Agent != a || !x.Counterpart.IsZero() || !x.BalanceAfter.IsZero() {
			t.Errorf("swept %+v", x)
		}
		got = append(got, x.Amount)
	}
	if diff := cmp.Diff([]money.Amount{money.Of(7, money.USD), USDC(100)}, got); diff != "" {
		t.Error(diff)
	}
	unchanged(t, l, wallet.ErrHoldResolved, func() error { return l.Void(bg, l.Scope, h.ID) })
	unchanged(t, l, nil, func() error {
		ts, err := l.Sweep(bg, l.Scope, a)
		if len(ts) != 0 {
			t.Errorf("swept twice: %v", ts)
		}
		return err
	})
	l.Expect(t, a, 0, 0)
	l.Expect(t, id.Agent{}, 100, 0)
}

func testCurrencies(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	if _, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: money.Of(50, "EUR")}); err != nil {
		t.Fatal(err)
	}
	unchanged(t, l, wallet.ErrInsufficientFunds, func() error {
		_, err := l.Pay(bg, l.Scope, wallet.PayRequest{Agent: a, Amount: money.Of(51, "EUR")})
		return err
	})
	ws, err := l.List(bg, l.Scope, a)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range ws {
		got = append(got, fmt.Sprint(w.Balance, " ", w.Currency))
	}
	if diff := cmp.Diff([]string{"50 EUR", "100 USDC"}, got); diff != "" {
		t.Error(diff)
	}
	l.Sound(t)
}

func testOverflow(t *testing.T, l *Ledger) {
	a, b := l.Fund(t, math.MaxInt64-10), l.Fund(t, 20)
	h := hold(t, l, a, 100)
	unchanged(t, l, money.ErrOverflow, func() error {
		_, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(11)})
		return err
	})
	unchanged(t, l, money.ErrOverflow, func() error {
		_, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: b, To: a, Amount: USDC(11)})
		return err
	})
	if _, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: b, To: a, Amount: USDC(10)}); err != nil {
		t.Error(err)
	}
	if w := l.Wallet(t, a); w.Balance != math.MaxInt64 || w.Held != 100 {
		t.Errorf("balance %d, held %d", w.Balance, w.Held)
	}
	if err := l.Void(bg, l.Scope, h.ID); err != nil {
		t.Error(err)
	}
}

func testRollback(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	boom := errors.New("boom")
	unchanged(t, l, boom, func() error {
		return l.Store.TX.Do(bg, func(ctx context.Context) error {
			if _, err := l.Pay(ctx, l.Scope, wallet.PayRequest{Agent: a, Amount: USDC(1), Act: l.Act()}); err != nil {
				return err
			}
			if _, _, err := l.Transfer(ctx, l.Scope, wallet.TransferRequest{From: a, To: l.Agent(), Amount: USDC(1)}); err != nil {
				return err
			}
			h, err := l.Hold(ctx, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(1)})
			if err != nil {
				return err
			}
			if _, err := l.Capture(ctx, l.Scope, h.ID, USDC(1)); err != nil {
				return err
			}
			return boom
		})
	})
}

func testCancelled(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	ctx, cancel := context.WithCancel(bg)
	cancel()
	unchanged(t, l, context.Canceled, func() error {
		_, err := l.Pay(ctx, l.Scope, wallet.PayRequest{Agent: a, Amount: USDC(1)})
		return err
	})
}

func testPaging(t *testing.T, l *Ledger) {
	a := l.Fund(t, 1000)
	var want []int64
	for i := range int64(7) {
		hold(t, l, a, 1) // a gap in the order
		if _, err := pay(l, a, i+1, l.Act()); err != nil {
			t.Fatal(err)
		}
		want = append([]int64{i + 1}, want...)
	}
	want = append(want, 1000)
	amount := func(x wallet.Transaction) int64 { return x.Amount.Micros }
	got := pagetest.Walk(t, 3, amount, func(req page.Request) (page.Page[wallet.Transaction], error) {
		return l.Transactions(bg, l.Scope, a, "", req)
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	_, err := l.Transactions(bg, l.Scope, a, "", page.Request{Cursor: "nonsense"})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v; want fault.Invalid", err)
	}
}

// testNumberedPages reads the list as faces do whose pages have numbers.
func testNumberedPages(t *testing.T, l *Ledger) {
	a := l.Fund(t, 1000)
	for i := range int64(4) {
		if _, err := pay(l, a, i+1, l.Act()); err != nil {
			t.Fatal(err)
		}
	}
	read := func(f wallet.Filter, offset int) (got []int64, total int) {
		p, err := l.Search(bg, l.Scope, a, "", f, page.Request{Limit: 2, Offset: offset, Count: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range p.Items {
			got = append(got, x.Amount.Micros)
		}
		return got, p.Total
	}
	for _, c := range []struct {
		filter wallet.Filter
		offset int
		want   []int64
		total  int
	}{
		{wallet.Filter{}, 0, []int64{4, 3}, 5},
		{wallet.Filter{}, 2, []int64{2, 1}, 5},
		{wallet.Filter{}, 4, []int64{1000}, 5},
		{wallet.Filter{}, 6, nil, 5},
		{wallet.Filter{Kinds: []wallet.Kind{wallet.Payment}}, 2, []int64{2, 1}, 4},
		{wallet.Filter{Kinds: []wallet.Kind{wallet.Deposit, wallet.Refund}}, 0, []int64{1000}, 1},
		{wallet.Filter{Payee: "vendor.example"}, 0, []int64{4, 3}, 4},
		{wallet.Filter{Payee: "VENDOR.example"}, 0, nil, 0},
	} {
		got, total := read(c.filter, c.offset)
		if diff := cmp.Diff(c.want, got); diff != "" || total != c.total {
			t.Errorf("%+v from %d: %d in all; want %d\n%s", c.filter, c.offset, total, c.total, diff)
		}
	}
}

// testTimes sets the clock back between two entries: the wallet's own time stands still then, so that a period of it is always a
// stretch of its order.
func testTimes(t *testing.T, l *Ledger) {
	a := l.Fund(t, 1000)
	first := l.Clock.Now()
	l.Clock.Add(-time.Hour)
	late, err := pay(l, a, 1, l.Act())
	if err != nil || !late.CreatedAt.Equal(first) {
		t.Errorf("paid at %s (%v); want %s", late.CreatedAt, err, first)
	}
	l.Clock.Add(2 * time.Hour)
	next, err := pay(l, a, 2, l.Act())
	if err != nil || !next.CreatedAt.Equal(first.Add(time.Hour)) {
		t.Errorf("paid at %s (%v); want %s", next.CreatedAt, err, first.Add(time.Hour))
	}
	for name, c := range map[string]struct {
		filter wallet.Filter
		want   []int64
	}{
		"since":  {wallet.Filter{Since: next.CreatedAt}, []int64{2}},
		"until":  {wallet.Filter{Until: next.CreatedAt}, []int64{1, 1000}},
		"both":   {wallet.Filter{Since: first, Until: first.Add(time.Microsecond)}, []int64{1, 1000}},
		"before": {wallet.Filter{Until: first}, nil},
	} {
		p, err := l.Search(bg, l.Scope, a, "", c.filter, page.Request{})
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, x := range p.Items {
			got = append(got, x.Amount.Micros)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// testStatement cuts a wallet's life into periods: each opens with what the one before closed with, and counts what is in it.
func testStatement(t *testing.T, l *Ledger) {
	a, b := l.Fund(t, 1000), l.Fund(t, 50)
	start := l.Clock.Now()
	l.Clock.Add(time.Hour)
	p, err := pay(l, a, 300, l.Act())
	if err != nil {
		t.Fatal(err)
	}
	h := hold(t, l, a, 200) // what is held is still owned, and no transaction
	l.Clock.Add(time.Minute)
	for _, err := range []error{
		second(l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID, Amount: 100})),
		second(l.Capture(bg, l.Scope, h.ID, USDC(150))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	l.Clock.Add(time.Hour)
	if _, _, err := l.Transfer(bg, l.Scope, wallet.TransferRequest{From: b, To: a, Amount: USDC(5)}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: money.Of(9, money.USD)}); err != nil {
		t.Fatal(err)
	}
	at := func(hours float64) time.Time { return start.Add(time.Duration(hours * float64(time.Hour))) }
	for name, c := range map[string]struct {
		from, to time.Time
		want     wallet.Statement
	}{
		"before":      {at(-1), at(0), wallet.Statement{}},
		"the deposit": {at(0), at(1), wallet.Statement{Closing: 1000, In: 1000, Kinds: []wallet.KindTotal{{Kind: wallet.Deposit, Count: 1, Amount: 1000}}}},
		"in the middle": {at(1), at(2), wallet.Statement{
			Opening: 1000, Closing: 650, In: 100, Out: 450,
			Kinds: []wallet.KindTotal{{Kind: wallet.Payment, Count: 2, Amount: -450}, {Kind: wallet.Refund, Count: 1, Amount: 100}},
		}},
		"the end": {at(2), at(9), wallet.Statement{Opening: 650, Closing: 655, In: 5, Kinds: []wallet.KindTotal{{Kind: wallet.TransferIn, Count: 1, Amount: 5}}}},
		"nothing": {at(1.5), at(1.6), wallet.Statement{Opening: 650, Closing: 650}},
		"a microsecond": {at(1), at(1).Add(time.Microsecond), wallet.Statement{
			Opening: 1000, Closing: 700, Out: 300, Kinds: []wallet.KindTotal{{Kind: wallet.Payment, Count: 1, Amount: -300}},
		}},
		"all of it": {at(-1), at(9), wallet.Statement{Closing: 655, In: 1105, Out: 450, Kinds: []wallet.KindTotal{
			{Kind: wallet.Deposit, Count: 1, Amount: 1000}, {Kind: wallet.Payment, Count: 2, Amount: -450}, {Kind: wallet.Refund, Count: 1, Amount: 100},
			{Kind: wallet.TransferIn, Count: 1, Amount: 5},
		}}},
	} {
		got, err := l.Statement(bg, l.Scope, a, "", c.from, c.to)
		if err != nil {
			t.Fatal(err)
		}
		if got.Wallet.Agent != a || got.Wallet.Currency != money.USDC {
			t.Errorf("%s: of wallet %+v", name, got.Wallet)
		}
		c.want.Wallet, c.want.From, c.want.To = got.Wallet, c.from, c.to
		if diff := cmp.Diff(c.want, got, idCmp); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, c := range map[string]struct{ from, to time.Time }{
		"empty": {at(1), at(1)}, "backwards": {at(2), at(1)}, "too long": {at(0).AddDate(-11, 0, 0), at(0)},
	} {
		if _, err := l.Statement(bg, l.Scope, a, "", c.from, c.to); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v; want fault.Invalid", name, err)
		}
	}
	if st, err := l.Statement(bg, l.Scope, a, "EUR", at(0), at(1)); err != nil || !st.Wallet.ID.IsZero() || st.Closing != 0 {
		t.Errorf("a wallet that nobody asked for: %+v, %v", st, err)
	}
}

// second returns the error of a call that has a result beside.
func second[T any](_ T, err error) error { return err }

func testHolds(t *testing.T, l *Ledger) {
	a := l.Fund(t, 1000)
	var all []id.Hold
	for range 5 {
		all = append([]id.Hold{hold(t, l, a, 10).ID}, all...)
	}
	if err := l.Void(bg, l.Scope, all[1]); err != nil {
		t.Fatal(err)
	}
	list := func(status wallet.HoldStatus) []id.Hold {
		return pagetest.Walk(t, 2, func(h wallet.Hold) id.Hold { return h.ID }, func(req page.Request) (page.Page[wallet.Hold], error) {
			return l.Holds(bg, l.Scope, a, status, req)
		})
	}
	for status, want := range map[wallet.HoldStatus][]id.Hold{
		"": all, wallet.HoldVoided: {all[1]}, wallet.HoldOpen: {all[0], all[2], all[3], all[4]}, wallet.HoldExpired: nil,
	} {
		if diff := cmp.Diff(want, list(status), idCmp, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%q: %s", status, diff)
		}
	}
	bound, err := l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(10), TTL: wallet.UntilEnded})
	if err != nil {
		t.Fatal(err)
	}
	unchanged(t, l, wallet.ErrHoldInUse, func() error { _, err := l.Release(bg, l.Scope, bound.ID); return err })
	got, err := l.Release(bg, l.Scope, all[0])
	if err != nil || got.Status != wallet.HoldVoided || got.ResolvedAt == nil {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := l.GetHold(bg, l.Scope, all[0]); err != nil || got.Status != wallet.HoldVoided {
		t.Errorf("%+v, %v", got, err)
	}
	unchanged(t, l, wallet.ErrHoldResolved, func() error { _, err := l.Release(bg, l.Scope, all[0]); return err })
	unchanged(t, l, id.NotFound[id.HoldKind](""), func() error {
		other := NewLedger(t, l.Store)
		_, err := other.Release(bg, other.Scope, all[2])
		return err
	})
	l.Expect(t, a, 1000, 40)
}

func testFund(t *testing.T, l *Ledger) {
	own, a := id.Agent{}, l.Agent()
	unchanged(t, l, wallet.ErrInsufficientFunds, func() error {
		_, _, err := l.Service.Fund(bg, l.Scope, wallet.FundRequest{Agent: a, Amount: USDC(1)})
		return err
	})
	if _, err := l.Deposit(bg, l.Scope, wallet.DepositRequest{Amount: USDC(100)}); err != nil {
		t.Fatal(err)
	}
	req := wallet.FundRequest{Agent: a, Amount: USDC(60), Description: "budget", Key: "fund-1"}
	out, in, err := l.Service.Fund(bg, l.Scope, req)
	if err != nil || out.Agent != own || out.Kind != wallet.TransferOut || out.Counterpart != a || in.Agent != a || in.Kind != wallet.TransferIn ||
		in.BalanceAfter != USDC(60) || out.BalanceAfter != USDC(40) || in.Description != "budget" {
		t.Errorf("%+v, %+v, %v", out, in, err)
	}
	unchanged(t, l, nil, func() error {
		again, _, err := l.Service.Fund(bg, l.Scope, req)
		if again.ID != out.ID {
			t.Errorf("the same request made %s after %s", again.ID, out.ID)
		}
		return err
	})
	unchanged(t, l, wallet.ErrKeyReused, func() error {
		_, _, err := l.Withdraw(bg, l.Scope, req)
		return err
	})
	if _, _, err := l.Withdraw(bg, l.Scope, wallet.FundRequest{Agent: a, Amount: USDC(50)}); err != nil {
		t.Error(err)
	}
	unchanged(t, l, wallet.ErrInsufficientFunds, func() error {
		_, _, err := l.Withdraw(bg, l.Scope, wallet.FundRequest{Agent: a, Amount: USDC(11)})
		return err
	})
	unchanged(t, l, wallet.ErrSameWallet, func() error {
		_, _, err := l.Service.Fund(bg, l.Scope, wallet.FundRequest{Amount: USDC(1)})
		return err
	})
	l.Expect(t, a, 10, 0)
	l.Expect(t, own, 90, 0)
	if diff := cmp.Diff([]string{"transaction_completed", "transaction_completed", "transaction_completed"}, l.Notes.Actions()); diff != "" {
		t.Error(diff)
	}
	l.Freeze(a)
	for name, move := range map[string]func(context.Context, account.Scope, wallet.FundRequest) (wallet.Transaction, wallet.Transaction, error){
		"fund": l.Service.Fund, "withdraw": l.Withdraw,
	} {
		unchanged(t, l, ErrFrozen, func() error {
			_, _, err := move(bg, l.Scope, wallet.FundRequest{Agent: a, Amount: USDC(1)})
			if err == nil {
				t.Errorf("%s of a frozen agent", name)
			}
			return err
		})
	}
}

// testRefundKey refunds twice under one key, and then to an agent that is no more.
func testRefundKey(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	p, err := pay(l, a, 40, l.Act())
	if err != nil {
		t.Fatal(err)
	}
	req := wallet.RefundRequest{Payment: p.ID, Amount: 30, Key: "back"}
	first, err := l.Refund(bg, l.Scope, req)
	if err != nil {
		t.Fatal(err)
	}
	unchanged(t, l, nil, func() error {
		again, err := l.Refund(bg, l.Scope, req)
		if diff := cmp.Diff(first, again, idCmp); diff != "" {
			t.Error(diff)
		}
		return err
	})
	unchanged(t, l, wallet.ErrKeyReused, func() error {
		_, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID, Amount: 10, Key: "back"})
		return err
	})
	l.Freeze(a)
	if _, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID, Amount: 4}); err != nil {
		t.Errorf("a frozen agent's money did not come back: %v", err)
	}
	l.Forget(a)
	rest, err := l.Refund(bg, l.Scope, wallet.RefundRequest{Payment: p.ID})
	if err != nil || !rest.Agent.IsZero() || rest.Amount != USDC(6) {
		t.Errorf("%+v, %v; want 6 in the tenant's own wallet", rest, err)
	}
	l.Expect(t, id.Agent{}, 6, 0)
}

func testTexts(t *testing.T, l *Ledger) {
	a := l.Fund(t, 100)
	got, err := l.Pay(bg, l.Scope, wallet.PayRequest{Agent: a, Amount: USDC(1), Payee: "a\x00b", Description: "\xff?:'\"\\", Act: l.Act()})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := l.Paid(bg, l.Scope, got.Act)
	if err != nil || len(stored) != 1 || stored[0].Payee != "a\uFFFDb" || stored[0].Description != "\uFFFD?:'\"\\" {
		t.Errorf("stored %+v, %v", stored, err)
	}
}

// testConcurrent has 64 callers spend one wallet that cannot serve them all: exactly what is there is spent.
func testConcurrent(t *testing.T, l *Ledger) {
	const callers, each, price, funds = 64, 4, 7, 1000
	a := l.Fund(t, funds)
	var wg sync.WaitGroup
	var paid, refused atomic.Int64
	for i := range callers {
		wg.Go(func() {
			for range each {
				var err error
				if i%4 == 0 {
					var h wallet.Hold
					if h, err = l.Hold(bg, l.Scope, wallet.HoldRequest{Agent: a, Amount: USDC(price)}); err == nil {
						_, err = l.Capture(bg, l.Scope, h.ID, USDC(price))
					}
				} else {
					_, err = pay(l, a, price, l.Act())
				}
				switch {
				case err == nil:
					paid.Add(1)
				case errors.Is(err, wallet.ErrInsufficientFunds):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if want := int64(funds / price); paid.Load() != want || refused.Load() != callers*each-want {
		t.Errorf("%d paid and %d refused; want %d and %d", paid.Load(), refused.Load(), want, callers*each-want)
	}
	l.Expect(t, a, funds%price, 0)
}

// testMakers has many callers ask at once for a wallet that is not there.
func testMakers(t *testing.T, l *Ledger) {
	a := l.Agent()
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[id.Wallet]bool{}
	for i := range 24 {
		wg.Go(func() {
			var w wallet.Wallet
			var err error
			switch i % 3 {
			case 0:
				w, err = l.Get(bg, l.Scope, a, "")
			case 1:
				w, err = l.Lock(bg, l.Scope, a, "")
			default:
				var x wallet.Transaction
				x, err = l.Deposit(bg, l.Scope, wallet.DepositRequest{Agent: a, Amount: USDC(1)})
				w.ID = x.Wallet
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			seen[w.ID] = true
			mu.Unlock()
		})
	}
	wg.Wait()
	if len(seen) != 1 {
		t.Errorf("%d wallets", len(seen))
	}
	l.Expect(t, a, 8, 0)
}

// testRandom is the fuzz target with a fixed seed.
func testRandom(t *testing.T, l *Ledger) {
	rng := rand.New(rand.NewPCG(20, 26))
	for range 3 {
		ops := make([]byte, 160)
		for i := range ops {
			ops[i] = byte(rng.Uint32())
		}
		Exercise(t, l.Store, ops)
	}
}
