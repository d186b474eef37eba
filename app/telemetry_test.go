package app_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
)

// What a turn does can be seen from outside: in the spans that the embedder's provider receives, and in /metrics.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	spans := tracetest.NewSpanRecorder()
	a, err := app.New(ctx, app.Config{DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)},
		app.WithTracer(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	}()
	me := a.Scope()
	of, err := a.Agents.Create(ctx, me, agent.Config{Name: "clerk", Model: agent.Model{ID: "offline"}})
	if err != nil {
		t.Fatal(err)
	}
	talk, err := a.Sessions.Create(ctx, me, session.CreateRequest{Agent: of.ID})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := a.Sessions.Stream(ctx, me, talk.ID, session.StreamOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if _, err := a.Sessions.Send(ctx, me, talk.ID, []session.Input{{
		Type: session.UserMessage, Content: session.Text("Search your knowledge for the opening hours"),
	}}); err != nil {
		t.Fatal(err)
	}
	for frame, err := range stream.Frames(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if frame.Event != nil && frame.Event.Type == session.SessionIdle {
			break
		}
	}

	rec := httptest.NewRecorder()
	a.OperatorHandler().ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/metrics", http.NoBody))
	for _, want := range []string{
		`bureau_llm_requests_total{model="offline",outcome="ok",provider="offline"} `,
		`bureau_tool_calls_total{outcome="ok",tool="search_knowledge"} 1`,
		`bureau_tx_seconds_count{outcome="commit"} `,
		`bureau_bus_published_total{outcome="ok"} `,
	} {
		if !strings.Contains(rec.Body.String(), want) {
			t.Errorf("/metrics does not show %s", want)
		}
	}
	var seen []string
	for _, s := range spans.Ended() {
		seen = append(seen, s.Name())
	}
	for _, want := range []string{"chat offline", "execute_tool search_knowledge", "GET /metrics"} {
		if !slices.Contains(seen, want) {
			t.Errorf("no span %q among %q", want, seen)
		}
	}
}
