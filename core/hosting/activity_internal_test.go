package hosting

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/session"
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
