package a2atest

import (
	"slices"
	"testing"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

// ofAgent lists the tasks of two peers of an agent.
func ofAgent(t *testing.T, e *env) {
	other := id.New[id.APIKeyKind](ids)
	var all []id.Turn // the newest first
	for i := range 5 {
		v := e.task(a2a.Working)
		if i%2 == 1 {
			v.Key, v.State = other, a2a.Completed
		}
		if i > 2 {
			v.Context = "another"
		}
		all = append([]id.Turn{e.insert(t, v).ID}, all...)
	}
	elsewhere := e.task(a2a.Working)
	elsewhere.Agent = id.New[id.AgentKind](ids)
	e.insert(t, elsewhere)
	list := func(sc account.Scope, q a2a.AgentQuery) (got []id.Turn) {
		t.Helper()
		q.Agent = e.who.Agent
		for {
			p, err := e.Tasks.OfAgent(e.ctx, sc, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range p.Items {
				got = append(got, v.ID)
			}
			if q.Cursor = p.Next; q.Cursor == "" {
				return got
			}
		}
	}
	for name, tc := range map[string]struct {
		q    a2a.AgentQuery
		want []id.Turn
	}{
		"all":     {a2a.AgentQuery{}, all},
		"pages":   {a2a.AgentQuery{Request: page.Request{Limit: 2}}, all},
		"state":   {a2a.AgentQuery{State: a2a.Completed}, []id.Turn{all[1], all[3]}},
		"context": {a2a.AgentQuery{Context: "another"}, all[:2]},
		"peer":    {a2a.AgentQuery{Key: other, Request: page.Request{Limit: 1}}, []id.Turn{all[1], all[3]}},
		"nothing": {a2a.AgentQuery{Context: "a\x00b"}, nil},
	} {
		if got := list(e.sc, tc.q); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
	if got := list(account.System(id.New[id.TenantKind](ids)), a2a.AgentQuery{}); len(got) > 0 {
		t.Errorf("another tenant lists %v", got)
	}
	_, err := e.Tasks.OfAgent(e.ctx, e.sc, a2a.AgentQuery{Agent: e.who.Agent, Request: page.Request{Cursor: "odd"}})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("an odd cursor: %v", err)
	}
}
