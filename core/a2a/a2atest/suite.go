// Package a2atest is the conformance suite of a2a.Peers, a2a.Tasks, a2a.Messages and a2a.Outputs.
package a2atest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bureau-agents/bureau/core/a2a"
	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Stores are what the suite runs against.
type Stores struct {
	TX       tx.Runner
	Peers    a2a.Peers
	Tasks    a2a.Tasks
	Messages a2a.Messages
	Outputs  a2a.Outputs
}

// Config of the suite.
type Config struct {
	// New returns empty stores. It is called once per subtest.
	New func(t *testing.T) Stores
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Stores
	ctx context.Context
	sc  account.Scope
	who a2a.Who
	at  time.Time

	working []id.Turn // what begun made
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"peers": peers, "contexts": contexts, "tasks": tasks, "moves": moves, "lists": lists, "pages": pages,
		"of an agent": ofAgent, "messages": messages, "outputs": outputs, "removal": removal,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, &env{
				Stores: cfg.New(t), ctx: t.Context(), sc: account.System(id.New[id.TenantKind](ids)),
				who: a2a.Who{Agent: id.New[id.AgentKind](ids), Key: id.New[id.APIKeyKind](ids)}, at: clock.Stored(time.Now()),
			})
		})
	}
}

func (e *env) task(state a2a.State) a2a.Task {
	return a2a.Task{
		ID: id.New[id.TurnKind](ids), Who: e.who, Context: "a context", Session: id.New[id.SessionKind](ids), Event: id.New[id.EventKind](ids),
		State: state, Metadata: json.RawMessage(`{"a":1}`), CreatedAt: e.at, UpdatedAt: e.at,
	}
}

func (e *env) insert(t *testing.T, v a2a.Task) a2a.Task {
	t.Helper()
	if err := e.Tasks.Insert(e.ctx, e.sc, v); err != nil {
		t.Fatal(err)
	}
	return v
}

func same(t *testing.T, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b a2a.Who) bool { return a == b }),
		cmp.Comparer(func(a, b id.Turn) bool { return a == b }), cmp.Comparer(func(a, b id.Session) bool { return a == b }),
		cmp.Comparer(func(a, b id.Event) bool { return a == b }),
		cmp.Comparer(func(a, b id.MemoryStore) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func peers(t *testing.T, e *env) {
	lock := func(who a2a.Who, at time.Time, then func(a2a.Peer) error) a2a.Peer {
		t.Helper()
		var out a2a.Peer
		if err := e.TX.Do(e.ctx, func(ctx context.Context) (err error) {
			if out, err = e.Peers.Lock(ctx, e.sc, a2a.Peer{Who: who, CreatedAt: at}); err == nil && then != nil {
				err = then(out)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := lock(e.who, e.at, nil)
	same(t, a2a.Peer{Who: e.who, CreatedAt: e.at}, first)
	first.Store = id.New[id.MemoryStoreKind](ids)
	if err := e.Peers.Save(e.ctx, e.sc, first); err != nil {
		t.Fatal(err)
	}
	same(t, first, lock(e.who, e.at.Add(time.Hour), nil))
	other := e.who
	other.Key = id.New[id.APIKeyKind](ids)
	if got := lock(other, e.at, nil); !got.Store.IsZero() {
		t.Errorf("another key has the store %s", got.Store)
	}
}

func contexts(t *testing.T, e *env) {
	where := func(sc account.Scope, who a2a.Who, name string) id.Session {
		t.Helper()
		of, there, err := e.Peers.Session(e.ctx, sc, who, name)
		if err != nil || there == of.IsZero() {
			t.Fatalf("%s, %v, %v", of, there, err)
		}
		return of
	}
	one, two := id.New[id.SessionKind](ids), id.New[id.SessionKind](ids)
	for _, of := range []id.Session{one, two} {
		if err := e.Peers.SetSession(e.ctx, e.sc, e.who, "Ünïcode \"context\"", of); err != nil {
			t.Fatal(err)
		}
		same(t, of, where(e.sc, e.who, "Ünïcode \"context\""))
	}
	other := e.who
	other.Key = id.New[id.APIKeyKind](ids)
	for _, got := range []id.Session{
		where(e.sc, e.who, "another"), where(e.sc, other, "Ünïcode \"context\""),
		where(account.System(id.New[id.TenantKind](ids)), e.who, "Ünïcode \"context\""),
	} {
		if !got.IsZero() {
			t.Errorf("somebody else's context is %s", got)
		}
	}
}

func tasks(t *testing.T, e *env) {
	bare := e.task(a2a.Rejected)
	bare.Session, bare.Event, bare.Metadata, bare.Reason, bare.Rule = id.Session{}, id.Event{}, nil, "frozen", "frozen"
	for _, v := range []a2a.Task{e.task(a2a.Submitted), bare} {
		e.insert(t, v)
		got, err := e.Tasks.Get(e.ctx, e.sc, v.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, v, got)
		if _, err := e.Tasks.Get(e.ctx, account.System(id.New[id.TenantKind](ids)), v.ID); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another tenant's task: %v", err)
		}
	}
	if _, err := e.Tasks.Get(e.ctx, e.sc, id.New[id.TurnKind](ids)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a missing task: %v", err)
	}
}

func moves(t *testing.T, e *env) {
	v := e.insert(t, e.task(a2a.Submitted))
	later := func(n int) time.Time { return e.at.Add(time.Duration(n) * time.Second) }
	steps := []struct{ in, want a2a.Task }{
		{a2a.Task{State: a2a.Working, FirstSeq: 7}, a2a.Task{State: a2a.Working, FirstSeq: 7}},
		{a2a.Task{State: a2a.InputRequired}, a2a.Task{State: a2a.InputRequired, FirstSeq: 7}},
		{a2a.Task{State: a2a.Working}, a2a.Task{State: a2a.Working, FirstSeq: 7}},
		{a2a.Task{State: a2a.Failed, Reason: "no", Rule: "r", LastSeq: 12},
			a2a.Task{State: a2a.Failed, Reason: "no", Rule: "r", FirstSeq: 7, LastSeq: 12}},
	}
	for i, s := range steps {
		s.in.ID, s.in.UpdatedAt = v.ID, later(i)
		want := v
		want.State, want.Reason, want.Rule = s.want.State, s.want.Reason, s.want.Rule
		want.FirstSeq, want.LastSeq, want.UpdatedAt = s.want.FirstSeq, s.want.LastSeq, later(i)
		got, moved, err := e.Tasks.Move(e.ctx, e.sc, s.in)
		if err != nil || !moved {
			t.Fatalf("step %d: %v, %v", i, moved, err)
		}
		same(t, want, got)
		if got, err = e.Tasks.Get(e.ctx, e.sc, v.ID); err != nil {
			t.Fatal(err)
		}
		same(t, want, got)
	}
	for _, end := range []a2a.State{a2a.Completed, a2a.Failed, a2a.Canceled, a2a.Rejected} {
		over := e.insert(t, e.task(end))
		if _, moved, err := e.Tasks.Move(e.ctx, e.sc, a2a.Task{ID: over.ID, State: a2a.Working, UpdatedAt: later(9)}); moved || err != nil {
			t.Errorf("a task that is %s: %v, %v", end, moved, err)
		}
	}
	open := e.insert(t, e.task(a2a.Working))
	stranger := account.System(id.New[id.TenantKind](ids))
	if _, moved, err := e.Tasks.Move(e.ctx, stranger, a2a.Task{ID: open.ID, State: a2a.Failed, UpdatedAt: e.at}); moved || err != nil {
		t.Errorf("another tenant's task: %v, %v", moved, err)
	}
	failed := errors.New("failed")
	if err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		if _, _, err := e.Tasks.Move(ctx, e.sc, a2a.Task{ID: open.ID, State: a2a.Failed, UpdatedAt: e.at}); err != nil {
			return err
		}
		return failed
	}); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if got, err := e.Tasks.Get(e.ctx, e.sc, open.ID); err != nil || got.State != a2a.Working {
		t.Errorf("after a rollback: %s, %v", got.State, err)
	}
}

func lists(t *testing.T, e *env) {
	var all []id.Turn
	for i, state := range []a2a.State{a2a.Completed, a2a.Working, a2a.Completed, a2a.Failed} {
		v := e.task(state)
		v.Context, v.UpdatedAt = fmt.Sprintf("context %d", i%2), e.at.Add(time.Duration(i)*time.Minute)
		all = append(all, e.insert(t, v).ID)
	}
	other := e.task(a2a.Completed)
	other.Key = id.New[id.APIKeyKind](ids)
	e.insert(t, other)
	other = e.task(a2a.Completed)
	other.Agent = id.New[id.AgentKind](ids)
	e.insert(t, other)
	for name, tc := range map[string]struct {
		q    a2a.Query
		want []int
	}{
		"all":       {a2a.Query{}, []int{3, 2, 1, 0}},
		"state":     {a2a.Query{State: a2a.Completed}, []int{2, 0}},
		"context":   {a2a.Query{Context: "context 1"}, []int{3, 1}},
		"both":      {a2a.Query{Context: "context 1", State: a2a.Working}, []int{1}},
		"since":     {a2a.Query{Since: e.at.Add(2 * time.Minute)}, []int{3, 2}},
		"nothing":   {a2a.Query{Context: "context 2"}, nil},
		"long past": {a2a.Query{Since: e.at.Add(time.Hour)}, nil},
	} {
		tc.q.Who, tc.q.Count = e.who, true
		p, err := e.Tasks.List(e.ctx, e.sc, tc.q)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []id.Turn
		for _, v := range p.Items {
			got = append(got, v.ID)
		}
		for _, i := range tc.want {
			want = append(want, all[i])
		}
		if !slices.Equal(got, want) || p.Total != len(want) || p.Next != "" {
			t.Errorf("%s: %v of %d, want %v", name, got, p.Total, want)
		}
	}
	if p, err := e.Tasks.List(e.ctx, account.System(id.New[id.TenantKind](ids)), a2a.Query{Who: e.who}); err != nil || len(p.Items) > 0 {
		t.Errorf("another tenant lists %d, %v", len(p.Items), err)
	}
}

func pages(t *testing.T, e *env) {
	want := map[id.Turn]bool{}
	for range 7 { // at one time: the ids part them
		want[e.insert(t, e.task(a2a.Working)).ID] = true
	}
	cursor := ""
	for n := 0; ; n++ {
		p, err := e.Tasks.List(e.ctx, e.sc, a2a.Query{Request: page.Request{Limit: 3, Cursor: cursor}, Who: e.who})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range p.Items {
			if !want[v.ID] {
				t.Errorf("%s comes twice", v.ID)
			}
			delete(want, v.ID)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("%d are missing", len(want))
	}
	if _, err := e.Tasks.List(e.ctx, e.sc, a2a.Query{Request: page.Request{Cursor: "odd"}, Who: e.who}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an odd cursor: %v", err)
	}
}

func messages(t *testing.T, e *env) {
	task := id.New[id.TurnKind](ids)
	var said []a2a.Stored
	for i, name := range []string{"b", "a"} {
		m := a2a.Stored{
			Who: e.who, Name: name, Task: task, Digest: "d", Body: json.RawMessage(`{"parts":[]}`),
			CreatedAt: e.at.Add(time.Duration(i) * time.Second),
		}
		if added, err := e.Messages.Insert(e.ctx, e.sc, m); err != nil || !added {
			t.Fatalf("%v, %v", added, err)
		}
		said = append(said, m)
	}
	again := said[0]
	again.Digest, again.Task = "another", id.New[id.TurnKind](ids)
	if added, err := e.Messages.Insert(e.ctx, e.sc, again); err != nil || added {
		t.Errorf("a second message of a name: %v, %v", added, err)
	}
	got, there, err := e.Messages.Find(e.ctx, e.sc, e.who, "b")
	if err != nil || !there {
		t.Fatalf("%v, %v", there, err)
	}
	same(t, said[0], got)
	other := e.who
	other.Key = id.New[id.APIKeyKind](ids)
	if _, there, err := e.Messages.Find(e.ctx, e.sc, other, "b"); err != nil || there {
		t.Errorf("another key's message: %v, %v", there, err)
	}
	all, err := e.Messages.Of(e.ctx, e.sc, []id.Turn{task, id.New[id.TurnKind](ids)})
	if err != nil {
		t.Fatal(err)
	}
	same(t, said, all)
	if all, err = e.Messages.Of(e.ctx, account.System(id.New[id.TenantKind](ids)), []id.Turn{task}); err != nil || len(all) > 0 {
		t.Errorf("another tenant reads %d, %v", len(all), err)
	}
	if all, err = e.Messages.Of(e.ctx, e.sc, nil); err != nil || len(all) > 0 {
		t.Errorf("of no task there are %d, %v", len(all), err)
	}
}

func removal(t *testing.T, e *env) {
	p := a2a.Peer{Who: e.who, Store: id.New[id.MemoryStoreKind](ids), CreatedAt: e.at}
	kept := e.task(a2a.Working)
	kept.Agent = id.New[id.AgentKind](ids)
	e.insert(t, kept)
	gone := e.insert(t, e.task(a2a.Working))
	if err := e.TX.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Peers.Lock(ctx, e.sc, p)
		return errors.Join(err, e.Peers.SetSession(ctx, e.sc, e.who, "a context", gone.Session))
	}); err != nil {
		t.Fatal(err)
	}
	said := a2a.Stored{Who: e.who, Name: "a", Task: gone.ID, Body: json.RawMessage(`{}`), CreatedAt: e.at}
	if _, err := e.Messages.Insert(e.ctx, e.sc, said); err != nil {
		t.Fatal(err)
	}
	if put, err := e.Outputs.Put(e.ctx, e.sc, e.begun(t).Session, e.output("a")); err != nil || !put {
		t.Fatalf("%v, %v", put, err)
	}
	stores, err := e.Peers.RemoveAll(e.ctx, e.sc, e.who.Agent)
	if err != nil || !slices.Equal(stores, []id.MemoryStore{p.Store}) {
		t.Errorf("%v, %v", stores, err)
	}
	if _, err := e.Tasks.Get(e.ctx, e.sc, gone.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the task is there: %v", err)
	}
	if _, there, err := e.Peers.Session(e.ctx, e.sc, e.who, "a context"); there || err != nil {
		t.Errorf("the context is there: %v", err)
	}
	if _, there, err := e.Messages.Find(e.ctx, e.sc, e.who, "a"); there || err != nil {
		t.Errorf("the message is there: %v", err)
	}
	if all, err := e.Outputs.Of(e.ctx, e.sc, e.working, 9); err != nil || len(all) > 0 {
		t.Errorf("%d files are there, %v", len(all), err)
	}
	if _, err := e.Tasks.Get(e.ctx, e.sc, kept.ID); err != nil {
		t.Errorf("another agent's task: %v", err)
	}
}
