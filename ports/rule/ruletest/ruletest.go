// Package ruletest holds the suite that every rule.Evaluator runs, and a rule for the tests of code that asks one.
package ruletest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/rule"
)

// Config says what to test.
type Config struct {
	// New returns the rule, once per subtest.
	New func(t *testing.T) rule.Evaluator
	// Input is an act that the rule has a verdict on, with a valid configuration.
	Input rule.Input
	// BadConfig are configurations that Validate must refuse; `[]` and `{"no such field":1}` are always among them.
	BadConfig []json.RawMessage
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	t.Run("description", func(t *testing.T) {
		r := cfg.New(t)
		CheckDescription(t, r.Describe())
		if !reflect.DeepEqual(r.Describe(), r.Describe()) {
			t.Error("the description changes from one question to the next")
		}
	})
	t.Run("configurations", func(t *testing.T) {
		r := cfg.New(t)
		if err := r.Validate(t.Context(), cfg.Input.Config); err != nil {
			t.Errorf("the valid one: %v", err)
		}
		for _, bad := range append([]json.RawMessage{json.RawMessage(`[]`), json.RawMessage(`{"no such field":1}`)}, cfg.BadConfig...) {
			if err := r.Validate(t.Context(), bad); fault.KindOf(err) != fault.Invalid || err == nil {
				t.Errorf("%s: got %v, want a fault.Invalid", bad, err)
			}
		}
	})
	t.Run("the same verdict for the same act", func(t *testing.T) {
		r := cfg.New(t)
		first, err := r.Evaluate(t.Context(), cfg.Input)
		if err != nil {
			t.Fatal(err)
		}
		CheckVerdict(t, first)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				again, err := r.Evaluate(t.Context(), cfg.Input)
				if err != nil || !reflect.DeepEqual(first, again) {
					t.Errorf("first %+v, then %+v, %v", first, again, err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("every kind of act", func(t *testing.T) {
		r := cfg.New(t)
		for _, a := range []rule.Action{
			rule.ActionPayment, rule.ActionTransfer, rule.ActionModelCall, rule.ActionToolCall, rule.ActionRunStart,
		} {
			in := rule.Input{Action: a, Config: cfg.Input.Config, At: cfg.Input.At}
			v, err := r.Evaluate(t.Context(), in)
			if err != nil {
				t.Errorf("%s without details: %v", a, err)
				continue
			}
			CheckVerdict(t, v)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		_, err := cfg.New(t).Evaluate(ctx, cfg.Input)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("a cancelled evaluation took %v", took)
		}
		if err != nil && !errors.Is(err, context.Canceled) && fault.KindOf(err) == fault.Internal {
			t.Errorf("got %v; want context.Canceled, a verdict, or a fault that is not internal", err)
		}
	})
}

var name = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// CheckDescription reports what is wrong with a description.
func CheckDescription(t *testing.T, d rule.Description) {
	t.Helper()
	if !name.MatchString(d.Name) {
		t.Errorf("the name %q must match %s", d.Name, name)
	}
	if d.Summary == "" {
		t.Error("there is no summary")
	}
	if d.ConfigSchema != nil && !json.Valid(d.ConfigSchema) {
		t.Errorf("the configuration's schema is not JSON: %s", d.ConfigSchema)
	}
	known := []string{
		rule.InputAmount, rule.InputPayee, rule.InputCategory, rule.InputDescription, rule.InputTool, rule.InputArguments,
		rule.InputAgent, rule.InputTime,
	}
	for _, in := range d.Inputs {
		if !slices.Contains(known, in) {
			t.Errorf("the input %q is none of %v", in, known)
		}
	}
}

// CheckVerdict reports what is wrong with a verdict.
func CheckVerdict(t *testing.T, v rule.Verdict) {
	t.Helper()
	switch v.Outcome {
	case rule.Allow:
	case rule.Approve, rule.Deny:
		if v.Reason == "" {
			t.Errorf("the verdict %q has no reason", v.Outcome)
		}
	default:
		t.Errorf("the verdict %q is none", v.Outcome)
	}
	for _, l := range v.Limits {
		if l.Max.Micros < 0 || l.Max.Currency == "" || l.Window == "" {
			t.Errorf("the limit %+v is none", l)
		}
	}
}

// Rule is a rule made of functions, for the tests of code that asks rules.
type Rule struct {
	Description rule.Description
	Config      func(config json.RawMessage) error                             // nil accepts only an empty one
	Judge       func(ctx context.Context, in rule.Input) (rule.Verdict, error) // nil allows
}

var _ rule.Evaluator = Rule{}

// Describe returns Description.
func (r Rule) Describe() rule.Description { return r.Description }

// Validate calls Config.
func (r Rule) Validate(_ context.Context, config json.RawMessage) error {
	if r.Config != nil {
		return r.Config(config)
	}
	if len(config) > 0 && string(config) != "{}" {
		return fault.Invalidf("config", "the rule takes none")
	}
	return nil
}

// Evaluate calls Judge.
func (r Rule) Evaluate(ctx context.Context, in rule.Input) (rule.Verdict, error) {
	if r.Judge == nil {
		return rule.Verdict{Outcome: rule.Allow}, nil
	}
	return r.Judge(ctx, in)
}
