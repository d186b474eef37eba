// Parrot is an agent for tests that is a program of its own: it speaks OpenAI's protocol, wants a token, repeats what it hears, and falls ill
// when it is told to. It needs nothing but itself, so that an image of it is one file.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

func main() {
	var ill atomic.Bool
	http.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	http.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Model    string
			Messages []struct {
				Role    string
				Content json.RawMessage
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Println("asked as", asked.Model, "with", r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "Bearer "+os.Getenv("PARROT_TOKEN") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		heard := 0
		last := ""
		for _, m := range asked.Messages {
			if m.Role == "user" {
				heard++
				last = textOf(m.Content)
			}
		}
		ill.Store(last == "Fall ill.")
		soul, _ := os.ReadFile("SOUL.md")
		w.Header().Set("Content-Type", "text/event-stream")
		pieces := []string{"Squawk: ", last, fmt.Sprintf(" (message %d, %s)", heard, soul)}
		for i, piece := range append(pieces, "") {
			choice := map[string]any{"index": 0, "delta": map[string]any{"content": piece}, "finish_reason": nil}
			if i == len(pieces) {
				choice["delta"], choice["finish_reason"] = map[string]any{}, "stop"
			}
			raw, _ := json.Marshal(map[string]any{
				"id": "1", "object": "chat.completion.chunk", "created": 1, "model": asked.Model, "choices": []any{choice},
			})
			_, _ = fmt.Fprintf(w, "data: %s\n\n", raw)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
	})
	log.Fatal(http.ListenAndServe(":8700", nil))
}

// textOf is what a message says: a text, or parts of one.
func textOf(content json.RawMessage) string {
	var text string
	if json.Unmarshal(content, &text) == nil {
		return text
	}
	var parts []struct{ Text string }
	_ = json.Unmarshal(content, &parts)
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}
