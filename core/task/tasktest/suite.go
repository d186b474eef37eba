// Package tasktest is the conformance suite of task.Repository, and of what task.Acts finds of runs without acts.
package tasktest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/task"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store interface {
	task.Repository
	task.Acts
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, tx.Runner)
}

var (
	ids   = id.NewGenerator(time.Now)
	equal = cmpopts.EquateComparable(id.Run{}, id.Tenant{}, id.Agent{}, id.Session{})
)

type env struct {
	Store
	tx    tx.Runner
	ctx   context.Context
	sc    account.Scope
	agent id.Agent
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":        roundTrip,
		"missing":           func(t *testing.T, e *env) { nothing(t, e, e.sc, task.RunOf(id.New[id.SessionKind](ids))) },
		"foreign tenant":    foreign,
		"duplicate":         duplicate,
		"end":               end,
		"rollback":          rollback,
		"two enders":        twoEnders,
		"list":              list,
		"pending":           pending,
		"known":             known,
		"remove":            remove,
		"cancelled context": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := cfg.New(t)
			fn(t, &env{s, r, t.Context(), account.System(id.New[id.TenantKind](ids)), id.New[id.AgentKind](ids)})
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (e *env) run() task.Run {
	of := id.New[id.SessionKind](ids)
	return task.Run{
		ID: task.RunOf(of), Tenant: e.sc.Tenant, Agent: e.agent, Session: of, Task: "Say hello.", Context: "kindly", Status: task.Running,
		StartedAt: clock.Stored(time.Now()),
	}
}

func (e *env) insert(t *testing.T) task.Run {
	t.Helper()
	r := e.run()
	must(t, e.Insert(e.ctx, e.sc, r))
	return r
}

// finish ends a run like the service does.
func (e *env) finish(t *testing.T, r task.Run, status task.Status) task.Run {
	t.Helper()
	now := clock.Stored(time.Now())
	r.Status, r.Summary, r.Credits, r.Acts, r.CompletedAt = status, "hello", 5, 4, &now
	if status == task.Failed {
		r.Error, r.Rule = "denied by daily_limit", "daily_limit"
	}
	must(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, ok, err := e.Lock(ctx, e.sc, r.ID)
		if err == nil && !ok {
			err = errors.New("the run is not there")
		}
		if err != nil {
			return err
		}
		return e.Save(ctx, e.sc, r)
	}))
	return r
}

func roundTrip(t *testing.T, e *env) {
	r := e.insert(t)
	got, err := e.Get(e.ctx, e.sc, r.ID)
	must(t, err)
	if diff := cmp.Diff(r, got, equal); diff != "" {
		t.Error(diff)
	}
	f, err := e.Facts(e.ctx, e.sc, r.ID)
	if err != nil || f.Acts != 0 || f.Refusal != nil {
		t.Errorf("%+v %v", f, err)
	}
}

func nothing(t *testing.T, e *env, sc account.Scope, run id.Run) {
	t.Helper()
	if _, err := e.Get(e.ctx, sc, run); fault.KindOf(err) != fault.NotFound {
		t.Errorf("get: %v", err)
	}
	if _, ok, err := e.Lock(e.ctx, sc, run); ok || err != nil {
		t.Errorf("lock: %v %v", ok, err)
	}
	p, err := e.List(e.ctx, sc, task.ListRequest{Agent: e.agent, Page: page.Request{Count: true}})
	if err != nil || len(p.Items) != 0 || p.Total != 0 {
		t.Errorf("list: %+v %v", p, err)
	}
	found, err := e.Known(e.ctx, sc, []id.Session{task.SessionOf(run)})
	if err != nil || len(found) != 0 {
		t.Errorf("known: %v %v", found, err)
	}
}

func foreign(t *testing.T, e *env) {
	r := e.insert(t)
	other := account.System(id.New[id.TenantKind](ids))
	nothing(t, e, other, r.ID)
	changed := r
	changed.Status = task.Failed
	must(t, e.Save(e.ctx, other, changed))
	if n, err := e.Remove(e.ctx, other, e.agent); n != 0 || err != nil {
		t.Errorf("remove: %d %v", n, err)
	}
	if got, err := e.Get(e.ctx, e.sc, r.ID); err != nil || got.Status != task.Running {
		t.Errorf("%+v %v", got, err)
	}
}

func duplicate(t *testing.T, e *env) {
	r := e.insert(t)
	if err := e.Insert(e.ctx, e.sc, r); !errors.Is(err, task.ErrExists) {
		t.Errorf("%v", err)
	}
}

func end(t *testing.T, e *env) {
	for _, status := range []task.Status{task.Completed, task.Failed} {
		r := e.finish(t, e.insert(t), status)
		got, err := e.Get(e.ctx, e.sc, r.ID)
		must(t, err)
		if diff := cmp.Diff(r, got, equal); diff != "" {
			t.Error(diff)
		}
		if _, ok, err := e.Lock(e.ctx, e.sc, r.ID); ok || err != nil {
			t.Errorf("a run that has ended is locked: %v %v", ok, err)
		}
	}
}

func rollback(t *testing.T, e *env) {
	r, undo := e.run(), errors.New("undo")
	err := e.tx.Do(e.ctx, func(ctx context.Context) error {
		must(t, e.Insert(ctx, e.sc, r))
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	nothing(t, e, e.sc, r.ID)
}

// twoEnders ends a run from both sides: one of them finds it ended.
func twoEnders(t *testing.T, e *env) {
	r := e.insert(t)
	done := make(chan bool, 2)
	for range 2 {
		go func() {
			ended := false
			err := e.tx.Do(e.ctx, func(ctx context.Context) error {
				v, ok, err := e.Lock(ctx, e.sc, r.ID)
				ended = ok
				if err != nil || !ok {
					return err
				}
				v.Status = task.Completed
				return e.Save(ctx, e.sc, v)
			})
			if err != nil {
				t.Error(err)
			}
			done <- ended
		}()
	}
	if a, b := <-done, <-done; a == b {
		t.Errorf("both ended it, or nobody: %v", a)
	}
}

func list(t *testing.T, e *env) {
	var want []id.Run
	for i := range 7 {
		r := e.insert(t)
		if i%2 == 0 {
			e.finish(t, r, task.Completed)
		}
		want = append([]id.Run{r.ID}, want...)
	}
	key := func(r task.Run) id.Run { return r.ID }
	read := func(status task.Status) func(page.Request) (page.Page[task.Run], error) {
		return func(req page.Request) (page.Page[task.Run], error) {
			return e.List(e.ctx, e.sc, task.ListRequest{Agent: e.agent, Status: status, Page: req})
		}
	}
	if diff := cmp.Diff(want, pagetest.Walk(t, 3, key, read("")), equal); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]id.Run{want[0], want[2], want[4], want[6]}, pagetest.Walk(t, 2, key, read(task.Completed)), equal); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]id.Run{want[1], want[3], want[5]}, pagetest.Walk(t, 2, key, read(task.Running)), equal); diff != "" {
		t.Error(diff)
	}
	if got := pagetest.Walk(t, 2, key, read(task.WaitingApproval)); len(got) != 0 {
		t.Errorf("%v", got)
	}
	p, err := read("")(page.Request{Limit: 2, Offset: 4, Count: true})
	if err != nil || p.Total != 7 || len(p.Items) != 2 || p.Items[0].ID != want[4] {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := read("")(page.Request{Cursor: "x"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}

// pending keeps a run whose start waits, and finds it once it waits no more.
func pending(t *testing.T, e *env) {
	r := e.run()
	r.Pending = true
	must(t, e.Insert(e.ctx, e.sc, r))
	got, err := e.Get(e.ctx, e.sc, r.ID)
	if err != nil || got.Status != task.WaitingApproval || !got.Pending {
		t.Errorf("%+v %v", got, err)
	}
	is := func(r task.Run) func(task.Run) bool { return func(v task.Run) bool { return v.ID == r.ID } }
	decided := func() bool {
		found, err := e.Decided(e.ctx, 1000)
		must(t, err)
		for _, v := range found {
			if is(r)(v) {
				return true
			}
		}
		return false
	}
	if !decided() {
		t.Error("a start that waits for no act is not found")
	}
	r.Pending = false
	must(t, e.Save(e.ctx, e.sc, r))
	if got, err := e.Get(e.ctx, e.sc, r.ID); err != nil || got.Status != task.Running || decided() {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := e.Stalled(e.ctx, 10); err != nil {
		t.Error(err)
	}
}

func known(t *testing.T, e *env) {
	r, other := e.insert(t), id.New[id.SessionKind](ids)
	got, err := e.Known(e.ctx, e.sc, []id.Session{other, r.Session})
	if err != nil || len(got) != 1 || !got[r.Session] {
		t.Errorf("%v %v", got, err)
	}
	if got, err := e.Known(e.ctx, e.sc, nil); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}

func remove(t *testing.T, e *env) {
	r := e.insert(t)
	e.insert(t)
	kept := e.run()
	kept.Agent = id.New[id.AgentKind](ids)
	must(t, e.Insert(e.ctx, e.sc, kept))
	if n, err := e.Remove(e.ctx, e.sc, e.agent); n != 2 || err != nil {
		t.Errorf("%d %v", n, err)
	}
	nothing(t, e, e.sc, r.ID)
	if _, err := e.Get(e.ctx, e.sc, kept.ID); err != nil {
		t.Error(err)
	}
}

func cancelled(t *testing.T, e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if err := e.Insert(ctx, e.sc, e.run()); err == nil {
		t.Error("a cancelled context inserts")
	}
	if _, err := e.Get(ctx, e.sc, e.run().ID); err == nil {
		t.Error("a cancelled context reads")
	}
}
