package eval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/money"
)

func TestScorers(t *testing.T) {
	t.Parallel()
	cost := money.Pico(50)
	e := Evidence{Answer: "The answer is 391.\n```json\n{\"n\": 391}\n```", Tools: map[string]int{"calculator": 2}, Steps: 3, Cost: &cost}
	judged := 0
	x := &examiner{
		judge: func(_ context.Context, s Scorer, _ Evidence) (float64, string, *money.Pico, error) {
			judged++
			if s.Rubric == "broken" {
				return 0, "", nil, errVerdict
			}
			return 0.6, "fair", &cost, nil
		},
		script: func(_ context.Context, s Scorer) (string, bool, error) {
			return s.Script, !strings.Contains(s.Script, "fail"), nil
		},
	}
	yes, no := Scorer{Type: Includes, Texts: []string{"391"}}, Scorer{Type: Includes, Texts: []string{"five"}}
	weigh := func(s Scorer, w float64) Scorer { s.Weight = w; return s }
	schema := json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`)
	for name, c := range map[string]struct {
		s      Scorer
		score  float64
		passed bool
	}{
		"includes":          {yes, 1, true},
		"includes all":      {Scorer{Type: Includes, Texts: []string{"391", "five"}}, 0, false},
		"includes case":     {Scorer{Type: Includes, Texts: []string{"THE"}}, 0, false},
		"ignores case":      {Scorer{Type: Includes, Texts: []string{"THE"}, IgnoreCase: true}, 1, true},
		"regex":             {Scorer{Type: Regex, Pattern: `is \d+\.`}, 1, true},
		"no match":          {Scorer{Type: Regex, Pattern: `^\d+$`}, 0, false},
		"schema":            {Scorer{Type: JSONSchema, Schema: schema}, 1, true},
		"other schema":      {Scorer{Type: JSONSchema, Schema: json.RawMessage(`{"required":["m"]}`)}, 0, false},
		"tool":              {Scorer{Type: ToolUsed, Tool: "calculator"}, 1, true},
		"tool twice":        {Scorer{Type: ToolUsed, Tool: "calculator", Least: 2}, 1, true},
		"tool thrice":       {Scorer{Type: ToolUsed, Tool: "calculator", Least: 3}, 0, false},
		"no tool":           {Scorer{Type: ToolNotUsed, Tool: "pay"}, 1, true},
		"a tool":            {Scorer{Type: ToolNotUsed, Tool: "calculator"}, 0, false},
		"cost":              {Scorer{Type: MaxCost, Cost: 50}, 1, true},
		"too dear":          {Scorer{Type: MaxCost, Cost: 49}, 0, false},
		"steps":             {Scorer{Type: MaxSteps, Steps: 3}, 1, true},
		"too many steps":    {Scorer{Type: MaxSteps, Steps: 2}, 0, false},
		"judge":             {Scorer{Type: Judge}, 0.6, true},
		"a strict judge":    {Scorer{Type: Judge, Threshold: 0.7}, 0.6, false},
		"script":            {Scorer{Type: Script, Script: "ok"}, 1, true},
		"script's score":    {Scorer{Type: Script, Script: "thinking\n0.4"}, 0.4, false},
		"script's pass":     {Scorer{Type: Script, Script: "0.4", Threshold: 0.4}, 0.4, true},
		"script fails":      {Scorer{Type: Script, Script: "fail\n0.9"}, 0, false},
		"no score":          {Scorer{Type: Script, Script: "17"}, 1, true},
		"all":               {Scorer{Type: All, Parts: []Scorer{yes, {Type: Judge}}}, 0.6, true},
		"not all":           {Scorer{Type: All, Parts: []Scorer{yes, no}}, 0, false},
		"any":               {Scorer{Type: Any, Parts: []Scorer{no, yes}}, 1, true},
		"none":              {Scorer{Type: Any, Parts: []Scorer{no, no}}, 0, false},
		"weighted":          {Scorer{Type: Weighted, Parts: []Scorer{weigh(yes, 3), no}}, 0.75, true},
		"weighted too low":  {Scorer{Type: Weighted, Threshold: 0.8, Parts: []Scorer{weigh(yes, 3), no}}, 0.75, false},
		"weighted just so":  {Scorer{Type: Weighted, Threshold: 0.3, Parts: []Scorer{weigh(yes, 0.3), weigh(no, 0.7)}}, 0.3, true},
		"unknown cost":      {Scorer{Type: Any, Parts: []Scorer{{Type: All, Parts: []Scorer{no}}, {Type: Any, Parts: []Scorer{yes}}}}, 1, true},
		"an unknown scorer": {Scorer{Type: "luck"}, 0, false},
	} {
		got, err := x.score(t.Context(), c.s, "scorer", e)
		if err != nil || math.Abs(got[0].Score-c.score) > 1e-9 || got[0].Passed != c.passed || got[0].Reason == "" || got[0].Path != "scorer" {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if judged != 3 || x.cost != 150 || !x.judged || x.unknown {
		t.Errorf("judged %d times for %d", judged, x.cost)
	}
	e.Cost = nil
	if got, _ := x.score(t.Context(), Scorer{Type: MaxCost, Cost: 1}, "scorer", e); got[0].Passed {
		t.Error("an unknown cost is within a limit")
	}
	if _, err := x.score(t.Context(), Scorer{Type: All, Parts: []Scorer{{Type: Judge, Rubric: "broken"}}}, "scorer", e); !errors.Is(err, errVerdict) ||
		!strings.HasPrefix(err.Error(), "scorer.scorers[0]: ") {
		t.Errorf("a judge without a verdict: %v", err)
	}
}

// A schema may ask for more work than any machine does in a lifetime.
func TestDearSchema(t *testing.T) {
	t.Parallel()
	schema := `{"$ref":"#/$defs/d0","$defs":{`
	for i := range 40 {
		schema += fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	s := Scorer{Type: JSONSchema, Schema: json.RawMessage(schema + `"d40":{"type":"object"}}}`)}
	done := make(chan string, 1)
	go func() {
		_, reason := s.observe(Evidence{Answer: `{}`})
		done <- reason
	}()
	select {
	case reason := <-done:
		if !strings.Contains(reason, "too long") {
			t.Error(reason)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the schema keeps a processor busy")
	}
}

func TestReadVerdict(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]float64{
		`{"score": 0.5, "reason": "so so"}`: 0.5, "Well.\n```json\n{\"reason\":\"a {brace}\",\"score\":1}\n```": 1, `{"score":0}`: 0,
		`{"score":0.1} and then {"score":0.9}`: 0.9, `{"a":{"b":1},"score":0.3} {}`: 0.3,
		"": -1, "good": -1, `{"score":"high"}`: -1, `{"score":1.1}`: -1, `{"score":-0.1}`: -1, `{"score":null}`: -1, `{"score":`: -1,
	} {
		got, _, err := readVerdict(answer)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %v, %v", answer, got, err)
		}
	}
}

// FuzzReadVerdict checks that whatever a judge says is a score from 0 to 1 or none.
func FuzzReadVerdict(f *testing.F) {
	f.Add(`{"score": 0.5, "reason": "{"}`)
	f.Add("{{{{")
	f.Fuzz(func(t *testing.T, answer string) {
		if score, _, err := readVerdict(answer); err == nil && !(score >= 0 && score <= 1) {
			t.Errorf("%q: %v", answer, score)
		}
	})
}

func TestAdmitted(t *testing.T) {
	t.Parallel()
	good := func() Task { return Task{ID: "a", Messages: []string{"hi"}} }
	deep := Scorer{Type: Includes, Texts: []string{"x"}}
	for range MaxScorerDepth {
		deep = Scorer{Type: All, Parts: []Scorer{deep}}
	}
	var many []Scorer
	for range MaxScorers + 5 {
		many = append(many, Scorer{Type: ToolUsed, Tool: "x"})
	}
	got, err := admitted("", []Task{{ID: "a", Messages: []string{"hi"}, Files: []SetupFile{{Path: "x/y.txt"}, {Path: "/tmp//z"}}}})
	if err != nil || got[0].Trials != 1 || got[0].Timeout != DefaultTimeout || got[0].Files[0].Path != "/workspace/x/y.txt" || got[0].Files[1].Path != "/tmp/z" {
		t.Errorf("%+v, %v", got, err)
	}
	for path, change := range map[string]func(*Task){
		"tasks[0].id": func(t *Task) { t.ID = " " }, "tasks[0].messages": func(t *Task) { t.Messages = nil },
		"tasks[0].messages[0]":         func(t *Task) { t.Messages = []string{""} },
		"tasks[0].trials":              func(t *Task) { t.Trials = MaxTrials + 1 },
		"tasks[0].timeout_ms":          func(t *Task) { t.Timeout = 1 },
		"tasks[0].setup_script":        func(t *Task) { t.Script = "\x00" },
		"tasks[0].setup_files":         func(t *Task) { t.Files = []SetupFile{{Path: "a", Content: strings.Repeat("x", MaxFileBytes+1)}} },
		"tasks[0].setup_files[0].path": func(t *Task) { t.Files = []SetupFile{{Path: "../a"}} },
		"tasks[0].scorer.type":         func(t *Task) { t.Scorer = &Scorer{Type: "luck"} },
		"tasks[0].scorer.texts":        func(t *Task) { t.Scorer = &Scorer{Type: Includes} },
		"tasks[0].scorer.pattern":      func(t *Task) { t.Scorer = &Scorer{Type: Regex, Pattern: "("} },
		"tasks[0].scorer.schema":       func(t *Task) { t.Scorer = &Scorer{Type: JSONSchema, Schema: json.RawMessage(`{"type":7}`)} },
		"tasks[0].scorer.steps":        func(t *Task) { t.Scorer = &Scorer{Type: MaxSteps} },
		"tasks[0].scorer.scorers":      func(t *Task) { t.Scorer = &Scorer{Type: All} },
		"tasks[0].scorer.threshold":    func(t *Task) { t.Scorer = &Scorer{Type: Judge, Rubric: "x", Threshold: math.NaN()} },
		"tasks[0].scorer.scorers[0].scorers[0].scorers[0].scorers[0]": func(t *Task) { t.Scorer = &deep },
		"tasks[0].scorer.scorers[20]":                                 func(t *Task) { t.Scorer = &Scorer{Type: All, Parts: many} },
	} {
		task := good()
		change(&task)
		_, err := admitted("", []Task{task})
		f, ok := fault.As(err)
		if !ok || !errors.Is(err, ErrInvalid) || f.Fields[0].Path != path && !(strings.HasSuffix(path, "[20]") && f.Fields[0].Path == "tasks[0].scorer.scorers[19]") {
			t.Errorf("%s: %v", path, err)
		}
	}
	// A schema that refers elsewhere is not fetched.
	task := good()
	task.Scorer = &Scorer{Type: JSONSchema, Schema: json.RawMessage(`{"$ref":"file:///etc/passwd"}`)}
	if _, err := admitted("", []Task{task}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a reference to a file: %v", err)
	}
	if _, err := admitted("", []Task{good(), good()}); !errors.Is(err, ErrInvalid) {
		t.Errorf("twins: %v", err)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	yes, no, one, half := true, false, 1.0, 0.5
	run := func(ids ...string) Run {
		r := Run{}
		for _, id := range ids {
			r.Tasks = append(r.Tasks, Task{ID: id})
		}
		return r
	}
	trial := func(task int, passed *bool, score *float64) Trial {
		return Trial{Task: task, Status: Completed, Passed: passed, Score: score}
	}
	base := []Trial{
		trial(0, &yes, &one), trial(0, &no, &half), trial(1, &yes, &one), trial(2, &yes, &half), trial(3, nil, nil), trial(4, &yes, &one), trial(5, &yes, &one),
	}
	other := []Trial{
		trial(0, &yes, &one), trial(0, &yes, &one), trial(1, &yes, &one), {Task: 1, Status: Failed}, trial(2, &yes, &one), trial(3, nil, nil),
		trial(4, &yes, &one), trial(5, &yes, &one),
	}
	c := compare(run("better", "worse", "higher", "unscored", "same", "gone"), run("better", "worse", "higher", "unscored", "same", "new"), base, other)
	want := []Verdict{Improved, Regressed, Improved, Unknown, Unchanged, OnlyBase, OnlyOther}
	for i, tc := range c.Tasks {
		if tc.Verdict != want[i] {
			t.Errorf("%s: %s, want %s", tc.Task, tc.Verdict, want[i])
		}
	}
	if c.Improvements != 2 || c.Worsening != 1 || len(c.Tasks) != 7 || *c.OtherTotal.PassRate != 6.0/7 {
		t.Errorf("%+v", c)
	}
}
