// Package sessiontest is the conformance suite of the repositories of core/session.
package sessiontest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/gate"
	"github.com/bureau-agents/bureau/core/session"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/llm"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against: every repository of one store, and its transactions.
type Store struct {
	TX       tx.Runner
	Sessions session.Repository
	Log      session.Log
	Uses     session.ToolUses
	Turns    session.Turns
	Leases   session.Leases

	Spendings session.Spendings
	Threads   session.Threads
	Outcomes  session.Outcomes
}

// Config of the suite.
type Config struct {
	// New returns a store that no other suite uses at the same time. It is called once per subtest and may return the same one.
	New func(t *testing.T) Store
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	ctx   context.Context
	sc    account.Scope
	agent id.Agent
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	start := func(t *testing.T) *env {
		return &env{Store: cfg.New(t), ctx: t.Context(), sc: account.System(id.New[id.TenantKind](ids)), agent: id.New[id.AgentKind](ids)}
	}
	// These see the turns of every tenant, so they run alone.
	for name, fn := range map[string]func(*testing.T, *env){
		"leases":          leases,
		"take over all":   takeOverAll,
		"take over races": takeOverRaces,
		"waiting":         waiting,
	} {
		t.Run(name, func(t *testing.T) { fn(t, start(t)) })
	}
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":          roundTrip,
		"missing":             missing,
		"foreign tenant":      foreign,
		"update":              update,
		"setup":               setup,
		"resources":           resources,
		"work for others":     workForOthers,
		"threads":             threads,
		"uses of threads":     threadUses,
		"outcomes":            outcomes,
		"compactions":         compactions,
		"spendings":           spendings,
		"pages both ways":     pagesBothWays,
		"delete":              remove,
		"destroy":             destroy,
		"list":                list,
		"list by status":      listByStatus,
		"append numbers":      appendNumbers,
		"append projects":     appendProjects,
		"append rolls back":   appendRollsBack,
		"append from many":    appendFromMany,
		"events":              events,
		"fence":               fence,
		"queue":               queue,
		"queue of archived":   queueArchived,
		"queue is full":       queueFull,
		"one active turn":     oneActive,
		"claims race":         claimsRace,
		"lock session":        lockSession,
		"tool uses":           toolUses,
		"turns of agents":     turnsOfAgents,
		"heads":               heads,
		"a cancelled context": cancelled,
		"awkward texts":       texts,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, start(t))
		})
	}
}

func now() time.Time { return clock.Stored(time.Now()) }

func (e *env) session(t *testing.T) session.Session {
	t.Helper()
	v := session.Session{
		ID: id.New[id.SessionKind](ids), Tenant: e.sc.Tenant, Agent: e.agent, AgentVersion: 3, Active: session.StatusIdle,
		Metadata: map[string]string{}, CreatedAt: now(), UpdatedAt: now(),
	}
	must(t, e.Sessions.Create(e.ctx, e.sc, v))
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func event(typ session.EventType, data string) session.Event {
	return session.Event{ID: id.New[id.EventKind](ids), Type: typ, Data: json.RawMessage(data)}
}

func (e *env) turn(v session.Session) session.Turn {
	return session.Turn{
		ID: id.New[id.TurnKind](ids), Tenant: e.sc.Tenant, Session: v.ID, Agent: v.Agent, State: session.TurnQueued,
		Input: event(session.UserMessage, `{"content":[]}`), CreatedAt: now(),
	}
}

func (e *env) enqueue(t *testing.T, v session.Session, n int) []session.Turn {
	t.Helper()
	turns := make([]session.Turn, n)
	for i := range turns {
		turns[i] = e.turn(v)
	}
	last, err := e.Turns.Enqueue(e.ctx, e.sc, v.ID, turns)
	must(t, err)
	for i := range turns {
		turns[i].Number = last - int64(n-1-i)
	}
	return turns
}

func lease(owner string) session.Lease {
	return session.Lease{Owner: owner, Now: now(), For: 6 * time.Second}
}

func (e *env) claim(t *testing.T, v session.Session, owner string) session.Turn {
	t.Helper()
	got, ok, err := e.Turns.Claim(e.ctx, e.sc, v.ID, lease(owner))
	must(t, err)
	if !ok {
		t.Fatal("nothing to claim")
	}
	return got
}

func (e *env) append(t *testing.T, a session.Append) int64 {
	t.Helper()
	a.At = now()
	last, err := e.Log.Append(e.ctx, e.sc, a)
	must(t, err)
	return last
}

func (e *env) get(t *testing.T, v session.Session) session.Session {
	t.Helper()
	got, err := e.Sessions.Get(e.ctx, e.sc, v.ID)
	must(t, err)
	return got
}

func roundTrip(t *testing.T, e *env) {
	want := session.Session{
		ID: id.New[id.SessionKind](ids), Tenant: e.sc.Tenant, Agent: e.agent, AgentVersion: 7, Environment: id.New[id.EnvironmentKind](ids),
		Title: "Büro ? 'x' \\", Metadata: map[string]string{"k": "v ? '"}, Active: session.StatusIdle, CreatedAt: now(), UpdatedAt: now(),
	}
	must(t, e.Sessions.Create(e.ctx, e.sc, want))
	got := e.get(t, want)
	if d := cmp.Diff(want, got, exported); d != "" {
		t.Error(d)
	}
	if err := e.Sessions.Create(e.ctx, e.sc, want); fault.KindOf(err) != fault.Conflict {
		t.Errorf("duplicate: %v", err)
	}
}

func isMissing(err error) bool { return fault.KindOf(err) == fault.NotFound }

func missing(t *testing.T, e *env) {
	unknown := id.New[id.SessionKind](ids)
	_, err := e.Sessions.Get(e.ctx, e.sc, unknown)
	if !isMissing(err) {
		t.Errorf("get: %v", err)
	}
	_, err = e.Sessions.Update(e.ctx, e.sc, unknown, func(*session.Session) error { t.Error("called"); return nil })
	if !isMissing(err) {
		t.Errorf("update: %v", err)
	}
	if err := e.Sessions.Delete(e.ctx, e.sc, unknown, now()); !isMissing(err) {
		t.Errorf("delete: %v", err)
	}
	if _, err := e.Turns.Enqueue(e.ctx, e.sc, unknown, []session.Turn{e.turn(session.Session{ID: unknown, Agent: e.agent})}); !isMissing(err) {
		t.Errorf("enqueue: %v", err)
	}
	_, err = e.Log.Append(e.ctx, e.sc, session.Append{Session: unknown, At: now(), Events: []session.Event{event(session.UserInterrupt, "{}")}})
	if !isMissing(err) {
		t.Errorf("append: %v", err)
	}
	if _, ok, err := e.Turns.Claim(e.ctx, e.sc, unknown, lease("a")); ok || err != nil {
		t.Errorf("claim: %v, %v", ok, err)
	}
	if _, ok, err := e.Uses.Close(e.ctx, e.sc, unknown, id.New[id.EventKind](ids)); ok || err != nil {
		t.Errorf("close: %v, %v", ok, err)
	}
}

func foreign(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 1)
	e.append(t, session.Append{Session: v.ID, Events: []session.Event{event(session.UserInterrupt, "{}")}})
	other := account.System(id.New[id.TenantKind](ids))
	if _, err := e.Sessions.Get(e.ctx, other, v.ID); !isMissing(err) {
		t.Errorf("get: %v", err)
	}
	if p, err := e.Sessions.List(e.ctx, other, session.ListRequest{}); err != nil || len(p.Items) != 0 {
		t.Errorf("list: %v, %v", p, err)
	}
	if got, err := e.Log.Events(e.ctx, other, v.ID, session.EventQuery{}); err != nil || len(got) != 0 {
		t.Errorf("events: %v, %v", got, err)
	}
	if _, err := e.Log.Append(e.ctx, other, session.Append{Session: v.ID, At: now(), Events: []session.Event{event(session.UserInterrupt, "{}")}}); !isMissing(err) {
		t.Errorf("append: %v", err)
	}
	if _, ok, err := e.Turns.Claim(e.ctx, other, v.ID, lease("a")); ok || err != nil {
		t.Errorf("claim: %v, %v", ok, err)
	}
	if got, err := e.Turns.LockSession(e.ctx, other, v.ID); err != nil || len(got) != 0 {
		t.Errorf("lock: %v, %v", got, err)
	}
	c := e.claim(t, v, "a")
	if err := e.Turns.Check(e.ctx, other, *c.Fence()); !errors.Is(err, session.ErrFenced) {
		t.Errorf("check: %v", err)
	}
	if gone, err := e.Sessions.Destroy(e.ctx, other, e.agent); len(gone) != 0 || err != nil {
		t.Errorf("destroy: %v, %v", gone, err)
	}
}

func update(t *testing.T, e *env) {
	v := e.session(t)
	when := now().Add(time.Second)
	got, err := e.Sessions.Update(e.ctx, e.sc, v.ID, func(s *session.Session) error {
		s.Title, s.Metadata, s.UpdatedAt, s.ArchivedAt = "new", map[string]string{"a": "b"}, when, &when
		return nil
	})
	must(t, err)
	if d := cmp.Diff(got, e.get(t, v), cmp.AllowUnexported(id.Session{}, id.Tenant{}, id.Agent{}, id.Environment{})); d != "" {
		t.Error(d)
	}
	if got.Status() != session.StatusTerminated {
		t.Errorf("status %s", got.Status())
	}
	stop := errors.New("stop")
	if _, err := e.Sessions.Update(e.ctx, e.sc, v.ID, func(s *session.Session) error { s.Title = "x"; return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if got := e.get(t, v).Title; got != "new" {
		t.Errorf("title %q after a failed update", got)
	}
}

func remove(t *testing.T, e *env) {
	v := e.session(t)
	e.append(t, session.Append{Session: v.ID, Events: []session.Event{event(session.UserInterrupt, "{}")}})
	must(t, e.Sessions.Delete(e.ctx, e.sc, v.ID, now()))
	if _, err := e.Sessions.Get(e.ctx, e.sc, v.ID); !isMissing(err) {
		t.Errorf("get: %v", err)
	}
	if err := e.Sessions.Delete(e.ctx, e.sc, v.ID, now()); !isMissing(err) {
		t.Errorf("again: %v", err)
	}
	if _, err := e.Turns.Enqueue(e.ctx, e.sc, v.ID, []session.Turn{e.turn(v)}); !isMissing(err) {
		t.Errorf("enqueue: %v", err)
	}
	if p, err := e.Sessions.List(e.ctx, e.sc, session.ListRequest{IncludeArchived: true}); err != nil || len(p.Items) != 0 {
		t.Errorf("list: %v, %v", p.Items, err)
	}
	if got, err := e.Log.Events(e.ctx, e.sc, v.ID, session.EventQuery{}); err != nil || len(got) != 1 {
		t.Errorf("the log of a deleted session: %v, %v", got, err)
	}
}

func destroy(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 2)
	c := e.claim(t, v, "a")
	e.append(t, session.Append{
		Session: v.ID, Fence: c.Fence(), Events: []session.Event{event(session.AgentToolUse, "{}")},
		Opened: []session.ToolUse{{ID: id.New[id.EventKind](ids), Session: v.ID, Turn: c.ID, Input: json.RawMessage("{}"), State: session.UseOpen}},
	})
	mine := e.agent
	e.agent = id.New[id.AgentKind](ids)
	keep := e.session(t)
	gone, err := e.Sessions.Destroy(e.ctx, e.sc, mine)
	if err != nil || len(gone) != 1 || gone[0] != v.ID {
		t.Fatalf("destroyed %v, %v; want %s", gone, err, v.ID)
	}
	if got, err := e.Log.Events(e.ctx, e.sc, v.ID, session.EventQuery{}); err != nil || len(got) != 0 {
		t.Errorf("events: %v, %v", got, err)
	}
	if got, err := e.Turns.LockSession(e.ctx, e.sc, v.ID); err != nil || len(got) != 0 {
		t.Errorf("turns: %v, %v", got, err)
	}
	if got, err := e.Uses.Open(e.ctx, e.sc, v.ID); err != nil || len(got) != 0 {
		t.Errorf("uses: %v, %v", got, err)
	}
	e.get(t, keep)
}

func all(t *testing.T, e *env, req session.ListRequest) []id.Session {
	t.Helper()
	key := func(s session.Session) id.Session { return s.ID }
	return pagetest.Walk(t, req.Limit, key, func(r page.Request) (page.Page[session.Session], error) {
		req.Request = r
		return e.Sessions.List(e.ctx, e.sc, req)
	})
}

func same(t *testing.T, what string, want, got []id.Session) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("%s:\nwant %v\ngot  %v", what, want, got)
	}
}

func list(t *testing.T, e *env) {
	var newest []id.Session
	start := now()
	for i := range 5 {
		if i == 3 {
			e.agent = id.New[id.AgentKind](ids)
		}
		v := session.Session{
			ID: id.New[id.SessionKind](ids), Agent: e.agent, AgentVersion: 1 + i%2, Active: session.StatusIdle,
			CreatedAt: start.Add(time.Duration(i/2) * time.Second), UpdatedAt: start,
		}
		must(t, e.Sessions.Create(e.ctx, e.sc, v))
		newest = append([]id.Session{v.ID}, newest...)
	}
	_, err := e.Sessions.Update(e.ctx, e.sc, newest[4], func(s *session.Session) error { s.ArchivedAt = &start; return nil })
	must(t, err)
	live, everything := newest[:4], newest
	two := page.Request{Limit: 2}
	same(t, "live", live, all(t, e, session.ListRequest{Request: two}))
	same(t, "with archived", everything, all(t, e, session.ListRequest{Request: two, IncludeArchived: true}))
	oldest := slices.Clone(live)
	slices.Reverse(oldest)
	same(t, "ascending", oldest, all(t, e, session.ListRequest{Request: two, Ascending: true}))
	same(t, "of an agent", newest[:2], all(t, e, session.ListRequest{Request: two, Agent: e.agent}))
	same(t, "of a version", []id.Session{newest[1], newest[3]}, all(t, e, session.ListRequest{Request: two, AgentVersion: 2}))
	same(t, "since", newest[:1], all(t, e, session.ListRequest{Created: session.TimeRange{From: start.Add(time.Second), ExcludeFrom: true}}))
	same(t, "until", newest[1:4], all(t, e, session.ListRequest{Created: session.TimeRange{To: start.Add(time.Second)}}))
	if _, err := e.Sessions.List(e.ctx, e.sc, session.ListRequest{Request: page.Request{Cursor: "?"}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("bad cursor: %v", err)
	}
}

func listByStatus(t *testing.T, e *env) {
	idle, queued, running, parked, archived := e.session(t), e.session(t), e.session(t), e.session(t), e.session(t)
	e.enqueue(t, queued, 1)
	e.append(t, session.Append{Session: running.ID, Events: []session.Event{event(session.SessionRunning, "{}")}, Active: session.StatusRunning})
	e.append(t, session.Append{
		Session: parked.ID, Events: []session.Event{event(session.SessionIdle, "{}")}, Active: session.StatusIdle,
		StopReason: &session.StopReason{Type: session.StopRequiresAction, Events: []id.Event{id.New[id.EventKind](ids)}},
	})
	e.enqueue(t, parked, 1)
	when := now()
	_, err := e.Sessions.Update(e.ctx, e.sc, archived.ID, func(s *session.Session) error { s.ArchivedAt = &when; return nil })
	must(t, err)
	for status, want := range map[session.Status][]session.Session{
		session.StatusIdle: {parked, idle}, session.StatusRunning: {running, queued}, session.StatusTerminated: {archived},
		session.StatusRescheduling: nil,
	} {
		var wantIDs []id.Session
		for _, v := range want {
			wantIDs = append(wantIDs, v.ID)
			if got := e.get(t, v).Status(); got != status {
				t.Errorf("status %s, want %s", got, status)
			}
		}
		same(t, string(status), wantIDs, all(t, e, session.ListRequest{Statuses: []session.Status{status}}))
	}
	same(t, "two", []id.Session{archived.ID, running.ID, queued.ID},
		all(t, e, session.ListRequest{Statuses: []session.Status{session.StatusRunning, session.StatusTerminated}}))
}

func appendNumbers(t *testing.T, e *env) {
	v, other := e.session(t), e.session(t)
	one := []session.Event{event(session.UserMessage, `{"a":1}`)}
	if got := e.append(t, session.Append{Session: v.ID, Events: one}); got != 1 {
		t.Errorf("first is %d", got)
	}
	ref := one[0].ID
	two := []session.Event{event(session.AgentToolResult, `{"b":"\u0000 ?"}`), event(session.SessionIdle, "{}")}
	two[0].Ref = ref
	if got := e.append(t, session.Append{Session: v.ID, Events: two}); got != 3 {
		t.Errorf("last is %d", got)
	}
	if got := e.append(t, session.Append{Session: other.ID, Events: []session.Event{event(session.UserInterrupt, "{}")}}); got != 1 {
		t.Errorf("another session begins at %d", got)
	}
	got, err := e.Log.Events(e.ctx, e.sc, v.ID, session.EventQuery{})
	must(t, err)
	want := append(slices.Clone(one), two...)
	for i := range want {
		want[i].Seq = int64(i + 1)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(id.Event{}), cmpopts.IgnoreFields(session.Event{}, "ProcessedAt")); d != "" {
		t.Error(d)
	}
	for _, ev := range got {
		if ev.ProcessedAt.IsZero() {
			t.Error("an event without a time")
		}
	}
	if got := e.get(t, v).LastSeq; got != 3 {
		t.Errorf("LastSeq %d", got)
	}
}

func appendProjects(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 2)
	if got := e.get(t, v); got.Queued != 2 || got.LastTurn != 2 || got.Status() != session.StatusRunning {
		t.Errorf("queued: %+v", got)
	}
	start := now()
	_, err := e.Log.Append(e.ctx, e.sc, session.Append{
		Session: v.ID, At: start, Events: []session.Event{event(session.SessionRunning, "{}")}, Active: session.StatusRunning, Dequeued: 2,
	})
	must(t, err)
	got := e.get(t, v)
	if got.Queued != 0 || got.Active != session.StatusRunning || got.RunningSince == nil || !got.RunningSince.Equal(start) || got.StopReason != nil {
		t.Errorf("running: %+v", got)
	}
	u := session.Usage{Tokens: llm.Usage{Input: 1, CacheRead: 2, CacheWrite5m: 3, CacheWrite1h: 4, Output: 5, Reasoning: 6}, Cost: 7, Unpriced: 1}
	reason := &session.StopReason{Type: session.StopRequiresAction, Events: []id.Event{id.New[id.EventKind](ids)}}
	for i := range 2 {
		_, err = e.Log.Append(e.ctx, e.sc, session.Append{
			Session: v.ID, At: start.Add(time.Duration(i+1) * time.Second), Events: []session.Event{event(session.SessionIdle, "{}")},
			Active: session.StatusIdle, StopReason: reason, Usage: u,
		})
		must(t, err)
	}
	got = e.get(t, v)
	twice := session.Usage{
		Tokens: llm.Usage{Input: 2, CacheRead: 4, CacheWrite5m: 6, CacheWrite1h: 8, Output: 10, Reasoning: 12}, Cost: 14, Unpriced: 2,
	}
	if d := cmp.Diff(twice, got.Usage); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(reason, got.StopReason, cmp.AllowUnexported(id.Event{})); d != "" {
		t.Error(d)
	}
	if got.ActiveFor != time.Second || got.RunningSince != nil || got.ActiveTime(now()) != time.Second {
		t.Errorf("active for %s", got.ActiveFor)
	}
}

func appendRollsBack(t *testing.T, e *env) {
	v := e.session(t)
	stop := errors.New("stop")
	err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, err := e.Log.Append(ctx, e.sc, session.Append{Session: v.ID, At: now(), Events: []session.Event{event(session.UserInterrupt, "{}")}}); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if got := e.append(t, session.Append{Session: v.ID, Events: []session.Event{event(session.UserInterrupt, "{}")}}); got != 1 {
		t.Errorf("number %d after a rollback", got)
	}
}

func appendFromMany(t *testing.T, e *env) {
	v := e.session(t)
	const writers, each = 8, 12
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				a := session.Append{Session: v.ID, At: now()}
				for range 1 + i%3 {
					a.Events = append(a.Events, event(session.UserInterrupt, "{}"))
				}
				if _, err := e.Log.Append(e.ctx, e.sc, a); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := e.Log.Events(e.ctx, e.sc, v.ID, session.EventQuery{})
	must(t, err)
	if want := writers * each * 2; len(got) != want {
		t.Errorf("%d events, want %d", len(got), want)
	}
	for i, ev := range got {
		if ev.Seq != int64(i+1) {
			t.Fatalf("event %d has number %d", i+1, ev.Seq)
		}
	}
}

func events(t *testing.T, e *env) {
	v := e.session(t)
	start := now()
	for i := range 6 {
		typ := session.UserMessage
		if i%2 == 1 {
			typ = session.AgentMessage
		}
		_, err := e.Log.Append(e.ctx, e.sc, session.Append{
			Session: v.ID, At: start.Add(time.Duration(i) * time.Second), Events: []session.Event{event(typ, "{}")},
		})
		must(t, err)
	}
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }
	for name, tc := range map[string]struct {
		q    session.EventQuery
		want []int64
	}{
		"all":     {session.EventQuery{}, []int64{1, 2, 3, 4, 5, 6}},
		"limit":   {session.EventQuery{Limit: 2}, []int64{1, 2}},
		"after":   {session.EventQuery{AfterSeq: 4}, []int64{5, 6}},
		"between": {session.EventQuery{AfterSeq: 1, BeforeSeq: 4}, []int64{2, 3}},
		"desc":    {session.EventQuery{Desc: true, Limit: 2, BeforeSeq: 6}, []int64{5, 4}},
		"types":   {session.EventQuery{Types: []session.EventType{session.AgentMessage}}, []int64{2, 4, 6}},
		"two":     {session.EventQuery{Types: []session.EventType{session.AgentMessage, session.UserMessage}, Limit: 3}, []int64{1, 2, 3}},
		"from":    {session.EventQuery{Processed: session.TimeRange{From: at(4)}}, []int64{5, 6}},
		"open":    {session.EventQuery{Processed: session.TimeRange{From: at(1), To: at(3), ExcludeFrom: true, ExcludeTo: true}}, []int64{3}},
		"none":    {session.EventQuery{AfterSeq: 6}, nil},
		"bytes":   {session.EventQuery{AfterSeq: 1, MaxBytes: 3}, []int64{2, 3}},
		"one":     {session.EventQuery{Desc: true, MaxBytes: 1}, []int64{6}},
	} {
		got, err := e.Log.Events(e.ctx, e.sc, v.ID, tc.q)
		must(t, err)
		var seqs []int64
		for _, ev := range got {
			seqs = append(seqs, ev.Seq)
		}
		if !slices.Equal(tc.want, seqs) {
			t.Errorf("%s: want %v, got %v", name, tc.want, seqs)
		}
	}
}

func fence(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 1)
	c := e.claim(t, v, "a")
	span := id.New[id.EventKind](ids)
	e.append(t, session.Append{
		Session: v.ID, Fence: c.Fence(), Turn: &session.TurnChange{Calls: 1, Span: &span}, Events: []session.Event{event(session.SpanModelStart, "{}")},
	})
	turns, err := e.Turns.LockSession(e.ctx, e.sc, v.ID)
	must(t, err)
	if len(turns) != 1 || turns[0].Calls != 1 || turns[0].Span != span {
		t.Errorf("%+v", turns)
	}
	for name, f := range map[string]gate.Fence{
		"stale":   {Turn: c.ID, Epoch: c.Epoch - 1},
		"future":  {Turn: c.ID, Epoch: c.Epoch + 1},
		"unknown": {Turn: id.New[id.TurnKind](ids), Epoch: 1},
	} {
		if err := e.Turns.Check(e.ctx, e.sc, f); !errors.Is(err, session.ErrFenced) {
			t.Errorf("check %s: %v", name, err)
		}
		_, err := e.Log.Append(e.ctx, e.sc, session.Append{Session: v.ID, At: now(), Fence: &f, Events: []session.Event{event(session.AgentMessage, "{}")}})
		if !errors.Is(err, session.ErrFenced) {
			t.Errorf("append %s: %v", name, err)
		}
	}
	must(t, e.Turns.Check(e.ctx, e.sc, *c.Fence()))
	none := id.Event{}
	e.append(t, session.Append{
		Session: v.ID, Fence: c.Fence(), Turn: &session.TurnChange{State: session.TurnDone, Span: &none},
		Events: []session.Event{event(session.SessionIdle, "{}")},
	})
	if err := e.Turns.Check(e.ctx, e.sc, *c.Fence()); !errors.Is(err, session.ErrFenced) {
		t.Errorf("a turn that is done: %v", err)
	}
	if got := e.get(t, v).LastSeq; got != 2 {
		t.Errorf("LastSeq %d: a fenced append has left something", got)
	}
}

func queue(t *testing.T, e *env) {
	v := e.session(t)
	turns := e.enqueue(t, v, 2)
	turns = append(turns, e.enqueue(t, v, 1)...)
	for i, want := range turns {
		got := e.claim(t, v, "a")
		if got.ID != want.ID || got.Number != int64(i+1) || got.State != session.TurnRunning || got.Epoch != 1 || got.Owner != "a" {
			t.Errorf("turn %d: %+v", i, got)
		}
		if got.Input.ID != want.Input.ID || got.Input.Type != want.Input.Type || string(got.Input.Data) != string(want.Input.Data) {
			t.Errorf("turn %d: input %+v", i, got.Input)
		}
		if got.StartedAt.IsZero() || !got.LeaseUntil.After(time.Now()) || got.Tenant != e.sc.Tenant || got.Agent != e.agent {
			t.Errorf("turn %d: %+v", i, got)
		}
		if _, ok, err := e.Turns.Claim(e.ctx, e.sc, v.ID, lease("b")); ok || err != nil {
			t.Fatalf("a second active turn: %v, %v", ok, err)
		}
		e.append(t, session.Append{
			Session: v.ID, Fence: got.Fence(), Turn: &session.TurnChange{State: session.TurnDone}, Events: []session.Event{event(session.SessionIdle, "{}")},
		})
	}
	if _, ok, err := e.Turns.Claim(e.ctx, e.sc, v.ID, lease("a")); ok || err != nil {
		t.Errorf("an empty queue: %v, %v", ok, err)
	}
}

func queueFull(t *testing.T, e *env) {
	v := e.session(t)
	turns := e.enqueue(t, v, session.MaxQueued-1)
	if _, err := e.Turns.Enqueue(e.ctx, e.sc, v.ID, []session.Turn{e.turn(v), e.turn(v)}); !errors.Is(err, session.ErrQueueFull) {
		t.Errorf("two messages for one place: %v", err)
	}
	e.enqueue(t, v, 1)
	if _, err := e.Turns.Enqueue(e.ctx, e.sc, v.ID, []session.Turn{e.turn(v)}); !errors.Is(err, session.ErrQueueFull) {
		t.Errorf("a message too many: %v", err)
	}
	locked, err := e.Turns.LockSession(e.ctx, e.sc, v.ID)
	must(t, err)
	if len(locked) != session.MaxQueued || locked[0].Input.Data != nil || locked[0].Input.ID != turns[0].Input.ID {
		t.Errorf("%d turns, the first %+v", len(locked), locked[0])
	}
	data, err := e.Turns.Message(e.ctx, e.sc, turns[0].ID)
	if err != nil || string(data) != string(turns[0].Input.Data) {
		t.Errorf("%s, %v", data, err)
	}
	other := account.System(id.New[id.TenantKind](ids))
	if data, err := e.Turns.Message(e.ctx, other, turns[0].ID); err != nil || data != nil {
		t.Errorf("another tenant's: %s, %v", data, err)
	}
}

func queueArchived(t *testing.T, e *env) {
	v := e.session(t)
	when := now()
	_, err := e.Sessions.Update(e.ctx, e.sc, v.ID, func(s *session.Session) error { s.ArchivedAt = &when; return nil })
	must(t, err)
	if _, err := e.Turns.Enqueue(e.ctx, e.sc, v.ID, []session.Turn{e.turn(v)}); !errors.Is(err, session.ErrArchived) {
		t.Errorf("got %v", err)
	}
}

func oneActive(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 2)
	c := e.claim(t, v, "a")
	for _, state := range []session.TurnState{session.TurnParked, session.TurnReady} {
		c.State, c.Owner = state, ""
		must(t, e.Turns.Save(e.ctx, e.sc, c))
		got, ok, err := e.Turns.Claim(e.ctx, e.sc, v.ID, lease("b"))
		must(t, err)
		switch {
		case state == session.TurnParked && ok:
			t.Fatalf("claimed %+v behind a parked turn", got)
		case state == session.TurnReady && (!ok || got.ID != c.ID || got.Epoch != c.Epoch+1 || got.Owner != "b"):
			t.Fatalf("a ready turn: %v, %+v", ok, got)
		}
	}
}

func claimsRace(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 4)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, ok, err := e.Turns.Claim(e.ctx, e.sc, v.ID, lease(fmt.Sprint(i)))
			if err != nil && !errors.Is(err, session.ErrFenced) {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d claims won", won.Load())
	}
}

func lockSession(t *testing.T, e *env) {
	v := e.session(t)
	want := e.enqueue(t, v, 3)
	c := e.claim(t, v, "a")
	c.State, c.EndedAt, c.Epoch, c.Calls = session.TurnCancelled, now(), 9, 4
	must(t, e.Turns.Save(e.ctx, e.sc, c))
	got, err := e.Turns.LockSession(e.ctx, e.sc, v.ID)
	must(t, err)
	if len(got) != 2 || got[0].ID != want[1].ID || got[1].ID != want[2].ID || got[0].State != session.TurnQueued {
		t.Errorf("%+v", got)
	}
}

func toolUses(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 1)
	c := e.claim(t, v, "a")
	evs := []session.Event{event(session.AgentMessage, "{}"), event(session.AgentToolUse, "{}"), event(session.AgentCustomToolUse, "{}")}
	use := func(i int, state session.UseState) session.ToolUse {
		return session.ToolUse{
			ID: evs[i].ID, Session: v.ID, Turn: c.ID, Type: evs[i].Type, Name: "n", Input: json.RawMessage(`{"a": 1}`), State: state,
		}
	}
	want := []session.ToolUse{use(1, session.UseOpen), use(2, session.UseClient)}
	e.append(t, session.Append{Session: v.ID, Fence: c.Fence(), Events: evs, Opened: want})
	want[0].Seq, want[1].Seq = 2, 3
	opened := func() []session.ToolUse {
		got, err := e.Uses.Open(e.ctx, e.sc, v.ID)
		must(t, err)
		return got
	}
	same := cmp.AllowUnexported(id.Event{}, id.Session{}, id.Turn{}, id.Approval{})
	if d := cmp.Diff(want, opened(), same); d != "" {
		t.Error(d)
	}
	move := func(want bool, from, to session.UseState, a id.Approval) {
		t.Helper()
		ok, err := e.Uses.SetState(e.ctx, e.sc, evs[1].ID, from, to, a)
		must(t, err)
		if ok != want {
			t.Errorf("%s to %s: %v", from, to, ok)
		}
	}
	approval := id.New[id.ApprovalKind](ids)
	move(false, session.UseAsk, session.UseOpen, id.Approval{})
	move(true, session.UseOpen, session.UseParked, approval)
	if got := opened()[0]; got.State != session.UseParked || got.Approval != approval {
		t.Errorf("%+v", got)
	}
	move(true, session.UseParked, session.UseOpen, id.Approval{})
	move(false, session.UseOpen, session.UseParked, approval) // its approval has been given already
	got, ok, err := e.Uses.Close(e.ctx, e.sc, v.ID, evs[2].ID)
	must(t, err)
	if d := cmp.Diff(want[1], got, same); !ok || d != "" {
		t.Error(ok, d)
	}
	if _, ok, err := e.Uses.Close(e.ctx, e.sc, v.ID, evs[2].ID); ok || err != nil {
		t.Errorf("closed twice: %v, %v", ok, err)
	}
	if got := opened(); len(got) != 1 || got[0].ID != evs[1].ID {
		t.Errorf("%+v", got)
	}
}

func leases(t *testing.T, e *env) {
	v := e.session(t)
	e.enqueue(t, v, 1)
	c := e.claim(t, v, "a")
	taken := func(owner string) []session.Turn {
		t.Helper()
		all, err := e.Leases.TakeOver(e.ctx, lease(owner), false, 1000)
		must(t, err)
		return slices.DeleteFunc(all, func(o session.Turn) bool { return o.ID != c.ID })
	}
	if got := taken("b"); len(got) != 0 {
		t.Fatal("taken from a living holder")
	}
	kept, err := e.Leases.Renew(e.ctx, lease("a"), []id.Turn{c.ID, id.New[id.TurnKind](ids)})
	if err != nil || !slices.Equal(kept, []id.Turn{c.ID}) {
		t.Errorf("renewed %v, %v", kept, err)
	}
	if kept, err := e.Leases.Renew(e.ctx, lease("b"), []id.Turn{c.ID}); err != nil || len(kept) != 0 {
		t.Errorf("renewed another's: %v, %v", kept, err)
	}
	must(t, e.Leases.Release(e.ctx, "a", now()))
	got := taken("b")
	if len(got) != 1 || got[0].Epoch != c.Epoch+1 || got[0].Owner != "b" || got[0].Takeovers != 0 {
		t.Fatalf("after a release: %+v", got)
	}
	if err := e.Turns.Check(e.ctx, e.sc, *c.Fence()); !errors.Is(err, session.ErrFenced) {
		t.Errorf("the former holder: %v", err)
	}
	// A lease that ran out is one that began long ago.
	if _, err := e.Leases.Renew(e.ctx, session.Lease{Owner: "b", Now: now().Add(-time.Hour), For: time.Nanosecond}, []id.Turn{c.ID}); err != nil {
		t.Fatal(err)
	}
	got = taken("c")
	if len(got) != 1 || got[0].Takeovers != 1 || got[0].Epoch != c.Epoch+2 {
		t.Errorf("after it ran out: %+v", got)
	}
}

func takeOverAll(t *testing.T, e *env) {
	v, w := e.session(t), e.session(t)
	e.enqueue(t, v, 1)
	e.enqueue(t, w, 1)
	c, mine := e.claim(t, v, "dead"), e.claim(t, w, "me")
	got, err := e.Leases.TakeOver(e.ctx, lease("me"), true, 1000)
	must(t, err)
	if !slices.ContainsFunc(got, func(o session.Turn) bool { return o.ID == c.ID }) ||
		slices.ContainsFunc(got, func(o session.Turn) bool { return o.ID == mine.ID }) {
		t.Errorf("%+v", got)
	}
}

func takeOverRaces(t *testing.T, e *env) {
	const sessions = 12
	want := map[id.Turn]bool{}
	for range sessions {
		v := e.session(t)
		e.enqueue(t, v, 1)
		want[e.claim(t, v, "dead").ID] = true
	}
	must(t, e.Leases.Release(e.ctx, "dead", now()))
	var mu sync.Mutex
	got := map[id.Turn]int{}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 3 * sessions {
				turns, err := e.Leases.TakeOver(e.ctx, lease(fmt.Sprint(i)), false, 3)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, o := range turns {
					if want[o.ID] {
						got[o.ID]++
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for o := range want {
		if got[o] != 1 {
			t.Errorf("turn %s was taken %d times", o, got[o])
		}
	}
}

func waiting(t *testing.T, e *env) {
	queued, running, ready, parked := e.session(t), e.session(t), e.session(t), e.session(t)
	for _, v := range []session.Session{queued, running, ready, parked} {
		e.enqueue(t, v, 2)
	}
	e.claim(t, running, "a")
	for v, state := range map[id.Session]session.TurnState{ready.ID: session.TurnReady, parked.ID: session.TurnParked} {
		c := e.claim(t, session.Session{ID: v}, "a")
		c.State = state
		must(t, e.Turns.Save(e.ctx, e.sc, c))
	}
	find := func(before time.Time) map[id.Session]bool {
		refs, err := e.Leases.Waiting(e.ctx, before, 1000)
		must(t, err)
		out := map[id.Session]bool{}
		for _, r := range refs {
			if r.Tenant == e.sc.Tenant {
				out[r.Session] = true
			}
		}
		return out
	}
	if d := cmp.Diff(map[id.Session]bool{queued.ID: true, ready.ID: true}, find(now().Add(time.Minute)), cmp.AllowUnexported(id.Session{})); d != "" {
		t.Error(d)
	}
	if got := find(now().Add(-time.Minute)); got[queued.ID] || !got[ready.ID] {
		t.Errorf("young ones: %v", got)
	}
}

func turnsOfAgents(t *testing.T, e *env) {
	v, done := e.session(t), e.session(t)
	e.enqueue(t, v, 1)
	e.enqueue(t, done, 1)
	c := e.claim(t, done, "a")
	c.State, c.EndedAt = session.TurnDone, now()
	must(t, e.Turns.Save(e.ctx, e.sc, c))
	first := e.agent
	e.agent = id.New[id.AgentKind](ids)
	other := e.session(t)
	e.enqueue(t, other, 1)
	for name, tc := range map[string]struct {
		agents []id.Agent
		want   []id.Session
	}{
		"one":  {[]id.Agent{first}, []id.Session{v.ID}},
		"two":  {[]id.Agent{first, e.agent}, []id.Session{v.ID, other.ID}},
		"all":  {nil, []id.Session{v.ID, other.ID}},
		"none": {[]id.Agent{id.New[id.AgentKind](ids)}, nil},
	} {
		got, err := e.Turns.OfAgents(e.ctx, e.sc, tc.agents)
		must(t, err)
		same(t, name, tc.want, got)
	}
}

func heads(t *testing.T, e *env) {
	v, w := e.session(t), e.session(t)
	e.append(t, session.Append{Session: v.ID, Events: []session.Event{event(session.UserInterrupt, "{}")}})
	got, err := e.Sessions.Heads(e.ctx, []id.Session{v.ID, w.ID, id.New[id.SessionKind](ids)})
	must(t, err)
	if d := cmp.Diff(map[id.Session]int64{v.ID: 1, w.ID: 0}, got, cmp.AllowUnexported(id.Session{})); d != "" {
		t.Error(d)
	}
	if got, err := e.Sessions.Heads(e.ctx, nil); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func cancelled(t *testing.T, e *env) {
	v := e.session(t)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if _, err := e.Sessions.Get(ctx, e.sc, v.ID); err == nil {
		t.Error("get worked")
	}
	if _, err := e.Log.Append(ctx, e.sc, session.Append{Session: v.ID, At: now(), Events: []session.Event{event(session.UserInterrupt, "{}")}}); err == nil {
		t.Error("append worked")
	}
	if got := e.get(t, v).LastSeq; got != 0 {
		t.Errorf("LastSeq %d", got)
	}
}

func texts(t *testing.T, e *env) {
	v := e.session(t)
	data := `{"text":"a \\ ' \" ? $1 \u0000 ` + "\u2028 \U0001F600" + ` %s"}`
	e.append(t, session.Append{Session: v.ID, Events: []session.Event{event(session.AgentMessage, data)}})
	got, err := e.Log.Events(e.ctx, e.sc, v.ID, session.EventQuery{})
	must(t, err)
	if len(got) != 1 || string(got[0].Data) != data {
		t.Errorf("%s", got[0].Data)
	}
}
