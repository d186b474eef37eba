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

	"github.com/bureau-agents/bureau/app"
	"github.com/bureau-agents/bureau/app/apptest"
)

// terminal runs commands on one data directory.
type terminal struct {
	t    *testing.T
	dir  string
	in   string   // standard input of the next command
	args []string // of every command
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	for _, s := range table { // whatever the machine has set
		t.Setenv(s.env(), "")
	}
	t.Setenv("BUREAU_URL", "")
	return &terminal{t: t, dir: apptest.DataDir(t)}
}

func (c *terminal) run(args ...string) (out string, err error) {
	c.t.Helper()
	cmd := root()
	var stdout, stderr bytes.Buffer
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	cmd.SetIn(strings.NewReader(c.in))
	cmd.SetArgs(slices.Concat(args, c.args, []string{"--data", c.dir}))
	c.in = ""
	err = cmd.ExecuteContext(c.t.Context())
	return stdout.String(), err
}

func (c *terminal) must(args ...string) string {
	c.t.Helper()
	out, err := c.run(args...)
	if err != nil {
		c.t.Fatalf("bureau %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// wants runs a command and looks for parts of what it prints or of its error.
func (c *terminal) wants(parts []string, args ...string) {
	c.t.Helper()
	out, err := c.run(args...)
	if err != nil {
		out += err.Error()
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			c.t.Errorf("bureau %s: no %q in\n%s", strings.Join(args, " "), part, out)
		}
	}
}

func TestMistakes(t *testing.T) {
	c := newTerminal(t)
	for _, tc := range []struct{ args, want string }{
		{"servee", `Did you mean "serve"?`},
		{"key creat x", `"creat" is not a command of ` + "`bureau key`"},
		{"key create", "NAME is missing"},
		{"key create a b", `"b" is one argument too many`},
		{"key create ci --expires -5h", "--expires must be a time to come"},
		{"key create ci --scope nope", "scopes[0]"},
		{"key revoke nope", `no api key "nope"`},
		{"agent create x --skill nope", `no skill "nope"`},
		{"agent get nobody", `no agent "nobody"`},
		{"chat nobody hello", `no agent "nobody"`},
		{"plugin install /nowhere", "--sha256 is missing"},
		{"plugin install . --sha256 00", ". is not a file"},
		{"plugin verify nope", `no plugin "nope"`},
		{"audit verify /nowhere", "no such file"},
		{"agent list --url 127.0.0.1:1", "http://"},
		{"agent list --url http://127.0.0.1:1", "BUREAU_API_KEY"},
		{"agent list --nope", "unknown flag: --nope"},
	} {
		out, err := c.run(strings.Fields(tc.args)...)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("bureau %s: %v, want %q\n%s", tc.args, err, tc.want, out)
		}
	}
	if out := c.must("agent", "list"); strings.Contains(out, " x ") {
		t.Errorf("an agent was made in spite of its skill:\n%s", out)
	}
}

// Every command says what it is for, how it is used, and gives an example.
func TestHelp(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s has no summary", cmd.CommandPath())
		}
		if cmd.HasSubCommands() {
			for _, sub := range cmd.Commands() {
				visit(sub)
			}
			return
		}
		if cmd.Runnable() && (cmd.Long == "" || cmd.Example == "") {
			t.Errorf("%s has no explanation or no example", cmd.CommandPath())
		}
	}
	visit(root())
}

func TestKeysAndTenants(t *testing.T) {
	c := newTerminal(t)
	var key struct{ ID, Key string }
	if err := json.Unmarshal([]byte(c.must("key", "create", "ci", "--scope", "agents:read,chat")), &key); err != nil {
		t.Fatal(err)
	}
	c.wants([]string{"agents:read,chat", key.Key[:8]}, "key", "list")
	c.wants([]string{"revoked " + key.ID}, "key", "revoke", key.ID)
	if out := c.must("key", "list"); strings.Contains(out, key.ID) {
		t.Errorf("the key is still there:\n%s", out)
	}
	c.wants([]string{`"plan": "team"`, `"api_key": "bur_`}, "tenant", "create", "acme", "--plan", "team")
}

// A conversation: streamed text, an approval that is asked for, left, taken up again and given.
func TestChat(t *testing.T) {
	c := newTerminal(t)
	c.must("agent", "create", "buyer")
	c.prepare("buyer")
	c.wants([]string{"offline model"}, "chat", "buyer", "hello")

	c.in = "Pay 20 USDC to vendor.example for tea\n"
	out, err := c.run("chat", "buyer")
	if err == nil || !strings.Contains(out, "payment of 20.00 USDC needs an approval") || !strings.Contains(out, "It keeps waiting") {
		t.Fatalf("%v\n%s", err, out)
	}
	session := strings.Fields(out)[1]
	session = strings.TrimSuffix(session, ".")

	c.in = "perhaps\ny\n/quit\n"
	out = c.must("chat", "buyer", "--session", session)
	if strings.Count(out, "Approve? [y/n]") != 2 || !strings.Contains(out, `"balance_after":"80.00"`) {
		t.Errorf("the approval was not taken up:\n%s", out)
	}
	c.in = "no\n"
	c.wants([]string{"a person denied it"}, "chat", "buyer", "Pay 30 USDC to vendor.example for tea")
	c.must("agent", "create", "other")
	c.wants([]string{"belongs to the agent"}, "chat", "other", "--session", session)
	c.must("agent", "create", "buyer")
	c.wants([]string{`several agents are named "buyer"`}, "agent", "freeze", "buyer")
}

// prepare gives an agent money and a policy that wants an approval from 10 on.
func (c *terminal) prepare(name string) {
	c.t.Helper()
	c.direct(func(ctx context.Context, cl *client) error {
		agent, err := cl.agentID(ctx, name)
		if err == nil {
			err = cl.call(ctx, "POST", "/v1/agents/"+agent+"/wallet/deposits", map[string]any{"amount": usdc("100")}, nil)
		}
		if err == nil {
			err = cl.call(ctx, "POST", "/v1/policies", map[string]any{
				"scope": map[string]any{"agent_id": agent}, "limits": map[string]any{"require_approval_above": usdc("10")},
			}, nil)
		}
		return err
	})
}

// call does what no command does.
func (c *terminal) call(method, path string, body any) {
	c.t.Helper()
	c.direct(func(ctx context.Context, cl *client) error { return cl.call(ctx, method, path, body, nil) })
}

func (c *terminal) direct(fn func(context.Context, *client) error) {
	c.t.Helper()
	cmd := root()
	cmd.SetContext(c.t.Context())
	cmd.SetErr(&bytes.Buffer{})
	if err := cmd.PersistentFlags().Set("data", c.dir); err != nil {
		c.t.Fatal(err)
	}
	cl, err := connect(cmd, false)
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.close()
	if err := fn(c.t.Context(), cl); err != nil {
		c.t.Fatal(err)
	}
}

func TestAudit(t *testing.T) {
	c := newTerminal(t)
	c.must("key", "create", "one", "--scope", "chat")
	c.must("key", "create", "two", "--scope", "chat")
	trail := c.must("audit", "export")
	file := filepath.Join(t.TempDir(), "trail.jsonl")
	verify := func(text string) (string, error) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return c.run("audit", "verify", file)
	}
	if out, err := verify(trail); err != nil || !strings.HasPrefix(out, "valid: 3 entries") {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.SplitAfter(trail, "\n")
	for name, forged := range map[string]string{
		"changed": strings.Replace(trail, `"name":"one"`, `"name":"two"`, 1),
		"removed": lines[0] + lines[1] + lines[3],
		"cut":     lines[0] + lines[1] + lines[2],
	} {
		_, err := verify(forged)
		coded, ok := errors.AsType[exitError](err)
		if !ok || coded.code != exitBroken || !strings.Contains(err.Error(), "the trail is broken: entry ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	dir := t.TempDir()
	key := strings.Fields(c.must("audit", "keys"))[1]
	checkpoint := filepath.Join(dir, "checkpoint.json")
	if err := os.WriteFile(checkpoint, []byte(c.must("audit", "checkpoint")), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must("key", "create", "three", "--scope", "chat")
	if err := os.WriteFile(file, []byte(c.must("audit", "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := c.run("audit", "verify", file, "--checkpoint", checkpoint, "--key", key)
	if err != nil || !strings.Contains(out, "valid: 4 entries") || !strings.Contains(out, "has its 3 entries, and it is signed by ed25519:") {
		t.Errorf("with a checkpoint: %v\n%s", err, out)
	}
	if err := os.WriteFile(file, []byte(c.must("audit", "export", "--after", "3")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.run("audit", "verify", file, "--checkpoint", checkpoint); err != nil || !strings.Contains(out, "for want of --key") {
		t.Errorf("a part: %v\n%s", err, out)
	}
	strange := strings.Repeat("00", 32)
	_, err = c.run("audit", "verify", file, "--checkpoint", checkpoint, "--key", strange)
	if coded, ok := errors.AsType[exitError](err); !ok || coded.code != exitUnsigned {
		t.Errorf("signed by somebody else: %v", err)
	}
	if _, err := c.run("audit", "export", "--after", "9"); err == nil {
		t.Error("an export that begins beyond the end")
	}
	if _, err := verify("{}"); err == nil || !strings.Contains(err.Error(), file+": this is not an export") {
		t.Errorf("no export: %v", err)
	}
}

// A directory that a server holds is reached through its socket, also where its name is too long for one.
func TestSocket(t *testing.T) {
	c := newTerminal(t)
	c.dir = filepath.Join(c.dir, strings.Repeat("long", 30))
	a, err := app.New(t.Context(), app.Config{DataDir: c.dir, APIKey: "bureau_0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	c.wants([]string{"is held by another process", "does not answer"}, "key", "list")
	stop, err := serveSocket(a, c.dir)
	if err != nil {
		t.Fatal(err)
	}
	c.wants([]string{"bootstrap"}, "key", "list")
	if info, err := os.Stat(filepath.Join(c.dir, "bureau.sock")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v %v", info, err)
	}
	stop()
	if _, err := os.Stat(filepath.Join(c.dir, "bureau.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

// A decision is made again from an export alone.
func TestAuditReplay(t *testing.T) {
	c := newTerminal(t)
	var made struct {
		ID string `json:"id"`
	}
	var page struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	usdc := func(n string) map[string]any { return map[string]any{"amount": n, "currency": "USDC"} }
	c.direct(func(ctx context.Context, cl *client) error {
		if err := cl.call(ctx, "POST", "/v1/agents", map[string]any{"name": "payer", "model": "offline"}, &made); err != nil {
			return err
		}
		for _, step := range []struct {
			path string
			body any
		}{
			{"/v1/agents/" + made.ID + "/wallet/deposits", map[string]any{"amount": usdc("100")}},
			{"/v1/policies", map[string]any{"scope": map[string]any{"agent_id": made.ID}, "limits": map[string]any{"daily_limit": usdc("15")}}},
			{"/v1/agents/" + made.ID + "/wallet/payments", map[string]any{"amount": usdc("20"), "payee": "x.example"}},
		} {
			if err := cl.call(ctx, "POST", step.path, step.body, nil); err != nil {
				return err
			}
		}
		return cl.call(ctx, "GET", "/v1/audit?action=transaction_blocked", nil, &page)
	})
	file := filepath.Join(t.TempDir(), "trail.jsonl")
	trail := c.must("audit", "export")
	if err := os.WriteFile(file, []byte(trail), 0o600); err != nil {
		t.Fatal(err)
	}
	out := c.must("audit", "replay", file, page.Data[0].ID)
	if !strings.Contains(out, "now:  deny by daily_limit: ") || !strings.HasSuffix(out, "the same, by policies\n") {
		t.Errorf("%s", out)
	}
	if _, err := c.run("audit", "replay", file, "ae_01h00000000000000000000000"); err == nil || !strings.Contains(err.Error(), "no audit entry") {
		t.Errorf("an entry that is not there: %v", err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(trail, `"amount":"15.00"`, `"amount":"25.00"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := c.run("audit", "replay", file, page.Data[0].ID)
	if coded, ok := errors.AsType[exitError](err); !ok || coded.code != exitBroken {
		t.Errorf("a changed trail: %v", err)
	}
}
