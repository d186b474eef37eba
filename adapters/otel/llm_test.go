package otel_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

func TestLLMSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	llmtest.Run(t, llmtest.Config{New: func(_ *testing.T, script *llmtest.Script) llm.Provider {
		return otel.WrapLLM(&llmtest.Scripted{Script: script}, l.Telemetry)
	}})
	t.Cleanup(func() { l.ended(t) })
}

func hello(model string) llm.Request {
	return llm.Request{Model: model, Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "my secret question"}}}}}
}

func drain(ctx context.Context, p llm.Provider, req llm.Request) error {
	for _, err := range p.Generate(ctx, req) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestLLM(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	answer := llmtest.Text("a secret answer")
	answer.Model = "large-2026-01"
	answer.Usage = llm.Usage{Input: 10, CacheRead: 200, CacheWrite5m: 3000, CacheWrite1h: 40000, Output: 7, Reasoning: 2}
	p := otel.WrapLLM(&llmtest.Scripted{Script: llmtest.NewScript(answer), ProviderName: "google"}, l.Telemetry)
	req := hello("large")
	req.MaxOutputTokens = 99
	if err := drain(l.root(t), p, req); err != nil {
		t.Fatal(err)
	}
	span := l.one(t)
	if span.Name() != "chat large" || span.SpanKind().String() != "client" || !span.Parent().IsValid() {
		t.Errorf("span %q, %s, parent %v", span.Name(), span.SpanKind(), span.Parent())
	}
	got := attributes(span)
	if first, ok := got["gen_ai.response.time_to_first_chunk"].(float64); !ok || first < 0 || first > 60 {
		t.Errorf("time to first chunk: %v", got["gen_ai.response.time_to_first_chunk"])
	}
	delete(got, "gen_ai.response.time_to_first_chunk")
	want := map[string]any{
		"status":                                   "Unset",
		"gen_ai.operation.name":                    "chat",
		"gen_ai.provider.name":                     "gcp.gemini",
		"gen_ai.request.stream":                    true,
		"gen_ai.request.model":                     "large",
		"gen_ai.request.max_tokens":                int64(99),
		"gen_ai.response.model":                    "large-2026-01",
		"gen_ai.response.finish_reasons":           []string{"stop"},
		"gen_ai.usage.input_tokens":                int64(43210),
		"gen_ai.usage.cache_read.input_tokens":     int64(200),
		"gen_ai.usage.cache_creation.input_tokens": int64(43000),
		"gen_ai.usage.output_tokens":               int64(7),
		"gen_ai.usage.reasoning.output_tokens":     int64(2),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	wantCounts(t, l, "bureau_llm_",
		`bureau_llm_duration_seconds_count{model="large-2026-01",provider="google"} 1`,
		`bureau_llm_first_chunk_seconds_count{model="large-2026-01",provider="google"} 1`,
		`bureau_llm_requests_total{model="large-2026-01",outcome="ok",provider="google"} 1`,
		`bureau_llm_tokens_total{direction="cache_read",model="large-2026-01",provider="google"} 200`,
		`bureau_llm_tokens_total{direction="cache_write",model="large-2026-01",provider="google"} 43000`,
		`bureau_llm_tokens_total{direction="input",model="large-2026-01",provider="google"} 10`,
		`bureau_llm_tokens_total{direction="output",model="large-2026-01",provider="google"} 7`,
	)
}

// raw is a provider made of a function.
type raw func(ctx context.Context, yield func(llm.Event, error) bool)

func (raw) Name() string { return "raw" }

func (r raw) Generate(ctx context.Context, _ llm.Request) iter.Seq2[llm.Event, error] {
	return func(yield func(llm.Event, error) bool) { r(ctx, yield) }
}

func TestLLMOutcomes(t *testing.T) {
	t.Parallel()
	text := llm.Event{Text: "more"}
	whole := llm.Event{Response: &llm.Response{StopReason: llm.StopRefusal, Model: "m"}}
	all := func(events ...llm.Event) raw {
		return func(_ context.Context, yield func(llm.Event, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	fail := func(err error) raw {
		return func(_ context.Context, yield func(llm.Event, error) bool) { yield(llm.Event{}, err) }
	}
	for name, tt := range map[string]struct {
		p           raw
		breakAt     int // 0: not
		panics      bool
		outcome     string
		errorType   any
		firstChunks int
	}{
		"whole":             {p: all(text, whole), outcome: "ok", firstChunks: 1},
		"left early":        {p: all(text, whole), breakAt: 1, outcome: "cancelled", errorType: "cancelled", firstChunks: 1},
		"left at the end":   {p: all(text, whole), breakAt: 2, outcome: "ok", firstChunks: 1},
		"nothing":           {p: all(), outcome: "internal", errorType: "internal"},
		"no answer":         {p: all(text), outcome: "internal", errorType: "internal", firstChunks: 1},
		"rate limited":      {p: fail(llm.ErrRateLimited.Withf("secret")), outcome: "rate_limited", errorType: "model_rate_limited"},
		"cancelled":         {p: fail(fmt.Errorf("asking: %w", context.Canceled)), outcome: "cancelled", errorType: "cancelled"},
		"deadline":          {p: fail(context.DeadlineExceeded), outcome: "timeout", errorType: "timeout"},
		"unknown":           {p: fail(errors.New("secret")), outcome: "internal", errorType: "internal"},
		"cancelled defect":  {p: fail(fault.New(fault.Internal, "x", "y").Wrap(context.Canceled)), outcome: "cancelled", errorType: "x"},
		"provider panics":   {p: func(context.Context, func(llm.Event, error) bool) { panic("secret") }, panics: true, outcome: "panic", errorType: "panic"},
		"negative counters": {p: all(llm.Event{Response: &llm.Response{Model: "m", Usage: llm.Usage{Input: -1}}}), outcome: "ok", firstChunks: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, "m")
			p := otel.WrapLLM(tt.p, l.Telemetry)
			func() {
				defer func() {
					if (recover() != nil) != tt.panics {
						t.Error("the panic did not pass")
					}
				}()
				steps := 0
				for range p.Generate(t.Context(), hello("m")) {
					if steps++; steps == tt.breakAt {
						break
					}
				}
			}()
			if got := attributes(l.one(t))["error.type"]; got != tt.errorType {
				t.Errorf("error.type %v, want %v", got, tt.errorType)
			}
			wantCounts(t, l, "bureau_llm_requests", fmt.Sprintf(`bureau_llm_requests_total{model="m",outcome=%q,provider="raw"} 1`, tt.outcome))
			if got := len(l.counts(t, "bureau_llm_first_chunk")); got != tt.firstChunks {
				t.Errorf("%d first chunks, want %d", got, tt.firstChunks)
			}
			if strings.Contains(fmt.Sprint(attributes(l.one(t)))+l.text(t), "secret") {
				t.Error("content was recorded")
			}
		})
	}
}

func TestLLMConsumerPanics(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := otel.WrapLLM(llmtest.NewScripted(llmtest.Text("hi")), l.Telemetry)
	func() {
		defer func() { _ = recover() }()
		for range p.Generate(t.Context(), hello("m")) {
			panic("in the caller")
		}
	}()
	if got := attributes(l.one(t))["error.type"]; got != "panic" {
		t.Errorf("error.type %v", got)
	}
}

// A sequence may be taken more than once; each time is a call of its own, and none is the parent of the next.
func TestLLMTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	seq := otel.WrapLLM(llmtest.NewScripted(llmtest.Text("one"), llmtest.Text("two")), l.Telemetry).Generate(t.Context(), hello("m"))
	for range 2 {
		for _, err := range seq {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, s := range l.ended(t) {
		if s.Parent().IsValid() {
			t.Errorf("span %q has a parent", s.Name())
		}
	}
	if n := len(l.ended(t)); n != 2 {
		t.Errorf("%d spans, want 2", n)
	}
}

func TestLLMInnerSeesSpan(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := otel.WrapLLM(raw(func(ctx context.Context, _ func(llm.Event, error) bool) {
		_, span := l.provider.Tracer("test").Start(ctx, "inside")
		span.End()
	}), l.Telemetry)
	_ = drain(t.Context(), p, hello("m"))
	ended := l.ended(t)
	if len(ended) != 2 || ended[0].Parent().SpanID() != ended[1].SpanContext().SpanID() {
		t.Errorf("spans %v", ended)
	}
}

// Names that tenants invent do not use up the label: only answers and the configuration give a name a value.
func TestLLMModelLabel(t *testing.T) {
	t.Parallel()
	l := newLab(t, "configured")
	script := llmtest.NewScript()
	script.AnswerFunc = func(req llm.Request) llmtest.Answer {
		if strings.HasPrefix(req.Model, "bad") || req.Model == "" || req.Model == "configured" {
			return llmtest.Fail(404, "no such model")
		}
		return llmtest.Text("hi")
	}
	p := otel.WrapLLM(&llmtest.Scripted{Script: script}, l.Telemetry)
	ask := func(model string) { _ = drain(t.Context(), p, hello(model)) }
	for i := range 300 {
		ask(fmt.Sprintf("bad-%d", i))
	}
	ask("configured")
	ask("")
	ask(strings.Repeat("ü", 100))
	ask("not \xff UTF-8")
	wantCounts(t, l, "bureau_llm_requests",
		`bureau_llm_requests_total{model="configured",outcome="invalid",provider="scripted"} 1`,
		`bureau_llm_requests_total{model="default",outcome="invalid",provider="scripted"} 1`,
		"bureau_llm_requests_total{model=\"not \ufffd UTF-8\",outcome=\"ok\",provider=\"scripted\"} 1",
		`bureau_llm_requests_total{model="other",outcome="invalid",provider="scripted"} 300`,
		`bureau_llm_requests_total{model="`+strings.Repeat("ü", 64)+`",outcome="ok",provider="scripted"} 1`,
	)
	for i := range 300 {
		ask(fmt.Sprintf("good-%d", i))
	}
	if n := len(l.counts(t, "bureau_llm_requests")); n > 103 {
		t.Errorf("%d series", n)
	}
	if n := strings.Count(l.log.String(), "label=model"); n != 1 {
		t.Errorf("the log says it %d times:\n%s", n, l.log)
	}
}

func TestLLMWithoutTracer(t *testing.T) {
	t.Parallel()
	tel, err := otel.New(otel.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := drain(ctx, otel.WrapLLM(llmtest.NewScripted(llmtest.Text("hi")), tel), hello("m")); err != nil {
		t.Error(err)
	}
}
