// Package evaltest is the conformance suite of eval.Repository and eval.Stalls.
package evaltest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/bureau-agents/bureau/core/account"
	"github.com/bureau-agents/bureau/core/eval"
	"github.com/bureau-agents/bureau/ports/clock"
	"github.com/bureau-agents/bureau/ports/fault"
	"github.com/bureau-agents/bureau/ports/id"
	"github.com/bureau-agents/bureau/ports/money"
	"github.com/bureau-agents/bureau/ports/page"
	"github.com/bureau-agents/bureau/ports/page/pagetest"
	"github.com/bureau-agents/bureau/ports/tx"
)

// Store is what the suite runs against.
type Store interface {
	eval.Repository
	eval.Stalls
}

// Config of the suite.
type Config struct {
	// New returns an empty store and its transactions. It is called once per subtest.
	New func(t *testing.T) (Store, tx.Runner)
}

var ids = id.NewGenerator(time.Now)

type env struct {
	Store
	tx  tx.Runner
	ctx context.Context
	sc  account.Scope
}

// Run runs the suite.
func Run(t *testing.T, cfg Config) {
	t.Helper()
	for name, fn := range map[string]func(*testing.T, *env){
		"round trip":        roundTrip,
		"missing":           func(t *testing.T, e *env) { nothing(t, e, e.sc, id.New[id.EvalRunKind](ids)) },
		"foreign tenant":    foreign,
		"duplicate":         duplicate,
		"save":              save,
		"rollback":          rollback,
		"two lockers":       twoLockers,
		"list":              list,
		"delete":            remove,
		"stalled":           stalled,
		"cancelled context": cancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := cfg.New(t)
			fn(t, &env{s, r, t.Context(), account.System(id.New[id.TenantKind](ids))})
		})
	}
}

func (e *env) run() eval.Run {
	now := clock.Stored(time.Now())
	return eval.Run{
		ID: id.New[id.EvalRunKind](ids), Tenant: e.sc.Tenant, Agent: id.New[id.AgentKind](ids), AgentVersion: 1, Status: eval.Pending,
		Tasks: []eval.Task{{ID: "a", Messages: []string{"hi"}, Timeout: time.Minute, Trials: 2}}, Counts: eval.Counts{Trials: 2, Pending: 2},
		CreatedAt: now, UpdatedAt: now,
	}
}

func pending() []eval.Trial {
	return []eval.Trial{{Status: eval.Pending}, {Number: 1, Status: eval.Pending}}
}

func (e *env) insert(t *testing.T, runs ...eval.Run) {
	t.Helper()
	for _, r := range runs {
		noError(t, e.Insert(e.ctx, e.sc, r, pending()))
	}
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmp.AllowUnexported(id.EvalRun{}, id.Tenant{}, id.Agent{}, id.Environment{}, id.Session{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v; want %v", err, want)
	}
}

var notFound = id.NotFound[id.EvalRunKind]("")

func (e *env) lock(of id.EvalRun) (r eval.Run, err error) {
	err = e.tx.Do(e.ctx, func(ctx context.Context) error {
		r, err = e.Lock(ctx, e.sc, of)
		return err
	})
	return r, err
}

func roundTrip(t *testing.T, e *env) {
	want := e.run()
	want.Name, want.Environment, want.Error, want.Step = "Büro ?", id.New[id.EnvironmentKind](ids), "no ?", 7
	want.StartedAt, want.EndedAt = &want.CreatedAt, &want.UpdatedAt
	want.Tasks = append(want.Tasks, eval.Task{
		ID: "b", Messages: []string{"one", "two ?"}, Files: []eval.SetupFile{{Path: "/a", Content: "\x00\xff"}}, Script: "true", Timeout: time.Second,
		Trials: 1, Scorer: &eval.Scorer{Type: eval.Weighted, Threshold: 0.25, Parts: []eval.Scorer{
			{Type: eval.Includes, Texts: []string{"x"}, IgnoreCase: true, Weight: 2}, {Type: eval.Regex, Pattern: `\d`},
			{Type: eval.JSONSchema, Schema: json.RawMessage(`{"type":"object","b":1,"a":2}`)}, {Type: eval.ToolUsed, Tool: "t", Least: 2},
			{Type: eval.MaxCost, Cost: 12}, {Type: eval.MaxSteps, Steps: 3}, {Type: eval.Judge, Rubric: "r", Model: "m"},
			{Type: eval.Script, Script: "s", Timeout: time.Second},
		}},
	})
	trials := append(pending(), eval.Trial{Task: 1, Status: eval.Pending})
	noError(t, e.Insert(e.ctx, e.sc, want, trials))
	got, err := e.Get(e.ctx, e.sc, want.ID)
	noError(t, err)
	equal(t, want, got)
	got, err = e.lock(want.ID)
	noError(t, err)
	equal(t, want, got)
	read, err := e.Trials(e.ctx, e.sc, want.ID, false)
	noError(t, err)
	equal(t, trials, read)
}

// nothing checks that every method answers as if the run did not exist.
func nothing(t *testing.T, e *env, sc account.Scope, of id.EvalRun) {
	t.Helper()
	_, err := e.Get(e.ctx, sc, of)
	is(t, err, notFound)
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		_, err := e.Lock(ctx, sc, of)
		return err
	}), notFound)
	trials, err := e.Trials(e.ctx, sc, of, false)
	noError(t, err)
	equal(t, 0, len(trials))
	v := e.run()
	v.ID = of
	is(t, e.Save(e.ctx, sc, v, pending()), notFound)
	is(t, e.Delete(e.ctx, sc, of), notFound)
}

func foreign(t *testing.T, e *env) {
	v := e.run()
	e.insert(t, v)
	other := account.System(id.New[id.TenantKind](ids))
	nothing(t, e, other, v.ID)
	p, err := e.List(e.ctx, other, eval.ListRequest{})
	noError(t, err)
	equal(t, 0, len(p.Items))
	got, err := e.Trials(e.ctx, e.sc, v.ID, false)
	noError(t, err)
	equal(t, pending(), got)
}

func duplicate(t *testing.T, e *env) {
	v := e.run()
	e.insert(t, v)
	is(t, e.Insert(e.ctx, e.sc, v, pending()), eval.ErrExists)
}

func save(t *testing.T, e *env) {
	v := e.run()
	e.insert(t, v)
	now := clock.Stored(time.Now())
	score, passed, cost, judge := 0.25, false, money.Pico(1<<40), money.Pico(7)
	done := eval.Trial{
		Number: 1, Status: eval.Completed, Session: id.New[id.SessionKind](ids), Sent: 3, Score: &score, Passed: &passed,
		Results: []eval.Result{{Path: "scorer", Type: eval.Judge, Score: score, Reason: "weak ?"}}, Error: "e ?", Cost: &cost, JudgeCost: &judge,
		Tokens: 1 << 40, Steps: 4, Tools: 5, StartedAt: &now, EndedAt: &now,
		BusyUntil: now.Add(time.Minute),
	}
	v.Status, v.Error, v.Step, v.UpdatedAt, v.StartedAt = eval.Running, "x", 9, now, &now
	v.Counts = eval.Counts{Trials: 2, Pending: 1, Completed: 1, Scored: 1}
	noError(t, e.Save(e.ctx, e.sc, v, []eval.Trial{done}))
	got, err := e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, v, got)
	all, err := e.Trials(e.ctx, e.sc, v.ID, false)
	noError(t, err)
	equal(t, []eval.Trial{{Status: eval.Pending}, done}, all)
	live, err := e.Trials(e.ctx, e.sc, v.ID, true)
	noError(t, err)
	equal(t, []eval.Trial{{Status: eval.Pending}}, live)
}

func rollback(t *testing.T, e *env) {
	v := e.run()
	boom := errors.New("boom")
	is(t, e.tx.Do(e.ctx, func(ctx context.Context) error {
		noError(t, e.Insert(ctx, e.sc, v, pending()))
		return boom
	}), boom)
	nothing(t, e, e.sc, v.ID)
}

func twoLockers(t *testing.T, e *env) {
	v := e.run()
	e.insert(t, v)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := e.tx.Do(e.ctx, func(ctx context.Context) error {
				r, err := e.Lock(ctx, e.sc, v.ID)
				if err != nil {
					return err
				}
				r.Step++
				return e.Save(ctx, e.sc, r, nil)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := e.Get(e.ctx, e.sc, v.ID)
	noError(t, err)
	equal(t, int64(8), got.Step)
}

func list(t *testing.T, e *env) {
	var want []eval.Run
	for i := range 5 {
		v := e.run()
		if i == 2 {
			v.Status, v.Environment = eval.Completed, id.New[id.EnvironmentKind](ids)
		}
		e.insert(t, v)
		v.Tasks = nil
		want = append([]eval.Run{v}, want...)
	}
	for limit := 1; limit <= 6; limit++ {
		equal(t, want, pagetest.Walk(t, limit, pagetest.Whole, func(req page.Request) (page.Page[eval.Run], error) {
			return e.List(e.ctx, e.sc, eval.ListRequest{Request: req})
		}))
	}
	for _, req := range []eval.ListRequest{{Status: eval.Completed}, {Agent: want[2].Agent}, {Environment: want[2].Environment}} {
		p, err := e.List(e.ctx, e.sc, req)
		noError(t, err)
		equal(t, want[2:3], p.Items)
	}
	_, err := e.List(e.ctx, e.sc, eval.ListRequest{Request: page.Request{Cursor: "nonsense"}})
	equal(t, fault.Invalid, fault.KindOf(err))
}

func remove(t *testing.T, e *env) {
	v, other := e.run(), e.run()
	e.insert(t, v, other)
	noError(t, e.Delete(e.ctx, e.sc, v.ID))
	nothing(t, e, e.sc, v.ID)
	got, err := e.Trials(e.ctx, e.sc, other.ID, false)
	noError(t, err)
	equal(t, pending(), got)
}

func stalled(t *testing.T, e *env) {
	now := clock.Stored(time.Now())
	var want []eval.Ref
	for i, status := range []eval.Status{eval.Pending, eval.Running, eval.Completed, eval.Failed, eval.Cancelled} {
		v := e.run()
		v.Status, v.Step, v.UpdatedAt = status, int64(i), now.Add(-time.Minute)
		e.insert(t, v)
		if !status.Ended() {
			want = append(want, eval.Ref{Tenant: e.sc.Tenant, Run: v.ID, Step: v.Step})
		}
	}
	fresh := e.run()
	fresh.UpdatedAt = now
	e.insert(t, fresh)
	got, err := e.Stalled(e.ctx, now, 10_000)
	noError(t, err)
	got = slices.DeleteFunc(got, func(r eval.Ref) bool { return r.Tenant != e.sc.Tenant }) // the store is shared
	slices.SortFunc(got, func(a, b eval.Ref) int { return int(a.Step - b.Step) })
	equal(t, want, got)
	some, err := e.Stalled(e.ctx, now, 1)
	noError(t, err)
	equal(t, 1, len(some))
}

func cancelled(t *testing.T, e *env) {
	v := e.run()
	e.insert(t, v)
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	_, err := e.Get(ctx, e.sc, v.ID)
	is(t, err, context.Canceled)
	is(t, e.Delete(ctx, e.sc, v.ID), context.Canceled)
}
