package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
)

// ApprovalRepo keeps approvals. It implements policy.Approvals.
type ApprovalRepo struct{ s *Store }

var _ policy.Approvals = (*ApprovalRepo)(nil)

// Approvals returns the repository of approvals.
func (s *Store) Approvals() *ApprovalRepo { return &ApprovalRepo{s} }

// voteDoc is how the column votes holds one policy.Vote.
type voteDoc struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

func encodeVotes(votes []policy.Vote) (string, error) {
	docs := make([]voteDoc, len(votes))
	for i, v := range votes {
		docs[i] = voteDoc(v)
	}
	b, err := json.Marshal(docs)
	if err != nil {
		return "", fmt.Errorf("bunstore: votes: %w", err)
	}
	return string(b), nil
}

func decodeVotes(text []byte) ([]policy.Vote, error) {
	var docs []voteDoc
	if err := json.Unmarshal(text, &docs); err != nil {
		return nil, fmt.Errorf("bunstore: votes: %w", err)
	}
	var out []policy.Vote
	for _, d := range docs {
		out = append(out, policy.Vote{By: d.By, At: d.At.UTC()})
	}
	return out, nil
}

const approvalColumns = `tenant_id, id, act_id, agent_id, session_id, tool_use_id, action, amount, currency, payee, detail, rule, reason,
	status, expires_at, decided_by, decided_at, note, created_at, run_id, requested_by, required, apart, votes`

func scanApproval(row scanner) (policy.Approval, error) {
	var a policy.Approval
	var amount nullAmount
	var action, status string
	var expires, decided, created stamp
	var votes []byte
	err := row.Scan(&a.Tenant, &a.ID, &a.Act, &a.Agent, &a.Session, &a.ToolUse, &action, &amount.micros, &amount.currency, &a.Payee,
		&a.Detail, &a.Rule, &a.Reason, &status, &expires, &a.DecidedBy, &decided, &a.Note, &created, &a.Run, &a.RequestedBy, &a.Required, &a.Apart, &votes)
	if err != nil {
		return policy.Approval{}, err
	}
	a.Action, a.Status, a.Amount = rule.Action(action), policy.ApprovalStatus(status), amount.amount()
	a.ExpiresAt, a.CreatedAt, a.DecidedAt = expires.Time(), created.Time(), decided.pointer()
	a.Votes, err = decodeVotes(votes)
	return a, err
}

// nullAmount is a pair of columns that hold an amount or NULL.
type nullAmount struct {
	micros   sql.NullInt64
	currency sql.NullString
}

func nullAmountOf(a *money.Amount) nullAmount {
	if a == nil {
		return nullAmount{}
	}
	return nullAmount{sql.NullInt64{Int64: a.Micros, Valid: true}, sql.NullString{String: string(a.Currency), Valid: true}}
}

func (n nullAmount) amount() *money.Amount {
	if !n.micros.Valid {
		return nil
	}
	a := money.Of(n.micros.Int64, money.Currency(n.currency.String))
	return &a
}

// pointer returns the time, or nil for NULL.
func (s stamp) pointer() *time.Time {
	if s.IsZero() {
		return nil
	}
	t := s.Time()
	return &t
}

// stampOf is at for a time that may be missing.
func stampOf(t *time.Time) stamp {
	if t == nil {
		return stamp{}
	}
	return at(*t)
}

// Insert implements policy.Approvals.
func (r *ApprovalRepo) Insert(ctx context.Context, sc account.Scope, a policy.Approval) error {
	amount := nullAmountOf(a.Amount)
	votes, err := encodeVotes(a.Votes)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, "INSERT INTO approvals ("+approvalColumns+
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			sc.Tenant, a.ID, a.Act, a.Agent, a.Session, a.ToolUse, string(a.Action), amount.micros, amount.currency, a.Payee, a.Detail,
			a.Rule, a.Reason, string(a.Status), at(a.ExpiresAt), a.DecidedBy, stampOf(a.DecidedAt), a.Note, at(a.CreatedAt), a.Run, a.RequestedBy, max(a.Required, 1), a.Apart, votes)
		return mapErr(err)
	})
}

// Get implements policy.Approvals.
func (r *ApprovalRepo) Get(ctx context.Context, sc account.Scope, a id.Approval) (policy.Approval, error) {
	return r.get(ctx, sc, a, "")
}

// Lock implements policy.Approvals.
func (r *ApprovalRepo) Lock(ctx context.Context, sc account.Scope, a id.Approval) (policy.Approval, error) {
	return r.get(ctx, sc, a, r.s.forUpdate())
}

func (r *ApprovalRepo) get(ctx context.Context, sc account.Scope, a id.Approval, lock string) (policy.Approval, error) {
	out, err := scanApproval(r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+approvalColumns+" FROM approvals WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, a))
	if errors.Is(err, sql.ErrNoRows) {
		return policy.Approval{}, id.NotFound[id.ApprovalKind](a.String())
	}
	return out, mapErr(err)
}

// Decide implements policy.Approvals.
func (r *ApprovalRepo) Decide(ctx context.Context, sc account.Scope, a policy.Approval) error {
	votes, err := encodeVotes(a.Votes)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE approvals SET status = ?, rule = ?, reason = ?, decided_by = ?, decided_at = ?, note = ?,
			required = ?, apart = ?, votes = ? WHERE tenant_id = ? AND id = ? AND status = 'pending'`,
			string(a.Status), a.Rule, a.Reason, a.DecidedBy, stampOf(a.DecidedAt), a.Note, max(a.Required, 1), a.Apart, votes, sc.Tenant, a.ID)
		if n, err := affected(res, err); err != nil || n > 0 {
			return err
		}
		if _, err := r.Get(ctx, sc, a.ID); err != nil {
			return err
		}
		return policy.ErrDecided
	})
}

// List implements policy.Approvals.
func (r *ApprovalRepo) List(
	ctx context.Context, sc account.Scope, f policy.ApprovalFilter, req page.Request,
) (page.Page[policy.Approval], error) {
	q, args := "tenant_id = ?", []any{sc.Tenant}
	add := func(cond string, arg any) {
		q += cond
		args = append(args, arg)
	}
	if len(f.Status) > 0 {
		add(" AND status IN (?)", bun.List(f.Status))
	}
	if !f.Agent.IsZero() {
		add(" AND agent_id = ?", f.Agent)
	}
	if !f.Session.IsZero() {
		add(" AND session_id = ?", f.Session)
	}
	total, err := r.s.total(ctx, req, "approvals", q, args...)
	if err != nil {
		return page.Page[policy.Approval]{}, err
	}
	if req.Cursor != "" {
		before, err := decodeIDCursor[id.ApprovalKind](req.Cursor)
		if err != nil {
			return page.Page[policy.Approval]{}, err
		}
		add(" AND id < ?", before)
	}
	found, err := queryAll(ctx, r.s.read(ctx), scanApproval,
		"SELECT "+approvalColumns+" FROM approvals WHERE "+q+" ORDER BY id DESC LIMIT ? OFFSET ?", append(args, req.Size()+1, req.Offset)...)
	if err != nil {
		return page.Page[policy.Approval]{}, err
	}
	out, err := pageOf(found, req.Size(), func(a policy.Approval) (policy.Approval, error) { return a, nil },
		func(a policy.Approval) []string { return []string{a.ID.String()} })
	out.Total = total
	return out, err
}

// Due implements policy.Approvals.
func (r *ApprovalRepo) Due(ctx context.Context, tenant id.Tenant, now time.Time, limit int) ([]policy.Approval, error) {
	q, args := "SELECT "+approvalColumns+" FROM approvals WHERE status = 'pending' AND expires_at <= ?", []any{at(now)}
	if !tenant.IsZero() {
		q += " AND tenant_id = ?"
		args = append(args, tenant)
	}
	return queryAll(ctx, r.s.read(ctx), scanApproval, q+" ORDER BY expires_at LIMIT ?", append(args, limit)...)
}
