package bunstore

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
)

// Refunded implements wallet.Books.
func (r *WalletRepo) Refunded(ctx context.Context, sc account.Scope, payment id.LedgerEntry) (int64, error) {
	var n int64
	err := r.s.read(ctx).QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(l.amount), 0) AS BIGINT) FROM ledger_entries AS e
		JOIN ledger_lines AS l ON l.tenant_id = e.tenant_id AND l.entry_id = e.id
		WHERE e.tenant_id = ? AND e.refunds_id = ? AND l.kind = 'refund'`, sc.Tenant, payment).Scan(&n)
	return n, mapErr(err)
}

// Totals implements wallet.Books.
func (r *WalletRepo) Totals(ctx context.Context, sc account.Scope) (wallet.Totals, error) {
	var t wallet.Totals
	ws, err := r.query(ctx, sc, "tenant_id = ? ORDER BY agent_id, currency", sc.Tenant)
	if err != nil {
		return t, err
	}
	index := make(map[id.Wallet]int, len(ws))
	for i, w := range ws {
		index[w.ID] = i
		t.Wallets = append(t.Wallets, wallet.OwnerTotals{Wallet: w})
	}
	// One pass per figure; each row adds to the wallet that it names.
	for _, f := range []struct {
		query string
		add   func(w *wallet.OwnerTotals, n int64)
	}{
		{
			"SELECT wallet_id, CAST(SUM(amount) AS BIGINT) FROM ledger_lines WHERE tenant_id = ? AND part = 'available' GROUP BY wallet_id",
			func(w *wallet.OwnerTotals, n int64) { w.Available = n },
		},
		{
			"SELECT wallet_id, CAST(SUM(amount) AS BIGINT) FROM ledger_lines WHERE tenant_id = ? AND part = 'held' GROUP BY wallet_id",
			func(w *wallet.OwnerTotals, n int64) { w.Held = n },
		},
		{
			"SELECT wallet_id, CAST(SUM(amount) AS BIGINT) FROM wallet_holds WHERE tenant_id = ? AND status = 'open' GROUP BY wallet_id",
			func(w *wallet.OwnerTotals, n int64) { w.OpenHolds = n },
		},
		{
			`SELECT l.wallet_id, l.balance_after FROM ledger_lines AS l JOIN
				(SELECT wallet_id, MAX(seq) AS seq FROM ledger_lines WHERE tenant_id = ? AND kind IS NOT NULL GROUP BY wallet_id) AS m
				ON m.wallet_id = l.wallet_id AND m.seq = l.seq WHERE l.kind IS NOT NULL`,
			func(w *wallet.OwnerTotals, n int64) { w.BalanceAfter = n },
		},
	} {
		err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
			var w id.Wallet
			var n int64
			if err := row.Scan(&w, &n); err != nil {
				return err
			}
			i, ok := index[w]
			if !ok { // lines without a wallet are as wrong as a wallet without lines
				i = len(t.Wallets)
				index[w] = i
				t.Wallets = append(t.Wallets, wallet.OwnerTotals{Wallet: wallet.Wallet{ID: w, Tenant: sc.Tenant}})
			}
			f.add(&t.Wallets[i], n)
			return nil
		}, f.query, sc.Tenant)
		if err != nil {
			return wallet.Totals{}, err
		}
	}
	err = eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var c wallet.CurrencyTotals
		err := row.Scan(&c.Currency, &c.Credits, &c.Debits)
		t.Currencies = append(t.Currencies, c)
		return err
	}, `SELECT e.currency, CAST(SUM(CASE WHEN l.amount > 0 THEN l.amount ELSE 0 END) AS BIGINT),
		CAST(SUM(CASE WHEN l.amount < 0 THEN -l.amount ELSE 0 END) AS BIGINT)
		FROM ledger_lines AS l JOIN ledger_entries AS e ON e.tenant_id = l.tenant_id AND e.id = l.entry_id
		WHERE l.tenant_id = ? GROUP BY e.currency ORDER BY e.currency`, sc.Tenant)
	if err != nil {
		return wallet.Totals{}, err
	}
	err = eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var e id.LedgerEntry
		err := row.Scan(&e)
		t.Unbalanced = append(t.Unbalanced, e)
		return err
	}, `SELECT e.id FROM ledger_entries AS e LEFT JOIN ledger_lines AS l ON l.tenant_id = e.tenant_id AND l.entry_id = e.id
		WHERE e.tenant_id = ? GROUP BY e.id HAVING COUNT(l.line) < 2 OR SUM(l.amount) <> 0 ORDER BY e.id LIMIT 100`, sc.Tenant)
	if err != nil {
		return wallet.Totals{}, err
	}
	return t, nil
}

// eachRow calls fn with every row of a query.
func eachRow(ctx context.Context, db bun.IDB, fn func(row scanner) error, q string, args ...any) error {
	rows, err := db.QueryContext(ctx, q, args...)
	if err != nil {
		return mapErr(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return mapErr(err)
		}
	}
	return mapErr(rows.Err())
}

// Statement implements wallet.Books. It is one statement, which sees one moment; each balance is one step into an index.
func (r *WalletRepo) Statement(ctx context.Context, sc account.Scope, w id.Wallet, from, to time.Time) (wallet.Statement, error) {
	const balance = `COALESCE((SELECT balance_after FROM ledger_lines WHERE wallet_id = ? AND tenant_id = ? AND kind IS NOT NULL
		AND posted_at < ? ORDER BY posted_at DESC, seq DESC LIMIT 1), 0)`
	var st wallet.Statement
	err := eachRow(ctx, r.s.read(ctx), func(row scanner) error {
		var what string
		var n, sum int64
		if err := row.Scan(&what, &n, &sum); err != nil {
			return err
		}
		switch what {
		case " opening":
			st.Opening = sum
		case " closing":
			st.Closing = sum
		default:
			st.Kinds = append(st.Kinds, wallet.KindTotal{Kind: wallet.Kind(what), Count: n, Amount: sum})
		}
		return nil
	}, `SELECT what, n, total FROM (
			SELECT ' opening' AS what, 0 AS n, `+balance+` AS total
			UNION ALL SELECT ' closing', 0, `+balance+`
			UNION ALL SELECT kind, COUNT(*), CAST(SUM(amount) AS BIGINT) FROM ledger_lines
				WHERE wallet_id = ? AND tenant_id = ? AND kind IS NOT NULL AND posted_at >= ? AND posted_at < ?
				GROUP BY kind, CASE WHEN amount > 0 THEN 1 ELSE 0 END
		) AS figures ORDER BY what, total DESC`,
		w, sc.Tenant, at(from), w, sc.Tenant, at(to), w, sc.Tenant, at(from), at(to))
	return st, err
}
