package openai_test

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

	"github.com/bureau-agents/bureau/adapters/llm/openai"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, llmtest.Config{
		New: func(t *testing.T, script *llmtest.Script) llm.Provider {
			return serve(t, fake(t, script), openai.Config{FirstByteTimeout: script.FirstByteTimeout})
		},
		NoThinkingHistory: true,
		NoSignatures:      true,
		NoCacheWrites:     true,
		NoDocuments:       true,
		NoResultErrors:    true,
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

// TestTranscripts replays streams of real servers, each with its habits, and compares what becomes of them.
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
			}), openai.Config{})
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

func TestBaseURL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"":                     "/v1/chat/completions",
		"/":                    "/v1/chat/completions",
		"/v1":                  "/v1/chat/completions",
		"/v1/":                 "/v1/chat/completions",
		"/api":                 "/api/v1/chat/completions",
		"/proxy":               "/proxy/v1/chat/completions",
		"/v1/chat/completions": "/v1/chat/completions",
		"/v1beta/openai/":      "/v1beta/openai/chat/completions",
		"/api/paas/v4":         "/api/paas/v4/chat/completions",
	}
	for suffix, want := range tests {
		t.Run(suffix, func(t *testing.T) {
			t.Parallel()
			var got, custom string
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				got, custom = r.URL.Path, r.Header.Get("X-Title")
				return nil, errors.New("unreachable")
			})
			p, err := openai.New(openai.Config{Name: "google", BaseURL: "https://models.example" + suffix, Headers: map[string]string{"X-Title": "Bureau"}, Transport: transport})
			if err != nil {
				t.Fatal(err)
			}
			if p.Name() != "google" {
				t.Errorf("Name %q", p.Name())
			}
			if _, err := drain(t, p, ask("Hi")); !errors.Is(err, llm.ErrOverloaded) {
				t.Errorf("error %v, want ErrOverloaded", err)
			}
			if got != want || custom != "Bureau" {
				t.Errorf("asked %q with header %q, want %q", got, custom, want)
			}
		})
	}
	for _, bad := range []string{"models.example", "ftp://models.example", "http://", "://"} {
		if _, err := openai.New(openai.Config{BaseURL: bad}); err == nil {
			t.Errorf("New accepts the base URL %q", bad)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestLimitOfTokens(t *testing.T) {
	t.Parallel()
	tests := []struct {
		base, model string
		want        string
	}{
		{"https://api.openai.com", "gpt-4o", "max_completion_tokens"},
		{"https://local.example", "gpt-5-mini", "max_completion_tokens"},
		{"https://local.example", "o3", "max_completion_tokens"},
		{"https://local.example", "qwen3", "max_tokens"},
	}
	for _, tt := range tests {
		var body map[string]any
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			return nil, errors.New("unreachable")
		})
		p, err := openai.New(openai.Config{BaseURL: tt.base, Transport: transport})
		if err != nil {
			t.Fatal(err)
		}
		req := ask("Hi")
		req.Model, req.MaxOutputTokens = tt.model, 100
		if _, err := drain(t, p, req); err == nil {
			t.Fatal("no error")
		}
		for _, field := range []string{"max_tokens", "max_completion_tokens"} {
			if _, has := body[field]; has != (field == tt.want) {
				t.Errorf("%s at %s: %s is set: %v", tt.model, tt.base, field, has)
			}
		}
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
		{"an array", "application/json", 400, `[{"error":{"code":400,"message":"unknown model","status":"INVALID_ARGUMENT"}}]`, llm.ErrRefusedRequest, "unknown model"},
		{"a string", "application/json", 404, `{"error":"model not found"}`, llm.ErrRefusedRequest, "model not found"},
		{"a detail", "application/json", 422, `{"detail":"bad field"}`, llm.ErrRefusedRequest, "bad field"},
		{"a page", "text/html", 502, `<html>Bad gateway</html>`, llm.ErrOverloaded, "overloaded"},
		{"a page with success", "text/html", 200, `<html>Welcome</html>`, llm.ErrRefusedRequest, "base URL"},
		{"a redirect", "text/html", 307, ``, llm.ErrRefusedRequest, "redirects"},
		{"an endless body", "text/plain", 500, strings.Repeat("x", 1<<20), llm.ErrOverloaded, "..."},
		{"an error in the stream", "text/event-stream", 200, "data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_exceeded\"}}\n\n", llm.ErrRateLimited, "slow down"},
		{"an error beside an id", "text/event-stream", 200, "data: {\"id\":\"x\",\"error\":{\"message\":\"provider broke\",\"code\":502},\"choices\":[]}\n\n", llm.ErrOverloaded, "provider broke"},
		{"garbage", "text/event-stream", 200, "data: {\"id\":\n\n", llm.ErrCutStream, "cut off"},
		{"nothing", "text/event-stream", 200, "", llm.ErrCutStream, "cut off"},
		{"only the end", "text/event-stream", 200, "data: [DONE]\n\n", llm.ErrCutStream, "cut off"},
		{
			"arguments that are no object", "text/event-stream", 200,
			`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"pay","arguments":"{\"amount\":"}}]},"finish_reason":"tool_calls"}]}` + "\n\ndata: [DONE]\n\n",
			llm.ErrCutStream, `called "pay"`,
		},
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
			}), openai.Config{})
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
		_, _ = fmt.Fprint(w, `data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}`+"\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}), openai.Config{IdleTimeout: 100 * time.Millisecond})
	if _, err := drain(t, p, ask("Hi")); !errors.Is(err, llm.ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
}
