package bunstore

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/reconciliation"
	"github.com/bureau-agents/bureau/core/usage"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/core/wallet/wallettest"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/rule"
)

// books is a tenant with a little of everything that is compared, all of it sound.
type books struct {
	t     *testing.T
	s     *Store
	sc    account.Scope
	clock *wallettest.Clock
	ids   id.Generator
	trail *audit.Service

	agent, other                                          id.Agent
	payment, transfer, refund, deposit, captured, funding wallet.Transaction
	paid, moved, railed, called                           id.Act
	hold                                                  wallet.Hold
	usage                                                 id.Usage
}

func newBooks(t *testing.T, s *Store) *books {
	t.Helper()
	b := &books{t: t, s: s, clock: &wallettest.Clock{}, ids: id.NewGenerator(time.Now)}
	b.clock.Add(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).Sub(time.Time{}))
	b.sc = account.System(id.New[id.TenantKind](b.ids))
	quiet := slog.New(slog.DiscardHandler)
	var err error
	b.trail, err = audit.NewService(audit.Deps{
		TX: s, Clock: b.clock, IDs: b.ids, Logger: quiet, Repository: s.Audit(), Seals: s.Audit(),
	}, audit.Config{})
	b.must(err)
	wallets, err := wallet.NewService(wallet.Deps{
		TX: s, Clock: b.clock, IDs: b.ids, Logger: quiet, Repository: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(), Owners: anyOwner{},
		Trail: b.trail,
	}, wallet.Config{})
	b.must(err)
	b.agent, b.other = id.New[id.AgentKind](b.ids), id.New[id.AgentKind](b.ids)
	ctx := t.Context()

	b.deposit, err = wallets.Deposit(ctx, b.sc, wallet.DepositRequest{Amount: wallettest.USDC(90_000_000)})
	b.must(err)
	_, b.funding, err = wallets.Fund(ctx, b.sc, wallet.FundRequest{Agent: b.agent, Amount: wallettest.USDC(50_000_000)})
	b.must(err)
	b.paid = b.act(rule.ActionPayment, 10_250_000, func(act id.Act) error {
		b.payment, err = wallets.Pay(ctx, b.sc, wallet.PayRequest{Agent: b.agent, Amount: wallettest.USDC(10_250_000), Act: act, Payee: "a.example"})
		return err
	})
	b.moved = b.act(rule.ActionTransfer, 5_000_001, func(act id.Act) error {
		b.transfer, _, err = wallets.Transfer(ctx, b.sc, wallet.TransferRequest{
			From: b.agent, To: b.other, Amount: wallettest.USDC(5_000_001), Act: act,
		})
		return err
	})
	// Over a rail less is paid than was decided.
	b.railed = b.act(rule.ActionPayment, 4_000_000, func(act id.Act) error {
		h, err := wallets.Hold(ctx, b.sc, wallet.HoldRequest{Agent: b.agent, Amount: wallettest.USDC(4_000_000), Act: act})
		b.must(err)
		b.captured, err = wallets.Capture(ctx, b.sc, h.ID, wallettest.USDC(3_000_000))
		return err
	})
	b.refund, err = wallets.Refund(ctx, b.sc, wallet.RefundRequest{Payment: b.payment.ID, Amount: 1_000_000})
	b.must(err)
	b.hold, err = wallets.Hold(ctx, b.sc, wallet.HoldRequest{Agent: b.agent, Amount: wallettest.USDC(2_000_000), TTL: 30 * 24 * time.Hour})
	b.must(err)

	meter, err := usage.NewService(usage.Deps{TX: s, Clock: b.clock, IDs: b.ids, Logger: quiet, Repository: s.Usage(), Agents: anyOwner{}})
	b.must(err)
	tokens := llm.Usage{Input: 7, Output: 3}
	quote, err := meter.Price(ctx, b.sc, "openai", "gpt-4o", tokens, b.clock.Now())
	b.must(err)
	b.called = b.record(gate.Record{Act: gate.Act{Action: rule.ActionModelCall, Agent: b.agent}, State: gate.Done, Cost: quote.Cost})
	row, err := meter.Record(ctx, b.sc, usage.Row{
		Agent: b.agent, Model: "gpt-4o", Provider: "openai", Usage: tokens, Calls: 1, Act: b.called,
	})
	b.must(err)
	b.usage = row.ID
	b.clock.Add(time.Minute)
	return b
}

func (b *books) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// act keeps the record of a payment or a transfer that is done, with its audit entry, as the gate does.
func (b *books) act(action rule.Action, micros int64, do func(act id.Act) error) id.Act {
	b.t.Helper()
	amount := wallettest.USDC(micros)
	act := b.record(gate.Record{Act: gate.Act{Action: action, Agent: b.agent, Amount: &amount}, State: gate.Done})
	b.must(do(act))
	b.must(b.trail.Note(b.t.Context(), b.sc, "transaction_completed", b.agent, map[string]any{
		"act_id": act.UUID().String(), "amount": amount.Decimal(), "currency": string(amount.Currency),
	}))
	return act
}

func (b *books) record(rec gate.Record) id.Act {
	b.t.Helper()
	now := b.clock.Now()
	rec.ID, rec.Tenant, rec.CreatedAt, rec.EndedAt = id.New[id.ActKind](b.ids), b.sc.Tenant, now, &now
	rec.Act.Key = rec.ID.UUID().String()
	rec.Decision = policy.Decision{ID: id.New[id.DecisionKind](b.ids), Outcome: policy.Allowed, At: now}
	if _, err := b.s.Acts().Insert(b.t.Context(), b.sc, rec); err != nil {
		b.t.Fatal(err)
	}
	return rec.ID
}

func (b *books) reconcile(c reconciliation.Config, p reconciliation.Period) reconciliation.Report {
	b.t.Helper()
	svc, err := reconciliation.NewService(reconciliation.Deps{
		Clock: b.clock, Logger: slog.New(slog.DiscardHandler), Repository: b.s.Reconciliation(), Books: b.s.Wallets(),
	}, c)
	b.must(err)
	r, err := svc.Reconcile(b.t.Context(), b.sc, p)
	b.must(err)
	return r
}

// exec changes the database behind everybody's back.
func (b *books) exec(q string, args ...any) {
	b.t.Helper()
	b.must(b.s.write(b.t.Context(), func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, q, args...)
		return err
	}))
}

var reconciliationCmp = cmp.Options{
	cmp.Comparer(func(a, b id.LedgerEntry) bool { return a == b }), cmp.Comparer(func(a, b id.Act) bool { return a == b }),
	cmp.Comparer(func(a, b id.Wallet) bool { return a == b }), cmp.Comparer(func(a, b id.Agent) bool { return a == b }),
	cmp.Comparer(func(a, b id.Session) bool { return a == b }), cmp.Comparer(func(a, b id.Usage) bool { return a == b }),
	cmp.Comparer(func(a, b id.Hold) bool { return a == b }),
}

// TestReconciliation damages one thing at a time and demands that exactly this is named.
func TestReconciliation(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		for name, c := range map[string]struct {
			damage func(b *books)
			want   func(b *books) []reconciliation.Difference
		}{
			"nothing": {func(*books) {}, func(*books) []reconciliation.Difference { return nil }},
			"a balance": {
				func(b *books) { b.exec("UPDATE wallets SET available = available + 5 WHERE id = ?", b.payment.Wallet) },
				func(b *books) []reconciliation.Difference {
					w := reconciliation.Difference{Wallet: b.payment.Wallet, Agent: b.agent, Currency: "USDC"}
					available, balance := w, w
					available.Kind, available.Expected, available.Found = reconciliation.AvailableDiffers, "30.749999", "30.750004"
					balance.Kind, balance.Expected, balance.Found = reconciliation.BalanceDiffers, "32.749999", "32.750004"
					return []reconciliation.Difference{available, balance}
				},
			},
			"a line": {
				func(b *books) {
					b.exec("UPDATE ledger_lines SET amount = amount + 7 WHERE entry_id = ? AND part = 'sink'", b.payment.ID)
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{
						{Kind: reconciliation.EntryUnbalanced, Entry: b.payment.ID, Expected: "lines that sum to zero"},
						{Kind: reconciliation.CurrencyUnbalanced, Currency: "USDC", Expected: "166.250008", Found: "166.250001"},
						{
							Kind: reconciliation.AmountDiffers, Entry: b.payment.ID, Act: b.paid, Agent: b.agent, Currency: "USDC", Expected: "10.25",
							Found: "10.250007",
						},
						{
							Kind: reconciliation.AuditAmountDiffers, Entry: b.payment.ID, Act: b.paid, Currency: "USDC", Expected: "10.250007", Found: "10.25",
						},
					}
				},
			},
			"a hold": {
				func(b *books) { b.exec("UPDATE wallet_holds SET status = 'voided' WHERE id = ?", b.hold.ID) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.HoldsDiffer, Wallet: b.payment.Wallet, Agent: b.agent, Currency: "USDC", Expected: "0.00", Found: "2.00",
					}}
				},
			},
			"an act that is gone": {
				func(b *books) { b.exec("DELETE FROM acts WHERE id = ?", b.paid) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.PaymentWithoutAct, Entry: b.payment.ID, Act: b.paid, Currency: "USDC", Expected: "an act",
					}}
				},
			},
			"an act that failed": {
				func(b *books) { b.exec("UPDATE acts SET state = 'failed' WHERE id = ?", b.moved) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.ActNotDone, Entry: b.transfer.ID, Act: b.moved, Agent: b.agent, Expected: "done", Found: "failed",
					}}
				},
			},
			"a decision": {
				func(b *books) {
					b.exec(`UPDATE acts SET decision = REPLACE(decision, 'allow', 'deny') WHERE id = ?`, b.paid)
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.DecisionNotAllow, Entry: b.payment.ID, Act: b.paid, Agent: b.agent, Expected: "allow", Found: "deny",
					}}
				},
			},
			"an act's amount": {
				func(b *books) { b.exec("UPDATE acts SET amount = amount - 1 WHERE id = ?", b.moved) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.AmountDiffers, Entry: b.transfer.ID, Act: b.moved, Agent: b.agent, Currency: "USDC", Expected: "5.00",
						Found: "5.000001",
					}}
				},
			},
			"more than was decided over a rail": {
				func(b *books) { b.exec("UPDATE acts SET amount = 2999999 WHERE id = ?", b.railed) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.AmountDiffers, Entry: b.captured.ID, Act: b.railed, Agent: b.agent, Currency: "USDC", Expected: "2.999999",
						Found: "3.00",
					}}
				},
			},
			"an act's currency": {
				func(b *books) { b.exec("UPDATE acts SET currency = 'EUR' WHERE id = ?", b.paid) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.AmountDiffers, Entry: b.payment.ID, Act: b.paid, Agent: b.agent, Currency: "USDC", Expected: "10.25",
						Found: "10.25",
					}}
				},
			},
			"an act without a payment": {
				func(b *books) {
					amount := wallettest.USDC(1_000_000)
					b.record(gate.Record{Act: gate.Act{Action: rule.ActionPayment, Agent: b.other, Amount: &amount}, State: gate.Done})
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.ActWithoutPayment, Agent: b.other, Currency: "USDC", Expected: "1.00",
					}}
				},
			},
			"an audit entry of an act": {
				func(b *books) {
					b.exec("DELETE FROM audit_entries WHERE metadata LIKE ?", "%"+b.moved.UUID().String()+"%")
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.EntryWithoutAudit, Entry: b.transfer.ID, Act: b.moved, Currency: "USDC", Expected: "5.000001",
					}}
				},
			},
			"an audit entry of a refund": {
				func(b *books) {
					b.exec("DELETE FROM audit_entries WHERE metadata LIKE ?", "%"+b.refund.ID.UUID().String()+"%")
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.EntryWithoutAudit, Entry: b.refund.ID, Currency: "USDC", Expected: "1.00",
					}}
				},
			},
			"the amount in an audit entry": {
				func(b *books) {
					b.exec(`UPDATE audit_entries SET metadata = REPLACE(metadata, '"50.00"', '"50.01"') WHERE metadata LIKE ?`,
						"%"+b.funding.ID.UUID().String()+"%")
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.AuditAmountDiffers, Entry: b.funding.ID, Currency: "USDC", Expected: "50.00", Found: "50.01",
					}}
				},
			},
			"a usage row that is gone": {
				func(b *books) { b.exec("DELETE FROM usage_rows WHERE id = ?", b.usage) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.CostWithoutUsage, Act: b.called, Agent: b.agent, Currency: "USD", Expected: "0.0000475",
					}}
				},
			},
			"a model call that is gone": {
				func(b *books) { b.exec("DELETE FROM acts WHERE id = ?", b.called) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.UsageWithoutAct, Act: b.called, Agent: b.agent, Usage: b.usage, Expected: "an act",
					}}
				},
			},
			"a picodollar of a usage row": {
				func(b *books) { b.exec("UPDATE usage_rows SET cost = cost + 1 WHERE id = ?", b.usage) },
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.CostDiffers, Act: b.called, Agent: b.agent, Usage: b.usage, Currency: "USD", Expected: "0.0000475",
						Found: "0.000047500001",
					}}
				},
			},
			"a hold whose time is long up": {
				func(b *books) {
					b.exec("UPDATE wallet_holds SET expires_at = ? WHERE id = ?", at(b.clock.Now().Add(-time.Hour)), b.hold.ID)
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.HoldOverdue, Hold: b.hold.ID, Wallet: b.payment.Wallet, Agent: b.agent, Currency: "USDC",
						Expected: "0.00", Found: "2.00",
					}}
				},
			},
			"an act that never ended": {
				func(b *books) {
					b.exec("UPDATE acts SET state = 'started', created_at = ? WHERE id = ?", at(b.clock.Now().Add(-time.Hour)), b.called)
				},
				func(b *books) []reconciliation.Difference {
					return []reconciliation.Difference{{
						Kind: reconciliation.ActStuck, Act: b.called, Agent: b.agent, Expected: "an end", Found: "model_call",
					}}
				},
			},
		} {
			t.Run(name, func(t *testing.T) {
				b := newBooks(t, s)
				c.damage(b)
				r := b.reconcile(reconciliation.Config{}, reconciliation.Period{})
				for i := range r.Differences {
					if r.Differences[i].Kind == reconciliation.ActWithoutPayment {
						r.Differences[i].Act = id.Act{} // made by the damage
					}
				}
				if diff := cmp.Diff(c.want(b), r.Differences, reconciliationCmp); diff != "" {
					t.Error(diff)
				}
				if want := len(c.want(b)) == 0; r.OK() != want || r.Truncated {
					t.Errorf("ok is %t, truncated %t", r.OK(), r.Truncated)
				}
			})
		}
		t.Run("bounds", func(t *testing.T) { testReconciliationBounds(t, s) })
		t.Run("a session's cost", func(t *testing.T) { testSessionCost(t, s) })
	})
}

// testReconciliationBounds damages more than a report shows, outside of a period and inside.
func testReconciliationBounds(t *testing.T, s *Store) {
	b := newBooks(t, s)
	if got, want := b.reconcile(reconciliation.Config{}, reconciliation.Period{}).Checked, (reconciliation.Checked{
		Wallets: 3, Entries: 9, Acts: 3, Usage: 1, Holds: 1,
	}); got != want {
		t.Errorf("checked %+v; want %+v", got, want)
	}
	b.exec("DELETE FROM audit_entries WHERE tenant_id = ?", b.sc.Tenant)
	for name, c := range map[string]struct {
		most int
		p    reconciliation.Period
		n    int
		cut  bool
	}{
		"all":    {0, reconciliation.Period{}, 6, false},
		"exact":  {6, reconciliation.Period{}, 6, false},
		"cut":    {5, reconciliation.Period{}, 5, true},
		"before": {0, reconciliation.Period{To: b.payment.CreatedAt}, 0, false},
		"after":  {0, reconciliation.Period{From: b.payment.CreatedAt.Add(time.Microsecond)}, 0, false},
		"within": {0, reconciliation.Period{From: b.payment.CreatedAt, To: b.payment.CreatedAt.Add(time.Microsecond)}, 6, false},
	} {
		r := b.reconcile(reconciliation.Config{Most: c.most}, c.p)
		if len(r.Differences) != c.n || r.Truncated != c.cut {
			t.Errorf("%s: %d differences, truncated %t; want %d, %t", name, len(r.Differences), r.Truncated, c.n, c.cut)
		}
	}
	moved, err := s.Reconciliation().Moved(t.Context(), reconciliation.Period{
		From: b.payment.CreatedAt, To: b.payment.CreatedAt.Add(time.Microsecond),
	}, 1000)
	if err != nil || !slices.Contains(moved, b.sc.Tenant) {
		t.Errorf("%v, %v", moved, err)
	}
}

// testSessionCost has a session that says it cost something else than its turns' usage.
func testSessionCost(t *testing.T, s *Store) {
	b := newBooks(t, s)
	session, turn := id.New[id.SessionKind](b.ids), id.New[id.TurnKind](b.ids)
	now := at(b.clock.Now())
	b.exec(`INSERT INTO sessions (id, tenant_id, agent_id, agent_version, title, metadata, active, cost_picos, created_at, updated_at)
		VALUES (?, ?, ?, 1, '', '{}', '', 30, ?, ?)`, session, b.sc.Tenant, b.agent, now, now)
	add := func(turn id.Turn, cost money.Pico) {
		t.Helper()
		_, err := s.Usage().Insert(t.Context(), b.sc, usage.Row{
			ID: id.New[id.UsageKind](b.ids), Agent: b.agent, Session: session, Turn: turn, Cost: &cost, Calls: 1, CreatedAt: b.clock.Now(),
		})
		b.must(err)
	}
	add(turn, 10)
	add(turn, 20)
	add(id.Turn{}, 1000) // reported by a client: not the session's
	if r := b.reconcile(reconciliation.Config{}, reconciliation.Period{To: b.clock.Now().Add(time.Hour)}); !r.OK() || r.Checked.Sessions != 1 {
		t.Fatalf("%+v", r)
	}
	b.exec("UPDATE sessions SET cost_picos = 31 WHERE id = ?", session)
	want := []reconciliation.Difference{{
		Kind: reconciliation.SessionCostDiffers, Agent: b.agent, Session: session, Currency: "USD", Expected: "0.00000000003",
		Found: "0.000000000031",
	}}
	if diff := cmp.Diff(want, b.reconcile(reconciliation.Config{}, reconciliation.Period{To: b.clock.Now().Add(time.Hour)}).Differences, reconciliationCmp); diff != "" {
		t.Error(diff)
	}
}
