// Package tooltest holds the suite that every tool.Tool runs, and a tool for the tests of code that uses one.
package tooltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Config says what to test.
type Config struct {
	// New returns the tool, once per subtest.
	New func(t *testing.T) tool.Tool
	// Call is a use that succeeds; its Input satisfies the schema.
	Call tool.Call
	// Bad is an input that does not satisfy the schema; nil is `{"no such field":[[[]]]}`.
	Bad json.RawMessage
	// Patience is how long a call may go on after its context has ended; 0 is 5 seconds.
	Patience time.Duration
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	if cfg.Bad == nil {
		cfg.Bad = json.RawMessage(`{"no such field":[[[]]]}`)
	}
	if cfg.Patience == 0 {
		cfg.Patience = 5 * time.Second
	}
	t.Run("spec", func(t *testing.T) {
		tl := cfg.New(t)
		CheckSpec(t, tl.Spec())
		if !reflect.DeepEqual(tl.Spec(), tl.Spec()) {
			t.Error("the spec changes from one question to the next")
		}
	})
	t.Run("call", func(t *testing.T) {
		res, err := cfg.New(t).Call(t.Context(), cfg.Call)
		if err != nil || res.IsError {
			t.Fatalf("got %+v, %v; want success", res, err)
		}
		if !utf8.ValidString(res.Text) {
			t.Errorf("the result is not UTF-8: %q", res.Text)
		}
	})
	t.Run("the input is not changed", func(t *testing.T) {
		call := cfg.Call
		call.Input = bytes.Clone(cfg.Call.Input)
		if _, err := cfg.New(t).Call(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(call.Input, cfg.Call.Input) {
			t.Errorf("the input became %s", call.Input)
		}
	})
	t.Run("concurrent calls", func(t *testing.T) {
		tl := cfg.New(t)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				call := cfg.Call
				call.Key = fmt.Sprintf("%s-%d", call.Key, i)
				if res, err := tl.Call(t.Context(), call); err != nil || res.IsError {
					t.Errorf("call %d: got %+v, %v", i, res, err)
				}
			})
		}
		wg.Wait()
	})
	t.Run("bad input", func(t *testing.T) {
		call := cfg.Call
		call.Input = cfg.Bad
		res, err := cfg.New(t).Call(t.Context(), call)
		if err == nil && !res.IsError {
			t.Errorf("%s was accepted: %+v", cfg.Bad, res)
		}
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v; want a result with IsError or a fault.Invalid", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		_, err := cfg.New(t).Call(ctx, cfg.Call)
		if took := time.Since(start); took > cfg.Patience {
			t.Errorf("a cancelled call took %v", took)
		}
		if err != nil && !errors.Is(err, context.Canceled) && fault.KindOf(err) == fault.Internal {
			t.Errorf("got %v; want context.Canceled, a result, or a fault that is not internal", err)
		}
	})
}

var name = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CheckSpec reports what is wrong with a spec.
func CheckSpec(t *testing.T, s tool.Spec) {
	t.Helper()
	if !name.MatchString(s.Name) {
		t.Errorf("the name %q must match %s", s.Name, name)
	}
	if s.Description == "" {
		t.Error("there is no description: a model would not know when to use the tool")
	}
	var schema struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(s.InputSchema, &schema); err != nil || schema.Type != "object" {
		t.Errorf("the input schema must describe an object: %s (%v)", s.InputSchema, err)
	}
}

// Tool is a tool made of a function, for the tests of code that uses tools.
type Tool struct {
	Description tool.Spec
	// Func is called by Call; nil answers with the input.
	Func func(ctx context.Context, call tool.Call) (tool.Result, error)
}

var _ tool.Tool = Tool{}

// Echo returns a tool that answers with the text that it is given, as {"text": "..."}.
func Echo() Tool {
	return Tool{
		Description: tool.Spec{
			Name: "echo", Description: "Says what it is told.", Idempotent: true,
			InputSchema: json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"],"additionalProperties":false}`),
		},
		Func: func(ctx context.Context, call tool.Call) (tool.Result, error) {
			var in struct {
				Text *string `json:"text"`
			}
			dec := json.NewDecoder(bytes.NewReader(call.Input))
			dec.DisallowUnknownFields()
			if err := dec.Decode(&in); err != nil || in.Text == nil {
				return tool.Result{Text: "the input must be {\"text\": \"...\"}", IsError: true}, nil
			}
			return tool.Result{Text: *in.Text}, ctx.Err()
		},
	}
}

// Spec returns Description.
func (t Tool) Spec() tool.Spec { return t.Description }

// Call calls Func.
func (t Tool) Call(ctx context.Context, call tool.Call) (tool.Result, error) {
	if t.Func == nil {
		return tool.Result{Text: string(call.Input)}, nil
	}
	return t.Func(ctx, call)
}
