package hosting

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/bus"
	"github.com/bureau-agents/bureau/ports/id"
)

// TestLines: the log says that something happened, and nothing of what was said.
func TestLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event       session.EventType
		body        string
		level, want string
	}{
		"running":      {session.SessionRunning, `{}`, "info", "turn 3 of session  started"},
		"tool":         {session.AgentToolUse, `{"name":"calculator","input":{"q":"private"}}`, "info", "tool calculator called"},
		"result":       {session.AgentToolResult, `{"is_error":false,"content":[{"type":"text","text":"private"}]}`, "", ""},
		"failed tool":  {session.AgentMCPToolResult, `{"is_error":true,"content":[{"type":"text","text":"private"}]}`, "warn", "a tool answered with an error"},
		"model":        {session.SpanModelEnd, `{"model":"offline"}`, "info", "model offline answered"},
		"failed model": {session.SpanModelEnd, `{"model":"m","is_error":true,"error_message":"no"}`, "warn", "model m failed: no"},
		"error":        {session.SessionError, `{"error":{"message":"it broke"}}`, "error", "it broke"},
		"warning":      {session.SessionWarning, `{"message":"careful"}`, "warn", "careful"},
		"idle":         {session.SessionIdle, `{"stop_reason":{"type":"end_turn"}}`, "info", "turn 3 of session  ended: end_turn"},
		"message":      {session.UserMessage, `{"content":[{"type":"text","text":"private"}]}`, "", ""},
		"broken":       {session.AgentToolUse, `[`, "", ""},
		"long":         {session.SessionWarning, `{"message":"` + strings.Repeat("x", 3000) + `"}`, "warn", strings.Repeat("x", 2000) + "..."},
	} {
		level, text, ok := lineFor(session.Turn{Number: 3}, session.Event{Type: c.event, Data: json.RawMessage(c.body)})
		if ok != (c.want != "") || level != c.level || text != c.want || strings.Contains(text, "private") {
			t.Errorf("%s: %q %q %v", name, level, text, ok)
		}
	}
}

// slowDiary writes a line when it is let.
type slowDiary struct {
	let chan struct{}

	mu    sync.Mutex
	lines []string
}

func (d *slowDiary) Log(_ context.Context, _, level, text string) error {
	<-d.let
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, level+" "+text)
	return nil
}

// TestCatchUp: who reads a log waits for the lines that are on their way into it, and not for long.
func TestCatchUp(t *testing.T) {
	t.Parallel()
	here, elsewhere := id.New[id.AgentKind](id.NewGenerator(time.Now)), id.New[id.AgentKind](id.NewGenerator(time.Now))
	d := &slowDiary{let: make(chan struct{})}
	s := &Supervisor{live: map[id.Agent]running{here: {}}}
	a, err := NewActivity(ActivityDeps{Logger: slog.New(slog.DiscardHandler), Bus: struct{ bus.Bus }{}, Supervisor: s, Diary: d}, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for _, of := range []id.Agent{here, elsewhere} {
			a.Log(t.Context(), account.Scope{}, of, slog.LevelWarn, fmt.Sprint("line ", i))
		}
	}
	s.catchUp(t.Context(), elsewhere) // does not run here: nothing to wait for
	given, cancel := context.WithCancel(t.Context())
	cancel()
	s.catchUp(given, here)
	running, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(running) }()
	close(d.let)
	s.catchUp(t.Context(), here)
	d.mu.Lock()
	if got := strings.Join(d.lines, ", "); got != "warn line 0, warn line 1, warn line 2" {
		t.Errorf("the log: %s", got)
	}
	d.mu.Unlock()
	end()
	<-done
}
