package otel_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	"github.com/bureau-agents/bureau/adapters/bus/memory"
	"github.com/bureau-agents/bureau/adapters/embedding/hashing"
	"github.com/bureau-agents/bureau/adapters/otel"
	"github.com/bureau-agents/bureau/ports/blob"
	"github.com/bureau-agents/bureau/ports/blob/blobtest"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/bus/bustest"
	"github.com/bureau-agents/bureau/ports/embedding"
	"github.com/bureau-agents/bureau/ports/embedding/embeddingtest"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/payment"
	"github.com/bureau-agents/bureau/ports/payment/paymenttest"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

func openBlobs(t *testing.T) (store blob.Store, dir string) {
	t.Helper()
	dir = t.TempDir()
	s, err := gocloud.Open(t.Context(), gocloud.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, dir
}

// exercise uses every port once.
func exercise(t *testing.T, l *lab) {
	t.Helper()
	ctx := t.Context()
	_ = drain(ctx, otel.WrapLLM(llmtest.NewScripted(llmtest.Text("hi")), l.Telemetry), hello("m"))
	_, _ = otel.WrapEmbedding(hashing.New(), l.Telemetry).Embed(ctx, []string{"text"})
	_, _ = otel.WrapTool(tooltest.Echo(), l.Telemetry).Call(ctx, tool.Call{Input: json.RawMessage(`{"text":"x"}`)})
	_, _ = otel.WrapRule(ruletest.Rule{}, l.Telemetry).Evaluate(ctx, rule.Input{})
	blobs, _ := openBlobs(t)
	_, _ = otel.WrapBlob(blobs, l.Telemetry).Put(ctx, "key", strings.NewReader("bytes"))
	_ = otel.WrapBus(memory.New(), l.Telemetry).Publish(ctx, "topic", nil)
	_ = otel.WrapJobs(func(context.Context, json.RawMessage) error { return nil }, l.Telemetry, "chore")(ctx, nil)
	_, _ = otel.WrapRail(paymenttest.New("fake"), l.Telemetry).Lookup(ctx, payment.Charge{Key: "k"})
	_ = otel.WrapTx(plain{}, l.Telemetry).Do(ctx, func(context.Context) error { return nil })
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.example/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := otel.WrapEgress(answering(200), l.Telemetry).RoundTrip(req); err == nil {
		_ = resp.Body.Close()
	}
}

func TestEmbeddingSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	embeddingtest.Run(t, embeddingtest.Config{New: func(*testing.T) embedding.Embedder {
		return otel.WrapEmbedding(hashing.New(), l.Telemetry)
	}})
}

// vendor is an embedder that is far away.
type vendor struct {
	embedding.Embedder

	err error
}

func (vendor) Info() embedding.Info { return embedding.Info{Name: "openai/small", Dimensions: 3} }

func (v vendor) Embed(_ context.Context, texts []string) ([]embedding.Vector, error) {
	return make([]embedding.Vector, len(texts)), v.err
}

func TestEmbedding(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if _, err := otel.WrapEmbedding(vendor{}, l.Telemetry).Embed(t.Context(), []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	span := l.one(t)
	if span.Name() != "embeddings small" {
		t.Errorf("span %q", span.Name())
	}
	want := map[string]any{
		"status": "Unset", "gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "openai", "gen_ai.request.model": "small",
		"gen_ai.embeddings.dimension.count": int64(3),
	}
	if diff := cmp.Diff(want, attributes(span)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if _, err := otel.WrapEmbedding(vendor{err: embedding.ErrUnavailable}, l.Telemetry).Embed(t.Context(), []string{"a"}); err == nil {
		t.Error("the error was lost")
	}
	wantCounts(t, l, "bureau_embedding",
		`bureau_embedding_duration_seconds_count{embedder="openai/small"} 2`,
		`bureau_embedding_requests_total{embedder="openai/small",outcome="ok"} 1`,
		`bureau_embedding_requests_total{embedder="openai/small",outcome="unavailable"} 1`,
		`bureau_embedding_texts_total{embedder="openai/small"} 2`,
	)
}

func TestToolSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	tooltest.Run(t, tooltest.Config{
		New:  func(*testing.T) tool.Tool { return otel.WrapTool(tooltest.Echo(), l.Telemetry) },
		Call: tool.Call{Key: "k", Input: json.RawMessage(`{"text":"hello"}`)},
	})
}

func TestTool(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	results := map[string]func() (tool.Result, error){
		"fine":    func() (tool.Result, error) { return tool.Result{Text: "secret"}, nil },
		"refused": func() (tool.Result, error) { return tool.Result{Text: "secret", IsError: true}, nil },
		"broken":  func() (tool.Result, error) { return tool.Result{}, tool.ErrUnavailable.Withf("secret") },
	}
	echo := tooltest.Echo()
	echo.Func = func(_ context.Context, call tool.Call) (tool.Result, error) { return results[call.Key]() }
	wrapped := otel.WrapTool(echo, l.Telemetry)
	for _, key := range []string{"fine", "refused", "broken"} {
		_, _ = wrapped.Call(t.Context(), tool.Call{
			Key: key, Input: json.RawMessage(`"secret"`), Secrets: map[string]string{"secret": "secret"},
			TenantID: "tnt_1", AgentID: "agent_1", SessionID: "sesn_1",
		})
	}
	spans := l.ended(t)
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	for i, end := range []map[string]any{
		{"status": "Unset", "gen_ai.tool.call.id": "fine"},
		{"status": "Error", "gen_ai.tool.call.id": "refused", "error.type": "tool_error"},
		{"status": "Error", "gen_ai.tool.call.id": "broken", "error.type": "tool_unavailable"},
	} {
		for k, v := range map[string]any{
			"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "echo", "gen_ai.tool.type": "function",
			"gen_ai.agent.id": "agent_1", "gen_ai.conversation.id": "sesn_1", "bureau.tenant.id": "tnt_1",
		} {
			end[k] = v
		}
		if diff := cmp.Diff(end, attributes(spans[i])); diff != "" || spans[i].Name() != "execute_tool echo" {
			t.Errorf("span %q (-want +got):\n%s", spans[i].Name(), diff)
		}
	}
	wantCounts(t, l, "bureau_tool",
		`bureau_tool_calls_total{outcome="ok",tool="echo"} 1`,
		`bureau_tool_calls_total{outcome="tool_error",tool="echo"} 1`,
		`bureau_tool_calls_total{outcome="unavailable",tool="echo"} 1`,
		`bureau_tool_duration_seconds_count{tool="echo"} 3`,
	)
}

func someRule() ruletest.Rule {
	return ruletest.Rule{
		Description: rule.Description{Name: "some_rule", Summary: "Judges."},
		Judge: func(_ context.Context, in rule.Input) (rule.Verdict, error) {
			switch in.Payee {
			case "bad":
				return rule.Verdict{Outcome: rule.Deny, Reason: "secret"}, nil
			case "odd":
				return rule.Verdict{Outcome: "maybe"}, nil
			case "dead":
				return rule.Verdict{}, rule.ErrUnavailable
			}
			return rule.Verdict{Outcome: rule.Allow}, nil
		},
	}
}

func TestRuleSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ruletest.Run(t, ruletest.Config{New: func(*testing.T) rule.Evaluator { return otel.WrapRule(someRule(), l.Telemetry) }})
}

func TestRule(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := otel.WrapRule(someRule(), l.Telemetry)
	for _, payee := range []string{"good", "bad", "odd", "dead"} {
		_, _ = r.Evaluate(t.Context(), rule.Input{Action: rule.ActionPayment, Payee: payee, AgentID: "agent_1"})
	}
	if err := r.Validate(t.Context(), json.RawMessage(`[]`)); err == nil {
		t.Error("the error was lost")
	}
	want := []map[string]any{
		{"status": "Unset", "bureau.rule.verdict": "allow", "bureau.act.action": "payment", "gen_ai.agent.id": "agent_1"},
		{"status": "Unset", "bureau.rule.verdict": "deny", "bureau.act.action": "payment", "gen_ai.agent.id": "agent_1"},
		{"status": "Unset", "bureau.rule.verdict": "unknown", "bureau.act.action": "payment", "gen_ai.agent.id": "agent_1"},
		{"status": "Error", "error.type": "rule_unavailable", "bureau.act.action": "payment", "gen_ai.agent.id": "agent_1"},
		{"status": "Error", "error.type": "invalid_request"},
	}
	for i, s := range l.ended(t) {
		want[i]["bureau.rule.name"] = "some_rule"
		if diff := cmp.Diff(want[i], attributes(s)); diff != "" {
			t.Errorf("%s %d (-want +got):\n%s", s.Name(), i, diff)
		}
	}
	wantCounts(t, l, "bureau_rule_calls",
		`bureau_rule_calls_total{operation="evaluate",outcome="allow",rule="some_rule"} 1`,
		`bureau_rule_calls_total{operation="evaluate",outcome="deny",rule="some_rule"} 1`,
		`bureau_rule_calls_total{operation="evaluate",outcome="unavailable",rule="some_rule"} 1`,
		`bureau_rule_calls_total{operation="evaluate",outcome="unknown",rule="some_rule"} 1`,
		`bureau_rule_calls_total{operation="validate",outcome="invalid",rule="some_rule"} 1`,
	)
}

// folder is an observed store and where it is.
type folder struct {
	blob.Store
	dir string
}

func TestBlobSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	blobtest.Run(t, blobtest.Config{
		New: func(t *testing.T) blob.Store {
			s, dir := openBlobs(t)
			return folder{otel.WrapBlob(s, l.Telemetry), dir}
		},
		Corrupt: func(t *testing.T, s blob.Store, key string) {
			path := filepath.Join(s.(folder).dir, key+"~")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[0] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func TestBlob(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	inner, dir := openBlobs(t)
	s := otel.WrapBlob(inner, l.Telemetry)
	ctx := l.root(t)
	if _, err := s.Put(ctx, "key", strings.NewReader("12345")); err != nil {
		t.Fatal(err)
	}
	read := func() error {
		r, _, err := s.Open(ctx, "key")
		if err != nil {
			return err
		}
		_, err = io.ReadAll(r)
		for range 2 { // closing twice must not count twice
			_ = r.Close()
		}
		return err
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "key~")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := read(); !errors.Is(err, blob.ErrCorrupt) {
		t.Fatal(err)
	}
	_ = s.Delete(ctx, "key")
	_, _ = s.Stat(ctx, "key")
	if err := read(); !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
	_, _ = s.Stat(t.Context(), "key") // outside of a trace: no span

	var got []string
	for _, span := range l.ended(t) {
		got = append(got, fmt.Sprint(span.Name(), " ", attributes(span)["error.type"], " ", attributes(span)["bureau.blob.size"]))
	}
	want := []string{
		"blob put <nil> 5", "blob open <nil> 5", "blob open blob_corrupt 5", "blob delete <nil> <nil>", "blob stat blob_not_found <nil>",
		"blob open blob_not_found <nil>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	wantCounts(t, l, "bureau_blob_calls",
		`bureau_blob_calls_total{operation="delete",outcome="ok"} 1`,
		`bureau_blob_calls_total{operation="open",outcome="internal"} 1`,
		`bureau_blob_calls_total{operation="open",outcome="not_found"} 1`,
		`bureau_blob_calls_total{operation="open",outcome="ok"} 1`,
		`bureau_blob_calls_total{operation="put",outcome="ok"} 1`,
		`bureau_blob_calls_total{operation="stat",outcome="not_found"} 2`,
	)
	if got := l.counts(t, `bureau_blob_bytes_total{direction="written"}`); !cmp.Equal(got, []string{`bureau_blob_bytes_total{direction="written"} 5`}) {
		t.Errorf("bytes: %v", got)
	}
}

func TestBusSuite(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	bustest.Run(t, bustest.Config{New: func(*testing.T) []bus.Bus { return []bus.Bus{otel.WrapBus(memory.New(), l.Telemetry)} }})
}

func TestBus(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	b := otel.WrapBus(memory.New(), l.Telemetry)
	got := make(chan []byte, 1)
	stop, err := b.Subscribe(t.Context(), "topic", func(p []byte) { got <- p })
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Publish(l.root(t), "topic", []byte("secret")); err != nil {
		t.Fatal(err)
	}
	<-got
	stop()
	if err := b.Publish(t.Context(), "bad topic", nil); err == nil {
		t.Error("the error was lost")
	}
	if s := l.one(t); s.Name() != "bus publish" || len(s.Attributes()) != 0 {
		t.Errorf("span %q %v", s.Name(), s.Attributes())
	}
	wantCounts(t, l, "bureau_bus",
		`bureau_bus_publish_duration_seconds_count 2`,
		`bureau_bus_published_total{outcome="internal"} 1`,
		`bureau_bus_published_total{outcome="ok"} 1`,
		`bureau_bus_received_total 1`,
	)
}

func TestJobs(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	run := func(fn func() error) {
		defer func() { _ = recover() }()
		_ = otel.WrapJobs(func(context.Context, json.RawMessage) error { return fn() }, l.Telemetry, "sweep")(t.Context(), nil)
	}
	run(func() error { return nil })
	run(func() error { return fault.New(fault.Unavailable, "store_busy", "busy") })
	run(func() error { panic("secret") })
	var got []any
	for _, s := range l.ended(t) {
		if s.Name() != "job sweep" || s.SpanKind().String() != "consumer" {
			t.Errorf("span %q, %s", s.Name(), s.SpanKind())
		}
		got = append(got, attributes(s)["error.type"])
	}
	if diff := cmp.Diff([]any{nil, "store_busy", "panic"}, got); diff != "" {
		t.Errorf("error types (-want +got):\n%s", diff)
	}
	wantCounts(t, l, "bureau_job",
		`bureau_job_duration_seconds_count{kind="sweep"} 3`,
		`bureau_job_runs_total{kind="sweep",outcome="ok"} 1`,
		`bureau_job_runs_total{kind="sweep",outcome="panic"} 1`,
		`bureau_job_runs_total{kind="sweep",outcome="unavailable"} 1`,
	)
}
