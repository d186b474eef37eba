package llmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/tool"
)

// Config describes the implementation under test.
type Config struct {
	// New returns a provider whose far end plays script, with script's FirstByteTimeout when it is set. The far end translates
	// what it receives back into llm.Request for Script.Take. New is called once per subtest; subtests are parallel.
	New func(t *testing.T, script *Script) llm.Provider

	// The tolerances: what a vendor's wire format cannot carry, and so is not compared.
	NoThinkingHistory bool // reasoning is not sent back in later requests
	NoSignatures      bool // reasoning has no signature and is never redacted
	NoCacheWrites     bool // usage does not tell cache writes
	NoReasoningTokens bool // usage does not tell reasoning tokens
	NoDocuments       bool // media other than images is refused
	NoResultErrors    bool // a tool result's IsError is told in its text
}

// patience is how long the suite waits for what must happen.
const patience = 20 * time.Second

// outcome is what a caller saw of one answer.
type outcome struct {
	Text, Thinking string
	Inputs         map[string]string // tool use id -> "name arguments"
	Announced      []string          // tool use ids in the order of their first delta
	Response       *llm.Response
	Responses      int
}

func drain(ctx context.Context, p llm.Provider, req llm.Request) (outcome, error) {
	out := outcome{Inputs: map[string]string{}}
	names, args := map[string]string{}, map[string]string{}
	for event, err := range p.Generate(ctx, req) {
		if err != nil {
			return out, err
		}
		out.Text += event.Text
		out.Thinking += event.Thinking
		if in := event.ToolInput; in != nil {
			if _, ok := names[in.ID]; !ok {
				out.Announced = append(out.Announced, in.ID)
			}
			names[in.ID] = in.Name
			args[in.ID] += in.Delta
		}
		if event.Response != nil {
			out.Response = event.Response
			out.Responses++
		}
	}
	for id, name := range names {
		out.Inputs[id] = name + " " + compact(args[id])
	}
	return out, nil
}

// compact removes insignificant white space; what is no JSON stays as it is.
func compact(text string) string {
	if text == "" {
		return "{}"
	}
	var b bytes.Buffer
	if json.Compact(&b, []byte(text)) != nil {
		return text
	}
	return b.String()
}

// Compare says how the suite compares requests and answers: JSON by its meaning, nil like empty.
func Compare() cmp.Option {
	isJSON := func(p cmp.Path) bool { return p.Last().Type() == reflect.TypeFor[json.RawMessage]() }
	byMeaning := cmp.Transformer("json", func(raw json.RawMessage) string { return compact(string(raw)) })
	return cmp.Options{
		cmp.FilterPath(isJSON, byMeaning),
		cmp.FilterPath(func(p cmp.Path) bool { return !isJSON(p) }, cmpopts.EquateEmpty()),
	}
}

func ask(text string) llm.Request {
	return llm.Request{
		Model:    "test-model",
		Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: text}}}},
	}
}

var weather = tool.Spec{
	Name:        "get_weather",
	Description: "Tells the weather of a city.",
	InputSchema: json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}`),
}

// Run checks the implementation.
func Run(t *testing.T, config Config) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, c Config)
	}{
		{"text", testText},
		{"thinking", testThinking},
		{"tool call", testToolCall},
		{"tool call without arguments", testEmptyArguments},
		{"several tool calls", testSeveralCalls},
		{"stop reasons", testStopReasons},
		{"usage", testUsage},
		{"break", testBreak},
		{"cancel", testCancel},
		{"cancel before", testCancelBefore},
		{"deadline", testDeadline},
		{"errors", testErrors},
		{"late error", testLateError},
		{"cut stream", testCutStream},
		{"timeout", testTimeout},
		{"request", testRequest},
		{"thinking goes back", testThinkingGoesBack},
		{"media", testMedia},
		{"many at once", testConcurrent},
		{"name", testName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, config)
		})
	}
}

func testText(t *testing.T, c Config) {
	answer := Text("Hello there, \"world\".\nA new line, and ünïcode.")
	answer.Usage = llm.Usage{Input: 11, Output: 7}
	p := c.New(t, NewScript(answer))
	got, err := drain(t.Context(), p, ask("Hi"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != answer.Blocks[0].Text {
		t.Errorf("the deltas make %q, want %q", got.Text, answer.Blocks[0].Text)
	}
	if got.Responses != 1 {
		t.Fatalf("%d events have a Response, want 1", got.Responses)
	}
	want := llm.Response{Blocks: answer.Blocks, StopReason: llm.StopEnd, Usage: answer.Usage, Model: "test-model"}
	if diff := cmp.Diff(want, *got.Response, Compare(), cmpopts.IgnoreFields(llm.Response{}, "ProviderID")); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

func testThinking(t *testing.T, c Config) {
	thinking := llm.Thinking{Text: "First this, then that.", Signature: "c2lnbmF0dXJl"}
	if c.NoSignatures {
		thinking.Signature = ""
	}
	blocks := []llm.Block{{Thinking: &thinking}, {Text: "Done."}}
	if !c.NoSignatures {
		blocks = append([]llm.Block{{Thinking: &llm.Thinking{Redacted: "b3BhcXVl"}}}, blocks...)
	}
	p := c.New(t, NewScript(Answer{Blocks: blocks}))
	got, err := drain(t.Context(), p, ask("Think"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Thinking != thinking.Text || got.Text != "Done." {
		t.Errorf("the deltas make thinking %q and text %q", got.Thinking, got.Text)
	}
	if diff := cmp.Diff(blocks, got.Response.Blocks, Compare()); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
}

func testToolCall(t *testing.T, c Config) {
	answer := Call("call_1", "get_weather", `{"city":"São Paulo","note":"a \"quoted\" one"}`)
	answer.Blocks = append([]llm.Block{{Text: "Let me look."}}, answer.Blocks...)
	p := c.New(t, NewScript(answer))
	req := ask("Weather?")
	req.Tools = []tool.Spec{weather}
	got, err := drain(t.Context(), p, req)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"call_1": `get_weather {"city":"São Paulo","note":"a \"quoted\" one"}`}
	if diff := cmp.Diff(want, got.Inputs); diff != "" {
		t.Errorf("streamed arguments (-want +got):\n%s", diff)
	}
	if got.Response.StopReason != llm.StopToolUse {
		t.Errorf("stop reason %q, want tool_use", got.Response.StopReason)
	}
	if diff := cmp.Diff(answer.Blocks, got.Response.Blocks, Compare()); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
}

func testEmptyArguments(t *testing.T, c Config) {
	p := c.New(t, NewScript(Call("call_1", "refresh", `{}`)))
	got, err := drain(t.Context(), p, ask("Refresh"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Call("call_1", "refresh", `{}`).Blocks, got.Response.Blocks, Compare()); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"call_1"}, got.Announced); diff != "" {
		t.Errorf("announced calls (-want +got):\n%s", diff)
	}
}

func testSeveralCalls(t *testing.T, c Config) {
	answer := Call("call_1", "get_weather", `{"city":"Oslo"}`)
	answer.Blocks = append(answer.Blocks, Call("call_2", "get_weather", `{"city":"Rome"}`).Blocks...)
	answer.Blocks = append(answer.Blocks, Call("call_3", "add", `{"numbers":[1,2,3]}`).Blocks...)
	p := c.New(t, NewScript(answer))
	got, err := drain(t.Context(), p, ask("All of it"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer.Blocks, got.Response.Blocks, Compare()); diff != "" {
		t.Errorf("blocks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"call_1", "call_2", "call_3"}, got.Announced); diff != "" {
		t.Errorf("announced calls (-want +got):\n%s", diff)
	}
}

func testStopReasons(t *testing.T, c Config) {
	for _, stop := range []llm.StopReason{llm.StopEnd, llm.StopMaxTokens, llm.StopRefusal} {
		answer := Text("So far")
		answer.Stop = stop
		p := c.New(t, NewScript(answer))
		got, err := drain(t.Context(), p, ask("Go"))
		if err != nil {
			t.Fatalf("%s: %v", stop, err)
		}
		if got.Response.StopReason != stop {
			t.Errorf("stop reason %q, want %q", got.Response.StopReason, stop)
		}
	}
}

func testUsage(t *testing.T, c Config) {
	usage := llm.Usage{Input: 100, CacheRead: 2000, CacheWrite5m: 30, CacheWrite1h: 4, Output: 500, Reasoning: 60}
	if c.NoCacheWrites {
		usage.CacheWrite5m, usage.CacheWrite1h = 0, 0
	}
	if c.NoReasoningTokens {
		usage.Reasoning = 0
	}
	answer := Text("Counted.")
	answer.Usage = usage
	p := c.New(t, NewScript(answer))
	got, err := drain(t.Context(), p, ask("Count"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(usage, got.Response.Usage); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func testBreak(t *testing.T, c Config) {
	answer := Text("one two three four")
	answer.Stay = true
	script := NewScript(answer)
	p := c.New(t, script)
	for event, err := range p.Generate(t.Context(), ask("Go on")) {
		if err != nil {
			t.Fatal(err)
		}
		if event.Text != "" {
			break
		}
	}
	wantIdle(t, script)
}

func testCancel(t *testing.T, c Config) {
	answer := Text("one two three four")
	answer.Stay = true
	script := NewScript(answer)
	p := c.New(t, script)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	events := 0
	for event, err := range p.Generate(ctx, ask("Go on")) {
		if err != nil {
			last = err
			events++
			continue
		}
		if last != nil {
			t.Errorf("an event follows the error: %+v", event)
		}
		cancel()
	}
	if !errors.Is(last, context.Canceled) || events != 1 {
		t.Errorf("a cancelled answer ends with %d errors, the last %v; want one that is context.Canceled", events, last)
	}
	wantIdle(t, script)
}

func testCancelBefore(t *testing.T, c Config) {
	hold := make(chan struct{})
	defer close(hold)
	script := NewScript(Answer{Blocks: Text("late").Blocks, Hold: hold})
	p := c.New(t, script)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_ = script.WaitAsked(t.Context(), 1)
		cancel()
	}()
	if _, err := drain(ctx, p, ask("Go")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	wantIdle(t, script)
}

func testDeadline(t *testing.T, c Config) {
	answer := Text("one")
	answer.Stay = true
	script := NewScript(answer)
	p := c.New(t, script)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := drain(ctx, p, ask("Go")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want context.DeadlineExceeded", err)
	}
	wantIdle(t, script)
}

func wantIdle(t *testing.T, script *Script) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := script.WaitIdle(ctx); err != nil {
		t.Errorf("the far end still answers after the caller gave up")
	}
}

func testErrors(t *testing.T, c Config) {
	tests := []struct {
		failure Failure
		want    *fault.Error
	}{
		{Failure{Status: http.StatusBadRequest, Message: "max_tokens is too large"}, llm.ErrRefusedRequest},
		{Failure{Status: http.StatusUnauthorized, Message: "bad key sk-secret"}, llm.ErrCredentials},
		{Failure{Status: http.StatusForbidden, Message: "no access"}, llm.ErrCredentials},
		{Failure{Status: http.StatusNotFound, Message: "no such model"}, llm.ErrRefusedRequest},
		{Failure{Status: http.StatusRequestEntityTooLarge, Message: "too long"}, llm.ErrRefusedRequest},
		{Failure{Status: http.StatusTooManyRequests, Message: "slow down", RetryAfter: 7 * time.Second}, llm.ErrRateLimited},
		{Failure{Status: http.StatusTooManyRequests, Message: "slow down"}, llm.ErrRateLimited},
		{Failure{Status: http.StatusInternalServerError, Message: "oops"}, llm.ErrOverloaded},
		{Failure{Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second}, llm.ErrOverloaded},
		{Failure{Status: 529, Message: "overloaded"}, llm.ErrOverloaded},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d after %v", tt.failure.Status, tt.failure.RetryAfter), func(t *testing.T) {
			t.Parallel()
			script := NewScript(Answer{Fail: &tt.failure}, Text("must not be asked for"))
			p := c.New(t, script)
			got, err := drain(t.Context(), p, ask("Go"))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if got.Response != nil || got.Text != "" {
				t.Errorf("a failed call yields %+v", got)
			}
			told, _ := fault.As(err)
			if told.RetryAfter != tt.failure.RetryAfter {
				t.Errorf("RetryAfter %v, want %v", told.RetryAfter, tt.failure.RetryAfter)
			}
			if tt.want != llm.ErrCredentials && !bytes.Contains([]byte(told.Message), []byte(tt.failure.Message)) {
				t.Errorf("message %q does not say %q", told.Message, tt.failure.Message)
			}
			if bytes.Contains([]byte(told.Message), []byte("sk-")) {
				t.Errorf("message %q repeats a key", told.Message)
			}
			if script.Left() != 1 {
				t.Error("the provider tried again by itself")
			}
		})
	}
}

func testLateError(t *testing.T, c Config) {
	answer := Text("So far so ")
	answer.Fail = &Failure{Status: 529, Message: "overloaded", Late: true}
	p := c.New(t, NewScript(answer))
	got, err := drain(t.Context(), p, ask("Go"))
	if !errors.Is(err, llm.ErrOverloaded) {
		t.Errorf("error %v, want ErrOverloaded", err)
	}
	if got.Response != nil || got.Text != "So far so " {
		t.Errorf("text %q, response %+v; want the text alone", got.Text, got.Response)
	}
}

func testCutStream(t *testing.T, c Config) {
	answer := Text("So far so ")
	answer.Fail = &Failure{Cut: true}
	p := c.New(t, NewScript(answer))
	got, err := drain(t.Context(), p, ask("Go"))
	if !errors.Is(err, llm.ErrCutStream) {
		t.Errorf("error %v, want ErrCutStream", err)
	}
	if got.Response != nil || got.Text != "So far so " {
		t.Errorf("text %q, response %+v; want the text alone", got.Text, got.Response)
	}
}

func testTimeout(t *testing.T, c Config) {
	script := NewScript(Answer{Fail: &Failure{Silent: true}})
	script.FirstByteTimeout = 100 * time.Millisecond
	p := c.New(t, script)
	if _, err := drain(t.Context(), p, ask("Go")); !errors.Is(err, llm.ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
	wantIdle(t, script)
}

func testRequest(t *testing.T, c Config) {
	want := llm.Request{
		Model:  "test-model",
		System: "You are terse.",
		Messages: []llm.Message{
			{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Weather in Oslo and Rome?"}}},
			{Role: llm.RoleAssistant, Blocks: []llm.Block{
				{Text: "Looking."},
				{ToolUse: &llm.ToolUse{ID: "call_1", Name: "get_weather", Input: json.RawMessage(`{"city":"Oslo"}`)}},
				{ToolUse: &llm.ToolUse{ID: "call_2", Name: "get_weather", Input: json.RawMessage(`{"city":"Rome"}`)}},
			}},
			{Role: llm.RoleUser, Blocks: []llm.Block{
				{ToolResult: &llm.ToolResult{ID: "call_1", Text: "rain"}},
				{ToolResult: &llm.ToolResult{ID: "call_2", Text: "no such city", IsError: true}},
			}},
			{Role: llm.RoleAssistant, Blocks: []llm.Block{{Text: "Rain in Oslo."}}},
			{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Thanks."}, {Text: "And tomorrow?"}}},
		},
		Tools:           []tool.Spec{weather, {Name: "refresh", Description: "Refreshes.", InputSchema: json.RawMessage(`{"type":"object"}`)}},
		MaxOutputTokens: 321,
	}
	script := NewScript(Text("Sun."))
	p := c.New(t, script)
	if _, err := drain(t.Context(), p, want); err != nil {
		t.Fatal(err)
	}
	if c.NoResultErrors {
		want.Messages[2].Blocks[1].ToolResult = &llm.ToolResult{ID: "call_2", Text: "Error: no such city"}
	}
	if diff := cmp.Diff([]llm.Request{want}, script.Requests(), Compare()); diff != "" {
		t.Errorf("what the far end received (-want +got):\n%s", diff)
	}
}

func testThinkingGoesBack(t *testing.T, c Config) {
	blocks := []llm.Block{
		{Thinking: &llm.Thinking{Text: "Hm.", Signature: "c2lnbmF0dXJl"}},
		{Thinking: &llm.Thinking{Redacted: "b3BhcXVl"}},
		{Text: "Two."},
	}
	req := ask("1+1?")
	req.Messages = append(req.Messages,
		llm.Message{Role: llm.RoleAssistant, Blocks: blocks},
		llm.Message{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "Sure?"}}})
	script := NewScript(Text("Yes."))
	p := c.New(t, script)
	if _, err := drain(t.Context(), p, req); err != nil {
		t.Fatal(err)
	}
	want := blocks
	if c.NoThinkingHistory {
		want = blocks[2:]
	}
	if diff := cmp.Diff(want, script.Requests()[0].Messages[1].Blocks, Compare()); diff != "" {
		t.Errorf("what the far end received (-want +got):\n%s", diff)
	}
}

func testMedia(t *testing.T, c Config) {
	blocks := []llm.Block{
		{Text: "What is this?"},
		{Media: &llm.Media{MediaType: "image/png", Data: []byte("\x89PNG\r\n")}},
		{Media: &llm.Media{MediaType: "image/png", URL: "https://images.example/cat.png"}},
	}
	req := ask("")
	req.Messages[0].Blocks = blocks
	script := NewScript(Text("A cat."))
	p := c.New(t, script)
	if _, err := drain(t.Context(), p, req); err != nil {
		t.Fatal(err)
	}
	got := script.Requests()[0].Messages[0].Blocks
	// A URL says by itself what it leads to; wires do not carry its type.
	if len(got) == 3 && got[2].Media != nil {
		got[2].Media.MediaType = "image/png"
	}
	if diff := cmp.Diff(blocks, got, Compare()); diff != "" {
		t.Errorf("what the far end received (-want +got):\n%s", diff)
	}
	if c.NoDocuments {
		req.Messages[0].Blocks = []llm.Block{{Media: &llm.Media{MediaType: "application/pdf", Data: []byte("%PDF-")}}}
		if _, err := drain(t.Context(), p, req); !errors.Is(err, llm.ErrRefusedRequest) {
			t.Errorf("a document: %v, want ErrRefusedRequest", err)
		}
	}
}

func testConcurrent(t *testing.T, c Config) {
	const callers = 8
	script := NewScript()
	script.AnswerFunc = func(req llm.Request) Answer { return Text(req.Messages[0].Blocks[0].Text) }
	p := c.New(t, script)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			text := fmt.Sprintf("caller number %d speaks", i)
			got, err := drain(t.Context(), p, ask(text))
			if err != nil || got.Text != text {
				t.Errorf("caller %d: got %q, %v", i, got.Text, err)
			}
		})
	}
	wg.Wait()
	wantIdle(t, script)
}

func testName(t *testing.T, c Config) {
	p := c.New(t, NewScript())
	if first, second := p.Name(), p.Name(); first == "" || first != second {
		t.Errorf("Name is %q, want a constant name", p.Name())
	}
}
