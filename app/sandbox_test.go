package app_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// bench is a session whose agent has a sandbox, and the offline model, which does what it is told.
type bench struct {
	t       *testing.T
	s       *apptest.Server
	data    string // the server's data directory
	agent   string
	session string
}

func newBench(t *testing.T, cfg apptest.Config, toolset m, session m) *bench {
	t.Helper()
	b := &bench{t: t}
	change := cfg.Change
	cfg.Change = func(c *app.Config) {
		b.data = c.DataDir
		if change != nil {
			change(c)
		}
	}
	b.s = apptest.Start(t, cfg)
	if toolset == nil {
		toolset = m{}
	}
	toolset["type"] = "agent_toolset_20260401"
	var made struct{ ID string }
	b.s.Admin.Call("POST", "/v1/agents", m{"name": "worker", "model": "offline", "tools": []m{toolset}}, &made)
	b.agent = made.ID
	b.session = b.open(session)
	return b
}

func (b *bench) open(with m) string {
	b.t.Helper()
	body := m{"agent": b.agent}
	for k, v := range with {
		body[k] = v
	}
	var made struct{ ID string }
	b.s.Admin.Call("POST", "/v1/sessions", body, &made)
	return made.ID
}

func (b *bench) say(session, text string) turn {
	b.t.Helper()
	return logged(b.t, b.s.Admin.Stream("POST", "/v1/sessions/"+session+"/messages", m{"content": text}).Rest())
}

// use has the agent use a tool with these arguments and returns the result.
func (b *bench) use(session, tool string, input m) (text string, failed bool) {
	b.t.Helper()
	raw, err := json.Marshal(input)
	if err != nil {
		b.t.Fatal(err)
	}
	tn := b.say(session, "Use the "+tool+" tool with "+string(raw))
	if use := tn.last(b.t, "agent.tool_use"); use.Name != tool {
		b.t.Fatalf("%s %s became %s", tool, raw, use.Name)
	}
	res := tn.last(b.t, "agent.tool_result")
	return res.text(), res.IsError
}

func (b *bench) bash(command string) (text string, failed bool) {
	b.t.Helper()
	return b.use(b.session, "bash", m{"command": command})
}

func (b *bench) sandboxes() int {
	b.t.Helper()
	dirs, err := filepath.Glob(filepath.Join(b.data, "sandboxes", "session-*"))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(dirs)
}

// TestSandbox plays a session's life in its sandbox over HTTP.
func TestSandbox(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, cfg apptest.Config) {
		b := newBench(t, cfg, nil, nil)
		tn := b.say(b.session, "Use the bash tool to run `echo hello && pwd`")
		if use := tn.last(t, "agent.tool_use"); use.Name != "bash" || use.Permission != "allow" {
			t.Errorf("tool use: %+v", use)
		}
		if res := tn.last(t, "agent.tool_result"); res.text() != "hello\n/workspace\n" || res.IsError {
			t.Errorf("tool result: %+v", res)
		}
		if answer := tn.last(t, "agent.message"); !strings.Contains(answer.text(), "hello") {
			t.Errorf("answer: %q", answer.text())
		}

		t.Run("files", func(t *testing.T) {
			var up struct{ ID string }
			b.s.Admin.Call("POST", "/v1/files", m{"filename": "tea.csv", "content": "tea,3\n"}, &up)
			var res struct{ ID string }
			b.s.Admin.Call("POST", "/v1/sessions/"+b.session+"/resources", m{"type": "file", "file_id": up.ID}, &res)
			text, failed := b.bash("cat /mnt/session/uploads/* | tee /mnt/session/outputs/copy.csv")
			if failed || text != "tea,3\n" {
				t.Fatalf("%t %q", failed, text)
			}
			type file struct {
				ID, Filename, Path string
				SizeBytes          int64 `json:"size_bytes"`
				Downloadable       bool
			}
			outputs := func() []file {
				t.Helper()
				var out []file
				for _, f := range apptest.All[file](b.s.Admin, "/v1/files?scope_id="+b.session) {
					if f.ID != up.ID {
						out = append(out, f)
					}
				}
				return out
			}
			list := outputs()
			if len(list) != 1 || list[0].Filename != "copy.csv" || list[0].SizeBytes != 6 || !list[0].Downloadable {
				t.Fatalf("outputs: %+v", list)
			}
			if got := b.s.Admin.Do("GET", "/v1/files/"+list[0].ID+"/content", nil); string(got.Body) != "tea,3\n" {
				t.Errorf("downloaded %d %q", got.Status, got.Body)
			}
			if _, failed := b.bash("echo more >> /mnt/session/outputs/copy.csv"); failed {
				t.Error("not appended")
			}
			list = outputs()
			if len(list) != 1 || list[0].SizeBytes != 11 {
				t.Errorf("a changed output: %+v", list)
			}
			if text, failed := b.bash("mkdir -p /mnt/session/outputs/d; echo nested > /mnt/session/outputs/d/b.txt; echo flat > /mnt/session/outputs/d_b.txt; echo top > /mnt/session/outputs/b.txt"); failed {
				t.Fatal(text)
			}
			places := map[string]string{"d/b.txt": "b.txt nested\n", "d_b.txt": "d_b.txt flat\n", "b.txt": "b.txt top\n", "copy.csv": "copy.csv tea,3\nmore\n"}
			for _, f := range outputs() {
				got := f.Filename + " " + string(b.s.Admin.Do("GET", "/v1/files/"+f.ID+"/content", nil).Body)
				if want := places[f.Path]; got != want {
					t.Errorf("%s: %q, want %q", f.Path, got, want)
				}
				delete(places, f.Path)
			}
			if len(places) != 0 {
				t.Errorf("missing outputs: %v", places)
			}
			b.s.Admin.Call("DELETE", "/v1/sessions/"+b.session+"/resources/"+res.ID, nil, nil)
			if text, failed := b.bash("ls /mnt/session/uploads | wc -l"); failed || text != "0\n" {
				t.Errorf("a resource that was removed: %q", text)
			}
		})
		t.Run("the server is out of reach", func(t *testing.T) {
			other := b.open(nil)
			if _, failed := b.bash("echo private > /workspace/private"); failed {
				t.Fatal("not written")
			}
			for _, command := range []string{
				"ls " + b.data, "cat " + b.data + "/bureau.db", "cat /workspace/private", "ls " + b.data + "/sandboxes/*",
				"curl -sS -f -m 5 " + b.s.URL + "/healthz", "curl -sS -f -m 5 --noproxy '*' " + b.s.URL + "/healthz",
				"cat /proc/*/environ | tr '\\0' '\\n' | grep -i BUREAU", "cat /etc/shadow",
			} {
				if text, failed := b.use(other, "bash", m{"command": command}); !failed {
					t.Errorf("%s: %s", command, text)
				}
			}
			text, _ := b.use(other, "bash", m{"command": "env; cat /proc/self/environ"})
			for _, secret := range []string{strings.Repeat("5e", 32), b.s.BootstrapKey()} {
				if secret != "" && strings.Contains(text, secret) {
					t.Errorf("the environment holds a secret of the server: %s", text)
				}
			}
		})
		t.Run("bounds", func(t *testing.T) {
			began := time.Now()
			text, failed := b.use(b.session, "bash", m{"command": "sleep 60", "timeout_ms": 300})
			if !failed || !strings.Contains(text, "longer than 300ms") || time.Since(began) > 20*time.Second {
				t.Errorf("%t %s: %q", failed, time.Since(began), text)
			}
			text, failed = b.bash("yes flood | head -c 5000000")
			if failed || len(text) > 200<<10 || !strings.Contains(text, "the output was cut") {
				t.Errorf("%t, %d bytes", failed, len(text))
			}
		})
		t.Run("the end", func(t *testing.T) {
			second := b.open(nil)
			if _, failed := b.use(second, "write", m{"file_path": "note", "content": "x"}); failed {
				t.Fatal("not written")
			}
			before := b.sandboxes()
			b.s.Admin.Call("POST", "/v1/sessions/"+second+"/archive", nil, nil)
			b.s.Admin.Call("DELETE", "/v1/sessions/"+b.session, nil, nil)
			if n := b.sandboxes(); n != before-2 {
				t.Errorf("%d sandboxes were there, and %d are left", before, n)
			}
		})
	})
}

func TestSandboxAsksFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, apptest.Config{}, m{"default_config": m{"enabled": false}, "configs": []m{
		{"name": "bash", "enabled": true, "permission_policy": m{"type": "always_ask"}},
		{"name": "read", "enabled": true, "permission_policy": m{"type": "always_allow"}},
	}}, nil)
	answer := func(allow string, more m) turn {
		t.Helper()
		tn := b.say(b.session, "Use the bash tool to run `echo x >> /workspace/done`")
		use := tn.last(t, "agent.tool_use")
		idle := tn.last(t, "session.status_idle")
		if use.Permission != "ask" || idle.StopReason.Type != "requires_action" || len(idle.StopReason.EventIDs) != 1 || idle.StopReason.EventIDs[0] != use.ID {
			t.Fatalf("%+v", tn)
		}
		e := m{"type": "user.tool_confirmation", "tool_use_id": use.ID, "result": allow}
		for k, v := range more {
			e[k] = v
		}
		stream := b.s.Admin.Stream("GET", "/v1/sessions/"+b.session+"/events/stream", nil)
		b.s.Admin.Call("POST", "/v1/sessions/"+b.session+"/events", m{"events": []m{e}}, nil)
		return logged(t, stream.Until(func(e apptest.Event) bool { return e.Type == "session.status_idle" }))
	}
	if res := answer("allow", nil).last(t, "agent.tool_result"); res.IsError {
		t.Errorf("allowed: %+v", res)
	}
	if res := answer("deny", m{"deny_message": "not today"}).last(t, "agent.tool_result"); !res.IsError || !strings.Contains(res.text(), "not today") {
		t.Errorf("denied: %+v", res)
	}
	if text, failed := b.use(b.session, "read", m{"file_path": "done"}); failed || text != "     1\tx\n" {
		t.Errorf("what was done: %q", text)
	}
	tn := b.say(b.session, `Use the write tool with {"file_path":"a","content":"b"}`)
	for _, e := range tn {
		if e.Type == "agent.tool_use" && e.Name == "write" {
			t.Errorf("a tool that is not enabled was used: %+v", e)
		}
	}
}

func TestSandboxEnvironment(t *testing.T) {
	t.Parallel()
	// Not 127.0.0.1: programs take that for their own machine, and ask no proxy.
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this machine has one loopback address only: %v", err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "reached") }))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	b := newBench(t, apptest.Config{Change: func(c *app.Config) {
		c.EgressAllow = []string{l.Addr().String()}
		c.Runtime.Env = map[string]string{"TEAPOT": "short"}
	}}, nil, nil)
	with := func(networking m) string {
		var env struct{ ID string }
		b.s.Admin.Call("POST", "/v1/environments", m{"name": "env" + time.Now().String(), "config": m{"type": "cloud", "networking": networking}}, &env)
		return b.open(m{"environment_id": env.ID})
	}
	fetch := m{"command": "curl -sS -f -m 10 " + srv.URL + "; echo \" $TEAPOT\""}
	for name, c := range map[string]struct {
		session string
		want    bool
	}{
		"none":       {b.session, true},
		"public":     {with(m{"type": "unrestricted"}), true},
		"allowed":    {with(m{"type": "limited", "allowed_hosts": []string{"127.0.0.2"}}), true},
		"other host": {with(m{"type": "limited", "allowed_hosts": []string{"example.com"}}), false},
	} {
		text, _ := b.use(c.session, "bash", fetch)
		if strings.Contains(text, "reached") != c.want || !strings.Contains(text, " short") {
			t.Errorf("%s: %q", name, text)
		}
	}

	t.Run("self-hosted", func(t *testing.T) {
		var env struct{ ID string }
		b.s.Admin.Call("POST", "/v1/environments", m{"name": "mine", "config": m{"type": "self_hosted"}}, &env)
		sess := b.open(m{"environment_id": env.ID})
		tn := b.say(sess, "Use the bash tool to run `uname`")
		use, idle := tn.last(t, "agent.tool_use"), tn.last(t, "session.status_idle")
		if use.Name != "bash" || idle.StopReason.Type != "requires_action" {
			t.Fatalf("%+v", tn)
		}
		stream := b.s.Admin.Stream("GET", "/v1/sessions/"+sess+"/events/stream", nil)
		b.s.Admin.Call("POST", "/v1/sessions/"+sess+"/events", m{"events": []m{{
			"type": "user.tool_result", "tool_use_id": use.ID, "content": []m{{"type": "text", "text": "Plan9"}},
		}}}, nil)
		rest := logged(t, stream.Until(func(e apptest.Event) bool { return e.Type == "session.status_idle" }))
		if answer := rest.last(t, "agent.message"); !strings.Contains(answer.text(), "Plan9") {
			t.Errorf("answer: %q", answer.text())
		}
	})
	t.Run("packages that cannot be had", func(t *testing.T) {
		var env struct{ ID string }
		b.s.Admin.Call("POST", "/v1/environments", m{"name": "apt", "config": m{"type": "cloud", "packages": m{"apt": []string{"ffmpeg"}}}}, &env)
		sess := b.open(m{"environment_id": env.ID})
		tn := b.say(sess, "Use the bash tool to run `true`")
		if res := tn.last(t, "agent.tool_result"); !res.IsError || !strings.Contains(res.text(), "system packages cannot be installed") {
			t.Errorf("%+v", res)
		}
		if e := tn.last(t, "session.error"); !strings.Contains(e.Error.Message, "ffmpeg") {
			t.Errorf("%+v", e)
		}
	})
}

// TestSandboxSecrets checks that programs get the variables of a session's vaults, and that nobody reads their values.
func TestSandboxSecrets(t *testing.T) {
	t.Parallel()
	const value = "sekrit-hunter-2049"
	b := newBench(t, apptest.Config{}, nil, nil)
	var vault struct{ ID string }
	b.s.Admin.Call("POST", "/v1/vaults", m{"name": "mine", "display_name": "mine"}, &vault)
	b.s.Admin.Call("POST", "/v1/vaults/"+vault.ID+"/credentials", m{"auth": m{
		"type": "environment_variable", "secret_name": "TEA_KEY", "secret_value": value, "networking": m{"type": "unrestricted"},
	}}, nil)
	with := b.open(m{"vault_ids": []string{vault.ID}})
	text, failed := b.use(with, "bash", m{"command": "printf $TEA_KEY | wc -c; echo $TEA_KEY"})
	if failed || text != "18\n[redacted:TEA_KEY]\n" {
		t.Errorf("%t %q", failed, text)
	}
	if log := b.s.Admin.Do("GET", "/v1/sessions/"+with+"/log", nil); strings.Contains(string(log.Body), value) {
		t.Errorf("the log holds the secret: %s", log.Body)
	}
	if text, _ := b.bash("echo [$TEA_KEY]"); text != "[]\n" {
		t.Errorf("a session without the vault: %q", text)
	}
}
