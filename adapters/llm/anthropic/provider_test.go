package anthropic_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/bureau-agents/bureau/adapters/llm/anthropic"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, llmtest.Config{
		New: func(t *testing.T, script *llmtest.Script) llm.Provider {
			return serve(t, fake(t, script), anthropic.Config{FirstByteTimeout: script.FirstByteTimeout})
		},
	})
}

func ask(text string) llm.Request {
	return llm.Request{Model: "test-model", Messages: []llm.Message{{Role: llm.RoleUser, Blocks: []llm.Block{{Text: text}}}}}
}

func drain(t *testing.T, p llm.Provider, req llm.Request) (*llm.Response, error) {
	t.Helper()
	var resp *llm.Response
	for event, err := range p.Generate(t.Context(), req) {
		if err != nil {
			return nil, err
		}
		if event.Response != nil {
			resp = event.Response
		}
	}
	return resp, nil
}

// TestTranscripts replays documented streams and compares what becomes of them.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	streams, err := filepath.Glob("testdata/*.sse")
	if err != nil || len(streams) == 0 {
		t.Fatalf("transcripts: %v, %v", streams, err)
	}
	for _, path := range streams {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			stream, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := os.ReadFile(strings.TrimSuffix(path, ".sse") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var want llm.Response
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
				_, _ = w.Write(stream)
			}), anthropic.Config{})
			got, err := drain(t, p, ask("Hi"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, *got, llmtest.Compare()); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// sent returns what the provider sends for a request.
func sent(t *testing.T, config anthropic.Config, req llm.Request) (path string, header http.Header, body map[string]any) {
	t.Helper()
	config.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		path, header = r.URL.Path, r.Header
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		return nil, errors.New("unreachable")
	})
	p, err := anthropic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := drain(t, p, req); !errors.Is(err, llm.ErrOverloaded) {
		t.Errorf("error %v, want ErrOverloaded", err)
	}
	return path, header, body
}

func TestBaseURL(t *testing.T) {
	t.Setenv("ANTHROPIC_BASE_URL", "https://elsewhere.example")
	t.Setenv("ANTHROPIC_API_KEY", "somebody's")
	for suffix, want := range map[string]string{
		"": "/v1/messages", "/": "/v1/messages", "/v1": "/v1/messages", "/v1/": "/v1/messages", "/v1/messages": "/v1/messages", "/claude": "/claude/v1/messages",
	} {
		path, header, _ := sent(t, anthropic.Config{BaseURL: "https://models.example" + suffix, Headers: map[string]string{"X-Title": "Bureau"}}, ask("Hi"))
		if path != want {
			t.Errorf("base URL with %q: asked %q, want %q", suffix, path, want)
		}
		if header.Get("X-Title") != "Bureau" || header.Get("X-Api-Key") != "" {
			t.Errorf("headers %v", header)
		}
	}
	for _, bad := range []anthropic.Config{{BaseURL: "models.example"}, {BaseURL: "ftp://x"}, {MaxTokens: -1}, {ThinkingTokens: 10}} {
		if _, err := anthropic.New(bad); err == nil {
			t.Errorf("New accepts %+v", bad)
		}
	}
}

func TestRequestOptions(t *testing.T) {
	t.Parallel()
	req := ask("Hi")
	req.Model = ""
	req.Messages = append(req.Messages,
		llm.Message{Role: llm.RoleAssistant, Blocks: []llm.Block{
			{Thinking: &llm.Thinking{Text: "another provider's, unsigned"}}, {Text: " "},
			{ToolUse: &llm.ToolUse{ID: "functions.pay:0", Name: "pay"}},
		}},
		llm.Message{Role: llm.RoleUser, Blocks: []llm.Block{{Text: "And?"}, {ToolResult: &llm.ToolResult{ID: "functions.pay:0"}}}},
		llm.Message{Role: llm.RoleAssistant, Blocks: []llm.Block{{Text: ""}}})
	_, _, body := sent(t, anthropic.Config{Model: "claude-x", ThinkingTokens: 2000, Cache: true}, req)
	want := map[string]any{
		"model": "claude-x", "max_tokens": 8192.0, "stream": true,
		"thinking":      map[string]any{"type": "enabled", "budget_tokens": 2000.0},
		"cache_control": map[string]any{"type": "ephemeral"},
		"messages": []any{
			map[string]any{"role": "user", "content": []any{map[string]any{"type": "text", "text": "Hi"}}},
			map[string]any{"role": "assistant", "content": []any{map[string]any{"type": "tool_use", "id": "functions_pay_0", "name": "pay", "input": map[string]any{}}}},
			map[string]any{"role": "user", "content": []any{
				map[string]any{"type": "tool_result", "tool_use_id": "functions_pay_0"},
				map[string]any{"type": "text", "text": "And?"},
			}},
		},
	}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	req := ask("")
	req.Messages[0].Blocks = []llm.Block{
		{Media: &llm.Media{MediaType: "application/pdf", Data: []byte("%PDF-"), Title: "Invoice"}},
		{Media: &llm.Media{MediaType: "text/plain", Data: []byte("Hello")}},
		{Text: "Compare them."},
	}
	script := llmtest.NewScript(llmtest.Text("Done."))
	p := serve(t, fake(t, script), anthropic.Config{})
	if _, err := drain(t, p, req); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(req.Messages[0].Blocks, script.Requests()[0].Messages[0].Blocks); diff != "" {
		t.Errorf("what the server received (-want +got):\n%s", diff)
	}
	req.Messages[0].Blocks = []llm.Block{{Media: &llm.Media{MediaType: "video/mp4", Data: []byte("x")}}}
	if _, err := drain(t, p, req); !errors.Is(err, llm.ErrRefusedRequest) {
		t.Errorf("a film: %v, want ErrRefusedRequest", err)
	}
}

func TestForeignErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, kind string
		status     int
		body       string
		want       error
		message    string
	}{
		{"a page", "text/html", 502, `<html>Bad gateway</html>`, llm.ErrOverloaded, "overloaded"},
		{"a page with success", "text/html", 200, `<html>Welcome</html>`, llm.ErrRefusedRequest, "base URL"},
		{"a redirect", "text/html", 307, ``, llm.ErrRefusedRequest, "redirects"},
		{"an endless body", "text/plain", 500, strings.Repeat("x", 1<<20), llm.ErrOverloaded, "overloaded"},
		{"rate limit in the stream", "text/event-stream", 200, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n", llm.ErrRateLimited, "slow down"},
		{"unknown error in the stream", "text/event-stream", 200, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"broke\"}}\n\n", llm.ErrOverloaded, "broke"},
		{"garbage", "text/event-stream", 200, "event: message_start\ndata: {\"type\":\n\n", llm.ErrCutStream, "cut off"},
		{"nothing", "text/event-stream", 200, "", llm.ErrCutStream, "cut off"},
		{"a gap", "text/event-stream", 200, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n", llm.ErrCutStream, "lacks content block 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.status == 307 {
					w.Header().Set("Location", "http://elsewhere.example/")
				}
				w.Header().Set("Content-Type", tt.kind)
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprint(w, tt.body)
			}), anthropic.Config{})
			_, err := drain(t, p, ask("Hi"))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if told, _ := fault.As(err); !strings.Contains(told.Message, tt.message) || len(told.Message) > 2000 {
				t.Errorf("message %q does not say %q", told.Message, tt.message)
			}
		})
	}
}

func TestSilenceInTheMiddle(t *testing.T) {
	t.Parallel()
	p := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, "event: ping\ndata: {\"type\":\"ping\"}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), anthropic.Config{IdleTimeout: 100 * time.Millisecond})
	if _, err := drain(t, p, ask("Hi")); !errors.Is(err, llm.ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
}
