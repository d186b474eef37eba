package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/bureau-agents/bureau/app/apptest"
)

// served is a terminal whose commands talk to a server that runs.
func served(t *testing.T) *terminal {
	t.Helper()
	c := newTerminal(t)
	s := apptest.Start(t, apptest.Config{})
	config := filepath.Join(t.TempDir(), "bureau.yaml") // not a variable, which each command takes out of the environment
	if err := os.WriteFile(config, []byte("api_key: "+s.Admin.Key()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("BUREAU_URL", s.URL)
	c.args = []string{"--config", config}
	return c
}

// A hosted agent in the terminal, from its making to its end.
func TestHosting(t *testing.T) {
	c := served(t)
	t.Setenv("SHOP_TOKEN", "shop-4711-token")
	soul, refunds := write(t, "soul.md", "You are Atlas.\n"), write(t, "refunds.md", "# Refunds\n\nAsk for the order's number.\n")
	c.in = "key-4712-from-stdin\n"
	made := c.must("agent", "create", "atlas", "--soul", soul, "--rule", "refunds="+refunds, "--secret", "shop_token", "--secret", "openai_api_key=-",
		"--region", "us", "--hosting-config", `{"llmProvider":"offline"}`)
	first(t, `"status": "running"`, made)
	c.wants([]string{"openai_api_key", "shop_token"}, "agent", "secret", "list", "atlas")
	c.wants([]string{"atlas", "running"}, "agent", "list")
	for _, want := range []string{`status +running`, `memory +[0-9.]+ MiB of`, `processes +\d`} {
		first(t, want, c.must("agent", "status", "atlas"))
	}
	first(t, `"live": true`, c.must("agent", "status", "atlas", "--json"))
	first(t, `"region": "us"`, c.must("agent", "hosting", "atlas"))

	c.wants([]string{"offline model"}, "chat", "atlas", "hello", "--peer", "ada", "--context", `{"name":"Ada"}`)
	c.in = "hello\n/new\nhello\n/quit\n"
	if out := c.must("chat", "atlas"); strings.Count(out, "offline model") != 2 || !strings.Contains(out, "/new begins anew") {
		t.Errorf("%s", out)
	}
	c.wants([]string{"contradict"}, "chat", "atlas", "x", "--new", "--session", "sesn_01h2xcejqtf2nbrexx3vqjhp41")
	first(t, `(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  info   .*turn`, c.must("agent", "logs", "atlas", "--tail", "20"))
	first(t, `(?m)^\{"time":`, c.must("agent", "logs", "atlas", "--json"))

	first(t, `(?m)^stopped agent_`, c.must("agent", "stop", "atlas"))
	_, err := c.run("agent", "status", "atlas")
	if coded, ok := errors.AsType[exitError](err); !ok || coded.code != exitStopped {
		t.Errorf("the status of a stopped agent: %v", err)
	}
	c.wants([]string{"atlas is not running: `bureau agent start atlas` starts it"}, "chat", "atlas", "hello")
	first(t, `(?m)^running agent_`, c.must("agent", "start", "atlas"))
	first(t, `"status": "running"`, c.must("agent", "restart", "atlas", "--json"))

	c.wants([]string{"does not run"}, "agent", "create", "broken", "--program", `{"command":["/nowhere/at/all"],"port":8700}`)
	c.wants([]string{`"type": "agent_deleted"`}, "agent", "delete", "atlas")
	c.wants([]string{`no agent "atlas"`}, "agent", "start", "atlas")
}

// Documents have hashes, a history, and what stands in the way of writing over each other.
func TestDocuments(t *testing.T) {
	c := served(t)
	c.must("agent", "create", "atlas")
	for _, doc := range [][]string{{"soul", "atlas"}, {"identity", "atlas"}, {"workflow", "atlas"}, {"rule", "atlas", "refunds"}} {
		run := func(verb string, rest ...string) string {
			t.Helper()
			return c.must(append(append([]string{"agent", doc[0], verb}, doc[1:]...), rest...)...)
		}
		hash := strings.TrimSpace(run("set", write(t, "one.md", "One.\n")))
		c.in = "Two."
		run("set", "-", "--expected-hash", hash)
		c.wants([]string{"changed meanwhile"}, append(append([]string{"agent", doc[0], "set"}, doc[1:]...), "--text", "Three.", "--expected-hash", hash)...)
		if got := run("get"); got != "Two.\n" {
			t.Errorf("%v: %q", doc, got)
		}
		if got := run("get", "--version", "1"); got != "One.\n" {
			t.Errorf("%v, the first version: %q", doc, got)
		}
		if got := run("history"); strings.Count(got, "\n") != 3 || !strings.Contains(got, hash) {
			t.Errorf("%v: %s", doc, got)
		}
		if got := strings.TrimSpace(run("restore", "1")); got != hash {
			t.Errorf("%v: restored as %s, want %s", doc, got, hash)
		}
		c.wants([]string{"is not the number of a version"}, append(append([]string{"agent", doc[0], "restore"}, doc[1:]...), "x")...)
	}
	first(t, `(?m)^refunds .* 5 `, c.must("agent", "rule", "list", "atlas"))
	c.wants([]string{"deleted refunds"}, "agent", "rule", "rm", "atlas", "refunds")
	c.wants([]string{"refunds"}, "agent", "rule", "get", "atlas", "refunds")
	c.wants([]string{"set a_key"}, "agent", "secret", "set", "atlas", "a_key=value-4711")
	c.wants([]string{"unset a_key"}, "agent", "secret", "unset", "atlas", "a_key")
	if out := c.must("agent", "secret", "list", "atlas", "--json"); strings.Contains(out, "a_key") {
		t.Errorf("%s", out)
	}

	c.must("swarm", "create", "Growth")
	c.must("swarm", "join", "growth", "atlas")
	c.wants([]string{"atlas"}, "swarm", "agents", "growth")
	c.must("swarm", "member", "add", "growth", "ada@example.com", "--role", "owner")
	c.wants([]string{"ada@example.com", "owner"}, "swarm", "members", "list", "growth")
	c.must("swarm", "member", "remove", "growth", "ada@example.com")
	c.must("swarm", "credential", "set", "growth", "openai_api_key=key-4711-4712")
	c.wants([]string{"openai_api_key"}, "swarm", "credentials", "list", "growth")
}

// Files and texts are stored once, found, and deleted.
func TestKnowledge(t *testing.T) {
	c := served(t)
	c.must("agent", "create", "atlas")
	handbook := write(t, "handbook.md", "# Refunds\n\nRefunds are granted within 30 days of the purchase.\n\n# Opening\n\nThe office in Lisbon opens at nine.\n")
	run := func(args ...string) string {
		t.Helper()
		return c.must(append(append([]string{"knowledge"}, args...), "--agent", "atlas")...)
	}
	first(t, `handbook\.md: stored [12] of`, run("add", handbook))
	first(t, `stored 0 of`, run("add", handbook, "--replace"))
	if out := c.must("file", "list"); strings.Contains(out, "handbook.md") {
		t.Errorf("the upload is still there:\n%s", out)
	}
	c.in = `{"text":"Badges are replaced by the porter.","source":"faq"}` + "\n" + `{"text":"Badges are replaced by the porter!","source":"faq"}` + "\n"
	first(t, `stored 1 of 2, twins skipped: 1\n  text 2 is a twin of know_\w+ \([01]\.\d{4}\)`, run("ingest", "-"))
	first(t, `"stored": 1`, run("ingest", "Laptops are insured against theft.", "--source", "faq", "--json"))
	for _, mode := range []string{"semantic", "lexical", "hybrid"} {
		first(t, `(?s)^\d+\.\d{4}  know_\w+  handbook\.md\n.*Refunds are granted`, run("search", "When are refunds granted?", "--mode", mode))
	}
	list := run("list", "--source", "faq")
	c.wants([]string{"deleted 1"}, "knowledge", "rm", first(t, `know_\w+`, list), "--agent", "atlas")
	c.wants([]string{"say that you mean it with --yes"}, "knowledge", "rm", "--all", "--agent", "atlas")
	first(t, `deleted \d`, run("rm", "--all", "--yes"))
	first(t, `^OF +STATE`, c.must("knowledge", "reembedding"))
	c.wants([]string{"finished"}, "knowledge", "reembedding", "--agent", "atlas", "--start")
	c.wants([]string{"--agent or --swarm is missing"}, "knowledge", "list")
	c.wants([]string{"--source is missing"}, "knowledge", "ingest", "text", "--agent", "atlas")
	for _, args := range [][]string{{"agent", "start"}, {"chat"}, {"knowledge", "list", "--agent"}} {
		var out bytes.Buffer
		cmd := root()
		cmd.SetOut(&out)
		cmd.SetErr(&bytes.Buffer{})
		cmd.SetArgs(slices.Concat([]string{cobra.ShellCompRequestCmd}, c.args, args, []string{"at"}))
		if err := cmd.ExecuteContext(t.Context()); err != nil || !strings.HasPrefix(out.String(), "atlas\tagent_") {
			t.Errorf("%v: %v %q", args, err, out.String())
		}
	}
}

// What needs a server says so, and no server is made to complete a word.
func TestWithoutServer(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "atlas")
	for _, args := range []string{"agent start atlas", "agent logs atlas", "agent create two --hosted", "chat atlas hello --peer ada"} {
		if _, err := c.run(strings.Fields(args)...); !errors.Is(err, errNoServer) {
			t.Errorf("%s: %v", args, err)
		}
	}
	c.dir = filepath.Join(t.TempDir(), "none")
	cmd := root()
	if err := cmd.PersistentFlags().Set("data", c.dir); err != nil {
		t.Fatal(err)
	}
	cmd.SetContext(context.WithoutCancel(t.Context()))
	if names, _ := completeAgent(cmd, nil, ""); len(names) > 0 {
		t.Errorf("%v", names)
	}
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("completion made a data directory")
	}
}

func TestReadSecrets(t *testing.T) {
	env := map[string]string{"ONE_KEY": "from-env", "two": "exact"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	got, err := readSecrets([]string{"one_key", "two", "three=-", "four=a=b", "five=-"}, strings.NewReader("line 3\r\nline 5"), lookup)
	want := `{"five":"line 5","four":"a=b","one_key":"from-env","three":"line 3","two":"exact"}`
	if said, _ := json.Marshal(got); err != nil || string(said) != want {
		t.Errorf("%v %s", err, said)
	}
	for arg, why := range map[string]string{"=x": "no name", "nope": "neither nope nor NOPE", "x=-": "no line for x"} {
		if _, err := readSecrets([]string{arg}, strings.NewReader(""), lookup); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", arg, err)
		}
	}
	if _, err := readSecrets([]string{"x=1", "x=2"}, nil, lookup); err == nil {
		t.Error("a secret that is given twice")
	}
}
