package bunstore

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/core/wallet/wallettest"
	"github.com/bureau-agents/bureau/ports/id"
)

func walletStore(s *Store) wallettest.Store {
	return wallettest.Store{
		TX: s, Repository: s.Wallets(), Holds: s.Holds(), Books: s.Wallets(),
		Dump: func(ctx context.Context, tenant id.Tenant) (string, error) {
			var b strings.Builder
			for _, table := range []string{"wallets", "ledger_entries", "ledger_lines", "wallet_holds"} {
				if err := dumpTable(ctx, s, &b, table, tenant); err != nil {
					return "", err
				}
			}
			return b.String(), nil
		},
	}
}

// dumpTable writes every row of a tenant, one per line.
func dumpTable(ctx context.Context, s *Store, b *strings.Builder, table string, tenant id.Tenant) error {
	rows, err := s.read(ctx).QueryContext(ctx, "SELECT * FROM ? WHERE tenant_id = ? ORDER BY 1, 2, 3", bun.Ident(table), tenant)
	if err != nil {
		return err
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		vals := make([]any, len(cols))
		for i := range vals {
			vals[i] = new(any)
		}
		if err := rows.Scan(vals...); err != nil {
			return err
		}
		b.WriteString(table)
		for i, v := range vals {
			fmt.Fprintf(b, " %s=%v", cols[i], *v.(*any)) //nolint:forcetypeassert // made above
		}
		b.WriteByte('\n')
	}
	return rows.Err()
}

func TestWallets(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, s *Store) {
		wallettest.Run(t, wallettest.Config{New: func(*testing.T) wallettest.Store { return walletStore(s) }})
	})
}

// FuzzLedger plays random operations on wallets; see wallettest.Exercise for what must hold after each. Run it with
// -fuzzminimizetime=1x: which of the database's lines an input covers is partly chance, and shrinking for that takes
// all the time.
func FuzzLedger(f *testing.F) {
	const deposit, pay, transfer, hold, capture, void, refund, sweep, expire = 0, 1, 3, 4, 5, 6, 7, 8, 134
	f.Add([]byte{deposit, 0, 0, 100, pay, 0, 0, 40, pay, 0, 0, 61, refund, 0, 0, 20, refund, 0, 0, 0})
	f.Add([]byte{deposit, 0, 0, 200, hold, 0, 2, 50, hold, 0, 1, 60, capture, 0, 0, 30, void, 0, 0, 0, pay, 0, 0, 171})
	f.Add([]byte{deposit, 1, 0, 90, transfer, 1, 2, 90, transfer, 2, 1, 91, transfer, 2, 2, 1, transfer, 2, 3, 5, sweep, 2, 0, 0})
	f.Add([]byte{deposit, 2, 0, 255, hold, 2, 0, 100, expire, 0, 0, 1, capture, 0, 0, 1, hold, 2, 3, 100, expire, 0, 0, 3, sweep, 2, 0, 0})
	f.Add([]byte{pay, 0, 0, 1, hold, 0, 0, 1, capture, 0, 0, 1, void, 0, 0, 0, refund, 0, 0, 1, sweep, 3, 0, 0, deposit, 0, 0, 0})
	const fund = 200
	f.Add([]byte{deposit, 3, 0, 200, fund, 0, 0, 150, pay, 0, 0, 60, fund, 0, 1, 90, fund, 0, 1, 1, fund, 3, 0, 5, refund, 0, 0, 30, fund, 0, 1, 30})
	s := openSQLiteStore(f)
	f.Fuzz(func(t *testing.T, ops []byte) {
		wallettest.Exercise(t, walletStore(s), ops[:min(len(ops), 4*64)])
	})
}

// BenchmarkPayments is payments by 32 callers: out of one wallet, which they queue up for, and out of one each; and, to
// compare, transactions that insert one row.
func BenchmarkPayments(b *testing.B) {
	for name, open := range map[string]func(*testing.B) *Store{
		"sqlite":   func(b *testing.B) *Store { return openSQLiteStore(b) },
		"postgres": func(b *testing.B) *Store { return openStore(b, Config{URL: postgresURL(b)}) },
	} {
		for _, wallets := range []int{0, 1, 32} {
			b.Run(fmt.Sprintf("%s/wallets=%d", name, wallets), func(b *testing.B) {
				s := open(b)
				createItems(b, s)
				l := wallettest.NewLedger(b, walletStore(s))
				agents := make([]id.Agent, wallets)
				for i := range agents {
					agents[i] = l.Fund(b, 1<<50)
				}
				one := func(caller int) error {
					if wallets == 0 {
						return s.insertItem(context.Background(), newItem(id.New[id.AgentKind](ids).String()))
					}
					_, err := l.Pay(context.Background(), l.Scope, wallet.PayRequest{
						Agent: agents[caller%wallets], Amount: wallettest.USDC(1), Payee: "vendor.example", Act: l.Act(),
					})
					return err
				}
				work := make(chan struct{})
				var wg sync.WaitGroup
				for caller := range 32 {
					wg.Go(func() {
						for range work {
							if err := one(caller); err != nil {
								b.Error(err)
							}
						}
					})
				}
				b.ResetTimer()
				for b.Loop() {
					work <- struct{}{}
				}
				close(work)
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
			})
		}
	}
}
