package apptest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Models is a server of models that speaks as Anthropic and as OpenAI do, by the path, and has agent cards. It refuses every key with "bad" in it, and says
// which key that was.
type Models struct {
	URL string

	mu    sync.Mutex
	reply func(ModelRequest) []string
	seen  []ModelRequest
}

// ModelRequest is what a model was asked.
type ModelRequest struct {
	Path   string
	Key    string
	Model  string
	Limit  int // of the answer's tokens
	Header http.Header
	Body   string
}

// NewModels starts the server until the test ends.
func NewModels(tb testing.TB) *Models {
	tb.Helper()
	m := &Models{reply: func(r ModelRequest) []string { return []string{"I am ", r.Model} }}
	srv := httptest.NewServer(m)
	tb.Cleanup(srv.Close)
	m.URL = srv.URL
	return m
}

// Host is the address as BUREAU_EGRESS_ALLOW names it.
func (m *Models) Host() string { return strings.TrimPrefix(m.URL, "http://") }

// Reply sets what models say, in pieces.
func (m *Models) Reply(reply func(ModelRequest) []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reply = reply
}

// Seen returns the requests so far.
func (m *Models) Seen() []ModelRequest {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]ModelRequest(nil), m.seen...)
}

// card answers with the agent card of an agent that is named after the path: "/cards/ada.json".
func (m *Models) card(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:], ".json")
	_, _ = fmt.Fprintf(w, `{"name":%q,"description":"Answers.","version":"1","supportedInterfaces":[{"url":%q,"protocolBinding":"JSONRPC",`+
		`"protocolVersion":"1.0"}],"capabilities":{},"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],`+
		`"skills":[{"id":"a","name":"Answer","description":"Answers.","tags":["a"]}]}`, name, m.URL+"/a2a")
}

// ServeHTTP implements http.Handler.
func (m *Models) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".json") {
		m.card(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var in struct {
		Model               string
		MaxTokens           int `json:"max_tokens"`
		MaxCompletionTokens int `json:"max_completion_tokens"`
	}
	_ = json.Unmarshal(body, &in)
	req := ModelRequest{
		Path: r.URL.Path, Model: in.Model, Limit: in.MaxTokens + in.MaxCompletionTokens, Header: r.Header, Body: string(body),
		Key: r.Header.Get("X-Api-Key") + strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "),
	}
	m.mu.Lock()
	m.seen = append(m.seen, req)
	reply := m.reply
	m.mu.Unlock()
	if strings.Contains(req.Key, "bad") || req.Key == "" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"type": "error", "error": map[string]any{"type": "authentication_error", "message": "no such key: " + req.Key},
		})
		return
	}
	switch r.URL.Path {
	case "/v1/messages":
		w.Header().Set("Content-Type", "text/event-stream")
		sayAnthropic(w, req, reply(req))
	case "/v1/chat/completions":
		w.Header().Set("Content-Type", "text/event-stream")
		sayOpenAI(w, req, reply(req))
	default:
		http.NotFound(w, r)
	}
}

func sayAnthropic(w io.Writer, req ModelRequest, pieces []string) {
	say := func(kind string, v map[string]any) {
		v["type"] = kind
		b, _ := json.Marshal(v)
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", kind, b)
	}
	say("message_start", map[string]any{"message": map[string]any{
		"id": "msg_1", "type": "message", "role": "assistant", "model": req.Model, "content": []any{},
		"usage": map[string]any{"input_tokens": 1000, "output_tokens": 1},
	}})
	say("content_block_start", map[string]any{"index": 0, "content_block": map[string]any{"type": "text", "text": ""}})
	for _, p := range pieces {
		say("content_block_delta", map[string]any{"index": 0, "delta": map[string]any{"type": "text_delta", "text": p}})
	}
	say("content_block_stop", map[string]any{"index": 0})
	say("message_delta", map[string]any{"delta": map[string]any{"stop_reason": "end_turn"}, "usage": map[string]any{"output_tokens": 10}})
	say("message_stop", map[string]any{})
}

func sayOpenAI(w io.Writer, req ModelRequest, pieces []string) {
	say := func(choices []any, usage any) {
		b, _ := json.Marshal(map[string]any{
			"id": "c1", "object": "chat.completion.chunk", "model": req.Model, "choices": choices, "usage": usage,
		})
		_, _ = fmt.Fprintf(w, "data: %s\n\n", b)
	}
	for _, p := range pieces {
		say([]any{map[string]any{"index": 0, "delta": map[string]any{"role": "assistant", "content": p}}}, nil)
	}
	say([]any{map[string]any{"index": 0, "delta": map[string]any{}, "finish_reason": "stop"}}, nil)
	say([]any{}, map[string]any{"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010})
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}
