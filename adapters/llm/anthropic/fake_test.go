package anthropic_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/bureau-agents/bureau/adapters/llm/anthropic"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/llm/llmtest"
	"github.com/bureau-agents/bureau/ports/tool"
)

// The request as https://platform.claude.com/docs/en/api/messages documents it.
type wireRequest struct {
	Model     string `json:"model"`
	MaxTokens int    `json:"max_tokens"`
	Stream    bool   `json:"stream"`
	System    []struct {
		Text string `json:"text"`
	} `json:"system"`
	Messages []struct {
		Role    string      `json:"role"`
		Content []wireBlock `json:"content"`
	} `json:"messages"`
	Tools []struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
	} `json:"tools"`
}

type wireBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	Signature string          `json:"signature"`
	Data      string          `json:"data"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Input     json.RawMessage `json:"input"`
	ToolUseID string          `json:"tool_use_id"`
	IsError   bool            `json:"is_error"`
	Title     string          `json:"title"`
	Content   []wireBlock     `json:"content"`
	Source    struct {
		Type      string `json:"type"`
		MediaType string `json:"media_type"`
		Data      string `json:"data"`
		URL       string `json:"url"`
	} `json:"source"`
}

// defaultLimit is what the provider under test sends for requests without a limit.
const defaultLimit = 4000

// decode translates a request back.
func decode(t *testing.T, r *http.Request) llm.Request {
	t.Helper()
	var in wireRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		t.Errorf("request body: %v", err)
	}
	if !in.Stream {
		t.Error("the request does not ask for a stream")
	}
	out := llm.Request{Model: in.Model}
	if in.MaxTokens != defaultLimit {
		out.MaxOutputTokens = in.MaxTokens
	}
	for _, s := range in.System {
		out.System += s.Text
	}
	for _, m := range in.Messages {
		msg := llm.Message{Role: llm.Role(m.Role)}
		for _, b := range m.Content {
			msg.Blocks = append(msg.Blocks, back(t, b))
		}
		out.Messages = append(out.Messages, msg)
	}
	for _, spec := range in.Tools {
		out.Tools = append(out.Tools, tool.Spec{Name: spec.Name, Description: spec.Description, InputSchema: spec.InputSchema})
	}
	return out
}

func back(t *testing.T, b wireBlock) llm.Block {
	t.Helper()
	switch b.Type {
	case "thinking":
		return llm.Block{Thinking: &llm.Thinking{Text: b.Thinking, Signature: b.Signature}}
	case "redacted_thinking":
		return llm.Block{Thinking: &llm.Thinking{Redacted: b.Data}}
	case "tool_use":
		return llm.Block{ToolUse: &llm.ToolUse{ID: b.ID, Name: b.Name, Input: b.Input}}
	case "tool_result":
		result := &llm.ToolResult{ID: b.ToolUseID, IsError: b.IsError}
		for _, c := range b.Content {
			result.Text += c.Text
		}
		return llm.Block{ToolResult: result}
	case "image", "document":
		m := &llm.Media{MediaType: b.Source.MediaType, URL: b.Source.URL, Title: b.Title}
		if b.Source.Type == "base64" {
			data, err := base64.StdEncoding.DecodeString(b.Source.Data)
			if err != nil {
				t.Errorf("media: %v", err)
			}
			m.Data = data
		} else if b.Source.Type == "text" {
			m.Data = []byte(b.Source.Data)
		}
		return llm.Block{Media: m}
	default:
		return llm.Block{Text: b.Text}
	}
}

// fake serves a script over the documented wire format.
func fake(t *testing.T, script *llmtest.Script) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/messages" {
			t.Errorf("%s %s, want POST /v1/messages", r.Method, r.URL.Path)
		}
		if r.Header.Get("x-api-key") != "test-key" || r.Header.Get("anthropic-version") == "" || r.Header.Get("Authorization") != "" {
			t.Errorf("headers %v", r.Header)
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
			raw, err := json.Marshal(errorBody("api_error", fail.Message))
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(raw)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		s := &stream{t: t, w: w}
		s.start(req, answer)
		s.blocks(answer.Blocks)
		switch {
		case answer.Stay:
			<-r.Context().Done()
		case fail != nil && fail.Cut:
			panic(http.ErrAbortHandler)
		case fail != nil:
			s.event("error", errorBody("overloaded_error", fail.Message))
		default:
			s.end(answer)
		}
	})
}

func errorBody(kind, message string) map[string]any {
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": message}, "request_id": "req_1"}
}

type stream struct {
	t *testing.T
	w http.ResponseWriter
}

func (s *stream) event(kind string, body map[string]any) {
	body["type"] = kind
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Error(err)
	}
	// A caller that gave up is a part of several tests, so that a failed write is none.
	_, _ = fmt.Fprintf(s.w, "event: %s\ndata: %s\n\n", kind, raw)
	s.w.(http.Flusher).Flush()
}

func (s *stream) start(req llm.Request, a llmtest.Answer) {
	model := req.Model
	if a.Model != "" {
		model = a.Model
	}
	u := a.Usage
	s.event("message_start", map[string]any{"message": map[string]any{
		"id": "msg_1", "type": "message", "role": "assistant", "content": []any{}, "model": model, "stop_reason": nil, "stop_sequence": nil,
		"usage": map[string]any{
			"input_tokens": u.Input, "output_tokens": 1, "cache_read_input_tokens": u.CacheRead,
			"cache_creation_input_tokens": u.CacheWrite5m + u.CacheWrite1h,
			"cache_creation":              map[string]any{"ephemeral_5m_input_tokens": u.CacheWrite5m, "ephemeral_1h_input_tokens": u.CacheWrite1h},
		},
	}})
	s.event("ping", map[string]any{})
}

func (s *stream) blocks(blocks []llm.Block) {
	for i, b := range blocks {
		begin := func(block map[string]any) {
			s.event("content_block_start", map[string]any{"index": i, "content_block": block})
		}
		delta := func(d map[string]any) { s.event("content_block_delta", map[string]any{"index": i, "delta": d}) }
		switch {
		case b.ToolUse != nil:
			begin(map[string]any{"type": "tool_use", "id": b.ToolUse.ID, "name": b.ToolUse.Name, "input": map[string]any{}})
			delta(map[string]any{"type": "input_json_delta", "partial_json": ""})
			if string(b.ToolUse.Input) != "{}" {
				for _, part := range llmtest.Halves(b.ToolUse.Input) {
					delta(map[string]any{"type": "input_json_delta", "partial_json": part})
				}
			}
		case b.Thinking != nil && b.Thinking.Redacted != "":
			begin(map[string]any{"type": "redacted_thinking", "data": b.Thinking.Redacted})
		case b.Thinking != nil:
			begin(map[string]any{"type": "thinking", "thinking": "", "signature": ""})
			for _, part := range llmtest.Chunks(b.Thinking.Text) {
				delta(map[string]any{"type": "thinking_delta", "thinking": part})
			}
			delta(map[string]any{"type": "signature_delta", "signature": b.Thinking.Signature})
		default:
			begin(map[string]any{"type": "text", "text": ""})
			for _, part := range llmtest.Chunks(b.Text) {
				delta(map[string]any{"type": "text_delta", "text": part})
			}
		}
		s.event("content_block_stop", map[string]any{"index": i})
	}
}

func (s *stream) end(a llmtest.Answer) {
	stop := map[llm.StopReason]string{
		llm.StopEnd: "end_turn", llm.StopToolUse: "tool_use", llm.StopMaxTokens: "max_tokens", llm.StopRefusal: "refusal",
	}[a.StopReason()]
	s.event("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": stop, "stop_sequence": nil},
		"usage": map[string]any{"output_tokens": a.Usage.Output, "output_tokens_details": map[string]any{"thinking_tokens": a.Usage.Reasoning}},
	})
	s.event("message_stop", map[string]any{})
}

func serve(t *testing.T, handler http.Handler, config anthropic.Config) llm.Provider {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	config.BaseURL, config.APIKey, config.Transport, config.MaxTokens = server.URL, "test-key", transport, defaultLimit
	p, err := anthropic.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
