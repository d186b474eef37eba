package bunstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/eval"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
)

// EvalRepo keeps evaluations. It implements eval.Repository and eval.Stalls.
type EvalRepo struct{ s *Store }

var (
	_ eval.Repository = (*EvalRepo)(nil)
	_ eval.Stalls     = (*EvalRepo)(nil)
)

// Evals returns the repository of evaluations.
func (s *Store) Evals() *EvalRepo { return &EvalRepo{s} }

// The stored forms of what a run's row holds as documents.
type (
	evalTaskDoc struct {
		ID       string         `json:"id"`
		Messages []string       `json:"messages"`
		Files    []evalFileDoc  `json:"files,omitempty"`
		Script   string         `json:"script,omitempty"`
		Timeout  time.Duration  `json:"timeout"` // nanoseconds
		Trials   int            `json:"trials"`
		Scorer   *evalScorerDoc `json:"scorer,omitempty"`
	}
	evalFileDoc struct {
		Path    string `json:"path"`
		Content []byte `json:"content"`
	}
	evalScorerDoc struct {
		Type       eval.ScorerType `json:"type"`
		Texts      []string        `json:"texts,omitempty"`
		IgnoreCase bool            `json:"ignore_case,omitempty"`
		Pattern    string          `json:"pattern,omitempty"`
		Schema     json.RawMessage `json:"schema,omitempty"`
		Tool       string          `json:"tool,omitempty"`
		Least      int             `json:"least,omitempty"`
		Cost       money.Pico      `json:"cost,omitempty"`
		Steps      int             `json:"steps,omitempty"`
		Rubric     string          `json:"rubric,omitempty"`
		Model      string          `json:"model,omitempty"`
		Script     string          `json:"script,omitempty"`
		Timeout    time.Duration   `json:"timeout,omitempty"`
		Parts      []evalScorerDoc `json:"parts,omitempty"`
		Weight     float64         `json:"weight,omitempty"`
		Threshold  float64         `json:"threshold,omitempty"`
	}
	evalCountsDoc struct {
		Trials    int `json:"trials"`
		Pending   int `json:"pending"`
		Running   int `json:"running"`
		Completed int `json:"completed"`
		Failed    int `json:"failed"`
		Cancelled int `json:"cancelled"`
		Passed    int `json:"passed"`
		Scored    int `json:"scored"`
	}
	evalResultDoc struct {
		Path   string          `json:"path"`
		Type   eval.ScorerType `json:"type"`
		Score  float64         `json:"score"`
		Passed bool            `json:"passed"`
		Reason string          `json:"reason"`
	}
)

func evalScorerDocOf(s eval.Scorer) evalScorerDoc {
	d := evalScorerDoc{
		Type: s.Type, Texts: s.Texts, IgnoreCase: s.IgnoreCase, Pattern: s.Pattern, Schema: s.Schema, Tool: s.Tool, Least: s.Least,
		Cost: s.Cost, Steps: s.Steps, Rubric: s.Rubric, Model: s.Model, Script: s.Script, Timeout: s.Timeout, Weight: s.Weight,
		Threshold: s.Threshold,
	}
	for _, p := range s.Parts {
		d.Parts = append(d.Parts, evalScorerDocOf(p))
	}
	return d
}

func (d evalScorerDoc) scorer() eval.Scorer {
	s := eval.Scorer{
		Type: d.Type, Texts: d.Texts, IgnoreCase: d.IgnoreCase, Pattern: d.Pattern, Schema: d.Schema, Tool: d.Tool, Least: d.Least,
		Cost: d.Cost, Steps: d.Steps, Rubric: d.Rubric, Model: d.Model, Script: d.Script, Timeout: d.Timeout, Weight: d.Weight,
		Threshold: d.Threshold,
	}
	for _, p := range d.Parts {
		s.Parts = append(s.Parts, p.scorer())
	}
	return s
}

func encodeTasks(tasks []eval.Task) (string, error) {
	docs := make([]evalTaskDoc, len(tasks))
	for i, t := range tasks {
		docs[i] = evalTaskDoc{ID: t.ID, Messages: t.Messages, Script: t.Script, Timeout: t.Timeout, Trials: t.Trials}
		for _, f := range t.Files {
			docs[i].Files = append(docs[i].Files, evalFileDoc{f.Path, []byte(f.Content)})
		}
		if t.Scorer != nil {
			d := evalScorerDocOf(*t.Scorer)
			docs[i].Scorer = &d
		}
	}
	b, err := json.Marshal(docs)
	if err != nil {
		return "", fmt.Errorf("bunstore: eval tasks: %w", err)
	}
	return string(b), nil
}

func decodeTasks(raw string) ([]eval.Task, error) {
	var docs []evalTaskDoc
	if err := json.Unmarshal([]byte(raw), &docs); err != nil {
		return nil, fmt.Errorf("bunstore: eval tasks: %w", err)
	}
	tasks := make([]eval.Task, len(docs))
	for i, d := range docs {
		tasks[i] = eval.Task{ID: d.ID, Messages: d.Messages, Script: d.Script, Timeout: d.Timeout, Trials: d.Trials}
		for _, f := range d.Files {
			tasks[i].Files = append(tasks[i].Files, eval.SetupFile{Path: f.Path, Content: string(f.Content)})
		}
		if d.Scorer != nil {
			s := d.Scorer.scorer()
			tasks[i].Scorer = &s
		}
	}
	return tasks, nil
}

// stampOrNull makes a stamp of a time that may not be there, and timeOrNil reads it.
func stampOrNull(t *time.Time) stamp {
	if t == nil {
		return stamp{}
	}
	return at(*t)
}

func (s stamp) timeOrNil() *time.Time {
	if s.IsZero() {
		return nil
	}
	t := s.Time()
	return &t
}

// Insert implements eval.Repository.
func (r *EvalRepo) Insert(ctx context.Context, sc account.Scope, v eval.Run, trials []eval.Trial) error {
	tasks, err := encodeTasks(v.Tasks)
	if err != nil {
		return err
	}
	counts, err := json.Marshal(evalCountsDoc(v.Counts))
	if err != nil {
		return fmt.Errorf("bunstore: eval counts: %w", err)
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		_, err := db.ExecContext(ctx, `INSERT INTO eval_runs (tenant_id, id, name, agent_id, agent_version, environment_id, tasks, status, error,
			counts, step, created_at, updated_at, started_at, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			sc.Tenant, v.ID, v.Name, v.Agent, v.AgentVersion, v.Environment, tasks, string(v.Status), v.Error, rawJSON(counts), v.Step,
			at(v.CreatedAt), at(v.UpdatedAt), stampOrNull(v.StartedAt), stampOrNull(v.EndedAt))
		if isUnique(err) {
			return eval.ErrExists.Wrap(err)
		}
		if err != nil {
			return mapErr(err)
		}
		const batch = 200
		for len(trials) > 0 {
			n := min(batch, len(trials))
			var args []any
			for _, t := range trials[:n] {
				args = append(args, sc.Tenant, v.ID, t.Task, t.Number, string(t.Status))
			}
			if _, err := db.ExecContext(ctx, "INSERT INTO eval_trials (tenant_id, run_id, task, number, status) VALUES (?, ?, ?, ?, ?)"+
				strings.Repeat(", (?, ?, ?, ?, ?)", n-1), args...); err != nil {
				return mapErr(err)
			}
			trials = trials[n:]
		}
		return nil
	})
}

const evalColumns = "id, name, agent_id, agent_version, environment_id, status, error, counts, step, created_at, updated_at, started_at, ended_at"

func scanEval(tenant id.Tenant, row scanner, more ...any) (eval.Run, error) {
	v := eval.Run{Tenant: tenant}
	var status string
	var counts rawJSON
	var created, updated, started, ended stamp
	if err := row.Scan(append([]any{
		&v.ID, &v.Name, &v.Agent, &v.AgentVersion, &v.Environment, &status, &v.Error, &counts, &v.Step, &created, &updated, &started, &ended,
	}, more...)...); err != nil {
		return eval.Run{}, err
	}
	var doc evalCountsDoc
	if err := json.Unmarshal(counts, &doc); err != nil {
		return eval.Run{}, fmt.Errorf("bunstore: eval counts: %w", err)
	}
	v.Status, v.Counts = eval.Status(status), eval.Counts(doc)
	v.CreatedAt, v.UpdatedAt, v.StartedAt, v.EndedAt = created.Time(), updated.Time(), started.timeOrNil(), ended.timeOrNil()
	return v, nil
}

// Get implements eval.Repository.
func (r *EvalRepo) Get(ctx context.Context, sc account.Scope, run id.EvalRun) (eval.Run, error) {
	return r.get(ctx, sc, run, "")
}

// Lock implements eval.Repository.
func (r *EvalRepo) Lock(ctx context.Context, sc account.Scope, run id.EvalRun) (eval.Run, error) {
	return r.get(ctx, sc, run, r.s.forUpdate())
}

func (r *EvalRepo) get(ctx context.Context, sc account.Scope, run id.EvalRun, lock string) (eval.Run, error) {
	var tasks string
	v, err := scanEval(sc.Tenant, r.s.read(ctx).QueryRowContext(ctx,
		"SELECT "+evalColumns+", tasks FROM eval_runs WHERE tenant_id = ? AND id = ?"+lock, sc.Tenant, run), &tasks)
	if errors.Is(err, sql.ErrNoRows) {
		return eval.Run{}, id.NotFound[id.EvalRunKind](run.String())
	}
	if err != nil {
		return eval.Run{}, mapErr(err)
	}
	v.Tasks, err = decodeTasks(tasks)
	return v, err
}

// List implements eval.Repository.
func (r *EvalRepo) List(ctx context.Context, sc account.Scope, req eval.ListRequest) (page.Page[eval.Run], error) {
	q, args := "SELECT "+evalColumns+" FROM eval_runs WHERE tenant_id = ?", []any{sc.Tenant}
	add := func(cond string, arg any) {
		q += " AND " + cond
		args = append(args, arg)
	}
	if req.Status != "" {
		add("status = ?", string(req.Status))
	}
	if !req.Agent.IsZero() {
		add("agent_id = ?", req.Agent)
	}
	if !req.Environment.IsZero() {
		add("environment_id = ?", req.Environment)
	}
	return newestFirst(ctx, r.s.read(ctx), req.Request, func(row scanner) (eval.Run, error) { return scanEval(sc.Tenant, row) },
		func(v eval.Run) id.EvalRun { return v.ID }, q, args...)
}

// Trials implements eval.Repository.
func (r *EvalRepo) Trials(ctx context.Context, sc account.Scope, run id.EvalRun, live bool) ([]eval.Trial, error) {
	q := `SELECT task, number, status, session_id, sent, score, passed, results, error, cost_picos, judge_picos, tokens, steps, tools, started_at,
		ended_at, busy_until FROM eval_trials WHERE tenant_id = ? AND run_id = ?`
	if live {
		q += " AND status IN ('pending', 'running')"
	}
	rows, err := r.s.read(ctx).QueryContext(ctx, q+" ORDER BY task, number", sc.Tenant, run)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []eval.Trial
	for rows.Next() {
		var t eval.Trial
		var status, results string
		var started, ended, busy stamp
		if err := rows.Scan(&t.Task, &t.Number, &status, &t.Session, &t.Sent, &t.Score, &t.Passed, &results, &t.Error, &t.Cost, &t.JudgeCost,
			&t.Tokens, &t.Steps, &t.Tools, &started, &ended, &busy); err != nil {
			return nil, mapErr(err)
		}
		var docs []evalResultDoc
		if err := json.Unmarshal([]byte(results), &docs); err != nil {
			return nil, fmt.Errorf("bunstore: eval results: %w", err)
		}
		for _, d := range docs {
			t.Results = append(t.Results, eval.Result(d))
		}
		t.Status, t.StartedAt, t.EndedAt = eval.Status(status), started.timeOrNil(), ended.timeOrNil()
		if until := busy.timeOrNil(); until != nil {
			t.BusyUntil = *until
		}
		out = append(out, t)
	}
	return out, mapErr(rows.Err())
}

// Save implements eval.Repository.
func (r *EvalRepo) Save(ctx context.Context, sc account.Scope, v eval.Run, trials []eval.Trial) error {
	counts, err := json.Marshal(evalCountsDoc(v.Counts))
	if err != nil {
		return fmt.Errorf("bunstore: eval counts: %w", err)
	}
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, `UPDATE eval_runs SET status = ?, error = ?, counts = ?, step = ?, updated_at = ?, started_at = ?,
			ended_at = ? WHERE tenant_id = ? AND id = ?`, string(v.Status), v.Error, rawJSON(counts), v.Step, at(v.UpdatedAt),
			stampOrNull(v.StartedAt), stampOrNull(v.EndedAt), sc.Tenant, v.ID)
		if err != nil {
			return mapErr(err)
		}
		if n, err := res.RowsAffected(); err == nil && n == 0 {
			return id.NotFound[id.EvalRunKind](v.ID.String())
		}
		for _, t := range trials {
			docs := make([]evalResultDoc, len(t.Results))
			for i, d := range t.Results {
				docs[i] = evalResultDoc(d)
			}
			results, err := json.Marshal(docs)
			if err != nil {
				return fmt.Errorf("bunstore: eval results: %w", err)
			}
			busy := stamp{}
			if !t.BusyUntil.IsZero() {
				busy = at(t.BusyUntil)
			}
			if _, err := db.ExecContext(ctx, `UPDATE eval_trials SET status = ?, session_id = ?, sent = ?, score = ?, passed = ?, results = ?,
				error = ?, cost_picos = ?, judge_picos = ?, tokens = ?, steps = ?, tools = ?, started_at = ?, ended_at = ?,
				busy_until = ? WHERE tenant_id = ? AND run_id = ? AND task = ? AND number = ?`,
				string(t.Status), t.Session, t.Sent, t.Score, t.Passed, string(results), t.Error, t.Cost, t.JudgeCost, t.Tokens, t.Steps, t.Tools,
				stampOrNull(t.StartedAt), stampOrNull(t.EndedAt), busy, sc.Tenant, v.ID, t.Task, t.Number); err != nil {
				return mapErr(err)
			}
		}
		return nil
	})
}

// Delete implements eval.Repository.
func (r *EvalRepo) Delete(ctx context.Context, sc account.Scope, run id.EvalRun) error {
	return r.s.write(ctx, func(ctx context.Context, db bun.IDB) error {
		res, err := db.ExecContext(ctx, "DELETE FROM eval_runs WHERE tenant_id = ? AND id = ?", sc.Tenant, run)
		if err != nil {
			return mapErr(err)
		}
		if n, err := res.RowsAffected(); err == nil && n == 0 {
			return id.NotFound[id.EvalRunKind](run.String())
		}
		_, err = db.ExecContext(ctx, "DELETE FROM eval_trials WHERE tenant_id = ? AND run_id = ?", sc.Tenant, run)
		return mapErr(err)
	})
}

// Stalled implements eval.Stalls.
func (r *EvalRepo) Stalled(ctx context.Context, before time.Time, limit int) ([]eval.Ref, error) {
	rows, err := r.s.read(ctx).QueryContext(ctx, `SELECT tenant_id, id, step FROM eval_runs
		WHERE status IN ('pending', 'running') AND updated_at < ? ORDER BY updated_at LIMIT ?`, at(before), limit)
	if err != nil {
		return nil, mapErr(err)
	}
	defer rows.Close()
	var out []eval.Ref
	for rows.Next() {
		var ref eval.Ref
		if err := rows.Scan(&ref.Tenant, &ref.Run, &ref.Step); err != nil {
			return nil, mapErr(err)
		}
		out = append(out, ref)
	}
	return out, mapErr(rows.Err())
}
