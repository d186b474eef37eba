package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// write puts a file into a directory of the test's own and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// first returns what of a text a pattern matches.
func first(t *testing.T, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindString(text)
	if found == "" {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return found
}

func TestSessions(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "clerk")
	c.must("agent", "create", "idler")
	c.must("chat", "clerk", "Pay 20 USDC to vendor.example\nfor tea")
	list := c.must("session", "list", "--agent", "clerk", "--status", "idle")
	session := first(t, `sesn_\w+`, list)
	if !strings.Contains(list, "clerk") {
		t.Errorf("no agent:\n%s", list)
	}
	if out := c.must("session", "list", "--agent", "idler"); strings.Contains(out, "sesn_") {
		t.Errorf("another agent's session:\n%s", out)
	}
	if out := c.must("session", "list", "--archived"); !strings.Contains(out, session) {
		t.Errorf("no session:\n%s", out)
	}
	if out := c.must("session", "list", "--status", "running"); strings.Contains(out, "sesn_") {
		t.Errorf("a session that does not run:\n%s", out)
	}
	log := c.must("session", "log", session)
	for _, want := range []string{
		`(?m)^    1  \d\d:\d\d:\d\d  user\.message +Pay 20 USDC to vendor\.example for tea$`, `agent\.tool_use +pay \{.*"20"`,
		`session\.status_idle +end_turn`,
	} {
		first(t, want, log)
	}
	for line := range strings.Lines(c.must("session", "log", session, "--json")) {
		var e struct{ Type string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Type == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	c.wants([]string{"cancelled " + session}, "session", "cancel", session)
	c.wants([]string{`no session "nope"`}, "session", "cancel", "nope")
	c.wants([]string{`no session "nope"`}, "session", "log", "nope")
	c.wants([]string{`no agent "nobody"`}, "session", "list", "--agent", "nobody")
	c.wants([]string{"status"}, "session", "list", "--status", "asleep")
}

func TestFiles(t *testing.T) {
	c := newTerminal(t)
	path := write(t, "notes.txt", "Bring milk.\n")
	file := first(t, `file_\w+`, c.must("file", "upload", path))
	c.wants([]string{file, "12", "text/plain", "notes.txt"}, "file", "list")
	if out := c.must("file", "download", file); out != "Bring milk.\n" {
		t.Errorf("got %q", out)
	}
	c.wants([]string{filepath.Dir(path) + " is not a file"}, "file", "upload", filepath.Dir(path))
	c.wants([]string{"no such file"}, "file", "upload", path+"x")
	c.wants([]string{`no file "nope"`}, "file", "download", "nope")
	c.wants([]string{`no session "nope"`}, "file", "list", "--session", "nope")
}

func TestVaults(t *testing.T) {
	c := newTerminal(t)
	if out := c.must("vault", "list"); strings.Count(out, "\n") != 1 {
		t.Errorf("got\n%s", out)
	}
	c.call("POST", "/v1/vaults", map[string]any{"display_name": "Ada"})
	c.wants([]string{"vlt_", "Ada"}, "vault", "list")
}

func TestEvals(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "clerk")
	tasks := write(t, "tasks.json", `{"name":"smoke","tasks":[
		{"id":"honest","messages":["Who are you?"],"trials":2,"scorer":{"type":"includes","text":"not a language model"}},
		{"id":"manners","messages":["Hello"],"scorer":{"type":"includes","text":"Ahoy"}}]}`)
	out := c.must("eval", "run", tasks, "--agent", "clerk")
	for _, want := range []string{
		`evrun_\w+  smoke  completed  passed 67%`, `honest +completed +2 +100% +1\.00`, `manners +completed +1 +0% +0\.00`,
		`manners, trial 0, scorer: `, `bureau session log sesn_\w+`,
	} {
		first(t, want, out)
	}
	run := first(t, `evrun_\w+`, out)
	if shown := c.must("eval", "show", run); shown != out {
		t.Errorf("shown otherwise:\n%s\n%s", out, shown)
	}
	c.wants([]string{`"pass_rate": 0.66`}, "eval", "show", run, "--json")
	c.wants([]string{run, "smoke", "67%"}, "eval", "list")
	c.wants([]string{first(t, `sesn_\w+`, out), "terminated"}, "session", "list", "--archived")

	raw, err := os.ReadFile(tasks)
	if err != nil {
		t.Fatal(err)
	}
	c.in = strings.Replace(string(raw), "Ahoy", "offline", 1)
	better := first(t, `evrun_\w+`, c.must("eval", "run", "-", "--agent", "clerk"))
	out = c.must("eval", "compare", run, better)
	for _, want := range []string{`improvements: 1, regressions: 0`, `manners +improvement +0% +100%`, `honest +unchanged +100% +100%`} {
		first(t, want, out)
	}
	c.wants([]string{`"type": "eval_comparison"`}, "eval", "compare", run, better, "--json")

	c.in = `[]`
	c.wants([]string{"- must hold a JSON object"}, "eval", "run", "-")
	c.in = `{"tasks":[{"id":"","messages":[]}]}`
	c.wants([]string{"agent_id: is required", "tasks[0].id: "}, "eval", "run", "-")
	c.wants([]string{`no agent "nobody"`}, "eval", "run", tasks, "--agent", "nobody")
	c.wants([]string{`"nope"`}, "eval", "show", "nope")
}
