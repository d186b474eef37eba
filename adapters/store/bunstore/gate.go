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
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/policy"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/rule"
)

// ActRepo keeps the gate's records. It implements gate.Repository and gate.History.
type ActRepo struct{ s *Store }

var (
	_ gate.Repository = (*ActRepo)(nil)
)

// Acts returns the repository of acts.
func (s *Store) Acts() *ActRepo { return &ActRepo{s} }

// Time returns the database's clock, or nil on SQLite, which only one process uses.
func (s *Store) Time() gate.Timekeeper {
	if !s.postgres() {
		return nil
	}
	return timekeeper{s}
}

type timekeeper struct{ s *Store }

// Now implements gate.Timekeeper.
func (k timekeeper) Now(ctx context.Context) (time.Time, error) {
	var now stamp
	err := k.s.read(ctx).QueryRowContext(ctx, "SELECT clock_timestamp()").Scan(&now)
	return now.Time(), mapErr(err)
}

// decisionDoc is how the column decision holds policy.Decision.
type decisionDoc struct {
	ID       string             `json:"id"`
	Outcome  policy.Outcome     `json:"outcome"`
	Rule     string             `json:"rule,omitempty"`
	Reason   string             `json:"reason,omitempty"`
	Policies []policyVersionDoc `json:"policies,omitempty"`
	At       time.Time          `json:"at"`
	Would    *observationDoc    `json:"would,omitempty"`
}

type observationDoc struct {
	Policy  string         `json:"policy"`
	Version int            `json:"version"`
	Outcome policy.Outcome `json:"outcome"`
	Rule    string         `json:"rule,omitempty"`
	Reason  string         `json:"reason,omitempty"`
}

type policyVersionDoc struct {
	Policy  string `json:"policy"`
	Version int    `json:"version"`
}

// reservationDoc is how the column reserved holds one gate.Reservation.
type reservationDoc struct {
	Policy string      `json:"policy"`
	Name   string      `json:"name"`
	Window rule.Window `json:"window"`
	Start  time.Time   `json:"start"`
	Unit   string      `json:"unit"`
	Amount int64       `json:"amount"`
	Run    string      `json:"run,omitempty"`
	Watch  bool        `json:"observed,omitempty"`
}

func encodeDecision(d policy.Decision) (string, error) {
	doc := decisionDoc{ID: d.ID.UUID().String(), Outcome: d.Outcome, Rule: d.Rule, Reason: d.Reason, At: d.At}
	for _, p := range d.Policies {
		doc.Policies = append(doc.Policies, policyVersionDoc{p.Policy.UUID().String(), p.Version})
	}
	if w := d.Would; w != nil {
		doc.Would = &observationDoc{w.Policy.UUID().String(), w.Version, w.Outcome, w.Rule, w.Reason}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return "", fmt.Errorf("bunstore: decision: %w", err)
	}
	return string(b), nil
}

func decodeDecision(text []byte) (policy.Decision, error) {
	var doc decisionDoc
	if err := json.Unmarshal(text, &doc); err != nil {
		return policy.Decision{}, fmt.Errorf("bunstore: decision: %w", err)
	}
	u, err := id.ParseUUID(doc.ID)
	if err != nil {
		return policy.Decision{}, fmt.Errorf("bunstore: decision: %w", err)
	}
	d := policy.Decision{ID: id.Of[id.DecisionKind](u), Outcome: doc.Outcome, Rule: doc.Rule, Reason: doc.Reason, At: doc.At.UTC()}
	if w := doc.Would; w != nil {
		u, err := id.ParseUUID(w.Policy)
		if err != nil {
			return policy.Decision{}, fmt.Errorf("bunstore: decision: %w", err)
		}
		d.Would = &policy.Observation{Policy: id.Of[id.PolicyKind](u), Version: w.Version, Outcome: w.Outcome, Rule: w.Rule, Reason: w.Reason}
	}
	for _, p := range doc.Policies {
		u, err := id.ParseUUID(p.Policy)
		if err != nil {
			return policy.Decision{}, fmt.Errorf("bunstore: decision: %w", err)
		}
		d.Policies = append(d.Policies, policy.PinnedVersion{Policy: id.Of[id.PolicyKind](u), Version: p.Version})
	}
	return d, nil
}

func encodeReserved(rs []gate.Reservation) (sql.NullString, error) {
	if len(rs) == 0 {
		return sql.NullString{}, nil
	}
	docs := make([]reservationDoc, len(rs))
	for i, r := range rs {
		k := r.Key
		docs[i] = reservationDoc{
			Policy: k.Policy.UUID().String(), Name: k.Name, Window: k.Window, Start: k.Start, Unit: k.Unit, Amount: r.Amount, Watch: r.Observed,
		}
		if !k.Run.IsZero() {
			docs[i].Run = k.Run.UUID().String()
		}
	}
	b, err := json.Marshal(docs)
	if err != nil {
		return sql.NullString{}, fmt.Errorf("bunstore: reservations: %w", err)
	}
	return sql.NullString{String: string(b), Valid: true}, nil
}

func decodeReserved(text sql.NullString) ([]gate.Reservation, error) {
	if !text.Valid {
		return nil, nil
	}
	var docs []reservationDoc
	if err := json.Unmarshal([]byte(text.String), &docs); err != nil {
		return nil, fmt.Errorf("bunstore: reservations: %w", err)
	}
	out := make([]gate.Reservation, len(docs))
	for i, d := range docs {
		u, err := id.ParseUUID(d.Policy)
		if err != nil {
			return nil, fmt.Errorf("bunstore: reservations: %w", err)
		}
		out[i] = gate.Reservation{
			Key: policy.Key{Policy: id.Of[id.PolicyKind](u), Name: d.Name, Window: d.Window, Start: d.Start.UTC(), Unit: d.Unit}, Amount: d.Amount,
			Observed: d.Watch,
		}
		if d.Run == "" {
			continue
		}
		if u, err = id.ParseUUID(d.Run); err != nil {
			return nil, fmt.Errorf("bunstore: reservations: %w", err)
		}
		out[i].Key.Run = id.Of[id.SessionKind](u)
	}
	return out, nil
}

// nullText is NULL for no bytes.
func nullText(b []byte) sql.NullString { return sql.NullString{String: string(b), Valid: b != nil} }

func rawText(s sql.NullString) json.RawMessage {
	if !s.Valid {
		return nil
	}
	return json.RawMessage(s.String)
}

const actColumns = `id, act_key, args_hash, action, agent_id, session_id, run_id, tool_use_id, amount, currency, tokens, payee, category, description,
	tool, arguments, idempotent, rail, state, decision, approval_id, reserved, output, error, created_at, ended_at, cost`

func scanAct(tenant id.Tenant, row scanner) (gate.Record, error) {
	rec := gate.Record{Tenant: tenant}
	var amount nullAmount
	var cost sql.NullInt64
	var action, state string
	var decision []byte
	var arguments, reserved, output sql.NullString
	var created, ended stamp
	a := &rec.Act
	err := row.Scan(&rec.ID, &a.Key, &rec.ArgsHash, &action, &a.Agent, &a.Session, &a.Run, &a.ToolUse, &amount.micros, &amount.currency, &a.Tokens,
		&a.Payee, &a.Category, &a.Description, &a.Tool, &arguments, &a.Idempotent, &a.Rail, &state, &decision, &rec.Approval, &reserved, &output,
		&rec.Error, &created, &ended, &cost)
	if err != nil {
		return gate.Record{}, err
	}
	a.Action, a.Amount, a.Arguments = rule.Action(action), amount.amount(), rawText(arguments)
	rec.State, rec.Output = gate.State(state), rawText(output)
	rec.CreatedAt, rec.EndedAt, rec.Cost = created.Time(), ended.pointer(), picoOf(cost)
	if rec.Decision, err = decodeDecision(decision); err != nil {
		return gate.Record{}, err
	}
	rec.Reserved, err = decodeReserved(reserved)
	return rec, err
}

// payeeKey returns what policies tell the payee of an act by; nil for an act that pays nobody.
func payeeKey(a gate.Act) []byte {
	if a.Action != rule.ActionPayment && a.Action != rule.ActionTransfer {
		return nil
	}
	return []byte(policy.PayeeKey(a.Payee))
}

// Insert implements gate.Repository.
func (r *ActRepo) Insert(ctx context.Context, sc account.Scope, rec gate.Record) (fresh bool, err error) {
	decision, err := encodeDecision(rec.Decision)
	if err != nil {
		return false, err
	}
	reserved, err := encodeReserved(rec.Reserved)
	if err != nil {
		return false, err
	}
	a, amount := rec.Act, nullAmountOf(rec.Act.Amount)
	err = r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "INSERT INTO acts (tenant_id, payee_key, "+actColumns+`)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant_id, act_key) DO NOTHING`,
			sc.Tenant, nullText(payeeKey(a)), rec.ID, a.Key, rec.ArgsHash, string(a.Action), a.Agent, a.Session, a.Run, a.ToolUse, amount.micros, amount.currency, a.Tokens,
			a.Payee, a.Category, a.Description, a.Tool, nullText(a.Arguments), a.Idempotent, a.Rail, string(rec.State), decision, rec.Approval,
			reserved, nullText(rec.Output), rec.Error, at(rec.CreatedAt), stampOf(rec.EndedAt), pico(rec.Cost))
		n, err := affected(res, err)
		fresh = n == 1
		return err
	})
	return fresh, err
}

// Get implements gate.Repository.
func (r *ActRepo) Get(ctx context.Context, sc account.Scope, act id.Act) (gate.Record, error) {
	return r.get(ctx, sc, act, "")
}

// Lock implements gate.Repository.
func (r *ActRepo) Lock(ctx context.Context, sc account.Scope, act id.Act) (gate.Record, error) {
	return r.get(ctx, sc, act, r.s.forUpdate())
}

func (r *ActRepo) get(ctx context.Context, sc account.Scope, act id.Act, lock string) (gate.Record, error) {
	rec, err := scanAct(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+actColumns+" FROM acts WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, act))
	if errors.Is(err, sql.ErrNoRows) {
		return gate.Record{}, id.NotFound[id.ActKind](act.String())
	}
	return rec, mapErr(err)
}

// ByKey implements gate.Repository.
func (r *ActRepo) ByKey(ctx context.Context, sc account.Scope, key string) (gate.Record, bool, error) {
	rec, err := scanAct(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+actColumns+" FROM acts WHERE tenant_id = ? AND act_key = ?", sc.Tenant, key))
	if errors.Is(err, sql.ErrNoRows) {
		return gate.Record{}, false, nil
	}
	return rec, err == nil, mapErr(err)
}

// Update implements gate.Repository.
func (r *ActRepo) Update(ctx context.Context, sc account.Scope, rec gate.Record) error {
	decision, err := encodeDecision(rec.Decision)
	if err != nil {
		return err
	}
	reserved, err := encodeReserved(rec.Reserved)
	if err != nil {
		return err
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE acts SET state = ?, decision = ?, output = ?, error = ?, ended_at = ?, reserved = ?, cost = ?
			WHERE tenant_id = ? AND id = ?`,
			string(rec.State), decision, nullText(rec.Output), rec.Error, stampOf(rec.EndedAt), reserved, pico(rec.Cost), sc.Tenant, rec.ID)
		n, err := affected(res, err)
		if err == nil && n == 0 {
			return id.NotFound[id.ActKind](rec.ID.String())
		}
		return err
	})
}

// Unstarted implements gate.Repository.
func (r *ActRepo) Unstarted(ctx context.Context, sc account.Scope, f gate.Unstarted) ([]gate.Record, error) {
	cond, args := chosen(sc, f)
	return queryAll(ctx, r.s.read(ctx), func(row scanner) (gate.Record, error) { return scanAct(sc.Tenant, row) },
		"SELECT "+actColumns+" FROM acts WHERE state IN ('parked', 'ready') AND "+cond+" ORDER BY id", args...)
}

// InFlight implements gate.Repository.
func (r *ActRepo) InFlight(ctx context.Context, sc account.Scope, f gate.Unstarted) (n int, err error) {
	cond, args := chosen(sc, f)
	err = r.s.read(ctx).QueryRowContext(ctx, "SELECT count(*) FROM acts WHERE state = 'started' AND "+cond, args...).Scan(&n)
	return n, mapErr(err)
}

// chosen is the condition of the acts that f chooses.
func chosen(sc account.Scope, f gate.Unstarted) (cond string, args []any) {
	w := newWhere("tenant_id = ?", sc.Tenant)
	if !f.Agent.IsZero() {
		w.and("agent_id = ?", f.Agent)
	}
	if !f.Swarm.IsZero() {
		w.and("agent_id IN (SELECT id FROM agents WHERE tenant_id = ? AND swarm_id = ?)", sc.Tenant, f.Swarm)
	}
	if !f.Session.IsZero() {
		w.and("session_id = ?", f.Session)
	}
	return w.sql(), w.args
}
