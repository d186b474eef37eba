package bunstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/wallet"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// WalletRepo keeps wallets and the ledger. It implements wallet.Repository and wallet.Books.
type WalletRepo struct{ s *Store }

var (
	_ wallet.Repository = (*WalletRepo)(nil)
	_ wallet.Books      = (*WalletRepo)(nil)
)

// Wallets returns the repository of wallets.
func (s *Store) Wallets() *WalletRepo { return &WalletRepo{s} }

const walletColumns = "id, agent_id, currency, available, held, seq, created_at, updated_at"

func scanWallet(tenant id.Tenant, row scanner) (wallet.Wallet, error) {
	w := wallet.Wallet{Tenant: tenant}
	var available int64
	var created, updated stamp
	if err := row.Scan(&w.ID, &w.Agent, &w.Currency, &available, &w.Held, &w.Seq, &created, &updated); err != nil {
		return wallet.Wallet{}, err
	}
	w.Balance, w.CreatedAt, w.UpdatedAt = available+w.Held, created.Time(), updated.Time()
	return w, nil
}

func (r *WalletRepo) query(ctx context.Context, sc account.Scope, q string, args ...any) ([]wallet.Wallet, error) {
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (wallet.Wallet, error) { return scanWallet(sc.Tenant, row) },
		"SELECT "+walletColumns+" FROM wallets WHERE "+q, args...)
}

// owner is how the column agent_id spells a wallet's owner: the tenant itself is all zeros, and not NULL.
func owner(a id.Agent) string { return a.UUID().String() }

// Get implements wallet.Repository.
func (r *WalletRepo) Get(ctx context.Context, sc account.Scope, agent id.Agent, c money.Currency) (wallet.Wallet, error) {
	found, err := r.query(ctx, sc, "tenant_id = ? AND agent_id = ? AND currency = ?", sc.Tenant, owner(agent), string(c))
	if err != nil {
		return wallet.Wallet{}, err
	}
	if len(found) == 0 {
		return wallet.Wallet{}, wallet.ErrNoWallet
	}
	return found[0], nil
}

// List implements wallet.Repository.
func (r *WalletRepo) List(ctx context.Context, sc account.Scope, owners ...id.Agent) ([]wallet.Wallet, error) {
	if len(owners) == 0 {
		return nil, nil
	}
	spelled := make([]string, len(owners))
	for i, o := range owners {
		spelled[i] = owner(o)
	}
	return r.query(ctx, sc, "tenant_id = ? AND agent_id IN (?) ORDER BY agent_id, currency", sc.Tenant, bun.List(spelled))
}

// Create implements wallet.Repository.
func (r *WalletRepo) Create(ctx context.Context, sc account.Scope, ws ...wallet.Wallet) error {
	if len(ws) == 0 {
		return nil
	}
	const row = "(?, ?, ?, ?, 0, 0, 0, ?, ?)"
	var args []any
	for _, w := range ws {
		args = append(args, sc.Tenant, owner(w.Agent), string(w.Currency), w.ID, at(w.CreatedAt), at(w.UpdatedAt))
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO wallets (tenant_id, agent_id, currency, id, available, held, seq, created_at, updated_at)
			VALUES `+row+strings.Repeat(", "+row, len(ws)-1)+` ON CONFLICT (tenant_id, agent_id, currency) DO NOTHING`, args...)
		return mapErr(err)
	})
}

// Lock implements wallet.Repository.
func (r *WalletRepo) Lock(
	ctx context.Context, sc account.Scope, c money.Currency, owners ...id.Agent,
) ([]wallet.Wallet, error) {
	args := []any{sc.Tenant, string(c)}
	for _, o := range owners {
		args = append(args, owner(o))
	}
	return r.query(ctx, sc, "tenant_id = ? AND currency = ? AND agent_id IN (?"+strings.Repeat(", ?", len(owners)-1)+
		") ORDER BY agent_id"+r.s.forUpdate(), args...)
}

// Post implements wallet.Repository. The entry goes in first: it is what finds a repetition, and the wallet's row, for
// which others may be waiting, is locked as late as can be.
func (r *WalletRepo) Post(
	ctx context.Context, sc account.Scope, e wallet.Entry, newID func() id.Wallet,
) (after []wallet.Wallet, err error) {
	err = r.s.write(ctx, func(ctx context.Context, _ bun.IDB) error {
		if changes := e.Changes(); r.s.postgres() && len(changes) == 1 && (changes[0].Available < 0 || changes[0].Held < 0) {
			after, err = r.spend(ctx, sc, e, changes[0])
			return err
		}
		fresh, err := r.insertEntry(ctx, sc, e)
		if err != nil {
			return err
		}
		if !fresh {
			return wallet.ErrRepeated
		}
		if after, err = r.apply(ctx, sc, e, newID); err != nil {
			if errors.Is(err, wallet.ErrInsufficientFunds) || errors.Is(err, money.ErrOverflow) {
				return r.retract(ctx, sc, e, err)
			}
			return err
		}
		return r.insertLines(ctx, sc, e, after)
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// spendSQL posts an entry of two lines that takes from one wallet, in one statement: the wallet's row, for which others
// may be waiting, is locked for one round trip less, and a payment costs one instead of three. The wallet changes only
// if the entry is new, and the lines are written only if the wallet had enough.
//
// The entry is joined and not asked for with EXISTS, because a statement that waited for the wallet's row evaluates its
// conditions again, and cannot run the insertion again for that.
const spendSQL = `WITH e AS (
		INSERT INTO ledger_entries (tenant_id, id, kind, currency, act_id, idem_key, hold_id, refunds_id, payee, category, description, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING RETURNING tenant_id, id
	), w AS (
		UPDATE wallets SET available = available + $13::bigint, held = held + $14::bigint, seq = seq + 1,
			updated_at = GREATEST(updated_at, $12) FROM e
		WHERE wallets.tenant_id = e.tenant_id AND agent_id = $15 AND currency = $4 AND available >= -$13::bigint AND held >= -$14::bigint
		RETURNING wallets.id, available, held, seq, created_at, updated_at
	), l AS (
		INSERT INTO ledger_lines (tenant_id, entry_id, line, part, wallet_id, amount, kind, counterpart_id, balance_after, seq,
			posted_at)
		SELECT $1, $2, v.line, v.part, CASE WHEN v.part IN ('available', 'held') THEN w.id END, v.amount, v.kind, v.counterpart,
			CASE WHEN v.kind IS NOT NULL THEN w.available + w.held END, CASE WHEN v.kind IS NOT NULL THEN w.seq END,
			CASE WHEN v.kind IS NOT NULL THEN w.updated_at END
		FROM w, (VALUES (0, $16::text, $17::bigint, $18::text, $19::uuid), (1, $20, $21, $22, $23)) AS v (line, part, amount, kind, counterpart)
	)
	SELECT (SELECT COUNT(*) FROM e), w.id, w.available, w.held, w.seq, w.created_at, w.updated_at
	FROM (VALUES (1)) AS one LEFT JOIN w ON TRUE`

// spend is Post on Postgres for an entry that takes from the one wallet that it touches.
func (r *WalletRepo) spend(ctx context.Context, sc account.Scope, e wallet.Entry, c wallet.Change) ([]wallet.Wallet, error) {
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	args := []any{
		pgx.QueryExecModeCacheStatement, sc.Tenant, e.ID, string(e.Kind), string(e.Currency), e.Act, text(e.Key), e.Hold, e.Refunds,
		e.Payee, e.Category, e.Description, e.CreatedAt, c.Available, c.Held, owner(c.Owner),
	}
	lines := e.Lines()
	if len(lines) != 2 {
		return nil, fmt.Errorf("bunstore: an entry that touches one wallet has %d lines", len(lines))
	}
	for _, l := range lines {
		args = append(args, string(l.Part), l.Amount, text(string(l.Kind)), l.Counterpart)
	}
	var fresh int
	var available, held, seq sql.NullInt64
	var created, updated stamp
	w := wallet.Wallet{Tenant: sc.Tenant, Agent: c.Owner, Currency: e.Currency}
	err := r.s.current(ctx).tx.Tx.QueryRowContext(ctx, spendSQL, args...).
		Scan(&fresh, &w.ID, &available, &held, &seq, &created, &updated)
	switch {
	case err != nil:
		return nil, mapErr(err)
	case fresh == 0:
		return nil, wallet.ErrRepeated
	case w.ID.IsZero():
		return nil, r.retract(ctx, sc, e, wallet.ErrInsufficientFunds)
	}
	w.Balance, w.Held, w.Seq = available.Int64+held.Int64, held.Int64, seq.Int64
	w.CreatedAt, w.UpdatedAt = created.Time(), updated.Time()
	return []wallet.Wallet{w}, nil
}

// retract removes an entry that found its wallet unable, and returns why.
func (r *WalletRepo) retract(ctx context.Context, sc account.Scope, e wallet.Entry, why error) error {
	if _, err := r.s.read(ctx).ExecContext(ctx, "DELETE FROM ledger_entries WHERE tenant_id = ? AND id = ?", sc.Tenant, e.ID); err != nil {
		return mapErr(err)
	}
	return why
}

// insertEntry reports whether neither the entry's act nor its key was there before.
func (r *WalletRepo) insertEntry(ctx context.Context, sc account.Scope, e wallet.Entry) (bool, error) {
	var key any
	if e.Key != "" {
		key = e.Key
	}
	res, err := r.s.read(ctx).ExecContext(ctx, `INSERT INTO ledger_entries (tenant_id, id, kind, currency, act_id, idem_key, hold_id, refunds_id,
		payee, category, description, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		sc.Tenant, e.ID, string(e.Kind), string(e.Currency), e.Act, key, e.Hold, e.Refunds,
		e.Payee, e.Category, e.Description, at(e.CreatedAt))
	if err != nil {
		return false, mapErr(err)
	}
	n, err := res.RowsAffected()
	return n == 1, mapErr(err)
}

// apply changes the wallets, all or none.
func (r *WalletRepo) apply(
	ctx context.Context, sc account.Scope, e wallet.Entry, newID func() id.Wallet,
) ([]wallet.Wallet, error) {
	changes := e.Changes()
	if len(changes) > 1 {
		if err := r.check(ctx, sc, e.Currency, changes); err != nil {
			return nil, err
		}
	}
	out := make([]wallet.Wallet, len(changes))
	later := "MAX"
	if r.s.postgres() {
		later = "GREATEST"
	}
	now := at(e.CreatedAt)
	for i, c := range changes {
		var row *sql.Row
		refused := error(wallet.ErrInsufficientFunds)
		if c.Available >= 0 && c.Held >= 0 {
			refused = money.ErrOverflow
			most := math.MaxInt64 - c.Available - c.Held // that the balance may be before
			row = r.s.read(ctx).QueryRowContext(ctx, `INSERT INTO wallets (tenant_id, agent_id, currency, id, available, held, seq, created_at,
				updated_at) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT (tenant_id, agent_id, currency) DO UPDATE SET
				available = wallets.available + excluded.available, held = wallets.held + excluded.held, seq = wallets.seq + 1,
				updated_at = `+later+`(wallets.updated_at, excluded.updated_at) WHERE wallets.available + wallets.held <= ? RETURNING `+walletColumns,
				sc.Tenant, owner(c.Owner), string(e.Currency), newID(), c.Available, c.Held, now, now, most)
		} else {
			// No change of this kind makes a balance larger, so it cannot overflow.
			row = r.s.read(ctx).QueryRowContext(ctx, `UPDATE wallets SET available = available + ?, held = held + ?, seq = seq + 1,
				updated_at = `+later+`(updated_at, ?) WHERE tenant_id = ? AND agent_id = ? AND currency = ? AND available >= ? AND held >= ? RETURNING `+walletColumns,
				c.Available, c.Held, now, sc.Tenant, owner(c.Owner), string(e.Currency), -c.Available, -c.Held)
		}
		var err error
		if out[i], err = scanWallet(sc.Tenant, row); errors.Is(err, sql.ErrNoRows) {
			return nil, refused
		} else if err != nil {
			return nil, mapErr(err)
		}
	}
	return out, nil
}

// check locks the wallets of several changes and asks for each whether it will be possible, so that none is made in
// vain.
func (r *WalletRepo) check(ctx context.Context, sc account.Scope, c money.Currency, changes []wallet.Change) error {
	owners := make([]id.Agent, len(changes))
	for i, ch := range changes {
		owners[i] = ch.Owner
	}
	locked, err := r.Lock(ctx, sc, c, owners...)
	if err != nil {
		return err
	}
	for _, ch := range changes {
		var w wallet.Wallet
		if i := slices.IndexFunc(locked, func(w wallet.Wallet) bool { return w.Agent == ch.Owner }); i >= 0 {
			w = locked[i]
		}
		if w.Available() < -ch.Available || w.Held < -ch.Held {
			return wallet.ErrInsufficientFunds
		}
		if more := ch.Available + ch.Held; more > 0 && w.Balance > math.MaxInt64-more {
			return money.ErrOverflow
		}
	}
	return nil
}

// insertLines stores the lines; after are the wallets that the entry changed.
func (r *WalletRepo) insertLines(ctx context.Context, sc account.Scope, e wallet.Entry, after []wallet.Wallet) error {
	lines := e.Lines()
	args := make([]any, 0, 11*len(lines))
	for i, l := range lines {
		var w wallet.Wallet
		var kind, balance, seq, posted any
		if l.Part == wallet.Available || l.Part == wallet.Held {
			w = after[slices.IndexFunc(after, func(w wallet.Wallet) bool { return w.Agent == l.Owner })]
		}
		var counterpart any
		if l.Kind != "" {
			kind, balance, seq, posted = string(l.Kind), w.Balance, w.Seq, at(w.UpdatedAt)
			counterpart = l.Counterpart
		}
		args = append(args, sc.Tenant, e.ID, i, string(l.Part), w.ID, l.Amount, kind, counterpart, balance, seq, posted)
	}
	_, err := r.s.read(ctx).ExecContext(ctx, `INSERT INTO ledger_lines (tenant_id, entry_id, line, part, wallet_id, amount, kind, counterpart_id,
		balance_after, seq, posted_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`+
		strings.Repeat(", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", len(lines)-1), args...)
	return mapErr(err)
}

const transactionQuery = `SELECT e.id, w.id, w.agent_id, l.kind, ABS(l.amount), l.balance_after, e.currency, l.counterpart_id, e.payee,
	e.category, e.description, e.act_id, e.hold_id, e.refunds_id, l.posted_at, l.seq` + transactionTables

const transactionTables = `
	FROM ledger_lines AS l
	JOIN ledger_entries AS e ON e.tenant_id = l.tenant_id AND e.id = l.entry_id
	JOIN wallets AS w ON w.id = l.wallet_id
	WHERE l.tenant_id = ? AND l.kind IS NOT NULL AND `

func (r *WalletRepo) transactions(ctx context.Context, q string, args ...any) ([]wallet.Transaction, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, transactionQuery+q, args...)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []wallet.Transaction
	for rows.Next() {
		var t wallet.Transaction
		var c money.Currency
		var created stamp
		err := rows.Scan(&t.ID, &t.Wallet, &t.Agent, &t.Kind, &t.Amount.Micros, &t.BalanceAfter.Micros, &c, &t.Counterpart, &t.Payee,
			&t.Category, &t.Description, &t.Act, &t.Hold, &t.Refunds, &created, &t.Seq)
		if err != nil {
			return nil, mapErr(err)
		}
		t.Amount.Currency, t.BalanceAfter.Currency, t.CreatedAt = c, c, created.Time()
		out = append(out, t)
	}
	return out, mapErr(rows.Err())
}

// Transactions implements wallet.Repository.
func (r *WalletRepo) Transactions(
	ctx context.Context, sc account.Scope, w id.Wallet, f wallet.Filter, req page.Request,
) (page.Page[wallet.Transaction], error) {
	q := newWhere("l.wallet_id = ?", sc.Tenant, w)
	if len(f.Kinds) > 0 {
		q.and("l.kind IN (?)", bun.List(f.Kinds))
	}
	if !f.Since.IsZero() {
		q.and("l.posted_at >= ?", at(f.Since))
	}
	if !f.Until.IsZero() {
		q.and("l.posted_at < ?", at(f.Until))
	}
	if f.Payee != "" {
		q.and("e.payee = ?", f.Payee)
	}
	total := 0
	if req.Count {
		err := r.s.read(ctx).QueryRowContext(ctx, "SELECT COUNT(*)"+transactionTables+q.sql(), q.args...).Scan(&total)
		if err != nil {
			return page.Page[wallet.Transaction]{}, mapErr(err)
		}
	}
	if req.Cursor != "" {
		before, err := decodeSeqCursor(req.Cursor)
		if err != nil {
			return page.Page[wallet.Transaction]{}, err
		}
		q.and("l.seq < ?", before)
	}
	found, err := r.transactions(ctx, q.sql()+" ORDER BY l.seq DESC LIMIT ? OFFSET ?", append(q.args, req.Size()+1, req.Offset)...)
	if err != nil {
		return page.Page[wallet.Transaction]{}, err
	}
	p, err := pageOf(found, req.Size(), func(t wallet.Transaction) (wallet.Transaction, error) { return t, nil },
		func(t wallet.Transaction) []string { return []string{strconv.FormatInt(t.Seq, 10)} })
	p.Total = total
	return p, err
}

// Movements implements wallet.Repository.
func (r *WalletRepo) Movements(ctx context.Context, sc account.Scope, ref wallet.Ref) ([]wallet.Transaction, error) {
	const order = " ORDER BY l.amount, l.line"
	switch {
	case !ref.ID.IsZero():
		return r.transactions(ctx, "e.id = ?"+order, sc.Tenant, ref.ID)
	case !ref.Act.IsZero():
		return r.transactions(ctx, "e.act_id = ?"+order, sc.Tenant, ref.Act)
	case ref.Key != "":
		return r.transactions(ctx, "e.idem_key = ?"+order, sc.Tenant, ref.Key)
	}
	return nil, nil
}
