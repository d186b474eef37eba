package bunstore

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/audit"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/gate/gatetest"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// BenchmarkPaymentsBesideSQL is payments by 32 callers out of one wallet, which they queue up for, and out of a thousand: through the
// gate with everything that belongs to a payment (standing, policies, decision, ledger, act, audit entry), with and without limits that
// count, and beside it plain SQL that does the same double entry in the same database: two balances, an entry and its two lines in one
// transaction. Compare sql with gate of the same name.
func BenchmarkPaymentsBesideSQL(b *testing.B) {
	for _, db := range []string{"sqlite", "postgres"} {
		for _, wallets := range []int{1, 1000} {
			for _, way := range []string{"sql", "gate", "gate+limits"} {
				b.Run(fmt.Sprintf("%s/wallets=%d/%s", db, wallets, way), func(b *testing.B) {
					cfg := Config{Path: sqlitePath(b)}
					if db == "postgres" {
						cfg = Config{URL: postgresURL(b), PoolSize: 32}
					}
					s := openStore(b, cfg)
					pay := plainPayments(b, s, wallets)
					if way != "sql" {
						pay = gatePayments(b, s, wallets, way == "gate+limits")
					}
					compete(b, 32, pay)
				})
			}
		}
	}
}

// compete has callers do as many payments as the benchmark asks for and reports how many there were in a second.
func compete(b *testing.B, callers int, pay func(n int64) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := pay(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "payments/s")
}

// plainPayments pays out of one of so many accounts into one of a thousand others.
func plainPayments(b *testing.B, s *Store, wallets int) func(n int64) error {
	b.Helper()
	const payees = 1000
	ids := id.NewGenerator(time.Now)
	exec := func(ctx context.Context, db bun.IDB, q string, args ...any) {
		if _, err := db.ExecContext(ctx, q, args...); err != nil {
			b.Fatal(err)
		}
	}
	uuid := "TEXT"
	if s.postgres() {
		uuid = "uuid"
	}
	err := s.write(b.Context(), func(ctx context.Context, db bun.IDB) error {
		exec(ctx, db, "CREATE TABLE plain_accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL CHECK (balance >= 0))")
		exec(ctx, db, "CREATE TABLE plain_entries (id "+uuid+" PRIMARY KEY, payee TEXT NOT NULL, description TEXT NOT NULL, created_at TEXT NOT NULL)")
		exec(ctx, db, "CREATE TABLE plain_lines (entry_id "+uuid+` NOT NULL, line INTEGER NOT NULL, account_id BIGINT NOT NULL, amount BIGINT NOT NULL,
			PRIMARY KEY (entry_id, line))`)
		for i := range wallets + payees {
			exec(ctx, db, "INSERT INTO plain_accounts (id, balance) VALUES (?, ?)", i, int64(1)<<50)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(n int64) error {
		from, to := n%int64(wallets), int64(wallets)+n%payees
		entry := id.New[id.LedgerEntryKind](ids)
		return s.write(context.Background(), func(ctx context.Context, db bun.IDB) error {
			for _, q := range []struct {
				text string
				args []any
			}{
				{"UPDATE plain_accounts SET balance = balance - ? WHERE id = ? AND balance >= ?", []any{1, from, 1}},
				{"UPDATE plain_accounts SET balance = balance + ? WHERE id = ?", []any{1, to}},
				{"INSERT INTO plain_entries (id, payee, description, created_at) VALUES (?, ?, ?, ?)", []any{entry, "vendor.example", "", at(time.Now()).String()}},
				{
					"INSERT INTO plain_lines (entry_id, line, account_id, amount) VALUES (?, ?, ?, ?), (?, ?, ?, ?)",
					[]any{entry, 0, from, -1, entry, 1, to, 1},
				},
			} {
				if _, err := db.ExecContext(ctx, q.text, q.args...); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// gatePayments pays out of so many agents' wallets.
func gatePayments(b *testing.B, s *Store, wallets int, limits bool) func(n int64) error {
	b.Helper()
	l := gatetest.NewLab(b, gateStore(s), gatetest.Options{})
	trail, err := audit.NewService(audit.Deps{
		TX: s, Clock: l.Clock, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: s.Audit(), Seals: s.Audit(),
	}, audit.Config{})
	if err != nil {
		b.Fatal(err)
	}
	money, err := wallet.NewService(wallet.Deps{
		TX: s, Clock: l.Clock, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Repository: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(),
		Owners: anyOwner{}, Trail: trail,
	}, wallet.Config{})
	if err != nil {
		b.Fatal(err)
	}
	g, err := gate.New(gate.Deps{
		TX: s, Clock: l.Clock, IDs: l.IDs, Logger: slog.New(slog.DiscardHandler), Acts: s.Acts(), Tenants: s.Accounts(), Agents: s.Agents(),
		Policies: s.Policies(), Counters: s.Counters(), Approvals: s.Approvals(), Trail: trail, Time: s.Time(), Doors: s.Doors(),
		Executors: map[rule.Action]gate.Executor{rule.ActionPayment: gate.Payments(money)},
	}, gate.Config{})
	if err != nil {
		b.Fatal(err)
	}
	agents := make([]id.Agent, wallets)
	for i := range agents {
		agents[i] = l.Agent(b, 1<<40)
		most := gatetest.USDC(1 << 50)
		p := policy.Limits{MaxPerTransaction: &most}
		if limits {
			p.DailyLimit, p.MonthlyLimit = &most, &most
		}
		l.Policy(b, agents[i], p)
	}
	return func(n int64) error {
		rec, err := g.Perform(context.Background(), l.Scope, gatetest.Payment(agents[n%int64(wallets)], "", 1))
		if err == nil && rec.State != gate.Done {
			return fmt.Errorf("the payment is %s: %s", rec.State, rec.Error)
		}
		return err
	}
}
