package native

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/bureau-agents/bureau/adapters/http/internal/httpx"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/eval"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// EvalWire is a run without its tasks. Its type is exported because others embed it.
type EvalWire struct {
	ID             string         `json:"id" doc:"evrun_..."`
	RunID          string         `json:"run_id" doc:"Another name of id."`
	Type           string         `json:"type" enum:"eval_run"`
	Name           *string        `json:"name"`
	AgentID        string         `json:"agent_id"`
	AgentVersion   int            `json:"agent_version" doc:"The version that every trial has, pinned when the run was made."`
	EnvironmentID  *string        `json:"environment_id"`
	Status         string         `json:"status" enum:"pending,running,completed,failed,cancelled" doc:"failed when none of the trials could be brought to its end."`
	Error          *string        `json:"error"`
	TaskCount      *int           `json:"task_count,omitempty" doc:"Not in lists."`
	CompletedCount int            `json:"completed_count" doc:"Trials that came to their end, passed or not."`
	FailedCount    int            `json:"failed_count" doc:"Trials that did not."`
	Trials         evalCountsWire `json:"trial_counts"`
	PassRate       *float64       `json:"pass_rate" doc:"Passed trials of those that were scored or failed; null before there are any."`
	CreatedAt      stamp          `json:"created_at"`
	UpdatedAt      stamp          `json:"updated_at"`
	StartedAt      *stamp         `json:"started_at"`
	EndedAt        *stamp         `json:"ended_at"`
}

type evalCountsWire struct {
	Total     int `json:"total"`
	Pending   int `json:"pending"`
	Running   int `json:"running"`
	Completed int `json:"completed"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Scored    int `json:"scored"`
	Passed    int `json:"passed"`
}

func showEval(r eval.Run) EvalWire {
	c := r.Counts
	w := EvalWire{
		ID: r.ID.String(), RunID: r.ID.String(), Type: "eval_run", Name: textOrNull(r.Name), AgentID: r.Agent.String(), AgentVersion: r.AgentVersion,
		EnvironmentID: textOrNull(r.Environment.String()), Status: string(r.Status), Error: textOrNull(r.Error),
		CompletedCount: c.Completed, FailedCount: c.Failed,
		Trials:    evalCountsWire{c.Trials, c.Pending, c.Running, c.Completed, c.Failed, c.Cancelled, c.Scored, c.Passed},
		CreatedAt: stampOf(r.CreatedAt), UpdatedAt: stampOf(r.UpdatedAt), StartedAt: stampPtr(r.StartedAt), EndedAt: stampPtr(r.EndedAt),
	}
	if n := c.Scored + c.Failed; c.Scored > 0 {
		rate := float64(c.Passed) / float64(n)
		w.PassRate = &rate
	}
	if r.Tasks != nil {
		n := len(r.Tasks)
		w.TaskCount = &n
	}
	return w
}

// evalDetailWire is a run with its tasks and their trials.
type evalDetailWire struct {
	EvalWire
	Tasks   []evalTaskWire  `json:"tasks" nullable:"false"`
	Summary evalSummaryWire `json:"summary"`
}

type evalTaskWire struct {
	ID         string          `json:"id"`
	Status     string          `json:"status" enum:"pending,running,completed,failed,cancelled"`
	Spec       evalTaskSpec    `json:"spec"`
	TrialTotal int             `json:"trial_total"`
	Summary    evalSummaryWire `json:"summary"`
	Trials     []evalTrialWire `json:"trials" nullable:"false"`
}

// evalTaskSpec is a task as it was given, with defaults written out.
type evalTaskSpec struct {
	ID          string          `json:"id"`
	Messages    []string        `json:"messages" nullable:"false"`
	SetupFiles  []evalFileWire  `json:"setup_files" nullable:"false"`
	SetupScript *string         `json:"setup_script"`
	TimeoutMS   int64           `json:"timeout_ms"`
	Trials      int             `json:"trials"`
	Scorer      *evalScorerWire `json:"scorer"`
}

type evalFileWire struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// evalScorerWire is a scorer; the fields that do not belong to its type are left out.
type evalScorerWire struct {
	Type       string           `json:"type"`
	Texts      []string         `json:"texts,omitempty"`
	IgnoreCase bool             `json:"ignore_case,omitempty"`
	Pattern    string           `json:"pattern,omitempty"`
	Schema     json.RawMessage  `json:"schema,omitempty"`
	Tool       string           `json:"tool,omitempty"`
	Min        int              `json:"min,omitempty"`
	Amount     string           `json:"amount,omitempty"`
	Steps      int              `json:"steps,omitempty"`
	Rubric     string           `json:"rubric,omitempty"`
	Model      string           `json:"model,omitempty"`
	Script     string           `json:"script,omitempty"`
	TimeoutMS  int64            `json:"timeout_ms,omitempty"`
	Scorers    []evalScorerWire `json:"scorers,omitempty"`
	Weight     float64          `json:"weight,omitempty"`
	Threshold  float64          `json:"threshold,omitempty"`
}

type evalTrialWire struct {
	TrialIndex  int              `json:"trial_index" doc:"From 0."`
	Status      string           `json:"status" enum:"pending,running,completed,failed,cancelled"`
	SessionID   *string          `json:"session_id" doc:"The conversation; archived when the trial has ended."`
	Passed      *bool            `json:"passed" doc:"null without a scorer, and before the end."`
	Score       *float64         `json:"score" doc:"From 0 to 1."`
	Results     []evalResultWire `json:"results" nullable:"false" doc:"What the scorer found, and below it what those found that it is made of."`
	Error       *string          `json:"error" doc:"Why the trial failed."`
	Cost        *string          `json:"cost" doc:"Of the session's model calls, in dollars; null when not known."`
	JudgeCost   *string          `json:"judge_cost" doc:"Of the models that judged, in dollars; null when not known, or none did."`
	TotalTokens int64            `json:"total_tokens"`
	Steps       int              `json:"steps" doc:"Model calls of the session."`
	ToolUses    int              `json:"tool_uses"`
	DurationMS  *int64           `json:"duration_ms"`
	StartedAt   *stamp           `json:"started_at"`
	EndedAt     *stamp           `json:"ended_at"`
}

type evalResultWire struct {
	Path   string  `json:"path" doc:"Which scorer: scorer, scorer.scorers[1]."`
	Type   string  `json:"type"`
	Score  float64 `json:"score"`
	Passed bool    `json:"passed"`
	Reason string  `json:"reason"`
}

// evalSummaryWire sums up trials. Means are null when there is nothing to take them of.
type evalSummaryWire struct {
	Trials       int      `json:"trials"`
	Completed    int      `json:"completed"`
	Failed       int      `json:"failed"`
	Passed       int      `json:"passed"`
	PassRate     *float64 `json:"pass_rate"`
	MeanScore    *float64 `json:"mean_score"`
	MeanCost     *float64 `json:"mean_cost" doc:"In dollars."`
	MeanSteps    *float64 `json:"mean_steps"`
	MeanDuration *float64 `json:"mean_duration_seconds"`
}

func showSummary(s eval.Summary) evalSummaryWire {
	return evalSummaryWire{s.Trials, s.Completed, s.Failed, s.Passed, s.PassRate, s.Score, s.Cost, s.Steps, s.Seconds}
}

func showScorer(s eval.Scorer) evalScorerWire {
	w := evalScorerWire{
		Type: string(s.Type), Texts: s.Texts, IgnoreCase: s.IgnoreCase, Pattern: s.Pattern, Schema: s.Schema, Tool: s.Tool, Min: s.Least,
		Steps: s.Steps, Rubric: s.Rubric, Model: s.Model, Script: s.Script, TimeoutMS: s.Timeout.Milliseconds(), Weight: s.Weight,
		Threshold: s.Threshold,
	}
	if s.Type == eval.MaxCost {
		w.Amount = s.Cost.Dollars()
	}
	for _, p := range s.Parts {
		w.Scorers = append(w.Scorers, showScorer(p))
	}
	return w
}

func showEvalDetail(r eval.Run, trials []eval.Trial, now time.Time) evalDetailWire {
	w := evalDetailWire{EvalWire: showEval(r), Tasks: make([]evalTaskWire, len(r.Tasks)), Summary: showSummary(eval.Summarize(trials))}
	split := make([][]eval.Trial, len(r.Tasks))
	for _, t := range trials {
		split[t.Task] = append(split[t.Task], t)
	}
	for i, t := range r.Tasks {
		spec := evalTaskSpec{
			ID: t.ID, Messages: t.Messages, SetupFiles: []evalFileWire{}, SetupScript: textOrNull(t.Script), TimeoutMS: t.Timeout.Milliseconds(),
			Trials: t.Trials,
		}
		for _, f := range t.Files {
			spec.SetupFiles = append(spec.SetupFiles, evalFileWire(f))
		}
		if t.Scorer != nil {
			s := showScorer(*t.Scorer)
			spec.Scorer = &s
		}
		w.Tasks[i] = evalTaskWire{
			ID: t.ID, Status: string(taskStatus(split[i])), Spec: spec, TrialTotal: t.Trials, Summary: showSummary(eval.Summarize(split[i])),
			Trials: []evalTrialWire{},
		}
		for _, v := range split[i] {
			w.Tasks[i].Trials = append(w.Tasks[i].Trials, showTrial(v, now))
		}
	}
	return w
}

// taskStatus is what the statuses of a task's trials come to.
func taskStatus(trials []eval.Trial) eval.Status {
	n := map[eval.Status]int{}
	for _, t := range trials {
		n[t.Status]++
	}
	switch {
	case n[eval.Pending] == len(trials):
		return eval.Pending
	case n[eval.Pending]+n[eval.Running] > 0:
		return eval.Running
	case n[eval.Cancelled] > 0:
		return eval.Cancelled
	case n[eval.Completed] > 0:
		return eval.Completed
	}
	return eval.Failed
}

func showTrial(t eval.Trial, now time.Time) evalTrialWire {
	w := evalTrialWire{
		TrialIndex: t.Number, Status: string(t.Status), SessionID: textOrNull(t.Session.String()), Passed: t.Passed, Score: t.Score,
		Results: []evalResultWire{}, Error: textOrNull(t.Error), Cost: dollarsPtr(t.Cost), JudgeCost: dollarsPtr(t.JudgeCost), TotalTokens: t.Tokens,
		Steps: t.Steps, ToolUses: t.Tools, StartedAt: stampPtr(t.StartedAt), EndedAt: stampPtr(t.EndedAt),
	}
	for _, r := range t.Results {
		w.Results = append(w.Results, evalResultWire{r.Path, string(r.Type), r.Score, r.Passed, r.Reason})
	}
	if t.StartedAt != nil {
		ms := t.Duration(now).Milliseconds()
		w.DurationMS = &ms
	}
	return w
}

func dollarsPtr(p *money.Pico) *string {
	if p == nil {
		return nil
	}
	return textOrNull(p.Dollars())
}

// comparisonWire compares a run with another one.
type comparisonWire struct {
	Type         string               `json:"type" enum:"eval_comparison"`
	Base         comparedRunWire      `json:"base"`
	Other        comparedRunWire      `json:"other" doc:"The run that with names."`
	Improvements int                  `json:"improvements"`
	Regressions  int                  `json:"regressions"`
	Tasks        []comparisonTaskWire `json:"tasks" nullable:"false"`
}

type comparedRunWire struct {
	EvalWire
	Summary evalSummaryWire `json:"summary"`
}

type comparisonTaskWire struct {
	ID      string           `json:"id"`
	Verdict string           `json:"verdict" enum:"improvement,regression,unchanged,only_base,only_other,unknown" doc:"By the pass rate, then by the score."`
	Base    *evalSummaryWire `json:"base"`
	Other   *evalSummaryWire `json:"other"`
	Delta   *evalDeltaWire   `json:"delta" doc:"Other minus base; null when one does not have the task."`
}

type evalDeltaWire struct {
	PassRate *float64 `json:"pass_rate"`
	Score    *float64 `json:"score"`
	Cost     *float64 `json:"cost" doc:"In dollars."`
	Steps    *float64 `json:"steps"`
	Duration *float64 `json:"duration_seconds"`
}

func showComparison(c eval.Comparison) comparisonWire {
	w := comparisonWire{
		Type: "eval_comparison", Base: comparedRunWire{showEval(c.Base), showSummary(c.BaseTotal)},
		Other: comparedRunWire{showEval(c.Other), showSummary(c.OtherTotal)}, Improvements: c.Improvements, Regressions: c.Worsening,
		Tasks: []comparisonTaskWire{},
	}
	for _, t := range c.Tasks {
		tw := comparisonTaskWire{ID: t.Task, Verdict: string(t.Verdict)}
		if t.Base != nil {
			s := showSummary(*t.Base)
			tw.Base = &s
		}
		if t.Other != nil {
			s := showSummary(*t.Other)
			tw.Other = &s
		}
		if t.Base != nil && t.Other != nil {
			tw.Delta = &evalDeltaWire{
				minus(t.Other.PassRate, t.Base.PassRate), minus(t.Other.Score, t.Base.Score), minus(t.Other.Cost, t.Base.Cost),
				minus(t.Other.Steps, t.Base.Steps), minus(t.Other.Seconds, t.Base.Seconds),
			}
		}
		w.Tasks = append(w.Tasks, tw)
	}
	return w
}

func minus(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	d := *a - *b
	return &d
}

// evalScorerParam is a scorer in a body, in this API's words or as an OMA reward. The service refuses what does not fit the type.
type evalScorerParam struct {
	Type       string            `json:"type"`
	Text       string            `json:"text"`
	Texts      []string          `json:"texts"`
	Values     []string          `json:"values"`
	Expected   string            `json:"expected"`
	IgnoreCase bool              `json:"ignore_case"`
	Pattern    string            `json:"pattern"`
	Schema     json.RawMessage   `json:"schema"`
	Tool       string            `json:"tool"`
	Min        int               `json:"min"`
	Amount     string            `json:"amount"`
	Steps      int               `json:"steps"`
	Rubric     string            `json:"rubric"`
	Prompt     string            `json:"prompt"`
	Model      string            `json:"model"`
	Script     string            `json:"script"`
	TimeoutMS  int64             `json:"timeout_ms"`
	Scorers    []json.RawMessage `json:"scorers"`
	Rewards    []json.RawMessage `json:"rewards"`
	Components []json.RawMessage `json:"components"`
	Weight     *float64          `json:"weight"`
	Threshold  *float64          `json:"threshold"`
}

// maxScorerNesting keeps bodies from nesting scorers without end before the service looks at them.
const maxScorerNesting = 8

func readScorer(raw json.RawMessage, path string, depth int) (eval.Scorer, error) {
	if depth > maxScorerNesting {
		return eval.Scorer{}, fault.Invalidf(path, "is too deep: at most %d levels are allowed", eval.MaxScorerDepth)
	}
	var p evalScorerParam
	if err := json.Unmarshal(raw, &p); err != nil || len(raw) == 0 || raw[0] != '{' {
		return eval.Scorer{}, fault.Invalidf(path, "must be an object with a type and the fields of that type")
	}
	s := eval.Scorer{
		Type: eval.ScorerType(p.Type), Texts: p.Texts, IgnoreCase: p.IgnoreCase, Pattern: p.Pattern, Schema: p.Schema, Tool: p.Tool, Least: p.Min,
		Steps: p.Steps, Rubric: cmp.Or(p.Rubric, p.Prompt), Model: p.Model, Script: p.Script,
	}
	if s.Texts == nil {
		s.Texts = p.Values
	}
	if text := cmp.Or(p.Text, p.Expected); text != "" {
		s.Texts = append(s.Texts, text)
	}
	const most = int64(10 * time.Minute / time.Millisecond)
	if p.TimeoutMS < 0 || p.TimeoutMS > most {
		return eval.Scorer{}, fault.Invalidf(path+".timeout_ms", "must be 1 to %d", most)
	}
	s.Timeout = time.Duration(p.TimeoutMS) * time.Millisecond
	for field, v := range map[string]*float64{"weight": p.Weight, "threshold": p.Threshold} {
		if v != nil && *v <= 0 {
			return eval.Scorer{}, fault.Invalidf(path+"."+field, "must be above 0")
		}
	}
	if p.Weight != nil {
		s.Weight = *p.Weight
	}
	if p.Threshold != nil {
		s.Threshold = *p.Threshold
	}
	parts := p.Scorers
	// The rewards of OMA, as far as they say something that a scorer can.
	switch p.Type {
	case "verifiable":
		switch {
		case s.Script != "":
			s.Type = eval.Script
		case s.Pattern != "":
			s.Type = eval.Regex
		case len(s.Schema) > 0:
			s.Type = eval.JSONSchema
		case len(s.Texts) > 0:
			s.Type = eval.Includes
		default:
			return eval.Scorer{}, fault.Invalidf(path, "a verifiable reward needs expected, pattern, schema or script")
		}
	case "reward_model":
		s.Type = eval.Judge
	case "composite":
		s.Type = eval.Weighted
		if parts == nil {
			parts = p.Rewards
		}
		if parts == nil {
			parts = p.Components
		}
	}
	if s.Type == eval.MaxCost {
		cost, err := money.ParsePico(p.Amount)
		if err != nil || cost < 0 {
			return eval.Scorer{}, fault.Invalidf(path+".amount", "must be an amount of dollars, such as \"0.05\"")
		}
		s.Cost = cost
	}
	if len(parts) > eval.MaxScorers {
		return eval.Scorer{}, fault.Invalidf(path+".scorers", "has %d entries; at most %d are allowed", len(parts), eval.MaxScorers)
	}
	for i, raw := range parts {
		part, err := readScorer(raw, fmt.Sprintf("%s.scorers[%d]", path, i), depth+1)
		if err != nil {
			return eval.Scorer{}, err
		}
		s.Parts = append(s.Parts, part)
	}
	return s, nil
}

// scorerParam is a scorer in a body. Its members are documented in words, since they follow from its type.
type scorerParam json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (p *scorerParam) UnmarshalJSON(b []byte) error {
	*p = append((*p)[:0], b...)
	return nil
}

// Schema implements huma.SchemaProvider.
func (scorerParam) Schema(huma.Registry) *huma.Schema {
	return told(map[string]any{"type": []any{"object", "null"}, "required": []any{"type"}, "properties": map[string]any{
		"type": map[string]any{"type": "string", "enum": []any{
			"includes", "regex", "json_schema", "tool_used", "tool_not_used", "max_cost", "max_steps", "judge", "script", "all", "any", "weighted",
			"verifiable", "reward_model", "composite",
		}},
	}}, "How a trial is scored. `includes` {texts, ignore_case}, `regex` {pattern}, `json_schema` {schema}: of the last answer. `tool_used` "+
		"{tool, min}, `tool_not_used` {tool}, `max_cost` {amount in dollars}, `max_steps` {steps}: of the session. `judge` {rubric, model, "+
		"threshold}: a model's. `script` {script, timeout_ms, threshold}: a program's in the session's sandbox. `all`, `any`, `weighted` {scorers, "+
		"threshold}, with a weight in each part of the last. `verifiable` {expected, pattern, schema or script}, `reward_model` {rubric, model} and "+
		"`composite` {rewards} are other words for these.")
}

type evalTaskParam struct {
	ID          string                   `json:"id" minLength:"1" maxLength:"128" doc:"Unique in the run; what runs are compared by."`
	Messages    []string                 `json:"messages" minItems:"1" maxItems:"50" nullable:"false" doc:"Sent one after the other, as turns end."`
	SetupFiles  []evalSetupFile          `json:"setup_files,omitempty" maxItems:"50" doc:"Written into the sandbox before the first message."`
	SetupScript string                   `json:"setup_script,omitempty" maxLength:"65536" doc:"Run in the sandbox after that; a failure fails the trial."`
	TimeoutMS   int64                    `json:"timeout_ms,omitempty" minimum:"1000" maximum:"7200000" doc:"Of a trial; 600000 when left out."`
	Trials      int                      `json:"trials,omitempty" minimum:"1" maximum:"20" doc:"1 when left out."`
	Scorer      scorerParam              `json:"scorer,omitempty"`
	Reward      scorerParam              `json:"reward,omitempty"`
	Scorers     httpx.Opt[[]scorerParam] `json:"scorers,omitempty" maxItems:"20" doc:"Several scorers, all of which must pass."`
}

type evalSetupFile struct {
	Path    string `json:"path" minLength:"1" maxLength:"1024" doc:"Absolute, or below /workspace."`
	Content string `json:"content"`
}

type createEvalInput struct {
	Body struct {
		AgentID       string          `json:"agent_id"`
		AgentVersion  int             `json:"agent_version,omitempty" minimum:"1" doc:"The current one when left out."`
		EnvironmentID string          `json:"environment_id,omitempty"`
		Name          string          `json:"name,omitempty" maxLength:"256"`
		Tasks         []evalTaskParam `json:"tasks" minItems:"1" maxItems:"200" nullable:"false"`
	}
}

func (p scorerParam) isGiven() bool { return len(p) > 0 && string(p) != "null" }

func (p evalTaskParam) read(path string) (eval.Task, error) {
	t := eval.Task{
		ID: p.ID, Messages: p.Messages, Script: p.SetupScript, Timeout: time.Duration(p.TimeoutMS) * time.Millisecond, Trials: p.Trials,
	}
	for _, f := range p.SetupFiles {
		t.Files = append(t.Files, eval.SetupFile(f))
	}
	ways := 0
	for _, is := range []bool{p.Scorer.isGiven(), p.Reward.isGiven(), len(p.Scorers.Value) > 0} {
		if is {
			ways++
		}
	}
	if ways > 1 {
		return eval.Task{}, fault.Invalidf(path+".scorer", "only one of scorer, reward and scorers can be given")
	}
	for name, raw := range map[string]scorerParam{"scorer": p.Scorer, "reward": p.Reward} {
		if !raw.isGiven() {
			continue
		}
		s, err := readScorer(json.RawMessage(raw), path+"."+name, 1)
		if err != nil {
			return eval.Task{}, err
		}
		t.Scorer = &s
	}
	if len(p.Scorers.Value) > 0 {
		all := eval.Scorer{Type: eval.All}
		for i, raw := range p.Scorers.Value {
			s, err := readScorer(json.RawMessage(raw), fmt.Sprintf("%s.scorers[%d]", path, i), 2)
			if err != nil {
				return eval.Task{}, err
			}
			all.Parts = append(all.Parts, s)
		}
		t.Scorer = &all
	}
	return t, nil
}

func (in *createEvalInput) read() (eval.CreateRequest, error) {
	b := in.Body
	req := eval.CreateRequest{Name: b.Name, AgentVersion: b.AgentVersion}
	var err error
	if req.Agent, err = id.Parse[id.AgentKind](b.AgentID); err != nil {
		return eval.CreateRequest{}, err
	}
	if b.EnvironmentID != "" {
		if req.Environment, err = id.Parse[id.EnvironmentKind](b.EnvironmentID); err != nil {
			return eval.CreateRequest{}, err
		}
	}
	for i, p := range b.Tasks {
		t, err := p.read(fmt.Sprintf("tasks[%d]", i))
		if err != nil {
			return eval.CreateRequest{}, err
		}
		req.Tasks = append(req.Tasks, t)
	}
	return req, nil
}

type listEvalsInput struct {
	httpx.PageQuery
	Status        string `query:"status" enum:"pending,running,completed,failed,cancelled" doc:"Runs in this status."`
	AgentID       string `query:"agent_id" doc:"Runs of this agent."`
	EnvironmentID string `query:"environment_id" doc:"Runs in this environment."`
}

// EvalInput names a run.
type EvalInput struct {
	EvalID string `path:"eval_id" doc:"The run's id."`
}

type compareEvalsInput struct {
	EvalID string `path:"eval_id" doc:"The run that is the base."`
	With   string `query:"with" minLength:"1" doc:"The run that it is compared with. Required."`
}

func (f *face) registerEvals() {
	for suffix, path := range map[string]string{"": "/v1/evals", "Run": "/v1/evals/runs"} {
		httpx.Register(f.Face, httpx.Op{
			ID: "createEval" + suffix, Method: http.MethodPost, Path: path, Tag: "evals", Status: http.StatusCreated, Summary: "Start an evaluation",
			Example: `{"agent_id":"agent_01h...","tasks":[{"id":"sum","messages":["What is 17 * 23?"],"trials":3,` +
				`"scorer":{"type":"all","scorers":[{"type":"includes","texts":["391"]},{"type":"tool_used","tool":"calculator"}]}}]}`,
			Description: "Each trial of a task is a session with the agent's version, in which the messages are sent one after the other. The run goes " +
				"on in the background, four trials at a time, also when the server is restarted: read it to see how far it is.",
			Permission: account.EvalsWrite,
		}, func(ctx context.Context, in *createEvalInput) (*output[EvalWire], error) {
			req, err := in.read()
			if err != nil {
				return nil, err
			}
			r, err := f.deps.Evals.Create(ctx, httpx.Scope(ctx), req)
			if err != nil {
				return nil, err
			}
			return ok(showEval(r)), nil
		})

		httpx.Register(f.Face, httpx.Op{
			ID: "listEval" + suffix + "s", Method: http.MethodGet, Path: path, Tag: "evals", Summary: "List evaluations, newest first",
			Permission: account.EvalsRead,
		}, f.listEvals)
	}

	for suffix, path := range map[string]string{"": "/v1/evals/{eval_id}", "Run": "/v1/evals/runs/{eval_id}"} {
		httpx.Register(f.Face, httpx.Op{
			ID: "getEval" + suffix, Method: http.MethodGet, Path: path, Tag: "evals", Summary: "Read an evaluation with its results",
			Permission: account.EvalsRead,
		}, f.getEval)

		httpx.Register(f.Face, httpx.Op{
			ID: "cancelEval" + suffix, Method: http.MethodPost, Path: path + "/cancel", Tag: "evals", Summary: "Cancel an evaluation",
			Description: "Trials that have not ended are cancelled and their sessions stopped. What is there of results stays. 409 when it has ended.",
			Permission:  account.EvalsWrite,
		}, f.cancelEval)

		httpx.Register(f.Face, httpx.Op{
			ID: "compareEval" + suffix + "s", Method: http.MethodGet, Path: path + "/compare", Tag: "evals", Summary: "Compare two evaluations",
			Description: "Task by task, by their ids. The run in the path is the base; a task has improved when it passes more often in the other, or " +
				"as often with a higher score.",
			Permission: account.EvalsRead, Yields: suffix == "", // /v1/evals/runs/compare would be this as well as a run called compare
		}, f.compareEvals)

		httpx.Register(f.Face, httpx.Op{
			ID: "deleteEval" + suffix, Method: http.MethodDelete, Path: path, Tag: "evals", Summary: "Delete an evaluation",
			Description: "One that goes on is cancelled first. The sessions of its trials stay, archived.", Permission: account.EvalsWrite,
		}, f.deleteEval)
	}
}

func (f *face) listEvals(ctx context.Context, in *listEvalsInput) (*output[httpx.List[EvalWire]], error) {
	req := eval.ListRequest{Request: in.Request(), Status: eval.Status(in.Status)}
	var err error
	if in.AgentID != "" {
		if req.Agent, err = id.Parse[id.AgentKind](in.AgentID); err != nil {
			return nil, err
		}
	}
	if in.EnvironmentID != "" {
		if req.Environment, err = id.Parse[id.EnvironmentKind](in.EnvironmentID); err != nil {
			return nil, err
		}
	}
	p, err := f.deps.Evals.List(ctx, httpx.Scope(ctx), req)
	if err != nil {
		return nil, err
	}
	return ok(httpx.NewList(p, showEval)), nil
}

func (f *face) getEval(ctx context.Context, in *EvalInput) (*output[evalDetailWire], error) {
	run, err := id.Parse[id.EvalRunKind](in.EvalID)
	if err != nil {
		return nil, err
	}
	r, trials, err := f.deps.Evals.Trials(ctx, httpx.Scope(ctx), run)
	if err != nil {
		return nil, err
	}
	return ok(showEvalDetail(r, trials, f.deps.Clock.Now())), nil
}

func (f *face) cancelEval(ctx context.Context, in *EvalInput) (*output[EvalWire], error) {
	run, err := id.Parse[id.EvalRunKind](in.EvalID)
	if err != nil {
		return nil, err
	}
	r, err := f.deps.Evals.Cancel(ctx, httpx.Scope(ctx), run)
	if err != nil {
		return nil, err
	}
	return ok(showEval(r)), nil
}

func (f *face) compareEvals(ctx context.Context, in *compareEvalsInput) (*output[comparisonWire], error) {
	base, err := id.Parse[id.EvalRunKind](in.EvalID)
	if err != nil {
		return nil, err
	}
	if _, err := f.deps.Evals.Get(ctx, httpx.Scope(ctx), base); err != nil {
		return nil, err
	}
	if in.With == "" {
		return nil, fault.Invalidf("query.with", "is required")
	}
	other, err := id.Parse[id.EvalRunKind](in.With)
	if err != nil {
		return nil, err
	}
	c, err := f.deps.Evals.Compare(ctx, httpx.Scope(ctx), base, other)
	if err != nil {
		return nil, err
	}
	return ok(showComparison(c)), nil
}

func (f *face) deleteEval(ctx context.Context, in *EvalInput) (*output[httpx.Deleted], error) {
	run, err := id.Parse[id.EvalRunKind](in.EvalID)
	if err != nil {
		return nil, err
	}
	if err := f.deps.Evals.Delete(ctx, httpx.Scope(ctx), run); err != nil {
		return nil, err
	}
	return ok(httpx.Deleted{ID: run.String(), Type: "eval_run_deleted"}), nil
}
