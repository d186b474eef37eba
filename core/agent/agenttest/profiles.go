package agenttest

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/agent"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// ProfileStore is what RunProfiles runs against.
type ProfileStore interface {
	Store
	agent.Profiles
}

// RunProfiles is the conformance suite of agent.Profiles; newStore returns an empty store and its transactions.
func RunProfiles(t *testing.T, newStore func(t *testing.T) (ProfileStore, tx.Runner)) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *profileEnv){
		"round trip": profileRoundTrip, "names": profileNames, "directory": profileDirectory, "pages": profilePages,
	} {
		t.Run(name, func(t *testing.T) {
			s, runner := newStore(t)
			sc := account.Scope{Tenant: id.New[id.TenantKind](ids)}
			fn(t, &profileEnv{env{Store: s, tx: runner, ctx: t.Context(), sc: sc}, s})
		})
	}
}

type profileEnv struct {
	env
	profiles agent.Profiles
}

// made stores an agent of a name.
func (e *profileEnv) made(t *testing.T, name string) agent.Agent {
	t.Helper()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	a := agent.Agent{
		ID: id.New[id.AgentKind](ids), Tenant: e.sc.Tenant, Version: 1, Config: agent.Config{Name: name}, Standing: agent.Active,
		CreatedAt: at, UpdatedAt: at,
	}
	noError(t, e.Insert(e.ctx, e.sc, a))
	return a
}

func (e *profileEnv) put(t *testing.T, a agent.Agent, p agent.Profile) {
	t.Helper()
	p.UpdatedAt = a.CreatedAt
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error { return e.profiles.PutProfile(ctx, e.sc, a.ID, p) }))
}

func profileRoundTrip(t *testing.T, e *profileEnv) {
	a := e.made(t, "one")
	got, err := e.profiles.Profile(e.ctx, e.sc, a.ID)
	noError(t, err)
	if diff := cmp.Diff(agent.Profile{}, got); diff != "" {
		t.Errorf("before there is one (-want +got):\n%s", diff)
	}
	want := agent.Profile{
		Type: "analyst", Icon: "📊", Platform: "go", Status: "busy", Metadata: json.RawMessage(`{"tier":2}`), UpdatedAt: a.CreatedAt,
	}
	for range 2 {
		e.put(t, a, want)
		got, err = e.profiles.Profile(e.ctx, e.sc, a.ID)
		noError(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want.Status, want.Metadata = "", nil
	}
	other := account.Scope{Tenant: id.New[id.TenantKind](ids)}
	got, err = e.profiles.Profile(e.ctx, other, a.ID)
	noError(t, err)
	equal(t, "", got.Type)
	for range 2 {
		noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error { return e.profiles.DeleteProfile(ctx, e.sc, a.ID) }))
	}
	got, err = e.profiles.Profile(e.ctx, e.sc, a.ID)
	noError(t, err)
	equal(t, "", got.Type)
}

func profileNames(t *testing.T, e *profileEnv) {
	a := e.made(t, "Taken")
	taken := func(name string, except id.Agent) (taken bool) {
		noError(t, e.tx.Do(e.ctx, func(ctx context.Context) (err error) {
			taken, err = e.profiles.LockName(ctx, e.sc, name, except)
			return err
		}))
		return taken
	}
	equal(t, true, taken("tAKEN", id.Agent{}))
	equal(t, false, taken("Taken", a.ID))
	equal(t, false, taken("free", id.Agent{}))
	_, err := e.Update(e.ctx, e.sc, a.ID, func(a *agent.Agent) error {
		at := a.CreatedAt
		a.Standing, a.ArchivedAt = agent.Archived, &at
		return nil
	})
	noError(t, err)
	equal(t, false, taken("Taken", id.Agent{}))
}

func profileDirectory(t *testing.T, e *profileEnv) {
	bare, full, frozen, gone := e.made(t, "bare bones"), e.made(t, "full"), e.made(t, "frozen"), e.made(t, "gone")
	e.put(t, full, agent.Profile{Type: "analyst", Platform: "go", Status: "busy"})
	e.put(t, frozen, agent.Profile{Type: "analyst", Status: "busy"})
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.SetStanding(ctx, e.sc, frozen.ID, agent.Frozen)
		return err
	}))
	noError(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Destroy(ctx, e.sc, gone.ID, gone.CreatedAt)
		return err
	}))
	for name, tc := range map[string]struct {
		req  agent.DirectoryRequest
		want []id.Agent
	}{
		"all":             {agent.DirectoryRequest{}, []id.Agent{frozen.ID, full.ID, bare.ID}},
		"by name":         {agent.DirectoryRequest{Name: "FULL"}, []id.Agent{full.ID}},
		"by a part of it": {agent.DirectoryRequest{Search: "bone"}, []id.Agent{bare.ID}},
		"by type":         {agent.DirectoryRequest{Type: "analyst"}, []id.Agent{frozen.ID, full.ID}},
		"by default type": {agent.DirectoryRequest{Type: agent.DefaultType}, []id.Agent{bare.ID}},
		"by platform":     {agent.DirectoryRequest{Platform: "go"}, []id.Agent{full.ID}},
		"by label":        {agent.DirectoryRequest{Status: "busy"}, []id.Agent{full.ID}},
		"frozen":          {agent.DirectoryRequest{Status: "frozen"}, []id.Agent{frozen.ID}},
		"active":          {agent.DirectoryRequest{Status: agent.ActiveStatus}, []id.Agent{bare.ID}},
	} {
		tc.req.Count = true
		p, err := e.profiles.Directory(e.ctx, e.sc, tc.req)
		noError(t, err)
		var got []id.Agent
		for _, l := range p.Items {
			got = append(got, l.ID)
		}
		if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b id.Agent) bool { return a == b })); diff != "" || p.Total != len(tc.want) {
			t.Errorf("%s: of %d (-want +got):\n%s", name, p.Total, diff)
		}
	}
}

func profilePages(t *testing.T, e *profileEnv) {
	var want []id.Agent
	for range 5 {
		want = append([]id.Agent{e.made(t, "page").ID}, want...)
	}
	got := pagetest.Walk(t, 2, func(l agent.Listed) id.Agent { return l.ID }, func(r page.Request) (page.Page[agent.Listed], error) {
		return e.profiles.Directory(e.ctx, e.sc, agent.DirectoryRequest{Request: r})
	})
	equal(t, len(want), len(got))
	p, err := e.profiles.Directory(e.ctx, e.sc, agent.DirectoryRequest{Request: page.Request{Limit: 2, Offset: 2, Count: true}})
	noError(t, err)
	equal(t, 5, p.Total)
	equal(t, 2, len(p.Items))
	equal(t, want[2], p.Items[0].ID)
}
