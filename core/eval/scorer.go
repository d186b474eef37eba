package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/bureau-agents/bureau/core/run"
	"github.com/bureau-agents/bureau/ports/money"
)

// ScorerType tells scorers apart.
type ScorerType string

// The scorers. Each gives a score in [0, 1] and says whether that passes.
const (
	Includes    ScorerType = "includes"      // the answer has every one of Texts
	Regex       ScorerType = "regex"         // the answer matches Pattern (RE2)
	JSONSchema  ScorerType = "json_schema"   // the answer is JSON, perhaps in a fence, that Schema accepts
	ToolUsed    ScorerType = "tool_used"     // Tool was used at least Least times
	ToolNotUsed ScorerType = "tool_not_used" // Tool was not used
	MaxCost     ScorerType = "max_cost"      // the session's model calls cost at most Cost
	MaxSteps    ScorerType = "max_steps"     // the session made at most Steps model calls
	Judge       ScorerType = "judge"         // a model gives at least Threshold by Rubric
	Script      ScorerType = "script"        // a program in the session's sandbox succeeds; a number that it prints last is the score
	All         ScorerType = "all"           // every one of Parts passes; the score is the lowest
	Any         ScorerType = "any"           // one of Parts passes; the score is the highest
	Weighted    ScorerType = "weighted"      // the mean of Parts by Weight reaches Threshold
)

// Limits of a scorer.
const (
	MaxScorers     = 20 // in one task, all levels together
	MaxScorerDepth = 4
	MaxPattern     = 1000
	MaxRubric      = 20_000
	MaxSchema      = 64 << 10
)

// Scorer says how a trial is scored. Which fields count depends on Type.
type Scorer struct {
	Type       ScorerType
	Texts      []string        // Includes
	IgnoreCase bool            // Includes
	Pattern    string          // Regex
	Schema     json.RawMessage // JSONSchema
	Tool       string          // ToolUsed, ToolNotUsed
	Least      int             // ToolUsed; 0 is 1
	Cost       money.Pico      // MaxCost, of a dollar
	Steps      int             // MaxSteps
	Rubric     string          // Judge: what a good answer is
	Model      string          // Judge: a handle; "" is the default model
	Script     string          // Script: a shell script
	Timeout    time.Duration   // Script; 0 is a minute, at most ten
	Parts      []Scorer        // All, Any, Weighted
	Weight     float64         // as one of the Parts of Weighted; 0 is 1
	Threshold  float64         // Judge, Weighted, Script: what score passes; 0 is 0.5
}

func (s Scorer) threshold() float64 {
	if s.Threshold == 0 {
		return 0.5
	}
	return s.Threshold
}

// needsSandbox reports whether s runs programs.
func (s Scorer) needsSandbox() bool {
	for _, p := range s.Parts {
		if p.needsSandbox() {
			return true
		}
	}
	return s.Type == Script
}

// isSlow reports whether s runs programs or asks a model.
func (s Scorer) isSlow() bool {
	return s.Type == Judge || s.Type == Script || slices.ContainsFunc(s.Parts, Scorer.isSlow)
}

// check adds the faults of a scorer at a path.
func (s Scorer) check(k *checker, path string, depth int, count *int) {
	*count++
	if *count == MaxScorers+1 {
		k.Addf(path, "is one scorer too many: a task has at most %d", MaxScorers)
	}
	if depth > MaxScorerDepth {
		k.Addf(path, "is too deep: at most %d levels are allowed", MaxScorerDepth)
		return
	}
	if !(s.Threshold >= 0 && s.Threshold <= 1) {
		k.Addf(path+".threshold", "must be 0 to 1")
	}
	if !(s.Weight >= 0 && s.Weight <= 1e6) {
		k.Addf(path+".weight", "must be 0 to 1000000")
	}
	switch s.Type {
	case Includes:
		if len(s.Texts) == 0 || len(s.Texts) > 50 {
			k.Addf(path+".texts", "must have 1 to 50 texts")
		}
		for i, t := range s.Texts {
			k.Given(fmt.Sprintf("%s.texts[%d]", path, i), t, 10_000)
		}
	case Regex:
		k.Given(path+".pattern", s.Pattern, MaxPattern)
		if _, err := regexp.Compile(s.Pattern); err != nil {
			k.Addf(path+".pattern", "is not a regular expression (RE2)")
		}
	case JSONSchema:
		if len(s.Schema) > MaxSchema {
			k.Addf(path+".schema", "has %d bytes; at most %d are allowed", len(s.Schema), MaxSchema)
		} else if _, err := compile(s.Schema); err != nil {
			k.Addf(path+".schema", "is not a JSON Schema")
		}
	case ToolUsed, ToolNotUsed:
		k.Given(path+".tool", s.Tool, 256)
		if s.Least < 0 || s.Least > 1000 {
			k.Addf(path+".min", "must be 1 to 1000")
		}
	case MaxCost:
		if s.Cost < 0 {
			k.Addf(path+".amount", "must not be negative")
		}
	case MaxSteps:
		if s.Steps < 1 {
			k.Addf(path+".steps", "must be 1 or more")
		}
	case Judge:
		k.Given(path+".rubric", s.Rubric, MaxRubric)
		k.Text(path+".model", s.Model, 256)
	case Script:
		if s.Script == "" || len(s.Script) > MaxScript || strings.ContainsRune(s.Script, 0) || !utf8.ValidString(s.Script) {
			k.Addf(path+".script", "must be a shell script of at most %d bytes", MaxScript)
		}
		if s.Timeout < 0 || s.Timeout > 10*time.Minute {
			k.Addf(path+".timeout_ms", "must be at most 600000")
		}
	case All, Any, Weighted:
		if len(s.Parts) == 0 {
			k.Addf(path+".scorers", "must not be empty")
		}
		for i, p := range s.Parts {
			p.check(k, fmt.Sprintf("%s.scorers[%d]", path, i), depth+1, count)
		}
	default:
		k.Addf(path+".type", "must be one of includes, regex, json_schema, tool_used, tool_not_used, max_cost, max_steps, judge, script, "+
			"all, any, weighted")
	}
}

// weight is Weight as it counts.
func (s Scorer) weight() float64 {
	if s.Weight == 0 {
		return 1
	}
	return s.Weight
}

// noLoader keeps schemas from reading what they refer to.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errReference }

var errReference = errors.New("eval: schemas cannot refer to others")

func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource("mem:///schema", doc); err != nil {
		return nil, err
	}
	return c.Compile("mem:///schema")
}

// Evidence is what a trial left to be scored.
type Evidence struct {
	Messages []string // the task's
	Answer   string   // what the agent said in the last turn
	Tools    map[string]int
	Steps    int
	Cost     *money.Pico // nil: not known
}

// examiner does what scorers need beside the evidence.
type examiner struct {
	judge  func(ctx context.Context, s Scorer, e Evidence) (score float64, reason string, cost *money.Pico, err error)
	script func(ctx context.Context, s Scorer) (output string, ok bool, err error)

	judged  bool // a model has judged
	unknown bool // what one of them cost is not known
	cost    money.Pico
}

// score scores e with s and what it is made of. An error means that there is no score, as when the judge cannot be reached.
func (x *examiner) score(ctx context.Context, s Scorer, path string, e Evidence) ([]Result, error) {
	own := Result{Path: path, Type: s.Type}
	switch s.Type {
	case All, Any, Weighted:
		return x.combine(ctx, s, own, e)
	case Judge:
		score, reason, cost, err := x.judge(ctx, s, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		x.judged = true
		if cost == nil {
			x.unknown = true
		} else if sum, ok := money.AddPico(x.cost, *cost); ok {
			x.cost = sum
		}
		own.Score, own.Passed, own.Reason = score, score >= s.threshold(), reason
	case Script:
		output, ok, err := x.script(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		own.Score, own.Passed, own.Reason = scriptScore(s, output, ok)
	default:
		own.Passed, own.Reason = s.observe(e)
		if own.Passed {
			own.Score = 1
		}
	}
	return []Result{own}, nil
}

func (x *examiner) combine(ctx context.Context, s Scorer, own Result, e Evidence) ([]Result, error) {
	var below []Result
	passed, lowest, highest, sum, weights := 0, 1.0, 0.0, 0.0, 0.0
	for i, p := range s.Parts {
		results, err := x.score(ctx, p, fmt.Sprintf("%s.scorers[%d]", own.Path, i), e)
		if err != nil {
			return nil, err
		}
		r := results[0]
		if r.Passed {
			passed++
		}
		lowest, highest = min(lowest, r.Score), max(highest, r.Score)
		sum += r.Score * p.weight()
		weights += p.weight()
		below = append(below, results...)
	}
	own.Reason = fmt.Sprintf("%d of %d passed", passed, len(s.Parts))
	switch s.Type {
	case All:
		own.Score, own.Passed = lowest, passed == len(s.Parts)
	case Any:
		own.Score, own.Passed = highest, passed > 0
	case Weighted:
		own.Score = sum / weights
		own.Passed = own.Score >= s.threshold()-1e-9 // sums of decimal weights are not exact
		own.Reason = fmt.Sprintf("the weighted mean is %.3g; %.3g passes", own.Score, s.threshold())
	}
	return append([]Result{own}, below...), nil
}

// observe judges by the evidence alone.
func (s Scorer) observe(e Evidence) (passed bool, reason string) {
	switch s.Type {
	case Includes:
		answer := e.Answer
		if s.IgnoreCase {
			answer = strings.ToLower(answer)
		}
		for _, t := range s.Texts {
			want := t
			if s.IgnoreCase {
				want = strings.ToLower(t)
			}
			if !strings.Contains(answer, want) {
				return false, fmt.Sprintf("the answer does not have %q", shorten(t, 200))
			}
		}
		return true, "the answer has every text"
	case Regex:
		re, err := regexp.Compile(s.Pattern)
		if err != nil || !re.MatchString(e.Answer) {
			return false, "the answer does not match"
		}
		return true, "the answer matches"
	case JSONSchema:
		return s.validate(e.Answer)
	case ToolUsed:
		n := e.Tools[s.Tool]
		return n >= max(1, s.Least), fmt.Sprintf("%s was used %d times", s.Tool, n)
	case ToolNotUsed:
		n := e.Tools[s.Tool]
		return n == 0, fmt.Sprintf("%s was used %d times", s.Tool, n)
	case MaxCost:
		if e.Cost == nil {
			return false, "what the session cost is not known"
		}
		return *e.Cost <= s.Cost, fmt.Sprintf("the session cost %s USD; %s are allowed", e.Cost.Dollars(), s.Cost.Dollars())
	case MaxSteps:
		return e.Steps <= s.Steps, fmt.Sprintf("the session made %d model calls; %d are allowed", e.Steps, s.Steps)
	}
	return false, "is not known"
}

func (s Scorer) validate(answer string) (bool, string) {
	schema, err := compile(s.Schema)
	if err != nil {
		return false, "the schema cannot be used"
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(unfence(answer)))
	if err != nil {
		return false, "the answer is not JSON"
	}
	if run.TooDear(schema, v) {
		return false, "holding the answer against the schema would take too long"
	}
	if err := schema.Validate(v); err != nil {
		if ve, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
			return false, "the answer does not fit the schema: " + shorten(ve.Error(), 500)
		}
		return false, "the answer does not fit the schema"
	}
	return true, "the answer fits the schema"
}

// unfence returns what stands in a fence of Markdown, and any other text as it is.
func unfence(text string) string {
	text = strings.TrimSpace(text)
	_, rest, ok := strings.Cut(text, "```")
	if !ok || json.Valid([]byte(text)) {
		return text
	}
	_, rest, _ = strings.Cut(rest, "\n") // the language
	if body, _, closed := strings.Cut(rest, "```"); closed {
		return strings.TrimSpace(body)
	}
	return text
}

// scriptScore reads what a script said: its exit decides, unless its last line is a number in [0, 1].
func scriptScore(s Scorer, output string, ok bool) (score float64, passed bool, reason string) {
	output = strings.TrimSpace(output)
	last := strings.TrimSpace(output[strings.LastIndexByte(output, '\n')+1:])
	reason = "the script failed"
	if ok {
		score, reason = 1, "the script succeeded"
		if n, err := strconv.ParseFloat(last, 64); err == nil && n >= 0 && n <= 1 {
			score = n
		}
	}
	if output != "" {
		reason += ": " + shorten(output, 1000)
	}
	return score, ok && score >= s.threshold(), reason
}

// shorten returns the end of a text of more than most bytes, where what went wrong usually stands.
func shorten(text string, most int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
	if len(text) <= most {
		return text
	}
	text = text[len(text)-most:]
	for len(text) > 0 && !utf8.RuneStart(text[0]) {
		text = text[1:]
	}
	return "…" + text
}
