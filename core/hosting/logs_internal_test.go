package hosting

import (
	"strings"
	"testing"

	"github.com/bureau-agents/bureau/core/secret"
	"github.com/bureau-agents/bureau/ports/runtime"
)

// TestLinesOfPrograms: what a program writes shows no secret, also where a line was too long to be kept, and steers no terminal.
func TestLinesOfPrograms(t *testing.T) {
	t.Parallel()
	r := secret.NewRedactor([]secret.Known{{Name: "TOKEN", Value: secret.NewValue("tok-ABCDEFGHIJ")}})
	full := func(end string) string {
		return strings.Repeat("x", runtime.MaxLogLine-len(cutMark)-len(end)) + end + cutMark
	}
	for name, c := range map[string]struct{ text, level, want string }{
		"plain":           {"hello tok-ABCDEFGHIJ", "info", "hello [redacted:TOKEN]"},
		"level":           {"[WARN] careful", "warn", "careful"},
		"short with dots": {"tok-ABC...", "info", "tok-ABC..."},
		"cut":             {full("tok-ABCDEF"), "info", strings.Replace(full("tok-ABCDEF"), "tok-ABCDEF", "[redacted:TOKEN]", 1)},
		"terminal":        {"a\x1b[31mb\u009b2Jc\x7fd\te", "info", "a [31mb 2Jc d\te"},
		"not UTF-8":       {"a\xffb", "info", "a\uFFFDb"},
	} {
		l, ok := lineOf(runtime.LogLine{Text: c.text}, r)
		if !ok || l.Level != c.level || l.Text != c.want {
			t.Errorf("%s: %v %q, want %q %q", name, ok, l, c.level, c.want)
		}
	}
	if _, ok := lineOf(runtime.LogLine{Text: " \x1b"}, nil); ok {
		t.Error("a blank line is shown")
	}
}
