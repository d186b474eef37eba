package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// fakeModel is an OpenAI-compatible server that answers one word and notes when it was asked.
type fakeModel struct {
	server *httptest.Server

	mu      sync.Mutex
	marked  time.Time
	arrived chan time.Duration
}

func newFakeModel() *fakeModel {
	m := &fakeModel{arrived: make(chan time.Duration, 1)}
	m.server = httptest.NewServer(http.HandlerFunc(m.answer))
	return m
}

func (m *fakeModel) url() string { return m.server.URL }
func (m *fakeModel) close()      { m.server.Close() }

// mark sets the time from which the next request is counted.
func (m *fakeModel) mark() {
	m.mu.Lock()
	m.marked = time.Now()
	m.mu.Unlock()
}

func (m *fakeModel) answer(w http.ResponseWriter, _ *http.Request) {
	now := time.Now()
	m.mu.Lock()
	since := now.Sub(m.marked)
	m.mu.Unlock()
	select {
	case m.arrived <- since:
	default:
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for _, chunk := range []string{
		`{"id":"c","object":"chat.completion.chunk","model":"fake","choices":[{"index":0,"delta":{"role":"assistant","content":"Fine."}}]}`,
		`{"id":"c","object":"chat.completion.chunk","model":"fake","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
		`{"id":"c","object":"chat.completion.chunk","model":"fake","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}`,
		`[DONE]`,
	} {
		fmt.Fprintf(w, "data: %s\n\n", chunk)
	}
}

// measure sends messages one after the other and collects how long each took to reach the model.
func (m *fakeModel) measure(ctx context.Context, times int, send func(ctx context.Context, text string) error) (sample, error) {
	var s sample
	for i := range times {
		if err := send(ctx, fmt.Sprintf("How are you, for the %d. time?", i)); err != nil {
			return s, err
		}
		select {
		case d := <-m.arrived:
			s.times = append(s.times, d)
		case <-time.After(10 * time.Second):
			return s, errors.New("a message did not reach the model within 10 s")
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
	slices.Sort(s.times)
	return s, nil
}
