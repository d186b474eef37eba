package shipped_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/adapters/blob/gocloud"
	"github.com/bureau-agents/bureau/adapters/keeper/aesgcm"
	"github.com/bureau-agents/bureau/adapters/plugin/host"
	"github.com/bureau-agents/bureau/adapters/plugin/shipped"
	"github.com/bureau-agents/bureau/adapters/plugin/signer"
	"github.com/bureau-agents/bureau/adapters/store/bunstore"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/skill"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/rule"
	"github.com/bureau-agents/bureau/ports/rule/ruletest"
	"github.com/bureau-agents/bureau/ports/tool"
	"github.com/bureau-agents/bureau/ports/tool/tooltest"
)

// env is the registry over a real store.
type env struct {
	*skill.Service
	dir      string
	operator account.Scope
	tenant   account.Scope
	agent    id.Agent
	audit    *[]string
}

var ids = id.NewGenerator(time.Now)

func newEnv(t *testing.T, change func(*skill.Deps)) *env {
	t.Helper()
	e := &env{
		dir: t.TempDir(), agent: id.New[id.AgentKind](ids), audit: &[]string{},
		operator: account.Scope{Tenant: id.New[id.TenantKind](ids), Operator: true, Plan: account.PlanUnlimited, Permissions: []account.Permission{account.Admin}},
		tenant:   account.Scope{Tenant: id.New[id.TenantKind](ids), Plan: account.PlanFree, Permissions: []account.Permission{account.Admin}},
	}
	log := slog.New(slog.DiscardHandler)
	store, err := bunstore.Open(t.Context(), bunstore.Config{Path: filepath.Join(e.dir, "bureau.db"), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	blobs, err := gocloud.Open(t.Context(), gocloud.Config{Dir: filepath.Join(e.dir, "blobs")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = blobs.Close() })
	keep, err := aesgcm.New(aesgcm.Config{Root: aesgcm.NewSecret()})
	if err != nil {
		t.Fatal(err)
	}
	sign, err := signer.New(signer.Deps{Keys: store.Skills(), Keeper: keep, Clock: clock.Func(time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	deps := skill.Deps{
		TX: store, Clock: clock.Func(time.Now), IDs: ids, Logger: log, Repository: store.Skills(), Releases: store.Skills(),
		Installations: store.SkillInstallations(), Blobs: blobs, Launcher: &fakeLauncher{}, Signer: sign,
		Agents: skill.AgentsFunc(func(_ context.Context, _ account.Scope, a id.Agent) error {
			if a != e.agent {
				return id.NotFound[id.AgentKind](a.String())
			}
			return nil
		}),
		Audit: skill.AuditorFunc(func(_ context.Context, _ account.Scope, action string, _ id.Agent, _ json.RawMessage) error {
			*e.audit = append(*e.audit, action)
			return nil
		}),
	}
	if change != nil {
		change(&deps)
	}
	if e.Service, err = skill.NewService(deps, skill.Config{}); err != nil {
		t.Fatal(err)
	}
	return e
}

// fakeLauncher takes a text for a binary: "skill NAME" or "rule NAME".
type fakeLauncher struct {
	mu     sync.Mutex
	forgot []string
}

func (l *fakeLauncher) Describe(ctx context.Context, b skill.Binary) (skill.Description, error) {
	r, err := b.Open(ctx)
	if err != nil {
		return skill.Description{}, err
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return skill.Description{}, err
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return skill.Description{}, skill.ErrRejected.Withf("it does not start")
	}
	d := skill.Description{Kind: skill.Kind(f[0]), Program: f[1], Protocol: 1}
	d.Tool = tooltest.Echo().Spec()
	d.Rule = rule.Description{Name: f[1], Summary: "Judges."}
	switch f[len(f)-1] {
	case "no-schema":
		d.Tool.InputSchema = nil
	case "bad-schema":
		d.Tool.InputSchema = json.RawMessage(`{"type":"object","properties":{"a":{"type":"nothing"}}}`)
	case "file-schema":
		d.Tool.InputSchema = json.RawMessage(`{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`)
	case "mute":
		d.Tool.Description = " "
	}
	return d, nil
}

func (l *fakeLauncher) Tool(b skill.Binary, m skill.Manifest) tool.Tool {
	return tooltest.Tool{Description: m.Tool(), Func: func(context.Context, tool.Call) (tool.Result, error) {
		return tool.Result{Text: "ran " + b.Digest}, nil
	}}
}

func (l *fakeLauncher) Rule(_ skill.Binary, m skill.Manifest) rule.Evaluator {
	return ruletest.Rule{Description: m.Rule()}
}

func (l *fakeLauncher) Forget(digest string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgot = append(l.forgot, digest)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (e *env) mustInstall(t *testing.T, text, name string) skill.Plugin {
	t.Helper()
	p, err := e.Install(t.Context(), e.operator, strings.NewReader(text), skill.InstallRequest{SHA256: digest(text), Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestInstall(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	ctx := t.Context()
	p := e.mustInstall(t, "skill echo", "")
	if p.Name != "echo" || p.Kind != skill.KindSkill || !p.Enabled || p.Release.Digest() != digest("skill echo") || p.Release.Manifest.Size != 10 {
		t.Errorf("got %+v", p)
	}
	if again := e.mustInstall(t, "skill echo", ""); again.ID != p.ID || again.UpdatedAt != p.UpdatedAt {
		t.Errorf("installed again: %+v, before %+v", again, p)
	}
	if other := e.mustInstall(t, "skill echo", "parrot"); other.Name != "parrot" || other.Release.Manifest.Program != "echo" || other.ID == p.ID {
		t.Errorf("under another name: %+v", other)
	}
	for name, tc := range map[string]struct {
		text string
		req  skill.InstallRequest
		sc   account.Scope
		want *fault.Error
	}{
		"no digest":       {"skill a", skill.InstallRequest{}, e.operator, fault.Invalidf("sha256", "")},
		"wrong digest":    {"skill a", skill.InstallRequest{SHA256: digest("skill b")}, e.operator, skill.ErrChecksum},
		"bad name":        {"skill a", skill.InstallRequest{SHA256: digest("skill a"), Name: "../a"}, e.operator, fault.Invalidf("name", "")},
		"not a plugin":    {"?", skill.InstallRequest{SHA256: digest("?")}, e.operator, skill.ErrRejected},
		"neither kind":    {"thing a", skill.InstallRequest{SHA256: digest("thing a")}, e.operator, skill.ErrRejected},
		"bad own name":    {"skill A!", skill.InstallRequest{SHA256: digest("skill A!")}, e.operator, skill.ErrRejected},
		"no schema":       {"skill a no-schema", skill.InstallRequest{SHA256: digest("skill a no-schema")}, e.operator, skill.ErrRejected},
		"bad schema":      {"skill a bad-schema", skill.InstallRequest{SHA256: digest("skill a bad-schema")}, e.operator, skill.ErrRejected},
		"outside schema":  {"skill a file-schema", skill.InstallRequest{SHA256: digest("skill a file-schema")}, e.operator, skill.ErrRejected},
		"no description":  {"skill a mute", skill.InstallRequest{SHA256: digest("skill a mute")}, e.operator, skill.ErrRejected},
		"the other kind":  {"rule echo", skill.InstallRequest{SHA256: digest("rule echo")}, e.operator, skill.ErrKind},
		"not an operator": {"skill a", skill.InstallRequest{SHA256: digest("skill a")}, e.tenant, account.ErrForbidden},
	} {
		_, err := e.Install(ctx, tc.sc, strings.NewReader(tc.text), tc.req)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
		if _, err := e.Blobs.Stat(ctx, "plugins/sha256/"+digest(tc.text)); err == nil && tc.text != "skill echo" {
			t.Errorf("%s: the refused binary is kept", name)
		}
	}
	want := []string{"plugin_installed", "plugin_installed"}
	if d := cmp.Diff(want, *e.audit); d != "" {
		t.Errorf("audit trail (-want +got):\n%s", d)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	small, err := skill.NewService(e.Deps, skill.Config{MaxBytes: 8})
	if err != nil {
		t.Fatal(err)
	}
	_, err = small.Install(t.Context(), e.operator, strings.NewReader("skill echo"), skill.InstallRequest{SHA256: digest("skill echo")})
	if !errors.Is(err, skill.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestSkillsOfAnAgent(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	ctx := t.Context()
	echo := e.mustInstall(t, "skill echo", "")
	e.mustInstall(t, "rule judge", "")

	in, err := e.InstallOnAgent(ctx, e.tenant, e.agent, "echo")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{echo.Skill().String(), echo.ID.String(), echo.ID.UUID().String()} {
		again, err := e.InstallOnAgent(ctx, e.tenant, e.agent, ref)
		if err != nil || again.ID != in.ID {
			t.Errorf("by %s: %+v, %v", ref, again, err)
		}
	}
	for ref, want := range map[string]error{"judge": skill.ErrSkillNotFound, "none": skill.ErrSkillNotFound, "": skill.ErrSkillNotFound} {
		if _, err := e.InstallOnAgent(ctx, e.tenant, e.agent, ref); !errors.Is(err, want) {
			t.Errorf("%q: got %v", ref, err)
		}
	}
	if _, err := e.InstallOnAgent(ctx, e.tenant, id.New[id.AgentKind](ids), "echo"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an agent of nobody: %v", err)
	}

	call := func() (string, error) {
		t.Helper()
		tools, err := e.Tools(ctx, e.tenant, e.agent)
		if err != nil || len(tools) != 1 {
			t.Fatalf("%d tools, %v", len(tools), err)
		}
		res, err := tools[0].Call(ctx, tool.Call{})
		return res.Text, err
	}
	if text, err := call(); err != nil || text != "ran "+digest("skill echo") {
		t.Errorf("got %q, %v", text, err)
	}
	// The agent keeps its release until it installs the skill again.
	newer := "skill echo newer"
	e.mustInstall(t, newer, "")
	if text, _ := call(); text != "ran "+digest("skill echo") {
		t.Errorf("after an upgrade of the server: %q", text)
	}
	if _, err := e.InstallOnAgent(ctx, e.tenant, e.agent, "echo"); err != nil {
		t.Fatal(err)
	}
	if text, _ := call(); text != "ran "+digest(newer) {
		t.Errorf("after installing again: %q", text)
	}

	// Disabling reaches tools that were handed out before.
	tools, err := e.Tools(ctx, e.tenant, e.agent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Disable(ctx, e.tenant, "echo"); !errors.Is(err, account.ErrForbidden) {
		t.Errorf("a tenant disables: %v", err)
	}
	if _, err := e.Disable(ctx, e.operator, "echo"); err != nil {
		t.Fatal(err)
	}
	if _, err := tools[0].Call(ctx, tool.Call{}); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("a disabled skill: %v", err)
	}
	if tools, err := e.Tools(ctx, e.tenant, e.agent); err != nil || len(tools) != 0 {
		t.Errorf("a disabled skill is offered: %d, %v", len(tools), err)
	}
	if pg, err := e.Skills(ctx, e.tenant, "", page.Request{}); err != nil || len(pg.Items) != 0 {
		t.Errorf("the catalogue: %+v, %v", pg, err)
	}
	if _, err := e.Skill(ctx, e.tenant, "echo"); !errors.Is(err, skill.ErrSkillNotFound) {
		t.Errorf("a disabled skill: %v", err)
	}
	if _, err := e.Enable(ctx, e.operator, "echo"); err != nil {
		t.Fatal(err)
	}
	if _, err := tools[0].Call(ctx, tool.Call{}); err != nil {
		t.Errorf("enabled again: %v", err)
	}

	if err := e.UninstallFromAgent(ctx, e.tenant, e.agent, "echo"); err != nil {
		t.Fatal(err)
	}
	if err := e.UninstallFromAgent(ctx, e.tenant, e.agent, "echo"); !errors.Is(err, skill.ErrNotInstalled) {
		t.Errorf("once more: %v", err)
	}
	if _, err := e.InstallOnAgent(ctx, e.tenant, e.agent, "echo"); err != nil {
		t.Fatal(err)
	}
	if err := e.Remove(ctx, e.operator, "echo"); err != nil {
		t.Fatal(err)
	}
	if _, err := tools[0].Call(ctx, tool.Call{}); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("a removed skill: %v", err)
	}
	for _, text := range []string{"skill echo", newer} {
		if _, err := e.Blobs.Stat(ctx, "plugins/sha256/"+digest(text)); err == nil {
			t.Errorf("the binary of %q is kept", text)
		}
	}
	if _, err := e.Get(ctx, e.operator, "echo"); !errors.Is(err, skill.ErrNotFound) {
		t.Errorf("a removed plugin: %v", err)
	}
}

func TestPlanLimit(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
		e.mustInstall(t, "skill "+n, "")
		_, err := e.InstallOnAgent(t.Context(), e.tenant, e.agent, n)
		if n == "f" {
			if !errors.Is(err, skill.ErrLimit) {
				t.Errorf("a sixth skill on the free plan: %v", err)
			}
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.InstallOnAgent(t.Context(), e.tenant, e.agent, "a"); err != nil {
		t.Errorf("renewing one at the limit: %v", err)
	}
}

func TestRuleLookup(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	ctx := t.Context()
	e.mustInstall(t, "rule judge", "")
	e.mustInstall(t, "skill echo", "")
	r, err := e.Rule(ctx, e.tenant, "judge")
	if err != nil || r.Describe().Name != "judge" {
		t.Fatalf("got %v, %v", r, err)
	}
	for _, name := range []string{"none", "echo", "../judge", ""} {
		if _, err := e.Rule(ctx, e.tenant, name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q: got %v", name, err)
		}
	}
	if _, err := e.Disable(ctx, e.operator, "judge"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rule(ctx, e.tenant, "judge"); !errors.Is(err, rule.ErrUnavailable) {
		t.Errorf("a disabled rule: %v", err)
	}
}

// tamper changes stored bytes behind the store's back.
func tamper(t *testing.T, dir, digest string) {
	t.Helper()
	changed := false
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, digest) && !strings.HasSuffix(path, ".attrs") {
			changed = true
			return os.WriteFile(path, []byte("changed"), 0o600)
		}
		return err
	})
	if err != nil || !changed {
		t.Fatalf("nothing to change: %v", err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	e := newEnv(t, nil)
	ctx := t.Context()
	e.mustInstall(t, "skill echo", "")
	e.mustInstall(t, "rule judge", "")
	got, err := e.Verify(ctx, e.operator, "")
	want := []skill.Verification{
		{Name: "echo", Digest: digest("skill echo"), OK: true}, {Name: "judge", Digest: digest("rule judge"), OK: true},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	tamper(t, filepath.Join(e.dir, "blobs"), digest("skill echo"))
	if got, err = e.Verify(ctx, e.operator, "echo"); err != nil || len(got) != 1 || got[0].OK || got[0].Problem == "" {
		t.Errorf("a changed binary: %+v, %v", got, err)
	}
	if _, err := e.Verify(ctx, e.operator, "none"); !errors.Is(err, skill.ErrNotFound) {
		t.Errorf("got %v", err)
	}

	// A manifest that the operator did not sign is worth nothing, wherever it is asked for.
	p, err := e.Get(ctx, e.operator, "judge")
	if err != nil {
		t.Fatal(err)
	}
	forged := *p.Release
	forged.Manifest.Description = "Allows everything."
	if forged.Signed, err = forged.Manifest.Encode(); err != nil {
		t.Fatal(err)
	}
	if err := e.Releases.Add(ctx, forged); err != nil {
		t.Fatal(err)
	}
	if got, err = e.Verify(ctx, e.operator, "judge"); err != nil || got[0].OK {
		t.Errorf("a changed manifest: %+v, %v", got, err)
	}
	if _, err := e.Rule(ctx, e.tenant, "judge"); !errors.Is(err, rule.ErrUnavailable) {
		t.Errorf("a changed manifest: %v", err)
	}
}

// fakeShipped ships the texts of a map by name.
type fakeShipped struct {
	source   string
	binaries map[string]string
	err      error
}

func (f *fakeShipped) List(context.Context) ([]skill.ShippedPlugin, error) {
	return []skill.ShippedPlugin{
		{Name: "echo", Kind: skill.KindSkill, Description: "Echoes.", Source: f.source},
		{Name: "judge", Kind: skill.KindRule, Description: "Judges.", Source: f.source},
	}, nil
}

func (f *fakeShipped) Open(_ context.Context, name string) (skill.ShippedBinary, error) {
	b := f.binaries[name]
	return skill.ShippedBinary{
		Digest: digest(b), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte(b))), nil },
	}, f.err
}

func TestShippedLifecycle(t *testing.T) {
	t.Parallel()
	ship := &fakeShipped{source: "1", binaries: map[string]string{"echo": "skill echo 1", "judge": "rule judge 1"}}
	e := newEnv(t, func(d *skill.Deps) { d.Shipped = ship })
	ctx := t.Context()
	if err := e.AnnounceShipped(ctx); err != nil {
		t.Fatal(err)
	}
	// Before anything is built the skill can be installed, and both say what they wait for.
	in, err := e.InstallOnAgent(ctx, e.tenant, e.agent, "echo")
	if err != nil || in.Digest != "" {
		t.Fatalf("got %+v, %v", in, err)
	}
	answer := func() (string, error) {
		t.Helper()
		tools, err := e.Tools(ctx, e.tenant, e.agent)
		if err != nil || len(tools) != 1 {
			t.Fatalf("%d tools, %v", len(tools), err)
		}
		tooltest.CheckSpec(t, tools[0].Spec())
		res, err := tools[0].Call(ctx, tool.Call{})
		return res.Text, err
	}
	if _, err := answer(); !errors.Is(err, tool.ErrUnavailable) {
		t.Errorf("before the build: %v", err)
	}
	if _, err := e.Rule(ctx, e.tenant, "judge"); !errors.Is(err, rule.ErrStarting) {
		t.Errorf("before the build: %v", err)
	}
	// A build that fails says so.
	ship.err = errors.New("no compiler")
	if err := e.InstallShipped(ctx, false); err == nil || !strings.Contains(err.Error(), "no compiler") {
		t.Errorf("got %v", err)
	}
	if _, err := e.Rule(ctx, e.tenant, "judge"); !errors.Is(err, rule.ErrUnavailable) {
		t.Errorf("after a failed build: %v", err)
	}
	ship.err = nil
	for range 2 { // a second time there is nothing to do
		if err := e.InstallShipped(ctx, false); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := answer(); err != nil || text != "ran "+digest("skill echo 1") {
		t.Errorf("got %q, %v", text, err)
	}
	if _, err := e.Rule(ctx, e.tenant, "judge"); err != nil {
		t.Error(err)
	}

	// A new source brings new releases; what an agent has pinned stays, what nobody has goes.
	ship.source, ship.binaries = "2", map[string]string{"echo": "skill echo 2", "judge": "rule judge 2"}
	if err := e.InstallShipped(ctx, false); err != nil {
		t.Fatal(err)
	}
	if text, err := answer(); err != nil || text != "ran "+digest("skill echo 1") {
		t.Errorf("got %q, %v", text, err)
	}
	for text, kept := range map[string]bool{"skill echo 1": true, "skill echo 2": true, "rule judge 1": false, "rule judge 2": true} {
		if _, err := e.Blobs.Stat(ctx, "plugins/sha256/"+digest(text)); (err == nil) != kept {
			t.Errorf("%q is kept: %v, want %v", text, err == nil, kept)
		}
	}

	// What the operator removes or replaces stays so.
	if err := e.Remove(ctx, e.operator, "echo"); err != nil {
		t.Fatal(err)
	}
	own := e.mustInstall(t, "rule judge own", "")
	if own.Shipped {
		t.Error("the operator's own plugin counts as shipped")
	}
	ship.source = "3"
	if err := e.InstallShipped(ctx, false); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Get(ctx, e.operator, "echo"); !errors.Is(err, skill.ErrNotFound) {
		t.Errorf("a removed one came back: %v", err)
	}
	if p, err := e.Get(ctx, e.operator, "judge"); err != nil || p.Release.Digest() != digest("rule judge own") {
		t.Errorf("the operator's own one: %+v, %v", p, err)
	}
	if err := e.InstallShipped(ctx, true); err != nil {
		t.Fatal(err)
	}
	if p, err := e.Get(ctx, e.operator, "echo"); err != nil || !p.Enabled || p.Release == nil {
		t.Errorf("asked to come back: %+v, %v", p, err)
	}
	if p, err := e.Get(ctx, e.operator, "judge"); err != nil || p.Shipped {
		t.Errorf("the operator's own one: %+v, %v", p, err)
	}
}

// The whole way with the real plugins: built from this checkout, installed, signed, and run in processes.
func TestRealPlugins(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	source, err := shipped.New(shipped.Config{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Config{Dir: filepath.Join(t.TempDir(), "plugins"), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Stop(context.Background()) })
	e := newEnv(t, func(d *skill.Deps) { d.Launcher, d.Shipped = h, source })
	ctx := t.Context()
	if err := e.InstallShipped(ctx, false); err != nil {
		t.Fatal(err)
	}
	pg, err := e.List(ctx, e.operator, skill.ListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]skill.Kind{}
	for _, p := range pg.Items {
		kinds[p.Name] = p.Kind
		if !p.Shipped || !p.Enabled || p.Release.Manifest.Program != p.Name || p.Release.Manifest.Version == "" {
			t.Errorf("got %+v", p)
		}
	}
	want := map[string]skill.Kind{
		"calculator": skill.KindSkill, "http_fetch": skill.KindSkill, "spend_limit": skill.KindRule, "approval_threshold": skill.KindRule,
		"business_hours": skill.KindRule, "cel": skill.KindRule, "payee_list": skill.KindRule,
	}
	if d := cmp.Diff(want, kinds); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	if _, err := e.InstallOnAgent(ctx, e.tenant, e.agent, "calculator"); err != nil {
		t.Fatal(err)
	}
	tools, err := e.Tools(ctx, e.tenant, e.agent)
	if err != nil || len(tools) != 1 {
		t.Fatalf("%d tools, %v", len(tools), err)
	}
	res, err := tools[0].Call(ctx, tool.Call{Key: "k", Input: json.RawMessage(`{"expression":"17 * 23"}`)})
	if err != nil || res.Text != "391" {
		t.Errorf("got %+v, %v", res, err)
	}
	limit, err := e.Rule(ctx, e.tenant, "spend_limit")
	if err != nil {
		t.Fatal(err)
	}
	amount := money.Of(150*money.MicrosPerUnit, money.USDC)
	v, err := limit.Evaluate(ctx, rule.Input{
		Action: rule.ActionPayment, Amount: &amount, Config: json.RawMessage(`{"window":"day","max":"100","currency":"USDC"}`),
	})
	if err != nil || v.Outcome != rule.Deny {
		t.Errorf("got %+v, %v", v, err)
	}
	if err := limit.Validate(ctx, json.RawMessage(`{"window":"never"}`)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad configuration: %v", err)
	} else if f, _ := fault.As(err); f.Fields[0].Path != "window" {
		t.Errorf("the faulty field: %+v", f.Fields)
	}
	checks, err := e.Verify(ctx, e.operator, "")
	for _, c := range checks {
		if !c.OK {
			t.Errorf("%s: %s", c.Name, c.Problem)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if n := h.Running(); n != 2 {
		t.Errorf("%d processes run, want those of the two that were used", n)
	}
	if _, err := e.Disable(ctx, e.operator, "calculator"); err != nil {
		t.Fatal(err)
	}
	if n := h.Running(); n != 1 {
		t.Errorf("%d processes run after one was disabled", n)
	}
}
