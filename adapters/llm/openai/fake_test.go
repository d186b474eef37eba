package openai_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/adapters/llm/openai"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/tool"
)

// The request as https://platform.openai.com/docs/api-reference/chat/create documents it.
type wireRequest struct {
	Model    string `json:"model"`
	Messages []struct {
		Role       string          `json:"role"`
		Content    json.RawMessage `json:"content"`
		ToolCallID string          `json:"tool_call_id"`
		ToolCalls  []struct {
			ID       string `json:"id"`
			Type     string `json:"type"`
			Function struct {
				Name      string `json:"name"`
				Arguments string `json:"arguments"`
			} `json:"function"`
		} `json:"tool_calls"`
	} `json:"messages"`
	Tools []struct {
		Type     string `json:"type"`
		Function struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
	} `json:"tools"`
	Stream        bool `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           int `json:"max_tokens"`
	MaxCompletionTokens int `json:"max_completion_tokens"`
}

// decode translates a request back.
func decode(t *testing.T, r *http.Request) llm.Request {
	t.Helper()
	var in wireRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		t.Errorf("request body: %v", err)
	}
	if !in.Stream || !in.StreamOptions.IncludeUsage {
		t.Error("the request does not ask for a stream with usage")
	}
	out := llm.Request{Model: in.Model, MaxOutputTokens: in.MaxTokens}
	for _, m := range in.Messages {
		text, blocks := content(t, m.Content)
		switch m.Role {
		case "system":
			out.System = text
		case "assistant":
			if text != "" {
				blocks = []llm.Block{{Text: text}}
			}
			for _, c := range m.ToolCalls {
				blocks = append(blocks, llm.Block{ToolUse: &llm.ToolUse{ID: c.ID, Name: c.Function.Name, Input: json.RawMessage(c.Function.Arguments)}})
			}
			out.Messages = append(out.Messages, llm.Message{Role: llm.RoleAssistant, Blocks: blocks})
		case "tool":
			result := llm.Block{ToolResult: &llm.ToolResult{ID: m.ToolCallID, Text: text}}
			if n := len(out.Messages); n > 0 && out.Messages[n-1].Role == llm.RoleUser {
				out.Messages[n-1].Blocks = append(out.Messages[n-1].Blocks, result)
			} else {
				out.Messages = append(out.Messages, llm.Message{Role: llm.RoleUser, Blocks: []llm.Block{result}})
			}
		default:
			if text != "" {
				blocks = []llm.Block{{Text: text}}
			}
			out.Messages = append(out.Messages, llm.Message{Role: llm.Role(m.Role), Blocks: blocks})
		}
	}
	for _, spec := range in.Tools {
		out.Tools = append(out.Tools, tool.Spec{Name: spec.Function.Name, Description: spec.Function.Description, InputSchema: spec.Function.Parameters})
	}
	return out
}

func content(t *testing.T, raw json.RawMessage) (string, []llm.Block) {
	t.Helper()
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type     string `json:"type"`
		Text     string `json:"text"`
		ImageURL struct {
			URL string `json:"url"`
		} `json:"image_url"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		t.Errorf("content %s: %v", raw, err)
	}
	var blocks []llm.Block
	for _, p := range parts {
		switch data, ok := strings.CutPrefix(p.ImageURL.URL, "data:"); {
		case p.Type == "text":
			blocks = append(blocks, llm.Block{Text: p.Text})
		case ok:
			kind, encoded, _ := strings.Cut(data, ";base64,")
			bytes, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil {
				t.Errorf("image: %v", err)
			}
			blocks = append(blocks, llm.Block{Media: &llm.Media{MediaType: kind, Data: bytes}})
		default:
			blocks = append(blocks, llm.Block{Media: &llm.Media{URL: p.ImageURL.URL}})
		}
	}
	return "", blocks
}

// fake serves a script over the documented wire format.
func fake(t *testing.T, script *llmtest.Script) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s %s, want POST /v1/chat/completions", r.Method, r.URL.Path)
		}
		if got := r.Header.Get("Authorization"); got != "Bearer test-key" {
			t.Errorf("Authorization %q", got)
		}
		req := decode(t, r)
		answer := script.Take(req)
		defer script.Done()
		if answer.Hold != nil {
			select {
			case <-answer.Hold:
			case <-r.Context().Done():
				return
			}
		}
		fail := answer.Fail
		if fail != nil && fail.Silent {
			<-r.Context().Done()
			return
		}
		if fail != nil && !fail.Late && !fail.Cut {
			if fail.RetryAfter > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(fail.RetryAfter.Seconds())))
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(fail.Status)
			writeJSON(t, w, map[string]any{"error": map[string]any{"message": fail.Message, "type": "invalid_request_error", "param": nil, "code": nil}})
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		stream := &stream{t: t, w: w, model: req.Model}
		if answer.Model != "" {
			stream.model = answer.Model
		}
		stream.blocks(answer.Blocks)
		switch {
		case answer.Stay:
			<-r.Context().Done()
		case fail != nil && fail.Cut:
			panic(http.ErrAbortHandler)
		case fail != nil:
			stream.data(map[string]any{"error": map[string]any{"message": fail.Message, "type": "server_error", "code": fail.Status}})
		default:
			stream.end(answer)
		}
	})
}

type stream struct {
	t     *testing.T
	w     http.ResponseWriter
	model string
}

func writeJSON(t *testing.T, w http.ResponseWriter, value any) {
	t.Helper()
	if err := json.NewEncoder(w).Encode(value); err != nil {
		t.Log(err)
	}
}

func (s *stream) data(value any) {
	raw, err := json.Marshal(value)
	if err != nil {
		s.t.Error(err)
	}
	// A caller that gave up is a part of several tests, so that a failed write is none.
	_, _ = fmt.Fprintf(s.w, ": keep-alive\n\ndata: %s\n\n", raw)
	s.w.(http.Flusher).Flush()
}

func (s *stream) chunk(delta map[string]any, finish any) {
	s.data(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": s.model, "usage": nil,
		"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": finish}},
	})
}

func (s *stream) blocks(blocks []llm.Block) {
	s.chunk(map[string]any{"role": "assistant", "content": ""}, nil)
	calls := 0
	for _, b := range blocks {
		switch {
		case b.ToolUse != nil:
			s.chunk(map[string]any{"tool_calls": []any{map[string]any{
				"index": calls, "id": b.ToolUse.ID, "type": "function", "function": map[string]any{"name": b.ToolUse.Name, "arguments": ""},
			}}}, nil)
			for _, part := range llmtest.Halves(b.ToolUse.Input) {
				s.chunk(map[string]any{"tool_calls": []any{map[string]any{"index": calls, "function": map[string]any{"arguments": part}}}}, nil)
			}
			calls++
		case b.Thinking != nil:
			for _, part := range llmtest.Chunks(b.Thinking.Text) {
				s.chunk(map[string]any{"reasoning_content": part}, nil)
			}
		default:
			for _, part := range llmtest.Chunks(b.Text) {
				s.chunk(map[string]any{"content": part}, nil)
			}
		}
	}
}

func (s *stream) end(a llmtest.Answer) {
	finish := map[llm.StopReason]string{
		llm.StopEnd: "stop", llm.StopToolUse: "tool_calls", llm.StopMaxTokens: "length", llm.StopRefusal: "content_filter",
	}[a.StopReason()]
	s.chunk(map[string]any{}, finish)
	u := a.Usage
	prompt := u.Input + u.CacheRead
	s.data(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": s.model, "choices": []any{},
		"usage": map[string]any{
			"prompt_tokens": prompt, "completion_tokens": u.Output, "total_tokens": prompt + u.Output,
			"prompt_tokens_details":     map[string]any{"cached_tokens": u.CacheRead, "audio_tokens": 0},
			"completion_tokens_details": map[string]any{"reasoning_tokens": u.Reasoning, "audio_tokens": 0},
		},
	})
	_, _ = fmt.Fprint(s.w, "data: [DONE]\n\n")
}

func serve(t *testing.T, handler http.Handler, config openai.Config) llm.Provider {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.BaseURL, config.APIKey, config.Transport = server.URL, "test-key", transport
	p, err := openai.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
