package sessiontest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
)

func (e *env) thread(t *testing.T, root session.Session) session.Thread {
	t.Helper()
	th := session.Thread{Session: root, Type: session.ThreadAgent, Name: "helper", Depth: 1, Use: id.New[id.EventKind](ids), Busy: true}
	th.ID, th.Parent, th.Root = id.New[id.SessionKind](ids), root.ID, root.ID
	must(t, e.Threads.Create(e.ctx, e.sc, th))
	return th
}

func threads(t *testing.T, e *env) {
	root, other := e.session(t), e.session(t)
	a, b := e.thread(t, root), e.thread(t, root)
	e.thread(t, other)
	got, err := e.Threads.Get(e.ctx, e.sc, a.ID, true)
	must(t, err)
	if d := cmp.Diff(a, got, exported); d != "" {
		t.Error(d)
	}
	for _, missing := range []id.Session{root.ID, id.New[id.SessionKind](ids)} {
		if _, err := e.Threads.Get(e.ctx, e.sc, missing, false); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s is a thread: %v", missing, err)
		}
	}
	foreign := e.sc
	foreign.Tenant = id.New[id.TenantKind](ids)
	if _, err := e.Threads.Get(e.ctx, foreign, a.ID, false); fault.KindOf(err) != fault.NotFound {
		t.Errorf("another tenant's thread: %v", err)
	}
	a.Busy, a.Use, a.Mirrored = false, id.Event{}, 7
	must(t, e.Threads.Save(e.ctx, e.sc, a))
	if got, err = e.Threads.Get(e.ctx, e.sc, a.ID, false); err != nil || got.Busy || !got.Use.IsZero() || got.Mirrored != 7 {
		t.Errorf("%+v %v", got, err)
	}
	first, err := e.Threads.List(e.ctx, e.sc, root.ID, session.ThreadRequest{Request: page.Request{Limit: 1}})
	must(t, err)
	second, err := e.Threads.List(e.ctx, e.sc, root.ID, session.ThreadRequest{Request: page.Request{Limit: 1, Cursor: first.Next}})
	must(t, err)
	if len(first.Items) != 1 || len(second.Items) != 1 || first.Items[0].ID != a.ID || second.Items[0].ID != b.ID || second.Next != "" {
		t.Errorf("%+v %+v", first, second)
	}
	idle, err := e.Threads.List(e.ctx, e.sc, root.ID, session.ThreadRequest{Statuses: []session.Status{session.StatusRunning}})
	must(t, err)
	if len(idle.Items) != 0 {
		t.Errorf("%+v", idle)
	}
	if _, err := e.Threads.List(e.ctx, e.sc, root.ID, session.ThreadRequest{Request: page.Request{Cursor: "x"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a bad cursor: %v", err)
	}
	// b is busy, and nobody waits for it.
	lagging, err := e.Threads.Lagging(e.ctx, 10_000)
	must(t, err)
	found := map[id.Session]bool{}
	for _, r := range lagging {
		found[r.Session] = true
	}
	if found[a.ID] || !found[b.ID] {
		t.Errorf("%v", lagging)
	}
}

// threadUses shows a thread's tool use to the root once it was told.
func threadUses(t *testing.T, e *env) {
	root := e.session(t)
	th := e.thread(t, root)
	turn := e.enqueue(t, th.Session, 1)[0]
	claimed, _, err := e.Turns.Claim(e.ctx, e.sc, th.ID, session.Lease{Owner: "me", Now: now(), For: 1e12})
	must(t, err)
	use := event(session.AgentCustomToolUse, `{"name":"x","input":{}}`)
	last, err := e.Log.Append(e.ctx, e.sc, session.Append{
		Session: th.ID, At: now(), Events: []session.Event{use}, Fence: claimed.Fence(), Turn: &session.TurnChange{},
		Opened: []session.ToolUse{{ID: use.ID, Session: th.ID, Turn: turn.ID, Type: use.Type, Name: "x", Input: []byte(`{}`), State: session.UseClient}},
	})
	must(t, err)
	for mirrored, want := range map[int64]int{last - 1: 0, last: 1} {
		th.Mirrored = mirrored
		must(t, e.Threads.Save(e.ctx, e.sc, th))
		uses, err := e.Threads.Waiting(e.ctx, e.sc, root.ID)
		must(t, err)
		if len(uses) != want || want == 1 && (uses[0].ID != use.ID || uses[0].Session != th.ID) {
			t.Errorf("told up to %d: %+v", mirrored, uses)
		}
	}
	sums, err := e.Threads.Usage(e.ctx, e.sc, []id.Session{root.ID, th.ID})
	must(t, err)
	if _, ok := sums[root.ID]; !ok || len(sums) != 1 {
		t.Errorf("%+v", sums)
	}
}

func outcomes(t *testing.T, e *env) {
	v := e.session(t)
	turn := e.enqueue(t, v, 1)[0]
	o := session.Outcome{
		ID: id.New[id.OutcomeKind](ids), Session: v.ID, Turn: turn.ID, Description: "d", Rubric: "r", MaxIterations: 3,
		Result: session.OutcomePending, CreatedAt: now(),
	}
	must(t, e.Outcomes.Create(e.ctx, e.sc, o))
	o.Iteration, o.Result, o.Explanation, o.Start, o.CompletedAt = 2, session.OutcomeSatisfied, "fine", id.New[id.EventKind](ids), now()
	must(t, e.Outcomes.Save(e.ctx, e.sc, o))
	got, ok, err := e.Outcomes.OfTurn(e.ctx, e.sc, turn.ID)
	must(t, err)
	if d := cmp.Diff(o, got, exported); d != "" || !ok {
		t.Error(d)
	}
	all, err := e.Outcomes.Of(e.ctx, e.sc, []id.Session{v.ID, id.New[id.SessionKind](ids)})
	must(t, err)
	if len(all) != 1 || len(all[v.ID]) != 1 || all[v.ID][0].ID != o.ID {
		t.Errorf("%+v", all)
	}
	foreign := e.sc
	foreign.Tenant = id.New[id.TenantKind](ids)
	if _, ok, err := e.Outcomes.OfTurn(e.ctx, foreign, turn.ID); ok || err != nil {
		t.Errorf("another tenant's outcome: %v", err)
	}
}

func compactions(t *testing.T, e *env) {
	v := e.session(t)
	if _, ok, err := e.Outcomes.Compaction(e.ctx, e.sc, v.ID); ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	c := session.Compaction{Session: v.ID, Through: 5, Summary: "short", CreatedAt: now()}
	must(t, e.Outcomes.SaveCompaction(e.ctx, e.sc, c))
	c.Through, c.Summary = 9, "shorter"
	must(t, e.Outcomes.SaveCompaction(e.ctx, e.sc, c))
	got, ok, err := e.Outcomes.Compaction(e.ctx, e.sc, v.ID)
	must(t, err)
	if d := cmp.Diff(c, got, exported); d != "" || !ok {
		t.Error(d)
	}
}
