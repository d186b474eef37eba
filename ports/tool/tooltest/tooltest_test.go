package tooltest_test

import (
	"encoding/json"
	"testing"

	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

func TestEcho(t *testing.T) {
	t.Parallel()
	tooltest.Run(t, tooltest.Config{
		New:  func(*testing.T) tool.Tool { return tooltest.Echo() },
		Call: tool.Call{Key: "k", Input: json.RawMessage(`{"text":"hello"}`)},
	})
}
