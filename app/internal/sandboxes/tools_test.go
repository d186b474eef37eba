package sandboxes_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/adapters/runtime/process"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/environment"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
)

func TestOffers(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	names := func(set agent.Tool) (enabled, asked, ours []string) {
		a := w.agent
		a.Config.Tools = []agent.Tool{set}
		offers, err := w.service.Tools(t.Context(), w.sc, w.sess, a)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offers {
			enabled = append(enabled, o.Spec.Name)
			if o.Ask {
				asked = append(asked, o.Spec.Name)
			}
			if o.Tool != nil {
				ours = append(ours, o.Spec.Name)
			}
		}
		return enabled, asked, ours
	}
	check := func(got []string, want string) {
		t.Helper()
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
	all := agent.Tool{Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow}}
	enabled, asked, ours := names(all)
	check(enabled, "bash read write edit glob grep web_fetch web_search")
	check(asked, "")
	check(ours, "bash read write edit glob grep web_fetch web_search")

	some := agent.Tool{Type: agent.AgentToolset, Default: agent.ToolDefault{Permission: agent.AlwaysAllow}, Configs: []agent.ToolConfig{
		{Name: "bash", Enabled: true, Permission: agent.AlwaysAsk}, {Name: "read", Enabled: true, Permission: agent.Auto},
	}}
	enabled, asked, _ = names(some)
	check(enabled, "bash read")
	check(asked, "bash")

	enabled, _, _ = names(agent.Tool{Type: agent.MCPToolset, MCPServer: "x", Default: agent.ToolDefault{Enabled: true}})
	check(enabled, "")

	w.sess.Environment = w.environment(environment.Config{Type: environment.SelfHosted})
	w.put(w.sess)
	enabled, _, ours = names(all)
	check(enabled, "bash read write edit glob grep web_fetch web_search")
	check(ours, "")
}

func TestBash(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	has(t, w.bash("echo hello; echo world >&2"), "hello", "world")
	has(t, w.bash("pwd"), "/workspace")
	w.refused("bash", in{"command": "echo before; exit 3"}, "before", "[exit code 3]")
	w.refused("bash", in{"command": "kill -9 $$"}, "killed")
	w.refused("bash", in{"command": "if"}, "syntax error")
	w.refused("bash", in{}, "command is required")
	has(t, w.bash("true"), "[no output]")
	has(t, w.bash("read line; echo \"got '$line'\""), "got ''")
	has(t, w.bash("printf 'a\\x00b\\xff'"), "a\uFFFDb\uFFFD")
	long := strings.Repeat("x", 200_000)
	has(t, w.ok("bash", in{"command": "echo " + long + " | wc -c"}), "200001")
}

func TestBashKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.vars = map[string]string{"API_KEY": "s3cret-value"}
	w.sess.Vaults = []id.Vault{id.New[id.VaultKind](ids)}
	w.put(w.sess)
	w.bash("mkdir -p a/b && cd a/b && export GREETING=$'it\\'s\\n\"me\" $HOME' PATH=/workspace/bin:$PATH && local=1; unset LANG")
	const look = `pwd; printf '%s|' "$GREETING" "$local" "$LANG" "$API_KEY" "${PATH%%:*}"`
	want := []string{"/workspace/a/b\n", "it's\n\"me\" $HOME||", "|s3cret-value|/workspace/bin|"}
	has(t, w.bash(look), want...)
	w.restart()
	has(t, w.bash(look), want...)
	// What a command does after a failure is kept, too, and its own options end with it.
	w.refused("bash", in{"command": "set -eu; cd /tmp; false; cd /"}, "[exit code 1]")
	has(t, w.bash("pwd; echo \"[$none]\""), "/tmp\n", "[]")
	// The value of a secret is not written down.
	if out := w.call(w.sess, "bash", in{"command": "grep -r s3cret-value ~ /workspace /tmp"}); !strings.Contains(out.Text, "[exit code 1]") {
		t.Errorf("the secret lies in a file: %s", out.Text)
	}
	w.vars = map[string]string{"API_KEY": "rotated"}
	has(t, w.bash("echo $API_KEY"), "rotated")

	w.bash("cd /workspace/a/b; rm -r /workspace/a")
	has(t, w.bash("pwd"), "the working directory is gone", "/workspace")
	has(t, w.ok("bash", in{"restart": true}), "restarted")
	has(t, w.bash(`pwd; echo "[$GREETING]"`), "/workspace\n[]")
	w.bash("cd /tmp")
	has(t, w.ok("bash", in{"restart": true, "command": "pwd"}), "/workspace")
}

func TestBashIsBounded(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world, _ *process.Config) { w.cfg.Timeout = 20 * time.Second })
	began := time.Now()
	w.refused("bash", in{"command": "echo start; sleep 60", "timeout_ms": 300}, "start", "longer than 300ms", "timeout_ms")
	if d := time.Since(began); d > 15*time.Second {
		t.Errorf("a command of 300 ms took %s", d)
	}
	out := w.bash("head -c 3000000 /dev/zero | tr '\\0' y")
	if len(out) > 140<<10 || !strings.Contains(out, "the output was cut") {
		t.Errorf("%d bytes came of a flood: %s", len(out), out[len(out)-200:])
	}
	has(t, w.bash("seq 100000"), "\n1\n2\n"[1:], "the output was cut", "99999\n100000")
	// Nothing outlives its call.
	w.bash("(sleep 300; echo late > /workspace/late) & echo $! > /workspace/pid; disown")
	if out := w.call(w.sess, "bash", in{"command": "ps aux | grep -c '[s]leep 300'"}); !strings.HasPrefix(out.Text, "0") {
		t.Errorf("a program outlived its call: %s", out.Text)
	}
}

func TestSessionsAreApart(t *testing.T) {
	t.Parallel()
	var data string
	w := setup(t, func(_ *world, rt *process.Config) { data = rt.Dir })
	if err := os.WriteFile(data+"/secret.txt", []byte("the server's"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.bash("echo mine > /workspace/mine; echo mine > /tmp/mine")
	other := w.newSession()
	for _, cmd := range []string{
		"cat /workspace/mine", "cat /tmp/mine", "cat " + data + "/secret.txt", "ls " + data, "cat " + data + "/*/files/workspace/mine",
		"cat /etc/shadow", "find / -name mine -not -path '/proc/*' 2>/dev/null | grep .",
	} {
		if res := w.call(other, "bash", in{"command": cmd}); !res.IsError {
			t.Errorf("%s: %s", cmd, res.Text)
		}
	}
	if res := w.call(other, "read", in{"file_path": "/workspace/mine"}); !res.IsError {
		t.Errorf("another session's file: %s", res.Text)
	}
	t.Run("links do not lead out", func(t *testing.T) {
		if res := w.call(other, "bash", in{"command": "ln -s " + data + "/secret.txt /workspace/link; ln -s /etc /workspace/etc"}); res.IsError {
			t.Fatal(res.Text)
		}
		for _, p := range []string{"/workspace/link", "/workspace/etc/shadow", "/workspace/../../etc/shadow", data + "/secret.txt"} {
			if res := w.call(other, "read", in{"file_path": p}); !res.IsError {
				t.Errorf("%s: %s", p, res.Text)
			}
		}
	})
	t.Run("threads share", func(t *testing.T) {
		thread := w.newSession()
		thread.Parent = w.sess.ID
		w.put(thread)
		res := w.call(thread, "bash", in{"command": "cat /workspace/mine; cd /tmp"})
		has(t, res.Text, "mine")
		has(t, w.bash("pwd"), "/workspace")
		has(t, w.call(thread, "bash", in{"command": "pwd"}).Text, "/tmp")
	})
}

func TestReadWriteEdit(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	has(t, w.ok("write", in{"file_path": "dir/a.txt", "content": "one\ntwo\nthree\n"}), "wrote /workspace/dir/a.txt (14 bytes)")
	if got := w.ok("read", in{"file_path": "/workspace/dir/a.txt"}); got != "     1\tone\n     2\ttwo\n     3\tthree\n" {
		t.Errorf("read: %q", got)
	}
	if got := w.ok("read", in{"file_path": "dir/a.txt", "view_range": []int{2, 2}}); got != "     2\ttwo\n" {
		t.Errorf("read a part: %q", got)
	}
	if got := w.ok("read", in{"file_path": "dir/a.txt", "view_range": []int{3, -1}}); got != "     3\tthree\n" {
		t.Errorf("read to the end: %q", got)
	}
	w.refused("read", in{"file_path": "dir/a.txt", "view_range": []int{9, 10}}, "has 3 lines")
	w.refused("read", in{"file_path": "dir/a.txt", "view_range": []int{2, 1}}, "view_range")
	w.refused("read", in{"file_path": "none"}, "/workspace/none: no such file")
	w.refused("read", in{"file_path": "dir/a.txt/x"}, "/workspace/dir/a.txt/x")
	w.refused("read", in{"file_path": "dir"}, "is a directory")
	w.refused("read", in{"file_path": ""}, "must not be empty")
	w.refused("read", in{"file_path": "/etc/passwd"}, "")
	w.refused("write", in{"file_path": "dir", "content": "x"}, "is a directory")
	w.refused("write", in{"file_path": "/etc/x", "content": "x"}, "does not lie in the sandbox")

	has(t, w.ok("edit", in{"file_path": "dir/a.txt", "old_string": "two", "new_string": "2"}), "replaced 1 occurrence", "line 2")
	has(t, w.bash("cat dir/a.txt"), "one\n2\nthree\n")
	w.bash("printf 'a a\\na\\n' > rep; chmod 750 rep")
	w.refused("edit", in{"file_path": "rep", "old_string": "a", "new_string": "b"}, "occurs 3 times")
	has(t, w.ok("edit", in{"file_path": "rep", "old_string": "a", "new_string": "b", "replace_all": true}), "3 occurrences")
	has(t, w.bash("cat rep; stat -c %a rep"), "b b\nb\n750")
	w.refused("edit", in{"file_path": "rep", "old_string": "zzz", "new_string": "b"}, "does not occur")
	w.refused("edit", in{"file_path": "rep", "old_string": "b", "new_string": "b"}, "the same")
	w.refused("edit", in{"file_path": "rep", "old_string": "", "new_string": "b"}, "must not be empty")
	w.refused("edit", in{"file_path": "none", "old_string": "a", "new_string": "b"}, "no such file")

	w.bash("seq 100000 > big; : > empty; printf 'a\\x00b' > bin; head -c 5000 /dev/zero | tr '\\0' z > long; printf 'no end' > noend; mkfifo pipe")
	big := w.ok("read", in{"file_path": "big"})
	has(t, big, "     1\t1\n", "[cut before line ", "view_range")
	has(t, w.ok("read", in{"file_path": "big", "view_range": []int{90000, 90001}}), " 90000\t90000\n 90001\t90001\n")
	has(t, w.ok("read", in{"file_path": "empty"}), "is empty")
	w.refused("read", in{"file_path": "bin"}, "binary file of 3 bytes")
	has(t, w.ok("read", in{"file_path": "long"}), "[line cut]")
	has(t, w.ok("read", in{"file_path": "noend"}), "     1\tno end\n")
	w.refused("read", in{"file_path": "pipe"}, "not a regular file")

	const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	w.bash("echo " + png + " | base64 -d > dot.png")
	res := w.call(w.sess, "read", in{"file_path": "dot.png"})
	raw, err := base64.StdEncoding.DecodeString(png)
	if err != nil {
		t.Fatal(err)
	}
	if res.IsError || len(res.Media) != 1 || res.Media[0].MediaType != "image/png" || !bytes.Equal(res.Media[0].Data, raw) {
		t.Errorf("image: %+v", res)
	}
}

func TestGlobGrep(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.bash(`mkdir -p src/deep/er .git node_modules; echo 'func main() {}' > src/main.go; echo 'package x' > src/deep/er/x.go; echo text > README.md
		echo 'func hidden()' > .git/h.go; echo 'func dep()' > node_modules/d.go; printf 'func\x00' > src/bin.go; ln -s /workspace src/loop
		touch -d '2001-01-01' src/main.go`)
	for pattern, want := range map[string]string{
		"**/*.go":                   "/workspace/src/bin.go /workspace/src/deep/er/x.go /workspace/src/main.go",
		"*.md":                      "/workspace/README.md",
		"src/*.go":                  "/workspace/src/bin.go /workspace/src/main.go",
		"**/deep/**":                "/workspace/src/deep/er/x.go",
		"{README,src/main}.{md,go}": "/workspace/README.md /workspace/src/main.go",
		"/workspace/src/d*/**/?.go": "/workspace/src/deep/er/x.go",
		"src/[a-c]*.go":             "/workspace/src/bin.go",
		"./README.md":               "/workspace/README.md",
	} {
		got := strings.Fields(w.ok("glob", in{"pattern": pattern}))
		wanted := strings.Fields(want)
		if len(got) != len(wanted) {
			t.Errorf("%s: %v, want %v", pattern, got, wanted)
			continue
		}
		for _, p := range wanted {
			has(t, strings.Join(got, " "), p)
		}
	}
	all := strings.Fields(w.ok("glob", in{"pattern": "**/*.go"}))
	if all[len(all)-1] != "/workspace/src/main.go" {
		t.Errorf("the oldest file is not the last: %v", all)
	}
	has(t, w.ok("glob", in{"pattern": "*.rs"}), "no file below /workspace matches *.rs")
	has(t, w.ok("glob", in{"pattern": "*", "path": ".git"}), "/workspace/.git/h.go")
	w.refused("glob", in{"pattern": "[", "path": "src"}, "not a glob")
	w.refused("glob", in{"pattern": "{a", "path": "src"}, "without its }")
	w.refused("glob", in{"pattern": strings.Repeat("{a,b}", 30)}, "alternatives")
	w.refused("glob", in{"pattern": "*", "path": "none"}, "no such file")
	w.refused("glob", in{"pattern": ""}, "must not be empty")

	if got := w.ok("grep", in{"pattern": `^func \w+\(`}); got != "/workspace/src/main.go:1:func main() {}\n" {
		t.Errorf("grep: %q", got)
	}
	has(t, w.ok("grep", in{"pattern": "text", "path": "README.md"}), "/workspace/README.md:1:text")
	has(t, w.ok("grep", in{"pattern": "nowhere"}), "no line")
	w.refused("grep", in{"pattern": "("}, "RE2")
	w.refused("grep", in{"pattern": "a", "path": "/none"}, "/none")
	w.bash("yes needle | head -5000 > hay; for i in {1..2000}; do : > many$i; done")
	has(t, w.ok("grep", in{"pattern": "needle"}), "hay:1000:needle", "[cut after 1000 matches")
	has(t, w.ok("glob", in{"pattern": "many*"}), "[cut: 1000 of 2000 files are shown]")
}

func TestWebSearchSaysThatItCannot(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.refused("web_search", in{"query": "tea"}, "no search provider is configured")
	w.refused("web_fetch", in{"url": "https://example.com"}, "does not fetch")
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.sess.Resources = []session.Resource{{Type: session.ResourceRepository, URL: "https://github.com/a/tea", Mount: "/workspace/tea"}}
	w.sess.Environment = w.environment(environment.Config{Networking: environment.Networking{Type: environment.Limited, AllowedHosts: []string{"a.example"}}})
	w.put(w.sess)
	m := dirMount("/mnt/skills/tea", "1")
	m.About, m.ReadOnly = "how to make tea", true
	w.mounts = append(w.mounts, m, dirMount("/mnt/memory/other", "1"))
	text, err := w.service.Prompt(t.Context(), w.sc, w.sess, w.agent)
	if err != nil {
		t.Fatal(err)
	}
	has(t, text, "/workspace", "/mnt/session/outputs", "a.example", "- /workspace/tea: a clone of https://github.com/a/tea",
		"- /mnt/skills/tea: how to make tea (read-only)")
	if strings.Contains(text, "other") {
		t.Errorf("a mount that has nothing to say is told of: %s", text)
	}
	none := w.agent
	none.Config.Tools = nil
	if text, err := w.service.Prompt(t.Context(), w.sc, w.sess, none); text != "" || err != nil {
		t.Errorf("an agent without the toolset is told %q, %v", text, err)
	}
}

// TestVariableStaysWhereItMay leaves out a variable whose value the sandbox's network does not keep among its hosts.
func TestVariableStaysWhereItMay(t *testing.T) {
	t.Parallel()
	w := setup(t, nil)
	w.vars, w.varHosts = map[string]string{"API_KEY": "s3cret-value"}, []string{"api.example", "*.api.example"}
	w.sess.Vaults = []id.Vault{id.New[id.VaultKind](ids)}
	w.put(w.sess)
	const look = `echo "[$API_KEY]"`
	has(t, w.bash(look), "[]", "the variable API_KEY is not set", "api.example, *.api.example only", "any public host")
	w.bash(look)
	if told := w.told(); len(told) != 1 || !strings.Contains(told[0], "session.warning the variable API_KEY is not set") {
		t.Errorf("told %v", told)
	}
	reach := func(hosts ...string) {
		w.sess.Environment = w.environment(environment.Config{Networking: environment.Networking{Type: environment.Limited, AllowedHosts: hosts}})
		w.put(w.sess)
	}
	reach("api.example", "eu.api.example")
	if out := w.bash(look); out != "[s3cret-value]\n" {
		t.Errorf("%q", out)
	}
	reach("api.example", "other.example")
	has(t, w.bash(look), "[]", "this sandbox reaches other.example")
	if told := w.told(); len(told) != 2 {
		t.Errorf("told %v", told)
	}
}
