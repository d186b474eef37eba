package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/card"
)

// The guide to cards says what its commands answer, and has the table of the score. With -update it is brought up to date.
func TestCardGuide(t *testing.T) {
	file, err := filepath.Abs("../../../docs/cards.md")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	told := guideTable(guideCommands(t, string(raw)))
	if *update {
		if err := os.WriteFile(file, []byte(told), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(raw), told); diff != "" && !*update {
		t.Errorf("-guide +what is so (-update mends it):\n%s", diff)
	}
}

// guideTable returns the guide with the table of the score as it is.
func guideTable(guide string) string {
	const begin, end = "<!-- weights -->\n", "<!-- /weights -->\n"
	before, rest, _ := strings.Cut(guide, begin)
	if _, after, found := strings.Cut(rest, end); found {
		rest = after
	}
	var b strings.Builder
	b.WriteString("\n| criterion | points | for |\n|---|---|---|\n")
	for _, w := range card.Weights() {
		fmt.Fprintf(&b, "| `%s` | %d | %s |\n", w.Name, w.Weight, w.Text)
	}
	return before + begin + b.String() + "\n" + end + rest
}

// guideCommands runs the commands of the guide's console blocks over the files of its json blocks, and returns it with what they answer.
func guideCommands(t *testing.T, guide string) string {
	t.Helper()
	t.Setenv("GITHUB_WORKSPACE", "")
	t.Chdir(t.TempDir())
	var out strings.Builder
	commands := 0
	for guide != "" {
		head, body, found := strings.Cut(guide, "\n```")
		out.WriteString(head)
		if !found {
			break
		}
		info, body, _ := strings.Cut(body, "\n")
		body, rest, _ := strings.Cut(body, "\n```")
		switch {
		case strings.HasPrefix(info, "json "):
			if err := os.WriteFile(strings.TrimPrefix(info, "json "), []byte(body+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		case info == "console":
			var ran strings.Builder
			for line := range strings.Lines(body + "\n") {
				if command, is := strings.CutPrefix(line, "$ bureau "); is {
					commands++
					ran.WriteString(line + guideRun(t, strings.TrimSpace(command)))
				}
			}
			body = strings.TrimSuffix(ran.String(), "\n")
		}
		out.WriteString("\n```" + info + "\n" + body + "\n```")
		guide = rest
	}
	if commands < 5 {
		t.Errorf("the guide has %d commands", commands)
	}
	return out.String()
}

// guideRun runs a command and returns what a terminal would show; "> FILE" is understood.
func guideRun(t *testing.T, command string) string {
	t.Helper()
	command, file, _ := strings.Cut(command, " > ")
	var shown, kept bytes.Buffer
	cmd := root()
	cmd.SetOut(&shown)
	cmd.SetErr(&shown)
	if file != "" {
		cmd.SetOut(&kept)
	}
	cmd.SetArgs(strings.Fields(command))
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		fmt.Fprintf(&shown, "bureau: %v\n", err)
	}
	if file != "" {
		if err := os.WriteFile(file, kept.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return shown.String()
}
