package sessiontest

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
)

// exported compares ids by their value.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

// furnished is a session with everything that one can be set up with.
func (e *env) furnished() session.Session {
	at := now()
	system := "You are terse. \u2603 ? '"
	return session.Session{
		ID: id.New[id.SessionKind](ids), Tenant: e.sc.Tenant, Agent: e.agent, AgentVersion: 2, Active: session.StatusIdle,
		Environment: id.New[id.EnvironmentKind](ids), Metadata: map[string]string{}, CreatedAt: at, UpdatedAt: at,
		Overrides: &agent.Overrides{
			Model: &agent.Model{ID: "other", Speed: agent.SpeedFast, Effort: agent.EffortHigh}, System: &system,
			Tools: &[]agent.Tool{{
				Type: agent.AgentToolset, Default: agent.ToolDefault{Enabled: true, Permission: agent.AlwaysAllow},
				Configs: []agent.ToolConfig{{Name: "bash", Permission: agent.AlwaysAsk}},
			}, {
				Type: agent.CustomTool, Name: "lookup", Description: "looks up", InputSchema: json.RawMessage(`{"type":"object"}`),
			}},
			MCPServers: &[]agent.MCPServer{{Name: "m", URL: "https://mcp.example"}},
			Skills:     &[]agent.SkillRef{{ID: "s", Type: "custom", Version: "latest"}},
		},
		Vaults: []id.Vault{id.New[id.VaultKind](ids), id.New[id.VaultKind](ids)},
		Budget: &session.Budget{MaxListCost: money.Of(2_500_000, money.USD)},
		Resources: []session.Resource{{
			ID: id.New[id.ResourceKind](ids), Type: session.ResourceFile, Mount: "/data/x", File: id.New[id.FileKind](ids), CreatedAt: at, UpdatedAt: at,
		}, {
			ID: id.New[id.ResourceKind](ids), Type: session.ResourceRepository, Mount: "/workspace/r", URL: "https://github.com/o/r",
			Checkout: &session.Checkout{Branch: "main"}, SealedToken: []byte{0, 1, 0xff}, CreatedAt: at, UpdatedAt: at,
		}, {
			ID: id.New[id.ResourceKind](ids), Type: session.ResourceMemoryStore, Mount: "/mnt/memory/m", Store: id.New[id.MemoryStoreKind](ids),
			ReadOnly: true, Instructions: "what you know ? '", CreatedAt: at, UpdatedAt: at,
		}},
	}
}

func setup(t *testing.T, e *env) {
	want := e.furnished()
	must(t, e.Sessions.Create(e.ctx, e.sc, want))
	if d := cmp.Diff(want, e.get(t, want), exported); d != "" {
		t.Error("created", d)
	}
	p, err := e.Sessions.List(e.ctx, e.sc, session.ListRequest{})
	must(t, err)
	if d := cmp.Diff([]session.Session{want}, p.Items, exported); d != "" {
		t.Error("listed", d)
	}

	empty := ""
	want.Overrides = &agent.Overrides{System: &empty}
	want.Vaults, want.Budget, want.UpdatedAt = want.Vaults[:1:1], &session.Budget{MaxListCost: money.Of(1, money.USD)}, now()
	change := func(v *session.Session) error {
		v.Overrides, v.Vaults, v.Budget, v.UpdatedAt = want.Overrides, want.Vaults, want.Budget, want.UpdatedAt
		return nil
	}
	got, err := e.Sessions.Update(e.ctx, e.sc, want.ID, change)
	must(t, err)
	if d := cmp.Diff(want, got, exported); d != "" {
		t.Error("updated", d)
	}
	if d := cmp.Diff(want, e.get(t, want), exported); d != "" {
		t.Error("after the update", d)
	}
	want.Overrides, want.Vaults, want.Budget, want.Resources = nil, nil, nil, nil
	_, err = e.Sessions.Update(e.ctx, e.sc, want.ID, func(v *session.Session) error { v.Resources = nil; return change(v) })
	must(t, err)
	if d := cmp.Diff(want, e.get(t, want), exported); d != "" {
		t.Error("cleared", d)
	}
}

func resources(t *testing.T, e *env) {
	v := e.furnished()
	must(t, e.Sessions.Create(e.ctx, e.sc, v))
	first, second, third := v.Resources[0], v.Resources[1], v.Resources[2]
	fourth := session.Resource{
		ID: id.New[id.ResourceKind](ids), Type: session.ResourceRepository, Mount: "/workspace/x", URL: "https://github.com/o/x",
		Checkout: &session.Checkout{Commit: "abc"}, CreatedAt: now(), UpdatedAt: now(),
	}
	rotated := second
	rotated.SealedToken, rotated.UpdatedAt = []byte("other"), now().Add(time.Second)
	update := func(list ...session.Resource) func(*session.Session) error {
		return func(v *session.Session) error { v.Resources = list; return nil }
	}
	check := func(want ...session.Resource) {
		t.Helper()
		if d := cmp.Diff(want, e.get(t, v).Resources, exported); d != "" {
			t.Error(d)
		}
	}
	_, err := e.Sessions.Update(e.ctx, e.sc, v.ID, update(rotated, third, fourth))
	must(t, err)
	check(rotated, third, fourth)
	_, err = e.Sessions.Update(e.ctx, e.sc, v.ID, func(v *session.Session) error {
		v.Resources = nil
		return errors.New("no")
	})
	if err == nil {
		t.Error("the error of the change was swallowed")
	}
	check(rotated, third, fourth)
	_, err = e.Sessions.Update(e.ctx, e.sc, v.ID, update(rotated, third, fourth, first))
	must(t, err)
	check(rotated, third, fourth, first)

	other := &env{Store: e.Store, ctx: e.ctx, sc: account.System(id.New[id.TenantKind](ids)), agent: e.agent}
	if p, err := other.Sessions.List(e.ctx, other.sc, session.ListRequest{}); err != nil || len(p.Items) != 0 {
		t.Errorf("another tenant sees %v, %v", p.Items, err)
	}
}

func workForOthers(t *testing.T, e *env) {
	top := e.session(t)
	child := top
	child.ID, child.Parent, child.Root = id.New[id.SessionKind](ids), top.ID, top.ID
	must(t, e.Sessions.Create(e.ctx, e.sc, child))
	grandchild := top
	grandchild.ID, grandchild.Parent, grandchild.Root = id.New[id.SessionKind](ids), child.ID, top.ID
	must(t, e.Sessions.Create(e.ctx, e.sc, grandchild))
	for _, v := range []session.Session{child, grandchild} {
		if d := cmp.Diff(v, e.get(t, v), exported); d != "" {
			t.Error(d)
		}
	}
	same(t, "listed", []id.Session{top.ID}, all(t, e, session.ListRequest{}))
	same(t, "of the agent", []id.Session{top.ID}, all(t, e, session.ListRequest{Agent: e.agent}))
}
