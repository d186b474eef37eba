package sessiontest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/money"
)

func spendings(t *testing.T, e *env) {
	top := e.session(t)
	_, err := e.Sessions.Update(e.ctx, e.sc, top.ID, func(v *session.Session) error {
		v.Budget = &session.Budget{MaxListCost: money.Of(7, money.USD), Cents: true}
		return nil
	})
	must(t, err)
	child := top
	child.ID, child.Parent, child.Root = id.New[id.SessionKind](ids), top.ID, top.ID
	must(t, e.Sessions.Create(e.ctx, e.sc, child))
	want := session.Spending{Budget: &session.Budget{MaxListCost: money.Of(7, money.USD), Cents: true}}
	check := func(what string) {
		t.Helper()
		got, err := e.Spendings.Spent(e.ctx, e.sc, top.ID)
		must(t, err)
		if d := cmp.Diff(want, got, exported); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	check("nothing")

	// The child's model call holds a part, which a loose end takes over.
	e.enqueue(t, child, 1)
	turn := e.claim(t, child, "a")
	span := event(session.SpanModelStart, "{}")
	e.append(t, session.Append{
		Session: child.ID, Fence: turn.Fence(), Events: []session.Event{span}, Turn: &session.TurnChange{Span: &span.ID, Reserved: 40},
	})
	want.Reserved = 40
	check("reserved")
	locked, err := e.Turns.LockSession(e.ctx, e.sc, child.ID)
	must(t, err)
	if len(locked) != 1 || locked[0].Reserved != 40 {
		t.Fatalf("%+v", locked)
	}
	end := session.LooseEnd{Tenant: e.sc.Tenant, Session: child.ID, Key: span.ID, Reserved: 40, Turn: turn.ID}
	use := end
	use.Key, use.Reserved = id.New[id.EventKind](ids), 0
	must(t, e.TX.Do(e.ctx, func(ctx context.Context) error {
		if err := e.Spendings.Leave(ctx, e.sc, []session.LooseEnd{end, use}); err != nil {
			return err
		}
		ended := locked[0]
		ended.State, ended.Span, ended.Reserved = session.TurnCancelled, id.Event{}, 0
		return e.Turns.Save(ctx, e.sc, ended)
	}))
	check("loose")

	due := func(at time.Time) (n int) {
		t.Helper()
		all, err := e.Spendings.Overdue(e.ctx, session.Lease{Now: at}, 1000)
		must(t, err)
		for _, o := range all {
			if o == end || o == use {
				n++
			}
		}
		return n
	}
	if n := due(now()); n != 0 {
		t.Errorf("%d are overdue during the lease", n)
	}

	used := session.Usage{Tokens: llm.Usage{Input: 3, Output: 2}, Cost: 11, Unknown: 5}
	if ok, err := e.Spendings.Settle(e.ctx, account.System(id.New[id.TenantKind](ids)), span.ID, used); ok || err != nil {
		t.Errorf("another tenant settled: %v, %v", ok, err)
	}
	for _, first := range []bool{true, false} {
		if ok, err := e.Spendings.Settle(e.ctx, e.sc, span.ID, used); ok != first || err != nil {
			t.Errorf("settled: %v, %v", ok, err)
		}
		want.Reserved, want.Cost = 0, 16
		check("settled")
	}
	if got := e.get(t, child); got.Usage != used {
		t.Errorf("%+v", got.Usage)
	}
	if ok, err := e.Spendings.Settle(e.ctx, e.sc, use.Key, session.Usage{}); !ok || err != nil {
		t.Errorf("the tool use: %v, %v", ok, err)
	}
	check("all settled")
	if _, err := e.Spendings.Spent(e.ctx, account.System(id.New[id.TenantKind](ids)), top.ID); !isMissing(err) {
		t.Errorf("another tenant: %v", err)
	}
}

// pagesBothWays reads a list to its end and back to its beginning.
func pagesBothWays(t *testing.T, e *env) {
	var want []id.Session
	for range 7 {
		want = append([]id.Session{e.session(t).ID}, want...)
	}
	for _, ascending := range []bool{false, true} {
		req := session.ListRequest{Ascending: ascending}
		req.Limit = 3
		var pages [][]id.Session
		page := func() (next, prev string) {
			t.Helper()
			p, err := e.Sessions.List(e.ctx, e.sc, req)
			must(t, err)
			var got []id.Session
			for _, v := range p.Items {
				got = append(got, v.ID)
			}
			pages = append(pages, got)
			return p.Next, p.Prev
		}
		next, prev := page()
		if prev != "" {
			t.Errorf("the first page has %q before it", prev)
		}
		for next != "" {
			req.Cursor = next
			next, prev = page()
		}
		forward := len(pages)
		for prev != "" {
			req.Cursor = prev
			_, prev = page()
		}
		var all []id.Session
		for _, p := range pages[:forward] {
			all = append(all, p...)
		}
		same(t, "forwards", all, pick(want, ascending))
		if forward != 3 || len(pages) != 5 {
			t.Fatalf("%d pages, %d of them forwards", len(pages), forward)
		}
		same(t, "the page before the last", pages[1], pages[3])
		same(t, "the first page", pages[0], pages[4])
	}
}

func pick(newest []id.Session, ascending bool) []id.Session {
	if !ascending {
		return newest
	}
	out := make([]id.Session, 0, len(newest))
	for i := range newest {
		out = append(out, newest[len(newest)-1-i])
	}
	return out
}
